"""Feasible rows by walking from feasible rows: no rejection, no penalty, a fixed number of steps.

Hit-and-run (R. L. Smith, Operations Research 32, 1984) with the shrinking bracket of slice
sampling (R. M. Neal, Annals of Statistics 31, 2003): a walker draws a point of a line through
itself; a feasible one becomes its place and the next line is a new one, an infeasible one
becomes an end of the bracket. All walkers take one such try a trip, so one evaluation of the
constraints a trip serves them all, however small the feasible part is.

A climb must reach optima on the boundary, where most of them are. It runs free of constraints
in coordinates whose points beyond the boundary stand for the place where the line from a
feasible home to them crosses it. The slope is that of the crossing, by the implicit function.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from bojax.optimize.scatter import uniforms
from bojax.space import table as tables
from bojax.space.table import SpaceTable

# Places looked at along a line, and how often the first bad gap is looked into: its end is found to
# 1/32,768 of the line. A climb looks twice and interpolates: as near, and without the small
# stairs on which a line search wastes its steps.
CUTS, STAGES, CLIMB_STAGES = 8, 5, 2
TRIES = 24  # of each walker: five places or so where a line is mostly infeasible
LOCAL_TRIES = 8  # of one that stays at the first place: a bracket shrinks to half or less


def made_feasible(table: SpaceTable, key, rows, given, near=None, *, tries: int = TRIES):
    """Candidates with the infeasible ones replaced, `[N, D]` canonical.

    An infeasible candidate gives way to a walker that starts at a feasible row and first
    tries the line to the candidate. Around `near` it stays at the first place found, so that
    it is as local as the candidate was; otherwise it starts at one of the table's anchors and
    walks on. Where no start is feasible (nothing is, with what is given), neither is the result.

    Args:
        table: the space; one without rules gives the rows back.
        key: for the walks.
        rows: `[N, D]` canonical.
        given: `[D]` what every row must have, NaN elsewhere.
        near: `[D]` canonical row to stay near to, or None.
        tries: static, of each walker; the more, the more evenly they end.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import bojax
        >>> from bojax.optimize.walk import made_feasible
        >>> space = bojax.Space(
        ...     {"a": bojax.Float(0, 1), "b": bojax.Float(0, 1)},
        ...     constraints=[bojax.Linear({"a": 1, "b": 1}, at_most=0.01)])
        >>> rows = jax.jit(made_feasible)(
        ...     space.table, jax.random.key(0), jnp.full((3, 4), 0.5), jnp.full(4, jnp.nan))
        >>> bool((rows[:, 0] + rows[:, 1] <= 0.01).all())
        True
    """
    if table.rules is None:
        return rows
    count, d = rows.shape
    dtype = rows.dtype

    def placed(unit):
        # Not canonical: rules see the same value of every point of a cell.
        rows = tables.from_unit(table, unit)
        return jnp.where(jnp.isnan(given), rows, given)

    def feasible(candidates):
        return tables.feasible(table, candidates, inside=True)

    anchors = table.rules.anchors.astype(dtype)
    anchors = jnp.where(jnp.isnan(given), anchors, given)
    usable = feasible(anchors)
    # The i-th walker starts at one of the usable anchors, all of them in turn.
    order = jnp.argsort(~usable, stable=True)
    some = jnp.maximum(jnp.sum(usable, dtype=jnp.int32), 1).astype(dtype)
    start = anchors[order[(uniforms(key, (count,), dtype) * some).astype(jnp.int32)]]
    roams = jnp.ones(count, bool)
    if near is not None:
        local = feasible(near[None])[0]
        start, roams = jnp.where(local, near, start), jnp.broadcast_to(~local, (count,))
    fine = feasible(rows)
    home = to_unit(table, start)
    line = to_unit(table, rows) - home

    def trip(i, carry):
        home, line, low, high, found = carry
        own = jax.random.fold_in(key, i)
        draws = uniforms(own, (count, 3 + d), dtype)
        step = low + (high - low) * draws[:, :1]
        tried = jnp.clip(home + step * line, 0.0, 1.0)
        good = feasible(placed(tried))[:, None] & (roams[:, None] | ~found)
        home = jnp.where(good, tried, home)
        # A new line after a success, of one column or of all, as long as the cube allows.
        column = jnp.floor(draws[:, 1:2] * d).astype(jnp.int32)
        one = (jnp.arange(d, dtype=jnp.int32) == column).astype(dtype)
        fresh = jnp.where(draws[:, 2:3] < 0.5, one, draws[:, 3:] - 0.5)
        line = jnp.where(good, fresh, line)
        low = jnp.where(good, -_reach(home, -line), jnp.where(step < 0, step, low))
        high = jnp.where(good, _reach(home, line), jnp.where(step < 0, high, step))
        return home, line, low, high, found | good

    # The first bracket ends at the candidate itself.
    ends = (jnp.zeros((count, 1), dtype), jnp.ones((count, 1), dtype))
    none = jnp.zeros((count, 1), bool)
    trips = tries if near is None else jnp.where(jnp.any(roams), tries, LOCAL_TRIES)
    walk = jax.lax.fori_loop(0, trips, trip, (home, line, *ends, none))
    end = tables.with_given(table, tables.from_unit(table, walk[0]), given)
    return jnp.where(fine[:, None], rows, end)


class Inside(NamedTuple):
    """Where a point stands for, and how slopes there become slopes at the point.

    Attributes:
        row: `[D]` feasible, the point itself if that is.
        share: how far along the line from home it lies, 1 at the point.
        line: `[D]`, point minus home.
        normal: `[D]`, slope of the constraint that ends the line.
    """

    row: Any
    share: Any
    line: Any
    normal: Any

    def slope(self, there):
        """The slope at the point of what has the slope `there` at the row."""
        across = jnp.sum(self.normal * self.line)
        along = jnp.sum(there * self.line) / jnp.where(across > 0, across, 1.0)
        held = self.share * (there - jnp.where(across > 0, along, 0.0) * self.normal)
        return jnp.where(self.share < 1.0, held, there)


def inside(table: SpaceTable, home, point, *, smooth: bool = False) -> Inside:
    """The last feasible place on the line from a feasible `home` to a point, both `[D]`.

    Args:
        smooth: the place where the rule is expected to be met exactly, for climbs: it may lie
            beyond by a little.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import bojax
        >>> from bojax.optimize.walk import inside
        >>> space = bojax.Space(
        ...     {"x": bojax.Float(0, 1)}, constraints=[bojax.Linear({"x": 1}, at_most=0.5)])
        >>> home, point = jnp.zeros(4), jnp.array([1.0, 0, 0, 0])
        >>> round(float(jax.jit(inside)(space.table, home, point).row[0]), 3)
        0.5
    """
    line, dtype = point - home, point.dtype
    marks = jnp.arange(1, CUTS + 1, dtype=dtype) / CUTS

    def broken(rows):
        return tables.excess(table, rows, inside=True)

    def stage(_, ends):
        low, width = ends
        shares = low + width * marks
        good = jnp.all(broken(home + shares[:, None] * line) <= 0.0, axis=1)
        whole = jnp.sum(jnp.cumprod(good, dtype=jnp.int32), dtype=jnp.int32).astype(dtype)
        # With no bad gap the first stage ends at 1, where the others stay.
        return low + width * whole / CUTS, jnp.where(whole == CUTS, 0.0, width / CUTS)

    stages = CLIMB_STAGES if smooth else STAGES
    share, width = jax.lax.fori_loop(0, stages, stage, (jnp.zeros((), dtype), jnp.ones((), dtype)))
    # The rule that is broken a little further on is the one that ends the line.
    ends = broken(home + jnp.stack([share, share + width])[:, None] * line)
    worst = jnp.argmax(ends[1])
    if smooth:
        below, above = ends[0, worst], ends[1, worst]
        share += width * jnp.where(
            above > 0, -below / jnp.where(above > 0, above - below, 1.0), 0.0
        )
    row = home + share * line
    normal = jax.grad(lambda r: broken(r[None])[0, worst])(row)
    return Inside(row, share, line, normal)


def homes_of(table: SpaceTable, rows, deep, moving):
    """Where the lines of climbs from feasible `rows` `[B, D]` start: `deep` inside, if they see it.

    From a home on the boundary every line along it leaves at once, so a climb would stay where
    it is. `deep` `[D]`, the mean of many feasible rows, lies well inside of a convex set; where
    it is not feasible itself, or the line from it to the row leaves, home is the row.
    """

    def one(row):
        home = jnp.where(moving, deep, row)
        seen = inside(table, home, row).share == 1.0
        return jnp.where(seen & tables.feasible(table, home[None], inside=True)[0], home, row)

    return jax.vmap(one)(rows)


def _reach(home, line):
    """How far a line goes until it leaves the unit cube, `[N, 1]`."""
    safe = jnp.where(line == 0, 1.0, line)
    ahead = jnp.where(line > 0, 1.0 - home, -home) / safe
    return jnp.min(jnp.where(line == 0, jnp.inf, ahead), axis=1, keepdims=True)


def to_unit(table: SpaceTable, rows):
    """Rows as points of the unit cube that `from_unit` gives them back from."""
    count = jnp.maximum(table.cardinality, 1).astype(rows.dtype)
    return jnp.where(table.kind == tables.CATEGORY, (rows + 0.5) / count, rows)
