"""The squared exponential (radial basis function) kernel.

    k = exp(-r^2 / 2),   h = -2 dk/d(r^2) = k

Rasmussen & Williams (2006), eq. 4.9, with the ARD distance of `bojax.kernels.distance`;
length scales in units of the cube. Infinitely smooth.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax.numpy as jnp

from bojax.kernels.stationary import Stationary, register


@register
@dataclass(frozen=True)
class RBF(Stationary):
    """Squared exponential.

    Example:
        >>> import jax.numpy as jnp
        >>> import bojax
        >>> kernel = bojax.kernels.dimension_scaled(bojax.kernels.RBF, 2)
        >>> kernel.gram(jnp.zeros((1, 2)), jnp.zeros((1, 2))).tolist()
        [[1.0]]
    """

    def profile(self, squared):
        """k as a function of r^2."""
        return jnp.exp(-0.5 * squared)

    def profile_and_slope(self, squared):
        """k and h = -2 dk/d(r^2)."""
        k = jnp.exp(-0.5 * squared)
        return k, k
