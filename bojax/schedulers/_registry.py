"""Schedulers by name: one row a method."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from bojax import plugins
from bojax.errors import SchedulerError
from bojax.schedulers._asha import asha
from bojax.schedulers._freeze_thaw import freeze_thaw
from bojax.schedulers._full_budget import full_budget
from bojax.schedulers._hyperband import hyperband
from bojax.schedulers._median import median
from bojax.schedulers._pb2 import pb2
from bojax.schedulers._pbt import pbt
from bojax.schedulers._percentile import percentile
from bojax.schedulers._plateau import plateau
from bojax.schedulers._protocol import Scheduler
from bojax.schedulers._racing import racing
from bojax.schedulers._successive_halving import successive_halving
from bojax.schedulers._wilcoxon import wilcoxon

METHODS: dict[str, Callable[..., Scheduler]] = {
    "asha": asha,
    "freeze_thaw": freeze_thaw,
    "full_budget": full_budget,
    "hyperband": hyperband,
    "median": median,
    "percentile": percentile,
    "pb2": pb2,
    "pbt": pbt,
    "plateau": plateau,
    "racing": racing,
    "successive_halving": successive_halving,
    "wilcoxon": wilcoxon,
}


GROUP = "bojax.schedulers"  # of entry points of other packages, see `bojax.plugins`


def method(name: str) -> Callable[..., Scheduler]:
    """What makes the schedulers of that name, ours or another package's.

    Raises:
        SchedulerError: nobody has it.

    Example:
        >>> from bojax.schedulers import method
        >>> method("full_budget").__name__
        'full_budget'
    """
    make = METHODS.get(name) or plugins.load(GROUP, name)
    if make is None:
        known = ", ".join(sorted({*METHODS, *plugins.names(GROUP)}))
        raise SchedulerError(f"scheduler {name!r}: unknown; expected one of {known}.")
    return make


def by_name(name: str, **settings: Any) -> Scheduler:
    """The scheduler of that name, with those settings.

    Raises:
        SchedulerError: unknown name, or a setting that the method does not have.

    Example:
        >>> import bojax
        >>> bojax.schedulers.by_name("full_budget", max_budget=9, trials=4)
        full_budget(max_budget=9, bracket=None, trials=4)
    """
    make = method(name)
    known = inspect.signature(make).parameters
    for setting in settings:
        if setting not in known:
            raise SchedulerError(
                f"{name}: no setting {setting!r}; expected one of {', '.join(known)}."
            )
    return make(**settings)
