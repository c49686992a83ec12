"""Freeze-thaw without a model: the rule by values, advice and its limits, by hand."""

import json

import pytest

from bojax.errors import SchedulerError
from bojax.history import Status
from bojax.schedulers import DONE, WAIT, freeze_thaw


def step(scheduler, value, free=8):
    """One wave: `(trial, stop)` of the jobs, all reported with `value(trial, budget)`."""
    jobs = scheduler.next_jobs(free)
    if jobs is DONE:
        return DONE
    for job in jobs:
        scheduler.report(job.trial, job.stop, value(job.trial, job.stop))
    return [(job.trial, job.stop) for job in jobs]


def begun(started, *, value=lambda trial, budget: float(trial), **settings):
    """A scheduler with so many trials trained one step each, all by advice."""
    scheduler = freeze_thaw(**{"max_budget": 9, "trials": 8, "mean_budget": 6} | settings)
    for _ in range(started):
        scheduler.prefer([None])
        step(scheduler, value)
    return scheduler


def begun_together(started, *, value=lambda trial, budget: float(trial), **settings):
    """The same in one wave."""
    scheduler = freeze_thaw(max_budget=9, trials=8, mean_budget=6, slots=started, **settings)
    scheduler.prefer([None] * started)
    step(scheduler, value)
    return scheduler


def test_the_rule_by_values_by_hand():
    """Three trials for nine epochs: one every three, and between them the best goes on.

    Values: trial 1 is best, then 0, then 2.
    """
    scheduler = freeze_thaw(max_budget=4, mean_budget=3, trials=3)
    worth = {0: 0.5, 1: 0.1, 2: 0.9}
    waves = []
    while (wave := step(scheduler, lambda trial, budget: worth[trial])) is not DONE:
        waves += wave
    assert waves == [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3), (2, 1), (1, 4), (0, 4)]


def test_the_plan_is_that_of_trials_that_improve():
    plan = freeze_thaw(max_budget=4, mean_budget=3, trials=3).plan()
    assert [(row.members, row.budget) for row in plan.rows] == [(3, 1), (2, 2), (2, 3), (2, 4)]
    assert plan.total == 9


def test_advice_is_followed():
    scheduler = begun(3)
    assert scheduler.candidates() == ([0, 1, 2], 1, 1)
    scheduler.prefer([2, None, 0, 1])
    assert step(scheduler, lambda trial, budget: 9.0) == [(2, 2)]
    scheduler.prefer([None, 2])
    assert step(scheduler, lambda trial, budget: 9.0) == [(3, 1)]


def test_slots_are_filled_in_the_order_preferred():
    scheduler = begun(3, slots=3)
    scheduler.prefer([2, None, 0, 1])
    assert step(scheduler, lambda trial, budget: 9.0) == [(2, 2), (3, 1), (0, 2)]
    assert step(begun(3, slots=2), lambda trial, budget: 9.0) != step(
        begun(3, slots=3), lambda trial, budget: 9.0
    )


def test_only_what_can_be_finished_is_trained():
    """Twelve epochs in all, three spent on begun trials: nine are left, a whole new one."""
    scheduler = begun(3, trials=4, mean_budget=3)
    assert scheduler.candidates() == ([0, 1, 2], 1, 1)
    scheduler.prefer([1])
    step(scheduler, lambda trial, budget: 9.0)
    assert scheduler.candidates() == ([0, 1, 2], 0, 1)  # eight are left: what each still needs
    scheduler.prefer([1])
    step(scheduler, lambda trial, budget: 9.0)
    assert scheduler.candidates() == ([1], 0, 1)  # seven: only the third step's


def test_beside_the_first_only_as_many_train_as_leave_it_its_budget():
    scheduler = begun(3, trials=4, mean_budget=3.5, slots=3)
    # 14 - 3 = 11 are left. Trial 0 takes one, 10 remain, of which it needs 7; 1 and 2 may, too.
    scheduler.prefer([0, 1, 2])
    assert step(scheduler, lambda trial, budget: 9.0) == [(0, 2), (1, 2), (2, 2)]
    # 8 are left; 0 takes one, 7 remain of which it needs 6; 1 takes one, 6; nobody else may.
    scheduler.prefer([0, 1, 2])
    assert step(scheduler, lambda trial, budget: 9.0) == [(0, 3), (1, 3)]
    while scheduler.candidates().frozen:
        scheduler.prefer(scheduler.candidates().frozen)
        last = step(scheduler, lambda trial, budget: 9.0)
    assert last == [(0, 9)] and scheduler.next_jobs(3) is DONE


def test_a_full_basket_stops_the_last_named():
    scheduler = begun_together(4, basket=2)
    scheduler.prefer([2, None, 0, 3, 1])
    jobs = scheduler.next_jobs(1)
    told = scheduler.report(jobs[0].trial, jobs[0].stop, 0.0)
    assert {d.trial: d.action for d in told} == {1: "stop", 2: "pause", 3: "stop"}
    assert scheduler.candidates().frozen == [0, 2]
    assert begun_together(4).candidates().frozen == [0, 1, 2, 3]


def test_who_is_not_named_is_last_in_the_basket():
    scheduler = begun_together(4, basket=3, value=lambda trial, budget: -float(trial))
    scheduler.prefer([0])  # 3 is the best of the others by value, 1 the worst
    assert scheduler.candidates().frozen == [0, 2, 3]


@pytest.mark.parametrize("order", [[7], [0, 0], [-1]])
def test_advice_for_who_is_not_frozen_is_refused(order):
    with pytest.raises(SchedulerError, match=rf"trial {order[0]}: preferred, .*candidates"):
        begun(3).prefer(order)


def test_a_lost_job_comes_first_and_takes_no_advice():
    scheduler = begun(3)
    scheduler.prefer([1])
    (lost,) = scheduler.next_jobs(1)
    assert scheduler.next_jobs(1) is WAIT
    scheduler.report(lost.trial, lost.stop, 0.0, status=Status.STALE)
    assert scheduler.candidates() == ([], 0, 1)
    assert scheduler.next_jobs(1) == [lost]


def test_advice_is_part_of_the_state():
    scheduler = begun(3)
    scheduler.prefer([2])
    again = freeze_thaw(max_budget=9, trials=8, mean_budget=6)
    again.restore(json.loads(json.dumps(scheduler.state())))
    assert again.next_jobs(1) == scheduler.next_jobs(1)
    assert again.state() == scheduler.state()


@pytest.mark.parametrize(
    ("settings", "budgets"),
    [
        ({}, [1, 2, 3, 4, 5, 6, 7]),
        ({"every": 3}, [1, 4, 7]),
        ({"min_budget": 3, "every": 2}, [3, 5, 7]),
        ({"max_budget": 54}, [*range(1, 54, 2), 54]),
    ],
)
def test_the_steps_of_a_trial(settings, budgets):
    plan = freeze_thaw(**{"max_budget": 7} | settings, trials=20).plan()
    assert [row.budget for row in plan.rows] == budgets


def test_the_budget_is_that_of_halving_or_what_is_asked_for():
    assert freeze_thaw(trials=27).plan().total == 81  # as 27@1 9@3 3@9 1@27
    assert freeze_thaw(trials=27, mean_budget=5).plan().total == 135
    assert freeze_thaw(trials=2).plan().total == 27  # one to the end, however few


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"every": 0}, "every must be"),
        ({"slots": 0}, "slots must be"),
        ({"basket": 0}, "basket must be"),
        ({"mean_budget": 0.5}, "mean_budget must be a number of at least min_budget=1"),
        ({"mean_budget": float("nan")}, "mean_budget must"),
        ({"min_budget": 28}, "lower it, or raise max_budget"),
    ],
)
def test_bad_settings_are_named(settings, words):
    with pytest.raises(SchedulerError, match=words):
        freeze_thaw(**settings)
