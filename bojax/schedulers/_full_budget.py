"""Every trial straight to the largest budget: what halving has to beat."""

from __future__ import annotations

from bojax.schedulers._brackets import Bracket, BracketScheduler
from bojax.schedulers._settings import integer


def full_budget(
    *, max_budget: int = 27, trials: int | None = None, bracket: int | None = None
) -> BracketScheduler:
    """Train every trial for the whole budget, without stopping any.

    Args:
        max_budget: what every trial is trained for (epochs).
        trials: trials to start in all; None if `extend` will say.
        bracket: trials that are started together; the next ones start when all of them
            have reported. By default all trials.

    Returns:
        A :class:`Scheduler`.

    Raises:
        SchedulerError: a setting makes no sense.

    Example:
        >>> import bojax
        >>> print(bojax.schedulers.full_budget(max_budget=9, trials=5, bracket=2).plan())
        bracket  rung  members  budget  cost  from scratch
            0-1     0    2 x 2       9    36            36
              2     0        1       9     9             9
          total              5            45            45
    """
    max_budget = integer("max_budget", max_budget)
    if bracket is not None:
        bracket = integer("bracket", bracket)
    settings = {"max_budget": max_budget, "bracket": bracket}
    shape = Bracket(bracket, (max_budget,))
    # eta plays no part: there is one rung
    return BracketScheduler("full_budget", settings, (shape,), 2, trials)
