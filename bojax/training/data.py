"""Data in memory: arrays, their split, and a test part that can be looked at once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from bojax.errors import DataError, TestDataTouched
from bojax.training.splits import CrossValidation, Holdout, Part, final_part

MOST_BYTES = 2**26  # of an array that are looked at, rows spread evenly over it


def fingerprint(data: Any) -> str:
    """What tells data apart from other data: examples, labels, split and whether normalised.

    Args:
        data: an :class:`ArrayData` or :class:`bojax.training.GrainData`, of which the training
            part is known by its numbers alone.

    Example:
        >>> import bojax, numpy as np
        >>> from bojax.training.data import fingerprint
        >>> x, y = np.arange(40.0).reshape(20, 2), np.arange(20) % 2
        >>> same, other = bojax.ArrayData(x, y), bojax.ArrayData(x + 1, y)
        >>> fingerprint(bojax.ArrayData(x, y)) == fingerprint(same) != fingerprint(other)
        True
    """
    seen = hashlib.blake2b(digest_size=16)
    raw = getattr(data, "_raw", data.x)
    indices = (part for fold in data.folds for part in fold)
    for array in (raw, data.y, data.test._x, data.test._y, *indices):
        array = np.asarray(array)
        seen.update(f"{array.shape} {array.dtype}".encode())
        step = 1 + array.nbytes // MOST_BYTES
        seen.update(np.ascontiguousarray(array[::step]).tobytes())
    seen.update(str(getattr(data, "normalize", False)).encode())
    return seen.hexdigest()


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
        split: a :class:`Holdout` or a :class:`CrossValidation`.
        test: `(x, y)` of a test part that is given, as published data sets have one; all of `x`
            is then for training and validation, whatever share the split says. None to split
            one off.
        normalize: standardise `x` by mean and deviation of the training part, of each fold by
            its own: per feature for `[N, D]`, per channel (last axis) for more dimensions, as
            float32.

    Attributes:
        x, y: the examples that are not in the test part; normalised if that is asked and
            there is one fold, otherwise programs normalise the batches they draw.
        folds: pairs of int32 indices into these, to train on and to validate on.
        train, validation: those of the first fold.
        test: the :class:`TestSplit`.
        classes: number of classes, or None for real targets.

    Raises:
        DataError: lengths that differ, NaN or infinity, negative labels, too few examples.
        TypeError: a split of another kind.

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
        self,
        x: Any,
        y: Any,
        *,
        split: Holdout | CrossValidation | None = None,
        test: tuple[Any, Any] | None = None,
        normalize: bool = False,
    ) -> None:
        split = Holdout() if split is None else split
        if not isinstance(split, (Holdout, CrossValidation)):
            raise TypeError(
                "ArrayData: split must be a Holdout or a CrossValidation, got "
                f"{type(split).__name__}; give scikit-learn's as CrossValidation(splitter)."
            )
        x, y = _checked(x, y)
        if test is not None:
            split = replace(split, test=0.0)
        chosen = final_part(split, y)
        self._total = len(y)
        part = (x[chosen], y[chosen]) if test is None else _test_part(test, x, y)
        self.classes = None
        if y.dtype == np.int32:
            self.classes = int(max(labels.max(initial=0) for labels in (y, part[1]))) + 1
        self.test = TestSplit(*part)
        self._raw, self.y, self._kept = x[~chosen], y[~chosen], np.flatnonzero(~chosen)
        self.split, self.normalize = split, normalize
        self._assign(split.seed)

    def resplit(self, seed: int) -> ArrayData:
        """Other training and validation parts; the test part stays, touched or not.

        Shapes are equal (but for groups), so what was compiled for one split serves all.
        """
        other = object.__new__(ArrayData)
        other.__dict__.update(self.__dict__)
        other._assign(seed)
        return other

    def whole(self) -> ArrayData:
        """Everything but the test part to train on, for a model whose configuration is decided.

        Nothing is left to validate on: metrics there are those of the training examples.
        """
        other = object.__new__(ArrayData)
        other.__dict__.update(self.__dict__)
        everything = np.arange(len(self.y), dtype=np.int32)
        other._assign(self.seed, [(everything, everything)])
        return other

    def with_examples(self, x: np.ndarray, y: np.ndarray) -> ArrayData:
        """The same examples seen otherwise, in the same parts; the test part stays as it is.

        Args:
            x, y: `[n, ...]`, as many as there are outside the test part; x not normalised.
        """
        other = object.__new__(ArrayData)
        other.__dict__.update(self.__dict__)
        other._raw, other.y = x, y
        other._assign(self.seed, self.folds)
        return other

    def _assign(self, seed: int, folds: list[Part] | None = None) -> None:
        self.seed = seed
        drawn = self.split.parts(self.y, self._kept, self._total, seed) if folds is None else folds
        self.folds = drawn
        self.train, self.validation = self.folds[0]
        self.shift: np.ndarray | None = None  # [folds, ...], of raw x
        self.scale: np.ndarray | None = None
        if self.normalize:
            raw = self._raw.astype(np.float64)
            axes = tuple(range(max(raw.ndim - 1, 1)))
            parts = [raw[train] for train, _ in self.folds]
            deviation = np.stack([part.std(axis=axes) for part in parts])
            self.shift = np.stack([part.mean(axis=axes) for part in parts])
            self.scale = np.where(deviation > 0, deviation, 1.0)  # a constant feature stays 0
        self.x = self.transform(self._raw) if len(self.folds) == 1 else self._raw

    def transform(self, x: Any, fold: int = 0) -> np.ndarray:
        """Inputs as a fold's models see them: typed, normalised like its training part.

        Raises:
            DataError: another shape, or values that are not finite.
        """
        x = self.inputs(x)
        if self.shift is not None and self.scale is not None:
            x = (x.astype(np.float64) - self.shift[fold]) / self.scale[fold]
            return x.astype(np.float32)
        return x

    def inputs(self, x: Any) -> np.ndarray:
        """Inputs as they are kept: typed, not normalised.

        Raises:
            DataError: another shape, or values that are not finite.
        """
        x = _numbers("x", x)
        if x.shape[1:] != self._raw.shape[1:]:
            raise DataError(
                f"x: expected examples of shape {self._raw.shape[1:]}, got {x.shape[1:]}."
            )
        return x

    def __repr__(self) -> str:
        return (
            f"ArrayData(x={self.x.shape}, train={len(self.train)}, "
            f"validation={len(self.validation)}, folds={len(self.folds)}, "
            f"test={len(self.test)}, seed={self.seed})"
        )


def _test_part(test: Any, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A test part that is given, like the rest.

    Raises:
        DataError: no pair, or arrays of another kind than the rest.
    """
    if not isinstance(test, (tuple, list)) or len(test) != 2:
        raise DataError(f"ArrayData: test is a pair (x, y), got {type(test).__name__}.")
    own = _checked(*test)
    for name, mine, rest in (("x", own[0], x), ("y", own[1], y)):
        if mine.shape[1:] != rest.shape[1:] or mine.dtype != rest.dtype:
            raise DataError(
                f"ArrayData: test {name} has examples {mine.dtype}{mine.shape[1:]}, the rest "
                f"{rest.dtype}{rest.shape[1:]}; give the same kind."
            )
    return own


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
