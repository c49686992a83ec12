"""Statistics of the values that a mask leaves."""

from __future__ import annotations

import jax.numpy as jnp

# Differences below so many roundings of the largest value are no spread.
ROUNDINGS = 8.0


def extremes(values, mask):
    """Least and largest value; both 0 where the mask leaves none."""
    some = jnp.any(mask)
    low = jnp.min(jnp.where(mask, values, jnp.inf))
    high = jnp.max(jnp.where(mask, values, -jnp.inf))
    return jnp.where(some, low, 0.0), jnp.where(some, high, 0.0)


def has_spread(values, mask):
    """Whether values differ by more than rounding."""
    low, high = extremes(values, mask)
    largest = jnp.maximum(jnp.abs(low), jnp.abs(high))
    return high - low > ROUNDINGS * jnp.finfo(values.dtype).eps * largest


def ordered(values, mask):
    """Values in order, and the mask of the lines that count: the first ones.

    The rest repeats the largest value, or is 0 where there is none.
    """
    n = jnp.sum(mask, dtype=jnp.int32)
    _, high = extremes(values, mask)
    kept = jnp.arange(values.shape[0], dtype=n.dtype) < n
    return jnp.where(kept, jnp.sort(jnp.where(mask, values, jnp.inf)), high), kept


def quantile(values, mask, level: float):
    """Linear interpolation between order statistics, numpy's default; 0 of no value."""
    kept, _ = ordered(values, mask)
    last = jnp.maximum(jnp.sum(mask.astype(values.dtype)) - 1.0, 0.0)
    position = level * last
    below = jnp.floor(position)
    part = position - below
    left = kept[below.astype(jnp.int32)]
    right = kept[jnp.minimum(below + 1.0, last).astype(jnp.int32)]
    return left * (1.0 - part) + right * part
