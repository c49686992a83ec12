"""A history as rows of a table, and back: to the bit."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from bojax.history import History, Status, empty_history

# SQL would lose the bits of a NaN and the sign of a zero, so numbers are bytes as well.
# In the order of the table's columns.
LEAVES = {
    "count": "<f8",
    "cost": "<f8",
    "rows": "<f8",
    "values": "<f8",
    "variance": "<f8",
    "constraints": "<f8",
    "tag": "<i4",
    "raw": "<f8",
}
STATUS = "<i4"

Key = tuple[int, int]  # trial, and which of its lines


class Lines(NamedTuple):
    """What the table holds of a run, so that two histories are compared array by array.

    Attributes:
        keys: `[n]` int64, ascending: a trial in the upper half, which of its lines in the lower.
        data: `[n, width]` uint8: the status, then the leaves' bytes.
        sizes: bytes of each leaf in a line.
    """

    keys: np.ndarray
    data: np.ndarray
    sizes: tuple[int, ...]

    def differing_from(self, old: Lines) -> Iterable[tuple[Any, ...]]:
        """`(trial, line, status, *leaves)` of each line that `old` has not, or has otherwise."""
        changed = np.ones(len(self.keys), bool)
        if old.sizes == self.sizes and len(old.keys):
            spots = np.minimum(np.searchsorted(old.keys, self.keys), len(old.keys) - 1)
            changed = old.keys[spots] != self.keys
            changed |= (old.data[spots] != self.data).any(axis=1)
        ends = np.cumsum((np.dtype(STATUS).itemsize, *self.sizes)).tolist()
        places = [slice(begin, end) for begin, end in itertools.pairwise(ends)]
        status = np.ascontiguousarray(self.data[changed, : ends[0]]).view(STATUS)[:, 0]
        for key, number, data in zip(
            self.keys_at(changed), status.tolist(), self.data[changed], strict=True
        ):
            line = data.tobytes()
            yield *key, number, *[line[place] for place in places]

    def missing_in(self, new: Lines) -> list[Key]:
        """Keys of the lines that `new` has not."""
        return self.keys_at(~np.isin(self.keys, new.keys))

    def keys_at(self, chosen: np.ndarray) -> list[Key]:
        """The keys of chosen lines."""
        keys = self.keys[chosen]
        return list(zip((keys >> 32).tolist(), (keys & 0xFFFFFFFF).tolist(), strict=True))


def lines_of(history: History) -> Lines:
    """The lines of a history, of one trial in the order they have there; empty ones are none."""
    status = np.asarray(history.status)
    used = np.flatnonzero(status != Status.EMPTY)
    trials = np.asarray(history.trial)[used].astype(np.int64)
    order = np.argsort(trials, kind="stable")
    used, trials = used[order], trials[order]
    lines = np.arange(len(used)) - np.searchsorted(trials, trials)
    leaves = [
        _bytes(np.asarray(getattr(history, name))[used], kind)
        for name, kind in {"status": STATUS, **LEAVES}.items()
    ]
    sizes = tuple(leaf.shape[1] for leaf in leaves[1:])
    return Lines((trials << 32) | lines, np.concatenate(leaves, axis=1), sizes)


def stored_lines(shape: Mapping[str, int], rows: Iterable[Any]) -> Lines:
    """The lines that these rows of the table are, ordered by (trial, line).

    Args:
        shape: of the history they are to be compared with, as
            :func:`bojax.history.empty_history` takes it; lines of another equal none of it.
        rows: `(trial, line, status, *leaves)`.
    """
    sizes = lines_of(empty_history(**{**shape, "capacity": 1})).sizes
    keys, data = [], bytearray()
    for trial, line, status, *leaves in rows:
        keys.append((trial << 32) | line)
        fits = tuple(map(len, leaves)) == sizes
        data += np.array(status if fits else Status.EMPTY, STATUS).tobytes()
        data += b"".join(leaves) if fits else bytes(sum(sizes))
    width = np.dtype(STATUS).itemsize + sum(sizes)
    kept = np.frombuffer(data, np.uint8).reshape(len(keys), width)
    return Lines(np.array(keys, np.int64), kept, sizes)


def _bytes(leaf: np.ndarray, kind: str) -> np.ndarray:
    """`[n, bytes of a line]`, little-endian."""
    plain = np.ascontiguousarray(leaf, kind).reshape(len(leaf), math.prod(leaf.shape[1:]))
    return plain.view(np.uint8)


def history_of(shape: Mapping[str, int], rows: Iterable[Any]) -> History:
    """The history whose lines these are, ordered by (trial, line)."""
    history = empty_history(**shape)
    for i, row in enumerate(rows):
        history.trial[i], history.status[i] = row["trial"], row["status"]
        for name, kind in LEAVES.items():
            leaf = getattr(history, name)
            leaf[i] = np.frombuffer(row[name], kind).reshape(leaf.shape[1:])
    return history
