"""The forest: against scikit-learn, what its settings do, and that it is traceable."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.tree import DecisionTreeRegressor

import bojax
from bojax.surrogates import Data, forest
from bojax.testing import surrogate_checks

KEY = jax.random.key(0)


@pytest.mark.parametrize("check", surrogate_checks(forest(), traceable=True))
def test_conformance(check):
    check()


def wiggle(n=40, d=3, seed=0):
    rng = np.random.default_rng(seed)
    rows = rng.random((n, d))
    return Data(rows, np.sin(6 * rows[:, 0]) + rows[:, 1] + 0.1 * rng.normal(size=n))


NEW = np.random.default_rng(9).random((200, 3))


def predict(data=None, rows=NEW, **settings):
    return (
        forest(**settings).fit(KEY, wiggle() if data is None else data)[0].mean_and_variance(rows)
    )


@pytest.mark.parametrize("leaf", [3, 5])
def test_a_tree_of_all_lines_is_that_of_scikit_learn(leaf):
    data = wiggle()
    mean, variance = predict(trees=1, bootstrap=False, interpolate=False, leaf=leaf)
    tree = DecisionTreeRegressor(min_samples_leaf=leaf).fit(data.rows, data.values)
    reached = tree.apply(NEW)
    expected = tree.predict(NEW)
    np.testing.assert_allclose(mean, expected, atol=1e-5)
    own = tree.apply(data.rows)
    scatter = np.array([data.values[own == leaf].var() for leaf in reached])
    least = 1e-6 * data.values.var(ddof=1)
    np.testing.assert_allclose(variance, np.maximum(scatter, least), atol=1e-5)


def test_the_variance_is_within_leaves_and_between_trees():
    posterior, info = forest(leaf=3).fit(KEY, wiggle())
    with jax.enable_x64(True):
        means, variances = (np.asarray(x) for x in posterior.leaves(NEW))
    mean, variance = posterior.mean_and_variance(NEW)
    shift, scale = float(posterior.shift), float(posterior.scale)
    np.testing.assert_allclose(mean, shift + scale * means.mean(axis=0), rtol=1e-9)
    total = variances.mean(axis=0) + means.var(axis=0)
    np.testing.assert_allclose(variance, scale**2 * np.maximum(total, 1e-6), rtol=1e-9)
    assert means.shape == (10, 200) and int(info.depth) > 2 and int(info.observed) == 40


@pytest.mark.parametrize(
    "settings",
    [
        {"trees": 3},
        {"features": 0.4},
        {"leaf": 4},
        {"split": 8},
        {"bootstrap": False},
        {"extra_trees": True},
        {"interpolate": False},
    ],
)
def test_every_option_changes_the_prediction(settings):
    assert not np.array_equal(predict()[0], predict(**settings)[0])


def test_thresholds_lie_between_the_values_they_part():
    """Two observations: the step is somewhere between them, and trees disagree in the middle."""
    data = Data(np.array([[0.2], [0.8]]), np.array([0.0, 1.0]))
    rows = np.linspace(0, 1, 101)[:, None]
    mean, variance = predict(data, rows, trees=200, bootstrap=False)
    assert (mean[:20] < 1e-6).all() and (mean[81:] > 1 - 1e-6).all()
    np.testing.assert_allclose(mean[20:81], (rows[20:81, 0] - 0.2) / 0.6, atol=0.12)
    assert variance[50] > 100 * variance[[0, 100]].max()
    middle = predict(data, rows, bootstrap=False, interpolate=False)[0]
    np.testing.assert_allclose(middle, rows[:, 0] > 0.5, atol=1e-5)


def test_another_key_is_another_forest():
    other = forest().fit(jax.random.key(1), wiggle())[0].mean_and_variance(NEW)[0]
    assert not np.array_equal(predict()[0], other)


def test_it_is_traceable_and_the_same():
    data = wiggle(64)
    host = predict(data)

    def both(key, rows, values):
        posterior, _ = forest().fit(key, Data(rows, values))
        return posterior.mean_and_variance(NEW)

    with jax.enable_x64(True):
        traced = jax.jit(both)(KEY, jnp.asarray(data.rows), jnp.asarray(data.values))
    for ours, theirs in zip(host, traced, strict=True):
        np.testing.assert_allclose(theirs, ours, rtol=1e-6, atol=1e-9)


def test_a_category_is_asked_for_by_name():
    """Alternating codes: one question each, which a threshold would need several for."""
    space = bojax.Space({"c": bojax.Categorical(list("abcde")), "x": bojax.Float(0, 1)})
    configs = [{"c": c, "x": x} for c in "abcde" for x in (0.2, 0.5, 0.8)]
    rows = np.array([space.encode(config) for config in configs])
    values = np.array([float(config["c"] == "c") for config in configs])
    posterior, info = forest(trees=1, bootstrap=False).fit(
        KEY, Data(rows, values, table=space.table)
    )
    assert int(info.depth) == 1
    np.testing.assert_allclose(posterior.mean_and_variance(rows)[0], values, atol=1e-5)


def test_activity_is_seen():
    """A column parked at its default is told from one that has that value."""
    space = bojax.Space({"b": bojax.Boolean(), "x": bojax.Float(0, 1, when={"b": True})})
    rows = np.array([space.encode({"b": True, "x": x}) for x in (0.1, 0.3, 0.5, 0.7, 0.9)])
    rows = np.concatenate([rows, np.tile(space.encode({"b": False}), (5, 1))])
    values = np.repeat([1.0, 0.0], 5)
    mean = predict(Data(rows, values, table=space.table), rows)[0]
    assert (mean[:5] > 0.6).all() and (mean[5:] < 0.4).all()


def test_counts_and_known_variances_weigh():
    rows = np.full((2, 1), 0.5)
    values = np.array([0.0, 1.0])
    heavy = predict(Data(rows, values, count=np.array([30.0, 1.0])), rows[:1], trees=100)[0]
    sure = predict(Data(rows, values, variance=np.array([0.0, 30.0])), rows[:1], trees=100)[0]
    assert heavy < 0.2 and sure < 0.2
    assert 0.35 < predict(Data(rows, values), rows[:1], trees=100)[0] < 0.65


def test_it_beats_the_mean_and_more_trees_beat_one():
    test = wiggle(200, seed=1)

    def error(**settings):
        mean, _ = predict(wiggle(100), test.rows, **settings)
        return np.sqrt(np.mean((mean - test.values) ** 2))

    assert error() < 0.45 * test.values.std()
    assert error() < error(trees=1)


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.tree", None)
    with pytest.raises(ImportError, match=r"needs scikit-learn.*bojax\[sklearn\]"):
        forest().fit(KEY, wiggle())


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"trees": 0}, "trees must be at least 1, got 0"),
        ({"leaf": 0}, "leaf must be at least 1"),
        ({"split": 1}, "split must be at least 2"),
        ({"features": 0.0}, r"features must be in \(0, 1\], got 0.0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        forest(**settings)


@pytest.mark.slow
def test_through_the_optimizer():
    space = bojax.Space({"x": bojax.Float(0, 1), "c": bojax.Categorical(["a", "b"])})
    strategy = bojax.strategies.model_based(forest(), initial=4, candidates=56, local=8, lanes=4)
    optimizer = bojax.Optimizer(space, strategy=strategy)
    for _ in range(12):
        trial = optimizer.ask()
        value = (trial.config["x"] - 0.3) ** 2 + (trial.config["c"] == "b")
        optimizer.tell(trial, value)
    assert optimizer.best().value < 0.05
    assert sum(trial.config["c"] == "a" for trial in optimizer.trials[4:]) >= 6
