"""The section of methods beside their reference implementations, from the rows of several scripts.

`method_references.py` wrote pairs; `multi_fidelity.py`, `forest.py` and `objectives.py` ran DEHB,
SMAC3 and Optuna's NSGA-II beside ours, and their rows are paired here by problem and seed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import record

from bojax.benchmark import read_traces
from bojax.stats import Interval, paired_bootstrap

from . import Rows, Section, losses, table

PICTURE = "bench_references.png"
AXIS = "log10(ours / the reference): left of the line ours is better"
FLOOR = 1e-9  # of a regret
REFERENCE_DEHB = "DEHB 0.1.2"
EXPLAINED = """Ours and the reference with the same problems, budget and settings: the mean of
log10(ours / the reference) over all pairs, a pair being a problem, an instance and a seed, with its
paired 95 % bootstrap interval. Below 0 ours is better; *worse* and *better* are intervals without
0, not corrected for the number of lines. Both sides draw for themselves, but for ASHA, where all
decisions agree. Regret is that of the best value found, epochs are those trained until a target; of
hypervolumes the ratio is turned round. `worst on` is the problem with the largest mean, on which
there are few pairs. "The paper's" algorithms are written down from it in `reference_parts`, PBT's
in two orders: ours waits for all members of an interval, as *all together* does.
"""


class Compared(NamedTuple):
    """A pair: what is compared with what, on which problem, and both values."""

    method: str
    reference: str
    quantity: str
    budget: str
    problem: str
    seed: str
    ours: float
    theirs: float


class Line(NamedTuple):
    """A method and its reference.

    Attributes:
        gap: log10 of ours over theirs, mean and interval.
        runs: how many pairs, in words.
        worst: the problem with the largest mean gap, and that.
    """

    method: str
    reference: str
    quantity: str
    budget: str
    runs: str
    gap: Interval
    worst: str

    @property
    def verdict(self) -> str:
        if self.gap.low > 0:
            return "worse"
        return "better" if self.gap.high < 0 else ""


def pairs_of(rows: Iterable[dict]) -> list[Compared]:
    """Rows of `method_references.py`; of each part the last run."""
    rows = list(rows)
    last: dict[str, str] = {}
    for row in rows:
        last[row["part"]] = max(row["run"], last.get(row["part"], ""))
    return [
        Compared(
            row["method"], _named(row), row["quantity"], str(row["budget"]),
            row["problem"], f"{row['instance']}/{row['seed']}",
            float(row["ours"]), float(row["theirs"]),
        )
        for row in rows
        if row["run"] == last[row["part"]]
    ]  # fmt: skip


def _named(row: dict) -> str:
    """The reference, with its version where it has one."""
    number = row["versions"].rpartition(" ")[2]
    return f"{row['reference']} {number}".strip()


def of_curves(rows: Rows) -> list[Compared]:
    """DEHB on recorded curves: rows of `multi_fidelity.py`."""
    found = {}
    for row in rows:  # the last run of each counts
        found[row["method"], row["curves"], row["seed"]] = float(row["epochs_to_target"])
    return [
        Compared("dehb", REFERENCE_DEHB, "epochs to the target", "8100", curves, seed,
                 found["dehb", curves, seed], value)
        for (method, curves, seed), value in found.items()
        if method == REFERENCE_DEHB and ("dehb", curves, seed) in found
    ]  # fmt: skip


def of_forest(file: Path) -> list[Compared]:
    """SMAC3: traces of `forest.py`."""
    traces = {trace.key: trace for trace in read_traces([file])}
    found = []
    for key, theirs in traces.items():
        ours = traces.get(("forest", *key[1:]))
        if key[0] == "smac" and ours and ours.values and theirs.values:
            values = [
                max((min(v for v in t.values if v == v) - t.optimum) / (t.reference - t.optimum),
                    FLOOR)
                for t in (ours, theirs)
            ]  # fmt: skip
            version = next((p for p in theirs.versions.split(", ") if p.startswith("smac")), "SMAC")
            name = version.replace("smac", "SMAC")
            found.append(Compared("forest", name, "regret", str(key[5]), key[1],
                                  f"{key[2]}/{key[3]}", *values))  # fmt: skip
    return found


def of_fronts(rows: Rows) -> list[Compared]:
    """NSGA-II: rows of `objectives.py`; hypervolumes are better large, so they change places."""
    last = max(row["run"] for row in rows)
    column = [name for name in rows[0] if name.startswith("volume_")][-1]
    found = {(r["contender"], r["problem"], r["seed"]): r for r in rows if r["run"] == last}
    return [
        Compared("nsga2", f"Optuna's NSGA-II {row['versions'].rpartition(' ')[2]}", "hypervolume",
                 column.rpartition("_")[2], problem, seed, float(row[column]),
                 float(found["bojax nsga2", problem, seed][column]))
        for (contender, problem, seed), row in found.items()
        if contender == "optuna nsga2" and ("bojax nsga2", problem, seed) in found
    ]  # fmt: skip


def lines(pairs: Sequence[Compared]) -> list[Line]:
    """A line a method and reference, in the order of the pairs."""
    groups: dict[tuple, list[Compared]] = {}
    for pair in pairs:
        groups.setdefault(pair[:4], []).append(pair)
    found = []
    for about, mine in groups.items():
        ours, theirs = (
            [math.log10(v) for v in vs] for vs in zip(*(p[6:] for p in mine), strict=True)
        )
        by_problem: dict[str, list[float]] = {}
        for pair, a, b in zip(mine, ours, theirs, strict=True):
            by_problem.setdefault(pair.problem, []).append(a - b)
        means = {problem: sum(gaps) / len(gaps) for problem, gaps in by_problem.items()}
        worst = max(means, key=means.__getitem__)
        runs = f"{len(mine)} pairs, {len(means)} problem{'s' * (len(means) > 1)}"
        found.append(
            Line(*about, runs, paired_bootstrap(ours, theirs), f"{worst} ({means[worst]:+.2f})")
        )
    return found


def of_others(rows: Path) -> dict[str, list[Compared]]:
    """Script -> pairs, of the scripts that compare with a reference beside other things."""
    pairs: dict[str, list[Compared]] = {}
    for name, of in (("multi_fidelity", of_curves), ("objectives", of_fronts)):
        if (file := rows / f"{name}.csv").exists():
            pairs[name] = of(record.read(file))
    if (file := rows / "forest" / "traces.csv").exists():
        pairs["forest"] = of_forest(file)
    return pairs


def found(rows: Path) -> list[Line]:
    """The lines of all scripts that left rows in a folder."""
    pairs: list[Compared] = []
    if (file := rows / "references.csv").exists():
        pairs += pairs_of(record.read(file))
    return lines([*pairs, *(pair for more in of_others(rows).values() for pair in more)])


def intervals(told: Sequence[Line]) -> dict[str, Interval]:
    """What the picture shows."""
    return {f"{line.method} | {line.reference}": line.gap for line in told}


def section(rows: Path) -> Section | None:
    """The section, or None without rows of the script it is named after."""
    if not (rows / "references.csv").exists():
        return None
    told = found(rows)
    lost = [
        f"{line.method} against {line.reference} (log10 of the {line.quantity} {line.gap})"
        for line in told
        if line.verdict == "worse"
    ]
    every = record.read(rows / "references.csv")
    loads, runs = [float(row["load"]) for row in every], sorted({row["run"] for row in every})
    body = [
        [f"`{line.method}`", line.reference, line.quantity, line.budget, line.runs,
         f"{line.gap.mean:+.3f} [{line.gap.low:+.3f}, {line.gap.high:+.3f}]", line.verdict,
         line.worst]
        for line in told
    ]  # fmt: skip
    others = [f"`{name}.py`" for name, pairs in of_others(rows).items() if pairs]
    elsewhere = f" Its last lines are from the rows of {', '.join(others)}." if others else ""
    head = ["method", "reference", "quantity", "budget", "runs", "log10 ratio", "", "worst on"]
    first = every[0]
    text = "\n".join(
        [
            f"`python benchmarks/method_references.py`, {runs[0].replace('T', ' ')} to "
            f"{runs[-1].replace('T', ' ')}; {first['threads']} of {first['cores']} cores, load "
            f"average {min(loads):.1f} to {max(loads):.1f}; python {first['python']}, bojax "
            f"{first['bojax']}, jax {first['jax']}.{elsewhere}\n",
            losses(lost),
            EXPLAINED,
            f"![references](../docs/{PICTURE})\n",
            table(head, body),
        ]
    )
    return Section("Against the reference implementations", lost, text)
