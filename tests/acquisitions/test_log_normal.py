"""Expected improvement of log-normal predictions, against its integral in high precision."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from bojax import acquisitions as a
from bojax.acquisitions.log_normal import log_normal_improvement

CASES = [(v, s) for v in (-200.0, -12.0, -1.0, -0.1, 0.0, 0.3, 2.0, 9.0) for s in (1e-3, 0.2, 1, 6)]


def exact(v, s):
    """ln E max(1 - Y, 0), ln Y normal with mean -v s and deviation s, in 60 digits."""
    with mpmath.workdps(60):
        v, s = mpmath.mpf(v), mpmath.mpf(s)
        lost = mpmath.exp(s * s / 2 - v * s) * mpmath.erfc((s - v) / mpmath.sqrt(2)) / 2
        return float(mpmath.log(mpmath.erfc(-v / mpmath.sqrt(2)) / 2 - lost))


@pytest.mark.parametrize(("wide", "tolerance"), [(True, 1e-7), (False, 3e-2)])
def test_in_the_bulk_and_in_the_tails(wide, tolerance):
    with jax.enable_x64(wide):
        dtype = jnp.float64 if wide else jnp.float32
        v, s = (jnp.asarray(column, dtype) for column in zip(*CASES, strict=True))
        found = jax.jit(log_normal_improvement)(-v * s, s * s, jnp.zeros_like(v))
        np.testing.assert_allclose(found, [exact(*case) for case in CASES], atol=tolerance)


def test_it_is_the_mean_of_what_is_gained(sloped):
    rows = np.array([[0.3, 0.1], [0.35, 0.9]])
    posterior = sloped(0.2, 0.09)
    mean, variance = (np.asarray(x, float) for x in posterior.mean_and_variance(rows))
    draws = np.exp(mean + np.sqrt(variance) * np.random.default_rng(0).normal(size=(400_000, 2)))
    gained = np.maximum(np.exp(0.4) - draws, 0).mean(axis=0)
    with jax.enable_x64(True):
        score = a.LogNormalEI()((posterior,), rows[:, None], 0.4)
    np.testing.assert_allclose(np.exp(score), gained, rtol=0.01)
