"""A surrogate of warped values: against itself without a warp, closed forms and simulation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

import bojax
from bojax.surrogates import Data, gp, warped
from bojax.surrogates import _warped as module
from bojax.surrogates.transforms import BoxCox, Power
from bojax.testing import surrogate_checks

D = 2
NEW = np.random.default_rng(7).random((9, D))
KEY = jax.random.key(0)
SMALL = gp(screened=2, kept=1)


def skewed(n=24, seed=0, noise=0.1):
    """The exponential of a smooth function with normal noise: what a logarithm puts right."""
    rng = np.random.default_rng(seed)
    rows = rng.random((n, D))
    return rows, np.exp(3 * np.sin(3 * rows[:, 0]) + rows[:, 1] + noise * rng.normal(size=n))


class Fixed:
    """A surrogate that believes the same normal everywhere, and keeps what it was given."""

    def __init__(self, mean=0.3, variance=0.4, noise=0.2, correlation=0.6):
        self.mean, self.variance, self.noise = mean, variance, noise
        self.correlation = correlation

    def fit(self, key, data, warm=None):
        self.data, self.warm = data, warm
        return self, "told"

    def mean_and_variance(self, rows):
        n = np.shape(rows)[:-1]
        return np.full(n, self.mean), np.full(n, self.variance)

    def joint(self, rows):
        q, same = len(rows), self.correlation
        return np.full(q, self.mean), self.variance * ((1 - same) * np.eye(q) + same)

    def sample(self, key, rows, n):
        mean, covariance = self.joint(rows)
        seed = int(np.asarray(jax.random.key_data(key))[-1])
        return np.random.default_rng(seed).multivariate_normal(mean, covariance, n)


class Logarithm:
    """A transform with moments in closed form."""

    def fit(self, values, mask):
        return self

    def __call__(self, values):
        return jnp.log(jnp.maximum(values, 1e-9))

    def inverse(self, values):
        return jnp.exp(values)


jax.tree_util.register_static(Logarithm)


def fixed(transform=None, predicts="function", **belief):
    surrogate = warped(Fixed(**belief), transform or Logarithm(), predicts=predicts)
    return surrogate.fit(KEY, Data(*skewed()))[0]


# ------------------------------------------------------------------------------- conformance

NORMAL_ONLY = ("condition",)  # that check is of a Gaussian posterior: see below for ours


@pytest.mark.slow
@pytest.mark.parametrize(
    "check", surrogate_checks(warped(SMALL, "standardize"), name="standardize", traceable=True)
)
def test_conformance_of_a_linear_warp(check):
    check()


@pytest.mark.slow
@pytest.mark.parametrize(
    "check", surrogate_checks(warped(SMALL), name="yeo_johnson", traceable=True, skip=NORMAL_ONLY)
)
def test_conformance_of_a_bent_one(check):
    check()


@pytest.mark.slow
@pytest.mark.parametrize(
    "check",
    surrogate_checks(warped(SMALL, "rank", predicts="observation"), name="rank", skip=NORMAL_ONLY),
)
def test_conformance_of_ranks_and_observations(check):
    check()


# ---------------------------------------------------------------------- nothing but a unit


def test_a_linear_warp_changes_nothing():
    data = Data(*skewed(), variance=np.linspace(0, 1, 24))
    plain, info = SMALL.fit(KEY, data)
    unit, same = warped(SMALL, "standardize").fit(KEY, data)
    np.testing.assert_allclose(same.theta, info.theta, rtol=1e-6)
    for a, b in zip(plain.mean_and_variance(NEW), unit.mean_and_variance(NEW), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-7)
    for a, b in zip(plain.joint(NEW), unit.joint(NEW), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-6, atol=1e-9 * float(plain.scale) ** 2)
    np.testing.assert_allclose(unit.sample(KEY, NEW, 5), plain.sample(KEY, NEW, 5), rtol=1e-6)
    np.testing.assert_allclose(unit.noise, float(plain.noise) * float(plain.scale) ** 2, rtol=1e-7)
    grown = unit.condition(NEW[:2], [3.0, 4.0])
    expected = plain.condition(NEW[:2], [3.0, 4.0])
    np.testing.assert_allclose(
        grown.mean_and_variance(NEW)[0], expected.mean_and_variance(NEW)[0], rtol=1e-7
    )
    observed, _ = warped(SMALL, "standardize", predicts="observation").fit(KEY, data)
    np.testing.assert_allclose(
        observed.mean_and_variance(NEW)[1],
        plain.mean_and_variance(NEW)[1] + float(plain.noise) * float(plain.scale) ** 2,
        rtol=1e-7,
    )


# ------------------------------------------------------------------------------ closed forms


@pytest.mark.parametrize("predicts", ["function", "observation"])
def test_moments_through_an_exponential_are_log_normal(predicts):
    posterior = fixed(predicts=predicts)
    v = 0.4 + (0.2 if predicts == "observation" else 0.0)
    mean, variance = posterior.mean_and_variance(NEW)
    np.testing.assert_allclose(mean, np.exp(0.3 + v / 2), rtol=1e-12)
    np.testing.assert_allclose(variance, np.expm1(v) * np.exp(0.6 + v), rtol=1e-12)
    joint_mean, covariance = posterior.joint(NEW)
    np.testing.assert_allclose(joint_mean, mean, rtol=1e-12)
    expected = np.exp(0.6 + v) * np.expm1(0.4 * (0.4 * np.eye(9) + 0.6))
    np.fill_diagonal(expected, variance)
    np.testing.assert_allclose(covariance, expected, rtol=1e-10)


def test_noise_is_that_of_an_observation_on_average():
    """exp(w + e), e of variance s: exp(2 w) e^s (e^s - 1), over the observed w; 0 if within."""
    _, values = skewed()
    expected = np.mean(values**2) * np.exp(0.2) * np.expm1(0.2)
    np.testing.assert_allclose(fixed().noise, expected, rtol=1e-10)
    assert fixed(predicts="observation").noise == 0.0
    assert fixed(noise=0.0).noise < 1e-20 * expected


@pytest.mark.parametrize("predicts", ["function", "observation"])
def test_samples_have_the_predicted_moments(predicts):
    posterior = fixed(predicts=predicts)
    drawn = posterior.sample(jax.random.key(5), NEW[:2], 200_000)
    mean, covariance = posterior.joint(NEW[:2])
    error = np.sqrt(np.diagonal(covariance) / 200_000)
    assert (np.abs(drawn.mean(axis=0) - mean) < 5 * error).all()
    np.testing.assert_allclose(np.cov(drawn.T), covariance, rtol=0.05)


@pytest.mark.parametrize("mean", [-1.0, 0.0, 0.7])
def test_a_corner_costs_one_percent_of_a_deviation(mean):
    """The worst that a monotone inverse has: max(w, 0), whose moments are known."""

    class Corner(Logarithm):
        def inverse(self, values):
            return jnp.maximum(values, 0.0)

    jax.tree_util.register_static(Corner)
    got, variance = fixed(Corner(), mean=mean, variance=1.0).mean_and_variance(NEW)
    expected = mean * stats.norm.cdf(mean) + stats.norm.pdf(mean)
    square = (mean**2 + 1) * stats.norm.cdf(mean) + mean * stats.norm.pdf(mean)
    np.testing.assert_allclose(got, expected, atol=0.01)
    np.testing.assert_allclose(np.sqrt(variance), np.sqrt(square - expected**2), atol=0.01)


@pytest.mark.parametrize("name", ["yeo_johnson", "box_cox", "log_warp"])
def test_moments_through_the_inverse_are_scipys_integrals(name):
    # Within the ends of the inverse, where it is smooth.
    posterior = fixed(name, mean=0.1, variance=0.02)
    with jax.enable_x64(True):
        grid = np.linspace(0.1 - 1.3, 0.1 + 1.3, 8001)
        heights = np.asarray(posterior.transform.inverse(jnp.asarray(grid)))
    density = stats.norm.pdf(grid, 0.1, np.sqrt(0.02))
    expected = integrate.simpson(density * heights, x=grid)
    spread = integrate.simpson(density * (heights - expected) ** 2, x=grid)
    mean, variance = posterior.mean_and_variance(NEW[:1])
    np.testing.assert_allclose(mean, expected, rtol=1e-6)
    np.testing.assert_allclose(variance, spread, rtol=1e-5)


# ----------------------------------------------------------------------------- what is fitted


def test_the_surrogate_sees_warped_values_and_their_variance():
    rows, values = skewed()
    inner = Fixed()
    variance = 1e-4 * values**2  # a hundredth of each value, and of each logarithm
    mask = np.arange(24) != 3
    data = Data(rows, values, variance, np.full(24, 2.0), mask)
    posterior, info = warped(inner, Logarithm()).fit(KEY, data, warm="start")
    assert info == "told" and inner.warm == "start"
    np.testing.assert_allclose(inner.data.values[mask], np.log(values[mask]), rtol=1e-12)
    np.testing.assert_allclose(inner.data.variance[mask], 1e-4, rtol=1e-3)
    np.testing.assert_array_equal(inner.data.rows, rows)
    np.testing.assert_array_equal(inner.data.count, 2.0)
    np.testing.assert_allclose(posterior.scale, values[mask].std(ddof=1), rtol=1e-12)
    warped(inner, Logarithm()).fit(KEY, Data(rows, values))
    assert inner.data.variance is None and inner.warm is None


def test_a_masked_or_missing_value_does_not_move_the_transform():
    rows, values = skewed()
    holes, mask = values.copy(), np.arange(24) != 5
    holes[5], holes[6] = 1e9, np.nan
    exponents = []
    for v, m in ((holes, mask), (np.delete(values, [5, 6]), None)):
        inner = Fixed()
        data = Data(rows[: len(v)], v, mask=m)
        posterior, _ = warped(inner, "box_cox").fit(KEY, data)
        exponents.append(float(posterior.transform.exponent))
        if m is not None:  # the surrogate decides what becomes of it
            assert np.isnan(inner.data.values[6])
    np.testing.assert_allclose(*exponents, rtol=1e-10)


def test_conditioning_warps_what_is_told():
    surrogate = warped(SMALL, BoxCox())
    posterior, _ = surrogate.fit(KEY, Data(*skewed()))
    assert bool(posterior.transform.positive)
    told = posterior.condition(NEW[:2], [2.0, 3.0])
    with jax.enable_x64(True):
        values = np.asarray(posterior.transform(jnp.asarray([2.0, 3.0])))
    expected = posterior.posterior.condition(NEW[:2], values).mean_and_variance(NEW)
    for got, wanted in zip(told.posterior.mean_and_variance(NEW), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-10)
    before, after = (p.mean_and_variance(NEW[:2])[0] for p in (posterior, told))
    assert (np.abs(after - [2.0, 3.0]) < np.abs(before - [2.0, 3.0])).all()


def test_every_option_changes_the_prediction():
    data = Data(*skewed())
    choices = [
        warped(SMALL),
        warped(SMALL, "rank"),
        warped(SMALL, ("winsorize", "log_warp")),
        warped(SMALL, BoxCox()),
        warped(SMALL, predicts="observation"),
        warped(gp(kernel="rbf", screened=2, kept=1)),
    ]
    means = [choice.fit(KEY, data)[0].mean_and_variance(NEW)[0] for choice in choices]
    for i, one in enumerate(means):
        for other in means[:i]:
            assert np.abs(one - other).max() > 1e-6 * np.abs(one).max()


def test_a_warp_learns_what_a_gaussian_process_cannot():
    """Of the exponential of a smooth function: nearer, and what it says of its error holds."""
    rows, values = skewed(40)
    test, truth = skewed(400, seed=1)
    plain = SMALL.fit(KEY, Data(rows, values))[0]
    bent, _ = warped(SMALL, "box_cox", predicts="observation").fit(KEY, Data(rows, values))
    mean, variance = plain.mean_and_variance(test)
    variance = variance + float(plain.noise) * float(plain.scale) ** 2
    other, own = bent.mean_and_variance(test)
    density = [
        stats.norm.logpdf(truth, m, np.sqrt(v)).mean() for m, v in ((mean, variance), (other, own))
    ]
    assert density[1] > density[0] + 0.3
    assert np.mean((other - truth) ** 2) < np.mean((mean - truth) ** 2)
    assert 0.85 < np.mean(np.abs(other - truth) < 1.645 * np.sqrt(own)) < 0.97


def test_an_average_noise_is_what_observations_have_on_average():
    """Function and noise against observation: the same variance, summed over the rows."""
    data = Data(*skewed(40, noise=0.3))
    plain, _ = warped(SMALL, "box_cox").fit(KEY, data)
    exact, _ = warped(SMALL, "box_cox", predicts="observation").fit(KEY, data)
    mine = plain.mean_and_variance(data.rows)[1] + float(plain.noise)
    own = exact.mean_and_variance(data.rows)[1]
    assert 0.7 < mine.mean() / own.mean() < 1.5
    # but not row by row, which is why there are both
    assert (mine / own).max() > 3


# -------------------------------------------------------------------------- precision, traces


def test_the_host_works_in_float64_and_compiles_once(count_compiles):
    surrogate = warped(SMALL, "yeo_johnson")
    posterior, _ = surrogate.fit(KEY, Data(*skewed()))
    mean, variance = posterior.mean_and_variance(NEW)
    assert mean.dtype == variance.dtype == np.float64
    assert all(np.asarray(leaf).dtype != np.float32 for leaf in jax.tree.leaves(posterior))
    with count_compiles() as programs:
        again, _ = surrogate.fit(KEY, Data(*skewed(25, seed=3)))
        again.mean_and_variance(NEW)
    assert programs == []


@pytest.mark.slow
def test_a_trace_gives_what_the_host_does():
    rows, values = skewed()
    surrogate = warped(SMALL, ("half_rank", "log_warp"), predicts="observation")
    host, _ = surrogate.fit(KEY, Data(rows, values))

    @jax.jit
    def everything(key, rows, values, new):
        posterior, _ = surrogate.fit(key, Data(rows, values))
        told = posterior.condition(new[:1], values[:1])
        return (
            posterior.mean_and_variance(new),
            posterior.joint(new),
            told.mean_and_variance(new),
            posterior.sample(key, new, 3),
        )

    with jax.enable_x64(True):
        traced = jax.tree.map(np.asarray, everything(KEY, rows, values, NEW))
    expected = (
        host.mean_and_variance(NEW),
        host.joint(NEW),
        host.condition(NEW[:1], values[:1]).mean_and_variance(NEW),
        host.sample(KEY, NEW, 3),
    )
    # The searches differ in their starts, and end within a thousandth of a nat.
    for a, b in zip(jax.tree.leaves(traced), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=5e-3, atol=1e-3 * np.abs(b).max())


@pytest.mark.parametrize("scale", [1e-140, 1e140])
@pytest.mark.parametrize(
    "name", ["yeo_johnson", "box_cox", "rank", "log_warp", ("half_rank", "log_warp")]
)
def test_a_unit_is_but_a_factor(name, scale):
    rows, values = skewed()
    found = []
    for factor in (1.0, scale):
        posterior, _ = warped(Fixed(), name).fit(KEY, Data(rows, factor * values))
        mean, variance = posterior.mean_and_variance(NEW[:1])
        found.append((mean / factor, variance / factor / factor))
        assert (variance > 0).all() or factor < 1e-100
    np.testing.assert_allclose(found[1][0], found[0][0], rtol=1e-6)
    np.testing.assert_allclose(found[1][1], found[0][1], rtol=1e-6)


def test_a_variance_is_never_nothing():
    """Where the inverse is flat: a millionth of the values' deviation is left."""
    posterior = fixed("half_rank", mean=1e6, variance=1e-9)
    variance = posterior.mean_and_variance(NEW)[1]
    np.testing.assert_allclose(variance, 1e-12 * posterior.scale**2, rtol=1e-12)
    np.testing.assert_allclose(np.diagonal(posterior.joint(NEW)[1]), variance, rtol=1e-12)


def test_mehlers_basis_is_orthonormal():
    gram = (module.WEIGHTS * module.BASIS) @ module.BASIS.T
    np.testing.assert_allclose(gram, np.eye(module.NODE_COUNT), atol=1e-10)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: warped(SMALL, "sqrt"), ValueError, "transform: must be one of .*'sqrt'"),
        (lambda: warped(SMALL, predicts="mean"), ValueError, "predicts must be one of .*'mean'"),
        (
            lambda: warped(SMALL).fit(KEY, Data(np.zeros((3, D)), np.zeros(2))),
            bojax.DataError,
            r"values: .*shape \(3,\), got shape \(2,\)",
        ),
        (
            lambda: warped(SMALL).fit(KEY, Data(np.zeros((3, D)), np.zeros(3), mask=[True])),
            bojax.DataError,
            r"mask: .*shape \(3,\), got shape \(1,\)",
        ),
        (
            lambda: warped(SMALL).fit(KEY, Data(np.zeros((2, D)), np.ones(2), [0.0, -1.0])),
            bojax.DataError,
            "variance: must be finite and not negative",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_the_least_of_a_power_is_where_its_inverse_ends():
    """Conditioned on a value beyond all reason, a posterior stays finite."""
    posterior, _ = warped(SMALL, "yeo_johnson").fit(KEY, Data(*skewed()))
    assert isinstance(posterior.transform, Power)
    told = posterior.condition(NEW[:1], [1e300])
    assert np.isfinite(told.mean_and_variance(NEW)).all()
