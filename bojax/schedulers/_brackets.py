"""Synchronous brackets: the state machine behind successive halving and its relatives.

A bracket starts with some trials at the lowest budget. When all of them have reported, the
best `floor(n / eta)` train on to the next budget, and so on to the last. Brackets follow
one another, so that whoever fills them learns from one before starting the next. In a *fresh*
bracket nobody goes on: each rung starts trials of its own, whose configurations may be bred from
those of the rung below.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
    one_in,
)


@dataclass(frozen=True)
class Bracket:
    """The shape of a bracket: how many trials, trained up to which budgets.

    `size` is that of its first rung; None takes every trial that is still to start. `fresh` says
    whether every rung starts new trials, as many as would have gone on.
    """

    size: int | None
    budgets: tuple[int, ...]
    fresh: bool = False

    def members(self, size: int, eta: float) -> list[int]:
        """Members of each rung; one at least reaches the last, however small the bracket."""
        members = [size]
        for _ in self.budgets[1:]:
            members.append(max(1, one_in(eta, members[-1])))
        return members


class BracketScheduler:
    """Brackets in a fixed cycle, one after the other, until all trials are started.

    A bracket that is cut short by the number of trials is smaller, a fresh one has fewer rungs.

    Args:
        method: name of the method, for messages and the stored state.
        settings: the method's settings, to compare when a state is restored.
        cycle: shapes of the brackets, repeated as often as needed.
        eta: one in `eta` trials goes on to the next rung.
        trials: trials to start in all; None if `extend` will say.
        first: shapes of the brackets before those of the cycle.
    """

    def __init__(
        self,
        method: str,
        settings: dict[str, Any],
        cycle: tuple[Bracket, ...],
        eta: float,
        trials: int | None,
        first: tuple[Bracket, ...] = (),
    ):
        self._method, self._settings = method, settings
        self._cycle, self._first, self._eta = cycle, first, eta
        self._sizes: list[int] = []  # trials of each bracket
        self._bracket = 0  # the one being trained
        self._rung = 0
        self._members: list[int] | None = None  # None before the bracket is begun
        self._running: set[int] = set()
        self._values: dict[int, Value | None] = {}  # reported at this rung; None: failed
        if trials is not None:
            self.extend(trials)

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self._settings.items())
        return f"{self._method}({given}, trials={sum(self._sizes)})"

    # ------------------------------------------------------------------------------- plan

    def plan(self, trials: int | None = None) -> RungTable:
        """The rung table of so many trials, or of those planned, if none fails.

        Raises:
            SchedulerError: the number of trials is neither given nor known.
        """
        if trials is None:
            self._check_begun()
        sizes = self._sizes if trials is None else self._sizes_for(trials, [])
        rows = []
        for i, size in enumerate(sizes):
            shape, members = self._shape(i), self._members_of(size, i)
            rows += rungs_of(i, members, shape.budgets[: len(members)], fresh=shape.fresh)
        return RungTable(tuple(rows))

    def extend(self, trials: int) -> None:
        """Start so many trials in all, counting those planned before.

        Brackets planned already stay as they are, and what is added starts new ones: two
        steps to 64 trials may cut other brackets than one.

        Raises:
            SchedulerError: fewer than are planned.
        """
        trials = grown(trials, sum(self._sizes))
        self._sizes = self._sizes_for(trials, self._sizes)

    def _sizes_for(self, trials: int, sizes: list[int]) -> list[int]:
        trials = integer("trials", trials)
        sizes = list(sizes)
        while (left := trials - sum(sizes)) > 0:
            shape = self._shape(len(sizes))
            size = left if shape.size is None else shape.size
            whole = sum(shape.members(size, self._eta)) if shape.fresh else size
            sizes.append(min(whole, left))
        return sizes

    def _shape(self, bracket: int) -> Bracket:
        if bracket < len(self._first):
            return self._first[bracket]
        return self._cycle[(bracket - len(self._first)) % len(self._cycle)]

    def _budgets(self, bracket: int) -> tuple[int, ...]:
        return self._shape(bracket).budgets

    def _members_of(self, size: int, bracket: int) -> list[int]:
        """Members of each rung of a bracket that starts so many trials."""
        shape = self._shape(bracket)
        if not shape.fresh:
            return shape.members(size, self._eta)
        members, left = [], size
        for rung in shape.members(shape.size or size, self._eta):
            members.append(min(rung, left))
            left -= members[-1]
        return [n for n in members if n]

    def _planned(self) -> list[int]:
        """Members of each rung of the present bracket, if none fails."""
        return self._members_of(self._sizes[self._bracket], self._bracket)

    # ------------------------------------------------------------------------------- jobs

    def next_jobs(self, free_slots: int) -> list[Job] | Signal:
        """At most so many jobs of the present rung, WAIT for its reports, or DONE.

        A job given out is not given again; see `outstanding`.
        """
        free_slots = integer("free_slots", free_slots, least=0)
        self._check_begun()
        if self._bracket == len(self._sizes):
            return DONE
        if self._members is None:
            self._members = self._new_members()
        idle = [
            trial
            for trial in self._members
            if trial not in self._running and trial not in self._values
        ]
        chosen = idle[:free_slots]
        self._running.update(chosen)
        return [self._job(trial) for trial in chosen] or WAIT

    @property
    def outstanding(self) -> list[Job]:
        """Jobs given out and not reported, by trial: what a resumed run trains again."""
        return [self._job(trial) for trial in sorted(self._running)]

    def _new_members(self) -> list[int]:
        """Numbers of the trials that start at this rung."""
        first = sum(self._sizes[: self._bracket]) + sum(self._planned()[: self._rung])
        return list(range(first, first + self._planned()[self._rung]))

    def _job(self, trial: int) -> Job:
        budgets = self._budgets(self._bracket)
        resumes = self._rung > 0 and not self._shape(self._bracket).fresh
        start = budgets[self._rung - 1] if resumes else 0
        return Job(trial, start=start, stop=budgets[self._rung])

    # ---------------------------------------------------------------------------- reports

    def report(
        self, trial: int, budget: float, value: Value, *, status: Status = Status.DONE
    ) -> list[Decision]:
        """Take in a trial's value at a budget.

        Args:
            trial, budget: of the job reported.
            value: minimised, a number or a tuple of them, ranked by Pareto front; one that is
                not finite counts as failed.
            status: DONE; FAILED: never promoted; STALE: its worker was lost, and the job
                is given out again.

        Returns:
            "pause" for this trial while its rung is open. The report that closes a rung
            brings a decision for each of its members, by trial: "promote" or "stop". After
            the last rung all stop. STALE gives "continue".

        Raises:
            SchedulerError: no such job is running: the trial is unknown, has reported this
                budget before, or its rung is closed; or the value has another number of
                metrics than those before it.
        """
        self._check_report(trial, budget)
        check_status(trial, status)
        kept = None
        if status == Status.DONE:
            kept = checked(trial, value, self._values.values())
        self._running.remove(trial)
        if status == Status.STALE:
            return [Decision(trial, "continue")]
        self._values[trial] = kept
        if len(self._values) < len(self._members or ()):
            return [Decision(trial, "stop" if kept is None else "pause")]
        return self._close_rung()

    def _close_rung(self) -> list[Decision]:
        """Decide on the rung's members; the order their reports came in plays no part."""
        last, fresh = self._rung + 1 == len(self._planned()), self._shape(self._bracket).fresh
        finite = {trial: v for trial, v in sorted(self._values.items()) if v is not None}
        going = [] if last or fresh else sorted(self._survivors(finite))
        on = set(going)
        decisions = [
            Decision(trial, "promote" if trial in on else "stop") for trial in sorted(self._values)
        ]
        self._values = {}
        if going:
            self._rung, self._members = self._rung + 1, going
        elif fresh and not last:
            self._rung, self._members = self._rung + 1, None
        else:
            self._bracket, self._rung, self._members = self._bracket + 1, 0, None
        return decisions

    def _survivors(self, values: dict[int, Value]) -> list[int]:
        """Who goes on, of those with a value at this rung: the best, as many as planned."""
        return best_first(values)[: self._planned()[self._rung + 1]]

    def _check_begun(self) -> None:
        check_known(self._method, sum(self._sizes))

    def _check_report(self, trial: int, budget: float) -> None:
        if trial in self._running and budget == self._job(trial).stop:
            return
        fresh = self._shape(self._bracket).fresh
        # Rungs of this bracket that started trials.
        begun = (self._rung if fresh else 0) + (self._members is not None)
        started = sum(self._sizes[: self._bracket]) + sum(self._planned()[:begun] if begun else ())
        if not 0 <= trial < started:
            raise SchedulerError(
                f"trial {trial}: reported, but never started; {started} trials were, "
                "numbered from 0."
            )
        if trial not in (self._members or ()):
            raise SchedulerError(
                f"trial {trial}: reported at budget {budget}, too late: its rung is closed "
                "and it does not train any more. Drop the report."
            )
        due = self._job(trial).stop
        earlier = () if fresh else self._budgets(self._bracket)[: self._rung]
        if budget in earlier or (trial in self._values and budget == due):
            raise SchedulerError(
                f"trial {trial}: budget {budget} was reported before; report a job once."
            )
        if trial not in self._running or budget != due:
            raise SchedulerError(
                f"trial {trial}: reported at budget {budget}, but "
                + (f"it trains to {due}." if trial in self._running else "no job of it runs.")
            )

    # ------------------------------------------------------------------------------ state

    def state(self) -> dict[str, Any]:
        """All that is remembered, as values JSON can hold; the order of reports is not."""
        return {
            "version": STATE_VERSION,
            "method": self._method,
            "settings": self._settings,
            "sizes": list(self._sizes),
            "bracket": self._bracket,
            "rung": self._rung,
            "members": None if self._members is None else list(self._members),
            "running": sorted(self._running),
            "values": [[trial, plain(self._values[trial])] for trial in sorted(self._values)],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave.

        Raises:
            SchedulerError: it belongs to a scheduler with other settings, or was written
                by a newer version.
        """
        check_stored(state, self._method, self._settings)
        self._sizes = list(state["sizes"])
        self._bracket, self._rung = state["bracket"], state["rung"]
        self._members = None if state["members"] is None else list(state["members"])
        self._running = set(state["running"])
        self._values = {trial: restored(value) for trial, value in state["values"]}
