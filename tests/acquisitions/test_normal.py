"""log Phi, and what a bound takes from a normal distribution: against 60 digits."""

import jax
import mpmath as mp
import numpy as np
import pytest

from bojax.acquisitions import _normal

# Dense where branches meet (-1; -6 in float32, -30 in float64), then far out.
POINTS = np.concatenate(
    [
        np.linspace(-40.0, 37.0, 155),
        -np.geomspace(40.0, 1e4, 9),
        np.geomspace(40.0, 1e4, 9),
        *(edge + np.array([-1e-3, -1e-9, 0.0, 1e-9, 1e-3]) for edge in (-1.0, -6.0, -30.0)),
    ]
)


def by_hand(name, z):
    """The function and its slope at a float, by the definitions."""
    with mp.workdps(60):
        z = mp.mpf(float(z))
        cdf = mp.erfc(-z / mp.sqrt(2)) / 2
        log_cdf = mp.log1p(-mp.erfc(z / mp.sqrt(2)) / 2) if z > 0 else mp.log(cdf)
        h = mp.npdf(z) / cdf
        left = 1 - h * (z + h)
        gain = z * h / 2 - log_cdf
        values = {
            "log_cdf": (log_cdf, h),
            "variance_left": (left, h * (z + h) ** 2 - h * left),
            "log_bound_gain": (mp.log(gain), -h / 2 * (1 + z * (z + h)) / gain),
        }
        return [float(value) for value in values[name]]


# The variance is formed of a difference where neither series nor definition is exact:
# at -30 (-6 in float32) it has lost u^4 eps.
@pytest.mark.parametrize(
    ("name", "precision", "value_error", "slope_error"),
    [
        ("log_cdf", "float64", 1e-15, 1e-14),
        ("log_cdf", "float32", 3e-7, 5e-6),
        ("log_bound_gain", "float64", 1e-13, 5e-10),
        ("log_bound_gain", "float32", 5e-6, 5e-4),
        ("variance_left", "float64", 1e-9, 5e-7),
        ("variance_left", "float32", 1e-3, 1e-2),
    ],
)
def test_value_and_slope_against_sixty_digits(name, precision, value_error, slope_error):
    function = getattr(_normal, name)
    points = POINTS.astype(precision)
    value, slope = np.array([by_hand(name, z) for z in points]).T
    with jax.enable_x64(precision == "float64"):
        ours, slopes = map(np.asarray, jax.jit(jax.vmap(jax.value_and_grad(function)))(points))
    assert ours.dtype == slopes.dtype == precision
    assert np.isfinite(ours).all() and np.isfinite(slopes).all()
    scale = np.abs(value) if name == "variance_left" else np.maximum(np.abs(value), 1.0)
    assert (np.abs(ours - value) / scale).max() < value_error
    kept = np.abs(slope) > 1e-30  # below, float32 has none
    assert (np.abs(slopes - slope)[kept] / np.abs(slope)[kept]).max() < slope_error


def test_bounds_that_have_no_square():
    """A hundred orders of magnitude away z is as large as may be, and has a finite slope."""
    for precision, bound in (("float64", 1e300), ("float32", 1e30)):
        with jax.enable_x64(precision == "float64"):
            mean, variance = np.zeros(2, precision), np.full(2, 1e-12, precision)
            bounds = np.array([-bound, bound], precision)

            def total(mean, variance, bounds=bounds):
                return _normal.standardised(mean, variance, bounds)[0].sum()

            z, _ = _normal.standardised(mean, variance, bounds)
            slopes = jax.grad(total, argnums=(0, 1))(mean, variance)
            assert np.isfinite(np.asarray(z) ** 2).all() and z[0] == -z[1] < -1e10
            assert all(np.isfinite(s).all() for s in slopes)
