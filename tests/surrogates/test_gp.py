"""The GP surrogate: against scikit-learn, against itself refactored, on nasty data."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process import kernels as sk

import bojax
from bojax.surrogates import GP, Data, gp

D = 4
REFERENCE = {
    "matern52": lambda scale: sk.Matern(scale, nu=2.5),
    "matern32": lambda scale: sk.Matern(scale, nu=1.5),
    "matern12": lambda scale: sk.Matern(scale, nu=0.5),
    "rbf": lambda scale: sk.RBF(scale),
}


def smooth(n, seed=0):
    rng = np.random.default_rng(seed)
    rows = rng.random((n, D))
    return rows, 5.0 + 3.0 * np.sin(4 * rows[:, 0]) + rows[:, 1] ** 2 + 0.1 * rng.normal(size=n)


@pytest.fixture(scope="module")
def at_fixed():
    """A posterior at given hyperparameters, on the public path but for the fit."""

    def make(theta, data, surrogate=GP()):  # noqa: B008 (frozen)
        with jax.enable_x64(True):
            leaves = jax.tree.map(jnp.asarray, data)

            @jax.jit
            def posterior(theta, data):
                evidence, shift, scale = surrogate.evidence(data)
                return surrogate.posterior_at(theta, data, evidence, shift, scale)

            return posterior(jnp.asarray(theta), leaves)

    return make


def theta_of(scale=(0.4, 0.8, 1.5, 3.0), noise=0.01):
    return np.concatenate([np.log(scale), np.zeros(D), [np.log(noise)]])


def reference(kernel, data, theta, noise):
    """scikit-learn at the same hyperparameters, with the mean it does not have subtracted."""
    shift, scale = data.values.mean(), data.values.std(ddof=1)
    standard = (data.values - shift) / scale
    model = REFERENCE[kernel](np.exp(theta[:D]))
    weights = np.linalg.solve(model(data.rows) + np.diag(noise), np.ones(len(standard)))
    mean = weights @ standard / weights.sum()
    regressor = GaussianProcessRegressor(model, alpha=noise, optimizer=None)
    regressor.fit(data.rows, standard - mean)

    def predict(rows):
        rest, covariance = regressor.predict(rows, return_cov=True)
        return shift + scale * (mean + rest), scale**2 * covariance

    return predict


NEW = np.random.default_rng(7).random((9, D))


@pytest.mark.parametrize("kernel", REFERENCE)
def test_predictions_equal_scikit_learn(at_fixed, kernel):
    data, theta = Data(*smooth(20)), theta_of()
    posterior = at_fixed(theta, data, GP(kernel=kernel))
    mean, covariance = reference(kernel, data, theta, np.full(20, 0.01))(NEW)
    ours, variance = posterior.mean_and_variance(NEW)
    joint_mean, joint = posterior.joint(NEW)
    np.testing.assert_allclose(ours, mean, rtol=1e-6)
    np.testing.assert_allclose(variance, np.diagonal(covariance), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(joint_mean, mean, rtol=1e-6)
    np.testing.assert_allclose(joint, covariance, rtol=1e-6, atol=1e-8)


def test_known_variance_adds_to_the_noise(at_fixed):
    rows, values = smooth(20)
    variance = np.random.default_rng(1).uniform(0, 2, 20)
    data, theta = Data(rows, values, variance=variance), theta_of()
    noise = 0.01 + variance / values.var(ddof=1)
    mean, covariance = reference("matern52", data, theta, noise)(NEW)
    ours, ours_variance = at_fixed(theta, data).mean_and_variance(NEW)
    np.testing.assert_allclose(ours, mean, rtol=1e-6)
    np.testing.assert_allclose(ours_variance, np.diagonal(covariance), rtol=1e-6, atol=1e-9)


def test_replicates_are_one_value_of_less_noise(at_fixed):
    """k observations of one row are their mean with noise / k: the closed form, unmerged too."""
    rows, values = smooth(6)
    groups = np.repeat(np.arange(6), [1, 2, 3, 1, 4, 1])
    values = values[groups] + 0.1 * np.random.default_rng(2).normal(size=12)
    theta = theta_of(noise=0.05)
    merged = at_fixed(theta, Data(rows[groups], values))
    # The library standardises all lines; the reference is told the same numbers.
    np.testing.assert_allclose(merged.shift, values.mean(), rtol=1e-12)
    scale = values.std(ddof=1)
    kernel = REFERENCE["matern52"](np.exp(theta[:D]))
    gram = kernel(rows[groups]) + 0.05 * np.eye(12)
    standard = (values - values.mean()) / scale
    weights = np.linalg.solve(gram, np.ones(12))
    mean = weights @ standard / weights.sum()
    cross = kernel(NEW, rows[groups])
    expected = mean + cross @ np.linalg.solve(gram, standard - mean)
    spread = 1.0 - np.einsum("ij,ji->i", cross, np.linalg.solve(gram, cross.T))
    ours, variance = merged.mean_and_variance(NEW)
    np.testing.assert_allclose(ours, values.mean() + scale * expected, rtol=1e-8)
    np.testing.assert_allclose(variance, scale**2 * spread, rtol=1e-8, atol=1e-10)


def test_count_is_as_good_as_the_replicates(at_fixed):
    rows, values = smooth(8)
    twice = Data(np.concatenate([rows, rows]), np.concatenate([values, values]))
    counted = Data(rows, values, count=np.full(8, 2.0))
    one, other = at_fixed(theta_of(), twice), at_fixed(theta_of(), counted)
    means, variances = zip(*(p.mean_and_variance(NEW) for p in (one, other)), strict=True)
    np.testing.assert_allclose(*means, rtol=1e-10)
    # The unit is the deviation of 16 lines, or of 8.
    ratio = (float(one.scale) / float(other.scale)) ** 2
    np.testing.assert_allclose(variances[0], ratio * variances[1], rtol=1e-10)


def test_replicates_tell_the_noise():
    """Twelve rows measured six times each: the noise is what they scatter by."""
    rows, values = smooth(12)
    noisy = np.tile(values, 6) + 0.5 * np.random.default_rng(0).normal(size=72)
    posterior, _ = fitted(Data(np.tile(rows, (6, 1)), noisy))
    within = noisy.reshape(6, 12).std(axis=0, ddof=1)
    found = float(posterior.scale) * np.sqrt(float(posterior.noise))
    assert found == pytest.approx(np.sqrt(np.mean(within**2)), rel=0.1)


def test_conditioning_equals_factoring_anew(at_fixed):
    """Row by row against all at once, the mean of the first fit kept."""
    data, theta = Data(*smooth(12)), theta_of()
    posterior = at_fixed(theta, data)
    more = np.random.default_rng(5).random((3, D))
    told = np.array([4.0, 7.0, 5.5])
    grown = posterior.condition(more, told)
    shift, scale, mean = (float(x) for x in (posterior.shift, posterior.scale, posterior.mean))
    rows = np.concatenate([data.rows, more])
    standard = (np.concatenate([data.values, told]) - shift) / scale - mean
    kernel = REFERENCE["matern52"](np.exp(theta[:D]))
    gram = kernel(rows) + 0.01 * np.eye(15)
    cross = kernel(NEW, rows)
    expected = shift + scale * (mean + cross @ np.linalg.solve(gram, standard))
    spread = scale**2 * (1 - np.einsum("ij,ji->i", cross, np.linalg.solve(gram, cross.T)))
    ours, variance = grown.mean_and_variance(NEW)
    np.testing.assert_allclose(ours, expected, rtol=1e-8)
    np.testing.assert_allclose(variance, spread, rtol=1e-8, atol=1e-10)
    # The one it came from is as it was.
    np.testing.assert_array_equal(
        posterior.mean_and_variance(NEW)[0], at_fixed(theta, data).mean_and_variance(NEW)[0]
    )


def test_a_fantasy_is_a_draw_and_its_own_conditioning(at_fixed):
    """Whitened outcome e means value mean + pivot e: the same as being told that value."""
    posterior = at_fixed(theta_of(), Data(*smooth(12)))
    row, draws = NEW[0], np.array([-1.0, 0.0, 2.0])

    @jax.jit
    def believed(posterior, row, draws, new):
        start = posterior.with_room(jnp.broadcast_to(posterior.whitened[:, None], (12, 3)), 1)
        return start.append(12, row, draws).mean_and_variance(new)

    with jax.enable_x64(True):
        means, variance = jax.tree.map(np.asarray, believed(posterior, row, draws, NEW))
    at, spread = posterior.mean_and_variance(row[None])
    shift, scale = float(posterior.shift), float(posterior.scale)
    pivot = np.sqrt(spread[0] + scale**2 * 0.01)
    for s, draw in enumerate(draws):
        told = posterior.condition(row, [at[0] + pivot * draw])
        mean, told_variance = told.mean_and_variance(NEW)
        np.testing.assert_allclose(shift + scale * means[:, s], mean, rtol=1e-8)
        np.testing.assert_allclose(scale**2 * variance, told_variance, rtol=1e-6, atol=1e-9)


def test_samples_have_the_joint_moments(at_fixed):
    posterior = at_fixed(theta_of(), Data(*smooth(12)))
    mean, covariance = posterior.joint(NEW)
    drawn = posterior.sample(jax.random.key(0), NEW, 40_000)
    assert drawn.shape == (40_000, 9)
    error = np.sqrt(np.diagonal(covariance) / 40_000)
    assert (np.abs(drawn.mean(axis=0) - mean) < 5 * error).all()
    np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=0.03 * covariance.max())


# ------------------------------------------------------------------------ fits


def fitted(data, **settings):
    return gp(**settings).fit(jax.random.key(0), data)


def test_padding_of_a_fit_is_not_seen():
    """Masked lines of any content: the same posterior as without them."""
    rows, values = smooth(10)
    one, info = fitted(Data(rows, values))
    junk = np.concatenate([rows, np.full((5, D), np.nan)])
    padded = Data(junk, np.concatenate([values, np.full(5, np.nan)]), mask=np.arange(15) < 10)
    other, other_info = fitted(padded)
    np.testing.assert_allclose(info.theta, other_info.theta, rtol=1e-12)
    for a, b in zip(one.mean_and_variance(NEW), other.mean_and_variance(NEW), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_a_fit_predicts_what_it_was_not_shown():
    rows, values = smooth(40)
    posterior, info = fitted(Data(rows[:30], values[:30]))
    mean, variance = posterior.mean_and_variance(rows[30:])
    assert bool(info.converged) and float(info.jitter) == 0.0
    assert np.sqrt(np.mean((mean - values[30:]) ** 2)) < 0.5 * values[30:].std()
    assert (np.abs(mean - values[30:]) < 4 * np.sqrt(variance + 0.02)).all()


def test_the_posterior_is_that_of_the_fitted_hyperparameters(at_fixed):
    """The factors that leave the search belong to its best point, of all starts and of one."""
    data = Data(*smooth(14))
    for warm in (None, theta_of()):
        posterior, info = gp().fit(jax.random.key(0), data, warm)
        anew = at_fixed(info.theta, data)
        for a, b in zip(posterior.joint(NEW), anew.joint(NEW), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)


def test_every_option_changes_the_fit():
    # Two good explanations, so that the starts matter: a wiggle, or noise.
    rng = np.random.default_rng(3)
    rows = rng.random((12, D))
    data = Data(rows, np.sin(25 * rows[:, 0]) + 0.5 * rng.normal(size=12))
    usual = fitted(data)[1]
    assert not np.array_equal(usual.theta, fitted(data, kernel="rbf")[1].theta)
    assert usual.evaluations > fitted(data, screened=0, kept=0)[1].evaluations
    warm = gp().fit(jax.random.key(0), data, warm=usual.theta)[1]
    assert warm.evaluations < usual.evaluations
    assert warm.objective <= usual.objective + 1e-3


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (Data(np.zeros((3, D)), np.zeros(2)), r"values: .*shape \(3,\), got shape \(2,\)"),
        (Data(np.zeros((3, D)), np.zeros((3, 1))), r"values: .*got shape \(3, 1\)"),
        (Data(np.array([[0.0] * D, [np.nan] * D]), np.zeros(2)), "rows: row 1 is not finite"),
        (Data(np.zeros((2, D)), np.zeros(2), variance=np.zeros(3)), "variance: .*shape"),
        (Data(np.zeros((2, D)), np.zeros(2), variance=[0, -1.0]), "variance: .*not negative"),
        (Data(np.zeros((2, D)), np.zeros(2), count=[1, 0]), "count: .*at least 1"),
        (Data(np.zeros((2, D)), np.zeros(2), mask=np.ones(3, bool)), "mask: .*shape"),
    ],
)
def test_data_that_do_not_fit_are_refused(data, words):
    with pytest.raises(bojax.DataError, match=words):
        fitted(data)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kernel": "cubic"}, "kernel must be one of .*'cubic'"),
        ({"screened": -1}, "screened=-1"),
        ({"kept": 5, "screened": 3}, "kept=5"),
        ({"ensemble": 0}, "ensemble must be between 1 and kept"),
        ({"ensemble": 5}, "ensemble must be between 1 and kept . 2, .* 5 with kept=2"),
        ({"recipe": "gpy"}, "recipe must be one of .*gpy"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        gp(**settings)


# ------------------------------------------------------------------------ nasty data

LINES = 8


def nasty(count, seed, exponent):
    """Data sets made to be hard: rows, values, variance, mask."""
    rng = np.random.default_rng(seed)
    sets = []
    for i in range(count):
        rows = rng.random((LINES, D)) * 10.0 ** rng.choice([0, 0, -3, -8])
        values = rng.normal(size=LINES) * 10.0 ** rng.uniform(-exponent, exponent)
        kind = i % 7
        if kind == 1:
            rows[1:4] = rows[0]  # duplicates, with values of their own
        elif kind == 2:
            rows[1:] = rows[0] + 1e-14 * rng.normal(size=(LINES - 1, D))
        elif kind == 3:
            values[:] = values[0]
        elif kind == 4:
            values[0] = 1e6 * values[1]
        elif kind == 5:
            values[:] = values[0] * (1 + 1e-14 * rng.normal(size=LINES))
        n = 1 if kind == 6 else rng.integers(2, LINES + 1)
        variance = rng.uniform(0, 1, LINES) * values**2 if i % 3 == 0 else np.zeros(LINES)
        sets.append((rows, values, variance, np.arange(LINES) < n))
    return [np.stack(column) for column in zip(*sets, strict=True)]


def fit_all(data):
    """Every set fitted by one program, one after the other; what a user would look at."""
    surrogate = GP(screened=4, kept=1)

    def one(packed):
        number, rows, values, variance, mask = packed
        data = Data(rows, values, variance, None, mask, None)
        posterior, info = surrogate.fit_pure(jax.random.fold_in(jax.random.key(0), number), data)
        return posterior.mean_and_variance(rows), info

    return jax.jit(lambda packed: jax.lax.map(one, packed))(data)


@pytest.mark.parametrize(
    ("precision", "count"),
    [
        ("float64", 150),
        ("float32", 150),
        pytest.param("float64", 100_000, marks=pytest.mark.slow),
        pytest.param("float32", 100_000, marks=pytest.mark.slow),
    ],
)
def test_a_fit_is_never_not_a_number(precision, count):
    data = nasty(count, seed=count, exponent=12)
    with jax.enable_x64(precision == "float64"):
        packed = [np.arange(count, dtype=np.int32)]
        packed += [x if x.dtype == bool else x.astype(precision) for x in data]
        (mean, variance), info = jax.tree.map(np.asarray, fit_all(packed))
    assert mean.dtype == precision
    for leaf in (mean, variance, info.theta, info.objective, info.jitter):
        bad = np.flatnonzero(~np.isfinite(leaf.reshape(count, -1)).all(axis=1))
        assert not len(bad), bad[:10]
    assert (variance > 0).all() and (info.jitter >= 0).all()


# ------------------------------------------------------------------------ several modes


def test_an_ensemble_is_the_mixture_of_its_members():
    """Two explanations, a wiggle or noise: both have a share, and the mixture its moments."""
    rng = np.random.default_rng(3)
    rows = rng.random((12, D))
    data = Data(rows, np.sin(25 * rows[:, 0]) + 0.5 * rng.normal(size=12))
    single, info = fitted(data)
    mixture, same = fitted(data, ensemble=3)
    assert same.objective == pytest.approx(info.objective, rel=1e-9)  # of another program
    weights = np.asarray(mixture.weights)
    np.testing.assert_allclose(weights.sum(), 1.0, rtol=1e-12)
    assert (weights[:2] > 0.01).all()
    with jax.enable_x64(True):
        members = [jax.tree.map(lambda leaf, k=k: leaf[k], mixture.members) for k in range(3)]
    told = [member.joint(NEW) for member in members]
    mean = sum(w * m for w, (m, _) in zip(weights, told, strict=True))
    second = sum(
        w * (c + np.outer(m - mean, m - mean)) for w, (m, c) in zip(weights, told, strict=True)
    )
    ours, variance = mixture.mean_and_variance(NEW)
    np.testing.assert_allclose(ours, mean, rtol=1e-10)
    np.testing.assert_allclose(variance, np.diagonal(second), rtol=1e-8)
    np.testing.assert_allclose(mixture.joint(NEW)[1], second, rtol=1e-8, atol=1e-10)
    assert not np.allclose(ours, single.mean_and_variance(NEW)[0], rtol=1e-3)
    draws = mixture.sample(jax.random.key(1), NEW, 20_000)
    error = np.sqrt(np.diagonal(second) / 20_000)
    assert (np.abs(draws.mean(axis=0) - mean) < 5 * error).all()
    np.testing.assert_allclose(draws.var(axis=0), np.diagonal(second), rtol=0.06)


def test_modes_that_agree_are_one():
    """A function with one explanation: the best mode has all the weight there is."""
    rows, values = smooth(30)
    mixture, _ = fitted(Data(rows, values), ensemble=3)
    assert float(mixture.weights[0]) > 0.9


def test_a_gap_keeps_rows_apart_in_which_a_column_does_not_exist():
    """With a gap a row without the column is further than the same row at the default."""
    space = bojax.Space({"on": bojax.Boolean(), "x": bojax.Float(0, 1, when={"on": True})})
    configs = [{"on": True, "x": v} for v in (0.0, 0.3, 0.5, 0.7, 1.0)] + [{"on": False}]
    rows = np.stack([np.asarray(space.encode(c)) for c in configs])
    data = Data(rows, np.array([0.0, 0.3, 0.5, 0.7, 1.0, -3.0]), table=space.table)
    column, covariance = list(space.names).index("x"), {}
    for conditional in (False, True):
        posterior, _ = fitted(data, conditional=conditional)
        with jax.enable_x64(True):
            covariance[conditional] = float(posterior.covariance(rows[2:3], rows[5:6])[0, 0])
        assert (np.asarray(posterior.kernel.gap.value)[column] < 1e6) == conditional
    assert covariance[True] < covariance[False]


def test_an_ensemble_finds_the_plain_function_under_much_noise():
    """Diabetes: from the priors' modes a fit takes noise for wiggles, and predicts worse."""
    rows, values = load_diabetes(return_X_y=True, scaled=False)
    low, high = rows.min(axis=0), rows.max(axis=0)
    order = np.random.default_rng(4).permutation(len(values))[:200]
    rows, values = ((rows - low) / (high - low))[order], values[order]
    single, mixture = (fitted(Data(rows[:100], values[:100]), ensemble=k)[0] for k in (1, 3))

    def error(posterior):
        return np.sqrt(np.mean((posterior.mean_and_variance(rows[100:])[0] - values[100:]) ** 2))

    noisy = np.asarray(mixture.members.noise) > 0.2
    assert float(single.noise) < 0.05 and np.asarray(mixture.weights)[noisy].sum() > 0.1
    assert error(mixture) < error(single)
