"""The log posterior of hyperparameters: value and slope, against SciPy and autodiff."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import bojax
from bojax.kernels.parameter import pack, unpack
from bojax.space import table as tables
from bojax.surrogates import GP, Data
from bojax.surrogates._gp import objective
from bojax.surrogates._gp.recipes import FAMILIES, NOISE

MIXED = bojax.Space(
    {
        "x": bojax.Float(0.0, 1.0),
        "c": bojax.Categorical(["a", "b", "d"]),
        "y": bojax.Float(0.0, 1.0, when={"c": ["a", "b"]}),
        "n": bojax.Int(1, 7),
    }
)
N, D = 14, 4


def data_of(mixed, seed=0, n=N):
    rng = np.random.default_rng(seed)
    rows = rng.random((n, D))
    if mixed:
        rows = tables.unit_to_row(MIXED.table, rows, np)
    values = np.sin(4 * rows[:, 0]) + rows[:, 1] + 0.1 * rng.normal(size=n)
    variance = rng.uniform(0, 0.2, n)
    count = rng.integers(1, 4, n).astype(float)
    return Data(rows, values, variance, count, np.ones(n, bool), MIXED.table if mixed else None)


def theta_of(seed, size=2 * D + 1):
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(-0.5, 0.4, size - 1), [rng.uniform(-5, -1)]])


def written_out(theta, surrogate, data):
    """-log p(y | theta) p(theta), from the textbook: no masks, no merging, no closed slopes.

    The mean is profiled out, as generalised least squares has it.
    """
    values = data.values
    standard = (values - values.mean()) / values.std(ddof=1)
    table = data.table
    used = D if table is None else int(table.used.sum())
    gapped = [False, False, table is not None, False]
    kernel = bojax.kernels.dimension_scaled(FAMILIES[surrogate.kernel], D, used)
    features = jnp.asarray(data.rows) if table is None else tables.features(table, data.rows)
    at = unpack(kernel, theta[:-1])
    noise = jnp.exp(theta[-1]) / data.count + data.variance / values.var(ddof=1)
    matrix = at.gram(features, features) * (1 - jnp.eye(N)) + jnp.eye(N) + jnp.diag(noise)
    ones = jnp.ones(N)
    inverse = jnp.linalg.inv(matrix)
    mean = (ones @ inverse @ standard) / (ones @ inverse @ ones)
    rest = standard - mean
    value = 0.5 * rest @ inverse @ rest + 0.5 * jnp.linalg.slogdet(matrix)[1]
    value += 0.5 * N * np.log(2 * np.pi)

    def lognormal(log_x, location, scale):
        return jax.scipy.stats.norm.logpdf(log_x, location, scale) - log_x

    location = np.sqrt(2) + 0.5 * np.log(used)
    value -= lognormal(theta[:D], location, np.sqrt(3.0)).sum()
    value -= sum(lognormal(theta[D + k], location, np.sqrt(3.0)) for k in range(D) if gapped[k])
    if surrogate.kernel == "rational_quadratic":
        value -= lognormal(theta[2 * D], 1.0, 1.0)
    return value - lognormal(theta[-1], -4.0, 1.0)


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("kernel", FAMILIES)
def test_value_and_slope_equal_the_textbook_differentiated(kernel, mixed):
    surrogate, data = GP(kernel=kernel, conditional=True), data_of(mixed)
    with jax.enable_x64(True):
        evidence, _, _ = surrogate.evidence(data)
        made = surrogate.model(evidence)
        ours = jax.jit(lambda t: objective.value_and_gradient(t, made, evidence))
        theirs = jax.jit(jax.value_and_grad(lambda t: written_out(t, surrogate, data)))
        for seed in range(3):
            theta = jnp.asarray(theta_of(seed, pack(made).size))
            value, slope = ours(theta)
            expected, expected_slope = theirs(theta)
            np.testing.assert_allclose(value, expected, rtol=1e-11)
            if mixed:  # only the third column has a gap
                expected_slope = expected_slope.at[jnp.array([4, 5, 7])].set(0.0)
            else:
                expected_slope = expected_slope.at[4:8].set(0.0)
            np.testing.assert_allclose(slope, expected_slope, rtol=1e-9, atol=1e-9)


def test_replicates_count_as_every_line_of_theirs():
    """Merged for the factorisation, they say of the noise what the unmerged density does."""
    data = data_of(True)
    again = [0, 1, 2, 0, 1, 5, 6, 0, *range(8, N)]
    data = replace(data, rows=data.rows[again], variance=np.zeros(N))
    surrogate = GP(conditional=True)
    with jax.enable_x64(True):
        evidence, _, _ = surrogate.evidence(data)
        assert int(evidence.mask.sum()) == len(set(again))
        made = surrogate.model(evidence)
        ours = jax.jit(lambda t: objective.value_and_gradient(t, made, evidence))
        theirs = jax.jit(jax.value_and_grad(lambda t: written_out(t, surrogate, data)))
        for seed in range(3):
            theta = jnp.asarray(theta_of(seed, pack(made).size))
            value, slope = ours(theta)
            expected, expected_slope = theirs(theta)
            np.testing.assert_allclose(value, expected, rtol=1e-10)
            np.testing.assert_allclose(slope[-1], expected_slope[-1], rtol=1e-8)
            used = jnp.array([0, 1, 2, 3, 6])
            np.testing.assert_allclose(slope[used], expected_slope[used], rtol=1e-7, atol=1e-8)


def test_the_likelihood_is_a_multivariate_normal():
    """SciPy's density, at the profiled mean, and nothing lower at any other mean."""
    surrogate, data = GP(), data_of(False)
    theta = theta_of(1)

    @jax.jit
    def everything(data, theta):
        evidence, _, _ = surrogate.evidence(data)
        made = surrogate.model(evidence)
        value, _ = objective.value_and_gradient(theta, made, evidence)
        at = unpack(made, theta)
        gram = at.kernel.gram(data.rows, data.rows)
        prior = at.kernel.length_scale.prior.log_density(theta[:D]).sum()
        return value, gram, prior + NOISE.log_density(theta[-1]), evidence.values

    with jax.enable_x64(True):
        value, gram, prior, standard = map(np.asarray, everything(data, theta))
    noise = np.exp(theta[-1]) / data.count + data.variance / data.values.var(ddof=1)
    covariance = gram + np.diag(noise)

    def density(mean):
        return stats.multivariate_normal(np.full(N, mean), covariance).logpdf(standard)

    weights = np.linalg.solve(covariance, np.ones(N))
    best = weights @ standard / weights.sum()
    np.testing.assert_allclose(value, -density(best) - prior, rtol=1e-10)
    assert density(best) > max(density(best + 0.1), density(best - 0.1))


def test_slope_equals_finite_differences():
    surrogate, data = GP(conditional=True), data_of(True, 3)
    theta = theta_of(2)
    with jax.enable_x64(True):
        evidence, _, _ = surrogate.evidence(data)
        made = surrogate.model(evidence)
        value = jax.jit(lambda t: objective.value_and_gradient(t, made, evidence))
        slope = np.asarray(value(theta)[1])
        for k in np.flatnonzero(slope):
            step = np.where(np.arange(2 * D + 1) == k, 1e-6, 0.0)
            by_step = (float(value(theta + step)[0]) - float(value(theta - step)[0])) / 2e-6
            np.testing.assert_allclose(slope[k], by_step, rtol=1e-5, atol=1e-6)


def test_padding_and_masked_lines_change_nothing():
    surrogate, data = GP(conditional=True), data_of(True)
    rng = np.random.default_rng(9)
    extra = 18

    def pad(x, fill):
        return np.concatenate([x, fill])

    larger = Data(
        pad(data.rows, rng.random((extra, D))),
        pad(data.values, np.full(extra, np.nan)),
        pad(data.variance, rng.random(extra)),
        pad(data.count, np.ones(extra)),
        np.arange(N + extra) < N,
        MIXED.table,
    )

    @jax.jit
    def everything(data, theta):
        evidence, shift, scale = surrogate.evidence(data)
        made = surrogate.model(evidence)
        return (*objective.value_and_gradient(theta, made, evidence), shift, scale)

    with jax.enable_x64(True):
        results = [everything(each, theta_of(4)) for each in (data, larger)]
        results = jax.tree.map(np.asarray, results)
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def test_the_diagonal_is_raised_and_reported_when_the_noise_is_too_small():
    """The rule of numerics: at least 4 n eps, and what was added is the jitter."""
    with jax.enable_x64(False):
        data = data_of(False)
        rows = jnp.asarray(data.rows, jnp.float32)
        ones = jnp.ones(N, jnp.float32)
        features = bojax.kernels.distance.as_features(rows)
        evidence = objective.Evidence(
            features, ones, 0 * ones, ones, ones > 0, bojax.kernels.Columns.plain(D),
        )  # fmt: skip
        least = 4 * N * np.finfo(np.float32).eps
        for noise in (1e-9, 1e-2):
            total, jitter = objective.diagonal_noise(evidence, jnp.float32(noise))
            np.testing.assert_allclose(total, max(noise, least), rtol=1e-6)
            np.testing.assert_allclose(jitter, max(least - noise, 0.0), rtol=1e-6)
