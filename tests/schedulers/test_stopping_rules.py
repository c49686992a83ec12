"""Median and percentile stopping: by hand and beside NumPy's quantiles."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as options
from hypothesis import strategies as st

from bojax.errors import SchedulerError
from bojax.schedulers import DONE, median, percentile


def run(scheduler, curves, restart=lambda scheduler: scheduler):
    """Train every trial along its curve; trial -> budget reached."""
    reached = {}
    while (jobs := scheduler.next_jobs(100)) is not DONE:
        for job in jobs:
            assert job.start == reached.get(job.trial, 0)
            reached[job.trial] = job.stop
            scheduler.report(job.trial, job.stop, curves[job.trial][job.stop - 1])
        scheduler = restart(scheduler)
    return [reached[trial] for trial in range(len(curves))]


def test_a_median_trace_by_hand():
    curves = [
        [5.0, 4.0, 3.0],  # behind the median of 1, 2, 4, 6 (3) at once
        [1.0, 4.5, 9.0],  # its best of 1 carries it through both looks
        [2.0, 2.0, 2.0],
        [4.0, 1.0, 1.0],  # behind the median of 1, 2, 5, 6 (3.5), though it would have been best
        [6.0, 1.0, 1.0],
    ]
    assert run(median(max_budget=3, startup=2, trials=5), curves) == [1, 3, 3, 1, 1]
    # At budget 2 there are only two, fewer than two others of each: nobody is judged there.
    late = [[5.0, 9.0, 0.0], [1.0, 1.0, 0.0], [2.0, 3.0, 0.0], [3.0, 2.0, 0.0]]
    assert run(median(max_budget=3, startup=2, trials=4), late) == [1, 3, 3, 1]
    assert run(median(max_budget=3, startup=1, trials=4), late) == [1, 3, 2, 1]
    # The smallest budget is a warm-up.
    assert run(median(max_budget=3, min_budget=2, startup=3, trials=4), late) == [2, 3, 2, 3]


def expected(curves, share, startup, size):
    """Budgets reached, by the definition."""
    reached, seen, best = {}, {}, {}
    for first in range(0, len(curves), size):
        going = list(range(first, min(first + size, len(curves))))
        for look in range(len(curves[0])):
            values = {t: curves[t][look] for t in going}
            reached.update(dict.fromkeys(going, look + 1))
            values = {t: v for t, v in values.items() if not math.isnan(v)}
            seen.setdefault(look, {}).update(values)
            going = []
            for trial, value in values.items():
                best[trial] = min(value, best.get(trial, math.inf))
                others = [v for t, v in seen[look].items() if t != trial]
                if len(others) < startup or best[trial] <= (np.quantile(others, share) + 1e-12):
                    going.append(trial)
    return [reached[trial] for trial in range(len(curves))]


@given(
    st.lists(
        st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5, math.nan]), min_size=4, max_size=4),
        min_size=1, max_size=9,
    ),
    st.sampled_from([0.0, 20.0, 25.0, 50.0, 100.0]), st.integers(1, 4), st.integers(1, 9),
)  # fmt: skip
@options(max_examples=150, deadline=None)
def test_who_stops_is_who_is_behind_the_quantile_of_the_others(curves, percent, startup, size):
    def make():
        shared = {"max_budget": 4, "startup": startup, "bracket": size, "trials": len(curves)}
        return median(**shared) if percent == 50 else percentile(percentile=percent, **shared)

    found = run(make(), curves)
    assert found == expected(curves, percent / 100, startup, size)

    def stored(scheduler):
        other = make()
        other.restore(json.loads(json.dumps(scheduler.state())))
        return other

    assert run(make(), curves, stored) == found


def test_the_first_ones_are_startup_trials():
    curves = [[float(i)] * 3 for i in range(10)]
    found = run(median(max_budget=3, startup=5, bracket=5, trials=10), curves)
    assert found == [3] * 5 + [1] * 5  # the second five are behind the first


def test_looks_come_every_so_often_and_end_at_the_largest_budget():
    scheduler = median(max_budget=10, min_budget=3, every=4, trials=2)
    assert [row.budget for row in scheduler.plan().rows] == [3, 7, 10]


def test_of_several_metrics_the_first_counts():
    scheduler = median(max_budget=2, startup=1, trials=2)
    scheduler.next_jobs(2)
    scheduler.report(0, 1, (0.1, 9.0))
    decisions = scheduler.report(1, 1, (0.2, 0.0))
    assert [decision.action for decision in decisions] == ["promote", "stop"]


@pytest.mark.parametrize(
    "changed",
    [{"max_budget": 5}, {"min_budget": 3}, {"every": 2}, {"startup": 4}, {"bracket": 3},
     {"percentile": 50}],
)  # fmt: skip
def test_every_option_matters(changed):
    curves = [[((7 * i + 3 * b) % 11) / (b + 1) for b in range(6)] for i in range(8)]
    usual = {"max_budget": 6, "trials": 8, "startup": 1, "percentile": 60}
    one, other = percentile(**usual), percentile(**usual | changed)
    assert run(one, curves) != run(other, curves)


def test_the_median_is_the_percentile_of_50():
    curves = [[((7 * i + 3 * b) % 11) / (b + 1) for b in range(6)] for i in range(8)]
    usual = {"max_budget": 6, "trials": 8}
    assert run(median(**usual), curves) == run(percentile(percentile=50, **usual), curves)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"min_budget": 30}, "min_budget must not exceed max_budget"),
        ({"every": 0}, "every must be an integer of at least 1, got 0"),
        ({"startup": 0}, "startup must be an integer of at least 1, got 0"),
        ({"bracket": 0}, "bracket must be an integer"),
        ({"percentile": 101}, "percentile must be a number from 0 to 100, got 101"),
        ({"percentile": "25"}, "percentile must be a number"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong, words):
    with pytest.raises(SchedulerError, match=words):
        percentile(**wrong)
    if "percentile" not in wrong:
        with pytest.raises(SchedulerError, match=words):
            median(**wrong)
