"""The fused update equals optax, for every kind."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from bojax.errors import TaskError
from bojax.training.optimizers import KINDS, fused
from bojax.training.schedules import schedule_for

LR, DECAY = 0.01, 0.1
OPTAX = {
    "sgd": lambda lr: optax.sgd(lr),
    "momentum": lambda lr: optax.sgd(lr, momentum=0.9),
    "adam": lambda lr: optax.adam(lr),
    "adamw": lambda lr: optax.adamw(lr, weight_decay=DECAY),
    "rmsprop": lambda lr: optax.rmsprop(lr),
    "lion": lambda lr: optax.lion(lr, weight_decay=DECAY),
}


def trajectory(make, steps=200, promotion="strict"):
    """Parameters after every step of a quadratic with noisy gradients."""
    noise = jax.random.normal(jax.random.key(1), (steps, 3, 4))
    start = {"w": jax.random.normal(jax.random.key(0), (3, 4)), "b": jnp.ones(4)}

    def run(*traced):
        with jax.numpy_dtype_promotion(promotion):
            return walk(*traced)

    def walk(*traced):
        optimizer = make(*traced)

        def step(carry, noise):
            params, state = carry
            grads = {"w": params["w"] + 0.3 * noise, "b": 2.0 * params["b"] + noise[0]}
            updates, state = optimizer.update(grads, state, params)
            params = optax.apply_updates(params, updates)
            return (params, state), params

        return jax.lax.scan(step, (start, optimizer.init(start)), noise)[1]

    return run


@pytest.mark.parametrize("kind", KINDS)
def test_fused_equals_optax_over_two_hundred_steps(kind):
    expected = jax.jit(trajectory(lambda: OPTAX[kind](LR), promotion="standard"))()
    coded = trajectory(lambda code, lr, decay: fused(code, lr, weight_decay=decay))
    named = trajectory(lambda lr, decay: fused(kind, lr, weight_decay=decay))
    lr, decay = jnp.float32(LR), jnp.float32(DECAY)
    for found in (
        jax.jit(coded)(jnp.int32(KINDS.index(kind)), lr, decay),
        jax.jit(named)(lr, decay),
    ):
        for name in expected:
            np.testing.assert_allclose(found[name], expected[name], atol=1e-6, rtol=0)


def test_traced_betas_equal_optax_with_traced_betas():
    def make(library, promotion):
        def optimizer(b1, b2):
            if library is optax:
                return optax.adam(LR, b1=b1, b2=b2)
            return fused("adam", LR, beta1=b1, beta2=b2)

        run = jax.jit(trajectory(optimizer, promotion=promotion))
        return run(jnp.float32(0.8), jnp.float32(0.95))

    np.testing.assert_allclose(make(fused, "strict")["w"], make(optax, "standard")["w"], atol=1e-6)


def test_nesterov_and_schedules_equal_optax():
    rate = optax.cosine_decay_schedule(LR, 200)
    reference = trajectory(
        lambda: optax.sgd(rate, momentum=0.7, nesterov=True), promotion="standard"
    )
    expected = jax.jit(reference)()
    mine = jax.jit(
        trajectory(
            lambda base: fused(
                "momentum",
                schedule_for("cosine", base=base, horizon=200),
                momentum=0.7,
                nesterov=True,
            )
        )
    )(jnp.float32(LR))
    np.testing.assert_allclose(mine["w"], expected["w"], atol=1e-6)


def test_a_weight_decay_that_changes_equals_optax():
    falling = optax.linear_schedule(0.5, 0.0, 150)
    expected = jax.jit(
        trajectory(lambda: optax.adamw(LR, weight_decay=falling), promotion="standard")
    )()
    mine = jax.jit(
        trajectory(
            lambda code, base: fused(
                code, LR, weight_decay=schedule_for("linear", base=base, horizon=150)
            )
        )
    )(jnp.int32(KINDS.index("adamw")), jnp.float32(0.5))
    np.testing.assert_allclose(mine["w"], expected["w"], atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "option", "value"),
    [
        ("adamw", "weight_decay", 0.5),
        ("lion", "weight_decay", 0.5),
        ("momentum", "momentum", 0.5),
        ("momentum", "nesterov", True),
        ("adam", "beta1", 0.5),
        ("adam", "beta2", 0.9),
        ("rmsprop", "beta2", 0.5),
        ("lion", "beta2", 0.5),
        ("adam", "epsilon", 0.1),
    ],
)
def test_every_option_changes_its_kind(kind, option, value):
    run = jax.jit(trajectory(lambda v: fused(kind, LR, **({} if v is None else {option: v})), 5))
    assert np.abs(run(None)["w"] - run(jnp.asarray(value))["w"]).max() > 1e-6


def test_slots_that_no_kind_needs_are_left_out():
    params = {"w": jnp.ones(3)}
    assert fused(0, LR, kinds=("sgd",)).init(params).first is None
    momentum = fused(0, LR, kinds=("sgd", "momentum")).init(params)
    assert momentum.first is not None and momentum.second is None


def test_unknown_kinds_are_named():
    with pytest.raises(TaskError, match="no kind 'adma'"):
        fused("adma", LR)
