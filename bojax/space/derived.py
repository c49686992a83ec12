"""Parameters computed from others: in every configuration, chosen by nobody.

A :class:`Product` of powers is data; a :class:`Derived` is a formula, written as text and read
by a small parser of its own (never by `eval`), or a function of the user's, which is stored by
name only.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bojax.errors import ConfigError, SpaceError

_OPERATORS: dict[type, Callable] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_FUNCTIONS: dict[str, Callable] = {
    "exp": math.exp, "log": math.log, "sqrt": math.sqrt, "round": round, "int": int,
    "min": min, "max": max, "abs": abs,
}  # fmt: skip
LARGEST_POWER = 1024  # an exponent above this is a slip, and a slow one


@dataclass(frozen=True)
class Product:
    """A product of powers, `scale * a ** p * b ** q`.

    Args:
        powers: name -> exponent.
        scale: factor in front.

    Example:
        >>> import bojax
        >>> rule = bojax.Product({"base_lr": 1, "batch": 1}, scale=1 / 256)
        >>> rule.value({"base_lr": 0.1, "batch": 512})
        0.2
    """

    powers: Mapping[str, float]
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.powers, Mapping) or not self.powers:
            raise SpaceError(f"Product: needs at least one power, got {self.powers!r}.")
        for name, power in [*self.powers.items(), ("scale", self.scale)]:
            if isinstance(power, bool) or not isinstance(power, (int, float)):
                raise SpaceError(f"Product: {name} must be a number, got {power!r}.")

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names it needs."""
        return tuple(self.powers)

    def value(self, config: Mapping[str, Any]) -> Any:
        """Its value for a configuration that has the inputs."""
        result = self.scale
        for name, power in self.powers.items():
            result = result * config[name] ** power
        return result


@dataclass(frozen=True)
class Derived:
    """A formula of other parameters, or a function of the configuration.

    Args:
        formula: text with names, numbers, `+ - * / // % **`, brackets and the functions
            exp, log, sqrt, round, int, min, max, abs; or a function `config -> value`.
        inputs: names the function reads; a formula's are found in its text.

    Raises:
        SpaceError: text that is no such formula, or a function without inputs.

    Example:
        >>> import bojax
        >>> space = bojax.Space(
        ...     {"base_lr": bojax.Float(0.1, 0.2), "batch": bojax.Ordinal([256, 512])},
        ...     derived={"lr": bojax.Derived("base_lr * batch / 256")})
        >>> space.decode(space.encode({"base_lr": 0.1, "batch": 512}))
        {'base_lr': 0.1, 'batch': 512, 'lr': 0.2}
    """

    formula: str | Callable[[Mapping[str, Any]], Any]
    inputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.formula, str):
            found = tuple(dict.fromkeys(_names(_parsed(self.formula), self.formula)))
            object.__setattr__(self, "inputs", found)
        elif not callable(self.formula):
            raise SpaceError(f"Derived: expected a formula or a function, got {self.formula!r}.")
        elif not self.inputs or isinstance(self.inputs, str):
            raise SpaceError(
                "Derived: a function needs inputs=, the names it reads, such as ('a', 'b')."
            )
        object.__setattr__(self, "inputs", tuple(self.inputs))

    def value(self, config: Mapping[str, Any]) -> Any:
        """Its value for a configuration that has the inputs."""
        if callable(self.formula):
            return self.formula(config)
        return _evaluated(_parsed(self.formula), config)


def ordered(derived: Any, parameters: Mapping[str, Any], fidelity: str | None) -> dict[str, Any]:
    """Derived parameters in an order in which each comes after its inputs.

    Raises:
        SpaceError: no derived parameter, a name taken or unknown, or a circle.
    """
    if not isinstance(derived, Mapping):
        raise SpaceError(
            f"Space: derived must be a dict such as {{'lr': bojax.Derived('a * b')}}, "
            f"got {derived!r}."
        )
    for name, rule in derived.items():
        if not isinstance(rule, (Derived, Product)):
            raise SpaceError(f"{name}: expected bojax.Derived or bojax.Product, got {rule!r}.")
        if not isinstance(name, str) or not name or name in parameters:
            raise SpaceError(f"{name!r}: a derived parameter needs a name of its own.")
        for wanted in rule.inputs:
            if wanted == fidelity or (wanted not in parameters and wanted not in derived):
                raise SpaceError(
                    f"{name}: is derived from {wanted!r}, which is no parameter a configuration "
                    f"has; expected some of {', '.join([*parameters, *derived])}."
                )
    found: dict[str, Any] = {}
    left = dict(derived)
    while left:
        ready = [n for n, rule in left.items() if not set(rule.inputs) & set(left)]
        if not ready:
            raise SpaceError(f"derived: {', '.join(left)} depend on each other in a circle.")
        found.update((name, left.pop(name)) for name in ready)
    return found


def added(derived: Mapping[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """A configuration with what is derived from it; left out where an input does not exist.

    Raises:
        ConfigError: a formula that fails for it, such as a division by zero.
    """
    for name, rule in derived.items():
        if all(wanted in config for wanted in rule.inputs):
            try:
                config[name] = rule.value(config)
            except (ArithmeticError, ValueError, TypeError) as error:
                raise ConfigError(f"{name}: cannot be derived from {config!r}: {error}.") from error
    return config


def check_told(derived: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Refuse a configuration whose derived values contradict its own inputs.

    Raises:
        ConfigError: naming the value told and the one that follows.
    """
    told = {name: config[name] for name in derived if name in config}
    if not told:
        return
    follows = added(derived, {name: v for name, v in config.items() if name not in derived})
    for name, value in told.items():
        expected = follows.get(name)
        if expected is None or value == expected:
            continue
        try:
            close = math.isclose(value, expected, rel_tol=1e-9)
        except TypeError:
            close = False
        if not close:
            raise ConfigError(
                f"{name}: is derived and follows as {expected!r}, got {value!r}; leave it out."
            )


# ---------------------------------------------------------------------- formulas


def _parsed(formula: str) -> ast.expr:
    try:
        return ast.parse(formula, mode="eval").body
    except SyntaxError as error:
        raise SpaceError(f"Derived: {formula!r} is no formula: {error.msg}.") from error


def _names(node: ast.expr, formula: str) -> list[str]:
    """Names a formula reads; refuses what is not arithmetic."""
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return []
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _names(node.left, formula) + _names(node.right, formula)
    if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
        return _names(node.operand, formula)
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in _FUNCTIONS
        and not node.keywords
    ):
        return [name for argument in node.args for name in _names(argument, formula)]
    raise SpaceError(
        f"Derived: {formula!r} may hold names, numbers, + - * / // % **, brackets and "
        f"{', '.join(_FUNCTIONS)}; {ast.unparse(node)!r} is none of these. Give a function."
    )


def _evaluated(node: ast.expr, config: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Name):
        return config[node.id]
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.UnaryOp):
        return _OPERATORS[type(node.op)](_evaluated(node.operand, config))
    if isinstance(node, ast.Call):
        return _FUNCTIONS[node.func.id](*(_evaluated(a, config) for a in node.args))  # type: ignore[attr-defined]
    left, right = _evaluated(node.left, config), _evaluated(node.right, config)  # type: ignore[attr-defined]
    if isinstance(node.op, ast.Pow) and abs(right) > LARGEST_POWER:  # type: ignore[attr-defined]
        raise ValueError(f"an exponent of {right}")
    return _OPERATORS[type(node.op)](left, right)  # type: ignore[attr-defined]
