"""Losses and metrics: weighted sums over batches, finished once.

A metric is a pair: `accumulate` turns a batch into sums (any pytree), which are added up,
`finalise` turns the total into a number. So a mean, a root mean square or a histogram
for an area under a curve is exact however the data is batched.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from bojax.errors import TaskError

AUC_BINS = 4096  # of scores: pairs within a bin count as ties
SMALLEST_SHARE = 1e-30  # guards logarithms and divisions


@dataclass(frozen=True)
class Metric:
    """One metric, as sums.

    Args:
        accumulate: `(outputs[B, ...], y[B, ...], weight[B]) -> sums`, a pytree; an example
            of weight 0 must not count. It may take a fourth argument named `hp`.
        finalise: `sums -> scalar`.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.training import METRICS
        >>> accuracy = METRICS["accuracy"]
        >>> outputs, y = jnp.array([[2.0, 1.0], [0.0, 3.0]]), jnp.array([0, 0])
        >>> float(accuracy.finalise(accuracy.accumulate(outputs, y, jnp.ones(2))))
        0.5
    """

    accumulate: Callable
    finalise: Callable


@dataclass(frozen=True)
class _MeanOf:
    """Weighted sum and weight of a per-example quantity."""

    example: Callable

    def __call__(self, outputs: Any, y: Any, weight: Any, hp: Any = None) -> tuple:
        return jnp.sum(weighted(call(self.example, outputs, y, hp=hp), weight)), jnp.sum(weight)


def _mean(sums: tuple) -> Any:
    return sums[0] / jnp.maximum(sums[1], 1e-30)


def _root(sums: tuple) -> Any:
    return jnp.sqrt(_mean(sums))


def mean_of(example: Callable, finalise: Callable = _mean) -> Metric:
    """The metric that averages `example(outputs, y) -> [B]`.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.training import mean_of
        >>> bias = mean_of(lambda outputs, y: outputs - y)
        >>> float(bias.finalise(bias.accumulate(jnp.array([2.0]), jnp.array([1.5]), jnp.ones(1))))
        0.5
    """
    return Metric(_MeanOf(example), finalise)


def weighted(values: jax.Array, weight: jax.Array) -> jax.Array:
    """`[B]` values times weights; a weight of 0 silences even a NaN."""
    return jnp.where(weight > 0, values * weight, 0.0)


def weighted_mean(values: jax.Array, weight: jax.Array) -> jax.Array:
    """The mean over a batch whose padding has weight 0."""
    return jnp.sum(weighted(values, weight)) / jnp.maximum(jnp.sum(weight), 1.0)


def cross_entropy(outputs: jax.Array, y: jax.Array) -> jax.Array:
    """Softmax cross-entropy of logits `[B, ..., K]` and labels int `[B, ...]`, in nats: `[B]`."""
    outputs = outputs.astype(jnp.float32)
    picked = jnp.take_along_axis(outputs, y[..., None].astype(jnp.int32), axis=-1)[..., 0]
    return _per_example(jax.nn.logsumexp(outputs, axis=-1) - picked)


def squared_error(outputs: jax.Array, y: jax.Array) -> jax.Array:
    """Squared error of outputs and targets `[B, ...]`, mean over the rest: `[B]`."""
    return _per_example(jnp.square(_residual(outputs, y)))


def absolute_error(outputs: jax.Array, y: jax.Array) -> jax.Array:
    """Absolute error of outputs and targets `[B, ...]`, mean over the rest: `[B]`."""
    return _per_example(jnp.abs(_residual(outputs, y)))


def hit(outputs: jax.Array, y: jax.Array) -> jax.Array:
    """1 where the largest logit is the label's: `[B]`."""
    right = jnp.argmax(outputs, axis=-1).astype(jnp.int32) == y.astype(jnp.int32)
    return _per_example(right.astype(jnp.float32))


def miss(outputs: jax.Array, y: jax.Array) -> jax.Array:
    """1 where the largest logit is not the label's: `[B]`."""
    return 1.0 - hit(outputs, y)


def _confusion(outputs: jax.Array, y: jax.Array, weight: jax.Array) -> tuple:
    """Weight of hits, of predictions and of labels of each class, `[K]` each."""
    classes = outputs.shape[-1]
    labels = jax.nn.one_hot(y, classes, dtype=jnp.float32)
    guesses = jax.nn.one_hot(jnp.argmax(outputs, axis=-1), classes, dtype=jnp.float32)
    weight = weight.reshape(-1, *[1] * (labels.ndim - 1))
    over = tuple(range(labels.ndim - 1))
    return tuple((weight * w).sum(over) for w in (labels * guesses, guesses, labels))


def _macro_f1(sums: tuple) -> Any:
    """Mean over classes that occur, in labels or predictions, of 2 hits / (predicted + there)."""
    hits, guessed, there = sums
    both = guessed + there
    scores = jnp.where(both > 0, 2.0 * hits / jnp.where(both > 0, both, 1.0), 0.0)
    return scores.sum() / _count(both > 0)


def _count(present: jax.Array) -> Any:
    return jnp.maximum(jnp.sum(present, dtype=jnp.float32), 1.0)


def _histograms(outputs: jax.Array, y: jax.Array, weight: jax.Array) -> jax.Array:
    """Weight of each class's members and of the others by log odds, `[K, AUC_BINS, 2]`."""
    if outputs.ndim > 2 or y.ndim != 1:
        raise TaskError(f"auc: expected logits [B, K] and labels [B], got {outputs.shape}.")
    if outputs.ndim == 2 and outputs.shape[1] > 1:
        logs = jax.nn.log_softmax(outputs.astype(jnp.float32))
        odds = logs - jnp.log(jnp.maximum(-jnp.expm1(logs), SMALLEST_SHARE))
        member = jax.nn.one_hot(y, outputs.shape[1], dtype=jnp.int32)
    else:  # one logit of class 1
        odds, member = outputs.reshape(-1, 1).astype(jnp.float32), y[:, None].astype(jnp.int32)
    # Even in tanh of a quarter of the odds: fine where scores are near a half, out to 16.
    place = (0.5 * (1.0 + jnp.tanh(odds / 4.0)) * AUC_BINS).astype(jnp.int32)
    place = jnp.clip(place, 0, AUC_BINS - 1)
    classes = jnp.broadcast_to(jnp.arange(odds.shape[1], dtype=jnp.int32), odds.shape)
    empty = jnp.zeros((odds.shape[1], AUC_BINS, 2), jnp.float32)
    return empty.at[classes, place, member].add(jnp.broadcast_to(weight[:, None], odds.shape))


def _area(histograms: jax.Array) -> Any:
    """Share of pairs in the right order, ties half; mean over classes that have both kinds."""
    others, members = histograms[..., 0], histograms[..., 1]
    below = jnp.cumsum(others, axis=-1) - others
    right = (members * (below + 0.5 * others)).sum(-1)
    pairs = members.sum(-1) * others.sum(-1)
    areas = jnp.where(pairs > 0, right / jnp.where(pairs > 0, pairs, 1.0), 0.0)
    return jnp.where(jnp.any(pairs > 0), areas.sum() / _count(pairs > 0), jnp.nan)


def _variation(outputs: jax.Array, y: jax.Array, weight: jax.Array) -> tuple:
    """Weight, sums of y and y^2, and of squared residuals, by target."""
    y = y.astype(jnp.float32)
    squares = jnp.square(_residual(outputs, y))
    own = weight.reshape(-1, *[1] * (y.ndim - 1))
    return tuple((own * value).sum(0) for value in (jnp.ones_like(y), y, y * y, squares))


def _determination(sums: tuple) -> Any:
    """1 - residual over total sum of squares, mean over targets."""
    count, total, square, residual = sums
    about_mean = square - total * total / jnp.maximum(count, 1.0)
    return jnp.mean(1.0 - residual / jnp.maximum(about_mean, SMALLEST_SHARE))


LOSSES: dict[str, Callable] = {
    "cross_entropy": cross_entropy,
    "mean_squared_error": squared_error,
    "mean_absolute_error": absolute_error,
}

METRICS: dict[str, Metric] = {
    "accuracy": mean_of(hit),
    "error": mean_of(miss),
    "cross_entropy": mean_of(cross_entropy),
    "mean_squared_error": mean_of(squared_error),
    "mean_absolute_error": mean_of(absolute_error),
    "rmse": mean_of(squared_error, _root),
    "mae": mean_of(absolute_error),
    "f1": Metric(_confusion, _macro_f1),  # macro, over classes that occur
    "auc": Metric(_histograms, _area),  # of the ROC curve; one class against the rest, macro
    "r2": Metric(_variation, _determination),  # in float32: targets far from 0 lose digits
}


def loss_named(loss: str | Callable) -> Callable:
    """A per-example loss by name, or the user's own.

    Raises:
        TaskError: an unknown name.
    """
    if callable(loss):
        return loss
    if loss not in LOSSES:
        raise TaskError(f"loss={loss!r}: expected a callable or one of {sorted(LOSSES)}.")
    return LOSSES[loss]


def metrics_named(metrics: Sequence | Mapping) -> dict[str, Metric]:
    """Metrics by name: strings, or a mapping of name -> `Metric`, string or callable.

    Raises:
        TaskError: an unknown name, or a value that is no metric.
    """
    listed = metrics if isinstance(metrics, Mapping) else {name: name for name in metrics}
    found = {}
    for name, metric in listed.items():
        if isinstance(metric, str):
            if metric not in METRICS:
                raise TaskError(
                    f"metrics: no {metric!r}; expected {sorted(METRICS)}, or a mapping "
                    "such as {'bias': bojax.training.mean_of(lambda outputs, y: outputs - y)}."
                )
            metric = METRICS[metric]
        elif not isinstance(metric, Metric):
            if not callable(metric):
                raise TaskError(f"metrics[{name!r}]: expected a Metric or a callable.")
            metric = mean_of(metric)
        found[str(name)] = metric
    return found


def call(function: Callable, *arguments: Any, hp: Any) -> Any:
    """Call it with `hp` too, if it has a parameter of that name."""
    if isinstance(function, _MeanOf) or "hp" in inspect.signature(function).parameters:
        return function(*arguments, hp=hp)
    return function(*arguments)


def _per_example(values: jax.Array) -> jax.Array:
    return values if values.ndim < 2 else values.reshape(values.shape[0], -1).mean(axis=1)


def _residual(outputs: jax.Array, y: jax.Array) -> jax.Array:
    if outputs.size != y.size:  # [B, 1] against [B] is meant, [B, 1] against [B, B] is a trap
        raise TaskError(
            f"loss: outputs have shape {outputs.shape}, targets {y.shape}; they must hold "
            "equally many numbers."
        )
    return outputs.reshape(y.shape).astype(jnp.float32) - y.astype(jnp.float32)
