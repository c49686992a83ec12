"""BOHB: Hyperband whose brackets are filled by kernel densities of the trials seen.

S. Falkner, A. Klein and F. Hutter, "BOHB: Robust and efficient hyperparameter optimization at
scale", ICML 2018.
"""

from __future__ import annotations

from bojax.coordinate._methods import Method
from bojax.strategies._kde import CANDIDATES, GOOD, RANDOM_FRACTION, WIDER, KernelDensity


def bohb(
    *,
    max_budget: int = 27,
    min_budget: int = 1,
    eta: float = 3,
    table: str = "table-1",
    random_fraction: float = RANDOM_FRACTION,
    good: float = GOOD,
    candidates: int = CANDIDATES,
    wider: float = WIDER,
) -> Method:
    """Hyperband's brackets, filled by a model of the largest budget that has enough trials.

    Args:
        max_budget, min_budget, eta, table: of :func:`bojax.schedulers.hyperband`; HpBandSter's
            brackets are those of the paper's table 1.
        random_fraction: probability of a random suggestion, in [0, 1]; keeps Hyperband's
            guarantee.
        good: share of trials whose density is drawn from, in (0, 1).
        candidates: draws of which the best is suggested, at least 1.
        wider: factor above 0 on the kernels that candidates are drawn from.

    Returns:
        A :class:`Method`, for `bojax.Sweep(method=...)`.

    Raises:
        ValueError: a setting out of range, naming it.

    Example:
        >>> import bojax
        >>> bojax.coordinate.bohb(max_budget=9).scheduler["table"]
        'table-1'
    """
    if not 0 <= random_fraction <= 1:
        raise ValueError(f"bohb: random_fraction must lie in [0, 1], got {random_fraction!r}.")
    if not 0 < good < 1:
        raise ValueError(f"bohb: good must lie in (0, 1), got {good!r}.")
    if candidates < 1:
        raise ValueError(f"bohb: candidates must be at least 1, got {candidates!r}.")
    if not wider > 0:
        raise ValueError(f"bohb: wider must be above 0, got {wider!r}.")
    strategy = KernelDensity(random_fraction, good, wider, candidates)
    budgets = {"max_budget": max_budget, "min_budget": min_budget, "eta": eta}
    return Method("bohb", strategy, {"name": "hyperband", **budgets, "table": table})
