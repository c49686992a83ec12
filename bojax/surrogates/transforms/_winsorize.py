"""Bad values are cut off where a box plot calls them outliers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp

from bojax.pytrees import pytree
from bojax.surrogates.transforms._masked import quantile

# Interquartile ranges beyond the third quartile: Tukey (1977), and the bad side of Ax 1.3.
# Of normal values 0.35 % lie beyond; a smaller margin cuts what is no outlier.
MARGIN = 1.5


def winsorize(values, mask, *, margin: float = MARGIN):
    """Values above Q3 + margin (Q3 - Q1) become that; good outliers stay.

    Ax's rule for an objective to be minimised, with quartiles interpolated linearly (numpy's
    default; Ax rounds both outwards to an observed value).

    Args:
        values: `[N]`, smaller is better; what is masked out may be NaN.
        mask: `[N]` bool.
        margin: interquartile ranges, 0 or more.

    Returns:
        `[N]`; masked lines are 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.surrogates.transforms import winsorize
        >>> winsorize(jnp.array([-90.0, 1.0, 2.0, 3.0, 90.0]), jnp.ones(5, bool)).tolist()
        [-90.0, 1.0, 2.0, 3.0, 6.0]
    """
    return jnp.where(mask, Winsorize(margin).fit(values, mask)(values), 0.0)


@pytree
@dataclass(frozen=True)
class Winsorize:
    """:func:`winsorize` as a transform to fit.

    Attributes:
        margin: interquartile ranges beyond the third quartile, 0 or more.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.surrogates.transforms import Winsorize
        >>> float(Winsorize(margin=0.5).fit(jnp.arange(5.0), jnp.ones(5, bool)).high)
        4.0
    """

    margin: float = field(default=MARGIN, metadata={"static": True})

    def __post_init__(self) -> None:
        if not self.margin >= 0:
            raise ValueError(f"winsorize: margin must be 0 or more, got {self.margin}.")

    def fit(self, values, mask) -> Clip:
        """The cut of `[N]` values over an `[N]` mask."""
        first, third = quantile(values, mask, 0.25), quantile(values, mask, 0.75)
        high = third + self.margin * (third - first)
        # Where quartiles lie at both ends of a precision, nothing is an outlier.
        return Clip(jnp.where(jnp.any(mask) & jnp.isfinite(high), high, jnp.inf))


@pytree
@dataclass(frozen=True)
class Clip:
    """Fitted :class:`Winsorize`: the smaller of value and cut.

    Attributes:
        high: the cut, in the values' unit.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.surrogates.transforms import Clip
        >>> Clip(2.0)(jnp.array([1.0, 5.0])).tolist()
        [1.0, 2.0]
    """

    high: Any

    def __call__(self, values):
        """Clipped values, of any shape."""
        return jnp.minimum(values, self.high)

    def inverse(self, values):
        """The identity: what was cut off is not known, and a belief beyond the cut stays (Ax)."""
        return values
