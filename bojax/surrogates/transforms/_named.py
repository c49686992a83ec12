"""The whole output warping of two optimisers, step by step as they do it.

HEBO 0.3.6: Box-Cox of what is positive, otherwise Yeo-Johnson, of values in units of their
deviation. OSS Vizier 0.1.24: bad values by rank, a logarithm, and a shift towards the values a
failure would get. docs/recipes.md has the formulas.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp

from bojax.pytrees import pytree
from bojax.surrogates.transforms._affine import Affine, standardize
from bojax.surrogates.transforms._masked import extremes, has_spread, ordered
from bojax.surrogates.transforms._power import BoxCox, Power, YeoJohnson
from bojax.surrogates.transforms._rank import Knots, _knots


@pytree
@dataclass(frozen=True)
class Hebo:
    """Box-Cox where all values are positive, otherwise Yeo-Johnson in units of the deviation.

    Where Box-Cox leaves no spread, Yeo-Johnson; where that leaves none, the values as they
    are. Other than :class:`BoxCox` it never looks at how far Box-Cox bends, and Yeo-Johnson's
    zero is that of the values. What comes is not standardised yet: the recipe does that.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.surrogates.transforms import Hebo
        >>> values, mask = jnp.exp(jnp.linspace(-2.0, 2.0, 9)), jnp.ones(9, bool)
        >>> fitted = Hebo().fit(values, mask)
        >>> bool(fitted.positive), bool(abs(fitted.exponent) < 1e-3)
        (True, True)
    """

    def fit(self, values, mask) -> Power:
        """Family and exponent for `[N]` values over an `[N]` mask."""
        kept = jnp.where(mask, values, 0.0)
        n = jnp.sum(mask.astype(values.dtype))
        deviation = standardize(kept, mask)[2] * jnp.sqrt(
            jnp.maximum(n - 1.0, 1.0) / jnp.maximum(n, 1.0)
        )
        unit = jnp.where(has_spread(kept, mask), deviation, 1.0)
        inside = (0.5 * kept) / (0.5 * unit)
        johnson = replace(YeoJohnson("none").fit(inside, mask), scale=unit)
        flat = ~has_spread(johnson(kept), mask)
        johnson = replace(johnson, exponent=jnp.where(flat, 1.0, johnson.exponent))
        box = BoxCox(0.0).fit(kept, mask)
        taken = box.positive & has_spread(box(kept), mask)
        return jax.tree.map(lambda a, b: jnp.where(taken, a, b), box, johnson)


@pytree
@dataclass(frozen=True)
class ViziersRank:
    """Values worse than the median by rank, mirrored from Vizier's, which maximises.

    With M the median, u the different values and D the root mean square of u - M over u <= M
    (over all u where that is 0), a value above M of rank k from the worst becomes
    M - D Phi^-1((k - 1/2) / (2 h)), h the number of u above M, and a half more if M is one of
    u. :class:`HalfRank` counts equal values each for itself, and has a median that is a value.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.surrogates.transforms import ViziersRank
        >>> values = jnp.array([1.0, 2.0, 3.0, 99.0])
        >>> fitted = ViziersRank().fit(values, jnp.ones(4, bool))
        >>> [round(x, 2) for x in fitted(values).tolist()]
        [1.0, 2.0, 2.86, 3.79]
    """

    def fit(self, values, mask) -> Knots:
        """Warped values of `[N]` values over an `[N]` mask, as knots."""
        knots, kept = ordered(values, mask)
        n = jnp.sum(mask, dtype=jnp.int32)
        last = jnp.maximum(n - 1, 0)
        median = 0.5 * knots[last // 2] + 0.5 * knots[n // 2 * (n > 0).astype(n.dtype)]
        # A value that differs from the one before it stands for all that are equal to it.
        first = kept & jnp.concatenate([jnp.ones(1, bool), knots[1:] != knots[:-1]])
        good = first & (knots <= median)

        def root_mean_square(chosen):
            apart = jnp.where(chosen, knots - median, 0.0)
            largest = jnp.max(jnp.abs(apart))
            unit = jnp.where(largest > 0, largest, 1.0)
            count = jnp.maximum(jnp.sum(chosen.astype(knots.dtype)), 1.0)
            return unit * jnp.sqrt(jnp.sum((apart / unit) ** 2) / count)

        spread = root_mean_square(good)
        spread = jnp.where(spread > 0, spread, root_mean_square(first))
        place = jnp.cumsum(first.astype(knots.dtype))  # from the best, 1 up
        above = jnp.sum((first & (knots > median)).astype(knots.dtype))
        whole = above + 0.5 * jnp.any(kept & (knots == median)).astype(knots.dtype)
        rank = jnp.max(jnp.where(kept, place, 0.0)) + 1.0 - place
        quantile = 0.5 * (rank - 0.5) / jnp.maximum(whole, 0.5)
        bad = kept & (knots > median)
        deviate = jax.scipy.special.ndtri(jnp.where(bad, quantile, 0.5))
        return _knots(knots, jnp.where(bad, median - spread * deviate, knots), n, False)


@pytree
@dataclass(frozen=True)
class Shift:
    """Values less a mixture of their mean and of what a failure would get; Vizier's last step.

    With n values p = (n + 1/2) / (n + 1) of the mean, and 1 - p of
    max + (max - min) / 2 + 1, as if there were half a failure more. Equal values become 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.surrogates.transforms import Shift
        >>> fitted = Shift().fit(jnp.array([-0.5, 0.5]), jnp.ones(2, bool))
        >>> round(float(fitted.shift), 4)  # 5/6 of 0, and 1/6 of 2
        0.3333
    """

    def fit(self, values, mask) -> Affine:
        """The shift for `[N]` values over an `[N]` mask."""
        low, high = extremes(values, mask)
        n = jnp.sum(mask.astype(values.dtype))
        mean = jnp.sum(jnp.where(mask, values, 0.0)) / jnp.maximum(n, 1.0)
        part = (n + 0.5) / (n + 1.0)
        failure = high + (0.5 * high - 0.5 * low) + 1.0
        shift = jnp.where(high > low, part * mean + (1.0 - part) * failure, mean)
        return Affine(shift, jnp.ones((), values.dtype))
