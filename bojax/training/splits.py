"""Which examples train, validate and test: one hold-out part, or k folds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bojax.errors import DataError

Part = tuple[np.ndarray, np.ndarray]  # int32 indices to train on, and to validate on


@dataclass(frozen=True)
class Holdout:
    """One part to train on, one to validate on, one to test on at the very end.

    Args:
        validation: share of all examples, in (0, 1), that scores trials.
        test: share of all examples, in [0, 1), kept for the end; 0 for none.
        seed: which examples go to the test part, and which to validation.
        stratify: keep the classes' shares equal in all parts, where `y` is integer.
        groups: `[N]` labels; examples of one group stay in one part, which is then as near to
            its share as whole groups come. None for none.
        time: whether examples are in the order of time: validation comes after training, the
            test part last, and nothing is shuffled.

    Raises:
        DataError: shares that leave nothing to train or validate on; groups and time together.

    Example:
        >>> import bojax
        >>> bojax.Holdout(validation=0.2, test=0.1).seed
        0
    """

    validation: float = 0.2
    test: float = 0.2
    seed: int = 0
    stratify: bool = True
    groups: Any = field(default=None, compare=False, repr=False)
    time: bool = False

    def __post_init__(self) -> None:
        for name, low in (("validation", "above 0"), ("test", "at least 0")):
            share = getattr(self, name)
            if not _is_share(share) or (share == 0 and name == "validation"):
                raise DataError(
                    f"Holdout: {name} is a share of all examples, {low} and below 1, got {share!r}."
                )
        if self.validation + self.test >= 1:
            raise DataError(
                "Holdout: validation + test must leave data to train on, got "
                f"{self.validation} + {self.test}; lower one of them."
            )
        _one_order("Holdout", self)

    def parts(self, y: np.ndarray, kept: np.ndarray, total: int, seed: int) -> list[Part]:
        """Of the examples that are not in the test part: indices into these.

        Args:
            y: `[n]` labels or targets of the examples kept.
            kept: `[n]` their numbers among all.
            total: how many all are.
            seed: which of them validate.
        """
        size = max(round(self.validation * total), 1)
        if len(y) - size < 1:
            raise DataError(
                f"ArrayData: {len(y)} examples are too few for validation={self.validation} "
                f"and test={self.test}; nothing is left to train on."
            )
        chosen = _drawn(self, y, kept, size, np.random.default_rng([seed, 1]))
        return [_part(chosen)]


@dataclass(frozen=True)
class CrossValidation:
    """k folds: a trial is k members, each validated on another part; its score is their mean.

    Args:
        folds: how many, at least 2; or an object with scikit-learn's `split(x, y, groups)`.
        test: share of all examples, in [0, 1), kept for the end; 0 for none.
        seed: which examples go to the test part, and to which fold.
        stratify: keep the classes' shares equal in all folds, where `y` is integer.
        groups: `[N]` labels; examples of one group stay together. None for none.
        time: whether examples are in the order of time: every fold validates on the block
            after those it trains on, so that later folds train on more.

    Raises:
        DataError: fewer than 2 folds, a share out of range; groups and time together.

    Example:
        >>> import bojax, numpy as np
        >>> x, y = np.arange(50.0)[:, None], np.arange(50) % 2
        >>> data = bojax.ArrayData(x, y, split=bojax.CrossValidation(4))
        >>> [(len(train), len(validation)) for train, validation in data.folds]
        [(30, 10), (30, 10), (30, 10), (30, 10)]
    """

    folds: Any = 5
    test: float = 0.2
    seed: int = 0
    stratify: bool = True
    groups: Any = field(default=None, compare=False, repr=False)
    time: bool = False

    def __post_init__(self) -> None:
        counted = isinstance(self.folds, int) and not isinstance(self.folds, bool)
        if not (counted and self.folds >= 2) and not hasattr(self.folds, "split"):
            raise DataError(
                "CrossValidation: folds is an integer from 2 up, or an object with scikit-learn's "
                f"split(x, y, groups), got {self.folds!r}."
            )
        if not _is_share(self.test):
            raise DataError(
                "CrossValidation: test is a share of all examples, at least 0 and below 1, got "
                f"{self.test!r}."
            )
        _one_order("CrossValidation", self)

    def parts(self, y: np.ndarray, kept: np.ndarray, total: int, seed: int) -> list[Part]:
        """As :meth:`Holdout.parts`, one a fold."""
        groups = None if self.groups is None else np.asarray(self.groups)[kept]
        if not isinstance(self.folds, int):
            return _checked_parts(self.folds.split(np.zeros((len(y), 1)), y, groups), len(y))
        found, k = [], self.folds
        most = len(y) if groups is None else len(np.unique(groups))
        if most < k + self.time:
            what = "examples" if groups is None else "groups"
            raise DataError(
                f"CrossValidation: {most} {what} are too few for {k} folds; use fewer folds."
            )
        if self.time:
            block = len(y) // (k + 1)
            for end in range(len(y) - block * k, len(y), block):
                train = np.arange(end, dtype=np.int32)
                found.append((train, np.arange(end, end + block, dtype=np.int32)))
            return found
        generator = np.random.default_rng([seed, 1])
        if groups is not None:
            fold = _grouped(groups, k, generator)
        else:
            order = np.argsort(_positions(y, generator, self.stratify), kind="stable")
            fold = np.empty(len(y), int)
            fold[order] = np.arange(len(y)) * k // len(y)
        return [_part(fold == number) for number in range(k)]


def final_part(split: Any, y: np.ndarray) -> np.ndarray:
    """Which of all examples are kept for the end, `[N]` bool.

    Raises:
        DataError: as many groups as examples are not given; nothing is left to train on.
    """
    if split.groups is not None and len(np.asarray(split.groups)) != len(y):
        raise DataError(
            f"groups: expected one label an example, {len(y)}, got {len(np.asarray(split.groups))}."
        )
    size = round(split.test * len(y))
    if len(y) - size < 2:
        raise DataError(
            f"ArrayData: {len(y)} examples are too few for test={split.test}; "
            "nothing is left to train on."
        )
    generator = np.random.default_rng([split.seed, 0])
    return _drawn(split, y, np.arange(len(y)), size, generator)


def _is_share(share: Any) -> bool:
    return isinstance(share, (int, float)) and not isinstance(share, bool) and 0 <= share < 1


def _one_order(name: str, split: Any) -> None:
    if split.time and split.groups is not None:
        raise DataError(f"{name}: give either groups or time, not both.")


def _part(chosen: np.ndarray) -> Part:
    return np.flatnonzero(~chosen).astype(np.int32), np.flatnonzero(chosen).astype(np.int32)


def _drawn(split: Any, y: np.ndarray, kept: np.ndarray, size: int, generator: Any) -> np.ndarray:
    """`size` examples as a mask: the last ones in time, whole groups, or drawn at random."""
    chosen = np.zeros(len(y), bool)
    if split.time:
        chosen[len(y) - size :] = True
    elif split.groups is not None:
        groups = np.asarray(split.groups)[kept]
        labels, sizes = np.unique(groups, return_counts=True)
        order = generator.permutation(len(labels))
        after = np.cumsum(sizes[order])
        # Whole groups as long as the part comes nearer to its size.
        taken = np.abs(after - size) < np.abs(after - sizes[order] - size)
        taken = np.cumprod(taken).astype(bool)
        chosen = np.isin(groups, labels[order[taken]])
        if size and (not chosen.any() or chosen.all()):
            raise DataError(
                f"groups: {len(labels)} groups cannot give a part of {size} of {len(y)} examples; "
                "choose another share."
            )
    else:
        position = _positions(y, generator, split.stratify)
        chosen[np.argsort(position, kind="stable")[: math.floor(size)]] = True
    return chosen


def _positions(y: np.ndarray, generator: np.random.Generator, stratify: bool) -> np.ndarray:
    """Random places in the unit interval; those of each class are spread evenly.

    Each class is shuffled and its members are spread evenly, at a random offset; cut anywhere,
    every piece has its share of each class.
    """
    position = generator.random(len(y))
    if stratify and y.ndim == 1 and y.dtype == np.int32:
        for label in np.unique(y):
            members = np.flatnonzero(y == label)
            ranks = generator.permutation(len(members))
            position[members] = (ranks + generator.random()) / len(members)
    return position


def _grouped(groups: np.ndarray, k: int, generator: np.random.Generator) -> np.ndarray:
    """A fold for every example: groups in random order, each to the fold that has least so far."""
    labels, own, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    filled, fold = np.zeros(k, int), np.empty(len(labels), int)
    for label in generator.permutation(len(labels)):
        fold[label] = np.argmin(filled)
        filled[fold[label]] += sizes[label]
    return fold[own.reshape(-1)]


def _checked_parts(parts: Any, count: int) -> list[Part]:
    found: list[Part] = []
    for number, (train, validation) in enumerate(parts):
        train, validation = (np.asarray(part, np.int32) for part in (train, validation))
        if not len(train) or not len(validation):
            raise DataError(f"fold {number}: a part is empty; choose fewer folds.")
        both: np.ndarray = np.concatenate([train, validation])
        if np.min(both) < 0 or np.max(both) >= count or np.isin(train, validation).any():
            raise DataError(f"fold {number}: its parts overlap or are out of range.")
        found.append((train, validation))
    if not found:
        raise DataError("CrossValidation: the splitter gave no fold.")
    return found
