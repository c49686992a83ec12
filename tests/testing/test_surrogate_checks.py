"""The surrogate suite: what keeps every promise passes, what breaks one is told which."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers_testing import (
    Good,
    Posterior,
    broken_fit,
    broken_posterior,
    moments_changed,
    traced,
)

import bojax
from bojax.testing import SURROGATE_CHECKS, check_surrogate, surrogate_checks
from bojax.testing._subject import Subject


def complaints(surrogate, **settings):
    """Check -> what it says, of those that complain."""
    found = {}
    for check in surrogate_checks(surrogate, name="mine", **settings):
        try:
            check()
        except AssertionError as error:
            found[check.__name__] = str(error)
    return found


def used(data):
    return np.ones(len(data.values), bool) if data.mask is None else np.asarray(data.mask)


@pytest.mark.parametrize("check", surrogate_checks(Good(), traceable=True))
def test_a_good_surrogate_passes(check):
    check()


@pytest.mark.parametrize("check", surrogate_checks(bojax.surrogates.gp(), traceable=True))
@pytest.mark.slow
def test_the_gaussian_process_passes(check):
    check()


@pytest.mark.parametrize("check", surrogate_checks(bojax.surrogates.gp(), skip=["condition"]))
def test_the_gaussian_process_passes_on_the_host(check):
    check()


# ------------------------------------------------------------------------ broken ones


class Forgetful(Good):
    """Draws that no key fixes."""

    draws = np.random.default_rng(0)

    def fit(self, key, data, warm=None):
        values = data.values + 1e-9 * self.draws.normal(size=len(data.values))
        return super().fit(key, replace(data, values=values), warm)


class Stateful(Good):
    """Hands out itself."""

    def fit(self, key, data, warm=None):
        object.__setattr__(self, "posterior_now", super().fit(key, data, warm)[0])
        return self, None

    def mean_and_variance(self, rows):
        return self.posterior_now.mean_and_variance(rows)


class Multiplying(Good):
    """Masks by multiplication, which NaN survives."""

    def fit(self, key, data, warm=None):
        posterior, info = super().fit(key, data, warm)
        return replace(posterior, shift=posterior.shift + np.sum(0.0 * data.values)), info


class Trusting(Good):
    def check(self, data):
        pass


class Singular(Good):
    def fit(self, key, data, warm=None):
        if data.table is None and len(np.unique(data.rows, axis=0)) < len(data.rows):
            raise np.linalg.LinAlgError("matrix is singular")
        return super().fit(key, data, warm)


def without_last(self, key, data):
    mask = used(data).copy()
    mask[np.flatnonzero(mask)[-1:]] = False
    return replace(data, mask=mask)


class Strict(Trusting):
    """Lets NaN through where there is nothing to standardise."""

    def __init__(self, lines):
        object.__setattr__(self, "lines", lines)

    def fit(self, key, data, warm=None):
        posterior, info = super().fit(key, data, warm)
        if used(data).sum() == self.lines:
            posterior = replace(posterior, shift=np.nan)
        return posterior, info


def centred(self, key, data):
    kept = data.values[used(data)]
    return replace(data, values=data.values - (kept[0] if len(set(kept)) == 1 else 0.0))


def no_categories(self, key, data):
    if data.table is None:
        return data
    rows = data.rows.copy()
    rows[:, 1] = 0.0
    return replace(data, rows=rows, table=None)


def first_lines(self, key, data):
    return replace(data, mask=used(data) & (np.arange(len(data.values)) < 48))


def doubled(self, key, rows, n):
    mean = self.mean_and_variance(rows)[0]
    return mean + 2.0**0.5 * (Posterior.sample(self, key, rows, n) - mean)


def noisy_joint(self, rows):
    mean, covariance = Posterior.joint(self, rows)
    return mean, covariance + 0.1 * np.eye(len(mean))


def believing(self, rows, values):
    return Posterior.condition(self, rows, values + 0.1)


class HostOnly(Good):
    def fit(self, key, data, warm=None):
        float(data.values[0])
        return super().fit(key, data, warm)


@jax.custom_batching.custom_vmap
def alone(x):
    return x


@alone.def_vmap
def _(axis_size, batched, x):
    return (jnp.broadcast_to(x[:1], x.shape) if batched[0] else x), batched[0]


class FirstLaneOnly(Good):
    def fit(self, key, data, warm=None):
        values = alone(data.values) if traced(key, data) else data.values
        return super().fit(key, replace(data, values=values), warm)


def kinked(self, rows, mean, variance):
    if not traced(rows):
        return mean, variance
    gap = jnp.sqrt(jnp.sum((rows[:, None, :] - self.x) ** 2, axis=-1))
    return mean + 1e-9 * jnp.min(gap, axis=-1), variance


FAMILY = {"joint", "condition", "samples"}  # what agrees with mean and variance
BROKEN = {
    "shapes": (
        broken_posterior(mean_and_variance=moments_changed(lambda p, r, m, v: (m[..., None], v))),
        {check.__name__ for check in SURROGATE_CHECKS} - {"nan_rows"},
        "expected mean of shape (5,), got shape (5, 1)",
    ),
    "determinism": (Forgetful(), set(), "again"),
    "independence": (Stateful(), set(), "after another fit"),
    "masked_lines": (
        broken_fit(lambda s, k, d: replace(d, mask=None)),
        {"known_variance", "nothing_observed", "nan_values", "masked_nan"},
        "expected mean",
    ),
    "masked_nan": (Multiplying(), {"nan_values"}, "expected a finite mean, got nan"),
    "order": (broken_fit(without_last), set(), "expected mean"),
    "scale": (broken_fit(lambda s, k, d: replace(d, values=np.clip(d.values, -9, 40))), set(), ""),
    "duplicates": (Singular(), {"masked_lines"}, "got LinAlgError: matrix is singular"),
    "one_observation": (Strict(1), {"nan_rows"}, "expected a finite mean, got nan"),
    "constant_values": (broken_fit(centred), set(), "within 1 of the only value, 7"),
    "full_capacity": (broken_fit(first_lines), set(), "last lines to be fitted"),
    "nothing_observed": (Strict(0), {"nan_rows"}, "expected a finite mean, got nan"),
    "positive_variance": (
        broken_posterior(mean_and_variance=moments_changed(lambda p, r, m, v: (m, v - 0.05))),
        FAMILY | {"scale", "duplicates", "constant_values", "full_capacity", "mixed_space"},
        "expected variance above 0, got -0.0",
    ),
    "nan_values": (
        broken_fit(lambda s, k, d: replace(d, values=np.nan_to_num(d.values))),
        set(),
        "expected mean",
    ),
    "nan_rows": (Trusting(), set(), "expected an error that names row 7, got none"),
    "known_variance": (broken_fit(lambda s, k, d: replace(d, variance=None)), set(), "(masked)"),
    "learning": (
        broken_posterior(
            mean_and_variance=moments_changed(lambda p, r, m, v: (0.0 * m + p.shift, v))
        ),
        FAMILY | {"duplicates", "full_capacity", "known_variance", "mixed_space"},
        "of the constant mean's",
    ),
    "mixed_space": (broken_fit(no_categories), set(), "category c to matter"),
    "samples": (broken_posterior(sample=doubled), set(), "samples of variance"),
    "joint": (broken_posterior(joint=noisy_joint), {"condition", "samples"}, "diagonal"),
    "condition": (broken_posterior(condition=believing), set(), "expected mean"),
}
TRACED = {
    "jit": (HostOnly(), {"vmap"}, "ConcretizationTypeError"),
    "vmap": (FirstLaneOnly(), set(), "mean of lane 1"),
    "gradient": (
        broken_posterior(mean_and_variance=moments_changed(kinked)),
        set(),
        "expected a finite slope of the mean",
    ),
}


@pytest.mark.parametrize("check", BROKEN)
def test_a_broken_promise_is_told(check):
    surrogate, others, words = BROKEN[check]
    found = complaints(surrogate)
    assert found[check].startswith(f"mine: {check}: expected ")
    assert words in found[check]
    assert set(found) <= others | {check}


@pytest.mark.parametrize("check", TRACED)
def test_a_broken_promise_of_a_traceable_one_is_told(check):
    surrogate, others, words = TRACED[check]
    host = [c.__name__ for c in SURROGATE_CHECKS if c.__name__ not in TRACED]
    found = complaints(surrogate, traceable=True, skip=host)
    assert found[check].startswith(f"mine: {check}: expected ")
    assert words in found[check]
    assert set(found) <= others | {check}


def test_every_check_is_seen_to_fail():
    assert {check.__name__ for check in SURROGATE_CHECKS} == set(BROKEN) | set(TRACED)


def test_a_fit_without_info_is_told():
    class Alone(Good):
        def fit(self, key, data, warm=None):
            return super().fit(key, data, warm)[0]

    assert "fit to return (posterior, info)" in complaints(Alone())["shapes"]


def test_a_claim_is_held_and_what_is_not_there_is_passed_over():
    bare = broken_posterior(condition=None)
    assert complaints(bare) == {}
    found = complaints(bare, claims=["joint", "condition"])
    assert list(found) == ["condition"] and "'condition', got none" in found["condition"]
    wrong = broken_posterior(joint=noisy_joint)
    assert complaints(wrong, claims=[]) == {}


def test_tolerance_matters():
    assert complaints(broken_fit(without_last), tolerance=10.0) == {}


def test_all_complaints_come_together():
    with pytest.raises(AssertionError) as raised:
        check_surrogate(Multiplying())
    first, second = str(raised.value).splitlines()
    assert first.startswith("Multiplying: masked_nan: ")
    assert second.startswith("Multiplying: nan_values: ")
    check_surrogate(Good())


def test_names_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match="no check is called 'shape'; there are shapes, "):
        surrogate_checks(Good(), skip=["shape"])
    with pytest.raises(ValueError, match="claims: expected some of joint, sample, condition"):
        surrogate_checks(Good(), claims=["samples"])


def test_checks_share_their_fits():
    class Counting(Good):
        fits = 0

        def fit(self, key, data, warm=None):
            type(self).fits += 1
            return super().fit(key, data, warm)

    check_surrogate(Counting())
    examples = 19
    assert Counting.fits == examples
    assert len(Subject(Good(), "x").data("plain").values) == 12


def test_checks_carry_their_names():
    first = surrogate_checks(Good())[0]
    assert repr(first) == "<check shapes of Good>" and first.__doc__ == SURROGATE_CHECKS[0].__doc__
    assert all(check.promise.endswith(".") for check in surrogate_checks(Good(), traceable=True))
