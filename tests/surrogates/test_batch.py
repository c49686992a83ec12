"""Many data sets fitted by one program are what each would be by itself."""

import functools

import jax
import numpy as np
import pytest

import bojax
from bojax.surrogates import Data, Posterior, fit_batch, gp

B, N, D = 3, 9, 2
# All tests share one surrogate, one shape and so one program a mode.
SURROGATE = gp(screened=2, kept=1)
KEY = jax.random.key(3)
NEW = np.random.default_rng(9).random((B, 5, D))


def data_of(seed=0):
    """Problems of different sizes, noises and scales."""
    rng = np.random.default_rng(seed)
    rows = rng.random((B, N, D))
    values = np.array([[1.0], [100.0], [-1e-3]]) * (
        np.sin(5 * rows[..., 0]) + rows[..., 1] + 0.1 * rng.normal(size=(B, N))
    )
    mask = np.arange(N) < np.array([[N], [N - 3], [N - 5]])
    variance = rng.uniform(0, 0.01, (B, N)) * values.var(axis=1, keepdims=True)
    return Data(rows, values, variance, rng.integers(1, 4, (B, N)).astype(float), mask)


def one_of(data, b):
    return Data(*(part[b] for part in (data.rows, data.values, data.variance, data.count,
                                       data.mask)))  # fmt: skip


@functools.cache
def fitted(mode="map"):
    return fit_batch(SURROGATE, KEY, data_of(), mode=mode)


def test_each_is_the_fit_of_that_problem_alone():
    posteriors, info = fitted()
    mean, variance = posteriors.mean_and_variance(NEW)
    assert len(posteriors) == B and mean.shape == (B, 5) and mean.dtype == np.float64
    for b in range(B):
        alone, own = SURROGATE.fit(jax.random.fold_in(KEY, b), one_of(data_of(), b))
        np.testing.assert_allclose(info.theta[b], own.theta, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(info.objective[b], own.objective, rtol=1e-9)
        assert info.evaluations[b] == own.evaluations and info.converged[b] == own.converged
        expected = alone.mean_and_variance(NEW[b])
        np.testing.assert_allclose(mean[b], expected[0], rtol=1e-9)
        np.testing.assert_allclose(variance[b], expected[1], rtol=1e-9)


def test_one_of_them_is_a_posterior_like_any():
    posteriors, _ = fitted()
    mean, variance = posteriors.mean_and_variance(NEW)
    for b in (0, -1):
        one = posteriors[b]
        assert isinstance(one, Posterior) and one.mask.sum() == data_of().mask[b].sum()
        ours = one.mean_and_variance(NEW[b])
        np.testing.assert_allclose(ours[0], mean[b], rtol=1e-12)
        np.testing.assert_allclose(ours[1], variance[b], rtol=1e-12)
    left = posteriors[1].leave_one_out()[0]
    assert np.isfinite(left).sum() == N - 3


@pytest.mark.parametrize("index", [B, -B - 1])
def test_a_position_that_does_not_exist(index):
    with pytest.raises(IndexError):
        fitted()[0][index]


def test_side_by_side_is_one_after_the_other():
    one, info = fitted("map")
    other, other_info = fitted("vmap")
    np.testing.assert_allclose(info.objective, other_info.objective, rtol=1e-6, atol=1e-6)
    for a, b in zip(one.mean_and_variance(NEW), other.mean_and_variance(NEW), strict=True):
        scale = np.abs(a).max(axis=1, keepdims=True)
        np.testing.assert_allclose(a / scale, b / scale, atol=1e-6)


def test_other_data_of_the_shape_and_other_keys_take_no_other_program(count_compiles):
    first, _ = fitted()
    first.mean_and_variance(NEW)
    key = jax.random.key(4)
    with count_compiles() as programs:
        again, _ = fit_batch(SURROGATE, key, data_of(seed=1), mode="map")
        again.mean_and_variance(NEW)
    assert programs == []


def test_the_fit_is_one_program(count_compiles):
    fitted()  # what surrounds it is compiled
    data = data_of()
    two = Data(*(part[:2] for part in (data.rows, data.values, data.variance, data.count,
                                       data.mask)))  # fmt: skip
    with count_compiles() as programs:
        fit_batch(SURROGATE, KEY, two, mode="map")
    assert len(programs) == 1, programs


def test_columns_that_are_not_given_are_their_defaults():
    data = data_of()
    plain, info = fit_batch(SURROGATE, KEY, Data(data.rows, data.values), mode="map")
    full = Data(data.rows, data.values, np.zeros((B, N)), np.ones((B, N)), np.ones((B, N), bool))
    _, other = fit_batch(SURROGATE, KEY, full, mode="map")
    np.testing.assert_array_equal(info.theta, other.theta)
    assert not np.allclose(info.theta[0], fitted()[1].theta[0])  # variance and count are heard
    assert plain[0].mask.sum() == N


def test_no_problem_sees_another():
    data = data_of()
    changed = Data(data.rows, data.values.copy(), data.variance, data.count, data.mask)
    changed.values[1] *= -3.0
    _, info = fit_batch(SURROGATE, KEY, changed, mode="map")
    same = np.all(info.theta == fitted()[1].theta, axis=1)
    assert same[0] and same[2]


def with_part(**parts):
    data = data_of()
    return Data(**({"rows": data.rows, "values": data.values} | parts))


def bad(shape, at, value, fill=0.0):
    array = np.full(shape, fill)
    array[at] = value
    return array


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (with_part(variance=bad((B, N), (1, 2), -1.0)), "problem 1: variance: .*not negative"),
        (with_part(count=bad((B, N), (2, 0), 0.0, 1.0)), "problem 2: count: .*at least 1"),
        (with_part(rows=bad((B, N, D), (2, 4, 1), np.nan)), "problem 2: rows: row 4 is not finite"),
        (with_part(values=np.zeros((B, N - 1))), r"problem 0: values: .*shape \(9,\)"),
        (with_part(mask=np.ones((B, N + 1), bool)), "problem 0: mask: .*shape"),
        (Data(np.zeros((N, D)), np.zeros(N)), r"rows: expected shape \(B, N, D\)"),
        (Data(np.zeros((0, N, D)), np.zeros((0, N))), "at least one problem"),
    ],
)
def test_errors_name_the_problem(data, words):
    with pytest.raises(bojax.DataError, match=words):
        fit_batch(SURROGATE, KEY, data)


@pytest.mark.parametrize("count", [B - 1, B + 1])
@pytest.mark.parametrize("part", ["values", "mask"])
def test_other_numbers_of_problems_are_refused(part, count):
    given = np.ones((count, N), bool if part == "mask" else float)
    with pytest.raises(bojax.DataError, match=part):
        fit_batch(SURROGATE, KEY, with_part(**{part: given}))


def test_modes_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match="mode must be auto, vmap or map, got 'pmap'"):
        fit_batch(SURROGATE, KEY, data_of(), mode="pmap")
