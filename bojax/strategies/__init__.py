"""Strategies: what decides which configurations to try; one method a file.

A new one is a file, a row in `NAMES` and a row in the documentation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bojax.strategies._gp import GPStrategy, gp
from bojax.strategies._random import Random, random
from bojax.strategies._sobol import Sobol, sobol
from bojax.strategies.protocol import Info, Sizes, Strategy

NAMES: dict[str, Callable[..., Any]] = {"gp": gp, "random": random, "sobol": sobol}

__all__ = [
    "NAMES",
    "GPStrategy",
    "Info",
    "Random",
    "Sizes",
    "Sobol",
    "Strategy",
    "by_name",
    "gp",
    "random",
    "sobol",
]


def by_name(strategy: Any) -> Any:
    """A strategy from its name, or the strategy itself.

    Raises:
        ValueError: unknown name, or no strategy at all.

    Example:
        >>> import bojax
        >>> bojax.strategies.by_name("random")
        Random()
    """
    if isinstance(strategy, str):
        if strategy not in NAMES:
            raise ValueError(
                f"strategy: unknown name {strategy!r}; expected one of {', '.join(NAMES)}."
            )
        return NAMES[strategy]()
    if not isinstance(strategy, Strategy):
        raise ValueError(
            f"strategy: expected a name or an object with init, ask and tell, got {strategy!r}."
        )
    return strategy
