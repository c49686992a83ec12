"""A surrogate of your own and an acquisition of your own, compared with bojax's.

    python examples/own_surrogate.py

Two parts of some twenty lines each: Bayesian linear regression on squares and products, and
the lower confidence bound. Whatever has these methods, in JAX, takes part in the same
comparison: same problems, same seeds, every run in a compiled program.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

import bojax
from bojax.benchmark import compare_strategies, problems

PROBLEMS = [problems.branin(instance=i) for i in (1, 2, 3)]


# ---------------------------------------------------------------- a surrogate
class Prediction:
    """Mean and variance of a linear model with Gaussian weights."""

    def __init__(self, weights, factor, noise):
        self.weights, self.factor, self.noise = weights, factor, noise

    def mean_and_variance(self, rows):
        x = features(rows)
        half = jnp.einsum("...f,fg->...g", x, self.factor)
        return x @ self.weights, self.noise * jnp.sum(half * half, axis=-1)


@dataclass(frozen=True)
class Quadratic:
    """Bayesian linear regression on 1, x and the products of two x."""

    noise: float = 0.01
    prior: float = 10.0

    def fit(self, key, data):
        x = features(data.rows) * data.mask[:, None]  # lines that do not count are zero
        scale = jnp.sqrt(jnp.sum(jnp.where(data.mask, data.values**2, 0.0)) / jnp.sum(data.mask))
        y = jnp.where(data.mask, data.values / scale, 0.0)
        precision = x.T @ x + self.noise / self.prior * jnp.eye(x.shape[1])
        factor = jnp.linalg.inv(jnp.linalg.cholesky(precision)).T
        weights = factor @ (factor.T @ (x.T @ y))
        return Prediction(weights * scale, factor, self.noise * scale**2), None


def features(rows):
    products = rows[..., :, None] * rows[..., None, :]
    one = jnp.ones((*rows.shape[:-1], 1), rows.dtype)
    return jnp.concatenate([one, rows, products.reshape(*rows.shape[:-1], -1)], axis=-1)


# ---------------------------------------------------------------- an acquisition
@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LowerBound:
    """kappa standard deviations below the mean, larger is better (Srinivas et al. 2010)."""

    kappa: float = 2.0

    def __call__(self, posteriors, rows, incumbent):
        mean, variance = posteriors[0].mean_and_variance(rows[..., 0, :])
        return self.kappa * jnp.sqrt(variance) - mean


def main(evaluations: int = 20, seeds: int = 3) -> bojax.benchmark.StrategyComparison:
    found = compare_strategies(
        {
            "own surrogate": bojax.strategies.model_based(Quadratic()),
            "own acquisition": bojax.strategies.model_based(acquisition=LowerBound(1.5)),
            "gp": "gp",
            "random": "random",
        },
        PROBLEMS,
        seeds=seeds,
        evaluations=evaluations,
        on_trace=lambda trace, done, total, left: print(f"{done}/{total}", end="\r"),
    )
    for method in found.methods:
        runs = [trace for trace in found.of(method) if not trace.failure]
        regret = sum(min(trace.values) - trace.optimum for trace in runs) / max(len(runs), 1)
        print(f"{method:16} mean regret {regret:.3f} of {len(runs)} runs")
    for trace in found.failures:
        print(f"{trace.method} failed on {trace.problem}: {trace.failure}")
    return found


if __name__ == "__main__":
    bojax.configure(cpu_devices="cores")
    main()
