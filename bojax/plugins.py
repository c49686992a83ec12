"""Strategies and schedulers of other packages, found by their entry points.

A package that declares `bojax.strategies` or `bojax.schedulers` in its metadata is known by name
wherever one of ours is; `examples/own_strategy` is one. Nothing is imported before it is asked
for by its name.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

GROUPS = ("bojax.strategies", "bojax.schedulers")


def names(group: str) -> tuple[str, ...]:
    """What installed packages offer, in order.

    Example:
        >>> from bojax import plugins
        >>> plugins.names("bojax.nothing")
        ()
    """
    return tuple(sorted({entry.name for entry in entry_points(group=group)}))


def load(group: str, name: str) -> Any:
    """What a name stands for, imported; None where no package offers it.

    Raises:
        ImportError: its package cannot be imported, naming it.

    Example:
        >>> from bojax import plugins
        >>> plugins.load("bojax.nothing", "x") is None
        True
    """
    for entry in entry_points(group=group, name=name):
        try:
            return entry.load()
        except Exception as error:
            raise ImportError(
                f"{group}: {name!r} is offered by {entry.value!r}, which cannot be loaded: "
                f"{type(error).__name__}: {error}."
            ) from error
    return None
