"""Stopping by a quantile of what others had at the same budget: core of median and percentile.

Trials of a bracket are looked at together, every so often. One whose best value so far is worse
than a quantile of the values that other trials, running or finished, had at that budget is
stopped. Trials stopped later count where they were seen: were only survivors counted, the
quantile would grow ever stricter.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from bojax.schedulers._brackets import Bracket, BracketScheduler
from bojax.schedulers._ranking import Value, first
from bojax.schedulers._settings import ROUNDING, budget_range, integer

STARTUP = 5  # as Optuna's MedianPruner (T. Akiba et al., "Optuna", KDD 2019)


class QuantileScheduler(BracketScheduler):
    """Brackets in which a trial goes on until it falls behind a quantile of the others.

    Args:
        method, settings: as of brackets; of the settings, `startup` is the number of others that
            must have been seen at a budget.
        quantile: between 0, the best of the others, and 1, the worst.
        trials: to start in all, or None.
    """

    def __init__(
        self, method: str, settings: dict[str, Any], quantile: float, trials: int | None
    ) -> None:
        low, high = budget_range(settings["min_budget"], settings["max_budget"])
        every = integer("every", settings["every"])
        self._startup = integer("startup", settings["startup"])
        size = settings["bracket"]
        if size is not None:
            size = integer("bracket", size)
        self._quantile = quantile
        self._seen: dict[int, list[float]] = {}  # budget -> values of all trials, rising
        self._best: dict[int, float] = {}  # trial -> best value so far, of those that train
        shape = Bracket(size, (*range(low, high, every), high))
        super().__init__(method, settings, (shape,), 2, trials)  # eta plays no part

    def _members_of(self, size: int, bracket: int) -> list[int]:
        return [size for _ in self._budgets(bracket)]

    def _survivors(self, values: dict[int, Value]) -> list[int]:
        """Those not behind the others, by their first metric."""
        budget = self._budgets(self._bracket)[self._rung]
        present = {trial: first(value) for trial, value in values.items()}
        seen = sorted([*self._seen.get(budget, ()), *present.values()])
        self._seen[budget] = seen
        best = {t: min(value, self._best.get(t, math.inf)) for t, value in present.items()}
        going = [
            trial
            for trial, value in present.items()
            if len(seen) - 1 < self._startup
            or best[trial] <= quantile_without(seen, bisect_left(seen, value), self._quantile)
        ]
        self._best = {trial: best[trial] for trial in going}
        return going

    def state(self) -> dict[str, Any]:
        """As of brackets, with the values seen at each budget and each trial's best."""
        seen = [[budget, list(self._seen[budget])] for budget in sorted(self._seen)]
        best = [[trial, self._best[trial]] for trial in sorted(self._best)]
        return {**super().state(), "seen": seen, "best": best}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        super().restore(state)
        self._seen = {budget: list(values) for budget, values in state["seen"]}
        self._best = dict(state["best"])


def quantile(rising: Sequence[float], share: float) -> float:
    """The quantile of sorted values, linear between two of them."""
    return quantile_without(rising, len(rising), share)


def quantile_without(rising: Sequence[float], left_out: int, share: float) -> float:
    """The quantile of sorted values but for the one at an index; linear between two of them."""
    count = len(rising) - (left_out < len(rising))
    place = (count - 1) * share
    below = math.floor(place + ROUNDING)  # a third of 3 is that value, not a little less
    between = max(place - below, 0.0)
    low = rising[below + (below >= left_out)]
    if between == 0.0:
        return low
    above = min(below + 1, count - 1)
    return low + (rising[above + (above >= left_out)] - low) * between
