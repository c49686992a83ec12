"""Successive halving and full budget: the paper's table, any order, failures, any restart."""

import json
import math

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from bojax.errors import SchedulerError
from bojax.history import Job, Status
from bojax.schedulers import DONE, WAIT, Scheduler, by_name, full_budget, successive_halving


def drive(scheduler, value, slots=4, order=lambda jobs: jobs, status=lambda trial: Status.DONE):
    """Run a scheduler to its end; every job done and every decision taken."""
    done, actions, waiting = [], {}, []
    while (jobs := scheduler.next_jobs(slots - len(waiting))) is not DONE:
        if jobs is not WAIT:
            waiting += jobs
        waiting = order(waiting)
        job = waiting.pop(0)
        done.append(job)
        for decision in scheduler.report(
            job.trial, job.stop, value(job.trial, job.stop), status=status(job.trial)
        ):
            actions[(decision.trial, job.stop)] = decision.action
    return done, actions


def shape(table):
    return [(row.bracket, row.members, row.budget, row.cost) for row in table.rows]


# ---------------------------------------------------------------------------- the rung table


def test_the_table_is_the_papers():
    # Li et al. (2018), table 1, bracket s = 3 of R = 27, eta = 3
    table = successive_halving(trials=27).plan()
    assert shape(table) == [(0, 27, 1, 27), (0, 9, 3, 18), (0, 3, 9, 18), (0, 1, 27, 18)]
    assert (table.total, table.total_from_scratch, table.trials) == (81, 108, 27)


def test_the_papers_bracket_of_81():
    # Li et al. (2018), table 1, bracket s = 4 of R = 81, eta = 3
    rows = successive_halving(max_budget=81, trials=81).plan().rows
    assert [(row.members, row.budget) for row in rows] == [
        (81, 1), (27, 3), (9, 9), (3, 27), (1, 81),
    ]  # fmt: skip


def test_a_smaller_last_bracket_still_reaches_the_top():
    table = successive_halving(trials=64).plan()
    assert [row.members for row in table.rows if row.bracket == 2] == [10, 3, 1, 1]
    text = str(table).splitlines()
    assert len(text) == 10
    assert text[1].split() == ["0-1", "0", "2", "x", "27", "1", "54", "54"]
    assert text[-1].split() == ["total", "64", "202", "271"]


def test_budgets_are_whole_and_end_at_the_largest():
    rows = successive_halving(min_budget=1, max_budget=20, trials=9).plan().rows
    assert [row.budget for row in rows] == [2, 7, 20]
    rows = successive_halving(eta=1.2, min_budget=1, max_budget=2, trials=2).plan().rows
    assert [row.budget for row in rows] == [1, 2]


def test_jobs_follow_the_plan():
    scheduler = successive_halving(trials=40, max_budget=9)
    jobs, _ = drive(scheduler, lambda trial, budget: trial)
    planned = [(r.budget, r.members) for r in scheduler.plan().rows]
    counts, seen = [], 0
    for budget, members in planned:
        assert {job.stop for job in jobs[seen : seen + members]} == {budget}
        counts.append(members)
        seen += members
    assert seen == len(jobs)
    assert sorted(job.trial for job in jobs if job.start == 0) == list(range(40))


# ------------------------------------------------------------------------------- decisions


def test_the_best_third_goes_on_and_ties_go_to_the_earlier_trial():
    scheduler = successive_halving(max_budget=3, trials=6, bracket=6)
    values = [0.5, 0.1, 0.1, 0.1, 0.9, 0.9]
    assert [job.trial for job in scheduler.next_jobs(99)] == list(range(6))
    for trial in (5, 3, 2, 1, 0):
        (decision,) = scheduler.report(trial, 1, values[trial])
        assert (decision.trial, decision.action) == (trial, "pause")
    decisions = scheduler.report(4, 1, values[4])
    assert [d.trial for d in decisions] == list(range(6))
    assert [d.trial for d in decisions if d.action == "promote"] == [1, 2]
    assert scheduler.next_jobs(99) == [Job(1, start=1, stop=3), Job(2, start=1, stop=3)]
    assert scheduler.next_jobs(99) is WAIT


@pytest.mark.parametrize(
    ("value", "status"),
    [(math.nan, Status.DONE), (-math.inf, Status.DONE), (0.0, Status.FAILED)],
)
def test_a_failed_trial_is_never_promoted(value, status):
    scheduler = successive_halving(max_budget=3, trials=3)
    scheduler.next_jobs(3)
    assert scheduler.report(0, 1, value, status=status)[0].action == "stop"
    scheduler.report(1, 1, 5.0)
    actions = [d.action for d in scheduler.report(2, 1, 6.0)]
    assert actions == ["stop", "promote", "stop"]


def test_a_bracket_in_which_all_failed_just_ends():
    scheduler = successive_halving(max_budget=9, trials=18)
    jobs, actions = drive(
        scheduler,
        lambda trial, budget: trial,
        status=lambda trial: Status.FAILED if trial < 9 else Status.DONE,
    )
    assert [job for job in jobs if job.trial < 9] == [Job(t, start=0, stop=1) for t in range(9)]
    assert actions[(9, 9)] == "stop"
    assert {t for t, budget in actions if budget == 9} == {9}


def test_fewer_survivors_than_places():
    scheduler = successive_halving(max_budget=3, trials=9, bracket=9)
    scheduler.next_jobs(9)
    for trial in range(9):
        decisions = scheduler.report(trial, 1, math.nan if trial else 1.0)
    assert [d.trial for d in decisions if d.action == "promote"] == [0]


def test_a_lost_worker_has_its_job_given_out_again():
    scheduler = successive_halving(max_budget=3, trials=3)
    jobs = scheduler.next_jobs(3)
    assert scheduler.outstanding == jobs
    assert scheduler.report(1, 1, math.nan, status=Status.STALE)[0].action == "continue"
    assert scheduler.outstanding == [jobs[0], jobs[2]]
    assert scheduler.next_jobs(3) == [jobs[1]]


def test_a_bracket_waits_for_the_one_before():
    scheduler = full_budget(max_budget=9, trials=5, bracket=2)
    assert len(scheduler.next_jobs(8)) == 2
    assert scheduler.next_jobs(8) is WAIT
    scheduler.report(0, 9, 1.0)
    assert scheduler.next_jobs(8) is WAIT
    scheduler.report(1, 9, 1.0)
    assert [job.trial for job in scheduler.next_jobs(8)] == [2, 3]


def test_extending_starts_new_brackets():
    scheduler = successive_halving(max_budget=3)
    scheduler.extend(3)
    assert len(drive(scheduler, lambda t, b: t)[0]) == 4
    assert scheduler.next_jobs(1) is DONE
    scheduler.extend(6)
    assert [job.trial for job in drive(scheduler, lambda t, b: t)[0]] == [3, 4, 5, 3]
    with pytest.raises(SchedulerError, match="6 are planned, got 5"):
        scheduler.extend(5)


# ---------------------------------------------------------------------- order and restarts


def quality(trial, budget):
    """A deterministic, scrambled value with ties and failures."""
    x = (trial * 7919 + 13) % 11
    return math.nan if x == 0 else float(x) / budget


@given(st.randoms(use_true_random=False), st.integers(1, 40), st.integers(1, 9))
@settings(max_examples=50, deadline=None)
def test_order_of_arrival_does_not_matter(random, trials, slots):
    def shuffled(jobs):
        random.shuffle(jobs)
        return jobs

    calm = successive_halving(trials=trials, max_budget=9)
    wild = successive_halving(trials=trials, max_budget=9)
    jobs, _ = drive(calm, quality)
    others, _ = drive(wild, quality, slots, shuffled)
    assert sorted(jobs, key=str) == sorted(others, key=str)
    assert calm.state() == wild.state()


@given(st.integers(1, 30), st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_a_restart_anywhere_changes_nothing(trials, slots):
    def make():
        return successive_halving(trials=trials, max_budget=9)

    whole, cut = make(), make()
    running = []
    while True:
        jobs = whole.next_jobs(slots)
        fresh = make()
        fresh.restore(json.loads(json.dumps(cut.state())))
        cut = fresh
        assert cut.outstanding == running
        assert cut.next_jobs(slots) == jobs
        assert cut.state() == whole.state()
        if jobs is DONE:
            break
        running = sorted(running + (jobs if jobs is not WAIT else []), key=lambda j: j.trial)
        job = running.pop()
        for scheduler in (whole, cut):
            scheduler.report(job.trial, job.stop, quality(job.trial, job.stop))
    assert cut.state() == whole.state()


# -------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    "changed",
    [{"eta": 2}, {"min_budget": 3}, {"max_budget": 81}, {"trials": 26}, {"bracket": 9}],
)
def test_every_option_matters(changed):
    usual = {"trials": 27}
    assert successive_halving(**usual).plan() != successive_halving(**usual | changed).plan()


@pytest.mark.parametrize("changed", [{"max_budget": 3}, {"trials": 4}, {"bracket": 2}])
def test_every_option_of_full_budget_matters(changed):
    usual = {"trials": 5}
    assert full_budget(**usual).plan() != full_budget(**usual | changed).plan()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"eta": 1}, "eta must be a number above 1, got 1"),
        ({"eta": math.nan}, "eta must be"),
        ({"eta": "3"}, "eta must be"),
        ({"min_budget": 9, "max_budget": 3}, r"^min_budget must not exceed max_budget, got "),
        ({"min_budget": 0}, "min_budget must be an integer of at least 1, got 0"),
        ({"max_budget": 2.5}, "max_budget must be an integer of at least 1, got 2.5"),
        ({"trials": 0}, "trials must be an integer of at least 1, got 0"),
        ({"trials": True}, "trials must be"),
        ({"bracket": 0}, "bracket must be"),
    ],
)
def test_wrong_settings_are_named(wrong, message):
    with pytest.raises(SchedulerError, match=message):
        successive_halving(**wrong)


def test_trials_have_to_be_known():
    scheduler = successive_halving()
    assert scheduler.plan(27).trials == 27
    for needs in (scheduler.plan, lambda: scheduler.next_jobs(1)):
        with pytest.raises(SchedulerError, match="number of trials is not known"):
            needs()


def test_reports_nobody_waits_for():
    scheduler = successive_halving(max_budget=9, trials=9)
    with pytest.raises(SchedulerError, match="trial 0: reported, but never started; 0 trials"):
        scheduler.report(0, 1, 0.0)
    scheduler.next_jobs(8)
    with pytest.raises(SchedulerError, match="trial 9: reported, but never started; 9 trials"):
        scheduler.report(9, 1, 0.0)
    with pytest.raises(SchedulerError, match=r"trial 8: .* no job of it runs"):
        scheduler.report(8, 1, 0.0)
    with pytest.raises(SchedulerError, match="trial 0: reported at budget 3, but it trains to 1"):
        scheduler.report(0, 3, 0.0)
    with pytest.raises(SchedulerError, match="DONE, FAILED or STALE"):
        scheduler.report(0, 1, 0.0, status=Status.PENDING)
    scheduler.report(0, 1, 0.0)
    with pytest.raises(SchedulerError, match="trial 0: budget 1 was reported before"):
        scheduler.report(0, 1, 0.0)
    scheduler.next_jobs(8)
    for trial in range(1, 9):
        scheduler.report(trial, 1, float(trial))
    with pytest.raises(SchedulerError, match=r"trial 5: .* too late: its rung is closed"):
        scheduler.report(5, 1, 0.0)
    with pytest.raises(SchedulerError, match="trial 0: budget 1 was reported before"):
        scheduler.report(0, 1, 0.0)


def test_a_state_belongs_to_its_settings():
    state = successive_halving(trials=9).state()
    with pytest.raises(SchedulerError, match=r"eta was 3 when .* got 2"):
        successive_halving(eta=2, bracket=27).restore(state)
    with pytest.raises(SchedulerError, match="upgrade bojax"):
        successive_halving().restore(state | {"version": 99})


def test_by_name():
    scheduler = by_name("successive_halving", eta=2, trials=4)
    assert isinstance(scheduler, Scheduler)
    assert scheduler.plan() == successive_halving(eta=2, trials=4).plan()
    with pytest.raises(
        SchedulerError, match=r"'halving': unknown; expected one of asha, .*, full_budget"
    ):
        by_name("halving")
    with pytest.raises(SchedulerError, match="no setting 'rungs'; expected one of eta, "):
        by_name("successive_halving", rungs=4)
