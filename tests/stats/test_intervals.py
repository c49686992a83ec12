"""Intervals against closed forms, against SciPy, and against what they promise."""

import math

import numpy as np
import pytest
import scipy.stats

from bojax.errors import DataError
from bojax.stats import geometric_ratio, mean_interval, paired_bootstrap, t_quantile


@pytest.mark.parametrize("degrees", [0.5, 1, 2, 3, 7, 29, 100, 1e4, 1e7])
def test_quantiles_are_scipys(degrees):
    for probability in (1e-6, 0.01, 0.3, 0.5, 0.51, 0.75, 0.975, 0.9999, 1 - 1e-6):
        expected = scipy.stats.t.ppf(probability, degrees)
        found = t_quantile(probability, degrees)
        assert found == pytest.approx(expected, rel=1e-8, abs=1e-12)


def test_quantiles_in_closed_form():
    for p in (0.6, 0.9, 0.995):
        assert t_quantile(p, 1) == pytest.approx(math.tan(math.pi * (p - 0.5)), rel=1e-12)
        u = 2 * p - 1
        assert t_quantile(p, 2) == pytest.approx(u * math.sqrt(2 / (1 - u * u)), rel=1e-12)


def test_the_mean_interval_is_scipys():
    values = np.random.default_rng(0).normal(3.0, 2.0, 11)
    for level in (0.5, 0.95, 0.99):
        found = mean_interval(values, level=level)
        expected = scipy.stats.t.interval(level, 10, values.mean(), scipy.stats.sem(values))
        assert (found.low, found.high) == pytest.approx(expected, rel=1e-9)
        assert found.mean == pytest.approx(values.mean())


def test_the_mean_interval_holds_as_often_as_it_says():
    draws = np.random.default_rng(1).normal(size=(2000, 5))
    held = [(i := mean_interval(x)).low <= 0 <= i.high for x in draws]
    assert np.mean(held) == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / 2000))


def test_the_bootstrap_is_the_normal_interval_of_many_pairs():
    random = np.random.default_rng(2)
    hard = random.normal(0.0, 50.0, 2000)  # shared by both: must cancel
    a, b = hard + random.normal(0.3, 1.0, 2000), hard
    found = paired_bootstrap(a, b, resamples=4000)
    gaps = a - b
    half = 1.959964 * gaps.std() / math.sqrt(2000)
    assert found.mean == pytest.approx(gaps.mean())
    assert found.low == pytest.approx(gaps.mean() - half, abs=half / 10)
    assert found.high == pytest.approx(gaps.mean() + half, abs=half / 10)


def test_the_bootstrap_of_two_pairs_is_known():
    # means are 0, 1/2 and 1 with probability 1/4, 1/2 and 1/4
    found = paired_bootstrap([0.0, 1.0], [0.0, 0.0], level=0.4)
    assert (found.mean, found.low, found.high) == (0.5, 0.5, 0.5)
    found = paired_bootstrap([0.0, 1.0], [0.0, 0.0], level=0.6)
    assert (found.low, found.high) == (0.0, 1.0)


def test_the_geometric_ratio_is_scipys():
    a, b = np.random.default_rng(4).lognormal(0.3, 2.0, (2, 30))
    found, turned = geometric_ratio(a, b), geometric_ratio(b, a)
    assert found.mean == pytest.approx(scipy.stats.gmean(a) / scipy.stats.gmean(b), rel=1e-12)
    assert (turned.mean, turned.low, turned.high) == pytest.approx(
        (1 / found.mean, 1 / found.high, 1 / found.low), rel=1e-12
    )
    logs = paired_bootstrap(np.log(a), np.log(b))
    assert (found.low, found.high) == pytest.approx((math.exp(logs.low), math.exp(logs.high)))


def test_chunks_do_not_show(monkeypatch):
    a, b = np.arange(10.0), np.arange(10.0) ** 2
    whole = paired_bootstrap(a, b)
    monkeypatch.setattr("bojax.stats.intervals.CHUNK", 77)
    assert paired_bootstrap(a, b) == whole


@pytest.mark.parametrize("changed", [{"level": 0.5}, {"resamples": 50}, {"seed": 1}])
def test_every_option_matters(changed):
    a, b = np.random.default_rng(3).normal(size=(2, 20))
    assert paired_bootstrap(a, b, **changed) != paired_bootstrap(a, b)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_interval([1.0]), r"values: expected at least 2 numbers .* shape \(1,\)"),
        (lambda: mean_interval([1.0, math.nan]), "values: value 1 is nan; decide what"),
        (lambda: mean_interval([1.0, 2.0], level=95), "level must be between 0 and 1, got 95"),
        (lambda: paired_bootstrap([1, 2], [1, 2, 3]), "a has 2 values and b has 3"),
        (lambda: paired_bootstrap([1, 2], [1, 2], resamples=0), "resamples must be at least 1"),
        (lambda: paired_bootstrap([1, 2], [1, 2], resamples=9.5), "a whole number; got 9.5"),
        (lambda: geometric_ratio([1, 2], [1, 0]), r"b: value 1 is 0\.0; a ratio needs"),
        (lambda: t_quantile(1.0, 3), r"probability must be in \(0, 1\)"),
        (lambda: t_quantile(0.5, 0), "degrees above 0"),
    ],
)
def test_errors_name_the_culprit(call, message):
    with pytest.raises(DataError, match=message):
        call()
