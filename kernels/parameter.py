"""Hyperparameters that carry their prior and bounds as data.

All of them are positive and optimised in their logarithm; the prior is the density of the
natural value (no Jacobian), as BoTorch, Optuna and HEBO define theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LogNormal:
    """log x ~ Normal(location, scale^2), density of x itself.

    log p(x) = -log x - (log x - location)^2 / (2 scale^2) - log(scale sqrt(2 pi))

    Attributes:
        location, scale: of log x; any shape that broadcasts against x.

    Example:
        >>> from bojax.kernels.parameter import LogNormal
        >>> round(float(LogNormal(0.0, 1.0).log_density(0.0)), 4)  # at log x = 0
        -0.9189
    """

    location: Any
    scale: Any

    def log_density(self, log_x):
        """Log density of x, given log x."""
        z = (log_x - self.location) / self.scale
        return -log_x - 0.5 * z * z - jnp.log(self.scale) - 0.9189385332046727

    def slope(self, log_x):
        """Derivative of :meth:`log_density` by log x."""
        return -1.0 - (log_x - self.location) / self.scale**2

    def mode(self):
        """log x at the mode of the density of x."""
        return self.location - self.scale**2


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Parameter:
    """A positive hyperparameter.

    Attributes:
        log: logarithm of the value, any shape.
        prior: a :class:`LogNormal` on the value.
        low, high: bounds on the logarithm.

    Example:
        >>> from bojax.kernels.parameter import LogNormal, Parameter
        >>> Parameter(0.0, LogNormal(0.0, 1.0), low=-3.0, high=3.0).value.item()
        1.0
    """

    log: Any
    prior: LogNormal
    low: Any
    high: Any

    @property
    def value(self):
        """The value in natural units."""
        return jnp.exp(self.log)

    def at(self, log) -> Parameter:
        """The same parameter with another value."""
        return Parameter(log, self.prior, self.low, self.high)
