"""Sobol points: against SciPy, on the host and on the device."""

import jax
import numpy as np
import pytest
from scipy.stats import qmc

import bojax
from bojax.optimize import sobol


def test_host_equals_scipy_to_the_bit():
    # SciPy scales by 2**-30 by default; with 32 bits the integers are the same.
    reference = qmc.Sobol(128, scramble=False, bits=32).random(1024)
    assert np.array_equal(sobol(0, 1024, 128, xp=np), reference)


def test_device_equals_host_to_the_bit():
    shift = np.random.default_rng(0).integers(0, 2**32, 20, np.uint32)
    with jax.enable_x64(True):
        points = jax.jit(sobol, static_argnums=(1, 2))(5, 256, 20, shift)
        assert np.array_equal(np.asarray(points), sobol(5, 256, 20, shift, xp=np))
    points = np.asarray(jax.jit(sobol, static_argnums=(1, 2))(5, 256, 20, shift))
    assert points.dtype == np.float32
    np.testing.assert_allclose(points, sobol(5, 256, 20, shift, xp=np), rtol=0, atol=2**-23)


def test_a_sequence_can_be_continued():
    whole = sobol(0, 100, 7, xp=np)
    parts = [sobol(start, 25, 7, xp=np) for start in (0, 25, 50, 75)]
    assert np.array_equal(np.concatenate(parts), whole)


def test_a_shift_keeps_the_net_and_the_open_interval():
    """Each of 256 equal cells of every coordinate has exactly one of 256 shifted points."""
    shift = np.random.default_rng(1).integers(0, 2**32, 128, np.uint32)
    points = sobol(0, 256, 128, shift, xp=np)
    assert np.array_equal(np.sort(np.floor(points * 256), axis=0)[:, 0], np.arange(256))
    assert (np.arange(256) == np.sort(np.floor(points * 256), axis=0).T).all()
    assert points.min() > 0 and points.max() < 1


def test_the_highest_shift_stays_below_one_in_float32():
    points = np.asarray(sobol(0, 2, 1, np.array([2**32 - 1], np.uint32)))
    assert points.dtype == np.float32 and points.max() < 1


def test_more_dimensions_than_there_are_numbers_for():
    with pytest.raises(bojax.SpaceError, match="at most 128 dimensions, got 129"):
        sobol(0, 2, 129, xp=np)
