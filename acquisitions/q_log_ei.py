"""Improvement of q rows together, in its logarithm, by Monte Carlo.

    qLogEI  = log 1/S sum_s fatmax_i tau_relu fatplus((f* - f_s(x_i)) / tau_relu)
    qLogNEI = the same with f*_s = min over the baseline of f_s, sample by sample

    fatplus(u) = log(1 + e^u) + 0.1 / (1 + u^2)
    fatmax(l)  = M + tau_max log sum_i 2 / (2 + 2 z_i + z_i^2),  z_i = (M - l_i) / tau_max

with l = log of the improvement and M its largest. Ament, Daulton, Eriksson, Balandat & Bakshy
(2023), "Unexpected Improvements to Expected Improvement for Bayesian Optimization", section 4:
kink and maximum are smoothed with tails that fall by a power, so that every sample of every row
has a slope. Noisy EI: Letham, Karrer, Ottoni & Bakshy (2019), "Constrained Bayesian Optimization
with Noisy Experiments". f_s = mean + L z_s with base samples z held fixed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bojax.acquisitions import _joint
from bojax.acquisitions._host import at_host
from bojax.acquisitions._joint import DRAWS
from bojax.optimize.precision import own_precision
from bojax.pytrees import pytree

# Ament et al. (2023), appendix A.3; tau_relu in the values' unit.
TAU_RELU, TAU_MAX = 1e-6, 1e-2
CAUCHY = 0.1  # share of the tail: the largest for which fatplus rises and is convex
# |u| beyond which the leading term of log fatplus is all there is, to rounding.
FAR = {jnp.float64.dtype: 1e8, jnp.float32.dtype: 1e4}
PRUNING_DRAWS = 2048  # Balandat et al. (2020), BoTorch's default


def log_fatplus(x, tau):
    """log(tau fatplus(x / tau)) of any x: `-2 log |x|` plus a constant far below 0."""
    far = FAR[x.dtype] * tau
    above, below = x > far, x < -far
    u = jnp.where(above | below, 0.0, x) / tau
    softplus = jnp.maximum(u, 0.0) + jnp.log1p(jnp.exp(-jnp.abs(u)))
    near = jnp.log(softplus + CAUCHY / (1.0 + u * u)) + jnp.log(tau)
    size = jnp.log(jnp.where(above | below, jnp.abs(x), 1.0))
    tail = math.log(CAUCHY) + 3.0 * jnp.log(tau) - 2.0 * size
    return jnp.where(above, size, jnp.where(below, tail, near))


def fatmax(x, mask, tau):
    """Smooth maximum over the last axis of what `mask` leaves."""
    top = jnp.max(jnp.where(mask, x, -jnp.inf), axis=-1, keepdims=True)
    z = jnp.where(mask, top - x, 0.0) / tau
    weights = jnp.where(mask, 2.0 / (2.0 + z * (2.0 + z)), 0.0)
    return top[..., 0] + tau * jnp.log(jnp.sum(weights, axis=-1))


def log_mean_exp(x, axis):
    """log of the mean of exp(x)."""
    return jax.scipy.special.logsumexp(x, axis=axis) - math.log(x.shape[axis])


def grouped(rows):
    """`rows[..., q, D]` as `[N, q, D]`, and the shape of the scores.

    Raises:
        ValueError: no axis of rows that are scored together.
    """
    rows = jnp.asarray(rows)
    if rows.ndim < 2:
        raise ValueError(f"rows must be [..., q, D], got shape {rows.shape}.")
    return rows.reshape(-1, *rows.shape[-2:]), rows.shape[:-2]


def _smooth_log_ei(acquisition, draws, best, shape, others=None, others_mask=None):
    """The formula above: draws `[N, S, q]`, incumbents `[S]`, other rows' draws `[S, P]`."""
    n, _, q = draws.shape
    dtype = draws.dtype
    mask = jnp.ones(q, bool)
    if others is not None and others.shape[1]:
        more = jnp.broadcast_to(others, (n, *others.shape))
        draws, mask = jnp.concatenate([draws, more], -1), jnp.concatenate([mask, others_mask])
    gain = log_fatplus(best[:, None] - draws, jnp.asarray(acquisition.tau_relu, dtype))
    if draws.shape[-1] > 1:
        gain = fatmax(gain, mask, jnp.asarray(acquisition.tau_max, dtype))
    else:
        gain = gain[..., 0]
    return log_mean_exp(gain, axis=1).reshape(shape)


@pytree
@dataclass(frozen=True)
class QLogEI:
    """Log expected improvement of q rows together over a known incumbent.

    Called with `(posteriors, rows[..., q, D], incumbent)`. Pending rows count as part of
    every group: the score is the improvement of both.

    Attributes:
        pending, pending_mask: `[P, D]` rows, and `[P]` which of them are there; or None.
        samples: `[S, q + P]` standard normal base samples; None makes `count` by the seed.
        tau_relu, tau_max: temperatures above 0 of the kink, in the values' unit, and of the
            maximum.
        seed: an integer.
        count: static; a power of 2.

    Raises:
        ValueError: pending rows or base samples of a shape that does not fit.

    Example:
        >>> import jax, numpy as np
        >>> import bojax
        >>> rows = np.linspace(0, 1, 5)[:, None]
        >>> posterior, _ = bojax.surrogates.gp().fit(
        ...     jax.random.key(0), bojax.surrogates.Data(rows, np.sin(6 * rows[:, 0])))
        >>> pairs = np.array([[[0.8], [0.8]], [[0.8], [0.85]]])
        >>> same, apart = bojax.acquisitions.QLogEI()((posterior,), pairs, -0.9)
        >>> bool(apart > same)
        True
    """

    pending: Any = None
    pending_mask: Any = None
    samples: Any = None
    tau_relu: Any = TAU_RELU
    tau_max: Any = TAU_MAX
    seed: Any = 0
    count: int = field(default=DRAWS, metadata={"static": True})

    @at_host
    def __call__(self, posteriors: Any, rows: Any, incumbent: Any):
        rows, shape = grouped(rows)
        fixed = _joint.fixed_rows(self, rows.shape[-1], rows.dtype, "pending")
        found = _joint.moments(posteriors[0], rows, fixed)
        dtype, width = found.mean.dtype, rows.shape[1] + fixed.rows.shape[0]
        draws = _joint.draw(found, _joint.samples_of(self, width, dtype))
        best = jnp.broadcast_to(jnp.asarray(incumbent, dtype), draws.rows.shape[1:2])
        return _smooth_log_ei(self, draws.rows, best, shape, draws.fixed, fixed.mask)


@pytree
@dataclass(frozen=True)
class QLogNEI:
    """Log expected improvement of q rows together over what noisy rows really are.

    Called with `(posteriors, rows[..., q, D], incumbent)`. In every sample the incumbent is
    the least value there of the baseline and the pending rows, so that the score is what the
    group adds to them. The `incumbent` given counts only where both are empty, and the
    score is then that of :class:`QLogEI`.

    Attributes:
        baseline, baseline_mask: `[B, D]` rows that may be the best, and `[B]` which of them
            are there; see :func:`bojax.acquisitions.prune_baseline`.
        pending, pending_mask: `[P, D]` and `[P]`, or None.
        samples: `[S, q + B + P]` standard normal base samples; None makes `count` by the seed.
        tau_relu, tau_max, seed, count: as in :class:`QLogEI`.

    Raises:
        ValueError: rows or base samples of a shape that does not fit.

    Example:
        >>> import jax, numpy as np
        >>> import bojax
        >>> rows = np.linspace(0, 1, 5)[:, None]
        >>> posterior, _ = bojax.surrogates.gp().fit(
        ...     jax.random.key(0), bojax.surrogates.Data(rows, np.sin(6 * rows[:, 0])))
        >>> acquisition = bojax.acquisitions.QLogNEI(rows)
        >>> score = acquisition((posterior,), np.array([[[0.2]], [[0.8]]]), None)
        >>> bool(score[1] > score[0])
        True
    """

    baseline: Any = None
    baseline_mask: Any = None
    pending: Any = None
    pending_mask: Any = None
    samples: Any = None
    tau_relu: Any = TAU_RELU
    tau_max: Any = TAU_MAX
    seed: Any = 0
    count: int = field(default=DRAWS, metadata={"static": True})

    @at_host
    def __call__(self, posteriors: Any, rows: Any, incumbent: Any):
        rows, shape = grouped(rows)
        fixed = _joint.fixed_rows(self, rows.shape[-1], rows.dtype, "baseline", "pending")
        found = _joint.moments(posteriors[0], rows, fixed)
        dtype, width = found.mean.dtype, rows.shape[1] + fixed.rows.shape[0]
        draws = _joint.draw(found, _joint.samples_of(self, width, dtype))
        if incumbent is None and not fixed.rows.shape[0]:
            raise ValueError("QLogNEI: needs a baseline, pending rows or an incumbent; got none.")
        given = jnp.asarray(0.0 if incumbent is None else incumbent, dtype)
        best = jnp.where(
            jnp.any(fixed.mask),
            jnp.min(jnp.where(fixed.mask, draws.fixed, jnp.inf), axis=1, initial=jnp.inf),
            given,
        )
        return _smooth_log_ei(self, draws.rows, best, shape)


def prune_baseline(
    posterior: Any, rows: Any, mask: Any = None, *, most: int = 32, seed: Any = 0
) -> tuple[Any, Any]:
    """The rows that are the least in some joint sample, for :class:`QLogNEI`; traceable.

    The other rows are never the incumbent and only make the joint larger (Balandat et al.
    2020, appendix F).

    Args:
        posterior: of the objective.
        rows: `[N, D]` observed rows.
        mask: `[N]` bool, None for all.
        most: static; rows kept, those that are least most often.
        seed: an integer; of the 2,048 samples.

    Returns:
        `(baseline [K, D], baseline_mask [K])`, K the smaller of `most` and N.

    Example:
        >>> import jax, numpy as np
        >>> import bojax
        >>> rows = np.linspace(0, 1, 5)[:, None]
        >>> posterior, _ = bojax.surrogates.gp().fit(
        ...     jax.random.key(0), bojax.surrogates.Data(rows, np.sin(6 * rows[:, 0])))
        >>> baseline, mask = bojax.acquisitions.prune_baseline(posterior, rows, most=2)
        >>> [float(x) for x in baseline[mask, 0]]
        [0.75]
    """
    values = posterior.sample(jax.random.key(seed), rows, PRUNING_DRAWS)
    traced = any(isinstance(x, jax.core.Tracer) for x in (values, rows, mask))
    with own_precision(values):
        values = jnp.asarray(values)
        if mask is not None:
            values = jnp.where(jnp.asarray(mask, bool), values, jnp.inf)
        n = values.shape[1]
        winner = jnp.argmin(values, axis=1)
        wins = jnp.sum(winner[:, None] == jnp.arange(n), axis=0, dtype=jnp.int32)
        times, kept = jax.lax.top_k(wins, min(most, n))
        found = jnp.asarray(rows)[kept], times > 0
    return found if traced else (np.asarray(found[0]), np.asarray(found[1]))
