"""Sections of benchmarks/README.md, and what all of them are made with."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

Rows = Sequence[dict[str, str]]
NOT_VERSIONS = {
    "run", "side", "kind", "round", "seconds", "observations", "columns", "load", "threads",
    "cores", "statement", "phase", "program", "programs", "what", "number", "value", "unit",
    "method", "batch", "width", "epochs", "trials", "trials_timed", "compile_seconds",
    "run_seconds", "per_minute_excl", "per_minute_incl", "accuracy", "devices", "platform", "when",
}  # fmt: skip


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        title: its heading.
        lost: where bojax loses in it, which the page begins with.
        text: what follows the heading.
    """

    title: str
    lost: Sequence[str]
    text: str


def latest(rows: Rows) -> Rows:
    """The rows of the last run, where runs are named."""
    last = max(row.get("run", "") for row in rows)
    return [row for row in rows if row.get("run", "") == last]


def table(head: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    """A Markdown table; all but the first column to the right."""
    rule = ["---", *["--:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in (head, rule, *lines))


def bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def spread(values: Sequence[float]) -> str:
    """Median, least and largest, to three digits; one value stands alone."""
    middle, low, high = (digits(f(values)) for f in (statistics.median, min, max))
    return middle if len(values) == 1 else f"{middle} ({low} to {high})"


def digits(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def losses(lost: Sequence[str]) -> str:
    return f"**Loses:** {'; '.join(lost)}.\n" if lost else "Loses nowhere here.\n"


def standing(lost: Sequence[str], behind: Sequence[str], slower: Sequence[str]) -> str:
    """Losses, what no interval decides, and who takes less time."""
    parts = [losses(lost)]
    if behind:
        parts.append(f"Behind, within the intervals: {'; '.join(behind)}.\n")
    if slower:
        parts.append(f"Slower than: {'; '.join(slower)}.\n")
    return "\n".join(parts)


def provenance(script: str, rows: Rows) -> str:
    """Command, time, machine and versions behind some rows."""
    when = sorted(row.get("run") or row["when"] for row in rows)[0].replace("T", " ")
    loads = [float(row["load"]) for row in rows]
    threads = rows[0].get("threads") or rows[0]["cores"]
    packages = list(rows[0])[list(rows[0]).index("python") :]  # Python's is the first version
    versions = ", ".join(
        f"{name} {rows[0][name]}" for name in packages if name not in NOT_VERSIONS and rows[0][name]
    )
    return (
        f"`python benchmarks/{script}`, {when}; {threads} of {rows[0]['cores']} cores, "
        f"load average {min(loads):.1f} to {max(loads):.1f}; {versions}.\n"
    )
