"""Grid search: every combination of levels, a coarse grid first.

A category, boolean or ordinal has its values as levels, an integer all of its values or evenly
spaced ones, a real so many evenly spaced ones as it is told, both ends among them; even in logs
where the parameter is. A parameter that does not exist in a combination has no levels there, so
no configuration comes twice; combinations that break a constraint are left out.

Nothing is listed: a combination is computed from its number. In the order "coarse" the number's
digits e_1, e_2, ... (one a column, to the base of its levels) are mixed,

    d_c = e_c + sum over j < c of c^j e_j   (mod levels of c),

which visits every combination once, as the sum is triangular, and every level of every column
early: with p levels each, p prime, the first p combinations are a Latin hypercube, and the
first p^2 have each pair of levels of any two columns once, as the orthogonal arrays of
K. A. Bush, "Orthogonal Arrays of Index Unity", Annals of Mathematical Statistics 23, 1952, from
whose polynomials the sum is taken. Levels are taken in golden steps from the middle one, so that
the first few lie far apart. Who stops early has seen all of the space coarsely; after
lexicographic order, half of the budget has seen half of the first parameter and no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bojax.errors import ConfigError
from bojax.history import History
from bojax.pytrees import pytree
from bojax.space import Space
from bojax.space import table as tables
from bojax.space.table import SpaceTable
from bojax.strategies import protocol
from bojax.strategies.protocol import Proposal, Sizes, Taken

MOST_LEVELS = 2**15 - 1  # of one column: products of two digits stay within int32
LAST = 2**30  # combinations looked at in a run; a grid may have more
TOGETHER = 32  # numbers looked at in one step
GOLDEN = 0.6180339887498949
ORDERS = ("coarse", "lexicographic")


class State(NamedTuple):
    """The space, levels `[D]` of its columns, rows asked so far, and the next combination.

    `place` is its number `[1]` in the order "coarse", its digits `[D]` in the other, and `ended`
    whether there is none.
    """

    table: SpaceTable
    levels: Any
    asked: Any
    place: Any
    ended: Any


@pytree
@dataclass(frozen=True)
class Grid:
    """Grid search; see :func:`grid`.

    Example:
        >>> import bojax
        >>> bojax.strategies.grid(points=5).points
        5
    """

    points: Any = None
    order: str = field(default="coarse", metadata={"static": True})

    listed = True  # rows are these and no others: a session draws none in their place

    def for_space(self, space: Space) -> Grid:
        """The same grid with levels by column; a session asks for it before `init`.

        Raises:
            ConfigError: a name that is no number of the space, a real without a count, or too
                many levels.

        Example:
            >>> import bojax
            >>> space = bojax.Space({"x": bojax.Float(0, 1), "n": bojax.Int(1, 9)})
            >>> bojax.strategies.grid(points={"x": 3}).for_space(space).points
            (3, 0)
        """
        if isinstance(self.points, tuple):
            return self
        table, told = space.table, self.points
        named = dict(told) if isinstance(told, Mapping) else {}
        numbers = [k for k, kind in enumerate(table.kind) if kind in (tables.REAL, tables.INTEGER)]
        known = {space.names[k]: k for k in numbers}
        for name in named:
            if name not in known:
                raise ConfigError(
                    f"{name}: grid(points=) counts levels of numbers; expected some of "
                    f"{', '.join(known) or 'none'}."
                )
        usual = told if isinstance(told, (int, np.integer)) else 0
        points = [int(named.get(name, usual)) for name in space.names]
        chosen = table.role == tables.PARAMETER
        for name, k in known.items():
            if not chosen[k] or table.pool is not None:
                continue
            if table.kind[k] == tables.REAL and points[k] == 0:
                raise ConfigError(
                    f"{name}: a Float has no levels of its own; say how many, as "
                    f"strategies.grid(points=5) or grid(points={{{name!r}: 5}})."
                )
            count = points[k] or int(table.cardinality[k])
            if min(count, table.cardinality[k] or count) > MOST_LEVELS:
                raise ConfigError(
                    f"{name}: a grid has at most {MOST_LEVELS:,} levels of one parameter, got "
                    f"{count:,}; say fewer, as strategies.grid(points={{{name!r}: 100}})."
                )
        return replace(self, points=tuple(points))

    def init(self, table: SpaceTable, sizes: Sizes) -> State:
        """State before the first suggestion.

        Raises:
            ValueError: counts by name, which only a space knows.
        """
        if isinstance(self.points, Mapping):
            raise ValueError(
                "grid: a table knows no names; give grid(points={...}).for_space(space)."
            )
        xp = np if isinstance(table.kind, np.ndarray) else jnp
        told = 0 if self.points is None else self.points
        if isinstance(told, tuple):
            told = xp.asarray(list(told) + [0] * (table.columns - len(told)))
        told = xp.asarray(told).astype(xp.int32)
        own = table.cardinality.astype(xp.int32)
        number = xp.where((told > 0) & (told < own), told, own)
        levels = xp.where(table.kind == tables.INTEGER, number, own)
        levels = xp.where(table.kind == tables.REAL, told, levels)
        chosen = table.used & (table.role == tables.PARAMETER)
        levels = xp.where(chosen, levels, 1).astype(xp.int32)
        if not isinstance(levels, jax.core.Tracer) and table.pool is None and (levels < 1).any():
            raise ValueError(
                f"grid: column {int(xp.argmin(levels))} is real and needs a count; give points=."
            )
        size = 1 if self.order == "coarse" else table.columns
        return State(table, levels, np.int32(0), np.zeros(size, np.int32), np.bool_(False))

    def ask(self, state: State, history: History, key, q: int, given=None, wanted=None):
        """The next `q` combinations; what is given takes no level and starts from the first."""
        given = protocol.nothing_given(history, q) if given is None else given
        wanted = jnp.asarray(q if wanted is None else wanted, jnp.int32)
        table = state.table
        search = self.search_coarse if self.order == "coarse" else self.search_in_order

        def propose(i, known, taken: Taken):
            at = jax.lax.dynamic_index_in_dim(given, i, keepdims=False)
            fixed = jnp.any(~jnp.isnan(at) & (table.role != tables.FIDELITY))
            start = jax.tree.map(lambda own: jnp.where(fixed, jnp.zeros_like(own), own), known)
            row, found, *after = search(table, state.levels, at, taken, *start)
            after = jax.tree.map(lambda a, b: jnp.where(fixed, a, b), known, tuple(after))
            return after, Proposal(row, row, found)

        known = jnp.asarray(state.place), jnp.asarray(state.ended)
        (place, ended), rows, info = protocol.one_by_one(history, q, wanted, known, propose)
        asked = state.asked + wanted
        return state._replace(asked=asked, place=place, ended=ended), rows, info

    def tell(self, state: State, history: History) -> State:
        """Nothing to learn."""
        return state

    # ------------------------------------------------------------------ orders

    def search_coarse(self, table: SpaceTable, levels, given, taken: Taken, place, ended):
        """The next combination by number: `(row, found, place, ended)`."""
        parent = _parents(table)
        column = jnp.arange(table.columns, dtype=jnp.int32)
        # Parents first, as what exists depends on them; then what has most levels.
        order = jnp.argsort(jnp.where(parent, column - LAST, -levels), stable=True)
        # Every choice of the parents comes once in so many numbers.
        cycle = jnp.prod(jnp.where(parent, levels, 1).astype(given.dtype))
        if table.pool is not None:
            cycle = jnp.ones_like(cycle)
        steps = _golden_steps(levels)

        def cell(number):
            if table.pool is not None:
                return _member(table, number, given)
            return _mixed(table, levels, steps, order, number, given)

        def look(carry):
            place, gone, row, _, _ = carry
            numbers = place + jnp.arange(TOGETHER, dtype=jnp.int32)
            rows, exists = jax.vmap(cell)(numbers)
            rows = rows.astype(row.dtype)
            good = exists & _usable(table, rows, given, taken)
            pick = jnp.argmax(good)
            gone = jnp.where(jnp.any(exists), 0, gone + TOGETHER)
            ended = (gone.astype(cycle.dtype) >= cycle) | (place > LAST)
            after = jnp.where(good[pick], place + pick.astype(jnp.int32) + 1, place + TOGETHER)
            return after, gone, rows[pick], good[pick], ended & ~good[pick]

        row = jnp.zeros(given.shape, taken.rows.dtype)
        start = place[0], jnp.zeros((), jnp.int32), row, jnp.zeros((), bool), ended
        last = jax.lax.while_loop(lambda carry: ~carry[3] & ~carry[4], look, start)
        return last[2], last[3], last[0][None], last[4]

    def search_in_order(self, table: SpaceTable, levels, given, taken: Taken, place, ended):
        """The next combination after its digits, the last column turning fastest."""
        if table.pool is not None:
            levels = jnp.where(jnp.arange(table.columns) == 0, table.pool.count, 1)
        levels = levels.astype(jnp.int32)

        def look(carry):
            place, row, _, _ = carry
            if table.pool is not None:
                raw = jnp.take(table.pool.rows, place[0], axis=0).astype(row.dtype)
            else:
                raw = _values(table, levels, place).astype(row.dtype)
            row = tables.with_given(table, raw, given)
            good = _usable(table, row[None], given, taken)[0]
            turns = (place + 1 < levels) & jnp.isnan(given)
            if table.pool is None:
                turns &= tables.active(table, row)
            column = jnp.arange(place.shape[0], dtype=jnp.int32)
            last = jnp.max(jnp.where(turns, column, -1))
            after = jnp.where(column <= last, place, 0) + (column == last).astype(jnp.int32)
            after = jnp.where(last >= 0, after, place)
            return after, row, good, last < 0

        row = jnp.zeros(given.shape, taken.rows.dtype)
        start = place, row, jnp.zeros((), bool), ended | jnp.any(levels < 1)
        last = jax.lax.while_loop(lambda carry: ~carry[2] & ~carry[3], look, start)
        return last[1], last[2], last[0], last[3]


def grid(*, points: int | Mapping[str, int] | None = None, order: str = "coarse") -> Grid:
    """Grid search, to the last combination: then `ask` raises `SpaceExhausted`.

    Args:
        points: levels of each number, or a dict of them by name. An `Int` (or a `Float` with a
            step) that has no more values, or that the dict does not name, takes all of them; a
            `Float` needs a count. One level is the middle; several include both ends.
        order: "coarse" spreads the first combinations over the whole space; "lexicographic" goes
            as `itertools.product` does, the last parameter turning fastest.

    Raises:
        ValueError: a count below 1, or an unknown order. Whether the counts fit the space shows
            where it is known: `ConfigError` there.

    Example:
        >>> import bojax
        >>> space = {"lr": bojax.Float(1e-3, 1e-1, log=True), "kind": bojax.Categorical(["a", "b"])}
        >>> optimizer = bojax.Optimizer(space, strategy=bojax.strategies.grid(points=3))
        >>> [round(trial.config["lr"], 6) for trial in optimizer.ask(6)]
        [0.01, 0.001, 0.1, 0.01, 0.001, 0.1]
        >>> optimizer.ask()
        Traceback (most recent call last):
        bojax.errors.SpaceExhausted: all 6 configurations of the grid have been suggested; ...
    """
    if order not in ORDERS:
        raise ValueError(f"grid: order must be one of {', '.join(ORDERS)}, got {order!r}.")
    counts: Mapping[str, int | None]
    if points is None or isinstance(points, (int, np.integer)):
        counts = {"points": points}
    elif isinstance(points, Mapping):
        counts = points = dict(points)
    else:  # by column, as a saved one has them
        points = tuple(points)
        counts = {}
    for name, value in counts.items():
        whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
        if value is not None and not (whole and value >= 1):
            raise ValueError(f"grid: {name} must be an integer of at least 1, got {value!r}.")
    return Grid(points, order)


# ------------------------------------------------------------------ one combination


def _parents(table: SpaceTable):
    """`[D]` bool: columns that the existence of others depends on."""
    clauses = table.clauses
    column = jnp.arange(table.columns, dtype=jnp.int32)
    named = clauses.used[..., None] & (clauses.column[..., None] == column)
    return jnp.any(named, axis=(0, 1, 2))


def _golden_steps(levels):
    """Per column, what is coprime to its levels and next above the golden part of them."""
    golden = jnp.round(GOLDEN * levels.astype(jnp.float32)).astype(jnp.int32)
    least = jnp.maximum(golden, 1)
    tried = least[..., None] + jnp.arange(32, dtype=jnp.int32)  # primes below 32,767 are that near
    coprime = jnp.gcd(tried, levels[..., None]) == 1
    return jnp.take_along_axis(tried, jnp.argmax(coprime, axis=-1)[..., None], axis=-1)[..., 0]


def _mixed(table: SpaceTable, levels, steps, order, number, given):
    """Combination `number` of the coarse order, `(row [D], whether it exists)`."""
    rank = jnp.argsort(order).astype(jnp.int32)
    conditional = jnp.any(table.clauses.used)

    def digit(carry, c):
        rest, row, mixed, power = carry
        exists = jax.lax.cond(
            conditional, lambda: tables.active(table, row)[c], lambda: jnp.ones((), bool)
        )
        free = exists & jnp.isnan(given[c])
        base = jnp.where(free, levels[c], 1)
        safe = jnp.maximum(base, 1)
        own, rest = rest % safe, jnp.where(base > 0, rest // safe, 1)
        level = ((mixed[c] + own) % safe * steps[c] + base // 2) % safe
        value = _values(table, levels, jnp.full(levels.shape, level))[c]
        value = jnp.where(free, value.astype(row.dtype), table.default[c].astype(row.dtype))
        row = row.at[c].set(jnp.where(jnp.isnan(given[c]), value, given[c]))
        modulus = jnp.maximum(levels, 1)
        mixed = (mixed + power * own) % modulus
        return (rest, row, mixed, power * rank % modulus), None

    start = jnp.asarray(table.default).astype(given.dtype)
    start = jnp.where(jnp.isnan(given), start, given)
    zeros = jnp.zeros(levels.shape, jnp.int32)
    (rest, row, _, _), _ = jax.lax.scan(digit, (number, start, zeros, zeros + 1), order)
    return tables.with_given(table, row, given), rest == 0


def _member(table: SpaceTable, number, given):
    """Combination `number` of a pool, `(row [D], whether it exists)`."""
    assert table.pool is not None
    count = jnp.asarray(table.pool.count, jnp.int32)
    step = _golden_steps(count[None])[0]
    place = (number % count * step + count // 2) % count
    row = jnp.take(table.pool.rows, place, axis=0).astype(given.dtype)
    return tables.with_given(table, row, given), number < count


def _values(table: SpaceTable, levels, level):
    """Row coordinates of levels, `[D]`, not yet canonical."""
    dtype = table.low.dtype
    share = level.astype(dtype) / jnp.maximum(levels - 1, 1).astype(dtype)
    share = jnp.where(levels > 1, share, 0.5)
    count = jnp.maximum(table.cardinality, 1)
    whole = levels == count
    ends = (jnp.zeros(levels.shape, jnp.int32), count - 1)
    first, last, exact = (tables.from_code(table, code) for code in (*ends, level))
    spaced = first + share * (last - first)
    value = jnp.where((table.kind == tables.INTEGER) & ~whole, spaced, exact)
    return jnp.where(table.kind == tables.REAL, share, value)


def _usable(table: SpaceTable, rows, given, taken: Taken):
    """`[N]` bool: rows that have what is given, meet the constraints and are not taken."""
    good = protocol.free_of(table, rows, taken) & tables.feasible(table, rows)
    if table.pool is not None:  # of which the nearest member was taken
        kept = jnp.isnan(given) | (rows == given) | (table.role == tables.FIDELITY)
        good &= jnp.all(kept, axis=-1)
    return good
