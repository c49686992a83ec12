"""Calls of an acquisition on the host: one compiled program, in the posteriors' precision."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bojax.configuration import jit, single_threaded
from bojax.optimize.precision import own_precision


def at_host(call: Callable) -> Callable:
    """`__call__` of an acquisition as one compiled program on the host, which gives NumPy.

    Under a trace, or with a posterior that is no pytree, it is the plain function.
    """
    compiled = jit(call)

    @functools.wraps(call)
    def entered(self: Any, posteriors: Any, rows: Any, incumbent: Any = None) -> Any:
        posteriors = tuple(posteriors)
        leaves = jax.tree.leaves((self, posteriors, rows, incumbent))
        like = _own_float(jax.tree.leaves(posteriors))
        if like is None or any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
            return call(self, posteriors, rows, incumbent)
        with own_precision(like), single_threaded(1):
            rows = np.asarray(rows, like.dtype)
            result = compiled(self, posteriors, rows, incumbent)
            return np.asarray(jax.block_until_ready(result))

    return entered


def _own_float(leaves: list) -> Any:
    """A leaf whose precision is the posteriors'; None if they hold what is no array.

    Tables are NumPy float64 in every precision, so JAX's own arrays are asked first.
    """
    if not all(isinstance(leaf, (jax.Array, np.ndarray, float, int, bool)) for leaf in leaves):
        return None
    arrays = [leaf for leaf in leaves if isinstance(leaf, (jax.Array, np.ndarray))]
    floats = [leaf for leaf in arrays if jnp.issubdtype(leaf.dtype, jnp.floating)]
    own = [leaf for leaf in floats if isinstance(leaf, jax.Array)]
    return next(iter(own or floats), None)


def one_row(acquisition: Any, rows: Any) -> Any:
    """`rows[..., 1, D]` -> `[..., D]`.

    Raises:
        ValueError: more than one row to be scored together.
    """
    rows = jnp.asarray(rows)
    if rows.ndim < 2 or rows.shape[-2] != 1:
        raise ValueError(
            f"{type(acquisition).__name__}: scores one row at a time, rows[..., 1, D]; got rows "
            f"of shape {rows.shape}. For rows scored together take QLogEI, QLogNEI, QUCB or Gibbon."
        )
    return rows[..., 0, :]


def moments_at(acquisition: Any, posterior: Any, rows: Any) -> tuple[Any, Any]:
    """Mean and variance `[...]` at `rows[..., 1, D]`."""
    mean, variance = posterior.mean_and_variance(one_row(acquisition, rows))
    return jnp.asarray(mean), jnp.asarray(variance)


def needs(acquisition: Any, posteriors: tuple, least: int, what: str) -> None:
    """Complain where there are fewer posteriors than the acquisition reads.

    Raises:
        ValueError: naming the acquisition and what it expects.
    """
    if len(posteriors) < least:
        raise ValueError(
            f"{type(acquisition).__name__}: needs at least {least} posteriors ({what}), got "
            f"{len(posteriors)}."
        )


def noise_of(given: Any, posterior: Any, dtype: Any) -> Any:
    """Variance of an observation's noise: what was given, else what the posterior fitted, else 0.

    A posterior's `noise` is of standardised values where it has a `scale`.
    """
    if given is None:
        noise = jnp.asarray(getattr(posterior, "noise", 0.0), dtype)
        return noise * jnp.asarray(getattr(posterior, "scale", 1.0), dtype) ** 2
    return jnp.asarray(given, dtype)
