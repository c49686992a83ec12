"""The optimistic confidence bound of q rows together, by Monte Carlo.

    qUCB = 1/S sum_s max_i (-mean(x_i) + sqrt(beta pi / 2) |f_s(x_i) - mean(x_i)|)

Wilson, Moriconi, Hutter & Deisenroth (2017), "The Reparameterization Trick for Acquisition
Functions", appendix A: for one row it is the bound itself, as E|N(0, s^2)| = s sqrt(2 / pi).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp

from bojax.acquisitions import _joint
from bojax.acquisitions._host import at_host
from bojax.acquisitions._joint import DRAWS
from bojax.acquisitions.confidence import BETA
from bojax.acquisitions.q_log_ei import grouped
from bojax.pytrees import pytree


@pytree
@dataclass(frozen=True)
class QUCB:
    """Optimistic confidence bound of q rows together, in the values' unit.

    Called with `(posteriors, rows[..., q, D])`; the incumbent plays no part. Pending rows
    count as part of every group.

    Attributes:
        beta: at least 0, squared width of the bound in deviations.
        pending, pending_mask: `[P, D]` rows, and `[P]` which of them are there; or None.
        samples: `[S, q + P]` standard normal base samples; None makes `count` by the seed.
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
        >>> pairs = np.array([[[0.8], [0.8]], [[0.8], [0.9]]])
        >>> same, apart = bojax.acquisitions.QUCB()((posterior,), pairs)
        >>> bool(apart > same)
        True
    """

    beta: Any = BETA
    pending: Any = None
    pending_mask: Any = None
    samples: Any = None
    seed: Any = 0
    count: int = field(default=DRAWS, metadata={"static": True})

    @at_host
    def __call__(self, posteriors: Any, rows: Any, incumbent: Any = None):
        rows, shape = grouped(rows)
        fixed = _joint.fixed_rows(self, rows.shape[-1], rows.dtype, "pending")
        found = _joint.moments(posteriors[0], rows, fixed)
        dtype, width = found.mean.dtype, rows.shape[1] + fixed.rows.shape[0]
        draws = _joint.draw(found, _joint.samples_of(self, width, dtype))
        spread = jnp.sqrt(jnp.asarray(self.beta, dtype) * (0.5 * math.pi))
        mean = draws.mean[:, None, :]
        bound = jnp.max(spread * jnp.abs(draws.rows - mean) - mean, axis=-1)
        others = spread * jnp.abs(draws.fixed - found.fixed_mean) - found.fixed_mean
        others = jnp.where(fixed.mask, others, -jnp.inf)
        bound = jnp.maximum(bound, jnp.max(others, axis=-1, initial=-jnp.inf))
        return jnp.mean(bound, axis=1).reshape(shape)
