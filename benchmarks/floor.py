"""Seconds below which value and gradient of a Gaussian process's likelihood cannot be had.

    python benchmarks/floor.py

Whoever evaluates the likelihood and its gradient with dense factors calls LAPACK's `potrf`
(n^3 / 3 floating-point operations) and `potri` (2 n^3 / 3) for the inverse, and goes over the
n^2 pairs of d columns at least once: here the product of a symmetric n x n matrix with an
n x d one (2 n^2 d). No kernel, no distances, no exponentials, and the copies that LAPACK
overwrites are made outside the clock. Float64, one thread, SciPy's LAPACK, which JAX calls
on a CPU, too. `speed.py` times it beside bojax; alone, this prints it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

if __name__ == "__main__" and hasattr(os, "sched_setaffinity"):  # before cores are counted
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import numpy as np
from scipy.linalg import blas, lapack

SIZES = (*((n, 6) for n in (64, 128, 256, 512, 1024, 2048)), (128, 20), (512, 20))


def flops(n: int, d: int) -> float:
    """Floating-point operations of the three calls."""
    return n**3 / 3 + 2 * n**3 / 3 + 2 * n**2 * d


class Floor:
    """The three calls on fixed matrices: `Floor(64, 6).seconds()`."""

    def __init__(self, n: int, d: int) -> None:
        rng = np.random.default_rng(0)
        rows = rng.random((n, d))
        squared = _squared(rows)
        self.matrix = np.asfortranarray(np.exp(-squared) + 0.01 * np.eye(n))
        self.columns = np.asfortranarray(rows)
        self.room = np.empty_like(self.matrix)

    def seconds(self, least: float = 0.02) -> tuple[float, float]:
        """Of one evaluation, and of the processor: means over `least` seconds of them."""
        total, processor, count = 0.0, 0.0, 0
        while count == 0 or total < least:
            np.copyto(self.room, self.matrix)
            began, used = time.perf_counter(), time.process_time()
            lower, failed = lapack.dpotrf(self.room, lower=1, clean=0, overwrite_a=1)
            inverse, failed_too = lapack.dpotri(lower, lower=1, overwrite_c=1)
            blas.dsymm(1.0, inverse, self.columns, lower=1)
            total += time.perf_counter() - began
            processor += time.process_time() - used
            count += 1
            if failed or failed_too:
                raise ArithmeticError("the matrix of the floor is not positive definite")
        return total / count, processor / count


def _squared(rows):
    """Squared distances with no [n, n, d] array; rounding does not matter here."""
    norms = (rows**2).sum(1)
    return np.maximum(norms[:, None] + norms - 2 * rows @ rows.T, 0.0)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    settings = parser.parse_args(arguments)
    print("   n   d  ms (least to largest)   GFLOP/s")
    for n, d in SIZES:
        floor = Floor(n, d)
        floor.seconds()
        found = [floor.seconds()[0] for _ in range(settings.rounds)]
        middle = statistics.median(found)
        print(
            f"{n:4} {d:3}  {1e3 * middle:.3f} ({1e3 * min(found):.3f} to {1e3 * max(found):.3f})"
            f"   {flops(n, d) / middle / 1e9:.1f}"
        )


if __name__ == "__main__":
    main()
