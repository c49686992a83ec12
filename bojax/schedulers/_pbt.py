"""Population based training: losers are replaced by perturbed copies of winners as they train.

M. Jaderberg et al., "Population based training of neural networks", 2017 (arXiv 1711.09846), with
truncation selection. Synchronous: all members train to the next interval, then the worst
quantile copies the state of the best. A scheduler draws nothing: it names the donors, and the
Coordinator draws one of them and perturbs its configuration (`bojax.coordinate.explore`).

In the paper members are judged one after the other, and who was replaced stands with the winner's
value from then on, so that others become the worst: `judged="in turn"`, here too after all have
trained. About twice as many are replaced.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from bojax.errors import SchedulerError
from bojax.history import Decision, Job, Status
from bojax.schedulers._protocol import DONE, WAIT, Signal
from bojax.schedulers._ranking import Value, best_first, checked, plain, restored
from bojax.schedulers._rung_table import RungTable, rungs_of
from bojax.schedulers._settings import check_known, check_status, check_stored, integer

STATE_VERSION = 1
# The paper truncates at 20 % and perturbs by 1.2 or 0.8; Ray Tune 2.60 at 25 %, and draws a value
# anew with probability 0.25.
QUANTILE = 0.25
FACTORS = (1.2, 0.8)
RESAMPLE = 0.25
TOGETHER, IN_TURN = "together", "in turn"


class PopulationBasedTraining:
    """The state machine of :func:`pbt` and :func:`pb2`.

    Attributes:
        explore: what the Coordinator perturbs copies by: names, factors and the probability of
            a fresh draw, or the settings of the model that chooses them, named by "by".

    Example:
        >>> import bojax
        >>> bojax.schedulers.pbt(max_budget=4, trials=8).explore["factors"]
        [1.2, 0.8]
    """

    def __init__(
        self, settings: dict[str, Any], trials: int | None, *, method: str, explore: dict[str, Any]
    ) -> None:
        self._settings, self._method, self.explore = settings, method, explore
        self._population = 0
        self._generation = 0  # intervals that are over
        self._members: list[int] = []
        self._donors: dict[int, tuple[int, ...]] = {}  # of this generation's new members
        self._next = 0  # number of the next new trial
        self._running: set[int] = set()
        self._values: dict[int, Value | None] = {}
        if trials is not None:
            self.extend(trials)

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self._settings.items())
        return f"{self._method}({given}, trials={self._population})"

    @property
    def _budgets(self) -> tuple[int, ...]:
        interval, most = self._settings["interval"], self._settings["max_budget"]
        return (*range(interval, most, interval), most)

    def plan(self, trials: int | None = None) -> RungTable:
        """An interval a rung, of the whole population each.

        Raises:
            SchedulerError: the size of the population is neither given nor known.
        """
        if trials is None:
            check_known(self._method, self._population)
        size = self._population if trials is None else integer("trials", trials)
        budgets = self._budgets
        return RungTable(tuple(rungs_of(0, [size] * len(budgets), budgets)))

    def extend(self, trials: int) -> None:
        """Say how many members the population has, before it is begun.

        Raises:
            SchedulerError: it was begun with another number.
        """
        trials = integer("trials", trials)
        if trials == self._population:
            return
        if self._members:
            raise SchedulerError(
                f"trials: a population of {self._population} trains already, it cannot become "
                f"{trials}; start a new run."
            )
        self._population = trials

    def next_jobs(self, free_slots: int) -> list[Job] | Signal:
        """At most so many members to be trained to the next interval, WAIT, or DONE."""
        free_slots = integer("free_slots", free_slots, least=0)
        check_known(self._method, self._population)
        if self._generation == 0 and not self._members:
            self._members, self._next = list(range(self._population)), self._population
        if self._generation == len(self._budgets) or not self._members:
            return DONE
        idle = [t for t in self._members if t not in self._running and t not in self._values]
        chosen = idle[:free_slots]
        self._running.update(chosen)
        return [self._job(trial) for trial in chosen] or WAIT

    @property
    def outstanding(self) -> list[Job]:
        """Jobs given out and not reported."""
        return [self._job(trial) for trial in sorted(self._running)]

    def _job(self, trial: int) -> Job:
        start, stop = (0, *self._budgets)[self._generation : self._generation + 2]
        return Job(trial, start, stop, donors=self._donors.get(trial, ()))

    def report(
        self, trial: int, budget: float, value: Any, *, status: Status = Status.DONE
    ) -> list[Decision]:
        """Take in a member's value at the end of an interval: a number, or a tuple of metrics.

        Returns:
            "pause" while others train. The report that ends an interval brings a decision for
            each member: "clone" with the donors for those that are replaced, "promote" for the
            others; after the last interval "stop".

        Raises:
            SchedulerError: no such job is running.
        """
        if trial not in self._running or budget != self._job(trial).stop:
            known = "it trains to another budget" if trial in self._running else "no job of it runs"
            raise SchedulerError(f"trial {trial}: reported at budget {budget}, but {known}.")
        check_status(trial, status)
        self._running.remove(trial)
        if status == Status.STALE:
            return [Decision(trial, "continue")]
        others = [known for known in self._values.values() if known is not None]
        kept = checked(trial, value, others)
        self._values[trial] = None if status == Status.FAILED else kept
        if len(self._values) < len(self._members):
            return [Decision(trial, "pause")]
        return self._end_interval()

    def _end_interval(self) -> list[Decision]:
        alive = best_first({t: v for t, v in self._values.items() if v is not None})
        failed = sorted(t for t, v in self._values.items() if v is None)
        members = sorted(self._values)
        self._values, self._donors = {}, {}
        self._generation += 1
        if self._generation == len(self._budgets) or not alive:
            self._members = []
            return [Decision(trial, "stop") for trial in members]
        moved = math.floor(self._settings["quantile"] * len(members))
        donors = tuple(sorted(alive[: max(moved, 1)]))
        # What failed is replaced whatever the quantile; a donor never is.
        worst = [*failed, *reversed(alive)][: max(moved, len(failed))]
        if self._settings.get("judged") == IN_TURN:
            worst = judged_in_turn([*alive, *failed], moved, donors) + failed
        losers = [trial for trial in members if trial in worst and trial not in donors]
        stay = [trial for trial in members if trial not in losers]
        new = list(range(self._next, self._next + len(losers)))
        self._next += len(new)
        self._donors = dict.fromkeys(new, donors)
        self._members = [*stay, *new]
        return [
            Decision(trial, "clone", donors) if trial in losers else Decision(trial, "promote")
            for trial in members
        ]

    def state(self) -> dict[str, Any]:
        """All that is remembered, as values JSON can hold."""
        return {
            "version": STATE_VERSION,
            "method": self._method,
            "settings": self._settings,
            "population": self._population,
            "generation": self._generation,
            "members": list(self._members),
            "donors": [[trial, list(donors)] for trial, donors in self._donors.items()],
            "next": self._next,
            "running": sorted(self._running),
            "values": [[trial, plain(self._values[trial])] for trial in sorted(self._values)],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave.

        Raises:
            SchedulerError: it belongs to another method, other settings or a newer version.
        """
        if "judged" in self._settings:  # states of a time before it was one of them
            state = {**state, "settings": {"judged": TOGETHER, **state.get("settings", {})}}
        check_stored(state, self._method, self._settings)
        self._population, self._generation = state["population"], state["generation"]
        self._members, self._next = list(state["members"]), state["next"]
        self._donors = {trial: tuple(donors) for trial, donors in state["donors"]}
        self._running = set(state["running"])
        self._values = {trial: restored(value) for trial, value in state["values"]}


def judged_in_turn(ranked: Sequence[int], most: int, donors: Sequence[int]) -> list[int]:
    """Who is replaced where each, by number, is among the worst `most` of those left by then.

    Args:
        ranked: members, the best first.
        most: in the quantile.
        donors: are never replaced; whoever was stands where they do.

    Example:
        >>> from bojax.schedulers._pbt import judged_in_turn
        >>> judged_in_turn([4, 3, 2, 1, 0], 1, [4])  # each is the worst when its turn comes
        [0, 1, 2, 3]
        >>> judged_in_turn([0, 1, 2, 3, 4], 1, [0])
        [4]
    """
    place = {trial: i for i, trial in enumerate(ranked)}
    left = set(ranked)
    for trial in sorted(set(ranked) - set(donors)):
        if sum(place[other] > place[trial] for other in left) < most:
            left.remove(trial)
    return [trial for trial in sorted(ranked) if trial not in left]


def pbt(
    *,
    max_budget: int = 27,
    interval: int = 1,
    quantile: float = QUANTILE,
    perturb: Sequence[str] | None = None,
    factors: tuple[float, float] = FACTORS,
    resample: float = RESAMPLE,
    judged: str = TOGETHER,
    trials: int | None = None,
) -> PopulationBasedTraining:
    """Population based training.

    All trials train together; every `interval` the worst copy one of the best, weights and
    optimiser state and all, and go on with its hyperparameters perturbed. A copy is a new trial
    whose `parent` is the one copied, so that the schedule that was found is the chain of parents.

    Args:
        max_budget: what every member is trained for, in the sweep's unit.
        interval: after which losers are replaced.
        quantile: share of the population that is replaced, and that is copied, in (0, 0.5].
        perturb: names of the parameters that change; None for every `Float`. Ordinals step to
            a neighbour, categories are drawn anew; what chooses the program (static, padded)
            cannot change in training.
        factors: a number is multiplied by one of them, never beyond its range.
        resample: probability with which a parameter is drawn anew instead, in [0, 1].
        judged: "together": the worst quantile is replaced; "in turn": each by its number, beside
            those left by then and the winners' copies, as the paper has it: more are replaced.
        trials: the population; 20 to 40 suffice (section 4 of the paper).

    Returns:
        A :class:`Scheduler`.

    Raises:
        SchedulerError: a setting makes no sense.

    Example:
        >>> import bojax
        >>> scheduler = bojax.schedulers.pbt(max_budget=2, quantile=0.5, trials=2)
        >>> for job, value in zip(scheduler.next_jobs(2), [0.9, 0.1]):
        ...     decisions = scheduler.report(job.trial, job.stop, value)
        >>> [(d.trial, d.action, d.donors) for d in decisions]
        [(0, 'clone', (1,)), (1, 'promote', ())]
        >>> scheduler.next_jobs(2)[1]
        Job(trial=2, start=1, stop=2, clone_of=None, donors=(1,))
    """
    if not _is_number(resample) or not 0 <= resample <= 1:
        raise SchedulerError(f"resample must lie in [0, 1], got {resample!r}.")
    factors = tuple(factors)  # type: ignore[assignment]
    if len(factors) != 2 or not all(_is_number(f) and 0 < f < math.inf for f in factors):
        raise SchedulerError(f"factors must be two numbers above 0, got {factors!r}.")
    if judged not in (TOGETHER, IN_TURN):
        raise SchedulerError(f"judged must be {TOGETHER!r} or {IN_TURN!r}, got {judged!r}.")
    settings = {
        **population_settings(max_budget, interval, quantile, perturb),
        "factors": list(factors),  # as JSON gives it back
        "resample": resample,
        "judged": judged,
    }
    explore = {name: settings[name] for name in ("perturb", "factors", "resample")}
    return PopulationBasedTraining(settings, trials, method="pbt", explore=explore)


def population_settings(
    max_budget: Any, interval: Any, quantile: Any, perturb: Sequence[str] | None
) -> dict[str, Any]:
    """The settings that say who copies whom, and what changes, as JSON gives them back.

    Raises:
        SchedulerError: one makes no sense.
    """
    max_budget, interval = integer("max_budget", max_budget), integer("interval", interval)
    if interval > max_budget:
        raise SchedulerError(
            f"interval must not exceed max_budget, got interval={interval}, "
            f"max_budget={max_budget}; lower it, or raise max_budget."
        )
    if not _is_number(quantile) or not 0 < quantile <= 0.5:
        raise SchedulerError(f"quantile must lie in (0, 0.5], got {quantile!r}.")
    if isinstance(perturb, str) or not isinstance(perturb, Sequence | None):
        raise SchedulerError(
            f"perturb must be a list of names of parameters, got {perturb!r}; by how much they "
            "change is factors."
        )
    return {
        "max_budget": max_budget,
        "interval": interval,
        "quantile": quantile,
        "perturb": None if perturb is None else list(perturb),
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
