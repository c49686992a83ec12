"""One sweep against a default configuration and random search, on paired splits.

Every split draws another training and validation part from what is not in the test part,
and every method sees the same ones. Random search is given the same training budget and
spends it on full trainings, as random search without a scheduler does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bojax.stats import Interval, mean_interval, paired_bootstrap
from bojax.sweep import Result, Sweep


@dataclass(frozen=True)
class Row:
    """One method on one split.

    Attributes:
        split: number of the split.
        method: "default", "random" or "bojax".
        value: the metric of the method's best configuration on the validation part; NaN if
            all of its trials failed.
        spent: epochs trained, all members together.
        trials: configurations started.
        seconds: wall-clock time, of it `compile_seconds` compiling training programs.
        config: the best configuration.

    Example:
        >>> from bojax.benchmark import Row
        >>> Row(0, "random", 0.1, 27.0, 1, 2.0, 1.0, {"lr": 0.1}).method
        'random'
    """

    split: int
    method: str
    value: float
    spent: float
    trials: int
    seconds: float
    compile_seconds: float
    config: Mapping[str, Any]


@dataclass(frozen=True)
class Comparison:
    """Paired results of several methods.

    Attributes:
        rows: a :class:`Row` a method and split.
        metric, direction: what was compared.
        first: the :class:`~bojax.sweep.Result` of each method on the first split.

    Example:
        >>> from bojax.benchmark import Comparison, Row
        >>> rows = tuple(Row(s, m, v, 1, 1, 1, 0, {}) for s in range(3)
        ...              for m, v in (("random", 2.0 + s), ("bojax", 1.0 + s)))
        >>> Comparison(rows, "loss", "minimize").gain("bojax", "random").mean
        -1.0
    """

    rows: tuple[Row, ...]
    metric: str
    direction: str
    first: Mapping[str, Result] = field(default_factory=dict)

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods in the order they ran."""
        return tuple(dict.fromkeys(row.method for row in self.rows))

    def values(self, method: str) -> list[float]:
        """The method's value on each split, in order."""
        rows = sorted(self.rows, key=lambda row: row.split)
        return [row.value for row in rows if row.method == method]

    def mean(self, method: str, *, level: float = 0.95) -> Interval:
        """Mean over splits with its t interval."""
        return mean_interval(self.values(method), level=level)

    def gain(self, method: str, over: str, *, level: float = 0.95) -> Interval:
        """Mean paired difference method - over, with its bootstrap interval."""
        return paired_bootstrap(self.values(method), self.values(over), level=level)

    def wins(self, method: str, over: str) -> int:
        """Splits on which the method's value is strictly better."""
        sign = 1.0 if self.direction == "minimize" else -1.0
        pairs = zip(self.values(method), self.values(over), strict=True)
        return sum(sign * a < sign * b for a, b in pairs)


def compare_sweeps(
    make: Callable[..., Sweep],
    *,
    splits: int = 10,
    trials: int = 64,
    default: Mapping[str, Any] | None = None,
    resume: bool = False,
    on_row: Callable[[Row], None] | None = None,
    **settings: Any,
) -> Comparison:
    """Run the sweep, random search at its budget, and a default, on every split.

    Args:
        make: `settings -> Sweep`; must pass `data`, `strategy`, `scheduler`, `bracket`,
            `run`, `seed`, `default` and what else is in `settings` on to it.
        splits: how many; split k of the data and seed k of the methods go together.
        trials: configurations the sweep starts.
        default: a configuration to train as it is; None leaves it out.
        resume: whether finished and begun runs of the store are taken over.
        on_row: called with each :class:`Row` as it is known.
        settings: for `make`: store, callbacks, ...

    Raises:
        ValueError: fewer than one split.

    Example:
        >>> from bojax.benchmark import compare_sweeps
        >>> compare_sweeps(None, splits=0)
        Traceback (most recent call last):
        ...
        ValueError: compare_sweeps: splits must be at least 1, got 0.
    """
    if splits < 1:
        raise ValueError(f"compare_sweeps: splits must be at least 1, got {splits}.")
    base = make(**settings)
    budget = base.plan(trials).total
    at_random = {
        "strategy": "random",
        "scheduler": "full_budget",
        "bracket": None,
        "default": None,
    }
    methods: list[tuple[str, dict[str, Any], int]] = [
        ("random", at_random, max(1, round(budget / base.max_budget))),
        ("bojax", {}, trials),
    ]
    if default is not None:
        methods.insert(0, ("default", {**at_random, "default": default}, 1))
    seed = settings.pop("seed", 0)
    rows: list[Row] = []
    first: dict[str, Result] = {}
    for split in range(splits):
        data = base.data.resplit(seed + split)
        for method, own, count in methods:
            sweep = make(**settings, **own, data=data, seed=seed + split, run=f"{method}-{split}")
            result = sweep.continue_run(count) if resume else sweep.run(count)
            row = _row(split, method, result)
            rows.append(row)
            if split == 0:
                first[method] = result
            if on_row is not None:
                on_row(row)
    return Comparison(tuple(rows), base.metric, base.direction, first)


def _row(split: int, method: str, result: Result) -> Row:
    best = result.best
    return Row(
        split=split,
        method=method,
        value=float("nan") if best is None or best.value is None else best.value,
        spent=result.spent,
        trials=len(result.trials),
        seconds=result.seconds,
        compile_seconds=result.compile_seconds,
        config={} if best is None else best.config,
    )
