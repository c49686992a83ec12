"""Hyperband: brackets of successive halving from many trials judged early to few judged late.

L. Li, K. Jamieson, G. DeSalvo, A. Rostamizadeh and A. Talwalkar, "Hyperband: A novel
bandit-based approach to hyperparameter optimization", JMLR 18 (2018). Bracket s starts n trials
at budget `R eta^-s`, for s from s_max = floor(log_eta R) down to 0. How many n is, the paper
says twice, and not the same (trials at budget, R = 81, eta = 3):

    s   algorithm 1                      table 1
    4   81@1  27@3  9@9  3@27  1@81      the same
    3   34@3  11@9  3@27  1@81           27@3  9@9  3@27  1@81
    2   15@9  5@27  1@81                 9@9  3@27  1@81
    1   8@27  2@81                       6@27  2@81
    0   5@81                             5@81

Algorithm 1 takes `ceil((s_max + 1) eta^s / (s + 1))`, table 1 and implementations that follow it
(HpBandSter, DEHB) `floor((s_max + 1) / (s + 1)) eta^s`: 143 trials a round and 128. Rounds follow
one another until all trials are started; the last bracket may be smaller.

DEHB (N. Awad, N. Mallik and F. Hutter, IJCAI 2021) promotes in its first round alone; later, every
rung of the same brackets trains new configurations, bred from those that were best.
"""

from __future__ import annotations

import math
from dataclasses import replace

from bojax.errors import SchedulerError
from bojax.schedulers._brackets import Bracket, BracketScheduler
from bojax.schedulers._settings import ROUNDING, budget_range, geometric_budgets, reduction

TABLES = ("algorithm-1", "table-1")
PROMOTE = ("always", "first-round")


def hyperband(
    *,
    max_budget: int = 27,
    min_budget: int = 1,
    eta: float = 3,
    table: str = "algorithm-1",
    promote: str = "always",
    trials: int | None = None,
) -> BracketScheduler:
    """Successive halving at several rates, since nobody knows how early trials can be judged.

    Args:
        max_budget: what the survivors of every bracket are trained for.
        min_budget: smallest budget (epochs) a trial may be judged at; R is `max_budget /
            min_budget`.
        eta: above 1; one trial in `eta` is promoted.
        table: sizes of the brackets: "algorithm-1" of the paper, or its "table-1".
        promote: "always", or in the "first-round" of brackets alone, as DEHB: then every rung
            starts new trials, for a strategy that suggests by budget (:class:`DEHB
            <bojax.strategies.DEHB>`).
        trials: trials to start in all; None if `extend` will say. A round of brackets takes
            143 by algorithm 1, and 128 by table 1, at R = 81 and eta = 3; one of new trials
            alone 187 by table 1.

    Returns:
        A :class:`Scheduler`.

    Raises:
        SchedulerError: a setting makes no sense.

    Example:
        >>> import bojax
        >>> print(bojax.schedulers.hyperband(max_budget=9, trials=17).plan())
        bracket  rung  members  budget  cost  from scratch
              0     0        9       1     9             9
              0     1        3       3     6             9
              0     2        1       9     6             9
              1     0        5       3    15            15
              1     1        1       9     6             9
              2     0        3       9    27            27
          total             17            69            78
    """
    if promote not in PROMOTE:
        raise SchedulerError(f"promote must be one of {', '.join(PROMOTE)}, got {promote!r}.")
    cycle = round_of(max_budget=max_budget, min_budget=min_budget, eta=eta, table=table)
    settings = {"max_budget": max_budget, "min_budget": min_budget, "eta": eta, "table": table}
    if promote == "always":
        return BracketScheduler("hyperband", settings, cycle, eta, trials)
    settings["promote"] = promote
    fresh = tuple(replace(shape, fresh=True) for shape in cycle)
    return BracketScheduler("hyperband", settings, fresh, eta, trials, first=cycle)


def round_of(*, max_budget: int, min_budget: int, eta: float, table: str) -> tuple[Bracket, ...]:
    """The brackets of one round; see :func:`hyperband`.

    Raises:
        SchedulerError: a setting makes no sense.
    """
    eta = reduction(eta)
    min_budget, max_budget = budget_range(min_budget, max_budget)
    if table not in TABLES:
        raise SchedulerError(f"table must be one of {', '.join(TABLES)}, got {table!r}.")
    budgets = geometric_budgets(eta, min_budget, max_budget)
    return tuple(
        Bracket(_size(table, eta, s, len(budgets)), budgets[len(budgets) - 1 - s :])
        for s in reversed(range(len(budgets)))
    )


def _size(table: str, eta: float, s: int, rungs: int) -> int:
    """Trials of bracket s, of s + 1 rungs; `rungs` is s_max + 1."""
    if table == "algorithm-1":
        return math.ceil(rungs * eta**s / (s + 1) - ROUNDING)
    return math.ceil(rungs // (s + 1) * eta**s - ROUNDING)
