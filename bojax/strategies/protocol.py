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

from bojax.history import TAGS, History, Status
from bojax.space import table as tables
from bojax.space.table import SpaceTable

Q_CLASSES = (1, 2, 4, 8, 16, 32, 64)  # batch sizes a program is compiled for
ALTERNATIVES = 16  # draws a design point has before a finite space counts as crowded


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
    """`[N]` bool: lines with a usable value."""
    status = history.status
    final = (status == Status.DONE) | (status == Status.STOPPED) | (status == Status.PAUSED)
    return final & xp.isfinite(history.values[:, 0])


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
    q, d = given.shape
    taken = taken_by(history, q)

    def one(i, carry):
        rows, raw, valid, taken = carry
        unit = propose(i)
        # Canonical only once the given is in: it may decide which columns exist.
        candidates = tables.with_given(table, tables.from_unit(table, unit), given[i])
        equal = tables.same_configuration(table, candidates[:, None], taken.rows[None])
        open_ = ~jnp.any(equal & taken.mask[None], axis=1)
        pick = jnp.argmax(open_)
        row = candidates[pick]
        spot = history.capacity + i
        taken = Taken(taken.rows.at[spot].set(row), taken.mask.at[spot].set(open_[pick]))
        return rows.at[i].set(row), raw.at[i].set(unit[pick]), valid.at[i].set(open_[pick]), taken

    zeros = jnp.zeros((q, d), history.rows.dtype)
    start = (zeros, zeros, jnp.zeros(q, bool), taken)
    rows, raw, valid, _ = jax.lax.fori_loop(0, wanted, one, start)
    return rows, Info(jnp.zeros((q, TAGS), jnp.int32), raw, valid)


def nothing_given(history: History, q: int):
    """`given` when the caller fixes nothing."""
    return jnp.full((q, history.rows.shape[1]), jnp.nan, history.rows.dtype)


def shift_of(key, dimensions: int):
    """The run's digital shift of its Sobol sequence, `uint32[dimensions]`."""
    # A number no suggestion will have, so that the shift shares no bits with one.
    return jax.random.bits(jax.random.fold_in(key, 2**31 - 1), (dimensions,), jnp.uint32)
