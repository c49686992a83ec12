"""Rank tests of paired results: Wilcoxon's signed ranks, Friedman's ranks within blocks."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from bojax.errors import DataError
from bojax.stats.checks import first_place, numbers
from bojax.stats.regret import ranks

# Differences up to which the null distribution is counted out, ties and all, in milliseconds.
# Beyond, the normal approximation is within two per cent of p.
EXACT = 200


def signed_rank_p_value(
    differences: Any, *, alternative: Literal["greater", "less", "two-sided"] = "greater"
) -> float:
    """The p-value of Wilcoxon's signed-rank test: how surprising, were every sign a coin's toss.

        W = sum of the ranks of |d| over d > 0, and half of those of d = 0

    Equal |d| share the mean of their ranks. Differences of zero are ranked with the others, and
    half of their ranks counts for either side (SciPy's `zero_method="zsplit"`). Up to 200
    differences the distribution of W over all signs of those that are not zero is exact, also with
    ties; beyond it is normal.

    Args:
        differences: `[n]` finite numbers, at least one, `x - y` of each pair.
        alternative: "greater": they lie above zero; "less": below; "two-sided".

    Returns:
        In (0, 1]; 1 where all differences are zero.

    Raises:
        DataError: no differences, one that is not finite, or an unknown alternative.

    Example:
        >>> import bojax
        >>> bojax.stats.signed_rank_p_value([0.3, 0.1, 0.2, 0.4])  # 1 of 16 patterns of signs
        0.0625
        >>> bojax.stats.signed_rank_p_value([0.3, -0.1, 0.2, 0.4])
        0.125

    References:
        F. Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin 1, 1945.
        J. W. Pratt, "Remarks on zeros and ties in the Wilcoxon signed rank procedures", JASA 54,
        1959.
    """
    d = numbers("differences", differences)
    if d.ndim != 1 or not len(d):
        raise DataError(f"differences: expected numbers in a row, got shape {d.shape}.")
    _finite("differences", d)
    if alternative not in ("greater", "less", "two-sided"):
        raise DataError(
            f'alternative must be "greater", "less" or "two-sided", got {alternative!r}.'
        )
    doubled = np.rint(2 * mid_ranks(np.abs(d))).astype(int)  # mid-ranks are halves
    signed, up = doubled[d != 0], int(doubled[d > 0].sum())
    # What the zeros add is the same for every pattern of signs, so it plays no part.
    above = _tail(signed, up)
    below = _tail(signed, int(signed.sum()) - up)
    if alternative == "two-sided":
        return min(1.0, 2 * min(above, below))
    return above if alternative == "greater" else below


def mid_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks along the first axis, equal values sharing the mean of theirs; of the same shape."""
    return np.asarray(ranks(values[:, None]))


def _tail(doubled: np.ndarray, least: int) -> float:
    """P(a random half of these numbers adds up to at least `least`)."""
    total = int(doubled.sum())
    if len(doubled) > EXACT:
        mean, deviation = total / 2, math.sqrt(float((doubled**2).sum()) / 4)
        return 0.5 * math.erfc((least - mean) / deviation / math.sqrt(2))
    chance = np.zeros(total + 1)
    chance[0] = 1.0
    for rank in doubled.tolist():
        chance[rank:] = chance[rank:] + chance[: total + 1 - rank]
        chance *= 0.5
    return min(1.0, float(chance[least:].sum()))


def friedman_p_value(values: Any) -> float:
    """The p-value of Friedman's test: whether some treatment differs from the others.

        T = (m - 1) sum_i (R_i - k (m + 1) / 2)^2 / (sum_ij r_ij^2 - k m (m + 1)^2 / 4)

    where r_ij is the rank of treatment i within block j and R_i = sum_j r_ij. Under the null T is
    about chi-squared with m - 1 degrees of freedom. Ties share the mean of their ranks.

    Args:
        values: `[m, k]` finite numbers: m >= 2 treatments on each of k >= 1 blocks.

    Returns:
        In [0, 1]; 1 where every block is all ties.

    Raises:
        DataError: another shape, or a number that is not finite.

    Example:
        >>> import bojax
        >>> values = [[1.0, 1.1, 0.9], [1.2, 1.3, 1.4], [2.0, 1.9, 2.2]]
        >>> round(bojax.stats.friedman_p_value(values), 6)  # exp(-6 / 2): they agree in all blocks
        0.049787

    References:
        M. Friedman, JASA 32, 1937; with ties: W. J. Conover, Practical Nonparametric Statistics,
        1999, section 5.8.
    """
    x = numbers("values", values)
    if x.ndim != 2 or x.shape[0] < 2 or not x.shape[1]:
        raise DataError(
            f"values: expected [treatments, blocks] with 2 treatments or more, got shape {x.shape}."
        )
    _finite("values", x)
    statistic, _ = friedman_statistic(mid_ranks(x))
    return _chi_squared_tail(statistic, len(x) - 1)


def friedman_statistic(ranked: np.ndarray) -> tuple[float, float]:
    """T of ranks `[m, k]`, and how far they scatter: the denominator of T, 0 if all are ties."""
    m, k = ranked.shape
    scatter = float((ranked**2).sum()) - k * m * (m + 1) ** 2 / 4
    if scatter <= 0:
        return 0.0, 0.0
    sums = ranked.sum(axis=1)
    return (m - 1) * float(((sums - k * (m + 1) / 2) ** 2).sum()) / scatter, scatter


def _chi_squared_tail(x: float, degrees: int) -> float:
    """P(X > x) for whole degrees of freedom, a finite sum (DLMF 8.4 and 8.8.2)."""
    if x <= 0:
        return 1.0
    half = x / 2
    log_half = math.log(half)
    shapes = [i + 0.5 * (degrees % 2) for i in range(degrees // 2)]
    terms = [math.exp(a * log_half - half - math.lgamma(a + 1)) for a in shapes]
    return min(1.0, sum(terms) + (math.erfc(math.sqrt(half)) if degrees % 2 else 0.0))


def _finite(name: str, x: np.ndarray) -> None:
    wrong = ~np.isfinite(x)
    if wrong.any():
        raise DataError(
            f"{name}: value {first_place(wrong)} is {x[wrong][0]}; decide what a failure counts "
            "before ranking."
        )
