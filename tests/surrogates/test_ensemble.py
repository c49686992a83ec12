"""Deep ensembles: their mixture, their uncertainty, what their settings do."""

import jax
import numpy as np
import pytest

import bojax
from bojax.surrogates import Data, deep_ensemble
from bojax.testing import surrogate_checks

KEY = jax.random.key(0)
TRACED = ["jit", "vmap", "gradient"]
# Members after 500 steps of Adam: rounding has grown, and none of it matters.
CHECKS = surrogate_checks(deep_ensemble(), traceable=True, tolerance=3e-3)


@pytest.mark.slow
@pytest.mark.parametrize("check", [check for check in CHECKS if check.__name__ not in TRACED])
def test_conformance(check):
    check()


@pytest.mark.slow
@pytest.mark.parametrize("check", [check for check in CHECKS if check.__name__ in TRACED])
def test_conformance_under_a_trace(check):
    check()


def wiggle(n=30, noise=0.0, seed=0):
    """One column, nothing observed between 0.4 and 0.6."""
    rng = np.random.default_rng(seed)
    rows = rng.random((n, 1)) * 0.8
    rows += 0.2 * (rows > 0.4)
    return Data(rows, np.sin(6 * rows[:, 0]) + noise * rng.normal(size=n))


NEW = np.linspace(0, 1, 41)[:, None]


def fitted(data=None, warm=None, **settings):
    return deep_ensemble(**settings).fit(KEY, wiggle() if data is None else data, warm)


def predict(rows=NEW, **settings):
    return fitted(**settings)[0].mean_and_variance(rows)


def test_the_mixture_is_that_of_its_members():
    posterior, info = fitted()
    with jax.enable_x64(True):
        members = jax.jit(lambda posterior, rows: posterior.members(rows))
        means, variances = (np.asarray(x) for x in members(posterior, NEW))
    assert means.shape == (5, 41) and info.loss.shape == (5,)
    shift, scale = float(posterior.shift), float(posterior.scale)
    mean, variance = posterior.mean_and_variance(NEW)
    np.testing.assert_allclose(mean, shift + scale * means.mean(axis=0), rtol=1e-9)
    total = (variances + means**2).mean(axis=0) - means.mean(axis=0) ** 2
    np.testing.assert_allclose(variance, scale**2 * total, rtol=1e-6)
    assert posterior.noise == 0.0, "the variance is of an observation already"


def test_the_variance_grows_away_from_the_data():
    data = wiggle()
    _, near = predict(data.rows)
    _, gap = predict(np.array([[0.5]]))
    _, far = predict(np.array([[-2.0], [3.0]]))
    assert gap > 1.5 * np.median(near)
    assert (far > 20 * np.median(near)).all()


def test_noise_is_seen():
    quiet, loud = wiggle(60), wiggle(60, noise=0.5)
    quiet, loud = (fitted(data)[0].mean_and_variance(data.rows)[1].mean() for data in (quiet, loud))
    assert loud > 5 * quiet and 0.05 < loud < 0.5


def test_it_beats_the_mean():
    rng = np.random.default_rng(3)
    rows = rng.random((80, 3))
    values = np.sin(5 * rows[:, 0]) + rows[:, 1] * rows[:, 2] + 0.05 * rng.normal(size=80)
    posterior, _ = fitted(Data(rows[:50], values[:50]))
    mean, _ = posterior.mean_and_variance(rows[50:])
    assert np.sqrt(np.mean((mean - values[50:]) ** 2)) < 0.4 * values[50:].std()


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"members": 2},
        {"width": 10},
        {"depth": 2},
        {"activation": "tanh"},
        {"steps": 50},
        {"learning_rate": 0.003},
        {"precision": 30.0},
    ],
)
def test_every_option_changes_the_prediction(settings):
    assert np.abs(predict()[0] - predict(**settings)[0]).max() > 1e-3


@pytest.mark.slow
def test_a_warm_start_goes_on_from_there():
    slow = {"steps": 20, "learning_rate": 1e-3}
    _, cold = fitted(**slow)
    _, warm = fitted(warm=fitted()[1].params, **slow)
    assert (warm.loss < cold.loss).all()


def test_another_key_starts_elsewhere():
    other = deep_ensemble().fit(jax.random.key(1), wiggle())[0].mean_and_variance(NEW)[0]
    assert not np.array_equal(predict()[0], other)


def test_replicates_weigh():
    rows, values = np.full((2, 1), 0.5), np.array([0.0, 1.0])
    even, heavy = (
        fitted(Data(rows, values, count=np.array([c, 1.0])))[0].mean_and_variance(rows)[0][0]
        for c in (1.0, 20.0)
    )
    assert heavy < even - 0.1


def test_it_compiles_once_for_a_capacity(count_compiles):
    surrogate = deep_ensemble(members=2, width=4, steps=5)
    surrogate.fit(KEY, wiggle(10))
    with count_compiles() as programs:
        surrogate.fit(jax.random.key(2), wiggle(33, seed=1))
        deep_ensemble(members=2, width=4, steps=5, learning_rate=0.1).fit(KEY, wiggle(20))
    assert programs == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"members": 0}, "deep_ensemble: members must be at least 1, got 0"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"activation": "sine"}, "activation must be one of relu, tanh, got 'sine'"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"precision": -1.0}, "precision must not be negative"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        deep_ensemble(**settings)


@pytest.mark.slow
def test_through_the_optimizer():
    strategy = bojax.strategies.model_based(
        deep_ensemble(members=3, steps=300, precision=0.1),
        initial=4,
        candidates=56,
        local=8,
        lanes=4,
    )
    optimizer = bojax.Optimizer({"x": bojax.Float(0, 1)}, strategy=strategy)
    for _ in range(10):
        trial = optimizer.ask()
        optimizer.tell(trial, (trial.config["x"] - 0.3) ** 2)
    assert optimizer.best().value < 5e-3, "of four points of the design the best had 0.012"
