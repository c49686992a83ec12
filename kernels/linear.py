"""The linear kernel: a plane through the middle of the cube.

    k = sum_k v_k phi_k(x) phi_k(z),   phi_k(x) = x_k - 1/2 where column k exists, else 0

Rasmussen & Williams (2006), eq. 4.6 (dot product), one variance a column. A category has one
coefficient a choice: its term is v_k [x_k = z_k] where both have the column. Add a
:class:`Constant` for an intercept beyond the fitted mean.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from bojax.kernels.distance import CATEGORY, UNUSED, as_features
from bojax.kernels.kernel import Columns, Kernel, spread
from bojax.kernels.parameter import LogNormal, Parameter
from bojax.pytrees import pytree

# Of standardised values over a cube: a slope of one, give or take a factor e.
VARIANCE = LogNormal(0.0, 1.0)
VARIANCE_LOW, VARIANCE_HIGH = -12.0, 9.0  # of log v


@pytree
@dataclass(frozen=True)
class Linear(Kernel):
    """Linear in every column.

    Attributes:
        variance: :class:`~bojax.kernels.Parameter` `[D]` of the slopes.

    Example:
        >>> import jax.numpy as jnp
        >>> import bojax
        >>> one = bojax.kernels.scale_parameter(1.0)
        >>> kernel = bojax.kernels.Linear(one).build(bojax.kernels.Columns.plain(1))
        >>> kernel.gram(jnp.array([[1.0]]), jnp.array([[0.0]])).tolist()
        [[-0.25]]
    """

    variance: Parameter | None = None

    def build(self, columns: Columns):
        """A variance a column, the default prior where none is given."""
        default = Parameter(VARIANCE.mode(), VARIANCE, VARIANCE_LOW, VARIANCE_HIGH)
        return replace(self, variance=spread(self.variance, default, columns.used))

    def _made(self) -> Parameter:
        if self.variance is None:
            raise ValueError("Linear: variances were not made yet; call .build(columns).")
        return self.variance

    def gram(self, x: Any, z: Any):
        """k(x_i, z_j), `[N, D]`, `[M, D]` -> `[N, M]`."""
        x, z = as_features(x), as_features(z)
        variance = self._made().value
        category = x.kind == CATEGORY
        total = (_heights(x) * variance) @ _heights(z).T
        return total + _matches(x, z, jnp.where(category, variance, 0.0))

    def diagonal(self, x: Any):
        """sum_k v_k phi_k(x)^2."""
        x = as_features(x)
        category = (x.kind == CATEGORY).astype(x.coordinate.dtype)
        return (_heights(x) ** 2 + x.active * category) @ self._made().value

    def gram_and_pullback(self, x: Any):
        """In closed form: phi' W phi for each column."""
        x = as_features(x)
        variance = self._made()

        def pull(weights):
            heights = _heights(x)
            numbers = jnp.sum(heights * (weights @ heights), axis=0)

            def column(part):
                xs, active, kind = part
                both = (xs[:, None] == xs[None, :]) & (kind == CATEGORY)
                return jnp.sum(jnp.where(both, weights, 0.0) * active[:, None] * active[None, :])

            matched = jax.lax.cond(
                jnp.any(x.kind == CATEGORY),
                lambda: jax.lax.map(column, (x.coordinate.T, x.active.T, x.kind)),
                lambda: jnp.zeros_like(numbers),
            )
            by_log = (numbers + matched) * variance.value
            return [by_log * variance.bijector.log_slope(variance.raw)]

        return self.gram(x, x), pull


def _heights(x):
    """phi: `[N, D]`, 0 for categories, inactive columns and padding."""
    number = (x.kind != CATEGORY) & (x.kind != UNUSED)
    return jnp.where(number, (x.coordinate - 0.5) * x.active, 0.0)


def _matches(x, z, weight):
    """sum_k weight_k [x_k = z_k] over columns that both rows have; nothing without weights."""

    def add(total, part):
        xs, zs, here, there, w = part
        same = jnp.where(xs[:, None] == zs[None, :], here[:, None] * there[None, :], 0.0)
        return total + w * same, None

    zeros = jnp.zeros((x.coordinate.shape[0], z.coordinate.shape[0]), weight.dtype)
    parts = (x.coordinate.T, z.coordinate.T, x.active.T, z.active.T, weight)
    return jax.lax.cond(
        jnp.any(weight != 0), lambda: jax.lax.scan(add, zeros, parts)[0], lambda: zeros
    )
