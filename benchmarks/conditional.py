"""Whether the conditional kernel is better than filling in defaults, on the tuning half.

    python benchmarks/conditional.py            4 instances, 10 seeds, 40 evaluations

`conditional` puts a fitted distance between a row in which a column exists and one in which it
does not; `filled` takes an inactive column as if it had its default. Same instances, same
seeds: the difference is paired. Traces go to benchmarks/rows/conditional.csv.
"""

from __future__ import annotations

import argparse

import numpy as np
import record
from ablation import regrets

import bojax
from bojax import stats
from bojax.benchmark import compare_strategies, problems

FILE = record.ROWS / "conditional.csv"


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    settings = parser.parse_args(arguments)
    bojax.configure(cpu_devices="cores")
    strategies = {
        "filled": bojax.strategies.gp(),
        "conditional": bojax.strategies.gp(conditional=True),
    }
    chosen = [p for p in problems.standard("tuning") if p.name.startswith("conditional")]
    found = compare_strategies(strategies, chosen, seeds=settings.seeds, evaluations=40, store=FILE)
    ours, theirs = (regrets(found.traces, name)[0] for name in ("conditional", "filled"))
    for key in ours:
        print(key, f"conditional {np.mean(ours[key]):.3f}", f"filled {np.mean(theirs[key]):.3f}")
    print("conditional - filled, log10 regret:", stats.bootstrap_over_problems(ours, theirs))
    print("conditional won:", stats.win_rate(ours, theirs))


if __name__ == "__main__":
    main()
