"""CMA-ES: a normal distribution that learns from the ranks of a generation where to go.

N. Hansen, "The CMA Evolution Strategy: A Tutorial", arXiv:1604.00772 (2016); separable, margin,
restarts and injection as cited beside their equations. The updates equal those of the package
cmaes 0.13.1 (M. Nomura and M. Shibata, arXiv:2402.01373).

It works in the unit cube. A generation is the first `popsize` rows that were asked of its
distribution and are not lost; once all of them are final, the next `ask` moves the distribution.
Rows asked beyond them, while some are pending, are further samples of the same distribution: they
stand in for those that are lost, and otherwise change nothing. Failed rows count as worst. Rows
that the user brought do not count; rows of a generation that were not drawn (what is given, a
repeated configuration replaced) enter with their steps cut to a usual length.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bojax.history import History, Status
from bojax.pytrees import pytree
from bojax.space.table import SpaceTable
from bojax.strategies import _cmaes_restarts as restarting
from bojax.strategies import protocol
from bojax.strategies._choosing import (
    choose,
    final,
    free_columns,
    once,
    points_of,
    standing,
    values_of,
)
from bojax.strategies._cmaes_restarts import DOUBLINGS, Runs
from bojax.strategies._cmaes_update import Distribution, rates_of, updated, with_margin
from bojax.strategies.protocol import Sizes

SIGMA, MEAN = 1.0 / 6.0, 0.5  # of Optuna's CmaEsSampler
RESAMPLES = 100  # draws for one within the bounds, before it is put onto them (cmaes 0.13.1)
LEAST = 4  # of a population: two parents
RESTARTS = ("none", "ipop", "bipop")


class State(NamedTuple):
    """The space, the open generation and its distribution.

    Attributes:
        table: of the space; None where the rest goes through a loop without it.
        asked: suggestions so far.
        first: suggestion that began the open generation.
        generation, born: its number, and that of its run's first.
        popsize: lambda of the present run.
        now: the distribution.
        runs: of the restarts, None without any.
    """

    table: SpaceTable | None
    asked: Any
    first: Any
    generation: Any
    born: Any
    popsize: Any
    now: Distribution
    runs: Runs | None


class Told(NamedTuple):
    """The L rows of a generation: `rows`, `raw` `[L, D]`, `values`, `strange` `[L]`."""

    rows: Any
    raw: Any
    values: Any
    strange: Any


def default_popsize(columns, xp=math):
    """4 + floor(3 ln n), equation 48 of the tutorial.

    Example:
        >>> from bojax.strategies._cmaes import default_popsize
        >>> default_popsize(10)
        10
    """
    return 4 + xp.floor(3 * xp.log(columns))


@pytree
@dataclass(frozen=True)
class CMAES:
    """Covariance matrix adaptation; see :func:`cmaes`.

    Example:
        >>> import bojax
        >>> bojax.strategies.cmaes(popsize=12).popsize
        12
    """

    sigma0: Any = SIGMA
    mean: Any = MEAN
    popsize: int | None = field(default=None, metadata={"static": True})
    separable: bool = field(default=False, metadata={"static": True})
    restarts: str = field(default="none", metadata={"static": True})
    margin: bool = field(default=True, metadata={"static": True})

    def init(self, table: SpaceTable, sizes: Sizes) -> State:
        """State before the first suggestion."""
        protocol.refuse_several("cmaes", sizes)
        on_host = isinstance(table.used, np.ndarray)
        own = isinstance(self.sigma0, jax.Array) or any(
            isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(self.mean)
        )
        xp = np if on_host and not own else jnp  # on the host nothing is compiled
        d, dtype = table.columns, table.low.dtype
        zero = np.int32(0)
        sigma = xp.asarray(self.sigma0, dtype)
        now = Distribution(
            self._mean(table, xp), sigma, None if self.separable else np.eye(d, dtype=dtype),
            np.ones(d, dtype), np.zeros(d, dtype), np.zeros(d, dtype), np.ones(d, dtype),
        )  # fmt: skip
        runs = None
        if self.restarts != "none":
            ipop = np.asarray(self.restarts == "ipop")
            runs = Runs(zero, ipop, zero, np.zeros(2, np.int32), sigma)
        return State(table, zero, zero, zero, zero, self._popsize(table, xp), now, runs)

    def ask(self, state: State, history: History, key, q: int, given=None, wanted=None):
        """`q` samples of the distribution, after the generation that closed, if one did."""
        given = protocol.nothing_given(history, q) if given is None else given
        wanted = jnp.asarray(q if wanted is None else wanted, jnp.int32)
        table, (_, d), dtype = state.table, history.rows.shape, history.rows.dtype
        assert table is not None
        state = self._advanced(table, state, history, key)
        now, free = state.now, free_columns(table)
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(
            state.asked + jnp.arange(q, dtype=jnp.int32)
        )

        def draw(_i, _attempt, own):
            # Drawn in single precision, several times as fast; both precisions have the same.
            step = now.scales * jax.random.normal(own, (d,), jnp.float32).astype(dtype)
            step = step if now.basis is None else now.basis @ step
            return now.stretched(now.mean + now.sigma * jnp.where(free, step, 0.0))

        # With the margin a discrete column may lie beyond: its first and last cell have no end.
        bounded = free & ~table.discrete if self.margin else free
        found = choose(table, history, keys, given, wanted, draw, tries=RESAMPLES, bounded=bounded)
        slot = state.asked - state.first + jnp.arange(q, dtype=jnp.int32)
        strange = found.strayed | jnp.any(~jnp.isnan(given) & free, axis=1)
        tag = jnp.stack(
            [jnp.full(q, state.generation + 1, jnp.int32), slot,
             jnp.full(q, state.popsize, jnp.int32), strange.astype(jnp.int32)], axis=1,
        )  # fmt: skip
        info = protocol.Info(tag, now.unstretched(found.points), found.valid)
        return state._replace(asked=state.asked + wanted), found.rows, info

    def tell(self, state: State, history: History) -> State:
        """Nothing: a generation closes in :meth:`ask`."""
        return state

    # ------------------------------------------------------------------ private

    def _popsize(self, table: SpaceTable, xp):
        if self.popsize is not None:
            return np.int32(self.popsize)
        columns = xp.maximum(xp.sum(free_columns(table), dtype=xp.int32), 1)
        return default_popsize(columns.astype(table.low.dtype), xp).astype(xp.int32)

    def _mean(self, table: SpaceTable, xp):
        chosen = table.used & (table.role == 0)
        place = xp.cumsum(chosen, dtype=xp.int32) - 1
        mean = xp.asarray(self.mean, table.low.dtype)
        if mean.ndim == 0:
            return xp.broadcast_to(mean, chosen.shape).copy()
        if xp is np and mean.shape != (chosen.sum(),):
            raise ValueError(
                f"cmaes: mean must be one number or {int(chosen.sum())}, one a parameter, got "
                f"{mean.shape[0]}."
            )
        return xp.where(chosen, mean[xp.clip(place, 0, mean.shape[0] - 1)], MEAN).astype(mean.dtype)

    def _most(self, table: SpaceTable, capacity: int) -> int:
        """Rows that a generation has at most, static."""
        first = self.popsize or default_popsize(table.columns)
        return first if self.restarts == "none" else min(capacity, first * 2**DOUBLINGS)

    def _advanced(self, table: SpaceTable, state: State, history: History, key) -> State:
        """The state after the open generation, if it has closed."""
        most = self._most(table, history.capacity)
        ours = standing(history) & (history.status != Status.STALE)
        ours = ours & (history.tag[:, 0] == state.generation + 1)
        place = jnp.cumsum(ours, dtype=jnp.int32)
        waits = ours & (place <= state.popsize) & ~final(history)
        closed = (place[-1] >= state.popsize) & ~jnp.any(waits)
        lines = jnp.searchsorted(place, jnp.arange(1, most + 1, dtype=jnp.int32))
        lines = jnp.minimum(lines, history.capacity - 1)
        values = values_of(history)
        told = Told(history.rows[lines], history.raw[lines], values[lines], history.tag[lines, 3])
        past = None if self.restarts == "none" else (values, history.tag[:, 0] - 1)
        rest = jax.tree.map(jnp.asarray, state._replace(table=None))

        def moved(rest, told, past, key):
            after = self._moved(table, rest, told)
            if past is not None:
                after = self._restarted(table, after, *past, key, most)
            return after

        return once(closed, moved, rest, told, past, key)._replace(table=table)

    def _moved(self, table: SpaceTable, state: State, told: Told) -> State:
        """The state after a generation, without the table."""
        now, dtype, most = state.now, told.rows.dtype, told.values.shape[0]
        free, columns = self._free(table)
        members = jnp.arange(most, dtype=jnp.int32) < state.popsize
        values = jnp.where(members, told.values, jnp.inf)
        points, same = points_of(table, told.rows, now.stretched(told.raw))
        points = jnp.where(same[:, None], told.raw, now.unstretched(points))
        order = jnp.argsort(values, stable=True)
        rates = rates_of(state.popsize, columns, most, self.separable, dtype)
        injected = ~same | (told.strange == 1)
        seen = state.generation - state.born
        after = updated(now, rates, points[order], injected[order], free, seen)
        if self.margin:
            alpha = 1.0 / (columns * state.popsize).astype(dtype)
            after = with_margin(table, after, alpha, free)
        # Where all failed there is nothing to rank.
        some = jnp.any(jnp.isfinite(values))
        after = jax.tree.map(lambda a, b: jnp.where(some, a, b), after, now)
        return state._replace(now=after, first=state.asked, generation=state.generation + 1)

    def _restarted(
        self, table: SpaceTable, state: State, values, generations, key, most: int
    ) -> State:
        """The state, or that of the next run if this one has ended, without the table."""
        runs, last = state.runs, state.generation - 1
        assert runs is not None
        free, columns = self._free(table)
        waited, spread = restarting.recent(
            values, generations, last, state.born, state.popsize, columns
        )
        spent = state.popsize * (state.generation - state.born)
        over = restarting.ended(state.now, runs, free, last, waited, spread)
        over = over | restarting.out_of_budget(runs, spent)
        keys = jax.random.split(jax.random.fold_in(jax.random.fold_in(key, 2**30), runs.count))
        fresh = self.init(table, Sizes())
        fresh = jax.tree.map(jnp.asarray, fresh._replace(table=None))
        then, popsize = restarting.next_run(
            self.restarts, keys[0], runs, spent, fresh.popsize, fresh.now.sigma, most
        )
        mean = jax.random.uniform(keys[1], state.now.mean.shape, state.now.mean.dtype)
        now = fresh.now._replace(mean=jnp.where(free, mean, MEAN), sigma=then.sigma0)
        begun = state._replace(born=state.generation, popsize=popsize, now=now, runs=then)
        return jax.tree.map(lambda a, b: jnp.where(over, a, b).astype(b.dtype), begun, state)

    def _free(self, table: SpaceTable):
        """`[D]` bool, the columns of the distribution, and n."""
        free = free_columns(table)
        return free, jnp.maximum(jnp.sum(free, dtype=jnp.int32), 1)


def cmaes(
    *,
    sigma0: float = SIGMA,
    mean: Any = MEAN,
    popsize: int | None = None,
    separable: bool = False,
    restarts: str = "none",
    margin: bool = True,
) -> CMAES:
    """Covariance matrix adaptation evolution strategy (CMA-ES), for hundreds of evaluations.

    Ask for as many rows at a time as a generation has, or fewer: the distribution moves once all
    rows of a generation are final. With more workers than `popsize`, those beyond it draw from
    the distribution as it is and it does not learn from them; make `popsize` larger then.

    Integers, ordinals and categories are cells of the unit interval. A category's cells have the
    order of its choices: with more than two of them that order is taken to mean something, as
    by any method for numbers. What a condition switches off is drawn all the same and has no
    part in what is evaluated.

    Args:
        sigma0: first step, in units of the cube; above 0.
        mean: where it starts, in the cube: one number for all, or one for each parameter.
        popsize: rows of a generation, at least 4; None is 4 + floor(3 ln n) for n parameters.
        separable: learn the diagonal of the covariance alone: linear time and memory, and fewer
            evaluations where parameters do not interact.
        restarts: "none", "ipop" (again elsewhere, with twice the population) or "bipop" (such
            runs and small ones in turn), once a run has converged or is stuck.
        margin: keep the probability to leave a discrete parameter's cell above 1 / (n lambda),
            so that it does not freeze.

    Raises:
        ValueError: a setting out of range, naming it.

    Example:
        >>> import bojax
        >>> space = {"x": bojax.Float(-5, 5), "y": bojax.Float(-5, 5), "n": bojax.Int(1, 4)}
        >>> found = bojax.minimize(
        ...     lambda c: c["x"] ** 2 + c["y"] ** 2 + c["n"], space,
        ...     evaluations=64, batch=8, strategy=bojax.strategies.cmaes(popsize=8))
        >>> found.best().value < 1.1
        True
    """
    if isinstance(mean, (list, tuple, np.ndarray)):
        mean = tuple(float(m) for m in mean)
    for value in (mean,) if isinstance(mean, float) else mean if isinstance(mean, tuple) else ():
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"cmaes: mean must lie in the unit cube, got {value}.")
    if isinstance(sigma0, (int, float)) and not sigma0 > 0.0:
        raise ValueError(f"cmaes: sigma0 must be above 0, got {sigma0}.")
    if popsize is not None and popsize < LEAST:
        raise ValueError(f"cmaes: popsize must be at least {LEAST}, got {popsize}.")
    if restarts not in RESTARTS:
        raise ValueError(f"cmaes: restarts must be one of {', '.join(RESTARTS)}, got {restarts!r}.")
    return CMAES(sigma0, mean, popsize, separable, restarts, margin)
