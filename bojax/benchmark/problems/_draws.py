"""Functions drawn from a Gaussian-process prior: problems a surrogate fits by construction.

A draw is a sum of random cosine features (A. Rahimi and B. Recht, "Random features for
large-scale kernel machines", NIPS 2007): frequencies from the kernel's spectral density,
which for a Matern kernel of smoothness nu is a multivariate t of 2 nu degrees of freedom.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bojax.errors import ConfigError
from bojax.loop import Problem
from bojax.optimize import sobol
from bojax.space import Float, Space

FEATURES = 512
DEGREES = {"rbf": math.inf, "matern52": 5.0, "matern32": 3.0}
REFERENCE_POINTS = 4096  # Sobol points behind the median, and where the minimum is sought from
CLIMBS = 32


class Draw(NamedTuple):
    """One function of the prior.

    Attributes:
        frequency: `[features, D]`, 0 in unused columns.
        phase, weight: `[features]`.
        noise: standard deviation, in the unit of the values.
        number: of the instance.
    """

    frequency: Any
    phase: Any
    weight: Any
    noise: Any
    number: Any


def truth(data: Draw, rows):
    """Noise-free values of rows `[q, D]`, `[q]`."""
    dtype = rows.dtype
    angle = jnp.sum(rows[:, None, :] * data.frequency.astype(dtype), axis=-1)
    return jnp.sum(jnp.cos(angle + data.phase.astype(dtype)) * data.weight.astype(dtype), axis=-1)


def evaluate(data: Draw, key, rows):
    """Noisy values of rows `[q, D]`, `[q]`."""
    noise = jax.random.normal(key, rows.shape[:1], rows.dtype)
    return truth(data, rows) + jnp.asarray(data.noise, rows.dtype) * noise


def gp_draw(
    dimensions: int,
    *,
    kernel: str = "matern52",
    length_scale: float | None = None,
    noise: float = 0.0,
    instance: int = 0,
) -> Problem:
    """A draw from a zero-mean Gaussian-process prior of variance 1 on the unit cube.

    The optimum is the best of 32 descents (SciPy's L-BFGS-B) from the best of 4,096 Sobol
    points: found, not known.

    Args:
        dimensions: d.
        kernel: "rbf", "matern52" or "matern32".
        length_scale: of every dimension, in units of the cube; None is 0.2 sqrt(d).
        noise: standard deviation of Gaussian noise as a share of (median - minimum).
        instance: another number, another draw.

    Raises:
        ConfigError: a setting out of range.

    Example:
        >>> from bojax.benchmark import problems
        >>> problem = problems.gp_draw(2, instance=1)
        >>> bool(problem.optimum < problem.reference)
        True
    """
    if kernel not in DEGREES:
        raise ConfigError(f"gp_draw: kernel must be one of {', '.join(DEGREES)}, got {kernel!r}.")
    if dimensions < 1 or instance < 0 or noise < 0:
        raise ConfigError("gp_draw: dimensions must be at least 1, instance and noise at least 0.")
    scale = 0.2 * math.sqrt(dimensions) if length_scale is None else float(length_scale)
    if not scale > 0:
        raise ConfigError(f"gp_draw: length_scale must be above 0, got {length_scale}.")
    space = Space({f"x{i}": Float(0.0, 1.0) for i in range(dimensions)})
    draw = np.random.default_rng([dimensions, instance, list(DEGREES).index(kernel)])
    normal = draw.standard_normal((FEATURES, dimensions)) / scale
    degrees = DEGREES[kernel]
    if math.isfinite(degrees):  # a t variate is a normal one over the root of a chi-square
        normal /= np.sqrt(draw.chisquare(degrees, (FEATURES, 1)) / degrees)
    frequency = np.zeros((FEATURES, space.table.columns))
    frequency[:, :dimensions] = normal
    phase = draw.uniform(0, 2 * math.pi, FEATURES)
    weight = draw.standard_normal(FEATURES) * math.sqrt(2 / FEATURES)
    optimum, median = _minimum(normal, phase, weight)
    name = f"gp_draw_{kernel}_{dimensions}"
    data = Draw(
        frequency, phase, weight, np.float64(noise * (median - optimum)), np.int32(instance)
    )
    return Problem(
        space.table,
        evaluate,
        data,
        np.float64(optimum),
        f"noisy_{name}" if noise else name,
        space,
        truth,
        np.float64(median),
    )


def _minimum(frequency, phase, weight) -> tuple[float, float]:
    """Least and median value over the unit cube, in NumPy."""
    from scipy.optimize import minimize

    def value_and_slope(x):
        angle = frequency @ x + phase
        return float(np.cos(angle) @ weight), -(np.sin(angle) * weight) @ frequency

    d = frequency.shape[1]
    points = np.asarray(sobol(1, REFERENCE_POINTS, d, xp=np), float)
    values = np.cos(points @ frequency.T + phase) @ weight
    starts = points[np.argsort(values)[:CLIMBS]]
    ends = [
        minimize(value_and_slope, x, jac=True, method="L-BFGS-B", bounds=[(0, 1)] * d).fun
        for x in starts
    ]
    return float(min(ends)), float(np.median(values))
