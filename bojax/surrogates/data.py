"""What a surrogate is fitted to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bojax.pytrees import pytree


@pytree
@dataclass(frozen=True)
class Data:
    """Observations of one objective, padded to N lines.

    Attributes:
        rows: `[N, D]` canonical rows of a space, or any finite numbers without one.
        values: `[N]` what was observed.
        variance: `[N]` known variance of each value, in its unit squared; None for 0.
        count: `[N]` replicates each value is the mean of; None for 1.
        mask: `[N]` bool, which lines count; None for all.
        table: the :class:`~bojax.space.SpaceTable` the rows belong to; None for plain numbers.

    Example:
        >>> import numpy as np
        >>> import bojax
        >>> bojax.surrogates.Data(np.zeros((3, 2)), np.zeros(3)).mask is None
        True
    """

    rows: Any
    values: Any
    variance: Any = None
    count: Any = None
    mask: Any = None
    table: Any = None
