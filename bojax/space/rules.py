"""What restricts or weighs the rows of a space, as padded arrays, and how it is computed.

Four parts, each None in a space that has none of it, so that such a space pays nothing:

- :class:`Rules`: linear constraints, forbidden combinations and functions of the user's.
- :class:`Sticks`: groups of reals with a fixed sum, by breaking a stick.
- :class:`Prior`: where the user believes the optimum to lie.
- :class:`Pool`: the finite list of rows that may be chosen.

Sticks. A uniform point of the simplex is a stick of length 1 broken n - 1 times, the k-th
piece a share Beta(1, n - k) of what is left (L. Devroye, "Non-Uniform Random Variate
Generation", 1986, section XI.4). Its inverse distribution function is
`share = 1 - (1 - u)^(1 / (n - k))`, so uniform numbers `u` give uniform points, one to one,
and every row stays in the unit cube.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bojax.configuration import jit
from bojax.pytrees import pytree
from bojax.space.margins import answer_and_margin

ANCHORS = 64  # feasible rows that a table with rules carries, to start walks from
# A piece of stick after which less than this is left: the pieces after it are parked.
CRUMB = 2.0**-16
BROKEN = -1e4  # stands for log(0): finite, so that 0 * log(0) is 0


@pytree
@dataclass(frozen=True)
class Rules:
    """Constraints on rows; R linear ones, F forbidden combinations of L literals.

    Attributes:
        weight: `[R, D]`, per natural unit, scaled so that the terms range over 1 in all.
        bound: `[R]`, the sum of `weight * value` over what exists must not exceed it.
        inner: `[R]`, the same for what is suggested, a hair inside where a real counts.
        used: `[F, L]` bool.
        column: `[F, L]` int32.
        low, high: `[F, L]`, in row units.
        choices: `[F, L, K]` bool.
        number: `[D, K]`, a choice's value if it is a number, else its code.
        anchors: `[ANCHORS, D]` feasible canonical rows.
        functions: static, `(name, function)` of each constraint that is code.
        names: static, the columns' names; empty without functions, so that names of
            parameters belong to no program else.
    """

    weight: Any
    bound: Any
    inner: Any
    used: Any
    column: Any
    low: Any
    high: Any
    choices: Any
    number: Any
    anchors: Any
    functions: tuple = field(default=(), metadata={"static": True})
    names: tuple = field(default=(), metadata={"static": True})


@pytree
@dataclass(frozen=True)
class Sticks:
    """Groups of reals with a fixed sum.

    Attributes:
        member: `[D]` bool.
        before: `[D, D]`, 1.0 where the column of the second index comes earlier in the same
            group.
        power: `[D]`, `1 / (n - k)` of the k-th of n, and 0 for the last.
        last: `[D]` bool, the column that takes what is left and has no freedom of its own.
        low, span: `[D]`, value = low + span * share of the whole.
    """

    member: Any
    before: Any
    power: Any
    last: Any
    low: Any
    span: Any


@pytree
@dataclass(frozen=True)
class Prior:
    """Independent beliefs about the columns of a good row, relative to the uniform one.

    Attributes:
        mean, inverse: `[D]`, of a normal in row units cut to the unit interval; `inverse` is
            one over its deviation, 0 where the column is flat.
        below, inside: `[D]`, the normal's mass below 0 and within the interval.
        log_height: `[D]`, log of the cut density's factor.
        log_weight: `[D, K]`, log of a choice's weight over the uniform one; 0 where flat.
        cumulative: `[D, K]`, weights summed up to and with a choice.
        weighted: `[D]` bool, columns with weights.
    """

    mean: Any
    inverse: Any
    below: Any
    inside: Any
    log_height: Any
    log_weight: Any
    cumulative: Any
    weighted: Any


@pytree
@dataclass(frozen=True)
class Pool:
    """The rows that may be chosen.

    Attributes:
        rows: `[P, D]`, the last one repeated to fill the class.
        count: int32 scalar, how many there are.
    """

    rows: Any
    count: Any


# ---------------------------------------------------------------------- rules


def matches(literals, rows, code, present, xp=jnp):
    """Which literals hold, `[..., *literals]`: their column exists and has a listed value.

    Args:
        literals: with `column`, `low`, `high`, `choices`.
        rows: `[..., D]`.
        code: `[..., D]` int32 of the columns of choices.
        present: `[..., D]` bool, or None where existence is asked elsewhere.
    """
    value = xp.take(rows, literals.column, axis=-1)
    inside = (value >= literals.low) & (value <= literals.high)
    codes = xp.take(code, literals.column, axis=-1)
    if xp is np:
        listed = np.take_along_axis(literals.choices[(None,) * (codes.ndim - literals.column.ndim)],
                                    codes[..., None], axis=-1)[..., 0]  # fmt: skip
    else:
        k = literals.choices.shape[-1]
        hit = codes[..., None] == xp.arange(k, dtype=xp.int32)
        listed = xp.any(literals.choices & hit, axis=-1)
    holds = inside | listed
    return holds if present is None else holds & xp.take(present, literals.column, axis=-1)


def excess(rules: Rules, rows, natural, code, present, *, inside: bool, xp=jnp):
    """By how much each rule is broken, `[..., R + F + C]`; at most 0 where it holds.

    Args:
        natural: `[..., D]` values in natural units.
        inside: whether rows on a boundary of reals count as outside, by a hair.
    """
    bound = rules.inner if inside else rules.bound
    linear = xp.where(present, natural, 0.0) @ rules.weight.T - bound
    held = matches(rules, rows, code, present, xp) | ~rules.used
    forbidden = (xp.all(held, axis=-1) & xp.any(rules.used, axis=-1)).astype(rows.dtype)
    parts = [linear, forbidden]
    for name, function in rules.functions:
        flat = natural.reshape(-1, natural.shape[-1])
        values = {n: flat[:, c] for c, n in enumerate(rules.names)}
        if xp is np:
            answer = _on_host(function, values)
            broken = np.where(answer, 0.0, 1.0) if answer.dtype == bool else answer
        else:
            answer, broken = checked(name, function, values)
        if not inside and answer.dtype != bool:
            broken = broken - 1e-9  # what rounding a row to its grid may do
        broken = xp.where(xp.isnan(broken), xp.inf, broken).astype(rows.dtype)
        parts.append(broken.reshape(*natural.shape[:-1], 1))
    return xp.concatenate(parts, axis=-1)


def checked(name: str, function: Any, values: dict) -> tuple[Any, Any]:
    """A constraint function's answer for N rows, `[N]`, and by how much it is broken, `[N]`.

    Raises:
        TypeError: another shape or no number; the caller knows the space and says so.
    """
    answer, margin = answer_and_margin(function, values)
    wanted = next(iter(values.values())).shape
    if answer.shape != wanted:
        raise TypeError(f"{name} must give one bool or number a row, shape {wanted}, "
                        f"got {answer.shape}")  # fmt: skip
    return answer, margin


@jit(static_argnums=0)
def _constraint_program(function, values):
    return jnp.asarray(function(values))


def _on_host(function, values):
    """The function on NumPy columns, in few programs: N is padded to a power of four."""
    n = len(next(iter(values.values())))
    size = 64
    while size < n:
        size *= 4
    padded = {name: np.resize(column, size) if n else np.zeros(size)
              for name, column in values.items()}  # fmt: skip
    with jax.enable_x64(True):
        return np.asarray(_constraint_program(function, padded))[:n]


# ---------------------------------------------------------------------- sticks


def left_over(sticks: Sticks, rows, xp=jnp):
    """Logarithms `[..., D]`: of what a break leaves of its rest, and of the rest before it."""
    unit = xp.clip(rows, 0.0, 1.0)
    # Beside u = 1 the logarithm is replaced before it is taken, for the sake of its slope.
    whole = unit >= 1.0
    leaves = xp.log1p(-xp.where(whole, 0.0, unit)) * sticks.power
    leaves = xp.where(sticks.member & ~sticks.last, xp.where(whole, BROKEN, leaves), 0.0)
    return leaves, leaves @ sticks.before.T


def pieces(sticks: Sticks, rows, xp=jnp):
    """Natural values of the members, `[..., D]` (meaningless elsewhere)."""
    leaves, rest = left_over(sticks, rows, xp)
    share = xp.where(sticks.last, 1.0, -xp.expm1(leaves))
    return sticks.low + sticks.span * xp.exp(rest) * share


def parked(sticks: Sticks, rows, xp=jnp):
    """Rows whose pieces after the stick is used up are at the middle: one row a point."""
    _, rest = left_over(sticks, rows, xp)
    crumbs = sticks.member & (rest < np.log(CRUMB))
    return xp.where(crumbs | sticks.last, 0.5, rows)


# ---------------------------------------------------------------------- priors


def log_density(prior: Prior, rows, code, xp=jnp):
    """Log of the belief in each column over the uniform one, `[..., D]`."""
    z = (rows - prior.mean) * prior.inverse
    normal = xp.where(prior.inverse > 0, prior.log_height - 0.5 * z * z, 0.0)
    k = prior.log_weight.shape[-1]
    hit = code[..., None] == xp.arange(k, dtype=xp.int32)
    listed = xp.sum(xp.where(hit, prior.log_weight, 0.0), axis=-1)
    return xp.where(prior.weighted, listed, normal)


def believed(prior: Prior, unit, cardinality, xp=jnp):
    """Uniform points of the cube to points distributed as the belief, `[..., D]`."""
    if xp is np:
        from scipy.special import ndtri
    else:
        ndtri = jax.scipy.special.ndtri
    flat = prior.inverse <= 0
    mass = xp.clip(prior.below + unit * prior.inside, 1e-15, 1.0 - 1e-15)
    normal = prior.mean + ndtri(mass) / xp.where(flat, 1.0, prior.inverse)
    count = xp.maximum(cardinality, 1).astype(unit.dtype)
    code = xp.sum(unit[..., None] >= prior.cumulative, axis=-1).astype(unit.dtype)
    listed = (xp.minimum(code, count - 1.0) + 0.5) / count
    drawn = xp.where(flat, unit, xp.clip(normal, 0.0, 1.0))
    return xp.where(prior.weighted, listed, drawn)


# ---------------------------------------------------------------------- pools


def nearest(pool: Pool, rows, category, weight, xp=jnp):
    """Index of the member next to each row, `[...]`.

    Args:
        category: `[D]` bool, columns that agree or do not.
        weight: `[..., D]`, of the columns' squared differences; 0 leaves one out.
    """
    difference = rows[..., None, :] - pool.rows
    differs = (difference != 0).astype(rows.dtype)
    squared = xp.where(category, differs, difference * difference)
    return xp.argmin(xp.sum(weight[..., None, :] * squared, axis=-1), axis=-1)
