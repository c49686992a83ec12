"""Regression sets to compare surrogates on: small, on disk or computed, inputs in [0, 1].

What a surrogate meets in a search is a few dozen noisy values of a smooth function of a few
inputs. Friedman's three functions and samples of the optimisation problems are that; the
diabetes set is the opposite, real measurements that hardly depend on their inputs, where a
surrogate must say that it does not know.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from bojax.errors import DataError
from bojax.loop import Problem
from bojax.space import table as tables

# Friedman (1991), section 4: standard deviation 1, and a third of the signal's for the others.
FRIEDMAN_NOISE = (1.0, 125.0, 0.1)
# Ranges the inputs of the second and the third are drawn from.
FRIEDMAN_LOW = np.array([0.0, 40.0 * np.pi, 0.0, 1.0])
FRIEDMAN_HIGH = np.array([100.0, 560.0 * np.pi, 1.0, 11.0])


@dataclass(frozen=True, eq=False)
class Dataset:
    """Points and what was observed there.

    Attributes:
        name: stands in the rows of a comparison.
        rows: `[n, d]` in [0, 1].
        values: `[n]`, finite, noise included.

    Raises:
        DataError: shapes that do not fit, numbers that are not finite or outside [0, 1], or
            values that are all the same.

    Example:
        >>> import numpy as np
        >>> from bojax.benchmark._datasets import Dataset
        >>> rows = np.linspace(0, 1, 9)[:, None]
        >>> Dataset("line", rows, 3 * rows[:, 0]).rows.shape
        (9, 1)
    """

    name: str
    rows: Any
    values: Any

    def __post_init__(self) -> None:
        rows, values = np.asarray(self.rows, np.float64), np.asarray(self.values, np.float64)
        if rows.ndim != 2 or values.shape != rows.shape[:1]:
            raise DataError(
                f"{self.name}: expected rows [n, d] and values [n], got {rows.shape} and "
                f"{values.shape}."
            )
        if not np.isfinite(values).all():
            bad = int(np.argmin(np.isfinite(values)))
            raise DataError(f"{self.name}: value {bad} is {values[bad]}; leave its row out.")
        if not ((rows >= 0) & (rows <= 1)).all():
            bad = int(np.argmin(((rows >= 0) & (rows <= 1)).all(axis=1)))
            raise DataError(
                f"{self.name}: row {bad} is outside [0, 1]: {rows[bad].tolist()}; scale the inputs."
            )
        if len(values) < 2 or not np.ptp(values) > 0:
            raise DataError(f"{self.name}: needs at least two values that differ.")
        for field, array in (("rows", rows), ("values", values)):
            array = array.copy()
            array.setflags(write=False)
            object.__setattr__(self, field, array)

    def __repr__(self) -> str:
        n, d = self.rows.shape
        return f"Dataset(name={self.name!r}, {n} rows of {d} columns)"

    @property
    def scale(self) -> float:
        """Standard deviation of all values: the unit that scores are compared in."""
        return float(self.values.std())

    def content(self) -> str:
        """A hash of name and numbers."""
        digest = hashlib.sha256(repr((self.name, self.rows.shape)).encode())
        digest.update(self.rows.tobytes())
        digest.update(self.values.tobytes())
        return digest.hexdigest()[:16]

    def split(self, number: int, *, train: int, test: int, seed: int = 0) -> Split:
        """Training and test part of split `number`.

        The test part depends on `seed` and `number` alone, and a smaller training part is the
        beginning of a larger one, so that sizes are compared on the same points, too.

        Args:
            number: of the split, from 0.
            train, test: rows of each part.
            seed: of all splits.

        Raises:
            DataError: there are fewer rows than that.

        Example:
            >>> from bojax.benchmark._datasets import friedman1
            >>> part = friedman1(60).split(0, train=20, test=40)
            >>> part.rows.shape, part.test_values.shape
            ((20, 10), (40,))
        """
        if train + test > len(self.values):
            raise DataError(
                f"{self.name}: {len(self.values)} rows are too few for {train} to train on and "
                f"{test} to test on; lower `sizes` or `test`."
            )
        order = np.random.default_rng([seed, number]).permutation(len(self.values))
        inside, outside = order[test : test + train], order[:test]
        return Split(
            self.rows[inside], self.values[inside], self.rows[outside], self.values[outside]
        )


@dataclass(frozen=True, eq=False)
class Split:
    """One division of a data set.

    Attributes:
        rows, values: `[n, d]` and `[n]` to fit to.
        test_rows, test_values: `[m, d]` and `[m]` to predict.
    """

    rows: Any
    values: Any
    test_rows: Any
    test_values: Any


def diabetes() -> Dataset:
    """442 patients, 10 measurements, progression of their diabetes after a year.

    Inputs are scaled by the range over all patients. Of scikit-learn, from its own files.

    Example:
        >>> from bojax.benchmark._datasets import diabetes
        >>> diabetes().rows.shape
        (442, 10)

    References:
        B. Efron, T. Hastie, I. Johnstone and R. Tibshirani, Least angle regression, 2004.
    """
    from sklearn.datasets import load_diabetes

    rows, values = load_diabetes(return_X_y=True, scaled=False)
    low, high = rows.min(axis=0), rows.max(axis=0)
    return Dataset("diabetes", (rows - low) / (high - low), values)


def friedman1(n: int = 500, *, noise: float = FRIEDMAN_NOISE[0], seed: int = 0) -> Dataset:
    """10 sin(pi x0 x1) + 20 (x2 - 1/2)^2 + 10 x3 + 5 x4, and five inputs without effect.

    Args:
        n: rows.
        noise: standard deviation of the normal noise; 0 for none.
        seed: of the draws.

    Example:
        >>> from bojax.benchmark._datasets import friedman1
        >>> friedman1(100).rows.shape
        (100, 10)

    References:
        J. Friedman, Multivariate adaptive regression splines, 1991, section 4.3; L. Breiman,
        Bagging predictors, 1996, for the noise of the other two.
    """
    from sklearn.datasets import make_friedman1

    return Dataset("friedman1", *make_friedman1(n, noise=noise, random_state=seed))


def friedman2(n: int = 500, *, noise: float = FRIEDMAN_NOISE[1], seed: int = 0) -> Dataset:
    """The impedance of an alternating-current circuit; 4 inputs, see :func:`friedman1`.

    Example:
        >>> from bojax.benchmark._datasets import friedman2
        >>> friedman2(100).rows.shape
        (100, 4)
    """
    from sklearn.datasets import make_friedman2

    rows, values = make_friedman2(n, noise=noise, random_state=seed)
    return Dataset("friedman2", (rows - FRIEDMAN_LOW) / (FRIEDMAN_HIGH - FRIEDMAN_LOW), values)


def friedman3(n: int = 500, *, noise: float = FRIEDMAN_NOISE[2], seed: int = 0) -> Dataset:
    """The phase angle of the same circuit; 4 inputs, steep in a corner.

    Example:
        >>> from bojax.benchmark._datasets import friedman3
        >>> friedman3(100).rows.shape
        (100, 4)
    """
    from sklearn.datasets import make_friedman3

    rows, values = make_friedman3(n, noise=noise, random_state=seed)
    return Dataset("friedman3", (rows - FRIEDMAN_LOW) / (FRIEDMAN_HIGH - FRIEDMAN_LOW), values)


def from_problem(
    problem: Problem, n: int = 500, *, seed: int = 0, name: str | None = None
) -> Dataset:
    """A problem's values at uniform random points of its space.

    Every surrogate sees the same plain numbers: columns that belong to a parameter, a
    category as its code over the number of codes less one, an inactive parameter at its
    default. Points whose evaluation failed (NaN) are left out.

    Args:
        problem: a :class:`bojax.loop.Problem`; its noise, if any, is in the values.
        n: points.
        seed: of the points and of the noise.
        name: of the data set; that of the problem by default.

    Raises:
        DataError: fewer than two points have different values.

    Example:
        >>> import bojax
        >>> from bojax.benchmark._datasets import from_problem
        >>> space = bojax.Space({"x": bojax.Float(-1, 1), "kind": bojax.Categorical(["a", "b"])})
        >>> problem = bojax.loop.Problem(
        ...     space.table, lambda data, key, rows: rows[:, 0] + rows[:, 1], name="steps")
        >>> from_problem(problem, 50)
        Dataset(name='steps', 50 rows of 2 columns)
    """
    import jax
    import jax.numpy as jnp

    table = jax.tree.map(np.asarray, problem.table)
    unit = np.random.default_rng(seed).random((n, table.columns))
    dtype = jnp.result_type(float)
    # The points are rounded first, so that those stored are those that were evaluated.
    rows = tables.unit_to_row(table, unit, np).astype(dtype)
    values = problem.evaluate(problem.data, jax.random.key(seed), jnp.asarray(rows))
    values = np.asarray(values, np.float64).reshape(n)
    codes = np.where(table.kind == tables.CATEGORY, np.maximum(table.cardinality - 1, 1), 1)
    plain = (rows.astype(np.float64) / codes)[:, table.used]
    kept = np.isfinite(values)
    return Dataset(name or problem.name, plain[kept], values[kept])
