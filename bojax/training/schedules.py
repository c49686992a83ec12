"""Learning rate schedules chosen by data.

Each is a shape on [0, 1] times the base rate, so the kind, the horizon and both shape
values can differ from member to member of one compiled program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp

from bojax.errors import TaskError

# One cycle ends at peak / (DIVISOR * FINAL_DIVISOR) (optax.cosine_onecycle_schedule).
FINAL_DIVISOR = 1e4
SMALLEST = 1e-12  # guards the divisions of shapes that the kind does not choose

#: kind -> what `a` and `b` mean, and their defaults.
KINDS: dict[str, tuple[float, float]] = {
    "constant": (1.0, 1.0),
    "step": (0.1, 1 / 3),  # a: factor at each drop; b: share of the horizon between drops
    "exponential": (0.01, 1.0),  # a: share of the base rate left at the horizon
    "cosine": (0.0, 1.0),  # a: share left at the horizon
    "warmup_cosine": (0.0, 0.1),  # a: share left at the horizon; b: share spent warming up
    "cyclical": (0.1, 0.25),  # a: lowest share; b: length of a triangle, share of the horizon
    "one_cycle": (0.04, 0.3),  # a: share at the start (1 / 25); b: share spent rising
}


def schedule(
    kind: Any,
    step: Any,
    horizon: Any,
    base: Any,
    a: Any = None,
    b: Any = None,
    *,
    kinds: Sequence[str] = tuple(KINDS),
) -> Any:
    """The learning rate at a step.

    Args:
        kind: a name, or a traced code into `kinds`.
        step: steps already done, from 0; traced.
        horizon: steps at the final budget, `hp.steps`; traced.
        base: the (largest) rate; traced.
        a, b: the shape, see the table `KINDS`; None for the kind's default.
        kinds: names the code chooses from.

    Returns:
        A float32 scalar.

    Raises:
        TaskError: an unknown kind.

    Example:
        >>> from bojax.training.schedules import schedule
        >>> [round(float(schedule("cosine", t, 100, 0.1)), 4) for t in (0, 50, 100)]
        [0.1, 0.05, 0.0]
    """
    names = (kind,) if isinstance(kind, str) else tuple(kinds)
    for name in names:
        if name not in KINDS:
            raise TaskError(f"schedule: no kind {name!r}; expected one of {list(KINDS)}.")
    t, total = jnp.asarray(step, jnp.float32), jnp.asarray(horizon, jnp.float32)
    shapes = []
    for name in names:
        low, share = (
            jnp.asarray(default if given is None else given, jnp.float32)
            for given, default in zip((a, b), KINDS[name], strict=True)
        )
        shapes.append(_SHAPES[name](t, total, low, share))
    base = jnp.asarray(base, jnp.float32)
    if len(shapes) == 1:
        return base * shapes[0]
    return base * jnp.stack(shapes)[jnp.asarray(kind, jnp.int32)]


def schedule_for(
    kind: Any,
    *,
    base: Any,
    horizon: Any,
    a: Any = None,
    b: Any = None,
    kinds: Sequence[str] = tuple(KINDS),
) -> Callable:
    """The same as a function of the step, as optax takes it.

    Example:
        >>> import optax
        >>> from bojax.training.schedules import schedule_for
        >>> optimizer = optax.sgd(schedule_for("cosine", base=0.1, horizon=100))
    """
    return lambda step: schedule(kind, step, horizon, base, a, b, kinds=kinds)


def _step(t: Any, total: Any, a: Any, b: Any) -> Any:
    return a ** jnp.floor(t / jnp.maximum(b * total, SMALLEST))


def _exponential(t: Any, total: Any, a: Any, b: Any) -> Any:
    return a ** (t / total)


def _cosine(t: Any, total: Any, a: Any, b: Any) -> Any:
    share = jnp.clip(t / jnp.maximum(total, SMALLEST), 0.0, 1.0)
    return (1.0 - a) * 0.5 * (1.0 + jnp.cos(jnp.pi * share)) + a


def _warmup_cosine(t: Any, total: Any, a: Any, b: Any) -> Any:
    warm = b * total
    rising = t / jnp.maximum(warm, SMALLEST)
    return jnp.where(t < warm, rising, _cosine(t - warm, total - warm, a, b))


def _cyclical(t: Any, total: Any, a: Any, b: Any) -> Any:
    phase = t / jnp.maximum(b * total, SMALLEST)
    triangle = 1.0 - jnp.abs(2.0 * (phase - jnp.floor(phase)) - 1.0)
    return a + (1.0 - a) * triangle


def _one_cycle(t: Any, total: Any, a: Any, b: Any) -> Any:
    peak = b * total
    rising = 1.0 - _cosine(t, peak, 0.0, b)
    falling = _cosine(t - peak, total - peak, 0.0, b)
    end = a / FINAL_DIVISOR
    return jnp.where(t < peak, a + (1.0 - a) * rising, end + (1.0 - end) * falling)


_SHAPES: dict[str, Callable] = {
    "constant": lambda t, total, a, b: jnp.ones_like(t),
    "step": _step,
    "exponential": _exponential,
    "cosine": _cosine,
    "warmup_cosine": _warmup_cosine,
    "cyclical": _cyclical,
    "one_cycle": _one_cycle,
}
