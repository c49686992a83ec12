"""Freeze-thaw: trials train a step at a time, and after each the best use of the next is chosen.

K. Swersky, J. Snoek and R. P. Adams, "Freeze-thaw Bayesian optimization", 2014 (arXiv:1406.3896),
section 4: a trial that has trained a step is frozen, and may be thawed for another at any time;
or a new one is begun. No trial need ever be given up, and none has to be trained to the end.

Who is thawed, a model of the learning curves decides, which is no part of a scheduler: whoever
has one says in what order free slots are to be filled (`prefer` of `_freezing.py`), as
`bojax.coordinate.freeze_thaw` does before every turn. Without such advice a new trial is begun
whenever the trials so far have cost their share of the budget, and the frozen one of best value
is thawed in between.

Ours: with advice, nothing is trained that the budget left could not take to the end, so that the
last of it finishes what is best.
"""

from __future__ import annotations

import math

from bojax.errors import SchedulerError
from bojax.schedulers._freezing import FreezeThawScheduler
from bojax.schedulers._settings import budget_range, integer

STEPS = 27  # of a curve, where nothing is said: a line of the model each
# What successive halving by 3 spends on a trial: as much on each of its rungs as on the first,
# but for what resuming saves.
HALVING = 3.0


def freeze_thaw(
    *,
    max_budget: int = 27,
    min_budget: int = 1,
    every: int | None = None,
    mean_budget: float | None = None,
    basket: int | None = None,
    slots: int = 1,
    trials: int | None = None,
) -> FreezeThawScheduler:
    """Train trials a step at a time, going on with whichever is preferred, or with a new one.

    Its best configuration is the one of best last value, however far it was trained.

    Args:
        max_budget: where a trial is done at the latest; the horizon of schedules.
        min_budget: the first step of a trial.
        every: every further step; None for a 27th of `max_budget`, at least 1.
        mean_budget: the run ends when so much is spent for each of its trials, and at least
            `max_budget` in all; at least `min_budget`. None for what successive halving spends:
            `min_budget (1 + 2/3 log_3(max_budget / min_budget))`.
        basket: frozen trials that are kept when advice says which; the others are stopped, and
            their states need not be stored any more. None for all of them.
        slots: jobs given out and not reported at most: the model is asked once for so many.
        trials: trials to start at most; None if `extend` will say. With advice it may be fewer.

    Returns:
        A :class:`Scheduler`, which takes advice by `candidates()` and `prefer(order)`.

    Raises:
        SchedulerError: a setting makes no sense.

    Example:
        >>> import bojax
        >>> scheduler = bojax.schedulers.freeze_thaw(max_budget=9, trials=16)
        >>> for value in (0.5, 0.7):
        ...     (job,) = scheduler.next_jobs(1)
        ...     (decision,) = scheduler.report(job.trial, job.stop, value)
        >>> scheduler.candidates()
        Candidates(frozen=[0], fresh=1, slots=1)
        >>> scheduler.prefer([None, 0])
        >>> scheduler.next_jobs(1)
        [Job(trial=1, start=0, stop=1, clone_of=None, donors=())]
    """
    min_budget, max_budget = budget_range(min_budget, max_budget)
    if every is None:
        every = max(1, round(max_budget / STEPS))
    if mean_budget is None:
        rungs = math.log(max_budget / min_budget) / math.log(HALVING)
        mean_budget = min_budget * (1.0 + (1.0 - 1.0 / HALVING) * rungs)
    number = isinstance(mean_budget, (int, float)) and not isinstance(mean_budget, bool)
    if not number or not min_budget <= mean_budget < math.inf:
        raise SchedulerError(
            f"mean_budget must be a number of at least min_budget={min_budget}, got "
            f"{mean_budget!r}; a trial takes that much to be begun."
        )
    settings = {
        "max_budget": max_budget,
        "min_budget": min_budget,
        "every": integer("every", every),
        "mean_budget": float(mean_budget),
        "basket": None if basket is None else integer("basket", basket),
        "slots": integer("slots", slots),
    }
    return FreezeThawScheduler(settings, trials)
