"""Strategies against each other: the same problems, instances and seeds for every one.

Pure strategies run as one compiled program a size class; methods of other libraries run in
processes of their own, a few at a time. Every run is a :class:`Trace`, written when it ends,
so an interrupted comparison goes on where it stopped, and a finished one is read, not run.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import inspect
import json
import os
import platform
import queue
import threading
import time
import traceback
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bojax import acquisitions, kernels
from bojax import strategies as own_strategies
from bojax.benchmark._foreign import Foreign, PeerError, Worker, run_foreign
from bojax.benchmark._programs import Doubled, Group, Runs, checked, group
from bojax.benchmark._report import FOLDERS
from bojax.benchmark._traces import Trace, read_traces, write_traces
from bojax.benchmark.problems._instances import VERSION
from bojax.benchmark.problems._standard import described
from bojax.configuration import cores, single_threaded
from bojax.errors import ConfigError
from bojax.loop import Problem
from bojax.strategies.session import key_bits

# What decides our own runs; a change in any of it makes them run again.
ENGINE = (
    "acquisitions", "kernels", "optimize", "space", "strategies", "surrogates",
    "history.py", "loop.py",
)  # fmt: skip
NOISE_STREAM = 2**28  # the key of a run's noise, as in bojax.loop


@dataclass(frozen=True)
class StrategyComparison:
    """What :func:`compare_strategies` found.

    Attributes:
        traces: a :class:`Trace` a method, problem, instance and seed.

    Example:
        >>> from bojax.benchmark import StrategyComparison, Trace
        >>> StrategyComparison((Trace("a", "p", 0, 0, 1, 1, (1.5,), (0.1,), 0.0, 3.0),)).methods
        ('a',)
    """

    traces: tuple[Trace, ...]

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods in the order of the comparison."""
        return tuple(dict.fromkeys(trace.method for trace in self.traces))

    @property
    def failures(self) -> tuple[Trace, ...]:
        """Runs that ended early, each with its reason in `.failure`."""
        return tuple(trace for trace in self.traces if trace.failure)

    def of(self, method: str) -> tuple[Trace, ...]:
        """The runs of one method."""
        return tuple(trace for trace in self.traces if trace.method == method)


def compare_strategies(
    strategies: Mapping[str, Any],
    problems: Sequence[Problem],
    *,
    seeds: int | Iterable[int] = 5,
    evaluations: int = 40,
    batch: int = 1,
    precision: str = "float32",
    store: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    on_trace: Callable[[Trace, int, int, float], None] | None = None,
) -> StrategyComparison:
    """Run every strategy on every problem with every seed.

    The runs of one problem and seed are paired: they share the seed, the noise stream and the
    noise-free values they are judged by. A strategy that raises, returns NaN or crashes is
    recorded as a failure of its runs (`Trace.failure`), and the rest goes on.

    Args:
        strategies: name -> a strategy (or its name), a :class:`Doubled` one, or a
            :class:`Foreign` (see :func:`foreign`).
        problems: of :mod:`bojax.benchmark.problems`, or one's own.
        seeds: how many, or which.
        evaluations: of each run.
        batch: suggestions made before their values are known.
        precision: "float32" or "float64", of our own programs.
        store: CSV of traces to append to; runs found there with the same content are taken
            over. None keeps nothing.
        workers: processes of foreign methods at a time; None: as many as there are cores.
        on_trace: called with `(trace, done, total, seconds left)` as runs end.

    Returns:
        :class:`StrategyComparison`, traces in the order of strategies, problems and seeds.

    Raises:
        ConfigError: no strategy, no problem, no seed, two problems that cannot be told
            apart, or a setting out of range.

    Example:
        >>> import bojax
        >>> from bojax.benchmark import compare_strategies
        >>> space = bojax.Space({"x": bojax.Float(-1, 1)})
        >>> bowl = bojax.loop.Problem(
        ...     space.table, lambda data, key, rows: (rows[:, 0] - data) ** 2, 0.3,
        ...     optimum=0.0, name="bowl", space=space)
        >>> found = compare_strategies({"random": "random"}, [bowl], seeds=2, evaluations=8)
        >>> [(t.method, t.problem, t.seed, len(t.values)) for t in found.traces]
        [('random', 'bowl', 0, 8), ('random', 'bowl', 1, 8)]
    """
    seeds = tuple(range(seeds) if isinstance(seeds, int) else seeds)
    chosen = {
        name: strategy
        if isinstance(strategy, Foreign | Doubled)
        else own_strategies.by_name(strategy)
        for name, strategy in strategies.items()
    }
    for what, found in (("strategies", chosen), ("problems", problems), ("seeds", seeds)):
        if not found:
            raise ConfigError(f"compare_strategies: no {what}; give at least one.")
    for name, value in (("evaluations", evaluations), ("batch", batch)):
        if value < 1:
            raise ConfigError(f"compare_strategies: {name} must be at least 1, got {value}.")
    if precision not in ("float32", "float64"):
        raise ConfigError(
            f"compare_strategies: precision must be float32 or float64, got {precision!r}."
        )
    comparison = _Comparison(
        chosen, problems, seeds, evaluations, batch, precision == "float64", store, on_trace
    )
    comparison.run(cores() if workers is None else workers)
    return StrategyComparison(tuple(comparison.found[key] for key in comparison.wanted))


class _Comparison:
    """The state of one comparison: what is wanted, what is there, what is left.

    Cells are `(method, number of the problem, seed)`.
    """

    def __init__(
        self, strategies, problems, seeds, evaluations, batch, wide, store, on_trace
    ) -> None:
        self.strategies, self.problems = strategies, list(problems)
        self.evaluations, self.batch, self.wide = evaluations, batch, wide
        self.store, self.on_trace = store, on_trace
        self.instances = _instances(self.problems)
        self.lock = threading.Lock()
        # Seed by seed, so that what an interrupt leaves is whole replications.
        self.cells = [
            (name, p, seed)
            for name in strategies
            for seed in seeds
            for p in range(len(self.problems))
        ]
        self.contents = {
            name: _content_of_method(s, wide, problems) for name, s in strategies.items()
        }
        self.blank = {cell: self._blank(*cell) for cell in self.cells}
        self.wanted = [
            self.blank[name, p, seed].key
            for name in strategies
            for p in range(len(self.problems))
            for seed in seeds
        ]
        self.found: dict[tuple, Trace] = {}
        if store is not None and Path(store).exists():
            known = {trace.key: trace for trace in read_traces([store])}
            for trace in self.blank.values():
                old = known.get(trace.key)
                if old is not None and old.content == trace.content:
                    self.found[trace.key] = old
        self.taken_over = len(self.found)
        self.began = 0.0  # when the first run could begin: compiling is no pace of runs

    def run(self, workers: int) -> None:
        ours = {n: s for n, s in self.strategies.items() if not isinstance(s, Foreign)}
        theirs = {n: s for n, s in self.strategies.items() if isinstance(s, Foreign)}
        groups = group(self.problems)
        jobs = [(name, s, g, cells) for name, s in ours.items() for g in groups
                if (cells := self._left(name, g.numbers))]  # fmt: skip
        with ThreadPoolExecutor(cores()) as pool:
            # Programs compile beside each other, and beside the runs of those that are ready.
            compiled = [pool.submit(self._compile, s, g) for _, s, g, _ in jobs]
            try:
                for (name, _, g, cells), program in zip(jobs, compiled, strict=True):
                    self._run_group(name, g, cells, program)
            finally:
                for program in compiled:
                    program.cancel()
        for name, peer in theirs.items():
            self._run_foreign(name, peer, workers)

    # ------------------------------------------------------------------ our own

    def _compile(self, strategy, group: Group) -> Runs:
        return Runs(strategy, group, evaluations=self.evaluations, batch=self.batch, wide=self.wide)

    def _run_group(self, name, group: Group, cells, program: Future[Runs]) -> None:
        try:
            runs = program.result()
            self.began = self.began or time.monotonic()
        except Exception as error:  # of a strategy that anyone may have written
            reason = f"{type(error).__name__}: {_first_line(error)}"
            for cell in cells:
                self._ended(replace(self.blank[cell], failure=reason))
            return
        for start in range(0, len(cells), runs.chunk):
            part = cells[start : start + runs.chunk]
            with single_threaded(self.evaluations):
                values, broken, seconds = runs(
                    [(group.numbers.index(p), self._seed(p, seed)) for _, p, seed in part]
                )
            spread = np.linspace(0, seconds, self.evaluations + 1)[1:]
            for cell, line, first in zip(part, values, broken, strict=True):
                failure = "" if np.isfinite(line).any() else "no evaluation gave a finite value"
                if first >= 0:
                    failure = f"suggestion {first} is not finite"
                    line = line[:first]
                self._ended(
                    replace(
                        self.blank[cell],
                        values=tuple(map(float, line)),
                        seconds=tuple(map(float, spread[: len(line)])),
                        failure=failure,
                        compile_seconds=round(runs.compile_seconds, 3),
                    )
                )

    # ------------------------------------------------------------------ other libraries'

    def _run_foreign(self, name: str, peer: Foreign, workers: int) -> None:
        left: queue.SimpleQueue = queue.SimpleQueue()
        cells = self._left(name, range(len(self.problems)))
        for cell in cells:
            left.put(cell)
        stop = threading.Event()

        def work() -> None:
            with Worker(peer) as worker:
                while not stop.is_set():
                    try:
                        cell = left.get_nowait()
                    except queue.Empty:
                        return
                    self._ended(self._foreign_run(worker, cell))

        self.began = self.began or time.monotonic()
        with ThreadPoolExecutor(max(1, workers)) as pool:
            running = [pool.submit(work) for _ in range(min(max(1, workers), len(cells)))]
            try:
                for worker in running:
                    worker.result()
            finally:
                stop.set()

    def _foreign_run(self, worker: Worker, cell) -> Trace:
        _, p, seed = cell
        blank, problem = self.blank[cell], self.problems[p]
        free: list[float] = []
        try:
            evaluate = _host_evaluate(problem, self._seed(p, seed), free)
            assert problem.space is not None  # refused by the line above
            _, seconds, failure = run_foreign(
                worker, problem.space, evaluate, seed=self._seed(p, seed) % 2**31,
                evaluations=self.evaluations, batch=self.batch,
            )  # fmt: skip
        except PeerError as error:
            seconds, failure = list[float](), str(error)
        return replace(
            blank, values=tuple(free[: len(seconds)]), seconds=tuple(seconds), failure=failure
        )

    # ------------------------------------------------------------------ keeping account

    def _seed(self, p: int, seed: int) -> int:
        """The seed of a run: another for each problem and instance, the same for each method."""
        label = f"{self.problems[p].name}/{self.instances[p]}/{seed}"
        return zlib.crc32(label.encode())

    def _left(self, name: str, numbers: Iterable[int]) -> list:
        wanted = set(numbers)
        return [
            cell
            for cell in self.cells
            if cell[0] == name and cell[1] in wanted and self.blank[cell].key not in self.found
        ]

    def _blank(self, name: str, p: int, seed: int) -> Trace:
        """The trace of a run that has not begun."""
        problem, strategy = self.problems[p], self.strategies[name]
        entry = described(problem.name)
        run = (
            self.contents[name],
            _content_of_problem(problem),
            seed,
            self.evaluations,
            self.batch,
        )
        foreign = isinstance(strategy, Foreign)
        return Trace(
            method=name,
            problem=problem.name,
            instance=self.instances[p],
            seed=seed,
            batch=self.batch,
            evaluations=self.evaluations,
            values=(),
            seconds=(),
            optimum=float(problem.optimum),
            reference=float(problem.reference),
            family=entry.family,
            half=entry.half,
            content=_hash(run),
            versions=_versions_of(strategy),
            machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
            threads=strategy.threads if foreign else cores(),
        )

    def _ended(self, trace: Trace) -> None:
        trace = replace(
            trace,
            failure=FOLDERS.sub("", trace.failure),
            load=round(os.getloadavg()[0], 2),
            when=time.strftime("%Y-%m-%dT%H:%M:%S"),
        )
        with self.lock:
            self.found[trace.key] = trace
            if self.store is not None:
                write_traces(self.store, [trace])
            done, total = len(self.found), len(self.cells)
            fresh = done - self.taken_over
            left = (time.monotonic() - (self.began or time.monotonic())) / fresh * (total - done)
            if self.on_trace is not None:
                self.on_trace(trace, done, total, left)


def _instances(problems: Sequence[Problem]) -> list[int]:
    """Number of each problem's instance: its own, or counted among those of one name."""
    numbers: list[int] = []
    seen: set[tuple[str, int]] = set()
    for problem in problems:
        number = getattr(problem.data, "number", None)
        if number is None:
            number = sum(name == problem.name for name, _ in seen)
        if (problem.name, int(number)) in seen:
            raise ConfigError(
                f"compare_strategies: {problem.name} instance {int(number)} is there twice; give "
                "problems other names or instances."
            )
        seen.add((problem.name, int(number)))
        numbers.append(int(number))
    return numbers


def _host_evaluate(problem: Problem, seed: int, free: list[float]) -> Callable:
    """`configs -> observed values`; noise-free ones are appended to `free`."""
    if problem.space is None:
        raise PeerError(f"{problem.name}: has no space; foreign methods need names.")
    space, started = problem.space, [0]
    run_key = jax.random.wrap_key_data(jnp.asarray(key_bits(seed)))
    key = jax.random.fold_in(run_key, NOISE_STREAM)

    def evaluate(configs):
        rows = np.atleast_2d(space.encode(list(configs)))
        observed, true = _observe(problem, key, np.int32(started[0]), rows)
        started[0] += len(rows)
        free.extend(map(float, true))
        return [float(value) for value in observed]

    return evaluate


def _observe(problem: Problem, key, start, rows):
    with jax.enable_x64(True):
        return tuple(
            np.asarray(x, float)
            for x in _observe_program(problem.evaluate, problem.truth)(
                problem.table, problem.data, key, start, rows
            )
        )


@functools.cache
def _observe_program(evaluate, truth):
    def observe(table, data, key, start, rows):
        kept = checked(table, rows)
        observed = evaluate(data, jax.random.fold_in(key, start), kept)
        free = Problem(table, evaluate, data, truth=truth).noise_free(kept)
        return observed.reshape(-1), free.reshape(-1)

    return jax.jit(observe)


# ------------------------------------------------------------------ what decides a result


def _content_of_method(strategy: Any, wide: bool, problems: Sequence[Problem]) -> Any:
    if isinstance(strategy, Foreign):
        try:
            return strategy.content()
        except PeerError as error:  # it will fail run by run, with this reason
            return str(error)
    if isinstance(strategy, Doubled):
        return ["doubled", _content_of_method(strategy.strategy, wide, problems)]
    kind = type(strategy)
    source = ""
    if not kind.__module__.startswith("bojax."):
        with contextlib.suppress(OSError, TypeError):
            source = inspect.getsource(kind)
    return [repr(strategy), source, _engine(), jax.__version__, wide]


@functools.cache
def _engine() -> str:
    """Hash of the sources that a run of our own depends on."""
    digest = hashlib.sha256()
    homes = {"kernels": kernels.__file__, "acquisitions": acquisitions.__file__}
    root = Path(__file__).parents[1]
    for part in ENGINE:
        place = Path(str(homes[part])).parent if part in homes else root / part
        for file in [place] if place.is_file() else sorted(place.rglob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _content_of_problem(problem: Problem) -> Any:
    # In single precision: the last bits of a rotation differ between machines.
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves((problem.table, problem.data))]
    numbers = [
        hashlib.sha256(
            (leaf.astype(np.float32) if leaf.dtype.kind == "f" else leaf).tobytes()
        ).hexdigest()
        for leaf in leaves
    ]
    formula = problem.evaluate
    return [problem.name, VERSION, numbers, f"{formula.__module__}.{formula.__qualname__}"]


def _hash(data: Any) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


@functools.cache
def _own_versions() -> str:
    names = ("bojax", "jax", "numpy")
    return ", ".join(f"{name} {metadata.version(name)}" for name in names)


def _versions_of(strategy: Any) -> str:
    if not isinstance(strategy, Foreign):
        return _own_versions()
    try:
        return ", ".join(f"{name} {version}" for name, version in strategy.versions().items())
    except PeerError:
        return ""


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0] if text else traceback.format_exception_only(error)[-1].strip()
