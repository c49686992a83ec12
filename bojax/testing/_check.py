"""A check bound to what it judges: a name, a promise, and one kind of complaint."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np


class Broken(Exception):
    """A promise that was not kept: what was expected, and what came."""

    def __init__(self, expected: str, got: Any) -> None:
        super().__init__(f"expected {expected}, got {got}")


class Check:
    """One promise, and the thing that must keep it; call it without arguments.

    Attributes:
        function: of the subject; its docstring is the promise.
        subject: what is judged; its `name` begins every complaint.

    Example:
        >>> import bojax.testing
        >>> checks = bojax.testing.surrogate_checks(bojax.surrogates.gp())
        >>> checks[0].__name__, checks[0].promise
        ('shapes', 'Rows `[..., d]` give a mean and a variance `[...]`, all of them finite.')
    """

    def __init__(self, function: Callable[[Any], None], subject: Any) -> None:
        self.function, self.subject = function, subject
        self.__name__ = function.__name__  # what pytest calls the parameter
        self.__doc__ = function.__doc__

    @property
    def promise(self) -> str:
        """The first line of the docstring."""
        return (self.function.__doc__ or "").strip().partition("\n")[0]

    def __call__(self) -> None:
        """Return nothing, or raise AssertionError naming subject, check, expected and got."""
        who = f"{self.subject.name}: {self.__name__}"
        try:
            self.function(self.subject)
        except Broken as broken:
            raise AssertionError(f"{who}: {broken}. {self.promise}") from None
        except Exception as error:
            raise AssertionError(
                f"{who}: expected no error, got {type(error).__name__}: {error}. {self.promise}"
            ) from error

    def __repr__(self) -> str:
        return f"<check {self.__name__} of {self.subject.name}>"


def bound(
    functions: Iterable[Callable[[Any], None]], subject: Any, skip: Sequence[str]
) -> list[Check]:
    """Checks of a subject but for those whose names are in `skip`.

    Raises:
        ValueError: a name that no check has.
    """
    functions = list(functions)
    names = [function.__name__ for function in functions]
    unknown = sorted(set(skip) - set(names))
    if unknown:
        raise ValueError(f"skip: no check is called {unknown[0]!r}; there are {', '.join(names)}.")
    return [Check(function, subject) for function in functions if function.__name__ not in skip]


def run(checks: Iterable[Check]) -> None:
    """All checks, then one AssertionError with every complaint, one a line."""
    complaints = []
    for check in checks:
        try:
            check()
        except AssertionError as error:
            complaints.append(str(error))
    if complaints:
        raise AssertionError("\n".join(complaints))


def shaped(what: str, array: Any, shape: tuple[int, ...]) -> None:
    """Complain unless the array has the shape."""
    if np.shape(array) != shape:
        raise Broken(f"{what} of shape {shape}", f"shape {np.shape(array)}")


def finite(what: str, array: Any) -> None:
    """Complain unless every number is finite."""
    array = np.asarray(array)
    if not np.isfinite(array).all():
        place = np.unravel_index(np.argmin(np.isfinite(array)), array.shape)
        raise Broken(f"a finite {what}", f"{array[place]} at {tuple(map(int, place))}")


def above_zero(what: str, array: Any) -> None:
    """Complain unless every number is finite and above 0."""
    finite(what, array)
    if not (np.asarray(array) > 0).all():
        raise Broken(f"{what} above 0", f"{np.min(array):g}")


def close(what: str, got: Any, expected: Any, within: float) -> None:
    """Complain where two arrays are further apart than `within` and a share of them."""
    got, expected = np.asarray(got, float), np.asarray(expected, float)
    shaped(what, got, expected.shape)
    finite(what, got)
    gap = np.abs(got - expected) - within * np.maximum(np.abs(expected), 1.0)
    if (gap > 0).any():
        place = np.unravel_index(np.argmax(gap), gap.shape)
        raise Broken(
            f"{what} {expected[place]:.6g} at {tuple(map(int, place))}", f"{got[place]:.6g}"
        )
