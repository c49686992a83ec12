"""What a row would tell of the minimum's value: max-value entropy search and GIBBON.

With z_s = (mean(x) - m_s) / sd(x), S draws m_s of the minimum and h = phi / Phi,

    MES(x)    = 1/S sum_s  z_s h(z_s) / 2 - log Phi(z_s)
    GIBBON(x) = -1/2 1/S sum_s log(1 - rho^2 h(z_s) (z_s + h(z_s))) + 1/2 log |R|

Wang & Jegelka (2017), "Max-value Entropy Search for Efficient Bayesian Optimization", eq. 6,
the draws by their Gumbel approximation (section 3.1) or as minima of functions drawn from the
posterior. Moss, Leslie, Gonzalez & Rayson (2021), "GIBBON: General-purpose Information-Based
Bayesian Optimisation", eq. 10: rho^2 = sd^2 / (sd^2 + noise), R the correlations of the
observations, for q rows a sum over rows. Both for minimisation: f(x) >= m_s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from bojax.acquisitions import _joint
from bojax.acquisitions._host import at_host, moments_at, noise_of
from bojax.acquisitions._normal import log_bound_gain, log_cdf, standardised, variance_left
from bojax.acquisitions.q_log_ei import grouped, log_mean_exp
from bojax.acquisitions.thompson import paths_of
from bojax.optimize import sobol as sobol_points
from bojax.pytrees import pytree

MINIMA = 10  # draws of the minimum; Moss et al. (2021), section 5
CANDIDATES = 512  # rows whose least is the minimum
HALVINGS = 40  # of the bracket of a quantile
QUARTILES = (0.25, 0.5, 0.75)
# The minimum lies this many noise deviations below the incumbent, at least (Wang & Jegelka's
# own programs): at the incumbent itself, known to a hair, z = 0 would pass for news.
MARGIN = 5.0


def gumbel_minima(mean: Any, variance: Any, uniforms: Any) -> Any:
    """Draws of the least of independent Gaussians, `[S]`, by a Gumbel distribution.

    With P(min > y) = prod_i Phi((mean_i - y) / sd_i), the Gumbel distribution
    exp(-exp((y - a) / b)) of that is given the same quartiles (Wang & Jegelka 2017, 3.1).

    Args:
        mean, variance: `[M]`.
        uniforms: `[S]` in (0, 1), the probabilities P(min > y) of the draws.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.acquisitions import gumbel_minima
        >>> minima = gumbel_minima(jnp.zeros(100), jnp.ones(100), jnp.array([0.25, 0.5, 0.75]))
        >>> [round(float(y), 1) for y in minima]  # of a hundred standard normals
        [-2.2, -2.5, -2.8]
    """
    dtype = mean.dtype
    deviation = jnp.sqrt(variance)
    aims = jnp.log(jnp.asarray(QUARTILES, dtype))

    def halve(_, bracket):
        low, high = bracket
        middle = 0.5 * (low + high)
        above = jnp.sum(log_cdf((mean - middle[:, None]) / deviation), axis=1)
        more = above > aims  # still too likely that the minimum is higher: go up
        return jnp.where(more, middle, low), jnp.where(more, high, middle)

    low = jnp.full(3, jnp.min(mean - 8.0 * deviation), dtype)
    high = jnp.full(3, jnp.min(mean + 8.0 * deviation), dtype)
    low, high = jax.lax.fori_loop(0, HALVINGS, halve, (low, high))
    first, median, third = 0.5 * (low + high)
    outer = [math.log(-math.log(p)) for p in QUARTILES]
    scale = (first - third) / (outer[0] - outer[2])
    return median + scale * (jnp.log(-jnp.log(uniforms.astype(dtype))) - outer[1])


def minima_of(acquisition: Any, posterior: Any, columns: int, dtype: Any, incumbent: Any):
    """Draws of the minimum `[S]`: the acquisition's own, or made here by its settings."""
    if acquisition.minima is not None:
        return jnp.atleast_1d(jnp.asarray(acquisition.minima, dtype))
    if acquisition.by not in ("gumbel", "paths"):
        raise ValueError(
            f"{type(acquisition).__name__}: by must be 'gumbel' or 'paths', got {acquisition.by!r}."
        )
    seed, count = acquisition.seed, acquisition.count
    rows = acquisition.candidates
    if rows is None:
        rows = _joint.scattered_rows(posterior, seed, CANDIDATES, columns, dtype)
    rows = jnp.asarray(rows, dtype)
    if acquisition.by == "paths":
        paths = paths_of(acquisition, posterior, jax.random.key(seed), count)
        minima = jnp.min(jnp.asarray(paths(rows)), axis=1)
    else:
        mean, variance = posterior.mean_and_variance(rows)
        shift = jax.random.bits(jax.random.key(seed), (1,), jnp.uint32)
        uniforms = sobol_points(0, count, 1, shift)[:, 0]
        minima = gumbel_minima(jnp.asarray(mean), jnp.asarray(variance), uniforms)
    if incumbent is None:
        return minima
    noise = noise_of(acquisition.noise, posterior, dtype)
    return jnp.minimum(minima, jnp.asarray(incumbent, dtype) - MARGIN * jnp.sqrt(noise))


@pytree
@dataclass(frozen=True)
class MaxValueEntropy:
    """Log of the information on the minimum's value in a noise-free observation, in nats.

    Called with `(posteriors, rows[..., 1, D], incumbent)`; the incumbent bounds the draws of
    the minimum from above, and may be None.

    Attributes:
        minima: `[S]` draws of the minimum, used as they are; None makes them at each call.
        candidates: `[M, D]` rows whose least is the minimum; None is 512 Sobol points of the
            posterior's space. The incumbent's neighbourhood belongs to them.
        noise: variance of an observation; None is what the posterior fitted, or 0.
        seed: an integer.
        count: static; how many draws.
        by: static, "gumbel", for which rows count as independent, or "paths", functions drawn
            from the posterior.

    Raises:
        ValueError: more than one row at a time, another `by`, or a posterior without paths.

    Example:
        >>> import jax, numpy as np
        >>> import bojax
        >>> rows = np.linspace(0, 1, 5)[:, None]
        >>> posterior, _ = bojax.surrogates.gp().fit(
        ...     jax.random.key(0), bojax.surrogates.Data(rows, np.sin(6 * rows[:, 0])))
        >>> new = np.linspace(0, 1, 11)
        >>> score = bojax.acquisitions.MaxValueEntropy()((posterior,), new[:, None, None], -0.98)
        >>> bool(0.7 <= new[score.argmax()] <= 0.9)
        True
    """

    minima: Any = None
    candidates: Any = None
    noise: Any = None
    seed: Any = 0
    count: int = field(default=MINIMA, metadata={"static": True})
    by: str = field(default="gumbel", metadata={"static": True})

    @at_host
    def __call__(self, posteriors: Any, rows: Any, incumbent: Any = None):
        mean, variance = moments_at(self, posteriors[0], rows)
        columns = jnp.shape(rows)[-1]
        minima = minima_of(self, posteriors[0], columns, mean.dtype, incumbent)
        z, _ = standardised(-mean[..., None], variance[..., None], -minima)
        return log_mean_exp(log_bound_gain(z), axis=-1)


@pytree
@dataclass(frozen=True)
class Gibbon:
    """Information on the minimum's value in noisy observations of q rows together, in nats.

    A lower bound, in closed form but for the minimum's draws. Called with
    `(posteriors, rows[..., q, D], incumbent)`. With pending rows, what the group adds to them.

    Attributes:
        minima, candidates, seed, count, by: as in :class:`MaxValueEntropy`.
        noise: variance of an observation; None is what the posterior fitted, or 0.
        pending, pending_mask: `[P, D]` rows, and `[P]` which of them are there; or None.

    Raises:
        ValueError: pending rows of a shape that does not fit, another `by`, or a posterior
            without paths.

    Example:
        >>> import jax, numpy as np
        >>> import bojax
        >>> rows = np.linspace(0, 1, 5)[:, None]
        >>> posterior, _ = bojax.surrogates.gp().fit(
        ...     jax.random.key(0), bojax.surrogates.Data(rows, np.sin(6 * rows[:, 0])))
        >>> pairs = np.array([[[0.8], [0.8]], [[0.8], [0.9]]])
        >>> same, apart = bojax.acquisitions.Gibbon()((posterior,), pairs, -0.98)
        >>> bool(apart > same)
        True
    """

    minima: Any = None
    candidates: Any = None
    noise: Any = None
    pending: Any = None
    pending_mask: Any = None
    seed: Any = 0
    count: int = field(default=MINIMA, metadata={"static": True})
    by: str = field(default="gumbel", metadata={"static": True})

    @at_host
    def __call__(self, posteriors: Any, rows: Any, incumbent: Any = None):
        rows, shape = grouped(rows)
        q, posterior = rows.shape[1], posteriors[0]
        fixed = _joint.fixed_rows(self, rows.shape[-1], rows.dtype, "pending")
        found = _joint.moments(posterior, rows, fixed)
        dtype = found.mean.dtype
        noise = noise_of(self.noise, posterior, dtype)
        minima = minima_of(self, posterior, rows.shape[-1], dtype, incumbent)
        variance = jnp.diagonal(found.covariance, axis1=-2, axis2=-1)
        observed = variance + noise
        z, _ = standardised(-found.mean[..., None], variance[..., None], -minima)
        # 1 - rho^2 (1 - left), without the difference where the noise is nothing.
        kept = (noise + variance * jnp.moveaxis(variance_left(z), -1, 0)) / observed
        quality = -0.5 * jnp.sum(jnp.mean(jnp.log(kept), axis=0), axis=-1)
        if q == 1 and not fixed.rows.shape[0]:
            return quality.reshape(shape)
        noisy = found._replace(
            covariance=found.covariance + noise * jnp.eye(q, dtype=dtype),
            fixed_covariance=found.fixed_covariance
            + noise * jnp.eye(fixed.rows.shape[0], dtype=dtype),
        )
        _, _, left = _joint.conditional(noisy)
        diagonal = jnp.diagonal(_joint.factor(left), axis1=-2, axis2=-1)
        spread = jnp.sum(jnp.log(diagonal) - 0.5 * jnp.log(observed), axis=-1)
        return (quality + spread).reshape(shape)
