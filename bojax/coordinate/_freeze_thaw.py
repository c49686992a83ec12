"""Freeze-thaw Bayesian optimisation: learning curves are modelled, and the best bet trains on.

K. Swersky, J. Snoek and R. P. Adams, "Freeze-thaw Bayesian optimization", 2014 (arXiv:1406.3896).
A trial trains a step, and is frozen; a Gaussian process over configurations and budgets
(:class:`bojax.kernels.LearningCurve`) says where each curve would end, and so which trial is
thawed for another step, or whether a new one is begun.

Ours: candidates are compared by expected improvement at the largest budget over what it costs to
get there, where the paper has entropy search over a basket (`bojax/strategies/weighing.py`); all
frozen trials are compared, for that is cheap; curves of near configurations are taken for alike,
not for independent.
"""

from __future__ import annotations

from typing import Any

from bojax.coordinate._methods import Method
from bojax.strategies import gp

# A fit is cubic in them, and one is made before every step.
LINES = 256


def freeze_thaw(
    *,
    max_budget: int = 27,
    min_budget: int = 1,
    every: int | None = None,
    mean_budget: float | None = None,
    basket: int | None = None,
    slots: int = 1,
    kernel: str = "learning_curve",
    lines: int | None = LINES,
    **settings: Any,
) -> Method:
    """Trains a step at a time whichever trial a model of the learning curves prefers, or a new one.

    Args:
        max_budget, min_budget, every, mean_budget, basket, slots: of
            :func:`bojax.schedulers.freeze_thaw`; the more slots, the fewer fits, and the larger
            the populations that train together.
        kernel: of the model; "learning_curve" is that of the paper, smoothed over configurations.
        lines, settings: of :func:`bojax.strategies.gp`.

    Returns:
        A :class:`Method`, for `bojax.Sweep(method=...)`.

    Example:
        >>> import bojax
        >>> method = bojax.coordinate.freeze_thaw(max_budget=9, slots=4)
        >>> method.strategy.surrogate.kernel, method.scheduler["slots"]
        ('learning_curve', 4)
    """
    scheduler = {
        "name": "freeze_thaw",
        "max_budget": max_budget,
        "min_budget": min_budget,
        "every": every,
        "mean_budget": mean_budget,
        "basket": basket,
        "slots": slots,
    }
    return Method("freeze_thaw", gp(kernel=kernel, lines=lines, **settings), scheduler)
