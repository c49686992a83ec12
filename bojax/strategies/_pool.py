"""Candidates that an acquisition is scored at before the best of them climb."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from bojax.optimize import normals, uniforms
from bojax.optimize import sobol as sobol_points
from bojax.space import table as tables
from bojax.space.table import SpaceTable

# Spread of local candidates: between a hundredth and a fifth of the unit interval.
LOCAL_SPREAD = (0.01, 0.2)


def candidate_pool(
    keys, table: SpaceTable, leader, given, number, shift, *, candidates: int, local: int
):
    """Candidates of one suggestion, `[candidates + local, D]` canonical.

    Sobol points under a digital shift of the suggestion's own, and the incumbent
    perturbed in some of its columns. A finite space with no more cells than that is
    enumerated instead.
    """
    d, dtype = leader.shape[0], leader.dtype
    own_shift = shift ^ jax.random.bits(keys[0], (d,), jnp.uint32)
    wide = sobol_points(0, candidates, d, own_shift).astype(dtype)
    noise = normals(keys[1], (local, d), dtype)
    draws = uniforms(keys[2], (local, d + 2), dtype)
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
    moved = jnp.where(moves, near, leader)
    pool = jnp.concatenate([tables.from_unit(table, wide), moved])
    size = pool.shape[0]
    cells = tables.cells(table)
    # A turn of the list for each suggestion, so that ties do not always fall alike.
    index = jnp.arange(size, dtype=jnp.int32) + jnp.mod(number, 2**20)
    bounded = jnp.where(cells <= size, cells, 1.0).astype(jnp.int32)
    listed = tables.enumerate_rows(table, jnp.mod(index, bounded))
    pool = jnp.where(cells <= size, listed.astype(dtype), pool)
    return tables.with_given(table, pool, given)
