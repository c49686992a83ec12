"""Spaces that are a finite list of configurations: their columns, and telling members apart."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bojax.errors import SpaceError
from bojax.space import table as tables
from bojax.space.parameters import Boolean, Categorical, Float, Int, Parameter, choice_key


def listed(pool: Any) -> list[dict[str, Any]]:
    """A dict of columns or a list of dicts as a list of distinct dicts.

    Raises:
        SpaceError: something else, columns of unequal length, entries of unequal names, or
            fewer than two distinct ones.
    """
    if isinstance(pool, Mapping):
        lengths = {name: len(column) for name, column in pool.items()}
        if len(set(lengths.values())) > 1:
            raise SpaceError(f"Space.pool: the columns differ in length, {lengths}.")
        pool = [dict(zip(pool, entry, strict=True)) for entry in zip(*pool.values(), strict=True)]
    if isinstance(pool, str) or not hasattr(pool, "__iter__"):
        raise SpaceError(f"Space.pool: expected a list of dicts or a dict of lists, got {pool!r}.")
    found: dict[Any, dict[str, Any]] = {}
    names: tuple[str, ...] | None = None
    for number, config in enumerate(pool):
        if not isinstance(config, Mapping):
            raise SpaceError(f"Space.pool: entry {number} is no dict of parameters: {config!r}.")
        names = tuple(config) if names is None else names
        if set(config) != set(names):
            raise SpaceError(
                f"Space.pool: entry {number} has the names {sorted(config)}, the first one "
                f"{sorted(names)}; all entries need the same."
            )
        plain = {name: _plain(config[name]) for name in names}
        found.setdefault(tuple(choice_key(value) for value in plain.values()), plain)
    if len(found) < 2:
        raise SpaceError(
            f"Space.pool: needs at least two different configurations, got {len(found)}."
        )
    return list(found.values())


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def columns_of(
    members: Sequence[Mapping[str, Any]], given: Mapping[str, Parameter], log: Sequence[str]
) -> dict[str, Parameter]:
    """A parameter for each name that tells members apart.

    Numbers become `Float` or `Int` over their range, the rest choices. A name with one value
    throughout, or with too many values that are no numbers (an identifier), stays in the
    configurations and is no parameter.

    Args:
        given: parameters the caller chose for some names.
        log: names of numbers searched in log scale.

    Raises:
        SpaceError: `given` or `log` names a stranger, or nothing is left.
    """
    names = list(members[0])
    for name in [*given, *log]:
        if name not in names:
            raise SpaceError(f"Space.pool: {name!r} is in no entry; expected some of {names}.")
    found: dict[str, Parameter] = {}
    for name in names:
        values = [config[name] for config in members]
        distinct = list({choice_key(v): v for v in values}.values())
        if name in given:
            found[name] = given[name]
        elif len(distinct) < 2:
            continue
        elif all(isinstance(v, bool) for v in values):
            found[name] = Boolean()
        elif all(isinstance(v, numbers.Real) and not isinstance(v, bool) for v in values):
            whole = all(isinstance(v, numbers.Integral) for v in values)
            kind: Any = Int if whole else Float
            if min(values) == max(values):  # 1 and 1.0
                continue
            found[name] = kind(min(values), max(values), log=name in log)
        elif len(distinct) <= tables.CHOICES[-1]:
            found[name] = Categorical(distinct)
    if not found:
        raise SpaceError(
            f"Space.pool: none of {names} tells the entries apart in a way a model could use; "
            "add numbers that describe them."
        )
    return found


def pool_of(rows: np.ndarray) -> tables.Pool:
    """Rows as the table's list of members, the last repeated to fill its class.

    Raises:
        SpaceError: two configurations are one row, or there are too many.
    """
    distinct = np.unique(rows, axis=0)
    if len(distinct) < len(rows):
        raise SpaceError(
            f"Space.pool: {len(rows) - len(distinct)} configurations do not differ in any "
            "parameter; add a column that tells them apart, or remove them."
        )
    size = tables.size_class(len(rows), tables.MEMBERS, "configurations in a pool")
    padded = np.concatenate([rows, np.repeat(rows[-1:], size - len(rows), axis=0)])
    return tables.Pool(padded, np.int32(len(rows)))
