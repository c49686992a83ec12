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
from bojax.kernels.kernel import Columns, Kernel, spread
from bojax.kernels.parameter import LogNormal, Parameter
from bojax.pytrees import pytree

# Hvarfner, Hellsten & Nardi (2024), "Vanilla Bayesian Optimization Performs Great in High
# Dimensions": log l ~ N(sqrt 2 + log(d) / 2, 3), as BoTorch ships it, l at least 0.025.
# A smaller location makes fits in many dimensions overconfident.
LENGTH_SCALE_LOCATION = math.sqrt(2.0)
LENGTH_SCALE_SCALE = math.sqrt(3.0)
LENGTH_SCALE_LOW = math.log(0.025)
LENGTH_SCALE_HIGH = math.log(1e4)  # beyond it a column is flat to the last bit of float32
KEPT = 2048  # lines up to which the slope is kept from Gram matrix to gradient; then made again
NO_GAP = 30.0  # log gap of columns without one: e^-60 is no distance in any precision


@dataclass(frozen=True)
class Stationary(Kernel):
    """Base of the families: fields only.

    Attributes:
        length_scale: :class:`Parameter` `[D]`, in unit-cube units; None for the default prior.
        gap: :class:`Parameter` `[D]`, distance between a row in which a column exists and
            one in which it does not, in the same units; None for the default prior.
    """

    length_scale: Parameter | None = None
    gap: Parameter | None = None

    def profile(self, squared: Any) -> Any:
        """k as a function of r^2: the family's own."""
        raise TypeError("Stationary is what the families share; take Matern52, RBF, ...")

    def profile_and_slope(self, squared: Any) -> tuple[Any, Any]:
        """k and h = -2 dk/d(r^2): the family's own."""
        raise TypeError("Stationary is what the families share; take Matern52, RBF, ...")

    def _scales(self) -> tuple[Parameter, Parameter]:
        if self.length_scale is None or self.gap is None:
            raise ValueError(
                f"{type(self).__name__}: its length scales were not made yet; call "
                ".build(Columns.plain(d)), or give it to a surrogate, which does."
            )
        return self.length_scale, self.gap

    def gram(self, x: Any, z: Any):
        """k(x_i, z_j), `[N, D]`, `[M, D]` -> `[N, M]`; arrays or `Features`."""
        length_scale, gap = self._scales()
        x, z = distance.as_features(x), distance.as_features(z)
        return self.profile(distance.squared_distance(x, z, length_scale.value, gap.value))

    def gram_and_slope(self, x: Any):
        """The Gram matrix of x with itself and the slope h beside it, `[N, N]` twice."""
        length_scale, gap = self._scales()
        x = distance.as_features(x)
        squared = distance.squared_distance(x, x, length_scale.value, gap.value)
        # Without the barrier the compiler computes the distance once for k and once for h.
        return self.profile_and_slope(jax.lax.optimization_barrier(squared))

    def gram_and_pullback(self, x: Any):
        """In closed form: one weight matrix W * h serves all length scales and gaps."""
        x = distance.as_features(x)
        gram, slope = self.gram_and_slope(x)

        def pull(weights):
            if x.coordinate.shape[0] <= KEPT:
                return self.scale_gradient(weights * slope, x)
            weights, own = jax.lax.optimization_barrier((weights, x))
            return self.scale_gradient(weights * self.gram_and_slope(own)[1], own)

        return gram, pull

    def scale_gradient(self, pairs: Any, x: Any) -> list[Any]:
        """sum_ij pairs_ij dr^2_ij / (-2 draw) by length scales and gaps, `[D]` each.

        Args:
            pairs: `[N, N]` symmetric, already multiplied with the slope h.
        """
        length_scale, gap = self._scales()
        numbers, gaps = distance.contract(pairs, distance.as_features(x))
        return [
            numbers * length_scale.value**-2 * length_scale.bijector.log_slope(length_scale.raw),
            gaps * gap.value**-2 * gap.bijector.log_slope(gap.raw),
        ]

    def directions(self, x: Any, vector: Any):
        """(dK / draw) vector for the length scales of numbers, by three products; zeros else.

        With S = h, sum_j S_ij (z_i - z_j)^2 v_j = z_i^2 (S v)_i - 2 z_i (S z v)_i + (S z^2 v)_i.
        """
        length_scale, gap = self._scales()
        x = distance.as_features(x)
        _, slope = self.gram_and_slope(x)
        z = x.coordinate - jnp.mean(x.coordinate, axis=0, keepdims=True)
        columns = jnp.concatenate([vector[:, None], z * vector[:, None], z**2 * vector[:, None]], 1)
        d = z.shape[1]
        products = slope @ columns
        level, first, second = products[:, :1], products[:, 1 : d + 1], products[:, d + 1 :]
        weight = length_scale.value**-2 * length_scale.bijector.log_slope(length_scale.raw)
        weight = jnp.where(x.kind == distance.CATEGORY, 0.0, weight)
        numbers = weight * (z**2 * level - 2.0 * z * first + second)
        return [numbers, jnp.zeros((z.shape[0], jnp.size(gap.raw)), vector.dtype)]

    def diagonal(self, x: Any):
        """k(x_i, x_i) = 1, `[N, D]` -> `[N]`."""
        x = distance.as_features(x)
        return jnp.ones(x.coordinate.shape[:-1], x.coordinate.dtype)

    def with_scales(self, log_length_scale, log_gap):
        """The same kernel at other length scales (logarithms, `[D]`)."""
        length_scale, gap = self._scales()
        return replace(self, length_scale=length_scale.at(log_length_scale), gap=gap.at(log_gap))

    def build(self, columns: Columns):
        """Length scales and gaps for these columns, with the priors above where none are given."""
        default = default_scale(columns)
        return replace(
            self,
            length_scale=spread(self.length_scale, default, columns.used),
            gap=spread_gap(self.gap, default, columns.gapped),
        )


def spread_gap(given: Parameter | None, default: Parameter, gapped: Any) -> Parameter:
    """The gaps of D columns; one without is frozen so far out that activity counts nothing."""
    gap = spread(given, default, gapped)

    def put(x):
        return jnp.where(gapped, x, jnp.asarray(NO_GAP, x.dtype))

    return replace(gap, raw=put(gap.raw), low=put(gap.low), high=put(gap.high))


def default_scale(columns: Columns) -> Parameter:
    """The prior of a length scale in so many columns, starting at its mode."""
    location = LENGTH_SCALE_LOCATION + 0.5 * jnp.log(jnp.maximum(columns.dimensions, 1.0))
    prior = LogNormal(location, LENGTH_SCALE_SCALE)
    return Parameter(prior.mode(), prior, LENGTH_SCALE_LOW, LENGTH_SCALE_HIGH)


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
    return family().build(Columns.plain(columns, dimensions))


def register(family):
    """Register a family as a pytree whose every field is data."""
    return pytree(family)
