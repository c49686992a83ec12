"""DEHB: Hyperband whose later rounds are bred by differential evolution, a population a budget.

N. Awad, N. Mallik and F. Hutter, "DEHB: Evolutionary Hyperband for scalable, robust and efficient
hyperparameter optimization", IJCAI 2021. The first round of brackets is Hyperband's. From then on
every rung trains new configurations from the start: children of the population at its budget,
whose parents are the best at the budget below (:mod:`bojax.strategies._dehb`).
"""

from __future__ import annotations

from bojax.coordinate._methods import Method
from bojax.schedulers._hyperband import round_of
from bojax.strategies import DEHB
from bojax.strategies._de import CR, F


def dehb(
    *,
    max_budget: int = 27,
    min_budget: int = 1,
    eta: float = 3,
    table: str = "table-1",
    f: float = F,
    cr: float = CR,
) -> Method:
    """Hyperband's brackets, bred by differential evolution after their first round.

    Args:
        max_budget, min_budget, eta, table: of :func:`bojax.schedulers.hyperband`; those of DEHB
            0.1.2 are the brackets of table 1. At least two budgets.
        f: factor of a difference, above 0 and at most 2.
        cr: probability that a parameter is the mutant's, 0 to 1.

    Returns:
        A :class:`Method`, for `bojax.Sweep(method=...)`. A round of table 1 at R = 27 starts 46
        trials, and every later one 65.

    Raises:
        ValueError: a setting out of range, naming it.
        SchedulerError: budgets that make no sense.

    Example:
        >>> import bojax
        >>> method = bojax.coordinate.dehb(max_budget=27)
        >>> method.scheduler["promote"], method.strategy.populations
        ('first-round', (27, 9, 6, 4))
    """
    if not 0 < f <= 2:
        raise ValueError(f"dehb: f must lie in (0, 2], got {f!r}.")
    if not 0 <= cr <= 1:
        raise ValueError(f"dehb: cr must lie in [0, 1], got {cr!r}.")
    settings = {"max_budget": max_budget, "min_budget": min_budget, "eta": eta, "table": table}
    brackets = round_of(max_budget=max_budget, min_budget=min_budget, eta=eta, table=table)
    if len(brackets) < 2:
        raise ValueError(
            f"dehb: max_budget must be at least eta times min_budget, got max_budget={max_budget}, "
            f"min_budget={min_budget}, eta={eta}; with one budget, strategies.de does as much."
        )
    rungs = tuple(tuple(shape.members(shape.size or 1, eta)) for shape in brackets)
    strategy = DEHB(f, cr, brackets[0].budgets, rungs)
    return Method("dehb", strategy, {"name": "hyperband", **settings, "promote": "first-round"})
