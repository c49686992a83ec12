"""ASHA: both modes by hand and beside the paper's and Ray's rules, brackets and slots."""

import json
import math
import random

import numpy as np
import pytest

from bojax.errors import SchedulerError
from bojax.history import Job, Status
from bojax.schedulers import DONE, WAIT, asha


def told(scheduler, trial, budget, value, **status):
    """The decisions of a report as a dict."""
    found = scheduler.report(trial, budget, value, **status)
    return {decision.trial: decision.action for decision in found}


def drive(scheduler, value, slots, seed=0, restart=lambda scheduler: scheduler):
    """Workers that finish in a random order: ("job" or "report", trial, budget), in order."""
    draw, running, events = random.Random(seed), [], []
    while True:
        jobs = scheduler.next_jobs(slots - len(running))
        if jobs is DONE:
            return events
        if jobs is not WAIT:
            running += jobs
            events += [("job", job.trial, job.stop) for job in jobs]
        job = running.pop(draw.randrange(len(running)))
        scheduler.report(job.trial, job.stop, value(job.trial, job.stop))
        events.append(("report", job.trial, job.stop))
        scheduler = restart(scheduler)


def noisy(trial, budget):
    return random.Random(1000 * trial + budget).random()


# ------------------------------------------------------------------------------- promotion


def test_a_trace_by_hand():
    """Two slots, eta = 2, budgets 1, 2, 4; the trace was worked out on paper."""
    scheduler = asha(max_budget=4, eta=2, trials=6)
    assert scheduler.next_jobs(2) == [Job(0, 0, 1), Job(1, 0, 1)]
    assert scheduler.next_jobs(0) is WAIT
    assert told(scheduler, 0, 1, 0.5) == {0: "pause"}
    assert scheduler.next_jobs(1) == [Job(2, 0, 1)]  # floor(1 / 2) may go on: nobody
    assert told(scheduler, 1, 1, 0.9) == {1: "pause"}
    assert scheduler.next_jobs(1) == [Job(0, 1, 2)]  # the best of two
    assert told(scheduler, 2, 1, 0.3) == {2: "pause"}
    assert scheduler.next_jobs(1) == [Job(2, 1, 2)]  # the best of three: 0 went too early
    assert told(scheduler, 0, 2, 0.4) == {0: "pause"}
    assert scheduler.next_jobs(1) == [Job(3, 0, 1)]
    assert told(scheduler, 2, 2, 0.45) == {2: "pause"}
    assert scheduler.next_jobs(1) == [Job(0, 2, 4)]  # the top rung first
    assert told(scheduler, 3, 1, 0.95) == {3: "stop"}  # the fourth of six, whatever comes
    assert scheduler.next_jobs(1) == [Job(4, 0, 1)]
    assert told(scheduler, 0, 4, 0.1) == {0: "stop"}
    assert scheduler.next_jobs(1) == [Job(5, 0, 1)]
    assert told(scheduler, 4, 1, 0.6) == {1: "stop", 4: "pause"}
    assert scheduler.next_jobs(1) is WAIT
    assert told(scheduler, 5, 1, 0.2) == {4: "stop", 5: "pause"}
    assert scheduler.next_jobs(2) == [Job(5, 1, 2)]
    assert told(scheduler, 5, 2, 0.42) == {2: "stop", 5: "stop"}
    assert scheduler.next_jobs(2) is DONE


def algorithm_2(trials, budgets, eta, value, slots, seed):
    """Li et al. (2020), algorithm 2, with lists; what `drive` would see."""
    rungs, promoted = [{} for _ in budgets], [set() for _ in budgets]
    draw, running, events, started = random.Random(seed), [], [], 0
    while True:
        while len(running) < slots:
            for k in reversed(range(len(budgets) - 1)):
                best = sorted(rungs[k], key=rungs[k].get)[: len(rungs[k]) // eta]
                able = [trial for trial in best if trial not in promoted[k]]
                if able:
                    promoted[k].add(able[0])
                    running.append((able[0], k + 1))
                    break
            else:
                if started == trials:
                    break
                running.append((started, 0))
                started += 1
            events.append(("job", running[-1][0], budgets[running[-1][1]]))
        if not running:
            return events
        trial, k = running.pop(draw.randrange(len(running)))
        rungs[k][trial] = value(trial, budgets[k])
        events.append(("report", trial, budgets[k]))


@pytest.mark.parametrize("eta", [2, 3])
@pytest.mark.parametrize("slots", [1, 2, 7])
@pytest.mark.parametrize("seed", range(4))
def test_promotions_are_those_of_algorithm_2(eta, slots, seed):
    budgets = [eta**k for k in range(4)]
    expected = algorithm_2(60, budgets, eta, noisy, slots, seed)
    found = drive(asha(max_budget=budgets[-1], eta=eta, trials=60), noisy, slots, seed)
    assert found[: len(expected)] == expected
    # What comes after is the one trial that has to reach the top, if none did.
    rest = {trial for _, trial, _ in found[len(expected) :]}
    assert len(rest) <= 1 and max(budget for _, _, budget in found) == budgets[-1]


def test_one_trial_reaches_the_top_however_few_there_are():
    for trials in (1, 2, 5):
        events = drive(asha(max_budget=27, trials=trials), noisy, 3)
        best = min(range(trials), key=lambda trial: noisy(trial, 1))
        assert [e for e in events if e[2] == 27] == [("job", best, 27), ("report", best, 27)]


def test_a_failed_trial_counts_in_its_rung_and_never_goes_on():
    scheduler = asha(max_budget=3, trials=6)
    scheduler.next_jobs(6)
    assert told(scheduler, 0, 1, 0.0, status=Status.FAILED) == {0: "stop"}
    assert told(scheduler, 1, 1, math.nan) == {1: "stop"}
    assert scheduler.next_jobs(1) is WAIT
    assert told(scheduler, 2, 1, 9.0) == {2: "pause"}
    assert scheduler.next_jobs(1) == [Job(2, 1, 3)]


def test_ties_go_to_the_earlier_trial():
    scheduler = asha(max_budget=3, trials=6)
    scheduler.next_jobs(3)
    for trial in (2, 1, 0):
        scheduler.report(trial, 1, 0.5)
    assert scheduler.next_jobs(1) == [Job(0, 1, 3)]


def test_several_metrics_are_ranked_by_fronts():
    scheduler = asha(max_budget=3, trials=9)
    scheduler.next_jobs(9)
    values = [(5, 5), (6, 6), (1, 9), (9, 1), (4, 4), (7, 7), (3, 3.5), (8, 8), (2.9, 6)]
    for trial, value in enumerate(values):
        scheduler.report(trial, 1, value)
    # The front is 2, 3, 6 and 8; of the inner ones, 6 has the larger box around it.
    assert {job.trial for job in scheduler.next_jobs(9)} == {2, 3, 6}
    with pytest.raises(SchedulerError, match="trial 2: reported 1 metrics, others 2"):
        scheduler.report(6, 3, (1.0, 1.0))
        scheduler.report(2, 3, 1.0)


# -------------------------------------------------------------------------------- stopping


def test_a_stopping_trace_by_hand():
    """eta = 2: who is behind the median of those before stops; the first passes."""
    scheduler = asha(max_budget=4, eta=2, mode="stopping", trials=4)
    assert scheduler.next_jobs(1) == [Job(0, 0, 1)]
    assert told(scheduler, 0, 1, 0.5) == {0: "promote"}
    assert scheduler.next_jobs(2) == [Job(0, 1, 2), Job(1, 0, 1)]
    assert told(scheduler, 1, 1, 0.6) == {1: "pause"}
    assert scheduler.next_jobs(1) == [Job(2, 0, 1)]  # 1 is behind 0.5
    assert told(scheduler, 2, 1, 0.55) == {1: "stop", 2: "pause"}
    assert scheduler.next_jobs(1) == [Job(2, 1, 2)]  # the median of 0.5, 0.6 is 0.55
    assert told(scheduler, 2, 2, 0.1) == {2: "pause"}
    assert scheduler.next_jobs(1) == [Job(2, 2, 4)]
    assert told(scheduler, 0, 2, 0.2) == {0: "pause"}
    assert told(scheduler, 2, 4, 0.1) == {0: "stop", 2: "stop"}
    assert scheduler.next_jobs(9) == [Job(3, 0, 1)]
    assert told(scheduler, 3, 1, 0.551) == {3: "stop"}
    assert scheduler.next_jobs(9) is DONE


@pytest.mark.parametrize("eta", [2, 3, 4])
@pytest.mark.parametrize("slots", [1, 5])
def test_stopping_follows_rays_rule(eta, slots):
    budgets = [eta**k for k in range(4)]
    scheduler = asha(max_budget=budgets[-1], eta=eta, mode="stopping", trials=60)
    events = drive(scheduler, noisy, slots)
    recorded = {budget: [] for budget in budgets}
    jobs = {(trial, budget) for what, trial, budget in events if what == "job"}
    passed = 0
    for what, trial, budget in events:
        if what == "job" or budget == budgets[-1]:
            continue
        seen, value = recorded[budget], noisy(trial, budget)
        cutoff = np.percentile([-v for v in seen], 100 * (1 - 1 / eta)) if seen else -math.inf
        goes_on = (trial, budgets[budgets.index(budget) + 1]) in jobs
        assert goes_on == (-value >= cutoff)
        passed += goes_on
        seen.append(value)
    assert 0 < passed < len(jobs)


def test_reports_that_come_together_are_judged_by_number():
    scheduler = asha(max_budget=3, mode="stopping", trials=3)
    scheduler.next_jobs(3)
    assert told(scheduler, 2, 1, 0.3) == {2: "pause"}
    assert told(scheduler, 1, 1, 0.9) == {1: "pause"}
    assert told(scheduler, 0, 1, 0.5) == {0: "promote", 1: "stop", 2: "promote"}


# ------------------------------------------------------------------------ brackets, slots


def test_brackets_start_later_and_share_trials_as_in_ray():
    scheduler = asha(max_budget=27, brackets=3, trials=200)
    rows = scheduler.plan().rows
    budgets = [[r.budget for r in rows if r.bracket == s] for s in range(3)]
    assert budgets == [[1, 3, 9, 27], [3, 9, 27], [9, 27]]
    weights = np.exp([4.0, 3.0, 2.0])  # numpy's choice in Ray, by numbers of rungs
    sizes = [next(r.members for r in rows if r.bracket == s) for s in range(3)]
    np.testing.assert_allclose(sizes, 200 * weights / weights.sum(), atol=1)
    first = {trial: stop for what, trial, stop in reversed(drive(scheduler, noisy, 4))}
    assert sum(stop == 9 for stop in first.values()) == sizes[2]
    # More trials leave those before where they were.
    assert scheduler.plan(100).rows[0].members + 50 < sizes[0]
    before = asha(max_budget=27, brackets=3, trials=50)
    before.extend(200)
    assert before.plan() == scheduler.plan()


def test_slots_make_waves():
    def waves(slots):
        scheduler = asha(max_budget=9, slots=slots, trials=18)
        sizes = []
        while (jobs := scheduler.next_jobs(2**31 - 1)) is not DONE:
            sizes.append([job.stop for job in jobs])
            for job in jobs:
                scheduler.report(job.trial, job.stop, float(job.trial))
        return sizes

    assert waves(None)[0] == [1] * 18
    # Rising values: of 6, 10, 14 and 18 reports the first 2, 3, 4 and 6 go on; of those, a third.
    assert waves(6) == [
        [1] * 6, [3, 3, 1, 1, 1, 1], [3, 1, 1, 1, 1, 1], [9, 3, 3, 1, 1, 1], [3], [9],
    ]  # fmt: skip
    assert max(map(len, waves(6))) == 6


@pytest.mark.parametrize("mode", ["promotion", "stopping"])
def test_a_restart_after_every_report_changes_nothing(mode):
    def make():
        return asha(max_budget=27, mode=mode, brackets=2, trials=40)

    def stored(scheduler):
        fresh = make()
        fresh.restore(json.loads(json.dumps(scheduler.state())))
        return fresh

    assert drive(make(), noisy, 5, restart=stored) == drive(make(), noisy, 5)


def test_more_trials_do_not_wake_those_that_were_stopped():
    scheduler = asha(max_budget=3, trials=3)
    drive(scheduler, lambda trial, budget: trial, 1)
    scheduler.extend(30)
    events = drive(scheduler, lambda trial, budget: trial, 1)
    assert min(trial for _, trial, _ in events) == 3
    # 0, 1 and 2 are the best and hold their places among the ten of thirty.
    assert {t for what, t, stop in events if stop == 3} == set(range(3, 10))


def test_ten_thousand_trials_are_no_matter():
    scheduler = asha(max_budget=27, trials=10_000)
    events = drive(scheduler, noisy, 16)
    assert len({trial for _, trial, _ in events}) == 10_000


# -------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    "changed",
    [{"max_budget": 9}, {"min_budget": 3}, {"eta": 2}, {"mode": "stopping"}, {"brackets": 2},
     {"slots": 2}],
)  # fmt: skip
def test_every_option_matters(changed):
    usual = {"trials": 30}
    one, other = asha(**usual), asha(**usual | changed)
    assert drive(one, noisy, 4) != drive(other, noisy, 4)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"eta": 1.0}, "eta must be a number above 1, got 1.0"),
        ({"min_budget": 9, "max_budget": 3}, r"^min_budget must not exceed max_budget, got "),
        ({"mode": "stop"}, "mode must be one of promotion, stopping, got 'stop'"),
        ({"brackets": 0}, "brackets must be an integer of at least 1, got 0"),
        ({"brackets": 5}, "brackets must be at most 4, one for each .* 1, 3, 9, 27, got 5"),
        ({"slots": 0}, "slots must be an integer of at least 1, got 0"),
        ({"trials": -1}, "trials must be an integer of at least 1"),
    ],
)
def test_wrong_settings_are_named(wrong, message):
    with pytest.raises(SchedulerError, match=message):
        asha(**wrong)


def test_reports_nobody_waits_for():
    scheduler = asha(max_budget=3, trials=4)
    with pytest.raises(SchedulerError, match="number of trials is not known"):
        asha().next_jobs(1)
    scheduler.next_jobs(2)
    with pytest.raises(SchedulerError, match="trial 2: reported, but never started; 2 trials"):
        scheduler.report(2, 1, 0.0)
    with pytest.raises(SchedulerError, match="trial 0: reported at budget 3, but it trains to 1"):
        scheduler.report(0, 3, 0.0)
    scheduler.report(0, 1, 0.0)
    with pytest.raises(SchedulerError, match="trial 0: budget 1 was reported before"):
        scheduler.report(0, 1, 0.0)
    with pytest.raises(SchedulerError, match=r"trial 0: .* budget 3, but no job of it runs"):
        scheduler.report(0, 3, 0.0)
    scheduler.report(1, 1, 0.0, status=Status.FAILED)
    with pytest.raises(SchedulerError, match=r"trial 1: .* budget 3, too late: it was stopped"):
        scheduler.report(1, 3, 0.0)
