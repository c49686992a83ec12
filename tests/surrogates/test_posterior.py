"""What a posterior says beyond mean and variance: slopes, each line left out, whole functions."""

import functools
import itertools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.space import table as tables
from bojax.surrogates import GP, Data, gp
from bojax.surrogates._gp.paths import draw_waves

MIXED = bojax.Space(
    {
        "x": bojax.Float(0.0, 1.0),
        "c": bojax.Categorical(["a", "b", "d"]),
        "y": bojax.Float(0.0, 1.0, when={"c": ["a", "b"]}),
        "z": bojax.Float(0.0, 1.0),
    }
)
N, D, CATEGORY, CONDITIONAL = 14, 4, 1, 2
LENGTH, GAP, SCALE = (0.4, 0.9, 0.7, 1.1), (1.0, 1.0, 0.8, 1.0), 2.5
KERNELS = {
    "matern12": GP(kernel="matern12"),
    "matern32": GP(kernel="matern32"),
    "matern52": GP(kernel="matern52"),
    "rbf": GP(kernel="rbf"),
    "scaled": gp(kernel=bojax.kernels.Matern32().scaled()),
}
KEY = jax.random.key(0)


def rows_of(n, seed):
    return tables.unit_to_row(MIXED.table, np.random.default_rng(seed).random((n, D)), np)


def data_of(known=True):
    """Fourteen lines, of which the last two do not count."""
    rng = np.random.default_rng(0)
    rows = rows_of(N, 0)
    values = 3.0 + 5.0 * np.sin(4 * rows[:, 0]) + rows[:, 1] + 0.1 * rng.normal(size=N)
    variance, count = rng.uniform(0, 2.0, N), rng.integers(1, 4, N).astype(float)
    none = np.zeros(N), np.ones(N)
    return Data(rows, values, *((variance, count) if known else none), np.arange(N) < N - 2,
                MIXED.table)  # fmt: skip


@functools.cache
def _program(kernel):
    surrogate = KERNELS[kernel]

    @jax.jit
    def make(theta, data):
        evidence, shift, scale = surrogate.evidence(data)
        return surrogate.posterior_at(theta, data, evidence, shift, scale)

    return make


@functools.cache
def posterior_of(kernel="matern52", noise=0.02, known=True):
    """At hyperparameters that are given, so that nothing here depends on a search."""
    scale = [np.log(SCALE)] if kernel == "scaled" else []
    theta = np.concatenate([np.log(LENGTH), np.log(GAP), scale, [np.log(noise)]])
    with jax.enable_x64(True):
        return _program(kernel)(theta, data_of(known))


def gram(posterior, rows, others):
    with jax.enable_x64(True):
        return np.asarray(posterior.covariance(jnp.asarray(rows), jnp.asarray(others)))


# ------------------------------------------------------------------ slopes

SOME = rows_of(9, seed=5)


def test_gradients_are_those_of_differences_and_a_category_has_none():
    posterior, step = posterior_of(), 1e-5
    by_mean, by_variance = posterior.gradient(SOME)
    assert by_mean.shape == by_variance.shape == (9, D)
    for column in range(D):
        shift = step * (np.arange(D) == column)
        above = posterior.mean_and_variance(SOME + shift)
        below = posterior.mean_and_variance(SOME - shift)
        for ours, up, down in zip((by_mean, by_variance), above, below, strict=True):
            np.testing.assert_allclose(ours[:, column], (up - down) / (2 * step), atol=2e-6)
    gone = SOME[:, CATEGORY] == 2  # where y does not exist
    assert gone.any() and not gone.all()
    for slopes in (by_mean, by_variance):
        assert (slopes[:, CATEGORY] == 0).all() and (slopes[gone, CONDITIONAL] == 0).all()
        rest = np.delete(slopes[~gone], CATEGORY, axis=1)
        assert (rest != 0).all()


def test_the_gradient_of_one_row_is_that_of_many():
    one, many = posterior_of().gradient(SOME[0]), posterior_of().gradient(SOME)
    np.testing.assert_allclose(one[0], many[0][:1], rtol=1e-10)


# ------------------------------------------------------------------ each line left out


def left_out(posterior, values, mean):
    """Residual and variance of each line from the others, one factorisation a line."""
    used = np.flatnonzero(np.asarray(posterior.mask))
    shift, scale = float(posterior.shift), float(posterior.scale)
    rows = np.asarray(posterior.features.coordinate)
    noise = np.asarray(posterior.line_noise)
    standard = (values - shift) / scale - mean
    residual, variance = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    full = gram(posterior, rows, rows)
    for i in used:
        others = used[used != i]
        matrix = full[np.ix_(others, others)] + np.diag(noise[others])
        weights = np.linalg.solve(matrix, full[others, i])
        residual[i] = scale * (standard[i] - weights @ standard[others])
        variance[i] = scale**2 * (full[i, i] + noise[i] - weights @ full[others, i])
    return residual, variance


@pytest.mark.parametrize("kernel", ["matern52", "scaled"])
def test_leaving_each_line_out(kernel):
    posterior, data = posterior_of(kernel), data_of()
    residual, variance = left_out(posterior, data.values, float(posterior.mean))
    ours, our_variance = posterior.leave_one_out()
    np.testing.assert_allclose(ours, residual, rtol=1e-8)
    np.testing.assert_allclose(our_variance, variance, rtol=1e-8)
    density = posterior.leave_one_out_density()
    expected = -0.5 * (residual**2 / variance + np.log(2 * np.pi * variance))
    np.testing.assert_allclose(density, expected, rtol=1e-8)
    for column in (ours, our_variance, density):
        assert np.isnan(column).tolist() == (~data.mask).tolist()


def test_what_was_conditioned_on_is_left_out_too():
    rows, told = rows_of(2, seed=8), np.array([1.0, 6.0])
    grown = posterior_of().condition(rows, told)
    values = np.concatenate([data_of().values, told])
    residual, variance = left_out(grown, values, float(grown.mean))
    ours, our_variance = grown.leave_one_out()
    np.testing.assert_allclose(ours, residual, rtol=1e-8)
    np.testing.assert_allclose(our_variance, variance, rtol=1e-8)
    assert np.isnan(ours).sum() == 2


def test_the_noise_of_a_line():
    posterior, data = posterior_of(), data_of()
    expected = 0.02 / data.count + data.variance / float(posterior.scale) ** 2
    np.testing.assert_allclose(posterior.line_noise, np.where(data.mask, expected, 0.0))
    grown = posterior.condition(SOME[:1], [0.0])
    np.testing.assert_allclose(grown.line_noise[-1], 0.02)


def test_noise_that_is_too_small_is_raised():
    posterior = posterior_of(noise=1e-18, known=False)
    least = 4.0 * (N - 2) * np.finfo(float).eps
    np.testing.assert_allclose(posterior.line_noise[: N - 2], least)


# ------------------------------------------------------------------ the prior's functions

# Rows that differ in one thing each: the category, the category and with it y, x.
PAIRS = MIXED.encode(
    [
        {"x": 0.3, "c": "a", "y": 0.5, "z": 0.2},
        {"x": 0.3, "c": "b", "y": 0.5, "z": 0.2},
        {"x": 0.3, "c": "d", "z": 0.2},
        {"x": 0.6, "c": "a", "y": 0.5, "z": 0.2},
        {"x": 0.6, "c": "d", "z": 0.9},
    ]
)
CHOICES = MIXED.table.clauses.choices.shape[-1]


@functools.cache
def _grams(kernel, count, keys):
    """The covariance that the cosines stand for, `[keys, 5, 5]`: weights averaged exactly."""

    @jax.jit
    def make(kernel, rows):
        features = tables.features(MIXED.table, rows)

        def one(key):
            waves = draw_waves(key, kernel, 1, count, CHOICES)
            spread = jnp.sqrt(2.0 * kernel.diagonal(features)[0] / count)
            functions = replace(waves, weights=spread * jnp.eye(count))(features)
            return functions.T @ functions

        return jax.lax.map(one, jax.random.split(KEY, keys))

    return make


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_cosines_have_the_kernels_covariance(kernel):
    posterior = posterior_of(kernel)
    size = SCALE if kernel == "scaled" else 1.0
    expected = gram(posterior, PAIRS, PAIRS)
    assert (0.15 * size < expected[0, 1:4]).all() and (expected[0, 1:4] < 0.95 * size).all()
    with jax.enable_x64(True):
        found = np.asarray(_grams(kernel, 512, 64)(posterior.kernel, PAIRS)).mean(axis=0)
    # 32,768 cosines: a covariance is off by 1 / sqrt(65,536) and a bit
    np.testing.assert_allclose(found, expected, atol=0.02 * size)


def test_more_cosines_are_a_better_prior():
    """The error falls with the root of `count`."""
    posterior = posterior_of("matern52")
    expected, error = gram(posterior, PAIRS, PAIRS), {}
    with jax.enable_x64(True):
        for count, keys in ((32, 64), (512, 64)):
            found = np.asarray(_grams("matern52", count, keys)(posterior.kernel, PAIRS))
            error[count] = np.sqrt(np.mean((found - expected) ** 2))
    assert 3.0 < error[32] / error[512] < 5.3  # 4
    assert error[512] < 1.5 / np.sqrt(512)


# ------------------------------------------------------------------ the posterior's functions


def test_kernels_are_told_apart():
    """Two families in one place of a tree are two trees, or one is given the other's program."""
    trees = [jax.tree.structure(posterior_of(kernel).kernel) for kernel in KERNELS]
    assert not any(a == b for a, b in itertools.combinations(trees, 2))


@pytest.mark.parametrize(
    "kernel",
    [k if k == "matern52" else pytest.param(k, marks=pytest.mark.slow) for k in KERNELS],
)
def test_paths_have_the_joint_moments(kernel):
    # Sizes of its own keep the programs of one kernel from those of another, see above.
    place = list(KERNELS).index(kernel)
    rows, n = SOME[: 9 - place], 3_000 + place
    posterior = posterior_of(kernel)
    mean, covariance = posterior.joint(rows)
    drawn = posterior.paths(KEY, n)(rows)
    assert drawn.shape == (n, len(rows)) and drawn.dtype == np.float64
    scale = float(posterior.scale) * np.sqrt(SCALE if kernel == "scaled" else 1.0)
    error = np.sqrt(np.diagonal(covariance) / n)
    assert (np.abs(drawn.mean(axis=0) - mean) < 4.5 * error).all()
    # 3,000 draws: 0.026 of a variance; 2,048 cosines: 0.022 of the prior's
    np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=0.08 * scale**2)
    assert covariance.max() > 0.2 * scale**2  # or the line above would say nothing


def test_without_noise_paths_pass_through_the_values():
    posterior, data = posterior_of(noise=1e-10, known=False), data_of(known=False)
    at = posterior.paths(KEY, 6)(data.rows)
    expected = np.broadcast_to(data.values, at.shape)[:, data.mask]
    scale = float(posterior.scale)
    np.testing.assert_allclose(at[:, data.mask], expected, atol=6e-5 * scale)
    between = posterior.paths(KEY, 6)(SOME)
    assert (between.std(axis=0) > 0.01 * scale).any()  # and differ elsewhere


def test_paths_pass_through_what_was_conditioned_on():
    posterior = posterior_of(noise=1e-10, known=False)
    rows, told = rows_of(2, seed=8), np.array([1.0, 6.0])
    grown = posterior.condition(rows, told)
    scale = float(posterior.scale)
    np.testing.assert_allclose(grown.paths(KEY, 6)(rows), np.tile(told, (6, 1)), atol=6e-5 * scale)
    data = data_of(known=False)
    at = grown.paths(KEY, 6)(data.rows)[:, data.mask]
    expected = np.broadcast_to(data.values[data.mask], at.shape)
    np.testing.assert_allclose(at, expected, atol=6e-5 * scale)


def test_a_key_is_a_draw_and_count_is_heard():
    posterior = posterior_of()
    paths = posterior.paths(KEY, 6)
    again = posterior.paths(KEY, 6)
    np.testing.assert_array_equal(paths(SOME), again(SOME))
    assert (posterior.paths(jax.random.key(1), 6)(SOME) != paths(SOME)).all()
    few = posterior.paths(KEY, 6, count=64)
    assert few.waves.phases.shape == (64,) and (few(SOME) != paths(SOME)).all()


def test_a_path_is_one_function_whoever_asks():
    """Row by row, all at once, or inside a program of one's own."""
    paths = posterior_of().paths(KEY, 6)
    at_once = paths(SOME)
    apart = np.concatenate([paths(row[None]) for row in SOME], axis=1)
    np.testing.assert_allclose(at_once, apart, rtol=1e-9)
    with jax.enable_x64(True):
        inside = jax.jit(lambda posterior, key, rows: posterior.paths(key, 6)(rows))
        traced = np.asarray(inside(posterior_of(), KEY, jnp.asarray(SOME)))
    np.testing.assert_allclose(traced, at_once, rtol=1e-9)


def test_paths_have_slopes():
    paths, step = posterior_of().paths(KEY, 6), 1e-5
    with jax.enable_x64(True):
        one = jax.jit(jax.vmap(jax.jacrev(lambda row: paths.value(row[None])[:, 0])))
        slopes = np.asarray(one(jnp.asarray(SOME)))  # [9, 6, D]
    for column in (0, 2, 3):
        shift = step * (np.arange(D) == column)
        expected = (paths(SOME + shift) - paths(SOME - shift)) / (2 * step)
        np.testing.assert_allclose(slopes[:, :, column].T, expected, atol=1e-4)
    assert (slopes[:, :, CATEGORY] == 0).all()
    assert (slopes[:, :, 0] != 0).all()


def test_paths_need_a_spectral_density():
    surrogate = GP(kernel="rational_quadratic")
    with jax.enable_x64(True):
        kernel = surrogate.model(surrogate.evidence(data_of())[0]).kernel
        posterior = replace(posterior_of(), kernel=kernel)
    with pytest.raises(ValueError, match=r"paths: .*RationalQuadratic.*\.sample"):
        posterior.paths(KEY, 3)


def test_watched_rows_follow_what_is_appended():
    """As predicting anew after each point, lines that were appended among the rows."""
    rng = np.random.default_rng(3)
    rows = rng.random((6, 2))
    posterior, _ = bojax.surrogates.gp().fit(
        jax.random.key(0), Data(rows, np.sin(5 * rows[:, 0]) + rows[:, 1])
    )
    columns = posterior.features.coordinate.shape[1]
    elsewhere, added = rng.random((5, columns)), rng.random((2, columns))
    draws = rng.normal(size=(2, 3))

    @jax.jit
    def watched(posterior, elsewhere, added, draws):
        t = posterior.upper.shape[0]
        whitened = jnp.broadcast_to(posterior.whitened[:, None], (t, 3))
        fantasies = posterior.with_room(whitened, 2).watching(t + 2 + 5)
        lines = fantasies.posterior.features.coordinate
        fantasies = fantasies.watch(jnp.concatenate([lines, elsewhere]))
        for i in range(2):
            fantasies = fantasies.append(t + i, added[i], draws[i])
        lines = fantasies.posterior.features.coordinate
        return fantasies.seen(), fantasies.mean_and_variance(jnp.concatenate([lines, elsewhere]))

    with jax.enable_x64(True):
        (mean, variance), again = watched(posterior, elsewhere, added, draws)
    np.testing.assert_allclose(mean, again[0], rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(variance, again[1], rtol=1e-9, atol=1e-10)
