"""Several modes of the hyperparameters' posterior, each with its share of the evidence.

Where a wiggle and noise explain the data equally well, the best mode alone is sure of one of
them. Laplace's approximation gives each mode the evidence

    log Z_i = -objective_i - 1/2 log |H_i| + constant

(MacKay 1992, "Bayesian Interpolation"), with the average information for H; predictions are the
mixture with these weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from bojax.kernels.parameter import unpack
from bojax.optimize.linalg import cholesky
from bojax.pytrees import pytree
from bojax.surrogates._gp import objective
from bojax.surrogates._gp.host import at_host
from bojax.surrogates._gp.objective import Evidence, Model
from bojax.surrogates._gp.posterior import SMALLEST_VARIANCE, Posterior

APART = 0.1  # log units: ends of searches that agree this well are one mode


def distinct(thetas, log_evidences, free, count: int):
    """`[count]` positions of the distinct ends with the most evidence, and that evidence.

    Args:
        thetas: `[E, P]` where searches ended.
        log_evidences: `[E]`, -inf where there is nothing.
        free: `[P]` bool, hyperparameters that may move.
        count: static.

    Returns:
        `(positions [count], log evidences [count])`; -inf where there are fewer modes.
    """

    def pick(left, _):
        best = jnp.argmax(left)
        apart = jnp.where(free, jnp.abs(thetas - thetas[best]), 0.0)
        same = jnp.max(apart, axis=1) < APART
        return jnp.where(same, -jnp.inf, left), (best, left[best])

    return jax.lax.scan(pick, log_evidences, None, length=count)[1]


def log_evidence(theta, value, model: Model, evidence: Evidence):
    """Laplace's approximation at a mode, up to a constant all modes share; -inf for none."""
    at = unpack(model, theta)
    gram = at.kernel.gram(evidence.features, evidence.features)
    diagonal = at.kernel.diagonal(evidence.features)
    factors = objective.factorise(gram, diagonal, evidence, at.noise.value, at.mean)
    a = factors.upper @ factors.whitened
    information = cholesky(objective.curvature(at, evidence, factors.upper, a))
    found = -value - jnp.sum(jnp.log(jnp.diagonal(information)))
    return jnp.where(jnp.isfinite(value) & jnp.isfinite(found), found, -jnp.inf)


@pytree
@dataclass(frozen=True)
class ModesPosterior:
    """A mixture of posteriors at several modes of the hyperparameters.

    Attributes:
        members: a :class:`Posterior` whose every array has a first axis `[K]`.
        weights: `[K]`, their shares, which sum to 1.
        noise: variance of an observation's noise, the members' average, values' unit squared.

    Example:
        >>> import jax, numpy as np
        >>> import bojax
        >>> rows = np.linspace(0, 1, 6)[:, None]
        >>> surrogate = bojax.surrogates.gp(screened=4, kept=2, ensemble=2)
        >>> posterior, info = surrogate.fit(
        ...     jax.random.key(0), bojax.surrogates.Data(rows, np.sin(6 * rows[:, 0])))
        >>> round(float(np.asarray(posterior.weights).sum()), 6)
        1.0
    """

    members: Posterior
    weights: Any
    noise: Any

    @property
    def upper(self):
        """The members' factors `[K, T, T]`, whose precision is that of everything here."""
        return self.members.upper

    def _moments(self, of: Callable):
        means, spreads = jax.vmap(of)(self.members)
        weights = self.weights.reshape(-1, *[1] * (means.ndim - 1))
        return means, spreads, weights, jnp.sum(weights * means, axis=0)

    @at_host
    def mean_and_variance(self, rows):
        """Of the noise-free function at `[..., D]` rows: two arrays `[...]`, values' unit."""
        rows = jnp.asarray(rows, self.upper.dtype)
        means, variances, weights, mean = self._moments(lambda m: m.mean_and_variance(rows))
        total = jnp.sum(weights * (variances + (means - mean) ** 2), axis=0)
        return mean, jnp.maximum(total, SMALLEST_VARIANCE * self.members.scale[0] ** 2)

    @at_host
    def joint(self, rows):
        """Mean `[Q]` and covariance `[Q, Q]` of the mixture at `[Q, D]` rows, values' unit."""
        rows = jnp.asarray(rows, self.upper.dtype)
        means, covariances, weights, mean = self._moments(lambda m: m.joint(rows))
        apart = (means - mean) * jnp.sqrt(weights)
        return mean, jnp.sum(weights[:, :, None] * covariances, axis=0) + apart.T @ apart

    @at_host
    def sample(self, key, rows, n: int):
        """`[n, Q]` draws at `[Q, D]` rows: a member by its weight, then a function of it."""
        rows = jnp.asarray(rows, self.upper.dtype)
        which, normal = jax.random.split(key)
        chosen = jax.random.categorical(which, jnp.log(self.weights), shape=(n,))
        drawn = jax.vmap(lambda member: member.sample(normal, rows, n))(self.members)
        return jnp.take_along_axis(drawn, chosen[None, :, None], axis=0)[0]

    @at_host
    def condition(self, rows, values) -> ModesPosterior:
        """Every member after Q more noisy observations, weights kept; O(K Q n^2)."""
        rows = jnp.atleast_2d(jnp.asarray(rows, self.upper.dtype))
        values = jnp.atleast_1d(jnp.asarray(values, self.upper.dtype))
        grown = jax.vmap(lambda member: member.condition(rows, values))(self.members)
        return ModesPosterior(grown, self.weights, self.noise)
