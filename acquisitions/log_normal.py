"""Expected improvement in values whose logarithms are modelled.

    EI(x) = E max(f* - Y, 0),  ln Y ~ N(m, s^2),  v = (ln f* - m) / s
          = f* Phi(v) - exp(m + s^2 / 2) Phi(v - s)
          = f* phi(v) (R(v) - R(v - s)),  R(z) = Phi(z) / phi(z)

Hutter, Hoos, Leyton-Brown & Murphy (2009), "An Experimental Investigation of Model-Based Parameter
Optimisation: SPO and Beyond", section 5.2. The last line, where the exponential has cancelled
against the density, is what its logarithm is made of below the incumbent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from bojax.acquisitions._host import at_host, moments_at
from bojax.acquisitions._normal import _cdf, mills, standardised
from bojax.acquisitions.log_ei import HALF_LOG_TWO_PI
from bojax.pytrees import pytree


def log_normal_improvement(mean, variance, incumbent):
    """ln EI of log-normal predictions less the incumbent, elementwise: ln (EI / f*).

    Args:
        mean, variance: of the logarithm of the function, minimised.
        incumbent: ln f*, the logarithm of the value to improve on.
    """
    v, deviation = standardised(mean, variance, incumbent)
    least = jnp.finfo(v.dtype).eps
    # Below: both ratios by Mills', whose argument must be positive.
    below = jnp.minimum(v, 0.0)
    top = mills(-below)
    gap = jnp.maximum(top - mills(deviation - below), least * top)
    tail = jnp.log(gap) - 0.5 * below * below - HALF_LOG_TWO_PI
    # Above: the first form over f*; where s > v its second term is phi(v) R(v - s), as below.
    above = jnp.maximum(v, 0.0)
    shrink = jnp.exp(jnp.minimum((0.5 * deviation - above) * deviation, 0.0))
    density = jnp.exp(-0.5 * above * above - HALF_LOG_TWO_PI)
    wide = density * mills(jnp.maximum(deviation - above, 0.0))
    cdf = _cdf(above)
    lost = jnp.where(deviation > above, wide, shrink * _cdf(above - deviation))
    bulk = jnp.log(jnp.maximum(cdf - lost, least * cdf))
    return jnp.where(v < 0.0, tail, bulk)


@pytree
@dataclass(frozen=True)
class LogNormalEI:
    """Log expected improvement where a posterior is of the logarithms of positive values.

    Called with `(posteriors, rows[..., 1, D], incumbent)`, the incumbent a logarithm too; larger
    is better.

    Example:
        >>> import jax, numpy as np
        >>> import bojax
        >>> rows = np.linspace(0, 1, 5)[:, None]
        >>> posterior, _ = bojax.surrogates.gp().fit(
        ...     jax.random.key(0), bojax.surrogates.Data(rows, np.log(1 + rows[:, 0])))
        >>> score = bojax.acquisitions.LogNormalEI()((posterior,), rows[:, None, :], 0.1)
        >>> score.shape, bool(score.argmax() == 0)
        ((5,), True)
    """

    @at_host
    def __call__(self, posteriors: Any, rows: Any, incumbent: Any):
        mean, variance = moments_at(self, posteriors[0], rows)
        incumbent = jnp.asarray(incumbent, mean.dtype)
        return incumbent + log_normal_improvement(mean, variance, incumbent)
