"""Sections of batches, and of many dimensions."""

from __future__ import annotations

import statistics
from pathlib import Path

from bojax import stats
from bojax.benchmark import read_traces

from . import Rows, Section, digits, losses, provenance, table

MOST = 1.1  # of the area of single suggestions: beyond it a rule counts as lost


def section(rows: Rows) -> Section:
    """What batches cost in regret, by rule."""
    areas: dict[str, dict[tuple[str, str], list[float]]] = {}
    apart: dict[str, list[float]] = {}
    for row in rows:
        problem = row["problem"], row["instance"]
        areas.setdefault(row["rule"], {}).setdefault(problem, []).append(float(row["area"]))
        apart.setdefault(row["rule"], []).append(float(row["spread"]))
    single = areas.pop("single")
    alone = statistics.mean(area for values in single.values() for area in values)
    lines, lost = [], []
    for rule, found in areas.items():
        mine = statistics.mean(area for values in found.values() for area in values)
        ratio = mine / alone
        difference = stats.bootstrap_over_problems(found, single)
        near = digits(statistics.mean(apart[rule]))
        lines.append([f"`{rule}`", f"{mine:.3f}", f"{ratio:.3f}", difference, near])
        if ratio > MOST:
            lost.append(f"{rule} ({ratio:.2f} times the area)")
    batch = next(row["batch"] for row in rows if row["rule"] != "single")
    seeds = len({row["seed"] for row in rows})
    text = "\n".join(
        [
            provenance("batches.py", rows),
            losses(lost),
            f"The reporting half, {seeds} seeds, {rows[0]['evaluations']} evaluations, batches of "
            f"{batch} beside single suggestions, whose area is {alone:.3f}: the area under log10 "
            "of the normalised regret, lifted so that 1 is the median random point all along and "
            "0 six decades below it at once. Paired differences; the last column is the distance "
            "of a row to the nearest of its batch, in the unit cube.\n",
            table(["rule", "area", "it / single", "difference", "apart"], lines),
        ]
    )
    return Section(f"Batches of {batch}", lost, text)


def dimensions(file: Path) -> Section:
    """Many dimensions: final regret by method and problem."""
    traces = [trace for trace in read_traces([file]) if not trace.failure]
    problems = sorted({t.problem for t in traces}, key=lambda name: (int(name.split("_")[1]), name))
    found: dict[str, dict[str, list[float]]] = {}
    for trace in traces:
        scale = trace.reference - trace.optimum
        best = min(value for value in trace.values if value == value)
        own = found.setdefault(trace.method, {}).setdefault(trace.problem, [])
        own.append((best - trace.optimum) / scale)
    middle = {
        method: {name: statistics.median(values) for name, values in mine.items()}
        for method, mine in found.items()
    }
    lost = [
        f"{method} on {name} ({digits(regret)} for {digits(middle['gp'][name])})"
        for method, mine in middle.items()
        if method in ("botorch",)
        for name, regret in mine.items()
        if regret < middle["gp"][name]
    ]
    lines = [
        [method, *(digits(middle[method][n]) if n in middle[method] else "" for n in problems)]
        for method in middle
    ]
    seeds = {method: len({t.seed for t in traces if t.method == method}) for method in middle}
    told = ", ".join(f"{method} {count}" for method, count in seeds.items())
    text = "\n".join(
        [
            f"`python benchmarks/dimensions.py --peers`, {traces[0].when.replace('T', ' ')}; "
            f"seeds: {told}.\n",
            losses(lost),
            f"{len(traces[0].values)} evaluations in batches of {traces[0].batch}, the optimum "
            "shifted and rotated: median regret at the end, 1 is the median random point. `turbo` "
            "is bojax's; TuRBO's reference code was not run.\n",
            table(["method", *problems], lines),
        ]
    )
    return Section("Fifty and a hundred dimensions", lost, text)
