"""`Space`: named parameters, compiled once to a `SpaceTable`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from bojax.errors import ConfigError, SpaceError
from bojax.space import codec
from bojax.space import table as tables
from bojax.space.conditions import Literal, clauses_of
from bojax.space.parameters import (
    Boolean,
    Categorical,
    Float,
    Int,
    Ordinal,
    Parameter,
    Range,
    choice_key,
)
from bojax.space.table import SpaceTable

_KINDS = (Float, Int, Ordinal, Categorical, Boolean)
_JSON = 1  # version of the JSON form


class Space:
    """A search space: parameters by name, in order, some of them conditional.

    Args:
        parameters: name -> `Float`, `Int`, `Ordinal`, `Categorical` or `Boolean`. A
            parameter's `when=` may name earlier ones: `when={"optimizer": "sgd"}`, a list
            of values, a `Range`, several entries (all must hold) or a list of such
            mappings (any must hold).
        fidelity: name of the parameter that is a budget: chosen by a scheduler, never part
            of what makes two configurations the same.
        context: names of parameters that are given to `ask`, never chosen by it.

    Attributes:
        parameters: as given, a dict.
        names: the names, in order.
        table: the compiled :class:`SpaceTable` (NumPy, float64).
        fidelity: name of the fidelity parameter, or None.

    Raises:
        SpaceError: no parameters, a name that is no string, a condition that cannot hold,
            or a space beyond the largest size class (128 parameters).

    Example:
        >>> import bojax
        >>> space = bojax.Space({
        ...     "lr": bojax.Float(1e-5, 1e-1, log=True),
        ...     "optimizer": bojax.Categorical(["sgd", "adam"]),
        ...     "momentum": bojax.Float(0.0, 0.99, when={"optimizer": "sgd"}),
        ... })
        >>> space.decode(space.encode({"lr": 0.1, "optimizer": "adam"}))
        {'lr': 0.1, 'optimizer': 'adam'}
    """

    def __init__(
        self,
        parameters: Mapping[str, Parameter],
        *,
        fidelity: str | None = None,
        context: Sequence[str] = (),
    ) -> None:
        if not isinstance(parameters, Mapping) or not parameters:
            raise SpaceError(
                "Space: needs at least one parameter, such as {'lr': bojax.Float(1e-5, 1e-1)}."
            )
        for name, parameter in parameters.items():
            if not isinstance(name, str) or not name:
                raise SpaceError(f"Space: parameter names are non-empty strings, got {name!r}.")
            if not isinstance(parameter, _KINDS):
                raise SpaceError(
                    f"{name}: expected Float, Int, Ordinal, Categorical or Boolean, "
                    f"got {parameter!r}."
                )
        self.parameters: dict[str, Parameter] = dict(parameters)
        self.names: tuple[str, ...] = tuple(parameters)
        self.fidelity = fidelity
        self.context = tuple(context)
        self._check_roles()
        self._clauses = [
            clauses_of(
                name,
                parameter,
                {n: self.parameters[n] for n in self.names[:i]},
                self.names[i + 1 :],
            )
            for i, (name, parameter) in enumerate(self.parameters.items())
        ]
        self._table: SpaceTable = self._compile()

    # ------------------------------------------------------------------ configurations

    @property
    def table(self) -> SpaceTable:
        """The arrays of the space, a copy each time.

        JAX keeps what a NumPy array became when it was a constant of a trace, at that trace's
        precision. An array of its own for everyone who asks keeps a float32 program of one
        from meeting a float64 program of another.
        """
        table: SpaceTable = jax.tree.map(np.copy, self._table)
        return table

    def encode(self, configs: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Configurations as canonical rows.

        Args:
            configs: one dict, or a sequence of N. Every active parameter must be there
                (but the fidelity, which defaults to its largest); inactive ones are
                ignored.

        Returns:
            `float64[D]` for one dict, `float64[N, D]` for a sequence.

        Raises:
            ConfigError: unknown or missing parameter, or a value it cannot take.
        """
        single = isinstance(configs, Mapping)
        listed: list[Mapping[str, Any]] = [configs] if single else list(configs)  # type: ignore
        for config in listed:
            codec.check_names(config, self.names)
        rows = np.tile(self._table.default, (len(listed), 1))
        rows[:, self._table.role == tables.FIDELITY] = 1.0
        given = np.zeros(rows.shape, bool)
        for column, (name, parameter) in enumerate(self.parameters.items()):
            where = [i for i, config in enumerate(listed) if name in config]
            if where:
                values = [listed[i][name] for i in where]
                rows[where, column] = _encode(name, parameter, values)
                given[where, column] = True
        missing = tables.active(self._table, rows, np) & self._table.used & ~given
        missing &= self._table.role != tables.FIDELITY
        if missing.any():
            trial, column = map(int, np.argwhere(missing)[0])
            raise ConfigError(
                f"{self.names[column]}: missing from the configuration {dict(listed[trial])!r}; "
                "every active parameter needs a value."
            )
        rows = self.canonical(rows)
        return rows[0] if single else rows

    def decode(self, rows: np.ndarray) -> Any:
        """Rows as configurations: plain dicts of the active parameters, in order.

        The fidelity is not part of a configuration and is left out.

        Args:
            rows: `[D]` or `[N, D]`; anything in the unit cube.

        Returns:
            One dict, or a list of N.
        """
        single = np.ndim(rows) == 1
        rows = self.canonical(np.atleast_2d(np.asarray(rows, float)))
        present = tables.active(self._table, rows, np)
        columns = [
            (name, self._decode_column(c, rows), present[:, c].tolist())
            for c, name in enumerate(self.names)
            if name != self.fidelity
        ]
        configs = [
            {name: values[i] for name, values, shown in columns if shown[i]}
            for i in range(len(rows))
        ]
        return configs[0] if single else configs

    def canonical(self, rows: np.ndarray) -> np.ndarray:
        """Rows as the engine compares them: on the grid, inactive columns parked, `[..., D]`."""
        rows = tables.snap(self._table, np.asarray(rows, float), np)
        for column, parameter in enumerate(self.parameters.values()):
            if isinstance(parameter, Float) and parameter.step is None:
                rows[..., column] = codec.on_grid(parameter, rows[..., column])
        return np.where(
            tables.active(self._table, rows, np) & self._table.used, rows, self._table.default
        )

    def active(self, rows: np.ndarray) -> np.ndarray:
        """Which parameters exist for rows, `[..., len(names)]` bool."""
        return tables.active(self._table, np.asarray(rows, float), np)[..., : len(self.names)]

    def sample(self, n: int, *, seed: int = 0) -> list[dict[str, Any]]:
        """`n` configurations, uniform in the scale searched in.

        Example:
            >>> import bojax
            >>> bojax.Space({"n": bojax.Int(1, 3)}).sample(2, seed=1)
            [{'n': 2}, {'n': 1}]
        """
        unit = np.random.default_rng(seed).random((n, self._table.columns))
        return self.decode(tables.unit_to_row(self._table, unit, np))

    def columns(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Each parameter's decoded values as one array, `[N]`; choices as int32 codes.

        Values of inactive parameters are those of their default.
        """
        rows = self.canonical(np.atleast_2d(rows))
        out = {}
        for c, (name, parameter) in enumerate(self.parameters.items()):
            if isinstance(parameter, (Float, Int)):
                out[name] = np.array(codec.decode_numeric(parameter, rows[:, c]))
            else:
                out[name] = tables.choice_code(self._table, rows, np)[:, c]
        return out

    def fidelity_value(self, rows: np.ndarray) -> np.ndarray:
        """The budget of rows, natural units, `[N]`; NaN without a fidelity."""
        rows = np.atleast_2d(rows)
        if self.fidelity is None:
            return np.full(len(rows), np.nan)
        column = self.names.index(self.fidelity)
        parameter = self.parameters[self.fidelity]
        return np.array(codec.decode_numeric(parameter, rows[:, column]), float)  # type: ignore

    def column_row(self, name: str, value: Any) -> float:
        """Row coordinate of one parameter's value.

        Raises:
            ConfigError: a value it cannot take.
        """
        return float(_encode(name, self.parameters[name], [value])[0])

    @property
    def size(self) -> float:
        """Number of cells of the grid, conditions ignored; `inf` with a real parameter.

        Example:
            >>> import bojax
            >>> bojax.Space({"n": bojax.Int(1, 3), "b": bojax.Boolean()}).size
            6.0
        """
        return float(tables.cells(self._table, np))

    def every_row(
        self, limit: int = 1_000_000, given: np.ndarray | None = None
    ) -> np.ndarray | None:
        """All distinct canonical rows of a finite space, or None beyond `limit` cells.

        Args:
            given: `[D]` what every row must have, NaN elsewhere. Context is at its default,
                and the fidelity at its largest, unless given.
        """
        if not self.size <= limit:
            return None
        rows = tables.enumerate_rows(self._table, np.arange(int(self.size)), np)
        given = np.full(self._table.columns, np.nan) if given is None else given
        rows = tables.with_given(self._table, rows, given, np)
        _, first = np.unique(rows, axis=0, return_index=True)
        return rows[np.sort(first)]

    def with_fidelity(self, name: str, low: float, high: float) -> Space:
        """The same space with a budget column, in log scale; a `Sweep` appends its own.

        Raises:
            SpaceError: the name is taken.
        """
        if name in self.parameters:
            raise SpaceError(
                f"{name}: a parameter and the budget share this name; rename the parameter."
            )
        budget = Float(low, high, log=True)
        return Space({**self.parameters, name: budget}, fidelity=name, context=self.context)

    # ------------------------------------------------------------------ JSON

    def to_json(self) -> dict[str, Any]:
        """The space as JSON-able data; :meth:`from_json` gives it back.

        Raises:
            SpaceError: a choice is no string, number, boolean, None or list of these.

        Example:
            >>> import bojax
            >>> space = bojax.Space({"x": bojax.Float(0, 1)})
            >>> bojax.Space.from_json(space.to_json()) == space
            True
        """
        return {
            "version": _JSON,
            "parameters": [_to_json(n, p) for n, p in self.parameters.items()],
            "fidelity": self.fidelity,
            "context": list(self.context),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Space:
        """The space that :meth:`to_json` wrote.

        Raises:
            SpaceError: not such data, or written by a newer version.
        """
        if not isinstance(data, Mapping) or "parameters" not in data:
            raise SpaceError("Space.from_json: expected what Space.to_json wrote.")
        if data.get("version", 0) > _JSON:
            raise SpaceError(
                f"Space.from_json: written with version {data['version']}, this bojax reads up "
                f"to {_JSON}; upgrade bojax."
            )
        parameters = dict(_from_json(entry) for entry in data["parameters"])
        return cls(
            parameters, fidelity=data.get("fidelity"), context=tuple(data.get("context", ()))
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and _described(self) == _described(other)

    def __hash__(self) -> int:
        # Equal spaces have equal names; choices may be unhashable, so they take no part.
        return hash((tuple(self.parameters), self.fidelity))

    def __repr__(self) -> str:
        inner = ", ".join(f"{name!r}: {parameter!r}" for name, parameter in self.parameters.items())
        return f"Space({{{inner}}})"

    # ------------------------------------------------------------------ compilation

    def _check_roles(self) -> None:
        wanted = [*self.context] + ([self.fidelity] if self.fidelity else [])
        for name in wanted:
            if name not in self.parameters:
                raise SpaceError(
                    f"Space: {name!r} is named as fidelity or context but is no parameter; "
                    f"expected one of {', '.join(self.names)}."
                )
        if self.fidelity in self.context:
            raise SpaceError(f"{self.fidelity}: cannot be both fidelity and context.")
        if self.fidelity is not None:
            parameter = self.parameters[self.fidelity]
            if not isinstance(parameter, (Float, Int)) or parameter.when is not None:
                raise SpaceError(
                    f"{self.fidelity}: the fidelity must be a Float or Int without when=."
                )
        if len(wanted) == len(self.names):
            raise SpaceError("Space: every parameter is fidelity or context; nothing to choose.")

    def _compile(self) -> SpaceTable:
        widest = max(
            (len(p.choices) for p in self.parameters.values() if hasattr(p, "choices")), default=0
        )
        clauses = max(map(len, self._clauses))
        literals = max((len(c) for cs in self._clauses for c in cs), default=0)
        arrays = tables.empty_table(
            tables.size_class(len(self.names), tables.COLUMNS, "parameters"),
            tables.size_class(clauses, tables.CLAUSES, "alternatives in one condition"),
            tables.size_class(literals, tables.CLAUSES, "entries in one condition"),
            tables.size_class(widest, tables.CHOICES, "choices of one parameter"),
        )
        depth = [0] * len(self.names)
        for c, (name, parameter) in enumerate(self.parameters.items()):
            _fill_column(arrays, c, name, parameter)
            if name == self.fidelity:
                arrays["role"][c] = tables.FIDELITY
            elif name in self.context:
                arrays["role"][c] = tables.CONTEXT
            for a, clause in enumerate(self._clauses[c]):
                for n, literal in enumerate(clause):
                    _fill_literal(arrays, c, a, n, literal, list(self.parameters.values()))
                    depth[c] = max(depth[c], depth[literal.column] + 1)
        names = ("used", "column", "choices")
        low, high = arrays.pop("clause_low"), arrays.pop("clause_high")
        used, column, choices = (arrays.pop(name) for name in names)
        return SpaceTable(
            **arrays,
            clauses=tables.Clauses(used, column, low, high, choices),
            depth=np.int32(max(depth)),
        )

    def _decode_column(self, column: int, rows: np.ndarray) -> list[Any]:
        parameter = self.parameters[self.names[column]]
        if isinstance(parameter, (Float, Int)):
            return codec.decode_numeric(parameter, rows[:, column])
        codes = tables.choice_code(self._table, rows, np)[:, column]
        return [parameter.choices[code] for code in codes.tolist()]


# ---------------------------------------------------------------------- one column at a time


def _encode(name: str, parameter: Parameter, values: Sequence[Any]) -> np.ndarray:
    if isinstance(parameter, (Float, Int)):
        return codec.encode_numeric(name, parameter, values)
    codes = codec.encode_choices(name, parameter.choices, values)
    if isinstance(parameter, Ordinal):
        return (codes + 0.5) / len(parameter.choices)
    return codes


def _fill_column(arrays: dict[str, np.ndarray], c: int, name: str, parameter: Parameter) -> None:
    if isinstance(parameter, (Float, Int)):
        gridded = codec.is_gridded(parameter)
        top = codec.grid_top(parameter) if gridded else parameter.high
        arrays["kind"][c] = tables.INTEGER if gridded else tables.REAL
        arrays["low"][c] = codec.scale(parameter, parameter.low)
        arrays["high"][c] = codec.scale(parameter, top)
        arrays["log"][c] = parameter.log
        arrays["step"][c] = parameter.step if gridded else 0.0
        if gridded:
            arrays["cardinality"][c] = min(codec.grid_count(parameter), np.iinfo(np.int32).max)
            halfway = (codec.grid_count(parameter) - 1) // 2
            middle = parameter.low + halfway * codec.step_of(parameter)
            arrays["default"][c] = codec.encode_numeric(name, parameter, [middle])[0]
        else:
            arrays["default"][c] = 0.5
        return
    count = len(parameter.choices)
    arrays["cardinality"][c] = count
    ordinal = isinstance(parameter, Ordinal)
    arrays["kind"][c] = tables.ORDINAL if ordinal else tables.CATEGORY
    arrays["high"][c] = count - 1
    arrays["default"][c] = ((count - 1) // 2 + 0.5) / count if ordinal else 0.0


def _fill_literal(arrays, c: int, a: int, n: int, literal: Literal, parents) -> None:
    arrays["used"][c, a, n] = True
    arrays["column"][c, a, n] = literal.column
    if literal.choices:
        arrays["choices"][c, a, n, list(literal.choices)] = True
        return
    parent = parents[literal.column]
    low, high = codec.edges(parent)
    bounds = [max(literal.low, parent.low), min(literal.high, parent.high)]
    if codec.is_gridded(parent):
        # Whole cells: a bound between two values of the grid belongs to neither.
        first, last = codec.grid_between(parent, *bounds)
        bounds = [parent.low + (first - 0.5) * parent.step, parent.low + (last + 0.5) * parent.step]
        if parent.log and bounds[0] <= 0:
            bounds[0] = parent.low / 2
    unit = (codec.scale(parent, np.array(bounds)) - low) / (high - low)
    if not codec.is_gridded(parent):
        unit = codec.on_grid(parent, unit)  # where a told value on the bound itself comes to lie
    arrays["clause_low"][c, a, n], arrays["clause_high"][c, a, n] = unit


_FIELDS = {
    "float": (Float, ("low", "high", "log", "step")),
    "int": (Int, ("low", "high", "log", "step")),
    "ordinal": (Ordinal, ("choices",)),
    "categorical": (Categorical, ("choices",)),
    "boolean": (Boolean, ()),
}


def _to_json(name: str, parameter: Parameter) -> dict[str, Any]:
    kind = next(k for k, (cls, _) in _FIELDS.items() if type(parameter) is cls)
    entry: dict[str, Any] = {"name": name, "type": kind}
    for field in _FIELDS[kind][1]:
        value = getattr(parameter, field)
        entry[field] = list(value) if field == "choices" else value
    if parameter.when is not None:
        entry["when"] = _when_to_json(parameter.when)
    try:
        restored = json.loads(json.dumps(entry, allow_nan=False))
    except (TypeError, ValueError):
        restored = None
    if restored is None or [choice_key(c) for c in restored.get("choices", ())] != [
        choice_key(c) for c in entry.get("choices", ())
    ]:
        raise SpaceError(
            f"{name}: its choices {entry.get('choices')!r} cannot be written as JSON; "
            "use names (strings) and look the objects up in your own code."
        )
    return entry


def _when_to_json(when: Any) -> list[dict[str, Any]]:
    alternatives: Iterable[Mapping[str, Any]] = [when] if isinstance(when, Mapping) else when
    return [
        {
            parent: {"low": wanted.low, "high": wanted.high}
            if isinstance(wanted, Range)
            else sorted(wanted, key=repr)
            if isinstance(wanted, (set, frozenset))
            else wanted
            for parent, wanted in alternative.items()
        }
        for alternative in alternatives
    ]


def _from_json(entry: Mapping[str, Any]) -> tuple[str, Parameter]:
    kind = entry.get("type")
    if kind not in _FIELDS or "name" not in entry:
        raise SpaceError(
            f"Space.from_json: a parameter needs a name and a type among {', '.join(_FIELDS)}, "
            f"got {dict(entry)!r}."
        )
    cls, fields = _FIELDS[kind]
    settings = {field: entry[field] for field in fields if field in entry}
    if "when" in entry:
        settings["when"] = [
            {
                parent: Range(**wanted) if isinstance(wanted, Mapping) else wanted
                for parent, wanted in alternative.items()
            }
            for alternative in entry["when"]
        ]
    return entry["name"], cls(**settings)


def _described(space: Space) -> tuple:
    parameters = [
        (
            name,
            type(parameter).__name__,
            [
                [choice_key(c) for c in value] if field == "choices" else value
                for field in _FIELDS[type(parameter).__name__.lower()][1]
                for value in [getattr(parameter, field)]
            ],
            clauses,
        )
        for (name, parameter), clauses in zip(space.parameters.items(), space._clauses, strict=True)
    ]
    return parameters, space.fidelity, space.context
