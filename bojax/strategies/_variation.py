"""Children of two parents, in the unit cube: how genetic algorithms cross and mutate.

Uniform crossover takes each value of one parent or the other (G. Syswerda, "Uniform crossover in
genetic algorithms", ICGA 1989). Simulated binary crossover and polynomial mutation move numbers by
steps whose spread the index eta sets, within the bounds (K. Deb and R. B. Agrawal, "Simulated
binary crossover for continuous search space", Complex Systems 9, 1995; K. Deb and S. Agrawal, "A
niched-penalty approach for constraint handling in genetic algorithms", ICANNGA 1999).
"""

from __future__ import annotations

import jax.numpy as jnp

NEAR = 1e-12  # parents closer than this have no step between them


def uniform(draws, one, other, swap):
    """`[D]`: each value of `other` with probability `swap`."""
    return jnp.where(draws < swap, other, one)


def simulated_binary(u, side, crosses, one, other, eta):
    """`[D]`: one of the two children whose mean is the parents', by the paper's density.

    Args:
        u: `[D]` uniform, how far from the parents.
        side: `[D]` bool, on the side of the larger parent.
        crosses: `[D]` bool; other values are those of `one`.
        one, other: `[D]` in the unit interval.
        eta: the larger, the nearer to the parents.
    """
    low, high = jnp.minimum(one, other), jnp.maximum(one, other)
    apart = high - low
    width = jnp.where(apart > NEAR, apart, 1.0)
    room = jnp.where(side, 1.0 - high, low)  # to the bound on that side
    alpha = 2.0 - (1.0 + 2.0 * room / width) ** -(eta + 1.0)
    inside = u * alpha <= 1.0
    spread = jnp.where(inside, u * alpha, 1.0 / jnp.where(inside, 1.0, 2.0 - u * alpha))
    reach = spread ** (1.0 / (eta + 1.0)) * apart
    child = 0.5 * (low + high + jnp.where(side, reach, -reach))
    return jnp.where(crosses & (apart > NEAR), jnp.clip(child, 0.0, 1.0), one)


def polynomial(u, value, eta):
    """`[D]`: values moved by a polynomial density's step, within the unit interval.

    Args:
        u: `[D]` uniform; below a half the step is down, above it up.
        value: `[D]` in the unit interval.
        eta: the larger, the smaller the steps.
    """
    down = u < 0.5
    share = jnp.where(down, 2.0 * u, 2.0 * (1.0 - u))
    far = jnp.where(down, 1.0 - value, value)  # 1 minus what is left to the bound
    step = 1.0 - (share + (1.0 - share) * far ** (eta + 1.0)) ** (1.0 / (eta + 1.0))
    return jnp.clip(jnp.where(down, value - step, value + step), 0.0, 1.0)
