"""Projected L-BFGS for boxes, as one loop with one evaluation a trip.

Limited-memory BFGS (Liu & Nocedal 1989) on the free variables of a box (Bertsekas 1982: a
variable at a bound whose gradient pushes outwards is frozen), backtracking by quadratic
interpolation to the Armijo condition. Every trip of the single `while_loop` evaluates one
trial point and then either accepts it and makes the next direction or shortens the step, so
lanes under `vmap` stay busy and the objective is traced once.

The inverse Hessian acts in its compact form (Byrd, Nocedal & Schnabel 1994, eq. 3.1): a few
products with the stored pairs, a tenth of the operations of the two-loop recursion written
out, which is what compiling costs.
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


class _State(NamedTuple):
    x: Any  # [P] accepted
    value: Any
    gradient: Any  # [P]
    trial: Any  # [P] to be evaluated next
    direction: Any  # [P]
    step: Any
    steps: Any  # [m, P] differences of points, newest last; 0 where there is none
    bends: Any  # [m, P] differences of gradients
    small: Any  # int32, successive trips whose predicted decrease was small
    evaluations: Any
    done: Any


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
) -> Result:
    """Minimise a smooth function over a box. Traceable, also under `vmap`.

    Args:
        objective: `x -> (value, gradient)`.
        start: `[P]` first point, clipped to the box.
        low, high: `[P]` bounds; equal bounds freeze a variable.
        most_evaluations: may be traced; 1 evaluates the start and stops.
        memory: pairs kept.
        largest_move: largest change of any variable in one step.
        tolerance: stop when half the Newton decrement promises less than this, twice in
            succession (once is chance: it ended half a nat short in one of many fits).

    Returns:
        A :class:`Result`. The value never rises, and a non-finite trial is only ever a
        reason to shorten the step.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.optimize.lbfgs import minimize
        >>> bowl = lambda x: (jnp.sum((x - 2.0) ** 2), 2.0 * (x - 2.0))
        >>> result = minimize(bowl, jnp.zeros(2), jnp.zeros(2), jnp.array([1.0, 3.0]))
        >>> [round(float(x), 3) for x in result.x]
        [1.0, 2.0]
    """
    start = jnp.clip(start, low, high)
    dtype, size = start.dtype, start.shape[0]

    def trip(state: _State) -> _State:
        value, gradient = objective(state.trial)
        finite = jnp.isfinite(value) & jnp.all(jnp.isfinite(gradient))
        moved = state.trial - state.x
        slope = jnp.where(moved != 0, state.gradient * moved, 0.0).sum()
        first = state.evaluations == 0
        accept = finite & (first | (value <= state.value + ARMIJO * jnp.minimum(slope, 0.0)))

        accepted = _accept(state, value, gradient, moved, first)
        direction = _direction(accepted, low, high, largest_move)
        decrement = -0.5 * jnp.where(direction != 0, accepted.gradient * direction, 0.0).sum()
        small = jnp.where(decrement < tolerance, accepted.small + 1, 0)
        accepted = accepted._replace(
            direction=direction,
            small=small,
            trial=jnp.clip(accepted.x + direction, low, high),
            done=(small >= 2) | (decrement <= 0.0),
        )

        # Rejected: the minimum of the parabola through what is known of the line.
        curve = 2.0 * (value - state.value - slope)
        parabola = -slope / jnp.where(curve > 0, curve, jnp.inf)
        factor = jnp.where(finite, jnp.clip(parabola, *SHORTEN), SHORTEN[0])
        step = state.step * factor
        rejected = state._replace(
            step=step,
            trial=jnp.clip(state.x + step * state.direction, low, high),
            done=(step < SMALLEST_STEP) | first,
        )
        new = jax.tree.map(lambda a, b: jnp.where(accept, a, b), accepted, rejected)
        return new._replace(evaluations=state.evaluations + 1)

    def unfinished(state: _State):
        return ~state.done & (state.evaluations < most_evaluations)

    zeros = jnp.zeros(size, dtype)
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
            steps=jnp.zeros((memory, size), dtype),
            bends=jnp.zeros((memory, size), dtype),
            small=jnp.zeros((), jnp.int32),
            evaluations=jnp.zeros((), jnp.int32),
            done=jnp.zeros((), bool),
        ),
    )
    return Result(final.x, final.value, final.gradient, final.evaluations, final.done)


def _accept(state: _State, value, gradient, moved, first) -> _State:
    """The trial becomes the point; its curvature pair enters, the oldest leaves."""
    bend = gradient - state.gradient
    keep = ~first & (moved @ bend > CURVATURE * (bend @ bend))

    def put(stored, new):
        return jnp.where(keep, jnp.concatenate([stored[1:], new[None]]), stored)

    return state._replace(
        x=state.trial,
        value=value,
        gradient=gradient,
        step=jnp.ones_like(state.step),
        steps=put(state.steps, moved),
        bends=put(state.bends, bend),
    )


def _direction(state: _State, low, high, largest_move: float):
    """-H g on the free variables; steepest descent where that does not descend.

    H = c I + [S, c Y] [[R^-T (D + c Y'Y) R^-1, -R^-T], [-R^-1, 0]] [S, c Y]' with R the upper
    triangle of S'Y, D its diagonal and c = s'y / y'y of the newest pair.
    """
    gradient = state.gradient
    outwards = ((state.x <= low) & (gradient > 0)) | ((state.x >= high) & (gradient < 0))
    free = ~outwards & (low < high)
    g = jnp.where(free, gradient, 0.0)
    steps = jnp.where(free, state.steps, 0.0)
    bends = jnp.where(free, state.bends, 0.0)
    # Pairs restricted to the free variables need curvature of their own, or they go.
    curvature = jnp.sum(steps * bends, axis=1)
    length = jnp.sum(bends * bends, axis=1)
    useful = (curvature > CURVATURE * length) & (length > 0)
    steps = jnp.where(useful[:, None], steps, 0.0)
    bends = jnp.where(useful[:, None], bends, 0.0)
    diagonal = jnp.where(useful, curvature, 0.0)
    upper = jnp.triu(steps @ bends.T) + jnp.diag(jnp.where(useful, 0.0, 1.0))

    # Before the first pair, a step of length at most one along the gradient.
    norm = jnp.sqrt(jnp.sum(g * g))
    first_scale = 1.0 / jnp.maximum(norm, 1.0)
    newest = useful[-1]
    scale = jnp.where(newest, curvature[-1] / jnp.where(newest, length[-1], 1.0), first_scale)
    # Two triangular systems: a = R^-1 S'g, b = R^-T ((D + c Y'Y) a - c Y'g).
    a = _solve(upper, steps @ g, transposed=False)
    b = _solve(upper, diagonal * a + scale * (bends @ (a @ bends - g)), transposed=True)
    direction = -(scale * (g - a @ bends) + b @ steps)
    descends = direction @ g < 0
    direction = jnp.where(descends & free, direction, jnp.where(descends, 0.0, -first_scale * g))
    size = jnp.max(jnp.abs(direction))
    return direction * jnp.minimum(1.0, largest_move / jnp.where(size > 0, size, 1.0))


def _solve(upper, right, *, transposed: bool):
    """R^-1 r or R^-T r for a small upper triangular R."""
    return jax.lax.linalg.triangular_solve(
        upper, right[:, None], left_side=True, lower=False, transpose_a=transposed
    )[:, 0]
