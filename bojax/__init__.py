"""bojax: Bayesian optimization on JAX.

Three doors, one engine: :class:`Optimizer` (ask and tell from any Python code),
:class:`Sweep` (hundreds of Flax models in a few compiled programs) and ``bojax.loop``
(whole runs as one pure function). Everything here loads when it is first used, so
``import bojax`` costs no more than ``import jax``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public name -> module it lives in. Names that equal a module are that module.
_HOME = {
    "Space": "bojax.space",
    "Float": "bojax.space",
    "Int": "bojax.space",
    "Ordinal": "bojax.space",
    "Categorical": "bojax.space",
    "Boolean": "bojax.space",
    "Range": "bojax.space",
    "Normal": "bojax.space",
    "Linear": "bojax.space",
    "Simplex": "bojax.space",
    "Derived": "bojax.space",
    "Product": "bojax.space",
    "Trial": "bojax.history",
    "Status": "bojax.history",
    "Optimizer": "bojax.optimizer",
    "minimize": "bojax.optimizer",
    "maximize": "bojax.optimizer",
    "Sweep": "bojax.sweep",
    "Task": "bojax.training",
    "ArrayData": "bojax.training",
    "CrossValidation": "bojax.training",
    "Holdout": "bojax.training",
    "configure": "bojax.configuration",
    "BojaxError": "bojax.errors",
    "SpaceError": "bojax.errors",
    "ConfigError": "bojax.errors",
    "InfeasibleError": "bojax.errors",
    "SpaceExhausted": "bojax.errors",
    "TrialError": "bojax.errors",
    "DataError": "bojax.errors",
    "TestDataTouched": "bojax.errors",
    "TaskError": "bojax.errors",
    "SchedulerError": "bojax.errors",
    "StoreError": "bojax.errors",
    "StoreInUse": "bojax.errors",
}
_MODULES = (
    "acquisitions",
    "benchmark",
    "coordinate",
    "errors",
    "history",
    "kernels",
    "loop",
    "optimize",
    "schedulers",
    "space",
    "stats",
    "store",
    "strategies",
    "surrogates",
    "testing",
    "training",
)

__all__ = sorted([*_HOME, *_MODULES])


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return importlib.import_module(f"bojax.{name}")
    raise AttributeError(f"module 'bojax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


if TYPE_CHECKING:
    from bojax import (
        acquisitions,
        benchmark,
        coordinate,
        errors,
        history,
        kernels,
        loop,
        optimize,
        schedulers,
        space,
        stats,
        store,
        strategies,
        surrogates,
        testing,
        training,
    )
    from bojax.configuration import configure
    from bojax.errors import (
        BojaxError,
        ConfigError,
        DataError,
        InfeasibleError,
        SchedulerError,
        SpaceError,
        SpaceExhausted,
        StoreError,
        StoreInUse,
        TaskError,
        TestDataTouched,
        TrialError,
    )
    from bojax.history import Status, Trial
    from bojax.optimizer import Optimizer, maximize, minimize
    from bojax.space import (
        Boolean,
        Categorical,
        Derived,
        Float,
        Int,
        Linear,
        Normal,
        Ordinal,
        Product,
        Range,
        Simplex,
        Space,
    )
    from bojax.sweep import Sweep
    from bojax.training import ArrayData, Holdout, Task
