"""The percentile stopping rule: who is not among the best so many per cent stops.

The median stopping rule of D. Golovin et al. ("Google Vizier", KDD 2017) at another percentile,
as Optuna's `PercentilePruner` (T. Akiba et al., "Optuna", KDD 2019) has it.
"""

from __future__ import annotations

from bojax.errors import SchedulerError
from bojax.schedulers._quantile_stopping import STARTUP, QuantileScheduler

PERCENTILE = 25.0  # of Optuna's own example; it has no default


def percentile(
    *,
    percentile: float = PERCENTILE,
    max_budget: int = 27,
    min_budget: int = 1,
    every: int = 1,
    startup: int = STARTUP,
    trials: int | None = None,
    bracket: int | None = None,
) -> QuantileScheduler:
    """Train every trial until its best value is not among the best `percentile` of the others.

    Args:
        percentile: 0 to 100: per cent of the others' values at the same budget that the trial's
            best must reach; 25 keeps about a quarter at each look, 50 is :func:`median`.
        max_budget, min_budget, every, startup, trials, bracket: as of :func:`median`.

    Returns:
        A :class:`Scheduler`. Its plan is that of trials that all go on to the end. Of several
        metrics the first one counts.

    Raises:
        SchedulerError: a setting makes no sense.

    Example:
        >>> import bojax
        >>> scheduler = bojax.schedulers.percentile(max_budget=2, startup=2, trials=5)
        >>> len(scheduler.next_jobs(5))
        5
        >>> for trial, value in enumerate([0.7, 0.2, 0.5, 0.3, 0.4]):
        ...     decisions = scheduler.report(trial, 1, value)
        >>> [decision.action for decision in decisions]
        ['stop', 'promote', 'stop', 'promote', 'stop']
    """
    number = isinstance(percentile, (int, float)) and not isinstance(percentile, bool)
    if not number or not 0 <= percentile <= 100:
        raise SchedulerError(f"percentile must be a number from 0 to 100, got {percentile!r}.")
    settings = {
        "percentile": percentile,
        "max_budget": max_budget,
        "min_budget": min_budget,
        "every": every,
        "startup": startup,
        "bracket": bracket,
    }
    return QuantileScheduler("percentile", settings, percentile / 100, trials)
