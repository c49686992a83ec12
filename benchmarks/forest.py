"""The forest strategy against SMAC3: the same problems, instances and seeds for both.

    make bench-env                        # SMAC's environment, once
    python benchmarks/forest.py           # what is missing

The first instance of each problem of the reporting half, 10 seeds, 40 evaluations one by one, with
{forest, a new forest for every suggestion, random, SMAC3 2.4.1}. Traces go to
benchmarks/rows/forest/traces.csv as runs end; what is there and still current is not repeated.
Printed
are geometric means of the final regret (1 is the median random point) and their paired ratios,
with 95 % bootstrap intervals over problems, then seeds.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
import record

import bojax
from bojax import stats
from bojax.benchmark import PeerError, compare_strategies, foreign, problems, read_traces

FILE = record.ROWS / "forest" / "traces.csv"
OURS = {
    "forest": lambda: bojax.strategies.forest(),
    "forest, refit 1": lambda: bojax.strategies.forest(refit=1),
    "random": lambda: bojax.strategies.random(),
}
FLOOR = 1e-6  # of a regret: rounding, beyond


def show(trace, done, total, left):
    if trace.failure:
        print(f"\n{trace.method} on {trace.problem}/{trace.instance}: {trace.failure}")
    print(f"\r{done}/{total} runs, {left:.0f} s left ", end="", flush=True)


def final(traces):
    """Final regrets of each method, by problem and seed."""
    found = defaultdict(lambda: defaultdict(dict))
    for t in traces:
        if t.values:
            regret = (np.nanmin(t.values) - t.optimum) / (t.reference - t.optimum)
            place = t.problem, t.instance
            found[t.method][place][t.seed] = max(float(regret), FLOOR)
    return found


def table(traces, ours="forest"):
    """Lines that compare `ours` with every other method on the pairs that both have."""
    found, lines = final(traces), []
    for method, theirs in found.items():
        each = {p: np.exp(np.mean(np.log(list(v.values())))) for p, v in theirs.items()}
        text = ", ".join(f"{p[0]} {value:.3g}" for p, value in each.items())
        lines.append(f"{method}: {text}")
        if method == ours:
            continue
        shared = {p: sorted(set(found[ours][p]) & set(v)) for p, v in theirs.items()}
        shared = {p: seeds for p, seeds in shared.items() if seeds}
        a, b = (
            {p: [found[m][p][s] for s in seeds] for p, seeds in shared.items()}
            for m in (ours, method)
        )
        ratio = stats.bootstrap_over_problems(a, b, statistic="ratio")
        pairs = sum(map(len, shared.values()))
        lines.append(f"  {ours} / {method}: {ratio} on {pairs} pairs")
        for p in shared:
            alone = stats.geometric_ratio(a[p], b[p])
            lines.append(f"    {p[0]}: {alone}")
    return lines


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--evaluations", type=int, default=40)
    parser.add_argument("--instances", type=int, default=1)
    parser.add_argument("--half", choices=problems.HALVES, default="reporting")
    parser.add_argument("--methods", nargs="*", default=[*OURS, "smac"])
    parser.add_argument("--rows", type=Path, default=FILE)
    settings = parser.parse_args(arguments)
    bojax.configure(cpu_devices="cores")
    chosen = {name: OURS[name]() for name in settings.methods if name in OURS}
    if "smac" in settings.methods:
        try:
            chosen["smac"] = foreign("smac", timeout=300.0, label="smac")
        except PeerError as error:
            print(f"smac: left out: {error}")
    compare_strategies(
        chosen, problems.standard(settings.half, instances=settings.instances),
        seeds=settings.seeds, evaluations=settings.evaluations, store=settings.rows,
        on_trace=show,
    )  # fmt: skip
    last = {trace.key: trace for trace in read_traces([settings.rows])}
    print("\n" + "\n".join(table(last.values())))


if __name__ == "__main__":
    main()
