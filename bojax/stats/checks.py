"""What the statistics ask of their arguments; every message names the culprit."""

from __future__ import annotations

from typing import Any

import numpy as np

from bojax.errors import DataError


def sample(name: str, values: Any) -> np.ndarray:
    """At least two finite numbers in a row, as float64."""
    x = numbers(name, values)
    if x.ndim != 1 or len(x) < 2:
        raise DataError(f"{name}: expected at least 2 numbers in a row, got shape {x.shape}.")
    if not np.isfinite(x).all():
        first = int(np.flatnonzero(~np.isfinite(x))[0])
        raise DataError(
            f"{name}: value {first} is {x[first]}; decide what a failure counts before averaging."
        )
    return x


def numbers(name: str, values: Any) -> np.ndarray:
    """An array of float64 of any shape."""
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{name}: expected an array of numbers, rows of one length; NumPy says: {error}"
        ) from None


def fraction(name: str, value: float, usual: float = 0.95) -> float:
    """A number strictly between 0 and 1."""
    if not 0 < value < 1:
        raise DataError(f"{name} must be between 0 and 1, got {value!r}; {usual} is usual.")
    return float(value)


def at_least_one(name: str, count: int) -> int:
    """A whole number of at least 1."""
    if count < 1 or count != int(count):
        raise DataError(f"{name} must be at least 1, a whole number; got {count}.")
    return int(count)


def first_place(wrong: np.ndarray) -> str:
    """Where an array of booleans is first true: `3`, or `(0, 3)` with more than one axis."""
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    return str(place[0]) if len(place) == 1 else str(place)
