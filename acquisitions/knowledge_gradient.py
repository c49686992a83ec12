"""Knowledge gradient: what the least predicted mean is expected to gain from an observation.

    KG(x) = min_i mean(x_i) - E min_i (mean(x_i) + Z s_i(x)),   Z ~ N(0, 1)
    s_i(x) = cov(x_i, x) / sqrt(var(x) + noise)

over a finite set of rows x_i and x itself. Frazier, Powell & Dayanik (2009), "The
Knowledge-Gradient Policy for Correlated Normal Beliefs", eq. 14: with a_i = -mean(x_i), b_i =
-s_i sorted by b, lines a_i + b_i Z that are nowhere the largest left out, and c_i where line i
meets the next,

    KG = sum_i (b_{i+1} - b_i) h(-|c_i|),   h(z) = phi(z) + z Phi(z)

Every term is positive, so its logarithm is had without a difference of like numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from bojax.acquisitions import _joint
from bojax.acquisitions._host import at_host, noise_of, one_row
from bojax.acquisitions._normal import LARGEST
from bojax.acquisitions.log_ei import log_h
from bojax.pytrees import pytree

CANDIDATES = 64
NOTHING = -1e30  # where all lines are parallel: no observation changes which is best


def log_expected_gain(a, b):
    """log(E max_i (a_i + b_i Z) - max_i a_i) of lines `[..., M]`; -1e30 of parallel ones.

    A line is on the upper envelope where the lines of lower slope are left behind before
    those of higher slope take over: all pairs at once, O(M^2), where Frazier's algorithm
    goes through the lines one by one.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.acquisitions.knowledge_gradient import log_expected_gain
        >>> gain = log_expected_gain(jnp.array([0.0, 0.0]), jnp.array([0.0, 1.0]))
        >>> round(float(jnp.exp(gain)), 4)  # E max(0, Z) = phi(0)
        0.3989
    """
    m, dtype = a.shape[-1], a.dtype
    b, a = jax.lax.sort((b, a), num_keys=2)  # of equal slopes the highest comes last
    index = jnp.arange(m, dtype=jnp.int32)
    rise = b[..., None, :] - b[..., :, None]
    meet = (a[..., :, None] - a[..., None, :]) / jnp.where(rise == 0.0, 1.0, rise)
    meet = jnp.where(rise == 0.0, -jnp.inf, meet)
    later, earlier = index[None, :] > index[:, None], index[None, :] < index[:, None]
    until = jnp.min(jnp.where(later, meet, jnp.inf), axis=-1)
    since = jnp.max(jnp.where(earlier, meet, -jnp.inf), axis=-1)
    on = jax.lax.stop_gradient(since < until)
    # The next line on the envelope, m where there is none.
    following = jnp.where(on, index, m)
    following = jnp.concatenate([following[..., 1:], jnp.full_like(following[..., :1], m)], -1)
    following = jax.lax.cummin(following, axis=following.ndim - 1, reverse=True)
    pair = on & (following < m)
    at = jnp.where(pair, following, 0)
    step = jnp.where(pair, jnp.take_along_axis(b, at, -1) - b, 1.0)
    gap = jnp.where(pair, a - jnp.take_along_axis(a, at, -1), 0.0)
    most = LARGEST[dtype] * jax.lax.stop_gradient(step)
    crossing = jnp.clip(gap, -most, most) / step
    terms = jnp.where(pair, jnp.log(step) + log_h(-jnp.abs(crossing)), NOTHING)
    return jax.scipy.special.logsumexp(terms, axis=-1)


@pytree
@dataclass(frozen=True)
class KnowledgeGradient:
    """Log knowledge gradient over a finite set of rows; the incumbent plays no part.

    Called with `(posteriors, rows[..., 1, D])`. Right where the row that is chosen in the end
    need not have been observed, as with noise.

    Attributes:
        candidates, candidates_mask: `[M, D]` rows the minimum is sought among, beside the row
            scored, and `[M]` which of them are there; None is `count` Sobol points of the
            posterior's space. Observed rows belong to them.
        noise: variance of an observation; None is what the posterior fitted, or 0.
        seed: an integer; of the Sobol points.
        count: static.

    Raises:
        ValueError: more than one row at a time, or candidates of a shape that does not fit.

    Example:
        >>> import jax, numpy as np
        >>> import bojax
        >>> rows = np.linspace(0, 1, 5)[:, None]
        >>> posterior, _ = bojax.surrogates.gp().fit(
        ...     jax.random.key(0), bojax.surrogates.Data(rows, np.sin(6 * rows[:, 0])))
        >>> score = bojax.acquisitions.KnowledgeGradient()(
        ...     (posterior,), np.array([[[0.25]], [[0.8]]]))
        >>> bool(score[1] > score[0])
        True
    """

    candidates: Any = None
    candidates_mask: Any = None
    noise: Any = None
    seed: Any = 0
    count: int = field(default=CANDIDATES, metadata={"static": True})

    @at_host
    def __call__(self, posteriors: Any, rows: Any, incumbent: Any = None):
        posterior, single = posteriors[0], one_row(self, rows)
        flat = single.reshape(-1, 1, single.shape[-1])
        columns, dtype = flat.shape[-1], flat.dtype
        fixed = _joint.fixed_rows(self, columns, dtype, "candidates")
        if self.candidates is None:
            scattered = _joint.scattered_rows(posterior, self.seed, self.count, columns, dtype)
            fixed = _joint.Fixed(scattered, jnp.ones(self.count, bool))
        found = _joint.moments(posterior, flat, fixed)
        variance = found.covariance[:, 0, 0]
        deviation = jnp.sqrt(variance + noise_of(self.noise, posterior, found.mean.dtype))
        # A masked candidate is the row itself once more.
        means = jnp.where(fixed.mask, found.fixed_mean, found.mean)
        cross = jnp.where(fixed.mask, found.cross[:, 0], variance[:, None])
        means = jnp.concatenate([means, found.mean], axis=-1)
        covariance = jnp.concatenate([cross, variance[:, None]], axis=-1)
        score = log_expected_gain(-means, -covariance / deviation[:, None])
        return score.reshape(single.shape[:-1])
