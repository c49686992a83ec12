"""Quasi-random search: one shifted Sobol sequence, in the scale searched in.

Sobol (1967), with the direction numbers of Joe & Kuo (2008) and a random digital shift a
run. Point i is suggestion i, so a design never repeats itself and can be continued. An
infeasible point gives way to a feasible random draw.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from bojax.history import History
from bojax.optimize import sobol as sobol_points
from bojax.pytrees import pytree
from bojax.space.table import SpaceTable
from bojax.strategies import protocol
from bojax.strategies._random import State, feasible_points
from bojax.strategies.protocol import ALTERNATIVES, Sizes


@pytree
@dataclass(frozen=True)
class Sobol:
    """Quasi-random search; see :func:`sobol`.

    Attributes:
        centre: whether suggestion 0 is the centre of the space.

    Example:
        >>> import bojax
        >>> bojax.strategies.Sobol(centre=True).centre
        True
    """

    centre: bool = field(default=False, metadata={"static": True})

    independent = True  # a row depends on its number: a session asks for many at once

    def init(self, table: SpaceTable, sizes: Sizes) -> State:
        """State before the first suggestion."""
        return State(table, np.int32(0))  # NumPy: making it compiles nothing

    def ask(self, state: State, history: History, key, q: int, given=None, wanted=None):
        """The next `q` points of the sequence; a taken one gives way to a random draw."""
        given = protocol.nothing_given(history, q) if given is None else given
        wanted = q if wanted is None else wanted
        d = given.shape[1]
        points = sobol_points(state.asked, q, d, protocol.shift_of(key, d))
        points = points.astype(history.rows.dtype)

        def propose(i):
            own = jax.random.fold_in(key, state.asked + i)
            spare = jax.random.uniform(own, (ALTERNATIVES - 1, d), points.dtype)
            first = points[i]
            if self.centre:
                first = jnp.where(state.asked + i == 0, 0.5, first)
            unit = jnp.concatenate([first[None], spare])
            return feasible_points(state.table, own, unit, given[i])

        rows, info = protocol.design(state.table, history, given, wanted, propose)
        asked = state.asked + jnp.asarray(wanted, jnp.int32)
        return state._replace(asked=asked), rows, info

    def tell(self, state: State, history: History) -> State:
        """Nothing to learn."""
        return state


def sobol(*, centre: bool = False) -> Sobol:
    """Quasi-random search.

    Args:
        centre: begin with the centre of the space.

    Example:
        >>> import bojax
        >>> space = bojax.Space({"x": bojax.Float(0, 1)})
        >>> bojax.Optimizer(space, strategy=bojax.strategies.sobol(centre=True)).ask().config
        {'x': 0.5}
    """
    return Sobol(centre=centre)
