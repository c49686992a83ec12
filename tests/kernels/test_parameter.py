"""Hyperparameters: priors against SciPy and autodiff, bijectors, and how they are listed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from bojax.kernels import (
    RBF,
    Columns,
    Flat,
    HalfCauchy,
    Log,
    LogNormal,
    LogSquare,
    Parameter,
    Power,
    ShiftedLog,
    gamma,
    parameters,
    scale_parameter,
)
from bojax.kernels.parameter import pack, split, unpack

LOG_X = np.linspace(-4.0, 3.0, 15)
NORMALISED = {
    "lognormal": (LogNormal(0.7, 1.3), stats.lognorm(1.3, scale=np.exp(0.7))),
    "gamma": (gamma(3.0, 6.0), stats.gamma(3.0, scale=1 / 6.0)),
    "gamma, no mode": (gamma(0.5, 0.5), stats.gamma(0.5, scale=2.0)),
    "gamma, wide": (gamma(1.1, 0.05), stats.gamma(1.1, scale=20.0)),
    "half-cauchy": (HalfCauchy(0.3), stats.halfcauchy(scale=0.3)),
}
OTHERS = {
    "power": Power(0.0, 0.1, 0.1, 2.0),
    "power, skew": Power(-0.5, 2.0, 0.3, 1.5, 7.0),
    "log-square": LogSquare(0.04, 0.7),
    "flat": Flat(),
}
PRIORS = {name: prior for name, (prior, _) in NORMALISED.items()} | OTHERS
BIJECTORS = {"log": Log(), "shifted": ShiftedLog(1e-3), "far shifted": ShiftedLog(2.0)}


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("name", NORMALISED)
def test_densities_of_the_value_are_those_of_scipy(name):
    prior, reference = NORMALISED[name]
    np.testing.assert_allclose(
        prior.log_density(LOG_X), reference.logpdf(np.exp(LOG_X)), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("x", [0.1, 0.7, 4.0])
def test_densities_that_are_not_normalised_by_their_formulas(x):
    at = np.log(x)
    np.testing.assert_allclose(  # Optuna's of an inverse squared length scale
        OTHERS["power"].log_density(at), -(0.1 * x**2 + 0.1 / x**2), rtol=1e-12
    )
    expected = 7.0 - 0.5 * at - 2.0 * x**1.5 - 0.3 * x**-1.5
    np.testing.assert_allclose(OTHERS["power, skew"].log_density(at), expected, rtol=1e-12)
    np.testing.assert_allclose(
        OTHERS["log-square"].log_density(at), -0.04 * np.log(x / 0.7) ** 2, rtol=1e-12, atol=1e-16
    )
    assert Flat().log_density(at) == 0.0


@pytest.mark.parametrize("name", PRIORS)
def test_slopes_are_those_of_autodiff(name):
    prior, at = PRIORS[name], jnp.asarray(LOG_X)
    by_autodiff = jax.vmap(jax.grad(prior.log_density))(at)
    np.testing.assert_allclose(prior.slope(at), by_autodiff, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "name", ["lognormal", "gamma", "gamma, wide", "power", "power, skew", "log-square"]
)
def test_the_slope_is_zero_at_the_mode_and_falls_through_it(name):
    prior = PRIORS[name]
    mode = float(prior.mode())
    np.testing.assert_allclose(prior.slope(mode), 0.0, atol=1e-12)
    assert prior.slope(mode - 0.1) > 0 > prior.slope(mode + 0.1)


def test_priors_without_a_mode_start_in_the_middle():
    """The median of the half-Cauchy, the mean of a gamma density that only falls."""
    half, falling = NORMALISED["half-cauchy"], NORMALISED["gamma, no mode"]
    np.testing.assert_allclose(half[0].mode(), np.log(half[1].median()), rtol=1e-12)
    np.testing.assert_allclose(falling[0].mode(), np.log(falling[1].mean()), atol=1e-12)
    np.testing.assert_allclose(gamma(1.0, 4.0).mode(), np.log(0.25), rtol=1e-12)


@pytest.mark.parametrize("name", ["lognormal", "half-cauchy", "log-square"])
def test_spreads_are_deviations_of_the_logarithm(name):
    """By quadrature over log x, whose density is that of x times x; a penalty has no Jacobian."""
    prior = PRIORS[name]
    at = np.linspace(-60.0, 60.0, 200_001)
    log_weight = np.asarray(prior.log_density(jnp.asarray(at))) + (name != "log-square") * at
    weight = np.exp(log_weight - log_weight.max())
    mean = np.sum(weight * at) / weight.sum()
    deviation = np.sqrt(np.sum(weight * (at - mean) ** 2) / weight.sum())
    np.testing.assert_allclose(prior.spread(), deviation, rtol=1e-6)


@pytest.mark.parametrize("name", PRIORS)
def test_every_prior_gives_a_finite_start_and_spread(name):
    prior = PRIORS[name]
    assert np.isfinite(prior.mode()) and prior.spread() > 0


@pytest.mark.parametrize("name", BIJECTORS)
def test_bijectors_come_back_and_have_the_slope_of_autodiff(name):
    bijector, raw = BIJECTORS[name], jnp.linspace(-5.0, 5.0, 11)
    np.testing.assert_allclose(bijector.raw(bijector.log_value(raw)), raw, atol=1e-9)
    by_autodiff = jax.vmap(jax.grad(bijector.log_value))(raw)
    np.testing.assert_allclose(bijector.log_slope(raw), by_autodiff, rtol=1e-12)
    least = float(getattr(bijector, "least", 0.0))
    np.testing.assert_allclose(np.exp(bijector.log_value(raw)), least + np.exp(raw), rtol=1e-12)


@pytest.mark.parametrize("name", BIJECTORS)
def test_the_prior_is_of_the_value_and_its_slope_by_raw(name):
    def at(raw):
        return Parameter(raw, LogNormal(0.2, 0.6), bijector=BIJECTORS[name])

    raw = jnp.linspace(-2.0, 2.0, 7)
    density = stats.lognorm(0.6, scale=np.exp(0.2)).logpdf(at(raw).value)
    np.testing.assert_allclose(at(raw).log_prior(), density.sum(), rtol=1e-12)
    by_autodiff = jax.grad(lambda raw: at(raw).log_prior())(raw)
    np.testing.assert_allclose(at(raw).log_prior_slope(), by_autodiff, rtol=1e-11, atol=1e-12)


def test_frozen_values_have_no_prior():
    raw = jnp.array([0.0, 1.0, 2.0])
    p = Parameter(raw, LogNormal(0.0, 1.0), jnp.array([-9.0, 1.0, -9.0]), jnp.array([9.0, 1.0, 9]))
    np.testing.assert_array_equal(p.free, [True, False, True])
    expected = stats.lognorm(1.0).logpdf(np.exp([0.0, 2.0])).sum()
    np.testing.assert_allclose(p.log_prior(), expected, rtol=1e-12)
    np.testing.assert_allclose(p.log_prior_slope(), [-1.0, 0.0, -3.0], rtol=1e-12)
    assert not p.fixed().free.any() and p.fixed().log_prior() == 0.0
    np.testing.assert_array_equal(p.fixed().raw, raw)


def test_a_parameter_from_its_value_and_bounds():
    p = scale_parameter(2.0, low=0.5, high=8.0, prior=LogNormal(0.0, 2.0))
    np.testing.assert_allclose([p.value, np.exp(p.low), np.exp(p.high)], [2.0, 0.5, 8.0])
    assert p.prior.scale == 2.0


def tree():
    """Eight raw values: lengths [2], gaps [2], a scale, lengths [1], gaps [1], and one more."""
    kernel = RBF().on(0, 1).scaled(scale_parameter(5.0)) + RBF().on(2)
    return kernel.build(Columns.plain(3)), Parameter(jnp.asarray(-7.0))


def test_pack_unpack_and_split_agree_on_the_order():
    made, theta = tree(), jnp.arange(8.0)
    assert [np.shape(p.raw) for p in parameters(made)] == [(2,), (2,), (), (1,), (1,), ()]
    np.testing.assert_array_equal(pack(made)[4], np.log(5.0))
    np.testing.assert_array_equal(pack(made)[7], -7.0)
    at = unpack(made, theta)
    np.testing.assert_array_equal(pack(at), theta)
    np.testing.assert_array_equal(at[0].left.kernel.kernel.gap.raw, [2.0, 3.0])
    assert at[0].left.scale.raw == 4.0 and at[1].raw == 7.0
    assert jax.tree.structure(at) == jax.tree.structure(made)
    for part, p in zip(split(made, theta), parameters(at), strict=True):
        np.testing.assert_array_equal(part, p.raw)
    # nothing but raw values moves
    for one, other in zip(parameters(made), parameters(at), strict=True):
        np.testing.assert_array_equal(one.low, other.low)
        assert jax.tree.leaves(one.prior) == jax.tree.leaves(other.prior)
