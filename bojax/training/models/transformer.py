"""Small transformers: for images, and for text letter by letter."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen

from bojax.training.layers import Dropout


class Block(linen.Module):
    """Self-attention and a dense part, each after its normalisation and added to what was there.

    A. Vaswani et al., "Attention is all you need", 2017, with the normalisation first
    (R. Xiong et al., "On layer normalization in the transformer architecture", 2020).

    Args:
        heads: static, attention heads; they divide the width.
        expansion: static, hidden units of the dense part over the width.
        dropout: rate after both parts, in [0, 1], traced or not; Python 0 leaves it out.
        causal: whether a place sees only those before it, and itself.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from bojax.training.models.transformer import Block
        >>> make = jax.jit(Block(heads=2).init_with_output)
        >>> y, _ = make(jax.random.key(0), jnp.ones((1, 3, 8)))
        >>> y.shape
        (1, 3, 8)
    """

    heads: int = 2
    expansion: int = 4
    dropout: Any = 0.0
    causal: bool = False

    @linen.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        batch, length, width = x.shape
        h = linen.LayerNorm(name="attention_norm")(x)
        shape = (batch, length, 3, self.heads, width // self.heads)
        query, key, value = jnp.moveaxis(linen.Dense(3 * width, name="qkv")(h).reshape(shape), 2, 0)
        scores = jnp.einsum("bqhd,bkhd->bhqk", query, key) / jnp.sqrt(query.shape[-1])
        if self.causal:
            seen = jnp.tril(jnp.ones((length, length), bool))
            scores = jnp.where(seen, scores, -jnp.inf)
        mixed = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores), value)
        mixed = linen.Dense(width, name="mix")(mixed.reshape(x.shape))
        x = x + Dropout(self.dropout)(mixed, train=train)
        h = linen.LayerNorm(name="dense_norm")(x)
        h = jax.nn.gelu(linen.Dense(self.expansion * width, name="dense_in")(h))
        out = linen.Dense(width, name="dense_out")(h)
        return x + Dropout(self.dropout)(out, train=train)


class VisionTransformer(linen.Module):
    """Patches of an image as tokens; the mean of their last states decides.

    `x[B, H, W]` or `[B, H, W, C] -> [B, outputs]`. Integers (bytes) are divided by 255.
    A. Dosovitskiy et al., "An image is worth 16x16 words", ICLR 2021.

    Args:
        outputs: classes, or targets of a regression.
        patch: static, side of a patch; height and width must be multiples of it.
        width, depth, heads: static.
        dropout: rate inside the blocks, in [0, 1], traced or not; Python 0 leaves it out.

    Raises:
        ValueError: patches or heads that do not divide.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from bojax.training.models import VisionTransformer
        >>> model = VisionTransformer(outputs=10, patch=4, width=16)
        >>> shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.ones((1, 8, 8)))
        >>> shapes["params"]["position"].shape
        (4, 16)
    """

    outputs: int
    patch: int = 4
    width: int = 32
    depth: int = 2
    heads: int = 2
    dropout: Any = 0.0

    @linen.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        _divides("heads", self.heads, "width", self.width)
        scale = 1.0 / 255.0 if jnp.issubdtype(x.dtype, jnp.integer) else 1.0
        h = (x if x.ndim == 4 else x[..., None]).astype(jnp.float32) * scale
        batch, height, width, channels = h.shape
        for name, side in (("height", height), ("width of the image", width)):
            _divides("patch", self.patch, name, side)
        rows, columns = height // self.patch, width // self.patch
        h = h.reshape(batch, rows, self.patch, columns, self.patch, channels)
        h = jnp.moveaxis(h, 3, 2).reshape(batch, rows * columns, -1)
        h = linen.Dense(self.width, name="embed")(h)
        start = linen.initializers.normal(0.02)
        h = h + self.param("position", start, (rows * columns, self.width))
        for layer in range(self.depth):
            h = Block(self.heads, dropout=self.dropout, name=f"block_{layer}")(h, train=train)
        h = linen.LayerNorm(name="norm")(h).mean(axis=1)
        return linen.Dense(self.outputs, name="output")(h)


class CharTransformer(linen.Module):
    """The next letter at every place of a text: `x[B, T]` integers `-> [B, T, letters]`.

    Args:
        letters: static, how many there are; tokens are 0 to letters - 1.
        width, depth, heads: static.
        dropout: rate inside the blocks, in [0, 1], traced or not; Python 0 leaves it out.

    Raises:
        ValueError: heads that do not divide the width.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from bojax.training.models import CharTransformer
        >>> model = CharTransformer(letters=27, width=16, depth=1)
        >>> make = jax.jit(model.init_with_output)
        >>> y, _ = make(jax.random.key(0), jnp.zeros((1, 12), jnp.int32))
        >>> y.shape
        (1, 12, 27)
    """

    letters: int
    width: int = 32
    depth: int = 2
    heads: int = 2
    dropout: Any = 0.0

    @linen.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        _divides("heads", self.heads, "width", self.width)
        start = linen.initializers.normal(0.02)
        h = linen.Embed(self.letters, self.width, name="embed")(x)
        h = h + self.param("position", start, (x.shape[1], self.width))
        for layer in range(self.depth):
            block = Block(self.heads, dropout=self.dropout, causal=True, name=f"block_{layer}")
            h = block(h, train=train)
        return linen.Dense(self.letters, name="output")(linen.LayerNorm(name="norm")(h))


def _divides(name: str, part: int, of: str, whole: int) -> None:
    if whole % part:
        raise ValueError(f"{name}={part} must divide the {of}, {whole}.")
