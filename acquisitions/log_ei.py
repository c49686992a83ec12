"""Logarithmic expected improvement.

    EI(x) = E max(f* - f(x), 0) = sd(x) h(z),   z = (f* - mean(x)) / sd(x),
    h(z) = phi(z) + z Phi(z)

Jones, Schonlau & Welch (1998), eq. 15, for minimisation; Ament et al. (2023), "Unexpected
Improvements to Expected Improvement", for working in its logarithm: far from the incumbent
EI underflows and its gradient is zero, log EI is finite and points the way.

With u = -z and e = sqrt(pi/2) erfcx(u / sqrt 2), the scaled Mills ratio:

    z > -1:         log(phi + z Phi)
    -1 >= z > -lim: log(1 - u e) - u^2/2 - log(2 pi)/2
    beyond:         log(1 - 3t + 15t^2 - ...) - 2 log u - u^2/2 - log(2 pi)/2,   t = 1/u^2

The last is the asymptotic series of the Mills ratio, where 1 - u e has cancelled away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from bojax.optimize.precision import own_precision
from bojax.pytrees import pytree

# Where the series takes over. In float64 sooner than 37.5, where erfc(u / sqrt 2), of which
# JAX makes erfcx, falls into denormals that XLA flushes to zero, and not before 25, where
# the series' first omitted term passes 1e-15. Between them 1 - u e loses u^2 eps.
# Against high precision: value 1.2e-15, slope 4e-13; float32: 5e-7 and 8e-6.
SERIES_FROM = {jnp.float64.dtype: 30.0, jnp.float32.dtype: 6.0}
# (2 k + 1)!! with alternating signs: log of sum_k SERIES_k t^k
SERIES = (1.0, -3.0, 15.0, -105.0, 945.0, -10395.0, 135135.0, -2027025.0)
SLOPE_SERIES = (1.0, -1.0, 3.0, -15.0, 105.0, -945.0, 10395.0, -135135.0)
HALF_LOG_TWO_PI = 0.5 * math.log(2.0 * math.pi)


def _polynomial(coefficients, t):
    total = jnp.full_like(t, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = total * t + coefficient
    return total


def _branches(z):
    """Masks of the three branches and, for each, an argument it is safe to evaluate at."""
    limit = SERIES_FROM[z.dtype]
    near, far = z > -1.0, z <= -limit
    middle = ~near & ~far
    return (
        near,
        far,
        jnp.where(near, z, 0.0),
        jnp.where(middle, -z, 1.0),
        jnp.where(far, -z, limit),
    )


def _mills(u):
    """sqrt(pi / 2) erfcx(u / sqrt 2)."""
    return math.sqrt(math.pi / 2.0) * jax.scipy.special.erfcx(u * math.sqrt(0.5))


def _cdf(z):
    return 0.5 * jax.scipy.special.erfc(-z * math.sqrt(0.5))


def _pdf(z):
    return jnp.exp(-0.5 * z * z - HALF_LOG_TWO_PI)


@jax.custom_jvp
def log_h(z):
    """log(phi(z) + z Phi(z)), finite for every finite z.

    Args:
        z: any shape, float32 or float64.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.acquisitions.log_ei import log_h
        >>> [round(float(v), 2) for v in log_h(jnp.array([-0.5, -5.0, -30.0]))]
        [-1.62, -16.74, -457.72]
    """
    near, far, z_near, u, u_far = _branches(z)
    direct = jnp.log(_pdf(z_near) + z_near * _cdf(z_near))
    middle = jnp.log1p(-u * _mills(u)) - 0.5 * u * u - HALF_LOG_TWO_PI
    t = 1.0 / (u_far * u_far)
    series = jnp.log(_polynomial(SERIES, t)) - 2.0 * jnp.log(u_far)
    series = series - 0.5 * u_far * u_far - HALF_LOG_TWO_PI
    return jnp.where(near, direct, jnp.where(far, series, middle))


def _slope(z):
    """d log h / dz = Phi / h."""
    near, far, z_near, u, u_far = _branches(z)
    direct = _cdf(z_near) / (_pdf(z_near) + z_near * _cdf(z_near))
    e = _mills(u)
    middle = e / (1.0 - u * e)
    t = 1.0 / (u_far * u_far)
    series = u_far * _polynomial(SLOPE_SERIES, t) / _polynomial(SERIES, t)
    return jnp.where(near, direct, jnp.where(far, series, middle))


@log_h.defjvp
def _log_h_jvp(primals, tangents):
    (z,), (tangent,) = primals, tangents
    return log_h(z), _slope(z) * tangent


def log_expected_improvement(mean, variance, incumbent):
    """log EI of Gaussian predictions, elementwise.

    Args:
        mean, variance: of the function, minimised.
        incumbent: the value to improve on.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.acquisitions import log_expected_improvement
        >>> round(float(log_expected_improvement(jnp.array(0.0), jnp.array(1.0), 0.0)), 4)
        -0.9189
    """
    deviation = jnp.sqrt(variance)
    return jnp.log(deviation) + log_h((incumbent - mean) / deviation)


@pytree
@dataclass(frozen=True)
class LogEI:
    """Log expected improvement over the incumbent, averaged over fantasies.

    Called with `(posteriors, rows[..., 1, D], incumbent)`; larger is better. A posterior
    whose mean has a trailing axis of S fantasies (pending points with drawn outcomes) is
    averaged over them in EI: logsumexp over S less log S, with one incumbent a fantasy.

    Example:
        >>> import jax, numpy as np
        >>> import bojax
        >>> rows = np.linspace(0, 1, 5)[:, None]
        >>> posterior, _ = bojax.surrogates.gp().fit(
        ...     jax.random.key(0), bojax.surrogates.Data(rows, rows[:, 0]))
        >>> score = bojax.acquisitions.LogEI()((posterior,), rows[:, None, :], 0.0)
        >>> score.shape
        (5,)
    """

    def __call__(self, posteriors: Any, rows: Any, incumbent: Any):
        if rows.shape[-2] != 1:
            raise ValueError(
                f"LogEI: scores one row at a time, rows[..., 1, D]; got q={rows.shape[-2]}."
            )
        mean, variance = posteriors[0].mean_and_variance(rows[..., 0, :])
        with own_precision(mean):
            return self.of_moments(jnp.asarray(mean), jnp.asarray(variance), incumbent)

    def of_moments(self, mean, variance, incumbent):
        """The score from a mean `[..., N]` or `[..., N, S]` and variance `[..., N]`."""
        if mean.ndim == variance.ndim:
            return log_expected_improvement(mean, variance, incumbent)
        score = log_expected_improvement(mean, variance[..., None], incumbent)
        return jax.scipy.special.logsumexp(score, axis=-1) - math.log(score.shape[-1])
