"""Fifty and a hundred dimensions: the global model and trust regions beside BoTorch.

    python benchmarks/dimensions.py             ours alone
    python benchmarks/dimensions.py --peers     BoTorch too, an hour (`make bench-env`)

Ackley, Levy and Rosenbrock, shifted and rotated, 100 evaluations in batches of 4. Traces go to
benchmarks/rows/dimensions.csv as runs end; what is there and still current is not repeated.
"""

from __future__ import annotations

import argparse

import numpy as np
import record

import bojax
from bojax.benchmark import compare_strategies, foreign, problems

FILE = record.ROWS / "dimensions.csv"
FUNCTIONS = ("ackley", "levy", "rosenbrock")


def show(trace, done, total, left):
    print(f"\r{done}/{total} runs, {left:.0f} s left {trace.failure[:60]}", end="", flush=True)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dimensions", type=int, nargs="*", default=[50, 100])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--evaluations", type=int, default=100)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--peers", action="store_true", help="BoTorch too, one seed")
    settings = parser.parse_args(arguments)
    bojax.configure(cpu_devices="cores")
    chosen = [
        problems.function(name, d, instance=1) for d in settings.dimensions for name in FUNCTIONS
    ]
    strategies = {
        "gp": (bojax.strategies.gp(), settings.seeds),
        "turbo": (bojax.strategies.turbo(), settings.seeds),
        "random": (bojax.strategies.random(), settings.seeds),
    }
    if settings.peers:
        strategies["botorch"] = foreign("botorch", timeout=600.0, label="botorch"), 1
    for name, (strategy, seeds) in strategies.items():
        found = compare_strategies(
            {name: strategy},
            chosen,
            seeds=seeds,
            evaluations=settings.evaluations,
            batch=settings.batch,
            store=FILE,
            on_trace=show,
        )
        print()
        for problem in chosen:
            mine = [t for t in found.traces if t.problem == problem.name and not t.failure]
            regrets = [
                np.fmin.accumulate(t.values)[[len(t.values) // 2 - 1, -1]] - t.optimum for t in mine
            ]
            scale = float(problem.reference - problem.optimum)
            half, full = np.median(regrets, axis=0) / scale if regrets else (np.nan, np.nan)
            print(f"{name:8s} {problem.name:15s} regret at 50 % {half:.4f}, at 100 % {full:.4f}")


if __name__ == "__main__":
    main()
