"""Rows as features, and methods of a posterior on the host: one program, its own precision."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from bojax.configuration import jit, single_threaded
from bojax.optimize.precision import own_precision


def run_at(function: Callable, like: Any, *arguments: Any, **settings: Any) -> Any:
    """On the host `function` in the precision of `like`, finished before it returns.

    Under a trace it is the plain function.
    """
    leaves = jax.tree.leaves((like, arguments))
    if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
        return function(*arguments, **settings)
    with own_precision(like), single_threaded(like.shape[-1]):
        kinds = (np.ndarray, list, float)
        arguments = tuple(
            np.asarray(a, like.dtype) if isinstance(a, kinds) else a for a in arguments
        )
        return jax.block_until_ready(function(*arguments, **settings))


def at_host(method: Callable) -> Callable:
    """A method of a posterior, which has `upper`, as one compiled program on the host.

    It runs in the factors' precision and gives NumPy, or another posterior as it is. Under a
    trace it is the plain method.
    """
    names = [n for n in ("n", "count") if n in inspect.signature(method).parameters]
    compiled = jit(method, static_argnames=tuple(names))

    @functools.wraps(method)
    def entered(self, *arguments, **settings):
        result = run_at(compiled, self.upper, self, *arguments, **settings)
        leaves = jax.tree.leaves(result)
        plain = isinstance(result, (jax.Array, tuple))
        if not plain or any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
            return result
        return jax.tree.map(np.asarray, result)

    return entered
