"""The score on the test part: what was measured, how sure it is, and how far it fell short."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from bojax.configuration import jit
from bojax.stats import Interval
from bojax.training.metrics import Metric, call

RESAMPLES = 1000
LEVEL = 0.95


class TestScore(dict):
    """Metric -> value on the test part, a dict.

    Attributes:
        intervals: metric -> :class:`bojax.stats.Interval`, where 95 % of 1,000 resamples of the
            test examples lie. They are about other examples of this kind, with this model.
        optimism: metric -> validation minus test. A search picks the configuration that does
            best on the validation part, some of it by luck, so the validation score of the
            winner promises too much; empty where no validation score is known.
        improvement: :class:`bojax.stats.Interval` of how much better the sweep's metric is than
            with the user's default, trained as long; above 0 is better, and the resamples are
            paired. None without a default.

    Example:
        >>> from bojax.stats import Interval
        >>> from bojax.training import TestScore
        >>> score = TestScore({"loss": 0.5}, {"loss": Interval(0.5, 0.4, 0.7)}, {"loss": 0.42})
        >>> print(score)
        loss 0.5000 [0.4000, 0.7000], validation 0.4200
        >>> round(score.optimism["loss"], 2)
        -0.08
    """

    __test__ = False  # not a test class, whatever its name suggests to a test runner

    def __init__(
        self,
        values: Mapping[str, float],
        intervals: Mapping[str, Interval] | None = None,
        validation: Mapping[str, float] | None = None,
        improvement: Interval | None = None,
    ) -> None:
        super().__init__(values)
        self.improvement = improvement
        self.intervals = dict(intervals or {})
        self.optimism = {
            name: float(value) - self[name]
            for name, value in (validation or {}).items()
            if name in self
        }

    @classmethod
    def of(
        cls, scores: Mapping[str, np.ndarray], validation: Mapping[str, float] | None = None,
        improvement: np.ndarray | None = None,
    ) -> TestScore:  # fmt: skip
        """From the values of :func:`resampled`: `[1 + RESAMPLES]` of each metric."""
        values = {name: float(each[0]) for name, each in scores.items()}
        intervals = {name: interval_of(values[name], each[1:]) for name, each in scores.items()}
        better = None
        if improvement is not None:
            better = interval_of(float(improvement[0]), improvement[1:])
        return cls(values, intervals, validation, better)

    def __str__(self) -> str:
        told = []
        for name, value in self.items():
            text = f"{name} {value:.4f}"
            if name in self.intervals:
                text += f" [{self.intervals[name].low:.4f}, {self.intervals[name].high:.4f}]"
            if name in self.optimism:
                text += f", validation {value + self.optimism[name]:.4f}"
            told.append(text)
        if self.improvement is not None:
            mean, low, high = (getattr(self.improvement, at) for at in ("mean", "low", "high"))
            told.append(f"better than the default by {mean:.4f} [{low:.4f}, {high:.4f}]")
        return "; ".join(told)


def resampled(
    metrics: tuple[tuple[str, Metric], ...], outputs: Any, y: Any, hp: Any, *, seed: int = 0
) -> dict[str, np.ndarray]:
    """Every metric on the examples, then on resamples of them: name -> `[1 + RESAMPLES]`.

    Args:
        outputs, y: `[n, ...]` of all examples.
        hp: of the model, for metrics that ask for it.
        seed: of the resamples.
    """
    n = len(y)
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(n, np.full(n, 1.0 / n), RESAMPLES)
    weights = np.concatenate([np.ones((1, n)), drawn]).astype(np.float32)
    return {
        name: np.asarray(_over_weights(metric, outputs, y, weights, hp), float)
        for name, metric in metrics
    }


@jit(static_argnums=0)
def _over_weights(metric: Metric, outputs: Any, y: Any, weights: Any, hp: Any) -> Any:
    def one(weight: Any) -> Any:
        return metric.finalise(call(metric.accumulate, outputs, y, weight, hp=hp))

    return jax.lax.map(one, weights)


def interval_of(value: float, resamples: np.ndarray) -> Interval:
    """The percentile interval of resamples around a value; NaN where nothing is finite."""
    good = resamples[np.isfinite(resamples)]
    if not len(good):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(good, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))
