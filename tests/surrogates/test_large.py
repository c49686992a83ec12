"""Fits of many lines, of none and of one, and in float32: against the plain fit in float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bojax.surrogates import GP, Data, Starts
from bojax.surrogates._gp import fit as fitting
from bojax.surrogates._gp import objective
from bojax.surrogates._gp.surrogate import lines_for

D = 3
LARGE, SUBSET, LINES = 48, 24, 96  # small ones: what is tested is the way, not the size
SURROGATE = GP(screened=3, kept=1)
KEY = jax.random.key(0)
FULL, WARM = Starts(np.bool_(False), np.bool_(True)), Starts(np.bool_(True), np.bool_(False))


def data_of(seed=0, n=LINES, used=None, columns=D):
    rng = np.random.default_rng(seed)
    rows = rng.random((n, columns))
    values = np.sin(6 * rows[:, 0]) + rows[:, 1] ** 2 + 0.2 * rng.normal(size=n)
    mask = np.arange(n) < (n if used is None else used)
    return Data(rows, 10.0 + 3.0 * values, mask=mask)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(fitting, "LARGE", LARGE)
    monkeypatch.setattr(fitting, "SUBSET", SUBSET)


CALLS = []


@functools.cache
def _program(which):
    """`fit` or `fit_large` as one program for all tests, which counts its evaluations."""
    search, evaluate = getattr(fitting, which), objective.value_gradient_factors

    def counted(*arguments):
        jax.debug.callback(lambda: CALLS.append(which))
        return evaluate(*arguments)

    def run(key, data, warm, starts):
        evidence, _, _ = SURROGATE.evidence(data)
        model = SURROGATE.model(evidence)
        warm = jnp.asarray(warm, evidence.values.dtype)
        return search(key, model, evidence, warm, starts, screened=3, kept=1)

    def traced(*arguments):
        objective.value_gradient_factors = counted
        try:
            return run(*arguments)
        finally:
            objective.value_gradient_factors = evaluate

    return jax.jit(traced)


def fitted(which, data, warm=None):
    theta = np.zeros(2 * D + 1) if warm is None else warm
    CALLS.clear()
    with jax.enable_x64(True):
        found = _program(which)(KEY, data, theta, FULL if warm is None else WARM)
        jax.effects_barrier()
        return jax.tree.map(np.asarray, found)


@pytest.mark.parametrize("seed", range(3))
def test_a_subset_and_a_polish_reach_the_exact_fit(small, seed):
    data = data_of(seed)
    info, factors = fitted("fit_large", data)
    counted = len(CALLS)
    exact, _ = fitted("fit", data)
    assert info.objective < exact.objective + 0.1
    assert info.converged
    assert info.evaluations == counted
    assert exact.evaluations == len(CALLS)
    assert info.theta.shape == (2 * D + 1,) and factors.upper.shape == (LINES, LINES)


def test_the_factors_are_those_of_all_lines(small):
    @jax.jit
    def exact(theta, data):
        evidence, _, _ = SURROGATE.evidence(data)
        return objective.value_gradient_factors(theta, SURROGATE.model(evidence), evidence)

    data = data_of()
    info, factors = fitted("fit_large", data)
    with jax.enable_x64(True):
        value, _, expected = exact(jnp.asarray(info.theta), data)
    np.testing.assert_allclose(info.objective, value, rtol=1e-9)
    np.testing.assert_allclose(factors.upper, expected.upper, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(factors.whitened, expected.whitened, rtol=1e-7, atol=1e-7)


def test_a_warm_start_is_less_work_for_the_same(small):
    cold, _ = fitted("fit_large", data_of())
    warm, _ = fitted("fit_large", data_of(), warm=cold.theta)
    assert warm.evaluations == len(CALLS) < cold.evaluations / 2
    assert warm.objective < cold.objective + 0.1


@pytest.mark.parametrize("used", [0, 1, 2, SUBSET - 1])
def test_fewer_usable_lines_than_the_subset(small, used):
    data = data_of(used=used)
    info, factors = fitted("fit_large", data)
    for leaf in (info.theta, info.objective, factors.upper, factors.whitened, factors.mean):
        assert np.isfinite(leaf).all()
    exact, _ = fitted("fit", data)
    assert abs(info.objective - exact.objective) < 0.1


def test_the_size_decides_which_fit_it_is(small, monkeypatch):
    seen = []

    def instead(name):
        original = getattr(fitting, name)

        def spy(*arguments, **settings):
            seen.append(name)
            return original(*arguments, **settings)

        monkeypatch.setattr(fitting, name, spy)

    instead("fit"), instead("fit_large")
    for n in (LARGE, LARGE + 1):
        seen.clear()
        jax.eval_shape(lambda n=n: SURROGATE.fit_pure(jax.random.key(0), data_of(n=n)))
        assert seen == (["fit"] if n == LARGE else ["fit_large", "fit"])


# ------------------------------------------------------------------ capacities


def test_lines_are_padded_by_little():
    sizes = [lines_for(n) for n in range(2_500)]
    assert sizes == sorted(sizes) and all(size >= n for n, size in enumerate(sizes))
    for n, size in enumerate(sizes):
        assert size - n < (16 if n <= 256 else 64 if n <= 1024 else 256) or n == 0
        assert lines_for(size) == size  # a capacity is its own
    assert len({size for size in sizes if size <= 1024}) == 16 + 12


# ------------------------------------------------------------------ none, and one


def predictions(data, rows):
    posterior, info = SURROGATE.fit(KEY, data)
    assert all(np.isfinite(leaf).all() for leaf in (info.theta, info.objective, info.jitter))
    return *posterior.mean_and_variance(rows), posterior


SOME = np.random.default_rng(1).random((7, D))


def test_without_data_there_is_the_prior():
    mean, variance, posterior = predictions(Data(np.zeros((0, D)), np.zeros(0)), SOME)
    np.testing.assert_array_equal(mean, 0.0)
    np.testing.assert_allclose(variance, 1.0)
    _, covariance = posterior.joint(SOME)
    with jax.enable_x64(True):
        prior = np.asarray(posterior.covariance(jnp.asarray(SOME), jnp.asarray(SOME)))
    np.testing.assert_allclose(covariance, prior, rtol=1e-12)
    assert np.isnan(posterior.leave_one_out()[0]).all()
    assert np.isfinite(posterior.paths(KEY, 3, count=64)(SOME)).all()


def test_values_that_are_all_missing_are_no_data():
    none = predictions(Data(np.zeros((0, D)), np.zeros(0)), SOME)
    missing = predictions(Data(SOME, np.full(7, np.nan)), SOME)
    for a, b in zip(none[:2], missing[:2], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("value", [0.0, -3.5, 1e100])
def test_one_value_is_everywhere_the_mean(value):
    mean, variance, _ = predictions(Data(SOME[:1], np.array([value])), SOME)
    np.testing.assert_allclose(mean, value, rtol=1e-9)
    assert (variance > 0).all() and np.isfinite(variance).all()
    assert variance[0] == variance.min() < variance[1:].min()


# ------------------------------------------------------------------ float32

N32, D32 = 12, 2


def sets_of(count):
    rng = np.random.default_rng(4)
    rows = rng.random((count, N32, D32))
    noise = 10.0 ** rng.uniform(-3, 0, (count, 1)) * rng.normal(size=(count, N32))
    slope = rng.uniform(1, 9, (count, 1))
    return rows, np.sin(slope * rows[..., 0]) + rows[..., 1] + noise


def thetas(rows, values, precision):
    with jax.enable_x64(precision == "float64"):

        @jax.jit
        def all_of(rows, values):
            def one(packed):
                return GP(screened=3, kept=1).fit_pure(KEY, Data(*packed))[1]

            return jax.lax.map(one, (rows, values))

        info = all_of(rows.astype(precision), values.astype(precision))
        assert info.theta.dtype == precision
        return jax.tree.map(np.asarray, info)


@pytest.mark.parametrize("count", [20, pytest.param(100, marks=pytest.mark.slow)])
def test_a_fit_in_float32_is_as_good(count):
    """Its objective, taken again in float64, is that of the fit in float64."""
    rows, values = sets_of(count)
    double, single = (thetas(rows, values, precision) for precision in ("float64", "float32"))
    with jax.enable_x64(True):

        @jax.jit
        def again(theta, rows, values):
            def one(packed):
                evidence, _, _ = SURROGATE.evidence(Data(*packed[1:]))
                model = SURROGATE.model(evidence)
                return objective.value_and_gradient(packed[0], model, evidence)[0]

            return jax.lax.map(one, (theta, rows, values))

        at = np.asarray(again(single.theta.astype(float), rows, values))
        own = np.asarray(again(double.theta, rows, values))
    np.testing.assert_allclose(own, double.objective, rtol=1e-9)
    worse = at - double.objective
    assert worse.max() < 0.05, np.sort(worse)[-5:]
    np.testing.assert_allclose(single.objective, at, atol=0.01)
