"""Methods that join a strategy and a scheduler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Method:
    """A strategy and the scheduler that gives its trials their budgets.

    Attributes:
        name: of the method.
        strategy: what suggests configurations.
        scheduler: name of the scheduler and its settings, as `Sweep(scheduler=...)` takes them.

    Example:
        >>> import bojax
        >>> bojax.coordinate.gp_hyperband(max_budget=9).scheduler["name"]
        'hyperband'
    """

    name: str
    strategy: Any
    scheduler: dict[str, Any]
