"""A padded, masked model is the narrow, shallow one."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen

from bojax.training.layers import Dense, Dropout, LayerNorm, quick_uniform
from bojax.training.models import ACTIVATIONS, MLP, OPERATIONS, Layered

WIDTH, PADDED, DEPTH, MAX_DEPTH = 5, 8, 2, 4


def narrow(params):
    """The true block of padded parameters, and the true layers."""
    kept = {}
    for name, leaves in params.items():
        kind, _, number = name.partition("_")
        if number and int(number) >= DEPTH:
            continue
        rows = slice(None) if name == "hidden_0" else slice(WIDTH)
        columns = slice(None) if kind == "output" else slice(WIDTH)
        kept[name] = {
            leaf: value[rows, columns] if value.ndim == 2 else value[columns]
            for leaf, value in leaves.items()
        }
    return kept


def trained(model, params, optimizer, steps=40):
    generator = np.random.default_rng(0)
    x = jnp.asarray(generator.normal(size=(steps, 16, 6)), jnp.float32)
    y = jnp.asarray(generator.integers(0, 3, (steps, 16)), jnp.int32)

    def step(carry, batch):
        params, state = carry

        def loss(params):
            outputs = model.apply({"params": params}, batch[0])
            return optax.softmax_cross_entropy_with_integer_labels(outputs, batch[1]).mean()

        value, grads = jax.value_and_grad(loss)(params)
        updates, state = optimizer.update(grads, state, params)
        return (optax.apply_updates(params, updates), state), value

    run = jax.jit(lambda params: jax.lax.scan(step, (params, optimizer.init(params)), (x, y)))
    with jax.numpy_dtype_promotion("standard"):  # optax needs it
        (params, _), losses = run(params)
    return params, losses


@pytest.mark.parametrize(("name", "layer_norm"), [("momentum", False), ("adamw", True)])
def test_masked_width_and_depth_equal_the_narrow_shallow_model(name, layer_norm):
    optimizer = {
        "momentum": optax.sgd(0.05, momentum=0.9),
        "adamw": optax.adamw(1e-3, eps=1e-5, weight_decay=0.1),
    }[name]
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optimizer)
    padded = MLP(
        3, jnp.int32(WIDTH), jnp.int32(DEPTH), activation="sigmoid", layer_norm=layer_norm,
        max_width=PADDED, max_depth=MAX_DEPTH,
    )  # fmt: skip
    true = MLP(3, WIDTH, DEPTH, activation="sigmoid", layer_norm=layer_norm)
    before = jax.jit(padded.init)(jax.random.key(0), jnp.ones((1, 6)))["params"]
    wide, wide_losses = trained(padded, before, optimizer)
    thin, thin_losses = trained(true, narrow(before), optimizer)
    np.testing.assert_allclose(wide_losses, thin_losses, atol=2.6e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2.6e-6), narrow(wide), thin)
    assert float(wide_losses[0]) != float(wide_losses[-1])
    kernel = np.asarray(wide["hidden_1"]["kernel"])
    assert kernel[:WIDTH, :WIDTH].all()
    assert not kernel[WIDTH:].any() and not kernel[:, WIDTH:].any()  # zeros stay zeros
    if name == "momentum":  # layers that are skipped stay as they were drawn
        for leaf in ("kernel", "bias"):
            np.testing.assert_array_equal(wide["hidden_3"][leaf], before["hidden_3"][leaf])


def test_initial_weights_have_the_narrow_fan_in():
    draw = jax.jit(lambda key, n: Dense(512, inputs=n, width=400).init(key, jnp.ones((1, 512))))
    for true in (8, 300):
        kernel = np.asarray(draw(jax.random.key(0), jnp.int32(true))["params"]["kernel"])
        assert kernel[:true, :400].var() * true == pytest.approx(1.0, rel=0.05)
        assert not kernel[true:].any() and not kernel[:, 400:].any()


def test_layer_norm_is_flax_own_without_a_mask():
    x = jax.random.normal(jax.random.key(0), (3, 7)) * 4 + 2
    mine, _ = LayerNorm().init_with_output(jax.random.key(1), x)
    theirs, _ = linen.LayerNorm().init_with_output(jax.random.key(1), x)
    np.testing.assert_allclose(mine, theirs, atol=2e-6)


def test_dropout_is_the_bernoulli_formula_with_a_traced_rate():
    x = jax.random.normal(jax.random.key(0), (64, 32))

    class Key(linen.Module):
        @linen.compact
        def __call__(self, x):
            return self.make_rng("dropout")

    @jax.jit
    def both(rate, key):
        mine = Dropout(rate, quick=False).apply({}, x, train=True, rngs={"dropout": key})
        own = Key().apply({}, x, rngs={"dropout": key})
        keep = 1.0 - rate
        return mine, jnp.where(jax.random.bernoulli(own, keep, x.shape), x / keep, 0.0)

    for rate in (0.1, 0.5):
        mine, formula = both(jnp.float32(rate), jax.random.key(3))
        np.testing.assert_array_equal(np.asarray(mine) == 0, np.asarray(formula) == 0)
        np.testing.assert_allclose(mine, formula, rtol=2.5e-7)  # a division, compiled twice
        assert np.mean(np.asarray(mine) == 0) == pytest.approx(rate, abs=0.05)


@pytest.mark.parametrize("quick", [False, True])
def test_dropout_at_its_ends_and_in_evaluation(quick):
    x = jnp.ones((8, 8))
    apply = jax.jit(
        lambda rate, train: Dropout(rate, quick).apply(
            {}, x, train=train, rngs={"dropout": jax.random.key(0)}
        ),
        static_argnums=1,
    )
    np.testing.assert_array_equal(apply(jnp.float32(0.0), True), x)
    np.testing.assert_array_equal(apply(jnp.float32(1.0), True), 0 * x)
    np.testing.assert_array_equal(apply(jnp.float32(0.5), False), x)


def test_quick_uniform_is_uniform_and_its_streams_are_unrelated():
    keys = jax.random.split(jax.random.key(0), 64)
    draws = np.asarray(jax.jit(jax.vmap(lambda key: quick_uniform(key, (4096,))))(keys))
    assert draws.min() >= 0 and draws.max() < 1
    counts = np.histogram(draws, 64, (0, 1))[0]
    expected = draws.size / 64
    assert ((counts - expected) ** 2 / expected).sum() < 110  # chi-square, 63 degrees: p = 2e-4
    # Correlations between streams and between neighbours, against 4.5 deviations of zero.
    between = np.corrcoef(draws)[np.triu_indices(64, 1)]
    assert np.abs(between).max() < 4.5 / np.sqrt(4096)
    for lag in (1, 2, 32, 64, 512):
        pairs = np.corrcoef(draws[:, :-lag].ravel(), draws[:, lag:].ravel())[0, 1]
        assert abs(pairs) < 4.5 / np.sqrt(draws.size)
    units = draws.mean(axis=0)  # each unit over streams
    assert abs(units.std() * np.sqrt(12 * 64) - 1) < 0.05


def test_both_words_of_a_key_matter():
    draws = [
        np.asarray(quick_uniform(jax.random.wrap_key_data(np.array(words, np.uint32)), (64,)))
        for words in ((1, 2), (1, 3), (2, 2))
    ]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert np.mean(draws[one] == draws[other]) < 0.1


def test_an_activation_can_be_chosen_by_data():
    names = ("relu", "tanh", "gelu")
    x = jax.random.normal(jax.random.key(0), (4, 6))
    coded = jax.jit(
        lambda variables, code: MLP(3, 8, activation=code, activations=names).apply(variables, x)
    )
    variables = MLP(3, 8).init(jax.random.key(1), x)
    outputs = []
    for code, name in enumerate(names):
        expected = MLP(3, 8, activation=name).apply(variables, x)
        outputs.append(np.asarray(coded(variables, jnp.int32(code))))
        np.testing.assert_allclose(outputs[-1], expected, atol=1e-6)
        own = MLP(3, 8, activation=ACTIVATIONS[name]).apply(variables, x)
        np.testing.assert_array_equal(own, expected)
    assert np.abs(outputs[0] - outputs[1]).max() > 1e-3


def test_a_masked_architecture_is_the_plain_network_it_stands_for():
    """Depth, widths, operations and skips as data, against the layers written out with slices."""
    kinds = tuple(OPERATIONS)
    chosen = [(4, "product", False), (8, "tanh", True), (6, "gate", True), (8, "relu", True)]
    widths, names, skips = zip(*chosen, strict=True)
    codes = [jnp.int32(kinds.index(name)) for name in names]
    x = jax.random.normal(jax.random.key(1), (5, 7))
    for depth in (1, 2, 3, 4):
        model = Layered(
            3, jnp.int32(depth), [jnp.int32(w) for w in widths], codes,
            [jnp.bool_(skip) for skip in skips], 8,
        )  # fmt: skip
        variables = jax.jit(model.init)(jax.random.key(0), x)
        params = jax.tree.map(np.asarray, variables["params"])
        h = np.asarray(x) @ params["stem"]["kernel"][:, :4] + params["stem"]["bias"][:4]
        for layer in range(depth):
            w, kernel = widths[layer], params[f"layer_{layer}"]["kernel"]
            z = h @ kernel[: h.shape[1], :w] + params[f"layer_{layer}"]["bias"][:w]
            z = (z - z.mean(1, keepdims=True)) / np.sqrt(z.var(1, keepdims=True) + 1e-6)
            before = np.zeros_like(z)
            common = min(w, h.shape[1])
            before[:, :common] = h[:, :common]
            out = {
                "product": z * np.tanh(before),
                "tanh": np.tanh(z),
                "gate": z / (1 + np.exp(-z)),
                "relu": np.maximum(z, 0),
            }[names[layer]]
            if skips[layer]:
                total = np.zeros((5, max(w, h.shape[1])))
                total[:, :w] += out
                total[:, : h.shape[1]] += h
                out = total
            h = out
        outputs = h @ params["output"]["kernel"][: h.shape[1]] + params["output"]["bias"]
        np.testing.assert_allclose(jax.jit(model.apply)(variables, x), outputs, atol=2e-6)
