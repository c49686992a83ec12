"""Whole runs of a strategy on many problems, seeds and instances as one compiled program.

Problems of one size class differ in data only, so a strategy compiles once for all of them.
Runs are sharded over the local devices; on each they go through
:func:`bojax.optimize.batching.over_batch`.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from bojax import loop
from bojax.configuration import jit
from bojax.history import Status
from bojax.loop import Problem
from bojax.optimize.batching import over_batch
from bojax.space import table as tables

# Runs of one dispatch on each device. One after the other on a CPU, so few: progress is shown,
# and an interrupt loses no more than these. Side by side on an accelerator, so many.
LANES = {"cpu": 4}
LANES_ELSEWHERE = 128
MOST_COMPILED = 64  # programs kept for the next comparison of this process

COMPILED: dict[Any, Callable] = {}


@dataclass(frozen=True)
class Doubled:
    """A strategy given twice the evaluations, of which the better of each pair counts.

    Random search at twice the budget is the yardstick that L. Li et al., "Hyperband", JMLR
    18 (2018), section 4.2, found hard to beat.

    Attributes:
        strategy: a pure strategy.

    Example:
        >>> import bojax
        >>> from bojax.benchmark import Doubled
        >>> Doubled(bojax.strategies.random()).strategy
        Random()
    """

    strategy: Any


@dataclass(frozen=True)
class Group:
    """Problems that share a program: the same functions, and arrays of the same shapes.

    Attributes:
        problems: one or more.
        numbers: where they stand in the caller's list.
        key: what they share.
    """

    problems: tuple[Problem, ...]
    numbers: tuple[int, ...]
    key: Any


def group(problems: Sequence[Problem]) -> list[Group]:
    """Problems by the program they share, in the order in which they first appear.

    Example:
        >>> from bojax.benchmark import problems
        >>> from bojax.benchmark._programs import group
        >>> made = [problems.branin(), problems.hartmann3(), problems.hartmann6()]
        >>> [g.numbers for g in group(made)]
        [(0, 1), (2,)]
    """
    found: dict[Any, list[int]] = {}
    for number, problem in enumerate(problems):
        leaves, structure = jax.tree.flatten((problem.table, problem.data))
        shapes = tuple((np.shape(leaf), np.asarray(leaf).dtype.str) for leaf in leaves)
        key = (problem.evaluate, problem.truth, structure, shapes)
        found.setdefault(key, []).append(number)
    return [
        Group(tuple(problems[i] for i in chosen), tuple(chosen), key)
        for key, chosen in found.items()
    ]


class Runs:
    """A compiled program: a chunk of runs of one strategy on the problems of one group.

    Args:
        strategy: pure, or :class:`Doubled`.
        group: the problems.
        evaluations, batch: of every run.
        wide: whether to compute in float64, as `Optimizer` does.

    Attributes:
        chunk: runs of one call.
        compile_seconds: tracing, lowering and compiling.
    """

    def __init__(
        self, strategy: Any, group: Group, *, evaluations: int, batch: int, wide: bool
    ) -> None:
        devices = jax.local_devices()
        lanes = LANES.get(devices[0].platform, LANES_ELSEWHERE)
        self.group, self.wide, self.chunk = group, wide, lanes * len(devices)
        self.devices = len(devices)
        self._times = 2 if isinstance(strategy, Doubled) else 1
        inner = strategy.strategy if isinstance(strategy, Doubled) else strategy
        sizes = (evaluations * self._times, batch * self._times)
        one = _one_run(inner, group.problems[0], *sizes)
        key = (_identity(inner), group.key, sizes, wide, devices[0].platform, len(devices))
        try:
            hash(key)
        except TypeError:  # of a strategy that cannot be told from another: compiled each time
            key = (object(), *key[1:])
        began = time.perf_counter()
        if key not in COMPILED:
            COMPILED[key] = self._compiled(one, devices)
            for old in list(COMPILED)[:-MOST_COMPILED]:
                COMPILED.pop(old, None)
        self._program = COMPILED[key]
        self.compile_seconds = time.perf_counter() - began
        self._free = free_values(group.problems[0])

    def __call__(self, cells: Sequence[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray, float]:
        """Noise-free values of some runs.

        Args:
            cells: `(number within the group, seed of the run)`, at most `chunk`.

        Returns:
            `values [len(cells), evaluations]`, NaN where an evaluation failed; for each run
            the number of its first suggestion that is not finite, -1 if all are; and the
            seconds a run took of one device.
        """
        began = time.perf_counter()
        with jax.enable_x64(self.wide):
            tables_, data, seeds = self._arguments(cells)
            rows, good = jax.block_until_ready(self._program(tables_, data, seeds))
            seconds = (time.perf_counter() - began) * self.devices / self.chunk
            free = np.asarray(self._free(tables_, data, np.asarray(rows)), float)
        values = np.where(np.asarray(good), free, np.nan)[: len(cells)]
        bad = ~np.isfinite(np.asarray(rows)[: len(cells)]).all(axis=-1)
        broken = np.where(bad.any(axis=1), bad.argmax(axis=1) // self._times, -1)
        if self._times > 1:
            pairs = values.reshape(len(cells), -1, self._times)
            values = np.where(np.isnan(pairs).all(-1), np.nan, np.fmin.reduce(pairs, axis=-1))
        return values, broken, seconds

    def _compiled(self, one: Callable, devices) -> Callable:
        mesh = jax.make_mesh(
            (len(devices),), ("runs",), axis_types=(jax.sharding.AxisType.Auto,), devices=devices
        )
        spec = PartitionSpec("runs")
        mapped = jax.shard_map(
            over_batch(one), mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False
        )
        with jax.enable_x64(self.wide):
            return jit(mapped).lower(*self._arguments([(0, 0)])).compile()

    def _arguments(self, cells):
        """Tables, data and keys of a chunk; a short one repeats its first run."""
        filled = [*cells, *[cells[0]] * (self.chunk - len(cells))]
        chosen = [(self.group.problems[p].table, self.group.problems[p].data) for p, _ in filled]
        stacked = jax.tree.map(lambda *leaves: self._cast(np.stack(leaves)), *chosen)
        seeds = np.array([[s >> 32, s & 0xFFFFFFFF] for _, s in filled], np.uint32)
        return (*stacked, seeds)

    def _cast(self, leaf):
        wide = np.float64 if self.wide else np.float32
        return leaf.astype(wide) if leaf.dtype.kind == "f" else leaf


def _identity(strategy: Any) -> Any:
    """What makes two strategies the same program: structure and settings, or the object."""
    leaves, structure = jax.tree.flatten(strategy)
    numbers = tuple(
        leaf if leaf is strategy else (np.asarray(leaf).dtype.str, np.asarray(leaf).tobytes())
        for leaf in leaves
    )
    return structure, numbers


def _one_run(strategy, like: Problem, evaluations: int, batch: int) -> Callable:
    """`(table, data, bits) -> rows [evaluations, D], good [evaluations]` of one run."""

    def one(table, data, bits):
        def evaluate(data, key, rows):
            return like.evaluate(data, key, checked(table, rows))

        problem = Problem(table, evaluate, data)
        key = jax.random.wrap_key_data(bits)
        history = loop.run(strategy, problem, key, evaluations=evaluations, batch=batch)
        rows = checked(table, history.rows[:evaluations])
        return rows, history.status[:evaluations] == Status.DONE

    return one


def free_values(like: Problem) -> Callable:
    """`(tables, data, rows [B, n, D]) -> values [B, n]` without noise, one program a shape.

    Every strategy of a comparison uses the same, so that the functions compile once.
    """
    return _free_program(like.evaluate, like.truth)


@functools.cache
def _free_program(evaluate, truth):
    def one(table, data, rows):
        problem = Problem(table, evaluate, data, truth=truth)
        return jnp.asarray(problem.noise_free(checked(table, rows))).reshape(-1)

    return jit(over_batch(one))


def checked(table, rows):
    """Rows as configurations: nobody gains from leaving the box, and NaN stays NaN."""
    finite = jnp.all(jnp.isfinite(rows), axis=-1, keepdims=True)
    return jnp.where(finite, tables.canonical(table, rows), jnp.nan)
