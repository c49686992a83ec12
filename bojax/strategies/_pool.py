"""Candidates that an acquisition is scored at before the best of them climb."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from bojax.optimize import Found, maximize, normals, uniforms
from bojax.optimize import sobol as sobol_points
from bojax.optimize.walk import made_feasible
from bojax.space import table as tables
from bojax.space.table import SpaceTable
from bojax.strategies.protocol import Proposal, Taken

# Spread of local candidates: between a hundredth and a fifth of the unit interval.
LOCAL_SPREAD = (0.01, 0.2)
# Of a walker that makes an infeasible one feasible. They need not be spread evenly: 24 found the
# same optima, and took a quarter of a suggestion.
TRIES = 12


def candidate_pool(
    keys, table: SpaceTable, leader, given, number, shift, *, candidates: int, local: int
):
    """Candidates of one suggestion, `[candidates + local, D]` canonical: wide, then local ones."""
    wide = wide_candidates(keys, table, given, number, shift, candidates, candidates + local)
    near = local_candidates(keys, table, leader, given, number, local, candidates + local)
    return jnp.concatenate([wide, near])


def best_row(
    score: Callable, table: SpaceTable, key, pool, given, taken: Taken, lanes: int, heights=None
) -> Found:
    """The row of highest score that is not taken, with the columns given kept as they are."""
    fixed: Any = ~jnp.isnan(given) | (table.role != tables.PARAMETER)
    return maximize(
        score, table, key, pool, fixed, taken.rows, taken.mask, lanes=lanes, heights=heights
    )


def searched(
    strategy: Any, score: Callable, table: SpaceTable, keys, leader, given, number, shift, taken
) -> Proposal:
    """The best row from a pool of a strategy's own size, five keys in all."""
    pool = candidate_pool(
        keys, table, leader, given, number, shift,
        candidates=strategy.candidates, local=strategy.local,
    )  # fmt: skip
    found = best_row(score, table, keys[4], pool, given, taken, strategy.lanes)
    return Proposal(found.row, found.raw, found.valid)


def wide_candidates(keys, table: SpaceTable, given, number, shift, count: int, size: int):
    """Sobol points under a digital shift of their own, `[count, D]` canonical.

    A finite space with no more cells than `size` is listed instead, from its beginning.
    """
    d = given.shape[0]
    own_shift = shift ^ jax.random.bits(keys[0], (d,), jnp.uint32)
    wide = sobol_points(0, count, d, own_shift).astype(given.dtype)
    rows = _listed(table, tables.from_unit(table, wide), number, 0, size)
    rows = tables.with_given(table, rows, given)
    return made_feasible(table, keys[3], rows, given, tries=TRIES)


def local_candidates(keys, table: SpaceTable, leader, given, number, count: int, size: int):
    """The incumbent perturbed in some of its columns, `[count, D]` canonical.

    A finite space with no more cells than `size` is listed instead, up to its end.
    """
    d, dtype = leader.shape[0], leader.dtype
    noise = normals(keys[1], (count, d), dtype)
    draws = uniforms(keys[2], (count, d + 2), dtype)
    low, high = map(math.log, LOCAL_SPREAD)
    spread = jnp.exp(low + (high - low) * draws[:, :1])
    used = jnp.maximum(jnp.sum(table.used, dtype=jnp.int32).astype(dtype), 1.0)
    # Between one column and all of them move, a share of its own for each candidate.
    share = jnp.maximum(draws[:, 1:2], 1.0 / used)
    fresh = tables.from_unit(table, jnp.mod(draws[:, 2:] / share, 1.0))
    near = jnp.where(table.kind == tables.CATEGORY, fresh, leader + spread * noise)
    # The column of the least draw moves in any case: a copy of the incumbent is no candidate.
    least = jnp.min(jnp.where(table.used, draws[:, 2:], 1.0), axis=1, keepdims=True)
    moves = (draws[:, 2:] < share) | (draws[:, 2:] == least)
    rows = _listed(table, jnp.where(moves, near, leader), number, size - count, size)
    rows = tables.with_given(table, rows, given)
    if table.rules is None:
        return rows
    own = jax.random.fold_in(keys[3], 1)
    near = tables.with_given(table, leader, given)
    return made_feasible(table, own, rows, given, near, tries=TRIES)


def _listed(table: SpaceTable, rows, number, first: int, size: int):
    """The rows, or cells of a space that has no more than `size`, from the `first` on."""
    cells = tables.cells(table)
    # A turn of the list for each number, so that ties do not always fall alike.
    index = first + jnp.arange(rows.shape[0], dtype=jnp.int32) + jnp.mod(number, 2**20)
    bounded = jnp.where(cells <= size, cells, 1.0).astype(jnp.int32)
    cell = tables.enumerate_rows(table, jnp.mod(index, bounded))
    return jnp.where(cells <= size, cell.astype(rows.dtype), rows)
