"""Kernels of a budget, for one column: how much a cheap evaluation says of a dear one.

    Fidelity:   k = c + (1 - s)^(1 + delta) (1 - t)^(1 + delta)
    Decay:      k = beta^alpha / (s + t + beta)^alpha

s and t are budgets in the unit cube, 1 the full one. With `Fidelity` evaluations differ from the
full budget's by a random multiple of (1 - s)^(1 + delta): Wu, Toscano-Palmerin, Frazier & Wilson
(2020), "Practical Multi-fidelity Bayesian Optimization", section 4.1. `Decay` is the covariance
of learning curves that are mixtures of decaying exponentials: Swersky, Snoek & Adams (2014),
"Freeze-Thaw Bayesian Optimization", eq. 6. Multiply them with a kernel of the configuration:

    Matern52().on(0, 1) * Fidelity().on(2)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp

from bojax.kernels.distance import as_features
from bojax.kernels.kernel import Columns, Kernel
from bojax.kernels.parameter import LogNormal, Parameter
from bojax.pytrees import pytree

# Around 1, give or take a factor e^(1/2) or e: wide enough for a curve's data to decide.
OFFSET = LogNormal(0.0, 1.0)
POWER = LogNormal(0.0, 0.5)
RATE = LogNormal(0.0, 1.0)
LOW, HIGH = -6.0, 6.0  # of the logarithms


def _default(given: Parameter | None, prior: LogNormal) -> Parameter:
    if given is not None:
        return given
    return Parameter(jnp.asarray(prior.mode(), float), prior, LOW, HIGH)


def _budget(kernel: Kernel, x: Any):
    coordinate = as_features(x).coordinate
    if coordinate.shape[-1] != 1:
        raise ValueError(
            f"{type(kernel).__name__}: a kernel of one column, the budget, got "
            f"{coordinate.shape[-1]}; select it with .on(column)."
        )
    return coordinate[..., 0]


@pytree
@dataclass(frozen=True)
class Fidelity(Kernel):
    """Evaluations at a lower budget are off by a random multiple of what is missing.

    Attributes:
        offset: :class:`~bojax.kernels.Parameter`, c, the share of all budgets.
        power: :class:`~bojax.kernels.Parameter`, 1 + delta.

    Example:
        >>> import jax.numpy as jnp
        >>> import bojax
        >>> kernel = bojax.kernels.Fidelity().build(bojax.kernels.Columns.plain(1))
        >>> full, none = kernel.diagonal(jnp.array([[1.0], [0.0]]))
        >>> bool(full < none)
        True
    """

    offset: Parameter | None = None
    power: Parameter | None = None

    def build(self, columns: Columns):
        """With the default priors where none are given."""
        return replace(
            self, offset=_default(self.offset, OFFSET), power=_default(self.power, POWER)
        )

    def _made(self):
        if self.offset is None or self.power is None:
            raise ValueError("Fidelity: parameters were not made yet; call .build(columns).")
        return self.offset.value, self.power.value

    def _missing(self, x: Any):
        _, power = self._made()
        left = 1.0 - _budget(self, x)
        safe = jnp.where(left > 0, left, 1.0)
        return jnp.where(left > 0, jnp.exp(power * jnp.log(safe)), 0.0)

    def gram(self, x: Any, z: Any):
        """c + missing(x) missing(z)."""
        c, _ = self._made()
        return c + self._missing(x)[:, None] * self._missing(z)[None, :]

    def diagonal(self, x: Any):
        """c + missing(x)^2."""
        c, _ = self._made()
        return c + self._missing(x) ** 2


@pytree
@dataclass(frozen=True)
class Decay(Kernel):
    """Learning curves: mixtures of decaying exponentials in the budget.

    Attributes:
        alpha, beta: :class:`~bojax.kernels.Parameter`, shape and rate of the mixture.

    Example:
        >>> import jax.numpy as jnp
        >>> import bojax
        >>> kernel = bojax.kernels.Decay().build(bojax.kernels.Columns.plain(1))
        >>> kernel.diagonal(jnp.zeros((1, 1))).tolist()
        [1.0]
    """

    alpha: Parameter | None = None
    beta: Parameter | None = None

    def build(self, columns: Columns):
        """With the default priors where none are given."""
        return replace(self, alpha=_default(self.alpha, RATE), beta=_default(self.beta, RATE))

    def _of(self, total):
        if self.alpha is None or self.beta is None:
            raise ValueError("Decay: parameters were not made yet; call .build(columns).")
        alpha, beta = self.alpha.value, self.beta.value
        return jnp.exp(-alpha * jnp.log1p(total / beta))

    def gram(self, x: Any, z: Any):
        """beta^alpha / (s + t + beta)^alpha."""
        return self._of(_budget(self, x)[:, None] + _budget(self, z)[None, :])

    def diagonal(self, x: Any):
        """beta^alpha / (2 s + beta)^alpha."""
        return self._of(2.0 * _budget(self, x))
