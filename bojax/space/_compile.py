"""A space's parameters and constraints compiled to the arrays of a `SpaceTable`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bojax.errors import SpaceError
from bojax.space import codec, constraints
from bojax.space import rules as _rules
from bojax.space import table as tables
from bojax.space.conditions import Literal, clauses_of
from bojax.space.parameters import Float, Int, Ordinal, Parameter
from bojax.space.table import SpaceTable


class Compiled(NamedTuple):
    """A table, the clauses it came from, and `(place, text)` of each rule."""

    table: SpaceTable
    clauses: list[list[list[Literal]]]
    labels: list[tuple[int, str]]


def compiled(
    parameters: Mapping[str, Parameter],
    fidelity: str | None,
    context: Sequence[str],
    given_constraints: Any,
    forbidden: Any,
) -> Compiled:
    """The table of a space, without anchors and members.

    Raises:
        SpaceError: whatever of it makes no sense.
    """
    names = list(parameters)
    clauses = [
        clauses_of(name, parameter, {n: parameters[n] for n in names[:i]}, names[i + 1 :])
        for i, (name, parameter) in enumerate(parameters.items())
    ]
    widest = max((len(p.choices) for p in parameters.values() if hasattr(p, "choices")), default=0)
    literals = max((len(c) for cs in clauses for c in cs), default=0)
    arrays = tables.empty_table(
        tables.size_class(len(names), tables.COLUMNS, "parameters"),
        tables.size_class(max(map(len, clauses)), tables.CLAUSES, "alternatives in one condition"),
        tables.size_class(literals, tables.CLAUSES, "entries in one condition"),
        tables.size_class(widest, tables.CHOICES, "choices of one parameter"),
    )
    depth = [0] * len(names)
    for c, (name, parameter) in enumerate(parameters.items()):
        _fill_column(arrays, c, name, parameter)
        if name == fidelity:
            arrays["role"][c] = tables.FIDELITY
        elif name in context:
            arrays["role"][c] = tables.CONTEXT
        for a, clause in enumerate(clauses[c]):
            for n, literal in enumerate(clause):
                _fill_literal(arrays, c, a, n, literal, list(parameters.values()))
                depth[c] = max(depth[c], depth[literal.column] + 1)

    linear, simplexes, functions = constraints.split(given_constraints)
    roles = {*context, fidelity}
    sticks, bounds = constraints.sticks_of(simplexes, parameters, len(arrays["kind"]), roles)
    _check_parents(parameters, clauses, sticks)
    if sticks is not None:
        # What is left over has no freedom: the last member's column never exists, so that
        # no model sees it. Its clause is one that nothing meets.
        last = np.flatnonzero(sticks.last)
        arrays["used"][last, 0, 0] = True
        depth = [max(1, *depth)]
    parts = constraints.forbidden_of(forbidden, parameters, fidelity)
    rules, labels = constraints.rules_of(
        [*linear, *bounds], parts, functions, parameters, fidelity, arrays,
        lambda literal: _interval(list(parameters.values())[literal.column], literal),
    )  # fmt: skip
    if sticks is not None and any(sticks.member[lit.column] for _, cs in parts for lit in cs):
        raise SpaceError(
            "forbidden: names a member of a Simplex, whose column holds its share of what is "
            "left; use a bojax.Linear."
        )
    prior = _prior_of(parameters, arrays)
    low, high = arrays.pop("clause_low"), arrays.pop("clause_high")
    used, column, choices = (arrays.pop(name) for name in ("used", "column", "choices"))
    table = SpaceTable(
        **arrays,
        clauses=tables.Clauses(used, column, low, high, choices),
        depth=np.int32(max(depth)),
        rules=rules,
        sticks=sticks,
        prior=prior,
        pool=None,
    )
    return Compiled(table, clauses, labels)


def _check_parents(parameters, clauses, sticks) -> None:
    for name, own in zip(parameters, clauses, strict=True):
        for literal in (lit for clause in own for lit in clause):
            if sticks is not None and sticks.member[literal.column]:
                raise SpaceError(
                    f"{name}: when names {list(parameters)[literal.column]!r}, a member of a "
                    "Simplex; conditions on those are not supported."
                )


def _prior_of(parameters: Mapping[str, Parameter], arrays: Mapping[str, Any]) -> Any:
    """The parameters' beliefs as arrays; None if there are none."""
    believed = [
        c
        for c, p in enumerate(parameters.values())
        if getattr(p, "prior", None) is not None or getattr(p, "weights", None) is not None
    ]
    if not believed:
        return None
    d, k = len(arrays["kind"]), arrays["choices"].shape[-1]
    mean, inverse, below = np.full(d, 0.5), np.zeros(d), np.zeros(d)
    inside, log_height, weighted = np.ones(d), np.zeros(d), np.zeros(d, bool)
    log_weight, cumulative = np.zeros((d, k)), np.ones((d, k))
    for c in believed:
        parameter: Any = list(parameters.values())[c]
        if hasattr(parameter, "choices"):
            share = np.array(parameter.weights) / np.sum(parameter.weights)
            weighted[c] = True
            log_weight[c, : len(share)] = np.log(share * len(share))
            cumulative[c, : len(share)] = np.cumsum(share)
            continue
        low, high = codec.edges(parameter)
        scaled = np.log(parameter.prior.deviation) if parameter.log else parameter.prior.deviation
        mean[c] = (codec.scale(parameter, parameter.prior.mean) - low) / (high - low)
        inverse[c] = (high - low) / scaled
        below[c] = _normal_mass(-mean[c] * inverse[c])
        inside[c] = _normal_mass((1.0 - mean[c]) * inverse[c]) - below[c]
        log_height[c] = np.log(inverse[c] / inside[c]) - 0.5 * np.log(2 * np.pi)
    return _rules.Prior(mean, inverse, below, inside, log_height, log_weight, cumulative, weighted)


def _normal_mass(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


# ---------------------------------------------------------------------- one column at a time


def encode_column(name: str, parameter: Parameter, values: Sequence[Any]) -> np.ndarray:
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
    unit = _interval(parents[literal.column], literal)
    arrays["clause_low"][c, a, n], arrays["clause_high"][c, a, n] = unit


def _interval(parent: Any, literal: Literal) -> np.ndarray:
    """An interval of natural values in row units."""
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
    return unit
