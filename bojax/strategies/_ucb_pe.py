"""Batches by an upper confidence bound, then pure exploration where the optimum may lie.

Contal, Buffoni, Robicquet & Vayatis (2013), "Parallel Gaussian Process Optimization with Upper
Confidence Bound and Pure Exploration", here for a minimum. The first row has the least lower
bound; each other row is where the deviation, given the rows before it, is greatest within the
relevant region: where the lower bound is below the least upper bound. A deviation depends on
where rows are and not on what they will give, so that nothing is fantasised.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from bojax.acquisitions.confidence import BETA
from bojax.history import History, Status
from bojax.strategies import protocol
from bojax.strategies._fantasies import believed_of, targets_of
from bojax.strategies._pool import searched
from bojax.surrogates import Fantasies

WIDTH = float(np.sqrt(BETA))  # deviations on either side, OSS Vizier's 1.8
PENALTY = 10.0  # of a deviation, per deviation outside the relevant region: OSS Vizier's


def by_ucb_pe(strategy, state, posterior, history: History, key, given, count, pending):
    """As :func:`bojax.strategies._fantasies.by_fantasies`; `count` plays no part."""
    table, (q, d) = state.table, given.shape
    n, dtype = history.capacity, history.rows.dtype
    told = Fantasies(posterior, posterior.whitened[:, None])
    believed = believed_of(posterior, history, key, 1) if pending else told
    start = believed.posterior.with_room(believed.whitened, q)
    waiting = jnp.any(history.status == Status.PENDING)
    shift = protocol.shift_of(key, d)

    def propose(i, fantasy, taken):
        own = jax.random.fold_in(key, state.asked + i)
        keys = jax.random.split(own, 5)
        at = jax.lax.dynamic_index_in_dim(given, i, keepdims=False)
        means, variances = told.mean_and_variance(targets_of(told, table, at))
        upper = means[:, 0] + WIDTH * jnp.sqrt(variances)
        least_upper = jnp.min(jnp.where(posterior.mask, upper, jnp.inf))
        leader = posterior.features.coordinate[
            jnp.argmin(jnp.where(posterior.mask, means[:, 0], jnp.inf))
        ]

        def height(candidates):
            mean, variance = told.mean_and_variance(candidates)
            lower = mean[:, 0] - WIDTH * jnp.sqrt(variance)
            deviation = jnp.sqrt(fantasy.mean_and_variance(candidates)[1])
            outside = jnp.maximum(lower - least_upper, 0.0)
            explore = (i > 0) | waiting
            return jnp.where(explore, deviation - PENALTY * outside, -lower)

        found = searched(strategy, height, table, keys, leader, at, state.asked + i, shift, taken)
        fantasy = fantasy.append(n + i, found.row, jnp.zeros(1, dtype))
        return fantasy, found

    return start, propose
