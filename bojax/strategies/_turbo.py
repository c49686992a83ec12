"""TuRBO: trust regions, each with a Gaussian process of its own, sampled by Thompson.

Eriksson, Pearce, Gardner, Turner & Poloczek (2019), "Scalable Global Optimization via Local
Bayesian Optimization". A region is a box around its best row, its sides shared out by the fitted
length scales. It doubles after three successes in a row, halves after as many failures as there
are columns, and starts again elsewhere once it is smaller than 2^-7. With several regions the
rows of a batch go where the functions drawn from them are least.

Where the paper counts as it goes, here a region is what the history says it is: every trial
carries its region, generation and batch as its tag, and :func:`progress` reads them in the order
they were asked. Nothing else need be saved, and results may arrive in any order.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bojax.history import History, Status
from bojax.kernels import Scaled
from bojax.optimize import sobol as sobol_points
from bojax.optimize import uniforms
from bojax.optimize.batching import over_batch
from bojax.optimize.walk import made_feasible
from bojax.pytrees import pytree
from bojax.space import table as tables
from bojax.space.table import SpaceTable
from bojax.strategies import protocol
from bojax.strategies._gp import WARPS, observations
from bojax.strategies._sobol import feasible_points
from bojax.strategies.protocol import Sizes
from bojax.surrogates import GP
from bojax.surrogates import gp as surrogate_of

# Of the paper and its code, in units of the cube and in batches.
LENGTH, LONGEST, SHORTEST = 0.8, 1.6, 2.0**-7
SUCCESSES = 3
LEAST_FAILURES = 4  # trials without success, or as many as there are columns
BETTER = 1e-3  # of the size of the best value
MOVED = 20  # columns moved in a candidate, on average
CANDIDATES_A_COLUMN, MOST_CANDIDATES = 100, 5000
COSINES = 1024  # behind each function drawn
DRAWN = ("rbf", "matern12", "matern32", "matern52")


class State(NamedTuple):
    """The space, suggestions and batches asked so far, and points in each region's design."""

    table: SpaceTable
    initial: Any
    asked: Any
    batch: Any


class Regions(NamedTuple):
    """What the history says of the regions, each `[R]`.

    Attributes:
        generation: how often it started again.
        length: of its side, in the cube's unit.
        best: the best value told in this generation, inf before one.
        successes, failures: batches in a row that were better, trials since one was.
        asked: trials of this generation, told or not.
    """

    generation: Any
    length: Any
    best: Any
    successes: Any
    failures: Any
    asked: Any


class _Open(NamedTuple):
    """The batch of a region that is being read, each `[R]`."""

    number: Any
    best: Any
    count: Any
    waits: Any


def progress(history: History, regions: int, patience) -> Regions:
    """The regions after what was told, read in the order it was asked.

    Args:
        history: lines tagged `(region + 1, generation, batch, 1 in a design)`; those without a
            tag belong to the first region's first generation, as a design.
        regions: static, R.
        patience: trials without success after which a region halves.
    """
    order = jnp.argsort(jnp.where(history.status == Status.EMPTY, 2**30, history.trial))
    dtype = history.values.dtype
    zeros = jnp.zeros(regions, jnp.int32)
    infinite = jnp.full(regions, jnp.inf, dtype)
    fresh = Regions(zeros, jnp.full(regions, LENGTH, dtype), infinite, zeros, zeros, zeros)
    nothing = _Open(zeros - 1, infinite, zeros, zeros > 0)

    def closed(now: Regions, batch: _Open, where) -> Regions:
        """After the batch: it counts once everything of it was told."""
        where = where & (batch.count > 0) & ~batch.waits
        better = batch.best < now.best - BETTER * jnp.abs(now.best)
        better = better | (jnp.isinf(now.best) & jnp.isfinite(batch.best))
        successes = jnp.where(better, now.successes + 1, 0)
        failures = jnp.where(better, 0, now.failures + batch.count)
        grows, shrinks = successes >= SUCCESSES, failures >= patience
        length = jnp.where(grows, jnp.minimum(2.0 * now.length, LONGEST), now.length)
        length = jnp.where(shrinks, 0.5 * length, length)
        after = now._replace(
            length=length,
            best=jnp.minimum(now.best, batch.best),
            successes=jnp.where(grows, 0, successes),
            failures=jnp.where(shrinks, 0, failures),
        )
        return jax.tree.map(lambda a, b: jnp.where(where, a, b), after, now)

    def again(now: Regions, where) -> Regions:
        """Regions begun anew."""
        empty = fresh._replace(generation=now.generation + 1)
        return jax.tree.map(lambda a, b: jnp.where(where, a, b), empty, now)

    def read(carry, line):
        now, batch = carry
        tag, status, value = history.tag[line], history.status[line], history.values[line, 0]
        here = jnp.arange(regions, dtype=jnp.int32) == jnp.maximum(tag[0] - 1, 0)
        here = here & (status != Status.EMPTY)
        # A region that collapsed since is read to its end before the next generation's first.
        later = here & (tag[1] > now.generation)
        now = again(closed(now, batch, later), later)
        here = here & (tag[1] == now.generation)
        waits = status == Status.PENDING
        value = jnp.where(protocol.told_lines(history, jnp)[line], value, jnp.inf)
        now = now._replace(asked=now.asked + here.astype(jnp.int32))
        design = (tag[0] == 0) | (tag[3] == 1)
        best = jnp.where(here & design, jnp.minimum(now.best, value), now.best)
        now = now._replace(best=best.astype(dtype))
        here = here & ~design
        new = here & (tag[2] != batch.number)
        now = closed(now, batch, new)
        batch = _Open(
            jnp.where(here, tag[2], batch.number),
            jnp.where(here, jnp.minimum(jnp.where(new, jnp.inf, batch.best), value), batch.best),
            jnp.where(here, jnp.where(new, 0, batch.count) + 1, batch.count),
            jnp.where(here, (batch.waits & ~new) | waits, batch.waits),
        )
        return (now, batch), None

    (now, batch), _ = jax.lax.scan(read, (fresh, nothing), order)
    now = closed(now, batch, jnp.ones(regions, bool))
    return again(now, now.length < SHORTEST)


@pytree
@dataclass(frozen=True)
class Turbo:
    """Trust-region Bayesian optimisation; see :func:`turbo`.

    Example:
        >>> import bojax
        >>> bojax.strategies.turbo(regions=3).regions
        3
    """

    initial: Any = None
    surrogate: GP = field(default_factory=GP)
    regions: int = field(default=1, metadata={"static": True})
    candidates: int | None = field(default=None, metadata={"static": True})
    warp: str = field(default="none", metadata={"static": True})

    def init(self, table: SpaceTable, sizes: Sizes) -> State:
        """State before the first suggestion."""
        protocol.refuse_several("turbo", sizes)
        initial = protocol.initial_of(self.initial, table, sizes)
        return State(table, initial, np.int32(0), np.int32(0))

    def tell(self, state: State, history: History) -> State:
        """Nothing: the history holds it all."""
        return state

    def ask(self, state: State, history: History, key, q: int, given=None, wanted=None):
        """`q` rows, each of a region's design or of the least function drawn."""
        given = protocol.nothing_given(history, q) if given is None else given
        wanted = jnp.asarray(q if wanted is None else wanted, jnp.int32)
        table, (_, d), dtype = state.table, history.rows.shape, history.rows.dtype
        columns = jnp.sum(table.used & (table.role == tables.PARAMETER), dtype=jnp.int32)
        regions = progress(history, self.regions, jnp.maximum(LEAST_FAILURES, columns))
        owner = jnp.maximum(history.tag[:, 0] - 1, 0)
        data = observations(history, table, WARPS[self.warp])
        numbers = jnp.arange(self.regions, dtype=jnp.int32)

        def fit(region):
            mine = (owner == region) & (history.tag[:, 1] == regions.generation[region])
            own = jax.random.fold_in(jax.random.fold_in(key, 2**30), region)
            lines = data.mask & mine
            known = jnp.sum(lines, dtype=jnp.int32)
            return self.surrogate.fit_pure(own, replace(data, mask=lines))[0], known

        posteriors, known = over_batch(fit)(numbers)
        means = over_batch(lambda p: p.mean_and_variance(history.rows)[0])(posteriors)
        centres = history.rows[jnp.argmin(jnp.where(posteriors.mask, means, jnp.inf), axis=1)]
        shift = protocol.shift_of(key, d)
        count = self.candidates or min(CANDIDATES_A_COLUMN * d, MOST_CANDIDATES)

        def from_design(i, own, at, taken):
            first = sobol_points(state.asked + i, 1, d, shift).astype(dtype)
            spare = jax.random.uniform(own, (protocol.ALTERNATIVES - 1, d), dtype)
            unit = feasible_points(table, own, jnp.concatenate([first, spare]), at)
            return protocol.first_free(table, unit, at, taken)

        def from_regions(own, at, taken):
            def one(region, posterior):
                keys = jax.random.split(jax.random.fold_in(own, region))
                rows = box(
                    keys[0], table, posterior, centres[region], regions.length[region], at, count
                )
                values = posterior.paths(keys[1], 1, count=COSINES).value(rows)[0]
                # Two values make a model.
                return rows, jnp.where(known[region] >= 2, values, jnp.inf)

            rows, values = over_batch(one)(numbers, posteriors)
            rows = rows.reshape(-1, d)
            values = jnp.where(protocol.free_of(table, rows, taken), values.reshape(-1), jnp.inf)
            best = jnp.argmin(values)
            found = protocol.Proposal(rows[best], rows[best], jnp.isfinite(values[best]))
            return found, (best // count).astype(jnp.int32)

        def propose(i, asked, taken):
            own = jax.random.fold_in(key, state.asked + i)
            at = jax.lax.dynamic_index_in_dim(given, i, keepdims=False)
            designs = jnp.any(asked < state.initial) | jnp.all(known < 2)
            found, region = jax.lax.cond(
                designs,
                lambda: (from_design(i, own, at, taken), jnp.argmin(asked).astype(jnp.int32)),
                lambda: from_regions(own, at, taken),
            )
            tag = jnp.stack([
                region + 1, regions.generation[region], state.batch, designs.astype(jnp.int32)
            ])  # fmt: skip
            return asked.at[region].add(1), found._replace(tag=tag)

        _, rows, info = protocol.one_by_one(history, q, wanted, regions.asked, propose)
        return state._replace(asked=state.asked + wanted, batch=state.batch + 1), rows, info


def turbo(
    *,
    regions: int = 1,
    initial: int | None = None,
    kernel: str = "matern52",
    recipe: str = "bojax",
    conditional: bool = False,
    warp: str = "none",
    candidates: int | None = None,
) -> Turbo:
    """Trust-region Bayesian optimisation (TuRBO), for many parameters and many evaluations.

    A global model has little to say of a large cube; a region follows what it finds, and starts
    again elsewhere once it finds no more. Batches are Thompson's.

    Args:
        regions: how many trust regions share the evaluations, each with a model of its own.
        initial: points of a region's design, before its model and after each new start. None as
            for :func:`bojax.strategies.gp`; the paper takes twice the number of parameters.
        kernel: "rbf", "matern12", "matern32" or "matern52": functions are drawn from it.
        recipe, conditional: of the surrogate, see :func:`bojax.surrogates.gp`.
        warp: of the values, "none" or "half_rank" (see :func:`bojax.strategies.gp`).
        candidates: points of a box that a drawn function is compared at; None is 100 a column, at
            most 5,000.

    Raises:
        ValueError: a setting out of range, naming it.

    Example:
        >>> import bojax
        >>> space = {f"x{i}": bojax.Float(-5, 5) for i in range(4)}
        >>> optimizer = bojax.Optimizer(
        ...     space, strategy=bojax.strategies.turbo(initial=4, candidates=64))
        >>> for _ in range(2):
        ...     for trial in optimizer.ask(4):
        ...         optimizer.tell(trial, sum(x**2 for x in trial.config.values()))
        >>> len(optimizer.trials)
        8
    """
    if kernel not in DRAWN:
        raise ValueError(f"turbo: kernel must be one of {', '.join(DRAWN)}, got {kernel!r}.")
    if warp not in WARPS:
        raise ValueError(f"turbo: warp must be one of {', '.join(WARPS)}, got {warp!r}.")
    for name, value, least in (
        ("regions", regions, 1),
        ("initial", 2 if initial is None else initial, 2),
        ("candidates", 1 if candidates is None else candidates, 1),
    ):
        if value < least:
            raise ValueError(f"turbo: {name} must be at least {least}, got {value}.")
    surrogate = surrogate_of(kernel=kernel, recipe=recipe, conditional=conditional)
    return Turbo(initial, surrogate, regions, candidates, warp)


def box(key, table: SpaceTable, posterior, centre, length, given, count: int):
    """Candidates of a region, `[count, D]` canonical: its centre moved in some of the columns.

    Sides are `length` times the length scales over their geometric mean, cut at the cube; each
    column moves with probability min(1, 20 / columns), and one of them always does.
    """
    (d,), dtype = centre.shape, centre.dtype
    keys = jax.random.split(key, 3)
    moving = table.used & (table.role == tables.PARAMETER)
    scales = jnp.log(jnp.where(moving, _length_scales(posterior.kernel), 1.0))
    columns = jnp.maximum(jnp.sum(moving, dtype=jnp.int32), 1).astype(dtype)
    side = length * jnp.exp(scales - jnp.sum(scales) / columns)
    low = jnp.clip(centre - 0.5 * side, 0.0, 1.0)
    high = jnp.clip(centre + 0.5 * side, 0.0, 1.0)
    points = sobol_points(0, count, d, jax.random.bits(keys[0], (d,), jnp.uint32)).astype(dtype)
    fresh = tables.from_unit(table, points)
    inside = low + (high - low) * points
    draws = uniforms(keys[1], (count, d), dtype)
    least = jnp.min(jnp.where(moving, draws, 2.0), axis=1, keepdims=True)
    moves = (draws < jnp.minimum(1.0, MOVED / columns)) | (draws == least)
    rows = jnp.where(table.kind == tables.CATEGORY, fresh, inside)
    rows = tables.with_given(table, jnp.where(moves & moving, rows, centre), given)
    return made_feasible(table, keys[2], rows, given, tables.with_given(table, centre, given))


def _length_scales(kernel):
    while isinstance(kernel, Scaled):
        kernel = kernel.kernel
    return kernel.length_scale.value
