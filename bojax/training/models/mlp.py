"""A multilayer perceptron whose width, depth, dropout and activation are data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen

from bojax.training.layers import Dense, Dropout, LayerNorm, mask_units

ACTIVATIONS: dict[str, Callable] = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "gelu": jax.nn.gelu,
    "silu": jax.nn.silu,
    "elu": jax.nn.elu,
    "sigmoid": jax.nn.sigmoid,
}


class MLP(linen.Module):
    """A multilayer perceptron; whatever is traced costs no compilation.

    `x[B, ...] -> [B, outputs]`; inputs are flattened.

    Args:
        outputs: classes, or targets of a regression.
        width: units a hidden layer, at least 1; a Python int, or traced together with
            `max_width`.
        depth: hidden layers, at least 1; a Python int, or traced with `max_depth`. Layers
            beyond the depth are computed and skipped, unchanged by training.
        dropout: rate after every hidden layer, in [0, 1]; Python 0 leaves it out.
        activation: a name, a callable, or a traced code into `activations`.
        activations: names the code chooses from; all of them are computed.
        layer_norm: normalise before each activation, over the true width.
        max_width, max_depth: static; `hp.ceiling["width"]`, `hp.ceiling["depth"]`.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from bojax.training.models import MLP
        >>> model = MLP(outputs=3, width=jnp.int32(5), max_width=8, depth=2)
        >>> shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.ones((1, 4)))
        >>> shapes["params"]["hidden_1"]["kernel"].shape
        (8, 8)
    """

    outputs: int
    width: Any = 64
    depth: Any = 2
    dropout: Any = 0.0
    activation: Any = "relu"
    activations: Sequence[str] = ()
    layer_norm: bool = False
    max_width: int | None = None
    max_depth: int | None = None

    @linen.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        h = x.reshape(x.shape[0], -1).astype(jnp.float32)
        masked = self.max_width is not None
        true, features = (self.width if masked else None), self.max_width or self.width
        for layer in range(self.max_depth or self.depth):
            z = Dense(features, None if layer == 0 else true, true, name=f"hidden_{layer}")(h)
            if self.layer_norm:
                z = LayerNorm(true, name=f"norm_{layer}")(z)
            z = mask_units(self._activate(z), true)
            z = Dropout(self.dropout)(z, train=train)
            # The first layer is always there; it also changes the number of units.
            h = z if layer == 0 or self.max_depth is None else jnp.where(layer < self.depth, z, h)
        return Dense(self.outputs, true, None, name="output")(h)

    def _activate(self, z: jax.Array) -> jax.Array:
        if callable(self.activation):
            return self.activation(z)
        if isinstance(self.activation, str):
            return ACTIVATIONS[self.activation](z)
        result = ACTIVATIONS[self.activations[0]](z)
        for code, name in enumerate(self.activations[1:], start=1):
            result = jnp.where(self.activation == code, ACTIVATIONS[name](z), result)
        return result
