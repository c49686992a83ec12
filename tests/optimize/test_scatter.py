"""Cheap random numbers: moments, independence, and the key."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from bojax.optimize import normals, uniforms

SHAPE = (1000, 40)


@pytest.fixture(scope="module")
def draws():
    return np.asarray(uniforms(jax.random.key(3), SHAPE), float)


def test_uniform(draws):
    assert stats.kstest(draws.ravel(), "uniform").pvalue > 1e-3
    columns = [stats.kstest(column, "uniform").pvalue for column in draws.T]
    assert min(columns) > 1e-4


def test_neighbours_are_not_correlated(draws):
    flat = draws.ravel()
    bound = 4.5 / np.sqrt(flat.size)
    for lag in (1, 2, 3, 40, 64, 256, 4096):
        assert abs(np.corrcoef(flat[:-lag], flat[lag:])[0, 1]) < bound, lag
    off = np.corrcoef(draws.T) - np.eye(SHAPE[1])
    assert np.abs(off).max() < 4.5 / np.sqrt(SHAPE[0])


def test_pairs_fill_the_square(draws):
    counts, *_ = np.histogram2d(draws[:, 0::2].ravel(), draws[:, 1::2].ravel(), bins=20)
    assert stats.chisquare(counts.ravel()).pvalue > 1e-3


def test_another_key_gives_other_numbers(draws):
    other = np.asarray(uniforms(jax.random.key(4), SHAPE), float)
    assert abs(np.corrcoef(draws.ravel(), other.ravel())[0, 1]) < 4.5 / np.sqrt(draws.size)
    folded = np.asarray(uniforms(jax.random.fold_in(jax.random.key(3), 0), SHAPE), float)
    assert abs(np.corrcoef(draws.ravel(), folded.ravel())[0, 1]) < 4.5 / np.sqrt(draws.size)


def test_the_same_key_gives_the_same_numbers_in_any_shape(draws):
    flat = np.asarray(uniforms(jax.random.key(3), (draws.size,)), float)
    assert np.array_equal(flat, draws.ravel())


def test_normals_have_normal_moments():
    x = np.asarray(normals(jax.random.key(0), (200_000,)), float)
    assert np.isfinite(x).all()
    assert abs(x.mean()) < 0.01 and abs(x.var() - 1) < 0.02 and abs((x**4).mean() - 3) < 0.1


def test_float32_never_reaches_an_end():
    """Of 2**26 numbers of 24 bits four would be the largest there is."""

    @jax.jit
    def extremes(key):
        u = uniforms(key, (2**24,), jnp.float32)
        return u.min(), u.max()

    keys = jax.random.split(jax.random.key(0), 4)
    low, high = np.array([extremes(key) for key in keys]).T
    assert low.min() > 0 and high.max() < 1
