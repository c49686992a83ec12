"""What a scheduler is: a deterministic state machine that says who trains on, and how far.

Plain Python, without JAX, clock or randomness: the same reports lead to the same jobs,
whatever order they arrived in.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Protocol, runtime_checkable

from bojax.history import Decision, Job, Status
from bojax.schedulers._ranking import Value
from bojax.schedulers._rung_table import RungTable


class Signal(Enum):
    """What `next_jobs` answers when it has no job to give.

    `WAIT`: report a running job first. `DONE`: nothing is left to do.

    Example:
        >>> import bojax
        >>> bojax.schedulers.WAIT is bojax.schedulers.DONE
        False
    """

    WAIT = "wait"
    DONE = "done"


WAIT = Signal.WAIT
DONE = Signal.DONE


@runtime_checkable
class Scheduler(Protocol):
    """The protocol every scheduler follows; structural, nothing to inherit from.

    Example:
        >>> import bojax
        >>> scheduler = bojax.schedulers.full_budget(max_budget=9, trials=2)
        >>> isinstance(scheduler, bojax.schedulers.Scheduler)
        True
    """

    def plan(self, trials: int | None = None) -> RungTable:
        """What would be trained if trials were all alike, improved and none failed: a table.

        Changes nothing. Who stops trials by their values trains less than that, or more where
        a trial is promoted too early.
        """

    def extend(self, trials: int) -> None:
        """Start so many trials in all, counting those started before."""

    def next_jobs(self, free_slots: int) -> list[Job] | Signal:
        """At most so many jobs, WAIT, or DONE. A job given out is not given again."""

    def report(
        self, trial: int, budget: float, value: Value, *, status: Status = Status.DONE
    ) -> list[Decision]:
        """Take in the value of a trial at a budget; what follows from it.

        A value is minimised: a number, or a tuple of as many for every trial. A scheduler whose
        attribute `unit` is "replicas" takes `each=`, too: a value for each replica of the job.
        """

    @property
    def outstanding(self) -> list[Job]:
        """Jobs given out and not reported: what a resumed run has to train again."""

    def state(self) -> dict[str, Any]:
        """All that is remembered, as values JSON can hold."""

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave, in a scheduler with the same settings."""
