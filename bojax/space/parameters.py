"""The parameters a space is made of, as a user writes them.

They hold natural units and are checked when they are made; `bojax.space.space` compiles
them to the arrays of a `SpaceTable`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bojax.errors import SpaceError

# Integers beyond this do not survive the trip through a float64 unit interval: in log scale
# a unit in the last place of the row moves the value by 4e-15 relative, half a unit at 2**47.
LARGEST_INTEGER = 2**45


@dataclass(frozen=True)
class Range:
    """A closed interval of a numeric parent, for conditions.

    Args:
        low: smallest value at which the child is active, natural units.
        high: largest such value, inclusive.

    Example:
        >>> import bojax
        >>> space = bojax.Space({
        ...     "depth": bojax.Int(1, 4),
        ...     "skip": bojax.Boolean(when={"depth": bojax.Range(3, 4)}),
        ... })
        >>> space.decode(space.encode({"depth": 2}))
        {'depth': 2}
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (_finite(self.low) and _finite(self.high) and self.low <= self.high):
            raise SpaceError(
                f"Range: expected finite low <= high, got low={self.low!r}, high={self.high!r}."
            )


@dataclass(frozen=True)
class Normal:
    """A belief that the best value lies about `mean`, give or take `deviation`.

    For the `prior=` of a :class:`Float` or :class:`Int`: it is cut to the parameter's
    range, tilts the search and never excludes a value (C. Hvarfner et al., "piBO:
    Augmenting Acquisition Functions with User Beliefs", ICLR 2022).

    Args:
        mean: the value believed to be best, natural units.
        deviation: natural units; of a parameter in log scale a factor above 1: with 3.0,
            a third and three times the mean are one deviation away.

    Raises:
        SpaceError: numbers that are not finite, or a deviation that is not positive.

    Example:
        >>> import bojax
        >>> space = bojax.Space({"x": bojax.Float(0, 1, prior=bojax.Normal(0.3, 0.01))})
        >>> all(abs(c["x"] - 0.3) < 0.06 for c in space.sample(9, prior=True))
        True
    """

    mean: float
    deviation: float

    def __post_init__(self) -> None:
        if not (_finite(self.mean) and _finite(self.deviation) and self.deviation > 0):
            raise SpaceError(
                "Normal: expected a finite mean and a positive finite deviation, got "
                f"mean={self.mean!r}, deviation={self.deviation!r}."
            )


When = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


@dataclass(frozen=True)
class Float:
    """A real parameter in `[low, high]`.

    Args:
        low, high: bounds in natural units, both inclusive and finite.
        log: search in the logarithm; `low` must be positive.
        step: if given, only `low + k step` is suggested (a quantised parameter). With
            `log=True` the grid stays even in natural units and the search in logarithms.
        when: condition under which the parameter exists, see :class:`bojax.Space`.
        prior: where the best value is believed to lie, a :class:`Normal`.

    Raises:
        SpaceError: reversed, equal or non-finite bounds, a log scale from zero or below.

    Example:
        >>> import bojax
        >>> bojax.Float(1e-5, 1e-1, log=True)
        Float(low=1e-05, high=0.1, log=True, step=None, when=None, prior=None)
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    when: When = field(default=None, kw_only=True)
    prior: Normal | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        _check_bounds("Float", self.low, self.high, self.log)
        _check_prior("Float", self)
        object.__setattr__(self, "low", float(self.low))
        object.__setattr__(self, "high", float(self.high))
        if self.step is not None:
            if not (_finite(self.step) and 0 < self.step <= self.high - self.low):
                raise SpaceError(
                    "Float: step must be positive and at most high - low, got "
                    f"step={self.step!r} over [{self.low}, {self.high}]."
                )
            object.__setattr__(self, "step", float(self.step))
            largest = max(abs(self.low), abs(self.high))
            if largest > LARGEST_INTEGER * self.step:
                raise SpaceError(
                    f"Float: step={self.step} is too fine to be exact beside bounds of {largest}; "
                    "use a larger step, or none."
                )


@dataclass(frozen=True)
class Int:
    """An integer parameter, both bounds inclusive.

    Args:
        low, high: bounds, at most 2**45 in size.
        log: search in the logarithm; `low` must be at least 1.
        step: only `low + k step` is suggested; with `log=True` as for :class:`Float`.
        when: condition under which the parameter exists, see :class:`bojax.Space`.
        prior: where the best value is believed to lie, a :class:`Normal`.

    Raises:
        SpaceError: reversed or equal bounds, bounds that are no integers or too large.

    Example:
        >>> import bojax
        >>> bojax.Int(16, 512, log=True)
        Int(low=16, high=512, log=True, step=1, when=None, prior=None)
    """

    low: int
    high: int
    log: bool = False
    step: int = 1
    when: When = field(default=None, kw_only=True)
    prior: Normal | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        _check_bounds("Int", self.low, self.high, self.log)
        _check_prior("Int", self)
        for name in ("low", "high", "step"):
            value = getattr(self, name)
            if isinstance(value, bool) or value != int(value):
                raise SpaceError(f"Int: {name} must be an integer, got {value!r}; use Float.")
            object.__setattr__(self, name, int(value))
        if max(abs(self.low), abs(self.high)) > LARGEST_INTEGER:
            raise SpaceError(
                f"Int: bounds must stay within ±2**45 to be exact, got {self.low}..{self.high}; "
                "use Float, or tune the exponent."
            )
        if not 0 < self.step <= self.high - self.low:
            raise SpaceError(
                f"Int: step must be positive and at most high - low, got step={self.step} "
                f"over [{self.low}, {self.high}]."
            )


@dataclass(frozen=True)
class Ordinal:
    """An ordered list of choices; neighbours in the list are neighbours in the model.

    Args:
        choices: at least two distinct values, in order; spaced by rank.
        when: condition under which the parameter exists, see :class:`bojax.Space`.
        weights: how much each choice is believed to be the best, one positive number
            each; they need not sum to 1.

    Raises:
        SpaceError: fewer than two choices, duplicates, or weights that do not fit.

    Example:
        >>> import bojax
        >>> bojax.Ordinal([1, 2, 4]).choices
        (1, 2, 4)
    """

    choices: Sequence[Any]
    when: When = field(default=None, kw_only=True)
    weights: Sequence[float] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "choices", _check_choices("Ordinal", self.choices))
        object.__setattr__(self, "weights", _check_weights("Ordinal", self))


@dataclass(frozen=True)
class Categorical:
    """One of several unordered choices.

    Args:
        choices: at least two distinct values of any kind; 1, 1.0 and True are distinct.
        when: condition under which the parameter exists, see :class:`bojax.Space`.
        weights: how much each choice is believed to be the best, one positive number
            each; they need not sum to 1.

    Raises:
        SpaceError: fewer than two choices, duplicates, or weights that do not fit.

    Example:
        >>> import bojax
        >>> bojax.Categorical(["sgd", "adam"]).choices
        ('sgd', 'adam')
    """

    choices: Sequence[Any]
    when: When = field(default=None, kw_only=True)
    weights: Sequence[float] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "choices", _check_choices("Categorical", self.choices))
        object.__setattr__(self, "weights", _check_weights("Categorical", self))


@dataclass(frozen=True)
class Boolean:
    """False or True.

    Args:
        when: condition under which the parameter exists, see :class:`bojax.Space`.
        weights: how much False and True are believed to be the best.

    Example:
        >>> import bojax
        >>> bojax.Boolean(when={"optimizer": "sgd"}).choices
        (False, True)
    """

    when: When = field(default=None, kw_only=True)
    weights: Sequence[float] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", _check_weights("Boolean", self))

    @property
    def choices(self) -> tuple[bool, bool]:
        """The two values, in the order of their codes."""
        return (False, True)


Parameter = Float | Int | Ordinal | Categorical | Boolean


def choice_key(value: Any) -> tuple[str, str]:
    """What makes two choices the same: type and printed value.

    Python has `1 == True == 1.0`, and lists cannot be hashed; a space tells them apart.

    Example:
        >>> from bojax.space.parameters import choice_key
        >>> len({choice_key(v) for v in (1, True, 1.0, [1])})
        4
    """
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()  # a NumPy scalar is its Python value
    return type(value).__name__, repr(value)


def _finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except (TypeError, OverflowError):
        return False


def _check_bounds(kind: str, low: Any, high: Any, log: bool) -> None:
    for name, value in (("low", low), ("high", high)):
        if not _finite(value):
            raise SpaceError(f"{kind}: {name} must be a finite number, got {value!r}.")
    if low > high:
        raise SpaceError(f"{kind}: low must be below high, got low={low}, high={high}; swap them.")
    if low == high:
        raise SpaceError(
            f"{kind}: low must be below high, got {low} twice; a constant is not a parameter, "
            "put it in your own code."
        )
    if not _finite(float(high) - float(low)):
        raise SpaceError(f"{kind}: high - low overflows, got low={low}, high={high}; use log=True.")
    if log and low <= 0:
        raise SpaceError(
            f"{kind}: a log scale needs low > 0, got low={low}; raise low or drop log=True."
        )


def _check_choices(kind: str, choices: Any) -> tuple[Any, ...]:
    if isinstance(choices, str) or not hasattr(choices, "__iter__"):
        raise SpaceError(f"{kind}: expected a list of choices, got {choices!r}.")
    choices = tuple(choices)
    if len(choices) < 2:
        raise SpaceError(
            f"{kind}: needs at least two choices, got {list(choices)!r}; "
            "a constant is not a parameter, put it in your own code."
        )
    seen: set[tuple[str, str]] = set()
    for choice in choices:
        key = choice_key(choice)
        if key in seen:
            raise SpaceError(f"{kind}: the choice {choice!r} appears twice; remove one.")
        seen.add(key)
    return choices


def _check_prior(kind: str, parameter: Any) -> None:
    prior = parameter.prior
    if prior is None:
        return
    if not isinstance(prior, Normal):
        raise SpaceError(f"{kind}: prior must be bojax.Normal(mean, deviation), got {prior!r}.")
    if not parameter.low <= prior.mean <= parameter.high:
        raise SpaceError(
            f"{kind}: the mean {prior.mean} of its prior is outside {parameter.low}.."
            f"{parameter.high}; widen the range or move the belief."
        )
    if parameter.log and prior.deviation <= 1:
        raise SpaceError(
            f"{kind}: in log scale the prior's deviation is a factor above 1, got "
            f"{prior.deviation}; 3.0 means from a third to three times the mean."
        )


def _check_weights(kind: str, parameter: Any) -> tuple[float, ...] | None:
    weights, choices = parameter.weights, parameter.choices
    if weights is None:
        return None
    if not hasattr(weights, "__iter__") or isinstance(weights, (str, Mapping)):
        raise SpaceError(f"{kind}: weights must be a list of numbers, got {weights!r}.")
    weights = tuple(weights)
    if len(weights) != len(choices) or not all(_finite(w) and w > 0 for w in weights):
        raise SpaceError(
            f"{kind}: weights must be {len(choices)} positive numbers, one for each of "
            f"{list(choices)!r}, got {list(weights)!r}; to exclude a choice leave it out."
        )
    return tuple(float(w) for w in weights)
