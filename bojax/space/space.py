"""`Space`: named parameters, compiled once to a `SpaceTable`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from bojax.errors import ConfigError, InfeasibleError, SpaceError
from bojax.space import _json, codec, members, sampling
from bojax.space import derived as derivations
from bojax.space import rules as _rules
from bojax.space import table as tables
from bojax.space._compile import compiled, encode_column
from bojax.space.constraints import name_of
from bojax.space.edges import Edges, check
from bojax.space.parameters import (
    Boolean,
    Categorical,
    Float,
    Int,
    Ordinal,
    Parameter,
    choice_key,
)
from bojax.space.rules import ANCHORS
from bojax.space.table import SpaceTable

_KINDS = (Float, Int, Ordinal, Categorical, Boolean)
_LISTED = 2**17  # a finite space of so many cells is searched to the last one for members


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
        constraints: what every suggestion meets: :class:`Linear` sums, :class:`Simplex`
            groups, and functions of a dict name -> `[N]` JAX array in natural units (the
            value of a choice that is a number, else its position; a parameter that does not
            exist has some value of its range) to `[N]` booleans, or numbers that are at
            most 0 where it is met. A function is traced with JAX and stored by name.
        forbidden: combinations no suggestion has, mappings as for `when=`: all entries
            together are forbidden, and only where all of its parameters exist.
        derived: name -> :class:`Derived` or :class:`Product`: computed from the others,
            at the end of every configuration.
        members: the only configurations there are; :meth:`pool` writes such a space.

    Results told for a configuration outside are knowledge like any other. It is only never
    suggested.

    Attributes:
        parameters: as given, a dict.
        names: the names, in order.
        table: the compiled :class:`SpaceTable` (NumPy, float64).
        fidelity: name of the fidelity parameter, or None.
        constraints, forbidden, derived, members: as given, a tuple, tuple, dict and tuple.

    Raises:
        SpaceError: no parameters, a name that is no string, a condition that cannot hold,
            a constraint that makes no sense, or a space beyond the largest size class (128
            parameters).
        InfeasibleError: no configuration that meets the constraints was found.

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
        constraints: Sequence[Any] = (),
        forbidden: Sequence[Mapping[str, Any]] = (),
        derived: Mapping[str, Any] | None = None,
        members: Sequence[Mapping[str, Any]] = (),
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
        made = compiled(self.parameters, fidelity, self.context, constraints, forbidden)
        self._table: SpaceTable = made.table
        self._clauses, self._labels = made.clauses, made.labels
        reals = [c for c, p in enumerate(self.parameters.values()) if codec.is_real(p)]
        self._real_columns = np.array(reals, int)
        self._reals = codec.Reals.of([self.parameters[self.names[c]] for c in reals])
        self.constraints, self.forbidden = tuple(constraints), tuple(map(dict, forbidden))
        self.derived = derivations.ordered(derived or {}, self.parameters, fidelity)
        self.members = tuple(members)
        if self.members:
            self._take_members()
        self._check_functions()
        if self._table.rules is not None and not self.members:
            anchors = self.feasible_rows(ANCHORS)
            self._table = replace(self._table, rules=replace(self._table.rules, anchors=anchors))

    @classmethod
    def pool(
        cls,
        configs: Any,
        *,
        parameters: Mapping[str, Parameter] | None = None,
        log: Sequence[str] = (),
        fidelity: str | None = None,
    ) -> Space:
        """A space that is a list of configurations: every suggestion is one of them.

        Args:
            configs: a list of dicts with the same names, or a dict of lists. Repeated ones
                count once.
            parameters: parameters of your choice for some names; otherwise numbers become
                `Float` or `Int` over their range and the rest `Categorical`.
            log: names of numbers that the model sees in log scale.
            fidelity: as for the constructor.

        A name with one value throughout, or with more than 128 values that are no numbers,
        is in the configurations but not in the model.

        Raises:
            SpaceError: fewer than two configurations, unequal names, configurations that
                nothing a model sees tells apart, or more than 16,384 of them.

        Example:
            >>> import bojax
            >>> space = bojax.Space.pool(
            ...     {"name": ["a", "b", "c"], "mass": [1.0, 2.5, 9.0], "rings": [0, 1, 1]})
            >>> space.size, space.decode(space.encode({"name": "b", "mass": 2.5, "rings": 1}))
            (3.0, {'name': 'b', 'mass': 2.5, 'rings': 1})
        """
        listed = members.listed(configs)
        columns = members.columns_of(listed, dict(parameters or {}), log)
        return cls(columns, fidelity=fidelity, members=listed)

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
            ConfigError: unknown or missing parameter, a value it cannot take, a derived
                value that does not follow from the rest, or no member of a pool. A
                configuration that breaks a constraint is encoded like any other.
        """
        single = isinstance(configs, Mapping)
        listed: list[Mapping[str, Any]] = [configs] if single else list(configs)  # type: ignore[arg-type, list-item]
        known = (*self.names, *self.derived, *(self.members[0] if self.members else ()))
        for config in listed:
            codec.check_names(config, tuple(dict.fromkeys(known)))
            derivations.check_told(self.derived, config)
        rows = np.tile(self._table.default, (len(listed), 1))
        rows[:, self._table.role == tables.FIDELITY] = 1.0
        given = np.zeros(rows.shape, bool)
        for column, (name, parameter) in enumerate(self.parameters.items()):
            where = [i for i, config in enumerate(listed) if name in config]
            if where:
                values = [listed[i][name] for i in where]
                if (sticks := self._table.sticks) is not None and sticks.member[column]:
                    values = [codec.forgiven(parameter, value) for value in values]
                rows[where, column] = encode_column(name, parameter, values)
                given[where, column] = True
        if self._table.sticks is not None:
            rows = codec.encode_sticks(self.names, self._table.sticks, rows, given, listed)
        missing = tables.active(self._table, rows, np) & self._table.used & ~given
        missing &= self._table.role != tables.FIDELITY
        if missing.any():
            trial, column = map(int, np.argwhere(missing)[0])
            raise ConfigError(
                f"{self.names[column]}: missing from the configuration {dict(listed[trial])!r}; "
                "every active parameter needs a value."
            )
        told, rows = rows, self.canonical(rows)
        if self.members:
            self._check_members(told, rows, listed)
        return rows[0] if single else rows

    def decode(self, rows: np.ndarray) -> Any:
        """Rows as configurations: plain dicts of the active parameters, in order.

        The fidelity is not part of a configuration and is left out; what is derived comes
        last. In a pool it is the member next to the row.

        Args:
            rows: `[D]` or `[N, D]`; anything in the unit cube.

        Returns:
            One dict, or a list of N.
        """
        configs = self.decode_canonical(self.canonical(np.atleast_2d(np.asarray(rows, float))))
        return configs[0] if np.ndim(rows) == 1 else configs

    def decode_canonical(self, rows: np.ndarray) -> list[dict[str, Any]]:
        """:meth:`decode` of `[N, D]` rows that :meth:`canonical` has given.

        Example:
            >>> import bojax
            >>> space = bojax.Space({"x": bojax.Float(0, 2)})
            >>> space.decode_canonical(space.encode([{"x": 0.5}]))
            [{'x': 0.5}]
        """
        if self.members:
            return [
                derivations.added(self.derived, dict(self.members[i])) for i in self._member(rows)
            ]
        present = self.active(rows)
        columns = [
            (name, values, present[:, c].tolist())
            for c, (name, values) in enumerate(zip(self.names, self.values_of(rows), strict=True))
            if name != self.fidelity
        ]
        configs = [
            {name: values[i] for name, values, shown in columns if shown[i]}
            for i in range(len(rows))
        ]
        if self.derived:
            configs = [derivations.added(self.derived, config) for config in configs]
        return configs

    def canonical(self, rows: np.ndarray) -> np.ndarray:
        """Rows as the engine compares them: on the grid, inactive columns parked, `[..., D]`."""
        rows = np.asarray(rows, float)
        if self._table.pool is not None:
            flat = rows.reshape(-1, rows.shape[-1])
            blocks = [  # the differences of many rows to many members take memory
                tables.canonical(self._table, flat[i : i + 256], np)
                for i in range(0, len(flat), 256)
            ]
            return np.concatenate(blocks).reshape(rows.shape) if blocks else rows
        rows = tables.snap(self._table, rows, np)
        rows[..., self._real_columns] = self._reals.on_grid(rows[..., self._real_columns])
        if (sticks := self._table.sticks) is not None:
            rows = np.where(sticks.member, codec.on_stick_grid(rows), rows)
            rows = _rules.parked(sticks, rows, np)
        return np.where(
            tables.active(self._table, rows, np) & self._table.used, rows, self._table.default
        )

    def active(self, rows: np.ndarray) -> np.ndarray:
        """Which parameters exist for rows, `[..., len(names)]` bool."""
        present = tables.active(self._table, np.asarray(rows, float), np)
        if self._table.sticks is not None:
            present = present | self._table.sticks.last  # no freedom, but a value
        return present[..., : len(self.names)]

    def sample(self, n: int, *, seed: int = 0, prior: bool = False) -> list[dict[str, Any]]:
        """`n` feasible configurations, uniform in the scale searched in.

        Args:
            n: how many.
            seed: of the draws.
            prior: draw as the parameters' `prior=` and `weights=` say instead of evenly.

        Raises:
            InfeasibleError: the constraints leave too little to find.

        Example:
            >>> import bojax
            >>> bojax.Space({"n": bojax.Int(1, 3)}).sample(2, seed=1)
            [{'n': 2}, {'n': 1}]
        """
        if self._table.rules is not None or prior:
            return self.decode(self.feasible_rows(n, seed, prior=prior))
        unit = np.random.default_rng(seed).random((n, self._table.columns))
        return self.decode(tables.unit_to_row(self._table, unit, np))

    # ------------------------------------------------------------------ constraints

    def feasible(self, configs: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Any:
        """Whether configurations meet every constraint: a bool for one, else `[N]` bool.

        Example:
            >>> import bojax
            >>> space = bojax.Space(
            ...     {"opt": bojax.Categorical(["sgd", "adam"]), "lr": bojax.Float(0, 1)},
            ...     forbidden=[{"opt": "sgd", "lr": bojax.Range(0.1, 1.0)}])
            >>> space.feasible([{"opt": "sgd", "lr": 0.5}, {"opt": "adam", "lr": 0.5}]).tolist()
            [False, True]
        """
        holds = tables.feasible(self._table, self.encode(configs), np)
        return bool(holds) if isinstance(configs, Mapping) else holds

    def violated(self, config: Mapping[str, Any]) -> list[str]:
        """The constraints that a configuration breaks, as text.

        Example:
            >>> import bojax
            >>> space = bojax.Space(
            ...     {"a": bojax.Float(0, 2), "b": bojax.Float(0, 2)},
            ...     constraints=[bojax.Linear({"a": 1, "b": 2}, at_most=3)])
            >>> space.violated({"a": 2, "b": 1})
            ['a + 2 b <= 3']
        """
        if self._table.rules is None:
            return []
        broken = tables.excess(self._table, self.encode(config), np) > 0.0
        return list(dict.fromkeys(label for place, label in self._labels if broken[place]))

    def feasible_rows(
        self, n: int, seed: int = 0, *, given: np.ndarray | None = None, prior: bool = False
    ) -> np.ndarray:
        """`n` canonical rows that meet every constraint, `[n, D]`.

        Drawn evenly from the feasible part of the unit cube, down to a millionth of it.

        Args:
            n: how many, repeats included.
            seed: of the draws.
            given: `[D]` what every row must have, NaN elsewhere.
            prior: draw from the user's beliefs, not evenly.

        Raises:
            InfeasibleError: none was found.

        Example:
            >>> import bojax
            >>> space = bojax.Space(
            ...     {"a": bojax.Float(0, 1), "b": bojax.Float(0, 1)},
            ...     constraints=[bojax.Linear({"a": 1, "b": 1}, at_most=0.01)])
            >>> bool(space.feasible(space.decode(space.feasible_rows(5))).all())
            True
        """
        table = self._table
        given = np.full(table.columns, np.nan) if given is None else np.asarray(given, float)
        start = tables.from_prior if prior else tables.from_unit

        def row_of(unit):
            return self.canonical(tables.with_given(table, start(table, unit, np), given, np))

        rng = np.random.default_rng([seed % 2**64, 1])
        if table.rules is None:
            return row_of(rng.random((n, table.columns)))

        def broken(rows):
            return tables.excess(table, rows, np, inside=True)

        try:
            return sampling.feasible_rows(
                n, table.columns, rng, row_of, broken, self._labels, self.size <= _LISTED
            )
        except InfeasibleError:
            rows = self.every_row(_LISTED, given)
            if rows is None or len(rows) == 0:
                raise
            return rows[rng.integers(len(rows), size=n)]

    def nearest_feasible(
        self, rows: np.ndarray, given: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows put back inside where only rounding took them out, and which are feasible.

        Args:
            rows: `[N, D]` canonical.
            given: `[D]` what must stay, NaN elsewhere.

        Returns:
            `[N, D]` canonical, and `[N]` bool: the others are further outside than rounding.
        """
        table = self._table
        fine = tables.feasible(table, rows, np, inside=True)
        if fine.all():
            return rows, fine
        assert table.rules is not None  # or all would be feasible
        rows, fine = rows.copy(), fine.copy()
        real = (table.kind == tables.REAL) & (table.role == tables.PARAMETER)
        real &= True if given is None else np.isnan(given)
        for i in np.flatnonzero(~fine):
            for share in (1e-9, 1e-8, 1e-7, 1e-6):
                # A hair towards each feasible row that is known.
                nearer = rows[i] + share * np.where(real, table.rules.anchors - rows[i], 0.0)
                nearer = self.canonical(nearer)
                good = tables.feasible(table, nearer, np, inside=True)
                if good.any():
                    rows[i], fine[i] = nearer[np.argmax(good)], True
                    break
        return rows, fine

    def log_prior(self, rows: np.ndarray) -> np.ndarray:
        """Log of the user's belief that the optimum is at rows, `[...]`; 0 where flat.

        Example:
            >>> import bojax
            >>> space = bojax.Space({"c": bojax.Categorical(["a", "b"], weights=[3, 1])})
            >>> space.log_prior(space.encode([{"c": "a"}, {"c": "b"}])).round(3).tolist()
            [0.405, -0.693]
        """
        return tables.log_prior(self._table, self.canonical(rows), np)

    def given(self, values: Mapping[str, Any]) -> np.ndarray:
        """A row with some parameters fixed and NaN elsewhere, `[D]`: what `ask` is given.

        Args:
            values: name -> value in natural units. A Simplex is fixed whole or not at all.

        Raises:
            ConfigError: a name that is no parameter, or a value it cannot take.
            InfeasibleError: no configuration that meets the constraints has these values.

        Example:
            >>> import bojax
            >>> space = bojax.Space({"x": bojax.Float(0, 1), "b": bojax.Boolean()})
            >>> space.given({"b": True})[:2].tolist()
            [nan, 1.0]
        """
        row, fixed = np.full(self._table.columns, np.nan), np.zeros(self._table.columns, bool)
        for name, value in values.items():
            if name not in self.parameters:
                derived = " It is derived: fix what it is derived from." * (name in self.derived)
                raise ConfigError(
                    f"{name}: not a parameter of this space; expected some of "
                    f"{', '.join(self.names)}.{derived}"
                )
            column = self.names.index(name)
            row[column], fixed[column] = self.column_row(name, value), True
        if (sticks := self._table.sticks) is not None and (fixed & sticks.member).any():
            filled = np.where(fixed, row, 0.0)[None]
            row = np.where(
                fixed & sticks.member,
                codec.encode_sticks(self.names, sticks, filled, fixed[None], [values])[0],
                row,
            )
        if self.members:
            best = tables.with_given(self._table, np.full(row.shape, 0.5), row, np)
            budget = self._table.role == tables.FIDELITY
            if not (np.isnan(row) | budget | (best == row)).all():
                raise InfeasibleError(f"no configuration of the pool has {dict(values)!r}.")
        elif self._table.rules is not None:
            self.feasible_rows(1, given=row)
        return row

    def check(self, told: Any, *, direction: str = "minimize") -> Edges:
        """Which parameters' best trials lie at the edge of their range.

        Looks at the best tenth (five at least). A true result says: widen and go on.

        Args:
            told: a :class:`~bojax.history.History`, or trials with `config` and `value`.
            direction: "maximize" if larger values are better; a history always holds
                values that are minimised.

        Returns:
            :class:`Edges`: true when there are some, text when printed.

        Raises:
            ConfigError: fewer than ten values.

        Example:
            >>> import bojax
            >>> space = bojax.Space({"x": bojax.Float(0, 1)})
            >>> done = bojax.minimize(lambda c: c["x"], space, evaluations=20, strategy="sobol")
            >>> bool(space.check(done.history))
            False
        """
        return check(self, told, direction)

    def columns(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Each parameter's decoded values as one array, `[N]`; choices as int32 codes.

        Values of inactive parameters are those of their default.
        """
        rows = self.canonical(np.atleast_2d(rows))
        codes = tables.choice_code(self._table, rows, np)
        return {
            name: np.array(values) if isinstance(parameter, (Float, Int)) else codes[:, c]
            for c, ((name, parameter), values) in enumerate(
                zip(self.parameters.items(), self.values_of(rows), strict=True)
            )
        }

    def values_of(self, rows: np.ndarray) -> list[list[Any]]:
        """Natural values of every parameter for `[N, D]` rows, whether they have it or not.

        Example:
            >>> import bojax
            >>> space = bojax.Space({"x": bojax.Float(0, 2), "kind": bojax.Categorical(["a", "b"])})
            >>> space.values_of(space.encode([{"x": 0.5, "kind": "b"}]))
            [[0.5], ['b']]
        """
        sticks = self._table.sticks
        reals = self._reals.decoded(rows[:, self._real_columns]).T.tolist()
        found = dict(zip(self._real_columns.tolist(), reals, strict=True))
        codes = tables.choice_code(self._table, rows, np)
        for c, parameter in enumerate(self.parameters.values()):
            if sticks is not None and sticks.member[c]:
                found[c] = _rules.pieces(sticks, rows, np)[:, c].tolist()
            elif not isinstance(parameter, (Float, Int)):
                found[c] = [parameter.choices[code] for code in codes[:, c].tolist()]
            elif c not in found:
                found[c] = codec.decode_numeric(parameter, rows[:, c])
        return [found[c] for c in range(len(self.names))]

    def fidelity_value(self, rows: np.ndarray) -> np.ndarray:
        """The budget of rows, natural units, `[N]`; NaN without a fidelity."""
        rows = np.atleast_2d(rows)
        if self.fidelity is None:
            return np.full(len(rows), np.nan)
        column = self.names.index(self.fidelity)
        parameter = self.parameters[self.fidelity]
        return np.array(codec.decode_numeric(parameter, rows[:, column]), float)  # type: ignore[arg-type]

    def column_row(self, name: str, value: Any) -> float:
        """Row coordinate of one parameter's value.

        Raises:
            ConfigError: a value it cannot take.
        """
        return float(encode_column(name, self.parameters[name], [value])[0])

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
        """All distinct feasible canonical rows of a finite space, None beyond `limit` cells.

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
        rows = rows[np.sort(first)]
        return rows[tables.feasible(self._table, rows, np, inside=True)]

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
        return Space(
            {**self.parameters, name: budget},
            fidelity=name,
            context=self.context,
            constraints=self.constraints,
            forbidden=self.forbidden,
            derived=self.derived,
            members=self.members,
        )

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
        return _json.to_json(self)

    @classmethod
    def from_json(
        cls, data: Mapping[str, Any], functions: Mapping[str, Callable] | None = None
    ) -> Space:
        """The space that :meth:`to_json` wrote.

        Args:
            data: what it wrote.
            functions: name -> function, for constraints and derived parameters that are code.

        Raises:
            SpaceError: not such data, written by a newer version, or a function is missing.
        """
        return cls(**_json.settings_of(data, functions))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and _json.described(self) == _json.described(other)

    def __hash__(self) -> int:
        # Equal spaces have equal names; choices may be unhashable, so they take no part.
        return hash((tuple(self.parameters), self.fidelity))

    def __repr__(self) -> str:
        inner = ", ".join(f"{name!r}: {parameter!r}" for name, parameter in self.parameters.items())
        told = [str(c) if not callable(c) else name_of(c) for c in self.constraints]
        more = f", constraints=[{', '.join(told)}]" if told else ""
        more += f", forbidden={list(self.forbidden)!r}" if self.forbidden else ""
        more += f", derived={self.derived!r}" if self.derived else ""
        more += f", {len(self.members)} members" if self.members else ""
        return f"Space({{{inner}}}{more})"

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

    def _check_functions(self) -> None:
        """Trace each constraint that is code, compiling nothing.

        Raises:
            SpaceError: it cannot be traced, or does not answer one bool or number a row.
        """
        columns = {name: jax.ShapeDtypeStruct((3,), np.float32) for name in self.names}
        for name, function in [] if self._table.rules is None else self._table.rules.functions:
            try:
                jax.eval_shape(lambda v, n=name, f=function: _rules.checked(n, f, v), columns)
            except Exception as error:
                raise SpaceError(
                    f"constraint {name}: cannot be traced with JAX: {type(error).__name__}: "
                    f"{error}. It is given a dict of [N] arrays and must compute with jax.numpy."
                ) from error

    def _take_members(self) -> None:
        """The members as rows of the table.

        Raises:
            SpaceError: together with conditions, constraints or derived parameters, or a
                member whose values do not fit.
        """
        if self._table.rules is not None or self._table.sticks is not None or self.context:
            raise SpaceError(
                "Space: a pool takes no constraints, forbidden combinations or context; leave "
                "out of the list what is not wanted."
            )
        if any(parameter.when is not None for parameter in self.parameters.values()):
            raise SpaceError("Space: the parameters of a pool have no conditions.")
        listed = [{n: c[n] for n in self.names if n != self.fidelity} for c in self.members]
        held, self.members = self.members, ()
        rows = self.encode(listed)
        self.members = held
        self._table = replace(self._table, pool=members.pool_of(rows))
        self._place = {row[self._shared].tobytes(): i for i, row in enumerate(rows)}

    @property
    def _shared(self) -> np.ndarray:
        """`[D]` bool: the columns in which members differ."""
        return self._table.role != tables.FIDELITY

    def _member(self, rows: np.ndarray) -> list[int]:
        """Numbers of the members that canonical rows are."""
        return [self._place[row[self._shared].tobytes()] for row in rows]

    def _check_members(self, told, rows, listed) -> None:
        for i, number in enumerate(self._member(rows)):
            near = self.members[number]
            wrong = [n for n, v in listed[i].items() if n in near and choice_key(v) != choice_key(
                near[n]) and v != near[n]]  # fmt: skip
            if wrong or not np.allclose(told[i][self._shared], rows[i][self._shared], atol=1e-9):
                raise ConfigError(
                    f"{dict(listed[i])!r} is no configuration of the pool; the nearest is {near!r}."
                )
