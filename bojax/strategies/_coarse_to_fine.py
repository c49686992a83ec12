"""Coarse to fine: any strategy within ranges that follow the best results, stage by stage.

What practitioners do by hand: search a wide range, look, zoom in; and where the best lies at the
edge of the range, move and widen it (V. Godbole et al., "Deep Learning Tuning Playbook", 2023).
As a rule it is the sequential domain reduction of N. Stander and K. J. Craig, Engineering
Computations 19 (2002). After each stage the range of every number, w wide around c, becomes

    c' = mean of the best results,   w' = max(lambda w, 2 max |x - c'| over the best results),

with lambda = `widen` where c' lies within a tenth of the range of one of its ends, else `shrink`;
cut at the bounds of the space. The paper goes from one to the other in proportion to |c' - c|,
which hardly narrows what random rows found, has `widen` = 1, and a factor for oscillation.

A stage ends after so many results, whoever asked for them, so the ranges follow from the history
alone; a late result counts as if it had been in time. Integers and ordinals narrow by their
cells, and keep a neighbour on either side of the middle. Categories keep all choices. A parameter
that none of the best has, and what the caller fixes, keeps its range. The strategy inside sees the
part of the space as a space of its own, with the results in it; the part is data, so that no
stage compiles anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bojax.history import History, Status
from bojax.pytrees import pytree
from bojax.space import Space
from bojax.space import table as tables
from bojax.space.edges import EDGE, WIDEN
from bojax.space.narrow import narrowed
from bojax.space.table import SpaceTable
from bojax.strategies import protocol
from bojax.strategies._cmaes import CMAES
from bojax.strategies._de import DE
from bojax.strategies._random import feasible_points
from bojax.strategies._sobol import Sobol
from bojax.strategies._turbo import Turbo
from bojax.strategies.protocol import ALTERNATIVES, Info, Proposal, Sizes

SHRINK = 0.5
STAGES = 4  # of a run whose evaluations are known
RESULTS_A_COLUMN, LEAST_RESULTS = 5, 10  # of a stage otherwise
BEST = 1
OWN_RANGES = (CMAES, DE, Turbo)  # what they asked before a stage they would take for their own
NARROWEST = 1e-3  # of the whole range: beyond, a stage's rows are hardly different experiments


class State(NamedTuple):
    """The space, suggestions asked, results a stage has, and the stage of the state inside."""

    table: SpaceTable
    asked: Any
    results: Any
    stage: Any
    inner: Any


class Ranges(NamedTuple):
    """What is searched: the number of the stage, and `[D]` middle and width of the ranges."""

    stage: Any
    middle: Any
    width: Any


@pytree
@dataclass(frozen=True)
class CoarseToFine:
    """A strategy within ranges that follow the best; see :func:`coarse_to_fine`.

    Example:
        >>> import bojax
        >>> bojax.strategies.coarse_to_fine("random").inner
        Random()
    """

    inner: Any = field(default_factory=Sobol)
    stage: Any = None
    shrink: Any = SHRINK
    widen: Any = 1.0 + WIDEN
    best: int = field(default=BEST, metadata={"static": True})

    def for_space(self, space: Space) -> CoarseToFine:
        """The same with the strategy inside told the space's names.

        Example:
            >>> import bojax
            >>> space = bojax.Space({"x": bojax.Float(0, 1)})
            >>> made = bojax.strategies.coarse_to_fine(bojax.strategies.grid(points={"x": 3}))
            >>> made.for_space(space).inner.points
            (3,)
        """
        if not hasattr(self.inner, "for_space"):
            return self
        return replace(self, inner=self.inner.for_space(space))

    def init(self, table: SpaceTable, sizes: Sizes) -> State:
        """State before the first suggestion.

        Raises:
            ValueError: a space that is a pool, which has no ranges; several objectives.
        """
        protocol.refuse_several("coarse_to_fine", sizes)
        if table.pool is not None:
            raise ValueError(
                "coarse_to_fine: a pool of configurations has no ranges to narrow; search it with "
                "another strategy."
            )
        results = self.stage
        if results is None:
            results = stage_size(table, sizes.evaluations)
        elif not isinstance(results, jax.Array):
            results = np.int32(results)
        inner = self.inner.init(table, Sizes())._replace(table=None)
        return State(table, np.int32(0), results, np.int32(0), inner)

    def ask(self, state: State, history: History, key, q: int, given=None, wanted=None):
        """`q` rows of the strategy inside, within the ranges of the stage."""
        given = protocol.nothing_given(history, q) if given is None else given
        wanted = jnp.asarray(q if wanted is None else wanted, jnp.int32)
        table = state.table
        told = protocol.told_at_one_budget(table, history, state.results)
        told = told & tables.feasible(table, history.rows)
        number = jnp.cumsum(told.astype(jnp.int32), dtype=jnp.int32) - 1
        ranges = self.ranges(table, history, told, number, state.results)
        low, high = ends(table, ranges)
        fixed = jnp.any(~jnp.isnan(given), axis=0)
        low, high = jnp.where(fixed, 0.0, low), jnp.where(fixed, 1.0, high)
        home = history.rows[jnp.argmin(jnp.where(told, history.values[:, 0], jnp.inf))]
        part = narrowed(table, low, high, home)

        rows, inside = part.of(history.rows)
        before = told & (number < ranges.stage * state.results)
        within = history._replace(
            trial=jnp.where(inside, history.trial, -1),
            rows=rows,
            status=jnp.where(inside, history.status, Status.EMPTY),
            tag=jnp.where(before[:, None], 0, history.tag),  # of another stage: foreign to it
        )
        fresh = self.inner.init(part.table, Sizes())._replace(table=None)
        same = ranges.stage == state.stage
        inner = jax.tree.map(lambda old, new: jnp.where(same, old, new), state.inner, fresh)
        own = jax.random.fold_in(key, 2**29 + ranges.stage)
        at = part.into(given)
        inner, rows, info = self.inner.ask(
            inner._replace(table=part.table), within, own, q, at, wanted
        )
        rows, info = filled(part.table, within, own, at, wanted, state.asked, rows, info)
        rows = tables.with_given(table, part.out(rows), given)
        state = state._replace(
            asked=state.asked + wanted, stage=ranges.stage, inner=inner._replace(table=None)
        )
        return state, rows, info

    def tell(self, state: State, history: History) -> State:
        """Nothing: the history holds it all."""
        return state

    def ranges(self, table: SpaceTable, history: History, told, number, results) -> Ranges:
        """The ranges after what was told, stage by stage.

        Args:
            told: `[N]` bool, lines that count.
            number: `[N]` int32, which of these a line is.
            results: of a stage.
        """
        d, dtype = history.rows.shape[1], history.rows.dtype
        stage = jnp.sum(told, dtype=jnp.int32) // results
        size = min(self.best, history.capacity)
        shrink, widen = (jnp.asarray(x, dtype) for x in (self.shrink, self.widen))

        def after(i, carry):
            middle, width = carry
            known = told & (number < (i + 1) * results)
            height, lines = jax.lax.top_k(jnp.where(known, -history.values[:, 0], -jnp.inf), size)
            rows = history.rows[lines]
            there = tables.active(table, rows) & (height > -jnp.inf)[:, None]
            count = jnp.sum(there, axis=0, dtype=jnp.int32)
            mean = jnp.sum(jnp.where(there, rows, 0.0), axis=0)
            mean = mean / jnp.maximum(count, 1).astype(dtype)
            spread = jnp.max(jnp.where(there, jnp.abs(rows - mean), 0.0), axis=0)
            edge = jnp.abs(mean - middle) >= (0.5 - EDGE) * width
            wanted = jnp.maximum(jnp.where(edge, widen, shrink) * width, 2.0 * spread)
            wanted = jnp.clip(wanted, NARROWEST, 1.0)
            some = count > 0
            return jnp.where(some, mean, middle), jnp.where(some, wanted, width)

        start = jnp.full(d, 0.5, dtype), jnp.ones(d, dtype)
        return Ranges(stage, *jax.lax.fori_loop(0, stage, after, start))


def coarse_to_fine(
    inner: Any = "sobol",
    *,
    stage: int | None = None,
    shrink: float = SHRINK,
    widen: float = 1.0 + WIDEN,
    best: int = BEST,
) -> CoarseToFine:
    """Any strategy within ranges that shrink around the best results, and widen at their edges.

    Args:
        inner: the strategy, or its name; not one that moves a distribution, a population or a
            region by itself ("cmaes", "de", "turbo").
            Where it has no more rows (a grid), a stage goes on with random ones.
        stage: results after which the ranges move, at least 1. None is a quarter of the
            evaluations where the run says how many it makes, else five for each parameter and
            at least ten.
        shrink: what is left of a range's width where the best is not at its edge, in (0, 1).
        widen: the same where it is, at least `shrink`; 1 only moves the range, and 1.5 adds half
            of it, as :meth:`bojax.Space.check` suggests.
        best: results whose mean is the middle and whose spread a range keeps; more than one
            where values are noisy or there are several optima.

    Raises:
        ValueError: a setting out of range, or a strategy that cannot be inside, naming it.

    Example:
        >>> import bojax
        >>> strategy = bojax.strategies.coarse_to_fine(bojax.strategies.grid(points=5), stage=5)
        >>> optimizer = bojax.Optimizer({"x": bojax.Float(0, 8)}, strategy=strategy)
        >>> for _ in range(7):
        ...     trial = optimizer.ask()
        ...     optimizer.tell(trial, abs(trial.config["x"] - 2.9))
        >>> [t.config["x"] for t in optimizer.trials]
        [4.0, 0.0, 6.0, 2.0, 8.0, 3.0, 1.0]
    """
    from bojax.strategies import by_name  # which knows this function, too

    inner = by_name(inner)
    if isinstance(inner, OWN_RANGES):
        raise ValueError(
            "coarse_to_fine: inner must not move ranges of its own, got "
            f"{type(inner).__name__}; use it by itself."
        )
    for name, value in (("stage", 1 if stage is None else stage), ("best", best)):
        if value < 1:
            raise ValueError(f"coarse_to_fine: {name} must be at least 1, got {value}.")
    if not 0.0 < shrink < 1.0:
        raise ValueError(f"coarse_to_fine: shrink must be above 0 and below 1, got {shrink}.")
    if not widen >= shrink:
        raise ValueError(f"coarse_to_fine: widen must be at least shrink, {shrink}, got {widen}.")
    return CoarseToFine(inner, stage, shrink, widen, best)


def stage_size(table: SpaceTable, evaluations: int | None):
    """Results of a stage, int32: see `stage` of :func:`coarse_to_fine`."""
    xp = np if isinstance(table.used, np.ndarray) else jnp  # on the host nothing is compiled
    if evaluations is not None:
        return np.int32(max(evaluations // STAGES, 1))
    free = xp.sum(table.used & (table.role == tables.PARAMETER), dtype=xp.int32)
    return xp.maximum(RESULTS_A_COLUMN * free, LEAST_RESULTS).astype(xp.int32)


def ends(table: SpaceTable, ranges: Ranges):
    """`[D]` where ranges begin and end, within the unit cube."""
    low = jnp.clip(ranges.middle - 0.5 * ranges.width, 0.0, 1.0)
    high = jnp.clip(ranges.middle + 0.5 * ranges.width, 0.0, 1.0)
    # A cell on either side of the middle's, or its edge could not be seen.
    first, last = tables.cell_edges(table, tables.snap(table, ranges.middle))
    cells = (table.kind == tables.INTEGER) | (table.kind == tables.ORDINAL)
    low = jnp.where(cells, jnp.minimum(low, jnp.maximum(first - 1e-6, 0.0)), low)
    high = jnp.where(cells, jnp.maximum(high, jnp.minimum(last + 1e-6, 1.0)), high)
    return low, high


def filled(table: SpaceTable, history: History, key, given, wanted, asked, rows, info: Info):
    """The rows of a batch, random ones where there was none: `(rows, info)`."""
    d = rows.shape[1]

    def one(i, known, taken):
        own = jax.random.fold_in(jax.random.fold_in(key, 2**28), asked + i)
        unit = jax.random.uniform(own, (ALTERNATIVES, d), rows.dtype)
        unit = feasible_points(table, own, unit, given[i])
        spare = protocol.first_free(table, unit, given[i], taken)
        had = Proposal(rows[i], info.raw[i], info.valid[i], info.tag[i])
        spare = spare._replace(tag=jnp.zeros_like(info.tag[i]))
        return known, jax.tree.map(lambda a, b: jnp.where(had.valid, a, b), had, spare)

    _, rows, info = protocol.one_by_one(history, rows.shape[0], wanted, (), one)
    return rows, info
