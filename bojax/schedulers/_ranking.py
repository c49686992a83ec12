"""Values of trials and their order, shared by all schedulers that rank.

One metric is a number, and less is better. Several are a tuple, all minimised, and trials are
in the order of NSGA-II: by non-dominated front, within one by crowding distance, the loneliest
first (K. Deb, A. Pratap, S. Agarwal and T. Meyarivan, "A fast and elitist multiobjective
genetic algorithm: NSGA-II", IEEE Transactions on Evolutionary Computation 6, 2002). Ties go to
the earlier trial, so that the order in which reports came plays no part.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, overload

import numpy as np

from bojax.errors import SchedulerError
from bojax.stats import crowding_distances, pareto_ranks

Value = float | tuple[float, ...]  # of one metric, of several


def checked(trial: int, value: Any, others: Iterable[Value | None] = ()) -> Value | None:
    """A reported value as it is kept; None if a part of it is not finite: the trial failed.

    Args:
        trial: whose it is, for messages.
        value: a number, or a tuple or list of numbers; one of length 1 is a number.
        others: values it will be ranked with.

    Raises:
        SchedulerError: no metric, or another number of them than the others have.
    """
    kept: Value
    if isinstance(value, (tuple, list)):
        parts = tuple(map(float, value))
        if not parts:
            raise SchedulerError(f"trial {trial}: a value has at least one metric, got none.")
        if not all(map(math.isfinite, parts)):
            return None
        kept = parts if len(parts) > 1 else parts[0]
    else:
        kept = float(value)
        if not math.isfinite(kept):
            return None
    for other in others:
        if other is not None:
            alone = not isinstance(kept, tuple) and not isinstance(other, tuple)
            if not alone and metrics(other) != metrics(kept):
                raise SchedulerError(
                    f"trial {trial}: reported {metrics(kept)} metrics, others {metrics(other)}; "
                    "report the same ones of every trial."
                )
            break
    return kept


def metrics(value: Value) -> int:
    """How many metrics a value has."""
    return len(value) if isinstance(value, tuple) else 1


def first(value: Value) -> float:
    """The first metric."""
    return value[0] if isinstance(value, tuple) else value


def plain(value: Value | None) -> Any:
    """A value as JSON keeps it; :func:`restored` is the way back."""
    return list(value) if isinstance(value, tuple) else value


@overload
def restored(value: None) -> None: ...
@overload
def restored(value: float | list[float]) -> Value: ...
def restored(value: Any) -> Value | None:
    """The value that :func:`plain` wrote."""
    return tuple(value) if isinstance(value, list) else value


def best_first(values: Mapping[int, Value]) -> list[int]:
    """Trials, the best first."""
    trials = sorted(values)
    if not trials or not isinstance(values[trials[0]], tuple):
        return sorted(trials, key=lambda trial: values[trial])  # stable: ties stay by number
    points = np.array([values[trial] for trial in trials])
    ranks = pareto_ranks(points)
    order = np.lexsort((-crowding_distances(points, ranks), ranks))  # stable, too
    return [trials[i] for i in order]
