"""Local search in one-exchange neighbourhoods: for scores without a slope, over any space.

F. Hutter, H. Hoos and K. Leyton-Brown, "Sequential Model-Based Optimization for General Algorithm
Configuration", LION 5 (2011), section 4.4: a neighbour differs in one active parameter, a category
by any other value, a number by a draw from a normal around it, cut to its range. Ordinals move by
one place. All searches take a step together, and a step is one scored array.

A search goes on to its best neighbour while that is no worse: better ones are steps, equal ones
walk along a plateau. Without a better one for `PLATEAU` neighbourhoods in all, it ends. Spreads
follow SMAC3 (M. Lindauer et al., JMLR 23, 2022), version 2.4.1: doubled after three steps in a
row before the first plateau, halved at every third plateau.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from bojax.optimize.scatter import uniforms
from bojax.space import table as tables
from bojax.space.table import SpaceTable

SPREAD = 0.05  # of the unit interval, to begin with
LEAST_SPREAD, MOST_DOUBLINGS = 0.005, 3
NEIGHBOURS = 4  # of each column
PLATEAU = 10  # neighbourhoods without a better row, after which a search ends
STEPS_TO_DOUBLE, PLATEAUS_TO_HALVE = 3, 3
MOST_STEPS = 100  # of a search; a forest's score takes few values, so that others end before


class Ends(NamedTuple):
    """Where searches ended, `rows [L, D]` canonical, `scores [L]`; -inf where nothing was open."""

    rows: Any
    scores: Any


class _Search(NamedTuple):
    step: Any
    rows: Any
    scores: Any
    spread: Any
    climbed: Any
    plateaus: Any
    best: Ends


def local_search(
    score: Callable,
    table: SpaceTable,
    key,
    starts,
    given,
    is_open: Callable,
    *,
    spread: Any = SPREAD,
    plateau: int = PLATEAU,
    most_steps: int = MOST_STEPS,
) -> Ends:
    """The best open row that each search has seen.

    Args:
        score: canonical rows `[N, D]` -> `[N]`, larger is better.
        table: the space.
        key: for neighbours.
        starts: `[L, D]` canonical rows, a search each.
        given: `[D]` what every row keeps, NaN elsewhere.
        is_open: canonical rows `[N, D]` -> `[N]` bool, which may be returned; a search passes
            through others.
        spread: deviation of a number's neighbours, of the unit interval.
        plateau, most_steps: after how many neighbourhoods without a better row, and in all.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import bojax
        >>> from bojax.optimize.exchange import local_search
        >>> space = bojax.Space({"x": bojax.Float(0, 1), "c": bojax.Categorical(["a", "b"])})
        >>> ends = jax.jit(lambda starts: local_search(
        ...     lambda rows: jnp.round(rows[:, 1] - jnp.abs(rows[:, 0] - 0.3), 2), space.table,
        ...     jax.random.key(0), starts, jnp.full(4, jnp.nan), lambda rows: rows[:, 0] >= 0,
        ... ))(jnp.zeros((1, 4)))
        >>> round(float(ends.scores[0]), 2)
        1.0
    """
    lanes, d = starts.shape
    dtype = starts.dtype
    size = NEIGHBOURS * d
    free = jnp.isnan(given) & table.used & (table.role == tables.PARAMETER)
    free = free & (table.cardinality != 1)

    def scored(rows):
        flat = rows.reshape(-1, d)
        values = score(flat)
        values = jnp.where(jnp.isnan(values), -jnp.inf, values)
        if table.rules is not None:
            values = jnp.where(tables.feasible(table, flat, inside=True), values, -jnp.inf)
        open_ = jnp.where(is_open(flat), values, -jnp.inf)
        return values.reshape(rows.shape[:-1]), open_.reshape(rows.shape[:-1])

    def pick(rows, values):
        at = jnp.argmax(values, axis=1)
        best = jnp.take_along_axis(values, at[:, None], axis=1)[:, 0]
        return jnp.take_along_axis(rows, at[:, None, None], axis=1)[:, 0], best

    def going(now: _Search):
        return now.plateaus < plateau

    def step(now: _Search) -> _Search:
        own = jax.random.fold_in(key, now.step)
        around = exchanged(table, own, now.rows, free, now.spread, size, given)
        values, open_ = scored(around)
        rows, best = pick(around, values)
        moves = going(now)
        better, equal = best > now.scores, best == now.scores
        take = moves & (better | equal)
        climbed = jnp.where(better, now.climbed + 1, 0)
        doubles = (climbed >= STEPS_TO_DOUBLE) & (now.plateaus == 0)
        plateaus = now.plateaus + (moves & ~better).astype(jnp.int32)
        halves = moves & ~better & (plateaus % PLATEAUS_TO_HALVE == 0)
        wider = jnp.where(doubles, jnp.minimum(2.0 * now.spread, most_spread), now.spread)
        least = jnp.minimum(LEAST_SPREAD, now.spread)
        seen, height = pick(around, open_)
        wins = moves & (height > now.best.scores)
        return _Search(
            now.step + 1,
            jnp.where(take[:, None], rows, now.rows),
            jnp.where(take, best, now.scores),
            jnp.where(halves, jnp.maximum(0.5 * wider, least), wider),
            jnp.where(doubles, 0, climbed),
            plateaus,
            Ends(
                jnp.where(wins[:, None], seen, now.best.rows),
                jnp.where(wins, height, now.best.scores),
            ),
        )

    values, open_ = scored(starts)
    spread = jnp.full(lanes, spread, dtype)
    most_spread = spread * 2**MOST_DOUBLINGS
    zeros = jnp.zeros(lanes, jnp.int32)
    start = _Search(
        jnp.zeros((), jnp.int32), starts, values, spread, zeros, zeros, Ends(starts, open_)
    )
    unfinished = jax.lax.while_loop(
        lambda now: jnp.any(going(now)) & (now.step < most_steps), step, start
    )
    return unfinished.best


def exchanged(table: SpaceTable, key, rows, free, spread, size: int, given):
    """`size` neighbours of each canonical row, `[L, D]` -> `[L, size, D]` canonical.

    Args:
        free: `[D]` bool, columns that may change.
        spread: `[L]`, deviations.
        given: `[D]`, NaN where nothing is fixed.
    """
    lanes, d = rows.shape
    dtype = rows.dtype
    movable = free & tables.active(table, rows)
    # Every movable column gets as many neighbours as the next, in turn.
    order = jnp.argsort(~movable, axis=1, stable=True).astype(jnp.int32)
    count = jnp.maximum(jnp.sum(movable, axis=1, dtype=jnp.int32), 1)
    turn = jnp.arange(size, dtype=jnp.int32) % count[:, None]
    column = jnp.take_along_axis(order, turn, axis=1)
    draws = uniforms(key, (lanes, size, 2), dtype)
    draw, coin = draws[..., 0], draws[..., 1]
    at = jnp.take_along_axis(rows, column, axis=1)

    def of(leaf):
        return jnp.asarray(leaf)[column]

    choices = jnp.maximum(of(table.cardinality), 1).astype(dtype)
    other = jnp.mod(at + 1.0 + jnp.floor(draw * jnp.maximum(choices - 1.0, 1.0)), choices)
    deviation = spread[:, None]
    low = jax.scipy.special.ndtr(-at / deviation)
    high = jax.scipy.special.ndtr((1.0 - at) / deviation)
    near = at + deviation * jax.scipy.special.ndtri(low + draw * (high - low))
    hit = (jnp.arange(d, dtype=jnp.int32) == column[..., None]) & movable[:, None]
    side = jnp.where(coin < 0.5, 1.0, -1.0).astype(dtype)
    stepped = tables.move(table, rows[:, None], jnp.where(hit, side[..., None], 0.0))
    kind = of(table.kind)
    value = jnp.where(kind == tables.CATEGORY, other, near)
    moved = jnp.where(hit, value[..., None], rows[:, None])
    moved = jnp.where(hit & (table.kind == tables.ORDINAL), stepped, moved)
    # An integer moves by one cell at least.
    cells = (table.kind == tables.INTEGER) & hit
    same = jnp.abs(tables.snap(table, moved) - rows[:, None]) < 1e-6
    moved = jnp.where(cells & same, stepped, moved)
    return tables.with_given(table, moved, given)
