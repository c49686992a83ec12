"""Trials that may be frozen after every step: the state machine behind :func:`freeze_thaw`.

Trials are numbered in the order they start. What is remembered of a frozen one is how far it is
and its last value; who is thawed next is advice from outside, or else a rule by values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from bojax.errors import SchedulerError
from bojax.history import Decision, Job, Status
from bojax.schedulers._protocol import DONE, WAIT, Signal
from bojax.schedulers._ranking import Value, best_first, checked, plain, restored
from bojax.schedulers._rung_table import RungTable, rungs_of
from bojax.schedulers._settings import (
    STATE_VERSION,
    check_known,
    check_status,
    check_stored,
    grown,
    integer,
)

NEW = None  # in advice: a trial that was not begun yet


class Candidates(NamedTuple):
    """What may train next.

    Attributes:
        frozen: trials that may be thawed.
        fresh: new ones that may be begun.
        slots: free slots.
    """

    frozen: list[int]
    fresh: int
    slots: int


class FreezeThawScheduler:
    """The machine behind :func:`freeze_thaw`; its settings are checked there."""

    # A trial is frozen where it is best to leave it: values at all budgets are compared.
    any_budget = True

    def __init__(self, settings: dict[str, Any], trials: int | None) -> None:
        self._settings = settings
        low, high, every = (settings[n] for n in ("min_budget", "max_budget", "every"))
        self._budgets = (*range(low, high, every), high)
        self._slots, self._basket = settings["slots"], settings["basket"]
        self._planned = 0
        self._level: list[int] = []  # steps behind each trial that was started
        self._values: dict[int, Value] = {}  # of the frozen ones
        self._running: set[int] = set()
        self._again: set[int] = set()  # whose worker was lost
        self._over: set[int] = set()
        self._owed: set[int] = set()  # stopped for want of room in the basket; a report tells
        self._spent: float = 0
        self._advice: list[int | None] = []
        self._advised = False
        self._plans: dict[int, RungTable] = {}
        if trials is not None:
            self.extend(trials)

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self._settings.items())
        return f"freeze_thaw({given}, trials={self._planned or None})"

    # ------------------------------------------------------------------------------- plan

    def plan(self, trials: int | None = None) -> RungTable:
        """What is trained without advice if all trials are alike, improve and do not fail.

        Raises:
            SchedulerError: the number of trials is neither given nor known.
        """
        if trials is None:
            check_known("freeze_thaw", self._planned)
        trials = self._planned if trials is None else trials
        if trials not in self._plans:
            self._plans[trials] = self._simulated(trials)
        return self._plans[trials]

    def _simulated(self, trials: int) -> RungTable:
        alike = FreezeThawScheduler(self._settings, trials)
        reached = [0 for _ in self._budgets]
        while not isinstance(jobs := alike.next_jobs(alike._planned), Signal):
            for job in jobs:
                reached[self._budgets.index(job.stop)] += 1
                alike.report(job.trial, job.stop, -float(job.stop))
        # Every budget has its row, also one that nobody would reach.
        return RungTable(tuple(rungs_of(0, reached, self._budgets)))

    def extend(self, trials: int) -> None:
        """Start at most so many trials in all, counting those started before.

        Raises:
            SchedulerError: fewer than are planned.
        """
        self._planned = grown(trials, self._planned)

    @property
    def _total(self) -> int:
        """Budget after which nothing more is begun."""
        return max(self._budgets[-1], round(self._planned * self._settings["mean_budget"]))

    # ----------------------------------------------------------------------------- advice

    def candidates(self) -> Candidates:
        """What free slots may be filled with now: only what the budget left can still finish.

        Nothing while lost jobs are to be given again.
        """
        free = self._slots - len(self._running)
        if self._again:
            return Candidates([], 0, free)
        fresh = min(free, self._planned - len(self._level)) if self._fits(NEW) else 0
        return Candidates(sorted(filter(self._fits, self._values)), fresh, free)

    def _left(self, trial: int | None) -> int:
        """What it takes to train a trial to the end."""
        level = 0 if trial is NEW else self._level[trial]
        return self._budgets[-1] - (self._budgets[level - 1] if level else 0)

    def _fits(self, trial: int | None) -> bool:
        return self._left(trial) <= self._total - self._spent

    @property
    def max_budget(self) -> int:
        """Where a trial ends at the latest."""
        return self._budgets[-1]

    @property
    def slots(self) -> int:
        """Jobs given out together at most."""
        return self._slots

    def prefer(self, order: Sequence[int | None]) -> None:
        """In what order the next call of `next_jobs` fills its slots.

        Frozen trials that are not among the first `basket` named are stopped.

        Args:
            order: frozen trials, and None for a new one each time; who is not named comes after
                those who are.

        Raises:
            SchedulerError: a trial that is not frozen, or that is named twice.
        """
        named = [trial for trial in order if trial is not NEW]
        for trial in named:
            if trial not in self._values or named.count(trial) > 1:
                raise SchedulerError(
                    f"trial {trial}: preferred, but it is not frozen, or named twice; choose from "
                    "candidates()."
                )
        self._advice, self._advised = list(order), True
        if self._basket is not None:
            left = [trial for trial in best_first(self._values) if trial not in named]
            for trial in (*named, *left)[self._basket :]:
                self._stop(trial)
                self._owed.add(trial)
            self._advice = [t for t in order if t is NEW or t in self._values]

    # ------------------------------------------------------------------------------- jobs

    def next_jobs(self, free_slots: int) -> list[Job] | Signal:
        """At most so many jobs, WAIT for reports, or DONE.

        Lost jobs first, then as preferred; `slots` bounds what is given out and not reported.
        What is preferred trains as far as the first of it can still be trained to the end.
        """
        free = min(integer("free_slots", free_slots, least=0), self._slots - len(self._running))
        check_known("freeze_thaw", self._planned)
        jobs = [self._give(trial) for trial in sorted(self._again)[: max(free, 0)]]
        advice, self._advice = self._advice, []
        if self._ended():
            return DONE
        if advice:
            jobs += self._preferred(advice, free - len(jobs))
        else:
            while len(jobs) < free and (trial := self._due()) is not None:
                jobs.append(self._give(trial))
        return jobs or WAIT

    def _preferred(self, advice: list[int | None], free: int) -> list[Job]:
        jobs: list[Job] = []
        first: float = 0  # what the first of them still needs
        for trial in advice:
            started = len(self._level)
            if len(jobs) >= free or not self._fits(trial):
                continue
            if trial is NEW and started == self._planned:
                continue
            left = self._left(trial)
            job = self._job(started if trial is NEW else trial, 0 if trial is NEW else None)
            cost = job.stop - job.start
            if jobs and self._total - self._spent - cost < first:
                continue
            first = first if jobs else left - cost
            jobs.append(self._give(job.trial))
        return jobs

    def _due(self) -> int | None:
        """Without advice: who trains next; the number of a new trial if one is to be begun."""
        started, fresh = len(self._level), len(self._level) < self._planned
        spent = self._spent >= self._total
        if fresh and started * self._total <= self._spent * self._planned:
            return started
        if spent:
            return None
        if self._values:
            return best_first(self._values)[0]
        return started if fresh else None

    def _ended(self) -> bool:
        """Whether nothing runs, and nothing more is to."""
        if self._running or self._again:
            return False
        if self._advised:
            frozen, fresh, _ = self.candidates()
            return not frozen and not fresh
        return self._due() is None

    def _give(self, trial: int) -> Job:
        if trial in self._again:
            self._again.remove(trial)
        else:
            if trial == len(self._level):
                self._level.append(0)
            self._values.pop(trial, None)
            job = self._job(trial)
            self._spent += job.stop - job.start
        self._running.add(trial)
        return self._job(trial)

    def _job(self, trial: int, level: int | None = None) -> Job:
        level = self._level[trial] if level is None else level
        return Job(trial, self._budgets[level - 1] if level else 0, self._budgets[level])

    @property
    def outstanding(self) -> list[Job]:
        """Jobs given out and not reported, by trial: what a resumed run trains again."""
        return [self._job(trial) for trial in sorted(self._running)]

    # ---------------------------------------------------------------------------- reports

    def report(
        self, trial: int, budget: float, value: Value, *, status: Status = Status.DONE
    ) -> list[Decision]:
        """Take in a trial's value at a budget.

        Args:
            trial, budget: of the job reported.
            value: minimised, a number or a tuple of them; one that is not finite counts as failed.
            status: DONE; FAILED: never thawed; STALE: its worker was lost, and the job is given
                out again.

        Returns:
            "pause" for this trial, "stop" when it failed or is trained to the end, and for all
            that are frozen when the budget is spent. STALE gives "continue".

        Raises:
            SchedulerError: no such job is running, or the value has another number of metrics
                than those before it.
        """
        self._check_report(trial, budget)
        check_status(trial, status)
        kept = checked(trial, value, self._values.values()) if status == Status.DONE else None
        self._running.remove(trial)
        actions = dict.fromkeys(self._owed, "stop")
        self._owed = set()
        if status == Status.STALE:
            self._again.add(trial)
            actions[trial] = "continue"
        else:
            self._level[trial] += 1
            if kept is None or self._level[trial] == len(self._budgets):
                self._over.add(trial)
                actions[trial] = "stop"
            else:
                self._values[trial] = kept
                actions[trial] = "pause"
        if self._ended():
            for frozen in list(self._values):
                self._stop(frozen)
                actions[frozen] = "stop"
        return [Decision(other, actions[other]) for other in sorted(actions)]

    def _stop(self, trial: int) -> None:
        del self._values[trial]
        self._over.add(trial)

    def _check_report(self, trial: int, budget: float) -> None:
        started = len(self._level)
        if not 0 <= trial < started:
            raise SchedulerError(
                f"trial {trial}: reported, but never started; {started} trials were, "
                "numbered from 0."
            )
        if trial in self._running and budget == self._job(trial).stop:
            return
        if budget in self._budgets[: self._level[trial]]:
            raise SchedulerError(
                f"trial {trial}: budget {budget} was reported before; report a job once."
            )
        why = (
            f"it trains to {self._job(trial).stop}"
            if trial in self._running
            else "it is over"
            if trial in self._over
            else "no job of it runs"
        )
        raise SchedulerError(f"trial {trial}: reported at budget {budget}, but {why}.")

    # ------------------------------------------------------------------------------ state

    def state(self) -> dict[str, Any]:
        """All that is remembered, as values JSON can hold."""
        return {
            "version": STATE_VERSION,
            "method": "freeze_thaw",
            "settings": self._settings,
            "trials": self._planned,
            "levels": list(self._level),
            "values": [[trial, plain(self._values[trial])] for trial in sorted(self._values)],
            "running": sorted(self._running),
            "again": sorted(self._again),
            "over": sorted(self._over),
            "owed": sorted(self._owed),
            "spent": self._spent,
            "advice": list(self._advice),
            "advised": self._advised,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave.

        Raises:
            SchedulerError: it belongs to a scheduler with other settings, or was written by a
                newer version.
        """
        check_stored(state, "freeze_thaw", self._settings)
        self._planned, self._spent = state["trials"], state["spent"]
        self._level = list(state["levels"])
        self._values = {trial: restored(value) for trial, value in state["values"]}
        self._running, self._again = set(state["running"]), set(state["again"])
        self._over, self._owed = set(state["over"]), set(state["owed"])
        self._advice, self._advised = list(state["advice"]), state["advised"]
