"""The numbers behind a BBOB instance, drawn on the host as the original programs draw them.

References:
    N. Hansen, S. Finck, R. Ros and A. Auger, Real-parameter black-box optimization
    benchmarking 2009: noiseless functions definitions, INRIA RR-6829, 2009.
    S. K. Park and K. W. Miller, Random number generators: good ones are hard to find,
    Communications of the ACM 31(10), 1988 (the generator);
    C. Bays and S. D. Durham, Improving a poor random number generator, ACM Transactions on
    Mathematical Software 2(1), 1976 (the shuffle of its output).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bojax.benchmark.problems import _bbob_formulas as f
from bojax.benchmark.problems._bbob_formulas import FORMULAS, Instance

MULTIPLIER, MODULUS = 16807, 2**31 - 1  # Park and Miller's generator
SHUFFLED = 32  # numbers among which the next one is picked
SKIPPED = 8  # numbers drawn and dropped first
BIN = MODULUS // SHUFFLED + 2  # width of a pick, as the original has it
APART = 1_000_000  # between the seeds of the two rotations, R and Q
SCHWEFEL_PLACE = 4.2096874637  # twice the distance of the minimiser's coordinates from 0
PEAKS = {21: 101, 22: 21}
SPREAD = {21: 10.0, 22: 9.8}  # width of the cube the peaks of Gallagher's functions lie in
STEEPEST = {21: math.sqrt(1000.0), 22: 1000.0}  # condition of the highest peak
MOST_PEAKS = max(PEAKS.values())


class Definition(NamedTuple):
    """What makes one of the 24 functions.

    Attributes:
        name: after the definitions.
        formula: one of `FORMULAS`; several functions may share it.
        first, second: factors of its linear maps from left to right: "R" and "Q" are the two
            rotations; a number c is diag(c^(ramp / 2)), "one" diag(1000, 1, ..., 1), "others"
            diag(1, 1000, ..., 1000), "away" diag(2 sign x_opt).
        ripples, skew, steps: as in :class:`Instance`.
        draws: the number seeded with, where it is not the function's own.
    """

    name: str
    formula: Callable
    first: tuple = ()
    second: tuple = ()
    ripples: bool = False
    skew: float = 0.0
    steps: bool = False
    draws: int | None = None


# The factor max(1, sqrt(d) / 8) of Rosenbrock's functions is 1 for all d here.
DEFINITIONS = {
    1: Definition("sphere", f.squares),
    2: Definition("ellipsoid", f.squares, (), (1e6,), ripples=True),
    3: Definition("rastrigin", f.rastrigin, (), (10,), ripples=True, skew=0.2),
    4: Definition("bueche_rastrigin", f.bueche_rastrigin, (), (10,), ripples=True, draws=3),
    5: Definition("linear_slope", f.linear_slope, (), (100,)),
    6: Definition("attractive_sector", f.attractive_sector, ("R", 10, "Q")),
    7: Definition("step_ellipsoid", f.step_ellipsoid, (10, "Q"), (100, "R"), steps=True),
    8: Definition("rosenbrock", f.rosenbrock),
    9: Definition("rotated_rosenbrock", f.rosenbrock, ("Q",)),
    10: Definition("rotated_ellipsoid", f.squares, ("R",), (1e6,), ripples=True),
    11: Definition("discus", f.squares, ("R",), ("one",), ripples=True),
    12: Definition("bent_cigar", f.squares, ("R",), ("others", "R"), skew=0.5),
    13: Definition("sharp_ridge", f.sharp_ridge, ("R", 10, "Q")),
    14: Definition("different_powers", f.different_powers, ("R",)),
    15: Definition("rotated_rastrigin", f.rastrigin, ("R",), ("R", 10, "Q"), True, 0.2),
    16: Definition("weierstrass", f.weierstrass, ("R",), ("R", 0.01, "Q"), ripples=True),
    17: Definition("schaffer_f7", f.schaffer_f7, ("R",), (10, "Q"), skew=0.5),
    18: Definition("steep_schaffer_f7", f.schaffer_f7, ("R",), (1000, "Q"), skew=0.5, draws=17),
    19: Definition("griewank_rosenbrock", f.griewank_rosenbrock, ("Q",)),
    20: Definition("schwefel", f.schwefel),
    21: Definition("gallagher_101", f.gallagher, ("Q",)),
    22: Definition("gallagher_21", f.gallagher, ("Q",)),
    23: Definition("katsuura", f.katsuura, ("R", 100, "Q")),
    24: Definition("lunacek_bi_rastrigin", f.lunacek_bi_rastrigin, (), ("R", 100, "Q", "away")),
}


def draw(function: int, d: int, instance: int, columns: int) -> Instance:
    """The data of one instance, float64, padded to `columns`."""
    definition = DEFINITIONS[function]
    seed = (definition.draws or function) + 10_000 * instance
    places, widths, heights = _peaks(function, d, seed)
    x_opt = places[0] if function in PEAKS else _minimiser(function, d, seed)
    first = _map(definition.first, x_opt, seed)
    second = _map(definition.second, x_opt, seed)
    return Instance(
        formula=np.int32(FORMULAS.index(definition.formula)),
        used=_padded(np.ones(d), columns),
        ramp=_padded(_ramp(d), columns),
        x_opt=_padded(x_opt, columns),
        f_opt=np.float64(_minimum(seed)),
        first=_padded(first, columns, columns),
        second=_padded(second, columns, columns),
        ripples=np.float64(definition.ripples),
        skew=np.float64(definition.skew),
        steps=np.float64(definition.steps),
        centres=_padded((places - places[0]) @ first.T, MOST_PEAKS, columns),
        widths=_padded(widths, MOST_PEAKS, columns),
        heights=_padded(heights, MOST_PEAKS),
    )


def uniform(count: int, seed: int) -> np.ndarray:
    """`[count]` numbers in (0, 1): Park and Miller's generator, its output shuffled."""
    state = max(abs(seed), 1)

    def following():
        nonlocal state
        state = MULTIPLIER * state % MODULUS
        return state

    for _ in range(SKIPPED):
        following()
    waiting = [following() for _ in range(SHUFFLED)][::-1]
    out, last = np.empty(count), waiting[0]
    for i in range(count):
        pick = last // BIN
        last, waiting[pick] = waiting[pick], following()
        out[i] = last
    return out / MODULUS


def gaussian(count: int, seed: int) -> np.ndarray:
    """`[count]` standard normal numbers, by the cosine half of Box and Muller's method."""
    radius, angle = uniform(2 * count, seed).reshape(2, count)
    return np.sqrt(-2 * np.log(radius)) * np.cos(2 * np.pi * angle)


def rotation(d: int, seed: int) -> np.ndarray:
    """`[d, d]`: Gaussian columns made orthonormal from left to right (Gram and Schmidt)."""
    columns = gaussian(d * d, seed).reshape(d, d)
    for i in range(d):
        for earlier in columns[:i]:
            columns[i] -= (columns[i] @ earlier) * earlier
        columns[i] /= np.sqrt(columns[i] @ columns[i])
    return columns.T


def _ramp(d: int) -> np.ndarray:
    return np.arange(d) / (d - 1)


def _map(factors: tuple, x_opt: np.ndarray, seed: int) -> np.ndarray:
    d = len(x_opt)
    diagonals = {
        "one": np.where(np.arange(d) == 0, 1000.0, 1.0),
        "others": np.where(np.arange(d) == 0, 1.0, 1000.0),
        "away": 2.0 * np.sign(x_opt),
    }
    out = np.eye(d)
    for factor in factors:
        if factor in ("R", "Q"):
            out = out @ rotation(d, seed + (APART if factor == "R" else 0))
        elif factor in diagonals:
            out = out * diagonals[factor]
        else:
            out = out * factor ** (0.5 * _ramp(d))
    return out


def _minimum(seed: int) -> float:
    """f_opt: a ratio of normal numbers with two decimals, in [-1000, 1000]."""
    ratio = gaussian(1, seed)[0] / gaussian(1, seed + 1)[0]
    return float(np.clip(np.floor(1e4 * ratio + 0.5) / 100, -1000.0, 1000.0))


def _anywhere(d: int, seed: int) -> np.ndarray:
    """A point of [-4, 4]^d on a grid, no coordinate zero."""
    x = 8 * np.floor(1e4 * uniform(d, seed)) / 1e4 - 4
    return np.where(x == 0, -1e-5, x)


def _minimiser(function: int, d: int, seed: int) -> np.ndarray:
    if function in (9, 19):  # Q x_opt + 1/2 = 1
        return rotation(d, seed).T @ np.full(d, 0.5)
    if function == 20:
        return np.where(uniform(d, seed) < 0.5, -0.5, 0.5) * SCHWEFEL_PLACE
    if function == 24:
        return np.where(gaussian(d, seed) < 0, -0.5, 0.5) * f.LUNACEK_CENTRE
    x = _anywhere(d, seed + APART if function == 12 else seed)
    if function == 4:
        x[::2] = np.abs(x[::2])
    if function == 5:
        return np.where(x < 0, -5.0, 5.0)
    return 0.75 * x if function == 8 else x


def _peaks(function: int, d: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places `[P, d]`, inverse squared widths `[P, d]` and heights `[P]`, the highest first."""
    if function not in PEAKS:
        return np.zeros((1, d)), np.zeros((1, d)), np.zeros(1)
    count, spread = PEAKS[function], SPREAD[function]
    order = np.argsort(uniform(count - 1, seed))
    condition = np.concatenate([[STEEPEST[function]], 1000.0 ** (order / (count - 2))])
    axes = np.stack([np.argsort(uniform(d, seed + 1000 * i)) for i in range(count)])
    places = spread * (uniform(count * d, seed).reshape(count, d) - 0.5)
    places[0] *= 0.8  # the best one keeps away from the sides
    heights = np.concatenate([[10.0], np.linspace(1.1, 9.1, count - 1)])
    return places, condition[:, None] ** (axes / (d - 1) - 0.5), heights


def _padded(x: np.ndarray, *shape: int) -> np.ndarray:
    return np.pad(x, [(0, size - have) for size, have in zip(shape, x.shape, strict=True)])
