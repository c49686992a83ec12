"""A small convolutional network for images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen

from bojax.training.layers import Conv, Dropout, mask_units


class CNN(linen.Module):
    """Blocks of convolution, batch normalisation, ReLU and pooling, then one dense layer.

    `x[B, H, W]` or `[B, H, W, C] -> [B, outputs]`. Integers (bytes) are divided by 255. Pooling
    is by reshaping, convolution by patches and one product: inside the loops of a population
    both are faster on a CPU than XLA's own, and quicker to compile.

    Args:
        outputs: classes, or targets of a regression.
        features: static, channels of each block; each halves height and width, rounded down.
        kernel: static, odd height and width of the convolutions.
        dropout: rate before the dense layer, in [0, 1], traced or not; Python 0 leaves it out.
        batch_norm: normalise over the batch in training, by running averages otherwise.
        momentum: of the running averages.
        width: share of each block's channels in use, in (0, 1], traced; None for all.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from bojax.training.models import CNN
        >>> model = CNN(outputs=10, features=(8, 16))
        >>> shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.ones((1, 28, 28)))
        >>> shapes["params"]["output"]["kernel"].shape  # 7 x 7 places of 16 channels
        (784, 10)
    """

    outputs: int
    features: Sequence[int] = (16, 32)
    kernel: int = 3
    dropout: Any = 0.0
    batch_norm: bool = True
    momentum: float = 0.9
    width: Any = None

    @linen.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        scale = 1.0 / 255.0 if jnp.issubdtype(x.dtype, jnp.integer) else 1.0
        h = (x if x.ndim == 4 else x[..., None]).astype(jnp.float32) * scale
        for block, channels in enumerate(self.features):
            h = Conv(channels, self.kernel, use_bias=not self.batch_norm, name=f"conv_{block}")(h)
            if self.batch_norm:
                h = linen.BatchNorm(
                    use_running_average=not train, momentum=self.momentum, name=f"norm_{block}"
                )(h)
            h = max_pool(jax.nn.relu(h))
            if self.width is not None:
                h = mask_units(h, jnp.ceil(self.width * channels).astype(jnp.int32))
        h = h.reshape(h.shape[0], -1)
        h = Dropout(self.dropout)(h, train=train)
        return linen.Dense(self.outputs, name="output")(h)


def max_pool(x: jax.Array) -> jax.Array:
    """The largest of every two by two, `[B, H, W, C]`; odd edges are cut off.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.training.models.cnn import max_pool
        >>> max_pool(jnp.arange(16.0).reshape(1, 4, 4, 1))[0, :, :, 0].tolist()
        [[5.0, 7.0], [13.0, 15.0]]
    """
    b, height, width, channels = x.shape
    x = x[:, : height // 2 * 2, : width // 2 * 2]
    x = x.reshape(b, height // 2, 2, width // 2, 2, channels)
    # Not a reduction: its gradient read memory that nobody had written when XLA 0.10.2 compiled
    # it without optimisations.
    rows = jnp.maximum(x[:, :, 0], x[:, :, 1])
    return jnp.maximum(rows[:, :, :, 0], rows[:, :, :, 1])
