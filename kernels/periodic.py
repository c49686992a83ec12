"""The periodic kernel: values repeat when a coordinate moves by its period.

    k = exp(-r^2 / 2),   r^2 = sum_k 4 sin^2(pi (x_k - z_k) / p_k) / l_k^2

Rasmussen & Williams (2006), eq. 4.31 (MacKay 1998): the squared exponential of the circle the
coordinate is wound on, whose chord is 2 sin. Periods are in units of the cube; length scales in
units of the circle's radius. A category's mismatch counts 1 / l^2, as everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from bojax.kernels.distance import CATEGORY, activity_distance, as_features, column_distance
from bojax.kernels.kernel import Columns, Kernel, spread
from bojax.kernels.parameter import LogNormal, Parameter
from bojax.kernels.stationary import default_scale, spread_gap
from bojax.pytrees import pytree

# Between a tenth of the cube and ten times it, most likely around a third.
PERIOD = LogNormal(-0.5, 0.75)
PERIOD_LOW, PERIOD_HIGH = -3.0, 3.0  # of log p


@pytree
@dataclass(frozen=True)
class Periodic(Kernel):
    """Squared exponential on circles.

    Attributes:
        length_scale, gap: as of every stationary kernel, `[D]`.
        period: :class:`~bojax.kernels.Parameter` `[D]`, in units of the cube.

    Example:
        >>> import jax.numpy as jnp
        >>> import bojax
        >>> period = bojax.kernels.scale_parameter(0.5)
        >>> columns = bojax.kernels.Columns.plain(1)
        >>> kernel = bojax.kernels.Periodic(period=period).build(columns)
        >>> kernel.gram(jnp.array([[0.1]]), jnp.array([[0.6]])).round(6).tolist()
        [[1.0]]
    """

    length_scale: Parameter | None = None
    gap: Parameter | None = None
    period: Parameter | None = None

    def build(self, columns: Columns):
        """Parameters for these columns, default priors where none are given."""
        scale = default_scale(columns)
        period = Parameter(PERIOD.mode(), PERIOD, PERIOD_LOW, PERIOD_HIGH)
        return replace(
            self,
            length_scale=spread(self.length_scale, scale, columns.used),
            gap=spread_gap(self.gap, scale, columns.gapped),
            period=spread(self.period, period, columns.used),
        )

    def _made(self) -> tuple[Parameter, Parameter, Parameter]:
        if self.length_scale is None or self.gap is None or self.period is None:
            raise ValueError("Periodic: parameters were not made yet; call .build(columns).")
        return self.length_scale, self.gap, self.period

    def gram(self, x: Any, z: Any):
        """k(x_i, z_j), `[N, D]`, `[M, D]` -> `[N, M]`."""
        length_scale, gap, period = self._made()
        x, z = as_features(x), as_features(z)
        total = activity_distance(x, z, gap.value)
        weights, periods = length_scale.value**-2, period.value
        for k in range(x.coordinate.shape[-1]):
            xs, zs, kind = x.coordinate[..., k], z.coordinate[..., k], x.kind[k]
            chord = 4.0 * jnp.sin(jnp.pi * (xs[:, None] - zs[None, :]) / periods[k]) ** 2
            total += weights[k] * jnp.where(kind == CATEGORY, column_distance(xs, zs, kind), chord)
        return jnp.exp(-0.5 * total)

    def diagonal(self, x: Any):
        """1."""
        x = as_features(x)
        return jnp.ones(x.coordinate.shape[:-1], x.coordinate.dtype)

    def gram_and_pullback(self, x: Any):
        """In closed form, a pass over the pairs for each column."""
        length_scale, gap, period = self._made()
        x = as_features(x)
        gram = self.gram(x, x)

        def pull(weights):
            pairs = weights * gram

            def column(part):
                xs, kind, p = part
                turn = jnp.pi * (xs[:, None] - xs[None, :]) / p
                number = kind != CATEGORY
                chord = jnp.where(number, 4.0 * jnp.sin(turn) ** 2, column_distance(xs, xs, kind))
                slide = jnp.where(number, 2.0 * jnp.sin(2.0 * turn) * turn, 0.0)
                return jnp.sum(pairs * chord), jnp.sum(pairs * slide)

            by_scale, by_period = jax.lax.map(column, (x.coordinate.T, x.kind, period.value))
            weight = length_scale.value**-2
            rows = jnp.sum(pairs, axis=1)
            active = x.active
            by_gap = 2.0 * (rows @ active**2 - jnp.sum(active * (pairs @ active), axis=0))
            return [
                by_scale * weight * length_scale.bijector.log_slope(length_scale.raw),
                by_gap * gap.value**-2 * gap.bijector.log_slope(gap.raw),
                by_period * weight * period.bijector.log_slope(period.raw),
            ]

        return gram, pull
