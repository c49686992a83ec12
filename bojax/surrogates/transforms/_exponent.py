"""Numerics of power transforms, and the search for an exponent of largest likelihood."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

HALVINGS = 50  # an interval of 20, by 2^50, is below rounding in both precisions
TERMS = 16  # of a series at 1/2; 1/2^16 16! is below float64's rounding


def ratio(t):
    """(e^t - 1) / t, 1 at 0."""
    safe = jnp.where(t == 0, 1.0, t)
    return jnp.where(t == 0, 1.0, jnp.expm1(safe) / safe)


def ratio_slope(t):
    """Derivative of :func:`ratio`: a series where the closed form cancels."""
    small = jnp.abs(t) < 0.5
    near = jnp.where(small, t, 0.0)
    series = jnp.zeros_like(near)
    for k in reversed(range(TERMS)):
        series = series * near + 1.0 / (math.factorial(k) * (k + 2))
    far = jnp.where(small, 1.0, t)
    return jnp.where(small, series, (jnp.exp(far) - ratio(far)) / far)


def logarithm(exponent, values):
    """The L with L E(exponent L) = value: log(1 + exponent value) / exponent."""
    # At -1 the logarithm is infinite, and so is its slope.
    t = jnp.maximum(exponent * values, -1.0 + jnp.finfo(values.dtype).eps)
    safe = jnp.where(t == 0, 1.0, t)
    return values * jnp.where(t == 0, 1.0, jnp.log1p(safe) / safe)


def likelihood_slope(warped, change, logs, mask, otherwise):
    """Derivative of -n/2 log(variance of warped) + (exponent - 1) sum of logs.

    Args:
        warped, change: `[N]` values at an exponent, and their derivative by it.
        logs: `[N]`, of the Jacobian.
        mask: `[N]` bool.
        otherwise: what is said where rounding has left the warped values no variance.
    """
    n = jnp.maximum(jnp.sum(mask.astype(warped.dtype)), 1.0)

    def centred(x):
        return jnp.where(mask, x - jnp.sum(jnp.where(mask, x, 0.0)) / n, 0.0)

    largest = jnp.max(jnp.where(mask, jnp.abs(warped), 0.0))
    unit = jnp.where(largest > 0, largest, 1.0)
    deviation, moved = centred(warped / unit), centred(change / unit)
    squares = jnp.sum(deviation**2)
    safe = jnp.where(squares > 0, squares, 1.0)
    slope = jnp.sum(jnp.where(mask, logs, 0.0)) - n * jnp.sum(deviation * moved) / safe
    return jnp.where((squares > 0) & jnp.isfinite(slope), slope, otherwise)


def bisect(slope: Callable, low, high):
    """Where a decreasing function of a number changes its sign."""

    def halve(_, ends):
        low, high = ends
        middle = 0.5 * (low + high)
        rising = slope(middle) > 0
        return jnp.where(rising, middle, low), jnp.where(rising, high, middle)

    low, high = jax.lax.fori_loop(0, HALVINGS, halve, (low, high))
    return 0.5 * (low + high)
