"""Feasible rows by walking from feasible rows: no rejection, no penalty, a fixed number of steps.

Hit-and-run (R. L. Smith, Operations Research 32, 1984) with the shrinking bracket of slice
sampling (R. M. Neal, Annals of Statistics 31, 2003): a walker draws a point of a line through
itself; a feasible one becomes its place and the next line is a new one, an infeasible one
becomes an end of the bracket. All walkers take one such try a trip, so one evaluation of the
constraints a trip serves them all, however small the feasible part is.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from bojax.optimize.scatter import normals, uniforms
from bojax.space import table as tables
from bojax.space.table import SpaceTable

TRIES = 40  # of each walker; eight places or so where a line is mostly infeasible


def made_feasible(table: SpaceTable, key, rows, given, near=None):
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
        return tables.with_given(table, tables.from_unit(table, unit), given)

    def feasible(candidates):
        return tables.feasible(table, candidates, inside=True)

    anchors = tables.with_given(table, table.rules.anchors.astype(dtype), given)
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
        draws = uniforms(own, (count, 3), dtype)
        step = low + (high - low) * draws[:, :1]
        tried = jnp.clip(home + step * line, 0.0, 1.0)
        good = feasible(placed(tried))[:, None] & (roams[:, None] | ~found)
        home = jnp.where(good, tried, home)
        # A new line after a success, of one column or of all, as long as the cube allows.
        column = jnp.floor(draws[:, 1:2] * d).astype(jnp.int32)
        one = (jnp.arange(d, dtype=jnp.int32) == column).astype(dtype)
        fresh = jnp.where(draws[:, 2:] < 0.5, one, normals(own, (count, d), dtype))
        line = jnp.where(good, fresh, line)
        low = jnp.where(good, -_reach(home, -line), jnp.where(step < 0, step, low))
        high = jnp.where(good, _reach(home, line), jnp.where(step < 0, high, step))
        return home, line, low, high, found | good

    # The first bracket ends at the candidate itself.
    ends = (jnp.zeros((count, 1), dtype), jnp.ones((count, 1), dtype))
    none = jnp.zeros((count, 1), bool)
    walk = jax.lax.fori_loop(0, TRIES, trip, (home, line, *ends, none))
    return jnp.where(fine[:, None], rows, placed(walk[0]))


def _reach(home, line):
    """How far a line goes until it leaves the unit cube, `[N, 1]`."""
    safe = jnp.where(line == 0, 1.0, line)
    ahead = jnp.where(line > 0, 1.0 - home, -home) / safe
    return jnp.min(jnp.where(line == 0, jnp.inf, ahead), axis=1, keepdims=True)


def to_unit(table: SpaceTable, rows):
    """Rows as points of the unit cube that `from_unit` gives them back from."""
    count = jnp.maximum(table.cardinality, 1).astype(rows.dtype)
    return jnp.where(table.kind == tables.CATEGORY, (rows + 0.5) / count, rows)
