"""`GrainData`: training examples that stay where they are and are read in blocks by Grain.

An epoch is a permutation of the training examples, drawn from the run's seed and the epoch's
number, cut into blocks. While members train on one block the next is read; all members share the
blocks, and each takes the examples of a block in an order of its own. A shuffle of everything and
then within a window: what is drawn differs from a member trained on arrays, but no example comes
twice in an epoch. Grain (https://google-grain.readthedocs.io) draws the permutation without
holding it, and its data sets are read as they are.
"""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from bojax.errors import ConfigError, DataError
from bojax.training.data import TestSplit, _checked, _numbers
from bojax.training.population import Arrays, steps_per_epoch
from bojax.training.splits import Holdout, final_part


class Piece(NamedTuple):
    """Which block, and the steps that train on it.

    Attributes:
        number: of the block, counted over all epochs.
        epoch: the one it is of.
        low, examples: its examples are those from place `low` of the epoch, so many.
        first, steps: the step it begins with, counted over all epochs, and how many it has.
    """

    number: int
    epoch: int
    low: int
    examples: int
    first: int
    steps: int


class GrainData:
    """Examples behind random access, of which only a few blocks are in memory at a time.

    Validation and test parts are read once and kept as arrays, so let the split keep them small.
    They are drawn without regard to classes, which would have to be read first.

    Args:
        source: `len(source)` examples, `source[i]` a mapping with "x" and "y" or a pair: a
            `grain.MapDataset`, or a source that one can be made of. An example must be the same
            however often it is read; for random changes there is `Task(augment=...)`.
        split: a :class:`Holdout`; its `stratify` is not looked at.
        block: training examples read at a time, a multiple of every batch size. Up to three
            blocks are in memory: one being trained on, one read, one on its way to the device.
        shuffle: whether epochs are shuffled; if not, blocks are those of the source's order.
        threads: how many examples are read at once.
        classes: number of classes, where labels are integers; None for those of the validation
            and test parts.

    Attributes:
        x, y: of the validation part.
        train, validation: int32 numbers of examples in the source, and places in `x`.
        folds: of one pair of these.
        test: the :class:`TestSplit`.

    Raises:
        ConfigError: Grain is not installed.
        DataError: a split of another kind, examples that are none, too few of them.

    Example:
        >>> import bojax, numpy as np
        >>> class Squares:  # stands for files on a disk
        ...     def __len__(self):
        ...         return 100
        ...     def __getitem__(self, i):
        ...         return {"x": np.float32([i, 1.0]), "y": float(i * i)}
        >>> split = bojax.Holdout(validation=0.1, test=0.1)
        >>> data = bojax.training.GrainData(Squares(), split=split, block=32)
        >>> len(data.train), data.x.shape, len(data.test)
        (80, (10, 2), 10)
    """

    def __init__(
        self,
        source: Any,
        *,
        split: Holdout,
        block: int,
        shuffle: bool = True,
        threads: int = 1,
        classes: int | None = None,
    ) -> None:
        if not isinstance(split, Holdout):
            raise DataError(
                f"GrainData: split must be a Holdout, got {type(split).__name__}; folds need "
                "their examples in memory, as ArrayData has them."
            )
        for name, value in (("block", block), ("threads", threads)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise DataError(f"GrainData: {name} must be a positive integer, got {value!r}.")
        self._records = _checked_source(source)
        self.split, self.block, self.shuffle, self.threads = split, block, shuffle, threads
        unknown = np.zeros(len(self._records), np.float32)
        chosen = final_part(split, unknown)
        kept, final = np.flatnonzero(~chosen), np.flatnonzero(chosen)
        ((train, judged),) = split.parts(unknown[kept], kept, len(unknown), split.seed)
        self.x, self.y = self._arrays(kept[judged])
        self._raw = self.x
        x, y = self._arrays(final) if len(final) else (self.x[:0], self.y[:0])
        self.test = TestSplit(x, y)
        self.classes = classes
        if classes is None and self.y.dtype == np.int32:
            self.classes = int(max(part.max(initial=0) for part in (self.y, y))) + 1
        self._assign(kept[train])
        self._judged = kept[judged]

    def _assign(self, train: np.ndarray) -> None:
        self.train = train.astype(np.int32)
        self.validation = np.arange(len(self.y), dtype=np.int32)
        self.folds = [(self.train, self.validation)]

    def whole(self) -> GrainData:
        """Everything but the test part to train on; metrics are those of a part of it."""
        other = object.__new__(GrainData)
        other.__dict__.update(self.__dict__)
        other._assign(np.sort(np.concatenate([self.train, self._judged])))
        return other

    def inputs(self, x: Any) -> np.ndarray:
        """Inputs as programs take them.

        Raises:
            DataError: another shape, or values that are not finite.
        """
        x = _numbers("x", x)
        if x.shape[1:] != self.x.shape[1:]:
            raise DataError(f"x: expected examples of shape {self.x.shape[1:]}, got {x.shape[1:]}.")
        return x

    def transform(self, x: Any, fold: int = 0) -> np.ndarray:
        """As :meth:`inputs`; nothing is normalised, which belongs into the source."""
        return self.inputs(x)

    def __repr__(self) -> str:
        return (
            f"GrainData(x={self.x.shape[1:]}, train={len(self.train)}, "
            f"validation={len(self.validation)}, test={len(self.test)}, block={self.block})"
        )

    # ------------------------------------------------------------------ reading

    def judged_arrays(self) -> Arrays:
        """The validation part, as programs take it."""
        from bojax.training.population import arranged

        return arranged(self.x, self.y, [(np.zeros(1, np.int32), self.validation)])

    def empty_block(self) -> Arrays:
        """A block without examples: the shapes that every block has."""
        x = np.zeros((self.block, *self.x.shape[1:]), self.x.dtype)
        y = np.zeros((self.block, *self.y.shape[1:]), self.y.dtype)
        train = np.arange(self.block, dtype=np.int32)[None]
        nothing = np.zeros((1, 0), np.int32)
        return Arrays(
            x, y, train, np.zeros(1, np.int32), nothing, nothing.astype(np.float32),
            first=np.int32(0),
        )  # fmt: skip

    def pieces(self, start: int, stop: int, batch_size: int) -> list[Piece]:
        """The blocks that these steps train on, of those from `start` and before `stop`.

        Example:
            >>> import bojax, numpy as np
            >>> pairs = [(np.float32(i), np.float32(i)) for i in range(100)]
            >>> data = bojax.training.GrainData(
            ...     pairs, split=bojax.Holdout(validation=0.1, test=0.2), block=32)
            >>> [tuple(piece) for piece in data.pieces(4, 8, batch_size=16)]
            [(2, 0, 64, 6, 4, 1), (3, 1, 0, 32, 5, 2), (4, 1, 32, 32, 7, 2)]
        """
        total = len(self.train)
        epoch_steps, blocks = steps_per_epoch(total, batch_size), -(-total // self.block)
        found = []
        for epoch in range(start // epoch_steps, -(-stop // epoch_steps)):
            for i, low in enumerate(range(0, total, self.block)):
                count = min(self.block, total - low)
                first = epoch * epoch_steps + low // batch_size
                steps = steps_per_epoch(count, batch_size)
                if first < stop and first + steps > start:
                    number = epoch * blocks + i
                    found.append(Piece(number, epoch, low, count, first, steps))
        return found

    def blocks(self, pieces: list[Piece], seed: int) -> Generator[tuple[Piece, Arrays], None, None]:
        """Each piece and its examples, read while the caller works on the one before.

        Close it when done; what is being read is waited for.
        """
        ordered = self._ordered(seed)
        with ThreadPoolExecutor(1, "bojax-read") as reader:
            waiting = reader.submit(self._read, ordered, pieces[0]) if pieces else None
            for i, piece in enumerate(pieces):
                assert waiting is not None
                block = waiting.result()
                if i + 1 < len(pieces):
                    waiting = reader.submit(self._read, ordered, pieces[i + 1])
                yield piece, block
                del block

    def _ordered(self, seed: int) -> Any:
        """Places in `train`, epoch after epoch, each in its own order."""
        import grain

        places = grain.MapDataset.range(len(self.train))
        if not self.shuffle:
            return places
        return places.shuffle(seed=int(np.random.SeedSequence(seed).generate_state(1)[0]))

    def _read(self, ordered: Any, piece: Piece) -> Arrays:
        begin = piece.epoch * len(self.train) + piece.low
        places = [ordered[i] for i in range(begin, begin + piece.examples)]
        x, y = self._arrays(self.train[places])
        self._check_like_validation(x, y)
        block = self.empty_block()
        block.x[: piece.examples], block.y[: piece.examples] = x, y
        return block._replace(
            count=np.array([piece.examples], np.int32), first=np.int32(piece.first)
        )

    def _check_like_validation(self, x: np.ndarray, y: np.ndarray) -> None:
        for name, mine, rest in (("x", x, self.x), ("y", y, self.y)):
            if mine.shape[1:] != rest.shape[1:] or mine.dtype != rest.dtype:
                raise DataError(
                    f"GrainData: a training block has {name} of {mine.dtype}{mine.shape[1:]}, the "
                    f"validation part {rest.dtype}{rest.shape[1:]}; the source must give one kind."
                )
        if self.classes is not None and y.dtype == np.int32 and y.max() >= self.classes:
            raise DataError(
                f"GrainData: a training example has label {int(y.max())}, the validation and test "
                f"parts have {self.classes} classes; give classes={int(y.max()) + 1} or more."
            )

    def _arrays(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        one = lambda number: _pair(self._records[number], number)  # noqa: E731
        if self.threads == 1:
            pairs = [one(number) for number in numbers.tolist()]
        else:
            with ThreadPoolExecutor(self.threads, "bojax-record") as pool:
                pairs = list(pool.map(one, numbers.tolist()))
        try:
            x, y = (np.stack(column) for column in zip(*pairs, strict=True))
        except ValueError as error:
            raise DataError(f"GrainData: examples have different shapes; {error}.") from error
        return _checked(x, y)


def block_spans(spans: np.ndarray, piece: Piece, block: int, batch_size: int) -> np.ndarray:
    """Spans of all steps as a block's program takes them: the block is the epoch of its number.

    Args:
        spans: int32 `[n, 3]`.
        piece: the block.
        block, batch_size: examples of a full block, and of a step.

    Example:
        >>> import numpy as np
        >>> from bojax.training.streamed import Piece, block_spans
        >>> spans = np.array([[0, 9, 70], [6, 7, 70], [9, 12, 70]], np.int32)
        >>> block_spans(spans, Piece(3, 1, 0, 32, first=5, steps=2), 32, 16).tolist()
        [[6, 8, 32], [7, 8, 32], [8, 8, 32]]
    """
    found = np.array(spans)
    found[:, :2] = piece.number * (block // batch_size) + np.clip(
        spans[:, :2] - piece.first, 0, piece.steps
    )
    found[:, 2] = block
    return found


class EpochMean:
    """Means of losses over the last epoch that each row of a layout trains in.

    Args:
        spans: int `[rows, 3]`, all steps of the call.
        batch_size: examples a step, fewer in an epoch's last.
    """

    def __init__(self, spans: np.ndarray, batch_size: int) -> None:
        self._spans, self._size = spans, batch_size
        self._epoch = np.full(len(spans), -1)
        self._total: Any = 0.0
        self._seen = np.zeros((len(spans), 1))

    def add(self, piece: Piece, losses: np.ndarray) -> np.ndarray:
        """The means so far, with a block's: float64 `[rows, C]`, like the losses.

        Example:
            >>> import numpy as np
            >>> from bojax.training.streamed import EpochMean, Piece
            >>> mean = EpochMean(np.array([[0, 3, 40]]), 16)
            >>> mean.add(Piece(0, 0, 0, 32, 0, 2), np.array([[1.0]]))
            array([[1.]])
            >>> mean.add(Piece(1, 0, 32, 8, 2, 1), np.array([[6.0]]))
            array([[2.]])
        """
        steps = np.clip(self._spans[:, :2] - piece.first, 0, piece.steps)
        examples = np.minimum(steps * self._size, piece.examples)
        seen = np.diff(examples, axis=1).astype(np.float64)
        new = (seen[:, 0] > 0) & (self._epoch != piece.epoch)
        kept = ~new[:, None]
        self._epoch = np.where(new, piece.epoch, self._epoch)
        share = np.where(seen > 0, losses.astype(np.float64) * seen, 0.0)
        self._total = np.where(kept, self._total, 0.0) + share
        self._seen = np.where(kept, self._seen, 0.0) + seen
        return np.where(self._seen > 0, self._total / np.maximum(self._seen, 1.0), losses)


def _checked_source(source: Any) -> Any:
    try:
        import grain  # noqa: F401
    except ImportError as missing:
        raise ConfigError("GrainData needs Grain: pip install 'bojax[grain]'.") from missing
    if not hasattr(source, "__len__") or not hasattr(source, "__getitem__"):
        raise DataError(
            f"GrainData: source needs len(source) and source[i], got {type(source).__name__}."
        )
    return source


def _pair(record: Any, number: int) -> tuple[np.ndarray, np.ndarray]:
    if hasattr(record, "keys") and {"x", "y"} <= set(record.keys()):
        return np.asarray(record["x"]), np.asarray(record["y"])
    if isinstance(record, (tuple, list)) and len(record) == 2:
        return np.asarray(record[0]), np.asarray(record[1])
    raise DataError(
        f"GrainData: example {number} is {type(record).__name__}; expected a mapping with 'x' and "
        "'y', or a pair."
    )
