"""Going back into float64: what left the scope of `jax.enable_x64` is opaque outside it."""

from __future__ import annotations

import contextlib
from typing import Any

import jax
import numpy as np


def own_precision(array: Any) -> contextlib.AbstractContextManager:
    """The scope in which a concrete array keeps its precision; none under a trace.

    A float64 array that leaves `enable_x64` falls to float32 at the next operation, so host
    faces enter it again. Pure functions never do: they follow the caller's trace.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from bojax.optimize.precision import own_precision
        >>> with jax.enable_x64(True):
        ...     x = jnp.ones(2)
        >>> with own_precision(x):
        ...     (x + 1).dtype.name
        'float64'
    """
    if isinstance(array, jax.core.Tracer):
        return contextlib.nullcontext()
    return jax.enable_x64(bool(array.dtype == np.float64))
