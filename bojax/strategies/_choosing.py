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
from bojax.strategies.protocol import ALTERNATIVES, Sizes


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
    rows: Any
    points: Any
    inside: Any


def refuse_several(name: str, sizes: Sizes) -> None:
    """One objective, no black-box constraints.

    Raises:
        ValueError: there are others.
    """
    if sizes.objectives != 1 or sizes.constraints:
        raise ValueError(
            f"{name}: one objective and no black-box constraints are supported, got "
            f"{sizes.objectives} and {sizes.constraints}; weigh them into one value."
        )


def once(needed, change: Callable, value):
    """`change(value)` where needed, else `value`.

    Under `vmap`, `lax.cond` computes both sides always; this, a loop of one trip at most, costs
    nothing where no lane needs it.
    """
    _, value = jax.lax.while_loop(
        lambda carry: carry[0], lambda carry: (jnp.zeros((), bool), change(carry[1])),
        (needed, value),
    )  # fmt: skip
    return value


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

    def drawn(attempt):
        late = attempt >= tries
        own = jax.vmap(jax.random.fold_in)(keys, attempt)
        points = jax.vmap(draw)(number, attempt, own).astype(dtype)

        def strays(_):
            last = jnp.full(q, tries, jnp.int32)
            own_last = jax.vmap(jax.random.fold_in)(keys, last)
            near = jnp.clip(jax.vmap(draw)(number, last, own_last).astype(dtype), 0.0, 1.0)
            others = jax.vmap(lambda k: jax.random.uniform(k, (d,), dtype))(own)
            step = (attempt - tries).astype(dtype)
            share = jnp.where(step > 0, 2.0 ** (step - (ALTERNATIVES - 1)), 0.0)[:, None]
            return jnp.where(late[:, None], near + share * (others - near), points)

        points = once(jnp.any(late), strays, points)
        points = jnp.where(jnp.isnan(fixed), points, fixed)
        rows = place(table, points, given)
        within = (points >= 0.0) & (points <= 1.0)
        inside = jnp.all(within | ~bounded | ~jnp.isnan(fixed), axis=1)
        if table.rules is None:
            return rows, points, inside

        def walked(pair):
            rows, points = pair
            moved = jax.vmap(lambda k, r, g: made_feasible(table, k, r[None], g)[0])
            there = jnp.where(late[:, None], moved(own, rows, given), rows)
            return there, jnp.where(jnp.all(there == rows, axis=1)[:, None], points,
                                    to_unit(table, there))  # fmt: skip

        rows, points = once(jnp.any(late), walked, (rows, points))
        return rows, points, inside & tables.feasible(table, rows, inside=True)

    earlier = number[None, :] < number[:, None]
    clashes = _clashes(table, history, earlier)

    def trip(now: _Trip) -> _Trip:
        rows, points, inside = jax.tree.map(
            lambda new, old: jnp.where(now.bad.reshape((q,) + (1,) * (new.ndim - 1)), new, old),
            drawn(now.attempt), (now.rows, now.points, now.inside),
        )  # fmt: skip
        taken, equal = clashes(rows)
        fine = inside & ~taken
        bad = (~fine | jnp.any(equal & fine[None], axis=1)) & (number < wanted)
        return _Trip(now.attempt + bad.astype(jnp.int32), bad, rows, points, inside)

    def goes_on(now: _Trip):
        return jnp.any(now.bad & (now.attempt < tries + ALTERNATIVES))

    zeros, none = jnp.zeros((q, d), dtype), jnp.zeros(q, bool)
    start = _Trip(jnp.zeros(q, jnp.int32), number < wanted, zeros, zeros, none)
    end = jax.lax.while_loop(goes_on, trip, start)
    return Chosen(end.rows, end.points, ~end.bad & (number < wanted), end.attempt >= tries)


def _clashes(table: SpaceTable, history: History, earlier) -> Callable:
    """`rows [q, D] -> ([q], [q, q])`: which a line of the history, which an earlier row equals."""
    dtype, eps = history.rows.dtype, float(jnp.finfo(history.rows.dtype).eps)
    mask = history.status != Status.EMPTY
    # Equal rows have equal projections, and hardly any others: one number a line is compared
    # first. The weights are multiples of the golden ratio, modulo 1.
    d = history.rows.shape[1]
    weight = jnp.mod((jnp.arange(d, dtype=dtype) + 1.0) * 0.618033988749895, 1.0) + 0.5
    weight = jnp.where(table.role == tables.FIDELITY, 0.0, weight)
    tolerance = 1e-9 if dtype == jnp.float64 else 1e-6
    size = jnp.maximum(table.cardinality, 1).astype(dtype)
    slack = jnp.sum(weight * (2.0 * tolerance + 16.0 * eps * size))
    past = history.rows @ weight

    def clashes(rows):
        here = rows @ weight
        near = (jnp.abs(here[:, None] - past[None]) <= slack) & mask[None]
        close = (jnp.abs(here[:, None] - here[None]) <= slack) & earlier

        def compared(_):
            known = tables.same_configuration(table, rows[:, None], history.rows[None])
            among = tables.same_configuration(table, rows[:, None], rows[None])
            return jnp.any(known & mask[None], axis=1), among & earlier

        nothing = (jnp.zeros(rows.shape[0], bool), jnp.zeros_like(close))
        return once(jnp.any(near) | jnp.any(close), compared, nothing)

    return clashes


def points_of(table: SpaceTable, rows, points):
    """Points that were drawn for rows, or of the rows where another row was taken, `[..., D]`.

    Returns:
        The points, and `[...]` bool: which are the drawn ones.
    """
    nothing = jnp.full(rows.shape[-1:], jnp.nan, rows.dtype)
    same = tables.same_configuration(table, place(table, points, nothing), rows)
    return jnp.where(same[..., None], points, to_unit(table, rows)), same
