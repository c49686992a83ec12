"""Lines of data as models other than the Gaussian process take them.

Host data are checked and padded to a capacity and a column class, so that programs are
shared; under a trace what cannot be used is masked out.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bojax.configuration import jit
from bojax.errors import DataError
from bojax.history import capacity_for
from bojax.optimize.precision import own_precision
from bojax.space import Features
from bojax.space import table as tables
from bojax.surrogates.data import Data

# Known variance, in units of that of all values, beyond which a value says nothing.
WORTHLESS = 1e6
INACTIVE = -1.0  # coordinate of a column that does not exist: below every other


class Lines(NamedTuple):
    """Data without a None or a NaN, N lines.

    Attributes:
        rows: `[N, D]`, 0 where masked.
        values: `[N]`, 0 where masked.
        variance, count: `[N]`, 0 and 1 where not given.
        mask: `[N]` bool, lines that count and have a finite value.
    """

    rows: Any
    values: Any
    variance: Any
    count: Any
    mask: Any


def is_traced(*trees: Any) -> bool:
    """Whether anything in them is a tracer."""
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(trees))


def lines_of(data: Data) -> Lines:
    """Data completed and cleared of what is masked, traceable."""
    rows = jnp.asarray(data.rows)
    n, dtype = rows.shape[0], rows.dtype
    values = jnp.asarray(data.values, dtype)
    mask = jnp.ones(n, bool) if data.mask is None else jnp.asarray(data.mask)
    mask = mask & jnp.isfinite(values) & jnp.all(jnp.isfinite(rows), axis=1)

    def column(given, fill):
        if given is None:
            return jnp.full(n, fill, dtype)
        return jnp.where(mask, jnp.asarray(given, dtype), fill)

    return Lines(
        jnp.where(mask[:, None], rows, 0.0),
        jnp.where(mask, values, 0.0),
        column(data.variance, 0.0),
        column(data.count, 1.0),
        mask,
    )


def host_data(data: Data, lines_for: Callable[[int], int] = capacity_for) -> Data:
    """Host data, checked and padded to a number of lines and a column class.

    Args:
        data: as a user gives it.
        lines_for: number of lines -> what they are padded to; a history's capacities.

    Raises:
        DataError: shapes that do not fit, rows that are not finite, variances below 0 or
            counts below 1. A value that is not finite is left out.
    """
    rows = np.atleast_2d(np.asarray(data.rows, float))
    n, d = rows.shape
    values = np.asarray(data.values, float)
    if values.shape != (n,):
        raise DataError(f"values: expected one a row, shape ({n},), got shape {values.shape}.")
    mask = np.ones(n, bool) if data.mask is None else np.asarray(data.mask, bool)
    variance = np.zeros(n) if data.variance is None else np.asarray(data.variance, float)
    count = np.ones(n) if data.count is None else np.asarray(data.count, float)
    for name, column in (("mask", mask), ("variance", variance), ("count", count)):
        if column.shape != (n,):
            raise DataError(f"{name}: expected one a row, shape ({n},), got shape {column.shape}.")
    if not (np.isfinite(variance[mask]).all() and (variance[mask] >= 0).all()):
        raise DataError("variance: must be finite and not negative; leave such lines out.")
    if not (np.isfinite(count[mask]).all() and (count[mask] >= 1).all()):
        raise DataError("count: must be finite and at least 1, the replicates behind a value.")
    bad = mask & ~np.isfinite(rows).all(axis=1)
    if bad.any():
        line = int(np.argmax(bad))
        raise DataError(f"rows: row {line} is not finite, {rows[line].tolist()}; leave it out.")
    mask = mask & np.isfinite(values)
    capacity = lines_for(n)
    columns = d if data.table is not None else tables.size_class(d, tables.COLUMNS, "columns")

    def pad(column, fill=0.0):
        kept = np.where(mask, column, fill)
        return np.concatenate([kept, np.full(capacity - n, fill)])

    full = np.zeros((capacity, columns))
    full[:n, :d] = np.where(mask[:, None], rows, 0.0)
    table = plain_table(d, columns) if data.table is None else data.table
    kept = np.concatenate([mask, np.zeros(capacity - n, bool)])
    return Data(full, pad(values), pad(variance), pad(count, 1.0), kept, table)


def plain_table(used: int, columns: int) -> tables.SpaceTable:
    """A table of real columns, so that plain numbers share the programs of spaces."""
    arrays: dict[str, Any] = tables.empty_table(columns, 1, 1, tables.CHOICES[0])
    arrays["kind"][:used] = tables.REAL
    low, high = arrays.pop("clause_low"), arrays.pop("clause_high")
    parts = [arrays.pop(name) for name in ("used", "column", "choices")]
    clauses = tables.Clauses(parts[0], parts[1], low, high, parts[2])
    return tables.SpaceTable(**arrays, clauses=clauses, depth=np.int32(0))


def features_of(table: tables.SpaceTable | None, rows: Any) -> Features:
    """Rows `[..., D]`, or numbers without the columns they were padded with, as features."""
    if table is None:
        ones = jnp.ones(rows.shape, rows.dtype)
        return Features(rows, ones, jnp.full(rows.shape[-1], tables.REAL, jnp.int32))
    missing = table.kind.shape[-1] - rows.shape[-1]
    if missing:
        rows = jnp.pad(rows, [(0, 0)] * (rows.ndim - 1) + [(0, missing)])
    return tables.features(table, rows)


def at_own_precision(method: Callable) -> Callable:
    """On the host a method is one compiled program, in its owner's precision, and gives NumPy.

    Under a trace it is the plain function. The owner has an array `scale`, in whose
    precision everything is; what it returns stays a pytree of the same class.
    """
    static = [name for name in ("n",) if name in inspect.signature(method).parameters]
    compiled = jit(method, static_argnames=static)

    @functools.wraps(method)
    def entered(self, *arguments, **settings):
        if is_traced(self, arguments):
            return method(self, *arguments, **settings)
        with own_precision(self.scale):
            arguments = [
                np.asarray(a, self.scale.dtype) if isinstance(a, (np.ndarray, list, float)) else a
                for a in arguments
            ]
            result = jax.block_until_ready(compiled(self, *arguments, **settings))
            return result if isinstance(result, type(self)) else jax.tree.map(np.asarray, result)

    return entered
