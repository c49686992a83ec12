"""Brackets whose budget counts replicas, and which see the value of every one of them.

A replica is a whole training on one fold, or with one seed. Replica r of a trial and replica r of
another are a pair: they were judged on the same examples. What the schedulers on top decide is
who is worth another replica.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from bojax.errors import SchedulerError
from bojax.history import Decision, Status
from bojax.schedulers._brackets import Bracket, BracketScheduler
from bojax.schedulers._ranking import Value, checked, first
from bojax.schedulers._settings import check_status, integer

MAX_REPLICAS = 10  # ten folds: R. Kohavi, "A study of cross-validation and bootstrap", IJCAI 1995


class ReplicaScheduler(BracketScheduler):
    """Brackets whose members stay as long as they may be the best, told by paired replicas.

    Args:
        method, settings: as of brackets; of the settings, `max_budget` is the number of replicas
            in all, `startup` that of the first look, `every` those between looks.
        trials: to start in all, or None.
        size: trials of a bracket; None for all.

    Attributes:
        unit: what its budgets count.
    """

    unit = "replicas"

    def __init__(
        self, method: str, settings: dict[str, Any], trials: int | None, size: int | None
    ) -> None:
        self._replicas = integer("max_budget", settings["max_budget"])
        startup = integer("startup", settings["startup"], least=2)
        every = integer("every", settings["every"])
        if startup > self._replicas:
            raise SchedulerError(
                f"startup must not exceed max_budget, got startup={startup}, max_budget="
                f"{self._replicas}; {method} compares replicas, give more folds or seeds."
            )
        if size is not None:
            size = integer("bracket", size)
        self._told: dict[int, list[float]] = {}  # trial -> what its job of this rung brought
        self._seen: dict[int, list[float]] = {}  # trial of this bracket -> a value a replica
        self._best: tuple[int, list[float]] | None = None  # of those that had all replicas
        looks = (*range(startup, self._replicas, every), self._replicas)
        super().__init__(method, settings, (Bracket(size, looks),), 2, trials)  # no eta

    def _members_of(self, size: int, bracket: int) -> list[int]:
        return [size for _ in self._budgets(bracket)]

    def report(
        self,
        trial: int,
        budget: float,
        value: Value,
        *,
        status: Status = Status.DONE,
        each: Sequence[Value] | None = None,
    ) -> list[Decision]:
        """Take in a trial's job.

        Args:
            trial, budget, status: as of brackets.
            value: of the job, minimised; of several metrics the first counts.
            each: a value for each of the job's replicas, in their order; without it, all of
                them had `value`.

        Returns:
            As of brackets.

        Raises:
            SchedulerError: as of brackets; or `each` has not one value a replica.
        """
        self._check_report(trial, budget)
        check_status(trial, status)
        if status == Status.DONE and checked(trial, value, self._values.values()) is not None:
            told = self._of_each(trial, value, each)
            if all(map(math.isfinite, told)):
                self._told[trial] = told
            else:
                value = math.nan
        return super().report(trial, budget, value, status=status)

    def _of_each(self, trial: int, value: Value, each: Sequence[Value] | None) -> list[float]:
        job = self._job(trial)
        count = int(job.stop - job.start)
        if each is None:
            each = [checked(trial, value) or 0.0] * count
        if len(each) != count:
            raise SchedulerError(
                f"trial {trial}: its job is of {count} replicas, got {len(each)} values; report "
                "one for each of them."
            )
        return [float(first(v if not isinstance(v, list) else tuple(v))) for v in each]

    def _close_rung(self) -> list[Decision]:
        bracket = self._bracket
        self._seen = {
            trial: [*self._seen.get(trial, ()), *self._told[trial]]
            for trial, value in sorted(self._values.items())
            if value is not None
        }
        self._told = {}
        decisions = super()._close_rung()
        if self._bracket == bracket:
            self._seen = {trial: self._seen[trial] for trial in self._members or ()}
        else:
            whole = [(t, v) for t, v in self._seen.items() if len(v) == self._replicas]
            before = [] if self._best is None else [self._best]
            # The first of equal ones, which is the earlier trial.
            self._best = min([*before, *whole], key=lambda pair: mean(pair[1]), default=None)
            self._seen = {}
        return decisions

    def state(self) -> dict[str, Any]:
        """As of brackets, with the values of all replicas that are still to be compared."""
        listed = lambda values: [[trial, list(values[trial])] for trial in sorted(values)]  # noqa: E731
        best = None if self._best is None else [self._best[0], list(self._best[1])]
        own = {"told": listed(self._told), "seen": listed(self._seen), "best": best}
        return {**super().state(), **own}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        super().restore(state)
        self._told = {trial: list(values) for trial, values in state["told"]}
        self._seen = {trial: list(values) for trial, values in state["seen"]}
        best = state["best"]
        self._best = None if best is None else (best[0], list(best[1]))


def mean(values: Sequence[float]) -> float:
    """Of at least one; the same whatever the order."""
    return math.fsum(values) / len(values)


def probability(name: str, value: Any, usual: float) -> float:
    """A number strictly between 0 and 1, or a SchedulerError that names the setting."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1:
        raise SchedulerError(f"{name} must be between 0 and 1, got {value!r}; {usual} is usual.")
    return float(value)
