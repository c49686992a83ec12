"""Intervals around means: what a handful of seeds does say, and what it does not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bojax.errors import DataError
from bojax.stats.checks import at_least_one, fraction, sample

CHUNK = 1_000_000  # numbers drawn at once: 8 MB, whatever the number of resamples
FRACTION_STEPS = 10_000  # of the continued fraction; some sqrt(degrees of freedom) suffice
TINY = 1e-300  # in place of a zero in a denominator of the continued fraction


@dataclass(frozen=True)
class Interval:
    """A mean and the interval around it.

    Attributes:
        mean, low, high: in the unit of the data.

    Example:
        >>> import bojax
        >>> print(bojax.stats.Interval(mean=0.5, low=0.25, high=0.75))
        0.5 [0.25, 0.75]
    """

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.4g} [{self.low:.4g}, {self.high:.4g}]"


def mean_interval(values: Sequence[float], *, level: float = 0.95) -> Interval:
    """The mean of a sample and Student's interval around it.

        mean +- t(1 - (1 - level) / 2, n - 1) s / sqrt(n)

    Exact where the values are normal; of few and skewed values it promises too much.

    Args:
        values: `[n]`, n of at least 2, finite.
        level: how often such intervals hold the true mean, in (0, 1).

    Raises:
        DataError: fewer than two values, one not finite, or a level outside (0, 1).

    Example:
        >>> import bojax
        >>> print(bojax.stats.mean_interval([0.0, 1.0, 2.0]))
        1 [-1.484, 3.484]
    """
    x = sample("values", values)
    level = fraction("level", level)
    mean, error = float(x.mean()), float(x.std(ddof=1)) / math.sqrt(len(x))
    half = t_quantile(0.5 + level / 2, len(x) - 1) * error
    return Interval(mean, mean - half, mean + half)


def paired_bootstrap(
    a: Sequence[float],
    b: Sequence[float],
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """The mean of `a - b` over pairs and its percentile bootstrap interval.

    Pairs (same problem, same seed) are drawn with replacement, so what they share, how hard
    a problem is, cancels.

    Args:
        a, b: `[n]` each, n of at least 2, finite; `a[i]` and `b[i]` are a pair.
        level: of the interval, in (0, 1).
        resamples: how many samples are drawn; the ends move by about 1 % of the interval's
            width at 10,000.
        seed: of the draws.

    Raises:
        DataError: the lengths differ, there are fewer than two pairs, a value is not
            finite, or a setting is out of range.

    Example:
        >>> import bojax
        >>> print(bojax.stats.paired_bootstrap([2.0, 3.0, 4.5], [1.0, 2.0, 3.5]))
        1 [1, 1]

    References:
        B. Efron and R. Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    x, y = sample("a", a), sample("b", b)
    level = fraction("level", level)
    if len(x) != len(y):
        raise DataError(f"pairs: a has {len(x)} values and b has {len(y)}; give pairs.")
    at_least_one("resamples", resamples)
    gaps, draw = x - y, np.random.default_rng(seed)
    means, at_once = np.empty(resamples), max(1, CHUNK // len(gaps))
    for start in range(0, resamples, at_once):
        stop = min(start + at_once, resamples)
        picks = draw.integers(len(gaps), size=(stop - start, len(gaps)))
        means[start:stop] = gaps[picks].mean(axis=1)
    low, high = np.quantile(means, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(float(gaps.mean()), float(low), float(high))


def geometric_ratio(
    a: Sequence[float],
    b: Sequence[float],
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """The geometric mean of `a / b` over pairs and its bootstrap interval.

    The mean for what multiplies, such as seconds: 2 means that a takes twice as long, and
    twice as fast on one pair makes up for half as fast on another.

        exp(mean(log(a / b)))

    Args:
        a, b: `[n]` each, n of at least 2, finite and above 0; `a[i]` and `b[i]` are a pair.
        level, resamples, seed: as in :func:`paired_bootstrap`.

    Raises:
        DataError: a value is not above 0, or as in :func:`paired_bootstrap`.

    Example:
        >>> import bojax
        >>> print(bojax.stats.geometric_ratio([2.0, 6.0, 1.0], [1.0, 3.0, 0.5]))
        2 [2, 2]

    References:
        P. J. Fleming and J. J. Wallace, How not to lie with statistics: the correct way to
        summarize benchmark results, Communications of the ACM 29(3), 1986.
    """
    logs = []
    for name, values in (("a", a), ("b", b)):
        x = sample(name, values)
        if (x <= 0).any():
            first = int(np.flatnonzero(x <= 0)[0])
            raise DataError(
                f"{name}: value {first} is {x[first]}; a ratio needs values above 0, so raise "
                "what is smaller to a floor, or compare differences."
            )
        logs.append(np.log(x))
    found = paired_bootstrap(*logs, level=level, resamples=resamples, seed=seed)
    return Interval(math.exp(found.mean), math.exp(found.low), math.exp(found.high))


def t_quantile(probability: float, degrees: float) -> float:
    """The quantile of Student's t distribution, to about 1e-12.

    Args:
        probability: in (0, 1).
        degrees: degrees of freedom, above 0.

    Raises:
        DataError: an argument is out of range.

    Example:
        >>> import bojax
        >>> round(bojax.stats.t_quantile(0.975, 2), 6)
        4.302653
    """
    if not (0 < probability < 1 and degrees > 0):
        raise DataError(
            "t_quantile: probability must be in (0, 1) and degrees above 0, got "
            f"{probability!r} and {degrees!r}."
        )
    if probability < 0.5:
        return -t_quantile(1 - probability, degrees)
    # P(|T| > t) = I_x(degrees / 2, 1 / 2) with x = degrees / (degrees + t^2), and it falls
    # with t: found by halving the bracket, on the scale of 1 / (1 + t) that has both ends.
    outside, low, high = 2 * (1 - probability), 0.0, 1.0
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        t = 1 / middle - 1
        tail = _beta_ratio(t * t / degrees, degrees / 2)
        low, high = (low, middle) if tail > outside else (middle, high)
    return max(0.0, 2 / (low + high) - 1)


def _beta_ratio(ratio: float, a: float) -> float:
    """I_x(a, 1/2) for x = 1 / (1 + ratio), the regularised incomplete beta function.

    `1 - x` is taken from the ratio, so that nothing cancels near x = 1.
    """
    x, rest = 1 / (1 + ratio), ratio / (1 + ratio)
    if x == 0.0 or rest == 0.0:
        return float(rest == 0.0)
    log_front = (
        math.lgamma(a + 0.5)
        - math.lgamma(a)
        - math.lgamma(0.5)
        - a * math.log1p(ratio)
        + 0.5 * math.log(rest)
    )
    if x < (a + 1) / (a + 2.5):  # where the continued fraction converges fast
        return math.exp(log_front) * _beta_fraction(a, 0.5, x) / a
    return 1 - math.exp(log_front) * _beta_fraction(0.5, a, rest) / 0.5


def _beta_fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of I_x(a, b), DLMF 8.17.22, by Lentz's method."""
    value = numerator = 1.0
    denominator = 0.0
    for i in range(FRACTION_STEPS):
        m = i // 2
        if i == 0:
            d = 1.0
        elif i % 2 == 0:
            d = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        else:
            d = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        denominator = 1 / ((1 + d * denominator) or TINY)
        numerator = (1 + d / numerator) or TINY
        step = numerator * denominator
        value *= step
        if i > 0 and abs(step - 1) < 1e-15:
            break
    return value - 1
