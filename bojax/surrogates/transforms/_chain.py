"""Transforms by name, and one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bojax.pytrees import pytree
from bojax.surrogates.transforms._affine import Standardize
from bojax.surrogates.transforms._log_warp import LogWarp
from bojax.surrogates.transforms._named import Hebo, Shift, ViziersRank
from bojax.surrogates.transforms._power import BoxCox, YeoJohnson
from bojax.surrogates.transforms._rank import HalfRank, Rank
from bojax.surrogates.transforms._winsorize import Winsorize

TRANSFORMS: dict[str, Callable[[], Any]] = {
    "standardize": Standardize,
    "winsorize": Winsorize,
    "yeo_johnson": YeoJohnson,
    "box_cox": BoxCox,
    "rank": Rank,
    "half_rank": HalfRank,
    "log_warp": LogWarp,
    "hebo": Hebo,
    "vizier": lambda: Chain((ViziersRank(), LogWarp(), Shift())),
}


def named(transform: Any) -> Any:
    """A transform from its name, or from several, the first one first.

    Args:
        transform: a name of `TRANSFORMS`, a transform, or a tuple of both.

    Raises:
        ValueError: a name that is none.

    Example:
        >>> from bojax.surrogates.transforms import named
        >>> named("winsorize").margin
        1.5
        >>> len(named(("half_rank", "log_warp")).parts)
        2
        >>> [type(part).__name__ for part in named("vizier").parts]
        ['ViziersRank', 'LogWarp', 'Shift']
    """
    if isinstance(transform, (tuple, list)):
        return Chain(tuple(named(part) for part in transform))
    if not isinstance(transform, str):
        return transform
    if transform not in TRANSFORMS:
        raise ValueError(f"transform: must be one of {', '.join(TRANSFORMS)}, got {transform!r}.")
    return TRANSFORMS[transform]()


@pytree
@dataclass(frozen=True)
class Chain:
    """Transforms one after the other, each fitted to what the one before leaves.

    Attributes:
        parts: transforms.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.surrogates.transforms import Chain, Standardize, Winsorize
        >>> values = jnp.array([1.0, 2.0, 3.0, 4.0, 99.0])
        >>> fitted = Chain((Winsorize(), Standardize())).fit(values, jnp.ones(5, bool))
        >>> fitted(values).round(2).tolist()[-1] < 2
        True
    """

    parts: tuple[Any, ...]

    def fit(self, values, mask) -> FittedChain:
        """All parts, in turn."""
        fitted = []
        for part in self.parts:
            fitted.append(part.fit(values, mask))
            values = fitted[-1](values)
        return FittedChain(tuple(fitted))


@pytree
@dataclass(frozen=True)
class FittedChain:
    """Fitted :class:`Chain`.

    Attributes:
        parts: fitted transforms.

    Example:
        >>> from bojax.surrogates.transforms import Affine, FittedChain
        >>> FittedChain((Affine(1.0, 1.0), Affine(0.0, 2.0))).inverse(3.0)
        7.0
    """

    parts: tuple[Any, ...]

    def __call__(self, values):
        """Warped values, of any shape."""
        for part in self.parts:
            values = part(values)
        return values

    def inverse(self, values):
        """Back in the values' unit."""
        for part in reversed(self.parts):
            values = part.inverse(values)
        return values
