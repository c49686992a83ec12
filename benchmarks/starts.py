"""How often the default fit finds the best of 64 searches from random starts, and at what cost.

    python benchmarks/starts.py             100 data sets, 10 to 50 points in 6 dimensions
    python benchmarks/starts.py --sets 20

Each data set is fitted by the default (the priors' modes, and the best few of some screened
draws), and searched from 64 draws of the prior, all of them. Found means within 0.1 nat of the
least of everything. The cost is counted in evaluations of the objective, in units of a search
from the default start alone. Rows go to benchmarks/rows/starts.csv.
"""

from __future__ import annotations

import argparse
import statistics

import jax
import numpy as np
import record
from speed_parts.data import observations

import bojax
from bojax.surrogates import Data

SIZES, D = (10, 20, 50), 6
STARTS = 64
CLOSE = 0.1  # nats


def compared(number: int) -> dict[str, float]:
    """One data set: where each ended, and evaluations."""
    n = SIZES[number % len(SIZES)]
    data, key = Data(*observations(number, n, D)), jax.random.key(number)
    found = {
        "default": bojax.surrogates.gp().fit(key, data)[1],
        "one": bojax.surrogates.gp(screened=0, kept=0).fit(key, data)[1],
        "all": bojax.surrogates.gp(screened=STARTS, kept=STARTS).fit(key, data)[1],
    }
    row = {"set": number, "n": n, "d": D}
    for name, info in found.items():
        row[f"{name}_objective"] = round(float(info.objective), 6)
        row[f"{name}_evaluations"] = int(info.evaluations)
    return row


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=100)
    settings = parser.parse_args(arguments)
    rows = [compared(number) for number in range(settings.sets)]
    run = record.started()
    path = record.ROWS / "starts.csv"
    machine = record.machine()
    record.append(path, [{"run": run, **row, **machine} for row in rows])
    best = np.array([min(r[f"{n}_objective"] for n in ("default", "one", "all")) for r in rows])
    for name in ("one", "default"):
        gap = np.array([r[f"{name}_objective"] for r in rows]) - best
        cost = [r[f"{name}_evaluations"] / r["one_evaluations"] for r in rows]
        print(
            f"{name:8} within {CLOSE} nat on {int((gap < CLOSE).sum())} of {len(rows)}, worst "
            f"{gap.max():.3f} nats, cost {statistics.median(cost):.1f} searches (median), "
            f"{max(cost):.1f} at most"
        )
    return rows


if __name__ == "__main__":
    main()
