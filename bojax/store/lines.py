"""A history as rows of a table, and back: to the bit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from bojax.history import History, Status, empty_history

# SQL would lose the bits of a NaN and the sign of a zero, so numbers are bytes as well.
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

Key = tuple[int, int]  # trial, and which of its lines


def lines_of(history: History) -> dict[Key, dict[str, Any]]:
    """(trial, line of that trial) -> the columns of its row; empty lines have none."""
    status = np.asarray(history.status)
    used = np.flatnonzero(status != Status.EMPTY)
    arrays = {
        name: np.ascontiguousarray(np.asarray(getattr(history, name))[used], kind)
        for name, kind in LEAVES.items()
    }
    lines: dict[Key, dict[str, Any]] = {}
    seen: Counter[int] = Counter()
    for i, trial in enumerate(np.asarray(history.trial)[used].tolist()):
        line: dict[str, Any] = {name: array[i].tobytes() for name, array in arrays.items()}
        line["status"] = int(status[used[i]])
        lines[trial, seen[trial]] = line
        seen[trial] += 1
    return lines


def history_of(shape: Mapping[str, int], rows: Iterable[Any]) -> History:
    """The history whose lines these are, ordered by (trial, line)."""
    history = empty_history(**shape)
    for i, row in enumerate(rows):
        history.trial[i], history.status[i] = row["trial"], row["status"]
        for name, kind in LEAVES.items():
            leaf = getattr(history, name)
            leaf[i] = np.frombuffer(row[name], kind).reshape(leaf.shape[1:])
    return history
