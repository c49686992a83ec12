"""The scheduler suite: what breaks a promise is told which."""

import math

import pytest

from bojax.history import Decision, Job, Status
from bojax.schedulers import DONE, WAIT, RungTable, successive_halving
from bojax.testing import SCHEDULER_CHECKS, check_scheduler, scheduler_checks


class Good:
    """Successive halving, to be broken one method at a time."""

    def __init__(self):
        self.inner = successive_halving(max_budget=9, trials=20)

    def plan(self, trials=None):
        return self.inner.plan(trials)

    def extend(self, trials):
        self.inner.extend(trials)

    def next_jobs(self, free_slots):
        return self.inner.next_jobs(free_slots)

    def report(self, trial, budget, value, *, status=Status.DONE):
        return self.inner.report(trial, budget, value, status=status)

    @property
    def outstanding(self):
        return self.inner.outstanding

    def state(self):
        return self.inner.state()

    def restore(self, state):
        self.inner.restore(state)


def complaints(make, **settings):
    """Check -> what it says, of those that complain."""
    found = {}
    for check in scheduler_checks(make, name="mine", **settings):
        try:
            check()
        except AssertionError as error:
            found[check.__name__] = str(error)
    return found


class Boastful(Good):
    """Plans a rung too few."""

    def plan(self, trials=None):
        return RungTable(super().plan(trials).rows[:-1])


class Silent(Good):
    """Keeps what the last rung decides to itself."""

    def report(self, trial, budget, value, **given):
        told = super().report(trial, budget, value, **given)
        return [] if budget == 9 and given.get("status", 0) != Status.STALE else told


class Harsh(Good):
    """Tells trial 2, the best, to stop, and trains it on."""

    def report(self, trial, budget, value, **given):
        told = super().report(trial, budget, value, **given)
        return [Decision(2, "stop"), *(d for d in told if d.trial != 2)] if trial == 2 else told


class Restarting(Good):
    """Trains from the start each time."""

    def next_jobs(self, free_slots):
        jobs = super().next_jobs(free_slots)
        return jobs if jobs in (WAIT, DONE) else [Job(j.trial, 0, j.stop) for j in jobs]


class Generous(Good):
    """Gives one job more than there are slots."""

    def next_jobs(self, free_slots):
        return super().next_jobs(free_slots + 1 if 0 < free_slots < 10 else free_slots)


class Unforgiving(Good):
    """Takes a lost worker for a failure."""

    def report(self, trial, budget, value, *, status=Status.DONE):
        status = Status.FAILED if status == Status.STALE else status
        return super().report(trial, budget, value, status=status)


class Trusting(Good):
    """Takes what is not finite for the best."""

    def report(self, trial, budget, value, *, status=Status.DONE):
        if not isinstance(value, tuple) and not math.isfinite(value):
            value = -1e9
        return super().report(trial, budget, value, status=status)


class Hopeful(Good):
    """Takes a failure for a value."""

    def report(self, trial, budget, value, *, status=Status.DONE):
        status = Status.DONE if status == Status.FAILED else status
        return super().report(trial, budget, value, status=status)


class Forgetful(Good):
    """Keeps its values out of its state."""

    def state(self):
        return {**super().state(), "values": []}


class Hurried(Good):
    """Prefers whoever came first."""

    count = 0

    def report(self, trial, budget, value, *, status=Status.DONE):
        self.count += 1
        if isinstance(value, tuple):
            value = value[0]
        return super().report(trial, budget, value + 1e-6 * (self.count % 20), status=status)


class Lenient(Good):
    """Passes over reports of trials nobody knows."""

    def report(self, trial, budget, value, **given):
        known = 0 <= trial < 20
        return super().report(trial, budget, value, **given) if known else []


class Patient(Good):
    """Passes over reports that came before."""

    def report(self, trial, budget, value, **given):
        try:
            return super().report(trial, budget, value, **given)
        except Exception as error:
            if "before" in str(error):
                return []
            raise


class Rounding(Good):
    """Takes a report at any budget for the one that is due."""

    def report(self, trial, budget, value, **given):
        due = {job.trial: job.stop for job in self.outstanding}
        return super().report(trial, due.get(trial, budget), value, **given)


class Deaf(Good):
    """Does not mind reports that come when all is over."""

    over = False

    def next_jobs(self, free_slots):
        jobs = super().next_jobs(free_slots)
        self.over = jobs is DONE
        return jobs

    def report(self, trial, budget, value, **given):
        return [] if self.over else super().report(trial, budget, value, **given)


class Undecided(Good):
    """Says WAIT when it was DONE before."""

    was = False

    def next_jobs(self, free_slots):
        jobs = super().next_jobs(free_slots)
        jobs, self.was = (WAIT if self.was and jobs is DONE else jobs), jobs is DONE
        return jobs


class Shrinking(Good):
    """Takes fewer trials, too."""

    def extend(self, trials):
        super().extend(max(trials, self.plan().trials))


class Careless(Good):
    """Takes any state for its own."""

    def restore(self, state):
        self.inner.restore({**state, "settings": self.inner.state()["settings"]})


class Single(Good):
    """Knows one metric."""

    def report(self, trial, budget, value, **given):
        return super().report(trial, budget, float(value), **given)


class Endless(Good):
    """Starts over when all have failed."""

    def next_jobs(self, free_slots):
        jobs = super().next_jobs(free_slots)
        lost = jobs is DONE and not any(t for t in self.seen)
        return WAIT if lost else jobs

    seen = ()

    def report(self, trial, budget, value, *, status=Status.DONE):
        self.seen = (*self.seen, status == Status.DONE)
        return super().report(trial, budget, value, status=status)


BROKEN = {
    "plan": (Boastful, "expected jobs to budgets"),
    "decided": (Silent, '"stop" for trial'),
    "stopped": (Harsh, "no job of trial 2 after it was stopped"),
    "resumes": (Restarting, "a job of trial"),
    "slots": (Generous, "expected 1 to 3 jobs, got 4"),
    "stale": (Unforgiving, '"continue" for trial 0'),
    "failed": (Trusting, "after it failed"),
    "all_failed": (Endless, "expected jobs, since nothing is running, got WAIT"),
    "restart": (Forgetful, ""),
    "order": (Hurried, "expected state"),
    "unknown": (Lenient, "a report of trial -1 at budget 1 to be refused"),
    "duplicate": (Patient, "a report of trial 0 at budget 1 to be refused"),
    "other_budget": (Rounding, "a report of trial 0 at budget 0 to be refused"),
    "late": (Deaf, "to be refused, got no error"),
    "done_is_final": (Undecided, "expected DONE again"),
    "extend": (Shrinking, "expected extend(20) to be refused"),
    "foreign_state": (Careless, "a state with another eta to be refused"),
    "several_metrics": (Single, "TypeError"),
}


def test_a_good_scheduler_passes():
    assert complaints(Good) == {}
    check_scheduler(Good)


@pytest.mark.parametrize("check", BROKEN)
def test_a_broken_promise_is_told(check):
    make, words = BROKEN[check]
    found = complaints(make)
    assert found[check].startswith(f"mine: {check}: expected ")
    assert words in found[check]


def test_a_failure_taken_for_a_value_is_told():
    assert set(complaints(Hopeful)) == {"failed", "all_failed"}


def test_every_check_is_seen_to_fail():
    assert {check.__name__ for check in SCHEDULER_CHECKS} == set(BROKEN)


def test_all_complaints_come_together():
    with pytest.raises(AssertionError) as raised:
        check_scheduler(Hopeful)
    first, second = str(raised.value).splitlines()
    assert "Hopeful" in first and ": failed: " in first
    assert ": all_failed: " in second


def test_names_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match="no check is called 'plans'; there are plan, "):
        scheduler_checks(Good, skip=["plans"])
    left = scheduler_checks(Good, skip=["plan"])
    assert len(left) == len(SCHEDULER_CHECKS) - 1


def test_checks_carry_their_names():
    first = scheduler_checks(lambda: successive_halving(trials=9))[0]
    assert first.__name__ == "plan" and repr(first).endswith("trials=9)>")
    assert all(check.promise.endswith(".") for check in scheduler_checks(Good))
