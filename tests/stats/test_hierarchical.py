"""The bootstrap over problems against all its resamples, written out, and in the long run."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bojax.errors import DataError
from bojax.stats import bootstrap_over_problems, paired_bootstrap, win_rate

INF = math.inf
RAGGED = [[0.0, 1.0, 5.0], [2.0, -3.0], [0.5]]  # differences of three problems


def every_resample(groups, score=float):
    """(statistic, probability) of each way to draw problems, and seeds of each of them."""
    means = []  # of one drawn problem: (value, probability)
    for group in groups:
        draws = list(itertools.product(group, repeat=len(group)))
        means += [(score(sum(d) / len(d)), 1 / len(draws) / len(groups)) for d in draws]
    found = {}
    for drawn in itertools.product(means, repeat=len(groups)):
        value = round(sum(v for v, _ in drawn) / len(groups), 9)
        found[value] = found.get(value, 0.0) + math.prod(p for _, p in drawn)
    return sorted(found.items())


def holds_percentiles(interval, resamples, level):
    """Each end lies between the exact quantiles a little below and above its own."""
    values, weights = np.array(resamples).T
    below = np.cumsum(weights)
    for end, q in ((interval.low, 0.5 - level / 2), (interval.high, 0.5 + level / 2)):
        least = values[np.searchsorted(below, q - 0.01)]
        most = values[np.searchsorted(below, q + 0.01)]
        assert least - 1e-9 <= end <= most + 1e-9


@pytest.mark.parametrize("level", [0.2, 0.5, 0.8, 0.95])
def test_the_interval_is_that_of_all_resamples(level):
    zeros = [[0.0] * len(group) for group in RAGGED]
    found = bootstrap_over_problems(RAGGED, zeros, level=level, resamples=40_000)
    assert found.mean == pytest.approx((2.0 - 0.5 + 0.5) / 3)
    holds_percentiles(found, every_resample(RAGGED), level)


@pytest.mark.parametrize("level", [0.2, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("of", ["pairs", "problems"])
def test_win_rates_are_those_of_all_resamples(level, of):
    a, b = [[0.0, 1.0, 5.0], [2.0, INF], [0.5]], [[1.0, 1.0, 0.0], [3.0, INF], [0.0]]
    signs = [[1, 0, -1], [1, 0], [-1]]
    sign = (lambda mean: math.copysign(1, mean) if mean else 0.0) if of == "problems" else float
    exact = [((1 + value) / 2, p) for value, p in every_resample(signs, sign)]
    found = win_rate(a, b, of=of, level=level, resamples=40_000)
    assert found.mean == pytest.approx({"pairs": (0.5 + 0.75 + 0) / 3, "problems": 0.5}[of])
    holds_percentiles(found, exact, level)


def test_many_problems_give_the_normal_interval():
    """Variance of a resample: that of the means of problems, plus that within, over counts."""
    random = np.random.default_rng(0)
    counts = random.integers(1, 7, 300)
    a = {f"p{p}": random.normal(random.normal(1, 2), 3, n) for p, n in enumerate(counts)}
    b = {name: np.zeros_like(x) for name, x in reversed(a.items())}
    means = np.array([x.mean() for x in a.values()])
    within = np.mean([x.var() / len(x) for x in a.values()])
    half = 1.959964 * math.sqrt((means.var() + within) / len(a))
    found = bootstrap_over_problems(a, b, resamples=4000)
    assert found.mean == pytest.approx(means.mean())
    assert found.low == pytest.approx(means.mean() - half, abs=half / 10)
    assert found.high == pytest.approx(means.mean() + half, abs=half / 10)


def test_one_seed_a_problem_is_the_paired_bootstrap():
    a, b = np.random.default_rng(1).normal(size=(2, 40))
    found = bootstrap_over_problems(a[:, None], b[:, None], resamples=40_000)
    plain = paired_bootstrap(a, b, resamples=40_000, seed=5)
    width = plain.high - plain.low
    assert (found.mean, found.low, found.high) == pytest.approx(
        (plain.mean, plain.low, plain.high), abs=width / 50
    )


def test_what_a_problem_adds_to_both_cancels():
    random = np.random.default_rng(2)
    a, b = random.normal(size=(2, 6, 4))
    hard = 2.0 ** random.integers(0, 8, (6, 4))
    plain, moved = bootstrap_over_problems(a, b), bootstrap_over_problems(a + hard, b + hard)
    assert (moved.low, moved.high) == pytest.approx((plain.low, plain.high), abs=1e-12)
    plain, scaled = (
        bootstrap_over_problems(s * np.exp(a), s * np.exp(b), statistic="ratio") for s in (1, hard)
    )
    assert (scaled.low, scaled.high) == pytest.approx((plain.low, plain.high), rel=1e-12)


PAIRS = st.lists(
    st.lists(st.tuples(*[st.sampled_from([0.25, 0.5, 1.0, 3.0])] * 2), min_size=1, max_size=4),
    min_size=2,
    max_size=4,
)


@settings(max_examples=25)
@given(PAIRS)
def test_the_sides_can_be_swapped(pairs):
    a, b = ([[pair[side] for pair in problem] for problem in pairs] for side in (0, 1))

    def both(method, **options):
        here, there = (method(x, y, resamples=100, **options) for x, y in ((a, b), (b, a)))
        return (here.mean, here.low, here.high), (there.mean, there.high, there.low)

    here, there = both(bootstrap_over_problems)
    assert here == pytest.approx([-x for x in there], abs=1e-12)
    here, there = both(bootstrap_over_problems, statistic="ratio")
    assert here == pytest.approx([1 / x for x in there], rel=1e-12)
    geometric = math.exp(np.mean([np.mean([math.log(x / y) for x, y in p]) for p in pairs]))
    assert here[0] == pytest.approx(geometric, rel=1e-12)
    for of in ("pairs", "problems"):
        here, there = both(win_rate, of=of)
        assert here == pytest.approx([1 - x for x in there], abs=1e-12)
        assert 0 <= here[1] <= here[2] <= 1


def test_win_rates_by_hand():
    ahead, behind = np.zeros((5, 3)), np.ones((5, 3))
    assert win_rate(ahead, behind) == win_rate(ahead, behind, of="problems")
    for a, b, rate in ((ahead, behind, 1.0), (behind, ahead, 0.0), (ahead, ahead, 0.5)):
        found = win_rate(a, b)
        assert (found.mean, found.low, found.high) == (rate, rate, rate)
    # one seed more decides a problem, whatever by how much
    a, b = [[0.0, 0.0, 1e6], [1.0]], [[1.0, 1.0, 0.0], [1.0]]
    assert win_rate(a, b).mean == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert win_rate(a, b, of="problems").mean == (1 + 1 / 2) / 2


def test_chunks_do_not_show(monkeypatch):
    a, b = RAGGED, [[x * x for x in group] for group in RAGGED]
    whole = bootstrap_over_problems(a, b, resamples=1000), win_rate(a, b, resamples=1000)
    monkeypatch.setattr("bojax.stats.hierarchical.CHUNK", 77)
    assert (
        bootstrap_over_problems(a, b, resamples=1000),
        win_rate(a, b, resamples=1000),
    ) == whole


@pytest.mark.parametrize("changed", [{"level": 0.5}, {"resamples": 50}, {"seed": 1}])
def test_every_option_matters(changed):
    a, b = np.random.default_rng(3).normal(size=(2, 6, 3))
    assert bootstrap_over_problems(a, b, **changed) != bootstrap_over_problems(a, b)
    # rates are coarse, so that another seed may give the same ends
    if "seed" not in changed:
        assert win_rate(a, b, **changed) != win_rate(a, b)


@pytest.mark.parametrize("method", [bootstrap_over_problems, win_rate])
@pytest.mark.parametrize(
    ("a", "b", "options", "message"),
    [
        ([[1], [2]], [[1]], {}, "b: problem 1 is missing"),
        ({"x": [1], "y": [2]}, {"x": [1], "z": [2]}, {}, "a: problem 'z' is missing"),
        ({"x": [1], "y": [2]}, [[1], [2]], {}, "both be mappings of problems or both be arrays"),
        ([[1, 2]], [[1, 2]], {}, "at least 2 of them, got 1; .* ask paired_bootstrap"),
        ([[1], [2]], [[1], [2, 3]], {}, r"problem 1: .* shapes \(1,\) and \(2,\)"),
        ([1, 2], [1, 2], {}, r"problem 0: expected one value a seed .* shapes \(\) and \(\)"),
        ([[1], []], [[1], []], {}, r"problem 1: .* shapes \(0,\)"),
        ([[1], ["x"]], [[1], [2]], {}, "a, problem 1: expected an array of numbers"),
        ({"x": [1], "y": [2, 3]}, {"x": [1], "y": [2, math.nan]}, {}, "'y', seed 1 is nan"),
        ([[1], [2]], [[1], [2]], {"level": 95}, "level must be between 0 and 1, got 95"),
        ([[1], [2]], [[1], [2]], {"resamples": 0}, "resamples must be at least 1"),
    ],
)
def test_errors_name_the_culprit(method, a, b, options, message):
    with pytest.raises(DataError, match=message):
        method(a, b, **options)


def test_errors_of_one_statistic():
    a, b = [[1.0], [2.0]], [[1.0], [INF]]
    with pytest.raises(DataError, match="b: problem 1, seed 0 is inf; decide what a failure"):
        bootstrap_over_problems(a, b)
    with pytest.raises(DataError, match=r"a: problem 0, seed 0 is 0\.0; a ratio needs"):
        bootstrap_over_problems([[0.0], [1.0]], a, statistic="ratio")
    with pytest.raises(DataError, match='must be "difference" or "ratio", got \'mean\''):
        bootstrap_over_problems(a, a, statistic="mean")
    with pytest.raises(DataError, match='of must be "pairs" or "problems", got \'seeds\''):
        win_rate(a, a, of="seeds")
