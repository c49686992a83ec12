"""Six optimisers as one update, chosen by data.

`lax.switch` over optax transforms runs all of them and keeps all their states; here two
slots a parameter serve every kind, and coefficients make the difference. It equals optax
to rounding, which a test holds it to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from bojax.errors import TaskError

# Defaults are optax's own (optax.adam, optax.rmsprop, optax.lion).
BETA1 = 0.9
BETA2 = {"adam": 0.999, "adamw": 0.999, "rmsprop": 0.9, "lion": 0.99}
EPSILON = 1e-8
MOMENTUM = 0.9
KINDS = ("sgd", "momentum", "adam", "adamw", "rmsprop", "lion")
_FIRST = ("momentum", "adam", "adamw", "lion")  # kinds with a first moment
_SECOND = ("adam", "adamw", "rmsprop")  # kinds with a second moment
_DECAYED = ("adamw", "lion")


class FusedState(NamedTuple):
    """`count` int32; `first` and `second` like the parameters, or None if no kind needs it."""

    count: Any
    first: Any
    second: Any


def fused(
    kind: Any,
    learning_rate: Any,
    *,
    weight_decay: Any = 0.0,
    momentum: Any = MOMENTUM,
    nesterov: Any = False,
    beta1: Any = BETA1,
    beta2: Any = None,
    epsilon: Any = EPSILON,
    kinds: Sequence[str] = KINDS,
) -> Any:
    """An optax transformation whose kind is traced.

    Args:
        kind: a name, or a traced code into `kinds`.
        learning_rate: scalar, traced or not, or a function of the step
            (:func:`bojax.training.schedules.schedule_for`).
        weight_decay: decoupled decay, for "adamw" and "lion"; the others have none, as in
            optax. A scalar, or a function of the step.
        momentum, nesterov: of "momentum" (optax.sgd with momentum).
        beta1: of "adam", "adamw", "lion".
        beta2: of "adam", "adamw", "lion"; the decay of "rmsprop". None gives each kind
            optax's default: .999, .999, .99, .9.
        epsilon: of "adam", "adamw", "rmsprop".
        kinds: names the code chooses from. Fewer kinds cost less: slots that none of them
            needs are left out.

    Returns:
        An `optax.GradientTransformation`.

    Raises:
        TaskError: an unknown kind.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.training.optimizers import fused
        >>> optimizer = fused("sgd", 0.5)
        >>> state = optimizer.init(jnp.ones(2))
        >>> optimizer.update(jnp.ones(2), state, jnp.ones(2))[0].tolist()
        [-0.5, -0.5]
    """
    import optax

    names = (kind,) if isinstance(kind, str) else tuple(kinds)
    for name in names:
        if name not in KINDS:
            raise TaskError(f"fused: no kind {name!r}; expected one of {list(KINDS)}.")
    pick = _picker(names, 0 if isinstance(kind, str) else kind)
    chosen = {name: pick({name: True}, False, bool) for name in names}
    beta2s = {name: BETA2.get(name, 0.0) if beta2 is None else beta2 for name in names}
    # 1 - beta is a datum of its own, formed in double where beta is a Python number, as in
    # optax: 1 - float32(0.999) is off by 1.3e-5.
    b1 = pick(dict.fromkeys(_FIRST, beta1) | {"momentum": momentum}, 0.0)
    c1 = pick(dict.fromkeys(_FIRST, 1.0 - beta1) | {"momentum": 1.0}, 0.0)
    b2 = pick(beta2s, 0.0)
    c2 = pick({name: 1.0 - value for name, value in beta2s.items()}, 0.0)
    changing = callable(weight_decay)
    decayed = pick(dict.fromkeys(_DECAYED, 1.0 if changing else weight_decay), 0.0)

    def first_moment(g: Any, m: Any) -> tuple:
        """The new slot, and the mean that steers."""
        mean = b1 * m + c1 * g
        if "lion" not in chosen:
            return mean, mean
        return jnp.where(chosen["lion"], b2 * m + c2 * g, mean), mean

    def direction(g: Any, mean: Any, v: Any, count: Any) -> Any:
        """Before the decay and the learning rate."""
        result = g
        if "momentum" in chosen:
            ahead = jnp.where(nesterov, g + b1 * mean, mean)
            result = jnp.where(chosen["momentum"], ahead, result)
        if "lion" in chosen:
            result = jnp.where(chosen["lion"], jnp.sign(mean), result)
        if "rmsprop" in chosen:  # its bias is not corrected
            result = jnp.where(chosen["rmsprop"], g * jax.lax.rsqrt(v + epsilon), result)
        for name in ("adam", "adamw"):
            if name in chosen:
                corrected = jnp.sqrt(v / (1.0 - b2**count)) + epsilon
                adam = mean / (1.0 - b1**count) / corrected
                result = jnp.where(chosen[name], adam, result)
        return result

    def init(params: Any) -> FusedState:
        def slot(needed: tuple) -> Any:
            used = any(name in needed for name in names)
            return jax.tree.map(jnp.zeros_like, params) if used else None

        return FusedState(jnp.zeros((), jnp.int32), slot(_FIRST), slot(_SECOND))

    def update(grads: Any, state: FusedState, params: Any = None) -> tuple:
        rate = learning_rate(state.count) if callable(learning_rate) else learning_rate
        count = (state.count + 1).astype(jnp.float32)
        first, second, mean = state.first, state.second, grads
        if first is not None:
            pairs = jax.tree.map(first_moment, grads, first)
            first, mean = (_part(grads, pairs, i) for i in (0, 1))
        if second is not None:
            second = jax.tree.map(lambda g, v: b2 * v + c2 * jnp.square(g), grads, second)
        slots = grads if second is None else second
        updates = jax.tree.map(lambda g, m, v: direction(g, m, v, count), grads, mean, slots)
        if any(name in _DECAYED for name in names):
            decay = decayed * weight_decay(state.count) if changing else decayed
            updates = jax.tree.map(lambda u, p: u + decay * p, updates, params)
        updates = jax.tree.map(lambda u: -rate * u, updates)
        return updates, FusedState(state.count + 1, first, second)

    return optax.GradientTransformation(init, update)


def _picker(names: Sequence[str], code: Any) -> Callable:
    """`pick(values, otherwise)`: the chosen kind's value, a scalar array."""

    def pick(values: dict, otherwise: Any, dtype: Any = jnp.float32) -> Any:
        listed = [jnp.asarray(values.get(name, otherwise), dtype) for name in names]
        return listed[0] if len(listed) == 1 else jnp.stack(listed)[code]

    return pick


def _part(like: Any, pairs: Any, i: int) -> Any:
    structure: Any = jax.tree.structure(like)
    return structure.unflatten([pair[i] for pair in structure.flatten_up_to(pairs)])
