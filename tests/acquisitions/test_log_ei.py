"""Log expected improvement: against 60 digits, the closed form and simulation."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from scipy import stats

import bojax
from bojax.acquisitions import LogEI, log_expected_improvement, log_h

# Dense where the three branches meet (-1, -6 in float32, -30 in float64), then out to -1e8.
POINTS = np.unique(
    np.concatenate(
        [
            np.linspace(-45.0, 40.0, 341),
            -np.geomspace(20.0, 1e8, 120),
            *(edge + np.array([-1e-3, -1e-9, 0.0, 1e-9, 1e-3]) for edge in (-1.0, -6.0, -30.0)),
        ]
    )
)


def by_hand(z):
    """log h and its slope at a float, to 60 digits: the definition, or its own series."""
    with mp.workdps(60):
        z = mp.mpf(float(z))
        if z > -1000:  # the difference of two like numbers costs 2 log10 |z| of the digits
            pdf, cdf = mp.npdf(z), mp.erfc(-z / mp.sqrt(2)) / 2
            h = pdf + z * cdf
            return float(mp.log(h)), float(cdf / h)
        t = 1 / z**2
        mills = mp.mpf(1) - t + 3 * t**2 - 15 * t**3 + 105 * t**4 - 945 * t**5
        rest = mp.mpf(1) - 3 * t + 15 * t**2 - 105 * t**3 + 945 * t**4 - 10395 * t**5
        log_h = mp.log(rest) + mp.log(t) - z**2 / 2 - mp.log(2 * mp.pi) / 2
        return float(log_h), float(-z * mills / rest)


@pytest.fixture(scope="module")
def exact():
    return np.array([by_hand(z) for z in POINTS]).T


@pytest.mark.parametrize(
    ("precision", "value_error", "slope_error"),
    [("float64", 2e-15, 2e-12), ("float32", 5.5e-7, 1e-5)],
)
def test_value_and_slope_against_sixty_digits(exact, precision, value_error, slope_error):
    value, slope = exact
    if precision == "float32":  # the same numbers, as far as float32 has them
        points = POINTS.astype(np.float32)
        value, slope = np.array([by_hand(z) for z in points]).T
    else:
        points = POINTS
    with jax.enable_x64(precision == "float64"):
        ours, slopes = map(np.asarray, jax.jit(jax.vmap(jax.value_and_grad(log_h)))(points))
    assert ours.dtype == slopes.dtype == precision
    assert np.isfinite(ours).all() and np.isfinite(slopes).all()
    # Relative to the value, or to 1 where it passes through zero.
    assert (np.abs(ours - value) / np.maximum(np.abs(value), 1.0)).max() < value_error
    assert (np.abs(slopes - slope) / slope).max() < slope_error


def test_slopes_are_positive_and_fall():
    """log h is concave and increasing: the search always knows where to go."""
    z = np.linspace(-200.0, 30.0, 2001)
    with jax.enable_x64(True):
        slopes = np.asarray(jax.vmap(jax.grad(log_h))(z))
    assert (slopes > 0).all() and (np.diff(slopes) <= 1e-12).all()


def test_log_ei_is_the_log_of_ei():
    rng = np.random.default_rng(0)
    mean, variance, best = rng.normal(size=50), rng.uniform(0.01, 4, 50), rng.normal(size=50)
    with jax.enable_x64(True):
        ours = np.asarray(log_expected_improvement(jnp.asarray(mean), jnp.asarray(variance), best))
    sd = np.sqrt(variance)
    z = (best - mean) / sd
    np.testing.assert_allclose(
        ours, np.log(sd * (stats.norm.pdf(z) + z * stats.norm.cdf(z))), rtol=1e-10
    )


class Told:
    """A posterior that was told what to say."""

    upper = jnp.zeros((1, 1), jnp.float32)

    def __init__(self, mean, variance):
        self.answer = jnp.asarray(mean), jnp.asarray(variance)

    def mean_and_variance(self, rows):
        return self.answer


ROWS = jnp.zeros((3, 1, 2))


def test_log_ei_equals_simulation():
    mean, variance, best = np.array([0.3, -0.2, 1.5]), np.array([0.5, 0.1, 2.0]), 0.1
    score = LogEI()((Told(mean, variance),), ROWS, best)
    draws = mean + np.sqrt(variance) * np.random.default_rng(1).normal(size=(1_000_000, 3))
    improvement = np.maximum(best - draws, 0.0)
    error = improvement.std(axis=0) / 1000.0
    assert (np.abs(np.exp(score) - improvement.mean(axis=0)) < 4.0 * error).all()


def test_fantasies_are_averaged_in_ei_each_with_its_incumbent():
    rng = np.random.default_rng(2)
    mean, variance = rng.normal(size=(3, 8)), rng.uniform(0.1, 1.0, 3)
    best = rng.normal(size=8)
    score = np.asarray(LogEI()((Told(mean, variance),), ROWS, jnp.asarray(best)))
    sd = np.sqrt(variance)[:, None]
    z = (best - mean) / sd
    ei = sd * (stats.norm.pdf(z) + z * stats.norm.cdf(z))
    np.testing.assert_allclose(score, np.log(ei.mean(axis=1)), rtol=1e-4)


def test_fantasies_far_from_any_hope_do_not_underflow():
    mean = jnp.full((3, 4), 1e4, jnp.float32)
    score = np.asarray(LogEI()((Told(mean, jnp.ones(3)),), ROWS, jnp.zeros(4)))
    assert np.isfinite(score).all() and (score < -1e7).all()


def test_the_direction_is_down():
    """Lower means score higher, and so do wider ones above the incumbent."""
    score = LogEI()((Told([0.0, 1.0, 1.0], [1.0, 1.0, 2.0]),), ROWS, 0.0)
    assert score[0] > score[2] > score[1]


def test_one_row_at_a_time():
    with pytest.raises(ValueError, match=r"one row at a time.*q=2"):
        LogEI()((Told([0.0], [1.0]),), jnp.zeros((1, 2, 2)), 0.0)


def test_on_a_fitted_posterior_it_is_the_formula_of_its_moments():
    rows = np.linspace(0, 1, 6)[:, None]
    data = bojax.surrogates.Data(rows, np.sin(5 * rows[:, 0]))
    posterior, _ = bojax.surrogates.gp().fit(jax.random.key(0), data)
    new = np.linspace(0.05, 0.95, 7)[:, None]
    score = np.asarray(LogEI()((posterior,), new[:, None, :], -0.9))
    assert score.dtype == np.float64
    mean, variance = posterior.mean_and_variance(new)
    sd = np.sqrt(variance)
    z = (-0.9 - mean) / sd
    expected = sd * (stats.norm.pdf(z) + z * stats.norm.cdf(z))
    kept = expected > 1e-12
    np.testing.assert_allclose(np.exp(score[kept]), expected[kept], rtol=1e-4)
