"""What a kernel promises, one function a promise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bojax.space import Features
from bojax.space import table as tables
from bojax.testing._check import Broken, Check, bound, close, finite, run, shaped
from bojax.testing._subject import MIXED

COLUMNS = 4  # of MIXED, and of all rows here
ROWS = 9
EXACT = 1e-10  # in float64: agreement of two programs of one formula
DIFFERENCE = 1e-6  # step of a finite difference
SLOPE = 1e-5  # how far it may be off


@dataclass(frozen=True, eq=False)
class Made:
    """A kernel under test: how to make one, and what complaints call it."""

    make: Callable[[int], Any]
    name: str


def shapes(made: Made) -> None:
    """Rows `[n, d]` and `[m, d]` give `gram` `[n, m]` and `diagonal` `[n]`, finite."""
    kernel, x, z = made.make(COLUMNS), _rows(0), _rows(1)[:5]
    gram, diagonal = kernel.gram(x, z), kernel.diagonal(x)
    shaped("gram", gram, (ROWS, 5))
    shaped("diagonal", diagonal, (ROWS,))
    finite("gram", gram)
    finite("diagonal", diagonal)


def symmetric(made: Made) -> None:
    """k(x, z) = k(z, x)."""
    kernel = made.make(COLUMNS)
    for x, z in ((_rows(0), _rows(1)), (_features(0), _features(1))):
        close("k(z, x)", kernel.gram(z, x).T, kernel.gram(x, z), EXACT)


def positive(made: Made) -> None:
    """The Gram matrix has no negative eigenvalue, duplicates and mixed rows included."""
    kernel = made.make(COLUMNS)
    plain = np.asarray(_rows(0))
    hard = jnp.asarray(np.concatenate([plain, plain, plain + 1e-12, 1e-3 * plain]))
    for what, x in (("plain", hard), ("mixed", _features(0))):
        gram = np.asarray(kernel.gram(x, x))
        finite(f"gram of {what} rows", gram)
        least = np.linalg.eigvalsh(0.5 * (gram + gram.T)).min()
        if least < -EXACT * len(gram) * np.abs(gram).max():
            raise Broken(f"no negative eigenvalue with {what} rows", f"{least:.3g}")


def diagonal(made: Made) -> None:
    """`diagonal(x)` is the diagonal of `gram(x, x)`."""
    kernel = made.make(COLUMNS)
    for x in (_rows(0), _features(0)):
        close("diagonal", kernel.diagonal(x), jnp.diagonal(kernel.gram(x, x)), EXACT)


def gradient(made: Made) -> None:
    """Slopes by rows and by the kernel's own leaves are right, and finite at zero distance."""
    kernel, x = made.make(COLUMNS), _rows(0)
    weights = jnp.asarray(np.random.default_rng(4).normal(size=(ROWS, ROWS)))

    def total(kernel, z):
        return jnp.sum(weights * kernel.gram(x, z))

    for what, at in (("coinciding rows", x), ("rows", _rows(1))):
        # Not every leaf is a number to be fitted; those of another type have no slope.
        by_kernel, by_rows = jax.jit(jax.grad(total, argnums=(0, 1), allow_int=True))(kernel, at)
        finite(f"slope at {what}", by_rows)
        for leaf in jax.tree.leaves(by_kernel):
            if leaf.dtype != jax.dtypes.float0:
                finite(f"slope by the kernel's leaves at {what}", leaf)
    step = np.zeros((ROWS, COLUMNS))
    step[2, 1] = DIFFERENCE
    apart = _rows(1)
    right = total(kernel, apart + step) - total(kernel, apart - step)
    close("slope", by_rows[2, 1], right / (2 * DIFFERENCE), SLOPE)


def padding(made: Made) -> None:
    """Columns that no parameter uses change nothing."""
    x, z = _rows(0), _rows(1)
    padded = [_plain(jnp.pad(rows, [(0, 0), (0, 2)]), COLUMNS) for rows in (x, z)]
    larger = made.make(COLUMNS + 2)
    close("gram with padded columns", larger.gram(*padded), made.make(COLUMNS).gram(x, z), EXACT)


def features(made: Made) -> None:
    """Plain rows are features whose columns are all numbers and all active."""
    kernel, x, z = made.make(COLUMNS), _rows(0), _rows(1)
    as_features = [_plain(rows, COLUMNS) for rows in (x, z)]
    close("gram of features", kernel.gram(*as_features), kernel.gram(x, z), EXACT)


def vmap(made: Made) -> None:
    """A kernel is a pytree: a lane of a vmapped gram, of kernels and rows, is the gram alone."""
    kernel, stacked = made.make(COLUMNS), jnp.stack([_rows(0), _rows(1)])
    both = jax.tree.map(lambda leaf: jnp.stack([jnp.asarray(leaf)] * 2), kernel)
    lanes = jax.jit(jax.vmap(lambda kernel, x: kernel.gram(x, x)))(both, stacked)
    for lane in range(2):
        close(f"gram of lane {lane}", lanes[lane], kernel.gram(*[stacked[lane]] * 2), EXACT)


KERNEL_CHECKS = (shapes, symmetric, positive, diagonal, gradient, padding, features, vmap)


def kernel_checks(
    make: Callable[[int], Any], *, name: str | None = None, skip: Sequence[str] = ()
) -> list[Check]:
    """The suite for a kernel, one callable a promise, made for `parametrize`.

    Each runs in float64.

    Args:
        make: number of columns -> a kernel: a pytree with `gram(x, z)` and `diagonal(x)`,
            for arrays `[n, d]` and for :class:`bojax.space.Features`. Asked for more columns
            it must give the same kernel on the first ones.
        name: in complaints; the kernel's type if not given.
        skip: names of checks to leave out.

    Returns:
        :class:`Check` objects: call one to run it.

    Raises:
        ValueError: `skip` has a name that does not exist.

    Example:
        >>> import bojax.testing
        >>> make = lambda columns: bojax.kernels.dimension_scaled(bojax.kernels.RBF, columns, 4)
        >>> checks = bojax.testing.kernel_checks(make)
        >>> checks[1]
        <check symmetric of RBF>
        >>> checks[1]()
    """
    with jax.enable_x64(True):
        made = Made(make, name or type(make(COLUMNS)).__name__)
    return bound([_in_double(check) for check in KERNEL_CHECKS], made, skip)


def check_kernel(make: Callable[[int], Any], **settings: Any) -> None:
    """Run the whole suite.

    Args:
        make, settings: of :func:`kernel_checks`.

    Raises:
        AssertionError: a promise was not kept; one line for each.

    Example:
        >>> import jax.numpy as jnp
        >>> import bojax.testing
        >>> class Line:
        ...     def gram(self, x, z):
        ...         x, z = (getattr(rows, "coordinate", rows) for rows in (x, z))
        ...         return x @ z.T
        ...     def diagonal(self, x):
        ...         return jnp.ones(len(x))
        >>> try:
        ...     bojax.testing.check_kernel(lambda columns: Line(), skip=["gradient", "vmap"])
        ... except AssertionError as error:
        ...     print(error)
        Line: diagonal: expected diagonal 2.48237 at (6,), got 1. `diagonal(x)` is the ...
    """
    run(kernel_checks(make, **settings))


# ---------------------------------------------------------------------------------- helpers


def _in_double(check: Callable[[Made], None]) -> Callable[[Made], None]:
    def checked(made: Made) -> None:
        with jax.enable_x64(True):
            check(made)

    checked.__name__, checked.__doc__ = check.__name__, check.__doc__
    return checked


def _rows(seed: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).random((ROWS, COLUMNS)))


def _features(seed: int) -> Features:
    unit = np.random.default_rng(seed).random((ROWS, COLUMNS))
    found = tables.features(MIXED.table, tables.unit_to_row(MIXED.table, unit, np), np)
    return jax.tree.map(jnp.asarray, found)


def _plain(rows: jax.Array, used: int) -> Features:
    kind = np.where(np.arange(rows.shape[1]) < used, tables.REAL, tables.UNUSED)
    return Features(rows, jnp.ones_like(rows), jnp.asarray(kind, jnp.int32))
