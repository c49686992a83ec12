"""The Bayesian last layer: against the textbook, its evidence, what its settings do."""

import jax
import numpy as np
import pytest
from scipy import stats

import bojax
from bojax.surrogates import Data, _last_layer, last_layer
from bojax.testing import surrogate_checks

KEY = jax.random.key(0)
TRACED = ["jit", "vmap", "gradient"]
CHECKS = surrogate_checks(last_layer(), traceable=True, claims=["joint", "sample", "condition"])


@pytest.mark.slow
@pytest.mark.parametrize("check", [check for check in CHECKS if check.__name__ not in TRACED])
def test_conformance(check):
    check()


@pytest.mark.slow
@pytest.mark.parametrize("check", [check for check in CHECKS if check.__name__ in TRACED])
def test_conformance_under_a_trace(check):
    check()


def wiggle(n=40, noise=0.1, seed=0):
    rng = np.random.default_rng(seed)
    rows = rng.random((n, 2))
    return Data(rows, 2.0 + np.sin(6 * rows[:, 0]) + rows[:, 1] + noise * rng.normal(size=n))


NEW = np.random.default_rng(9).random((50, 2))


def fitted(data=None, warm=None, **settings):
    return last_layer(**settings).fit(KEY, wiggle() if data is None else data, warm)


@jax.jit
def _features(posterior, rows):
    return posterior.features(rows)


def features(posterior, rows):
    with jax.enable_x64(True):
        return np.asarray(_features(posterior, rows))


def test_it_is_the_regression_of_the_textbook():
    """As a Gaussian process with kernel phi'phi / alpha: no matrix of P x P."""
    rng = np.random.default_rng(1)
    data = wiggle()
    data = Data(
        data.rows, data.values, rng.uniform(0, 0.3, 40), rng.integers(1, 4, 40).astype(float)
    )
    posterior, info = fitted(data)
    alpha, beta = np.exp(info.theta)
    shift, scale = data.values.mean(), data.values.std(ddof=1)
    standard = (data.values - shift) / scale
    phi, new = features(posterior, data.rows), features(posterior, NEW)
    noise = beta / data.count + data.variance / scale**2
    covariance = phi @ phi.T / alpha + np.diag(noise)
    gain = np.linalg.solve(covariance, phi @ new.T / alpha).T
    mean, variance = posterior.mean_and_variance(NEW)
    np.testing.assert_allclose(mean, shift + scale * gain @ standard, rtol=1e-6)
    rest = np.sum(new * new, axis=1) / alpha - np.sum(gain * (new @ phi.T / alpha), axis=1)
    np.testing.assert_allclose(variance, scale**2 * rest, rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(posterior.noise, beta * scale**2, rtol=1e-9)
    prior = sum(
        -0.5 * ((log - location) / spread) ** 2
        for log, (location, spread) in zip(
            info.theta, (_last_layer.ALPHA, _last_layer.BETA), strict=True
        )
    )
    density = stats.multivariate_normal(np.zeros(40), covariance).logpdf(standard)
    np.testing.assert_allclose(info.evidence, density + prior, rtol=1e-6)


def test_no_other_precisions_have_more_evidence():
    data = wiggle()
    posterior, info = fitted(data)
    phi = features(posterior, data.rows)
    standard = (data.values - data.values.mean()) / data.values.std(ddof=1)

    def density(theta):
        covariance = phi @ phi.T / np.exp(theta[0]) + np.exp(theta[1]) * np.eye(40)
        total = stats.multivariate_normal(np.zeros(40), covariance).logpdf(standard)
        pairs = zip(theta, (_last_layer.ALPHA, _last_layer.BETA), strict=True)
        return total - sum(0.5 * ((log - at) / spread) ** 2 for log, (at, spread) in pairs)

    best = density(np.asarray(info.theta))
    for step in np.random.default_rng(2).normal(size=(20, 2)):
        assert density(np.asarray(info.theta) + 0.3 * step) < best + 1e-3


def test_noise_is_inferred():
    for noise in (0.03, 0.3):
        posterior, _ = fitted(wiggle(100, noise))
        assert 0.5 * noise**2 < float(posterior.noise) < 2.5 * noise**2 + 0.002


def test_observations_are_covered():
    test = wiggle(300, seed=5)
    posterior, _ = fitted()
    mean, variance = posterior.mean_and_variance(test.rows)
    covered = bojax.stats.coverage(mean, variance + float(posterior.noise), test.values, 0.9)
    assert 0.75 < covered < 0.99


def test_it_beats_the_mean():
    test = wiggle(200, seed=1)
    mean, _ = fitted()[0].mean_and_variance(test.rows)
    assert np.sqrt(np.mean((mean - test.values) ** 2)) < 0.35 * test.values.std()


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"width": 10},
        {"depth": 1},
        {"activation": "relu"},
        {"steps": 20},
        {"learning_rate": 0.001},
        {"precision": 100.0},
    ],
)
def test_every_option_changes_the_prediction(settings):
    usual, other = (fitted(**s)[0].mean_and_variance(NEW)[0] for s in ({}, settings))
    assert np.abs(usual - other).max() > 1e-3


@pytest.mark.slow
def test_a_warm_start_goes_on_from_there():
    slow = {"steps": 20, "learning_rate": 1e-3}
    _, cold = fitted(**slow)
    _, warm = fitted(warm=fitted()[1].params, **slow)
    assert warm.loss < cold.loss


def test_samples_are_one_function():
    """A draw at a row twice is the same number: weights are drawn, not rows."""
    posterior, _ = fitted()
    drawn = posterior.sample(KEY, np.concatenate([NEW, NEW]), 3)
    np.testing.assert_allclose(drawn[:, :50], drawn[:, 50:], rtol=1e-12)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"width": 0}, "last_layer: width must be at least 1, got 0"),
        ({"activation": "sine"}, "activation must be one of relu, tanh"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        last_layer(**settings)


@pytest.mark.slow
def test_through_the_optimizer():
    strategy = bojax.strategies.model_based(
        last_layer(width=20, depth=1, steps=200), initial=4, candidates=56, local=8, lanes=4
    )
    optimizer = bojax.Optimizer({"x": bojax.Float(0, 1)}, strategy=strategy)
    for _ in range(10):
        trial = optimizer.ask()
        optimizer.tell(trial, (trial.config["x"] - 0.3) ** 2)
    assert optimizer.best().value < 5e-3, "of four points of the design the best had 0.012"
