"""Output transforms: what happens to values before a Gaussian process sees them.

All take masked values and are monotone increasing, so that the order of configurations,
all an optimiser needs, is kept.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def standardize(values, mask):
    """Shift and scale to mean 0 and variance 1 over the mask (n - 1 in the denominator).

    Args:
        values: `[N]`; what is masked out may be NaN.
        mask: `[N]` bool.

    Returns:
        `(standardised [N], shift, scale)`; masked lines are 0. Constant values have scale 1,
        and values up to 1e300 do not overflow.
    """
    weight = mask.astype(values.dtype)
    n = jnp.sum(weight)
    kept = jnp.where(mask, values, 0.0)
    largest = jnp.max(jnp.abs(kept))
    unit = jnp.where(largest > 0, largest, 1.0)
    small = kept / unit
    mean = jnp.sum(small) / jnp.maximum(n, 1.0)
    centred = jnp.where(mask, small - mean, 0.0)
    variance = jnp.sum(centred**2) / jnp.maximum(n - 1.0, 1.0)
    # Differences below rounding are no spread.
    floor = 4.0 * jnp.finfo(values.dtype).eps * jnp.abs(mean)
    spread = jnp.sqrt(variance)
    scale = jnp.where(spread > floor, spread, 1.0)
    return centred / scale, mean * unit, scale * unit


def half_rank(values, mask):
    """Values worse than the median by rank, the better half as they are.

    The spread of bad values says nothing about where the optimum is, and dominates a
    stationary model. Each value above the median becomes median + s Phi^-1(its quantile),
    s the root mean square distance of the better half from the median (Song et al. 2024,
    "The Vizier Gaussian Process Bandit Algorithm", half-rank warping).

    Args:
        values: `[N]`, smaller is better.
        mask: `[N]` bool.

    Returns:
        `[N]`; unchanged where the better half has no spread.
    """
    n = jnp.sum(mask.astype(values.dtype))
    kept = jnp.where(mask, values, jnp.inf)
    below = jnp.sum(((kept[None, :] < kept[:, None]) & mask[None, :]).astype(n.dtype), axis=1)
    equal = jnp.sum(((kept[None, :] == kept[:, None]) & mask[None, :]).astype(n.dtype), axis=1)
    quantile = (below + 0.5 * equal) / jnp.maximum(n, 1.0)
    better = mask & (quantile <= 0.5)
    count = jnp.sum(better.astype(n.dtype))
    any_better = count > 0
    median = jnp.max(jnp.where(better, values, -jnp.inf))
    median = jnp.where(any_better, median, 0.0)
    largest = jnp.max(jnp.where(better, jnp.abs(values - median), 0.0))
    unit = jnp.where(largest > 0, largest, 1.0)
    squares = jnp.where(better, ((values - median) / unit) ** 2, 0.0)
    spread = unit * jnp.sqrt(jnp.sum(squares) / jnp.maximum(count, 1.0))
    deviate = jax.scipy.special.ndtri(jnp.clip(quantile, 0.5, 1.0 - 0.25 / jnp.maximum(n, 1.0)))
    warped = jnp.where(better, values, median + spread * deviate)
    return jnp.where(mask & any_better & (spread > 0), warped, values)
