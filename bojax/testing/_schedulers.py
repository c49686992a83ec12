"""What a scheduler promises, one function a promise."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bojax.history import Decision, Job, Status
from bojax.schedulers import DONE, WAIT
from bojax.testing._check import Broken, Check, bound, run
from bojax.testing._driving import ALL, FEW, TURNS, in_waves, one_by_one, scrambled

FINAL = "stop"


@dataclass(frozen=True, eq=False)
class Made:
    """A scheduler under test: how to make one, and what complaints call it."""

    make: Callable[[], Any]
    name: str


# ------------------------------------------------------------------------------ the promises


def plan(made: Made) -> None:
    """Trials that are all alike, improve and do not fail are trained as planned."""
    scheduler = made.make()
    table = scheduler.plan()
    if scheduler.plan() != table or scheduler.plan(table.trials) != table:
        raise Broken("the same plan each time, and of as many trials", "others")
    planned = Counter({row.budget: 0 for row in table.rows})
    for row in table.rows:
        planned[row.budget] += row.members
    done = in_waves(scheduler, lambda trial, budget: -float(budget))
    trained = Counter(job.stop for job in done.jobs)
    if trained != planned:
        raise Broken(f"jobs to budgets {dict(planned)}", dict(trained))
    cost = sum(job.stop - job.start for job in done.jobs)
    if cost != table.total:
        raise Broken(f"a cost of {table.total}", cost)


def decided(made: Made) -> None:
    """Every trial is started, and has "stop" as its last decision when all is done."""
    for drive in (in_waves, one_by_one):
        scheduler = made.make()
        done = drive(scheduler, scrambled)
        started = {job.trial for job in done.jobs}
        if started != set(range(scheduler.plan().trials)):
            raise Broken(f"{scheduler.plan().trials} trials started", len(started))
        for trial in sorted(started):
            if done.last.get(trial) != FINAL:
                raise Broken(f'"{FINAL}" for trial {trial} in the end', done.last.get(trial))


def stopped(made: Made) -> None:
    """A trial that was stopped is given no further job."""
    for drive in (in_waves, one_by_one):
        over: set[int] = set()

        def job(job: Job, over: set[int] = over) -> None:
            if job.trial in over:
                raise Broken(f"no job of trial {job.trial} after it was stopped", job)

        def decision(decision: Decision, over: set[int] = over) -> None:
            if decision.action == FINAL:
                over.add(decision.trial)

        drive(made.make(), scrambled, on_job=job, on_decision=decision)


def resumes(made: Made) -> None:
    """Jobs go on where their trial is; new trials are numbered in the order they start."""
    for drive in (in_waves, one_by_one):
        reached: dict[int, float] = {}

        def job(job: Job, reached: dict[int, float] = reached) -> None:
            if job.trial not in reached and job.trial != len(reached):
                raise Broken(f"the next new trial to be {len(reached)}", job.trial)
            if job.start != reached.get(job.trial, 0) or not job.stop > job.start:
                raise Broken(f"a job of trial {job.trial} from {reached.get(job.trial, 0)}", job)
            reached[job.trial] = job.stop

        drive(made.make(), scrambled, on_job=job)


def slots(made: Made) -> None:
    """No more jobs than slots; what is given and not reported is outstanding, and not given."""
    scheduler = made.make()
    if scheduler.next_jobs(0) is not WAIT:
        raise Broken("WAIT without a free slot", "something else")
    running: list[Job] = []
    for _ in range(TURNS):
        jobs = scheduler.next_jobs(FEW - len(running))
        if jobs is DONE:
            return
        if jobs is not WAIT:
            if not 0 < len(jobs) <= FEW - len(running):
                raise Broken(f"1 to {FEW - len(running)} jobs", len(jobs))
            running += jobs
        trials = [job.trial for job in running]
        if len(set(trials)) < len(trials):
            raise Broken("one job a trial at a time", sorted(trials))
        listed = sorted(running, key=lambda job: job.trial)
        if list(scheduler.outstanding) != listed:
            raise Broken(f"outstanding {listed}", list(scheduler.outstanding))
        job = running.pop(0)
        scheduler.report(job.trial, job.stop, scrambled(job.trial, job.stop))
    raise Broken("an end", f"none after {TURNS} reports")


def stale(made: Made) -> None:
    """A job whose worker was lost is given again, and its trial not judged for that."""
    scheduler = made.make()
    lost = scheduler.next_jobs(1)[0]
    told = scheduler.report(lost.trial, lost.stop, math.nan, status=Status.STALE)
    if [d.action for d in told if d.trial == lost.trial] != ["continue"]:
        raise Broken(f'"continue" for trial {lost.trial}', told)
    again = scheduler.next_jobs(1)
    if again != [lost]:
        raise Broken(f"{[lost]} again", again)


def failed(made: Made) -> None:
    """A trial that failed, or whose value is not finite, is stopped there."""
    bad = {0: math.nan, 2: math.inf, 3: -math.inf}

    def value(trial: int, budget: float) -> float:
        return bad.get(trial, -1.0 / (1 + trial))

    def status(job: Job) -> Status:
        return Status.FAILED if job.trial == 1 else Status.DONE

    for drive in (in_waves, one_by_one):
        done = drive(made.make(), value, status=status)
        for trial in (*bad, 1):
            jobs = [job for job in done.jobs if job.trial == trial]
            if len(jobs) > 1 or (jobs and done.last[trial] != FINAL):
                raise Broken(f"no job of trial {trial} after it failed", jobs)


def all_failed(made: Made) -> None:
    """A run in which every trial fails ends."""
    for drive in (in_waves, one_by_one):
        done = drive(made.make(), scrambled, status=lambda job: Status.FAILED)
        for job in done.jobs:
            if job.start:
                raise Broken("no trial to go on", job)


def restart(made: Made) -> None:
    """At every step the state goes through JSON into a new scheduler, which does the same."""
    for together in (False, True):
        whole, cut = made.make(), made.make()
        running: list[Job] = []
        for _ in range(TURNS):
            jobs = whole.next_jobs(FEW - len(running))
            fresh = made.make()
            fresh.restore(json.loads(json.dumps(cut.state(), allow_nan=False)))
            cut = fresh
            _equal("outstanding jobs", list(cut.outstanding), _listed(running))
            _equal("jobs", cut.next_jobs(FEW - len(running)), jobs)
            if jobs is DONE:
                break
            running += [] if jobs is WAIT else jobs
            for _ in range(len(running) if together else 1):
                job = running.pop()
                value = scrambled(job.trial, job.stop)
                told = [s.report(job.trial, job.stop, value) for s in (whole, cut)]
                _equal("decisions", told[1], told[0])
            _equal("state", cut.state(), whole.state())


def order(made: Made) -> None:
    """In what order the jobs given together are reported plays no part."""
    for sort in (lambda jobs: jobs[::-1], lambda jobs: jobs[1::2] + jobs[::2]):
        for free in (ALL, 2 * FEW):
            calm = in_waves(made.make(), scrambled, free=free)
            wild = in_waves(made.make(), scrambled, free=free, sort=sort)
            for one, other in zip(calm.waves, wild.waves, strict=False):
                for what, got, expected in zip(
                    ("jobs", "decisions", "state"), other, one, strict=True
                ):
                    _equal(what, got, expected)
            _equal("number of waves", len(wild.waves), len(calm.waves))


def unknown(made: Made) -> None:
    """A report of a trial that was never started is refused, and names it."""
    scheduler = made.make()
    job = scheduler.next_jobs(1)[0]
    for trial in (-1, 1, 10**6):
        _refused(scheduler, trial, job.stop)


def duplicate(made: Made) -> None:
    """A job is reported once: a second report is refused, and names the trial."""
    scheduler = made.make()
    for job in scheduler.next_jobs(2):
        scheduler.report(job.trial, job.stop, 0.0)
        _refused(scheduler, job.trial, job.stop)


def other_budget(made: Made) -> None:
    """A report at a budget that its job does not end at is refused, and names the trial."""
    scheduler = made.make()
    job = scheduler.next_jobs(1)[0]
    for budget in (job.start, job.stop + 1, job.stop - 0.5):
        _refused(scheduler, job.trial, budget)
    scheduler.report(job.trial, job.stop, 0.0)


def late(made: Made) -> None:
    """When all is done a report is refused, names the trial, and changes nothing."""
    scheduler = made.make()
    done = in_waves(scheduler, scrambled)
    state = scheduler.state()
    for job in done.jobs:
        for budget in (job.stop, job.stop + 1):
            _refused(scheduler, job.trial, budget)
    _equal("state", scheduler.state(), state)


def done_is_final(made: Made) -> None:
    """DONE stays DONE, with nothing outstanding."""
    scheduler = made.make()
    in_waves(scheduler, scrambled)
    for free in (0, 1, ALL):
        if scheduler.next_jobs(free) is not DONE:
            raise Broken("DONE again", "something else")
    _equal("outstanding jobs", list(scheduler.outstanding), [])


def extend(made: Made) -> None:
    """More trials follow on those planned, at any time; fewer are refused."""
    for after in (0, FEW, TURNS):
        scheduler = made.make()
        planned = scheduler.plan().trials
        before = one_by_one(scheduler, scrambled, reports=after)
        final = {trial for trial, action in before.last.items() if action == FINAL}
        scheduler.extend(planned + 4)
        _equal("trials planned", scheduler.plan().trials, planned + 4)
        running = list(scheduler.outstanding)
        then = one_by_one(scheduler, scrambled, running=running)
        started = {job.trial for job in before.jobs + then.jobs}
        _equal("trials started", started, set(range(planned + 4)))
        again = sorted(final & {job.trial for job in then.jobs})
        if again:
            raise Broken("those stopped before to stay so", f"a job of trial {again[0]}")
        try:
            scheduler.extend(planned)
        except Exception as error:
            _named(error, str(planned))
        else:
            raise Broken(f"extend({planned}) to be refused", "no error")


def foreign_state(made: Made) -> None:
    """A state with a setting that is not the scheduler's own is refused, and names it."""
    scheduler = made.make()
    state = scheduler.state()
    for name in state["settings"]:
        changed = {**state, "settings": {**state["settings"], name: "other"}}
        try:
            made.make().restore(changed)
        except Exception as error:
            _named(error, name)
        else:
            raise Broken(f"a state with another {name} to be refused", "no error")


def several_metrics(made: Made) -> None:
    """A tuple of metrics is taken as a value; with equal parts it is as one of them."""
    one = in_waves(made.make(), scrambled)
    both = in_waves(made.make(), lambda trial, budget: (scrambled(trial, budget),) * 2)
    _equal("the first wave", both.waves[0][0], one.waves[0][0])
    apart = in_waves(made.make(), lambda trial, budget: (scrambled(trial, budget), float(-trial)))
    for done in (both, apart):
        left = sorted(trial for trial, action in done.last.items() if action != FINAL)
        if left:
            raise Broken(f'"{FINAL}" for trial {left[0]} in the end', done.last[left[0]])
    state = made.make()
    for job in state.next_jobs(2):
        state.report(job.trial, job.stop, (1.0, 2.0))
    fresh = made.make()
    fresh.restore(json.loads(json.dumps(state.state(), allow_nan=False)))
    _equal("state", fresh.state(), state.state())


SCHEDULER_CHECKS = (
    plan, decided, stopped, resumes, slots, stale, failed, all_failed, restart, order, unknown,
    duplicate, other_budget, late, done_is_final, extend, foreign_state, several_metrics,
)  # fmt: skip


def scheduler_checks(
    make: Callable[[], Any], *, name: str | None = None, skip: Sequence[str] = ()
) -> list[Check]:
    """The suite for a scheduler, one callable a promise, made for `parametrize`.

        @pytest.mark.parametrize("check", bojax.testing.scheduler_checks(lambda: mine(trials=20)))
        def test_conformance(check):
            check()

    Args:
        make: a new scheduler each time, with the same settings and its trials known: 4 to about
            50 of them.
        name: in complaints; that of what `make` makes if not given.
        skip: names of checks to leave out.

    Returns:
        :class:`Check` objects: call one to run it; it raises AssertionError naming the
        scheduler, the check, what was expected and what came.

    Raises:
        ValueError: `skip` has a name that does not exist.

    Example:
        >>> import bojax, bojax.testing
        >>> make = lambda: bojax.schedulers.asha(max_budget=9, trials=20)
        >>> for check in bojax.testing.scheduler_checks(make):
        ...     check()
    """
    name = name or repr(make())
    return bound(SCHEDULER_CHECKS, Made(make, name), skip)


def check_scheduler(make: Callable[[], Any], **settings: Any) -> None:
    """Run the whole suite.

    Args:
        make, settings: of :func:`scheduler_checks`.

    Raises:
        AssertionError: a promise was not kept; one line for each, naming the scheduler, the
            check, what was expected and what came.

    Example:
        >>> import bojax, bojax.testing
        >>> class Eager:  # gives everything again and again
        ...     def __init__(self):
        ...         self.inner = bojax.schedulers.full_budget(max_budget=9, trials=4)
        ...     def __getattr__(self, name):
        ...         return getattr(self.inner, name)
        ...     def next_jobs(self, free_slots):
        ...         return self.inner.outstanding or self.inner.next_jobs(free_slots)
        >>> try:
        ...     bojax.testing.check_scheduler(Eager, name="eager")
        ... except AssertionError as error:
        ...     "eager: slots: " in str(error)
        True
    """
    run(scheduler_checks(make, **settings))


# ---------------------------------------------------------------------------------- helpers


def _listed(jobs: Sequence[Job]) -> list[Job]:
    return sorted(jobs, key=lambda job: job.trial)


def _equal(what: str, got: Any, expected: Any) -> None:
    if got != expected:
        raise Broken(f"{what} {expected}", got)


def _refused(scheduler: Any, trial: int, budget: float) -> None:
    try:
        scheduler.report(trial, budget, 0.0)
    except Exception as error:
        _named(error, f"trial {trial}")
    else:
        raise Broken(f"a report of trial {trial} at budget {budget} to be refused", "no error")


def _named(error: Exception, culprit: str) -> None:
    if culprit not in str(error):
        raise Broken(f"an error that names {culprit}", f"{type(error).__name__}: {error}")
