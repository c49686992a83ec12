"""The predictions of several members as one: an equal mixture of their Gaussians.

Member t predicts N(m_t(x), s_t^2(x)). The mixture has the mean of m_t and, by the law of
total variance, the mean of s_t^2 plus the variance of m_t. Rows covary as m_t does.
All is `[T, ...]`, standardised.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def moments(means, variances, least):
    """Mean and variance, `[T, ...]` twice -> `[...]` twice; the variance at least `least`."""
    mean = jnp.mean(means, axis=0)
    between = jnp.mean((means - mean) ** 2, axis=0)
    return mean, jnp.maximum(between + jnp.mean(variances, axis=0), least)


def joint(means, variances, least):
    """Mean `[Q]` and covariance `[Q, Q]`, whose diagonal is the variance of :func:`moments`."""
    mean, total = moments(means, variances, least)
    apart = means - mean
    between = apart.T @ apart / means.shape[0]
    return mean, between + jnp.diag(total - jnp.diagonal(between))


def sample(key, means, variances, least, n: int):
    """`[n, Q]` draws: a member each, and its noise."""
    _, total = moments(means, variances, least)
    between = jnp.mean((means - jnp.mean(means, axis=0)) ** 2, axis=0)
    # Where the variance was raised to the least one, noise makes up for it.
    raised = total - between - jnp.mean(variances, axis=0)
    deviation = jnp.sqrt(variances + jnp.maximum(raised, 0.0))
    keys = jax.random.split(key)
    member = jax.random.randint(keys[0], (n,), 0, means.shape[0])
    noise = jax.random.normal(keys[1], (n, means.shape[1]), means.dtype)
    return means[member] + deviation[member] * noise
