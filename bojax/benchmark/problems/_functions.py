"""Test functions of global optimisation as array formulas, with their known minima.

Each takes natural coordinates `z[..., D]` of which the first `d` count (`used[..., D]` is
1.0 there), so that functions of different dimensions share arrays of one size class. `xp` is
the array namespace: NumPy on the host, `jax.numpy` under a trace.

Definitions and minima as in S. Surjanovic and D. Bingham, Virtual Library of Simulation
Experiments (2013), each minimised; Cosine mixture (here Cosine-8) from M. M. Ali, C.
Khompatraporn and Z. B. Zabinsky, Journal of Global Optimization 31 (2005).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

# Hartmann's constants: weights, inverse squared widths and centres of four wells.
HARTMANN_WEIGHTS = (1.0, 1.2, 3.0, 3.2)
HARTMANN_WIDTHS = {
    3: ((3.0, 10.0, 30.0), (0.1, 10.0, 35.0), (3.0, 10.0, 30.0), (0.1, 10.0, 35.0)),
    6: (
        (10.0, 3.0, 17.0, 3.5, 1.7, 8.0),
        (0.05, 10.0, 17.0, 0.1, 8.0, 14.0),
        (3.0, 3.5, 1.7, 10.0, 17.0, 8.0),
        (17.0, 8.0, 0.05, 10.0, 0.1, 14.0),
    ),
}
HARTMANN_CENTRES = {
    3: (
        (0.3689, 0.1170, 0.2673),
        (0.4699, 0.4387, 0.7470),
        (0.1091, 0.8732, 0.5547),
        (0.0381, 0.5743, 0.8828),
    ),
    6: (
        (0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886),
        (0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991),
        (0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650),
        (0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381),
    ),
}
MICHALEWICZ_STEEPNESS = 10


@dataclass(frozen=True)
class Function:
    """One test function.

    Attributes:
        name: its name in `bojax.benchmark.problems`.
        formula: `(z[..., D], used[..., D], xp) -> [...]`.
        bounds: d -> `(low[d], high[d])`, the customary box.
        minimiser: d -> `[d]` where the least value is attained.
        minimum: d -> the least value.
        dimensions: how many it has; None for any number of at least `least`.
        least: fewest dimensions.
        folds: whether coordinates beyond the box are reflected into it, for a function whose
            minimum is only known within the box.
    """

    name: str
    formula: Callable[[Any, Any, Any], Any]
    bounds: Callable[[int], tuple[Any, Any]]
    minimiser: Callable[[int], Any]
    minimum: Callable[[int], float]
    dimensions: int | None = None
    least: int = 1
    folds: bool = False


def branin(z, used, xp):
    """(x1 - 5.1/(4 pi^2) x0^2 + 5/pi x0 - 6)^2 + 10 (1 - 1/(8 pi)) cos x0 + 10."""
    x, y = z[..., 0], z[..., 1]
    parabola = y - 5.1 / (4 * math.pi**2) * x * x + 5 / math.pi * x - 6.0
    return parabola * parabola + 10.0 * (1 - 1 / (8 * math.pi)) * xp.cos(x) + 10.0


def hartmann(dimensions: int):
    """-sum_i w_i exp(-sum_j A_ij (x_j - P_ij)^2), of 3 or 6 dimensions."""

    def formula(z, used, xp):
        x = z[..., None, :dimensions]
        widths = xp.asarray(np.array(HARTMANN_WIDTHS[dimensions]), dtype=z.dtype)
        centres = xp.asarray(np.array(HARTMANN_CENTRES[dimensions]), dtype=z.dtype)
        weights = xp.asarray(np.array(HARTMANN_WEIGHTS), dtype=z.dtype)
        gaps = (x - centres) * (x - centres)
        return -xp.sum(weights * xp.exp(-xp.sum(widths * gaps, axis=-1)), axis=-1)

    return formula


def ackley(z, used, xp):
    """-20 exp(-0.2 sqrt(mean x^2)) - exp(mean cos 2 pi x) + 20 + e."""
    d = xp.sum(used, axis=-1)
    square = xp.sum(used * z * z, axis=-1) / d
    wave = xp.sum(used * xp.cos(2 * math.pi * z), axis=-1) / d
    return -20.0 * xp.exp(-0.2 * xp.sqrt(square)) - xp.exp(wave) + 20.0 + math.e


def rosenbrock(z, used, xp):
    """sum_i 100 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2."""
    here, after = z[..., :-1], z[..., 1:]
    valley = after - here * here
    terms = 100.0 * valley * valley + (1.0 - here) * (1.0 - here)
    return xp.sum(used[..., 1:] * terms, axis=-1)


def levy(z, used, xp):
    """sin^2(pi w_0) + sum (w-1)^2 (1 + 10 sin^2(pi w + 1)) + the last term; w = 1 + (x-1)/4."""
    w = 1.0 + (z - 1.0) / 4.0
    after = xp.concatenate([used[..., 1:], xp.zeros_like(used[..., :1])], axis=-1)
    last, inner = used - after, after
    first = xp.sin(math.pi * w[..., 0]) ** 2
    square = (w - 1.0) * (w - 1.0)
    middle = xp.sum(inner * square * (1.0 + 10.0 * xp.sin(math.pi * w + 1.0) ** 2), axis=-1)
    return first + middle + xp.sum(last * square * (1.0 + xp.sin(2 * math.pi * w) ** 2), axis=-1)


def rastrigin(z, used, xp):
    """sum x^2 - 10 cos(2 pi x) + 10."""
    return xp.sum(used * (z * z - 10.0 * xp.cos(2 * math.pi * z) + 10.0), axis=-1)


def griewank(z, used, xp):
    """sum x^2 / 4000 - prod cos(x_i / sqrt i) + 1."""
    number = xp.arange(1, z.shape[-1] + 1).astype(z.dtype)
    waves = xp.where(used > 0, xp.cos(z / xp.sqrt(number)), xp.ones_like(z))
    return xp.sum(used * z * z, axis=-1) / 4000.0 - xp.prod(waves, axis=-1) + 1.0


def styblinski_tang(z, used, xp):
    """sum (x^4 - 16 x^2 + 5 x) / 2."""
    square = z * z
    return 0.5 * xp.sum(used * (square * square - 16.0 * square + 5.0 * z), axis=-1)


def cosine(z, used, xp):
    """sum x^2 - 0.1 cos(5 pi x)."""
    return xp.sum(used * (z * z - 0.1 * xp.cos(5 * math.pi * z)), axis=-1)


def michalewicz(z, used, xp):
    """-sum sin(x_i) sin^20(i x_i^2 / pi), i from 1."""
    number = xp.arange(1, z.shape[-1] + 1).astype(z.dtype)
    wave = xp.sin(number * z * z / math.pi)
    return -xp.sum(used * xp.sin(z) * (wave * wave) ** MICHALEWICZ_STEEPNESS, axis=-1)


def _box(low, high):
    return lambda d: (np.full(d, float(low)), np.full(d, float(high)))


def _everywhere(value):
    return lambda d: np.full(d, float(value))


def _michalewicz_minimiser(d: int) -> np.ndarray:
    """Coordinate by coordinate, as the sum is separable: a grid, then golden sections."""
    found = np.empty(d)
    for i in range(1, d + 1):

        def value(x, i=i):
            return -np.sin(x) * np.sin(i * x * x / math.pi) ** (2 * MICHALEWICZ_STEEPNESS)

        grid = np.linspace(0, math.pi, 20_001)
        best = int(np.argmin(value(grid)))
        low, high = grid[max(best - 1, 0)], grid[min(best + 1, 20_000)]
        golden = (math.sqrt(5) - 1) / 2
        for _ in range(80):
            left, right = high - golden * (high - low), low + golden * (high - low)
            low, high = (low, right) if value(left) < value(right) else (left, high)
        found[i - 1] = (low + high) / 2
    return found


def _michalewicz_minimum(d: int) -> float:
    return float(michalewicz(_michalewicz_minimiser(d), np.ones(d), np))


# Minima with more digits than are printed usually: found by Newton's method from the known
# minimisers, in 30-digit arithmetic (a test does it again).
FUNCTIONS: tuple[Function, ...] = (
    Function(
        "branin",
        branin,
        lambda d: (np.array([-5.0, 0.0]), np.array([10.0, 15.0])),
        lambda d: np.array([math.pi, 2.275]),
        lambda d: 5 / (4 * math.pi),
        dimensions=2,
    ),
    Function(
        "hartmann3",
        hartmann(3),
        _box(0, 1),
        lambda d: np.array([0.114588885118, 0.555648896233, 0.852546985324]),
        lambda d: -3.862779787332663,
        dimensions=3,
    ),
    Function(
        "hartmann6",
        hartmann(6),
        _box(0, 1),
        lambda d: np.array(
            [
                0.201689511660,
                0.150010691655,
                0.476873973608,
                0.275332430304,
                0.311651616789,
                0.657300534074,
            ]
        ),
        lambda d: -3.32236801141551,
        dimensions=6,
    ),
    Function("ackley", ackley, _box(-32.768, 32.768), _everywhere(0), lambda d: 0.0),
    Function("rosenbrock", rosenbrock, _box(-5, 10), _everywhere(1), lambda d: 0.0, least=2),
    Function("levy", levy, _box(-10, 10), _everywhere(1), lambda d: 0.0),
    Function("rastrigin", rastrigin, _box(-5.12, 5.12), _everywhere(0), lambda d: 0.0),
    Function("griewank", griewank, _box(-600, 600), _everywhere(0), lambda d: 0.0),
    Function(
        "styblinski_tang",
        styblinski_tang,
        _box(-5, 5),
        _everywhere(-2.903534027771177),
        lambda d: -39.166165703771416 * d,
    ),
    Function("cosine8", cosine, _box(-1, 1), _everywhere(0), lambda d: -0.1 * d, dimensions=8),
    Function(
        "michalewicz",
        michalewicz,
        _box(0, math.pi),
        _michalewicz_minimiser,
        _michalewicz_minimum,
        folds=True,
    ),
)
INDEX = {function.name: i for i, function in enumerate(FUNCTIONS)}
