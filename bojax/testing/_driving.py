"""Runs of a scheduler without a strategy or training: in waves, and slot by slot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bojax.history import Decision, Job, Status
from bojax.schedulers import DONE, WAIT
from bojax.testing._check import Broken

ALL = 2**31 - 1  # free slots, as the Coordinator asks
FEW = 3  # free slots at most in runs where a slot is refilled as soon as it is free
TURNS = 100_000  # after which a run that does not end is given up


@dataclass
class Run:
    """What happened in a run.

    Attributes:
        jobs: all that were given, in that order.
        decisions: the same.
        waves: after each call of `next_jobs` that gave jobs: those, each trial's last decision
            and the state when all of them were reported; of runs in waves only.
    """

    jobs: list[Job] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    waves: list[Any] = field(default_factory=list)

    @property
    def last(self) -> dict[int, str]:
        """Trial -> its last decision."""
        return {decision.trial: decision.action for decision in self.decisions}


def scrambled(trial: int, budget: float) -> float:
    """A value without a pattern, with ties."""
    return ((trial * 7919 + 13) % 11) / (1.0 + budget)


def in_waves(
    scheduler: Any,
    value: Callable[[int, float], Any],
    *,
    free: int = ALL,
    status: Callable[[Job], Status] = lambda job: Status.DONE,
    sort: Callable[[list[Job]], list[Job]] = lambda jobs: jobs,
    on_job: Callable[[Job], None] = lambda job: None,
    on_decision: Callable[[Decision], None] = lambda decision: None,
) -> Run:
    """Run to the end: all jobs that are given, then all their reports, and so on."""
    done = Run()
    for _ in range(TURNS):
        jobs = scheduler.next_jobs(free)
        if jobs is DONE:
            return done
        if jobs is WAIT:
            raise Broken("jobs, since nothing is running", "WAIT")
        for job in jobs:
            on_job(job)
        latest: dict[int, str] = {}
        for job in sort(list(jobs)):
            told = scheduler.report(
                job.trial, job.stop, value(job.trial, job.stop), status=status(job)
            )
            for decision in told:
                on_decision(decision)
                latest[decision.trial] = decision.action
            done.decisions += told
        done.jobs += jobs
        done.waves.append((list(jobs), latest, scheduler.state()))
    raise Broken("an end", f"none after {TURNS} waves")


def one_by_one(
    scheduler: Any,
    value: Callable[[int, float], Any],
    *,
    status: Callable[[Job], Status] = lambda job: Status.DONE,
    running: Sequence[Job] = (),
    reports: int = TURNS,
    on_job: Callable[[Job], None] = lambda job: None,
    on_decision: Callable[[Decision], None] = lambda decision: None,
) -> Run:
    """Run for so many reports: few slots, each filled again as soon as it is free."""
    done, waiting = Run(), list(running)
    for turn in range(TURNS + 1):
        if turn == reports:
            return done
        jobs = scheduler.next_jobs(max(FEW - len(waiting), 0))
        if jobs is DONE:
            return done
        if jobs is not WAIT:
            for job in jobs:
                on_job(job)
            done.jobs += jobs
            waiting += jobs
        if not waiting:
            raise Broken("jobs, since nothing is running", "WAIT")
        job = waiting.pop(turn % len(waiting))
        told = scheduler.report(job.trial, job.stop, value(job.trial, job.stop), status=status(job))
        for decision in told:
            on_decision(decision)
        done.decisions += told
    raise Broken("an end", f"none after {TURNS} reports")
