"""What CMA-ES makes of a generation: the tutorial's equations, one pure function a part.

N. Hansen, "The CMA Evolution Strategy: A Tutorial", arXiv:1604.00772 (2016). Separable: R. Ros
and N. Hansen, "A Simple Modification in CMA-ES Achieving Linear Time and Space Complexity", PPSN
2008. Margin: R. Hamano, S. Saito, M. Nomura and S. Shirakawa, "CMA-ES with margin: lower-bounding
marginal probability for mixed-integer black-box optimization", GECCO 2022. Points that the
distribution did not draw: N. Hansen, "Injecting external solutions into CMA-ES", INRIA RR-7748
(2011).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from bojax.space.steps import cell_of, end_of
from bojax.space.table import SpaceTable

# The package cmaes 0.13.1, which the updates equal: what keeps divisions and square roots alive.
EPS = 1e-8
LARGEST = 1e32
TINY = 1e-10  # distance of a corrected probability from 0 and from 1/2


class Distribution(NamedTuple):
    """A normal distribution over the cube and how it moved, D columns.

    Attributes:
        mean: `[D]`.
        sigma: the step size.
        basis: `[D, D]` eigenvectors of the covariance, None in a separable one.
        scales: `[D]` square roots of its eigenvalues, in a separable one of its diagonal.
        path_sigma, path_c: `[D]` evolution paths.
        spread: `[D]` factor of the margin by which samples are stretched before they are rounded.
    """

    mean: Any
    sigma: Any
    basis: Any
    scales: Any
    path_sigma: Any
    path_c: Any
    spread: Any

    @property
    def variances(self):
        """`[D]` diagonal of the covariance."""
        if self.basis is None:
            return self.scales**2
        return jnp.sum((self.basis * self.scales) ** 2, axis=1)

    @property
    def covariance(self):
        """`[D, D]`, or `[D]` of a separable one."""
        if self.basis is None:
            return self.scales**2
        return (self.basis * self.scales**2) @ self.basis.T

    def stretched(self, points):
        """Samples `[..., D]` as they are rounded."""
        return jnp.where(self.spread == 1.0, points, self.mean + self.spread * (points - self.mean))

    def unstretched(self, points):
        """The samples of which :meth:`stretched` makes the points."""
        return jnp.where(self.spread == 1.0, points, self.mean + (points - self.mean) / self.spread)


class Rates(NamedTuple):
    """Weights by rank, `[L]`, and learning rates of a population size; table 1 of the tutorial."""

    weights: Any
    mu: Any
    c_sigma: Any
    d_sigma: Any
    c_c: Any
    c_1: Any
    c_mu: Any


def rates_of(popsize, columns, most: int, separable: bool, dtype) -> Rates:
    """Rates of the tutorial, or of Ros and Hansen.

    Args:
        popsize, columns: lambda and n, may be traced.
        most: static, L: how many ranks there are at most.
    """
    lam, n = jnp.asarray(popsize, dtype), jnp.asarray(columns, dtype)
    rank = jnp.arange(1, most + 1, dtype=dtype)
    half = jnp.floor(lam / 2.0)
    first = rank <= half
    if separable:
        raw = jnp.where(first, jnp.log(half + 1.0) - jnp.log(rank), 0.0)
    else:
        raw = jnp.where(rank <= lam, jnp.log((lam + 1.0) / 2.0) - jnp.log(rank), 0.0)

    def mass(where):
        these = jnp.where(where, raw, 0.0)
        squares = jnp.sum(these**2)
        return jnp.sum(these) ** 2 / jnp.where(squares > 0.0, squares, 1.0)

    mu = mass(first)
    c_1 = 2.0 / ((n + 1.3) ** 2 + mu)
    positive = jnp.maximum(raw, 0.0)
    positive = positive / jnp.sum(positive)
    growth = 2.0 * jnp.maximum(0.0, jnp.sqrt(jnp.maximum(mu - 1.0, 0.0) / (n + 1.0)) - 1.0)
    if separable:
        share = jnp.minimum(1.0, (2.0 * mu - 1.0) / ((n + 2.0) ** 2 + mu))
        full = 2.0 / mu / (n + jnp.sqrt(jnp.asarray(2.0, dtype))) ** 2 + (1.0 - 1.0 / mu) * share
        c_sigma = (mu + 2.0) / (n + mu + 3.0)
        c_c, c_mu = 4.0 / (n + 4.0), (n + 2.0) / 3.0 * full
        return Rates(positive, mu, c_sigma, 1.0 + growth + c_sigma, c_c, c_1, c_mu)
    c_mu = 2.0 * (mu - 2.0 + 1.0 / mu) / ((n + 2.0) ** 2 + mu)
    c_mu = jnp.minimum(1.0 - c_1 - 1e-8, c_mu)  # 1e-8: for large populations
    negative = jnp.minimum(raw, 0.0)
    least = jnp.minimum(1.0 + c_1 / c_mu, 1.0 + 2.0 * mass(~first) / (mu + 2.0))
    least = jnp.minimum(least, (1.0 - c_1 - c_mu) / (n * c_mu))
    weights = positive - least * negative / jnp.minimum(jnp.sum(negative), -EPS)
    c_sigma = (mu + 2.0) / (n + mu + 5.0)
    c_c = (4.0 + mu / n) / (n + 4.0 + 2.0 * mu / n)
    return Rates(weights, mu, c_sigma, 1.0 + growth + c_sigma, c_c, c_1, c_mu)


def updated(now: Distribution, rates: Rates, points, injected, free, told) -> Distribution:
    """The distribution after a generation.

    Args:
        points: `[L, D]`, best first; what no rank has counts nothing.
        injected: `[L]` bool, points that were not drawn: their steps are cut to a usual length.
        free: `[D]` bool, the columns of the distribution; the others stay as they are.
        told: generations that this distribution saw before.
    """
    dtype = points.dtype
    n = jnp.maximum(jnp.sum(free, dtype=jnp.int32), 1).astype(dtype)
    steps = jnp.where(free & (rates.weights != 0.0)[:, None], (points - now.mean) / now.sigma, 0.0)
    white = (steps if now.basis is None else steps @ now.basis) / now.scales
    length = jnp.sqrt(jnp.sum(white**2, axis=1))
    usual = jnp.sqrt(n) + 2.0 * n / (n + 2.0)
    cut = jnp.where(injected, jnp.minimum(1.0, usual / jnp.maximum(length, EPS)), 1.0)
    steps, white, length = steps * cut[:, None], white * cut[:, None], length * cut

    positive = jnp.maximum(rates.weights, 0.0)
    step, white_step = positive @ steps, positive @ white
    if now.basis is not None:
        white_step = now.basis @ white_step  # C^(-1/2) is symmetric
    path_sigma = (1.0 - rates.c_sigma) * now.path_sigma + jnp.sqrt(
        rates.c_sigma * (2.0 - rates.c_sigma) * rates.mu
    ) * white_step
    norm = jnp.sqrt(jnp.sum(path_sigma**2))
    expected = jnp.sqrt(n) * (1.0 - 1.0 / (4.0 * n) + 1.0 / (21.0 * n**2))
    sigma = now.sigma * jnp.exp(rates.c_sigma / rates.d_sigma * (norm / expected - 1.0))
    sigma = jnp.minimum(sigma, LARGEST)

    seen = 2.0 * (jnp.asarray(told, dtype) + 2.0)
    usual_norm = norm / jnp.sqrt(1.0 - (1.0 - rates.c_sigma) ** seen)
    moves = (usual_norm < (1.4 + 2.0 / (n + 1.0)) * expected).astype(dtype)
    path_c = (1.0 - rates.c_c) * now.path_c + moves * jnp.sqrt(
        rates.c_c * (2.0 - rates.c_c) * rates.mu
    ) * step
    stalled = (1.0 - moves) * rates.c_c * (2.0 - rates.c_c)
    kept = 1.0 + rates.c_1 * stalled - rates.c_1 - rates.c_mu * jnp.sum(rates.weights)
    after = now._replace(
        mean=now.mean + now.sigma * step, sigma=sigma, path_sigma=path_sigma, path_c=path_c
    )
    if now.basis is None:
        diagonal = kept * now.scales**2 + rates.c_1 * path_c**2
        diagonal = diagonal + rates.c_mu * (rates.weights @ steps**2)
        return after._replace(scales=jnp.where(free, _root(diagonal), 1.0))
    # A bad point counts by its direction alone.
    weights = rates.weights * jnp.where(rates.weights >= 0.0, 1.0, n / (length**2 + EPS))
    c = kept * now.covariance + rates.c_1 * path_c[:, None] * path_c
    c = c + rates.c_mu * (steps.T @ (weights[:, None] * steps))
    c = jnp.where(free[:, None] & free, 0.5 * (c + c.T), jnp.eye(c.shape[0], dtype=dtype))
    squares, basis = jnp.linalg.eigh(c)
    return after._replace(basis=basis, scales=_root(squares))


def _root(squares):
    return jnp.sqrt(jnp.where(squares <= 0.0, EPS, squares))


def with_margin(table: SpaceTable, now: Distribution, margin, free) -> Distribution:
    """The distribution with each discrete column as likely to leave its mean's cell as `margin`.

    Section 4 of Hamano et al.: in the first and the last cell the mean is moved, in one between
    two others the mean and the spread.

    Args:
        margin: alpha, the paper's 1 / (n lambda).
        free: `[D]` bool, the columns of the distribution.
    """
    dtype = now.mean.dtype
    last = jnp.maximum(table.cardinality, 2) - 2
    cell = cell_of(table, now.mean)
    low = end_of(table, jnp.clip(cell - 1, 0, last)).astype(dtype)
    high = end_of(table, jnp.clip(cell, 0, last)).astype(dtype)
    deviation = now.sigma * jnp.sqrt(now.variances)
    scale = deviation * now.spread
    below = jax.scipy.special.ndtr((low - now.mean) / scale)
    above = jax.scipy.special.ndtr((now.mean - high) / scale)
    between = 1.0 - (below + above)
    edge = (jnp.maximum(below, above) > 0.5) | (high <= low)  # of two values both are edges
    # The quantile of a chi-square with one degree of freedom is that of a normal, squared.
    reach = -jax.scipy.special.ndtri(jnp.asarray(margin, dtype)) * scale
    inward = high + jnp.sign(now.mean - high) * reach
    mean = jnp.where(jnp.minimum(below, above) < margin, inward, now.mean)

    below, above = jnp.maximum(below, margin / 2.0), jnp.maximum(above, margin / 2.0)
    excess = (1.0 - below - above - between) / (below + between + above - 1.5 * margin)
    below, above = (
        jnp.clip(p + excess * (p - margin / 2.0), TINY, 0.5 - TINY) for p in (below, above)
    )
    left, right = -jax.scipy.special.ndtri(below), -jax.scipy.special.ndtri(above)
    spread = (high - low) / ((left + right) * deviation)
    centre = (low * right + high * left) / (left + right)
    discrete = free & table.discrete
    return now._replace(
        mean=jnp.where(discrete, jnp.where(edge, mean, centre), now.mean),
        spread=jnp.where(discrete & ~edge, spread, now.spread),
    )
