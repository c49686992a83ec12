"""Output transforms: the order of values is kept, whatever their scale."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bojax.surrogates import transforms

N = 16
finite = st.floats(-1e300, 1e300, allow_nan=False)


@jax.jit
def both(values, mask):
    return transforms.standardize(values, mask), transforms.half_rank(values, mask)


def run(values, mask=None):
    values = np.asarray(values, float)
    padded = np.full(N, np.nan)
    padded[: len(values)] = values
    used = np.arange(N) < len(values) if mask is None else mask
    with jax.enable_x64(True):
        (standard, shift, scale), warped = jax.tree.map(np.asarray, both(padded, used))
    assert (standard[~used] == 0).all()
    return standard[used], shift, scale, warped[used]


@pytest.mark.parametrize("factor", [1e-300, 1e-12, 1.0, 1e12, 1e300])
def test_standardize_is_mean_zero_and_variance_one(factor):
    values = np.random.default_rng(0).normal(3.0, 0.5, 12) * factor
    standard, shift, scale, _ = run(values)
    np.testing.assert_allclose(standard.mean(), 0.0, atol=1e-12)
    np.testing.assert_allclose(standard.std(ddof=1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(shift + scale * standard, values, rtol=1e-13)
    np.testing.assert_allclose(scale / factor, (values / factor).std(ddof=1), rtol=1e-10)


@pytest.mark.parametrize("value", [0.0, 1.0, -1e300, 0.1, 1e-300])
@pytest.mark.parametrize("n", [1, 2, 7])
def test_constant_values_are_zero_and_come_back(value, n):
    standard, shift, scale, warped = run([value] * n)
    np.testing.assert_allclose(standard, 0.0, atol=1e-12)
    assert np.isfinite(scale) and scale > 0
    np.testing.assert_allclose(shift + scale * standard, value, rtol=1e-14)
    np.testing.assert_array_equal(warped, value)


def test_no_value_at_all_is_no_nan():
    with jax.enable_x64(True):
        nothing = both(np.full(N, np.nan), np.zeros(N, bool))
        (standard, shift, scale), _ = jax.tree.map(np.asarray, nothing)
    assert (standard == 0).all() and np.isfinite([shift, scale]).all() and scale > 0


@settings(max_examples=200)
@given(st.lists(finite, min_size=1, max_size=N))
def test_both_are_finite_and_keep_the_order(values):
    values = np.array(values)
    standard, shift, scale, warped = run(values)
    order = np.argsort(values, kind="stable")
    for result in (standard, warped):
        assert np.isfinite(result).all()
        assert (np.diff(result[order]) >= 0).all()
    assert np.isfinite([shift, scale]).all() and scale > 0


def test_half_rank_by_hand():
    """Better half kept; of seven values the k-th worst goes to the normal quantile of its rank."""
    values = np.array([5.0, 1.0, 2.0, 1e9, 3.0, 40.0, 4.0])
    warped = run(values)[3]
    # Ranks (k - 1/2) / 7: the median 4, quantile 1/2, is the last of the better half.
    better = np.array([1.0, 2.0, 3.0, 4.0])
    spread = np.sqrt(np.mean((better - 4.0) ** 2))
    expected = {v: v for v in better} | {
        5.0: 4.0 + spread * stats.norm.ppf(4.5 / 7),
        40.0: 4.0 + spread * stats.norm.ppf(5.5 / 7),
        1e9: 4.0 + spread * stats.norm.ppf(6.5 / 7),
    }
    np.testing.assert_allclose(warped, [expected[v] for v in values], rtol=1e-12)


def test_half_rank_keeps_ties_and_forgets_how_bad_the_bad_are():
    values = [1.0, 2.0, 3.0, 7.0, 7.0]
    warped = run(values)[3]
    assert warped[3] == warped[4]
    np.testing.assert_array_equal(run([1.0, 2.0, 3.0, 7e9, 7e9])[3], warped)


def test_half_rank_ignores_what_is_masked():
    values = np.array([1.0, -50.0, 2.0, 90.0, 3.0, 4.0])
    mask = np.zeros(N, bool)
    mask[[0, 2, 4, 5]] = True
    with jax.enable_x64(True):
        padded = np.concatenate([values, np.zeros(N - 6)])
        warped = np.asarray(both(padded, mask)[1])[mask]
    np.testing.assert_array_equal(warped, run([1.0, 2.0, 3.0, 4.0])[3])
