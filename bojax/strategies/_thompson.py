"""Thompson batches: each row minimises a function of its own drawn from the posterior.

Kandasamy, Krishnamurthy, Schneider & Poczos (2018), "Parallelised Bayesian Optimisation via
Thompson Sampling"; functions by Matheron's rule, as in :mod:`bojax.acquisitions.thompson`. Rows
differ because their functions do, so that nothing need be believed of pending rows, and the cost
of a row does not grow with the batch.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from bojax.history import History
from bojax.strategies import protocol
from bojax.strategies._fantasies import targets_of
from bojax.strategies._pool import searched
from bojax.surrogates import Fantasies

COSINES = 1024  # behind each function


def by_thompson(strategy, state, posterior, history: History, key, given, count, pending):
    """As :func:`bojax.strategies._fantasies.by_fantasies`; `count` and `pending` play no part."""
    table, d = state.table, given.shape[1]
    lines = Fantasies(posterior, posterior.whitened[:, None])
    shift = protocol.shift_of(key, d)

    def propose(i, known, taken):
        own = jax.random.fold_in(key, state.asked + i)
        keys = jax.random.split(own, 6)
        at = jax.lax.dynamic_index_in_dim(given, i, keepdims=False)
        path = posterior.paths(keys[5], 1, count=COSINES)

        def height(candidates):  # standardised, so that a belief weighs the same in any unit
            return (posterior.shift - path.value(candidates)[0]) / posterior.scale

        seen = jnp.where(posterior.mask, height(targets_of(lines, table, at)), -jnp.inf)
        leader = posterior.features.coordinate[jnp.argmax(seen)]
        return known, searched(
            strategy, height, table, keys, leader, at, state.asked + i, shift, taken
        )

    return (), propose
