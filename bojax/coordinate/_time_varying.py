"""A small Gaussian process whose observations fade: what worked lately counts for more.

    k((x, t), (x', t')) = s (1 - e)^(|t - t'| / 2) exp(-|x - x'|^2 / (2 l^2))

I. Bogunovic, J. Scarlett and V. Cevher, "Time-varying Gaussian process bandit optimization",
AISTATS 2016, section 3, with a squared exponential in x. Scale s, length l, fading e and noise are
those of most likelihood. It is NumPy on purpose: some hundred lines that grow with every interval,
four numbers to fit and a compiled program for each size would cost more than it saves. Products are
sums, and factors SciPy's on one thread: at such sizes threads that wait for one another cost more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bojax.configuration import single_threaded

# log s, log l, e, log of the noise, of standardised values in the unit cube: where the search is.
LOW = np.array([math.log(0.05), math.log(0.05), 0.0, math.log(1e-3)])
HIGH = np.array([math.log(10.0), math.log(2.0), 0.5, math.log(1.0)])
# Begun at a short and at a long length scale; the fading's start is that of the authors' code.
STARTS = np.array([[0.0, math.log(0.2), 0.1, math.log(0.1)], [0.0, 0.0, 0.1, math.log(0.1)]])
JITTER = 1e-8  # rows may be equal
SMALLEST = 1e-12  # variance of what is certain
ITERATIONS = 30  # of L-BFGS from each start


@dataclass(frozen=True)
class Fading:
    """The process at given hyperparameters, with what was seen and what is awaited.

    Attributes:
        theta: `[4]`, log s, log l, e, log of the noise variance.
        rows, times: `[N + M, D]`, `[N + M]`, of what was seen, then of what is awaited.
        values: `[N]`, standardised.
        lower: `[N + M, N + M]`, the Cholesky factor of their covariance.

    Example:
        >>> import numpy as np
        >>> from bojax.coordinate._time_varying import fit
        >>> rows = np.linspace(0, 1, 9)[:, None]
        >>> found = fit(rows, np.zeros(9), np.sin(6 * rows[:, 0]))
        >>> mean, deviation = found.mean_and_deviation(rows[:3], 0.0)
        >>> bool((deviation < 0.4).all())
        True
    """

    theta: np.ndarray
    rows: np.ndarray
    times: np.ndarray
    values: np.ndarray
    lower: np.ndarray

    @classmethod
    def of(
        cls, theta: np.ndarray, rows: np.ndarray, times: np.ndarray, values: np.ndarray
    ) -> Fading:
        """With the factor computed."""
        from scipy.linalg import cholesky

        with single_threaded(len(rows)):
            lower = cholesky(noisy(theta, rows, times), lower=True)
        return cls(theta, rows, times, values, lower)

    def awaiting(self, rows: np.ndarray, time: float) -> Fading:
        """The same, and `[Q, D]` rows that are about to be tried."""
        times = np.concatenate([self.times, np.full(len(rows), time)])
        return Fading.of(self.theta, np.concatenate([self.rows, rows]), times, self.values)

    def mean_and_deviation(self, rows: np.ndarray, time: float) -> tuple[np.ndarray, np.ndarray]:
        """Of the function without noise at `[Q, D]` rows; the deviation given the awaited ones.

        A deviation does not depend on what is going to be measured, the mean is that of what was
        (T. Desautels, A. Krause and J. Burdick, "Parallelizing exploration-exploitation tradeoffs
        in Gaussian process bandit optimization", JMLR 15, 2014).
        """
        from scipy.linalg import solve_triangular

        n, at = len(self.values), np.full(len(rows), time)
        cross = covariance(self.theta, self.rows, self.times, rows, at)
        with single_threaded(len(self.rows)):
            weights = solve_triangular(self.lower, cross, lower=True)
            # The first lines of the factor, and of the weights, are those of the first lines.
            whitened = solve_triangular(self.lower[:n, :n], self.values, lower=True)
        left = math.exp(self.theta[0]) - (weights**2).sum(0)
        mean = (weights[:n] * whitened[:, None]).sum(0)
        return mean, np.sqrt(np.maximum(left, SMALLEST))


def covariance(
    theta: np.ndarray, rows: np.ndarray, times: np.ndarray, others: np.ndarray, at: np.ndarray
) -> np.ndarray:
    """`[N, D]`, `[N]`, `[M, D]`, `[M]` -> `[N, M]`, without noise."""
    squared = ((rows[:, None, :] - others[None, :, :]) ** 2).sum(-1)
    apart = np.abs(times[:, None] - at[None, :])
    scale, length, fading = math.exp(theta[0]), math.exp(theta[1]), theta[2]
    return scale * (1.0 - fading) ** (apart / 2) * np.exp(-0.5 * squared / length**2)


def noisy(theta: np.ndarray, rows: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The covariance of what is measured at these rows, `[N, N]`."""
    noise = math.exp(theta[3]) + JITTER
    return covariance(theta, rows, times, rows, times) + noise * np.eye(len(rows))


def loss_and_slope(
    theta: np.ndarray, squared: np.ndarray, apart: np.ndarray, values: np.ndarray
) -> tuple[float, np.ndarray]:
    """Minus the log likelihood, without its constant, and its slope by `theta`.

    Args:
        squared, apart: `[N, N]` distances of rows, squared, and of times.
        values: `[N]`.
    """
    from scipy.linalg.lapack import dpotrf, dpotri

    n, length, fading, noise = len(values), math.exp(theta[1]), theta[2], math.exp(theta[3])
    plain = np.exp(theta[0] + 0.5 * (math.log1p(-fading) * apart - squared / length**2))
    lower, _ = dpotrf(plain + (noise + JITTER) * np.eye(n), lower=1, clean=1)
    inverse = np.tril(dpotri(lower, lower=1)[0])
    inverse += np.tril(inverse, -1).T
    weights = (inverse * values).sum(1)
    loss = 0.5 * (values * weights).sum() + np.log(np.diag(lower)).sum()
    pull = 0.5 * (inverse - np.outer(weights, weights))
    product = pull * plain
    slope = np.array(
        [
            product.sum(),
            (product * squared).sum() / length**2,
            -(product * apart).sum() / (2.0 * (1.0 - fading)),
            np.trace(pull) * noise,
        ]
    )
    return float(loss), slope


def fit(rows: np.ndarray, times: np.ndarray, values: np.ndarray) -> Fading:
    """The process of most likelihood within `LOW` and `HIGH`, for at least one value."""
    from scipy.optimize import minimize

    squared = ((rows[:, None, :] - rows[None, :, :]) ** 2).sum(-1)
    apart = np.abs(times[:, None] - times[None, :])
    with single_threaded(len(values)):
        found = [
            minimize(
                loss_and_slope, start, args=(squared, apart, values), jac=True, method="L-BFGS-B",
                bounds=list(zip(LOW, HIGH, strict=True)), options={"maxiter": ITERATIONS},
            )
            for start in STARTS
        ]  # fmt: skip
    best = min(found, key=lambda one: float(one.fun))
    return Fading.of(np.asarray(best.x), rows, times, values)
