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
