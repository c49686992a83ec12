"""Strategies: what decides which configurations to try; one method a file.

A new one is a file, a row in `NAMES` and a row in the documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bojax.errors import ConfigError
from bojax.strategies._explain import Explanation
from bojax.strategies._gp import GPStrategy, gp
from bojax.strategies._grid import Grid, grid
from bojax.strategies._model_based import ModelBased, model_based
from bojax.strategies._random import Random, random
from bojax.strategies._sobol import Sobol, sobol
from bojax.strategies._stopping import Stopping
from bojax.strategies._tpe import TPE, tpe
from bojax.strategies._turbo import Turbo, turbo
from bojax.strategies.protocol import Info, Sizes, Strategy

NAMES: dict[str, Callable[..., Any]] = {
    "gp": gp,
    "grid": grid,
    "random": random,
    "sobol": sobol,
    "tpe": tpe,
    "turbo": turbo,
}
# `model_based` has no name: what it is made of are objects, which only their owner can name.

__all__ = [
    "NAMES",
    "TPE",
    "Explanation",
    "GPStrategy",
    "Grid",
    "Info",
    "ModelBased",
    "Random",
    "Sizes",
    "Sobol",
    "Stopping",
    "Strategy",
    "Turbo",
    "by_name",
    "from_description",
    "gp",
    "grid",
    "model_based",
    "random",
    "sobol",
    "to_description",
    "tpe",
    "turbo",
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


def to_description(strategy: Any) -> dict[str, Any]:
    """A strategy of this package as JSON-able data; of another, its type's name alone.

    Example:
        >>> import bojax
        >>> bojax.strategies.to_description(bojax.strategies.random())
        {'name': 'random', 'settings': {}}
    """
    for name, make in NAMES.items():
        if type(make()) is type(strategy):
            fields = {f: getattr(strategy, f) for f in strategy.__dataclass_fields__}
            surrogate = fields.pop("surrogate", None)
            if surrogate is not None:
                if surrogate.custom is not None:
                    return {"name": None, "settings": {"type": "gp with a kernel of its own"}}
                for part in ("kernel", "recipe", "conditional"):
                    fields[part] = getattr(surrogate, part)
            return {"name": name, "settings": fields}
    return {"name": None, "settings": {"type": type(strategy).__name__}}


def from_description(data: Mapping[str, Any]) -> Any:
    """The strategy that :func:`to_description` described.

    Raises:
        ConfigError: it is none of this package.

    Example:
        >>> import bojax
        >>> bojax.strategies.from_description({"name": "random", "settings": {}})
        Random()
    """
    if data["name"] not in NAMES:
        raise ConfigError(
            f"strategy: saved with {data['settings'].get('type', data['name'])!r}, which bojax "
            "does not have; pass it again with strategy=."
        )
    return NAMES[data["name"]](**data["settings"])
