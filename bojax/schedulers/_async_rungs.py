"""Rungs without a barrier: who of those that have reported may go on by now.

Two rules, one interface. `values` are those of all that have reported, None of whoever failed;
`add` takes one in whose trial may go on, `settle` judges what waits for judgement, `due` names
who goes on next, `take` lets it. `waiting` are those who have reported and neither went on nor
stopped. Everything is a function of the set of values, not of the order they came in.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from heapq import heappop, heappush

from bojax.schedulers._quantile_stopping import quantile
from bojax.schedulers._ranking import Value, best_first, first
from bojax.schedulers._settings import one_in


class PromotionRung:
    """The best `floor(n / eta)` of the n that have reported go on, at any time.

    Numbers are kept sorted, and those who wait in a heap, so that a report takes O(log n)
    comparisons. Tuples are ranked by Pareto front, anew after each report.
    """

    def __init__(self, eta: float) -> None:
        self._eta = eta
        self.values: dict[int, Value | None] = {}  # None: failed; counts, and never goes on
        self.waiting: set[int] = set()
        self._ranked: list[tuple[float, int]] = []  # numbers, the best first
        self._open: list[tuple[float, int]] = []  # heap; some of it may not wait any more
        self._tuples: dict[int, Value] = {}
        self._order: list[int] | None = None  # of the tuples, best first
        self._due: int | None = None  # after so many reports, if nobody went on since:
        self._known = 0

    def add(self, trial: int, value: Value, last: int | None = None) -> int | None:
        """Take a value in.

        Args:
            trial: whose it is.
            value: as :func:`checked` gives it, not None.
            last: how many may go on at most, when all have reported, if that is known.

        Returns:
            A trial that can go on no more, however the others do, and waits no longer.
        """
        self.values[trial] = value
        self.waiting.add(trial)
        if isinstance(value, tuple):
            self._tuples[trial] = value
            self._order = None
            return None  # a distance may grow again, so nobody is hopeless
        key = (value, trial)
        place = bisect_left(self._ranked, key)
        self._ranked.insert(place, key)
        heappush(self._open, key)
        if last is None or len(self._ranked) <= last:
            return None
        hopeless = self._ranked[max(place, last)][1]  # this one, or whom it pushed out
        if hopeless not in self.waiting:
            return None
        self.waiting.remove(hopeless)
        return hopeless

    def settle(self) -> list[int]:
        """Nobody waits for judgement here."""
        return []

    def due(self) -> int | None:
        """The best of those who may go on; None if nobody may."""
        if self._known != len(self.values):  # asked at every free slot, and seldom another
            self._known = len(self.values)
            self._due = self.best(one_in(self._eta, self._known))
        return self._due

    def best(self, places: int) -> int | None:
        """The best who waits, if it is among so many best of all; or None."""
        if not places or not self.waiting:
            return None
        if self._tuples:
            if self._order is None:
                self._order = best_first(self._tuples)
            return next((t for t in self._order[:places] if t in self.waiting), None)
        while self._open[0][1] not in self.waiting:
            heappop(self._open)
        last = self._ranked[min(places, len(self._ranked)) - 1]
        return self._open[0][1] if self._open[0] <= last else None

    def take(self, trial: int) -> None:
        """Let it go on."""
        self.waiting.remove(trial)
        self._known = -1

    def drop(self) -> list[int]:
        """Stop all who wait."""
        dropped = sorted(self.waiting)
        self.waiting.clear()
        self._known = -1
        return dropped

    def restore(self, values: dict[int, Value | None], waiting: set[int], passed: set[int]) -> None:
        """Go on with these values and those of them that wait."""
        finite = {trial: v for trial, v in values.items() if v is not None}
        self.values, self.waiting = values, waiting
        self._tuples = {trial: v for trial, v in finite.items() if isinstance(v, tuple)}
        self._ranked = sorted((v, t) for t, v in finite.items() if not isinstance(v, tuple))
        self._open = [key for key in self._ranked if key[1] in waiting]
        self._order, self._known = None, -1

    @property
    def passed(self) -> set[int]:
        """Of those who wait, who will go on whatever others do: nobody."""
        return set()


class StoppingRung:
    """Who is not behind the best 1 / eta of those recorded before goes on, the rest stops.

    Those who report between two calls of `settle` are judged by their numbers, lowest first, so
    that it does not matter who came first.
    """

    def __init__(self, eta: float) -> None:
        self._eta = eta
        self.values: dict[int, Value | None] = {}
        self.waiting: set[int] = set()
        self._recorded: list[float] = []  # judged values, rising
        self._new: list[tuple[int, float]] = []  # trial, value: not judged yet
        self._passed: list[int] = []  # heap

    def add(self, trial: int, value: Value, last: int | None = None) -> int | None:
        """Take a value in; judged at the next `settle`."""
        self.values[trial] = value
        self.waiting.add(trial)
        self._new.append((trial, first(value)))
        return None

    def settle(self) -> list[int]:
        """Judge those who came since the last time; returns who stops."""
        stopped: list[int] = []
        if not self._new:
            return stopped
        for trial, value in sorted(self._new):
            if self._recorded and value > quantile(self._recorded, 1 / self._eta):
                stopped.append(trial)
                self.waiting.remove(trial)
            else:
                heappush(self._passed, trial)
            insort(self._recorded, value)
        self._new = []
        return stopped

    def due(self) -> int | None:
        """The first of those who passed."""
        return self._passed[0] if self._passed else None

    def best(self, places: int) -> int | None:
        """Nobody but those who passed goes on."""
        return None

    def take(self, trial: int) -> None:
        """Let the first one go on."""
        heappop(self._passed)
        self.waiting.remove(trial)

    def drop(self) -> list[int]:
        """Nobody waits for ever here."""
        return []

    def restore(self, values: dict[int, Value | None], waiting: set[int], passed: set[int]) -> None:
        """Go on with these values, those of them that wait, and those of these that passed."""
        self.values, self.waiting = values, waiting
        self._passed = sorted(passed)
        finite = {trial: first(v) for trial, v in values.items() if v is not None}
        self._new = [(trial, finite.pop(trial)) for trial in waiting - passed]
        self._recorded = sorted(finite.values())

    @property
    def passed(self) -> set[int]:
        """Of those who wait, who will go on whatever others do."""
        return set(self._passed)


RUNGS: dict[str, type[PromotionRung] | type[StoppingRung]] = {
    "promotion": PromotionRung,
    "stopping": StoppingRung,
}
