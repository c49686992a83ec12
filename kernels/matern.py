"""The Matern family at smoothness 1/2, 3/2 and 5/2.

Rasmussen & Williams (2006), "Gaussian Processes for Machine Learning", eq. 4.17, with
s = sqrt(2 nu) r and r the ARD distance of `bojax.kernels.distance`:

    nu = 1/2:  k = exp(-s)                          h = exp(-s) / s
    nu = 3/2:  k = (1 + s) exp(-s)                  h = 3 exp(-s)
    nu = 5/2:  k = (1 + s + s^2 / 3) exp(-s)        h = 5/3 (1 + s) exp(-s)

Length scales are in units of the cube. h = -2 dk/d(r^2) is finite at zero distance for 3/2
and 5/2; for 1/2 the kernel has a kink there and h is set to 0, its average over directions.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from bojax.kernels.stationary import Stationary, register


def _safe_sqrt(squared):
    """sqrt with slope 0 at 0, so that coinciding rows have a finite gradient."""
    positive = squared > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squared, 1.0)), 0.0)


@jax.custom_jvp
def _matern52(squared):
    s = jnp.sqrt(5.0 * squared)
    return (1.0 + s + s * s / 3.0) * jnp.exp(-s)


@_matern52.defjvp
def _matern52_jvp(primals, tangents):
    (squared,), (tangent,) = primals, tangents
    s = jnp.sqrt(5.0 * squared)
    e = jnp.exp(-s)
    return (1.0 + s + s * s / 3.0) * e, -(5.0 / 6.0) * (1.0 + s) * e * tangent


@register
@dataclass(frozen=True)
class Matern52(Stationary):
    """Matern 5/2: twice differentiable, the default of this package.

    Example:
        >>> import jax.numpy as jnp
        >>> import bojax
        >>> kernel = bojax.kernels.dimension_scaled(bojax.kernels.Matern52, 2)
        >>> kernel.gram(jnp.zeros((1, 2)), jnp.zeros((3, 2))).tolist()
        [[1.0, 1.0, 1.0]]
    """

    def profile(self, squared):
        """k as a function of r^2."""
        return _matern52(squared)

    def profile_and_slope(self, squared):
        """k and h = -2 dk/d(r^2)."""
        s = jnp.sqrt(5.0 * squared)
        e = jax.lax.optimization_barrier(jnp.exp(-s))
        return (1.0 + s + s * s / 3.0) * e, (5.0 / 3.0) * (1.0 + s) * e


@register
@dataclass(frozen=True)
class Matern32(Stationary):
    """Matern 3/2: once differentiable.

    Example:
        >>> import jax.numpy as jnp
        >>> import bojax
        >>> kernel = bojax.kernels.dimension_scaled(bojax.kernels.Matern32, 2)
        >>> kernel.diagonal(jnp.zeros((3, 2))).tolist()
        [1.0, 1.0, 1.0]
    """

    def profile(self, squared):
        """k as a function of r^2."""
        s = _safe_sqrt(3.0 * squared)
        return (1.0 + s) * jnp.exp(-s)

    def profile_and_slope(self, squared):
        """k and h = -2 dk/d(r^2)."""
        s = _safe_sqrt(3.0 * squared)
        e = jnp.exp(-s)
        return (1.0 + s) * e, 3.0 * e


@register
@dataclass(frozen=True)
class Matern12(Stationary):
    """Matern 1/2, the exponential kernel: continuous, nowhere differentiable.

    Example:
        >>> import jax.numpy as jnp
        >>> import bojax
        >>> kernel = bojax.kernels.dimension_scaled(bojax.kernels.Matern12, 2)
        >>> kernel.diagonal(jnp.zeros((1, 2))).tolist()
        [1.0]
    """

    def profile(self, squared):
        """k as a function of r^2."""
        return jnp.exp(-_safe_sqrt(squared))

    def profile_and_slope(self, squared):
        """k and h = -2 dk/d(r^2), 0 at the kink."""
        s = _safe_sqrt(squared)
        e = jnp.exp(-s)
        return e, jnp.where(s > 0, e / jnp.where(s > 0, s, 1.0), 0.0)
