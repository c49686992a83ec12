"""A history as rows of a table, and back: to the bit."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from bojax.history import History, Status, empty_history

ARRAYS = {
    "rows": "<f8",
    "values": "<f8",
    "variance": "<f8",
    "constraints": "<f8",
    "tag": "<i4",
    "raw": "<f8",
}
SCALARS = ("count", "cost")

Key = tuple[int, int]  # trial, and which of its lines


def lines_of(history: History) -> dict[Key, dict[str, Any]]:
    """(trial, line of that trial) -> the columns of its row; empty lines have none."""
    status = np.asarray(history.status)
    used = np.flatnonzero(status != Status.EMPTY)
    arrays = {
        name: np.ascontiguousarray(np.asarray(getattr(history, name))[used], kind)
        for name, kind in ARRAYS.items()
    }
    scalars = {
        name: np.asarray(getattr(history, name))[used].astype(float).tolist() for name in SCALARS
    }
    lines: dict[Key, dict[str, Any]] = {}
    seen: Counter[int] = Counter()
    for i, trial in enumerate(np.asarray(history.trial)[used].tolist()):
        line = {"status": int(status[used[i]])}
        line |= {name: None if math.isnan(x[i]) else x[i] for name, x in scalars.items()}
        line |= {name: array[i].tobytes() for name, array in arrays.items()}
        lines[trial, seen[trial]] = line
        seen[trial] += 1
    return lines


def history_of(shape: Mapping[str, int], rows: Iterable[Mapping[str, Any]]) -> History:
    """The history whose lines these are, ordered by (trial, line)."""
    history = empty_history(**shape)
    for i, row in enumerate(rows):
        history.trial[i], history.status[i] = row["trial"], row["status"]
        for name in SCALARS:
            getattr(history, name)[i] = math.nan if row[name] is None else row[name]
        for name, kind in ARRAYS.items():
            getattr(history, name)[i] = np.frombuffer(row[name], kind)
    return history
