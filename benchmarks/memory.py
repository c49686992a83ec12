"""Peak memory of fits of a Gaussian process, each in a process of its own.

    python benchmarks/memory.py             1,000, 2,000 and 4,000 lines in 10 columns
    python benchmarks/memory.py --sizes 4000

The peak of the resident memory, the interpreter and JAX included, beside 4 n^2 numbers of 8
bytes: the kernel matrix, its factor, its inverse and one more. Rows go to
benchmarks/rows/memory.csv.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time

D = 10


def fit(n: int) -> dict[str, float]:
    """Fit, predict and report, in this process."""
    import jax
    from speed_parts.data import observations

    import bojax
    from bojax.surrogates import Data

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows, values = observations(0, n, D)
    began = time.perf_counter()
    posterior, info = bojax.surrogates.gp().fit(jax.random.key(0), Data(rows, values))
    seconds = time.perf_counter() - began
    posterior.mean_and_variance(rows[:10])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "n": n,
        "d": D,
        "peak_mb": round(peak),
        "before_mb": round(before),
        "four_matrices_mb": round(4 * 8 * n * n / 2**20),
        "seconds": round(seconds, 2),
        "evaluations": int(info.evaluations),
    }


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="1000,2000,4000")
    parser.add_argument("--alone", type=int, help="fit one size in this process, print JSON")
    settings = parser.parse_args(arguments)
    if settings.alone:
        print(json.dumps(fit(settings.alone)))
        return None
    import record

    rows = []
    for n in settings.sizes.split(","):
        command = [sys.executable, __file__, "--alone", n]
        found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found_row = json.loads(found.splitlines()[-1])
        rows.append({"run": record.started(), **found_row, **record.machine()})
        print(rows[-1])
    record.append(record.ROWS / "memory.csv", rows)
    return rows


if __name__ == "__main__":
    main()
