"""Data in memory: arrays, their split, and a test part that can be looked at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bojax.errors import DataError, TestDataTouched


@dataclass(frozen=True)
class Holdout:
    """One part to train on, one to validate on, one to test on at the very end.

    Args:
        validation: share of all examples, in (0, 1), that scores trials.
        test: share of all examples, in [0, 1), kept for the end; 0 for none.
        seed: which examples go to the test part, and which to validation.
        stratify: keep the classes' shares equal in all parts, where `y` is integer.

    Raises:
        DataError: shares that leave nothing to train or validate on.

    Example:
        >>> import bojax
        >>> bojax.Holdout(validation=0.2, test=0.1).seed
        0
    """

    validation: float = 0.2
    test: float = 0.2
    seed: int = 0
    stratify: bool = True

    def __post_init__(self) -> None:
        for name, low in (("validation", "above 0"), ("test", "at least 0")):
            share = getattr(self, name)
            good = isinstance(share, (int, float)) and 0 <= share < 1
            if not good or (share == 0 and name == "validation"):
                raise DataError(
                    f"Holdout: {name} is a share of all examples, {low} and below 1, got {share!r}."
                )
        if self.validation + self.test >= 1:
            raise DataError(
                "Holdout: validation + test must leave data to train on, got "
                f"{self.validation} + {self.test}; lower one of them."
            )


class TestSplit:
    """The test part. `take()` hands it out once.

    Attributes:
        touched: whether it has been handed out. A store that restores a run sets it.
        on_touch: called with no arguments at the moment of touching, before any data is
            handed out, so that a store can record it first.

    Example:
        >>> import bojax
        >>> import numpy as np
        >>> data = bojax.ArrayData(np.arange(20.0)[:, None], np.arange(20.0))
        >>> x, y = data.test.take()
        >>> len(y), data.test.touched
        (4, True)
        >>> data.test.take()
        Traceback (most recent call last):
        ...
        bojax.errors.TestDataTouched: the test part was used already; ...
    """

    __test__ = False  # not a test class, whatever its name suggests to a test runner

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        self._x, self._y = x, y
        self.touched = False
        self.on_touch: Callable[[], None] | None = None

    def __len__(self) -> int:
        return len(self._y)

    def take(self) -> tuple[np.ndarray, np.ndarray]:
        """`x` (not normalised) and `y` of the test part, once.

        Raises:
            TestDataTouched: it was taken before.
            DataError: there is no test part.
        """
        if not len(self):
            raise DataError("Holdout: no test part, test=0; give a share such as test=0.2.")
        if self.touched:
            raise TestDataTouched(
                "the test part was used already; a second score would be a validation score. "
                "Compare models on the validation metrics, or bring new test data."
            )
        if self.on_touch is not None:
            self.on_touch()
        self.touched = True
        return self._x, self._y

    def __repr__(self) -> str:
        return f"TestSplit({len(self)} examples, touched={self.touched})"


class ArrayData:
    """Arrays that fit in memory, split, checked, and kept on the device while training.

    Args:
        x: `[N, ...]`: floats (kept as float32), or integers such as token ids or bytes.
        y: `[N]` integer labels from 0, or `[N]`, `[N, K]` real targets.
        split: a :class:`Holdout`.
        normalize: standardise `x` by mean and deviation of the training part: per feature
            for `[N, D]`, per channel (last axis) for more dimensions, as float32.

    Attributes:
        x, y: the examples that are not in the test part, normalised if asked.
        train, validation: int32 indices into these.
        test: the :class:`TestSplit`.
        classes: number of classes, or None for real targets.

    Raises:
        DataError: lengths that differ, NaN or infinity, negative labels, too few examples.

    Example:
        >>> import bojax
        >>> import numpy as np
        >>> x, y = np.random.default_rng(0).normal(size=(100, 3)), np.arange(100) % 2
        >>> data = bojax.ArrayData(x, y, normalize=True)
        >>> data.x.shape, len(data.train), len(data.validation), len(data.test), data.classes
        ((80, 3), 60, 20, 20, 2)
        >>> data.resplit(1).test is data.test
        True
    """

    def __init__(
        self, x: Any, y: Any, *, split: Holdout | None = None, normalize: bool = False
    ) -> None:
        split = Holdout() if split is None else split
        x, y = _checked(x, y)
        self.classes = int(y.max()) + 1 if y.dtype == np.int32 else None
        test_size = round(split.test * len(y))
        self._validation_size = max(round(split.validation * len(y)), 1)
        if len(y) - test_size - self._validation_size < 1:
            raise DataError(
                f"ArrayData: {len(y)} examples are too few for validation={split.validation} "
                f"and test={split.test}; nothing is left to train on."
            )
        chosen = _draw(y, test_size, np.random.default_rng([split.seed, 0]), split.stratify)
        self.test = TestSplit(x[chosen], y[chosen])
        self._raw, self.y = x[~chosen], y[~chosen]
        self.split, self.normalize = split, normalize
        self._assign(split.seed)

    def resplit(self, seed: int) -> ArrayData:
        """Another training and validation part; the test part stays, touched or not.

        Shapes are equal, so whatever was compiled for one split serves all.
        """
        other = object.__new__(ArrayData)
        other.__dict__.update(self.__dict__)
        other._assign(seed)
        return other

    def _assign(self, seed: int) -> None:
        generator = np.random.default_rng([seed, 1])
        chosen = _draw(self.y, self._validation_size, generator, self.split.stratify)
        self.seed = seed
        self.validation = np.flatnonzero(chosen).astype(np.int32)
        self.train = np.flatnonzero(~chosen).astype(np.int32)
        self._shift, self._scale = None, None
        if self.normalize:
            part = self._raw[self.train].astype(np.float64)
            axes = tuple(range(max(part.ndim - 1, 1)))
            deviation = part.std(axis=axes)
            self._shift = part.mean(axis=axes)
            self._scale = np.where(deviation > 0, deviation, 1.0)  # a constant feature stays 0
        self.x = self.transform(self._raw)

    def transform(self, x: Any) -> np.ndarray:
        """Inputs as the models see them: typed and normalised like the training part.

        Raises:
            DataError: another shape, or values that are not finite.
        """
        x = _numbers("x", x)
        if x.shape[1:] != self._raw.shape[1:]:
            raise DataError(
                f"x: expected examples of shape {self._raw.shape[1:]}, got {x.shape[1:]}."
            )
        if self._shift is not None:
            x = ((x.astype(np.float64) - self._shift) / self._scale).astype(np.float32)
        return x

    def __repr__(self) -> str:
        return (
            f"ArrayData(x={self.x.shape}, train={len(self.train)}, "
            f"validation={len(self.validation)}, test={len(self.test)}, seed={self.seed})"
        )


def _checked(x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    x, y = _numbers("x", x), _numbers("y", y)
    if len(x) != len(y):
        raise DataError(
            f"ArrayData: x has {len(x)} examples, y has {len(y)}; they must be equally many."
        )
    if np.issubdtype(y.dtype, np.integer):
        y = y.astype(np.int32)
        if y.size and y.min() < 0:
            where = int(np.argwhere(y < 0)[0][0])
            raise DataError(
                f"y: labels start at 0, got {int(y.min())} (first at example {where}); "
                "map them to 0..K-1, or give floats for a regression."
            )
    return x, y


def _numbers(name: str, values: Any) -> np.ndarray:
    values = np.asarray(values)
    if values.ndim == 0:
        raise DataError(f"{name}: expected an array with one row an example, got a scalar.")
    if values.dtype == np.bool_:
        return values.astype(np.int32) if name == "y" else values.astype(np.float32)
    if np.issubdtype(values.dtype, np.floating):
        finite = np.isfinite(values)
        if not finite.all():
            where = int(np.argwhere(~finite)[0][0])
            raise DataError(
                f"{name}: {int((~finite).sum())} values are NaN or infinite, the first in "
                f"example {where}; remove or impute them."
            )
        return values.astype(np.float32)
    if not np.issubdtype(values.dtype, np.integer):
        raise DataError(
            f"{name}: expected numbers, got {values.dtype}; encode strings and categories first."
        )
    return values.astype(np.int32) if values.dtype.itemsize > 1 else values


def _draw(y: np.ndarray, size: int, generator: np.random.Generator, stratify: bool) -> np.ndarray:
    """`size` examples as a mask; with classes, each class gives its share.

    Each class is shuffled and its members are spread evenly, at a random offset, over the
    unit interval; the smallest positions are drawn. The size is exact.
    """
    position = generator.random(len(y))
    if stratify and y.ndim == 1 and y.dtype == np.int32:
        for label in np.unique(y):
            members = np.flatnonzero(y == label)
            ranks = generator.permutation(len(members))
            position[members] = (ranks + generator.random()) / len(members)
    chosen = np.zeros(len(y), bool)
    chosen[np.argsort(position, kind="stable")[: math.floor(size)]] = True
    return chosen
