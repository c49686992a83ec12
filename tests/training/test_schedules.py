"""Schedules chosen by data equal optax's, where optax has them."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import bojax
from bojax.errors import TaskError
from bojax.training import Hyperparameters
from bojax.training.schedules import KINDS, of, schedule, searched

BASE, T = 0.3, 120
STEPS = np.arange(T, dtype=np.int32)
OPTAX = {
    "constant": (optax.constant_schedule(BASE), None, None),
    "step": (optax.exponential_decay(BASE, 30, 0.2, staircase=True), 0.2, 0.25),
    "exponential": (optax.exponential_decay(BASE, T, 0.05), 0.05, None),
    "cosine": (optax.cosine_decay_schedule(BASE, T, alpha=0.1), 0.1, None),
    "linear": (optax.linear_schedule(BASE, 0.2 * BASE, T), 0.2, None),
    "polynomial": (optax.polynomial_schedule(BASE, 0.1 * BASE, 3.0, T), 0.1, 3.0),
    "warm_restarts": (
        optax.join_schedules(
            [optax.cosine_decay_schedule(BASE, 40, alpha=0.1)] * 3, [40, 80]), 0.1, 1 / 3,
    ),
    "warmup": (optax.warmup_constant_schedule(0.2 * BASE, BASE, 30), 0.2, 0.25),
    "warmup_cosine": (
        optax.warmup_cosine_decay_schedule(0.0, BASE, 12, T, end_value=0.05 * BASE), 0.05, 0.1
    ),
    "one_cycle": (optax.cosine_onecycle_schedule(T, BASE, 0.25), 1 / 25, 0.25),
}  # fmt: skip


def curve(kind, a, b, kinds=tuple(KINDS)):
    code = jnp.int32(kinds.index(kind))
    run = lambda code, horizon, base, a, b: jax.vmap(  # noqa: E731
        lambda t: schedule(code, t, horizon, base, a, b, kinds=kinds)
    )(STEPS)
    return np.asarray(jax.jit(run)(code, jnp.int32(T), jnp.float32(BASE), a, b))


@pytest.mark.parametrize("kind", OPTAX)
def test_schedules_equal_optax(kind):
    reference, a, b = OPTAX[kind]
    with jax.numpy_dtype_promotion("standard"):
        expected = np.array([reference(t) for t in STEPS])
    np.testing.assert_allclose(curve(kind, a, b), expected, atol=1e-6)


def test_cyclical_is_a_triangle():
    low, share = 0.2, 0.5  # two triangles of 60 steps
    expected = BASE * np.interp(STEPS % 60, [0, 30, 60], [low, 1.0, low])
    np.testing.assert_allclose(curve("cyclical", low, share), expected, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_horizon_and_the_shape_matter(kind):
    if kind == "constant":
        return
    near, far = ([float(schedule(kind, t, n, BASE)) for t in (10, 50)] for n in (T, 2 * T))
    assert np.abs(np.subtract(near, far)).max() > 1e-4
    times = (5, 10, 33, 70)
    for shape in ({"a": 0.5}, {"b": 0.6}):
        if kind in ("cosine", "exponential", "linear") and "b" in shape:
            continue  # these have one shape value
        usual = [float(schedule(kind, t, T, BASE)) for t in times]
        other = [float(schedule(kind, t, T, BASE, **shape)) for t in times]
        assert np.abs(np.subtract(usual, other)).max() > 1e-4


def test_the_end_is_finite_and_unknown_kinds_are_named():
    for kind in KINDS:
        assert np.isfinite(float(schedule(kind, T, T, BASE, b=0.0)))
        assert np.isfinite(float(schedule(kind, 10 * T, T, BASE)))
    with pytest.raises(TaskError, match="no kind 'cosin'"):
        schedule("cosin", 0, T, BASE)


def space_of(**settings):
    return bojax.Space({"lr": bojax.Float(1e-4, 1.0, log=True)} | searched("lr", **settings))


@pytest.mark.parametrize("kind", KINDS)
def test_a_configuration_of_the_parameters_is_its_schedule(kind):
    space = space_of()
    config = next(c for c in space.sample(300, seed=1) if c["lr_schedule"] == kind)
    shape = {x: config.get(f"lr_{kind}_{x}") for x in "ab"}
    hp = Hyperparameters.of(config, space, steps=T)
    for t in (0, 17, 60, 119):
        expected = schedule(kind, t, T, config["lr"], **shape)
        np.testing.assert_allclose(of(hp, "lr")(t), expected, rtol=1e-6, atol=1e-9)


def test_only_the_chosen_kinds_shape_is_there_and_shapes_can_be_left_out():
    configs = space_of(kinds=["constant", "step", "polynomial"]).sample(50, seed=0)
    for config in configs:
        shapes = {name for name in config if name[-2:] in ("_a", "_b")}
        kind = config["lr_schedule"]
        assert shapes == {f"lr_{kind}_{x}" for x in "ab"} - {"lr_constant_a", "lr_constant_b"}
    assert list(space_of(shapes=False).parameters) == ["lr", "lr_schedule"]
    hp = Hyperparameters.of({"lr": 0.1, "lr_schedule": "cosine"}, space_of(shapes=False), steps=T)
    np.testing.assert_allclose(of(hp, "lr", 0.3)(60), schedule("cosine", 60, T, 0.3), rtol=1e-6)


def test_kinds_to_choose_from_are_checked():
    with pytest.raises(TaskError, match="no kind 'cosin'"):
        searched("lr", ["constant", "cosin"])
    with pytest.raises(TaskError, match="lr: give at least two"):
        searched("lr", ["constant"])
