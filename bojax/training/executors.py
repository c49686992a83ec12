"""Which executor a unit of budgets needs."""

from __future__ import annotations

from typing import Any

from bojax.training.budgets import SIZES
from bojax.training.executor import LocalExecutor
from bojax.training.replicated import ReplicatedExecutor
from bojax.training.resized import ResizedExecutor


def executor_of(task: Any, space: Any, data: Any, *, unit: str, **settings: Any) -> Any:
    """The executor of this unit, with its settings; see :class:`LocalExecutor`."""
    if unit in SIZES:
        return ResizedExecutor(task, space, data, unit=unit, **settings)
    settings.pop("sizes", None)
    if unit == "replicas":
        return ReplicatedExecutor(task, space, data, unit=unit, **settings)
    return LocalExecutor(task, space, data, unit=unit, **settings)
