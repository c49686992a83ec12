"""Sixty-four whole optimization runs in one compiled program, on Hartmann's function in 6-d.

    python examples/vmapped_runs.py           64 runs a strategy, two to four minutes on two cores
    python examples/vmapped_runs.py --quick   a look at it, about half a minute

You will see, for the Gaussian process and for random search, how far the best of 50
evaluations stays from the optimum: the median over the runs, its quartiles, and an interval
for the median. Seconds to compile stand apart from seconds a run: the program is compiled
once, whatever the number of runs.

`bojax.loop.run` is a pure function from a key to a history. On an accelerator the runs are
vmapped; on a CPU they follow one another inside the same program, which is faster there.
"""

import argparse
import time

import jax
import jax.numpy as jnp
import numpy as np

import bojax
from bojax.optimize import over_batch

# ------------------------------------------------------------------ settings
RUNS = 64
EVALUATIONS = 50
SEED = 0
STRATEGIES = {"gp": bojax.strategies.gp, "random": bojax.strategies.random}
RESAMPLES = 10_000  # bootstrap samples behind the interval

# Dixon and Szego's collection, 1978: four Gaussian wells; the least value is -3.32237.
ALPHA = np.array([1.0, 1.2, 3.0, 3.2])
WIDTHS = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
CENTRES = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)
OPTIMUM = -3.322368011

SPACE = bojax.Space({f"x{i}": bojax.Float(0.0, 1.0) for i in range(6)})


# ------------------------------------------------------------------ the problem
def hartmann6(data, key, rows):
    """Values of rows in the unit cube, `[q, D] -> [q]`; columns beyond the sixth are padding."""
    alpha, widths, centres = (part.astype(rows.dtype) for part in data)
    gaps = rows[:, None, :6] - centres
    return -jnp.exp(-jnp.sum(widths * gaps**2, axis=-1)) @ alpha


PROBLEM = bojax.loop.Problem(
    SPACE.table,
    hartmann6,
    tuple(jnp.asarray(part) for part in (ALPHA, WIDTHS, CENTRES)),
    optimum=OPTIMUM,
    name="hartmann6",
)


# ------------------------------------------------------------------ many runs, one program
def regrets(strategy, *, runs, evaluations, seed=SEED):
    """Final regret of each run, seconds compiling, and seconds a run."""

    def one(key):
        history = bojax.loop.run(strategy, PROBLEM, key, evaluations=evaluations)
        return bojax.loop.best_so_far(history)[evaluations - 1] - PROBLEM.optimum

    keys = jax.random.split(jax.random.key(seed), runs)
    began = time.perf_counter()
    program = jax.jit(over_batch(one)).lower(keys).compile()
    compiled = time.perf_counter()
    final = np.asarray(program(keys))
    ran = time.perf_counter()
    return final, compiled - began, (ran - compiled) / runs


def median_interval(values, level=0.95):
    """The median and the percentile bootstrap interval around it."""
    draw = np.random.default_rng(0)
    picks = draw.integers(len(values), size=(RESAMPLES, len(values)))
    ends = (0.5 - level / 2, 0.5 + level / 2)
    low, high = np.quantile(np.median(values[picks], axis=1), ends)
    return bojax.stats.Interval(float(np.median(values)), float(low), float(high))


def main(runs=RUNS, evaluations=EVALUATIONS, strategies=tuple(STRATEGIES)):
    """Print the table; returns `{strategy: regret of each run}`."""
    print(f"Hartmann in 6-d, {runs} runs of {evaluations} evaluations, regret at the end\n")
    print(f"{'':8}{'median [95 % interval]':34}{'quartiles':20}{'s compiling':>12}{'s a run':>10}")
    found = {}
    for name in strategies:
        found[name], compiling, running = regrets(
            STRATEGIES[name](), runs=runs, evaluations=evaluations
        )
        low, high = np.quantile(found[name], [0.25, 0.75])
        print(
            f"{name:8}{median_interval(found[name])!s:34}{f'{low:.4f} to {high:.4f}':20}"
            f"{compiling:12.1f}{running:10.4f}"
        )
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="8 runs of 20 evaluations")
    main(**({"runs": 8, "evaluations": 20} if parser.parse_args().quick else {}))
