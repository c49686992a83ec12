"""Thompson sampling: the score is one function drawn from the posterior.

    alpha(x) = -g(x),   g ~ p(f | data)

Thompson (1933), "On the Likelihood that One Unknown Probability Exceeds Another in View of the
Evidence of Two Samples"; with functions drawn by Matheron's rule, which can be evaluated
anywhere and climbed, Wilson et al. (2020), "Efficiently Sampling Functions from Gaussian Process
Posteriors". Each key is another function, so a batch is one key a row.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp

from bojax.acquisitions._host import at_host, one_row
from bojax.pytrees import pytree


def paths_of(acquisition: Any, posterior: Any, key: Any, n: int, **settings: Any) -> Any:
    """`posterior.paths(key, n)`.

    Raises:
        ValueError: the posterior draws no functions.
    """
    if not callable(getattr(posterior, "paths", None)):
        raise ValueError(
            f"{type(acquisition).__name__}: {type(posterior).__name__} has no paths(key, n), "
            "functions drawn from it; take a Gaussian process."
        )
    return posterior.paths(key, n, **settings)


@pytree
@dataclass(frozen=True)
class Thompson:
    """Minus the value of one function drawn from the posterior; the incumbent plays no part.

    Attributes:
        seed: which function; give every suggestion its own.
        count: static; random cosines behind the function.

    Raises:
        ValueError: a posterior without `paths(key, n)`, or a kernel it cannot draw from.

    Example:
        >>> import jax, numpy as np
        >>> import bojax
        >>> rows = np.linspace(0, 1, 5)[:, None]
        >>> posterior, _ = bojax.surrogates.gp().fit(
        ...     jax.random.key(0), bojax.surrogates.Data(rows, rows[:, 0]))
        >>> new = np.linspace(0, 1, 7)[:, None, None]
        >>> one, two = (bojax.acquisitions.Thompson(seed=s)((posterior,), new) for s in (1, 2))
        >>> one.shape, bool((one != two).any())
        ((7,), True)
    """

    seed: Any = 0
    count: int = field(default=1024, metadata={"static": True})

    @at_host
    def __call__(self, posteriors: Any, rows: Any, incumbent: Any = None):
        rows = one_row(self, rows)
        key = jax.random.key(self.seed)
        path = paths_of(self, posteriors[0], key, 1, count=self.count)
        return -jnp.asarray(path(rows.reshape(-1, rows.shape[-1])))[0].reshape(rows.shape[:-1])
