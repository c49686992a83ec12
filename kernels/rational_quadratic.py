"""The rational quadratic kernel, a scale mixture of squared exponentials.

    k = (1 + r^2 / (2 alpha))^-alpha,   h = -2 dk/d(r^2) = (1 + r^2 / (2 alpha))^(-alpha - 1)
    dk/dlog alpha = k (q / (1 + q) - log(1 + q)) alpha,   q = r^2 / (2 alpha)

Rasmussen & Williams (2006), eq. 4.19, with the ARD distance of `bojax.kernels.distance`; length
scales in units of the cube. As alpha grows it becomes the squared exponential.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from bojax.kernels import distance
from bojax.kernels.parameter import LogNormal, Parameter
from bojax.kernels.stationary import Stationary, register

# Mixtures from nearly exponential tails to nearly Gaussian ones: log alpha ~ N(1, 1).
ALPHA = LogNormal(1.0, 1.0)
ALPHA_LOW, ALPHA_HIGH = -4.0, 8.0  # of log alpha


@register
@dataclass(frozen=True)
class RationalQuadratic(Stationary):
    """Rational quadratic.

    Attributes:
        alpha: :class:`~bojax.kernels.Parameter`, scalar, the shape of the mixture.

    Example:
        >>> import jax.numpy as jnp
        >>> import bojax
        >>> kernel = bojax.kernels.dimension_scaled(bojax.kernels.RationalQuadratic, 2)
        >>> kernel.gram(jnp.zeros((1, 2)), jnp.zeros((1, 2))).tolist()
        [[1.0]]
    """

    alpha: Parameter | None = None

    def build(self, columns):
        """With the default prior of alpha where none is given."""
        built = super().build(columns)
        default = Parameter(jnp.asarray(ALPHA.mode(), float), ALPHA, ALPHA_LOW, ALPHA_HIGH)
        return built if self.alpha is not None else replace(built, alpha=default)

    def _shape(self) -> Parameter:
        if self.alpha is None:
            raise ValueError("RationalQuadratic: alpha was not made yet; call .build(columns).")
        return self.alpha

    def profile(self, squared: Any):
        """k as a function of r^2."""
        alpha = self._shape().value
        return jnp.exp(-alpha * jnp.log1p(squared / (2.0 * alpha)))

    def profile_and_slope(self, squared: Any):
        """k and h = -2 dk/d(r^2)."""
        alpha = self._shape().value
        q = squared / (2.0 * alpha)
        k = jax.lax.optimization_barrier(jnp.exp(-alpha * jnp.log1p(q)))
        return k, k / (1.0 + q)

    def gram_and_pullback(self, x: Any):
        """In closed form, alpha's included."""
        length_scale, gap = self._scales()
        alpha = self._shape()
        x = distance.as_features(x)
        squared = distance.squared_distance(x, x, length_scale.value, gap.value)
        squared = jax.lax.optimization_barrier(squared)
        gram, slope = self.profile_and_slope(squared)

        def pull(weights):
            q = squared / (2.0 * alpha.value)
            by_log = alpha.value * gram * (q / (1.0 + q) - jnp.log1p(q))
            own = alpha.bijector.log_slope(alpha.raw) * jnp.sum(weights * by_log)
            return [*self.scale_gradient(weights * slope, x), own]

        return gram, pull

    def directions(self, x: Any, vector: Any):
        """Those of the length scales, and alpha's."""
        length_scale, gap = self._scales()
        alpha = self._shape()
        x = distance.as_features(x)
        q = distance.squared_distance(x, x, length_scale.value, gap.value) / (2.0 * alpha.value)
        by_log = alpha.value * self.profile_and_slope(2.0 * alpha.value * q)[0]
        by_log = by_log * (q / (1.0 + q) - jnp.log1p(q))
        own = alpha.bijector.log_slope(alpha.raw) * (by_log @ vector)
        return [*super().directions(x, vector), own[:, None]]
