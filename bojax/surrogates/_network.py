"""The Flax network of the neural surrogates, what it is shown of a row, and its training.

Loaded when a neural surrogate is first fitted: `import bojax` does without Flax and optax.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import linen

from bojax.space import table as tables
from bojax.surrogates._lines import features_of

ACTIVATIONS = {"relu": jax.nn.relu, "tanh": jnp.tanh}
UNIFORM = math.sqrt(12.0)  # one over the standard deviation of a uniform number


class Network(linen.Module):
    """A multilayer perceptron: `x[N, F]` -> outputs `[N, outputs]`, last hidden layer `[N, width]`.

    Attributes:
        width, depth: units a hidden layer, hidden layers.
        outputs: of the linear layer on top.
        activation: "relu" or "tanh".

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from bojax.surrogates._network import Network
        >>> network = Network(width=8, depth=2, outputs=1, activation="tanh")
        >>> shapes = jax.eval_shape(network.init, jax.random.key(0), jnp.ones((5, 3)))
        >>> shapes["params"]["output"]["kernel"].shape
        (8, 1)
    """

    width: int
    depth: int
    outputs: int
    activation: str

    @linen.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        def dense(features: int, name: str) -> linen.Dense:
            return linen.Dense(features, dtype=x.dtype, param_dtype=x.dtype, name=name)

        hidden = x
        for layer in range(self.depth):
            hidden = ACTIVATIONS[self.activation](dense(self.width, f"hidden_{layer}")(hidden))
        return dense(self.outputs, "output")(hidden), hidden


def inputs_of(table: tables.SpaceTable | None, rows: Any) -> jax.Array:
    """Rows `[..., D]` as a network's inputs `[..., F]`.

    A number of the unit interval is centred and scaled to variance 1, a category is one-hot,
    a column that does not exist is 0 with a flag of its own. Inputs are scaled so that a
    layer with weights of variance 1 / F gives variance 1, however many are padding.
    """
    features = features_of(table, rows)
    dtype = features.coordinate.dtype
    number = (features.kind != tables.UNUSED) & (features.kind != tables.CATEGORY)
    present = features.active > 0
    centred = UNIFORM * (features.coordinate - 0.5)
    parts = [jnp.where(number & present, centred, 0.0)]
    if table is not None:
        codes = jnp.arange(table.clauses.choices.shape[-1]).astype(dtype)
        category = ((features.kind == tables.CATEGORY) & present)[..., None]
        hot = (features.coordinate[..., None] == codes) & category
        parts += [(~present).astype(dtype), hot.astype(dtype).reshape(*rows.shape[:-1], -1)]
    inputs = jnp.concatenate(parts, axis=-1)
    used = jnp.sum((features.kind != tables.UNUSED).astype(dtype))
    return inputs * jnp.sqrt(inputs.shape[-1] / jnp.maximum(used, 1.0))


def train(loss: Callable, params: Any, steps: int, learning_rate: Any) -> tuple[Any, Any]:
    """Full-batch Adam with a learning rate that falls to 0 as half a cosine.

    Args:
        loss: parameters -> scalar.
        params: where to start.
        steps: static.
        learning_rate: of the first step.

    Returns:
        The parameters at the end, and their loss.
    """
    adam = optax.scale_by_adam()

    def step(i, carry):
        params, state = carry
        slope = jax.grad(loss)(params)
        with jax.numpy_dtype_promotion("standard"):  # its bias correction: 0.9 ** count
            updates, state = adam.update(slope, state, params)
        share = i.astype(jax.tree.leaves(params)[0].dtype) / steps
        rate = 0.5 * learning_rate * (1.0 + jnp.cos(math.pi * share))
        return jax.tree.map(lambda p, u: p - rate.astype(p.dtype) * u, params, updates), state

    params, _ = jax.lax.fori_loop(0, steps, step, (params, adam.init(params)))
    return params, loss(params)


def distance(params: Any, start: Any) -> Any:
    """Sum of squared differences, those of a layer's kernel times its inputs.

    A kernel is drawn with variance 1 / inputs, so that all are in units of their draw.
    """

    def one(a, b):
        return jnp.sum((a - b) ** 2) * (a.shape[0] if a.ndim == 2 else 1)

    return sum(jax.tree.leaves(jax.tree.map(one, params, start)))
