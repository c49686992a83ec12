"""Regularised evolution: the best of a few is copied and changed in one place; the oldest dies.

E. Real, A. Aggarwal, Y. Huang and Q. V. Le, "Regularized Evolution for Image Classifier
Architecture Search", AAAI 2019, algorithm 1. At home in conditional spaces of choices: a change
may switch parameters on, and those are drawn at random.

The history is the population: its newest finished lines by number of the trial, whoever brought
them. What failed is worst, and grows old like the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bojax.history import History, Status
from bojax.optimize.walk import to_unit
from bojax.pytrees import pytree
from bojax.space import table as tables
from bojax.space.steps import cell_of
from bojax.space.table import SpaceTable
from bojax.strategies import protocol
from bojax.strategies._choosing import (
    choose,
    final,
    free_columns,
    standing,
    values_of,
)
from bojax.strategies._random import State
from bojax.strategies.protocol import Sizes

POPULATION, SAMPLE = 100, 25  # of the paper's experiments
# A number takes a normal step of a tenth of its range, or in a quarter of the cases any value.
STEP, REDRAW = 0.1, 0.25


@pytree
@dataclass(frozen=True)
class Evolution:
    """Regularised evolution; see :func:`evolution`.

    Example:
        >>> import bojax
        >>> bojax.strategies.evolution(population=20, sample=5).sample
        5
    """

    population: Any = POPULATION
    sample: Any = SAMPLE

    def init(self, table: SpaceTable, sizes: Sizes) -> State:
        """State before the first suggestion."""
        protocol.refuse_several("evolution", sizes)
        return State(table, np.int32(0))

    def ask(self, state: State, history: History, key, q: int, given=None, wanted=None):
        """`q` random rows until the population is full, then mutants."""
        given = protocol.nothing_given(history, q) if given is None else given
        wanted = jnp.asarray(q if wanted is None else wanted, jnp.int32)
        table, (_, d), dtype = state.table, history.rows.shape, history.rows.dtype
        size = jnp.asarray(self.population, jnp.int32)
        alive, count = living(history, size)
        order = jnp.argsort(jnp.where(alive, values_of(history), jnp.nan), stable=True)  # NaN last
        number = jnp.arange(q, dtype=jnp.int32)
        lines = standing(history) & (history.status != Status.STALE)
        begun = jnp.sum(lines, dtype=jnp.int32) + number
        breeds = (begun >= size) & (count > 0)
        changeable = free_columns(table) & jnp.isnan(given)

        def draw(i, attempt, own):
            keys = jax.random.split(own, 3)
            fresh = jax.random.uniform(keys[0], (d,), dtype)
            line = order[self._rank(keys[1], count, dtype)]
            child, _ = mutated(keys[2], table, history.rows[line], changeable[i], fresh)
            return jnp.where(breeds[i], child, fresh)

        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(state.asked + number)
        found = choose(table, history, keys, given, wanted, draw)
        kind = 1 + breeds.astype(jnp.int32)
        zero = jnp.zeros(q, jnp.int32)
        tag = jnp.stack([kind, found.strayed.astype(jnp.int32), zero, zero], axis=1)
        info = protocol.Info(tag, found.points, found.valid)
        return state._replace(asked=state.asked + wanted), found.rows, info

    def tell(self, state: State, history: History) -> State:
        """Nothing: the history holds it all."""
        return state

    def _rank(self, key, count, dtype):
        """Rank of a tournament's winner among `count`.

        The least of `sample` ranks drawn with replacement, by its distribution function: as in
        the paper, where the drawn ones stay in the population.
        """
        u = jax.random.uniform(key, (), dtype)
        share = 1.0 - (1.0 - u) ** (1.0 / jnp.asarray(self.sample, dtype))
        rank = jnp.floor(share * count.astype(dtype)).astype(jnp.int32)
        return jnp.clip(rank, 0, jnp.maximum(count - 1, 0))


def living(history: History, size):
    """`[N]` bool: the newest `size` finished trials' lines, and how many they are."""
    done = standing(history) & final(history)
    newer = jnp.sum(done, dtype=jnp.int32) - jnp.cumsum(done, dtype=jnp.int32)
    alive = done & (newer < size)
    return alive, jnp.sum(alive, dtype=jnp.int32)


def mutated(key, table: SpaceTable, row, changeable, fresh):
    """A point of the cube that differs from a row in one active column, and which that is.

    Args:
        row: `[D]` canonical.
        changeable: `[D]` bool.
        fresh: `[D]` uniform, for what the change switches on.

    A category takes any other value. An integer or ordinal steps at least to the next value.
    """
    dtype, (d,) = row.dtype, row.shape
    keys = jax.random.split(key, 4)
    present = tables.active(table, row)
    # Conditions look at what is active alone, so the rest may hold anything until it is shown.
    base = jnp.where(present, to_unit(table, row), fresh)
    lots = jax.random.uniform(keys[0], (d,), dtype)
    column = jnp.argmax(jnp.where(changeable & present, lots, -1.0)).astype(jnp.int32)
    u, normal = jax.random.uniform(keys[1], (2,), dtype), jax.random.normal(keys[2], (), dtype)
    value, count = base[column], jnp.maximum(table.cardinality[column], 1)

    cells = count.astype(dtype)
    other = 1.0 + jnp.floor(u[0] * jnp.maximum(cells - 1.0, 1.0))
    code = jnp.mod(jnp.floor(value * cells) + jnp.minimum(other, jnp.maximum(cells - 1.0, 1.0)),
                   cells)  # fmt: skip
    category = (code + 0.5) / cells

    step = STEP * normal
    folded = jnp.abs(value + step)
    folded = jnp.clip(jnp.where(folded > 1.0, 2.0 - folded, folded), 0.0, 1.0)
    number = jnp.where(u[1] < REDRAW, u[0], folded)
    moved = base.at[column].set(number)
    up = jnp.where(number == value, step, number - value) >= 0.0
    same = cell_of(table, moved)[column] == cell_of(table, base)[column]
    next_one = jnp.where(up, 1.0, -1.0)
    there = tables.move(table, row, jnp.full(d, next_one, dtype))
    back = tables.move(table, row, jnp.full(d, -next_one, dtype))
    ends = cell_of(table, there)[column] == cell_of(table, base)[column]
    beside = jnp.where(ends, back, there)[column]
    number = jnp.where(table.discrete[column] & same, beside, number)
    changed = jnp.where(table.kind[column] == tables.CATEGORY, category, number)
    return base.at[column].set(changed), column


def evolution(*, population: int = POPULATION, sample: int = SAMPLE) -> Evolution:
    """Regularised evolution, for spaces of choices with conditions, such as architectures.

    The first `population` rows are random. Then each is a copy of the best of `sample` lines,
    drawn from the newest `population` finished ones, with one of its parameters changed: a
    category to any other choice, a number by a normal step of a tenth of its range or, one time
    in four, to any value. What the change switches on is drawn at random. Results that the user
    brought are lines like all others.

    Args:
        population: how many finished lines live, at least 2.
        sample: of a tournament, at least 1: the larger, the greedier.

    Raises:
        ValueError: a setting out of range, naming it.

    Example:
        >>> import bojax
        >>> space = {
        ...     "cell": bojax.Categorical(["conv", "pool", "skip"]),
        ...     "width": bojax.Int(1, 8, when={"cell": "conv"})}
        >>> found = bojax.minimize(
        ...     lambda c: 10 - c.get("width", 0), space,
        ...     evaluations=10, strategy=bojax.strategies.evolution(population=4, sample=2))
        >>> found.best().config
        {'cell': 'conv', 'width': 8}
    """
    for name, value, least in (("population", population, 2), ("sample", sample, 1)):
        if isinstance(value, (int, float)) and value < least:
            raise ValueError(f"evolution: {name} must be at least {least}, got {value}.")
    return Evolution(population, sample)
