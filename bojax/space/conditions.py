"""`when=` compiled to clauses: which parameters exist for which values of earlier ones.

A condition is a mapping (all of its entries must hold) or a list of mappings (any of them).
An entry names an earlier parameter and gives a value, a list of values, or a `Range`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bojax.errors import SpaceError
from bojax.space import codec
from bojax.space.parameters import (
    Boolean,
    Categorical,
    Float,
    Int,
    Ordinal,
    Parameter,
    Range,
    choice_key,
)


class Literal(NamedTuple):
    """One entry of a clause: a parent and the values under which it holds.

    Either `choices` (a tuple of codes) or an interval `low..high` in natural units.
    """

    column: int
    choices: tuple[int, ...] = ()
    low: float = np.inf
    high: float = -np.inf


def clauses_of(
    name: str, parameter: Parameter, earlier: Mapping[str, Parameter], later: Sequence[str]
) -> list[list[Literal]]:
    """The clauses of one parameter; none means always active.

    Args:
        name, parameter: whose condition.
        earlier: parameters before it, by name, in order.
        later: names after it, to say so when one of them is the parent.

    Raises:
        SpaceError: unknown or later parent, impossible value, or a malformed condition.
    """
    if parameter.when is None:
        return []
    alternatives = parameter.when
    if isinstance(alternatives, Mapping):
        alternatives = [alternatives]
    if not isinstance(alternatives, Sequence) or isinstance(alternatives, str) or not alternatives:
        raise SpaceError(
            f"{name}: when must be a mapping such as {{'parent': value}} or a list of them, "
            f"got {parameter.when!r}."
        )
    clauses: list[Any] = []
    for alternative in alternatives:
        if not isinstance(alternative, Mapping) or not alternative:
            raise SpaceError(
                f"{name}: each alternative of when must be a mapping with at least one entry, "
                f"got {alternative!r}."
            )
        entries = [
            literals_of(name, parent, wanted, earlier, later)
            for parent, wanted in alternative.items()
        ]
        # Values of an integer parent that are no interval become alternatives of their own.
        clauses.extend(list(clause) for clause in itertools.product(*entries))
    return clauses


def literals_of(name, parent, wanted, earlier, later, said="when") -> list[Literal]:
    """Alternatives of one entry (several only for scattered integers)."""
    if parent == name or parent in later:
        raise SpaceError(
            f"{name}: when names {parent!r}, which does not come before it; move {parent!r} up."
        )
    if parent not in earlier:
        known = ", ".join(earlier) or "none (it is the first parameter)"
        raise SpaceError(f"{name}: when names {parent!r}, which is unknown; earlier ones: {known}.")
    column = list(earlier).index(parent)
    of = earlier[parent]
    if isinstance(of, (Categorical, Ordinal, Boolean)):
        return [_choice_literal(f"{name}: {said}", parent, column, of, wanted)]
    return _numeric_literals(f"{name}: {said}", parent, column, of, wanted)


def _choice_literal(what, parent, column, of, wanted) -> Literal:
    codes = {choice_key(choice): code for code, choice in enumerate(of.choices)}
    if isinstance(wanted, Range):
        raise SpaceError(
            f"{what} gives a Range for {parent!r}, which has choices; "
            f"list some of {list(of.choices)!r}."
        )
    # A list is several choices, unless the list itself is a choice.
    listed = isinstance(wanted, (list, tuple, set, frozenset)) and choice_key(wanted) not in codes
    values = list(wanted) if listed else [wanted]
    if not values:
        raise SpaceError(f"{what} gives no value for {parent!r}, so it could never exist.")
    for value in values:
        if choice_key(value) not in codes:
            raise SpaceError(
                f"{what} asks for {parent}={value!r}, which is no choice of it; "
                f"expected one of {list(of.choices)!r}."
            )
    return Literal(column, choices=tuple(sorted({codes[choice_key(v)] for v in values})))


def _numeric_literals(what, parent, column, of: Float | Int, wanted) -> list[Literal]:
    if isinstance(wanted, Range):
        ranges = [(wanted.low, wanted.high)]
    elif isinstance(of, Int):
        values = sorted(set(wanted)) if isinstance(wanted, (list, tuple, set)) else [wanted]
        for value in values:
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
                raise SpaceError(f"{what} asks for {parent}={value!r}; give integers or a Range.")
        ranges = [(value, value) for value in values]
    else:
        raise SpaceError(
            f"{what} gives {wanted!r} for the real parameter {parent!r}; "
            "give bojax.Range(low, high)."
        )
    for low, high in ranges:
        if high < of.low or low > of.high:
            raise SpaceError(
                f"{what} asks for {parent} in {low}..{high}, outside its own range "
                f"{of.low}..{of.high}; it could never exist."
            )
        if codec.is_gridded(of):
            first, last = codec.grid_between(of, low, high)
            if first > last:
                raise SpaceError(
                    f"{what} asks for {parent} in {low}..{high}, where its grid "
                    f"{of.low} + k * {of.step} has no value; it could never exist."
                )
    if not ranges:
        raise SpaceError(f"{what} gives no value for {parent!r}, so it could never exist.")
    return [Literal(column, low=low, high=high) for low, high in _joined(ranges, of)]


def _joined(ranges, of):
    """Neighbouring integers as one interval: fewer clauses."""
    joined = [list(ranges[0])]
    for low, high in ranges[1:]:
        if isinstance(of, Int) and low <= joined[-1][1] + of.step:
            joined[-1][1] = high
        else:
            joined.append([low, high])
    return [tuple(pair) for pair in joined]
