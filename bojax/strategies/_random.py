"""Random search: independent uniform draws in the scale searched in.

Bergstra & Bengio (2012), "Random Search for Hyper-Parameter Optimization", JMLR 13. The
baseline everything is to be held against, also at twice the budget. Under constraints the
draws are spread over what is feasible: a feasible one of the alternatives if there is one,
else the end of a short walk from a feasible row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bojax.history import History
from bojax.optimize.walk import made_feasible, to_unit
from bojax.pytrees import pytree
from bojax.space import table as tables
from bojax.space.table import SpaceTable
from bojax.strategies import protocol
from bojax.strategies.protocol import ALTERNATIVES, Sizes


class State(NamedTuple):
    """The space and how many rows were asked so far."""

    table: SpaceTable
    asked: Any


@pytree
@dataclass(frozen=True)
class Random:
    """Random search; see :func:`random`.

    Example:
        >>> import bojax
        >>> isinstance(bojax.strategies.random(), bojax.strategies.Random)
        True
    """

    independent = True  # a row depends on its number: a session asks for many at once

    def init(self, table: SpaceTable, sizes: Sizes) -> State:
        """State before the first suggestion."""
        return State(table, np.int32(0))  # NumPy: making it compiles nothing

    def ask(self, state: State, history: History, key, q: int, given=None, wanted=None):
        """`q` uniform rows; suggestion i depends on the key and i alone, unless it is taken."""
        given = protocol.nothing_given(history, q) if given is None else given
        wanted = q if wanted is None else wanted

        def propose(i):
            own = jax.random.fold_in(key, state.asked + i)
            unit = jax.random.uniform(own, (ALTERNATIVES, given.shape[1]), history.rows.dtype)
            return feasible_points(state.table, own, unit, given[i])

        rows, info = protocol.design(state.table, history, given, wanted, propose)
        asked = state.asked + jnp.asarray(wanted, jnp.int32)
        return state._replace(asked=asked), rows, info

    def tell(self, state: State, history: History) -> State:
        """Nothing to learn."""
        return state


def feasible_points(table: SpaceTable, key, unit, given):
    """Points of the cube `[N, D]` that are feasible rows, those that were so already first."""
    if table.rules is None:
        return unit
    rows = tables.with_given(table, tables.from_unit(table, unit), given)
    order = jnp.argsort(~tables.feasible(table, rows, inside=True), stable=True)
    return to_unit(table, made_feasible(table, key, rows, given))[order]


def random() -> Random:
    """Random search.

    Example:
        >>> import bojax
        >>> space = bojax.Space({"x": bojax.Float(0, 1)})
        >>> sorted(bojax.Optimizer(space, strategy=bojax.strategies.random()).ask().config)
        ['x']
    """
    return Random()
