"""The forest strategy: whose turn it is, what is modelled, and that it finds what is good."""

import jax
import numpy as np
import pytest

import bojax
from bojax.history import Status, empty_history
from bojax.strategies import Sizes, forest
from bojax.strategies._forest import design_size, scaled_logs
from bojax.strategies.session import key_bits
from bojax.testing import strategy_checks

pytest.importorskip("sklearn")
SPACE = bojax.Space(
    {
        "x": bojax.Float(0.0, 1.0),
        "c": bojax.Categorical(["a", "b", "d"]),
        "y": bojax.Float(0.0, 1.0, when={"c": "a"}),
        "n": bojax.Int(1, 50),
    }
)
Q = 4
SMALL = {"initial": 4, "candidates": 128, "searches": 4, "trees": 5}


def loss(config):
    value = (config["x"] - 0.3) ** 2 + (config["n"] - 20) ** 2 / 2500
    return value + (config["y"] - 0.6) ** 2 if config["c"] == "a" else value + 0.5


def history_of(configs, values):
    history = empty_history(64, 4)
    for i, (config, value) in enumerate(zip(configs, values, strict=True)):
        history.trial[i], history.rows[i], history.values[i] = i, SPACE.encode(config), value
        history.status[i] = Status.DONE if np.isfinite(value) else Status.FAILED
    return history


@jax.jit
def program(strategy, state, history, bits, given, wanted):
    key = jax.random.wrap_key_data(bits)
    return strategy.ask(state, history, key, Q, given, wanted)


def ask(history, asked=12, wanted=Q, seed=0, state=None, given=None, **settings):
    """One program for all settings that are leaves."""
    strategy = forest(**(SMALL | settings))
    given = np.full((Q, 4), np.nan) if given is None else given
    with jax.enable_x64(True):
        if state is None:
            state = strategy.init(SPACE.table, Sizes())._replace(asked=np.int32(asked))
        result = program(strategy, state, history, key_bits(seed), given, np.int32(wanted))
        return jax.tree.map(np.asarray, result)


CONFIGS = SPACE.sample(12, seed=1)
TOLD = history_of(CONFIGS, [loss(c) for c in CONFIGS])
TURNED = history_of(CONFIGS, [-loss(c) for c in CONFIGS])


def test_the_design_then_random_ones_and_the_model():
    blank = empty_history(64, 4)
    design = ask(blank, asked=0)[1]
    np.testing.assert_array_equal(ask(blank, asked=0, random_share=1.0)[1], design)
    # Told enough it need not be finished; and it goes on where too little was told.
    assert not np.array_equal(ask(TOLD, asked=0)[1], design)
    np.testing.assert_array_equal(ask(TOLD, asked=0, initial=13)[1], design)
    drawn = ask(TOLD, random_share=1.0)[1]
    np.testing.assert_array_equal(ask(TURNED, random_share=1.0)[1], drawn)
    modelled = ask(TOLD, random_share=0.0)[1]
    assert not np.array_equal(ask(TURNED, random_share=0.0)[1], modelled)
    mixed = [ask(TOLD, seed=s, random_share=0.5) for s in range(4)]
    both = [(ask(TOLD, seed=s, random_share=p)[1]) for s in range(4) for p in (0.0, 1.0)]
    same = [(rows == other).all(axis=1) for (_, rows, _), other in zip(
        np.repeat(np.array(mixed, object), 2, axis=0), both, strict=True)]  # fmt: skip
    assert 0 < np.sum(same[1::2]) < 4 * Q and np.sum(same[0::2]) > 0


def test_one_forest_serves_eight_suggestions():
    state, first, _ = ask(TOLD, random_share=0.0)
    assert state.queue.open.sum() == 4 and state.queue.until == 20
    later, second, _ = ask(TURNED, state=state, random_share=0.0)  # told in between: no matter
    np.testing.assert_array_equal(second, state.queue.rows[4:])
    np.testing.assert_array_equal(first, state.queue.rows[:4])
    renewed, _, _ = ask(TOLD, state=later, random_share=0.0)
    assert renewed.queue.until == 28 and not np.array_equal(renewed.queue.rows, state.queue.rows)
    given = np.full((Q, 4), np.nan)
    given[:, 1] = 2.0
    other, fixed, _ = ask(TOLD, state=state, given=given, random_share=0.0)
    assert (fixed[:, 1] == 2.0).all() and other.queue.until == 24  # of what was not fixed then


def test_rows_beyond_the_wanted_change_nothing():
    state, rows, info = ask(TOLD)
    for wanted in (1, 3):
        fewer, some, fewer_info = ask(TOLD, wanted=wanted)
        np.testing.assert_array_equal(some[:wanted], rows[:wanted])
        assert fewer.asked == 12 + wanted and fewer_info.valid[:wanted].all()
    assert info.valid.all() and state.asked == 16


def test_a_queued_row_that_is_told_meanwhile_is_passed_over():
    state, _, _ = ask(TOLD, wanted=1, random_share=0.0)
    spare = SPACE.decode(state.queue.rows[1])
    history = history_of([*CONFIGS, spare], [*map(loss, CONFIGS), loss(spare)])
    _, after, _ = ask(history, state=state, wanted=1, random_share=0.0)
    np.testing.assert_array_equal(after[0], state.queue.rows[2])


def best_of(seed, evaluations=56, **settings):
    configs, values, state = [], [], None
    for start in range(0, evaluations, Q):
        history = history_of(configs, values)
        state, rows, _ = ask(history, 0, seed=seed, state=state, **settings)
        for config in SPACE.decode(rows):
            configs.append(config)
            values.append(loss(config))
        assert len(configs) == start + Q
    assert len({str(config) for config in configs}) == evaluations
    return min(values)


def test_it_finds_more_than_random_search():
    ours = [best_of(seed) for seed in range(6)]
    random = [best_of(seed, random_share=1.0) for seed in range(6)]
    assert np.mean(np.log(ours)) < np.mean(np.log(random)) - np.log(1.5)


def test_values_are_logs_of_distances_from_below_the_minimum():
    """SMAC3's encoding, by its own definition, whatever sign and size."""
    rng = np.random.default_rng(0)
    mask = np.arange(30) < 25
    for values in (rng.normal(size=30), 1e300 * rng.normal(size=30), 3.0 + rng.random(30) / 1e3):
        known = values[:25] / np.abs(values[:25]).max()
        low = 2 * known.min() - np.percentile(known, 5) - 1e-10 * np.ptp(known)
        expected = np.log((known - low) / (known.max() - low))
        with jax.enable_x64(True):
            found, slope = jax.jit(scaled_logs)(values, mask)
        np.testing.assert_allclose(found[:25], expected, rtol=1e-6, atol=1e-9)
        scale = np.abs(values[:25]).max()
        slope = np.asarray(slope)
        np.testing.assert_allclose(slope[:25] * scale, 1 / (known - low), rtol=1e-6)
        assert (np.asarray(found)[25:] == 0).all()
    with jax.enable_x64(True):
        logs, slopes = jax.jit(scaled_logs)(np.full(30, 7.0), mask)
    assert (np.asarray(logs) == 0).all() and (np.asarray(slopes) == 0).all()


@pytest.fixture(scope="module")
def data():
    """What is modelled, of a space with epochs."""
    space = bojax.Space({"x": bojax.Float(0, 1), "e": bojax.Int(1, 9)}, fidelity="e")
    program = jax.jit(lambda strategy, history: strategy.data(space.table, history))

    def made(values, epochs, variance=0.0, **settings):
        history = empty_history(64, 4)
        for i, (value, e) in enumerate(zip(values, epochs, strict=True)):
            history.trial[i], history.rows[i] = i, space.encode({"x": i / 10, "e": e})
            history.status[i] = Status.DONE if np.isfinite(value) else Status.FAILED
            history.values[i], history.variance[i] = value, variance
        with jax.enable_x64(True):
            return jax.tree.map(np.asarray, program(forest(**settings), history))

    return made


def test_failures_are_worst_and_the_largest_budget_with_enough_is_modelled(data):
    plain = data([1.0, 4.0, 2.0, np.nan, 3.0], [1, 1, 9, 9, 9], log=False)
    assert plain.mask.tolist()[:6] == [False, False, True, True, True, False]
    assert plain.values[2:5].tolist() == [2.0, 3.0, 3.0]
    fewer = data([1.0, 4.0, 2.0, np.nan], [1, 1, 9, 9], log=False)  # one parameter asks for two
    assert fewer.mask.tolist()[:5] == [True, True, False, True, False]
    logs = data([1.0, 4.0, 2.0], [9, 9, 9], variance=0.01)
    assert logs.values[1] == pytest.approx(0.0, abs=1e-12) and logs.values[2] < -0.5
    assert logs.variance[0] > logs.variance[2] > logs.variance[1] > 0  # most at the minimum


def test_the_size_of_the_design():
    assert int(design_size(SPACE.table, None)) == 25  # of a run of 100
    assert int(design_size(SPACE.table, 40)) == 10
    assert int(design_size(SPACE.table, 1000)) == 40  # ten a parameter
    few = bojax.Space({"on": bojax.Boolean(), "size": bojax.Ordinal([1, 2, 4, 8])})
    assert int(design_size(few.table, None)) == 2
    assert int(forest().init(SPACE.table, Sizes(evaluations=40)).initial) == 10


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"initial": 1}, "initial must be at least 2, got 1"),
        ({"refit": 0}, "refit must be at least 1"),
        ({"candidates": 0}, "candidates must be at least 1"),
        ({"searches": 0}, "searches must be at least 1"),
        ({"random_share": 1.5}, r"random_share must be in \[0, 1\], got 1.5"),
        ({"spread": 0.0}, "spread must be above 0"),
        ({"trees": 0}, "trees must be at least 1"),
        ({"features": 0.0}, r"features must be in \(0, 1\]"),
        ({"leaf": 0}, "leaf must be at least 1"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        forest(**settings)


def test_several_objectives_are_refused_and_it_is_saved_by_name():
    with pytest.raises(ValueError, match="'forest' takes one objective"):
        forest().init(SPACE.table, Sizes(objectives=2))
    made = forest(trees=3, refit=1, log=False)
    description = bojax.strategies.to_description(made)
    assert description["name"] == "forest"
    assert bojax.strategies.from_description(description) == made
    assert bojax.strategies.by_name("forest") == forest()


def test_spread_matters():
    near, far = (ask(TOLD, random_share=0.0, spread=s)[1] for s in (0.01, 0.5))
    assert not np.array_equal(near, far)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"trees": 9}, {"features": 0.5}, {"leaf": 3}, {"interpolate": False}, {"log": False},
        {"candidates": 512}, {"searches": 1}, {"refit": 2},
    ],
    ids=str,
)  # fmt: skip
def test_every_setting_changes_what_is_suggested(settings):
    usual, other = (ask(TOLD, random_share=0.0, **s) for s in ({}, settings))
    if "refit" in settings:  # the same two, then of a new forest
        np.testing.assert_array_equal(usual[1][:2], other[1][:2])
    assert not np.array_equal(usual[1], other[1])


@pytest.mark.slow
@pytest.mark.parametrize("check", strategy_checks(forest(**SMALL), name="forest"), ids=repr)
def test_it_keeps_every_promise(check):
    check()


@pytest.mark.slow
def test_beliefs_of_the_user_count():
    belief = bojax.Normal(0.8, 0.05)
    believed = bojax.Space({"x": bojax.Float(0, 1, prior=belief), "z": bojax.Float(0, 1)})
    plain = bojax.Space({"x": bojax.Float(0, 1), "z": bojax.Float(0, 1)})
    found = []
    for space in (believed, plain):
        optimizer = bojax.Optimizer(space, strategy=forest(**SMALL, random_share=0.0), seed=1)
        for config in plain.sample(6, seed=2):
            optimizer.tell(config, config["z"])
        found.append(np.mean([abs(t.config["x"] - 0.8) for t in optimizer.ask(8)]))
    assert found[0] < 0.5 * found[1]
