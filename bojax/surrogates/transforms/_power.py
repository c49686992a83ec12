"""Power transforms: values are bent until they look as normal as a power can make them.

Both are L E(t) with E(t) = (e^t - 1) / t and t = exponent L, where L is the logarithm of the
value (Box & Cox 1964) or of one plus its distance from 0 (Yeo & Johnson 2000, "A new family of
power transformations to improve normality or symmetry", eq. 2.1; 2 - exponent below 0). The
profile likelihood has one maximum (Kouider & Chen 1995; Marchand et al. 2022, "SecureFedYJ",
proposition 4.1), so bisection on the sign of its slope finds it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from bojax.pytrees import pytree
from bojax.surrogates.transforms._affine import standardize
from bojax.surrogates.transforms._exponent import (
    bisect,
    likelihood_slope,
    logarithm,
    ratio,
    ratio_slope,
)
from bojax.surrogates.transforms._masked import extremes, has_spread

# Exponents that are searched, for Yeo-Johnson about 1 (mirrored values have 2 - exponent) and
# for Box-Cox about 0. Values that want more are separated by no bending.
LIMIT = 10.0
# Of the digits of a precision, as many may be lost where the transform flattens out: the
# values there stay apart, and the way back finds them.
LOST_DIGITS = 0.75
# Of the exponents of a precision, as many may be used where it grows.
USED_EXPONENTS = 0.9
# The inverse ends so many ranges beyond the observed values. A flattened side has no inverse
# at all further on, and just before that its slope makes any variance. A quarter, 1 and 4 give
# the same error on Rosenbrock's function (0.55, 0.54, 0.54 of the deviation; 40 points in 4
# dimensions), but 0.5, 1.0 and 3.3 where one value of a hundred stands among ones.
REACH = 1.0
# HEBO 0.3.6 refuses Box-Cox where the result has a smaller deviation.
LEAST_DEVIATION = 0.5
UNITS = ("standard", "deviation", "none")


def yeo_johnson(values, mask, *, unit: str = "standard"):
    """The Yeo-Johnson transform of the maximum likelihood exponent.

    Args:
        values: `[N]`; what is masked out may be NaN.
        mask: `[N]` bool.
        unit: what the values are divided by first, on which the result depends: "standard",
            their mean taken off, their deviation (then neither scale nor shift matters);
            "deviation", the deviation alone (HEBO 0.3.6); "none" (`scipy.stats.yeojohnson`).

    Returns:
        `[N]`, without a unit; masked lines are 0, and so are constant values but for "none".

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.surrogates.transforms import yeo_johnson
        >>> values = jnp.exp(jnp.linspace(-2.0, 2.0, 5))
        >>> skewed, warped = values - values[2], yeo_johnson(values, jnp.ones(5, bool))
        >>> bool(skewed[4] > 5 * -skewed[0]), bool(warped[4] < 3 * -warped[0])
        (True, True)
    """
    return jnp.where(mask, YeoJohnson(unit).fit(values, mask)(values), 0.0)


def box_cox(values, mask, *, least_deviation: float = LEAST_DEVIATION):
    """Box-Cox where all values are positive and it can bend them, otherwise Yeo-Johnson.

    HEBO's rule (Cowen-Rivers et al. 2022), with two deviations. Values are taken in units of
    their geometric mean, which decides nothing but makes the result independent of scale. And
    the result's deviation is looked at in that unit; HEBO looks after standardising, where
    only a collapse is seen. Yeo-Johnson is that of standardised values.

    Args:
        values: `[N]`; what is masked out may be NaN.
        mask: `[N]` bool.
        least_deviation: of the Box-Cox result. Below it values differ by so small a part of
            themselves that their logarithms are but shifted.

    Returns:
        `[N]`, without a unit; masked lines are 0, and so are constant values.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.surrogates.transforms import box_cox
        >>> values = jnp.array([0.01, 0.1, 1.0, 10.0, 100.0])  # logarithms are symmetric
        >>> jnp.abs(box_cox(values, jnp.ones(5, bool)) - jnp.log(values)).max() < 1e-3
        Array(True, dtype=bool)
    """
    return jnp.where(mask, BoxCox(least_deviation).fit(values, mask)(values), 0.0)


@pytree
@dataclass(frozen=True)
class YeoJohnson:
    """:func:`yeo_johnson` as a transform to fit.

    Attributes:
        unit: "standard", "deviation" or "none".

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.surrogates.transforms import YeoJohnson
        >>> values = jnp.exp(jnp.linspace(-2.0, 2.0, 9))
        >>> fitted = YeoJohnson().fit(values, jnp.ones(9, bool))
        >>> bool(fitted.exponent < 0), bool(jnp.allclose(fitted.inverse(fitted(values)), values))
        (True, True)
    """

    unit: str = field(default="standard", metadata={"static": True})

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise ValueError(
                f"yeo_johnson: unit must be one of {', '.join(UNITS)}, got {self.unit!r}."
            )

    def fit(self, values, mask) -> Power:
        """The exponent for `[N]` values over an `[N]` mask."""
        spread = has_spread(values, mask)
        zero, one = jnp.zeros((), values.dtype), jnp.ones((), values.dtype)
        _, shift, scale = standardize(values, mask)
        if self.unit == "none":
            shift, scale = zero, one
        elif self.unit == "deviation":
            shift = zero
            # Without spread the mean's distance from 0 is no reason for a large number.
            low, high = extremes(values, mask)
            largest = jnp.maximum(jnp.abs(low), jnp.abs(high))
            scale = jnp.where(spread, scale, jnp.where(largest > 0, largest, 1.0))
        inside = jnp.where(mask, (0.5 * values - 0.5 * shift) / (0.5 * scale), 0.0)
        low, high = extremes(inside, mask)
        # Without spread nothing says how far values go; the transform is then the identity.
        width = jnp.where(spread, high - low, jnp.finfo(values.dtype).max ** 0.25)
        ends = (low - REACH * width, high + REACH * width)

        up, down = jnp.log1p(jnp.maximum(high, 0.0)), jnp.log1p(jnp.maximum(-low, 0.0))
        far_up, far_down = (jnp.log1p(jnp.maximum(x, 0.0)) for x in (ends[1], -ends[0]))
        flat, grown = _most(values.dtype)
        # 1 is always possible: there the transform is the identity.
        least = _largest(1.0 - LIMIT, -flat / _safe(up), 2.0 - grown / _safe(far_down))
        most = -_largest(-1.0 - LIMIT, -2.0 - flat / _safe(down), -grown / _safe(far_up))
        above = inside >= 0
        logs = jnp.log1p(jnp.abs(inside))
        signed = jnp.where(above, logs, -logs)

        def slope(exponent):
            own = jnp.where(above, exponent, 2.0 - exponent)
            t = own * logs
            warped = signed * ratio(t)
            return likelihood_slope(warped, logs**2 * ratio_slope(t), signed, mask, 1.0 - exponent)

        found = bisect(slope, jnp.minimum(least, 1.0), jnp.maximum(most, 1.0))
        exponent = jnp.where(spread, found, 1.0)
        return Power(jnp.zeros((), bool), exponent, shift, scale, *ends)


@pytree
@dataclass(frozen=True)
class BoxCox:
    """:func:`box_cox` as a transform to fit.

    Attributes:
        least_deviation: of the Box-Cox result, below which Yeo-Johnson is taken.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.surrogates.transforms import BoxCox
        >>> values, mask = jnp.exp(jnp.linspace(-2.0, 2.0, 9)), jnp.ones(9, bool)
        >>> bool(BoxCox().fit(values, mask).positive), bool(BoxCox().fit(-values, mask).positive)
        (True, False)
    """

    least_deviation: float = field(default=LEAST_DEVIATION, metadata={"static": True})

    def __post_init__(self) -> None:
        if not self.least_deviation >= 0:
            raise ValueError(
                f"box_cox: least_deviation must be 0 or more, got {self.least_deviation}."
            )

    def fit(self, values, mask) -> Power:
        """Family and exponent for `[N]` values over an `[N]` mask."""
        positive = jnp.all(jnp.where(mask, values > 0, True)) & has_spread(values, mask)
        logs = jnp.where(mask & positive, jnp.log(jnp.where(mask & positive, values, 1.0)), 0.0)
        n = jnp.maximum(jnp.sum(mask.astype(values.dtype)), 1.0)
        centre = jnp.sum(logs) / n
        logs = jnp.where(mask, logs - centre, 0.0)
        low, high = extremes(logs, mask)
        # A range beyond the worst in the values' unit; the best goes down in logarithms.
        ends = (low - REACH * (high - low), high + jnp.log1p(REACH * -jnp.expm1(low - high)))
        flat, grown = _most(values.dtype)
        least = _largest(-LIMIT, -flat / _safe(high), -grown / _safe(-ends[0]))
        most = -_largest(-LIMIT, -flat / _safe(-low), -grown / _safe(ends[1]))

        def slope(exponent):
            t = exponent * logs
            # The logarithms sum to 0, and with them the last term of the likelihood.
            return likelihood_slope(
                logs * ratio(t), logs**2 * ratio_slope(t), 0.0 * logs, mask, -exponent
            )

        exponent = bisect(slope, least, most)
        scale = jnp.exp(centre)
        box = Power(positive, exponent, jnp.zeros((), values.dtype), scale, *ends)
        warped = jnp.where(mask & positive, logs * ratio(exponent * logs), 0.0)
        largest = jnp.max(jnp.abs(warped))
        unit = jnp.where(largest > 0, largest, 1.0)
        centred = jnp.where(mask, warped / unit - jnp.sum(warped / unit) / n, 0.0)
        deviation = unit * jnp.sqrt(jnp.sum(centred**2) / n)
        taken = positive & (deviation >= self.least_deviation)
        other = YeoJohnson().fit(values, mask)
        chosen = jax.tree.map(lambda a, b: jnp.where(taken, a, b), box, other)
        return chosen


@pytree
@dataclass(frozen=True)
class Power:
    """Fitted :class:`YeoJohnson` or :class:`BoxCox`.

    Values are taken as if they were at the nearer end where they lie beyond one. The ends are
    a range beyond the observed values; for Box-Cox the lower one in logarithms.

    Attributes:
        positive: bool, whether it is Box-Cox.
        exponent: lambda; 1 changes nothing but the unit.
        shift, scale: inside, a value is (value - shift) / scale.
        low, high: the ends, inside; for Box-Cox their logarithms.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.surrogates.transforms import Power
        >>> root = Power(False, 0.5, 0.0, 1.0, -9.0, 9.0)
        >>> float(root(jnp.float32(3.0))), float(root.inverse(jnp.float32(2.0)))
        (2.0, 3.0)
    """

    positive: Any
    exponent: Any
    shift: Any
    scale: Any
    low: Any
    high: Any

    def __call__(self, values):
        """Warped values, of any shape."""
        inside = (0.5 * values - 0.5 * self.shift) / (0.5 * self.scale)
        inside = jnp.clip(inside, self.low, self.high)
        above = inside >= 0
        distance = jnp.log1p(jnp.abs(inside))
        own = jnp.where(above, self.exponent, 2.0 - self.exponent)
        johnson = jnp.where(above, 1.0, -1.0) * distance * ratio(own * distance)
        logs = jnp.where(values > 0, jnp.log(jnp.where(values > 0, values, 1.0)), -jnp.inf)
        logs = jnp.clip(logs - jnp.log(self.scale), self.low, self.high)
        return jnp.where(self.positive, logs * ratio(self.exponent * logs), johnson)

    def inverse(self, values):
        """Back in the values' unit, between the ends."""
        above = values >= 0
        own = jnp.where(above, self.exponent, 2.0 - self.exponent)
        # Clipped as a logarithm, too: beyond the ends the exponential, or its slope, overflows.
        farthest = jnp.log1p(jnp.maximum(jnp.abs(self.low), jnp.abs(self.high)))
        distance = jnp.expm1(jnp.minimum(logarithm(own, jnp.abs(values)), farthest))
        inside = jnp.clip(jnp.where(above, distance, -distance), self.low, self.high)
        johnson = self.shift + self.scale * inside
        logs = jnp.clip(logarithm(self.exponent, values), self.low, self.high)
        return jnp.where(self.positive, self.scale * jnp.exp(logs), johnson)


def _most(dtype) -> tuple[float, float]:
    """How far an exponent times a logarithm may go where the transform flattens, and grows."""
    limits = jnp.finfo(dtype)
    return -LOST_DIGITS * math.log(limits.eps), USED_EXPONENTS * math.log(limits.max)


def _safe(positive):
    """A divisor; what is not above 0 sets no bound."""
    tiny = jnp.finfo(positive.dtype).tiny
    return jnp.where(positive > tiny * 1e6, positive, tiny * 1e6)


def _largest(*bounds):
    return jnp.maximum(jnp.maximum(bounds[0], bounds[1]), bounds[2])
