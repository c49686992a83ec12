"""The median stopping rule: who is behind the middle of the field stops.

D. Golovin, B. Solnik, S. Moitra, G. Kochanski, J. Karro and D. Sculley, "Google Vizier: A service
for black-box optimization", KDD 2017: a trial stops when its best value so far is strictly worse
than the median of the others. There the others give their running means; here, as in Optuna's
`MedianPruner`, their values at the same budget, which falling losses do not drag behind.
"""

from __future__ import annotations

from bojax.schedulers._quantile_stopping import STARTUP, QuantileScheduler


def median(
    *,
    max_budget: int = 27,
    min_budget: int = 1,
    every: int = 1,
    startup: int = STARTUP,
    trials: int | None = None,
    bracket: int | None = None,
) -> QuantileScheduler:
    """Train every trial until its best value falls behind the median of the others.

    Args:
        max_budget: where every trial stops at the latest; the horizon of schedules.
        min_budget: warm-up: before the first look.
        every: budget between looks.
        startup: a trial is not judged at a budget that fewer other trials have been seen at.
        trials: trials to start in all; None if `extend` will say.
        bracket: trials that are started, and looked at, together; all by default. The first
            `startup` of them are never stopped if they are a bracket of their own.

    Returns:
        A :class:`Scheduler`. Its plan is that of trials that all go on to the end. Of several
        metrics the first one counts.

    Raises:
        SchedulerError: a setting makes no sense.

    Example:
        >>> import bojax
        >>> scheduler = bojax.schedulers.median(max_budget=2, startup=2, trials=4)
        >>> len(scheduler.next_jobs(4))
        4
        >>> for trial, value in enumerate([0.7, 0.2, 0.5, 0.6]):
        ...     decisions = scheduler.report(trial, 1, value)
        >>> [decision.action for decision in decisions]
        ['stop', 'promote', 'promote', 'stop']
    """
    settings = {
        "max_budget": max_budget,
        "min_budget": min_budget,
        "every": every,
        "startup": startup,
        "bracket": bracket,
    }
    return QuantileScheduler("median", settings, 0.5, trials)
