"""What a fit loses in float32: objective and predictions beside the fit in float64.

    python benchmarks/precision.py                  100 data sets, 20 to 400 points
    python benchmarks/precision.py --sets 8

Every data set is fitted in both precisions with the pure function that runs on accelerators.
`objective` is how many nats of the float64 objective the float32 hyperparameters are above the
float64 ones. `mean` and `spread` are the largest differences of 200 predictions at the *same*
hyperparameters, so that they are of rounding alone: of the mean in units of the predicted
standard deviation of an observation, of that deviation in units of itself. `refined` is that of
the mean after a step of iterative refinement in float32 (a + K^-1 (r - K a)).
Rows go to benchmarks/rows/precision.csv.
"""

from __future__ import annotations

import argparse

import jax
import jax.numpy as jnp
import numpy as np
import record
from speed_parts.data import observations

import bojax
from bojax.configuration import jit
from bojax.surrogates import Data
from bojax.surrogates._gp import objective

SIZES = ((20, 6), (50, 6), (100, 6), (200, 20), (400, 6))
TESTS = 200


@jit
def fitted(key, data):
    """The hyperparameters of a full fit."""
    return bojax.surrogates.gp().fit_pure(key, data)[1].theta


@jit
def value(theta, data):
    """The objective, in nats."""
    gp = bojax.surrogates.gp()
    evidence, _, _ = gp.evidence(data)
    return objective.value_and_gradient(theta, gp.model(evidence), evidence)[0]


@jit
def predictions(theta, data, tests):
    """Mean, standard deviation of an observation, and the mean after a step of refinement."""
    gp = bojax.surrogates.gp()
    evidence, shift, scale = gp.evidence(data)
    posterior = gp.posterior_at(theta, data, evidence, shift, scale)
    mean, variance = posterior.mean_and_variance(tests)
    features = posterior.features
    matrix = posterior.kernel.gram(features, features) + jnp.diag(posterior.line_noise)
    weights = posterior.upper @ posterior.whitened
    left = evidence.values - posterior.mean - matrix @ weights
    weights = weights + posterior.upper @ (left @ posterior.upper)
    refined = posterior.mean + posterior.covariance(tests, data.rows) @ weights
    spread = jnp.sqrt(variance + posterior.noise * scale**2)
    return mean, spread, shift + scale * refined


def compared(number: int) -> dict[str, float]:
    """One data set."""
    n, d = SIZES[number % len(SIZES)]
    rows, values = observations(number, n, d)
    tests = np.random.default_rng(number).random((TESTS, d))
    single = Data(rows.astype(np.float32), values.astype(np.float32))
    key = jax.random.key(number)
    low = np.asarray(fitted(key, single), np.float64)
    with jax.enable_x64(True):
        # The same numbers, so that rounding them is no difference.
        double = Data(*(np.asarray(x, np.float64) for x in (single.rows, single.values)))
        high = np.asarray(fitted(key, double))
        gap = float(value(low, double)) - float(value(high, double))
        exact = [np.asarray(x) for x in predictions(high, double, tests.astype(np.float32) + 0.0)]
    rounded = [
        np.asarray(x, np.float64)
        for x in predictions(high.astype(np.float32), single, tests.astype(np.float32))
    ]
    mean, spread, _ = exact
    return {
        "set": number, "n": n, "d": d, "objective": gap,
        "mean": np.max(np.abs(rounded[0] - mean) / spread),
        "spread": np.max(np.abs(rounded[1] - spread) / spread),
        "refined": np.max(np.abs(rounded[2] - mean) / spread),
    }  # fmt: skip


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=100)
    settings = parser.parse_args(arguments)
    rows = [compared(number) for number in range(settings.sets)]
    told = [{k: v if isinstance(v, int) else float(f"{v:.4g}") for k, v in r.items()} for r in rows]
    run, machine = record.started(), record.machine()
    record.append(record.ROWS / "precision.csv", [{"run": run, **r, **machine} for r in told])
    for n, _ in SIZES:
        mine = [row for row in rows if row["n"] == n]
        parts = [
            f"{what} {np.median(found):.2g} (at most {np.max(found):.2g})"
            for what in ("objective", "mean", "spread", "refined")
            if (found := [row[what] for row in mine])
        ]
        print(f"n={n:4}  {', '.join(parts)}")
    return rows


if __name__ == "__main__":
    main()
