"""Ready models: members equal the same model alone, layers equal Flax's, options matter."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen

import bojax
from bojax.history import Job
from bojax.training import LocalExecutor
from bojax.training.layers import Conv
from bojax.training.models import CNN, GRU, CharTransformer, VisionTransformer
from bojax.training.solo import Solo

SPACE = bojax.Space({"lr": bojax.Float(1e-4, 0.1, log=True), "dropout": bojax.Float(0.0, 0.5)})
CONFIGS = {i: {"lr": 0.01 * (i + 1), "dropout": 0.2 * i} for i in range(3)}
MODELS = {
    "cnn": lambda hp: CNN(2, (4, 6), dropout=hp["dropout"], batch_norm=False),
    "normed": lambda hp: CNN(2, (4, 6), dropout=hp["dropout"]),
    "gru": lambda hp: GRU(2, 6, dropout=hp["dropout"]),
    "vit": lambda hp: VisionTransformer(2, 4, 8, 1, dropout=hp["dropout"]),
    "text": lambda hp: CharTransformer(5, 8, 1, dropout=hp["dropout"]),
}


def data(name):
    rng = np.random.default_rng(0)
    if name == "text":  # the next letter is the last one's successor
        start = rng.integers(0, 5, (40, 1))
        letters = (start + np.arange(9)) % 5
        return bojax.ArrayData(letters[:, :-1], letters[:, 1:])
    y = np.arange(40) % 2
    x = rng.normal(size=(40, 8, 8)) + y[:, None, None] * np.eye(8)
    return bojax.ArrayData(x, y)


def sgd(hp):
    return optax.sgd(hp["lr"], momentum=0.9)


# Without LLVM's optimisations, as the fast tests compile, the gradient of convolution and batch
# normalisation together is wrong, alone and in a population (decision 0010).
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n == "normed" else n for n in MODELS]
)
def test_a_member_equals_the_model_trained_alone_and_learns(name):
    task = bojax.Task.linen(MODELS[name], optimizer=sgd, metrics=(), batch_size=8)
    executor = LocalExecutor(task, SPACE, data(name), max_budget=6, chunk=2, slots=4, seed=3)
    before = executor.run([Job(trial, 0, 1) for trial in CONFIGS], CONFIGS)
    after = executor.run([Job(trial, 1, 6) for trial in CONFIGS], CONFIGS)
    solo = Solo(task, SPACE, data(name), CONFIGS[1], trial=1, seed=3, max_budget=6)
    solo.train(6)
    for mine, alone in zip(
        jax.tree.leaves((executor.params(1), executor.state(1))),
        jax.tree.leaves(solo.member[:2]),
        strict=True,
    ):
        np.testing.assert_allclose(mine, alone, atol=5e-5)
    assert after[1].metrics["loss"] == pytest.approx(solo.evaluate()["loss"], abs=5e-5)
    assert after[1].metrics["loss"] < before[1].metrics["loss"]


def test_masked_channels_equal_the_narrow_network_trained_alone():
    """From the narrow network's weights, zeros beyond: the same losses, and zeros that stay."""
    wide = CNN(2, (4, 8), batch_norm=False, width=jnp.float32(0.5))
    narrow = CNN(2, (2, 4), batch_norm=False)
    x, y = data("cnn").x[:16], data("cnn").y[:16]
    before = wide.init(jax.random.key(0), x)["params"]
    params = jax.tree.map(np.array, dict(before))
    whole = params["output"]["kernel"].reshape(2, 2, 8, 2)
    thin = {
        "conv_0": {n: v[..., :2] for n, v in params["conv_0"].items()},
        "conv_1": {
            "kernel": params["conv_1"]["kernel"][:, :, :2, :4], "bias": params["conv_1"]["bias"][:4]
        },
        "output": {"kernel": whole[:, :, :4].reshape(16, 2), "bias": params["output"]["bias"]},
    }  # fmt: skip

    def losses(model, params):
        tx = optax.adam(1e-2, eps=1e-5)

        def step(carry, _):
            params, state = carry

            def loss(params):
                outputs = model.apply({"params": params}, x, train=True)
                return optax.softmax_cross_entropy_with_integer_labels(outputs, y).mean()

            value, grads = jax.value_and_grad(loss)(params)
            updates, state = tx.update(grads, state, params)
            return (optax.apply_updates(params, updates), state), value

        with jax.numpy_dtype_promotion("standard"):  # optax needs it
            run = jax.jit(lambda p: jax.lax.scan(step, (p, tx.init(p)), length=30))
            return run(params)

    (after, _), mine = losses(wide, before)
    _, alone = losses(narrow, thin)
    np.testing.assert_allclose(mine, alone, atol=5e-5)
    assert mine[-1] < 0.7 * mine[0]
    np.testing.assert_array_equal(
        after["conv_1"]["kernel"][..., 4:], before["conv_1"]["kernel"][..., 4:]
    )


@pytest.mark.parametrize(("stride", "side"), [(1, 6), (2, 6), (2, 7), (3, 7)])
@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_patches_are_flaxs_convolution(kernel, stride, side):
    x = jax.random.normal(jax.random.key(0), (2, side, side + 1, 3))
    mine = Conv(4, kernel, stride=stride)
    variables = mine.init(jax.random.key(1), x)
    theirs = linen.Conv(4, (kernel, kernel), strides=stride)
    shapes = jax.eval_shape(theirs.init, jax.random.key(1), x)
    assert jax.tree.map(jnp.shape, variables) == jax.tree.map(lambda s: s.shape, shapes)
    variables["params"]["bias"] = jnp.arange(4.0)
    np.testing.assert_allclose(mine.apply(variables, x), theirs.apply(variables, x), atol=1e-5)
    assert "bias" not in Conv(4, use_bias=False).init(jax.random.key(1), x)["params"]


def outputs(model, x, **settings):
    variables = model.init(jax.random.key(0), x)
    return model.apply(variables, x, **settings)


IMAGE = np.random.default_rng(0).integers(0, 256, (2, 8, 8)).astype(np.uint8)


@pytest.mark.parametrize(
    ("make", "change"),
    [
        (CNN, {"kernel": 5}),
        (CNN, {"features": (16,)}),
        (CNN, {"batch_norm": False}),
        (CNN, {"width": 0.5}),
        (VisionTransformer, {"patch": 2}),
        (VisionTransformer, {"width": 16}),
        (VisionTransformer, {"depth": 1}),
        (VisionTransformer, {"heads": 4}),
        (GRU, {"width": 8}),
    ],
)
def test_every_option_changes_the_output(make, change):
    usual, other = (
        outputs(
            make(outputs=3, **given),
            IMAGE,
        )
        for given in ({}, change)
    )
    assert usual.shape == other.shape == (2, 3)
    assert np.abs(usual - other).max() > 1e-6


def test_bytes_are_shares_of_255():
    for model in (CNN(3), VisionTransformer(3)):
        as_shares = (IMAGE / 255).astype(np.float32)
        np.testing.assert_allclose(outputs(model, IMAGE), outputs(model, as_shares), atol=1e-5)


def test_a_letter_sees_only_those_before_it():
    model = CharTransformer(5, 8, 2)
    x = np.array([[0, 1, 2, 3, 4, 0]])
    variables = model.init(jax.random.key(0), x)
    changed = x.copy()
    changed[0, 4] = 1
    one, other = (np.asarray(model.apply(variables, text)) for text in (x, changed))
    np.testing.assert_allclose(one[:, :4], other[:, :4], atol=1e-6)
    assert np.abs(one[:, 4:] - other[:, 4:]).max() > 1e-4


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (VisionTransformer(3, patch=3), "patch=3 must divide the height, 8"),
        (VisionTransformer(3, heads=5), "heads=5 must divide the width, 32"),
    ],
)
def test_sides_that_do_not_divide_are_named(model, message):
    with pytest.raises(ValueError, match=message):
        outputs(model, IMAGE)


def test_running_averages_follow_the_momentum():
    images = np.random.default_rng(0).normal(size=(4, 8, 8)).astype(np.float32)
    kept = []
    for momentum in (0.9, 0.5):
        model = CNN(3, momentum=momentum)
        variables = model.init(jax.random.key(0), images)
        _, state = model.apply(variables, images, train=True, mutable=["batch_stats"])
        kept.append(state["batch_stats"]["norm_0"]["mean"])
    np.testing.assert_allclose(5.0 * kept[0], kept[1], rtol=1e-4)
