"""`Task`: how one member of a population trains, as pure functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from bojax.errors import TaskError
from bojax.training.metrics import Metric, loss_named, mean_of, metrics_named


class Batch(NamedTuple):
    """`x[B, ...]`, `y[B, ...]`, `weight[B]`: examples of weight 0 are padding.

    Example:
        >>> import numpy as np
        >>> from bojax.training import Batch
        >>> Batch(np.ones((2, 3)), np.zeros(2), weight=np.ones(2)).x.shape
        (2, 3)
    """

    x: Any
    y: Any
    weight: Any


@dataclass(frozen=True)
class Task:
    """How one member trains: pure functions that can be traced and vmapped.

    Two tasks made of the same functions are equal and share their compiled programs, so
    define `build` and `optimizer` once, at the top of a module.

    Attributes:
        init: `(key, hp, x) -> (params, state)`, x a batch of one example (zeros).
        loss: `(params, state, batch, hp, key) -> (scalar, state)`, the weighted mean over
            a :class:`Batch`.
        predict: `(params, state, x, hp) -> outputs`, as in evaluation.
        optimizer: `hp -> optax.GradientTransformation`, made of traced scalars.
        metrics: name -> :class:`Metric`, measured on the validation part; at this level there is
            no "loss" among them unless it is given.
        static: parameters that are Python values in `hp`; each distinct value compiles
            its own programs.
        padded: integer parameters whose `hp.ceiling` is the next power of two (never above
            the space's high); members of one ceiling share their programs. A mapping of name
            -> ceilings sets them: `{"width": [64, 256]}` is two programs, an empty list powers
            of two. Integers that are not listed have the space's high as their ceiling.
        batch_size: an int, or the parameter that holds it (then static).
        step: `(carry, batch, hp, key) -> (carry, loss)` with carry = (params, state,
            optimizer state), for a training loop of its own; None for the usual one. It makes
            its `optimizer(hp)` anew, since transformations are functions, and alone decides
            whether `loss` is called.
        augment: `(x[B, ...], key) -> x[B, ...]` or `(x, key, hp) -> x`, applied to every batch
            trained on and to none that is judged; None for none.

    Example:
        >>> import bojax
        >>> import jax.numpy as jnp
        >>> def line(key, hp, x):
        ...     return {"slope": jnp.float32(0.0)}, {}
        >>> def squared(params, state, batch, hp, key):
        ...     return jnp.mean((params["slope"] * batch.x - batch.y) ** 2), state
        >>> def predict(params, state, x, hp):
        ...     return params["slope"] * x
        >>> def sgd(hp):
        ...     import optax
        ...     return optax.sgd(hp["lr"])
        >>> bojax.Task(line, squared, predict, sgd, batch_size=16).batch_size
        16
    """

    init: Callable
    loss: Callable
    predict: Callable
    optimizer: Callable
    metrics: tuple[tuple[str, Metric], ...] = ()
    static: tuple[str, ...] = ()
    padded: Any = ()
    batch_size: int | str = 32
    step: Callable | None = None
    augment: Callable | None = None

    def __post_init__(self) -> None:
        for name in ("init", "loss", "predict", "optimizer"):
            if not callable(getattr(self, name)):
                raise TaskError(f"Task: {name} must be callable, got {getattr(self, name)!r}.")
        if self.augment is not None and not callable(self.augment):
            raise TaskError(f"Task: augment must be callable, got {self.augment!r}.")
        metrics = self.metrics.items() if isinstance(self.metrics, Mapping) else self.metrics
        object.__setattr__(self, "metrics", tuple(metrics))
        static = tuple(_names("static", self.static))
        size = self.batch_size
        if isinstance(size, str):
            static = static if size in static else (*static, size)
        elif isinstance(size, bool) or size != int(size) or size < 1:
            raise TaskError(
                f"Task: batch_size must be a positive integer or a parameter's name, got {size!r}."
            )
        object.__setattr__(self, "static", static)
        object.__setattr__(self, "padded", _ceilings(self.padded))

    @classmethod
    def linen(
        cls,
        build: Callable,
        *,
        loss: str | Callable = "cross_entropy",
        optimizer: Callable,
        metrics: Sequence | Mapping = ("accuracy",),
        static: Sequence[str] = (),
        padded: Sequence[str] | Mapping[str, Sequence[int]] = (),
        batch_size: int | str = "batch_size",
        augment: Callable | None = None,
    ) -> Task:
        """A task from a Flax Linen module.

        Args:
            build: `hp -> flax.linen.Module`. Its `__call__` takes `x` and, if it behaves
                differently in training, a keyword `train`, `training` or `deterministic`.
                Collections other than params (batch statistics) are kept and updated.
            loss: "cross_entropy" (integer labels), "mean_squared_error",
                "mean_absolute_error", or a callable `(outputs, y) -> [B]`, which may take
                `hp` as well. The metric "loss" is its mean on the validation part.
            optimizer: `hp -> optax.GradientTransformation`.
            metrics: names ("accuracy", "error", "rmse", "mae", ...), or a mapping of name
                -> :class:`Metric` or callable `(outputs, y) -> [B]`.
            static, padded, batch_size, augment: see :class:`Task`.

        Raises:
            TaskError: unknown loss or metric, something that is not callable.

        Example:
            >>> import bojax, optax
            >>> from bojax.training.models import MLP
            >>> def build(hp):
            ...     return MLP(outputs=10, width=hp["width"], max_width=hp.ceiling["width"])
            >>> def optimizer(hp):
            ...     return optax.adam(hp["lr"])
            >>> task = bojax.Task.linen(build, optimizer=optimizer, padded=["width"])
            >>> [name for name, _ in task.metrics], task.static
            (['loss', 'accuracy'], ('batch_size',))
        """
        from bojax.training.linen import LinenInit, LinenLoss, LinenPredict

        return cls._adapted(
            (LinenInit, LinenLoss, LinenPredict), build, loss, optimizer, metrics,
            static=static, padded=padded, batch_size=batch_size, augment=augment,
        )  # fmt: skip

    @classmethod
    def nnx(
        cls,
        build: Callable,
        *,
        loss: str | Callable = "cross_entropy",
        optimizer: Callable,
        metrics: Sequence | Mapping = ("accuracy",),
        static: Sequence[str] = (),
        padded: Sequence[str] | Mapping[str, Sequence[int]] = (),
        batch_size: int | str = "batch_size",
        augment: Callable | None = None,
    ) -> Task:
        """A task from a Flax NNX module: `build(hp, rngs) -> flax.nnx.Module`.

        `model.train()` and `model.eval()` are called around training and evaluation. The
        other arguments are those of :meth:`linen`.

        Example:
            >>> import bojax, optax
            >>> from flax import nnx
            >>> def build(hp, rngs):
            ...     return nnx.Linear(64, 10, rngs=rngs)
            >>> def optimizer(hp):
            ...     return optax.sgd(hp["lr"])
            >>> bojax.Task.nnx(build, optimizer=optimizer, batch_size=32).batch_size
            32
        """
        from bojax.training.nnx import NnxInit, NnxLoss, NnxPredict

        return cls._adapted(
            (NnxInit, NnxLoss, NnxPredict), build, loss, optimizer, metrics,
            static=static, padded=padded, batch_size=batch_size, augment=augment,
        )  # fmt: skip

    @classmethod
    def _adapted(cls, adapters, build, loss, optimizer, metrics, **settings) -> Task:
        if not callable(build):
            raise TaskError(f"Task: build must be a function of hp, got {build!r}.")
        initialise, training, predicting = adapters
        example = loss_named(loss)
        return cls(
            init=initialise(build),
            loss=training(build, example),
            predict=predicting(build),
            optimizer=optimizer,
            metrics=tuple({"loss": mean_of(example), **metrics_named(metrics)}.items()),
            **settings,
        )


def _ceilings(padded: Any) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """(name, ceilings in order) pairs, () for powers of two: hashable, as a task must be.

    Raises:
        TaskError: no names, or ceilings that are no positive integers.
    """
    if isinstance(padded, tuple) and all(isinstance(pair, tuple) for pair in padded):
        padded = dict(padded)
    if not isinstance(padded, Mapping):
        return tuple((name, ()) for name in _names("padded", padded))
    for name, ceilings in padded.items():
        if not all(isinstance(c, int) and not isinstance(c, bool) and c > 0 for c in ceilings):
            raise TaskError(
                f"padded[{name!r}]: ceilings are positive integers, got {list(ceilings)!r}."
            )
    return tuple((name, tuple(sorted(ceilings))) for name, ceilings in padded.items())


def _names(what: str, names: Any) -> Sequence[str]:
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise TaskError(f"Task: {what} must be a list of parameter names, got {names!r}.")
    return list(names)
