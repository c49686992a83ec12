"""Dense factors for symmetric positive definite matrices, arranged for XLA on a CPU.

Measured there (docs/decisions/0002): `solve_triangular(L, I)` is three times slower than
a recursive block inverse, and `A.T @ B` three times slower than `A @ B.T`. So the inverse
factor is formed transposed, U = L^-T, and K^-1 = U U^T.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

LEAF = 64  # below this LAPACK's triangular solve wins over recursion


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
    half = max(LEAF, n // 2 // LEAF * LEAF)
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
