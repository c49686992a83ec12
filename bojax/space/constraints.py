"""Constraints as a user writes them, and their compilation to the arrays of `Rules`.

All of them are known before anything is evaluated. What a run only learns by evaluating (a
model that does not fit into memory) is told as a failed trial.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bojax.errors import SpaceError
from bojax.space import codec
from bojax.space import table as tables
from bojax.space.conditions import Literal, literals_of
from bojax.space.parameters import Float, Int, Parameter
from bojax.space.rules import ANCHORS, Rules, Sticks

# How far a sum may miss its bound, of the range of its terms: a real's row is rounded to
# 2**-40 of the range, and grids to the last bits of a float.
REAL_SLACK, GRID_SLACK = 1e-9, 1e-12


@dataclass(frozen=True)
class Linear:
    """A weighted sum of parameters, in natural units, that must stay within bounds.

    Args:
        weights: name -> factor. Numbers, and choices that are all numbers, may take part; a
            parameter that does not exist in a configuration counts as 0.
        at_most: the sum's largest value, inclusive.
        at_least: its least, inclusive; one of the two may be left out.

    Raises:
        SpaceError: no weights, neither bound, bounds that leave nothing between them, or a
            number that is not finite. For a sum that is fixed use :class:`Simplex`.

    Example:
        >>> import bojax
        >>> space = bojax.Space(
        ...     {"a": bojax.Float(0, 2), "b": bojax.Float(0, 2)},
        ...     constraints=[bojax.Linear({"a": 1.0, "b": 2.0}, at_most=3.0)])
        >>> space.feasible([{"a": 1.0, "b": 0.5}, {"a": 2.0, "b": 1.0}]).tolist()
        [True, False]
    """

    weights: Mapping[str, float]
    at_most: float | None = None
    at_least: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.weights, Mapping) or not self.weights:
            raise SpaceError(
                "Linear: needs a factor for at least one parameter, such as {'a': 1.0, "
                f"'b': 2.0}}, got {self.weights!r}."
            )
        for name, weight in self.weights.items():
            if not _number(weight) or weight == 0:
                raise SpaceError(
                    f"Linear: the factor of {name} must be finite and not 0, got {weight!r}."
                )
        if self.at_most is None and self.at_least is None:
            raise SpaceError("Linear: give at_most=, at_least= or both.")
        for side in ("at_most", "at_least"):
            if getattr(self, side) is not None and not _number(getattr(self, side)):
                raise SpaceError(f"Linear: {side} must be finite, got {getattr(self, side)!r}.")
        low, high = self.at_least, self.at_most
        if low is not None and high is not None and low >= high:
            raise SpaceError(
                f"Linear: at_least={self.at_least} must be below at_most={self.at_most}; for a "
                "fixed sum use bojax.Simplex, or compute one parameter from the others."
            )

    def __str__(self) -> str:
        terms = " + ".join(
            name if weight == 1 else f"{weight:g} {name}" for name, weight in self.weights.items()
        ).replace("+ -", "- ")
        above = "" if self.at_least is None else f"{self.at_least:g} <= "
        below = "" if self.at_most is None else f" <= {self.at_most:g}"
        return f"{above}{terms}{below}"


@dataclass(frozen=True)
class Simplex:
    """Parameters that always sum to `total`: weights of a mixture, shares of a budget.

    Uniform draws are uniform over the points with that sum. The search sees each member but
    the last as its share of what those before it left over.

    Args:
        names: at least two `Float` parameters, without `log`, `step`, `when` or `prior`.
        total: their sum. A member's `low` is kept exactly, its `high` as a constraint.

    Raises:
        SpaceError: fewer than two names, one twice, or a total that is not finite.

    Example:
        >>> import bojax
        >>> space = bojax.Space(
        ...     {name: bojax.Float(0, 1) for name in "abc"},
        ...     constraints=[bojax.Simplex(["a", "b", "c"], total=1.0)])
        >>> round(sum(space.sample(1)[0].values()), 12)
        1.0
    """

    names: Sequence[str]
    total: float = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.names, str) or not hasattr(self.names, "__iter__"):
            raise SpaceError(f"Simplex: expected a list of names, got {self.names!r}.")
        object.__setattr__(self, "names", tuple(self.names))
        if len(self.names) < 2 or len(set(self.names)) < len(self.names):
            raise SpaceError(
                f"Simplex: needs at least two different names, got {list(self.names)!r}."
            )
        if not _number(self.total):
            raise SpaceError(f"Simplex: total must be finite, got {self.total!r}.")
        object.__setattr__(self, "total", float(self.total))

    def __str__(self) -> str:
        return f"{' + '.join(self.names)} = {self.total:g}"


def _number(value: Any) -> bool:
    try:
        return not isinstance(value, bool) and math.isfinite(value)
    except TypeError:
        return False


def name_of(function: Any) -> str:
    """What a constraint given as code is stored by."""
    return str(getattr(function, "__name__", type(function).__name__))


def split(constraints: Any) -> tuple[list[Linear], list[Simplex], list[tuple[str, Any]]]:
    """Linear ones, groups, and functions with their names.

    Raises:
        SpaceError: something else, or two functions of one name.
    """
    if isinstance(constraints, (Linear, Simplex, str)) or not isinstance(constraints, Sequence):
        raise SpaceError(
            f"Space: constraints must be a list of bojax.Linear, bojax.Simplex or functions, "
            f"got {constraints!r}."
        )
    linear = [c for c in constraints if isinstance(c, Linear)]
    simplexes = [c for c in constraints if isinstance(c, Simplex)]
    functions = []
    for c in constraints:
        if isinstance(c, (Linear, Simplex)):
            continue
        if not callable(c):
            raise SpaceError(
                f"Space: a constraint is a bojax.Linear, a bojax.Simplex or a function, got {c!r}."
            )
        functions.append((name_of(c), c))
    names = [name for name, _ in functions]
    for name in names:
        if names.count(name) > 1:
            raise SpaceError(
                f"Space: {names.count(name)} constraints are called {name!r}, the name they are "
                "stored by; define them with names of their own."
            )
    return linear, simplexes, functions


def check_known(what: str, names: Any, parameters: Mapping[str, Parameter], fidelity) -> None:
    """Refuse a constraint that names a stranger, or the budget.

    Raises:
        SpaceError: naming both.
    """
    for name in names:
        if name not in parameters:
            raise SpaceError(
                f"{what}: {name!r} is no parameter of this space; expected some of "
                f"{', '.join(parameters)}."
            )
        if name == fidelity:
            raise SpaceError(
                f"{what}: {name!r} is the fidelity, which is not chosen by the search; "
                "leave it out."
            )


# ---------------------------------------------------------------------- compilation


def sticks_of(
    simplexes: Sequence[Simplex], parameters: Mapping[str, Parameter], columns: int, roles: Any
) -> tuple[Sticks | None, list[Linear]]:
    """The groups as arrays, and their members' upper bounds as constraints.

    Raises:
        SpaceError: a member that cannot be one, two groups of one member, or bounds that
            no point of the group meets.
    """
    if not simplexes:
        return None, []
    names, bounds, taken = list(parameters), [], set()
    member, last = np.zeros(columns, bool), np.zeros(columns, bool)
    before, power = np.zeros((columns, columns)), np.zeros(columns)
    low, span = np.zeros(columns), np.zeros(columns)
    for group in simplexes:
        check_known(f"Simplex ({group})", group.names, parameters, None)
        members: dict[str, Float] = {}
        for name in group.names:
            members[name] = _checked_member(group, name, parameters[name], roles)
            if name in taken:
                raise SpaceError(f"{name}: belongs to two Simplex groups; keep it in one.")
            taken.add(name)
        lows = [parameter.low for parameter in members.values()]
        highs = [parameter.high for parameter in members.values()]
        left = group.total - sum(lows)
        if left <= 0 or sum(highs) <= group.total:
            raise SpaceError(
                f"Simplex ({group}): the bounds of its members sum to {sum(lows):g}.."
                f"{sum(highs):g} and must enclose {group.total:g}."
            )
        at = sorted(names.index(name) for name in group.names)
        for k, c in enumerate(at):
            parameter = members[names[c]]
            member[c], low[c], span[c] = True, parameter.low, left
            before[c, at[:k]] = 1.0
            power[c] = 0.0 if c == at[-1] else 1.0 / (len(at) - 1 - k)
            if parameter.high < parameter.low + left:
                bounds.append(Linear({names[c]: 1.0}, at_most=parameter.high))
        last[at[-1]] = True
    return Sticks(member, before, power, last, low, span), bounds


def _checked_member(group: Simplex, name: str, parameter: Parameter, roles: Any) -> Float:
    faults = {
        "is no Float": not isinstance(parameter, Float),
        "has log=True": getattr(parameter, "log", False),
        "has a step": getattr(parameter, "step", None) is not None,
        "has a condition": parameter.when is not None,
        "has a prior": getattr(parameter, "prior", None) is not None,
        "is fidelity or context": name in roles,
    }
    for fault, there in faults.items():
        if there:
            raise SpaceError(
                f"{name}: {fault}, so it cannot be a member of the Simplex {group}; members are "
                "plain Floats."
            )
    assert isinstance(parameter, Float)
    return parameter


def forbidden_of(
    forbidden: Any, parameters: Mapping[str, Parameter], fidelity: str | None
) -> list[tuple[str, list[Literal]]]:
    """Forbidden combinations as labelled conjunctions of literals.

    Raises:
        SpaceError: a malformed combination, an unknown name or an impossible value.
    """
    if isinstance(forbidden, Mapping) or not isinstance(forbidden, Sequence):
        raise SpaceError(
            "Space: forbidden must be a list of mappings such as [{'optimizer': 'sgd', "
            f"'lr': bojax.Range(0.1, 1.0)}}], got {forbidden!r}."
        )
    found = []
    for combination in forbidden:
        if not isinstance(combination, Mapping) or not combination:
            raise SpaceError(
                "Space: each forbidden combination is a mapping with at least one entry, got "
                f"{combination!r}."
            )
        check_known("forbidden", combination, parameters, fidelity)
        label = f"forbidden {dict(combination)!r}"
        entries = [
            literals_of("forbidden", name, wanted, parameters, (), "it")
            for name, wanted in combination.items()
        ]
        found += [(label, list(clause)) for clause in itertools.product(*entries)]
    return found


def numbers_of(parameters: Mapping[str, Parameter], columns: int, choices: int) -> np.ndarray:
    """Choices as numbers `[D, K]`: their values where all of a parameter's are numbers."""
    number = np.tile(np.arange(choices, dtype=float), (columns, 1))
    for c, parameter in enumerate(parameters.values()):
        if is_numeric(parameter) and not isinstance(parameter, (Float, Int)):
            number[c, : len(parameter.choices)] = [float(v) for v in parameter.choices]
    return number


def is_numeric(parameter: Parameter) -> bool:
    """Whether a parameter's values are numbers; False and True count as 0 and 1."""
    if isinstance(parameter, (Float, Int)):
        return True
    return all(isinstance(v, bool) or _number(v) for v in _plain(parameter.choices))


def _plain(choices: Sequence[Any]) -> list[Any]:
    return [v for v in choices if isinstance(v, (int, float, np.number))] + [
        None for v in choices if not isinstance(v, (int, float, np.number))
    ]


def _linear_rows(
    linear: Sequence[Linear], parameters: Mapping[str, Parameter], fidelity: str | None, d: int
) -> list[tuple[str, np.ndarray, float, float]]:
    """`(label, weight [D], bound, inner bound)` of each side of each constraint."""
    rows = []
    for constraint in linear:
        check_known(f"Linear ({constraint})", constraint.weights, parameters, fidelity)
        weight, real, scale = np.zeros(d), False, 0.0
        for name, factor in constraint.weights.items():
            parameter = parameters[name]
            if not is_numeric(parameter):
                raise SpaceError(
                    f"Linear ({constraint}): {name} has choices that are no numbers; only "
                    "numbers can be summed."
                )
            weight[list(parameters).index(name)] = factor
            real = real or not (hasattr(parameter, "choices") or codec.is_gridded(parameter))
            ends = (
                [float(v) for v in parameter.choices]
                if hasattr(parameter, "choices")
                else [parameter.low, parameter.high]
            )
            scale += abs(factor) * max(max(ends) - min(ends), max(map(abs, ends)))
        slack = REAL_SLACK if real else GRID_SLACK
        inner = -slack if real else slack
        for sign, bound in ((1.0, constraint.at_most), (-1.0, constraint.at_least)):
            if bound is not None:
                limit = sign * bound / scale
                rows.append((str(constraint), sign * weight / scale, limit + slack, limit + inner))
    return rows


def rules_of(
    linear: Sequence[Linear],
    forbidden: Sequence[tuple[str, list[Literal]]],
    functions: Sequence[tuple[str, Any]],
    parameters: Mapping[str, Parameter],
    fidelity: str | None,
    arrays: Mapping[str, np.ndarray],
    bounds_of: Any,
) -> tuple[Rules | None, list[tuple[int, str]]]:
    """The rules as arrays without anchors, and each used entry's place and label.

    Args:
        arrays: of the table, for its sizes.
        bounds_of: literal -> its interval in row units.
    """
    if not (linear or forbidden or functions):
        return None, []
    d, k = len(arrays["kind"]), arrays["choices"].shape[-1]
    rows = _linear_rows(linear, parameters, fidelity, d)
    r = tables.size_class(len(rows), tables.CONSTRAINTS, "linear constraints")
    f = tables.size_class(len(forbidden), tables.CONSTRAINTS, "forbidden combinations")
    longest = max((len(clause) for _, clause in forbidden), default=0)
    n = tables.size_class(longest, tables.CLAUSES, "entries in one forbidden combination")
    weight, bound, inner = np.zeros((r, d)), np.full(r, np.inf), np.full(r, np.inf)
    labels = []
    for i, (label, row, limit, inside) in enumerate(rows):
        weight[i], bound[i], inner[i] = row, limit, inside
        labels.append((i, label))
    used, column = np.zeros((f, n), bool), np.zeros((f, n), np.int32)
    low, high = np.full((f, n), np.inf), np.full((f, n), -np.inf)
    choices = np.zeros((f, n, k), bool)
    for i, (label, clause) in enumerate(forbidden):
        labels.append((r + i, label))
        for j, literal in enumerate(clause):
            used[i, j], column[i, j] = True, literal.column
            if literal.choices:
                choices[i, j, list(literal.choices)] = True
            else:
                low[i, j], high[i, j] = bounds_of(literal)
    labels += [(r + f + i, name) for i, (name, _) in enumerate(functions)]
    return Rules(
        weight, bound, inner, used, column, low, high, choices,
        numbers_of(parameters, d, k), np.tile(arrays["default"], (ANCHORS, 1)),
        tuple(functions), tuple(parameters) if functions else (),
    ), labels  # fmt: skip
