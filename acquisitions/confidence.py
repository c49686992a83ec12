"""Confidence bounds, and the deviation alone.

    UCB(x) = -(mean(x) - sqrt(beta) sd(x))

Cox & John (1992), "A Statistical Method for Global Optimization"; Srinivas, Krause, Kakade &
Seeger (2010), "Gaussian Process Optimization in the Bandit Setting", eq. 6: the bound is
optimistic, which under minimisation is the lower one, and is turned so that larger is better.
Deviation: MacKay (1992), "Information-Based Objective Functions for Active Data Selection".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp

from bojax.acquisitions._host import at_host, moments_at
from bojax.pytrees import pytree

# 1.8 deviations: Song et al. (2024), "The Vizier Gaussian Process Bandit Algorithm".
BETA = 1.8**2


@pytree
@dataclass(frozen=True)
class UCB:
    """The optimistic confidence bound, in the values' unit; the incumbent plays no part.

    Attributes:
        beta: at least 0, squared width of the bound in deviations.

    Example:
        >>> import jax, numpy as np
        >>> import bojax
        >>> rows = np.linspace(0, 1, 5)[:, None]
        >>> posterior, _ = bojax.surrogates.gp().fit(
        ...     jax.random.key(0), bojax.surrogates.Data(rows, rows[:, 0]))
        >>> mean, variance = posterior.mean_and_variance(rows)
        >>> score = bojax.acquisitions.UCB(beta=4.0)((posterior,), rows[:, None, :])
        >>> bool(np.allclose(score, -(mean - 2 * variance**0.5)))
        True
    """

    beta: Any = BETA

    @at_host
    def __call__(self, posteriors: Any, rows: Any, incumbent: Any = None):
        mean, variance = moments_at(self, posteriors[0], rows)
        return jnp.sqrt(jnp.asarray(self.beta, mean.dtype)) * jnp.sqrt(variance) - mean


@pytree
@dataclass(frozen=True)
class Deviation:
    """The posterior's deviation, for designs that learn the function everywhere.

    Attributes:
        log: static; the logarithm, which has the same maximum and is what the search's
            tolerance is made for.

    Example:
        >>> import jax, numpy as np
        >>> import bojax
        >>> rows = np.linspace(0, 0.5, 5)[:, None]
        >>> posterior, _ = bojax.surrogates.gp().fit(
        ...     jax.random.key(0), bojax.surrogates.Data(rows, rows[:, 0]))
        >>> new = np.array([[[0.2]], [[1.0]]])
        >>> near, far = bojax.acquisitions.Deviation()((posterior,), new)
        >>> bool(far > near)
        True
    """

    log: bool = field(default=True, metadata={"static": True})

    @at_host
    def __call__(self, posteriors: Any, rows: Any, incumbent: Any = None):
        _, variance = moments_at(self, posteriors[0], rows)
        return 0.5 * jnp.log(variance) if self.log else jnp.sqrt(variance)
