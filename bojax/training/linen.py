"""Flax Linen modules as the pure functions of a `Task`.

The adapters are frozen dataclasses, so tasks made of the same functions are equal.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
from flax import linen

from bojax.errors import TaskError
from bojax.training.metrics import call, weighted_mean


@dataclass(frozen=True)
class LinenInit:
    """`(key, hp, x) -> (params, state)`; state is every collection but the parameters."""

    build: Callable

    def __call__(self, key: Any, hp: Any, x: Any) -> tuple[Any, Any]:
        module = module_of(self.build, hp)
        streams = {"params": key, "dropout": jax.random.fold_in(key, 1)}
        variables = dict(module.init(streams, x, **mode_of(module, train=False)))
        return variables.pop("params", {}), variables


@dataclass(frozen=True)
class LinenLoss:
    """`(params, state, batch, hp, key) -> (weighted mean loss, state)`, in training mode."""

    build: Callable
    example: Callable

    def __call__(self, params: Any, state: Any, batch: Any, hp: Any, key: Any) -> tuple:
        module = module_of(self.build, hp)
        streams = {"dropout": key, "params": jax.random.fold_in(key, 1)}
        outputs, updated = module.apply(
            {"params": params, **state},
            batch.x,
            **mode_of(module, train=True),
            rngs=streams,
            mutable=list(state),
        )
        example = call(self.example, outputs, batch.y, hp=hp)
        return weighted_mean(example, batch.weight), dict(updated)


@dataclass(frozen=True)
class LinenPredict:
    """`(params, state, x, hp) -> outputs`, in evaluation mode."""

    build: Callable

    def __call__(self, params: Any, state: Any, x: Any, hp: Any) -> Any:
        module = module_of(self.build, hp)
        return module.apply({"params": params, **state}, x, **mode_of(module, train=False))

    def layers(self, params: Any, state: Any, x: Any, hp: Any) -> dict[str, list]:
        """Path of each submodule with parameters -> what its calls gave, in evaluation mode."""
        module = module_of(self.build, hp)
        _, kept = module.apply(
            {"params": params, **state},
            x,
            capture_intermediates=True,
            mutable=["intermediates"],
            **mode_of(module, train=False),
        )
        found: dict[str, list] = {}
        for path, leaf in jax.tree_util.tree_leaves_with_path(kept["intermediates"]):
            names = [str(getattr(entry, "key", "")) for entry in path]
            module_path = names[: names.index("__call__")]
            # What the whole module gives is no layer's.
            if module_path and _inside(params, module_path):
                found.setdefault("/".join(module_path), []).append(leaf)
        return found


def module_of(build: Callable, hp: Any) -> linen.Module:
    """What `build` makes.

    Raises:
        TaskError: it is no Linen module.
    """
    module = build(hp)
    if not isinstance(module, linen.Module):
        raise TaskError(
            f"Task.linen: build(hp) must return a flax.linen.Module, got {type(module).__name__}; "
            "use Task.nnx for an NNX module."
        )
    return module


def mode_of(module: linen.Module, *, train: bool) -> dict[str, Any]:
    """The keyword by which this module is told that it trains, if it has one."""
    accepted = inspect.signature(type(module).__call__).parameters
    for name, value in (("train", train), ("training", train), ("deterministic", not train)):
        if name in accepted:
            return {name: value}
    return {}


def _inside(params: Any, path: list[str]) -> bool:
    """Whether there are parameters below this path."""
    for name in path:
        if name not in params:
            return False
        params = params[name]
    return True
