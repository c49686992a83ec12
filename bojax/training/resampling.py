"""Data at another size: images of fewer pixels, sequences of fewer places.

Images are averaged over areas: a pixel of the smaller image is the mean of what it covers, parts
of pixels counted in proportion, so that the mean of an image stays what it was. Where the sides
divide it is the mean of a block. Images of fewer pixels as a cheap fidelity: P. Chrabaszcz,
I. Loshchilov, F. Hutter, "A downsampled variant of ImageNet as an alternative to the CIFAR
datasets", arXiv:1707.08819, 2017.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bojax.errors import DataError, TaskError
from bojax.training.data import ArrayData

_AT_ONCE = 1024  # images resampled together: bounds the float32 copy of them


def own_size(data: Any, unit: str) -> int:
    """What `unit` counts of the data as it is: the longer side of its images, or its places.

    Raises:
        DataError: the data has no such axes.

    Example:
        >>> import bojax, numpy as np
        >>> from bojax.training.resampling import own_size
        >>> data = bojax.ArrayData(np.zeros((20, 6, 8, 3)), np.arange(20) % 2)
        >>> own_size(data, "resolution"), own_size(data, "length")
        (8, 6)
    """
    if not isinstance(data, ArrayData):
        raise DataError(f"unit={unit!r}: expected a bojax.ArrayData, got {type(data).__name__}.")
    shape = data._raw.shape
    if unit == "resolution":
        if len(shape) not in (3, 4):
            raise DataError(
                "unit='resolution': x must be images, [N, H, W] or [N, H, W, C], got examples of "
                f"shape {shape[1:]}; use another unit."
            )
        return max(shape[1:3])
    if len(shape) < 2:
        raise DataError(
            f"unit='length': x must be sequences, [N, L, ...], got shape {shape}; use another unit."
        )
    return int(shape[1])


def check_largest(data: Any, unit: str, max_budget: float) -> None:
    """The last rung is that of the data as it is.

    Raises:
        TaskError: `max_budget` is another size.
        DataError: the data has no such axes.
    """
    own = own_size(data, unit)
    if max_budget != own:
        raise TaskError(
            f"max_budget: with unit={unit!r} the last rung trains on the data as it is, of size "
            f"{own}, got {max_budget!r}; give max_budget={own}, or data of that size."
        )


def resampled(data: ArrayData, unit: str, size: int) -> ArrayData:
    """The same examples at another size, in the same parts; the test part stays as it is.

    Where the data is normalised, by what the resampled training part has.

    Args:
        data: as it is.
        unit: "resolution" or "length".
        size: from 1 to the data's own.

    Example:
        >>> import bojax, numpy as np
        >>> from bojax.training.resampling import resampled
        >>> data = bojax.ArrayData(np.zeros((20, 8, 8)), np.arange(20) % 2)
        >>> resampled(data, "resolution", 4).x.shape
        (16, 4, 4)
    """
    if size == own_size(data, unit):
        return data
    x = resampled_inputs(data._raw, unit, size)
    return data.with_examples(x, cut_targets(data.y, data, unit, size))


def resampled_inputs(x: np.ndarray, unit: str, size: int) -> np.ndarray:
    """Images `x[N, H, W, ...]` whose longer side is `size`, or the first `size` places of `x`.

    Integers stay integers, rounded to the nearest and halves to even.

    Example:
        >>> import numpy as np
        >>> from bojax.training.resampling import resampled_inputs
        >>> image = np.array([[[1, 3, 10, 10], [5, 7, 10, 14]]], np.uint8)
        >>> resampled_inputs(image, "resolution", 2).tolist()
        [[[4, 11]]]
    """
    if unit == "length":
        return x[:, :size]
    height, width = x.shape[1:3]
    sides = [max(round(side * size / max(height, width)), 1) for side in (height, width)]
    down, across = (area_weights(*pair) for pair in zip((height, width), sides, strict=True))
    small = np.empty((len(x), *sides, *x.shape[3:]), x.dtype)
    for begin in range(0, len(x), _AT_ONCE):
        part = slice(begin, begin + _AT_ONCE)
        rows = np.tensordot(x[part].astype(np.float32), down, axes=(1, 1))  # [n, W, ..., h]
        pixels = np.tensordot(rows, across, axes=(1, 1))  # [n, ..., h, w]
        pixels = np.moveaxis(pixels, (-2, -1), (1, 2))
        small[part] = np.rint(pixels) if np.issubdtype(x.dtype, np.integer) else pixels
    return small


def cut_targets(y: np.ndarray, data: ArrayData, unit: str, size: int) -> np.ndarray:
    """Targets `y[n, L, ...]` to their first places, where the data's have an axis of time."""
    timed = unit == "length" and data.y.ndim > 1 and data.y.shape[1] == data._raw.shape[1]
    return y[:, :size] if timed else y


def area_weights(before: int, after: int) -> np.ndarray:
    """What share each of `before` cells has of each of `after`: float32 `[after, before]`.

    Example:
        >>> from bojax.training.resampling import area_weights
        >>> (3 * area_weights(3, 2)).tolist()
        [[2.0, 1.0, 0.0], [0.0, 1.0, 2.0]]
    """
    # Overlaps of [i / after, (i + 1) / after] and [j / before, (j + 1) / before] in whole
    # numbers, so that equal shares are equal.
    i, j = np.arange(after)[:, None], np.arange(before)
    overlap = np.minimum((i + 1) * before, (j + 1) * after) - np.maximum(i * before, j * after)
    return (np.maximum(overlap, 0) / before).astype(np.float32)
