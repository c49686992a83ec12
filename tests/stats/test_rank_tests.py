"""Signed ranks and Friedman's test beside SciPy, and signed ranks by counting every sign."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import settings as options
from hypothesis import strategies as st

import bojax.stats.rank_tests as rank_tests
from bojax.errors import DataError
from bojax.stats import friedman_p_value, signed_rank_p_value

SIDES = ("greater", "less", "two-sided")


@pytest.mark.parametrize("alternative", SIDES)
@pytest.mark.parametrize("n", [1, 2, 3, 5, 13, 50, 180])
def test_without_ties_it_is_scipys_exact_one(n, alternative):
    for shift in (-0.4, 0.0, 0.6):
        d = np.random.default_rng(n).normal(shift, size=n)
        expected = scipy.stats.wilcoxon(
            d, alternative=alternative, zero_method="zsplit", method="exact"
        )
        mine = signed_rank_p_value(d, alternative=alternative)
        assert mine == pytest.approx(expected.pvalue, rel=1e-9)


def counted(d):
    """P(W at least as large) over every pattern of signs, zeros split between both sides."""
    ranked = scipy.stats.rankdata(np.abs(d))
    split = ranked[d == 0].sum() / 2
    observed = ranked[d > 0].sum() + split
    patterns = itertools.product((0, 1), repeat=int((d != 0).sum()))
    sums = [np.dot(pattern, ranked[d != 0]) + split for pattern in patterns]
    return np.mean(np.array(sums) >= observed - 1e-9)


@given(st.lists(st.sampled_from([-2.0, -1.0, 0.0, 0.0, 1.0, 1.0, 3.0]), min_size=1, max_size=9))
@options(max_examples=100, deadline=None)
def test_with_ties_and_zeros_every_sign_is_counted(values):
    d = np.array(values)
    assert signed_rank_p_value(d) == pytest.approx(counted(d), abs=1e-12)
    assert signed_rank_p_value(d, alternative="less") == pytest.approx(counted(-d), abs=1e-12)


def test_zeros_alone_say_nothing():
    for alternative in SIDES:
        assert signed_rank_p_value([0.0] * 6, alternative=alternative) == 1.0
    # A zero takes the lowest rank and no side: 1 of 4 signs, not 1 of 8.
    assert signed_rank_p_value([0.0, 1.0, 2.0]) == 0.25


@pytest.mark.parametrize("alternative", SIDES)
def test_many_differences_are_scipys_normal_ones(alternative, monkeypatch):
    rng = np.random.default_rng(0)
    d = np.round(rng.normal(0.1, size=300), 1)
    d = np.where(d == 0, 0.1, d)  # with ties, without zeros
    expected = scipy.stats.wilcoxon(
        d, alternative=alternative, zero_method="zsplit", method="asymptotic"
    )
    mine = signed_rank_p_value(d, alternative=alternative)
    assert mine == pytest.approx(expected.pvalue, rel=1e-9)
    monkeypatch.setattr(rank_tests, "EXACT", 300)
    assert signed_rank_p_value(d, alternative=alternative) == pytest.approx(mine, rel=0.02)


@pytest.mark.parametrize(("m", "k"), [(3, 2), (4, 5), (7, 10), (30, 4)])
@pytest.mark.parametrize("digits", [9, 0])
def test_friedman_beside_scipy(m, k, digits):
    x = np.round(np.random.default_rng(m).normal(size=(m, k)) + 0.3 * np.arange(m)[:, None], digits)
    expected = scipy.stats.friedmanchisquare(*x).pvalue
    assert friedman_p_value(x) == pytest.approx(expected, rel=1e-9)


def test_friedman_of_ties_and_of_two():
    assert friedman_p_value(np.ones((4, 6))) == 1.0
    # Two that agree in all of k blocks: T = k, one degree of freedom.
    assert friedman_p_value([[0.0] * 9, [1.0] * 9]) == pytest.approx(math.erfc(math.sqrt(4.5)))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: signed_rank_p_value([]), r"differences: .* shape \(0,\)"),
        (lambda: signed_rank_p_value([[1.0]]), "in a row"),
        (lambda: signed_rank_p_value([1.0, math.nan]), "value 1 is nan"),
        (lambda: signed_rank_p_value([1.0], alternative="more"), "'more'"),
        (lambda: friedman_p_value([[1.0, 2.0]]), "2 treatments or more"),
        (lambda: friedman_p_value([[1.0], [math.inf]]), r"value \(1, 0\) is inf"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(DataError, match=words):
        call()
