"""Population based training: truncation by hand, states at every step, bad settings."""

import json
import math

import pytest

import bojax
from bojax.history import Decision, Job, Status
from bojax.schedulers import DONE, WAIT, pb2, pbt


def interval(scheduler, values):
    """Report an interval's values, by trial; the decisions of the last report."""
    jobs = scheduler.next_jobs(100)
    decisions = []
    for job in sorted(jobs, key=lambda job: -job.trial):  # the order plays no part
        status = Status.FAILED if math.isnan(values[job.trial]) else Status.DONE
        decisions = scheduler.report(job.trial, job.stop, values[job.trial], status=status)
    return jobs, decisions


def test_the_worst_quarter_copies_the_best_by_hand():
    scheduler = pbt(max_budget=6, interval=2, trials=8)
    jobs, decisions = interval(scheduler, dict(enumerate([5, 3, 8, 1, 7, 2, 6, 4])))
    assert jobs == [Job(trial, 0, 2) for trial in range(8)]
    # Best two: trials 3 and 5; worst two: 2 and 4.
    clones = {d.trial: d.donors for d in decisions if d.action == "clone"}
    assert clones == {2: (3, 5), 4: (3, 5)}
    assert [d.trial for d in decisions if d.action == "promote"] == [0, 1, 3, 5, 6, 7]
    jobs = scheduler.next_jobs(100)
    assert jobs[:6] == [Job(trial, 2, 4) for trial in (0, 1, 3, 5, 6, 7)]
    assert jobs[6:] == [Job(8, 2, 4, donors=(3, 5)), Job(9, 2, 4, donors=(3, 5))]


def test_the_last_interval_stops_all_and_a_short_one_ends_at_the_budget():
    scheduler = pbt(max_budget=5, interval=2, trials=4)
    assert [row.budget for row in scheduler.plan().rows] == [2, 4, 5]
    assert scheduler.plan().total == 20
    interval(scheduler, dict(enumerate([1.0, 2.0, 3.0, 4.0])))
    interval(scheduler, {0: 1.0, 1: 2.0, 2: 3.0, 4: 4.0})
    jobs, decisions = interval(scheduler, {0: 1.0, 1: 2.0, 2: 3.0, 5: 0.5})
    assert {job.start for job in jobs} == {4} and {job.stop for job in jobs} == {5}
    assert decisions == [Decision(trial, "stop") for trial in (0, 1, 2, 5)]
    assert scheduler.next_jobs(1) is DONE


def test_all_that_failed_are_replaced_and_none_is_a_donor():
    scheduler = pbt(max_budget=2, quantile=0.25, trials=4)
    _, decisions = interval(scheduler, {0: math.nan, 1: 1.0, 2: math.nan, 3: math.nan})
    assert {d.trial: d.donors for d in decisions if d.action == "clone"} == {
        0: (1,), 2: (1,), 3: (1,)
    }  # fmt: skip
    scheduler = pbt(max_budget=2, trials=3)
    _, decisions = interval(scheduler, dict.fromkeys(range(3), math.nan))
    assert [d.action for d in decisions] == ["stop"] * 3
    assert scheduler.next_jobs(3) is DONE


def test_in_turn_whoever_is_among_the_worst_left_is_replaced_by_hand():
    """Quantile of 8: two. In the order of numbers: 0 (8) has none worse, 1 (7) is then the worst,
    2 (1) donates, 3 (5) has only trial 6 behind it, 4 (3) has 6 and 7, 5 (2) donates, 6 (6) is
    last, 7 (4) has nobody behind it any more."""
    values = dict(enumerate([8, 7, 1, 5, 3, 2, 6, 4]))
    clones = {}
    for judged in ("together", "in turn"):
        _, decisions = interval(pbt(max_budget=2, trials=8, judged=judged), values)
        clones[judged] = {d.trial: d.donors for d in decisions if d.action == "clone"}
    assert clones["together"] == dict.fromkeys((0, 1), (2, 5))
    assert clones["in turn"] == dict.fromkeys((0, 1, 3, 6, 7), (2, 5))


def test_in_turn_what_failed_is_replaced_and_counts_as_worst():
    scheduler = pbt(max_budget=2, trials=4, judged="in turn")
    _, decisions = interval(scheduler, {0: 2.0, 1: math.nan, 2: 1.0, 3: 3.0})
    clones = {d.trial: d.donors for d in decisions if d.action == "clone"}
    assert clones == {1: (2,), 3: (2,)}  # 3 is the worst once 1 is replaced


def test_a_population_stored_before_it_was_judged_in_turn_goes_on():
    scheduler = pbt(max_budget=3, trials=4)
    interval(scheduler, dict(enumerate([1.0, 2.0, 3.0, 4.0])))
    state = json.loads(json.dumps(scheduler.state()))
    del state["settings"]["judged"]
    again = pbt(max_budget=3, trials=4)
    again.restore(state)
    assert again.next_jobs(9) == scheduler.next_jobs(9)
    with pytest.raises(bojax.errors.SchedulerError, match="judged"):
        pbt(max_budget=3, trials=4, judged="in turn").restore(state)


def test_quantile_decides_how_many_move():
    moved = {}
    for quantile in (0.25, 0.5):
        scheduler = pbt(max_budget=2, quantile=quantile, trials=8)
        _, decisions = interval(scheduler, {t: float(t) for t in range(8)})
        moved[quantile] = sum(d.action == "clone" for d in decisions)
    assert moved == {0.25: 2, 0.5: 4}


def test_a_run_restored_at_every_step_is_the_run():
    def run(restored):
        scheduler, trace = pbt(max_budget=3, trials=4), []
        while True:
            if restored:
                state = json.loads(json.dumps(scheduler.state()))
                scheduler = pbt(max_budget=3)
                scheduler.restore(state)
            jobs = scheduler.next_jobs(1)
            if jobs is DONE:
                return trace
            trace.append(jobs)
            if restored:
                state = json.loads(json.dumps(scheduler.state()))
                scheduler = pbt(max_budget=3)
                scheduler.restore(state)
                assert scheduler.outstanding == jobs
            value = float((jobs[0].trial * 7) % 5)
            trace.append(scheduler.report(jobs[0].trial, jobs[0].stop, value))

    assert run(True) == run(False)


def test_a_lost_job_is_given_out_again():
    scheduler = pbt(max_budget=2, trials=2)
    (job,) = scheduler.next_jobs(1)
    scheduler.next_jobs(1)
    assert scheduler.next_jobs(1) is WAIT
    scheduler.report(job.trial, job.stop, math.nan, status=Status.STALE)
    assert scheduler.next_jobs(1) == [job]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"interval": 9, "max_budget": 3}, "interval must not exceed max_budget"),
        ({"quantile": 0.0}, r"quantile must lie in \(0, 0.5\]"),
        ({"quantile": 0.7}, r"quantile must lie in"),
        ({"resample": 2}, "resample must lie in"),
        ({"judged": "late"}, "judged must be 'together' or 'in turn'"),
        ({"factors": (1.2,)}, "factors must be two numbers"),
        ({"factors": (1.2, 0.0)}, "factors must be two numbers"),
        ({"perturb": "lr"}, "perturb must be a list of names"),
        ({"perturb": -1}, "perturb must be a list of names"),
        ({"trials": 0}, "trials must be an integer of at least 1"),
    ],
)
def test_bad_settings_are_named(settings, words):
    with pytest.raises(bojax.SchedulerError, match=words):
        pbt(**settings)


def test_reports_that_no_job_awaits_are_named():
    scheduler = pbt(max_budget=2, trials=2)
    with pytest.raises(bojax.SchedulerError, match="trial 0: reported at budget 1, but no job"):
        scheduler.report(0, 1, 0.5)
    scheduler.next_jobs(1)
    with pytest.raises(bojax.SchedulerError, match=r"trial 0: .* trains to another budget"):
        scheduler.report(0, 2, 0.5)
    with pytest.raises(bojax.SchedulerError, match="a population of 2 trains already"):
        scheduler.extend(4)
    with pytest.raises(bojax.SchedulerError, match=r"quantile was 0\.25"):
        pbt(max_budget=2, quantile=0.5).restore(scheduler.state())


def test_bandits_are_the_same_population_by_another_name():
    by_chance, by_model = (
        pbt(max_budget=6, interval=2, trials=8),
        pb2(max_budget=6, interval=2, trials=8),
    )
    values = dict(enumerate([5, 3, 8, 1, 7, 2, 6, 4]))
    assert interval(by_model, values) == interval(by_chance, values)
    assert by_model.explore == {"by": "pb2", "perturb": None, "interval": 2, "window": 200}
    assert repr(by_model).startswith("pb2(max_budget=6")
    for one, other in ((by_chance, by_model), (by_model, by_chance)):
        with pytest.raises(bojax.SchedulerError, match="method was"):
            one.restore(other.state())
    with pytest.raises(bojax.SchedulerError, match="window was 200"):
        pb2(max_budget=6, interval=2, window=9).restore(by_model.state())
    for settings, words in (
        ({"window": 0}, "window must be an integer of at least 1"),
        ({"interval": 9, "max_budget": 3}, "interval must not exceed max_budget"),
        ({"quantile": 0.7}, "quantile must lie in"),
        ({"perturb": "lr"}, "perturb must be a list of names"),
    ):
        with pytest.raises(bojax.SchedulerError, match=words):
            pb2(**settings)


def test_several_metrics_are_ranked_by_their_front():
    scheduler = pbt(max_budget=2, quantile=0.25, trials=4)
    # 1 and 2 are a front, ends both, of which the lower number counts; 3 is behind all.
    values = {0: (3.0, 3.0), 1: (1.0, 2.0), 2: (2.0, 1.0), 3: (4.0, 4.0)}
    for job in scheduler.next_jobs(4):
        decisions = scheduler.report(job.trial, job.stop, values[job.trial])
    assert {d.trial: d.donors for d in decisions if d.action == "clone"} == {3: (1,)}
    state = json.loads(json.dumps(scheduler.state()))
    again = pbt(max_budget=2, quantile=0.25)
    again.restore(state)
    assert again.next_jobs(4) == scheduler.next_jobs(4)
    with pytest.raises(bojax.SchedulerError, match="trial 2"):
        scheduler.report(1, 2, (1.0, 2.0))
        scheduler.report(2, 2, 1.0)
