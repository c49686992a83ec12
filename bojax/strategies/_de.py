"""Differential evolution: a population whose differences are the steps it takes.

R. Storn and K. Price, "Differential Evolution - A Simple and Efficient Heuristic for Global
Optimization over Continuous Spaces", Journal of Global Optimization 11 (1997). In spaces of any
kind it works on points of the unit cube, which are rounded only to be evaluated, as DEHB does
(N. Awad, N. Mallik and F. Hutter, IJCAI 2021).

The history is the population: each slot of it holds the best final row that was asked for it, so
a child takes its parent's place as soon as it is final and no worse, in whatever order results
arrive. Asking for as many rows as there are slots is the method of the paper; asking for fewer,
the later ones know of the earlier (SciPy's `updating="immediate"`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bojax.history import History
from bojax.optimize import sobol as sobol_points
from bojax.pytrees import pytree
from bojax.space.table import SpaceTable
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
from bojax.strategies.protocol import Sizes

F, CR = 0.5, 0.5  # of DEHB
MEMBERS_A_COLUMN = 5  # Storn and Price: 5 to 10 times the number of parameters
LEAST, LEAST_DEFAULT = 4, 8
# Differences that are added to a base, and how many members they need; names of SciPy.
BASES = {"rand1": ("rand", 1), "best1": ("best", 1), "rand2": ("rand", 2), "best2": ("best", 2),
         "currenttobest1": ("current", 1)}  # fmt: skip
VARIANTS = tuple(f"{base}{crossing}" for crossing in ("bin", "exp") for base in BASES)


class State(NamedTuple):
    """The space, slots of the population, and suggestions so far."""

    table: SpaceTable
    popsize: Any
    asked: Any


class Population(NamedTuple):
    """What the history says of the slots.

    Attributes:
        points: `[S, D]` of the cube.
        values: `[S]`, inf where it failed.
        known: `[S]` bool, slots that have a final row.
        slots: `[S]`, the known ones first; the rest of no use.
    """

    points: Any
    values: Any
    known: Any
    slots: Any


def population_of(history: History, table: SpaceTable, slots: int) -> Population:
    """The best final row of each slot; of equal ones the last.

    Args:
        history: lines tagged `(1 + suggestion over popsize, slot, ...)`.
        slots: static, at least as many as there are.
    """
    ours = standing(history) & final(history) & (history.tag[:, 0] > 0)
    return held(history, table, ours, history.tag[:, 1], slots)


def held(history: History, table: SpaceTable, ours, slot, slots: int) -> Population:
    """The best line of each slot; of equal ones the last.

    Args:
        history, table: of the run.
        ours: `[N]` bool, lines that are in a slot.
        slot: `[N]` int32, which; of those that are in none, anything.
        slots: static.
    """
    slot = jnp.where(ours, slot, slots)
    values = values_of(history)
    least = jax.ops.segment_min(values, slot, slots + 1)
    line = jnp.arange(history.capacity, dtype=jnp.int32)
    holds = ours & (values == least[slot])
    member = jax.ops.segment_max(jnp.where(holds, line, -1), slot, slots + 1)[:slots]
    known = member >= 0
    member = jnp.maximum(member, 0)
    points, _ = points_of(table, history.rows[member], history.raw[member])
    (order,) = jnp.nonzero(known, size=slots, fill_value=0)
    return Population(jnp.clip(points, 0.0, 1.0), least[:slots], known, order.astype(jnp.int32))


@pytree
@dataclass(frozen=True)
class DE:
    """Differential evolution; see :func:`de`.

    Example:
        >>> import bojax
        >>> bojax.strategies.de(popsize=20).popsize
        20
    """

    popsize: int | None = field(default=None, metadata={"static": True})
    f: Any = F
    cr: Any = CR
    variant: str = field(default="rand1bin", metadata={"static": True})

    def init(self, table: SpaceTable, sizes: Sizes) -> State:
        """State before the first suggestion."""
        protocol.refuse_several("de", sizes)
        if self.popsize is not None:
            return State(table, np.int32(self.popsize), np.int32(0))
        xp = np if isinstance(table.used, np.ndarray) else jnp
        columns = xp.sum(free_columns(table), dtype=xp.int32)
        size = xp.maximum(MEMBERS_A_COLUMN * columns, LEAST_DEFAULT)
        return State(table, size.astype(xp.int32), np.int32(0))

    def ask(self, state: State, history: History, key, q: int, given=None, wanted=None):
        """`q` children, each for the next slot; where a slot is empty, a point of a design."""
        given = protocol.nothing_given(history, q) if given is None else given
        wanted = jnp.asarray(q if wanted is None else wanted, jnp.int32)
        table, (_, d), dtype = state.table, history.rows.shape, history.rows.dtype
        slots = self.popsize or max(MEMBERS_A_COLUMN * d, LEAST_DEFAULT)
        members = population_of(history, table, slots)
        number = state.asked + jnp.arange(q, dtype=jnp.int32)
        slot = jnp.mod(number, state.popsize)
        free, count = free_columns(table), jnp.sum(members.known, dtype=jnp.int32)
        others = 1 + 2 * BASES[self.variant[:-3]][1]  # donors that differ, beside the parent
        bred = members.known[slot] & (count > others)

        def designed(_, asked, key):
            return sobol_points(asked, q, d, protocol.shift_of(key, d)).astype(dtype)

        design = once(~jnp.all(bred), designed, jnp.zeros((q, d), dtype), state.asked, key)

        def draw(i, attempt, own):
            keys = jax.random.split(own, 3)
            fresh = jax.random.uniform(keys[0], (d,), dtype)
            child = self._child(keys[1:], members, slot[i], count, free, fresh)
            return jnp.where(bred[i], child, jnp.where(attempt == 0, design[i], fresh))

        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(number)
        found = choose(table, history, keys, given, wanted, draw)
        tag = jnp.stack(
            [1 + number // state.popsize, slot, bred.astype(jnp.int32),
             found.strayed.astype(jnp.int32)], axis=1,
        )  # fmt: skip
        info = protocol.Info(tag.astype(jnp.int32), found.points, found.valid)
        return state._replace(asked=state.asked + wanted), found.rows, info

    def tell(self, state: State, history: History) -> State:
        """Nothing: the history holds it all."""
        return state

    def _child(self, keys, members: Population, slot, count, free, fresh):
        """A mutant crossed with the member of a slot, `[D]`."""
        dtype = fresh.dtype
        start, pairs = BASES[self.variant[:-3]]
        # Choices are drawn in single precision: cheaper, and both precisions have the same.
        draws = jax.random.uniform(keys[0], (2 * pairs + 1,), jnp.float32)
        donors = members.points[distinct(draws, members, slot, count)]
        parent, f = members.points[slot], jnp.asarray(self.f, dtype)
        best = members.points[jnp.argmin(jnp.where(members.known, members.values, jnp.inf))]
        base = {"rand": donors[0], "best": best, "current": parent + f * (best - parent)}[start]
        mutant = base + f * sum(donors[1 + 2 * p] - donors[2 + 2 * p] for p in range(pairs))
        # DEHB: what lies outside is drawn anew, so that nothing gathers at the bounds.
        mutant = jnp.where((mutant < 0.0) | (mutant > 1.0), fresh, mutant)
        crossed = self._crossed(keys[1], free)
        return jnp.where(crossed & free, mutant, parent)

    def _crossed(self, key, free):
        """`[D]` bool: columns that the child has of the mutant, always one of the free ones."""
        d, cr = free.shape[0], jnp.asarray(self.cr, jnp.float32)
        draws, lots = jax.random.uniform(key, (2, d), jnp.float32)
        sure = jnp.argmax(jnp.where(free, lots, -1.0)).astype(jnp.int32)
        if self.variant.endswith("bin"):
            return (draws < cr) | (jnp.arange(d, dtype=jnp.int32) == sure)
        # Exponential: a run of columns from that one on, as long as draws stay below cr.
        rank = jnp.cumsum(free, dtype=jnp.int32) - 1
        ahead = jnp.mod(rank - rank[sure], jnp.maximum(rank[-1] + 1, 1))
        run = 1 + jnp.sum(jnp.cumprod((draws < cr).astype(jnp.int32)), dtype=jnp.int32)
        return ahead < run


def distinct(draws, members: Population, slot, count):
    """Slots of members that differ from each other and from `slot`, `[k]` of `[k]` uniforms."""
    before = jnp.arange(members.known.size, dtype=jnp.int32) < slot
    place = jnp.sum(members.known & before, dtype=jnp.int32)
    taken, found = [place], []
    for k in range(draws.shape[0]):
        left = (count - 1 - k).astype(draws.dtype)
        new = jnp.minimum(jnp.floor(draws[k] * left), left - 1.0).astype(jnp.int32)
        for earlier in taken:  # ascending: each that is passed counts
            new = new + (new >= earlier).astype(jnp.int32)
        found.append(new)
        for i, earlier in enumerate(taken):
            taken[i], new = jnp.minimum(earlier, new), jnp.maximum(earlier, new)
        taken.append(new)
    return members.slots[jnp.maximum(jnp.stack(found), 0)]


def de(
    *, popsize: int | None = None, f: float = F, cr: float = CR, variant: str = "rand1bin"
) -> DE:
    """Differential evolution.

    Suggestion i is a child of slot i modulo `popsize`; until a slot has a result, its rows are
    points of a Sobol sequence, then uniform ones. What the user brought is in no slot. A lost or
    pending row leaves its slot as it was. In conditional spaces a member keeps what its
    configuration does not show.

    Args:
        popsize: members, at least 4 (6 for two differences); None is 5 a parameter, at least 8.
        f: factor of a difference, above 0 and at most 2.
        cr: probability that a parameter is the mutant's, 0 to 1.
        variant: what is mutated and how it is crossed: "rand1bin", "best1bin", "rand2bin",
            "best2bin", "currenttobest1bin", or the same with "exp".

    Raises:
        ValueError: a setting out of range, naming it.

    Example:
        >>> import bojax
        >>> space = {"x": bojax.Float(-5, 5), "y": bojax.Float(-5, 5)}
        >>> found = bojax.minimize(
        ...     lambda c: c["x"] ** 2 + c["y"] ** 2, space,
        ...     evaluations=64, batch=8, strategy=bojax.strategies.de(popsize=8))
        >>> found.best().value < 0.1
        True
    """
    if variant not in VARIANTS:
        raise ValueError(f"de: variant must be one of {', '.join(VARIANTS)}, got {variant!r}.")
    least = LEAST + 2 * (BASES[variant[:-3]][1] - 1)
    if popsize is not None and popsize < least:
        raise ValueError(
            f"de: popsize must be at least {least} for {variant}, a parent and the members of "
            f"its differences, got {popsize}."
        )
    for name, value, low, high in (("f", f, 1e-9, 2.0), ("cr", cr, 0.0, 1.0)):
        if isinstance(value, (int, float)) and not low <= value <= high:
            where = "above 0 and at most 2" if name == "f" else "between 0 and 1"
            raise ValueError(f"de: {name} must be {where}, got {value}.")
    return DE(popsize, f, cr, variant)
