"""GP-Hyperband: Hyperband whose brackets are filled by a Gaussian process over all budgets.

The surrogate is one over configuration and budget, so that a bracket learns from every rung of
those before it. The brackets are those of L. Li et al., "Hyperband", JMLR 18 (2018). The budget is
a column as the others are: a kernel of learning curves (:class:`bojax.kernels.LearningCurve`)
suggested worse on recorded curves (docs/decisions/0013).
"""

from __future__ import annotations

from typing import Any

from bojax.coordinate._methods import Method
from bojax.kernels import Kernel
from bojax.strategies import gp

LINES = 256  # a fit is cubic in them, and one is made for every bracket


def gp_hyperband(
    *,
    max_budget: int = 27,
    min_budget: int = 1,
    eta: float = 3,
    table: str = "algorithm-1",
    kernel: str | Kernel | None = None,
    lines: int | None = LINES,
    **settings: Any,
) -> Method:
    """Hyperband's brackets, filled by a Gaussian process over configuration and budget.

    Args:
        max_budget, min_budget, eta, table: of :func:`bojax.schedulers.hyperband`.
        kernel, lines, settings: of :func:`bojax.strategies.gp`.

    Returns:
        A :class:`Method`, for `bojax.Sweep(method=...)`.

    Example:
        >>> import bojax
        >>> bojax.coordinate.gp_hyperband(max_budget=9, initial=4).strategy.initial
        4
    """
    budgets = {"max_budget": max_budget, "min_budget": min_budget, "eta": eta}
    strategy = gp(kernel=kernel, lines=lines, **settings)
    return Method("gp_hyperband", strategy, {"name": "hyperband", **budgets, "table": table})
