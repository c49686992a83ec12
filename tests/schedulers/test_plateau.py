"""Trials stop by their own curves, alone, and the machine goes on from its state."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bojax
from bojax.history import Status
from bojax.schedulers import DONE, plateau


def run(scheduler, curves, restart=lambda scheduler: scheduler):
    """Train every trial along its curve; trial -> budget reached."""
    reached = {}
    while (jobs := scheduler.next_jobs(100)) is not DONE:
        for job in jobs:
            assert job.start == reached.get(job.trial, 0)
            reached[job.trial] = job.stop
            scheduler.report(job.trial, job.stop, curves[job.trial][job.stop - 1])
        scheduler = restart(scheduler)
    return reached


def expected(curve, patience, delta):
    """Where one curve stops, by the definition."""
    best, since = math.inf, 0
    for budget, value in enumerate(curve, start=1):
        if math.isnan(value):
            return budget
        best, since = (value, 0) if value < best - delta else (best, since + 1)
        if since >= patience:
            return budget
    return len(curve)


@given(
    st.lists(
        st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4, math.nan]), min_size=6, max_size=6),
        min_size=1, max_size=5,
    ),
    st.integers(1, 3), st.sampled_from([0.0, 0.15]), st.sampled_from([None, 2]),
)  # fmt: skip
def test_each_trial_stops_where_its_own_curve_says(curves, patience, delta, bracket):
    def make():
        return plateau(
            max_budget=6, patience=patience, min_delta=delta, bracket=bracket, trials=len(curves)
        )

    found = run(make(), curves)
    assert found == {i: expected(curve, patience, delta) for i, curve in enumerate(curves)}

    def stored(scheduler):
        other = make()
        other.restore(json.loads(json.dumps(scheduler.state())))
        return other

    assert run(make(), curves, stored) == found


def test_looks_come_every_so_often_and_end_at_the_largest_budget():
    scheduler = plateau(max_budget=10, min_budget=3, every=4, trials=2)
    assert [row.budget for row in scheduler.plan().rows] == [3, 7, 10]
    assert scheduler.plan().total == 20


def test_a_lost_worker_is_no_look():
    scheduler = plateau(max_budget=3, patience=1, trials=1)
    (job,) = scheduler.next_jobs(1)
    (decision,) = scheduler.report(0, 1, math.nan, status=Status.STALE)
    assert decision.action == "continue" and scheduler.next_jobs(1) == [job]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"patience": 0}, "patience must be an integer of at least 1, got 0"),
        ({"every": 1.5}, "every must be an integer"),
        ({"min_delta": -0.1}, "min_delta must be a number of at least 0"),
        ({"min_delta": "a"}, "min_delta"),
        ({"min_budget": 30}, "min_budget must not exceed max_budget"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, words):
    with pytest.raises(bojax.SchedulerError, match=words):
        plateau(**settings)
