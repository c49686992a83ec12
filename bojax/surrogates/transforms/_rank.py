"""Values by rank: all of them, or the worse half."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from bojax.pytrees import pytree
from bojax.surrogates.transforms._masked import ordered


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

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.surrogates.transforms import half_rank
        >>> half_rank(jnp.array([1.0, 2.0, 3.0, 99.0]), jnp.ones(4, bool)).round(1).tolist()[:2]
        [1.0, 2.0]
    """
    n = jnp.sum(mask.astype(values.dtype))
    quantile = _quantiles(values, mask)
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


def rank(values, mask):
    """Phi^-1((rank - 1/2) / n): normal values, whatever they were; equal ones share a rank.

    The Gaussian copula of Salinas et al. (2020), "A quantile-based approach for hyperparameter
    transfer learning", with Hazen's plotting position.

    Args:
        values: `[N]`, smaller is better; what is masked out may be NaN.
        mask: `[N]` bool.

    Returns:
        `[N]`; masked lines are 0, and so are constant values.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.surrogates.transforms import rank
        >>> [round(x, 2) for x in rank(jnp.array([2.0, 1e9, -5.0]), jnp.ones(3, bool)).tolist()]
        [0.0, 0.97, -0.97]
    """
    return jax.scipy.special.ndtri(jnp.where(mask, _quantiles(values, mask), 0.5))


def _quantiles(values, mask):
    """(rank - 1/2) / n of `[N]` values, equal ones in the middle of their ranks."""
    n = jnp.sum(mask.astype(values.dtype))
    kept = jnp.where(mask, values, jnp.inf)
    below = jnp.sum(((kept[None, :] < kept[:, None]) & mask[None, :]).astype(n.dtype), axis=1)
    equal = jnp.sum(((kept[None, :] == kept[:, None]) & mask[None, :]).astype(n.dtype), axis=1)
    return (below + 0.5 * equal) / jnp.maximum(n, 1.0)


@pytree
@dataclass(frozen=True)
class HalfRank:
    """:func:`half_rank` as a transform to fit.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.surrogates.transforms import HalfRank
        >>> fitted = HalfRank().fit(jnp.array([1.0, 2.0, 3.0, 99.0]), jnp.ones(4, bool))
        >>> float(fitted.inverse(jnp.float32(-5.0))), float(fitted.inverse(jnp.float32(50.0)))
        (-5.0, 99.0)
    """

    def fit(self, values, mask) -> Knots:
        """Warped values of `[N]` values over an `[N]` mask, as knots."""
        knots, kept = ordered(values, mask)
        return _knots(knots, half_rank(knots, kept), jnp.sum(mask, dtype=jnp.int32), False)


@pytree
@dataclass(frozen=True)
class Rank:
    """:func:`rank` as a transform to fit.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.surrogates.transforms import Rank
        >>> fitted = Rank().fit(jnp.array([1.0, 2.0, 9.0]), jnp.ones(3, bool))
        >>> float(fitted(jnp.float32(2.0))), float(fitted.inverse(jnp.float32(0.0)))
        (0.0, 2.0)
    """

    def fit(self, values, mask) -> Knots:
        """Warped values of `[N]` values over an `[N]` mask, as knots."""
        knots, kept = ordered(values, mask)
        return _knots(knots, rank(knots, kept), jnp.sum(mask, dtype=jnp.int32), True)


@pytree
@dataclass(frozen=True)
class Knots:
    """Fitted :class:`HalfRank` or :class:`Rank`: straight lines between observed values.

    Below the best value it goes on with `slope`, so that a model may expect better ones; above
    the worst it stays there, since nothing is known of how much worse is possible.

    Attributes:
        values: `[N]`, in order; what fills the end repeats the worst one.
        warped: `[N]`, in order.
        slope: below the best: warped over values.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.surrogates.transforms import Knots
        >>> knots = Knots(jnp.array([0.0, 1.0, 5.0]), jnp.array([0.0, 1.0, 2.0]), 1.0)
        >>> knots(jnp.array([-1.0, 3.0, 9.0])).tolist()
        [-1.0, 1.5, 2.0]
        >>> knots.inverse(jnp.array([-1.0, 1.5, 9.0])).tolist()
        [-1.0, 3.0, 5.0]
    """

    values: Any
    warped: Any
    slope: Any

    def __call__(self, values):
        """Warped values, of any shape."""
        below = jnp.minimum(values - self.values[0], 0.0) * self.slope
        return _finite(_between(values, self.values, self.warped) + below)

    def inverse(self, values):
        """Back in the values' unit, no worse than the worst."""
        below = jnp.minimum(values - self.warped[0], 0.0) / self.slope
        return _finite(_between(values, self.warped, self.values) + below)


def _knots(values, warped, n, secant: bool) -> Knots:
    """Knots of `[N]` ordered values, of which n count.

    The slope below the best is 1, or that of the line from the best value to the median (to
    the worst where those are equal).
    """
    last = jnp.maximum(n - 1, 0)
    warped = jnp.where(jnp.arange(values.shape[0], dtype=n.dtype) < n, warped, warped[last])
    slope = jnp.ones((), values.dtype)
    if secant:
        for end in (last, last // 2):
            run, rise = values[end] - values[0], warped[end] - warped[0]
            usable = (run > jnp.finfo(run.dtype).tiny) & (rise > 0)
            steep = jnp.where(usable, rise / jnp.where(usable, run, 1.0), slope)
            slope = jnp.where(jnp.isfinite(steep) & (steep > 0), steep, slope)
    return Knots(values, warped, slope)


def _between(x, knots, heights):
    """Linear interpolation, constant outside; equal knots have equal heights."""
    x = jnp.clip(x, knots[0], knots[-1])
    left = jnp.clip(jnp.searchsorted(knots, x, side="right") - 1, 0, knots.shape[0] - 1)
    right = jnp.minimum(left + 1, knots.shape[0] - 1)
    width = 0.5 * knots[right] - 0.5 * knots[left]
    part = jnp.where(width > 0, (0.5 * x - 0.5 * knots[left]) / jnp.where(width > 0, width, 1.0), 0)
    return heights[left] * (1.0 - part) + heights[right] * part


def _finite(x):
    most = jnp.finfo(x.dtype).max
    return jnp.clip(x, -most, most)
