"""The normal distribution far in its tails: log Phi, Mills' ratio, what a bound takes away.

All go on where `bojax.acquisitions.log_ei` begins: with u = -z, Mills' ratio
e(u) = Phi(-u) / phi(u) is sqrt(pi/2) erfcx(u / sqrt 2), and beyond a limit its asymptotic series

    u e = P(t) = 1 - t + 3t^2 - 15t^3 + ...,    (1 - u e) / t = S(t) = 1 - 3t + 15t^2 - ...,

t = 1 / u^2 (Abramowitz & Stegun 26.2.12). Differences of the two are formed of their
coefficients, where the leading ones cancel exactly.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from bojax.acquisitions.log_ei import (
    HALF_LOG_TWO_PI,
    SERIES,
    SERIES_FROM,
    SLOPE_SERIES,
    _branches,
    _cdf,
    _mills,
    _pdf,
    _polynomial,
)

# Largest |z|: its square, and the slope of that by a variance of 1e-12, still are numbers.
LARGEST = {jnp.float64.dtype: 1e100, jnp.float32.dtype: 1e12}
TERMS = len(SERIES)
GAP = tuple(np.subtract(SLOPE_SERIES, SERIES)[1:])  # (P - S) / t
SQUARED = tuple(np.convolve(SLOPE_SERIES, SLOPE_SERIES)[:TERMS])  # P^2
SQUARED_GAP = tuple(np.subtract(SQUARED, SERIES)[1:])  # (P^2 - S) / t
SMALL = 1e-3  # below it log1p(-q) / q by its series, whose sixth term is 1e-16


def standardised(mean, variance, bound):
    """z = (bound - mean) / deviation, within what has a square, and the deviation."""
    deviation = jnp.sqrt(variance)
    most = LARGEST[deviation.dtype] * jax.lax.stop_gradient(deviation)
    away = jnp.asarray(bound, deviation.dtype) - mean
    return jnp.clip(away, -most, most) / deviation, deviation


def mills(u):
    """Mills' ratio Phi(-u) / phi(u) for u > -1."""
    limit = SERIES_FROM[u.dtype]
    far = u >= limit
    large = jnp.where(far, u, limit)
    series = _polynomial(SLOPE_SERIES, 1.0 / (large * large)) / large
    return jnp.where(far, series, _mills(jnp.where(far, 0.0, u)))


@jax.custom_jvp
def log_cdf(z):
    """log Phi(z) of any z."""
    near, far, z_near, u, u_far = _branches(z)
    direct = jnp.log1p(-_cdf(-z_near))
    ratio = jnp.where(far, _polynomial(SLOPE_SERIES, 1.0 / (u_far * u_far)) / u_far, _mills(u))
    below = jnp.where(near, 0.0, z)
    return jnp.where(near, direct, jnp.log(ratio) - 0.5 * below * below - HALF_LOG_TWO_PI)


@log_cdf.defjvp
def _log_cdf_jvp(primals, tangents):
    (z,), (tangent,) = primals, tangents
    near, far, z_near, u, u_far = _branches(z)
    direct = _pdf(z_near) / _cdf(z_near)
    series = u_far / _polynomial(SLOPE_SERIES, 1.0 / (u_far * u_far))
    slope = jnp.where(near, direct, jnp.where(far, series, 1.0 / _mills(u)))
    return log_cdf(z), slope * tangent


def _tail(z):
    """For z <= -1: Mills' ratio e, r = u (1 - u e) / e, 1 - r, and the mask of z > -1."""
    near, far, _, u, u_far = _branches(z)
    t = 1.0 / (u_far * u_far)
    p = _polynomial(SLOPE_SERIES, t)
    e = _mills(u)
    r = u * (1.0 - u * e) / e
    ratio = jnp.where(far, p / u_far, e)
    taken = jnp.where(far, _polynomial(SERIES, t) / p, r)
    left = jnp.where(far, t * _polynomial(GAP, t) / p, 1.0 - r)
    return ratio, taken, left, near


def _bulk(z):
    """For z > -1: Phi(z) and g(z) / phi(z), with g of :func:`log_bound_gain`."""
    inside = jnp.where(z > -1.0, z, 0.0)
    ratio = mills(inside)
    beyond = _pdf(inside) * ratio
    small = beyond < SMALL
    q = jnp.where(small, 0.5, beyond)
    direct = -jnp.log1p(-q) / q
    q = jnp.where(small, beyond, 0.0)
    series = 1.0 + q * (1.0 / 2 + q * (1.0 / 3 + q * (1.0 / 4 + q / 5.0)))
    cdf = 1.0 - beyond
    return inside, cdf, 0.5 * inside / cdf + ratio * jnp.where(small, series, direct)


@jax.custom_jvp
def log_bound_gain(z):
    """log g, g(z) = z phi(z) / (2 Phi(z)) - log Phi(z).

    The entropy that a standard normal loses once it is known to lie above -z.
    """
    inside, _, gain = _bulk(z)
    ratio, taken, _, near = _tail(z)
    bulk = jnp.log(gain) - 0.5 * inside * inside - HALF_LOG_TWO_PI
    return jnp.where(near, bulk, jnp.log(HALF_LOG_TWO_PI - 0.5 * taken - jnp.log(ratio)))


@log_bound_gain.defjvp
def _log_bound_gain_jvp(primals, tangents):
    # g' = -(h / 2) (1 + z (z + h)), h = phi / Phi.
    (z,), (tangent,) = primals, tangents
    inside, cdf, gain = _bulk(z)
    hazard = _pdf(inside) / cdf
    bulk = -0.5 * (1.0 + inside * (inside + hazard)) / (cdf * gain)
    ratio, taken, left, near = _tail(z)
    tail = -0.5 * left / (ratio * (HALF_LOG_TWO_PI - 0.5 * taken - jnp.log(ratio)))
    return log_bound_gain(z), jnp.where(near, bulk, tail) * tangent


def variance_left(z):
    """Variance of a standard normal known to lie above -z: 1 - h (z + h), h = phi / Phi."""
    near, far, z_near, u, u_far = _branches(z)
    hazard = _pdf(z_near) / _cdf(z_near)
    e = _mills(u)
    t = 1.0 / (u_far * u_far)
    middle = 1.0 - (1.0 - u * e) / (e * e)
    series = t * _polynomial(SQUARED_GAP, t) / _polynomial(SQUARED, t)
    return jnp.where(near, 1.0 - hazard * (z_near + hazard), jnp.where(far, series, middle))
