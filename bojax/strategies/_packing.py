"""What a session keeps apart: arrays as JSON and back, its key, and how lines are told apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np


def packed(array: Any) -> dict[str, Any]:
    """An array's dtype, shape and bytes.

    Example:
        >>> from bojax.strategies._packing import packed, unpacked
        >>> unpacked(packed([0.1, 0.2])).tolist()
        [0.1, 0.2]
    """
    array = np.asarray(array)
    return {"dtype": array.dtype.str, "shape": list(array.shape), "hex": array.tobytes().hex()}


def unpacked(data: dict[str, Any]) -> np.ndarray:
    """The array that :func:`packed` wrote."""
    flat = np.frombuffer(bytes.fromhex(data["hex"]), np.dtype(data["dtype"]))
    return flat.reshape(data["shape"]).copy()


def key_bits(seed: int) -> np.ndarray:
    """The raw bits of `jax.random.key(seed)`, without starting a program: threefry's pair."""
    seed = int(seed) % 2**64
    return np.array([seed >> 32, seed & 0xFFFFFFFF], np.uint32)


def places(trials: Sequence[int], rows: np.ndarray) -> Iterator[tuple[int, bytes]]:
    """What tells the lines of a history apart; 0.0 and -0.0 are the same coordinate."""
    for trial, row in zip(trials, rows + 0.0, strict=True):
        yield int(trial), row.tobytes()
