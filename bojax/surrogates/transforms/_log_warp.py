"""Differences between good values are stretched, those between bad ones shrunk."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp

from bojax.pytrees import pytree
from bojax.surrogates.transforms._masked import extremes, has_spread

# How much wider a small difference is at the best value than at the worst. OSS Vizier 0.1.24;
# 1 would be linear, 10 leaves the worse half of values a quarter of the range.
OFFSET = 1.5
# Ranges beyond the observed values that the inverse goes at most; see `_power.REACH`.
REACH = 1.0
LEAST = 1e-3  # of what a logarithm is taken of; new values far below the best end there


def log_warp(values, mask, *, offset: float = OFFSET):
    """log(1 + (offset - 1) (value - best) / (worst - best)) / log(offset) - 1/2.

    Vizier's log warping (Song et al. 2024, "The Vizier Gaussian Process Bandit Algorithm"),
    mirrored for minimisation: the best is -1/2, the worst 1/2, and the slope falls from one to
    the other by the factor `offset`.

    Args:
        values: `[N]`, smaller is better; what is masked out may be NaN.
        mask: `[N]` bool.
        offset: above 1.

    Returns:
        `[N]` in [-1/2, 1/2]; masked lines are 0, constant values -1/2.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.surrogates.transforms import log_warp
        >>> [round(x, 3) for x in log_warp(jnp.arange(3.0), jnp.ones(3, bool)).tolist()]
        [-0.5, 0.05, 0.5]
    """
    return jnp.where(mask, LogWarp(offset).fit(values, mask)(values), 0.0)


@pytree
@dataclass(frozen=True)
class LogWarp:
    """:func:`log_warp` as a transform to fit.

    Attributes:
        offset: above 1.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.surrogates.transforms import LogWarp
        >>> fitted = LogWarp().fit(jnp.array([1.0, 2.0, 3.0]), jnp.ones(3, bool))
        >>> round(float(fitted.inverse(jnp.float32(0.5))), 5)
        3.0
    """

    offset: float = field(default=OFFSET, metadata={"static": True})

    def __post_init__(self) -> None:
        if not 1 < self.offset < math.inf:
            raise ValueError(f"log_warp: offset must be above 1, got {self.offset}.")

    def fit(self, values, mask) -> FittedLogWarp:
        """Best and worst of `[N]` values over an `[N]` mask."""
        low, high = extremes(values, mask)
        half = 0.5 * high - 0.5 * low
        spread = has_spread(values, mask) & (half > 0)
        return FittedLogWarp(low, jnp.where(spread, half, 0.5), self.offset)


@pytree
@dataclass(frozen=True)
class FittedLogWarp:
    """Fitted :class:`LogWarp`.

    The inverse ends a range below the best and a range above the worst value; a new value
    below what the logarithm is defined for is warped as if it were the least one that is.

    Attributes:
        low: best value.
        half: half of the range, above 0.
        offset: of the warp.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.surrogates.transforms import FittedLogWarp
        >>> float(FittedLogWarp(1.0, 1.0, 1.5)(jnp.float32(1.0)))
        -0.5
    """

    low: Any
    half: Any
    offset: float = field(metadata={"static": True})

    def __call__(self, values):
        """Warped values, of any shape."""
        part = (0.5 * values - 0.5 * self.low) / self.half
        inside = jnp.maximum((self.offset - 1.0) * part, LEAST - 1.0)
        return jnp.log1p(inside) / math.log(self.offset) - 0.5

    def inverse(self, values):
        """Back in the values' unit, within a range of what was observed."""
        # Beyond these no clipping differs, and the exponential is finite.
        power = jnp.clip(math.log(self.offset) * (values + 0.5), -50.0, 50.0)
        part = jnp.expm1(power) / (self.offset - 1.0)
        return self.low + 2.0 * self.half * jnp.clip(part, -REACH, 1.0 + REACH)
