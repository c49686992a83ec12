"""The section of regret: traces of our methods and of other libraries'."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from bojax.benchmark import (
    RegretRow,
    Trace,
    problems,
    read_traces,
    regret_gaps,
    regret_lines,
    regret_losses,
    regret_table,
)

from . import Section, bullets, digits, standing, table

OURS = "gp"
HALF = "reporting"
PICTURES = ("regret", "rank", "cost")
EXPLAINED = f"""Problems of the {HALF} half, on which no default was chosen; `hits` is the share of
targets reached, ten a decade. A regret of 1 is the median random point, 0.01 one per cent of
the way from there to the optimum left. `regret` is the geometric mean at the end, `area` the
mean log10 regret over all evaluations, `to match` the share of the budget after which {OURS}
is where the other ended, `seconds` those of a suggestion. Runs are paired by problem, instance
and seed; intervals are 95 % bootstraps over instances, then seeds, so they are about further
instances of these problems. They are not corrected for their number. A run that ended early
counts with the best it had. Pictures leave out methods that were not run on all instances.
Seconds are the method's own, compiling apart: of bojax's methods a core's share of programs of
many runs, evaluations included; of the others as timed while other runs went on beside them.
"""


def is_traces(path: Path) -> bool:
    """Whether a CSV file holds traces."""
    with path.open(newline="") as file:
        return {"method", "problem", "values", "optimum"} <= set(next(csv.reader(file), []))


def traces_of(folders: Iterable[Path]) -> list[Trace]:
    """Traces of the reporting half in all CSV files of some folders."""
    files = [path for folder in folders for path in sorted(folder.glob("*.csv")) if is_traces(path)]
    return [trace for trace in read_traces(files) if trace.half == HALF]


def settings_of(traces: Sequence[Trace]) -> list[tuple[int, int]]:
    """Evaluations and batch size of each comparison that has runs of ours, in order."""
    return sorted({(t.evaluations, t.batch) for t in traces if t.method == OURS})


def picture_name(kind: str, evaluations: int, batch: int) -> str:
    return f"bench_{kind}_{evaluations}_by_{batch}.png"


def section(traces: Sequence[Trace]) -> Section | None:
    """The section, or None if there are no runs of ours."""
    known = settings_of(traces)
    compared = [t for t in traces if (t.evaluations, t.batch) in known]
    if not compared:
        return None
    rows = regret_table(compared, method=OURS)
    lost, behind, slower = regret_losses(rows)
    parts = [_provenance(compared, rows), standing(lost, behind, slower)]
    if gaps := regret_gaps(rows):
        parts.append(f"Not complete:\n\n{bullets(gaps)}\n")
    parts.append(EXPLAINED)
    for evaluations, batch in known:
        mine = [row for row in rows if (row.evaluations, row.batch) == (evaluations, batch)]
        parts += _tables(mine, evaluations, batch)
    lost += [f"slower than {told}" for told in slower]
    return Section("Regret on the standard problems", lost, "\n".join(parts).strip())


def _tables(rows: Sequence[RegretRow], evaluations: int, batch: int) -> list[str]:
    whole = [row for row in rows if row.family == "all"]
    each = "one at a time" if batch == 1 else f"in batches of {batch}"
    head, *lines = regret_lines(whole)
    parts = [
        f"### {evaluations} evaluations, {each}\n",
        *(f"![{kind}](../docs/{picture_name(kind, evaluations, batch)})" for kind in PICTURES),
        f"\n{whole[0].instances} instances; ranks over {whole[0].ranked} runs of each.\n",
        table(head, lines) + "\n",
    ]
    families = list(dict.fromkeys(row.family for row in rows if row.family != "all"))
    if families:
        parts += [
            f"By family: final regret, in brackets how often {OURS} ends below it, and of how many "
            "runs where some are missing.\n",
            table(["method", *families], _by_family(whole, rows, families)) + "\n",
        ]
    return parts


def _by_family(whole, rows, families) -> list[list[str]]:
    cells = {}
    for row in rows:
        told = "" if row.regret.mean != row.regret.mean else f"{row.regret.mean:.2g}"
        wins = "" if row.method == OURS or not row.pairs else f" ({row.wins.mean:.2f})"
        fewer = f" of {row.counted}" if told and row.missing else ""
        cells[row.method, row.family] = told + wins + fewer
    return [[row.method, *(cells.get((row.method, f), "") for f in families)] for row in whole]


def _provenance(traces: Sequence[Trace], rows: Sequence[RegretRow]) -> str:
    times = sorted(trace.when for trace in traces if trace.method == OURS)
    loads = [trace.load for trace in traces]
    machines = ", ".join(dict.fromkeys(trace.machine for trace in traces))
    threads = {m: max(t.threads for t in traces if t.method == m) for m in _methods(traces)}
    versions = {row.method: row.versions for row in rows}
    counted = sorted({t.seed for t in traces if t.method == OURS})
    told = [f"{m}: {versions[m] or 'unknown'}; threads: {threads[m]}" for m in threads]
    return (
        f"`bojax bench regret --half {HALF}` and `python benchmarks/peers.py`, "
        f"{times[0].replace('T', ' ')}; {len(problems.standard(HALF))} instances, {len(counted)} "
        f"seeds of {OURS}; {machines}, load average {digits(min(loads))} to {digits(max(loads))}."
        f"\n\n{bullets(told)}\n"
    )


def _methods(traces: Sequence[Trace]) -> list[str]:
    return list(dict.fromkeys(trace.method for trace in traces))
