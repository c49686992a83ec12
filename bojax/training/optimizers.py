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
            optax.
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
    code = 0 if isinstance(kind, str) else kind
    for name in names:
        if name not in KINDS:
            raise TaskError(f"fused: no kind {name!r}; expected one of {list(KINDS)}.")
    has_first = any(name in _FIRST for name in names)
    has_second = any(name in _SECOND for name in names)
    pick = _picker(names, code)
    # 1 - beta is a datum of its own: formed in double where beta is a Python number, since
    # 1 - float32(0.999) is off by 1.3e-5, and optax forms it so too.
    one, beta, one_less_beta = 1.0, beta1, 1.0 - beta1
    b1 = pick(lambda n: {"momentum": momentum}.get(n, beta if n in _FIRST else 0.0))
    c1 = pick(lambda n: one_less_beta if n in _FIRST and n != "momentum" else one)
    second = {n: BETA2.get(n, 0.0) if beta2 is None else beta2 for n in names}
    b2, c2 = pick(lambda n: second[n]), pick(lambda n: 1.0 - second[n])
    is_kind = {n: pick(lambda m, n=n: m == n, bool) for n in names}
    any_of = lambda group: _any([is_kind[n] for n in names if n in group])  # noqa: E731
    decay = pick(lambda n: weight_decay if n in _DECAYED else 0.0)

    def init(params: Any) -> FusedState:
        zeros = lambda: jax.tree.map(jnp.zeros_like, params)  # noqa: E731
        return FusedState(
            jnp.zeros((), jnp.int32),
            zeros() if has_first else None,
            zeros() if has_second else None,
        )

    def update(grads: Any, state: FusedState, params: Any = None) -> tuple:
        count = state.count + 1
        rate = learning_rate(state.count) if callable(learning_rate) else learning_rate
        steps = count.astype(jnp.float32)
        # RMSprop does not correct its bias.
        correct1 = 1.0 - jnp.asarray(beta1, jnp.float32) ** steps
        correct2 = 1.0 - b2**steps

        def leaf(g: Any, p: Any, m: Any, v: Any) -> tuple:
            direction = g
            if has_first:
                kept = b1 * m + c1 * g
                if "momentum" in names:
                    ahead = jnp.where(nesterov, g + b1 * kept, kept)
                    direction = _where(is_kind["momentum"], ahead, direction)
                if "lion" in names:  # the sign of one mean, the memory of another
                    direction = _where(is_kind["lion"], jnp.sign(kept), direction)
                    kept = _where(is_kind["lion"], b2 * m + c2 * g, kept)
                m = kept
            if has_second:
                v = b2 * v + c2 * jnp.square(g)
                if "rmsprop" in names:
                    direction = _where(
                        is_kind["rmsprop"], g * jax.lax.rsqrt(v + epsilon), direction
                    )
                if has_first:
                    adam = (m / correct1) / (jnp.sqrt(v / correct2) + epsilon)
                    direction = _where(any_of(("adam", "adamw")), adam, direction)
            if any(n in _DECAYED for n in names):
                direction = direction + decay * p
            return -rate * direction, m, v

        if params is None:
            params = grads  # only decay reads them
        nothing = jax.tree.map(lambda _: None, grads)
        results = jax.tree.map(
            leaf,
            grads,
            params,
            state.first if has_first else grads,
            state.second if has_second else grads,
        )
        del nothing
        updates, first, slot = _unzip(grads, results)
        return updates, FusedState(
            count, first if has_first else None, slot if has_second else None
        )

    return optax.GradientTransformation(init, update)


def _picker(names: Sequence[str], code: Any) -> Callable:
    """`pick(value_of)`: the chosen kind's value; a Python value if there is one kind only."""

    def pick(value_of: Callable, dtype: Any = jnp.float32) -> Any:
        values = [jnp.asarray(value_of(name), dtype) for name in names]
        if len(values) == 1:
            return values[0]
        return jnp.stack(values)[code]

    return pick


def _any(flags: Sequence) -> Any:
    found = jnp.asarray(False)
    for flag in flags:
        found = found | flag
    return found


def _where(flag: Any, yes: Any, no: Any) -> Any:
    return jnp.where(flag, yes, no)


def _unzip(like: Any, results: Any) -> tuple:
    structure = jax.tree.structure(like)
    leaves = structure.flatten_up_to(results)
    return tuple(structure.unflatten(column) for column in zip(*leaves, strict=True))
