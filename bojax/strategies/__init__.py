"""Strategies: what decides which configurations to try; one method a file.

A new one is a file, a row in `NAMES` and a row in the documentation. Those of other packages are
found by their entry points (:mod:`bojax.plugins`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bojax import plugins
from bojax.errors import ConfigError
from bojax.strategies._cmaes import CMAES, cmaes
from bojax.strategies._coarse_to_fine import CoarseToFine, coarse_to_fine
from bojax.strategies._de import DE, de
from bojax.strategies._dehb import DEHB
from bojax.strategies._evolution import Evolution, evolution
from bojax.strategies._explain import Explanation
from bojax.strategies._forest import ForestStrategy, forest
from bojax.strategies._gp import GPStrategy, gp
from bojax.strategies._grid import Grid, grid
from bojax.strategies._kde import KernelDensity
from bojax.strategies._model_based import ModelBased, model_based
from bojax.strategies._nsga2 import NSGA2, nsga2
from bojax.strategies._random import Random, random
from bojax.strategies._sobol import Sobol, sobol
from bojax.strategies._stopping import Stopping
from bojax.strategies._tpe import TPE, tpe
from bojax.strategies._turbo import Turbo, turbo
from bojax.strategies.protocol import Info, Sizes, Strategy

NAMES: dict[str, Callable[..., Any]] = {
    "cmaes": cmaes,
    "coarse_to_fine": coarse_to_fine,
    "de": de,
    "dehb": DEHB,  # the populations of `bojax.coordinate.dehb`, by themselves
    "evolution": evolution,
    "forest": forest,
    "gp": gp,
    "grid": grid,
    "kde": KernelDensity,  # the model of `bojax.coordinate.bohb`, by itself
    "nsga2": nsga2,
    "random": random,
    "sobol": sobol,
    "tpe": tpe,
    "turbo": turbo,
}
GROUP = "bojax.strategies"  # of entry points
# `model_based` has no name: what it is made of are objects, which only their owner can name.

__all__ = [
    "CMAES",
    "DE",
    "DEHB",
    "NAMES",
    "NSGA2",
    "TPE",
    "CoarseToFine",
    "Evolution",
    "Explanation",
    "ForestStrategy",
    "GPStrategy",
    "Grid",
    "Info",
    "KernelDensity",
    "ModelBased",
    "Random",
    "Sizes",
    "Sobol",
    "Stopping",
    "Strategy",
    "Turbo",
    "by_name",
    "cmaes",
    "coarse_to_fine",
    "de",
    "evolution",
    "forest",
    "from_description",
    "gp",
    "grid",
    "model_based",
    "names",
    "nsga2",
    "random",
    "sobol",
    "to_description",
    "tpe",
    "turbo",
]


def names() -> tuple[str, ...]:
    """Every strategy that has a name, ours and those of installed packages.

    Example:
        >>> import bojax
        >>> "gp" in bojax.strategies.names()
        True
    """
    return (*NAMES, *(name for name in plugins.names(GROUP) if name not in NAMES))


def _maker(name: str) -> Callable[..., Any] | None:
    return NAMES.get(name) or plugins.load(GROUP, name)


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
        make = _maker(strategy)
        if make is None:
            known = ", ".join(names())
            raise ValueError(f"strategy: unknown name {strategy!r}; expected one of {known}.")
        return make()
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
    ours = type(strategy).__module__.split(".")[0] == "bojax"
    for name in NAMES if ours else names():  # others are imported only to be compared with others
        make = _maker(name)
        if make is not None and type(make()) is type(strategy):
            fields = {f: getattr(strategy, f) for f in strategy.__dataclass_fields__}
            if "inner" in fields:  # a strategy within a strategy
                fields["inner"] = to_description(fields["inner"])
                if fields["inner"]["name"] is None:
                    return {"name": None, "settings": {"type": type(strategy).__name__}}
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
    make = None if data["name"] is None else _maker(data["name"])
    if make is None:
        raise ConfigError(
            f"strategy: saved with {data['settings'].get('type', data['name'])!r}, which bojax "
            "does not have; pass it again with strategy=."
        )
    settings = dict(data["settings"])
    if isinstance(settings.get("inner"), Mapping):
        settings["inner"] = from_description(settings["inner"])
    return make(**settings)
