"""Our strategies on the standard problems: the runs behind the regret table.

    python benchmarks/regret.py

Both halves, 20 instances each, 5 seeds, 40 evaluations, one by one and in batches of 4, with
{gp, random, random at twice the budget, sobol}. One compiled program a strategy, size class and
batch. Traces go to benchmarks/rows/regret.csv as runs end; what is there and still current is
not repeated. Those of other libraries come from benchmarks/traces (see peers.py).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import record

import bojax
from bojax.benchmark import Doubled, compare_strategies, problems

FILE = record.ROWS / "regret.csv"


def strategies():
    return {
        "gp": bojax.strategies.gp(),
        "random": bojax.strategies.random(),
        "random x2": Doubled(bojax.strategies.random()),
        "sobol": bojax.strategies.sobol(),
    }


def show(trace, done, total, left):
    if trace.failure:
        print(f"\n{trace.method} on {trace.problem}/{trace.instance}: {trace.failure}")
    print(f"\r{done}/{total} runs, {left:.0f} s left ", end="", flush=True)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--evaluations", type=int, default=40)
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 4])
    parser.add_argument("--halves", nargs="*", default=list(problems.HALVES))
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--rows", type=Path, default=FILE)
    settings = parser.parse_args(arguments)
    bojax.configure(cpu_devices="cores")
    chosen = [p for half in settings.halves for p in problems.standard(half)]
    began = time.monotonic()
    for batch in settings.batches:
        found = compare_strategies(
            strategies(),
            chosen,
            seeds=settings.seeds,
            evaluations=settings.evaluations,
            batch=batch,
            precision=settings.precision,
            store=settings.rows,
            on_trace=show,
        )
        print(f"\nbatch {batch}: {len(found.traces)} runs, {time.monotonic() - began:.0f} s so far")


if __name__ == "__main__":
    main()
