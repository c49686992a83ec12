"""Surrogates side by side: the same splits of the same data, each scored as a distribution.

A surrogate is anything with

    fit(key, data) -> (posterior, info)      data.rows [n, d] in [0, 1], data.values [n]
    posterior.mean_and_variance(rows)        [m, d] -> two arrays [m], in the values' unit

What is scored is the distribution of a new observation, so noise belongs to the variance. The
posterior of bojax's own surrogates gives the variance of the noise-free function, and its
fitted noise is added here. Of any other object the variance of the noise (the values' unit
squared; a number, or `[m]`) is read from `posterior.noise`; without that attribute its
variance is taken to be of an observation already.
"""

from __future__ import annotations

import hashlib
import math
import os
import platform
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bojax.benchmark._datasets import Dataset, Split
from bojax.benchmark._surrogate_rows import (
    SurrogateComparison,
    SurrogateRow,
    read_rows,
    rounded,
    scores,
    write_rows,
)
from bojax.benchmark._surrogate_runs import Outcome, checked, failed, runner
from bojax.errors import ConfigError

__all__ = ["SurrogateComparison", "SurrogateRow", "compare_surrogates"]


@dataclass(frozen=True)
class _Task:
    """One run to make."""

    surrogate: str
    dataset: Dataset
    n: int
    split: int


def compare_surrogates(
    surrogates: Mapping[str, Any],
    datasets: Sequence[Dataset],
    splits: int = 10,
    *,
    sizes: Sequence[int] = (20, 50, 100, 200),
    test: int = 200,
    seed: int = 0,
    isolated: bool = False,
    timeout: float = 120.0,
    patience: int = 3,
    store: str | os.PathLike[str] | None = None,
    on_row: Callable[[SurrogateRow, int, int, float], None] | None = None,
) -> SurrogateComparison:
    """Fit every surrogate to the same splits, and score what it predicts for the rest.

    A surrogate that raises, or whose prediction has the wrong shape, is not finite or has
    no variance, is a failure of that run, told in its row; the rest goes on. The surrogates
    take turns, and who begins changes from split to split. Each fits warm: the first run of
    a shape is done twice.

    Args:
        surrogates: name -> a surrogate of :mod:`bojax.surrogates`, an object of one's own
            (see the top of this module), or a :func:`bojax.benchmark.foreign` whose adapter
            has `fit_predict`.
        datasets: of other names each; :func:`friedman1`, :func:`from_problem`, ... or one's
            own :class:`Dataset`.
        splits: how many; split k is the same rows for all surrogates, and key k for those
            that draw.
        sizes: numbers of training rows.
        test: rows predicted, the same for all sizes of a split.
        seed: of the splits.
        isolated: run each surrogate in a process of its own (foreign ones always are): a
            crash or a hang is a failure of that run, too, and peak memory is known. It takes
            some seconds a surrogate to start one, classes that can be imported, and a script
            whose work stands below `if __name__ == "__main__":`.
        timeout: seconds a run may take, the first with its compiling; a foreign surrogate
            has its own. Without a process of its own a run is interrupted only on Unix, in
            the main thread, and while it runs Python.
        patience: after so many failures in a row on one data set and size, the other splits
            there are failures without a run.
        store: a CSV file; rows are added as they come, and runs whose row is there, with
            equal content and no failure, are not made again.
        on_row: called with `(row, done, total, seconds left)`; what is left is told from
            the mean seconds of the same surrogate at the same size, or what is nearest.

    Returns:
        The comparison, rows in the order they were planned.

    Raises:
        ConfigError: fewer than one surrogate, data set, split, size or test row; two data
            sets of one name; something that is no surrogate, or cannot be isolated.
        DataError: a data set has too few rows; the store is another kind of file.

    Example:
        >>> import numpy as np
        >>> from bojax.benchmark._datasets import friedman1
        >>> from bojax.benchmark import compare_surrogates
        >>> class Line:  # Bayesian linear regression, weights ~ N(0, 100), noise of variance 1
        ...     noise = 1.0
        ...     def fit(self, key, data):
        ...         x = np.c_[data.rows, np.ones(len(data.rows))]
        ...         self.covariance = np.linalg.inv(x.T @ x + np.eye(x.shape[1]) / 100)
        ...         self.weights = self.covariance @ x.T @ data.values
        ...         return self, None
        ...     def mean_and_variance(self, rows):
        ...         x = np.c_[rows, np.ones(len(rows))]
        ...         return x @ self.weights, np.sum((x @ self.covariance) * x, axis=1)
        >>> class Mean:
        ...     def fit(self, key, data):
        ...         self.moments = np.mean(data.values), np.var(data.values)
        ...         return self, None
        ...     def mean_and_variance(self, rows):
        ...         return tuple(np.full(len(rows), moment) for moment in self.moments)
        >>> compared = compare_surrogates(
        ...     {"line": Line(), "mean": Mean()}, [friedman1(100)], 3, sizes=(50,), test=50)
        >>> len(compared.rows), compared.gain("line", "mean", "nrmse").high < 0
        (6, True)
    """
    plan = _plan(surrogates, datasets, splits, sizes, test)
    runners = {
        name: runner(name, surrogate, isolated=isolated, timeout=timeout)
        for name, surrogate in surrogates.items()
    }
    contents = {name: one.content() for name, one in runners.items()}
    hashes = {dataset.name: dataset.content() for dataset in datasets}
    present = _present(store)
    watch = _Watch(plan)
    seen: dict[str, set[tuple[int, int]]] = defaultdict(set)
    in_a_row: dict[tuple[str, str, int], int] = defaultdict(int)
    rows = []
    try:
        for task in plan:
            name, place = task.surrogate, (task.surrogate, task.dataset.name, task.n)
            content = _content(contents[name], hashes[task.dataset.name], task, test, seed)
            row, began = present.get(content), time.perf_counter()
            taken_over = row is not None
            if row is None:
                part = task.dataset.split(task.split, train=task.n, test=test, seed=seed)
                if in_a_row[place] < patience:
                    outcome, compiling = _run(runners[name], task, part, seen[name])
                else:
                    outcome, compiling = failed(f"not run after {patience} failures in a row"), 0.0
                in_a_row[place] = in_a_row[place] + 1 if outcome.failure else 0
                scored = _score(outcome, part, task.dataset.scale, compiling)
                where = _provenance(runners[name])
                row = rounded(_row(task, part, seed, content, scored, where))
                if store is not None:
                    write_rows(store, [row])
            rows.append(row)
            watch.count(task, None if taken_over else time.perf_counter() - began)
            if on_row is not None:
                on_row(row, watch.done, len(plan), watch.seconds_left())
    finally:
        for one in runners.values():
            one.close()
    return SurrogateComparison(tuple(rows))


def _plan(surrogates, datasets, splits, sizes, test) -> list[_Task]:
    """Runs in the order they are made; contenders take turns at going first."""
    for what, count in (
        ("surrogates", len(surrogates)), ("datasets", len(datasets)), ("splits", splits),
        ("sizes", len(sizes)), ("the least of sizes", min(sizes, default=1)), ("test", test),
    ):  # fmt: skip
        if count < 1:
            raise ConfigError(f"compare_surrogates: {what} must be at least 1, got {count}.")
    names, order = [dataset.name for dataset in datasets], list(surrogates)
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{name}: two data sets have this name; rename one.")
    for dataset in datasets:
        dataset.split(0, train=max(sizes), test=test)  # raises if it is too small
    return [
        _Task(name, dataset, n, split)
        for dataset in datasets
        for n in sizes
        for split in range(splits)
        for name in order[split % len(order) :] + order[: split % len(order)]
    ]


def _run(one: Any, task: _Task, part: Split, seen: set) -> tuple[Outcome, float]:
    """The outcome of a warm run, and the seconds that the first of its shape took beyond it."""
    shape = part.rows.shape
    arguments = (task.split, part.rows, part.values, part.test_rows)
    outcome, compiling = checked(one.run(*arguments), len(part.test_values)), 0.0
    if not outcome.failure and shape not in seen:
        cold = outcome.fit_seconds + outcome.predict_seconds
        outcome = checked(one.run(*arguments), len(part.test_values))
        compiling = max(0.0, cold - outcome.fit_seconds - outcome.predict_seconds)
        seen.add(shape)
    if outcome.failure:
        seen.clear()  # it may have taken its process, and all that was compiled, with it
    return outcome, compiling


def _score(outcome: Outcome, part: Split, scale: float, compiling: float) -> dict[str, Any]:
    if outcome.failure:
        return {"failure": outcome.failure}
    return {
        **scores(outcome.mean, outcome.variance, part.test_values, scale),
        "fit_seconds": outcome.fit_seconds,
        "predict_seconds": outcome.predict_seconds,
        "compile_seconds": compiling,
        "peak_bytes": outcome.peak_bytes,
    }


def _row(task, part, seed, content, scored, where) -> SurrogateRow:
    n, d = part.rows.shape
    return SurrogateRow(
        surrogate=task.surrogate,
        dataset=task.dataset.name,
        n=n,
        d=d,
        tests=len(part.test_values),
        split=task.split,
        seed=seed,
        content=content,
        **scored,
        **where,
    )


def _provenance(one: Any) -> dict[str, Any]:
    return {
        "versions": one.versions(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "threads": one.threads,
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else math.nan,
        "when": time.strftime("%Y-%m-%dT%H:%M:%S"),
    }


def _content(surrogate: str, dataset: str, task: _Task, test: int, seed: int) -> str:
    """Hash of what decides a row; "" where the surrogate's cannot be told."""
    if not surrogate:
        return ""
    parts = (task.surrogate, surrogate, dataset, task.n, task.split, test, seed)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _present(store: str | os.PathLike[str] | None) -> dict[str, SurrogateRow]:
    """Finished rows of a store by content; of several with one content the last counts."""
    if store is None or not Path(store).exists() or not Path(store).stat().st_size:
        return {}
    return {row.content: row for row in read_rows(store) if row.content and not row.failure}


class _Watch:
    """Counts runs and guesses what the others will take."""

    def __init__(self, plan: Sequence[_Task]) -> None:
        self.done = 0
        self.waiting = Counter((task.surrogate, task.n) for task in plan)
        self.spent: dict[tuple[str, int], list[float]] = defaultdict(list)

    def count(self, task: _Task, seconds: float | None) -> None:
        """One more is done, in so many seconds; None if it was taken over."""
        self.done += 1
        self.waiting[task.surrogate, task.n] -= 1
        if seconds is not None:
            self.spent[task.surrogate, task.n].append(seconds)

    def seconds_left(self) -> float:
        """NaN where nothing was run yet and something is left."""
        return sum(count * self._mean(kind) for kind, count in self.waiting.items() if count)

    def _mean(self, kind: tuple[str, int]) -> float:
        """Mean seconds of the same surrogate and size, else of the surrogate, else of all."""
        same = self.spent.get(kind) or [
            s for (name, _), each in self.spent.items() if name == kind[0] for s in each
        ]
        known = same or [s for each in self.spent.values() for s in each]
        return sum(known) / len(known) if known else math.nan
