"""Flax NNX modules as the pure functions of a `Task`.

No NNX transforms: the module is rebuilt while tracing (its initial values are dead code,
which the compiler drops) and given the member's parameters, so random streams start
from each step's own key and no key is ever part of a member's state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flax import nnx

from bojax.training.metrics import call, weighted_mean


@dataclass(frozen=True)
class NnxInit:
    """`(key, hp, x) -> (params, state)`; state is everything but parameters and streams."""

    build: Callable

    def __call__(self, key: Any, hp: Any, x: Any) -> tuple[Any, Any]:
        return _states(self.build(hp, nnx.Rngs(key)))


@dataclass(frozen=True)
class NnxLoss:
    """`(params, state, batch, hp, key) -> (weighted mean loss, state)`, in training mode."""

    build: Callable
    example: Callable

    def __call__(self, params: Any, state: Any, batch: Any, hp: Any, key: Any) -> tuple:
        model = _model(self.build, params, state, hp, key)
        model.train()
        example = call(self.example, model(batch.x), batch.y, hp=hp)
        return weighted_mean(example, batch.weight), _states(model)[1]


@dataclass(frozen=True)
class NnxPredict:
    """`(params, state, x, hp) -> outputs`, in evaluation mode."""

    build: Callable

    def __call__(self, params: Any, state: Any, x: Any, hp: Any) -> Any:
        import jax

        model = _model(self.build, params, state, hp, jax.random.key(0))
        model.eval()
        return model(x)


def _states(model: nnx.Module) -> tuple[dict, dict]:
    parts: Any = nnx.split(model, nnx.Param, nnx.RngState, ...)
    _, params, _, rest = parts
    return nnx.to_pure_dict(params), nnx.to_pure_dict(rest)


def _model(build: Callable, params: dict, state: dict, hp: Any, key: Any) -> nnx.Module:
    parts: Any = nnx.split(build(hp, nnx.Rngs(key)), nnx.Param, nnx.RngState, ...)
    graph, old, streams, rest = parts
    nnx.replace_by_pure_dict(old, params)
    nnx.replace_by_pure_dict(rest, state)
    return nnx.merge(graph, old, streams, rest)
