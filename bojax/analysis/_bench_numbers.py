"""What the pictures of the bench show, as numbers: no matplotlib here.

A trace is anything with the attributes of `bojax.benchmark.Trace`, a row of surrogates
anything with those of `bojax.benchmark.SurrogateRow`. Seeds of one instance are averaged
first: the instance is the unit that bands and error bars are about.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bojax import stats
from bojax.errors import DataError

RESAMPLES = 2_000  # of a band: its ends move by some 2 % of its width
RANKED_FROM = 0.5  # share of all instances that a method needs to have been run on to be ranked
COVERAGE = re.compile(r"coverage(\d+)")

Cell = tuple[str, int, int]  # problem, instance, seed


@dataclass(frozen=True)
class Band:
    """A line and the 95 % bootstrap interval over instances around it, `[T]` each.

    Example:
        >>> Band(np.ones(2), np.zeros(2), np.full(2, 2.0)).middle.tolist()
        [1.0, 1.0]
    """

    middle: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Cost:
    """What a method reached and what it took.

    Attributes:
        regret: of the end of the budget, one number each; see :class:`Band`.
        seconds: quartiles over runs of the method's own seconds: lower, median, upper.
        compile_seconds: median of what compiling took on top.
    """

    regret: Band
    seconds: tuple[float, float, float]
    compile_seconds: float


def cells(traces: Sequence[Any]) -> dict[str, dict[Cell, Any]]:
    """Method -> (problem, instance, seed) -> its run; runs without any success are left out.

    Raises:
        DataError: there is none, two runs have the same place, or budgets or batches differ.

    Example:
        >>> from types import SimpleNamespace
        >>> run = SimpleNamespace(method="a", problem="p", instance=1, seed=0, batch=1,
        ...                       evaluations=1, values=(1.0,))
        >>> list(cells([run])["a"])
        [('p', 1, 0)]
    """
    if not traces:
        raise DataError("traces: there are none to draw; give at least one.")
    for what in ("batch", "evaluations"):
        found = sorted({getattr(trace, what) for trace in traces})
        if len(found) > 1:
            raise DataError(f"traces: {what} differs ({found}), which does not compare; take one.")
    methods: dict[str, dict[Cell, Any]] = {}
    for trace in traces:
        runs = methods.setdefault(trace.method, {})
        place = (trace.problem, trace.instance, trace.seed)
        if place in runs:
            raise DataError(f"traces: {trace.method} has two runs of {place}; keep one.")
        if any(math.isfinite(value) for value in trace.values):
            runs[place] = trace
    methods = {method: runs for method, runs in methods.items() if runs}
    if not methods:
        raise DataError("traces: no run has a value; see their `failure`.")
    return methods


def log_curve(trace: Any) -> np.ndarray:
    """log10 of the normalised regret after each evaluation, `[evaluations]`.

    A run that ended early keeps what it had.

    Example:
        >>> from types import SimpleNamespace
        >>> trace = SimpleNamespace(values=(3.0, float("nan"), 0.1), optimum=0.0,
        ...                         reference=1.0, evaluations=4)
        >>> log_curve(trace).tolist()
        [0.0, 0.0, -1.0, -1.0]
    """
    regret = stats.normalised_regret(
        trace.values, trace.optimum, trace.reference, trace.evaluations
    )
    return stats.log_regret(regret)


def complete(
    methods: Mapping[str, Mapping[Cell, Any]],
) -> tuple[dict[str, Mapping[Cell, Any]], list[str]]:
    """The methods that were run on every instance, if with fewer seeds; and the others' names.

    Means over different instances do not compare, so a picture of them leaves the others out.

    Example:
        >>> kept, others = complete({"a": {("p", 1, 0): 0, ("p", 2, 0): 0}, "b": {("p", 1, 0): 0}})
        >>> list(kept), others
        (['a'], ['b'])
    """
    instances = {method: {cell[:2] for cell in runs} for method, runs in methods.items()}
    fullest = max(instances.values(), key=len)
    kept = {method: runs for method, runs in methods.items() if instances[method] >= fullest}
    return kept, [method for method in methods if method not in kept]


def regret_bands(methods: Mapping[str, Mapping[Cell, Any]]) -> dict[str, Band]:
    """Geometric mean over instances of the regret after each evaluation, by method."""
    bands = {}
    for method, runs in methods.items():
        band = _bootstrap(list(runs), [log_curve(trace) for trace in runs.values()])
        bands[method] = Band(10.0**band.middle, 10.0**band.low, 10.0**band.high)
    return bands


def rank_bands(methods: Mapping[str, Mapping[Cell, Any]]) -> tuple[dict[str, Band], int]:
    """Mean rank after each evaluation, 1 the best, and how many runs of each it is over.

    Ranked are the runs that all methods have; a method that was run on fewer than half the
    instances is left out, so that it does not take the others' away.
    """
    instances = {method: {cell[:2] for cell in runs} for method, runs in methods.items()}
    least = RANKED_FROM * len(set.union(*instances.values()))
    enough = {m: runs for m, runs in methods.items() if len(instances[m]) >= least}
    shared = sorted(set.intersection(*map(set, enough.values())))
    if not shared:
        return {}, 0
    curves = np.array([[log_curve(runs[cell]) for cell in shared] for runs in enough.values()])
    ranks: Any = stats.ranks(curves[:, None])  # of one problem: none is averaged over
    bands = {m: _bootstrap(shared, own) for m, own in zip(enough, ranks, strict=True)}
    return bands, len(shared)


def costs(methods: Mapping[str, Mapping[Cell, Any]]) -> dict[str, Cost]:
    """What each method reached at the end of its budget, and its own seconds a run."""
    bands, found = regret_bands(methods), {}
    for method, runs in methods.items():
        band = bands[method]
        last = Band(band.middle[-1:], band.low[-1:], band.high[-1:])
        low, middle, high = np.quantile(
            [trace.seconds[-1] for trace in runs.values()], [0.25, 0.5, 0.75]
        ).tolist()
        compiling = float(np.median([trace.compile_seconds for trace in runs.values()]))
        found[method] = Cost(last, (low, middle, high), compiling)
    return found


def coverages(rows: Sequence[Any]) -> dict[float, dict[str, Band]]:
    """Promised share -> surrogate -> share found inside the interval, one number each.

    Splits and sizes of a data set are averaged first, and the interval is over data sets.

    Raises:
        DataError: no row has a prediction.

    Example:
        >>> from types import SimpleNamespace
        >>> rows = [SimpleNamespace(surrogate="gp", dataset=d, coverage90=c, failure="")
        ...         for d, c in (("a", 0.8), ("b", 0.9))]
        >>> round(float(coverages(rows)[0.9]["gp"].middle[0]), 6)
        0.85
    """
    went = [row for row in rows if not row.failure]
    if not went:
        raise DataError("rows: no surrogate predicted anything; see their `failure`.")
    columns = {int(m[1]) / 100: m[0] for m in map(COVERAGE.fullmatch, vars(went[0])) if m}
    found: dict[float, dict[str, Band]] = {}
    for level, column in sorted(columns.items()):
        for name in dict.fromkeys(row.surrogate for row in went):
            mine = [row for row in went if row.surrogate == name]
            places = [(row.dataset, 0, number) for number, row in enumerate(mine)]
            shares = [np.array([getattr(row, column)]) for row in mine]
            found.setdefault(level, {})[name] = _bootstrap(places, shares)
    return found


def _bootstrap(places: Sequence[tuple[Any, ...]], lines: Sequence[np.ndarray]) -> Band:
    """Mean over instances of means over seeds of lines `[T]`, with its percentile interval.

    Drawn as :func:`bojax.stats.bootstrap_over_problems` draws, instances first and then seeds
    on each; all T share the resamples, so that a band has no steps of its own.
    """
    groups: dict[Any, list[int]] = {}
    for number, place in enumerate(places):
        groups.setdefault(place[:2], []).append(number)
    counts = np.array([len(group) for group in groups.values()])
    starts, order = np.cumsum(counts) - counts, np.concatenate(list(groups.values()))
    flat = np.stack(lines)[order]
    n, most = len(counts), int(counts.max())
    u = np.random.default_rng(0).random((RESAMPLES, n, 1 + most))
    instance = (u[..., 0] * n).astype(int)
    count = counts[instance][..., None]
    drawn = starts[instance][..., None] + (u[..., 1:] * count).astype(int)
    share = np.where(np.arange(most) < count, 1 / (n * count), 0.0)
    weights = np.zeros((RESAMPLES, len(flat)))
    np.add.at(weights, (np.arange(RESAMPLES)[:, None, None], drawn), share)
    low, high = np.quantile(weights @ flat, [0.025, 0.975], axis=0)
    return Band(np.repeat(1 / (n * counts), counts) @ flat, low, high)
