"""NSGA-II: a genetic algorithm that keeps a whole front of trade-offs.

K. Deb, A. Pratap, S. Agarwal and T. Meyarivan, "A fast and elitist multiobjective genetic
algorithm: NSGA-II", IEEE Transactions on Evolutionary Computation 6, 2002. Parents of the next
generation are the best of the last parents and their children, by front and crowding; two are
picked by binary tournaments. Defaults of crossover and mutation are those of Optuna 5's
NSGAIISampler, which suit spaces of any kind; the paper's own are options.

A generation closes when its own rows are all final. What the user brought is in none, as the
method has no place for it. Rows asked beyond its size, while it waits, are children of its parents
like the others, and count with the next generation if they come late.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bojax.history import History, Status
from bojax.optimize.walk import to_unit
from bojax.pytrees import pytree
from bojax.space import table as tables
from bojax.space.table import SpaceTable
from bojax.strategies import _variation, protocol
from bojax.strategies._choosing import choose, final, free_columns, once, standing
from bojax.strategies._fronts import best_first, violation_of
from bojax.strategies.protocol import Q_CLASSES, Sizes

POPULATION, CROSSOVER, SWAP = 50, 0.9, 0.5  # of Optuna 5.0.0; crossover is the paper's, too
ETA = 20.0  # of the paper's experiments, for crossover and mutation
LEAST = 4  # of a population
CROSSOVERS, MUTATIONS = ("uniform", "sbx"), ("resample", "polynomial")


class State(NamedTuple):
    """The space and the open generation.

    Attributes:
        asked: suggestions so far.
        first: suggestion that began the open generation.
        generation: its number.
        parents: `[P]` trials, the best first, -1 where there are fewer.
    """

    table: SpaceTable
    asked: Any
    first: Any
    generation: Any
    parents: Any


class Parents(NamedTuple):
    """Of the open generation, the best first.

    Attributes:
        points: `[P, D]` of the cube.
        shown: `[P, D]` bool, columns that exist.
        count: how many there are.
    """

    points: Any
    shown: Any
    count: Any


@pytree
@dataclass(frozen=True)
class NSGA2:
    """Nondominated sorting genetic algorithm; see :func:`nsga2`.

    Example:
        >>> import bojax
        >>> bojax.strategies.nsga2(population=20).population
        20
    """

    population: int = field(default=POPULATION, metadata={"static": True})
    crossover: str = field(default="uniform", metadata={"static": True})
    crossover_rate: Any = CROSSOVER
    swap_rate: Any = SWAP
    mutation: str = field(default="resample", metadata={"static": True})
    mutation_rate: Any = None
    eta_crossover: Any = ETA
    eta_mutation: Any = ETA

    def init(self, table: SpaceTable, sizes: Sizes) -> State:
        """State before the first suggestion."""
        zero = np.int32(0)
        return State(table, zero, zero, zero, np.full(self.population, -1, np.int32))

    def ask(self, state: State, history: History, key, q: int, given=None, wanted=None):
        """`q` random rows in the first generation, then children."""
        given = protocol.nothing_given(history, q) if given is None else given
        wanted = jnp.asarray(q if wanted is None else wanted, jnp.int32)
        table, (_, d), dtype = state.table, history.rows.shape, history.rows.dtype
        state = self._advanced(state, history)
        parents = _parents_of(state, history)

        def draw(i, attempt, own):
            fresh = jax.random.uniform(own, (d,), dtype)
            child = self._child(jax.random.fold_in(own, 1), table, parents, fresh)
            return jnp.where(parents.count > 0, child, fresh)

        number = state.asked + jnp.arange(q, dtype=jnp.int32)
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(number)
        found = choose(table, history, keys, given, wanted, draw)
        generation = jnp.full(q, state.generation + 1, jnp.int32)
        bred = jnp.broadcast_to(parents.count > 0, (q,)).astype(jnp.int32)
        tag = [generation, number - state.first, bred, found.strayed.astype(jnp.int32)]
        info = protocol.Info(jnp.stack(tag, axis=1), found.points, found.valid)
        return state._replace(asked=state.asked + wanted), found.rows, info

    def tell(self, state: State, history: History) -> State:
        """Nothing: a generation closes in :meth:`ask`."""
        return state

    # ------------------------------------------------------------------ private

    def _advanced(self, state: State, history: History) -> State:
        """The state after the open generation, if it has closed."""
        own = standing(history) & (history.status != Status.STALE)
        ours = own & (history.tag[:, 0] == state.generation + 1)
        place = jnp.cumsum(ours, dtype=jnp.int32)
        waits = ours & (place <= self.population) & ~final(history)
        closed = (place[-1] >= self.population) & ~jnp.any(waits)
        # Rows asked while the last generation waited for others, and final only now.
        late = own & (state.generation > 0) & (history.tag[:, 0] == state.generation)
        late = late & (history.tag[:, 1] >= self.population)
        old = jnp.any(history.trial[None] == state.parents[:, None], axis=0) & own
        some = (ours | late | old) & protocol.told_lines(history, jnp)
        parents = once(closed, self._selected, jnp.asarray(state.parents), history, some)
        return state._replace(
            parents=parents,
            first=jnp.where(closed, state.asked, state.first),
            generation=state.generation + closed.astype(jnp.int32),
        )

    def _selected(self, parents, history: History, some):
        """`[P]`: the best trials of those lines."""
        # Parents, children, and as many again that came late or in one batch too many.
        size = min(history.capacity, 3 * self.population + Q_CLASSES[-1])
        (lines,) = jnp.nonzero(some, size=size, fill_value=history.capacity)
        mask, lines = lines < history.capacity, jnp.minimum(lines, history.capacity - 1)
        violation = violation_of(history.constraints[lines])
        order = best_first(history.values[lines], violation, mask)
        trials = jnp.where(mask, history.trial[lines], -1)[order][: self.population]
        return jnp.full_like(parents, -1).at[: trials.shape[0]].set(trials.astype(parents.dtype))

    def _child(self, key, table: SpaceTable, parents: Parents, fresh):
        """A point of the cube `[D]`; what neither parent shows is `fresh`."""
        (d,), dtype = fresh.shape, fresh.dtype
        keys = jax.random.split(key, 3)
        # Choices are drawn in single precision: cheaper, and both precisions have the same.
        u = jax.random.uniform(keys[0], (5,), jnp.float32)
        lots = jax.random.uniform(keys[1], (3, d), jnp.float32)
        moves = jax.random.uniform(keys[2], (3, d), dtype)
        one, other = pair(u[:4], parents.count)
        a, b = parents.points[one], parents.points[other]
        numbers = table.kind != tables.CATEGORY
        crossed = _variation.uniform(lots[0], a, b, jnp.asarray(self.swap_rate, jnp.float32))
        if self.crossover == "sbx":
            eta = jnp.asarray(self.eta_crossover, dtype)
            stepped = _variation.simulated_binary(moves[0], lots[1] < 0.5, lots[0] < 0.5, a, b, eta)
            crossed = jnp.where(numbers, stepped, crossed)
        crossed = jnp.where(parents.shown[one], crossed, b)
        crossed = jnp.where(parents.shown[other], crossed, a)
        happens = (u[4] < jnp.asarray(self.crossover_rate, jnp.float32)) & (other != one)
        shown = parents.shown[one] | (parents.shown[other] & happens)
        child = jnp.where(shown, jnp.where(happens, crossed, a), fresh)

        rate = self.mutation_rate
        if rate is None:
            exists = tables.active(table, tables.unit_to_row(table, child))
            rate = 1.0 / jnp.maximum(jnp.sum(exists & free_columns(table)), 1).astype(jnp.float32)
        mutant = moves[1]
        if self.mutation == "polynomial":
            eta = jnp.asarray(self.eta_mutation, dtype)
            mutant = jnp.where(numbers, _variation.polynomial(moves[2], child, eta), mutant)
        return jnp.where(lots[2] < jnp.asarray(rate, jnp.float32), mutant, child)


def pair(u, count):
    """Places of two winners of binary tournaments, the second among all but the first.

    Args:
        u: `[4]` uniform.
        count: parents, the best first; with a single one both are it.
    """

    def better(two, among):
        drawn = jnp.floor(two * among.astype(two.dtype)).astype(jnp.int32)
        return jnp.clip(jnp.min(drawn), 0, jnp.maximum(among - 1, 0))

    one = better(u[:2], count)
    other = better(u[2:], count - 1)
    other = jnp.where(other >= one, other + 1, other)
    return one, jnp.where(count > 1, other, one)


def _parents_of(state: State, history: History) -> Parents:
    """What the history says of the open generation's parents."""
    lines = (history.trial[None] == state.parents[:, None]) & standing(history)
    rows = history.rows[jnp.argmax(lines, axis=1)]
    count = jnp.sum(state.parents >= 0, dtype=jnp.int32)
    return Parents(to_unit(state.table, rows), tables.active(state.table, rows), count)


def nsga2(
    *,
    population: int = POPULATION,
    crossover: str = "uniform",
    crossover_rate: float = CROSSOVER,
    swap_rate: float = SWAP,
    mutation: str = "resample",
    mutation_rate: float | None = None,
    eta_crossover: float = ETA,
    eta_mutation: float = ETA,
) -> NSGA2:
    """NSGA-II, for several objectives and hundreds of evaluations; with one, a genetic algorithm.

    The first `population` rows are random, then each is a child of two parents. Ask for as many at
    a time as a generation has, or fewer; parents are chosen anew once all of its rows are final.
    What failed is never a parent. Where there are black-box constraints, the feasible one of two is
    better, of two infeasible ones that which breaks them less.

    Args:
        population: rows of a generation, and parents; at least 4.
        crossover: "uniform", each parameter from one parent or the other; or "sbx", numbers by the
            simulated binary crossover of the paper.
        crossover_rate: probability that two parents are crossed, else one is copied; 0 to 1.
        swap_rate: of "uniform", probability of the second parent's value; 0 to 1.
        mutation: "resample", any value; or "polynomial", numbers by the paper's steps.
        mutation_rate: of each parameter, 0 to 1; None is one over how many exist.
        eta_crossover, eta_mutation: of "sbx" and "polynomial", not negative: the larger, the nearer
            children are to their parents.

    Raises:
        ValueError: a setting out of range, naming it.

    Example:
        >>> import bojax
        >>> found = bojax.minimize(
        ...     lambda c: (c["x"] ** 2, (c["x"] - 1) ** 2), {"x": bojax.Float(-4, 4)},
        ...     direction={"near": "minimize", "far": "minimize"}, evaluations=64, batch=8,
        ...     strategy=bojax.strategies.nsga2(population=8))
        >>> len(found.pareto()) > 4
        True
    """
    if population < LEAST:
        raise ValueError(f"nsga2: population must be at least {LEAST}, got {population}.")
    for name, word, known in (
        ("crossover", crossover, CROSSOVERS), ("mutation", mutation, MUTATIONS),
    ):  # fmt: skip
        if word not in known:
            raise ValueError(f"nsga2: {name} must be one of {', '.join(known)}, got {word!r}.")
    rates = {"crossover_rate": crossover_rate, "swap_rate": swap_rate}
    for name, value in (
        rates | {"mutation_rate": 0.0 if mutation_rate is None else mutation_rate}
    ).items():
        if isinstance(value, (int, float)) and not 0.0 <= value <= 1.0:
            raise ValueError(f"nsga2: {name} must be between 0 and 1, got {value}.")
    for name, value in (("eta_crossover", eta_crossover), ("eta_mutation", eta_mutation)):
        if isinstance(value, (int, float)) and not value >= 0.0:
            raise ValueError(f"nsga2: {name} must be at least 0, got {value}.")
    return NSGA2(
        population, crossover, crossover_rate, swap_rate, mutation, mutation_rate, eta_crossover,
        eta_mutation,
    )  # fmt: skip
