"""What a picture of a sweep shows, as numbers: no matplotlib here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any


def full_budget(results: Iterable[Any]) -> float:
    """The largest budget any trial of these results was seen at; 0 if none was.

    Example:
        >>> from types import SimpleNamespace
        >>> from bojax.history import Trial
        >>> full_budget([SimpleNamespace(trials=[Trial(0, {}, curve=((9, {"loss": 1.0}),))])])
        9.0
    """
    budgets = [b for result in results for trial in result.trials for b, _ in trial.curve]
    return float(max(budgets, default=0.0))


def best_so_far(result: Any, full: float) -> tuple[list[float], list[float]]:
    """When a trial at the full budget improved on all before it.

    Args:
        result: a sweep's result.
        full: budget at which a value counts.

    Returns:
        Epochs spent, all trials together, and the metric from there on, `[k]` each; the last
        point is where the budget ended. Empty if no trial got that far.

    Example:
        >>> from types import SimpleNamespace
        >>> from bojax.history import Trial
        >>> curves = [((3, {"loss": 0.5}),), ((3, {"loss": 0.7}),), ((3, {"loss": 0.4}),)]
        >>> trials = [Trial(i, {}, curve=c) for i, c in enumerate(curves)]
        >>> result = SimpleNamespace(trials=trials, metric="loss", direction="minimize")
        >>> best_so_far(result, 3)
        ([3.0, 9.0, 9.0], [0.5, 0.4, 0.4])
    """
    sign = 1.0 if result.direction == "minimize" else -1.0
    spent, best = 0.0, math.inf
    when: list[float] = []
    value: list[float] = []
    for start, budget, metrics in rungs(result):
        spent += budget - start
        measured = metrics.get(result.metric, math.nan)
        if budget == full and math.isfinite(measured) and sign * measured < best:
            best = sign * measured
            when.append(spent)
            value.append(float(measured))
    if when:
        when.append(spent)
        value.append(value[-1])
    return when, value


def rungs(result: Any) -> Iterator[tuple[float, float, dict[str, float]]]:
    """(from budget, to budget, metrics) of all that was trained, in the order it ended."""
    reports = getattr(result, "reports", None)
    if reports is not None:
        reached: dict[int, float] = {}
        for report in reports:
            yield reached.get(report.trial, 0.0), float(report.budget), dict(report.metrics)
            reached[report.trial] = float(report.budget)
        return
    for trial in result.trials:
        start = 0.0
        for budget, metrics in trial.curve:
            yield start, float(budget), metrics
            start = float(budget)


def curve_of(trial: Any, metric: str) -> tuple[list[float], list[float]]:
    """A trial's learning curve without what is not finite: budgets and values.

    Example:
        >>> from bojax.history import Trial
        >>> curve = ((1, {"loss": 2.0}), (3, {"loss": float("nan")}))
        >>> curve_of(Trial(0, {}, curve=curve), "loss")
        ([1.0], [2.0])
    """
    points = [
        (float(budget), float(metrics[metric]))
        for budget, metrics in trial.curve
        if math.isfinite(metrics.get(metric, math.nan))
    ]
    return [budget for budget, _ in points], [value for _, value in points]
