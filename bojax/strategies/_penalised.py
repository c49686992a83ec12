"""Greedy batches by local penalisation: the rows before a row push it out of their surroundings.

González, Dai, Hennig & Lawrence (2016), "Batch Bayesian Optimization via Local Penalization". If
the objective's slope is nowhere above L, the optimum M is no nearer to a row x_j than
r_j = (f(x_j) - M) / L, and expected improvement at x counts with the chance that x lies outside

    alpha(x) = EI(x) prod_j Phi((L |x - x_j| - (mean(x_j) - M)) / sd(x_j)).

Nothing is fitted, drawn or factored for a pending row: a row costs one more factor of a product.
L is the steepest slope of the posterior mean among the candidates, M the incumbent.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from bojax.acquisitions import LogEI
from bojax.history import History, Status
from bojax.space import table as tables
from bojax.strategies import protocol
from bojax.strategies._fantasies import targets_of
from bojax.strategies._pool import searched, wide_candidates
from bojax.surrogates import Fantasies

FLATTEST = 1e-6  # of standardised values per unit of the cube: below it a slope says nothing
NUDGE = 1e-12  # keeps the distance differentiable where two rows meet


def by_penalties(strategy, state, posterior, history: History, key, given, count, pending):
    """As :func:`bojax.strategies._fantasies.by_fantasies`; `count` and `pending` play no part."""
    table, d = state.table, given.shape[1]
    lines = Fantasies(posterior, posterior.whitened[:, None])
    shift = protocol.shift_of(key, d)
    score = LogEI()
    category = table.kind == tables.CATEGORY

    def steepest(at, keys):
        rows = wide_candidates(keys, table, at, state.asked, shift, strategy.candidates, 0)
        slopes = jax.vmap(jax.grad(lambda row: lines.mean_and_variance(row[None])[0][0, 0]))(rows)
        slopes = jnp.where(category | ~table.used, 0.0, slopes)
        return jnp.maximum(jnp.max(jnp.sqrt(jnp.sum(slopes**2, axis=1))), FLATTEST)

    def propose(i, known, taken):
        own = jax.random.fold_in(key, state.asked + i)
        keys = jax.random.split(own, 5)
        at = jax.lax.dynamic_index_in_dim(given, i, keepdims=False)
        means = lines.mean_and_variance(targets_of(lines, table, at))[0][:, 0]
        means = jnp.where(posterior.mask, means, jnp.inf)
        incumbent = jnp.min(means)
        leader = posterior.features.coordinate[jnp.argmin(means)]
        slope = steepest(at, keys)
        # Everything taken and not told is pending, of this batch or of one before.
        n = history.capacity
        waiting = jnp.concatenate(
            [history.status == Status.PENDING, jnp.ones(taken.mask.shape[0] - n, bool)]
        )
        waiting = waiting & taken.mask
        there, spread = lines.mean_and_variance(taken.rows)
        reach, deviation = there[:, 0] - incumbent, jnp.sqrt(spread)

        def height(candidates):
            gap = candidates[:, None, :] - taken.rows
            gap = jnp.where(category, (gap != 0.0).astype(gap.dtype), gap)
            squares = jnp.sum(jnp.where(table.used, gap**2, 0.0), axis=-1)
            apart = slope * jnp.sqrt(squares + NUDGE)
            outside = jax.scipy.stats.norm.logcdf((apart - reach) / deviation)
            improvement = score((lines,), candidates[:, None, :], incumbent[None])
            return improvement + jnp.sum(jnp.where(waiting, outside, 0.0), axis=-1)

        return known, searched(
            strategy, height, table, keys, leader, at, state.asked + i, shift, taken
        )

    return (), propose
