"""Samples of the posterior as functions, that can be evaluated anywhere and differentiated.

Matheron's rule turns a function drawn from the prior into one drawn from the posterior:

    f(x | y) = f(x) + k(x, X) K^-1 (y - m - f(X) - e),   e ~ N(0, noise)

(Wilson, Borovitskiy, Terenin, Mostowsky & Deisenroth 2020, "Efficiently Sampling Functions from
Gaussian Process Posteriors", eq. 13). The prior's function is a sum of random cosines (Rahimi &
Recht 2007), whose frequencies follow the kernel's spectral density: normal for the squared
exponential, Student t with 2 nu degrees of freedom for a Matern kernel. With it a draw costs
O(features) a row, whatever the number of rows it is asked at.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bojax.configuration import jit
from bojax.kernels import RBF, Matern12, Matern32, Matern52, Scaled
from bojax.kernels.distance import CATEGORY
from bojax.pytrees import pytree
from bojax.space import Features
from bojax.surrogates._gp.host import run_at
from bojax.surrogates._lines import features_of

FREEDOM = {Matern12: 1, Matern32: 3, Matern52: 5}  # 2 nu
PLAIN_CHOICES = 1  # of rows without a table, which have no categories


@pytree
@dataclass(frozen=True)
class Waves:
    """S functions drawn from a stationary prior, sums of F cosines.

    Attributes:
        frequencies, activity: `[F, D]`, of numbers and of activity, per unit of the cube.
        choices: `[F, D, K]`, the phase that each choice of a category adds.
        phases: `[F]`.
        weights: `[S, F]`.
    """

    frequencies: Any
    activity: Any
    choices: Any
    phases: Any
    weights: Any

    def __call__(self, x: Features):
        """`[N, D]` features -> `[S, N]`."""
        category = x.kind == CATEGORY
        numbers = jnp.where(category, 0.0, x.coordinate)
        angle = numbers @ self.frequencies.T + x.active @ self.activity.T + self.phases
        last = self.choices.shape[-1] - 1
        code = jnp.where(category, jnp.clip(x.coordinate, 0, last), 0.0).astype(jnp.int32)

        def add(total, column):
            table, codes, here = column
            return total + jnp.where(here, table[:, codes].T, 0.0), None

        columns = (jnp.moveaxis(self.choices, 1, 0), code.T, category)
        angle = jax.lax.scan(add, angle, columns)[0]
        return self.weights @ jnp.cos(angle).T


def draw_waves(key, kernel: Any, n: int, count: int, choices: int) -> Waves:
    """`n` functions from the prior of a stationary kernel, perhaps scaled.

    Args:
        key: for frequencies, phases and weights.
        kernel: a squared exponential or Matern kernel, or one `.scaled()`.
        n, count, choices: static; functions, cosines, largest number of choices.

    Raises:
        ValueError: a kernel whose spectral density is not known here.
    """
    variance = 1.0
    while isinstance(kernel, Scaled):
        variance, kernel = variance * kernel.scale.value, kernel.kernel
    family: Any = type(kernel)
    if family is not RBF and family not in FREEDOM:
        raise ValueError(
            f"paths: no spectral density for {type(kernel).__name__}; take a squared "
            "exponential or Matern kernel, or draw at given rows with .sample."
        )
    length, gap = kernel.length_scale.value, kernel.gap.value
    d, dtype = length.shape[0], length.dtype
    keys = jax.random.split(key, 5)
    # A category is the corner of a simplex of side 1: corners at distance 1 are the unit
    # vectors over sqrt 2.
    normal = jax.random.normal(keys[0], (count, d, 2 + choices), dtype)
    if family in FREEDOM:
        freedom = FREEDOM[family]
        squares = jax.random.normal(keys[1], (count, freedom), dtype) ** 2
        normal = normal / jnp.sqrt(jnp.mean(squares, axis=1))[:, None, None]
    weights = jax.random.normal(keys[3], (n, count), dtype)
    return Waves(
        normal[:, :, 0] / length,
        normal[:, :, 1] / gap,
        normal[:, :, 2:] / (math.sqrt(2.0) * length[:, None]),
        jax.random.uniform(keys[2], (count,), dtype, 0.0, 2.0 * math.pi),
        weights * jnp.sqrt(2.0 * variance / count),
    )


@pytree
@dataclass(frozen=True)
class Paths:
    """S functions drawn from a posterior, see :meth:`Posterior.paths`.

    Example:
        >>> import jax, jax.numpy as jnp, numpy as np
        >>> import bojax
        >>> rows = np.linspace(0, 1, 5)[:, None]
        >>> posterior, _ = bojax.surrogates.gp().fit(
        ...     jax.random.key(0), bojax.surrogates.Data(rows, np.sin(6 * rows[:, 0])))
        >>> paths = posterior.paths(jax.random.key(1), 3)
        >>> paths(np.zeros((4, 1))).shape  # one value a function and row
        (3, 4)
    """

    posterior: Any
    waves: Waves
    corrections: Any  # [S, T] K^-1 (y - m - f(X) - e)

    def value(self, rows):
        """`[N, D]` rows -> `[S, N]` values, in their unit; traceable and differentiable."""
        old = self.posterior
        new = features_of(old.table, rows)
        cross = jnp.where(old.mask, old.kernel.gram(new, old.features), 0.0)
        standard = old.mean + self.waves(new) + self.corrections @ cross.T
        return old.shift + old.scale * standard

    def __call__(self, rows):
        """As :meth:`value`; on the host one compiled program that gives NumPy."""
        result = run_at(_value, self.posterior.upper, self, rows)
        return result if isinstance(result, jax.core.Tracer) else np.asarray(result)


@jit
def _value(paths: Paths, rows):
    return paths.value(rows)


def draw_paths(posterior, key, n: int, count: int) -> Paths:
    """Draws of the prior, corrected to the observations; see :meth:`Posterior.paths`."""
    keys = jax.random.split(key)
    table = posterior.table
    choices = PLAIN_CHOICES if table is None else table.clauses.choices.shape[-1]
    waves = draw_waves(keys[0], posterior.kernel, n, count, choices)
    t, dtype = posterior.upper.shape[0], posterior.upper.dtype
    noise = jnp.sqrt(posterior.line_noise) * jax.random.normal(keys[1], (n, t), dtype)
    seen = jnp.where(posterior.mask, waves(posterior.features) + noise, 0.0)
    whitened = posterior.whitened - seen @ posterior.upper
    return Paths(posterior, waves, whitened @ posterior.upper.T)
