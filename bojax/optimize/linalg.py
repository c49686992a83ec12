"""Dense factors for symmetric positive definite matrices, arranged for XLA on a CPU.

Measured there (docs/decisions/0002): `solve_triangular(L, I)` is three times slower than
an inverse by blocks, and `A.T @ B` three times slower than `A @ B.T`. So the inverse
factor is formed transposed, U = L^-T, and K^-1 = U U^T.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

LEAF = 48  # blocks up to this size are inverted by LAPACK, all of them in one call
SPLIT = 128  # from this size on the blocks of a product are worth their compile time


def cholesky(matrix):
    """Lower Cholesky factor `[..., N, N]`; NaN where the matrix is not positive definite.

    LAPACK stores by columns. Given the transpose, which is the same matrix, the compiler lays
    out by rows whatever the matrix was made of, like all that comes after; without it every
    later pass over both kinds goes against the grain of one (docs/decisions/0002).
    """
    return jax.lax.linalg.cholesky(jnp.swapaxes(matrix, -1, -2), symmetrize_input=False)


def inverse_transposed(lower):
    """U = L^-T of a lower triangular `[..., N, N]`, by 2x2 blocks, from small ones up.

    [L11 0; L21 L22]^-T = [U11, -U11 L21^T U22; 0, U22], all pairs of a level in one batch: a
    level is two products however many blocks it has.
    """
    n = lower.shape[-1]
    levels = max(0, math.ceil(math.log2(n / LEAF)))
    size = -(-n // 2**levels)
    total = size * 2**levels
    if total > n:  # a few rows of the identity, so that all blocks are of one size
        more = jnp.arange(total) >= n
        pad = [(0, 0)] * (lower.ndim - 2) + [(0, total - n)] * 2
        lower = jnp.pad(lower, pad) + jnp.diag(more.astype(lower.dtype))

    def blocks(row, column, step):
        starts = range(0, total, step)
        parts = [
            lower[..., i + row : i + row + size, i + column : i + column + size] for i in starts
        ]
        return jnp.stack(parts, axis=-3)

    small = blocks(0, 0, size)
    identity = jnp.broadcast_to(jnp.eye(size, dtype=lower.dtype), small.shape)
    inverse = jax.lax.linalg.triangular_solve(small, identity, left_side=True, lower=True)
    upper = jnp.swapaxes(inverse, -1, -2)
    while size < total:
        first, second = upper[..., 0::2, :, :], upper[..., 1::2, :, :]
        below = jnp.swapaxes(blocks(size, 0, 2 * size), -1, -2)
        corner = -(first @ below) @ second
        rows = [
            jnp.concatenate([first, corner], axis=-1),
            jnp.concatenate([jnp.zeros_like(corner), second], axis=-1),
        ]
        upper = jnp.concatenate(rows, axis=-2)
        size *= 2
    return upper[..., 0, :n, :n]


def gram_of_upper(upper):
    """U U^T of an upper triangular `[N, N]`, without the products with its zero blocks.

    [U11 U12; 0 U22]: U11 U11' + U12 U12', U12 U22' beside it and mirrored, U22 U22'.
    """
    n = upper.shape[-1]
    if n < SPLIT:
        return upper @ jnp.swapaxes(upper, -1, -2)
    half = _half(n)
    first, second = upper[..., :half, :half], upper[..., half:, half:]
    corner = upper[..., :half, half:]
    beside = corner @ jnp.swapaxes(second, -1, -2)
    top = gram_of_upper(first) + corner @ jnp.swapaxes(corner, -1, -2)
    return jnp.concatenate(
        [
            jnp.concatenate([top, beside], axis=-1),
            jnp.concatenate([jnp.swapaxes(beside, -1, -2), gram_of_upper(second)], axis=-1),
        ],
        axis=-2,
    )


def _half(n: int) -> int:
    """Half of n, rounded up to a multiple of 8."""
    return -(-n // 16) * 8
