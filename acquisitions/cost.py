"""Improvement per cost.

    score(x) = log EI(x) + log PoF(x) - alpha log E[cost(x)]

Snoek, Larochelle & Adams (2012), "Practical Bayesian Optimization of Machine Learning
Algorithms", section 3.2: expected improvement per second. Lee, Perrone, Archambeau & Seeger
(2020), "Cost-aware Bayesian Optimization": alpha = the share of the budget that is left cools
from cheap rows to good ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp

from bojax.acquisitions._host import at_host, moments_at, needs
from bojax.acquisitions.feasibility import log_ei_or_nothing, log_feasibility
from bojax.acquisitions.improvement import log_ei_of
from bojax.pytrees import pytree


@pytree
@dataclass(frozen=True)
class LogEIPerCost:
    """Log expected improvement less alpha times the log of the expected cost.

    Called with `(objective, constraints..., cost)`, `rows[..., 1, D]` and the incumbent.

    Attributes:
        alpha: 0 leaves the cost out, 1 is improvement per cost.
        thresholds: of the constraints, c_j(x) <= threshold; one number, or `[J]`.
        log_cost: static; whether the last posterior is of the cost's logarithm, so that
            E[cost] = exp(mean + variance / 2). If not, E max(cost, 0) of a Gaussian cost.

    Example:
        >>> import jax, numpy as np
        >>> import bojax
        >>> rows, key = np.linspace(0, 1, 5)[:, None], jax.random.key(0)
        >>> fit = lambda values: bojax.surrogates.gp().fit(
        ...     key, bojax.surrogates.Data(rows, values))[0]
        >>> posteriors = fit(np.sin(6 * rows[:, 0])), fit(3 * rows[:, 0])  # dearer to the right
        >>> new = np.linspace(0, 1, 101)
        >>> best = lambda alpha: new[bojax.acquisitions.LogEIPerCost(alpha)(
        ...     posteriors, new[:, None, None], 0.0).argmax()]
        >>> bool(best(3.0) < best(0.0))
        True
    """

    alpha: Any = 1.0
    thresholds: Any = 0.0
    log_cost: bool = field(default=True, metadata={"static": True})

    @at_host
    def __call__(self, posteriors: Any, rows: Any, incumbent: Any):
        needs(self, posteriors, 2, "the objective, then constraints, then the cost")
        score = log_ei_or_nothing(self, posteriors[0], rows, incumbent)
        score = score + log_feasibility(self, posteriors[1:-1], rows)
        mean, variance = moments_at(self, posteriors[-1], rows)
        # E max(c, 0) is the expected improvement of -c over 0.
        cost = mean + 0.5 * variance if self.log_cost else log_ei_of(-mean, variance, 0.0)
        return score - jnp.asarray(self.alpha, score.dtype) * cost
