"""Black-box constraints: the probability that all hold, and improvement where they do.

    log PoF(x) = sum_j log Phi((t_j - mean_j(x)) / sd_j(x)),   c_j(x) <= t_j feasible
    log cEI(x) = log EI(x) + log PoF(x)

Schonlau, Welch & Jones (1998), "Global versus Local Search in Constrained Optimization of
Computer Models"; Gardner et al. (2014), "Bayesian Optimization with Inequality Constraints",
eq. 4. The constraints' posteriors count as independent; in the logarithm, so that rows that are
surely infeasible still know where to go (Ament et al. 2023).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp

from bojax.acquisitions._host import at_host, moments_at, needs
from bojax.acquisitions._normal import log_cdf, standardised
from bojax.acquisitions.improvement import log_ei_of
from bojax.pytrees import pytree


def log_feasibility(acquisition: Any, constraints: tuple, rows: Any):
    """Sum of log Phi over the constraints' posteriors, `[...]`; 0.0 of none.

    Raises:
        ValueError: another number of thresholds than one, or one a constraint.
    """
    thresholds = jnp.asarray(acquisition.thresholds, float)
    shape = thresholds.shape
    if shape not in ((), (len(constraints),)):
        raise ValueError(
            f"{type(acquisition).__name__}: thresholds must be one number or one for each of "
            f"the {len(constraints)} constraints, got shape {shape}."
        )
    total = 0.0
    for j, posterior in enumerate(constraints):
        mean, variance = moments_at(acquisition, posterior, rows)
        bound = (thresholds[j] if shape else thresholds).astype(mean.dtype)
        total = total + log_cdf(standardised(mean, variance, bound)[0])
    return total


def log_ei_or_nothing(acquisition: Any, posterior: Any, rows: Any, incumbent: Any):
    """log EI, and 0 while there is no finite incumbent."""
    mean, variance = moments_at(acquisition, posterior, rows)
    incumbent = jnp.asarray(incumbent, mean.dtype)
    known = jnp.isfinite(incumbent)
    score = log_ei_of(mean, variance, jnp.where(known, incumbent, 0.0))
    return jnp.where(known, score, 0.0)


@pytree
@dataclass(frozen=True)
class LogFeasibility:
    """Log probability that every constraint holds, c_j(x) <= threshold.

    Called with `(posteriors, rows[..., 1, D])`: what comes after the objectives are the
    constraints. The search for a first feasible row.

    Attributes:
        thresholds: one number, or `[J]`.
        objectives: static; how many posteriors come before the constraints.

    Example:
        >>> import jax, numpy as np
        >>> import bojax
        >>> rows = np.linspace(0, 1, 5)[:, None]
        >>> constraint, _ = bojax.surrogates.gp().fit(
        ...     jax.random.key(0), bojax.surrogates.Data(rows, rows[:, 0] - 0.5))
        >>> feasible = bojax.acquisitions.LogFeasibility(objectives=0)
        >>> score = feasible((constraint,), rows[:, None, :])
        >>> bool(score[0] > -0.1 and score[-1] < -10)
        True
    """

    thresholds: Any = 0.0
    objectives: int = field(default=1, metadata={"static": True})

    @at_host
    def __call__(self, posteriors: Any, rows: Any, incumbent: Any = None):
        needs(self, posteriors, self.objectives + 1, "objectives, then constraints")
        return log_feasibility(self, posteriors[self.objectives :], rows)


@pytree
@dataclass(frozen=True)
class ConstrainedLogEI:
    """Log expected improvement times the probability that every constraint holds.

    Called with `(objective, constraint, ...)`, `rows[..., 1, D]` and the best feasible value;
    infinity, while there is none, leaves the probability of feasibility alone.

    Attributes:
        thresholds: c_j(x) <= threshold is feasible; one number, or `[J]`.

    Example:
        >>> import jax, numpy as np
        >>> import bojax
        >>> rows, key = np.linspace(0, 1, 5)[:, None], jax.random.key(0)
        >>> fit = lambda values: bojax.surrogates.gp().fit(
        ...     key, bojax.surrogates.Data(rows, values))[0]
        >>> posteriors = fit(rows[:, 0]), fit(0.4 - rows[:, 0])  # feasible from 0.4 on
        >>> new = np.linspace(0, 1, 11)
        >>> score = bojax.acquisitions.ConstrainedLogEI()(posteriors, new[:, None, None], 0.75)
        >>> bool(0.4 <= new[score.argmax()] <= 0.6)
        True
    """

    thresholds: Any = 0.0

    @at_host
    def __call__(self, posteriors: Any, rows: Any, incumbent: Any):
        needs(self, posteriors, 2, "the objective, then constraints")
        score = log_ei_or_nothing(self, posteriors[0], rows, incumbent)
        return score + log_feasibility(self, posteriors[1:], rows)
