"""Chunks and ceilings by measurement: wasted arithmetic against another compilation.

A model padded to a wide ceiling wastes arithmetic; every further ceiling compiles programs of
its own. Which is worth more depends on the machine, the model and the budget, so that it is
asked for, not done unasked: what is timed differs from run to run, and with the ceilings differ
the last bits of a sweep. The choice is plain numbers, to be written into the task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bojax.history import Job
from bojax.training.executor import LocalExecutor
from bojax.training.hyper import Schema, power_of_two
from bojax.training.plan import CPU_CHUNK
from bojax.training.task import Task

CHUNKS = {"cpu": (1, 2, 4, 8, 16)}
ACCELERATOR_CHUNKS = (16, 64, 256)
ALIKE = 1.05  # a larger chunk must be faster by more than this: a small one idles less
SAMPLE = 256  # configurations that stand for those the sweep will draw
PASSES = 2  # timed after the first, whose caches are cold; the fastest counts
LONG = 0.5  # seconds: a first pass of so many is timed well enough
SLOTS = 16  # members timed, at least


@dataclass(frozen=True)
class Timing:
    """One timed shape: seconds of a member's step, and of compiling the programs."""

    what: str
    step: float
    compile: float


@dataclass(frozen=True)
class Measured:
    """What measuring chose.

    Attributes:
        chunk: members a device trains at once.
        padded: parameter -> ceilings, as a :class:`bojax.Task` takes them.
        timings: what was timed.
        seconds: expected of the whole run, training and compiling, by ceilings tried: text ->
            seconds; the chosen one has least.

    Example:
        >>> from bojax.training.measured import Measured, Timing
        >>> print(Measured(4, {"width": (16, 64)}, (Timing("chunk 4", 2e-5, 1.5),), {}))
        timed              us a member's step   s to compile
        chunk 4                          20.0            1.5
        chosen: chunk=4, padded={'width': [16, 64]}
    """

    chunk: int
    padded: Mapping[str, tuple[int, ...]]
    timings: tuple[Timing, ...]
    seconds: Mapping[str, float]

    def __str__(self) -> str:
        lines = [f"{'timed':<18} {'us a member' + chr(39) + 's step':>18} {'s to compile':>14}"]
        lines += [f"{t.what:<18} {1e6 * t.step:>18.1f} {t.compile:>14.1f}" for t in self.timings]
        lines += [f"{what}: {seconds:.1f} s expected" for what, seconds in self.seconds.items()]
        ceilings = {name: list(values) for name, values in self.padded.items()}
        return "\n".join([*lines, f"chosen: chunk={self.chunk}, padded={ceilings}"])


def measure(
    make: Callable[..., LocalExecutor], task: Task, space: Any, *, steps: float, seed: int = 0
) -> Measured:
    """Time a step of several chunks, and of the narrowest and widest ceiling of each parameter.

    Args:
        make: `(task, chunk) -> LocalExecutor` with a budget of epochs, at least 3.
        task, space: of the sweep.
        steps: of all its members together.
        seed: of the configurations drawn.
    """
    sample = space.sample(SAMPLE, seed=seed)
    schema = Schema.of(space, static=task.static, padded=task.padded)
    free = [name for name, ceilings in task.padded if not ceilings]
    highs = {c.name: c.high for c in schema.parameters if c.name in free}
    common = _most_common(schema, sample)
    common |= {name: high for name, high in highs.items() if name in common}
    timings, chunk, best, compiled = [], CPU_CHUNK, np.inf, 0.0
    platform = make(task, None).platform
    for candidate in CHUNKS.get(platform, ACCELERATOR_CHUNKS):
        step, seconds = _timed(make(task, candidate), common)
        timings.append(Timing(f"chunk {candidate}", step, seconds))
        if step * ALIKE < best:
            chunk, best, compiled = candidate, step, seconds
    padded: dict[str, tuple[int, ...]] = {n: c for n, c in task.padded if c}
    expected: dict[str, float] = {}
    # Static values have programs of their own already; a ceiling is compiled for each of them.
    programs = len({structure.key[0] for structure in schema.structures(sample)})
    for name, high in highs.items():
        values = np.array([config.get(name, 1) for config in sample])
        candidates = _candidates(int(values.min()), high)
        low, seconds = _timed(make(task, chunk), common | {name: candidates[0]})
        timings.append(Timing(f"{name} {candidates[0]}", low, seconds))
        ends = (candidates[0], candidates[-1]), (min(low, best), best)
        cost = lambda ceiling, ends=ends: float(np.interp(ceiling, *ends))  # noqa: E731
        program = programs * (seconds + compiled) / 2
        chosen, tried = choose_ceilings(values, candidates, cost, steps=steps, program=program)
        padded[name] = chosen
        programs *= len(chosen)
        expected |= {f"{name} {list(c)}": seconds for c, seconds in tried.items()}
    return Measured(chunk, padded, tuple(timings), expected)


def choose_ceilings(
    values: np.ndarray,
    candidates: Sequence[int],
    step_seconds: Callable[[int], float],
    *,
    steps: float,
    program: float,
) -> tuple[tuple[int, ...], dict[tuple[int, ...], float]]:
    """Ceilings of least training and compiling together.

    The best set of each size is found by dynamic programming over the ceilings in order: what a
    set costs up to one of its ceilings does not depend on those above.

    Args:
        values: int `[N]`, equally likely.
        candidates: ceilings in ascending order, the last no less than every value.
        step_seconds: ceiling -> seconds of a member's step.
        steps: of all members together.
        program: seconds to compile one ceiling's programs.

    Returns:
        The chosen ceilings, and the best of each size with the seconds expected of it.

    Example:
        >>> import numpy as np
        >>> from bojax.training.measured import choose_ceilings
        >>> values = np.array([8, 8, 8, 64])
        >>> for program in (0.1, 100.0):
        ...     print(choose_ceilings(values, (8, 16, 64), float, steps=1.0, program=program)[0])
        (8, 64)
        (64,)
    """
    values = np.asarray(values)
    share = [float(np.mean(values <= c)) for c in candidates]
    # least[k][j]: seconds of values up to candidate j by k + 1 ceilings, j the highest of them.
    least = [[share[j] * step_seconds(c) * steps for j, c in enumerate(candidates)]]
    before: list[list[int]] = [[-1] * len(candidates)]
    for _ in candidates[1:]:
        row, origin = [], []
        for j, c in enumerate(candidates):
            options = [
                (least[-1][i] + (share[j] - share[i]) * step_seconds(c) * steps, i)
                for i in range(j)
            ]
            cost, i = min(options, default=(np.inf, -1))
            row.append(cost)
            origin.append(i)
        least.append(row)
        before.append(origin)
    tried: dict[tuple[int, ...], float] = {}
    for size, row in enumerate(least):
        if not np.isfinite(row[-1]):
            continue
        chosen, j = [], len(candidates) - 1
        for level in range(size, -1, -1):
            chosen.append(int(candidates[j]))
            j = before[level][j]
        tried[tuple(reversed(chosen))] = row[-1] + (size + 1) * program
    return min(tried, key=lambda ceilings: tried[ceilings]), tried


def _candidates(least: int, high: int) -> tuple[int, ...]:
    """Powers of two from the least value's to the highest value, which is the last."""
    powers, power = [], power_of_two(least)
    while power < high:
        powers.append(power)
        power *= 2
    return (*powers, high)


def _most_common(schema: Schema, sample: Sequence[Mapping]) -> dict[str, Any]:
    """A configuration of the static values that are drawn most often."""
    structures = schema.structures(sample)
    keys = [structure.key[0] for structure in structures]
    most = max(keys, key=keys.count)
    return dict(sample[keys.index(most)])


def _timed(executor: LocalExecutor, config: Mapping[str, Any]) -> tuple[float, float]:
    """Seconds of a member's step when a call is full, and of compiling its programs."""
    trials, epoch = executor.call_of(config)
    configs = {trial: dict(config) for trial in range(trials)}
    took: list[float] = []
    while len(took) <= PASSES and (not took or took[0] < LONG):
        done, before = len(took), executor.train_seconds
        executor.run([Job(trial, done, done + 1) for trial in configs], configs)
        took.append(executor.train_seconds - before)
    compiled = sum(p.lower_seconds + p.compile_seconds for p in executor.programs)
    return min(took) / (trials * executor.replicas * epoch), compiled
