"""Rows scored together with others that all of them share: joint moments, and draws of them.

Groups of q rows are each correlated with the same F fixed rows (pending ones, a baseline).
`posterior.joint` is asked for the fixed rows with several groups at a time, so that the fixed
rows' part is not done once more for every group; what groups have with each other is left out.
Draws are mean + L z with L the Cholesky factor of the whole, by blocks:

    L = [L_f 0; W L_q],   W = C_qf L_f^-T,   L_q L_q' = C_qq - W W'
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from bojax.optimize import normals
from bojax.optimize import sobol as sobol_points
from bojax.optimize.linalg import cholesky
from bojax.space import table as tables

DRAWS = 512  # Monte Carlo samples; Balandat et al. (2020), BoTorch's default
# Beyond so many columns 512 Sobol points are more correlated, pair by pair, than random ones:
# 0.23 against 0.16 at most among 64 columns, 0.08 against 0.14 among 32.
SOBOL_COLUMNS = 32


class Moments(NamedTuple):
    """Of F fixed rows and N groups of q.

    Attributes:
        fixed_mean, fixed_covariance: `[F]`, `[F, F]`.
        mean, covariance: `[N, q]`, `[N, q, q]`.
        cross: `[N, q, F]`.
    """

    fixed_mean: Any
    fixed_covariance: Any
    mean: Any
    covariance: Any
    cross: Any


class Draws(NamedTuple):
    """S draws: `fixed` `[S, F]`, `rows` `[N, S, q]`, and the means of the latter `[N, q]`."""

    fixed: Any
    rows: Any
    mean: Any


class Fixed(NamedTuple):
    """Rows that every group meets: `rows` `[F, D]`, where `mask` `[F]`."""

    rows: Any
    mask: Any


def fixed_rows(acquisition: Any, columns: int, dtype: Any, *names: str) -> Fixed:
    """The acquisition's own rows (leaves `name` with `name_mask`) one after the other.

    Raises:
        ValueError: rows or a mask of another shape, naming it.
    """
    parts, masks = [jnp.zeros((0, columns), dtype)], [jnp.zeros(0, bool)]
    for name in names:
        rows, mask = getattr(acquisition, name), getattr(acquisition, f"{name}_mask")
        if rows is None:
            continue
        rows, what = jnp.asarray(rows, dtype), f"{type(acquisition).__name__}: {name}"
        if rows.ndim != 2 or rows.shape[1] != columns:
            raise ValueError(
                f"{what} must be rows [N, {columns}], like those scored, got shape {rows.shape}."
            )
        mask = jnp.ones(len(rows), bool) if mask is None else jnp.asarray(mask, bool)
        if mask.shape != rows.shape[:1]:
            raise ValueError(
                f"{what}_mask must have shape {rows.shape[:1]}, one a row, got {mask.shape}."
            )
        parts.append(jnp.where(mask[:, None], rows, 0.0))
        masks.append(mask)
    return Fixed(jnp.concatenate(parts), jnp.concatenate(masks))


def moments(posterior: Any, rows: Any, fixed: Fixed) -> Moments:
    """Joint moments of every group `[N, q, D]` with the fixed rows, masked ones independent.

    Variances are at least what `mean_and_variance` says, which has a floor.
    """
    (n, q, d), f = rows.shape, fixed.rows.shape[0]
    mean, floor = map(jnp.asarray, posterior.mean_and_variance(rows))
    if f == 0:
        none = jnp.zeros((0, 0), mean.dtype)
        if q == 1:
            own = floor[..., None]
        else:
            own = _raised(jax.vmap(lambda r: posterior.joint(r)[1])(rows), floor)
        return Moments(none.reshape(0), none, mean, own, jnp.zeros((n, q, 0), mean.dtype))
    together = min(n, max(1, f // q))  # groups a call: as many new rows as fixed ones
    calls = -(-n // together)
    padded = jnp.concatenate([rows, jnp.repeat(rows[-1:], calls * together - n, axis=0)])

    def call(groups):
        _, covariance = posterior.joint(jnp.concatenate([fixed.rows, groups.reshape(-1, d)]))
        within = covariance[f:, f:].reshape(together, q, together, q)
        own = jnp.diagonal(within, axis1=0, axis2=2)  # [q, q, groups]
        return jnp.moveaxis(own, -1, 0), covariance[f:, :f].reshape(together, q, f)

    own, cross = jax.vmap(call)(padded.reshape(calls, together, q, d))
    own, cross = own.reshape(-1, q, q)[:n], cross.reshape(-1, q, f)[:n]
    fixed_mean, fixed_covariance = posterior.joint(fixed.rows)
    fixed_floor = jnp.asarray(posterior.mean_and_variance(fixed.rows)[1])
    kept = (fixed.mask[:, None] & fixed.mask) | jnp.eye(f, dtype=bool)
    return Moments(
        jnp.asarray(fixed_mean),
        _raised(jnp.where(kept, jnp.asarray(fixed_covariance), 0.0), fixed_floor),
        mean,
        _raised(own, floor),
        jnp.where(fixed.mask, cross, 0.0),
    )


def _raised(covariance, least):
    """Covariances whose diagonal is at least `least`."""
    n = covariance.shape[-1]
    variance = jnp.maximum(jnp.diagonal(covariance, axis1=-2, axis2=-1), least)
    return jnp.where(jnp.eye(n, dtype=bool), variance[..., None], covariance)


def factor(covariance):
    """Lower Cholesky factor `[..., n, n]`, the correlations shrunk as little as that needs.

    By rounding alone where that will do; then more, in the end to none: like a jitter, but each
    row's in proportion to its own variance, and never without an answer. Which shrinkage is
    tried out without gradients.
    """
    n, dtype = covariance.shape[-1], covariance.dtype
    deviation = jnp.sqrt(jnp.diagonal(covariance, axis1=-2, axis2=-1))
    if n <= 1:
        return deviation[..., None]
    correlation = covariance / (deviation[..., :, None] * deviation[..., None, :])
    off = jnp.where(jnp.eye(n, dtype=bool), 0.0, jnp.clip(correlation, -1.0, 1.0))
    least = math.log(4 * n * float(jnp.finfo(dtype).eps))
    ladder = jnp.asarray([math.exp(least * share) for share in (1.0, 2 / 3, 1 / 3, 0.0)], dtype)

    def shrunk(by):
        return off * (1.0 - by[..., None, None]) + jnp.eye(n, dtype=dtype)

    still = jax.lax.stop_gradient(off)
    tries = (still[None] * (1.0 - ladder.reshape(-1, *[1] * off.ndim))) + jnp.eye(n, dtype=dtype)
    fine = jnp.all(jnp.isfinite(cholesky(tries)), axis=(-1, -2)).at[-1].set(True)
    return deviation[..., :, None] * cholesky(shrunk(ladder[jnp.argmax(fine, axis=0)]))


def conditional(found: Moments) -> tuple[Any, Any, Any]:
    """L_f `[F, F]`, W `[N, q, F]` and the groups' covariances given the fixed rows `[N, q, q]`."""
    n, q, f = found.cross.shape
    if f == 0:
        return found.fixed_covariance, found.cross, found.covariance
    lower = factor(found.fixed_covariance)
    weights = jax.lax.linalg.triangular_solve(
        lower, found.cross.reshape(n * q, f), left_side=False, lower=True, transpose_a=True
    ).reshape(n, q, f)
    # Where nothing varies the covariances are rounding: no more may be shared than there is.
    own = jnp.diagonal(found.covariance, axis1=-2, axis2=-1)
    shared = jnp.sum(weights**2, axis=-1)
    over = shared > own
    weights = (
        weights * jnp.sqrt(jnp.where(over, own / jnp.where(over, shared, 1.0), 1.0))[..., None]
    )
    left = found.covariance - weights @ jnp.swapaxes(weights, -1, -2)
    # A row that is one of the fixed ones has nothing of its own left but rounding.
    eps = 4 * (f + q) * float(jnp.finfo(left.dtype).eps)
    return lower, weights, _raised(left, eps * own)


def draw(found: Moments, samples: Any) -> Draws:
    """Draws by base samples `[S, q + F]`, the groups' own columns first."""
    q, f = found.cross.shape[1:]
    lower, weights, left = conditional(found)
    own, shared = samples[:, :q], samples[:, q : q + f]
    rows = jnp.einsum("sj,nij->nsi", own, factor(left))
    if f:
        rows = rows + jnp.einsum("sf,nif->nsi", shared, weights)
    return Draws(found.fixed_mean + shared @ lower.T, found.mean[:, None, :] + rows, found.mean)


@functools.partial(
    jax.jit, static_argnums=(1, 2, 3), static_argnames=("count", "dimensions", "dtype")
)
def base_samples(seed: Any, count: int, dimensions: int, dtype: Any = None) -> Any:
    """Quasi-random standard normal base samples `[count, dimensions]`.

    Sobol points under a random digital shift, by the inverse of the normal distribution
    function (Balandat et al. 2020, section 4); from the 33rd column on plain random ones.

    Args:
        seed: an integer, traced or not; it makes the shift.
        count: static; powers of 2 are balanced.
        dimensions: static; for QLogEI, QUCB and QLogNEI: q first, then the baseline,
            then pending rows.

    Example:
        >>> from bojax.acquisitions import base_samples
        >>> samples = base_samples(0, 256, 3)
        >>> samples.shape, bool(abs(samples.mean()) < 0.01)
        ((256, 3), True)
    """
    few = min(dimensions, SOBOL_COLUMNS)
    keys = jax.random.split(jax.random.key(seed))
    shift = jax.random.bits(keys[0], (few,), jnp.uint32)
    dtype = jnp.result_type(float) if dtype is None else dtype
    samples = jax.scipy.special.ndtri(sobol_points(0, count, few, shift).astype(dtype))
    if few == dimensions:
        return samples
    return jnp.concatenate([samples, normals(keys[1], (count, dimensions - few), dtype)], axis=1)


def samples_of(acquisition: Any, dimensions: int, dtype: Any) -> Any:
    """The acquisition's base samples, or new ones by its seed.

    Raises:
        ValueError: too few columns.
    """
    if acquisition.samples is None:
        return base_samples(acquisition.seed, acquisition.count, dimensions, dtype)
    samples = jnp.asarray(acquisition.samples, dtype)
    if samples.ndim != 2 or samples.shape[1] < dimensions:
        raise ValueError(
            f"{type(acquisition).__name__}: samples must be [S, {dimensions}] or wider, a column "
            f"for each row scored together, in the baseline or pending; got {samples.shape}."
        )
    return samples


def scattered_rows(posterior: Any, seed: Any, count: int, columns: int, dtype: Any) -> Any:
    """Rows `[count, columns]` all over the posterior's space, by Sobol points.

    Canonical where the posterior has a table; else points of the unit cube.
    """
    table = getattr(posterior, "table", None)
    wide = columns if table is None else table.kind.shape[-1]
    shift = jax.random.bits(jax.random.key(seed), (wide,), jnp.uint32)
    points = sobol_points(0, count, wide, shift).astype(dtype)
    rows = points if table is None else tables.unit_to_row(table, points).astype(dtype)
    return rows[:, :columns]
