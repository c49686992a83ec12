"""What strategies that draw their rows share: new ones, a batch at a time, and whose turn it is.

A row is the first of its own draws that lies in the cube, is feasible, and equals no line of the
history and no earlier row of the batch. All rows of a batch are drawn together, again and again
where one failed, so that whole runs are fast under `vmap`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from bojax.history import History, Status
from bojax.optimize.walk import made_feasible, to_unit
from bojax.space import table as tables
from bojax.space.table import SpaceTable
from bojax.strategies import protocol
from bojax.strategies.protocol import ALTERNATIVES

# Points tried after a strategy's own draws: the first 16 ever farther from the last one, the others
# anywhere, so that the last free cells of a finite space are mostly found.
STRAYS = 3 * ALTERNATIVES


# What the metallic means are above a whole number: (n + sqrt(n^2 + 4)) / 2 - n for n = 1, 2, 3.
RATIOS = 0.618033988749895, 0.414213562373095, 0.302775637731995


class Chosen(NamedTuple):
    """Rows of a batch.

    Attributes:
        rows: `[q, D]` canonical.
        points: `[q, D]` of the cube, that give the rows.
        valid: `[q]` bool, False where every draw was taken.
        strayed: `[q]` bool, rows that are none of the strategy's own draws.
    """

    rows: Any
    points: Any
    valid: Any
    strayed: Any


class _Trip(NamedTuple):
    attempt: Any
    bad: Any
    chosen: Any


def once(needed, change: Callable, value, *inputs):
    """`change(value, *inputs)` where needed, else `value`.

    Under `vmap`, `lax.cond` computes both sides always; this, a loop of one trip at most, costs
    nothing where no lane needs it.
    """

    def trip(carry):
        needed, value = carry
        # The inputs seem to change, or the compiler would compute with them before the loop.
        value, given, _ = jax.lax.optimization_barrier((value, inputs, needed))
        return jnp.zeros((), bool), change(value, *given)

    return jax.lax.while_loop(lambda carry: carry[0], trip, (needed, value))[1]


def free_columns(table: SpaceTable):
    """`[D]` bool: columns that a strategy may choose, and that have more than one value."""
    return table.used & (table.role == tables.PARAMETER) & (table.cardinality != 1)


def final(history: History):
    """`[N]` bool: lines of which nothing more is awaited."""
    status = history.status
    return (status != Status.EMPTY) & (status != Status.PENDING) & (status != Status.STALE)


def standing(history: History):
    """`[N]` bool: of each trial its line of largest budget that is final, or its first line."""
    done, trial = final(history), history.trial
    again = trial[1:] == trial[:-1]
    no = jnp.zeros(1, bool)
    followed = jnp.concatenate([again & done[1:], no])
    follows = jnp.concatenate([no, again])
    return (history.status != Status.EMPTY) & jnp.where(done, ~followed, ~follows)


def values_of(history: History):
    """`[N]` values, inf where there is none: what failed is worst."""
    return jnp.where(protocol.told_lines(history, jnp), history.values[:, 0], jnp.inf)


def place(table: SpaceTable, points, given):
    """Canonical rows of points that may lie beyond the cube, with what is given, `[..., D]`."""
    count = jnp.maximum(table.cardinality, 1).astype(points.dtype)
    code = jnp.clip(jnp.floor(points * count), 0.0, count - 1.0)
    rows = jnp.where(table.kind == tables.CATEGORY, code, points)
    return tables.with_given(table, rows, given)


def choose(
    table: SpaceTable,
    history: History,
    keys,
    given,
    wanted,
    draw: Callable,
    *,
    tries: int = ALTERNATIVES,
    bounded: Any = True,
) -> Chosen:
    """Rows of a batch, each the first of its draws that can be had.

    After `tries` draws, the next is put onto the edge of the cube if it lies beyond; then points
    follow that lie between it and others of the cube, ever farther from it: they find what is
    new next to a distribution that has shrunk to nothing, or within it if it is used up.

    Args:
        table: the space.
        history: what is taken.
        keys: `[q]`, of each suggestion its own.
        given: `[q, D]`, NaN where nothing is fixed.
        wanted: how many rows count, traced.
        draw: `(number in the batch, attempt, key) -> [D]`, a point.
        tries: static.
        bounded: `[D]` bool, columns in which a draw beyond the cube is refused.
    """
    (q, d), dtype = given.shape, history.rows.dtype
    number = jnp.arange(q, dtype=jnp.int32)
    fixed = to_unit(table, given)
    bounded = jnp.broadcast_to(bounded, (d,)) & table.used
    taken = taken_among(table, history.rows, history.status != Status.EMPTY)

    def placed(points, given, fixed):
        points = jnp.where(jnp.isnan(fixed), points.astype(dtype), fixed)
        within = (points >= 0.0) & (points <= 1.0) | ~bounded | ~jnp.isnan(fixed)
        rows = place(table, points, given)
        fine = jnp.all(within, axis=-1)
        if table.rules is not None:
            fine = fine & tables.feasible(table, rows, inside=True)
        return rows, points, fine

    def stray(chosen, i, attempt, own):
        """A point between the last draw and one of the cube, as a row that is feasible."""
        near = jnp.clip(
            draw(i, jnp.int32(tries), jax.random.fold_in(keys[i], tries)).astype(dtype), 0.0, 1.0
        )
        other = jax.random.uniform(own, (d,), dtype)
        step = (attempt - tries).astype(dtype)
        share = jnp.minimum(2.0 ** (step - (ALTERNATIVES - 1)), 1.0)
        share = jnp.where(step > 0, share, 0.0)
        rows, points, fine = placed(near + share * (other - near), given[i], fixed[i])
        if table.rules is None:
            return rows, points, fine
        walked = made_feasible(table, own, rows[None], given[i])[0]
        points = jnp.where(jnp.all(walked == rows), points, to_unit(table, walked))
        return walked, points, tables.feasible(table, walked, inside=True)

    def trip(now: _Trip) -> _Trip:
        """The first bad row drawn once more; those before it are final."""
        i = jnp.argmax(now.bad).astype(jnp.int32)
        attempt = now.attempt[i] + 1
        own = jax.random.fold_in(keys[i], attempt)
        drawn = placed(draw(i, attempt, own), given[i], fixed[i])
        row, point, fine = once(attempt >= tries, stray, drawn, i, attempt, own)
        rows, points = now.chosen[0].at[i].set(row), now.chosen[1].at[i].set(point)
        equal = tables.same_configuration(table, row, rows)
        earlier = jnp.any(equal & (number < i))
        good = fine & ~earlier & ~taken(row[None])[0]
        # Whoever comes later and is the same gives way.
        bad = jnp.where(number == i, ~good, now.bad | (good & equal & (number > i)))
        over = attempt >= tries + STRAYS - 1
        return _Trip(now.attempt.at[i].set(attempt), bad & ~(over & (number == i)),
                     (rows, points, now.chosen[2].at[i].set(good)))  # fmt: skip

    own = jax.vmap(lambda k: jax.random.fold_in(k, 0))(keys)
    points = jax.vmap(lambda i, k: draw(i, jnp.zeros((), jnp.int32), k))(number, own)
    rows, points, fine = placed(points, given, fixed)
    fine = fine & ~taken(rows)
    # Of equal rows the first stays: the others are drawn again when it is their turn.
    among = tables.same_configuration(table, rows[:, None], rows[None])
    among = among & (number[None] < number[:, None]) & fine[None]
    fine = fine & ~jnp.any(among, axis=1)
    zeros = jnp.zeros(q, jnp.int32)
    start = _Trip(zeros, ~fine & (number < wanted), (rows, points, fine))
    end = jax.lax.while_loop(lambda now: jnp.any(now.bad), trip, start)
    rows, points, fine = end.chosen
    return Chosen(rows, points, fine & (number < wanted), end.attempt >= tries)


def taken_among(table: SpaceTable, past_rows, mask) -> Callable:
    """`rows [K, D] -> [K]` bool: which equal one of `past_rows [T, D]` where `mask [T]`."""
    dtype, eps = past_rows.dtype, float(jnp.finfo(past_rows.dtype).eps)
    # Equal rows have equal projections, and hardly any others: a few numbers a line are compared
    # first. The weights are multiples of the golden and other ratios, modulo 1. One number is not
    # enough where runs share a program, in which all compare if a single one must.
    d = past_rows.shape[1]
    ratios = jnp.array(RATIOS, dtype)
    weights = jnp.mod((jnp.arange(d, dtype=dtype) + 1.0) * ratios[:, None], 1.0) + 0.5
    weights = jnp.where(table.role == tables.FIDELITY, 0.0, weights)
    tolerance = 1e-9 if dtype == jnp.float64 else 1e-6
    size = jnp.maximum(table.cardinality, 1).astype(dtype)
    slack = weights @ (2.0 * tolerance + 16.0 * eps * size)
    past = jnp.where(mask, weights @ past_rows.T, jnp.inf)

    def taken(rows):
        own = weights @ rows.T
        close = jnp.ones((rows.shape[0], past.shape[1]), bool)
        for k in range(len(RATIOS)):
            close &= jnp.abs(own[k][:, None] - past[k]) <= slack[k]

        def compared(_, rows, past_rows):
            known = tables.same_configuration(table, rows[:, None], past_rows[None])
            return jnp.any(known & mask[None], axis=1)

        nothing = jnp.zeros(rows.shape[0], bool)
        return once(jnp.any(close), compared, nothing, rows, past_rows)

    return taken


def points_of(table: SpaceTable, rows, points):
    """Points that were drawn for rows, or of the rows where another row was taken, `[..., D]`.

    Returns:
        The points, and `[...]` bool: which are the drawn ones.
    """
    nothing = jnp.full(rows.shape[-1:], jnp.nan, rows.dtype)
    same = tables.same_configuration(table, place(table, points, nothing), rows)
    return jnp.where(same[..., None], points, to_unit(table, rows)), same
