"""Where the cells of discrete columns end, in coordinates of the unit cube. Traceable.

A point of the cube stands for the value in whose cell it lies: an ordinal, or a category by its
code, has equal shares in the order given; the cells of an integer are equal in its own unit.
"""

from __future__ import annotations

import jax.numpy as jnp

from bojax.space import table as tables
from bojax.space.table import SpaceTable, _cells


def cell_of(table: SpaceTable, unit):
    """Number of the cell of each discrete column that points lie in, `[..., D]` int32.

    Args:
        unit: `[..., D]`; beyond the cube it is the first or the last cell. Real columns give 0.

    Example:
        >>> import jax.numpy as jnp
        >>> import bojax
        >>> from bojax.space.steps import cell_of
        >>> space = bojax.Space(
        ...     {"n": bojax.Int(1, 4), "c": bojax.Categorical(["a", "b", "c"])})
        >>> cell_of(space.table, jnp.array([0.3, 0.99, 0, 0])).tolist()[:2]
        [1, 2]
    """
    count = jnp.maximum(table.cardinality, 1).astype(unit.dtype)
    first, _, low, high = _cells(table, jnp)
    unit = jnp.clip(unit, 0.0, 1.0)
    natural = low + unit * (high - low)
    natural = jnp.where(table.log, jnp.exp(jnp.where(table.log, natural, 0.0)), natural)
    step = jnp.where(table.step > 0, table.step, 1.0)
    index = jnp.where(
        table.kind == tables.INTEGER, jnp.round((natural - first) / step), jnp.floor(unit * count)
    )
    return jnp.clip(index, 0.0, count - 1.0).astype(jnp.int32)


def end_of(table: SpaceTable, cell):
    """Where cells of discrete columns end and the next begin, `[..., D]` in the unit interval.

    Args:
        cell: `[..., D]` int32.

    Example:
        >>> import jax.numpy as jnp
        >>> import bojax
        >>> from bojax.space.steps import end_of
        >>> space = bojax.Space({"n": bojax.Int(1, 4), "c": bojax.Categorical(["a", "b"])})
        >>> end_of(space.table, jnp.array([0, 0, 0, 0])).tolist()[:2]
        [0.25, 0.5]
    """
    dtype = jnp.asarray(table.low).dtype
    cell = cell.astype(dtype)
    count = jnp.maximum(table.cardinality, 1).astype(dtype)
    first, _, low, high = _cells(table, jnp)
    value = first + (cell + 0.5) * table.step
    scaled = jnp.where(table.log, jnp.log(jnp.where(table.log, value, 1.0)), value)
    integer = (scaled - low) / jnp.where(high > low, high - low, 1.0)
    return jnp.where(table.kind == tables.INTEGER, integer, (cell + 1.0) / count)
