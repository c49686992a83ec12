"""Successive halving, synchronous, in consecutive brackets.

K. Jamieson and A. Talwalkar, "Non-stochastic best arm identification and hyperparameter
optimization", AISTATS 2016; the arithmetic of a bracket is that of L. Li et al.,
"Hyperband", JMLR 18 (2018), algorithm 1: `n_i = floor(n eta^-i)` trials at budget
`R eta^(i - s)`, of which the best `floor(n_i / eta)` go on. With eta = 3 and R = 27:

    rung     0   1   2   3
    trials  27   9   3   1
    budget   1   3   9  27

Ours: many brackets of this shape follow one another, so that a strategy with a model learns
from each before it fills the next; the last may be smaller, and still brings one trial to
the largest budget.
"""

from __future__ import annotations

import math

from bojax.schedulers._brackets import Bracket, BracketScheduler
from bojax.schedulers._settings import (
    ROUNDING,
    budget_range,
    geometric_budgets,
    integer,
    reduction,
)


def successive_halving(
    *,
    eta: float = 3,
    min_budget: int = 1,
    max_budget: int = 27,
    trials: int | None = None,
    bracket: int | None = None,
) -> BracketScheduler:
    """Train many trials a little, the best of them longer: a third each time.

    Args:
        eta: above 1; one trial in `eta` is promoted. 3 is the choice of Li et al. (2018),
            who found results insensitive to it between 3 and 5.
        min_budget: smallest budget (epochs) a trial may be judged at. The budgets are
            `max_budget / eta**k`, rounded, so the first may lie above it.
        max_budget: what the survivors are trained for.
        trials: trials to start in all; None if `extend` will say.
        bracket: trials of a bracket; by default `eta**(rungs - 1)`, of which one survives.

    Returns:
        A :class:`Scheduler`. A bracket in which all trials failed just ends.

    Raises:
        SchedulerError: a setting makes no sense.

    Example:
        >>> import bojax
        >>> scheduler = bojax.schedulers.successive_halving(max_budget=3, trials=3)
        >>> scheduler.next_jobs(8)[0]
        Job(trial=0, start=0, stop=1, clone_of=None, donors=())
        >>> for trial, value in [(0, 0.7), (1, 0.2), (2, 0.5)]:
        ...     decisions = scheduler.report(trial, 1, value)
        >>> [decision.action for decision in decisions]
        ['stop', 'promote', 'stop']
        >>> scheduler.next_jobs(8)
        [Job(trial=1, start=1, stop=3, clone_of=None, donors=())]
    """
    eta = reduction(eta)
    min_budget, max_budget = budget_range(min_budget, max_budget)
    budgets = geometric_budgets(eta, min_budget, max_budget)
    if bracket is None:
        bracket = math.ceil(eta ** (len(budgets) - 1) - ROUNDING)
    bracket = integer("bracket", bracket)
    settings = {
        "eta": eta,
        "min_budget": min_budget,
        "max_budget": max_budget,
        "bracket": bracket,
    }
    shape = Bracket(bracket, budgets)
    return BracketScheduler("successive_halving", settings, (shape,), eta, trials)
