"""Arrays as data JSON can hold, and back: to the bit."""

from __future__ import annotations

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
