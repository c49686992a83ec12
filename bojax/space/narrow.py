"""A space's table within narrower ranges, as data: no new shapes, so no new program. Traceable.

A coordinate of the whole and one of the part are the same place in the scale searched in, so the
map between them is affine in every column: `row = shift + scale * row of the part`. Integers and
ordinals keep the cells that a range touches. Categories, simplex groups, budgets and context keep
all they have. Conditions and rules come along, in the part's coordinates.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import jax.numpy as jnp

from bojax.space import table as tables
from bojax.space.steps import cell_of
from bojax.space.table import SpaceTable

EDGE = 1e-6  # of a range: what lies beyond its end by rounding only is inside


class Part(NamedTuple):
    """A table within ranges, and the way between its rows and those of the whole.

    Attributes:
        whole: the table it is a part of.
        table: :class:`SpaceTable` of the same shapes; without beliefs, which are of the whole.
        shift, scale: `[D]`.
    """

    whole: SpaceTable
    table: SpaceTable
    shift: Any
    scale: Any

    def into(self, coordinates):
        """Coordinates of the whole as the part's, `[..., D]`: beyond [0, 1] if outside."""
        return (coordinates - self.shift) / self.scale

    def of(self, rows):
        """Canonical rows of the whole as the part's, `[..., D]`, and which lie in it, `[...]`."""
        present = tables.active(self.whole, rows) & self.whole.used
        inner = self.into(rows)
        numbers = present & (self.table.kind != tables.CATEGORY)
        beyond = (inner < -EDGE) | (inner > 1.0 + EDGE)
        parked = jnp.where(present, inner, self.table.default)
        return parked, ~jnp.any(beyond & numbers, axis=-1)

    def out(self, rows):
        """Rows of the part in the whole's coordinates, `[..., D]`; not yet canonical."""
        return self.shift + self.scale * rows


def narrows(table: SpaceTable):
    """`[D]` bool: columns whose range may become narrower."""
    plain = table.used & (table.role == tables.PARAMETER) & (table.kind != tables.CATEGORY)
    return plain if table.sticks is None else plain & ~table.sticks.member


def narrowed(table: SpaceTable, low, high, home) -> Part:
    """The part of a space between two rows' coordinates.

    Args:
        table: of the whole; not a pool.
        low, high: `[D]` in the unit cube, `low < high`; of columns that do not narrow ignored.
        home: `[D]` a feasible row within, where walks start if no anchor lies within.

    Example:
        >>> import jax.numpy as jnp
        >>> import bojax
        >>> from bojax.space.narrow import narrowed
        >>> space = bojax.Space({"x": bojax.Float(0, 10), "n": bojax.Int(1, 100)})
        >>> part = narrowed(space.table, jnp.full(4, 0.2), jnp.full(4, 0.3), jnp.full(4, 0.25))
        >>> [round(float(end[0]), 6) for end in (part.table.low, part.table.high)]
        [2.0, 3.0]
        >>> part.table.low[1].item(), part.table.high[1].item()
        (21.0, 31.0)
    """
    table = replace(table, prior=None)
    dtype = jnp.asarray(table.low).dtype
    may = narrows(table)
    low, high = (jnp.where(may, end, full).astype(dtype) for end, full in ((low, 0.0), (high, 1.0)))
    first, last = cell_of(table, low), cell_of(table, high)
    number = (last - first + 1).astype(jnp.int32)

    # Reals in the scale searched in, integers by value, ordinals by number.
    span = table.high - table.low
    real = table.low + low * span, table.low + high * span
    begin = jnp.where(table.log, jnp.exp(jnp.where(table.log, table.low, 0.0)), table.low)

    def value(cell):
        own = begin + cell.astype(dtype) * table.step
        return jnp.where(table.log, jnp.log(jnp.where(table.log, own, 1.0)), own)

    whole = may & (table.kind == tables.INTEGER)
    bottom = jnp.where(whole, value(first), table.low)
    top = jnp.where(whole & (last < table.cardinality - 1), value(last), table.high)
    moved = may & (table.kind == tables.REAL)
    bottom, top = jnp.where(moved, real[0], bottom), jnp.where(moved, real[1], top)
    fewer = may & ((table.kind == tables.INTEGER) | (table.kind == tables.ORDINAL))
    inner = replace(
        table, low=bottom, high=top, cardinality=jnp.where(fewer, number, table.cardinality)
    )

    own, other = _edges(table), _edges(inner)
    width = jnp.where(own[1] > own[0], own[1] - own[0], 1.0)
    scale = jnp.where(moved | whole, (other[1] - other[0]) / width, 1.0)
    shift = jnp.where(moved | whole, (other[0] - own[0]) / width, 0.0)
    ordinal = may & (table.kind == tables.ORDINAL)
    total = jnp.maximum(table.cardinality, 1).astype(dtype)
    scale = jnp.where(ordinal, number.astype(dtype) / total, scale)
    shift = jnp.where(ordinal, first.astype(dtype) / total, shift)
    offset = jnp.where(ordinal, first, 0)
    part = Part(table, inner, shift, jnp.where(scale > 0, scale, 1.0))

    default = jnp.where(may, jnp.clip(part.into(table.default), 0.0, 1.0), table.default)
    inner = replace(inner, default=default, clauses=_literals(table.clauses, part, offset))
    if table.rules is not None:
        anchors, inside = part._replace(table=inner).of(table.rules.anchors)
        rules = _literals(table.rules, part, offset)
        inner = replace(
            inner,
            rules=replace(
                rules,
                number=_shifted(table.rules.number, offset[:, None]),
                anchors=jnp.where(inside[:, None], anchors, part.into(home)),
            ),
        )
    return part._replace(table=inner)


def _edges(table: SpaceTable):
    """Where the unit interval of each column of numbers begins and ends, in the scale."""
    _, _, low, high = tables._cells(table, jnp)
    whole = table.kind == tables.INTEGER
    return jnp.where(whole, low, table.low), jnp.where(whole, high, table.high)


def _literals(owner: Any, part: Part, offset) -> Any:
    """Clauses or forbidden combinations in the part's coordinates."""
    shift, scale = part.shift[owner.column], part.scale[owner.column]
    return replace(
        owner,
        low=(owner.low - shift) / scale,
        high=(owner.high - shift) / scale,
        choices=_shifted(owner.choices, offset[owner.column][..., None]),
    )


def _shifted(listed, offset):
    """`[..., K]` with place k + offset of what was there at place k; the last one beyond."""
    place = jnp.arange(listed.shape[-1], dtype=jnp.int32) + offset
    place = jnp.broadcast_to(jnp.minimum(place, listed.shape[-1] - 1), listed.shape)
    return jnp.take_along_axis(jnp.asarray(listed), place, axis=-1)
