"""Sobol points: a digital (t, s)-sequence in base 2, on the host and under `jit`.

Point i has coordinate d = XOR over the set bits b of gray(i) of the direction integer
V[d, b], read as a binary fraction (Antonov & Saleev 1979). The XOR with one random integer
a dimension, a digital shift, keeps the net's structure and makes every point uniform.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

from bojax.errors import SpaceError
from bojax.optimize.sobol_numbers import JOE_KUO

BITS = 32
MOST_DIMENSIONS = 128


@functools.cache
def directions() -> np.ndarray:
    """Direction integers V, `uint32[128, 32]`, by the recurrence of Bratley & Fox (1988)."""
    table = np.zeros((MOST_DIMENSIONS, BITS), np.uint64)
    for row, line in zip(table, JOE_KUO.strip().splitlines(), strict=True):
        polynomial, *initial = map(int, line.split())
        degree = polynomial.bit_length() - 1
        if degree == 0:
            row[:] = [1 << (BITS - 1 - b) for b in range(BITS)]
            continue
        m = list(initial)
        for b in range(degree, BITS):
            new = m[b - degree] ^ (m[b - degree] << degree)
            for k in range(1, degree):
                if polynomial >> (degree - k) & 1:
                    new ^= m[b - k] << k
            m.append(new)
        row[:] = [m[b] << (BITS - 1 - b) for b in range(BITS)]
    return table.astype(np.uint32)


def sobol(start, count: int, dimensions: int, shift=None, xp=jnp):
    """Points `start .. start + count` of the sequence, `[count, dimensions]` in (0, 1).

    Args:
        start: index of the first point, a traced integer or a Python one.
        count, dimensions: static; at most 128 dimensions.
        shift: `uint32[dimensions]` digital shift; None for the plain sequence, whose
            first point is the origin.
        xp: array namespace (`numpy` on the host).

    Returns:
        Floats of the default precision. With a shift, points lie at the centre of the
        finest cells, so never at 0 or 1 in float64.

    Raises:
        SpaceError: more than 128 dimensions.

    Example:
        >>> import numpy as np
        >>> from bojax.optimize.sobol import sobol
        >>> sobol(0, 4, 2, xp=np).tolist()
        [[0.0, 0.0], [0.5, 0.5], [0.75, 0.25], [0.25, 0.75]]
    """
    if dimensions > MOST_DIMENSIONS:
        raise SpaceError(f"sobol: at most {MOST_DIMENSIONS} dimensions, got {dimensions}.")
    index = xp.asarray(start, xp.uint32) + xp.arange(count, dtype=xp.uint32)
    gray = index ^ (index >> np.uint32(1))
    table = xp.asarray(directions()[:dimensions])

    def add_bit(bit, points):
        chosen = (gray >> xp.asarray(bit, xp.uint32)) & np.uint32(1)
        # 0 - 1 wraps to all ones: a mask without a branch.
        mask = xp.zeros_like(chosen) - chosen
        return points ^ (mask[:, None] & table[None, :, bit])

    points = xp.zeros((count, dimensions), xp.uint32)
    if xp is np:
        for bit in range(BITS):
            points = add_bit(bit, points)
        unit, half = points.astype(np.float64), 0.5
    else:
        points = jax.lax.fori_loop(0, BITS, add_bit, points)
        unit, half = points.astype(float), 0.5
    if shift is None:
        return unit * 2.0**-BITS
    shifted = points ^ xp.asarray(shift, xp.uint32)[None, :]
    unit = shifted.astype(np.float64 if xp is np else float)
    return xp.minimum((unit + half) * 2.0**-BITS, 1.0 - xp.finfo(unit.dtype).epsneg)
