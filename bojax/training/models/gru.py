"""A recurrent network for short sequences."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen

from bojax.training.layers import Dropout


class GRU(linen.Module):
    """Gated recurrent units over a sequence, and one dense layer on the last state.

    `x[B, T, D]` (or `[B, T]`, one number a time) `-> [B, outputs]`. K. Cho et al., "Learning
    phrase representations using RNN encoder-decoder", 2014; Flax's cell.

    Args:
        outputs: classes, or targets of a regression.
        width: static, units.
        dropout: rate before the dense layer, in [0, 1], traced or not; Python 0 leaves it out.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from bojax.training.models import GRU
        >>> model = GRU(outputs=3, width=8)
        >>> shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.ones((1, 5, 2)))
        >>> shapes["params"]["output"]["kernel"].shape
        (8, 3)
    """

    outputs: int
    width: int = 32
    dropout: Any = 0.0

    @linen.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        h = (x if x.ndim == 3 else x[..., None]).astype(jnp.float32)
        states = linen.RNN(linen.GRUCell(self.width), name="rnn")(h)
        assert not isinstance(states, tuple)  # they would come with the carry if it were asked for
        h = Dropout(self.dropout)(states[:, -1], train=train)
        return linen.Dense(self.outputs, name="output")(h)
