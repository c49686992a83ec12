"""Whole runs as one pure function: jit it, vmap it over keys, problems and settings.

The same strategies as behind `Optimizer`, without the host: at a fixed history and in
float64 both suggest the same rows within 1e-6 (floating-point addition is not associative,
and two programs add in different orders).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bojax.history import History, Status, capacity_for, empty_history
from bojax.pytrees import pytree
from bojax.space import Space, SpaceTable
from bojax.strategies import Sizes


@pytree
@dataclass(frozen=True)
class Problem:
    """Something to minimise, as data: instances with other shifts and tables are vmapped.

    Attributes:
        table: the space, a :class:`~bojax.space.SpaceTable`.
        evaluate: `(data, key, rows[q, D]) -> values[q]`, or `[q, M]` of several objectives;
            pure. Rows are canonical, in the unit cube. NaN is a failed evaluation.
        data: whatever `evaluate` needs, a pytree of arrays.
        optimum: the least noise-free value there is, NaN if unknown.
        name: for tables and pictures; instances of a function share it.
        space: the :class:`~bojax.space.Space` behind the table, for doors that need
            configurations with names; None where nobody asks.
        truth: `(data, rows[q, D]) -> values[q]` without noise; None where `evaluate` has none.
        reference: the median noise-free value over the space, NaN if unknown. The regret
            (value - optimum) / (reference - optimum) is 1 for the median random point.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import bojax
        >>> space = bojax.Space({"x": bojax.Float(-1, 1)})
        >>> problem = bojax.loop.Problem(
        ...     space.table, lambda data, key, rows: (rows[:, 0] - data) ** 2, jnp.array(0.3))
        >>> history = bojax.loop.run(
        ...     bojax.strategies.random(), problem, jax.random.key(0), evaluations=8)
        >>> history.values.shape
        (64, 1)
    """

    table: SpaceTable
    evaluate: Callable = field(metadata={"static": True})
    data: Any = 0.0
    optimum: Any = float("nan")
    name: str = field(default="problem", metadata={"static": True})
    space: Space | None = field(default=None, metadata={"static": True})
    truth: Callable | None = field(default=None, metadata={"static": True})
    reference: Any = float("nan")

    def noise_free(self, rows) -> Any:
        """Values of `rows [q, D]` without noise, `[q]`; whatever measures regret looks at these.

        Example:
            >>> import jax.numpy as jnp
            >>> import bojax
            >>> space = bojax.Space({"x": bojax.Float(-1, 1)})
            >>> problem = bojax.loop.Problem(space.table, lambda data, key, rows: rows[:, 0])
            >>> problem.noise_free(jnp.full((1, 4), 0.5)).tolist()
            [0.5]
        """
        data, rows = _traced((self.data, rows))
        if self.truth is not None:
            return self.truth(data, rows)
        return self.evaluate(data, None, rows)


def run(
    strategy: Any,
    problem: Problem,
    key: Any,
    *,
    evaluations: int,
    batch: int = 1,
) -> History:
    """A run from an empty history to `evaluations` results. Pure.

    Args:
        strategy: a strategy value.
        problem: what to minimise.
        key: the run's `jax.random.key`.
        evaluations: how many in all; static.
        batch: rows asked for, and evaluated, at a time; static.

    Returns:
        The :class:`~bojax.history.History`, line i the i-th evaluation.

    Raises:
        ValueError: evaluations or batch below 1.

    Example:
        >>> import jax
        >>> import bojax
        >>> space = bojax.Space({"x": bojax.Float(-1, 1)})
        >>> problem = bojax.loop.Problem(
        ...     space.table, lambda data, key, rows: (rows[:, 0] - 0.3) ** 2)
        >>> one = lambda key: bojax.loop.run(
        ...     bojax.strategies.sobol(), problem, key, evaluations=16)
        >>> runs = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), 3))
        >>> bojax.loop.best_so_far(runs).shape
        (3, 64)
    """
    for name, value in (("evaluations", evaluations), ("batch", batch)):
        if value < 1:
            raise ValueError(f"run: {name} must be at least 1, got {value}.")
    table, data = _traced((problem.table, problem.data))
    columns = table.columns
    dtype = jnp.result_type(float)
    capacity = capacity_for(evaluations)
    batch_of_rows = jax.ShapeDtypeStruct((batch, columns), dtype)
    values = jax.eval_shape(problem.evaluate, data, key, batch_of_rows)
    objectives = values.size // batch
    blank = empty_history(capacity, columns, objectives)
    history = History(*(jnp.asarray(x, dtype if x.dtype.kind == "f" else x.dtype) for x in blank))
    state = strategy.init(table, Sizes(objectives, evaluations=evaluations))
    noise_key = jax.random.fold_in(key, 2**28)

    def step(carry, start):
        state, history = carry
        wanted = jnp.minimum(batch, evaluations - start).astype(jnp.int32)
        state, rows, info = strategy.ask(state, history, key, batch, None, wanted)
        values = problem.evaluate(data, jax.random.fold_in(noise_key, start), rows)
        values = jnp.asarray(values, dtype).reshape(batch, -1)
        usable = jnp.all(jnp.isfinite(values), axis=1) & info.valid
        # A row that was suggested although it is taken says nothing new, nor that it failed.
        status = jnp.where(usable, Status.DONE, Status.FAILED)
        status = jnp.where(info.valid, status, Status.STALE)
        number = jnp.arange(batch, dtype=jnp.int32)
        # Rows beyond `wanted` go to a line outside, which scatter drops.
        line = jnp.where(number < wanted, start + number, capacity)

        def put(leaf, new):
            return leaf.at[line].set(new.astype(leaf.dtype), mode="drop")

        history = history._replace(
            trial=put(history.trial, line),
            rows=put(history.rows, rows),
            values=put(history.values, jnp.where(usable[:, None], values, jnp.nan)),
            status=put(history.status, status),
            tag=put(history.tag, info.tag),
            raw=put(history.raw, info.raw),
        )
        return (strategy.tell(state, history), history), None

    starts = jnp.arange(0, evaluations, batch, dtype=jnp.int32)
    (_, history), _ = jax.lax.scan(step, (state, history), starts)
    return history


def _traced(tree: Any) -> Any:
    """Leaves as JAX arrays of this trace's precision.

    NumPy arrays are copied: JAX would keep what they became as constants of this trace, and
    hand that to a later program of the other precision.
    """
    return jax.tree.map(lambda x: jnp.asarray(x.copy() if isinstance(x, np.ndarray) else x), tree)


def best_so_far(history: History) -> Any:
    """Least value up to each line, `[..., N]`; inf before the first success.

    Of several objectives the first.

    Example:
        >>> import bojax
        >>> from bojax.history import empty_history
        >>> float(bojax.loop.best_so_far(empty_history(64, columns=4))[0])
        inf
    """
    done = jnp.asarray(history.status == Status.DONE)
    values = jnp.asarray(history.values)[..., 0]
    kept = jnp.where(done & jnp.isfinite(values), values, jnp.inf)
    return jax.lax.cummin(kept, axis=kept.ndim - 1)
