"""The mixture of the Gaussian processes at the sampled hyperparameters.

    p(f | y) = 1/K sum_k N(m_k, C_k)

has the mean of the m_k and, by the law of total variance, the mean of the C_k plus the
covariance of the m_k. It is no Gaussian: `joint` is the one with the same moments.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import jax
import jax.numpy as jnp

from bojax.pytrees import pytree
from bojax.surrogates import _mixture
from bojax.surrogates._gp.posterior import SMALLEST_VARIANCE, Posterior
from bojax.surrogates._lines import at_own_precision

# What the members have in common, the data's; everything else has a first axis of members.
SHARED = ("features", "mask", "shift", "scale", "table")
OWN = tuple(f.name for f in fields(Posterior) if f.name not in SHARED)
_axes: dict[str, Any] = {**dict.fromkeys(SHARED), **dict.fromkeys(OWN, 0)}
AXES = Posterior(**_axes)


@pytree
@dataclass(frozen=True)
class BayesianPosterior:
    """Gaussian processes that share their data, K of them, equally likely.

    Attributes:
        members: a :class:`Posterior`, whose kernel, noise and factors have a first axis `[K]`.
        noise: variance of an observation's noise, the members' average, values' unit squared.

    Example:
        >>> import jax, numpy as np
        >>> import bojax
        >>> rows = np.linspace(0, 1, 6)[:, None]
        >>> surrogate = bojax.surrogates.bayesian_gp(sampler="slice", warm_up=20, samples=32)
        >>> posterior, info = surrogate.fit(
        ...     jax.random.key(0), bojax.surrogates.Data(rows, np.sin(6 * rows[:, 0])))
        >>> posterior.joint(rows)[1].shape
        (6, 6)
    """

    members: Posterior
    noise: Any

    @property
    def scale(self):
        """Of the standardised values; its precision is that of everything here."""
        return self.members.scale

    @property
    def _least(self):
        return SMALLEST_VARIANCE * self.scale**2

    @at_own_precision
    def mean_and_variance(self, rows):
        """Of the noise-free function at `[..., D]` rows: two arrays `[...]`, values' unit."""
        rows = jnp.asarray(rows, self.scale.dtype)
        predict = jax.vmap(lambda member: member.mean_and_variance(rows), in_axes=(AXES,))
        means, variances = predict(self.members)
        return _mixture.moments(means, variances, self._least)

    @at_own_precision
    def joint(self, rows):
        """Mean `[Q]` and covariance `[Q, Q]` of the mixture at `[Q, D]` rows, values' unit."""
        rows = jnp.asarray(rows, self.scale.dtype)
        predict = jax.vmap(lambda member: member.joint(rows), in_axes=(AXES,))
        means, covariances = predict(self.members)
        mean = jnp.mean(means, axis=0)
        apart = means - mean
        covariance = jnp.mean(covariances, axis=0) + apart.T @ apart / means.shape[0]
        missing = jnp.maximum(self._least - jnp.diagonal(covariance), 0.0)
        return mean, covariance + jnp.diag(missing)

    @at_own_precision
    def sample(self, key, rows, n: int):
        """`[n, Q]` draws at `[Q, D]` rows: for each a member, then a function of it."""
        rows = jnp.asarray(rows, self.scale.dtype)
        which, normal = jax.random.split(key)
        own = self.members
        count = own.noise.shape[0]
        chosen = jax.random.randint(which, (n,), 0, count)

        def draw(drawn, x):
            k, moving = x
            member = replace(own, **moving)
            # One set of normals serves all members: each line keeps one member's draw.
            return jnp.where((chosen == k)[:, None], member.sample(normal, rows, n), drawn), None

        empty = jnp.zeros((n, rows.shape[0]), self.scale.dtype)
        moving = {name: getattr(own, name) for name in OWN}
        return jax.lax.scan(draw, empty, (jnp.arange(count), moving))[0]

    @at_own_precision
    def condition(self, rows, values) -> BayesianPosterior:
        """Every member after Q more noisy observations; O(K Q n^2).

        Hyperparameters are kept, and members stay equally likely: for as few values as are
        pending at a time their weights would hardly move.
        """
        rows = jnp.atleast_2d(jnp.asarray(rows, self.scale.dtype))
        values = jnp.atleast_1d(jnp.asarray(values, self.scale.dtype))
        grow = jax.vmap(lambda m: m.condition(rows, values), in_axes=(AXES,), out_axes=AXES)
        return BayesianPosterior(grow(self.members), self.noise)
