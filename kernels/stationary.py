"""What all stationary ARD kernels share: two sets of length scales and the distance.

A family adds its profile k(r^2) and the slope of it, and nothing else. The slope
h = -2 dk/d(r^2) is free of division by r, so there is no trap at zero distance, and gives
all gradients with one matrix: dk/dlog l_k = h d_k / l_k^2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from bojax.kernels import distance
from bojax.kernels.parameter import LogNormal, Parameter

# Hvarfner, Hellsten & Nardi (2024), "Vanilla Bayesian Optimization Performs Great in High
# Dimensions": log l ~ N(sqrt 2 + log(d) / 2, 3), as BoTorch ships it, l at least 0.025.
# A smaller location makes fits in many dimensions overconfident.
LENGTH_SCALE_LOCATION = math.sqrt(2.0)
LENGTH_SCALE_SCALE = math.sqrt(3.0)
LENGTH_SCALE_LOW = math.log(0.025)
LENGTH_SCALE_HIGH = math.log(1e4)  # beyond it a column is flat to the last bit of float32


@dataclass(frozen=True)
class Stationary:
    """Base of the families: fields only.

    Attributes:
        length_scale: :class:`Parameter` `[D]`, in unit-cube units.
        gap: :class:`Parameter` `[D]`, distance between a row in which a column exists and
            one in which it does not, in the same units.
    """

    length_scale: Parameter
    gap: Parameter

    def profile(self, squared: Any) -> Any:
        """k as a function of r^2: the family's own."""
        raise TypeError("Stationary is what the families share; take Matern52, RBF, ...")

    def profile_and_slope(self, squared: Any) -> tuple[Any, Any]:
        """k and h = -2 dk/d(r^2): the family's own."""
        raise TypeError("Stationary is what the families share; take Matern52, RBF, ...")

    def gram(self, x: Any, z: Any):
        """k(x_i, z_j), `[N, D]`, `[M, D]` -> `[N, M]`; arrays or `Features`."""
        x, z = distance.as_features(x), distance.as_features(z)
        scales = self.length_scale.value, self.gap.value
        return self.profile(distance.squared_distance(x, z, *scales))

    def gram_and_slope(self, x: Any):
        """The Gram matrix of x with itself and the slope h beside it, `[N, N]` twice."""
        x = distance.as_features(x)
        squared = distance.squared_distance(x, x, self.length_scale.value, self.gap.value)
        return self.profile_and_slope(squared)

    def log_gradient(self, pairs, x: Any):
        """sum_ij pairs_ij h_ij dr^2-terms: gradient by (log length scale, log gap), `[D]` twice.

        Args:
            pairs: `[N, N]` symmetric, already multiplied with the slope h.
        """
        numbers, gaps = distance.contract(pairs, distance.as_features(x))
        return numbers * self.length_scale.value**-2, gaps * self.gap.value**-2

    def diagonal(self, x: Any):
        """k(x_i, x_i) = 1, `[N, D]` -> `[N]`."""
        x = distance.as_features(x)
        return jnp.ones(x.coordinate.shape[:-1], x.coordinate.dtype)

    def with_scales(self, log_length_scale, log_gap):
        """The same kernel at other length scales (logarithms, `[D]`)."""
        return replace(
            self,
            length_scale=self.length_scale.at(log_length_scale),
            gap=self.gap.at(log_gap),
        )


def dimension_scaled(family, columns: int, dimensions=None):
    """A kernel of a family with the priors above, at their modes.

    Args:
        family: `Matern52`, `RBF`, ...
        columns: D, padded.
        dimensions: number of columns in use (may be traced); all D by default.

    Example:
        >>> import bojax
        >>> kernel = bojax.kernels.dimension_scaled(bojax.kernels.Matern52, 6)
        >>> round(float(kernel.length_scale.value[0] / 6**0.5), 4)  # mode 0.2048 sqrt(d)
        0.2048
    """
    d = jnp.asarray(columns if dimensions is None else dimensions, float)
    location = LENGTH_SCALE_LOCATION + 0.5 * jnp.log(jnp.maximum(d, 1.0))
    prior = LogNormal(location, LENGTH_SCALE_SCALE)
    start = jnp.broadcast_to(prior.mode(), (columns,))
    parameter = Parameter(start, prior, LENGTH_SCALE_LOW, LENGTH_SCALE_HIGH)
    return family(length_scale=parameter, gap=parameter)


def register(family):
    """Register a family as a pytree whose every field is data."""
    return jax.tree_util.register_dataclass(family)
