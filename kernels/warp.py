"""Input warping: each number is bent by the Kumaraswamy distribution function before a kernel.

    w(x) = 1 - (1 - x^a)^b

Snoek, Swersky, Zemel & Adams (2014), "Input Warping for Bayesian Optimization of Non-Stationary
Functions", with Kumaraswamy's closed form in place of the Beta's. a = b = 1 leaves the column as
it is. Categories are not warped. Gradients come from automatic differentiation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp

from bojax.kernels.distance import CATEGORY, as_features
from bojax.kernels.kernel import Columns, Kernel, spread
from bojax.kernels.parameter import LogNormal, Parameter
from bojax.pytrees import pytree
from bojax.space import Features

# Ax 1.3 ("quality"): concentrations ~ LogNormal(0, sqrt 0.1).
CONCENTRATION = LogNormal(0.0, 0.1**0.5)
CONCENTRATION_LOW, CONCENTRATION_HIGH = -2.5, 2.5  # of the logarithm
EDGE = 1e-6  # the function's slope is infinite at 0 and 1 for a or b below 1


@pytree
@dataclass(frozen=True)
class Warped(Kernel):
    """A kernel of warped coordinates.

    Attributes:
        kernel: of what comes out.
        a, b: :class:`~bojax.kernels.Parameter` `[D]`, concentrations.

    Example:
        >>> import jax.numpy as jnp
        >>> import bojax
        >>> plain = bojax.kernels.Linear(bojax.kernels.scale_parameter(1.0))
        >>> square = bojax.kernels.scale_parameter(2.0)
        >>> kernel = bojax.kernels.Warped(plain, a=square).build(bojax.kernels.Columns.plain(1))
        >>> kernel.gram(jnp.array([[0.5]]), jnp.array([[1.0]])).round(3).tolist()
        [[-0.125]]
    """

    kernel: Kernel
    a: Parameter | None = None
    b: Parameter | None = None

    def build(self, columns: Columns):
        """The kernel and the concentrations for these columns."""
        start = Parameter(0.0, CONCENTRATION, CONCENTRATION_LOW, CONCENTRATION_HIGH)
        return replace(
            self,
            kernel=self.kernel.build(columns),
            a=spread(self.a, start, columns.used),
            b=spread(self.b, start, columns.used),
        )

    def warp(self, x: Any):
        """The features with their numbers warped."""
        if self.a is None or self.b is None:
            raise ValueError("Warped: concentrations were not made yet; call .build(columns).")
        x = as_features(x)
        inner = jnp.clip(x.coordinate, EDGE, 1.0 - EDGE)
        bent = -jnp.expm1(self.b.value * jnp.log1p(-jnp.exp(self.a.value * jnp.log(inner))))
        coordinate = jnp.where(x.kind == CATEGORY, x.coordinate, bent)
        return Features(coordinate, x.active, x.kind)

    def gram(self, x: Any, z: Any):
        """Of warped rows."""
        return self.kernel.gram(self.warp(x), self.warp(z))

    def diagonal(self, x: Any):
        """Of warped rows."""
        return self.kernel.diagonal(self.warp(x))
