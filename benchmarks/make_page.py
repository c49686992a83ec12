"""Write benchmarks/README.md from the raw rows that exist; nothing on it is typed by hand.

    python benchmarks/make_page.py

Each section has the command, when it ran, on what, a table with medians and the least and
largest value, and, first, where bojax loses. Of a file with several runs the latest counts.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import record

PAGE = Path(__file__).parent / "README.md"
Rows = Sequence[dict[str, str]]
NOT_VERSIONS = {
    "run", "side", "kind", "round", "seconds", "observations", "columns", "load", "threads",
    "cores", "statement", "phase", "program", "programs", "what", "number", "value", "unit",
    "method", "batch", "width", "epochs", "trials", "trials_timed", "compile_seconds",
    "run_seconds", "per_minute_excl", "per_minute_incl", "accuracy", "devices", "platform", "when",
}  # fmt: skip
HEAD = """# Benchmarks

Made by `python benchmarks/make_page.py` from the rows in `benchmarks/rows/`; a test holds the
page to them. Medians, with the least and the largest value in brackets. Both sides of a
comparison ran in one process, or in processes that took turns. Ratios above 1 are in favour
of bojax; where it loses is said first.
"""
NOTHING = "No rows have been recorded yet. `make bench` records them.\n"


def ask_latency(rows: Rows) -> str:
    """Seconds of a suggestion, bojax beside Optuna."""
    lines, lost = [], []
    for kind in ("cold", "scratch", "warm"):
        mine, theirs = (
            [float(r["seconds"]) for r in rows if (r["side"], r["kind"]) == (side, kind)]
            for side in ("bojax", "optuna")
        )
        ratio = statistics.median(theirs) / statistics.median(mine)
        lines.append((ratio, f"| {kind} | {spread(mine)} | {spread(theirs)} | {ratio:.2f} |"))
        if ratio < 1:
            lost.append(f"{kind} ({ratio:.2f})")
    n, d = rows[0]["observations"], rows[0]["columns"]
    return "\n".join(
        [
            f"## A suggestion after {n} observations in {d} dimensions\n",
            provenance("ask_latency.py", rows),
            losses(lost),
            "One core. `cold` is the first suggestion of a process, compiling included; `scratch` "
            "fits from all starts; `warm` follows one more result. Optuna's side is its "
            "`GPSampler`.\n",
            "| seconds | bojax | optuna | ratio |\n|---|---|---|---|",
            *[line for _, line in sorted(lines)],
        ]
    )


def import_time(rows: Rows) -> str:
    """Seconds of imports."""
    found: dict[str, list[float]] = {}
    for row in rows:
        found.setdefault(row["statement"], []).append(float(row["seconds"]))
    jax = statistics.median(found["import jax"])
    ratio = {name: jax / statistics.median(seconds) for name, seconds in found.items()}
    lost = [f"`{name}` ({ratio[name]:.2f})" for name in found if ratio[name] < 1]
    return "\n".join(
        [
            "## Importing\n",
            provenance("import_time.py", rows),
            losses(lost),
            "`bojax` loads its doors when they are first used, so what it does not load is not "
            "saved, it is put off: the last line is the price with the first door open.\n",
            "| statement | seconds | `import jax` / it |\n|---|---|---|",
            *[f"| `{name}` | {spread(found[name])} | {ratio[name]:.2f} |" for name in found],
        ]
    )


def programs(rows: Rows) -> str:
    """Compiled programs a phase."""
    lines = []
    for phase in dict.fromkeys(row["phase"] for row in rows):
        mine = [row for row in rows if row["phase"] == phase]
        names = ", ".join(f"{r['programs']} `{r['program']}`" for r in mine if r["program"])
        total = sum(int(row["programs"]) for row in mine)
        seconds = sum(float(row["seconds"]) for row in mine)
        lines.append(f"| {phase} | {total} | {seconds:.1f} | {names or 'none'} |")
    n = rows[0]["observations"]
    return "\n".join(
        [
            f"## Programs compiled from 1 to {n} observations\n",
            provenance("programs.py", rows),
            "The second space has other parameters, kinds and conditions, and the same size "
            "class: it must compile nothing.\n",
            "| space | programs | seconds compiling | which |\n|---|---|---|---|",
            *lines,
        ]
    )


def training_loops(rows: Rows) -> str:
    """Trials per minute: a population beside three loops of one's own."""
    keys = ("batch", "width", "epochs", "trials", "cores")
    tables, lost = [], []
    for group in dict.fromkeys(tuple(row[k] for k in keys) for row in rows):
        mine = [row for row in rows if tuple(row[k] for k in keys) == group]
        batch, width, epochs, trials, cores = group
        title = f"batch {batch}, width {width}, {epochs} epochs, {trials} trials, {cores} cores"
        tables.append(
            f"\n{title}:\n\n| method | per minute | bojax / it | with compiling | bojax / it "
            "| accuracy |\n|---|---|---|---|---|---|"
        )
        rate = {
            (m, w): [float(r[f"per_minute_{w}"]) for r in mine if r["method"] == m]
            for m in "abcd"
            for w in ("excl", "incl")
        }
        middle = {key: statistics.median(values) for key, values in rate.items() if values}
        for method in "abcd":
            if (method, "excl") not in middle:
                continue
            excl, incl = (middle["d", w] / middle[method, w] for w in ("excl", "incl"))
            accuracy = statistics.median(
                float(r["accuracy"]) for r in mine if r["method"] == method
            )
            tables.append(
                f"| {method} | {spread(rate[method, 'excl'])} | {excl:.2f} | "
                f"{spread(rate[method, 'incl'])} | {incl:.2f} | {accuracy:.3f} |"
            )
            for what, ratio in (("", excl), (" with compiling", incl)):
                if ratio < 1:
                    lost.append(f"against {method}{what}, {title} ({ratio:.2f})")
    return "\n".join(
        [
            "## Training many small models\n",
            provenance("training_loops.py", rows),
            losses(lost),
            "Trials per minute of an MLP on scikit-learn's digits: `a` a new program a trial, `b` "
            "one jitted step, `c` one jitted epoch, `d` a population of bojax.",
            *tables,
        ]
    )


def store(rows: Rows) -> str:
    """What a commit costs."""
    lines = []
    for what in dict.fromkeys(row["what"] for row in rows):
        mine = [row for row in rows if row["what"] == what]
        values = [float(row["value"]) for row in mine]
        lines.append(f"| {what} | {spread(values)} {mine[0]['unit']} | {len(values)} |")
    return "\n".join(
        [
            "## The store\n",
            provenance("store.py", rows),
            "| what | median (least to largest) | times |\n|---|---|---|",
            *lines,
        ]
    )


SECTIONS: dict[str, Callable[[Rows], str]] = {
    "ask_latency": ask_latency,
    "import_time": import_time,
    "programs": programs,
    "training_loops": training_loops,
    "store": store,
}


def page(folder: Path) -> str:
    """The whole page from the rows in a folder."""
    parts = [HEAD]
    for name, section in SECTIONS.items():
        file = folder / f"{name}.csv"
        if file.exists():
            parts.append(section(latest(record.read(file))) + "\n")
    return "\n".join(parts if len(parts) > 1 else [HEAD, NOTHING])


def latest(rows: Rows) -> Rows:
    """The rows of the last run, where runs are named."""
    last = max(row.get("run", "") for row in rows)
    return [row for row in rows if row.get("run", "") == last]


def spread(values: Sequence[float]) -> str:
    """Median, least and largest, to three digits; one value stands alone."""
    middle, low, high = (digits(f(values)) for f in (statistics.median, min, max))
    return middle if len(values) == 1 else f"{middle} ({low} to {high})"


def digits(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def losses(lost: Sequence[str]) -> str:
    return f"**Loses:** {'; '.join(lost)}.\n" if lost else "Loses nowhere here.\n"


def provenance(script: str, rows: Rows) -> str:
    """Command, time, machine and versions behind some rows."""
    when = sorted(row.get("run") or row["when"] for row in rows)[0].replace("T", " ")
    loads = [float(row["load"]) for row in rows]
    threads = rows[0].get("threads") or rows[0]["cores"]
    versions = ", ".join(
        f"{name} {version}"
        for name, version in rows[0].items()
        if name not in NOT_VERSIONS and version
    )
    return (
        f"`python benchmarks/{script}`, {when}; {threads} of {rows[0]['cores']} cores, "
        f"load average {min(loads):.1f} to {max(loads):.1f}; {versions}.\n"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=Path, default=record.ROWS)
    parser.add_argument("--page", type=Path, default=PAGE)
    settings = parser.parse_args(arguments)
    settings.page.write_text(page(settings.rows))
    print(f"wrote {settings.page.name}")


if __name__ == "__main__":
    main()
