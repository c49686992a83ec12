"""muP: the paper's table for each leaf, the old task at the base, updates that do not grow."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx

import bojax
from bojax.history import Job
from bojax.training import (
    METRICS,
    Batch,
    Hyperparameters,
    LocalExecutor,
    coordinate_check,
    mup,
    mup_multipliers,
)
from bojax.training.models import CNN, GRU, MLP, VisionTransformer
from bojax.training.population import train_step
from bojax.training.program import float32_scope

SPACE = bojax.Space(
    {
        "lr": bojax.Float(1e-4, 10.0, log=True),
        "width": bojax.Ordinal([8, 16, 32, 64, 128]),
        "kind": bojax.Categorical(["plain", "other"]),
    }
)
EXAMPLE = np.zeros((1, 5), np.float32)


def static(hp):
    return MLP(3, hp["width"], activation="tanh")


def padded(hp):
    return MLP(3, hp["width"], max_width=hp.ceiling["width"], activation="tanh")


def adam(hp):
    return optax.adam(hp["lr"], eps=1e-12)


def sgd(hp):
    return optax.sgd(hp["lr"])


def task_of(build=static, optimizer=adam, **settings):
    if "padded" not in settings:
        settings["static"] = settings.get("static", ["width"])
    return bojax.Task.linen(build, optimizer=optimizer, metrics=(), batch_size=16, **settings)


PADDED = {"build": padded, "padded": {"width": [32]}}


def hp_of(task, width, **config):
    config = {"lr": 0.5, "width": width, "kind": "plain"} | config
    return Hyperparameters.of(config, SPACE, static=task.static, padded=task.padded)


def data(count=80):
    rng = np.random.default_rng(0)
    y = np.arange(count) % 3
    return bojax.ArrayData(rng.normal(size=(count, 5)) + rng.normal(size=(3, 5))[y], y)


def table(task, width, x=EXAMPLE):
    found = mup_multipliers(task, hp_of(task, width), x)
    return {name: (m.role, float(m.init), float(m.rate)) for name, m in found.items()}


# ------------------------------------------------------------------ the paper's table


@pytest.mark.parametrize("settings", [{}, PADDED], ids=["static", "padded"])
@pytest.mark.parametrize(
    ("rule", "hidden", "output", "inputs"), [("adam", 0.25, 0.25, 1.0), ("sgd", 1.0, 0.25, 4.0)]
)
def test_multipliers_of_an_mlp_are_table_3(settings, rule, hidden, output, inputs):
    task = mup(task_of(**settings), base=8, rule=rule)
    expected = {
        "hidden_0/kernel": ("input", 1.0, inputs),
        "hidden_0/bias": ("input", 1.0, inputs),
        "hidden_1/kernel": ("hidden", 1.0, hidden),
        "hidden_1/bias": ("input", 1.0, inputs),
        "output/kernel": ("output", 0.5, output),
        "output/bias": ("fixed", 1.0, 1.0),
    }
    assert table(task, 32) == expected


def test_multipliers_of_a_cnn_count_channels_not_places():
    def build(hp):
        return CNN(3, (hp["width"], 2 * hp["width"]))

    found = table(mup(task_of(build), base=8), 32, np.zeros((1, 8, 8), np.float32))
    assert found == {
        "conv_0/kernel": ("input", 1.0, 1.0),
        "conv_1/kernel": ("hidden", 1.0, 0.25),
        "norm_0/scale": ("input", 1.0, 1.0),
        "norm_0/bias": ("input", 1.0, 1.0),
        "norm_1/scale": ("input", 1.0, 1.0),
        "norm_1/bias": ("input", 1.0, 1.0),
        "output/kernel": ("output", 0.5, 0.25),  # 2 x 2 places of each channel
        "output/bias": ("fixed", 1.0, 1.0),
    }


def test_below_the_base_multipliers_are_inverse():
    found = table(mup(task_of(), base=32), 8)
    assert found["hidden_1/kernel"] == ("hidden", 1.0, 4.0)
    assert found["output/kernel"] == ("output", 2.0, 4.0)


def test_heads_and_gates_and_nnx_modules_have_their_roles():
    def gated(hp):
        return GRU(3, hp["width"])

    def heads(hp):
        return VisionTransformer(3, 4, hp["width"], 1)

    def bare(hp, rngs):
        return nnx.Linear(5, hp["width"], rngs=rngs)

    found = table(mup(task_of(gated), base=8), 16, np.zeros((1, 4, 5), np.float32))
    roles = {name.split("/", 1)[1]: m[0] for name, m in found.items() if "/h" in name}
    assert {role for name, role in roles.items() if name.endswith("kernel")} == {"hidden"}
    seen = table(mup(task_of(heads), base=8), 16, np.zeros((1, 8, 8), np.float32))
    attention = {name: m[0] for name, m in seen.items() if "ttention" in name}
    assert attention
    for name, role in attention.items():  # [width, heads, size] and [heads, size, width]
        assert role == ("hidden" if name.endswith("kernel") else "input"), name
    task = bojax.Task.nnx(bare, optimizer=adam, static=["width"], batch_size=16)
    assert table(mup(task, base=8), 16) == {
        "bias": ("input", 1.0, 1.0), "kernel": ("input", 1.0, 1.0)
    }  # fmt: skip


# ------------------------------------------------------------------ initial values and updates


@pytest.mark.parametrize("settings", [{}, PADDED], ids=["static", "padded"])
def test_initial_values_are_the_old_ones_but_for_the_output(settings):
    old = task_of(**settings)
    new = mup(old, base=8)
    hp = hp_of(old, 32)
    before, after = (t.init(jax.random.key(0), hp, EXAMPLE)[0] for t in (old, new))
    for layer in ("hidden_0", "hidden_1"):
        np.testing.assert_array_equal(before[layer]["kernel"], after[layer]["kernel"])
    np.testing.assert_allclose(0.5 * before["output"]["kernel"], after["output"]["kernel"], 1e-6)


def test_output_weights_have_variance_base_over_the_square_of_fan_in():
    task = mup(task_of(lambda hp: MLP(200, hp["width"], depth=1)), base=8)
    params, _ = task.init(jax.random.key(0), hp_of(task, 128), EXAMPLE)
    assert np.var(params["output"]["kernel"]) == pytest.approx(8 / 128**2, rel=0.05)


@pytest.mark.parametrize("settings", [{}, PADDED], ids=["static", "padded"])
@pytest.mark.parametrize(("optimizer", "rule"), [(adam, "adam"), (sgd, "sgd")])
def test_a_step_moves_each_leaf_as_the_table_says(settings, optimizer, rule):
    old = task_of(optimizer=optimizer, **settings)
    new = mup(old, base=8, rule=rule)
    rng = np.random.default_rng(1)
    batch = Batch(jnp.asarray(rng.normal(size=(6, 5)), jnp.float32), jnp.arange(6) % 3, jnp.ones(6))
    hp = hp_of(old, 32)
    with float32_scope():
        params, state = old.init(jax.random.key(0), hp, EXAMPLE)
        carry = (params, state, optimizer(hp).init(params))
        moved = [
            jax.tree.map(
                jnp.subtract, train_step(t, carry, batch, hp, jax.random.key(1))[0][0], params
            )
            for t in (old, new)
        ]
    for name, multiplier in mup_multipliers(new, hp, EXAMPLE).items():
        layer, kind = name.split("/")
        before, after = (np.asarray(m[layer][kind]) for m in moved)
        assert np.abs(before).max() > 1e-3
        np.testing.assert_allclose(after, before * multiplier.rate, rtol=1e-3, atol=1e-6)


def test_decay_and_schedule_inside_the_optimizer_scale_along():
    def decayed(hp):
        return optax.adamw(optax.linear_schedule(0.5, 0.0, 2), weight_decay=0.5)

    task = mup(task_of(optimizer=decayed), base=8)
    hp = hp_of(task, 32)
    batch = Batch(jnp.zeros((4, 5)), jnp.arange(4) % 3, jnp.zeros(4))  # no gradient: decay alone
    with float32_scope():
        params, state = task.init(jax.random.key(0), hp, EXAMPLE)
        carry = (params, state, task.optimizer(hp).init(params))
        once, _ = train_step(task, carry, batch, hp, jax.random.key(1))
        twice, _ = train_step(task, once, batch, hp, jax.random.key(1))
    whole, first, second = (c[0]["hidden_1"]["kernel"] for c in (carry, once, twice))
    np.testing.assert_allclose(first, whole * (1 - 0.5 * 0.5 / 4), rtol=1e-5)
    np.testing.assert_allclose(second, first * (1 - 0.25 * 0.5 / 4), rtol=1e-5)


def test_batches_are_augmented_once():
    old = task_of(optimizer=sgd, augment=lambda x, key: x + 1.0)
    batch = Batch(jnp.ones((4, 5)), jnp.arange(4) % 3, jnp.ones(4))
    hp = hp_of(old, 8)
    with float32_scope():
        params, state = old.init(jax.random.key(0), hp, EXAMPLE)
        carry = (params, state, sgd(hp).init(params))
        one, other, bare = (
            train_step(t, carry, batch, hp, jax.random.key(1))[1]
            for t in (old, mup(old, base=8), mup(task_of(optimizer=sgd), base=8))
        )
    assert float(one) == float(other) != float(bare)


# ------------------------------------------------------------------ in a population


def trained(task, widths, budget=2):
    configs = {i: {"lr": 0.02, "width": w, "kind": "plain"} for i, w in enumerate(widths)}
    executor = LocalExecutor(task, SPACE, data(), max_budget=2, chunk=2, slots=4, seed=3)
    reports = executor.run([Job(i, 0, budget) for i in configs], configs)
    return [executor.params(i) for i in configs], [r.metrics for r in reports]


@pytest.mark.parametrize("rule", ["adam", "sgd"])
@pytest.mark.parametrize("settings", [{}, PADDED], ids=["static", "padded"])
def test_at_the_base_it_is_the_old_task(settings, rule):
    """Bit for bit; padded, a factor of 1 keeps compilers from fusing what they fused before."""
    old = task_of(optimizer={"adam": adam, "sgd": sgd}[rule], **settings)
    params, metrics = trained(old, [8])
    again, theirs = trained(mup(old, base=8, rule=rule), [8])
    if settings:
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), params, again)
    else:
        assert metrics == theirs
        jax.tree.map(np.testing.assert_array_equal, params, again)
    wider, _ = trained(mup(old, base=16, rule=rule), [8])
    assert np.abs(params[0]["output"]["kernel"] - wider[0]["output"]["kernel"]).max() > 1e-4


def test_a_padded_member_is_the_static_one():
    """From one set of weights, zeros beyond: the same loss and the same weights."""
    narrow, wide = mup(task_of(), base=8), mup(task_of(**PADDED), base=8)
    rng = np.random.default_rng(1)
    batch = Batch(jnp.asarray(rng.normal(size=(6, 5)), jnp.float32), jnp.arange(6) % 3, jnp.ones(6))

    def after(task, params):
        hp = hp_of(task, 16)
        carry = (params, {}, task.optimizer(hp).init(params))
        for step in range(2):
            carry, loss = train_step(task, carry, batch, hp, jax.random.key(step))
        return carry[0], loss

    with float32_scope():
        params, _ = wide.init(jax.random.key(0), hp_of(wide, 16), EXAMPLE)
        assert params["hidden_1"]["kernel"].shape == (32, 32)
        cut = {
            layer: {
                "kernel": leaf["kernel"][: 5 if layer == "hidden_0" else 16, :16],
                "bias": leaf["bias"][:16],
            }
            for layer, leaf in params.items()
        }
        (mine, loss), (alone, theirs) = after(wide, params), after(narrow, cut)
    assert float(loss) == pytest.approx(float(theirs), rel=1e-5)
    np.testing.assert_allclose(
        mine["hidden_1"]["kernel"][:16, :16], alone["hidden_1"]["kernel"], atol=1e-5
    )


def test_equal_arguments_make_equal_tasks_that_share_programs():
    task = task_of(**PADDED)
    assert mup(task) == mup(task) and hash(mup(task)) == hash(mup(task))
    for other in (mup(task, base=8), mup(task, rule="sgd"), task):
        assert mup(task) != other
    trained(mup(task, base=8), [8])
    before = len(bojax.training.compiled_programs())
    trained(mup(task, base=8), [16, 32])
    assert len(bojax.training.compiled_programs()) == before


def test_what_the_base_model_reads_tells_programs_apart():
    """`kind` decides a shape at other widths only: programs of two kinds differ all the same."""

    def build(hp):
        grows = hp["width"] == 32 or hp["kind"] == "plain"
        return MLP(3, hp["width"] if grows else 8 + hp["width"] // 2)

    task = mup(task_of(build, static=["width", "kind"]), base=8)
    structure = hp_of(task, 32).structure.recording()
    hp = hp_of(task, 32)
    hp = Hyperparameters(*hp.tree_flatten()[0][:3], structure)
    mup_multipliers(task, hp, EXAMPLE)
    assert ("static", "kind") in structure.reads and ("static", "width") in structure.reads


# ------------------------------------------------------------------ the coordinate check

WIDTHS = (8, 32, 128)


def slopes(task, width_of="change_slopes", **settings):
    given = {"steps": 3, "seeds": 3, "widths": WIDTHS} | settings
    config = {"lr": 0.02, "width": 8, "kind": "plain"} | given.pop("config", {})
    return coordinate_check(task, SPACE, data(), config, **given)


def test_with_mup_outputs_do_not_grow_and_without_they_do():
    plain = task_of(optimizer=adam)
    usual, scaled = (slopes(task) for task in (plain, mup(plain, base=8)))
    for name in ("hidden_1", "output", "model"):
        assert usual.change_slopes()[name] > 0.35, name
    assert usual.slopes()["model"] > 0.25
    assert max(scaled.slopes().values()) < 0.1
    for slope in scaled.change_slopes().values():
        assert abs(slope) < 0.15
    assert "model" in usual.table() and f"{usual.slopes()['model']:.2f}" in usual.table()


def test_with_sgd_the_first_layer_learns_at_any_width():
    plain = task_of(optimizer=sgd)
    config = {"lr": 0.1}
    usual, scaled = (slopes(t, config=config) for t in (plain, mup(plain, base=8, rule="sgd")))
    assert usual.change_slopes()["hidden_0"] < -0.35
    assert abs(scaled.change_slopes()["hidden_0"]) < 0.15


def test_sizes_are_those_of_the_layers():
    """Against a product by hand; padded as static, for a mean over units that are there."""
    found = slopes(task_of(), steps=2, seeds=1, widths=(8, 16))
    assert found.size["model"].shape == (2, 3) and found.widths == (8, 16)
    assert (found.change["model"][:, 0] == 0).all() and (found.change["model"][:, 1:] > 0).all()
    share = slopes(task_of(**PADDED), steps=2, seeds=1, widths=(8, 16))
    assert share.size.keys() == found.size.keys() == {"hidden_0", "hidden_1", "output", "model"}
    np.testing.assert_allclose(share.size["hidden_0"], found.size["hidden_0"], rtol=0.5)

    own = bojax.Task(
        init=lambda key, hp, x: (jnp.ones((5, hp["width"])), {}),
        loss=lambda p, s, b, hp, key: (jnp.mean(b.x @ p), s),
        predict=lambda p, s, x, hp: x @ p,
        optimizer=lambda hp: optax.sgd(0.5),
        metrics={"mae": METRICS["mae"]},
        static=["width"],
        batch_size=16,
    )
    given = data()
    train = given.x[given.folds[0][0]]
    ((name, size),) = slopes(own, steps=1, seeds=1, widths=(8, 16)).size.items()
    mean = train[:16].mean(0) * 0.5
    for place, width in enumerate((8, 16)):
        expected = [np.abs(train[:64] @ (np.ones(5) - m)).mean() for m in (0 * mean, mean / width)]
        np.testing.assert_allclose(size[place], expected, rtol=1e-5)
    assert name == "model"


def test_options_of_the_check_change_it():
    task = task_of()
    base = slopes(task, steps=1, seeds=1, widths=(8, 16))
    for change in ({"seed": 1}, {"seeds": 2}, {"config": {"lr": 0.1}}, {"widths": (8, 32)}):
        other = slopes(task, **({"steps": 1, "seeds": 1, "widths": (8, 16)} | change))
        assert np.abs(other.size["model"] - base.size["model"]).max() > 1e-4
    assert base.slopes(0) != base.slopes(1)


# ------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("settings", "given", "message"),
    [
        ({}, {"width": "depth"}, "'depth' is neither static nor padded"),
        ({}, {"base": 0}, "base must be a positive integer, got 0"),
        ({}, {"base": True}, "base must be a positive integer, got True"),
        ({}, {"rule": "newton"}, "rule must be one of .*, got 'newton'"),
    ],
)
def test_arguments_that_make_no_sense_are_named(settings, given, message):
    with pytest.raises(bojax.TaskError, match=message):
        mup(task_of(**settings), **given)


def test_a_step_of_its_own_and_a_second_time_are_errors():
    task = task_of()
    with pytest.raises(bojax.TaskError, match="parametrisation already"):
        mup(mup(task))
    own = bojax.Task(
        task.init, task.loss, task.predict, task.optimizer, static=["width"], step=train_step
    )
    with pytest.raises(bojax.TaskError, match="a step of its own"):
        mup(own)
    with pytest.raises(bojax.TaskError, match=r"expected a bojax\.Task, got int"):
        mup(3)
    with pytest.raises(bojax.TaskError, match=r"expected what .*mup returned"):
        mup_multipliers(task, hp_of(task, 8), EXAMPLE)


class Strange(linen.Module):
    shape: tuple

    @linen.compact
    def __call__(self, x):
        return x.sum() + self.param("odd", linen.initializers.ones, self.shape).sum()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda hp: MLP(3, 8), "no parameter grows between width=8 and 16"),
        (lambda hp: MLP(3, 8, depth=hp["width"]), "hidden_10/bias at one of width=8 and 16 only"),
        (lambda hp: Strange((hp["width"],) * 3), "odd has shape .* 3 axes grow"),
        (lambda hp: Strange((hp["width"] ** 2,)), r"odd has shape \(64,\) and \(256,\)"),
        (lambda hp: Strange((16 // hp["width"],)), "expected sizes that stay or grow"),
        (lambda hp: Strange((1,) * (1 + hp["width"] // 16)), "not the number of axes"),
    ],
)
def test_parameters_that_do_not_fit_are_named_before_anything_compiles(build, message):
    executor = LocalExecutor(mup(task_of(build), base=8), SPACE, data(), max_budget=2)
    with pytest.raises(bojax.TaskError, match=message):
        executor.plan([{"lr": 0.1, "width": 8, "kind": "plain"}])
    assert executor.programs == []


def test_a_width_of_another_space_or_kind_is_named():
    no_width = bojax.Space({"lr": bojax.Float(1e-4, 0.1, log=True)})
    with pytest.raises(bojax.TaskError, match=r"'width': no such parameter; the space has .*lr"):
        LocalExecutor(mup(task_of()), no_width, data(), max_budget=2)
    named = task_of(lambda hp: MLP(3, 8), static=["kind"])
    with pytest.raises(bojax.TaskError, match="kind='plain'; a width is a positive integer"):
        mup_multipliers(mup(named, "kind"), hp_of(named, 8), EXAMPLE)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"widths": (8,)}, "two widths or more, got .8."),
        ({"steps": 0}, "steps must be a positive integer, got 0"),
        ({"seeds": 0}, "seeds must be a positive integer, got 0"),
        ({"width": "lr"}, "'lr' is neither static nor padded"),
    ],
)
def test_a_check_that_makes_no_sense_is_an_error(given, message):
    with pytest.raises(bojax.TaskError, match=message):
        slopes(task_of(), **given)


def test_a_width_that_is_not_of_the_space_is_an_error():
    with pytest.raises(bojax.BojaxError, match="width"):
        slopes(task_of(), widths=(8, 9))
