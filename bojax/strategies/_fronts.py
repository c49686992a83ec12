"""Who is better than whom among points with several objectives, as one program.

Fronts, crowding and constrained domination of K. Deb, A. Pratap, S. Agarwal and T. Meyarivan, "A
fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE Transactions on Evolutionary
Computation 6, 2002, sections III.A, III.B and VI.A. `bojax.stats` has the same for NumPy, without
masks and constraints.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def dominance(values, violation, mask):
    """`[K, K]` bool: which line dominates which column.

    The feasible one of two; of two infeasible ones that of less violation; of two feasible ones
    that which is no worse in any objective and better in one.

    Args:
        values: `[K, M]` finite, minimised.
        violation: `[K]`, 0 where feasible.
        mask: `[K]` bool, points that take part.
    """
    no_worse = jnp.all(values[:, None] <= values[None], axis=-1)
    better = jnp.any(values[:, None] < values[None], axis=-1)
    feasible = violation <= 0.0
    both = feasible[:, None] & feasible[None]
    dominates = jnp.where(both, no_worse & better, violation[:, None] < violation[None])
    return dominates & mask[:, None] & mask[None]


def front_of(dominates, mask):
    """`[K]` int32: the front of each point, 0 the best; K where masked out."""
    size = mask.shape[0]
    counts = dominates.astype(jnp.int32)

    def peel(carry):
        front, ranks, above = carry
        now = (above == 0) & (ranks == size) & mask
        above = above - jnp.sum(jnp.where(now[:, None], counts, 0), axis=0, dtype=jnp.int32)
        return front + 1, jnp.where(now, front, ranks), above

    def some_left(carry):
        return jnp.any((carry[1] == size) & mask)

    start = (jnp.int32(0), jnp.full(size, size, jnp.int32), jnp.sum(counts, 0, dtype=jnp.int32))
    return jax.lax.while_loop(some_left, peel, start)[1]


def crowding(values, ranks):
    """`[K]`: sides of the box between a point's neighbours in its front, inf at the ends."""
    size, no = values.shape[0], jnp.zeros(1, bool)

    def along(column):
        column = 0.25 * column  # no difference overflows
        order = jnp.lexsort((column, ranks))
        sorted_, front = column[order], ranks[order]
        beside = front[1:] == front[:-1]
        inner = jnp.concatenate([no, beside]) & jnp.concatenate([beside, no])
        room = jnp.roll(sorted_, -1) - jnp.roll(sorted_, 1)
        width = jax.ops.segment_max(column, ranks, size + 1) - jax.ops.segment_min(
            column, ranks, size + 1
        )
        width = width[front]
        room = jnp.where(inner, room / jnp.where(width > 0, width, 1.0), jnp.inf)
        return jnp.zeros_like(column).at[order].set(room)

    return jnp.sum(jax.vmap(along, in_axes=1)(values), axis=0)


def best_first(values, violation, mask):
    """`[K]` int32: places in the order of the crowded comparison; masked ones come last.

    By front, within one the loneliest first; ties go to the earlier place.
    """
    values = jnp.where(mask[:, None], values, 0.0)
    ranks = front_of(dominance(values, violation, mask), mask)
    return jnp.lexsort((-crowding(values, ranks), ranks)).astype(jnp.int32)


def violation_of(constraints):
    """`[N]`: by how much constraints `[N, J]`, feasible at most 0, are broken; inf if unknown."""
    broken = jnp.sum(jnp.maximum(constraints, 0.0), axis=1)
    return jnp.where(jnp.isnan(broken), jnp.inf, broken)
