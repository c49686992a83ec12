"""Shift and scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from bojax.pytrees import pytree


def standardize(values, mask):
    """Shift and scale to mean 0 and variance 1 over the mask (n - 1 in the denominator).

    Args:
        values: `[N]`; what is masked out may be NaN.
        mask: `[N]` bool.

    Returns:
        `(standardised [N], shift, scale)`; masked lines are 0. Constant values have scale 1,
        and values up to 1e300 do not overflow.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.surrogates.transforms import standardize
        >>> values, shift, scale = standardize(jnp.array([0.0, 2.0, 4.0]), jnp.ones(3, bool))
        >>> values.tolist(), float(shift), float(scale)
        ([-1.0, 0.0, 1.0], 2.0, 2.0)
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


@pytree
@dataclass(frozen=True)
class Standardize:
    """:func:`standardize` as a transform to fit.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.surrogates.transforms import Standardize
        >>> fitted = Standardize().fit(jnp.array([0.0, 2.0, 4.0]), jnp.ones(3, bool))
        >>> float(fitted(jnp.float32(6.0))), float(fitted.inverse(jnp.float32(2.0)))
        (2.0, 6.0)
    """

    def fit(self, values, mask) -> Affine:
        """Mean and deviation of `[N]` values over an `[N]` mask."""
        _, shift, scale = standardize(values, mask)
        return Affine(shift, scale)


@pytree
@dataclass(frozen=True)
class Affine:
    """Fitted :class:`Standardize`: (value - shift) / scale.

    Attributes:
        shift, scale: numbers, in the values' unit; scale is above 0.

    Example:
        >>> from bojax.surrogates.transforms import Affine
        >>> Affine(1.0, 2.0).inverse(3.0)
        7.0
    """

    shift: Any
    scale: Any

    def __call__(self, values):
        """Standardised values, of any shape."""
        # Halved, the difference of two of the largest numbers there are is still one.
        return (0.5 * values - 0.5 * self.shift) / (0.5 * self.scale)

    def inverse(self, values):
        """Back in the values' unit."""
        return self.shift + self.scale * values
