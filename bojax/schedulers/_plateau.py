"""Every trial until it no longer improves: early stopping, each by its own curve.

L. Prechelt, "Early stopping - but when?", in Neural Networks: Tricks of the Trade (1998): stop
when the validation error has not fallen for so many looks. No trial is stopped for another's
sake, so this saves what overtraining costs and not what bad configurations cost.
"""

from __future__ import annotations

import math
from typing import Any

from bojax.errors import SchedulerError
from bojax.schedulers._brackets import Bracket, BracketScheduler
from bojax.schedulers._ranking import Value, first
from bojax.schedulers._settings import budget_range, integer


class PlateauScheduler(BracketScheduler):
    """Brackets in which every trial goes on until its own value stands still."""

    # Values at different budgets are compared: a trial that stopped early was done.
    any_budget = True

    def __init__(self, settings: dict[str, Any], shape: Bracket, trials: int | None) -> None:
        self._patience, self._delta = settings["patience"], settings["min_delta"]
        self._looks: dict[int, tuple[float, int]] = {}  # trial -> best value, looks since
        super().__init__("plateau", settings, (shape,), 2, trials)  # eta plays no part

    def _members_of(self, size: int, bracket: int) -> list[int]:
        return [size for _ in self._budgets(bracket)]

    def _survivors(self, values: dict[int, Value]) -> list[int]:
        """Those that still improve, by their first metric."""
        looks = {}
        for trial, value in values.items():
            best, since = self._looks.get(trial, (math.inf, 0))
            better = first(value) < best - self._delta
            looks[trial] = (first(value), 0) if better else (best, since + 1)
        going = [trial for trial, (_, since) in looks.items() if since < self._patience]
        self._looks = {trial: looks[trial] for trial in going}
        return going

    def state(self) -> dict[str, Any]:
        """As of brackets, and what each trial's curve has shown."""
        looks = [[trial, *self._looks[trial]] for trial in sorted(self._looks)]
        return {**super().state(), "looks": looks}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        super().restore(state)
        self._looks = {trial: (best, since) for trial, best, since in state["looks"]}


def plateau(
    *,
    max_budget: int = 27,
    min_budget: int = 1,
    every: int = 1,
    patience: int = 3,
    min_delta: float = 0.0,
    trials: int | None = None,
    bracket: int | None = None,
) -> PlateauScheduler:
    """Train every trial until its value has not improved for `patience` looks.

    Its best configuration is the one of best last value, however far it was trained. A rung is a
    look at all trials that still train, so a large `every` costs fewer of them.

    Args:
        max_budget: where every trial stops at the latest; the horizon of schedules.
        min_budget: before the first look.
        every: budget between looks.
        patience: looks without improvement after which a trial is stopped.
        min_delta: what a value must fall by to count as improved, at least 0; in the metric's
            unit.
        trials: trials to start in all; None if `extend` will say.
        bracket: trials that are started together; all by default.

    Returns:
        A :class:`Scheduler`. Its plan is that of trials that all go on to the end.

    Raises:
        SchedulerError: a setting makes no sense.

    Example:
        >>> import bojax
        >>> scheduler = bojax.schedulers.plateau(max_budget=9, patience=2, trials=1)
        >>> for budget, value in [(1, 0.9), (2, 0.5), (3, 0.6), (4, 0.5)]:
        ...     (job,) = scheduler.next_jobs(1)
        ...     (decision,) = scheduler.report(0, budget, value)
        >>> decision.action, scheduler.next_jobs(1)
        ('stop', <Signal.DONE: 'done'>)
    """
    min_budget, max_budget = budget_range(min_budget, max_budget)
    every, patience = integer("every", every), integer("patience", patience)
    number = isinstance(min_delta, (int, float)) and not isinstance(min_delta, bool)
    if not number or not 0 <= min_delta < math.inf:
        raise SchedulerError(f"min_delta must be a number of at least 0, got {min_delta!r}.")
    if bracket is not None:
        bracket = integer("bracket", bracket)
    budgets = (*range(min_budget, max_budget, every), max_budget)
    settings = {
        "max_budget": max_budget,
        "min_budget": min_budget,
        "every": every,
        "patience": patience,
        "min_delta": min_delta,
        "bracket": bracket,
    }
    return PlateauScheduler(settings, Bracket(bracket, budgets), trials)
