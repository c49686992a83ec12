"""The constant kernel, an unknown level, and the white one, a level of its own for every row.

    Constant:   k = c
    White:      k = w [x = z]

Rasmussen & Williams (2006), section 4.2 and eq. 2.20. A white part is noise that repeats when the
same configuration is asked for again: what replicates of one row share, and no other row does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp

from bojax.kernels.distance import as_features
from bojax.kernels.kernel import SCALE_HIGH, SCALE_LOW, SCALE_PRIOR, Columns, Kernel
from bojax.kernels.parameter import LogNormal, Parameter
from bojax.pytrees import pytree

# As BoTorch's prior of noise: a small part of standardised values.
WHITE = LogNormal(-4.0, 1.0)


def _default(given: Parameter | None, prior: LogNormal) -> Parameter:
    if given is not None:
        return given
    return Parameter(jnp.asarray(prior.mode(), float), prior, SCALE_LOW, SCALE_HIGH)


@pytree
@dataclass(frozen=True)
class Constant(Kernel):
    """The same covariance everywhere.

    Attributes:
        variance: :class:`~bojax.kernels.Parameter`, scalar.

    Example:
        >>> import jax.numpy as jnp
        >>> import bojax
        >>> level = bojax.kernels.Constant(bojax.kernels.scale_parameter(1.0))
        >>> level.gram(jnp.zeros((1, 1)), jnp.ones((2, 1))).tolist()
        [[1.0, 1.0]]
    """

    variance: Parameter | None = None

    def build(self, columns: Columns):
        """With the default prior where none is given."""
        return replace(self, variance=_default(self.variance, SCALE_PRIOR))

    def _made(self) -> Parameter:
        if self.variance is None:
            raise ValueError("Constant: its variance was not made yet; call .build(columns).")
        return self.variance

    def gram(self, x: Any, z: Any):
        """c."""
        x, z = as_features(x), as_features(z)
        value = self._made().value.astype(x.coordinate.dtype)
        return jnp.broadcast_to(value, (x.coordinate.shape[-2], z.coordinate.shape[-2]))

    def diagonal(self, x: Any):
        """c."""
        x = as_features(x)
        value = self._made().value.astype(x.coordinate.dtype)
        return jnp.broadcast_to(value, x.coordinate.shape[:-1])

    def gram_and_pullback(self, x: Any):
        """In closed form."""
        variance = self._made()
        by_raw = variance.value * variance.bijector.log_slope(variance.raw)
        return self.gram(x, x), lambda weights: [by_raw * jnp.sum(weights)]


@pytree
@dataclass(frozen=True)
class White(Kernel):
    """A level of its own for every row.

    Attributes:
        variance: :class:`~bojax.kernels.Parameter`, scalar.

    Example:
        >>> import jax.numpy as jnp
        >>> import bojax
        >>> white = bojax.kernels.White(bojax.kernels.scale_parameter(1.0))
        >>> white.gram(jnp.zeros((1, 1)), jnp.array([[0.0], [1.0]])).tolist()
        [[1.0, 0.0]]
    """

    variance: Parameter | None = None

    def build(self, columns: Columns):
        """With the default prior where none is given."""
        return replace(self, variance=_default(self.variance, WHITE))

    def _made(self) -> Parameter:
        if self.variance is None:
            raise ValueError("White: its variance was not made yet; call .build(columns).")
        return self.variance

    def gram(self, x: Any, z: Any):
        """w where rows are equal."""
        x, z = as_features(x), as_features(z)
        same = jnp.all(x.coordinate[:, None, :] == z.coordinate[None, :, :], axis=-1)
        same &= jnp.all(x.active[:, None, :] == z.active[None, :, :], axis=-1)
        return jnp.where(same, self._made().value, 0.0).astype(x.coordinate.dtype)

    def diagonal(self, x: Any):
        """w."""
        x = as_features(x)
        value = self._made().value.astype(x.coordinate.dtype)
        return jnp.broadcast_to(value, x.coordinate.shape[:-1])

    def gram_and_pullback(self, x: Any):
        """In closed form."""
        variance = self._made()
        gram = self.gram(x, x)
        by_raw = variance.bijector.log_slope(variance.raw)
        return gram, lambda weights: [by_raw * jnp.sum(weights * gram)]
