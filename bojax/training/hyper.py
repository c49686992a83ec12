"""A configuration inside a compiled program: traced scalars, and what chose the program.

A `Schema` reads a space and a task once and says how each parameter enters; its `columns`
turn configurations into one array a parameter, which become the leaves of
`Hyperparameters`, the `hp` that a task's functions receive.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from bojax.errors import TaskError
from bojax.space.parameters import (
    Boolean,
    Categorical,
    Float,
    Int,
    Ordinal,
    Parameter,
    choice_key,
)

INT32 = 2**31 - 1  # integers travel as int32: float32 would round those above 2**24


class Structure:
    """What of a configuration chooses the program: static values, ceilings, choices.

    Compared by content. While a program is traced it notes which static values and
    ceilings were read, so that programs that read the same share one compilation.
    """

    def __init__(self, static: Mapping, ceiling: Mapping, choices: Mapping) -> None:
        self.static, self.ceiling, self.choices = dict(static), dict(ceiling), dict(choices)
        self.key = (
            tuple((name, choice_key(value)) for name, value in sorted(self.static.items())),
            tuple(sorted(self.ceiling.items())),
            tuple((n, tuple(map(choice_key, c))) for n, c in sorted(self.choices.items())),
        )
        self.reads: dict[tuple[str, str], Any] | None = None  # not None while recording
        self.named: set[str] = set()  # parameters asked for while recording, traced ones too

    def recording(self) -> Structure:
        """A copy that notes what is read. It equals only itself, so no cached trace of an
        inner `jit` can hide a read."""
        fresh = Structure(self.static, self.ceiling, self.choices)
        fresh.reads = {}
        return fresh

    def note(self, name: str) -> None:
        """A parameter was asked for."""
        if self.reads is not None:
            self.named.add(name)

    def lookup(self, kind: str, name: str) -> Any:
        self.note(name)
        value = (self.static if kind == "static" else self.ceiling)[name]
        if self.reads is not None:
            self.reads[kind, name] = choice_key(value)
        return value

    def matches(self, reads: Mapping[tuple[str, str], Any]) -> bool:
        """Whether a program traced with these reads is the program for this structure."""
        return all(
            name in getattr(self, kind) and choice_key(getattr(self, kind)[name]) == value
            for (kind, name), value in reads.items()
        )

    def __eq__(self, other: object) -> bool:
        if self is other or not isinstance(other, Structure):
            return self is other
        return self.reads is None and other.reads is None and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


class _Ceiling(Mapping):
    """`hp.ceiling`: reads are noted."""

    def __init__(self, structure: Structure) -> None:
        self._structure = structure

    def __getitem__(self, name: str) -> int:
        if name not in self._structure.ceiling:
            raise TaskError(
                f"hp.ceiling[{name!r}]: only integers and integer ordinals that are traced have "
                f"a ceiling, here {sorted(self._structure.ceiling)}."
            )
        return self._structure.lookup("ceiling", name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._structure.ceiling)

    def __len__(self) -> int:
        return len(self._structure.ceiling)


@jax.tree_util.register_pytree_node_class
class Hyperparameters:
    """The `hp` of a task's functions: a pytree whose leaves are traced scalars.

    `hp["lr"]` is a float32 scalar, an integer (or an ordinal whose choices are integers)
    an int32 scalar, a boolean a bool scalar; any other choice is its int32 code, with
    `hp.choices["optimizer"]` the names. A parameter the task calls static is its Python
    value and chooses the program. An inactive conditional parameter carries a fixed valid
    value and `hp.active[name]` is False.

    Attributes:
        active: name -> bool scalar, traced.
        steps: int32 scalar, traced: optimisation steps at the *final* budget, the horizon
            for schedules, so that a promotion never changes a member's curve.
        step: int32 scalar, traced: optimisation steps done before this one, in `loss`, `step`
            and `optimizer`, for a dropout rate or a penalty that changes; 0 elsewhere.
        ceiling: name -> int, static: what a traced integer may reach in this program (the
            padded width, the largest depth).
        choices: name -> tuple, static.

    Example:
        >>> import bojax
        >>> from bojax.training import Hyperparameters
        >>> space = bojax.Space({"lr": bojax.Float(1e-4, 1.0, log=True),
        ...                      "width": bojax.Int(8, 100), "act": bojax.Categorical(["a", "b"])})
        >>> hp = Hyperparameters.of(
        ...     {"lr": 0.5, "width": 20, "act": "b"}, space, padded=("width",), steps=100)
        >>> float(hp["lr"]), int(hp["width"]), hp.ceiling["width"], int(hp["act"])
        (0.5, 20, 32, 1)
        >>> bool(hp.equals("act", "b"))
        True
    """

    def __init__(
        self, values: Mapping, active: Mapping, steps: Any, structure: Structure, step: Any = None
    ) -> None:
        self._values, self.active, self.steps = dict(values), dict(active), steps
        self.step = np.zeros(np.shape(steps), np.int32) if step is None else step
        self.structure = structure

    def at(self, step: Any) -> Hyperparameters:
        """The same after so many optimisation steps."""
        return Hyperparameters(self._values, self.active, self.steps, self.structure, step)

    @classmethod
    def of(
        cls,
        config: Mapping[str, Any],
        space: Any,
        *,
        static: Sequence[str] = (),
        padded: Sequence = (),
        steps: int = 1,
    ) -> Hyperparameters:
        """One configuration outside a sweep, as its program would see it.

        Args:
            config: the active parameters, a plain dict.
            space: the :class:`bojax.Space` it belongs to.
            static, padded: as in :meth:`Task.linen`.
            steps: optimisation steps at the final budget.
        """
        schema = Schema.of(space, static=static, padded=padded)
        values, active = schema.columns([config])
        (structure,) = schema.structures([config])
        return cls(
            {name: column[0] for name, column in values.items()},
            {name: column[0] for name, column in active.items()},
            np.int32(steps),
            structure,
        )

    def __getitem__(self, name: str) -> Any:
        if name in self._values:
            self.structure.note(name)
            return self._values[name]
        if name in self.structure.static:
            return self.structure.lookup("static", name)
        raise KeyError(f"hp[{name!r}]: no such parameter; the space has {list(self.keys())}.")

    def __contains__(self, name: object) -> bool:
        return name in self._values or name in self.structure.static

    def keys(self) -> tuple[str, ...]:
        """Every name, traced ones first."""
        return (*self._values, *self.structure.static)

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def get(self, name: str, default: Any = None) -> Any:
        """`hp[name]`, or the default where the space has no such parameter."""
        if name not in self:
            return default
        return self[name]

    @property
    def ceiling(self) -> Mapping[str, int]:
        return _Ceiling(self.structure)

    @property
    def choices(self) -> Mapping[str, tuple]:
        return self.structure.choices

    def code(self, name: str, choice: Any) -> int:
        """The code of one choice of a parameter, a Python int.

        Raises:
            TaskError: the parameter has no such choice.
        """
        choices = self.structure.choices.get(name, ())
        for code, value in enumerate(choices):
            if choice_key(value) == choice_key(choice):
                return code
        raise TaskError(f"{name}: no choice {choice!r}; expected one of {list(choices)}.")

    def equals(self, name: str, choice: Any) -> Any:
        """Whether the parameter has this choice: a traced bool, or a Python one if static."""
        code = self.code(name, choice)
        if name in self.structure.static:
            return choice_key(self[name]) == choice_key(choice)
        value = self[name]
        if name in self.structure.choices and _is_number_choice(self.structure.choices[name]):
            return value == choice
        return value == code

    def tree_flatten(self) -> tuple[tuple, Structure]:
        return (self._values, self.active, self.steps, self.step), self.structure

    @classmethod
    def tree_unflatten(cls, structure: Structure, children: Sequence) -> Hyperparameters:
        values, active, steps, step = children
        return cls(values, active, steps, structure, step)

    def __repr__(self) -> str:
        body = {**self._values, **self.structure.static}
        return f"Hyperparameters({body!r}, steps={self.steps!r})"


@dataclass(frozen=True)
class Column:
    """How one parameter enters: `kind` is static, float32, int32, bool or code."""

    name: str
    kind: str
    default: Any  # what it carries where it is inactive
    ceilings: tuple[int, ...] | None = None  # () for powers of two, None for the largest value
    high: int = 0  # largest value of a traced integer
    choices: tuple = ()
    values: int = 0  # how many a static parameter has

    def ceiling(self, value: int) -> int:
        """What a value is padded to."""
        if self.ceilings is None:
            return self.high
        above = (ceiling for ceiling in self.ceilings if ceiling >= value)
        return min(next(above, self.high) if self.ceilings else power_of_two(value), self.high)


@dataclass(frozen=True)
class Schema:
    """How every parameter of a space enters a task's programs."""

    parameters: tuple[Column, ...]

    @classmethod
    def of(cls, space: Any, *, static: Sequence[str], padded: Sequence) -> Schema:
        """Read a space.

        Args:
            space: of the configurations.
            static: names.
            padded: names, or (name, ceilings) pairs as a :class:`Task` keeps them.

        Raises:
            TaskError: a static or padded name that is no parameter or cannot be one.
        """
        names = [name for name in space.names if name != space.fidelity]
        ceilings = {n: () for n in padded if isinstance(n, str)} or dict(padded)
        for kind, listed in (("static", static), ("padded", ceilings)):
            for name in listed:
                if name not in names:
                    raise TaskError(
                        f"{kind}={name!r}: no such parameter; the space has {names}. "
                        "Add it to the space or drop it from the task."
                    )
        return cls(tuple(_column(n, space.parameters[n], static, ceilings) for n in names))

    @property
    def key(self) -> tuple:
        """What the shape of `hp` depends on, apart from static values and ceilings."""
        return tuple((c.name, c.kind, tuple(map(choice_key, c.choices))) for c in self.parameters)

    @property
    def static_combinations(self) -> int:
        """How many sets of static values there are."""
        return math.prod(c.values for c in self.parameters if c.kind == "static")

    def columns(self, configs: Sequence[Mapping]) -> tuple[dict, dict]:
        """Traced values and activity: two dicts of name -> `[N]` array.

        Raises:
            TaskError: a value that is none of the parameter's choices.
        """
        values: dict[str, np.ndarray] = {}
        active: dict[str, np.ndarray] = {}
        for column in self.parameters:
            name = column.name
            active[name] = np.array([name in config for config in configs], bool)
            if column.kind == "static":
                continue
            listed = [config.get(name, column.default) for config in configs]
            if column.kind == "code":
                listed = _codes(column, listed)
            values[name] = np.array(listed, _DTYPES[column.kind])
        return values, active

    def structures(self, configs: Sequence[Mapping]) -> list[Structure]:
        """Each configuration's static values and ceilings; equal ones are one object."""
        known: dict[tuple, Structure] = {}
        found = []
        for config in configs:
            static, ceiling = {}, {}
            for column in self.parameters:
                value = config.get(column.name, column.default)
                if column.kind == "static":
                    static[column.name] = value
                elif column.high:
                    ceiling[column.name] = column.ceiling(value)
            key = (tuple(map(choice_key, static.values())), tuple(ceiling.values()))
            if key not in known:
                choices = {c.name: c.choices for c in self.parameters if c.choices}
                known[key] = Structure(static, ceiling, choices)
            found.append(known[key])
        return found


_DTYPES = {"float32": np.float32, "int32": np.int32, "bool": np.bool_, "code": np.int32}


def power_of_two(value: int) -> int:
    """The smallest power of two that is at least `value`.

    Example:
        >>> from bojax.training.hyper import power_of_two
        >>> power_of_two(33)
        64
    """
    return 1 << max(int(value) - 1, 0).bit_length()


def _column(name: str, parameter: Parameter, static: Sequence, padded: Mapping) -> Column:
    choices: tuple = ()
    default: Any
    if isinstance(parameter, (Float, Int)):
        default = parameter.low
    else:
        choices = tuple(parameter.choices)
        default = choices[0]
    if name in static:
        if name in padded:
            raise TaskError(f"{name}: both static and padded; a static value needs no padding.")
        if isinstance(parameter, Float):
            raise TaskError(
                f"{name}: a Float cannot be static, every value would compile its own program; "
                "leave it traced or use an Ordinal."
            )
        count = parameter.high - parameter.low + 1 if isinstance(parameter, Int) else len(choices)
        return Column(name, "static", default, choices=choices, values=count)
    kind, high = _kind(parameter, choices)
    if name in padded and kind != "int32":
        raise TaskError(f"{name}: only an Int or an Ordinal of integers can be padded.")
    if kind == "int32" and not -INT32 <= default <= high <= INT32:
        raise TaskError(
            f"{name}: traced integers are int32, got a range up to {high}; "
            "scale it down, or declare it static."
        )
    return Column(name, kind, default, padded.get(name), max(high, 0), choices)


def _kind(parameter: Parameter, choices: tuple) -> tuple[str, int]:
    if isinstance(parameter, Float):
        return "float32", 0
    if isinstance(parameter, Int):
        return "int32", parameter.high
    if isinstance(parameter, Boolean):
        return "bool", 0
    if isinstance(parameter, (Ordinal, Categorical)) and _is_number_choice(choices):
        integers = all(isinstance(c, (int, np.integer)) for c in choices)
        return ("int32", int(max(choices))) if integers else ("float32", 0)
    return "code", 0


def _is_number_choice(choices: tuple) -> bool:
    return all(
        isinstance(c, (int, float, np.number)) and not isinstance(c, (bool, np.bool_))
        for c in choices
    )


def _codes(column: Column, listed: list) -> list[int]:
    codes = {choice_key(choice): code for code, choice in enumerate(column.choices)}
    try:
        return [codes[choice_key(value)] for value in listed]
    except KeyError as missing:
        raise TaskError(
            f"{column.name}: {missing.args[0][1]} is none of its choices {list(column.choices)}."
        ) from None
