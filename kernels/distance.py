"""The ARD squared distance every stationary kernel here is a function of.

    r^2(x, z) = sum_k  d_k(x, z) / l_k^2  +  (a_k(x) - a_k(z))^2 / g_k^2

with d_k = (x_k - z_k)^2 for a number and [x_k != z_k] for a category. An inactive
coordinate is parked at its default, so two rows in which column k does not exist agree in
it; one in which it exists and one in which it does not are `1 / g_k^2` further apart, a
distance of its own to be learned. Both terms are squared distances of an embedding (a
category is a corner of a simplex, activity a coordinate), so every kernel that is positive
definite in Euclidean distance stays so on mixed and conditional spaces.

Differences are taken directly, never as |x|^2 + |z|^2 - 2 x.z: the latter loses the
positive definiteness of near-duplicates (of 10,000 data sets made to be hard, none failed
to factor with direct differences and a diagonal of n eps; 68 did in the other form).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from bojax.space import Features

UNUSED, CATEGORY = 0, 4  # bojax.space.table's, which a plain array never has
HOIST = 200_000  # numbers that may be kept over a loop: what a processor's cache holds
UNROLL = 24  # columns up to which the sum is written out; beyond, a loop over blocks
BLOCK = 8


def as_features(x) -> Features:
    """A plain array `[..., D]` as features: all numbers, all active."""
    if isinstance(x, Features):
        return x
    x = jnp.asarray(x)
    return Features(x, jnp.ones_like(x), jnp.ones(x.shape[-1], jnp.int32))


def column_distance(x, z, kind):
    """d_k of one column: `[N]`, `[M]`, scalar kind -> `[N, M]`."""
    squared = (x[..., :, None] - z[..., None, :]) ** 2
    # Codes differ by at least 1, so a category's mismatch is the square capped at 1.
    return jnp.minimum(squared, jnp.where(kind == CATEGORY, 1.0, jnp.inf).astype(squared.dtype))


def squared_distance(x: Features, z: Features, length_scale, gap):
    """r^2 of every pair, `[N, D]`, `[M, D]` -> `[N, M]`.

    Args:
        x, z: features.
        length_scale, gap: `[D]`, the l and g of the formula.
    """
    # Subtracted before they are scaled: in a compiled program x / l - x / l is a fused
    # multiply-add and no zero, which Matern 1/2, with its kink there, turns into nonsense.
    weights = length_scale**-2
    category = x.kind == CATEGORY
    numbers = jnp.where(category, 0.0, weights)

    def block(total, columns):
        xs, zs, weight = columns
        for k in range(xs.shape[0]):
            total = total + (xs[k][:, None] - zs[k][None, :]) ** 2 * weight[k]
        return total

    parts = (x.coordinate.T, z.coordinate.T, numbers)
    if x.active.shape[-2] * z.active.shape[-2] * x.active.shape[-1] > HOIST:
        # In a loop over hyperparameters the compiler would keep every column's differences.
        parts = jax.lax.optimization_barrier(parts)
    zeros = jnp.zeros((x.active.shape[-2], z.active.shape[-2]), weights.dtype)
    plain = ~jnp.any(category) & jnp.all(x.active == 1.0) & jnp.all(z.active == 1.0)

    def special():
        apart = activity_distance(x, z, gap)
        return mismatch_distance(x, z, jnp.where(category, weights, 0.0), apart)

    total = jax.lax.cond(plain, lambda: zeros, special)
    d = numbers.shape[0]
    if d <= UNROLL:
        return block(total, parts)
    whole = d - d % BLOCK  # a selection of columns has any number of them
    blocks = [part[:whole].reshape(-1, BLOCK, *part.shape[1:]) for part in parts]
    total = jax.lax.scan(lambda t, c: (block(t, c), None), total, tuple(blocks))[0]
    return block(total, tuple(part[whole:] for part in parts))


def mismatch_distance(x: Features, z: Features, weights, start):
    """start + sum_k weights_k [x_k != z_k], `[N, M]`."""

    def add(total, column):
        xs, zs, weight = column
        return total + jnp.where(xs[:, None] != zs[None, :], weight, 0.0), None

    return jax.lax.scan(add, start, (x.coordinate.T, z.coordinate.T, weights))[0]


def activity_distance(x: Features, z: Features, gap):
    """sum_k (a_k(x) - a_k(z))^2 / g_k^2, `[N, M]`.

    Activity is 0 or 1: |a - a'| = a (1 - a') + (1 - a) a', sums of positive terms, exact as
    matrix products.
    """
    weight = gap**-2
    here, there = x.active * weight, (1.0 - x.active) * weight
    return here @ (1.0 - z.active).T + there @ z.active.T


def contract(pairs, x: Features):
    """sum_ij pairs_ij d_k(x_i, x_j) for every column, and the same for activity.

    What the gradient by log length scales needs. For numbers the symmetric matrix is
    contracted by matrix products, which keep 1e-13 of it in float64 though they would not
    do for the distance itself; with a category present, or in float32, column by column.

    Args:
        pairs: `[N, N]`, symmetric.
        x: features of N rows.

    Returns:
        `([D], [D])`.
    """
    sums = jnp.sum(pairs, axis=1)

    def products(values):
        centred = values - jnp.mean(values, axis=0, keepdims=True)
        return 2.0 * (sums @ centred**2 - jnp.sum(centred * (pairs @ centred), axis=0))

    def columns(values):
        def one(column):
            return jnp.sum(pairs * column_distance(column[0], column[0], column[1]))

        return jax.lax.map(one, (values.T, x.kind))

    if x.coordinate.dtype == jnp.float64:
        mixed = jnp.any(x.kind == CATEGORY)
        numbers = jax.lax.cond(mixed, columns, products, x.coordinate)
    else:
        numbers = columns(x.coordinate)
    # Activity is 0 or 1: its products are exact enough in any precision.
    always = jnp.all(x.active == 1.0)
    nothing = jnp.zeros(x.active.shape[-1], x.active.dtype)
    return numbers, jax.lax.cond(always, lambda: nothing, lambda: products(x.active))
