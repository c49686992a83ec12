"""Greedy batches: each row maximises log EI averaged over fantasies of the rows before it.

Snoek, Larochelle & Adams (2012), "Practical Bayesian Optimization of Machine Learning
Algorithms", section 3.2, with the logarithm of Ament et al. (2023). With the factors cached, a
further pending point is one new column, O(n^2).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from bojax.acquisitions import LogEI
from bojax.history import History, Status
from bojax.space import table as tables
from bojax.space.table import SpaceTable
from bojax.strategies import protocol
from bojax.strategies._pool import best_row, local_candidates, wide_candidates
from bojax.surrogates import Fantasies


def by_fantasies(strategy, state, posterior, history: History, key, given, count, pending):
    """What :func:`bojax.strategies.protocol.one_by_one` needs: `(known, propose)`.

    Args:
        strategy: a `GPStrategy`.
        given: `[q, D]`, NaN where free.
        count: static, fantasies S.
        pending: static; False promises that no line of the history is pending.
    """
    table, (q, d), dtype = state.table, given.shape, history.rows.dtype
    n = history.capacity
    if pending:
        believed = believed_of(posterior, history, key, count)
    else:
        believed = _columns(posterior, count)
    start = believed.posterior.with_room(believed.whitened, q)
    score = LogEI()
    shift = protocol.shift_of(key, d)
    lines, size = n + q, strategy.candidates + strategy.local
    # What all rows of a batch can share: the observed rows at the budget asked for, and the
    # wide candidates; each further point moves their predictions by one new column.
    alike = jnp.all((given == given[:1]) | (jnp.isnan(given) & jnp.isnan(given[:1])))
    start = start.watching(lines + strategy.candidates)

    def propose(i, known, taken):
        fantasy, wide = known
        own = jax.random.fold_in(key, state.asked + i)
        keys = jax.random.split(own, 5)
        at = jax.lax.dynamic_index_in_dim(given, i, keepdims=False)

        def fresh(fantasy, _):
            wide = wide_candidates(keys, table, at, state.asked, shift, strategy.candidates, size)
            targets = targets_of(fantasy, table, at)
            return fantasy.watch(jnp.concatenate([targets, wide])), wide

        fantasy, wide = jax.lax.cond((i == 0) | ~alike, fresh, lambda *kept: kept, fantasy, wide)
        means, variances = fantasy.seen()
        present = fantasy.posterior.mask
        incumbents = jnp.min(jnp.where(present[:, None], means[:lines], jnp.inf), axis=0)
        average = jnp.where(present, jnp.mean(means[:lines], axis=1), jnp.inf)
        leader = fantasy.posterior.features.coordinate[jnp.argmin(average)]

        def height(candidates):
            return score((fantasy,), candidates[:, None, :], incumbents)

        near = local_candidates(keys, table, leader, at, state.asked, strategy.local, size)
        near_means, near_variances = fantasy.mean_and_variance(near)
        heights = score.of_moments(
            jnp.concatenate([means[lines:], near_means]),
            jnp.concatenate([variances[lines:], near_variances]),
            incumbents,
        )
        pool = jnp.concatenate([wide, near])
        found = best_row(height, table, keys[4], pool, at, taken, strategy.lanes, heights)
        fantasy = jax.lax.cond(
            i + 1 < q,  # nobody looks at the last one's factors
            lambda f: f.append(n + i, found.row, _draws(own, count, dtype)),
            lambda f: f,
            fantasy,
        )
        return (fantasy, wide), protocol.Proposal(found.row, found.raw, found.valid)

    return (start, jnp.zeros((strategy.candidates, d), dtype)), propose


def targets_of(fantasy: Fantasies, table: SpaceTable, given):
    """Training rows as they would be at the budget and context asked for, `[T, D]`.

    They are canonical but for columns that another context switches off, which features park.
    """
    rows = fantasy.posterior.features.coordinate
    fixed = jnp.where(table.role == tables.PARAMETER, jnp.nan, given)
    if table.pool is not None:  # a member in another context is another member
        members = tables.with_given(table, rows, fixed)
        return jnp.where(table.role == tables.PARAMETER, rows, members)
    largest = jnp.where(table.role == tables.FIDELITY, 1.0, rows)
    return jnp.where(jnp.isnan(fixed), largest, fixed)


def believed_of(posterior, history: History, key, count: int) -> Fantasies:
    """The posterior with `count` fantasies of what is pending, or its mean if `count` is 1."""
    return _with_pending(_columns(posterior, count), history, key)


def _columns(posterior, count: int) -> Fantasies:
    whitened = posterior.whitened[:, None]
    return Fantasies(posterior, jnp.broadcast_to(whitened, (whitened.shape[0], count)))


def _draws(key, fantasies: int, dtype):
    """Whitened outcomes of one pending point; one alone is the mean, 0."""
    if fantasies == 1:
        return jnp.zeros(1, dtype)
    return jax.random.normal(key, (fantasies,), dtype)


def _with_pending(fantasies: Fantasies, history: History, key) -> Fantasies:
    """Pending lines enter as fantasies, each one new column, in place of its masked line.

    A masked line's row and column are the identity's, so it can be taken over where it
    stands: U stays a factor of K^-1, in the order in which the lines were entered.
    """
    pending = history.status == Status.PENDING
    order = jnp.argsort(~pending, stable=True)
    own = jax.random.fold_in(key, 2**29)

    def enter(i, fantasy):
        line = order[i]
        drawn = jax.random.fold_in(own, history.trial[line])
        _, count = fantasy.whitened.shape
        draw = _draws(drawn, count, history.rows.dtype)
        return fantasy.append(line, history.rows[line], draw)

    return jax.lax.fori_loop(0, jnp.sum(pending, dtype=jnp.int32), enter, fantasies)
