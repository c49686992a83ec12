"""Where members live between calls: flat NumPy arrays, a row a member.

A call trains the members that are asked for, not those that wait, and puts them in any
slot; so states are kept on the host, and a call gathers its members and scatters them
back. On a CPU that is a copy of a few megabytes a rung.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np


class Bank:
    """Rows of one pytree structure.

    Args:
        shapes: the pytree of one member, as abstract arrays.
    """

    def __init__(self, shapes: Any) -> None:
        named, self.structure = jax.tree_util.tree_flatten_with_path(shapes)
        self.names = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in named]
        self.shapes = [(tuple(leaf.shape), np.dtype(leaf.dtype)) for _, leaf in named]
        self._leaves = [np.zeros((0, *shape), dtype) for shape, dtype in self.shapes]
        self._rows: dict[int, int] = {}
        self._free: list[int] = []

    @property
    def trials(self) -> list[int]:
        """Trials whose state is here."""
        return list(self._rows)

    def __contains__(self, trial: int) -> bool:
        return trial in self._rows

    def read(self, trials: Sequence[int]) -> list[np.ndarray]:
        """Leaves `[n, ...]` of these trials."""
        rows = [self._rows[trial] for trial in trials]
        return [leaf[rows] for leaf in self._leaves]

    def write(self, trials: Sequence[int], leaves: Sequence[np.ndarray]) -> None:
        """Keep leaves `[n, ...]`; known trials are overwritten."""
        rows = self._claim(trials)
        for mine, new in zip(self._leaves, leaves, strict=True):
            mine[rows] = new

    def member(self, trial: int) -> Any:
        """One trial's pytree."""
        return jax.tree.unflatten(self.structure, [leaf[0] for leaf in self.read([trial])])

    def drop(self, trial: int) -> None:
        """Forget a trial; its row is used again."""
        self._free.append(self._rows.pop(trial))

    def reserve(self, trials: Sequence[int]) -> None:
        """Room for these trials, in one piece: growing call by call would copy, and double."""
        new = sum(trial not in self._rows for trial in trials)
        self._grow(new - len(self._free))

    def _grow(self, more: int) -> None:
        if more > 0:
            held = len(self._leaves[0]) if self._leaves else len(self._rows)
            self._leaves = [
                np.concatenate([leaf, np.zeros((more, *leaf.shape[1:]), leaf.dtype)])
                for leaf in self._leaves
            ]
            self._free.extend(range(held + more - 1, held - 1, -1))

    def _claim(self, trials: Sequence[int]) -> list[int]:
        new = [trial for trial in trials if trial not in self._rows]
        self._grow(len(new) - len(self._free))
        for trial in new:
            self._rows[trial] = self._free.pop()
        return [self._rows[trial] for trial in trials]
