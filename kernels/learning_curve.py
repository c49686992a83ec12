"""Learning curves of configurations: where each ends, and how it comes down to that.

    k((x, s), (z, t)) = a k_asymptote(x, z) + b k_departure(x, z) beta^alpha / (s + t + beta)^alpha

x and z are configurations, s and t their budgets. K. Swersky, J. Snoek and R. P. Adams,
"Freeze-thaw Bayesian optimization", 2014, section 3.2: a Gaussian process over configurations for
the asymptotes, and around its own asymptote a process of each curve with the kernel of eq. 6. They
take the departures of two configurations for independent, k_departure = [x = z], which breaks
the matrix into a block a curve; with a kernel of the configurations there too, a curve that has
just begun goes on like those of its neighbours. Both are Matern 5/2 over all columns but the
budget's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from bojax.kernels.distance import as_features
from bojax.kernels.fidelity import Decay
from bojax.kernels.kernel import Columns, Kernel
from bojax.kernels.matern import Matern52
from bojax.kernels.parameter import LogNormal, Parameter
from bojax.kernels.stationary import LENGTH_SCALE_HIGH, LENGTH_SCALE_LOW
from bojax.pytrees import pytree
from bojax.space import Features

# Length scales of the asymptotes: mode 0.125 sqrt(d), as the recipe "tuning" has them.
TIGHT_LOCATION, TIGHT_SCALE = math.log(0.125) + 0.7**2, 0.7


@pytree
@dataclass(frozen=True)
class _Seen(Kernel):
    """A kernel of some columns, which are data and not static as those of `Selected`.

    Attributes:
        kernel: of all columns, or of one, the budget.
        seen: `[D]` 1.0 for what it sees, else 0.0; or the budget's column in `[1, D]`.
    """

    kernel: Kernel
    seen: Any

    def _part(self, x) -> Features:
        x = as_features(x)
        seen = jnp.asarray(self.seen, x.coordinate.dtype)
        if seen.ndim == 1:
            return Features(x.coordinate * seen, x.active, x.kind)
        own = jnp.sum(x.coordinate * seen[0], axis=-1, keepdims=True)
        return Features(own, jnp.ones_like(own), jnp.ones(1, jnp.int32))

    def gram(self, x, z):
        """Of what it sees."""
        return self.kernel.gram(self._part(x), self._part(z))

    def diagonal(self, x):
        """Of what it sees."""
        return self.kernel.diagonal(self._part(x))

    def gram_and_pullback(self, x):
        """As the kernel's."""
        return self.kernel.gram_and_pullback(self._part(x))

    def directions(self, x, vector):
        """As the kernel's."""
        return self.kernel.directions(self._part(x), vector)


@pytree
@dataclass(frozen=True)
class LearningCurve(Kernel):
    """Asymptotes that vary with the configuration, and curves that decay to them.

    Attributes:
        asymptote: kernel of the configurations, where curves end.
        departure: kernel of the configurations, how they come down.
        decay: :class:`Decay` of the budget.

    Example:
        >>> import jax.numpy as jnp
        >>> import bojax
        >>> kernel = bojax.kernels.LearningCurve().build(
        ...     bojax.kernels.Columns.plain(2)._replace(budget=jnp.array([False, True])))
        >>> begun, ended = kernel.diagonal(jnp.array([[0.3, 0.0], [0.3, 1.0]]))
        >>> bool(begun > ended)  # more is unknown where curves begin
        True
    """

    asymptote: Kernel | None = None
    departure: Kernel | None = None
    decay: Kernel | None = None

    def gram(self, x, z):
        """Of the built kernel only."""
        raise ValueError("LearningCurve: parts were not made yet; call .build(columns).")

    def diagonal(self, x):
        """Of the built kernel only."""
        raise ValueError("LearningCurve: parts were not made yet; call .build(columns).")

    def build(self, columns: Columns) -> Kernel:
        """The sum, with the default parts where none are given; without a budget all is at 0."""
        columns = columns._replace(used=jnp.asarray(columns.used))
        budget = jnp.zeros_like(columns.used) if columns.budget is None else columns.budget
        others = columns._replace(
            used=columns.used & ~budget,
            dimensions=columns.dimensions - jnp.sum(budget.astype(columns.dimensions.dtype)),
        )
        location = TIGHT_LOCATION + 0.5 * jnp.log(jnp.maximum(others.dimensions, 1.0))
        prior = LogNormal(location, TIGHT_SCALE)
        tight = Parameter(prior.mode(), prior, LENGTH_SCALE_LOW, LENGTH_SCALE_HIGH)
        asymptote = self.asymptote or Matern52(length_scale=tight)
        departure, decay = self.departure or Matern52(), self.decay or Decay()
        seen = (~budget).astype(columns.dimensions.dtype)
        at_budget = budget.astype(columns.dimensions.dtype)[None]
        ends = _Seen(asymptote.build(others), seen).scaled()
        drops = _Seen(departure.build(others), seen).scaled()
        return ends + drops * _Seen(decay.build(others), at_budget)
