"""What a strategy is: a value with three pure functions.

A strategy is a frozen dataclass registered as a pytree: numeric settings are leaves, so
they can be vmapped over; structure is static.

    init(table, sizes)                                     -> state
    ask(state, history, key, q, given=None, wanted=None)   -> state, rows[q, D], info
    tell(state, history)                                   -> state

`q` is static, a class; rows beyond the traced `wanted` change neither the state nor the
other rows. `given[q, D]` fixes columns and is NaN where `ask` chooses. `key` is the run's:
suggestion i draws from `fold_in(key, i)`, i counting suggestions, never calls, so that what
is suggested depends on the seed and the history alone. A strategy's state holds only what
the history cannot give back.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np

from bojax.errors import ConfigError
from bojax.history import TAGS, History, Status
from bojax.space import table as tables
from bojax.space.table import SpaceTable

Q_CLASSES = (1, 2, 4, 8, 16, 32, 64)  # batch sizes a program is compiled for
SEVERAL = ("nsga2", "random", "sobol", "grid")  # strategies that take several objectives
ALTERNATIVES = 16  # draws a design point has before a finite space counts as crowded

# Points before a model is used. Ax's centre + 4 Sobol led eight recipes at 50 evaluations on seven
# shifted boxes, and 3, 5 and 10 could not be told apart on the tuning half (docs/decisions/0004).
DESIGN = 5
DESIGN_SHARE = 4  # no more than this part of the evaluations, or of a finite space


class Sizes(NamedTuple):
    """Static sizes of a run.

    Attributes:
        objectives: M.
        constraints: J.
        evaluations: how many the run will make, or None.

    Example:
        >>> from bojax.strategies import Sizes
        >>> Sizes().objectives
        1
    """

    objectives: int = 1
    constraints: int = 0
    evaluations: int | None = None


class Info(NamedTuple):
    """What `ask` says beside the rows; the door writes it into the history.

    Attributes:
        tag: `[q, 4]` int32, the strategy's own.
        raw: `[q, D]` the sample before rounding.
        valid: `[q]` bool, False where every candidate was taken.

    Example:
        >>> from bojax.strategies import Info
        >>> Info._fields
        ('tag', 'raw', 'valid')
    """

    tag: Any
    raw: Any
    valid: Any


@runtime_checkable
class Strategy(Protocol):
    """The protocol; any frozen pytree dataclass with these methods is a strategy.

    Example:
        >>> import bojax
        >>> from bojax.strategies import Strategy
        >>> isinstance(bojax.strategies.random(), Strategy)
        True
    """

    def init(self, table: SpaceTable, sizes: Sizes) -> Any:
        """The state before the first suggestion."""

    def ask(
        self, state: Any, history: History, key: Any, q: int, given: Any = None, wanted: Any = None
    ) -> tuple[Any, Any, Info]:
        """`q` rows to evaluate next."""

    def tell(self, state: Any, history: History) -> Any:
        """The state after results entered the history."""


def told_lines(history: History, xp):
    """`[N]` bool: lines with a usable value of every objective."""
    status = history.status
    final = (status == Status.DONE) | (status == Status.STOPPED) | (status == Status.PAUSED)
    return final & xp.all(xp.isfinite(history.values), axis=1)


def refuse_several(name: str, sizes: Sizes) -> None:
    """One objective, no black-box constraints.

    Raises:
        ConfigError: there are others.
    """
    if sizes.objectives != 1:
        raise ConfigError(
            f"strategy: {name!r} takes one objective, got {sizes.objectives}; give one of "
            f"{', '.join(SEVERAL)}, or weigh them into one value."
        )
    if sizes.constraints:
        raise ConfigError(
            f"strategy: {name!r} takes no black-box constraints, got {sizes.constraints}; put what "
            "is broken into the value."
        )


SAME_BUDGET = 1e-6  # of the range of the fidelity


def told_at_one_budget(table: SpaceTable, history: History, least):
    """`[N]` bool: told lines at the largest budget that has at least so many; all if no fidelity.

    Args:
        table: the space.
        history: what was told.
        least: results a budget must have, traced.
    """
    told = told_lines(history, jnp)
    budget = jnp.sum(jnp.where(table.role == tables.FIDELITY, history.rows, 0.0), axis=1)

    def at_one():
        seen = jnp.sort(jnp.where(told, budget, -1.0))
        last = jnp.searchsorted(seen, seen + SAME_BUDGET, side="right")
        alike = last - jnp.searchsorted(seen, seen - SAME_BUDGET)
        level = jnp.max(jnp.where((alike >= least) & (seen >= 0.0), seen, -1.0))
        return told & (jnp.abs(budget - level) <= SAME_BUDGET)

    return jax.lax.cond(jnp.any(table.role == tables.FIDELITY), at_one, lambda: told)


class Taken(NamedTuple):
    """Rows that may not be suggested again: `rows [T, D]` where `mask [T]`."""

    rows: Any
    mask: Any


def taken_by(history: History, room: int) -> Taken:
    """Every line of the history, with room for the suggestions of one call."""
    blank = jnp.zeros((room, history.rows.shape[1]), history.rows.dtype)
    rows = jnp.concatenate([history.rows, blank])
    mask = jnp.concatenate([history.status != Status.EMPTY, jnp.zeros(room, bool)])
    return Taken(rows, mask)


class Proposal(NamedTuple):
    """One row: canonical `row [D]`, `raw [D]` before rounding, and whether nothing equals it."""

    row: Any
    raw: Any
    valid: Any
    tag: Any = (0,) * TAGS


def one_by_one(history: History, q: int, wanted, start, propose) -> tuple[Any, Any, Info]:
    """Rows of a batch, each chosen in knowledge of those before it.

    Args:
        history: what is taken.
        q: static.
        wanted: how many rows count, traced.
        start: what is known before the first, any pytree.
        propose: `(i, known, taken) -> (known, Proposal)`.

    Returns:
        What is known after the last, `rows [q, D]` and :class:`Info`.
    """
    d = history.rows.shape[1]

    def one(i, carry):
        known, rows, info, taken = carry
        known, found = propose(i, known, taken)
        spot = history.capacity + i
        taken = Taken(taken.rows.at[spot].set(found.row), taken.mask.at[spot].set(found.valid))
        info = Info(
            info.tag.at[i].set(jnp.asarray(found.tag, jnp.int32)),
            info.raw.at[i].set(found.raw),
            info.valid.at[i].set(found.valid),
        )
        return known, rows.at[i].set(found.row), info, taken

    zeros = jnp.zeros((q, d), history.rows.dtype)
    info = Info(jnp.zeros((q, TAGS), jnp.int32), zeros, jnp.zeros(q, bool))
    carry = (start, zeros, info, taken_by(history, q))
    known, rows, info, _ = jax.lax.fori_loop(0, wanted, one, carry)
    return known, rows, info


def free_of(table: SpaceTable, rows, taken: Taken):
    """`[N]` bool: canonical rows that no taken one equals."""
    equal = tables.same_configuration(table, rows[:, None], taken.rows[None])
    return ~jnp.any(equal & taken.mask[None], axis=1)


def first_free(table: SpaceTable, unit, given, taken: Taken) -> Proposal:
    """The first of `[N, D]` points of the cube that, with what is given, no taken row equals."""
    # Canonical only once the given is in: it may decide which columns exist.
    candidates = tables.with_given(table, tables.from_unit(table, unit), given)

    def of_all():
        open_ = free_of(table, candidates, taken)
        pick = jnp.argmax(open_)
        return pick, open_[pick]

    # The first nearly always is; the others are held against the history where it is not.
    first = free_of(table, candidates[:1], taken)[0]
    pick, valid = jax.lax.cond(first, lambda: (jnp.zeros_like(jnp.argmax(first)), first), of_all)
    return Proposal(candidates[pick], unit[pick], valid)


def design(table: SpaceTable, history: History, given, wanted, propose) -> tuple[Any, Info]:
    """Rows of a fixed design, each the first of its alternatives that nothing equals.

    Args:
        table: the space.
        history: what is taken.
        given: `[q, D]`, or None.
        wanted: how many rows count, traced.
        propose: index in the batch -> `[ALTERNATIVES, D]` points of the unit cube.

    Returns:
        `rows [q, D]` and :class:`Info`.
    """

    def one(i, known, taken):
        return known, first_free(table, propose(i), given[i], taken)

    _, rows, info = one_by_one(history, given.shape[0], wanted, (), one)
    return rows, info


def design_size(table: SpaceTable, evaluations: int | None):
    """Points of a design, int32: one for two parameters, at least 5, never a run's larger part.

    Args:
        table: the space, whose parameters may be traced.
        evaluations: how many the run will make, or None.

    Example:
        >>> import bojax
        >>> from bojax.strategies import protocol
        >>> table = bojax.Space({f"x{i}": bojax.Float(0, 1) for i in range(30)}).table
        >>> int(protocol.design_size(table, None)), int(protocol.design_size(table, 40))
        (15, 10)
    """
    xp = np if isinstance(table.used, np.ndarray) else jnp  # on the host nothing is compiled
    free = xp.sum(table.used & (table.role == tables.PARAMETER), dtype=xp.int32)
    size = xp.maximum(DESIGN, (free + 1) // 2)
    most = xp.minimum(tables.cells(table, xp), 2.0**30).astype(xp.int32)
    if evaluations is not None:
        most = xp.minimum(most, evaluations)
    return xp.minimum(size, xp.maximum(2, most // DESIGN_SHARE)).astype(xp.int32)


def initial_of(told, table: SpaceTable, sizes: Sizes):
    """The size of a design as its user set it, or :func:`design_size`."""
    if told is None:
        return design_size(table, sizes.evaluations)
    return told.astype(jnp.int32) if isinstance(told, jax.Array) else np.int32(told)


def nothing_given(history: History, q: int):
    """`given` when the caller fixes nothing."""
    return jnp.full((q, history.rows.shape[1]), jnp.nan, history.rows.dtype)


def shift_of(key, dimensions: int):
    """The run's digital shift of its Sobol sequence, `uint32[dimensions]`."""
    # A number no suggestion will have, so that the shift shares no bits with one.
    return jax.random.bits(jax.random.fold_in(key, 2**31 - 1), (dimensions,), jnp.uint32)
