"""Synchronous brackets: the state machine behind successive halving and its relatives.

A bracket starts with some trials at the lowest budget. When all of them have reported, the
best `floor(n / eta)` train on to the next budget, and so on to the last. Brackets follow
one another, so that whoever fills them learns from one before starting the next.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import Any

from bojax.errors import SchedulerError
from bojax.history import Decision, Job, Status
from bojax.schedulers._protocol import DONE, WAIT, Signal
from bojax.schedulers._rung_table import RungTable, rungs_of

STATE_VERSION = 1
ROUNDING = 1e-9  # 9 / 3 and log(27) / log(3) must not fall short of 3 by a rounding error


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
        self._values: dict[int, float | None] = {}  # reported at this rung; None: failed
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
        trials = integer("trials", trials)
        planned = sum(self._sizes)
        if trials < planned:
            raise SchedulerError(
                f"trials must not shrink: {planned} are planned, got {trials}; "
                "make a new scheduler."
            )
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
            members.append(max(1, math.floor(members[-1] / self._eta + ROUNDING)))
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
        self, trial: int, budget: int, value: float, *, status: Status = Status.DONE
    ) -> list[Decision]:
        """Take in a trial's value at a budget.

        Args:
            trial, budget: of the job reported.
            value: minimised; one that is not finite counts as failed.
            status: DONE; FAILED: never promoted; STALE: its worker was lost, and the job
                is given out again.

        Returns:
            "pause" for this trial while its rung is open. The report that closes a rung
            brings a decision for each of its members, by trial: "promote" or "stop". After
            the last rung all stop. STALE gives "continue".

        Raises:
            SchedulerError: no such job is running: the trial is unknown, has reported this
                budget before, or its rung is closed.
        """
        self._check_report(trial, budget)
        if status not in (Status.DONE, Status.FAILED, Status.STALE):
            raise SchedulerError(
                f"trial {trial}: a report is DONE, FAILED or STALE, got {status!r}."
            )
        self._running.remove(trial)
        if status == Status.STALE:
            return [Decision(trial, "continue")]
        failed = status == Status.FAILED or not math.isfinite(value)
        self._values[trial] = None if failed else float(value)
        if len(self._values) < len(self._members or ()):
            return [Decision(trial, "stop" if failed else "pause")]
        return self._close_rung()

    def _close_rung(self) -> list[Decision]:
        """Rank the rung's members; the order their reports came in plays no part."""
        finite = sorted((v, trial) for trial, v in self._values.items() if v is not None)
        planned = self._members_of(self._sizes[self._bracket], self._bracket)
        last = self._rung + 1 == len(planned)
        best = [] if last else sorted(t for _, t in finite[: planned[self._rung + 1]])
        decisions = [
            Decision(trial, "promote" if trial in best else "stop")
            for trial in sorted(self._values)
        ]
        self._values = {}
        if best:
            self._rung, self._members = self._rung + 1, best
        else:
            self._bracket, self._rung, self._members = self._bracket + 1, 0, None
        return decisions

    def _check_begun(self) -> None:
        if not self._sizes:
            raise SchedulerError(
                f"{self._method}: the number of trials is not known yet; give trials=, or "
                "call extend(trials)."
            )

    def _check_report(self, trial: int, budget: int) -> None:
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
        due = self._job(trial).stop
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
            "values": [[trial, self._values[trial]] for trial in sorted(self._values)],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave.

        Raises:
            SchedulerError: it belongs to a scheduler with other settings, or was written
                by a newer version.
        """
        if state["version"] > STATE_VERSION:
            raise SchedulerError(
                f"scheduler state: written as version {state['version']}, this bojax reads "
                f"up to {STATE_VERSION}; upgrade bojax."
            )
        was = {"method": state["method"], **state["settings"]}
        mine = {"method": self._method, **self._settings}
        for name in was.keys() | mine.keys():
            if was.get(name) != mine.get(name):
                raise SchedulerError(
                    f"scheduler state: {name} was {was.get(name)!r} when the run was "
                    f"stored, got {mine.get(name)!r}; a run goes on with its own settings."
                )
        self._sizes = list(state["sizes"])
        self._bracket, self._rung = state["bracket"], state["rung"]
        self._members = None if state["members"] is None else list(state["members"])
        self._running = set(state["running"])
        self._values = dict(state["values"])


# -------------------------------------------------------------------------------- settings


def integer(name: str, value: Any, least: int = 1) -> int:
    """A whole number of at least `least`, or a SchedulerError that names the setting."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or number < least:
        raise SchedulerError(f"{name} must be an integer of at least {least}, got {value!r}.")
    return number


def geometric_budgets(eta: float, min_budget: int, max_budget: int) -> tuple[int, ...]:
    """`max_budget / eta**k`, rounded, down to at least `min_budget`; rising, no repeats."""
    rungs = math.floor(math.log(max_budget / min_budget) / math.log(eta) + ROUNDING)
    budgets = {max(min_budget, round(max_budget / eta**k)) for k in range(rungs + 1)}
    return tuple(sorted(budgets))
