"""How far a yes or no is from turning: the differences behind a constraint's comparisons.

A constraint that a user writes as `a + b <= 1` answers True or False, which tells a search
nothing about the way to the boundary. The trace of the function still has both sides of the
comparison, and `and`, `or` and `not` of several are the greatest, the least and the negative.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

_SIDES = {"le": 1.0, "lt": 1.0, "ge": -1.0, "gt": -1.0}  # sign of left minus right
_JOINS = {"and": jnp.maximum, "or": jnp.minimum}
LEAST = 1e-12  # what a broken rule is broken by at least


def answer_and_margin(function: Any, values: dict) -> tuple[Any, Any]:
    """A function's answer, and by how much it is broken: above 0 where a bool is False.

    A number is its own margin. Where no comparison of numbers is behind a bool, the margin is
    one or minus one.

    Args:
        function: of a dict of arrays `[N]`.
        values: the dict.

    Returns:
        `(answer, margin)`, `[N]` each.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.space.margins import answer_and_margin
        >>> both = lambda v: (v["a"] <= 2.0) & (v["b"] > 0.0)
        >>> values = {"a": jnp.array([1.0, 3.0, 1.0]), "b": jnp.array([0.5, 0.5, -4.0])}
        >>> [part.tolist() for part in answer_and_margin(both, values)]
        [[True, False, False], [-0.5, 1.0, 4.0]]
    """
    traced = jax.make_jaxpr(lambda v: jnp.asarray(function(v)))(values)
    inner, (out,) = traced.jaxpr, traced.jaxpr.outvars
    made_by = {v: equation for equation in inner.eqns for v in equation.outvars}
    sides: list[Any] = []

    def margin_of(atom: Any) -> Any:
        """A function of the values of `sides`."""
        equation = None if hasattr(atom, "val") else made_by.get(atom)
        name, operands = "", []
        if equation is not None:
            name, operands = equation.primitive.name, equation.invars
        if name in _JOINS:
            parts = [margin_of(operand) for operand in operands]
            return lambda found: _JOINS[name](*(part(found) for part in parts))
        if name == "not":
            turned = margin_of(operands[0])
            return lambda found: -turned(found)
        if name in _SIDES:
            at = len(sides)
            sides.extend(operands)
            return lambda found: _SIDES[name] * (_real(found[at]) - _real(found[at + 1]))
        at = len(sides)
        sides.append(atom)
        return lambda found: jnp.where(found[at], -1.0, 1.0)

    if out.aval.dtype != bool:
        (answer,) = jax.core.eval_jaxpr(inner, traced.consts, *jax.tree.leaves(values))
        return jnp.asarray(answer), jnp.asarray(answer)
    margin = margin_of(out)
    wider = inner.replace(
        outvars=[out, *sides], debug_info=inner.debug_info.with_unknown_names()
    )  # fmt: skip
    answer, *found = jax.core.eval_jaxpr(wider, traced.consts, *jax.tree.leaves(values))
    answer = jnp.asarray(answer)
    size = jnp.abs(jnp.nan_to_num(_real(margin(found))))
    size = jnp.broadcast_to(size, answer.shape)
    return answer, jnp.where(answer, -size, jnp.maximum(size, LEAST))


def _real(values: Any) -> Any:
    """As floats, whole numbers too."""
    values = jnp.asarray(values)
    real = jnp.issubdtype(values.dtype, jnp.floating)
    return values if real else values.astype(jnp.result_type(float))
