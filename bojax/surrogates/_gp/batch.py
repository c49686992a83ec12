"""Many independent Gaussian processes, fitted by one program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bojax.configuration import jit, single_threaded
from bojax.errors import DataError
from bojax.optimize import over_batch
from bojax.optimize.precision import own_precision
from bojax.pytrees import pytree
from bojax.surrogates._gp.posterior import Posterior
from bojax.surrogates._gp.surrogate import GP, lines_for, pad_data
from bojax.surrogates.data import Data


@pytree
@dataclass(frozen=True)
class Posteriors:
    """B posteriors side by side.

    Attributes:
        stacked: a :class:`Posterior` whose every array has a first axis `[B]`.

    Example:
        >>> import jax, numpy as np
        >>> import bojax
        >>> rows = np.random.default_rng(0).random((2, 5, 1))
        >>> data = bojax.surrogates.Data(rows, np.sin(6 * rows[:, :, 0]))
        >>> surrogate = bojax.surrogates.gp(screened=0, kept=0)
        >>> posteriors, info = bojax.surrogates.fit_batch(surrogate, jax.random.key(0), data)
        >>> mean, variance = posteriors.mean_and_variance(rows)
        >>> mean.shape, posteriors[1].mean_and_variance(rows[1])[0].shape
        ((2, 5), (5,))
    """

    stacked: Posterior

    def __len__(self) -> int:
        return self.stacked.shift.shape[0]

    def __getitem__(self, index: int) -> Posterior:
        """One of them; raises IndexError beyond the last."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"posterior {index} of {len(self)} does not exist.")
        with own_precision(self.stacked.upper):
            return jax.tree.map(lambda leaf: leaf[index], self.stacked)

    def mean_and_variance(self, rows):
        """Of the noise-free functions at `[B, Q, D]` rows: two arrays `[B, Q]`, values' unit."""
        upper = self.stacked.upper
        with own_precision(upper), single_threaded(upper.shape[-1]):
            result = _predict_program(self.stacked, np.asarray(rows, upper.dtype))
            return jax.tree.map(np.asarray, jax.block_until_ready(result))


def fit_batch(surrogate: GP, key, data: Data, *, mode: str = "auto") -> tuple[Posteriors, Any]:
    """Fit B data sets of one shape by one program, in float64.

    Problems run one after the other on a CPU and side by side on an accelerator; see
    :func:`bojax.optimize.over_batch`.

    Args:
        surrogate: a Gaussian process.
        key: `jax.random.key`; problem b uses `fold_in(key, b)`.
        data: `rows[B, N, D]`, `values[B, N]`, `variance`, `count` and `mask` alike or None;
            the table, if any, belongs to all of them.
        mode: "auto", "vmap" or "map".

    Returns:
        `(Posteriors, Info)`, every field of Info with a first axis `[B]`.

    Raises:
        DataError: as for one fit, naming the problem.

    Example:
        >>> import jax, numpy as np
        >>> import bojax
        >>> rows = np.random.default_rng(0).random((3, 4, 1))
        >>> data = bojax.surrogates.Data(rows, rows[:, :, 0] ** 2)
        >>> surrogate = bojax.surrogates.gp(screened=0, kept=0)
        >>> posteriors, info = bojax.surrogates.fit_batch(surrogate, jax.random.key(0), data)
        >>> len(posteriors), info.objective.shape
        (3, (3,))
    """
    rows = np.asarray(data.rows, float)
    if rows.ndim != 3:
        raise DataError(f"rows: expected shape (B, N, D), got shape {rows.shape}.")
    for name in ("values", "variance", "count", "mask"):
        part = getattr(data, name)
        if part is not None and len(np.asarray(part)) != len(rows):
            raise DataError(
                f"{name}: expected one line a problem, {len(rows)}, got {len(np.asarray(part))}."
            )
    problems = []
    for b in range(rows.shape[0]):
        values, variance, count, mask = (
            None if part is None else np.asarray(part)[b]
            for part in (data.values, data.variance, data.count, data.mask)
        )
        try:
            problems.append(pad_data(Data(rows[b], values, variance, count, mask, data.table)))
        except DataError as error:
            raise DataError(f"problem {b}: {error}") from error
    if not problems:
        raise DataError("rows: expected at least one problem, got none.")
    with jax.enable_x64(True), single_threaded(lines_for(rows.shape[1])):
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *problems)
        bits = np.asarray(jax.random.key_data(key))
        posterior, info = _fit_program(surrogate, bits, stacked, mode)
        return Posteriors(jax.block_until_ready(posterior)), jax.tree.map(np.asarray, info)


@jit(static_argnums=3)
def _fit_program(surrogate: GP, bits, data: Data, mode: str):
    key = jax.random.wrap_key_data(bits)

    def one(number, part):
        return surrogate.fit_pure(jax.random.fold_in(key, number), part)

    numbers = jnp.arange(data.values.shape[0], dtype=jnp.int32)
    return over_batch(one, mode=mode)(numbers, data)


@jit
def _predict_program(stacked: Posterior, rows):
    return over_batch(lambda posterior, x: posterior.mean_and_variance(x))(stacked, rows)
