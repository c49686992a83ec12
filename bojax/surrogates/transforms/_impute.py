"""Lines without a value get one, so that a model keeps away from them."""

from __future__ import annotations

import jax.numpy as jnp

from bojax.surrogates.transforms._masked import extremes

RULES = ("worst", "beyond")


def impute(values, mask, failed, *, rule: str = "worst"):
    """Values with those of failed lines filled in.

    Args:
        values: `[N]`, smaller is better; what is masked out may be NaN.
        mask: `[N]` bool, which lines have a value.
        failed: `[N]` bool, which lines are to have one, whether masked or not.
        rule: "worst", the largest value there is; "beyond", half the range of values plus 1
            above it (OSS Vizier 0.1.24, mirrored). The 1 is in the unit of the values, so
            this one belongs after :func:`log_warp`, whose range is 1.

    Returns:
        `[N]`; lines neither in the mask nor failed are as they were. Without any value a
        failed line is 0, or 1.

    Raises:
        ValueError: a rule of another name.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.surrogates.transforms import impute
        >>> values, failed = jnp.array([1.0, 3.0, jnp.nan]), jnp.array([False, False, True])
        >>> impute(values, ~failed, failed).tolist()
        [1.0, 3.0, 3.0]
        >>> impute(values, ~failed, failed, rule="beyond").tolist()
        [1.0, 3.0, 5.0]
    """
    if rule not in RULES:
        raise ValueError(f"impute: rule must be one of {', '.join(RULES)}, got {rule!r}.")
    low, high = extremes(values, mask & ~failed)
    beyond = high + (0.5 * high - 0.5 * low) + 1.0
    return jnp.where(failed, high if rule == "worst" else beyond, values)
