"""ASHA: successive halving without waiting for a rung to be full.

L. Li et al., "A system for massively parallel hyperparameter tuning", MLSys 2020, algorithm 2.
A free worker looks from the top rung down for one of the best `floor(n / eta)` of the n trials
that have reported there and was not promoted yet, and trains it on; if there is none, it starts
a new trial at the bottom. Nothing is stopped, only left behind; some are promoted too early.

`mode="stopping"` turns it round, as Ray's `ASHAScheduler` has it: a trial goes straight on unless
its value is behind the best 1 / eta of those recorded at that budget before it (a quantile,
linear between two values); the first always passes.

Ours:
- Reports that come between two calls of `next_jobs` count as one set, so their order plays no
  part. In mode "stopping" they are judged by trial number.
- A trial of the lowest rung that cannot be promoted however the rest does is stopped at once, so
  that its state need not be kept.
- When nothing else is left to do, one trial of each bracket trains on to the largest budget, as
  in all brackets here; at the end those left behind are stopped.
- Several brackets, of which number s starts at the budget s rungs up, get trials in Ray's
  proportions, `exp(rungs)`, but in a fixed rotation: each trial goes where most are wanting.
"""

from __future__ import annotations

from bojax.errors import SchedulerError
from bojax.schedulers._async_brackets import AshaScheduler
from bojax.schedulers._async_rungs import RUNGS
from bojax.schedulers._settings import budget_range, geometric_budgets, integer, reduction


def asha(
    *,
    max_budget: int = 27,
    min_budget: int = 1,
    eta: float = 3,
    mode: str = "promotion",
    brackets: int = 1,
    slots: int | None = None,
    trials: int | None = None,
) -> AshaScheduler:
    """Train many trials a little, and the best so far longer, without waiting for a rung.

    Whoever asks for as many jobs as there are, as a :class:`bojax.Sweep` does, gets all trials
    at once, and nothing is asynchronous: `slots` then makes it train in waves of so many, each
    of promotions and new trials, from which the strategy learns.

    Args:
        max_budget: what the survivors are trained for.
        min_budget: smallest budget (epochs) a trial may be judged at. The budgets are
            `max_budget / eta**k`, rounded, so the first may lie above it.
        eta: above 1; one trial in `eta` goes on. 3 as elsewhere here and in Syne Tune; the
            paper and Ray have 4.
        mode: "promotion" or "stopping".
        brackets: how many, up to one a budget; the more, the later some trials are judged.
        slots: at most so many jobs are given out and not reported; None: as many as are asked
            for.
        trials: trials to start in all; None if `extend` will say.

    Returns:
        A :class:`Scheduler`.

    Raises:
        SchedulerError: a setting makes no sense.

    Example:
        >>> import bojax
        >>> scheduler = bojax.schedulers.asha(max_budget=3, trials=9)
        >>> [job.trial for job in scheduler.next_jobs(4)]
        [0, 1, 2, 3]
        >>> for trial, value in [(0, 0.7), (1, 0.2), (2, 0.5)]:
        ...     (decision,) = scheduler.report(trial, 1, value)
        >>> for job in scheduler.next_jobs(2):
        ...     print(job)
        Job(trial=1, start=1, stop=3, clone_of=None, donors=())
        Job(trial=4, start=0, stop=1, clone_of=None, donors=())
    """
    eta = reduction(eta)
    min_budget, max_budget = budget_range(min_budget, max_budget)
    if mode not in RUNGS:
        raise SchedulerError(f"mode must be one of {', '.join(RUNGS)}, got {mode!r}.")
    brackets, rungs = integer("brackets", brackets), geometric_budgets(eta, min_budget, max_budget)
    if brackets > len(rungs):
        raise SchedulerError(
            f"brackets must be at most {len(rungs)}, one for each of the budgets "
            f"{', '.join(map(str, rungs))}, got {brackets}."
        )
    settings = {
        "max_budget": max_budget,
        "min_budget": min_budget,
        "eta": eta,
        "mode": mode,
        "brackets": brackets,
        "slots": None if slots is None else integer("slots", slots),
    }
    return AshaScheduler(settings, trials)
