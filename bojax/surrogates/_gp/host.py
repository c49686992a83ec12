"""Rows as features, and methods of a posterior on the host: one program, its own precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bojax.configuration import single_threaded
from bojax.optimize.precision import own_precision
from bojax.space import Features
from bojax.space import table as tables


def features_of(table, rows) -> Features:
    """Rows of a space, or plain numbers, as a kernel's features.

    Plain numbers may come without the columns they were padded with.
    """
    if table is None:
        ones = jnp.ones(rows.shape, rows.dtype)
        return Features(rows, ones, jnp.ones(rows.shape[-1], jnp.int32))
    missing = table.kind.shape[-1] - rows.shape[-1]
    if missing:
        rows = jnp.pad(rows, [(0, 0)] * (rows.ndim - 1) + [(0, missing)])
    return tables.features(table, rows)


def run_at(function: Callable, like: Any, *arguments: Any, **settings: Any) -> Any:
    """On the host `function` in the precision of `like`, finished before it returns.

    Under a trace it is the plain function.
    """
    leaves = jax.tree.leaves((like, arguments))
    if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
        return function(*arguments, **settings)
    with own_precision(like), single_threaded(like.shape[0]):
        kinds = (np.ndarray, list, float)
        arguments = tuple(
            np.asarray(a, like.dtype) if isinstance(a, kinds) else a for a in arguments
        )
        return jax.block_until_ready(function(*arguments, **settings))
