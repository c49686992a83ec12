"""Many whole runs of an evolutionary strategy: one program against a loop over a library's runs.

    python benchmarks/methods_evolution.py             256 runs a side, three rounds
    python benchmarks/methods_evolution.py --runs 16 --rounds 1

CMA-ES, full and separable, with ten rows a generation against the package cmaes, and differential
evolution with 50 members against SciPy's (which gets all members of a generation at once as an
array): ten parameters, 40 generations, a sphere, float64. Sides take turns. Wall and processor
seconds, compilation apart. The median of the runs' best values stands beside them, so that nobody
is fast by doing something else. Rows go to benchmarks/rows/methods_evolution.csv.
"""

from __future__ import annotations

import argparse
import statistics
import time

import cmaes
import jax
import jax.numpy as jnp
import numpy as np
import record
from scipy.optimize import differential_evolution

import bojax

D, GENERATIONS, SHIFT = 10, 40, 0.3
MEMBERS = 50  # five a parameter, of differential evolution
FILE = record.ROWS / "methods_evolution.csv"


def sphere(data, key, rows):
    """Of canonical rows, `[q]`."""
    return jnp.sum((rows[:, :D] - SHIFT) ** 2, axis=1)


def program(strategy, batch, runs):
    """All runs as one compiled program, what it costs to compile, and its keys."""
    space = bojax.Space({f"x{i}": bojax.Float(0.0, 1.0) for i in range(D)})
    problem = bojax.loop.Problem(space.table, sphere)

    def one(key):
        history = bojax.loop.run(
            strategy, problem, key, evaluations=GENERATIONS * batch, batch=batch
        )
        return bojax.loop.best_so_far(history)[-1]

    keys = jax.random.split(jax.random.key(0), runs)
    began = time.perf_counter()
    compiled = jax.jit(jax.vmap(one)).lower(keys).compile()
    seconds = time.perf_counter() - began
    return lambda: np.asarray(compiled(keys)), seconds


def by_cmaes(kind):
    """A run of the package cmaes, from the same start within the same bounds."""

    def run(seed):
        optimizer = kind(
            mean=np.full(D, 0.5), sigma=1 / 6, bounds=np.tile([0.0, 1.0], (D, 1)), seed=seed
        )
        best = np.inf
        for _ in range(GENERATIONS):
            told = []
            for _ in range(optimizer.population_size):
                x = optimizer.ask()
                told.append((x, float(np.sum((x - SHIFT) ** 2))))
            optimizer.tell(told)
            best = min(best, min(value for _, value in told))
        return best

    return run


def by_scipy(seed):
    """A run of SciPy's differential evolution, of the same variant and factors."""
    found = differential_evolution(
        lambda x: np.sum((x - SHIFT) ** 2, axis=0), [(0.0, 1.0)] * D, strategy="rand1bin",
        popsize=MEMBERS // D, mutation=0.5, recombination=0.5, maxiter=GENERATIONS - 1, tol=0.0,
        polish=False, init="sobol", updating="deferred", vectorized=True, rng=seed,
    )  # fmt: skip
    return found.fun


def timed(function):
    """What it returned, wall and processor seconds."""
    wall, processor = time.perf_counter(), time.process_time()
    values = function()
    return values, time.perf_counter() - wall, time.process_time() - processor


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    settings = parser.parse_args(arguments)
    make = bojax.strategies
    cases = {
        "cmaes": (make.cmaes(), 10, "cmaes", by_cmaes(cmaes.CMA)),
        "separable cmaes": (make.cmaes(separable=True), 10, "cmaes", by_cmaes(cmaes.SepCMA)),
        "de": (make.de(popsize=MEMBERS), MEMBERS, "scipy", by_scipy),
    }
    began, rows = record.started(), []
    with jax.enable_x64(True):
        for method, (strategy, batch, peer, other) in cases.items():
            ours, compiling = program(strategy, batch, settings.runs)
            ours()  # the first call is not the program's
            sides = {"bojax": ours, peer: lambda run=other: [run(s) for s in range(settings.runs)]}
            for number in range(settings.rounds):
                for side, function in sides.items():
                    values, seconds, processor = timed(function)
                    rows.append(
                        {"run": began, "method": method, "side": side, "round": number,
                         "runs": settings.runs, "d": D, "generations": GENERATIONS,
                         "batch": batch, "seconds": round(seconds, 6),
                         "processor": round(processor, 6),
                         "compile_seconds": round(compiling, 3) if side == "bojax" else 0.0,
                         "median_best": float(np.median(values)),
                         **record.machine("jaxlib", "cmaes", "scipy")}
                    )  # fmt: skip
            for column in ("seconds", "processor"):
                middle = {
                    side: statistics.median(
                        r[column] for r in rows if r["method"] == method and r["side"] == side
                    )
                    for side in sides
                }
                print(
                    f"{method:16} {column:10} bojax {middle['bojax']:.2f}, {peer} "
                    f"{middle[peer]:.2f}: {middle[peer] / middle['bojax']:.1f} times; "
                    f"compiled in {compiling:.1f} s"
                )
    record.append(FILE, rows)
    return rows


if __name__ == "__main__":
    main()
