"""Settings that schedulers share: whole numbers, budgets, and whether a stored state fits."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from typing import Any

from bojax.errors import SchedulerError
from bojax.history import Status

STATE_VERSION = 1
ROUNDING = 1e-9  # 9 / 3 and log(27) / log(3) must not fall short of 3 by a rounding error


def integer(name: str, value: Any, least: int = 1) -> int:
    """A whole number of at least `least`, or a SchedulerError that names the setting."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or number < least:
        raise SchedulerError(f"{name} must be an integer of at least {least}, got {value!r}.")
    return number


def reduction(eta: Any) -> float:
    """`eta`, a number above 1."""
    if isinstance(eta, bool) or not isinstance(eta, (int, float)) or not 1 < eta < math.inf:
        raise SchedulerError(f"eta must be a number above 1, got {eta!r}; 3 is usual.")
    return eta


def budget_range(min_budget: Any, max_budget: Any) -> tuple[int, int]:
    """The smallest and the largest budget, in that order."""
    min_budget = integer("min_budget", min_budget)
    max_budget = integer("max_budget", max_budget)
    if min_budget > max_budget:
        raise SchedulerError(
            f"min_budget must not exceed max_budget, got min_budget={min_budget}, "
            f"max_budget={max_budget}; lower it, or raise max_budget."
        )
    return min_budget, max_budget


def geometric_budgets(eta: float, min_budget: int, max_budget: int) -> tuple[int, ...]:
    """`max_budget / eta**k`, rounded, down to at least `min_budget`; rising, no repeats."""
    rungs = math.floor(math.log(max_budget / min_budget) / math.log(eta) + ROUNDING)
    budgets = {max(min_budget, round(max_budget / eta**k)) for k in range(rungs + 1)}
    return tuple(sorted(budgets))


def one_in(eta: float, members: int) -> int:
    """How many of so many go on: `floor(members / eta)`."""
    return math.floor(members / eta + ROUNDING)


def grown(trials: Any, planned: int) -> int:
    """A number of trials that is not below the one planned."""
    trials = integer("trials", trials)
    if trials < planned:
        raise SchedulerError(
            f"trials must not shrink: {planned} are planned, got {trials}; make a new scheduler."
        )
    return trials


def check_known(method: str, trials: int) -> None:
    """Complain unless the number of trials is known."""
    if not trials:
        raise SchedulerError(
            f"{method}: the number of trials is not known yet; give trials=, or call "
            "extend(trials)."
        )


def check_status(trial: int, status: Any) -> None:
    """Complain unless a report may have this status."""
    if status not in (Status.DONE, Status.FAILED, Status.STALE):
        raise SchedulerError(f"trial {trial}: a report is DONE, FAILED or STALE, got {status!r}.")


def check_stored(state: Mapping[str, Any], method: str, settings: Mapping[str, Any]) -> None:
    """Complain unless a stored state is of this method with these settings."""
    if state["version"] > STATE_VERSION:
        raise SchedulerError(
            f"scheduler state: written as version {state['version']}, this bojax reads up to "
            f"{STATE_VERSION}; upgrade bojax."
        )
    was = {"method": state["method"], **state["settings"]}
    mine = {"method": method, **settings}
    for name in {**was, **mine}:  # the method first
        if was.get(name) != mine.get(name):
            raise SchedulerError(
                f"scheduler state: {name} was {was.get(name)!r} when the run was stored, got "
                f"{mine.get(name)!r}; a run goes on with its own settings."
            )
