"""Projected L-BFGS for boxes, as one loop with one evaluation a trip.

Limited-memory BFGS (Liu & Nocedal 1989) on the free variables of a box (Bertsekas 1982: a
variable at a bound whose gradient pushes outwards is frozen), backtracking by quadratic
interpolation to the Armijo condition. Every trip of the single `while_loop` evaluates one
trial point and then either accepts it and makes the next direction or shortens the step, so
lanes under `vmap` stay busy and the objective is traced once.
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
    steps: Any  # [m, P] differences of points
    bends: Any  # [m, P] differences of gradients
    inverse: Any  # [m] 1 / s'y, 0 for an empty slot
    pairs: Any  # int32, pairs stored so far
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
        accept = finite & (first | (value <= state.value + ARMIJO * slope))

        accepted = _accept(state, value, gradient, moved, first)
        direction = _direction(accepted, low, high, memory, largest_move)
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
            inverse=jnp.zeros(memory, dtype),
            pairs=jnp.zeros((), jnp.int32),
            small=jnp.zeros((), jnp.int32),
            evaluations=jnp.zeros((), jnp.int32),
            done=jnp.zeros((), bool),
        ),
    )
    return Result(final.x, final.value, final.gradient, final.evaluations, final.done)


def _accept(state: _State, value, gradient, moved, first) -> _State:
    """The trial becomes the point; its curvature pair is stored in a ring."""
    bend = gradient - state.gradient
    curvature = moved @ bend
    keep = ~first & (curvature > CURVATURE * (bend @ bend)) & (curvature > 0)
    slot = state.pairs % state.inverse.shape[0]

    def put(ring, new):
        return ring.at[slot].set(jnp.where(keep, new, ring[slot]))

    return state._replace(
        x=state.trial,
        value=value,
        gradient=gradient,
        step=jnp.ones_like(state.step),
        steps=put(state.steps, moved),
        bends=put(state.bends, bend),
        inverse=put(state.inverse, 1.0 / jnp.where(keep, curvature, 1.0)),
        pairs=state.pairs + keep.astype(jnp.int32),
    )


def _direction(state: _State, low, high, memory: int, largest_move: float):
    """The two-loop recursion on the free variables; steepest descent if it fails to descend."""
    gradient = state.gradient
    outwards = ((state.x <= low) & (gradient > 0)) | ((state.x >= high) & (gradient < 0))
    free = ~outwards & (low < high)
    g = jnp.where(free, gradient, 0.0)
    newest = jnp.where(state.pairs > 0, (state.pairs - 1) % memory, 0)
    # Rows of the ring, newest first; empty slots have inverse 0 and change nothing.
    order = (newest - jnp.arange(memory, dtype=jnp.int32)) % memory
    steps = jnp.where(free, state.steps[order], 0.0)
    bends = jnp.where(free, state.bends[order], 0.0)
    # Pairs restricted to the free variables need their own curvature.
    curvature = jnp.sum(steps * bends, axis=1)
    useful = (state.inverse[order] > 0) & (curvature > CURVATURE * jnp.sum(bends**2, axis=1))
    inverse = jnp.where(useful, 1.0 / jnp.where(useful, curvature, 1.0), 0.0)

    q, weights = g, []
    for i in range(memory):
        weight = inverse[i] * (steps[i] @ q)
        q = q - weight * bends[i]
        weights.append(weight)
    length = jnp.sum(bends[0] ** 2)
    scaled = curvature[0] / jnp.where(length > 0, length, 1.0)
    # Before the first pair, a step of length one along the gradient.
    norm = jnp.sqrt(jnp.sum(g**2))
    first_scale = 1.0 / jnp.where(norm > 0, jnp.maximum(norm, 1.0), 1.0)
    r = jnp.where(inverse[0] > 0, scaled, first_scale) * q
    for i in reversed(range(memory)):
        r = r + steps[i] * (weights[i] - inverse[i] * (bends[i] @ r))
    direction = jnp.where(free, -r, 0.0)
    descends = direction @ g < 0
    direction = jnp.where(descends, direction, -first_scale * g)
    size = jnp.max(jnp.abs(direction))
    return direction * jnp.minimum(1.0, largest_move / jnp.where(size > 0, size, 1.0))
