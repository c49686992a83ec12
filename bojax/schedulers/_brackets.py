"""Synchronous brackets: the state machine behind successive halving and its relatives.

A bracket starts with some trials at the lowest budget. When all of them have reported, the
best `floor(n / eta)` train on to the next budget, and so on to the last. Brackets follow
one another, so that whoever fills them learns from one before starting the next.
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

    `size=None` takes every trial that is still to start.
    """

    size: int | None
    budgets: tuple[int, ...]


class BracketScheduler:
    """Brackets in a fixed cycle, one after the other, until all trials are started.

    Args:
        method: name of the method, for messages and the stored state.
        settings: the method's settings, to compare when a state is restored.
        cycle: shapes of the brackets, repeated as often as needed.
        eta: one in `eta` trials goes on to the next rung.
        trials: trials to start in all; None if `extend` will say.
    """

    def __init__(
        self,
        method: str,
        settings: dict[str, Any],
        cycle: tuple[Bracket, ...],
        eta: float,
        trials: int | None,
    ):
        self._method, self._settings = method, settings
        self._cycle, self._eta = cycle, eta
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
            rows += rungs_of(i, self._members_of(size, i), self._budgets(i))
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
            size = self._cycle[len(sizes) % len(self._cycle)].size
            sizes.append(left if size is None else min(size, left))
        return sizes

    def _budgets(self, bracket: int) -> tuple[int, ...]:
        return self._cycle[bracket % len(self._cycle)].budgets

    def _members_of(self, size: int, bracket: int) -> list[int]:
        """Members of each rung; one at least reaches the last, however small the bracket."""
        members = [size]
        for _ in self._budgets(bracket)[1:]:
            members.append(max(1, one_in(self._eta, members[-1])))
        return members

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
            first = sum(self._sizes[: self._bracket])
            self._members = list(range(first, first + self._sizes[self._bracket]))
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

    def _job(self, trial: int) -> Job:
        budgets = (0, *self._budgets(self._bracket))
        return Job(trial, start=budgets[self._rung], stop=budgets[self._rung + 1])

    # ---------------------------------------------------------------------------- reports

    def report(
        self, trial: int, budget: int, value: Value, *, status: Status = Status.DONE
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
        last = self._rung + 1 == len(self._budgets(self._bracket))
        finite = {trial: v for trial, v in sorted(self._values.items()) if v is not None}
        going = [] if last else sorted(self._survivors(finite))
        on = set(going)
        decisions = [
            Decision(trial, "promote" if trial in on else "stop") for trial in sorted(self._values)
        ]
        self._values = {}
        if going:
            self._rung, self._members = self._rung + 1, going
        else:
            self._bracket, self._rung, self._members = self._bracket + 1, 0, None
        return decisions

    def _survivors(self, values: dict[int, Value]) -> list[int]:
        """Who goes on, of those with a value at this rung: the best, as many as planned."""
        planned = self._members_of(self._sizes[self._bracket], self._bracket)
        return best_first(values)[: planned[self._rung + 1]]

    def _check_begun(self) -> None:
        check_known(self._method, sum(self._sizes))

    def _check_report(self, trial: int, budget: int) -> None:
        due = self._budgets(self._bracket)[self._rung]
        if trial in self._running and budget == due:
            return
        begun = self._bracket + (self._members is not None)
        started = sum(self._sizes[:begun])
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
        earlier = self._budgets(self._bracket)[: self._rung]
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
