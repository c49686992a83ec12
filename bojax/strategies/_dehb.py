"""DEHB: differential evolution in one population a budget, whose parents come from below.

N. Awad, N. Mallik and F. Hutter, "DEHB: Evolutionary Hyperband for scalable, robust and efficient
hyperparameter optimization", IJCAI 2021, section 4, and its implementation, DEHB 0.1.2.
:func:`bojax.coordinate.dehb` joins it to the brackets of Hyperband.

A population is as large as the largest rung at its budget. Its members are targets in turn; a
child, crossed with its target, takes the target's place once it is no worse. In the first round of
brackets only their first rungs are asked for; what is promoted takes the next places of the
population at its budget. The three parents of a mutant come, in the first rung of a bracket, from
the best of the target's own population, in the others from the best of the budget below, as many
as the rung is large. Where those are fewer than three, mutants of all populations join them.

Ours: a target that was never evaluated is suggested itself, as the paper says (DEHB 0.1.2 crosses
it with a mutant of points that were not evaluated either); a rung is asked for as a whole, so that
its children do not know of each other; and nothing is suggested twice for one budget.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bojax.history import History, Status
from bojax.pytrees import pytree
from bojax.space import table as tables
from bojax.space.table import SpaceTable
from bojax.strategies import protocol
from bojax.strategies._choosing import choose, final, free_columns
from bojax.strategies._de import CR, F, Population, held
from bojax.strategies.protocol import Sizes

PARENTS = 3  # of a mutant, "rand/1"
SAME_BUDGET = 1e-3  # of a budget; they are whole numbers, seen through a scale of logarithms
_POINTS = 2**31 - 2  # a number no suggestion will have: members before they are evaluated
# Table 1 of Hyperband at R = 27 and eta = 3.
BUDGETS = (1, 3, 9, 27)
RUNGS = ((27, 9, 3, 1), (9, 3, 1), (6, 2), (4,))


class State(NamedTuple):
    """The space, and suggestions so far at each budget `[B]`."""

    table: SpaceTable
    asked: Any


class Turn(NamedTuple):
    """Whose turn a suggestion is, each a number.

    Attributes:
        budget: index of the population it is for.
        slot: the target's among all slots.
        parents: index of the population that parents come from.
        best: how many of its best.
    """

    budget: Any
    slot: Any
    parents: Any
    best: Any


@pytree
@dataclass(frozen=True)
class DEHB:
    """A population a budget; see :func:`bojax.coordinate.dehb`.

    Where a space has no fidelity, it is that of the largest budget alone.

    Attributes:
        f: factor of the difference.
        cr: probability that a parameter is the mutant's.
        budgets: static, rising.
        rungs: static, members of each rung of each bracket of a round; bracket k starts at
            budget k and ends at the last.

    Example:
        >>> import bojax
        >>> bojax.coordinate.dehb(max_budget=9).strategy.populations
        (9, 3, 3)
    """

    f: Any = F
    cr: Any = CR
    budgets: tuple[int, ...] = field(default=BUDGETS, metadata={"static": True})
    rungs: tuple[tuple[int, ...], ...] = field(default=RUNGS, metadata={"static": True})

    asks_by_budget = True  # the Coordinator says at which budget a suggestion is trained

    def __post_init__(self) -> None:
        # Lists, from JSON, are no structure that programs are compiled for.
        object.__setattr__(self, "budgets", tuple(self.budgets))
        object.__setattr__(self, "rungs", tuple(map(tuple, self.rungs)))
        lengths = [len(bracket) for bracket in self.rungs]
        if len(self.budgets) < 2 or lengths != list(range(len(self.budgets), 0, -1)):
            raise ValueError(
                f"dehb: expected at least 2 budgets and a bracket from each to the last, got "
                f"budgets {self.budgets} and brackets of {lengths} rungs."
            )

    @property
    def populations(self) -> tuple[int, ...]:
        """Members of each population: the largest rung at its budget."""
        return tuple(max(self._at(j)) for j in range(len(self.budgets)))

    def _at(self, budget: int) -> list[int]:
        """Sizes of the rungs at a budget, of a round's brackets in order."""
        return [self.rungs[k][budget - k] for k in range(budget + 1)]

    def init(self, table: SpaceTable, sizes: Sizes) -> State:
        """State before the first suggestion."""
        protocol.refuse_several("dehb", sizes)
        return State(table, np.zeros(len(self.budgets), np.int32))

    def ask(self, state: State, history: History, key, q: int, given=None, wanted=None):
        """`q` children, each for the next slot at its budget; `given` fixes the budget."""
        given = protocol.nothing_given(history, q) if given is None else given
        wanted = jnp.asarray(q if wanted is None else wanted, jnp.int32)
        table, (_, d), dtype = state.table, history.rows.shape, history.rows.dtype
        members = self.members_of(table, history)
        unseen = jax.random.uniform(
            jax.random.fold_in(key, _POINTS), (sum(self.populations), d), dtype
        )
        points = jnp.where(members.known[:, None], members.points, unseen)
        values = jnp.where(members.known, members.values, jnp.inf)
        rank = self._ranked(values)
        free = free_columns(table)

        at = jnp.where(jnp.isnan(given), 1.0, given)
        budget, _ = self.budget_of(table, at)
        number = jnp.arange(q, dtype=jnp.int32)
        earlier = (budget[None] == budget[:, None]) & (number[None] < number[:, None])
        count = state.asked[budget] + jnp.sum(earlier, axis=1, dtype=jnp.int32)
        turns = jax.vmap(self.turn)(budget, count)
        bred = members.known[turns.slot]

        def draw(i, attempt, own):
            turn = jax.tree.map(lambda leaf: leaf[i], turns)
            child, fresh = self.child(own, turn, points, rank, free)
            alone = jnp.where(attempt == 0, unseen[turn.slot], fresh)
            return jnp.where(bred[i], child, alone)

        first = jnp.sum(state.asked, dtype=jnp.int32)
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(first + number)
        # A configuration that was tried at other budgets alone may be tried at this one.
        at_line, known = self.budget_of(table, history.rows)
        same = known & jnp.any((at_line[:, None] == budget) & (number < wanted), axis=1)
        tried = jnp.where(same, history.status, Status.EMPTY)
        found = choose(table, history._replace(status=tried), keys, given, wanted, draw)
        tag = jnp.stack(
            [1 + budget, turns.slot, bred.astype(jnp.int32), found.strayed.astype(jnp.int32)],
            axis=1,
        )
        info = protocol.Info(tag.astype(jnp.int32), found.points, found.valid)
        asked = state.asked + jnp.sum(
            (budget[:, None] == self._indices) & (number < wanted)[:, None],
            axis=0, dtype=jnp.int32,
        )  # fmt: skip
        return state._replace(asked=asked), found.rows, info

    def tell(self, state: State, history: History) -> State:
        """Nothing: the history holds it all."""
        return state

    def budget_of(self, table: SpaceTable, rows):
        """Index of the nearest budget, `[N]` of rows `[N, D]`, and whether it is that one."""
        last = len(self.budgets) - 1
        is_fidelity = table.role == tables.FIDELITY
        there = jnp.any(is_fidelity)
        amount = jnp.sum(jnp.where(is_fidelity, tables.natural(table, rows), 0.0), axis=-1)
        budgets = jnp.asarray(self.budgets, amount.dtype)
        apart = jnp.abs(amount[..., None] / budgets - 1.0)
        nearest = jnp.argmin(apart, axis=-1).astype(jnp.int32)
        same = jnp.min(apart, axis=-1) <= SAME_BUDGET
        return jnp.where(there, nearest, last), same | ~there

    def members_of(self, table: SpaceTable, history: History) -> Population:
        """Who is in the slots, all populations after one another.

        A line at the budget it was asked for is in the slot it was asked for. One at another
        budget was promoted, and one that was never asked for was brought: those take the slots
        in turn, in the order of trials.
        """
        sizes = np.array(self.populations, np.int32)
        starts = np.cumsum(sizes, dtype=np.int32) - sizes
        budget, known = self.budget_of(table, history.rows)
        here = known & (history.status != Status.EMPTY)
        own = here & (history.tag[:, 0] == 1 + budget)
        came = (here & ~own)[:, None] & (budget[:, None] == self._indices)
        turn = jnp.cumsum(came, axis=0, dtype=jnp.int32)
        turn = jnp.take_along_axis(turn, budget[:, None], axis=1)[:, 0] - 1
        place = jnp.asarray(starts)[budget] + jnp.mod(turn, jnp.asarray(sizes)[budget])
        slot = jnp.where(own, history.tag[:, 1], place)
        return held(history, table, here & final(history), slot, int(sizes.sum()))

    def _ranked(self, values):
        """`[T]`: place of each slot among those of its population, the least value first."""
        budget, number = self._budgets_of_slots, np.arange(len(values), dtype=np.int32)
        before = values[None] < values[:, None]
        before |= (values[None] == values[:, None]) & (number[None] < number[:, None])
        return jnp.sum(before & (budget[None] == budget[:, None]), axis=1, dtype=jnp.int32)

    @property
    def _indices(self) -> np.ndarray:
        return np.arange(len(self.budgets), dtype=np.int32)

    @property
    def _budgets_of_slots(self) -> np.ndarray:
        return np.repeat(self._indices, self.populations)

    def turn(self, budget, count) -> Turn:
        """Of the suggestion that is number `count` at a budget.

        In the first round only the bracket that starts at the budget asks; then every bracket
        of a round does.
        """
        sizes_at, sums, firsts, before = [], [], [], []
        b = len(self.budgets)
        for j in range(b):
            at = self._at(j)
            sizes_at.append(at + [0] * (b - 1 - j))
            sums.append(list(accumulate(sizes_at[-1])))
            firsts.append(at[-1])
            before.append(sum(at[:-1]))  # promoted in the first round
        table, ends = jnp.array(sizes_at, jnp.int32), jnp.array(sums, jnp.int32)
        first, offset = jnp.array(firsts, jnp.int32)[budget], jnp.array(before, jnp.int32)[budget]
        sizes = np.array(self.populations, np.int32)
        starts = np.cumsum(sizes, dtype=np.int32) - sizes
        place = jnp.mod(count - first, ends[budget, -1])
        bracket = jnp.where(
            count < first, budget, jnp.sum(place >= ends[budget], dtype=jnp.int32)
        )  # bracket k has rung budget - k here
        slot = jnp.asarray(starts)[budget] + jnp.mod(offset + count, jnp.asarray(sizes)[budget])
        parents = jnp.where(bracket == budget, budget, budget - 1)
        return Turn(budget, slot, parents, table[budget, bracket])

    def child(self, key, turn: Turn, points, rank, free):
        """A mutant crossed with its target, and a uniform point, each `[D]`.

        Args:
            key: of this draw.
            turn: whose it is.
            points: `[T, D]` of all slots.
            rank: `[T]` of each in its population.
            free: `[D]` bool, columns that may change.
        """
        (t, d), dtype = points.shape, points.dtype
        # Few calls, since each is a good part of the program. Choices are drawn in single
        # precision: both precisions have the same.
        choices, places = jax.random.split(key)
        sizes = (PARENTS * t, t + 2 * PARENTS, 2 * d)
        draws = jax.random.uniform(choices, (sum(sizes),), jnp.float32)
        strange, lots, crossing = jnp.split(draws, np.cumsum(sizes[:-1]))
        places = jax.random.uniform(places, (PARENTS + 1, d), dtype)
        fresh, anew = places[0], places[1:]
        target, f = points[turn.slot], jnp.asarray(self.f, dtype)

        def mutant(lots, pool, mask):
            one, two, three = pool[jax.lax.top_k(jnp.where(mask, lots, -1.0), PARENTS)[1]]
            return one + f * (two - three)

        def without_target(pool, mask):
            equal = mask & jnp.all((pool == target) | ~free, axis=1)
            remove = jnp.any(equal) & (jnp.sum(mask, dtype=jnp.int32) > 1)
            number = jnp.arange(len(pool), dtype=jnp.int32)
            return mask & ~(remove & (number == jnp.argmax(equal).astype(jnp.int32)))

        everyone = without_target(points, jnp.ones(t, bool))
        strange = strange.reshape(PARENTS, t)
        strangers = jax.vmap(lambda lots: mutant(lots, points, everyone))(strange)
        best = (jnp.asarray(self._budgets_of_slots) == turn.parents) & (rank < turn.best)
        count = jnp.sum(best, dtype=jnp.int32)
        order = jnp.arange(PARENTS, dtype=jnp.int32)
        joined = order < jnp.where(count < PARENTS, PARENTS + 1 - count, 0)
        pool = jnp.concatenate([points, strangers])
        mask = without_target(pool, jnp.concatenate([best, joined]))
        # Where the target was one of just three, a point drawn anew stands in for it.
        missing = order < PARENTS - jnp.sum(mask, dtype=jnp.int32)
        pool, mask = jnp.concatenate([pool, anew]), jnp.concatenate([mask, missing])
        found = mutant(lots, pool, mask)
        found = jnp.where((found < 0.0) | (found > 1.0), fresh, found)
        return jnp.where(self._crossed(crossing.reshape(2, d), free), found, target), fresh

    def _crossed(self, draws, free):
        """`[D]` bool: columns that are the mutant's; one of the free ones if none is."""
        crossed = (draws[0] < jnp.asarray(self.cr, jnp.float32)) & free
        lot = jnp.argmax(jnp.where(free, draws[1], -1.0)).astype(jnp.int32)
        sure = jnp.arange(len(free), dtype=jnp.int32) == lot
        return crossed | (~jnp.any(crossed) & sure & free)
