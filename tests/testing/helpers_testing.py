"""A small surrogate that keeps every promise, for tests to break one at a time.

A Gaussian process at fixed hyperparameters, NumPy on the host and JAX under a trace.
"""

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bojax.space import table as tables
from bojax.surrogates import Data

NOISE = 0.01  # of standardised values
LENGTH = 0.5


def traced(*trees):
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(trees))


def shown(table, rows, xp):
    """Coordinates, categories one-hot times a half, so that a mismatch is one unit away."""
    if table is None:
        return rows
    features = tables.features(table, rows, xp)
    codes = features.coordinate[..., None] == xp.arange(3)
    category = table.kind == tables.CATEGORY
    hot = (codes & category[:, None]).reshape(*rows.shape[:-1], -1)
    return xp.concatenate([xp.where(category, 0.0, features.coordinate), hot], axis=-1)


def gram(x, z, xp):
    squared = xp.sum((x[..., :, None, :] - z[..., None, :, :]) ** 2, axis=-1)
    return xp.exp(-0.5 * squared / LENGTH**2)


@dataclass(frozen=True)
class Good:
    """Fixed length scale and noise; everything in closed form."""

    def check(self, data):
        mask = np.ones(len(data.values), bool) if data.mask is None else np.asarray(data.mask)
        bad = mask & ~np.isfinite(data.rows).all(axis=1)
        if bad.any():
            raise ValueError(f"rows: row {np.argmax(bad)} is not finite")

    def fit(self, key, data, warm=None):
        xp = jnp if traced(key, data) else np
        if xp is np:
            self.check(data)
        n = data.values.shape[0]
        mask = xp.ones(n, bool) if data.mask is None else xp.asarray(data.mask)
        mask = mask & xp.isfinite(data.values)
        rows = xp.where(mask[:, None], data.rows, 0.0)
        values = xp.where(mask, data.values, 0.0)
        count = xp.maximum(xp.sum(mask.astype(rows.dtype)), 1.0)
        shift = xp.sum(values) / count
        deviation = xp.sqrt(xp.sum(xp.where(mask, values - shift, 0.0) ** 2) / count)
        scale = xp.where(deviation > 1e-9, deviation, 1.0)
        variance = xp.zeros(n, rows.dtype) if data.variance is None else data.variance / scale**2
        x = shown(data.table, rows, xp)
        both = mask[:, None] & mask[None, :]
        total = xp.where(mask, NOISE + variance, 1.0)
        matrix = xp.where(both, gram(x, x, xp), 0.0) + xp.diag(total)
        y = xp.where(mask, (values - shift) / scale, 0.0)
        return self.posterior(x, mask, xp.linalg.inv(matrix), y, shift, scale, data.table), None

    def posterior(self, *parts):
        return Posterior(*parts)


@dataclass(frozen=True)
class Posterior:
    x: Any
    mask: Any
    inverse: Any
    y: Any
    shift: Any
    scale: Any
    table: Any

    @property
    def noise(self):
        return NOISE * self.scale**2

    def cross(self, rows, xp):
        new = shown(self.table, rows, xp)
        return new, xp.where(self.mask, gram(new, self.x, xp), 0.0)

    def mean_and_variance(self, rows):
        xp = jnp if traced(rows, self.inverse) else np
        _, cross = self.cross(rows, xp)
        weights = cross @ self.inverse
        variance = 1.0 - xp.sum(weights * cross, axis=-1)
        return self.shift + self.scale * (weights @ self.y), self.scale**2 * xp.maximum(
            variance, 1e-12
        )

    def joint(self, rows):
        new, cross = self.cross(rows, np)
        covariance = gram(new, new, np) - cross @ self.inverse @ cross.T
        return self.mean_and_variance(rows)[0], self.scale**2 * covariance

    def sample(self, key, rows, n):
        mean, covariance = self.joint(rows)
        draws = np.random.default_rng(int(jax.random.bits(key))).normal(size=(n, len(mean)))
        return mean + draws @ np.linalg.cholesky(covariance + 1e-12 * np.eye(len(mean))).T

    def condition(self, rows, values):
        """The inverse anew, at the old shift and scale."""
        x = np.concatenate([self.x, shown(self.table, rows, np)])
        mask = np.concatenate([self.mask, np.ones(len(rows), bool)])
        both = mask[:, None] & mask[None, :]
        old = np.linalg.inv(self.inverse)
        total = np.diagonal(old) - np.where(self.mask, 1.0, 0.0)
        diagonal = np.concatenate([total, np.full(len(rows), NOISE)])
        matrix = np.where(both, gram(x, x, np), 0.0) + np.diag(diagonal)
        y = np.concatenate([self.y, (values - self.shift) / self.scale])
        return replace(self, x=x, mask=mask, inverse=np.linalg.inv(matrix), y=y)


def broken_fit(change):
    """`Good`, whose data are changed before the fit."""

    class Broken(Good):
        def fit(self, key, data, warm=None):
            return super().fit(key, change(self, key, data), warm)

    return Broken()


def broken_posterior(**methods):
    """`Good`, whose posterior has other methods."""
    kind = type("Bent", (Posterior,), methods)

    class Broken(Good):
        def posterior(self, *parts):
            return kind(*parts)

    return Broken()


def moments_changed(change):
    """A `mean_and_variance` whose results are changed, `(posterior, rows, mean, variance)`."""

    def mean_and_variance(self, rows):
        return change(self, rows, *Posterior.mean_and_variance(self, rows))

    return mean_and_variance


__all__ = ["Data", "Good", "Posterior", "broken_fit", "broken_posterior", "moments_changed"]
