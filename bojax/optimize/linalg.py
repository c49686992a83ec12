"""Dense factors for symmetric positive definite matrices, arranged for XLA on a CPU.

Measured there (docs/decisions/0002): `solve_triangular(L, I)` is three times slower than
a recursive block inverse, and `A.T @ B` three times slower than `A @ B.T`. So the inverse
factor is formed transposed, U = L^-T, and K^-1 = U U^T.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

LEAF = 64  # below this LAPACK's triangular solve wins over recursion
SPLIT = 128  # from this size on the blocks of a product are worth their compile time


def cholesky(matrix):
    """Lower Cholesky factor `[..., N, N]`; NaN where the matrix is not positive definite."""
    return jax.lax.linalg.cholesky(matrix, symmetrize_input=False)


def inverse_transposed(lower):
    """U = L^-T of a lower triangular `[N, N]`, by recursive 2x2 blocks.

    [L11 0; L21 L22]^-T = [U11, -U11 L21^T U22; 0, U22].
    """
    n = lower.shape[-1]
    if n <= LEAF:
        identity = jnp.eye(n, dtype=lower.dtype)
        inverse = jax.lax.linalg.triangular_solve(lower, identity, left_side=True, lower=True)
        return jnp.swapaxes(inverse, -1, -2)
    half = _half(n)
    first = inverse_transposed(lower[..., :half, :half])
    second = inverse_transposed(lower[..., half:, half:])
    corner = -(first @ jnp.swapaxes(lower[..., half:, :half], -1, -2)) @ second
    zeros = jnp.zeros_like(jnp.swapaxes(corner, -1, -2))
    return jnp.concatenate(
        [
            jnp.concatenate([first, corner], axis=-1),
            jnp.concatenate([zeros, second], axis=-1),
        ],
        axis=-2,
    )


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
