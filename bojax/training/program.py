"""Compiled programs: lowered and compiled ahead of time, counted, and shared.

A program is reused by every executor of the process whose task, shapes and devices are
equal and whose static values agree *as far as the program read them while it was traced*:
evaluation, which never asks for the batch size, is compiled once for all of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jax

from bojax.configuration import compiler_options
from bojax.training.hyper import Structure

# Initialisers dominate compilation and run once: level 0 turns 3 s into 0.4 s.
INIT_OPTIONS = {"xla_backend_optimization_level": 0}
_LARGEST_CACHE = 256  # programs kept; the oldest is dropped, its executors keep theirs


@contextmanager
def float32_scope() -> Iterator[None]:
    """Where tasks are traced and run: 32 bits and the usual promotion, whatever the caller set.

    Optax itself does not trace under strict promotion.
    """
    with jax.enable_x64(False), jax.numpy_dtype_promotion("standard"):
        yield


@dataclass
class Program:
    """One compiled program and what it cost.

    Attributes:
        name: what it does, for which static values.
        kind: "init", "train", "eval" or "predict".
        lower_seconds, compile_seconds: tracing and lowering; XLA's own time.
        run_seconds, calls: how often it ran, and for how long.
        memory_bytes: temporary memory the compiler asks for.

    Example:
        >>> from bojax.training import Program
        >>> program = Program("eval", "eval", abs, {}, lower_seconds=0.1, compile_seconds=0.4)
        >>> program(-3), program.calls
        (3, 1)
    """

    name: str
    kind: str
    call: Callable = field(repr=False)
    reads: dict = field(repr=False)
    lower_seconds: float
    compile_seconds: float
    memory_bytes: int = 0
    run_seconds: float = 0.0
    calls: int = 0

    def __call__(self, *arguments: Any) -> Any:
        """Run it and wait for the result.

        The wait is what lets its seconds be its own; the host has nothing else to do.
        """
        began = time.perf_counter()
        result = jax.block_until_ready(self.call(*arguments))
        self.run_seconds += time.perf_counter() - began
        self.calls += 1
        return result


_programs: dict[tuple, list[Program]] = {}


def clear_programs() -> None:
    """Forget every compiled program of this process (for measurements).

    Example:
        >>> from bojax.training import clear_programs
        >>> clear_programs()
    """
    _programs.clear()


def compiled_programs() -> list[Program]:
    """Every program compiled in this process and not forgotten since.

    Example:
        >>> from bojax.training import clear_programs, compiled_programs
        >>> clear_programs()
        >>> compiled_programs()
        []
    """
    return [program for programs in _programs.values() for program in programs]


def find_program(key: tuple, structure: Structure) -> Program | None:
    """A program compiled before for this key whose reads agree with the structure."""
    for program in _programs.get(key, ()):
        if structure.matches(program.reads):
            return program
    return None


def compile_program(
    key: tuple,
    kind: str,
    name: str,
    structure: Structure,
    make: Callable,
    arguments: Callable,
    *,
    options: dict | None = None,
) -> Program:
    """Trace, lower and compile.

    Args:
        key: what distinguishes it, apart from the structure.
        make: `() -> jitted function`.
        arguments: `structure -> abstract arguments`, with that structure in `hp`.
        options: for the compiler.
    """
    recording = structure.recording()
    began = time.perf_counter()
    lowered = make().lower(*arguments(recording))
    traced = time.perf_counter()
    compiled = lowered.compile(compiler_options={**compiler_options(), **(options or {})})
    ended = time.perf_counter()
    memory = compiled.memory_analysis()
    reads = dict(recording.reads or {})
    shown = ", ".join(f"{n}={value[1]}" for (_, n), value in sorted(reads.items()))
    program = Program(
        name=f"{kind} {name}".strip() + (f" [{shown}]" if shown else ""),
        kind=kind,
        call=_caller(compiled, recording),
        reads=reads,
        lower_seconds=traced - began,
        compile_seconds=ended - traced,
        memory_bytes=int(getattr(memory, "temp_size_in_bytes", 0) or 0),
    )
    recording.reads = None  # from here on it compares by content again
    _programs.setdefault(key, []).append(program)
    while sum(map(len, _programs.values())) > _LARGEST_CACHE:
        _programs.pop(next(iter(_programs)))
    return program


def _caller(compiled: Any, structure: Structure) -> Callable:
    """A compiled program insists on the very structure it was traced with."""
    from bojax.training.hyper import Hyperparameters

    def swap(argument: Any) -> Any:
        if isinstance(argument, Hyperparameters):
            values, active, steps, step = argument.tree_flatten()[0]
            return Hyperparameters(values, active, steps, structure, step)
        return argument

    return lambda *arguments: compiled(*map(swap, arguments))
