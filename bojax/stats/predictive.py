"""How good Gaussian predictions are: of the mean, of the whole distribution, of its width.

The variance is that of the value to come, noise included where the values have noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np

from bojax.errors import DataError
from bojax.stats.checks import first_place, fraction, numbers

LEVELS = tuple(round(0.05 * i, 2) for i in range(1, 20))  # of the calibration error
FAR = 40.0  # standard deviations; exp(-FAR^2 / 2) is 0 beside 1 in float64


def rmse(mean: Any, y: Any) -> float:
    """The root of the mean squared error of predicted means, in the unit of y.

    Args:
        mean: `[n]` predictions.
        y: `[n]` what came.

    Raises:
        DataError: the lengths differ, there is no row, or one is not finite; names the row.

    Example:
        >>> import bojax
        >>> bojax.stats.rmse([1.0, 2.0], [1.0, 4.0]) ** 2
        2.0...
    """
    mean, y = _rows(mean=mean, y=y)
    return float(np.sqrt(np.mean((mean - y) ** 2)))


def normalised_rmse(mean: Any, y: Any) -> float:
    """:func:`rmse` over the standard deviation of y, which is sqrt(1 - R^2).

    0 is perfect and 1 is as good as the mean of y.

    Args:
        mean: `[n]` predictions.
        y: `[n]` what came; not all equal.

    Raises:
        DataError: as in :func:`rmse`, or all of y are equal.

    Example:
        >>> import bojax
        >>> bojax.stats.normalised_rmse([3.0, 3.0, 3.0], [2.0, 3.0, 4.0])
        1.0
    """
    mean, y = _rows(mean=mean, y=y)
    if (y == y[0]).all():
        raise DataError(f"y: all {len(y)} values are {y[0]}; take rmse, there is no scale.")
    return float(np.sqrt(np.mean((mean - y) ** 2)) / y.std())


def log_predictive_density(mean: Any, variance: Any, y: Any) -> float:
    """The mean Gaussian log density of what came, in nats; higher is better.

        mean of -(log(2 pi variance) + (y - mean)^2 / variance) / 2

    Comparable between models of the same y in the same unit only.

    Args:
        mean, variance: `[n]` predictions; variances above 0.
        y: `[n]` what came.

    Raises:
        DataError: the lengths differ, there is no row, one is not finite, or a variance is
            not above 0; names the row.

    Example:
        >>> import bojax
        >>> round(bojax.stats.log_predictive_density([0.0], [1.0], [0.0]), 6)
        -0.918939
    """
    mean, variance, y = _rows(mean=mean, variance=variance, y=y)
    if (variance == 0).any():
        raise DataError(
            f"variance: row {first_place(variance == 0)} is 0, and a point has no density; "
            "expected above 0. Add the variance of the noise, or take crps."
        )
    return float(np.mean(-0.5 * (np.log(2 * math.pi * variance) + (y - mean) ** 2 / variance)))


def crps(mean: Any, variance: Any, y: Any) -> float:
    """The mean continuous ranked probability score, in the unit of y; lower is better.

    With `s` the standard deviation and `z = (y - mean) / s`,

        s (z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi)),

    the integral of the squared distance between the predicted distribution function and the
    step at y. Without a variance it is the absolute error, and one far point costs its
    distance, not its square, so it forgives what the log density does not.

    Args:
        mean, variance: `[n]` predictions; variances of at least 0.
        y: `[n]` what came.

    Raises:
        DataError: the lengths differ, there is no row, one is not finite, or a variance is
            negative; names the row.

    Example:
        >>> import bojax
        >>> bojax.stats.crps([1.0, 2.0], [0.0, 0.0], [1.5, 4.0])
        1.25
        >>> round(bojax.stats.crps([0.0], [1.0], [0.0]), 6)
        0.233695

    References:
        T. Gneiting and A. E. Raftery, Strictly proper scoring rules, prediction, and
        estimation, Journal of the American Statistical Association 102(477), 2007,
        section 4.2.
    """
    mean, variance, y = _rows(mean=mean, variance=variance, y=y)
    s, error = np.sqrt(variance), np.abs(y - mean)
    # The score is even in z, and from FAR on erf is 1 and the density 0: a point included.
    z = np.divide(np.minimum(error, FAR * s), s, out=np.full_like(s, FAR), where=s > 0)
    inside = np.array([math.erf(v) for v in (z / math.sqrt(2)).tolist()])  # 2 Phi(z) - 1
    density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    return float(np.mean(error * inside + s * (2 * density - 1 / math.sqrt(math.pi))))


def coverage(mean: Any, variance: Any, y: Any, level: float | Sequence[float] = 0.95) -> Any:
    """How often what came lies in the central interval of a level.

        |y - mean| <= Phi^-1((1 + level) / 2) sqrt(variance)

    Args:
        mean, variance: `[n]` predictions; variances of at least 0.
        y: `[n]` what came.
        level: in (0, 1), or `[m]` of them.

    Returns:
        The fraction, in [0, 1]: a float, or an array `[m]`. A calibrated model's is the level.

    Raises:
        DataError: as in :func:`crps`, or a level outside (0, 1).

    Example:
        >>> import bojax
        >>> bojax.stats.coverage([0.0, 0.0], [1.0, 1.0], [1.9, 2.0], level=0.95)
        0.5
    """
    mean, variance, y = _rows(mean=mean, variance=variance, y=y)
    levels = numbers("level", level)
    widths = [NormalDist().inv_cdf((1 + fraction("level", p)) / 2) for p in levels.ravel().tolist()]
    s, error = np.sqrt(variance), np.abs(y - mean)
    inside = np.array([np.mean(error <= width * s) for width in widths])
    return float(inside[0]) if levels.ndim == 0 else inside.reshape(levels.shape)


def calibration_error(mean: Any, variance: Any, y: Any, levels: Sequence[float] = LEVELS) -> float:
    """The mean distance between levels and the coverage of their central intervals.

        mean over levels p of |coverage(p) - p|

    0 is calibrated; intervals that never hold give 0.5, as do ones that always do. Chance
    alone gives a calibrated model about 0.33 / sqrt(n), so compare at one n.

    Kuleshov et al. sum squares over one-sided quantiles; the distance of central intervals
    is that of the curve in a picture from its diagonal.

    Args:
        mean, variance: `[n]` predictions; variances of at least 0.
        y: `[n]` what came.
        levels: `[m]`, m of at least 1, each in (0, 1); 0.05, 0.10, ..., 0.95 unless told.

    Raises:
        DataError: as in :func:`coverage`, or no level.

    Example:
        >>> import bojax
        >>> bojax.stats.calibration_error([0.0], [1.0], [100.0])
        0.5

    References:
        V. Kuleshov, N. Fenner and S. Ermon, Accurate uncertainties for deep learning using
        calibrated regression, ICML 2018.
    """
    nominal = numbers("levels", levels)
    if nominal.ndim != 1 or not len(nominal):
        raise DataError(f"levels: expected at least one in a row, got shape {nominal.shape}.")
    return float(np.mean(np.abs(coverage(mean, variance, y, nominal.tolist()) - nominal)))


def _rows(**columns: Any) -> list[np.ndarray]:
    """The columns, `[n]` float64 each and finite, or an error that names column and row."""
    arrays = {name: numbers(name, values) for name, values in columns.items()}
    rows = arrays["y"]
    if rows.ndim != 1 or not len(rows):
        raise DataError(f"y: expected at least one number in a row, got shape {rows.shape}.")
    for name, x in arrays.items():
        if x.shape != rows.shape:
            raise DataError(
                f"{name}: expected shape {rows.shape}, one number a row of y, got {x.shape}."
            )
        wrong = ~np.isfinite(x)
        if wrong.any():
            row = first_place(wrong)
            raise DataError(f"{name}: row {row} is {x[int(row)]}; expected a finite number.")
    if "variance" in arrays and (arrays["variance"] < 0).any():
        row = first_place(arrays["variance"] < 0)
        raise DataError(
            f"variance: row {row} is {arrays['variance'][int(row)]}; expected at least 0. A "
            "negative one is rounding in the model: clip it there."
        )
    return list(arrays.values())
