"""The noiseless BBOB functions, without their offset f_opt.

All have the form

    f(y, z),  y = A (x - x_opt),  z = B T(y),

with linear maps A and B that turn and condition the coordinates, and T bending each of them:
T_osz, then T_asy, or steps. The maps, the minimiser and which parts T has are data
(:class:`Instance`), so functions that differ in these only, such as a function and its
rotated version, share a formula f.

Formulas are `(data, y[q, D], z[q, D], xp) -> [q]`: coordinates are zero in the columns beyond
d, `xp` is the array namespace, NumPy on the host and `jax.numpy` under a trace. Every
intermediate slope is finite: in a batch all formulas see all rows, and a NaN would spread.

The penalties of the definitions for points outside the box are left out: rows lie inside.

References:
    N. Hansen, S. Finck, R. Ros and A. Auger, Real-parameter black-box optimization
    benchmarking 2009: noiseless functions definitions, INRIA RR-6829, 2009.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

HALF_WIDTH = 5.0  # of the box
WEIERSTRASS_TERMS = 12
KATSUURA_TERMS = 32
TWO_PI = 2 * math.pi
SCHWEFEL_LEVEL = 418.9828872724339  # the largest z sin sqrt|z| for |z| up to 500
LUNACEK_CENTRE = 2.5  # mu_0, the centre of the funnel with the optimum
LUNACEK_DEPTH = 1.0  # what the other funnel's bottom lies above it, a dimension


class Instance(NamedTuple):
    """One function, instance and number of dimensions d, padded to D columns.

    Attributes:
        formula: int32, its place in `FORMULAS`.
        used: `[D]` 1.0 in the first d columns.
        ramp: `[D]` i / (d - 1) in the first d columns, else 0: the exponent of conditioning.
        x_opt: `[D]` the minimiser, in [-5, 5].
        f_opt: the minimum.
        first, second: `[D, D]` the linear maps A and B.
        ripples: 1.0 where T_osz takes part.
        skew: beta of T_asy, 0 without.
        steps: 1.0 where coordinates are rounded before B.
        centres, widths: `[P, D]` of the peaks of Gallagher's functions: places relative to the
            highest one, mapped by A, and inverse squared widths.
        heights: `[P]` of the peaks, 0 where there is none.
    """

    formula: Any
    used: Any
    ramp: Any
    x_opt: Any
    f_opt: Any
    first: Any
    second: Any
    ripples: Any
    skew: Any
    steps: Any
    centres: Any
    widths: Any
    heights: Any


def coordinates(data: Instance, rows, xp):
    """`y` and `z` of rows `[q, D]` of the unit cube; the maps have nothing beyond column d."""
    x = HALF_WIDTH * (2.0 * rows - 1.0)
    y = _turned(data.first, x - data.x_opt, xp)
    z = xp.where(data.ripples > 0, _oscillated(y, xp), y)
    z = _skewed(data, z, xp)
    z = xp.where(data.steps > 0, _rounded(z, xp), z)
    return y, _turned(data.second, z, xp)


# ------------------------------------------------------------------ the transformations


def _power(x, exponent, xp):
    """x^exponent of x >= 0; 0 with slope 0 at 0."""
    positive = x > float(np.finfo(x.dtype).tiny)
    base = xp.where(positive, x, xp.ones_like(x))
    return xp.where(positive, base**exponent, xp.zeros_like(x))


def _oscillated(x, xp):
    """T_osz: smooth ripples around the identity, not the same for both signs."""
    positive = xp.abs(x) > float(np.finfo(x.dtype).tiny)
    h = xp.log(xp.where(positive, xp.abs(x), xp.ones_like(x)))
    fast, slow = xp.where(x > 0, 10.0 * h, 5.5 * h), xp.where(x > 0, 7.9 * h, 3.1 * h)
    grown = xp.exp(h + 0.049 * (xp.sin(fast) + xp.sin(slow)))
    return xp.where(positive, xp.sign(x) * grown, xp.zeros_like(x))


def _skewed(data, x, xp):
    """T_asy: positive coordinates to a power that grows with them and with the column."""
    above = xp.where(x > 0, x, xp.zeros_like(x))
    grown = _power(above, 1.0 + data.skew * data.ramp * _power(above, 0.5, xp), xp)
    return xp.where(x > 0, grown, x)


def _rounded(x, xp):
    """To whole numbers, within half of one to tenths."""
    tenths = xp.floor(10.0 * x + 0.5) / 10.0
    return xp.where(xp.abs(x) > 0.5, xp.floor(x + 0.5), tenths)


def _turned(matrix, x, xp):
    """The map of every row; a matmul would run in lower precision on some accelerators."""
    return xp.sum(matrix * x[..., None, :], axis=-1)


def _square_sum(x, xp):
    return xp.sum(x * x, axis=-1)


def _ripple(x, xp):
    """1 - cos 2 pi x, exactly 0 at integers."""
    return 1.0 - xp.cos(TWO_PI * (x - xp.round(x)))


def _egg_carton(z, xp):
    """Rastrigin's sum of z^2 + 10 (1 - cos 2 pi z)."""
    return xp.sum(z * z + 10.0 * _ripple(z, xp), axis=-1)


def _valley(z, xp):
    """Rosenbrock's terms, `[q, D - 1]`, of coordinates whose minimiser is zero."""
    here, after = 1.0 + z[..., :-1], 1.0 + z[..., 1:]
    bend, gap = here * here - after, here - 1.0
    return 100.0 * bend * bend + gap * gap


# ------------------------------------------------------------------ the functions


def squares(data, y, z, xp):
    """f1, f2, f10, f11, f12: sphere, ellipsoids, discus and bent cigar; B has the weights."""
    return _square_sum(z, xp)


def rastrigin(data, y, z, xp):
    """f3, f15."""
    return _egg_carton(z, xp)


def bueche_rastrigin(data, y, z, xp):
    """f4: every other coordinate is ten times as steep on its positive side."""
    every_other = xp.arange(z.shape[-1]) % 2 == 0
    steep = xp.where(every_other & (z > 0), 10.0 * z, z)
    return _egg_carton(steep, xp)


def linear_slope(data, y, z, xp):
    """f5: the minimiser is a corner of the box."""
    return -xp.sum(xp.sign(data.x_opt) * z, axis=-1)


def attractive_sector(data, y, z, xp):
    """f6: steep where a coordinate has the sign of the minimiser's."""
    value = _square_sum(xp.where(z * data.x_opt > 0, 100.0 * z, z), xp)
    return _power(_oscillated(value, xp), 0.9, xp)


def step_ellipsoid(data, y, z, xp):
    """f7: plateaus, and a slight slope along one direction on the lowest one."""
    return 0.1 * xp.maximum(1e-4 * xp.abs(y[..., 0]), _square_sum(z, xp))


def rosenbrock(data, y, z, xp):
    """f8, f9."""
    return xp.sum(data.used[1:] * _valley(z, xp), axis=-1)


def sharp_ridge(data, y, z, xp):
    """f13: not differentiable along its ridge."""
    return z[..., 0] * z[..., 0] + 100.0 * _power(_square_sum(z[..., 1:], xp), 0.5, xp)


def different_powers(data, y, z, xp):
    """f14: powers from 2 to 6."""
    powers = _power(xp.abs(z), 2.0 + 4.0 * data.ramp, xp)
    return _power(xp.sum(powers, axis=-1), 0.5, xp)


def weierstrass(data, y, z, xp):
    """f16: rugged at every scale.

    The frequencies 3^k are odd, so that cos(2 pi 3^k (z + 1/2)) = -cos(2 pi 3^k z).
    """
    k = np.arange(WEIERSTRASS_TERMS)
    frequency = xp.asarray(3.0**k, dtype=z.dtype)
    weight = xp.asarray(0.5**k, dtype=z.dtype)
    rugged = xp.sum(weight * _ripple(frequency * z[..., None], xp), axis=(-1, -2))
    return 10.0 * (rugged / xp.sum(data.used)) ** 3


def schaffer_f7(data, y, z, xp):
    """f17, f18."""
    square = z[..., :-1] * z[..., :-1] + z[..., 1:] * z[..., 1:]
    wave = xp.sin(50.0 * _power(square, 0.1, xp))
    terms = data.used[1:] * _power(square, 0.25, xp) * (1.0 + wave * wave)
    mean = xp.sum(terms, axis=-1) / xp.sum(data.used[1:])
    return mean * mean


def griewank_rosenbrock(data, y, z, xp):
    """f19."""
    s = _valley(z, xp)
    terms = data.used[1:] * (s / 4000.0 + 1.0 - xp.cos(s))
    return 10.0 * xp.sum(terms, axis=-1) / xp.sum(data.used[1:])


def schwefel(data, y, z, xp):
    """f20: the best minimiser is near a corner, the second best far from it."""
    place = 2.0 * xp.abs(data.x_opt)
    gap = 2.0 * xp.sign(data.x_opt) * z
    before = xp.concatenate([xp.zeros_like(gap[..., :1]), gap[..., :-1]], axis=-1)
    far = 100.0 * (10.0 ** (0.5 * data.ramp) * (gap + 0.25 * before) + place)
    wave = data.used * far * xp.sin(_power(xp.abs(far), 0.5, xp))
    beyond = data.used * xp.maximum(xp.abs(far) - 500.0, 0.0)
    mean = xp.sum(wave, axis=-1) / xp.sum(data.used)
    return 0.01 * (SCHWEFEL_LEVEL - mean + _square_sum(beyond, xp))


def gallagher(data, y, z, xp):
    """f21, f22: Gaussian peaks of random place, height and shape; the highest counts."""
    gap = y[..., None, :] - data.centres
    squares = xp.sum(data.widths * gap * gap, axis=-1)
    peaks = data.heights * xp.exp(-0.5 / xp.sum(data.used) * squares)
    depth = _oscillated(10.0 - xp.max(peaks, axis=-1), xp)
    return depth * depth


def katsuura(data, y, z, xp):
    """f23: rugged at every scale, without a trend."""
    scale = xp.asarray(2.0 ** np.arange(1, KATSUURA_TERMS + 1), dtype=z.dtype)
    waves = scale * z[..., None]
    rugged = xp.sum(xp.abs(waves - xp.round(waves)) / scale, axis=-1)
    number = xp.arange(1, z.shape[-1] + 1).astype(z.dtype)
    d = xp.sum(data.used)
    product = xp.prod(1.0 + number * rugged, axis=-1)
    return 10.0 / (d * d) * (product ** (10.0 / d**1.2) - 1.0)


def lunacek_bi_rastrigin(data, y, z, xp):
    """f24: two funnels, the wider one with the worse bottom."""
    d = xp.sum(data.used)
    size = 1.0 - 0.5 / (xp.sqrt(d + 20.0) - 4.1)
    between = LUNACEK_CENTRE + xp.sqrt((LUNACEK_CENTRE**2 - LUNACEK_DEPTH) / size)
    gap = 2.0 * xp.sign(data.x_opt) * y
    other = LUNACEK_DEPTH * d + size * _square_sum(data.used * (gap + between), xp)
    return xp.minimum(_square_sum(gap, xp), other) + 10.0 * xp.sum(_ripple(z, xp), axis=-1)


FORMULAS = (
    squares,
    rastrigin,
    bueche_rastrigin,
    linear_slope,
    attractive_sector,
    step_ellipsoid,
    rosenbrock,
    sharp_ridge,
    different_powers,
    weierstrass,
    schaffer_f7,
    griewank_rosenbrock,
    schwefel,
    gallagher,
    katsuura,
    lunacek_bi_rastrigin,
)
