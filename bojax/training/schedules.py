"""Schedules chosen by data: of a learning rate, a weight decay, a dropout rate.

Each is a shape on [0, 1] times the base value, so the kind, the horizon and both shape
values can differ from member to member of one compiled program. :func:`searched` makes
parameters of a kind and its shape, :func:`of` the schedule of a configuration of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp

from bojax.errors import TaskError

# One cycle ends at peak / (DIVISOR * FINAL_DIVISOR) (optax.cosine_onecycle_schedule).
FINAL_DIVISOR = 1e4
SMALLEST = 1e-12  # guards the divisions of shapes that the kind does not choose

#: kind -> ranges of `a` and `b` that are worth searching; None where the kind has no such value.
RANGES: dict[str, tuple[tuple[float, float] | None, tuple[float, float] | None]] = {
    "constant": (None, None),
    "step": ((0.05, 0.7), (0.1, 0.5)),
    "exponential": ((1e-3, 0.5), None),
    "linear": ((0.0, 0.3), None),
    "polynomial": ((0.0, 0.3), (0.5, 4.0)),
    "cosine": ((0.0, 0.3), None),
    "warm_restarts": ((0.0, 0.3), (0.1, 0.5)),
    "warmup": ((0.0, 0.3), (0.01, 0.3)),
    "warmup_cosine": ((0.0, 0.3), (0.01, 0.3)),
    "cyclical": ((0.01, 0.5), (0.1, 0.5)),
    "one_cycle": ((0.02, 0.2), (0.1, 0.5)),
}

#: kind -> what `a` and `b` mean, and their defaults.
KINDS: dict[str, tuple[float, float]] = {
    "constant": (1.0, 1.0),
    "step": (0.1, 1 / 3),  # a: factor at each drop; b: share of the horizon between drops
    "exponential": (0.01, 1.0),  # a: share of the base rate left at the horizon
    "linear": (0.0, 1.0),  # a: share left at the horizon
    "polynomial": (0.0, 2.0),  # a: share left at the horizon; b: power
    "cosine": (0.0, 1.0),  # a: share left at the horizon
    "warm_restarts": (0.0, 0.25),  # a: share left before a restart; b: length of a cycle
    "warmup": (0.0, 0.1),  # a: share at the start; b: share of the horizon spent rising
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
    """The value at a step.

    Args:
        kind: a name, or a traced code into `kinds`.
        step: steps already done, from 0; traced.
        horizon: steps at the final budget, `hp.steps`; traced.
        base: the (largest) value; traced.
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
    _known(names)
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


def searched(
    name: str, kinds: Sequence[str] = tuple(KINDS), *, shapes: bool = True
) -> dict[str, Any]:
    """Parameters of a space that choose a schedule: its kind, and the shape of that kind.

    Args:
        name: what is scheduled; the parameters are `<name>_schedule` and, each where its
            kind is chosen, `<name>_<kind>_a` and `<name>_<kind>_b`, over `RANGES`.
        kinds: names to choose from, at least two.
        shapes: False leaves the shapes at the kinds' defaults.

    Raises:
        TaskError: fewer than two kinds, or an unknown one.

    Example:
        >>> import bojax
        >>> from bojax.training import schedules
        >>> parameters = schedules.searched("lr", ["constant", "cosine", "step"])
        >>> list(parameters)
        ['lr_schedule', 'lr_cosine_a', 'lr_step_a', 'lr_step_b']
        >>> space = bojax.Space({"lr": bojax.Float(1e-4, 1.0, log=True)} | parameters)
    """
    from bojax.space import Categorical, Float

    kinds = tuple(kinds)
    _known(kinds)
    if len(set(kinds)) < 2:
        raise TaskError(f"schedule: {name}: give at least two kinds to choose from, got {kinds}.")
    found: dict[str, Any] = {f"{name}_schedule": Categorical(list(kinds))}
    for kind in kinds if shapes else ():
        for letter, span in zip("ab", RANGES[kind], strict=True):
            if span is not None:
                when = {f"{name}_schedule": kind}
                found[f"{name}_{kind}_{letter}"] = Float(*span, when=when)
    return found


def of(hp: Any, name: str, base: Any = None) -> Callable:
    """The schedule that a configuration of :func:`searched` parameters describes.

    Args:
        hp: :class:`bojax.training.Hyperparameters`, traced or not.
        name: as it was given to :func:`searched`.
        base: what the shape is multiplied with; None for `hp[name]`.

    Returns:
        A function of the step, with `hp.steps` for the horizon.

    Example:
        >>> import bojax
        >>> from bojax.training import Hyperparameters, schedules
        >>> space = bojax.Space({"lr": bojax.Float(1e-4, 1.0, log=True)}
        ...     | schedules.searched("lr", ["constant", "linear"]))
        >>> hp = Hyperparameters.of(
        ...     {"lr": 0.5, "lr_schedule": "linear", "lr_linear_a": 0.2}, space, steps=100)
        >>> [round(float(schedules.of(hp, "lr")(step)), 3) for step in (0, 50, 100)]
        [0.5, 0.3, 0.1]
    """
    kinds = tuple(hp.choices[f"{name}_schedule"])
    shapes = []
    for place, letter in enumerate("ab"):
        values = [hp.get(f"{name}_{kind}_{letter}", KINDS[kind][place]) for kind in kinds]
        shapes.append(jnp.stack([jnp.asarray(value, jnp.float32) for value in values]))
    code = jnp.asarray(hp[f"{name}_schedule"], jnp.int32)
    base = hp[name] if base is None else base
    return schedule_for(
        code, base=base, horizon=hp.steps, a=shapes[0][code], b=shapes[1][code], kinds=kinds
    )


def _known(names: Sequence[str]) -> None:
    for name in names:
        if name not in KINDS:
            raise TaskError(f"schedule: no kind {name!r}; expected one of {list(KINDS)}.")


def _step(t: Any, total: Any, a: Any, b: Any) -> Any:
    return a ** jnp.floor(t / jnp.maximum(b * total, SMALLEST))


def _exponential(t: Any, total: Any, a: Any, b: Any) -> Any:
    return a ** (t / total)


def _polynomial(t: Any, total: Any, a: Any, b: Any) -> Any:
    left = 1.0 - jnp.clip(t / jnp.maximum(total, SMALLEST), 0.0, 1.0)
    # The power of 0 has no slope that could be NaN: nobody differentiates a schedule.
    return (1.0 - a) * left**b + a


def _warm_restarts(t: Any, total: Any, a: Any, b: Any) -> Any:
    """I. Loshchilov and F. Hutter, "SGDR", ICLR 2017, eq. 5, with cycles of one length."""
    cycle = jnp.maximum(b * total, SMALLEST)
    phase = t / cycle - jnp.floor(t / cycle)
    return (1.0 - a) * 0.5 * (1.0 + jnp.cos(jnp.pi * phase)) + a


def _warmup(t: Any, total: Any, a: Any, b: Any) -> Any:
    return a + (1.0 - a) * jnp.clip(t / jnp.maximum(b * total, SMALLEST), 0.0, 1.0)


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
    "linear": lambda t, total, a, b: _polynomial(t, total, a, 1.0),
    "polynomial": _polynomial,
    "cosine": _cosine,
    "warm_restarts": _warm_restarts,
    "warmup": _warmup,
    "warmup_cosine": _warmup_cosine,
    "cyclical": _cyclical,
    "one_cycle": _one_cycle,
}
