"""Linen layers whose width and dropout rate are data, and a convolution for loops.

A member of true width w lives in arrays of a larger, static width. Three rules keep it
the narrow model, to rounding: weights outside the true block are zero, activations are
masked after every nonlinearity (so the gradient of those weights is zero too, and zero
weights stay zero under decay, momentum, Adam and Lion), and statistics over features are
taken over the true count.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen

# A 32-bit mixer without visible bias: the constants of C. Wellons, "hash-prospector", 2018
# (16, 21f0aaad, 15, d35a2d97, 15); the increment is 2**32 over the golden ratio.
_MIX = ((16, 0x21F0AAAD), (15, 0xD35A2D97))
_GOLDEN = 0x9E3779B9
# The smallest keep probability that is divided by: a rate of 1 gives zeros, never NaN.
SMALLEST_KEEP = 1e-6


def mask_units(x: jax.Array, width: Any) -> jax.Array:
    """Zero the last axis from `width` (traced) on; unchanged if `width` is None.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.training.layers import mask_units
        >>> mask_units(jnp.ones(4), 3).tolist()
        [1.0, 1.0, 1.0, 0.0]
    """
    if width is None:
        return x
    return jnp.where(jnp.arange(x.shape[-1], dtype=jnp.int32) < width, x, 0)


def quick_uniform(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Uniform float32 numbers in [0, 1), good enough for masks and far cheaper than threefry.

    A counter, mixed twice with the two words of a threefry key. In a population of small
    models threefry dropout takes a third of the training time; this a tenth of that.

    Example:
        >>> import jax
        >>> from bojax.training.layers import quick_uniform
        >>> quick_uniform(jax.random.key(0), (2, 3)).shape
        (2, 3)
    """
    first, *_, second = jax.random.key_data(key)
    z = jax.lax.iota(jnp.uint32, math.prod(shape)) * jnp.uint32(_GOLDEN)
    for word in (first, second):
        z = z ^ word
        for shift, factor in _MIX:
            z = (z ^ (z >> jnp.uint32(shift))) * jnp.uint32(factor)
        z = z ^ (z >> jnp.uint32(15))
    return ((z >> jnp.uint32(8)).astype(jnp.float32) * 2.0**-24).reshape(shape)


class Dropout(linen.Module):
    """Dropout whose rate is traced: `flax.linen.Dropout` needs a Python number.

    `where(u < 1 - rate, x / (1 - rate), 0)` with u uniform.

    Args:
        rate: share of units set to zero, in [0, 1]; Python 0 leaves it out.
        quick: draw u by :func:`quick_uniform`; False is bitwise `jax.random.bernoulli`
            for the same key.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from bojax.training.layers import Dropout
        >>> y = Dropout(jnp.float32(0.5)).apply(
        ...     {}, jnp.ones(1000), train=True, rngs={"dropout": jax.random.key(0)})
        >>> sorted(set(y.tolist()))
        [0.0, 2.0]
    """

    rate: Any
    quick: bool = True

    @linen.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        if not train or (isinstance(self.rate, (int, float)) and self.rate == 0):
            return x
        keep = jnp.asarray(1.0 - self.rate, jnp.float32)
        draw = quick_uniform if self.quick else jax.random.uniform
        kept = draw(self.make_rng("dropout"), x.shape) < keep
        return jnp.where(kept, x / jnp.maximum(keep, SMALLEST_KEEP).astype(x.dtype), 0)


class Dense(linen.Module):
    """An affine map between padded widths, drawn as its narrow self.

    Weights are uniform with variance 1 / (true fan-in) (LeCun et al., 1998, "Efficient
    BackProp", eq. 16), zero outside the true block; biases are zero.

    Args:
        features: outputs, static (padded).
        inputs: true number of inputs, traced, or None for all.
        width: true number of outputs, traced, or None for all.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from bojax.training.layers import Dense
        >>> variables = Dense(8, inputs=3, width=5).init(jax.random.key(0), jnp.ones((1, 4)))
        >>> int((variables["params"]["kernel"] != 0).sum())
        15
    """

    features: int
    inputs: Any = None
    width: Any = None

    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.param("kernel", self._kernel, (x.shape[-1], self.features))
        bias = self.param("bias", linen.initializers.zeros, (self.features,))
        return x @ kernel + bias

    def _kernel(self, key: jax.Array, shape: tuple[int, int]) -> jax.Array:
        fan_in = jnp.asarray(shape[0] if self.inputs is None else self.inputs, jnp.float32)
        drawn = jax.random.uniform(key, shape, jnp.float32, -1.0, 1.0)
        drawn = mask_units(drawn * jnp.sqrt(3.0 / fan_in), self.width)
        return drawn if self.inputs is None else mask_units(drawn.T, self.inputs).T


class Conv(linen.Module):
    """Convolution by patches and one product, `[B, H, W, C] -> [B, H', W', features]`.

    Equals `flax.linen.Conv` of the same parameters, whose names and shapes it has. Inside a loop
    on a CPU XLA's convolution is three times slower than outside of one; this is not.

    Args:
        features: static, output channels.
        kernel: static, height and width, odd.
        stride: static.
        use_bias: whether a bias is added.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from bojax.training.layers import Conv
        >>> y, variables = Conv(4, 3, stride=2).init_with_output(
        ...     jax.random.key(0), jnp.ones((1, 8, 8, 2)))
        >>> y.shape, variables["params"]["kernel"].shape
        ((1, 4, 4, 4), (3, 3, 2, 4))
    """

    features: int
    kernel: int = 3
    stride: int = 1
    use_bias: bool = True

    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        size, channels = self.kernel, x.shape[-1]
        start = linen.initializers.lecun_normal()
        weights = self.param("kernel", start, (size, size, channels, self.features))
        # As "SAME" padding: ceil(side / stride) places, an odd one more at the end.
        places = [-(-side // self.stride) for side in x.shape[1:3]]
        gaps = [
            max((count - 1) * self.stride + size - side, 0)
            for count, side in zip(places, x.shape[1:3], strict=True)
        ]
        x = jnp.pad(x, ((0, 0), *((gap // 2, gap - gap // 2) for gap in gaps), (0, 0)))
        ends = [(count - 1) * self.stride + 1 for count in places]
        shifted = [
            x[:, i : i + ends[0] : self.stride, j : j + ends[1] : self.stride]
            for i in range(size)
            for j in range(size)
        ]
        y = jnp.concatenate(shifted, axis=-1) @ weights.reshape(-1, self.features)
        if self.use_bias:
            y = y + self.param("bias", linen.initializers.zeros, (self.features,))
        return y


class LayerNorm(linen.Module):
    """Layer normalisation over the true width (Ba et al., 2016), masked beyond it.

    Args:
        width: true number of features, traced, or None for all.
        epsilon: added to the variance, as in `flax.linen.LayerNorm`.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from bojax.training.layers import LayerNorm
        >>> y, _ = LayerNorm(width=2).init_with_output(
        ...     jax.random.key(0), jnp.array([1.0, 3.0, 0.0, 0.0]))
        >>> y.round(3).tolist()
        [-1.0, 1.0, 0.0, 0.0]
    """

    width: Any = None
    epsilon: float = 1e-6

    @linen.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (x.shape[-1],)
        scale = self.param("scale", linen.initializers.ones, shape)
        bias = self.param("bias", linen.initializers.zeros, shape)
        count = jnp.asarray(x.shape[-1] if self.width is None else self.width, x.dtype)
        mean = mask_units(x, self.width).sum(-1, keepdims=True) / count
        centred = mask_units(x - mean, self.width)
        variance = jnp.square(centred).sum(-1, keepdims=True) / count
        normal = centred * jax.lax.rsqrt(variance + self.epsilon)
        return mask_units(normal * scale + bias, self.width)
