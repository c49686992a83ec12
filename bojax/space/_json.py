"""A space as JSON-able data and back.

The version written is the lowest that can hold the space, so that older readers refuse what
they would otherwise silently leave out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bojax.errors import SpaceError
from bojax.space.constraints import Linear, Simplex, name_of
from bojax.space.derived import Derived, Product
from bojax.space.parameters import (
    Boolean,
    Categorical,
    Float,
    Int,
    Normal,
    Ordinal,
    Parameter,
    Range,
    choice_key,
)

VERSION = 2  # 1: parameters, fidelity and context; 2: all else


def to_json(space: Any) -> dict[str, Any]:
    """See :meth:`bojax.Space.to_json`."""
    body = {
        "version": 1,
        "parameters": [_to_json(n, p) for n, p in space.parameters.items()],
        "fidelity": space.fidelity,
        "context": list(space.context),
    }
    extras = {
        "constraints": [_constraint_to_json(c) for c in space.constraints],
        "forbidden": _when_to_json(space.forbidden),
        "derived": {name: _derived_to_json(rule) for name, rule in space.derived.items()},
        "members": [dict(config) for config in space.members],
    }
    body |= {name: value for name, value in extras.items() if value}
    believed = any("prior" in entry or "weights" in entry for entry in body["parameters"])
    if believed or any(extras.values()):
        body["version"] = VERSION
    _check_written("the space's constraints", {name: body.get(name) for name in extras})
    return body


def settings_of(data: Any, functions: Mapping[str, Callable] | None) -> dict[str, Any]:
    """Arguments of `Space` from what :func:`to_json` wrote.

    Raises:
        SpaceError: not such data, written by a newer version, or a function is missing.
    """
    if not isinstance(data, Mapping) or "parameters" not in data:
        raise SpaceError("Space.from_json: expected what Space.to_json wrote.")
    if data.get("version", 0) > VERSION:
        raise SpaceError(
            f"Space.from_json: written with version {data['version']}, this bojax reads up "
            f"to {VERSION}; upgrade bojax."
        )
    given = dict(functions or {})

    def function(name: str) -> Callable:
        if name not in given:
            raise SpaceError(
                f"Space.from_json: {name!r} is code, which is stored by name only; pass "
                f"functions={{{name!r}: ...}}."
            )
        return given[name]

    return {
        "parameters": dict(_from_json(entry) for entry in data["parameters"]),
        "fidelity": data.get("fidelity"),
        "context": tuple(data.get("context", ())),
        "constraints": [_constraint_from_json(c, function) for c in data.get("constraints", ())],
        "forbidden": _when_from_json(data.get("forbidden", ())),
        "derived": {
            name: _derived_from_json(rule, function)
            for name, rule in data.get("derived", {}).items()
        },
        "members": data.get("members", ()),
    }


def _constraint_to_json(constraint: Any) -> dict[str, Any]:
    if isinstance(constraint, Linear):
        ends = {"at_most": constraint.at_most, "at_least": constraint.at_least}
        return {"type": "linear", "weights": dict(constraint.weights), **ends}
    if isinstance(constraint, Simplex):
        return {"type": "simplex", "names": list(constraint.names), "total": constraint.total}
    return {"type": "function", "name": name_of(constraint)}


def _constraint_from_json(entry: Mapping[str, Any], function: Callable) -> Any:
    settings = {name: value for name, value in entry.items() if name != "type"}
    kinds = {"linear": Linear, "simplex": Simplex}
    if entry.get("type") == "function":
        return function(entry["name"])
    if entry.get("type") not in kinds:
        raise SpaceError(f"Space.from_json: {dict(entry)!r} is no constraint this bojax knows.")
    return kinds[entry["type"]](**settings)


def _derived_to_json(rule: Derived | Product) -> dict[str, Any]:
    if isinstance(rule, Product):
        return {"powers": dict(rule.powers), "scale": rule.scale}
    if isinstance(rule.formula, str):
        return {"formula": rule.formula}
    return {"function": name_of(rule.formula), "inputs": list(rule.inputs)}


def _derived_from_json(entry: Mapping[str, Any], function: Callable) -> Derived | Product:
    if "powers" in entry:
        return Product(entry["powers"], entry["scale"])
    if "formula" in entry:
        return Derived(entry["formula"])
    return Derived(function(entry["function"]), tuple(entry["inputs"]))


def _check_written(what: str, data: Any) -> None:
    try:
        json.dumps(data, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise SpaceError(
            f"{what} cannot be written as JSON: {error}; use numbers, strings and booleans."
        ) from error


# ---------------------------------------------------------------------- parameters


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
    if getattr(parameter, "prior", None) is not None:
        entry["prior"] = [parameter.prior.mean, parameter.prior.deviation]  # type: ignore[union-attr]
    if getattr(parameter, "weights", None) is not None:
        entry["weights"] = list(parameter.weights)  # type: ignore[arg-type, union-attr]
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
        settings["when"] = _when_from_json(entry["when"])
    if "prior" in entry:
        settings["prior"] = Normal(*entry["prior"])
    if "weights" in entry:
        settings["weights"] = entry["weights"]
    return entry["name"], cls(**settings)


def _when_from_json(alternatives: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            parent: Range(**wanted)
            if isinstance(wanted, Mapping) and set(wanted) == {"low", "high"}
            else wanted
            for parent, wanted in alternative.items()
        }
        for alternative in alternatives
    ]


def described(space: Any) -> tuple:
    """What makes two spaces equal, comparable as it is."""
    parameters = [
        (
            name,
            type(parameter).__name__,
            [
                [choice_key(c) for c in parameter.choices]
                if field == "choices"
                else getattr(parameter, field, None)
                for field in (*_FIELDS[type(parameter).__name__.lower()][1], "prior", "weights")
            ],
            clauses,
        )
        for (name, parameter), clauses in zip(space.parameters.items(), space._clauses, strict=True)
    ]
    rules = [c if isinstance(c, (Linear, Simplex)) else name_of(c) for c in space.constraints]
    forbidden = [
        {name: wanted if isinstance(wanted, Range) else repr(wanted) for name, wanted in f.items()}
        for f in space.forbidden
    ]
    members = [{name: choice_key(v) for name, v in config.items()} for config in space.members]
    return parameters, space.fidelity, space.context, rules, forbidden, space.derived, members
