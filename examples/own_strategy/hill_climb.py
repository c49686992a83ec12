"""A strategy and a scheduler of your own, in a package of your own.

    pip install ./examples/own_strategy

From then on they have names wherever bojax's have: `bojax.Optimizer(space,
strategy="hill_climb")`, `bojax.Sweep(..., scheduler="half_way")`, `--method hill_climb` on the
command line. What makes them known are the two entry points in pyproject.toml.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import bojax
from bojax.pytrees import pytree
from bojax.strategies import Sizes, protocol
from bojax.strategies.protocol import ALTERNATIVES


class State(NamedTuple):
    """The space, and how many rows were asked."""

    table: Any
    asked: Any


@pytree
@dataclass(frozen=True)
class HillClimb:
    """Steps around the best row seen; `step` is a number, so runs are vmapped over it."""

    step: float = 0.1

    def init(self, table: Any, sizes: Sizes) -> State:
        return State(table, np.int32(0))

    def ask(self, state, history, key, q, given=None, wanted=None):
        given = protocol.nothing_given(history, q) if given is None else given
        wanted = q if wanted is None else wanted
        told = protocol.told_lines(history, jnp)
        values = jnp.where(told, history.values[:, 0], jnp.inf)
        best = history.rows[jnp.argmin(values)]
        start = jnp.where(jnp.any(told), best, 0.5)

        def propose(i):
            own = jax.random.fold_in(key, state.asked + i)
            steps = jax.random.normal(own, (ALTERNATIVES, given.shape[1]), history.rows.dtype)
            return jnp.clip(start + self.step * steps, 0.0, 1.0)

        rows, info = protocol.design(state.table, history, given, wanted, propose)
        return state._replace(asked=state.asked + jnp.asarray(wanted, jnp.int32)), rows, info

    def tell(self, state, history):
        return state


def hill_climb(step: float = 0.1) -> HillClimb:
    """Gaussian steps of that size around the best row so far."""
    return HillClimb(step)


def half_way(max_budget: int = 8, trials: int | None = None) -> Any:
    """Half of the budget for all, the whole of it for the better half."""
    return bojax.schedulers.successive_halving(
        max_budget=max_budget, min_budget=max(max_budget // 2, 1), eta=2, trials=trials
    )
