"""Real data that need no network: Fashion-MNIST from its files, and texts letter by letter.

Nothing is downloaded. Fashion-MNIST is read from the files that everybody distributes; 200 of its
images come with bojax, so that examples and tests have something real to train on.
"""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from bojax.errors import DataError

__all__ = ["FASHION_MNIST", "LABELS", "characters", "fashion_mnist", "fashion_mnist_sample"]

FASHION_MNIST = "/usr/share/datasets/fashion-mnist"  # where Debian's package puts them
LABELS = (
    "T-shirt/top", "trouser", "pullover", "dress", "coat",
    "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
_SAMPLE = Path(__file__).parent / "fashion-mnist"
_PREFIXES = {"train": "train", "test": "t10k"}
_BYTES = 0x08  # idx's code of unsigned bytes, the only type these files have
_SIDE = 28
_REMEDY = (
    "install it (apt install dataset-fashion-mnist), or give a folder with the four files of "
    "https://github.com/zalandoresearch/fashion-mnist"
)


def fashion_mnist(
    folder: str | os.PathLike[str] | None = None, *, part: str = "train"
) -> tuple[np.ndarray, np.ndarray]:
    """Fashion-MNIST: pictures of clothes in ten classes, 60,000 to train on and 10,000 to test on.

    The files are those of its repository, `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`
    and the two of `t10k`, each plain or with `.gz`. (MNIST's have the same names and format.)

    Args:
        folder: where the files are; None for where Debian's package `dataset-fashion-mnist` puts
            them, `/usr/share/datasets/fashion-mnist`.
        part: "train" or "test".

    Returns:
        `(x, y)`: bytes `[N, 28, 28, 1]`, 0 for the background, and int32 labels `[N]`, whose
        names are `LABELS`. Both are as :class:`bojax.ArrayData` and the ready models take them.

    Raises:
        DataError: a file is missing, cut short or no idx file; images and labels do not fit.

    Example:
        >>> from bojax.training.datasets import fashion_mnist
        >>> x, y = fashion_mnist()  # doctest: +SKIP
        >>> x.shape, y.shape  # doctest: +SKIP
        ((60000, 28, 28, 1), (60000,))
        >>> fashion_mnist("no/such/folder")
        Traceback (most recent call last):
        ...
        bojax.errors.DataError: no/such/folder/train-images-idx3-ubyte: no such file, nor with ...

    References:
        H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking
        machine learning algorithms", 2017, arXiv:1708.07747.
    """
    if part not in _PREFIXES:
        raise DataError(f"part: expected 'train' or 'test', got {part!r}.")
    where, prefix = Path(FASHION_MNIST if folder is None else folder), _PREFIXES[part]
    x = _idx(where / f"{prefix}-images-idx3-ubyte", 3)
    y = _idx(where / f"{prefix}-labels-idx1-ubyte", 1)
    if x.shape[1:] != (_SIDE, _SIDE):
        raise DataError(f"{where}: expected images of 28 x 28 pixels, got {x.shape[1:]}.")
    if len(x) != len(y):
        raise DataError(
            f"{where}: {len(x)} images and {len(y)} labels of {prefix!r}; the files are not of "
            "one set."
        )
    if y.size and y.max() >= len(LABELS):
        raise DataError(f"{where}: expected labels from 0 to 9, got {int(y.max())}.")
    return x[..., None], y.astype(np.int32)


def fashion_mnist_sample() -> tuple[np.ndarray, np.ndarray]:
    """The first 20 images of each class of Fashion-MNIST's training part, which come with bojax.

    For examples and tests: too few to compare methods on.

    Returns:
        `(x, y)` as of :func:`fashion_mnist`: bytes `[200, 28, 28, 1]` and int32 labels `[200]`.

    Example:
        >>> import numpy as np
        >>> from bojax.training.datasets import LABELS, fashion_mnist_sample
        >>> x, y = fashion_mnist_sample()
        >>> x.shape, x.dtype, np.bincount(y).tolist()
        ((200, 28, 28, 1), dtype('uint8'), [20, 20, 20, 20, 20, 20, 20, 20, 20, 20])
        >>> [LABELS[label] for label in y[:3]]
        ['ankle boot', 'T-shirt/top', 'T-shirt/top']

    References:
        See :func:`fashion_mnist`; the licence (MIT) stands beside the files.
    """
    return fashion_mnist(_SAMPLE)


def characters(
    path: str | os.PathLike[str],
    *,
    length: int = 64,
    step: int | None = None,
    vocabulary: str | None = None,
) -> tuple[np.ndarray, np.ndarray, str]:
    """A text as windows in which each letter's successor is to be predicted.

    Window `n` begins at letter `n * step`; `y[n, t]` is the letter after `x[n, t]`, so that
    `y[:, :-1]` is `x[:, 1:]`. What is left at the end of the text is not used. This is what
    :class:`bojax.training.models.CharTransformer` takes, with `letters=len(vocabulary)`.

    Windows are in the order of the text: `bojax.Holdout(time=True)` validates on what comes after
    the training part. With a `step` below `length`, windows share letters, and parts that are
    drawn at random share them, too.

    Args:
        path: a text file, UTF-8; its line ends count as one letter.
        length: T, letters a window, from 1.
        step: letters from one window's beginning to the next's, from 1; None for `length`.
        vocabulary: the letters, in the order of their numbers, such as another text's; None for
            those of this text, sorted.

    Returns:
        `(x, y, vocabulary)`: `[N, T]` numbers of letters, bytes up to 256 letters and int32
        beyond; `[N, T]` int32; and the letters.

    Raises:
        DataError: no such file, no text in UTF-8, too short; a letter that the vocabulary lacks, or
            has twice; a length or step that is no positive integer.

    Example:
        >>> import os, tempfile
        >>> from bojax.training.datasets import characters
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "text")
        ...     with open(path, "w") as file:
        ...         _ = file.write("banana bandana")
        ...     x, y, vocabulary = characters(path, length=6)
        >>> vocabulary, x.shape
        (' abdn', (2, 6))
        >>> ["".join(vocabulary[i] for i in row) for row in (x[0], y[0], x[1], y[1])]
        ['banana', 'anana ', ' banda', 'bandan']
    """
    step = length if step is None else step
    for name, number in (("length", length), ("step", step)):
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < 1:
            raise DataError(f"characters: {name} is a positive integer, got {number!r}.")
    text = _text(Path(path))
    if len(text) <= length:
        raise DataError(
            f"{path}: {len(text)} letters are too few for a window of {length} and the letter "
            "after it; lower length."
        )
    numbers, vocabulary = _numbered(text, vocabulary, path)
    starts = np.arange(0, len(text) - length, step)
    windows = np.lib.stride_tricks.sliding_window_view(numbers, length + 1)[starts]
    kind = np.uint8 if len(vocabulary) <= 256 else np.int32
    return windows[:, :-1].astype(kind), windows[:, 1:].astype(np.int32), vocabulary


# ------------------------------------------------------------------------ idx files


def _idx(path: Path, dimensions: int) -> np.ndarray:
    """The bytes of an idx file with so many dimensions, plain or, failing that, with `.gz`."""
    packed = path.with_name(path.name + ".gz")
    found = path if path.is_file() else packed
    if not found.is_file():
        raise DataError(f"{path}: no such file, nor with .gz; {_REMEDY}.")
    try:
        with cast(IO[bytes], gzip.open(found) if found is packed else open(found, "rb")) as file:
            return _contents(file, found, dimensions)
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{found}: no gzip file ({error}); {_REMEDY}.") from error
    except EOFError as error:
        raise DataError(f"{found}: cut short; {_REMEDY}.") from error


def _contents(file: IO[bytes], path: Path, dimensions: int) -> np.ndarray:
    """What an open idx file holds: two zeros, type, number of dimensions, sizes, the bytes."""
    head = file.read(4 + 4 * dimensions)
    if head[:4] != bytes((0, 0, _BYTES, dimensions)):
        raise DataError(
            f"{path}: no idx file of bytes in {dimensions} dimensions, it begins with "
            f"{head[:4].hex(' ') or 'nothing'}; {_REMEDY}."
        )
    if len(head) < 4 + 4 * dimensions:
        raise DataError(f"{path}: cut short in its header; {_REMEDY}.")
    shape = struct.unpack(f">{dimensions}I", head[4:])
    promised = int(np.prod(shape, dtype=object))
    body = file.read()
    if len(body) != promised:
        what = "cut short" if len(body) < promised else "longer than its header says"
        raise DataError(
            f"{path}: {what}, {len(body)} bytes instead of the {promised} of {shape}; {_REMEDY}."
        )
    return np.frombuffer(body, np.uint8).reshape(shape)


# ------------------------------------------------------------------------ texts


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give a text file.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 at byte {error.start}; convert it first.") from error


def _numbered(text: str, vocabulary: str | None, path: Any) -> tuple[np.ndarray, str]:
    """The number of every letter, and the letters."""
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    if vocabulary is None:
        used, numbers = np.unique(codes, return_inverse=True)
        return numbers, "".join(map(chr, used))
    known = np.frombuffer("".join(vocabulary).encode("utf-32-le"), np.uint32)
    order = np.argsort(known, kind="stable")
    known = known[order]
    if not known.size or (known[1:] == known[:-1]).any():
        raise DataError("characters: the vocabulary is empty or has a letter twice.")
    place = np.minimum(np.searchsorted(known, codes), len(known) - 1)
    unknown = known[place] != codes
    if unknown.any():
        at = int(np.argmax(unknown))
        raise DataError(
            f"{path}: the vocabulary lacks {text[at]!r}, letter {at} of the text; replace it, or "
            "make the vocabulary of both texts."
        )
    return order[place], "".join(vocabulary)
