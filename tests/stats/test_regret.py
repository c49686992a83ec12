"""Regret against hand-made runs, against SciPy's ranks, and against what it must never do."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from bojax.errors import DataError
from bojax.stats import (
    TARGETS,
    best_so_far,
    hit_fraction,
    log_regret,
    log_regret_area,
    normalised_regret,
    ranks,
    time_to_target,
)

NAN, INF = math.nan, math.inf
VALUES = st.one_of(st.just(NAN), st.floats(-1e3, 1e3))
REGRETS = st.one_of(st.sampled_from([0.0, INF, 1.0, 1e-4]), st.floats(1e-7, 30.0))


def runs(elements, dims=2):
    return arrays(float, array_shapes(min_dims=1, max_dims=dims, max_side=8), elements=elements)


@given(runs(VALUES))
def test_the_best_so_far_is_the_least_of_every_prefix(values):
    best = best_so_far(values)
    for i in range(values.shape[-1]):
        prefix = np.where(np.isnan(values), INF, values)[..., : i + 1]
        assert np.array_equal(best[..., i], prefix.min(axis=-1))


def test_a_run_by_hand():
    values = [NAN, 9.0, 12.0, NAN, 3.0, 0.9999]
    expected = [INF, 2.0, 2.0, 2.0, 0.5, 0.0]  # the optimum missed by rounding only
    assert normalised_regret(values, 1.0, 5.0).tolist() == expected
    assert normalised_regret(values, 1.0, 5.0, evaluations=8).tolist() == [*expected, 0.0, 0.0]
    assert normalised_regret(values, 1.0, 5.0, evaluations=3).tolist() == expected[:3]


def test_a_run_without_a_value_is_infinitely_far():
    assert normalised_regret([], 0.0, 1.0, evaluations=3).tolist() == [INF] * 3
    assert normalised_regret([NAN, NAN], 0.0, 1.0, evaluations=3).tolist() == [INF] * 3
    assert normalised_regret([], 0.0, 1.0).shape == (0,)


def test_runs_have_their_own_optimum_and_reference():
    values = np.array([[3.0, 1.0], [3.0, 1.0]])
    both = normalised_regret(values, [0.0, 1.0], [3.0, 5.0], evaluations=3)
    for run, (low, high) in enumerate([(0.0, 3.0), (1.0, 5.0)]):
        alone = normalised_regret(values[run], low, high, evaluations=3)
        assert np.array_equal(both[run], alone)
    assert np.array_equal(normalised_regret(values, 0.0, [3.0, 5.0])[:, 0], [1.0, 0.6])


@given(runs(VALUES), st.floats(-50, 50), st.floats(0.01, 100), st.floats(-9, 9), st.floats(0.1, 9))
def test_regret_has_no_unit(values, optimum, gap, shift, scale):
    regret = normalised_regret(values, optimum, optimum + gap)
    moved = normalised_regret(
        shift + scale * values, shift + scale * optimum, shift + scale * (optimum + gap)
    )
    np.testing.assert_allclose(moved, regret, rtol=1e-9, atol=1e-9 * (1 + 1 / gap))
    assert (regret >= 0).all() and (regret[..., :-1] >= regret[..., 1:]).all()


@given(runs(REGRETS))
def test_log_regret_is_bounded_and_in_order(regret):
    logs = log_regret(regret)
    assert (logs >= -4).all() and (logs <= 0).all()
    inside = (regret >= 1e-4) & (regret <= 1)
    np.testing.assert_allclose(10.0 ** logs[inside], regret[inside], rtol=1e-12)
    assert (np.diff(logs.ravel()[np.argsort(regret.ravel())]) >= 0).all()


def test_a_failure_counts_as_a_blind_point_and_never_pays():
    """Failing first is no better than any first success, and no worse than a bad one."""
    failed, bad, good = ([INF, 0.1], [30.0, 0.1], [0.9, 0.1])
    areas = [log_regret_area(run) for run in (failed, bad, good)]
    assert areas == [-0.5, -0.5, (math.log10(0.9) - 1) / 2]


def test_bounds_of_log_regret_can_be_chosen():
    assert log_regret([INF, 5.0, 0.0], floor=1e-2, ceiling=100).tolist() == pytest.approx(
        [2.0, math.log10(5), -2.0]
    )
    # a geometric curve r^i has the mean log10(r) (n - 1) / 2
    curve = 0.5 ** np.arange(11.0)
    assert log_regret_area(curve) == pytest.approx(-5 * math.log10(2), rel=1e-12)
    areas = log_regret_area(np.stack([curve, curve**0.5]))
    assert areas.tolist() == pytest.approx([-5 * math.log10(2), -2.5 * math.log10(2)])
    assert log_regret_area(curve, floor=0.5) == pytest.approx(-10 / 11 * math.log10(2))


def test_time_to_target_by_hand():
    regret = [[INF, 0.5, 0.1, 0.1], [0.05, 0.0, 0.0, 0.0], [0.9, 0.9, 0.9, 0.9]]
    assert time_to_target(regret, 0.1).tolist() == [3, 1, INF]  # at the target is reached
    clock = [[0.5, 1.5, 4.0, 4.5], [0.1, 0.2, 0.3, 0.4], [1.0, 2.0, 3.0, 4.0]]
    assert time_to_target(regret, 0.1, clock).tolist() == [4.0, 0.1, INF]
    assert time_to_target([0.5, 0.1, 0.1, 0.1], 0.1, [0.5, 1.5]) == 1.5  # it ended early
    assert time_to_target([], 0.1) == INF
    assert time_to_target([], 0.1, []) == INF


@given(runs(REGRETS), REGRETS)
def test_evaluations_are_a_clock_that_ticks_once_each(regret, target):
    ticks = np.broadcast_to(np.arange(1.0, regret.shape[-1] + 1), regret.shape)
    counted, clocked = time_to_target(regret, target), time_to_target(regret, target, ticks)
    np.testing.assert_array_equal(counted, clocked)


@given(runs(REGRETS, dims=3), st.lists(REGRETS, min_size=1, max_size=6))
def test_hits_are_the_times_to_the_targets(regrets, targets):
    """The curve is the empirical distribution function of the times of all pairs."""
    times = np.array([time_to_target(regrets, target) for target in targets])
    fractions = hit_fraction(regrets, targets)
    for i, fraction in enumerate(fractions):
        assert fraction == pytest.approx(np.mean(times <= i + 1), abs=1e-12)
    assert (np.diff(fractions) >= 0).all()


@given(runs(REGRETS))
def test_hits_of_a_fine_grid_are_the_log_regret(regrets):
    """Uniform targets in the logarithm: the part of the four decades that is behind."""
    best = np.minimum.accumulate(regrets, axis=-1).reshape(-1, regrets.shape[-1])
    behind = -log_regret(best).mean(axis=0) / 4
    assert np.abs(hit_fraction(regrets) - behind).max() <= 1 / 40


def test_default_targets():
    assert len(TARGETS) == 41
    np.testing.assert_allclose(np.log10(TARGETS), np.linspace(0, -4, 41), atol=1e-12)


@given(arrays(float, st.tuples(st.integers(1, 5), st.integers(1, 6)), elements=REGRETS))
def test_ranks_are_scipys(values):
    expected = scipy.stats.rankdata(values, axis=0).mean(axis=1)
    np.testing.assert_allclose(ranks(values), expected, rtol=1e-12)


@given(arrays(float, (4, 3, 2), elements=VALUES), st.sampled_from(["worst", "leave out"]))
def test_ranks_of_missing_runs(values, missing):
    methods, absent = len(values), np.isnan(values).any(axis=(0, 2))
    if missing == "leave out":
        if absent.all():
            with pytest.raises(DataError, match="no problem on which every method"):
                ranks(values, missing=missing)
            return
        expected = scipy.stats.rankdata(values[:, ~absent], axis=0)
    else:  # what is missing, put behind everything by hand
        expected = scipy.stats.rankdata(np.where(np.isnan(values), 1e9, values), axis=0)
    found = ranks(values, missing=missing)
    np.testing.assert_allclose(found, expected.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(found.sum(axis=0), methods * (methods + 1) / 2)


def test_ranks_keep_the_names():
    found = ranks({"gp": [1.0, 2.0], "random": [3.0, 2.0]})
    assert {name: float(rank) for name, rank in found.items()} == {"gp": 1.25, "random": 1.75}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: best_so_far(3.0), "values: expected evaluations in a row"),
        (lambda: best_so_far([1.0, -INF]), "values: evaluation 1 is -inf"),
        (lambda: best_so_far([[1.0], [1.0, 2.0]]), "values: expected an array of numbers"),
        (lambda: normalised_regret([1.0], 0.0, 0.0), "reference=0.0 and optimum=0.0; take"),
        (
            lambda: normalised_regret([[1.0], [1.0]], [0.0, 2.0], [1.0, 1.5]),
            "reference=1.5 and optimum=2.0",
        ),
        (lambda: normalised_regret([1.0], NAN, 1.0), "optimum must be finite, got nan"),
        (lambda: normalised_regret([1.0], 0.0, INF), "reference must be finite, got inf"),
        (lambda: normalised_regret([1.0], [0.0], 1.0), r"optimum: .* one a run \(\)"),
        (lambda: normalised_regret([1.0], 0, 1, evaluations=0), "evaluations must be at least 1"),
        (lambda: log_regret([1.0, NAN]), "regret: evaluation 1 is nan; expected at least 0"),
        (lambda: log_regret([[1.0], [-0.1]]), r"evaluation \(1, 0\) is -0.1"),
        (lambda: log_regret([1.0], floor=0.0), "0 < floor < ceiling < inf, got 0.0 and 1.0"),
        (lambda: log_regret([1.0], ceiling=INF), "got 0.0001 and inf"),
        (lambda: log_regret_area([]), "at least one evaluation"),
        (lambda: time_to_target([1.0], NAN), "target must be a regret, got nan"),
        (lambda: time_to_target([1.0], 0.5, [[1.0]]), r"shape \(1,\) of regret, got \(1, 1\)"),
        (lambda: time_to_target([1.0], 0.5, [1.0, 2.0]), r"seconds: expected shape \(1,\)"),
        (lambda: time_to_target([1.0, 0.1], 0.5, [1.0]), "seconds: none is given"),
        (lambda: hit_fraction([[1.0]], []), "targets: expected regrets"),
        (lambda: hit_fraction([[1.0]], [NAN]), "targets: expected regrets"),
        (lambda: hit_fraction(np.zeros((0, 3))), r"at least one run .* got \(0, 3\)"),
        (lambda: ranks([[1.0, NAN]]), "method 0: no value on problem 1"),
        (lambda: ranks({"gp": [1.0], "ax": [NAN]}), "method 'ax': no value on problem 0"),
        (lambda: ranks([1.0, 2.0]), r"\[methods, problems, ...\], got shape \(2,\)"),
        (lambda: ranks([[1.0]], missing="ignore"), "missing must be .* got 'ignore'"),
    ],
)
def test_errors_name_the_culprit(call, message):
    with pytest.raises(DataError, match=message):
        call()
