"""Maximising a score over a mixed, conditional space, in one program.

A pool of candidates is scored, the best become lanes, and all lanes climb together by the
projected L-BFGS on their real columns. Where the space has discrete columns the lanes then
alternate between the best of their neighbours and another climb; integers move freely in
the first climb only. Pool and neighbourhoods have one size, so the score is traced once for
both, and a space without discrete columns takes a single round at run time.

Only feasible rows are returned. A climb that leaves the feasible set is taken for the place
where it left (:func:`bojax.optimize.walk.inside`). In a pool nothing climbs.

Where the user believes the optimum to lie enters as in piBO (C. Hvarfner et al., ICLR 2022):
the belief to the power of beta / n times the acquisition, so that it fades with the number of
observations; the scores here are logarithms, and a sum does it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from bojax.optimize.lbfgs import minimize
from bojax.optimize.scatter import uniforms
from bojax.optimize.walk import homes_of, inside
from bojax.space import table as tables
from bojax.space.table import SpaceTable

ROUNDS = 3  # climbs in a space with discrete columns: relaxed, then twice after neighbours
MOST_EVALUATIONS = 60  # of one climb
MEMORY = 6  # pairs of the climb's L-BFGS
LARGEST_MOVE = 0.3  # of the unit interval in one step
# beta of piBO: a tenth of the evaluations of a run (its section 4), here of a hundred.
BELIEF = 10.0
TOLERANCE = 1e-4  # of the score, a logarithm: a ten-thousandth of EI


class Found(NamedTuple):
    """The best row that is not taken.

    Attributes:
        row: `[D]` canonical.
        score: scalar.
        raw: `[D]` before rounding.
        valid: whether any candidate was free.

    Example:
        >>> from bojax.optimize import Found
        >>> Found._fields[0]
        'row'
    """

    row: Any
    score: Any
    raw: Any
    valid: Any


def maximize(
    score: Callable,
    table: SpaceTable,
    key,
    pool,
    fixed,
    taken,
    taken_mask,
    *,
    lanes: int = 8,
    heights: Any = None,
) -> Found:
    """The row of highest score that no taken row equals.

    Args:
        score: rows `[N, D]` -> `[N]`, differentiable in the real columns. In a space with
            beliefs it is taken for a logarithm.
        table: the space.
        key: for neighbours.
        pool: `[C, D]` canonical feasible candidates, C a multiple of `lanes`.
        fixed: `[D]` bool, columns that may not move.
        taken: `[T, D]` canonical rows that may not be returned, where `taken_mask` `[T]`.
        lanes: static, how many climb.
        heights: `[C]` scores of the pool, where they are known already.

    Returns:
        :class:`Found`.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import bojax
        >>> table = bojax.Space({"x": bojax.Float(0, 1)}).table
        >>> pool = jnp.linspace(0, 1, 16)[:, None] * jnp.array([1.0, 0, 0, 0])
        >>> found = jax.jit(lambda key, pool: bojax.optimize.maximize(
        ...     lambda rows: -(rows[:, 0] - 0.3) ** 2, table, key, pool,
        ...     jnp.zeros(4, bool), pool[:1], jnp.zeros(1, bool)))(jax.random.key(0), pool)
        >>> round(float(found.row[0]), 3)
        0.3
    """
    dtype = pool.dtype
    size = pool.shape[0] // lanes
    discrete = table.discrete & table.used & ~fixed
    finite = ~jnp.any((table.kind == tables.REAL) & ~fixed)
    if table.prior is not None:
        told = jnp.maximum(jnp.sum(taken_mask, dtype=jnp.int32), 1).astype(dtype)
        bare, belief = score, BELIEF / told

        def score(rows):
            return bare(rows) + belief * tables.log_prior(table, rows)

        if heights is not None:
            heights = heights + belief * tables.log_prior(table, pool)

    def free(rows):
        equal = tables.same_configuration(table, rows[:, None, :], taken[None, :, :])
        return ~jnp.any(equal & taken_mask[None, :], axis=1)

    def unless_taken(rows, values):
        values = jnp.where(jnp.isnan(values), -jnp.inf, values)
        if table.rules is not None:
            values = jnp.where(tables.feasible(table, rows, inside=True), values, -jnp.inf)
        # Comparing all candidates with all taken rows is dear, and needed only where the best
        # of them are taken: in a finite space, and where an optimum at a bound was reached.
        _, top = jax.lax.top_k(values, lanes)
        crowded = finite | ~jnp.all(free(rows[top]))
        open_ = jax.lax.cond(crowded, free, lambda r: jnp.ones(r.shape[0], bool), rows)
        return jnp.where(open_, values, -jnp.inf)

    deep = jnp.mean(pool, axis=0)

    def climb(rows, relaxed):
        if table.pool is not None:
            return rows, jnp.full(rows.shape[0], -jnp.inf, dtype)
        moving = (table.kind == tables.REAL) | ((table.kind == tables.INTEGER) & relaxed)
        moving = moving & table.used & ~fixed
        homes = rows if table.rules is None else homes_of(table, rows, deep, moving)

        def lane(row, home):
            def downhill(x):
                end = None if table.rules is None else inside(table, home, x, smooth=True)
                at = x if end is None else end.row
                value, slope = jax.value_and_grad(lambda r: -score(r[None])[0])(at)
                slope = jnp.where(moving, slope, 0.0)
                return value, slope if end is None else jnp.where(moving, end.slope(slope), 0.0)

            low = jnp.where(moving, 0.0, row)
            high = jnp.where(moving, 1.0, row)
            return minimize(
                downhill,
                row,
                low,
                high,
                most_evaluations=MOST_EVALUATIONS,
                memory=MEMORY,
                largest_move=LARGEST_MOVE,
                tolerance=TOLERANCE,
            )

        result = jax.vmap(lane)(rows, homes)
        ends = result.x
        if table.rules is not None:
            ends = jax.vmap(lambda home, x: inside(table, home, x).row)(homes, ends)
        return ends, -result.value

    def round_(index, carry):
        rows, _, _, best = carry
        first = index == 0
        own_key = jax.random.fold_in(key, index)

        def around(rows):
            return neighbours(table, own_key, rows, discrete, size).reshape(pool.shape)

        if heights is None:
            candidates = jax.lax.cond(first, lambda rows: pool, around, rows)
            values = score(candidates)
        else:
            candidates, values = jax.lax.cond(
                first, lambda rows: (pool, heights), lambda rows: _scored(score, around(rows)), rows
            )
        values = unless_taken(candidates, values)
        _, top = jax.lax.top_k(values, lanes)
        own = jnp.argmax(values.reshape(lanes, size), axis=1).astype(top.dtype)
        chosen = jnp.where(first, top, own + size * jnp.arange(lanes, dtype=top.dtype))
        leader = jnp.argmax(values)
        best = _better(
            best,
            Found(
                candidates[leader], values[leader], candidates[leader], values[leader] > -jnp.inf
            ),
        )
        raw, height = climb(candidates[chosen], first)
        return tables.canonical(table, raw), raw, height, best

    none = Found(pool[0], jnp.array(-jnp.inf, dtype), pool[0], jnp.array(False))
    rounds = jnp.where(jnp.any(discrete), ROUNDS, 1)
    start = (pool[:lanes], pool[:lanes], jnp.full(lanes, -jnp.inf, dtype), none)
    rows, raw, height, best = jax.lax.fori_loop(0, rounds, round_, start)
    # Climbs may end on a taken row, the top above all; the best free candidate stands then.
    ends = jnp.concatenate([rows, best.row[None]])
    open_ = free(ends)
    if table.rules is not None:
        open_ = open_ & tables.feasible(table, ends, inside=True)
        height = score(rows)  # a climb's own is of a place that may lie a little further
    height = jnp.where(open_[:-1] & jnp.isfinite(height), height, -jnp.inf)
    leader = jnp.argmax(height)
    found = Found(rows[leader], height[leader], raw[leader], height[leader] > -jnp.inf)
    return _better(best._replace(valid=best.valid & open_[-1]), found)


def _scored(score, rows):
    return rows, score(rows)


def _better(a: Found, b: Found) -> Found:
    wins = b.valid & (~a.valid | (b.score >= a.score))
    return jax.tree.map(lambda x, y: jnp.where(wins, y, x), a, b)


def neighbours(table: SpaceTable, key, rows, discrete, size: int):
    """`size` neighbours of each canonical row, `[B, D]` -> `[B, size, D]`, first the row itself.

    Each other one changes one free discrete column: half of the time by one cell, otherwise
    to any value.
    """
    b, d = rows.shape
    draws = uniforms(key, (b, size, 2 * d + 2), rows.dtype)
    weights, fresh, coin = draws[..., :d], draws[..., d : 2 * d], draws[..., 2 * d :]
    column = jnp.argmax(jnp.where(discrete, weights, -1.0), axis=-1)
    hit = (jnp.arange(d) == column[..., None]) & discrete
    hit = hit & (jnp.arange(size) > 0)[None, :, None]
    stepped = tables.move(table, rows[:, None, :], jnp.where(coin[..., :1] < 0.5, 1.0, -1.0))
    changed = jnp.where(coin[..., 1:] < 0.5, stepped, tables.from_unit(table, fresh))
    return tables.canonical(table, jnp.where(hit, changed, rows[:, None, :]))
