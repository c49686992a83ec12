"""Recorded results as a problem: every configuration takes the value of the nearest row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from bojax.errors import DataError
from bojax.loop import Problem
from bojax.space import Space
from bojax.space import table as tables


class Table(NamedTuple):
    """What `evaluate` needs of a table of T rows.

    Attributes:
        rows: `[T, D]` canonical.
        values: `[T]`, NaN for a recorded failure.
        category: `[D]` bool.
        number: of the instance.
    """

    rows: Any
    values: Any
    category: Any
    number: Any


def evaluate(data: Table, key, rows):
    """Value of the nearest recorded row, `[q]`; a differing category counts as a full range."""
    gap = rows[:, None, :] - data.rows.astype(rows.dtype)[None]
    differs = (jnp.abs(gap) > 0.5).astype(rows.dtype)
    distance = jnp.sum(jnp.where(data.category, differs, gap * gap), axis=-1)
    return data.values.astype(rows.dtype)[jnp.argmin(distance, axis=-1)]


def table(
    space: Space,
    configs: Sequence[Mapping[str, Any]],
    values: Sequence[float],
    *,
    name: str = "table",
    instance: int = 0,
) -> Problem:
    """Your own recorded results as a problem.

    Args:
        space: of the configurations; a finite one whose every configuration is recorded
            makes the problem exact, elsewhere the nearest recorded row answers.
        configs: what was evaluated, at least two.
        values: minimised, one each; NaN for a failure.
        name, instance: for comparisons.

    Returns:
        :class:`bojax.loop.Problem`; its optimum is the least value recorded.

    Raises:
        DataError: fewer than two finite values, or another number of values than
            configurations.
        SpaceError: a configuration that is not of the space, naming the parameter.

    Example:
        >>> import bojax
        >>> from bojax.benchmark import problems
        >>> space = bojax.Space({"depth": bojax.Int(1, 3)})
        >>> problem = problems.table(space, [{"depth": d} for d in (1, 2, 3)], [0.4, 0.1, 0.2])
        >>> problem.noise_free(space.encode([{"depth": 3}])).round(3).tolist()
        [0.20...]
    """
    found = np.asarray(values, float)
    if len(configs) != len(found) or found.ndim != 1:
        raise DataError(
            f"{name}: {len(configs)} configurations and values of shape {found.shape}; give one "
            "value for each."
        )
    finite = found[np.isfinite(found)]
    if len(finite) < 2:
        raise DataError(f"{name}: {len(finite)} finite values; at least 2 are needed.")
    rows = np.atleast_2d(space.encode(list(configs)))
    data = Table(rows, found, np.asarray(space.table.kind == tables.CATEGORY), np.int32(instance))
    return Problem(
        space.table,
        evaluate,
        data,
        np.float64(finite.min()),
        name,
        space,
        reference=np.float64(np.median(finite)),
    )
