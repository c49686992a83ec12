"""Objectives by name: how a value comes in, how it is kept, which trial is best.

Inside everything is minimised and in one order; names and directions are the user's, and only this
module turns the one into the other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bojax.errors import TrialError
from bojax.history import Status, Trial
from bojax.stats import pareto_ranks

DIRECTIONS = ("minimize", "maximize")
ALONE = "value"  # the name of an objective that was given none


class Objectives(NamedTuple):
    """Names and directions, in the user's order.

    Example:
        >>> from bojax.objectives import Objectives
        >>> wanted = Objectives.of({"loss": "minimize", "speed": "maximize"})
        >>> wanted.values({"speed": 3, "loss": 0.5}), wanted.inner((0.5, 3.0)).tolist()
        ((0.5, 3.0), [0.5, -3.0])
    """

    names: tuple[str, ...]
    directions: tuple[str, ...]

    @classmethod
    def of(cls, direction: Any) -> Objectives:
        """From "minimize", "maximize", or a mapping of names to these.

        Raises:
            ValueError: it is none of them, or the mapping is empty.
        """
        named = {ALONE: direction} if isinstance(direction, str) else direction
        if not isinstance(named, Mapping) or not named:
            raise ValueError(
                f"direction: expected one of {DIRECTIONS}, or a mapping of objectives to these, "
                f"got {direction!r}."
            )
        for name, way in named.items():
            if not isinstance(name, str) or not name:
                raise ValueError(f"direction: an objective's name is a word, got {name!r}.")
            if way not in DIRECTIONS:
                of = "" if isinstance(direction, str) else f" of {name}"
                raise ValueError(f"direction{of}: expected one of {DIRECTIONS}, got {way!r}.")
        return cls(tuple(named), tuple(named.values()))

    @property
    def several(self) -> bool:
        """Whether there is more than one."""
        return len(self.names) > 1

    @property
    def direction(self) -> str | dict[str, str]:
        """As the user writes it."""
        return self.directions[0] if self.names == (ALONE,) else self.named(self.directions)

    def named(self, values: Sequence[Any]) -> dict[str, Any]:
        """Values by name."""
        return dict(zip(self.names, values, strict=True))

    @property
    def signs(self) -> np.ndarray:
        """`[M]`: 1 for what is minimised, -1 for what is maximised."""
        return np.where(np.array(self.directions) == "minimize", 1.0, -1.0)

    def inner(self, values: Sequence[float]) -> np.ndarray:
        """Values as the history keeps them, minimised `[M]`; it is its own inverse."""
        return self.signs * np.asarray(values, float)

    def outer(self, values: np.ndarray) -> tuple[float, ...]:
        """What the history keeps, in the user's own directions."""
        return tuple(map(float, self.signs * values))

    def values(self, given: Any, what: str = "value") -> tuple[float, ...]:
        """What the user gave for a trial: one number an objective; NaN for None.

        Args:
            given: a mapping by name or a sequence in order; a number if there is one objective.
            what: for messages.

        Raises:
            TrialError: names, or as many numbers, as there are no objectives; no numbers.
        """
        if isinstance(given, Mapping):
            for name in given:
                if name not in self.names:
                    raise TrialError(f"{what}: {name!r} is no objective; {self._expected}.")
            for name in self.names:
                if name not in given:
                    raise TrialError(f"{what}: {name} is missing; {self._expected}.")
            return tuple(number(f"{what} of {name}", given[name]) for name in self.names)
        if not self.several:
            return (number(what, given),)
        if given is None:
            return (math.nan,) * len(self.names)
        parts = given.tolist() if isinstance(given, np.ndarray) else given
        if isinstance(parts, (str, bytes)) or not isinstance(parts, Sequence):
            raise TrialError(f"{what}: {self._expected}, got {given!r}.")
        if len(parts) != len(self.names):
            raise TrialError(f"{what}: {self._expected}, got {len(parts)} of them.")
        pairs = zip(self.names, parts, strict=True)
        return tuple(number(f"{what} of {name}", part) for name, part in pairs)

    def variance(self, given: Any) -> tuple[float, ...]:
        """Known variances of a trial's values, 0 where none is given.

        Raises:
            TrialError: as :meth:`values`, or one that is negative or not finite.
        """
        if given is None:
            return (0.0,) * len(self.names)
        told = self.values(given, "variance")
        for variance in told:
            if not (math.isfinite(variance) and variance >= 0):
                raise TrialError(f"variance: must be finite and not negative, got {variance}.")
        return told

    @property
    def _expected(self) -> str:
        if not self.several:
            return f"expected a number, or {{{self.names[0]!r}: number}}"
        return f"expected {len(self.names)} numbers, one each for {', '.join(self.names)}"

    # ------------------------------------------------------------------ which trial

    def best(self, trials: Sequence[Trial]) -> Trial:
        """The finished trial of best value at the largest budget; ties go to the earlier one.

        Raises:
            TrialError: nothing finished yet, or several objectives.
        """
        if self.several:
            raise TrialError(
                f"best: of several objectives ({', '.join(self.names)}) no one trial is best; "
                "pareto() has those that none is better than."
            )
        first = self.pareto(trials)
        if not first:
            raise TrialError("best: no trial has a value yet; tell one first.")
        return first[0]

    def pareto(self, trials: Sequence[Trial]) -> list[Trial]:
        """Finished trials at the largest budget that none of them dominates, by id."""
        done = [t for t in trials if t.status == Status.DONE and t.values is not None]
        budget = max((t.fidelity or 0.0 for t in done), default=0.0)
        done = [t for t in done if (t.fidelity or 0.0) == budget]
        if not done:
            return []
        values = np.array([self.inner(t.values or ()) for t in done])
        # One objective needs no table of all pairs.
        first = pareto_ranks(values) == 0 if self.several else values[:, 0] == values.min()
        return sorted((t for t, ok in zip(done, first, strict=True) if ok), key=lambda t: t.id)


def number(name: str, value: Any) -> float:
    """One number, NaN for None.

    Raises:
        TrialError: it is none.
    """
    if value is None:
        return math.nan
    try:
        array = np.asarray(value, float)
    except (TypeError, ValueError) as error:
        raise TrialError(f"{name}: expected a number, got {value!r}.") from error
    if array.size != 1:
        raise TrialError(
            f"{name}: expected one number a trial, got shape {array.shape}; "
            "give a list of trials with as many values."
        )
    return float(array.reshape(()))


def column(name: str, given: Any, n: int) -> Sequence[Any]:
    """What was told of `n` trials, one each.

    Raises:
        TrialError: there are not as many.
    """
    if given is None:
        return [None] * n
    if isinstance(given, str) or (not isinstance(given, Sequence) and np.ndim(given) == 0):
        raise TrialError(f"tell: {n} trials need {n} {name}, got the single {given!r}.")
    if len(given) != n:
        raise TrialError(f"tell: {n} trials need {n} {name}, got {len(given)}.")
    return list(given)
