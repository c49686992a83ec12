"""Brackets without barriers: the state machine behind ASHA, in both its modes.

Trials are numbered in the order they start, each in a bracket of its own for good; a bracket is
a list of rungs (see `_async_rungs.py`), and whoever has reported at one may go on as soon as the
rung says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Any

from bojax.errors import SchedulerError
from bojax.history import Decision, Job, Status
from bojax.schedulers._async_rungs import RUNGS, PromotionRung, StoppingRung
from bojax.schedulers._protocol import DONE, WAIT, Signal
from bojax.schedulers._ranking import Value, checked, plain, restored
from bojax.schedulers._rung_table import RungTable, rungs_of
from bojax.schedulers._settings import (
    STATE_VERSION,
    check_known,
    check_status,
    check_stored,
    geometric_budgets,
    grown,
    integer,
    one_in,
)


class AshaScheduler:
    """The machine behind :func:`asha`; its settings are checked there."""

    def __init__(self, settings: dict[str, Any], trials: int | None) -> None:
        self._settings = settings
        self._eta, self._slots = settings["eta"], settings["slots"]
        self._promotes = settings["mode"] == "promotion"
        budgets = geometric_budgets(self._eta, settings["min_budget"], settings["max_budget"])
        self._budgets = [budgets[s:] for s in range(settings["brackets"])]
        make = RUNGS[settings["mode"]]
        self._rungs: list[list[PromotionRung | StoppingRung]] = [
            [make(self._eta) for _ in below] for below in self._budgets
        ]
        # Where a free slot looks for work: the largest budget first.
        places = sorted(
            ((s, i) for s, below in enumerate(self._budgets) for i in range(len(below) - 1)),
            key=lambda at: (-self._budgets[at[0]][at[1]], at[0]),
        )
        self._from_the_top = [self._rungs[s][i] for s, i in places]
        self._home: list[int] = []  # bracket of each trial
        self._sizes = [0 for _ in self._budgets]  # trials of each bracket
        self._last: list[int] = []  # places of each lowest rung when all have reported
        self._level: list[int] = []  # rungs behind each trial that was started
        self._running: set[int] = set()
        self._again: list[int] = []  # heap of trials whose worker was lost
        self._over: set[int] = set()  # trials with a final decision
        self._owed: list[int] = []  # stopped in next_jobs; the next report tells
        if trials is not None:
            self.extend(trials)

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self._settings.items())
        return f"asha({given}, trials={len(self._home)})"

    # ------------------------------------------------------------------------------- plan

    def plan(self, trials: int | None = None) -> RungTable:
        """The rung table of so many trials, or of those planned, if all are alike and improve.

        What mode "promotion" trains at least, and mode "stopping" at most.

        Raises:
            SchedulerError: the number of trials is neither given nor known.
        """
        if trials is None:
            check_known("asha", len(self._home))
        sizes = self._sizes if trials is None else self._homes(integer("trials", trials))[1]
        rows = []
        for s, (size, budgets) in enumerate(zip(sizes, self._budgets, strict=True)):
            members = [size]
            for _ in budgets[1:]:
                last = members[-1]
                members.append(max(1, one_in(self._eta, last)) if self._promotes else last)
            rows += rungs_of(s, members, budgets) if size else []
        return RungTable(tuple(rows))

    def extend(self, trials: int) -> None:
        """Start so many trials in all, counting those planned before.

        Those stopped already stay stopped, and still count in their rungs.

        Raises:
            SchedulerError: fewer than are planned.
        """
        self._plan(grown(trials, len(self._home)))

    def _plan(self, trials: int) -> None:
        self._home, self._sizes = self._homes(trials)
        self._last = [max(1, one_in(self._eta, size)) for size in self._sizes]

    def _homes(self, trials: int) -> tuple[list[int], list[int]]:
        """Bracket of each of so many trials, and trials of each bracket."""
        if len(self._budgets) == 1:
            return [0] * trials, [trials]
        weights = [math.exp(len(budgets) - len(self._budgets[0])) for budgets in self._budgets]
        shares = [weight / sum(weights) for weight in weights]
        home: list[int] = []
        sizes = [0 for _ in shares]
        for i in range(1, trials + 1):
            wanting = [share * i - size for share, size in zip(shares, sizes, strict=True)]
            home.append(wanting.index(max(wanting)))
            sizes[home[-1]] += 1
        return home, sizes

    # ------------------------------------------------------------------------------- jobs

    def next_jobs(self, free_slots: int) -> list[Job] | Signal:
        """At most so many jobs, WAIT for reports, or DONE.

        Lost jobs first, then promotions from the top rung down, then new trials; `slots`
        bounds what is given out and not reported. A job given out is not given again.
        """
        free = integer("free_slots", free_slots, least=0)
        check_known("asha", len(self._home))
        if self._slots is not None:
            free = min(free, self._slots - len(self._running))
        self._owed += self._settled()
        jobs: list[Job] = []
        while len(jobs) < free and (trial := self._next()) is not None:
            jobs.append(self._give(trial))
        if not jobs and not self._running:
            jobs = [self._give(trial) for trial in list(self._last_ones())[: max(free, 0)]]
        if jobs:
            return jobs
        return DONE if len(self._over) == len(self._home) else WAIT

    def _next(self) -> int | None:
        """Who trains next in a free slot, while there is anything regular to do."""
        if self._again:
            return self._again[0]
        for rung in self._from_the_top:
            trial = rung.due()
            if trial is not None:
                return trial
        return len(self._level) if len(self._level) < len(self._home) else None

    def _last_ones(self) -> Iterator[int]:
        """When all has come to rest: the best of each bracket that has not reached its top."""
        for rungs in self._rungs:
            highest = max((i for i, rung in enumerate(rungs) if rung.values), default=None)
            if highest is not None and highest + 1 < len(rungs):
                trial = rungs[highest].best(1)
                if trial is not None:
                    yield trial

    def _give(self, trial: int) -> Job:
        if self._again and self._again[0] == trial:
            heappop(self._again)
        elif trial == len(self._level):
            self._level.append(0)
        else:
            self._rungs[self._home[trial]][self._level[trial] - 1].take(trial)
        self._running.add(trial)
        return self._job(trial)

    def _job(self, trial: int) -> Job:
        budgets, level = self._budgets[self._home[trial]], self._level[trial]
        return Job(trial, start=budgets[level - 1] if level else 0, stop=budgets[level])

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
            value: minimised, a number or a tuple of them, ranked by Pareto front in mode
                "promotion" and by the first in mode "stopping"; one that is not finite counts
                as failed.
            status: DONE; FAILED: counts in its rung, never goes on; STALE: its worker was
                lost, and the job is given out again.

        Returns:
            "pause" for this trial, unless its fate is known; "stop" for each trial that will
            not train any more, be it this one or one before; "promote" for those that passed
            when nothing runs any more. STALE gives "continue".

        Raises:
            SchedulerError: no such job is running: the trial is unknown, has reported this
                budget before, or is stopped; or the value has another number of metrics than
                those before it.
        """
        self._check_report(trial, budget)
        check_status(trial, status)
        home, level = self._home[trial], self._level[trial]
        rung = self._rungs[home][level]
        kept = None
        if status == Status.DONE:
            kept = checked(trial, value, rung.values.values())
        self._running.remove(trial)
        actions = dict.fromkeys(self._owed, "stop")
        self._owed = []
        if status == Status.STALE:
            heappush(self._again, trial)
            actions[trial] = "continue"
        else:
            self._level[trial] = level + 1
            actions[trial] = "pause"
            if kept is None or level + 1 == len(self._rungs[home]):
                rung.values[trial] = kept
                actions[trial] = "stop"
            else:
                hopeless = rung.add(trial, kept, None if level else self._last[home])
                if hopeless is not None:
                    actions[hopeless] = "stop"
        if not self._running:
            self._come_to_rest(actions)
        decisions = []
        for other in sorted(actions) if len(actions) > 1 else actions:
            decisions.append(Decision(other, actions[other]))
            if actions[other] == "stop":
                self._over.add(other)
        return decisions

    def _come_to_rest(self, actions: dict[int, str]) -> None:
        """Nothing runs: judge who waits for it, and stop who is left behind for good."""
        stopped = self._settled()
        for rungs in self._rungs:
            for rung in rungs:
                actions.update(dict.fromkeys(rung.passed, "promote"))
        if self._next() is None and not any(True for _ in self._last_ones()):
            stopped += [trial for rungs in self._rungs for rung in rungs for trial in rung.drop()]
        actions.update(dict.fromkeys(stopped, "stop"))

    def _settled(self) -> list[int]:
        """Judge who waits for it; returns who is stopped."""
        if self._promotes:
            return []
        return [trial for rungs in self._rungs for rung in rungs for trial in rung.settle()]

    def _check_report(self, trial: int, budget: float) -> None:
        started = len(self._level)
        if not 0 <= trial < started:
            raise SchedulerError(
                f"trial {trial}: reported, but never started; {started} trials were, "
                "numbered from 0."
            )
        budgets, level = self._budgets[self._home[trial]], self._level[trial]
        if trial in self._running and budget == budgets[level]:
            return
        if budget in budgets[:level]:
            raise SchedulerError(
                f"trial {trial}: budget {budget} was reported before; report a job once."
            )
        if trial in self._over:
            raise SchedulerError(
                f"trial {trial}: reported at budget {budget}, too late: it was stopped and does "
                "not train any more. Drop the report."
            )
        raise SchedulerError(
            f"trial {trial}: reported at budget {budget}, but "
            + (
                f"it trains to {budgets[level]}."
                if trial in self._running
                else "no job of it runs."
            )
        )

    # ------------------------------------------------------------------------------ state

    def state(self) -> dict[str, Any]:
        """All that is remembered, as values JSON can hold; the order of reports is not."""
        return {
            "version": STATE_VERSION,
            "method": "asha",
            "settings": self._settings,
            "trials": len(self._home),
            "levels": list(self._level),
            "running": sorted(self._running),
            "again": sorted(self._again),
            "over": sorted(self._over),
            "owed": sorted(self._owed),
            "rungs": [[_stored(rung) for rung in rungs] for rungs in self._rungs],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave.

        Raises:
            SchedulerError: it belongs to a scheduler with other settings, or was written
                by a newer version.
        """
        check_stored(state, "asha", self._settings)
        self._plan(state["trials"])
        self._level = list(state["levels"])
        self._running, self._over = set(state["running"]), set(state["over"])
        self._again, self._owed = list(state["again"]), list(state["owed"])
        for rungs, stored in zip(self._rungs, state["rungs"], strict=True):
            for rung, kept in zip(rungs, stored, strict=True):
                values = {trial: restored(value) for trial, value in kept["values"]}
                rung.restore(values, set(kept["waiting"]), set(kept["passed"]))


def _stored(rung: PromotionRung | StoppingRung) -> dict[str, Any]:
    return {
        "values": [[trial, plain(value)] for trial, value in sorted(rung.values.items())],
        "waiting": sorted(rung.waiting),
        "passed": sorted(rung.passed),
    }
