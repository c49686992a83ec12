"""Slice sampling, a variable at a time: no gradient, nothing to tune by hand.

R. M. Neal, "Slice sampling", The Annals of Statistics 31 (2003). For each variable: a height
uniform below the density (section 2, in logarithms: log f - Exp(1)), an interval around the
point that is stepped out by its width w until both ends are outside the slice (figure 3, at
most m steps, split at random), and proposals from it that shrink it until one is inside
(figure 5). During the warm-up w follows three times the average distance moved, the expected
length of a slice of a normal density; after it w is kept, so that the chain is exact.

Stepping out and shrinking are phases of one loop, so that the density is compiled once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from bojax.surrogates._bayes.chain import Chain

MOST_STEPS = 16  # m: an interval grows to at most so many widths
MOST_SHRINKS = 64  # then the point stays: the interval is down to rounding
# Of the running average of distances: the last 20 sweeps or so. Slower follows the warm-up less.
MEMORY = 0.95
LEAST_WIDTH, LARGEST_WIDTH = 1e-3, 1e3
BEGIN, LEFT, RIGHT, SHRINK, DONE = range(5)


class Search(NamedTuple):
    """The search along one variable."""

    phase: Any
    left: Any
    right: Any
    left_steps: Any
    right_steps: Any
    point: Any
    value: Any
    proposals: Any
    evaluations: Any


def sample(key, log_density: Callable, start, free, *, warm_up: int, samples: int) -> Chain:
    """A chain from a start; one state is a sweep over the free variables.

    Args:
        key: `jax.random.key`.
        log_density: `[M]` -> scalar.
        start: `[M]`, where the density is above 0.
        free: `[M]` bool; variables that are not free stay.
        warm_up, samples: sweeps, static.
    """
    dtype = start.dtype
    order = jnp.argsort(~free, stable=True)
    count = jnp.sum(free, dtype=jnp.int32)

    def along(chance, z, value, j, width):
        """A new point along variable j, by uniform numbers: the search when it is over."""
        here = z[j]
        left = here - width * chance[1]
        left_steps = jnp.floor(MOST_STEPS * chance[2]).astype(jnp.int32)

        def move(s: Search) -> Search:
            proposal = s.left + chance[3 + s.proposals] * (s.right - s.left)
            point = jnp.stack([here, s.left, s.right, proposal])[s.phase]
            found = log_density(z.at[j].set(point))
            inside = found >= s.value + jnp.log1p(-chance[0])
            out_left = (s.phase == LEFT) & inside & (s.left_steps > 0)
            out_right = (s.phase == RIGHT) & inside & (s.right_steps > 0)
            shrinking = s.phase == SHRINK
            accepted = shrinking & inside
            refused = shrinking & ~inside
            gave_up = refused & (s.proposals >= MOST_SHRINKS - 1)
            over = (s.phase < SHRINK) & ~out_left & ~out_right
            return Search(
                jnp.where(accepted | gave_up, DONE, s.phase + over.astype(jnp.int32)),
                jnp.where(
                    refused & (point < here), point, s.left - jnp.where(out_left, width, 0.0)
                ),
                jnp.where(
                    refused & (point >= here), point, s.right + jnp.where(out_right, width, 0.0)
                ),
                s.left_steps - out_left.astype(jnp.int32),
                s.right_steps - out_right.astype(jnp.int32),
                jnp.where(accepted, point, s.point),
                jnp.where(accepted | (s.phase == BEGIN), found, s.value),
                s.proposals + shrinking.astype(jnp.int32),
                s.evaluations + 1,
            )

        zero = jnp.zeros((), jnp.int32)
        # The density at the start is not known yet; asked for here it is compiled once.
        phase = jnp.where(jnp.isnan(value), BEGIN, LEFT).astype(jnp.int32)
        right_steps = MOST_STEPS - 1 - left_steps
        first = Search(phase, left, left + width, left_steps, right_steps, here, value, zero, zero)
        return jax.lax.while_loop(lambda s: s.phase != DONE, move, first)

    def sweep(carry, i):
        z, value, moved = carry
        # All numbers of a sweep at once: each place that draws some takes half a second to compile.
        shape = (start.shape[0], 3 + MOST_SHRINKS)
        chances = jax.random.uniform(jax.random.fold_in(key, i), shape, dtype)
        widths = jnp.clip(3.0 * moved, LEAST_WIDTH, LARGEST_WIDTH)

        def variable(k, inner):
            z, value, distance, proposals, evaluations = inner
            j = order[k]
            s = along(chances[j], z, value, j, widths[j])
            distance = distance.at[j].set(jnp.abs(s.point - z[j]))
            z = z.at[j].set(s.point)
            return z, s.value, distance, proposals + s.proposals, evaluations + s.evaluations

        zero = jnp.zeros((), jnp.int32)
        z, value, distance, proposals, evaluations = jax.lax.fori_loop(
            0, count, variable, (z, value, moved, zero, zero)
        )
        followed = MEMORY * moved + (1.0 - MEMORY) * distance
        moved = jnp.where(i < warm_up, followed, moved)
        return (z, value, moved), (z, value, proposals, evaluations)

    begin = (start, jnp.full((), jnp.nan, dtype), jnp.ones_like(start))
    steps = jnp.arange(warm_up + samples)
    _, (positions, values, proposals, evaluations) = jax.lax.scan(sweep, begin, steps)
    tried = jnp.sum(proposals[warm_up:]).astype(dtype)
    return Chain(
        positions[warm_up:],
        values[warm_up:],
        samples * count.astype(dtype) / jnp.maximum(tried, 1.0),
        jnp.zeros((), jnp.int32),
        jnp.sum(evaluations),
    )
