"""How a batch of independent problems runs: decided here and nowhere else.

Under `vmap` all lanes wait for the slowest, which an accelerator's width pays for. On a CPU
one after the other was measured faster: 1.7 ms against 2.4 for a fit of 50 points, 6.4
against 12.9 at 100, 0.138 s against 0.237 for a whole run of 50 evaluations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax


def over_batch(function: Callable, *, mode: str = "auto") -> Callable:
    """`function` mapped over the leading axis of its arguments.

    Args:
        function: of any number of pytrees; returns a pytree.
        mode: "vmap", "map" (one after the other) or "auto": "map" on a CPU, else "vmap".

    Raises:
        ValueError: another mode.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.optimize.batching import over_batch
        >>> over_batch(lambda x, y: x + y)(jnp.arange(3), jnp.arange(3)).tolist()
        [0, 2, 4]
    """
    if mode not in ("auto", "vmap", "map"):
        raise ValueError(f"over_batch: mode must be auto, vmap or map, got {mode!r}.")
    if mode == "auto":
        mode = "map" if jax.default_backend() == "cpu" else "vmap"
    if mode == "vmap":
        return jax.vmap(function)

    def mapped(*arguments: Any):
        return jax.lax.map(lambda packed: function(*packed), arguments)

    return mapped
