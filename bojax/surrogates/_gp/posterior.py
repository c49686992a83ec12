"""Predictions from cached factors, and fantasies appended to them in O(n^2).

With K^-1 = U U' everything is two products: w = k(x, X) U, mean = m + w v, variance =
k(x, x) - w w', where v = U'(y - m) are the whitened values. In these coordinates a pending
point whose outcome is drawn from the posterior is simply a standard normal entry of v, so
S fantasies are S columns of v and share every factor.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from bojax.optimize.linalg import cholesky
from bojax.pytrees import pytree
from bojax.space import Features
from bojax.surrogates._gp.host import at_host
from bojax.surrogates._gp.paths import Paths, draw_paths
from bojax.surrogates._lines import features_of

SMALLEST_VARIANCE = 1e-12  # of standardised values; below it a prediction is certain


@pytree
@dataclass(frozen=True)
class Posterior:
    """A fitted Gaussian process: cached factors and the scale of the values.

    Attributes:
        kernel: at its fitted length scales.
        noise: fitted noise variance, of standardised values.
        line_noise: `[T]`, what each line's diagonal got: noise over replicates, known
            variance, jitter.
        features: of the `[T, D]` training rows.
        mask: `[T]` bool.
        upper: `[T, T]`, U.
        whitened: `[T]`, U'(y - m).
        mean: m, of standardised values.
        shift, scale: value = shift + scale * standardised.
        table: the space's table, or None.

    Example:
        >>> import jax, numpy as np
        >>> import bojax
        >>> rows = np.linspace(0, 1, 5)[:, None]
        >>> posterior, info = bojax.surrogates.gp().fit(
        ...     jax.random.key(0), bojax.surrogates.Data(rows, np.sin(6 * rows[:, 0])))
        >>> mean, variance = posterior.mean_and_variance(rows)
        >>> mean.shape, bool((variance > 0).all())
        ((5,), True)
    """

    kernel: Any
    noise: Any
    line_noise: Any
    features: Features
    mask: Any
    upper: Any
    whitened: Any
    mean: Any
    shift: Any
    scale: Any
    table: Any

    @at_host
    def mean_and_variance(self, rows):
        """Of the noise-free function at `[..., D]` rows: two arrays `[...]`, values' unit."""
        rows = jnp.asarray(rows, self.upper.dtype)
        flat = rows.reshape(-1, rows.shape[-1])
        mean, variance = standard_mean_and_variance(self, self.whitened[:, None], flat)
        shape = rows.shape[:-1]
        return (
            (self.shift + self.scale * mean[:, 0]).reshape(shape),
            (self.scale**2 * variance).reshape(shape),
        )

    def covariance(self, rows, others):
        """Prior covariance k of `[N, D]` with `[M, D]` rows, standardised, `[N, M]`; traceable."""
        return self.kernel.gram(features_of(self.table, rows), features_of(self.table, others))

    @at_host
    def joint(self, rows):
        """Mean `[Q]` and covariance `[Q, Q]` at `[Q, D]` rows, values' unit."""
        rows = jnp.asarray(rows, self.upper.dtype)
        new = features_of(self.table, rows)
        cross = _weights(self, new)
        covariance = self.kernel.gram(new, new) - cross @ cross.T
        mean = self.mean + cross @ self.whitened
        return self.shift + self.scale * mean, self.scale**2 * covariance

    @at_host
    def sample(self, key, rows, n: int):
        """`[n, Q]` draws of the function at `[Q, D]` rows."""
        mean, covariance = self.joint(rows)
        q = mean.shape[0]
        eps = 4.0 * q * jnp.finfo(mean.dtype).eps
        jitter = jnp.maximum(eps, 1e-10 if mean.dtype == jnp.float64 else 1e-6) * self.scale**2
        lower = cholesky(covariance + jitter * jnp.eye(q, dtype=mean.dtype))
        return mean + jax.random.normal(key, (n, q), mean.dtype) @ lower.T

    @at_host
    def gradient(self, rows):
        """Derivatives of mean and variance by the coordinates of `[Q, D]` rows: `[Q, D]` twice.

        In the values' unit (and its square) per unit of the cube; a category's are 0.
        """
        rows = jnp.atleast_2d(jnp.asarray(rows, self.upper.dtype))

        def one(row):
            mean, variance = standard_mean_and_variance(self, self.whitened[:, None], row[None])
            return jnp.stack([self.scale * mean[0, 0], self.scale**2 * variance[0]])

        slopes = jax.vmap(jax.jacrev(one))(rows)
        return slopes[:, 0], slopes[:, 1]

    @at_host
    def leave_one_out(self):
        """What the other lines say of each: residual y - mean `[T]` and variance `[T]`.

        Of the observation, noise included, in the values' unit and its square, with the
        hyperparameters and the mean of all lines (Rasmussen & Williams 2006, eq. 5.12):
        residual [K^-1 (y - m)]_i / [K^-1]_ii, variance 1 / [K^-1]_ii. Masked lines are NaN.
        """
        precision = jnp.sum(self.upper**2, axis=1)
        residual = (self.upper @ self.whitened) / precision
        return (
            jnp.where(self.mask, self.scale * residual, jnp.nan),
            jnp.where(self.mask, self.scale**2 / precision, jnp.nan),
        )

    @at_host
    def leave_one_out_density(self):
        """Log density of every observation under the others `[T]`, in the values' unit."""
        residual, variance = self.leave_one_out()
        return -0.5 * (residual**2 / variance + jnp.log(2.0 * math.pi * variance))

    @at_host
    def paths(self, key, n: int, count: int = 2048) -> Paths:
        """`n` functions drawn from the posterior, to be evaluated anywhere.

        Args:
            key: `jax.random.key`.
            n: static.
            count: static; random cosines behind each. The prior's covariance is off by
                about `count ** -0.5` where no observation is near.

        Returns:
            :class:`Paths`, called with rows `[N, D]`: `[n, N]` values.

        Raises:
            ValueError: a kernel that is neither squared exponential nor Matern.
        """
        return draw_paths(self, key, n, count)

    @at_host
    def condition(self, rows, values) -> Posterior:
        """The posterior after Q more noisy observations, hyperparameters kept; O(Q n^2)."""
        rows = jnp.atleast_2d(jnp.asarray(rows, self.upper.dtype))
        values = jnp.atleast_1d(jnp.asarray(values, self.upper.dtype))
        grown = self.with_room(self.whitened[:, None], rows.shape[0])
        t = self.upper.shape[0]
        for i in range(rows.shape[0]):
            standard = (values[i] - self.shift) / self.scale
            grown = grown.append(t + i, rows[i], lambda mean, pivot, y=standard: (y - mean) / pivot)
        return replace(grown.posterior, whitened=grown.whitened[:, 0])

    def with_room(self, whitened, room: int) -> Fantasies:
        """The same factors with `room` more lines, masked out, and S columns of whitened values.

        Args:
            whitened: `[T, S]`.
            room: static.
        """
        t = self.upper.shape[0]

        def pad(x, fill=0):
            return jnp.concatenate([x, jnp.full((room, *x.shape[1:]), fill, x.dtype)])

        old = self.features
        features = Features(pad(old.coordinate), pad(old.active, 1), old.kind)
        upper = jnp.eye(t + room, dtype=self.upper.dtype).at[:t, :t].set(self.upper)
        mask, noise = pad(self.mask, False), pad(self.line_noise)
        larger = replace(self, features=features, mask=mask, line_noise=noise, upper=upper)
        return Fantasies(larger, pad(whitened))


@pytree
@dataclass(frozen=True)
class Watched:
    """Rows whose predictions are kept while points are appended, O(T) a row and point.

    Attributes:
        features: of W rows, the first T those of the lines.
        weights: `[W, T]`, w = k(rows, X) U.
        prior: `[W]`, k(x, x).
    """

    features: Features
    weights: Any
    prior: Any

    def append(self, index, new: Features, left, pivot, posterior: Posterior) -> Watched:
        """With a point in line `index` of `posterior`, as it was before: see `Fantasies.append`.

        The new column of U is (-U l / p, 1 / p), so that of w = k U is (k(x, x_new) - w l) / p.
        The line itself is watched from now on.
        """
        cross = posterior.kernel.gram(self.features, new)[:, 0]
        column = (cross - self.weights @ left) / pivot
        prior = posterior.kernel.diagonal(new)[0]
        own = left.at[index].set((prior - jnp.sum(left**2)) / pivot)
        weights = self.weights.at[:, index].set(column).at[index].set(own)
        features = _with_line(self.features, index, new)
        return Watched(features, weights, self.prior.at[index].set(prior))


@pytree
@dataclass(frozen=True)
class Fantasies:
    """A posterior with room for more points and S whitened columns, one a fantasy.

    Attributes:
        posterior: factors of T lines, room included.
        whitened: `[T, S]`.
        watched: rows whose predictions are kept, or None.

    Example:
        >>> import jax, jax.numpy as jnp, numpy as np
        >>> import bojax
        >>> rows = np.linspace(0, 1, 5)[:, None]
        >>> posterior, _ = bojax.surrogates.gp().fit(
        ...     jax.random.key(0), bojax.surrogates.Data(rows, rows[:, 0]))
        >>> with jax.enable_x64(True):  # traceable: it follows the caller's precision
        ...     believed = posterior.with_room(jnp.zeros((64, 8)), 2)
        >>> believed.whitened.shape
        (66, 8)
    """

    posterior: Posterior
    whitened: Any
    watched: Watched | None = None

    def watching(self, count: int) -> Fantasies:
        """Room to watch `count` rows, none so far."""
        lines = self.posterior.features
        t, d = lines.coordinate.shape
        zeros = jnp.zeros((count, d), lines.coordinate.dtype)
        features = Features(zeros, jnp.zeros((count, d), lines.active.dtype), lines.kind)
        weights = jnp.zeros((count, t), zeros.dtype)
        return replace(self, watched=Watched(features, weights, weights[:, 0]))

    def watch(self, rows) -> Fantasies:
        """Keep predictions at `[W, D]` rows, the first T of them the lines' own; O(T^2) a row."""
        new = features_of(self.posterior.table, rows)
        kept = Watched(new, _weights(self.posterior, new), self.posterior.kernel.diagonal(new))
        return replace(self, watched=kept)

    def seen(self):
        """Mean `[W, S]` and variance `[W]` at the watched rows, as `mean_and_variance`."""
        kept = self.watched
        mean = self.posterior.mean + kept.weights @ self.whitened
        variance = kept.prior - jnp.sum(kept.weights**2, axis=-1)
        return mean, jnp.maximum(variance, SMALLEST_VARIANCE)

    def mean_and_variance(self, rows):
        """Standardised mean `[N, S]` and variance `[N]` at `[N, D]` rows."""
        return standard_mean_and_variance(self.posterior, self.whitened, rows)

    @property
    def upper(self):
        """U, whose precision is that of everything here."""
        return self.posterior.upper

    def weights(self, rows):
        """w = k(rows, X) U, `[N, D]` -> `[N, T]`: the mean there is m + w v."""
        new = features_of(self.posterior.table, rows)
        return _weights(self.posterior, new)

    def pivot(self, new: Features):
        """What one new row, observed with noise, adds to L: `(l, p)`.

        l = U'k and p^2 = k(x, x) + noise - l'l; the new column of U is (-U l / p, 1 / p).
        """
        old = self.posterior
        weights = _weights(old, new)[0]
        left = old.kernel.diagonal(new)[0] + old.noise - jnp.sum(weights**2)
        least = jnp.finfo(weights.dtype).eps * weights.shape[0]
        return weights, jnp.sqrt(jnp.maximum(left, least))

    def append(self, index, row, draw) -> Fantasies:
        """A new point in line `index`, which must be masked out so far.

        Args:
            index: traced integer.
            row: `[D]`.
            draw: `[S]` its whitened outcomes: standard normal for a fantasy, or a function
                of `(mean[S], pivot)` that returns them.
        """
        old = self.posterior
        new = features_of(old.table, row[None])
        left, pivot = self.pivot(new)
        if callable(draw):
            draw = draw((old.mean + left @ self.whitened), pivot)
        column = -(old.upper @ left) / pivot
        upper = old.upper.at[:, index].set(column.at[index].set(1.0 / pivot))
        posterior = replace(
            old,
            features=_with_line(old.features, index, new),
            mask=old.mask.at[index].set(True),
            line_noise=old.line_noise.at[index].set(old.noise),
            upper=upper,
        )
        kept = self.watched
        if kept is not None:
            kept = kept.append(index, new, left, pivot, old)
        return Fantasies(posterior, self.whitened.at[index].set(draw), kept)


def _with_line(features: Features, index, new: Features) -> Features:
    """Features whose line `index` is the one of `new`."""
    return Features(
        features.coordinate.at[index].set(new.coordinate[0]),
        features.active.at[index].set(new.active[0]),
        features.kind,
    )


def _weights(posterior: Posterior, new: Features):
    """Cross-covariances with the training rows, times U."""
    cross = posterior.kernel.gram(new, posterior.features)
    return jnp.where(posterior.mask, cross, 0.0) @ posterior.upper


def standard_mean_and_variance(posterior: Posterior, whitened, rows):
    """Standardised predictions: mean `[N, S]`, variance `[N]`."""
    new = features_of(posterior.table, rows)
    weights = _weights(posterior, new)
    mean = posterior.mean + weights @ whitened
    variance = posterior.kernel.diagonal(new) - jnp.sum(weights**2, axis=-1)
    return mean, jnp.maximum(variance, SMALLEST_VARIANCE)
