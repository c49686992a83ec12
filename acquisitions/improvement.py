"""Improvement over the incumbent: expected improvement, probability of improvement.

    EI(x) = sd(x) (phi(z) + z Phi(z)),   PI(x) = Phi(z),   z = (f* - mean(x)) / sd(x)

EI: Jones, Schonlau & Welch (1998), eq. 15. PI: Kushner (1964), "A New Method of Locating the
Maximum Point of an Arbitrary Multipeak Curve in the Presence of Noise". Both for minimisation.
Far from the incumbent they underflow, and their slopes with them: search with the logarithms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from bojax.acquisitions._host import at_host, moments_at
from bojax.acquisitions._normal import _cdf, log_cdf, standardised
from bojax.acquisitions.log_ei import log_h
from bojax.pytrees import pytree


def log_ei_of(mean, variance, incumbent):
    """log EI, elementwise, also where z has no square."""
    z, deviation = standardised(mean, variance, incumbent)
    return jnp.log(deviation) + log_h(z)


@pytree
@dataclass(frozen=True)
class EI:
    """Expected improvement, in the values' unit; :class:`LogEI` climbs better.

    Example:
        >>> import jax, numpy as np
        >>> import bojax
        >>> rows = np.linspace(0, 1, 5)[:, None]
        >>> posterior, _ = bojax.surrogates.gp().fit(
        ...     jax.random.key(0), bojax.surrogates.Data(rows, rows[:, 0]))
        >>> score = bojax.acquisitions.EI()((posterior,), rows[:, None, :], 0.1)
        >>> score.shape, bool(score.argmax() == 0)
        ((5,), True)
    """

    @at_host
    def __call__(self, posteriors: Any, rows: Any, incumbent: Any):
        mean, variance = moments_at(self, posteriors[0], rows)
        return jnp.exp(log_ei_of(mean, variance, incumbent))


@pytree
@dataclass(frozen=True)
class PI:
    """Probability of an improvement by more than a margin, in [0, 1].

    Attributes:
        margin: how far below the incumbent, in the values' unit; without one it exploits
            (Jones 2001, "A Taxonomy of Global Optimization Methods Based on Response Surfaces").

    Example:
        >>> import jax, numpy as np
        >>> import bojax
        >>> rows = np.linspace(0, 1, 5)[:, None]
        >>> posterior, _ = bojax.surrogates.gp().fit(
        ...     jax.random.key(0), bojax.surrogates.Data(rows, rows[:, 0]))
        >>> score = bojax.acquisitions.PI()((posterior,), rows[:, None, :], 0.5)
        >>> bool(score[0] > 0.9 and score[-1] < 0.1)
        True
    """

    margin: Any = 0.0

    @at_host
    def __call__(self, posteriors: Any, rows: Any, incumbent: Any):
        return _cdf(_z(self, posteriors, rows, incumbent))


@pytree
@dataclass(frozen=True)
class LogPI:
    """Log probability of an improvement by more than a margin; see :class:`PI`.

    Attributes:
        margin: how far below the incumbent, in the values' unit.

    Example:
        >>> import jax, numpy as np
        >>> import bojax
        >>> rows = np.linspace(0, 1, 5)[:, None]
        >>> posterior, _ = bojax.surrogates.gp().fit(
        ...     jax.random.key(0), bojax.surrogates.Data(rows, rows[:, 0]))
        >>> score = bojax.acquisitions.LogPI()((posterior,), rows[:, None, :], -1e3)
        >>> bool(np.isfinite(score).all() and (score < -1e3).all())  # PI is 0 here
        True
    """

    margin: Any = 0.0

    @at_host
    def __call__(self, posteriors: Any, rows: Any, incumbent: Any):
        return log_cdf(_z(self, posteriors, rows, incumbent))


def _z(acquisition, posteriors, rows, incumbent):
    mean, variance = moments_at(acquisition, posteriors[0], rows)
    bound = jnp.asarray(incumbent, mean.dtype) - jnp.asarray(acquisition.margin, mean.dtype)
    return standardised(mean, variance, bound)[0]
