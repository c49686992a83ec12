"""A network whose architecture is data: depth, and each layer's width, operation and skip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen

from bojax.training.layers import Dense, LayerNorm, mask_units

# Of the layer's affine map `z` and of what comes in, `h`, both [B, max_width].
OPERATIONS: dict[str, Callable] = {
    "relu": lambda z, h: jax.nn.relu(z),
    "tanh": lambda z, h: jnp.tanh(z),
    "gelu": lambda z, h: jax.nn.gelu(z),
    "gate": lambda z, h: z * jax.nn.sigmoid(z),  # swish, a gate on itself
    "product": lambda z, h: z * jnp.tanh(h),  # second order: the layer's input is its gate
    "linear": lambda z, h: z,
}


class Layered(linen.Module):
    """Layers in a row, each of its own width and operation, with or without a skip connection.

    `x[B, ...] -> [B, outputs]`; inputs are flattened, a first layer makes them `widths[0]` units.
    Layer l computes `operation(Dense(h))`, to which `h` is added where its skip is on; units that
    only one of the two has are taken as zero in the other. All of it may be traced, so that every
    architecture within the ceilings is a member of one program.

    Args:
        outputs: classes, or targets of a regression.
        depth: layers in use, 1 to `len(widths)`.
        widths: true units of each layer, at most `max_width`.
        operations: code of each layer's operation into `kinds`.
        skips: whether each layer's input is added to its output.
        max_width: static; units every layer is padded to.
        kinds: static, names of `OPERATIONS` that codes choose from; all of them are computed.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from bojax.training.models import Layered
        >>> model = Layered(outputs=3, depth=2, widths=(4, 8), operations=(0, 1),
        ...                 skips=(False, True), max_width=8)
        >>> shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.ones((1, 5)))
        >>> shapes["params"]["layer_1"]["kernel"].shape
        (8, 8)
    """

    outputs: int
    depth: Any
    widths: Sequence[Any]
    operations: Sequence[Any]
    skips: Sequence[Any]
    max_width: int
    kinds: Sequence[str] = tuple(OPERATIONS)

    @linen.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        x = x.reshape(x.shape[0], -1).astype(jnp.float32)
        before = jnp.asarray(self.widths[0], jnp.int32)
        h = mask_units(Dense(self.max_width, None, before, name="stem")(x), before)
        last = before
        settings = zip(self.widths, self.operations, self.skips, strict=True)
        for layer, (width, operation, skip) in enumerate(settings):
            width = jnp.asarray(width, jnp.int32)
            z = Dense(self.max_width, before, width, name=f"layer_{layer}")(h)
            z = LayerNorm(width, name=f"norm_{layer}")(z)
            found = self._operated(operation, z, h)
            mine = mask_units(found, width)
            added = mine + jnp.where(skip, h, 0)
            there = jnp.maximum(width, jnp.where(skip, before, 0))
            used = layer < jnp.asarray(self.depth, jnp.int32)
            h = jnp.where(used, added, h)
            before = jnp.where(used, there, before)
            last = before
        return Dense(self.outputs, last, None, name="output")(h)

    def _operated(self, code: Any, z: jax.Array, h: jax.Array) -> jax.Array:
        found = OPERATIONS[self.kinds[0]](z, h)
        for number, kind in enumerate(self.kinds[1:], start=1):
            found = jnp.where(jnp.asarray(code) == number, OPERATIONS[kind](z, h), found)
        return found
