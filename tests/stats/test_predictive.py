"""Scores of predictions against SciPy, scikit-learn, quadrature and high precision."""

import math

import mpmath
import numpy as np
import pytest
import scipy.integrate
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import r2_score, root_mean_squared_error

from bojax.errors import DataError
from bojax.stats import (
    calibration_error,
    coverage,
    crps,
    log_predictive_density,
    normalised_rmse,
    rmse,
)

SCORES = (log_predictive_density, crps, coverage, calibration_error)
NORMAL = scipy.stats.norm


@pytest.fixture
def predictions():
    random = np.random.default_rng(0)
    mean, variance = random.normal(size=30), random.gamma(2.0, size=30)
    return mean, variance, random.normal(mean, 2 * np.sqrt(variance))


def test_errors_of_the_mean_are_scikit_learns(predictions):
    mean, _, y = predictions
    assert rmse(mean, y) == pytest.approx(root_mean_squared_error(y, mean), rel=1e-12)
    assert normalised_rmse(mean, y) == pytest.approx(math.sqrt(1 - r2_score(y, mean)), rel=1e-12)
    assert normalised_rmse(np.full_like(y, y.mean()), y) == pytest.approx(1.0, rel=1e-12)


def test_the_log_density_is_scipys(predictions):
    mean, variance, y = predictions
    expected = NORMAL(mean, np.sqrt(variance)).logpdf(y).mean()
    assert log_predictive_density(mean, variance, y) == pytest.approx(expected, rel=1e-12)


def test_crps_is_its_integral():
    """The defining integral of the squared distance of distribution functions."""
    for mean, s, y in ((0.0, 1.0, 0.0), (0.3, 0.5, 1.1), (-2.0, 3.0, 4.0), (1.0, 0.2, 0.1)):
        below = scipy.integrate.quad(lambda t: NORMAL.cdf(t, mean, s) ** 2, -np.inf, y)  # noqa: B023
        above = scipy.integrate.quad(lambda t: NORMAL.sf(t, mean, s) ** 2, y, np.inf)  # noqa: B023
        assert crps([mean], [s * s], [y]) == pytest.approx(below[0] + above[0], rel=1e-8)


@pytest.mark.parametrize("z", ["0", "1e-9", "0.4", "3", "8", "39", "41", "1e6"])
def test_crps_keeps_its_digits(z):
    """E|X - y| - E|X - X'| / 2 of normal X, X', with 40 digits."""
    with mpmath.workdps(40):
        x = mpmath.mpf(z)
        expected = (
            x * mpmath.erf(x / mpmath.sqrt(2)) + 2 * mpmath.npdf(x) - 1 / mpmath.sqrt(mpmath.pi)
        )
    for sign in (-1, 1):
        assert crps([0.0], [1.0], [sign * float(z)]) == pytest.approx(float(expected), rel=1e-14)


def test_crps_without_a_width_is_the_error():
    assert crps([1.0, 2.0], [0.0, 0.0], [1.0, -1.0]) == 1.5
    assert crps([1.0], [1e-300], [3.0]) == pytest.approx(2.0)
    assert crps([0.0], [5e-324], [1e300]) == pytest.approx(1e300)


REAL = arrays(float, 4, elements=st.floats(-100, 100))
WIDTH = arrays(float, 4, elements=st.floats(0.1, 100))


@given(REAL, WIDTH, REAL, st.floats(-9, 9), st.floats(0.1, 9))
def test_scores_follow_the_unit_of_y(mean, variance, y, shift, scale):
    moved = (shift + scale * mean, scale**2 * variance, shift + scale * y)
    near = {"rel": 1e-6, "abs": 1e-9}
    assert rmse(moved[0], moved[2]) == pytest.approx(scale * rmse(mean, y), **near)
    assert crps(*moved) == pytest.approx(scale * crps(mean, variance, y), **near)
    density = log_predictive_density(mean, variance, y) - math.log(scale)
    assert log_predictive_density(*moved) == pytest.approx(density, **near)


@given(REAL, WIDTH, REAL)
def test_the_crps_lies_below_the_absolute_error(mean, variance, y):
    """E|X - y| <= |mean - y| + E|X - mean|, and the half mean difference is subtracted."""
    error, spread = np.abs(mean - y), np.sqrt(variance)
    least, most = (
        0.2336 * spread,
        error + spread * (math.sqrt(2 / math.pi) - 1 / math.sqrt(math.pi)),
    )
    assert least.mean() <= crps(mean, variance, y) <= most.mean() * (1 + 1e-12)


def test_the_true_prediction_scores_best():
    """Strictly proper scores: in the mean over y, any other mean or width does worse."""
    y = NORMAL(1.0, 2.0).ppf((np.arange(2000) + 0.5) / 2000)
    ones = np.ones_like(y)
    truth = (ones, 4.0 * ones, y)
    for mean, variance in ((1.3, 4.0), (0.7, 4.0), (1.0, 5.0), (1.0, 3.2)):
        other = (mean * ones, variance * ones, y)
        assert crps(*truth) < crps(*other)
        assert log_predictive_density(*truth) > log_predictive_density(*other)
        assert calibration_error(*truth) < calibration_error(*other)
    # The score of the truth itself is s / sqrt(pi), and minus the entropy.
    assert crps(*truth) == pytest.approx(2 / math.sqrt(math.pi), rel=1e-3)
    assert log_predictive_density(*truth) == pytest.approx(-NORMAL(1.0, 2.0).entropy(), abs=1e-3)


def test_coverage_by_quantiles():
    """y at the quantiles of the prediction: exactly the level is inside, to one in n."""
    y = NORMAL(3.0, 0.5).ppf((np.arange(1000) + 0.5) / 1000)
    mean, variance, levels = np.full(1000, 3.0), np.full(1000, 0.25), [0.1, 0.5, 0.683, 0.99]
    found = coverage(mean, variance, y, levels)
    np.testing.assert_allclose(found, levels, atol=1.01e-3)
    assert [coverage(mean, variance, y, level) for level in levels] == found.tolist()
    assert calibration_error(mean, variance, y) < 1.01e-3
    assert coverage(mean, variance, y) == pytest.approx(0.95, abs=1.01e-3)


@pytest.mark.parametrize("factor", [0.3, 0.8, 1.5, 4.0])
def test_wrong_widths_in_closed_form(factor):
    """A deviation wrong by a factor covers 2 Phi(factor z) - 1 in place of 2 Phi(z) - 1."""
    y = NORMAL.ppf((np.arange(20_000) + 0.5) / 20_000)
    zeros, variance = np.zeros_like(y), np.full_like(y, factor**2)
    levels = np.arange(1, 20) / 20
    expected = 2 * NORMAL.cdf(factor * NORMAL.ppf((1 + levels) / 2)) - 1
    np.testing.assert_allclose(coverage(zeros, variance, y, levels), expected, atol=2e-4)
    distance = np.abs(expected - levels).mean()
    assert calibration_error(zeros, variance, y) == pytest.approx(distance, abs=2e-4)


def test_certain_predictions():
    hit_and_miss = ([1.0, 2.0], [0.0, 0.0], [1.0, 3.0])
    assert coverage(*hit_and_miss) == 0.5
    assert coverage(*hit_and_miss, [[0.1, 0.9]]).tolist() == [[0.5, 0.5]]
    assert calibration_error(*hit_and_miss, levels=[0.5, 0.9]) == pytest.approx(0.2)


def test_what_chance_alone_makes_of_calibration():
    random, n = np.random.default_rng(1), 100
    errors = [calibration_error(np.zeros(n), np.ones(n), y) for y in random.normal(size=(300, n))]
    assert np.mean(errors) == pytest.approx(0.33 / math.sqrt(n), rel=0.1)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"mean": [0, math.nan, math.nan]}, "mean: row 1 is nan; expected a finite number"),
        ({"y": [0, -math.inf, 1]}, "y: row 1 is -inf; expected a finite number"),
        ({"variance": [math.inf, 1, 1]}, "variance: row 0 is inf; expected a finite number"),
        ({"variance": [1, -0.1, 1]}, r"variance: row 1 is -0\.1; expected at least 0"),
        ({"mean": [0, 0]}, r"mean: expected shape \(3,\), one number a row of y, got \(2,\)"),
        ({"variance": [[1], [1], [1]]}, r"variance: expected shape \(3,\).* got \(3, 1\)"),
        ({"variance": 1.0}, r"variance: expected shape \(3,\).* got \(\)"),
        ({"y": [[0, 0, 0]]}, r"y: expected at least one number in a row, got shape \(1, 3\)"),
        ({"y": []}, r"y: expected at least one number in a row, got shape \(0,\)"),
        ({"mean": [0, "a", 0]}, "mean: expected an array of numbers"),
    ],
)
def test_errors_name_the_row(score, changed, message):
    with pytest.raises(DataError, match=message):
        score(**{"mean": [0, 0, 0], "variance": [1, 1, 1], "y": [0, 0, 0], **changed})


def test_errors_of_one_score():
    with pytest.raises(DataError, match="variance: row 1 is 0, and a point has no density"):
        log_predictive_density([0, 0], [1, 0], [0, 0])
    with pytest.raises(DataError, match=r"y: all 2 values are 3\.0; take rmse"):
        normalised_rmse([0, 0], [3, 3])
    with pytest.raises(DataError, match="mean: row 0 is nan"):
        rmse([math.nan], [1.0])
    with pytest.raises(DataError, match="level must be between 0 and 1, got 95"):
        coverage([0], [1], [0], level=95)
    with pytest.raises(DataError, match="levels: expected at least one in a row"):
        calibration_error([0], [1], [0], levels=[])
