"""Wilcoxon stopping: who is worse than the best on the same folds is given no more of them.

After Optuna's `WilcoxonPruner` (T. Akiba et al., "Optuna", KDD 2019; F. Wilcoxon, "Individual
comparisons by ranking methods", Biometrics Bulletin 1, 1945): after every replica the trial's
values and those of the best trial so far on the same replicas are compared by a one-sided
signed-rank test; the trial stops where p is below 0.1. Zero differences count half for either
side, and a trial whose mean is no worse goes on whatever the test says.

Ours: the means compared are those of the same replicas (there: of all the best trial has), so that
easy folds at the beginning protect nobody; p is exact also with ties; trials come in brackets, for
populations, and meet the best of the brackets before theirs.

The p of n replicas is at least 1 / 2^n: with 0.1 nobody is stopped before the fourth. Of five
folds this saves a fifth at most, of twenty replicas most of them; with few folds see `racing`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bojax.schedulers._ranking import Value
from bojax.schedulers._replicas import MAX_REPLICAS, ReplicaScheduler, mean, probability
from bojax.stats import signed_rank_p_value

THRESHOLD = 0.1  # as Optuna's; larger stops more trials, and more of them wrongly
STARTUP = 2  # as Optuna's
BRACKET = 8  # ours: as many members as two cores train at once; all of the first are seen through


class WilcoxonScheduler(ReplicaScheduler):
    """Brackets in which a trial goes on until it is worse than the best before it."""

    def _survivors(self, values: dict[int, Value]) -> list[int]:
        if self._best is None:  # in the first bracket
            return list(values)
        best = self._best[1]
        return [trial for trial in values if not self._worse(self._seen[trial], best)]

    def _worse(self, mine: list[float], best: list[float]) -> bool:
        theirs = best[: len(mine)]
        if mean(mine) <= mean(theirs):
            return False
        return signed_rank_p_value(np.subtract(mine, theirs)) < self._settings["threshold"]


def wilcoxon(
    *,
    max_budget: int = MAX_REPLICAS,
    threshold: float = THRESHOLD,
    startup: int = STARTUP,
    every: int = 1,
    trials: int | None = None,
    bracket: int | None = None,
) -> WilcoxonScheduler:
    """Evaluate trials on one fold or seed after another until they are worse than the best.

    Its budgets count replicas, and `report(..., each=values)` takes the value of each: in a sweep,
    `Sweep(unit="replicas", scheduler="wilcoxon")`.

    Args:
        max_budget: replicas in all: folds, seeds, instances.
        threshold: of p, between 0 and 1; a trial whose p is below it is stopped.
        startup: replicas before the first look, at least 2.
        every: replicas between looks.
        trials: trials to start in all; None if `extend` will say.
        bracket: trials that are started together, 8 if None; those of the first are all evaluated
            whole. Smaller ones find somebody to compare with sooner.

    Returns:
        A :class:`Scheduler`. Its plan is that of trials that all go on to the end.

    Raises:
        SchedulerError: a setting makes no sense.

    Example:
        >>> import bojax
        >>> scheduler = bojax.schedulers.wilcoxon(max_budget=5, startup=4, trials=2, bracket=1)
        >>> results = [[0.2, 0.3, 0.6, 0.4, 0.4], [0.3, 0.5, 0.7, 0.7, 0.5]]
        >>> while (jobs := scheduler.next_jobs(1)) is not bojax.schedulers.DONE:
        ...     for job in jobs:
        ...         each = results[job.trial][job.start : job.stop]
        ...         value = sum(each) / len(each)
        ...         (decision,) = scheduler.report(job.trial, job.stop, value, each=each)
        ...         print(job.trial, job.stop, decision.action)
        0 4 promote
        0 5 stop
        1 4 stop
    """
    settings: dict[str, Any] = {
        "max_budget": max_budget,
        "threshold": probability("threshold", threshold, THRESHOLD),
        "startup": startup,
        "every": every,
        "bracket": BRACKET if bracket is None else bracket,
    }
    return WilcoxonScheduler("wilcoxon", settings, trials, settings["bracket"])
