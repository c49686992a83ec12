"""Projected L-BFGS for boxes, as one loop with one evaluation a trip.

Limited-memory BFGS (Liu & Nocedal 1989) on the free variables of a box (Bertsekas 1982: a
variable at a bound whose gradient pushes outwards is frozen), backtracking by quadratic
interpolation to the Armijo condition. Every trip of the single `while_loop` evaluates one
trial point and then either accepts it and makes the next direction or shortens the step, so
lanes under `vmap` stay busy and the objective is traced once.

The inverse Hessian acts in its compact form (Byrd, Nocedal & Schnabel 1994, eq. 3.1): a few
products with the stored pairs, a tenth of the operations of the two-loop recursion written
out, which is what compiling costs. The inverse of its triangle grows by a column with each
pair and loses its first with the oldest, so nothing is ever solved.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

ARMIJO = 1e-4  # sufficient decrease (Nocedal & Wright 2006, section 3.1)
SHORTEN = (0.1, 0.5)  # range a rejected step is multiplied with; 0.1 when not finite
CURVATURE = 1e-10  # a pair with s'y below this times y'y is skipped
SMALLEST_STEP = 1e-9  # a line search that came this far is over


class Result(NamedTuple):
    """Where a minimisation ended.

    Attributes:
        x: `[P]` the best point accepted.
        value: its objective; inf if the start itself was not finite.
        gradient: `[P]`.
        evaluations: int32, objective evaluations spent.
        converged: bool, whether it stopped by itself before `evaluations` ran out.
        aux: what the objective gave beside the value at `x`; zeros if it was never finite.

    Example:
        >>> from bojax.optimize import Result
        >>> Result._fields[:2]
        ('x', 'value')
    """

    x: Any
    value: Any
    gradient: Any
    evaluations: Any
    converged: Any
    aux: Any = None


class _Pairs(NamedTuple):
    """What is remembered of the curvature, newest last, zeros where there is none."""

    steps: Any  # [m, P] differences of points, S'
    bends: Any  # [m, P] differences of gradients, Y'
    curvature: Any  # [m] s'y of each
    triangle: Any  # [m, m] inverse of the upper triangle R of S'Y; 1 on the diagonal if empty


class _State(NamedTuple):
    x: Any  # [P] accepted
    value: Any
    gradient: Any  # [P]
    trial: Any  # [P] to be evaluated next
    direction: Any  # [P]
    step: Any
    pairs: _Pairs
    small: Any  # int32, successive trips whose predicted decrease was small
    evaluations: Any
    done: Any
    aux: Any  # pytree, at x


def minimize(
    objective: Callable,
    start,
    low,
    high,
    *,
    most_evaluations=100,
    memory: int = 10,
    largest_move: float = 2.0,
    tolerance=1e-6,
    has_aux: bool = False,
) -> Result:
    """Minimise a smooth function over a box. Traceable, also under `vmap`.

    Args:
        objective: `x -> (value, gradient)`, or `(value, gradient, aux)` with `has_aux`.
        start: `[P]` first point, clipped to the box.
        low, high: `[P]` bounds; equal bounds freeze a variable.
        most_evaluations: may be traced; 1 evaluates the start and stops.
        memory: pairs kept.
        largest_move: largest change of any variable in one step.
        tolerance: stop when half the Newton decrement promises less than this, twice in
            succession (once is chance: it ended half a nat short in one of many fits).
        has_aux: static; whether the objective gives a pytree more, to be kept for the result.

    Returns:
        A :class:`Result`. The value never rises, and a non-finite trial is only ever a
        reason to shorten the step.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.optimize import minimize
        >>> bowl = lambda x: (jnp.sum((x - 2.0) ** 2), 2.0 * (x - 2.0))
        >>> result = minimize(bowl, jnp.zeros(2), jnp.zeros(2), jnp.array([1.0, 3.0]))
        >>> [round(float(x), 3) for x in result.x]
        [1.0, 2.0]
    """
    start = jnp.clip(start, low, high)
    dtype, size = start.dtype, start.shape[0]

    def evaluated(x):
        return objective(x) if has_aux else (*objective(x), None)

    def trip(state: _State) -> _State:
        value, gradient, aux = evaluated(state.trial)
        first = state.evaluations == 0
        moved = state.trial - state.x
        finite = jnp.isfinite(value) & jnp.isfinite(jnp.sum(gradient))
        slope = jnp.sum(state.gradient * moved)
        accept = finite & (first | (value <= state.value + ARMIJO * jnp.minimum(slope, 0.0)))

        x = jnp.where(accept, state.trial, state.x)
        slopes = jnp.where(accept, gradient, state.gradient)
        pairs = _remember(state.pairs, moved, gradient - state.gradient, accept & ~first)
        direction = _direction(pairs, x, slopes, low, high, largest_move)
        decrement = -0.5 * jnp.sum(slopes * direction)
        small = jnp.where(decrement < tolerance, state.small + 1, 0)

        # Rejected: the minimum of the parabola through what is known of the line.
        bowed = 2.0 * (value - state.value - slope)
        parabola = -slope / jnp.where(bowed > 0, bowed, jnp.inf)
        factor = jnp.where(finite, jnp.clip(parabola, *SHORTEN), SHORTEN[0])
        step = jnp.where(accept, 1.0, state.step * factor)
        direction = jnp.where(accept, direction, state.direction)
        over = (small >= 2) | (decrement <= 0.0)
        return _State(
            x=x,
            value=jnp.where(accept, value, state.value),
            gradient=slopes,
            trial=jnp.clip(x + step * direction, low, high),
            direction=direction,
            step=step,
            pairs=pairs,
            small=jnp.where(accept, small, state.small),
            evaluations=state.evaluations + 1,
            done=jnp.where(accept, over, (step < SMALLEST_STEP) | first),
            aux=jax.tree.map(lambda new, old: jnp.where(accept, new, old), aux, state.aux),
        )

    def unfinished(state: _State):
        return ~state.done & (state.evaluations < most_evaluations)

    zeros = jnp.zeros(size, dtype)
    none = jnp.zeros((memory, size), dtype)
    shapes = jax.eval_shape(evaluated, start)[2]
    final = jax.lax.while_loop(
        unfinished,
        trip,
        _State(
            x=start,
            value=jnp.array(jnp.inf, dtype),
            gradient=zeros,
            trial=start,
            direction=zeros,
            step=jnp.ones((), dtype),
            pairs=_Pairs(none, none, jnp.zeros(memory, dtype), jnp.eye(memory, dtype=dtype)),
            small=jnp.zeros((), jnp.int32),
            evaluations=jnp.zeros((), jnp.int32),
            done=jnp.zeros((), bool),
            aux=jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes),
        ),
    )
    return Result(final.x, final.value, final.gradient, final.evaluations, final.done, final.aux)


def _remember(pairs: _Pairs, moved, bend, accept) -> _Pairs:
    """A pair with positive curvature enters, the oldest leaves.

    R^-1 of the larger triangle has the new column (-R^-1 r, 1) / s'y, with r = S'y.
    """
    curvature = jnp.sum(moved * bend)
    keep = accept & (curvature > CURVATURE * jnp.sum(bend * bend))
    safe = jnp.where(keep, curvature, 1.0)

    def put(stored, new):
        return jnp.where(keep, jnp.concatenate([stored[1:], new[None]]), stored)

    column = -(pairs.triangle @ (pairs.steps @ bend)) / safe
    last = jnp.arange(column.shape[0]) == column.shape[0] - 1
    column = jnp.where(last, 1.0 / safe, jnp.roll(column, -1))
    shifted = jnp.where(last, 0.0, jnp.roll(pairs.triangle, (-1, -1), (0, 1)))
    triangle = jnp.where(last[None, :], column[:, None], jnp.where(last[:, None], 0.0, shifted))
    return _Pairs(
        put(pairs.steps, moved),
        put(pairs.bends, bend),
        put(pairs.curvature, curvature),
        jnp.where(keep, triangle, pairs.triangle),
    )


def _direction(pairs: _Pairs, x, gradient, low, high, largest_move: float):
    """-H g on the free variables; steepest descent where that does not descend.

    H = c I + [S, c Y] [[R^-T (D + c Y'Y) R^-1, -R^-T], [-R^-1, 0]] [S, c Y]' with D the diagonal
    of R and c = s'y / y'y of the newest pair. H is positive definite, so its block of the free
    variables is, too.
    """
    outwards = ((x <= low) & (gradient > 0)) | ((x >= high) & (gradient < 0))
    g = jnp.where(outwards | (low >= high), 0.0, gradient)
    # Before the first pair, a step of length at most one along the gradient.
    cautious = 1.0 / jnp.maximum(jnp.sqrt(jnp.sum(g * g)), 1.0)
    length = jnp.sum(pairs.bends[-1] ** 2)
    known = pairs.curvature[-1] > 0
    scale = jnp.where(known, pairs.curvature[-1] / jnp.where(known, length, 1.0), cautious)

    a = pairs.triangle @ (pairs.steps @ g)
    image = a @ pairs.bends
    b = (pairs.curvature * a + scale * (pairs.bends @ (image - g))) @ pairs.triangle
    direction = jnp.where(g != 0, -(scale * (g - image) + b @ pairs.steps), 0.0)
    direction = jnp.where(jnp.sum(direction * g) < 0, direction, -cautious * g)
    size = jnp.max(jnp.abs(direction))
    return direction * jnp.minimum(1.0, largest_move / jnp.where(size > 0, size, 1.0))
