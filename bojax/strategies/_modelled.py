"""Which lines of a long history a model is fitted to, since a fit is cubic in their number.

What was evaluated at the largest budgets comes first: it is the least there is and says the most.
Of each trial the last line stays, and of those before it the 2nd, 4th, 8th, ... from the end, for
a smooth curve says the same again and again. Where not all trials of a budget fit in, those that
stay are spread evenly over the order of their values, the best among them: the best alone would
tell a model that everything is good.
"""

from __future__ import annotations

import numpy as np

from bojax.history import History, Status, capacity_for, grow
from bojax.space import table as tables
from bojax.space.table import SpaceTable


def modelled(history: History, table: SpaceTable, most: int | None) -> History:
    """The same history with at most so many lines, in a capacity that has room for them.

    Args:
        history: NumPy arrays, ordered by (trial, fidelity).
        table: the space.
        most: lines, pending ones among them; None for all, and nothing is changed.

    Example:
        >>> import numpy as np, bojax
        >>> from bojax.history import empty_history
        >>> from bojax.strategies._modelled import modelled
        >>> space = bojax.Space({"x": bojax.Float(0, 1)})
        >>> history = empty_history(256, space.table.columns)
        >>> history.trial[:200], history.status[:200] = np.arange(200), bojax.Status.DONE
        >>> history.values[:200, 0] = np.arange(200) % 7
        >>> few = modelled(history, space.table, 64)
        >>> few.capacity, int((few.status == bojax.Status.DONE).sum()), few.values[:, 0].min()
        (64, 64, np.float64(0.0))
    """
    if most is None:
        return history
    pending = history.status == Status.PENDING
    final = (history.status != Status.EMPTY) & ~pending & (history.status != Status.STALE)
    room = max(most - int(pending.sum()), (most + 1) // 2)
    kept = _chosen(history, table, final, room) if final.sum() > room else final
    lines = np.flatnonzero(kept | pending)
    capacity = capacity_for(max(most, len(lines)))
    if capacity >= history.capacity:  # no smaller for that: only what is too many goes
        status = np.where(kept | pending, history.status, Status.EMPTY)
        return history._replace(status=status.astype(history.status.dtype))
    return grow(History(*(leaf[lines] for leaf in history)), capacity)


def _chosen(history: History, table: SpaceTable, final: np.ndarray, most: int) -> np.ndarray:
    """`[N]` bool: which final lines stay."""
    lines = np.flatnonzero(final)
    trial = history.trial[lines]
    # History is in order, so that a trial's lines stand together, the largest budget last.
    ends = np.flatnonzero(np.append(trial[1:] != trial[:-1], True))
    starts = np.concatenate([[0], ends[:-1] + 1])
    budget = np.where(table.role == tables.FIDELITY, history.rows, 0.0).sum(axis=1)
    values = np.nan_to_num(history.values[:, 0], nan=np.inf)
    order = sorted(
        range(len(ends)),
        key=lambda i: (-budget[lines[ends[i]]], values[lines[ends[i]]], trial[ends[i]]),
    )
    kept = np.zeros(len(history.trial), bool)
    left = most
    while order and left > 0:
        level = budget[lines[ends[order[0]]]]
        alike = [i for i in order if budget[lines[ends[i]]] == level]
        order = order[len(alike) :]
        for i in _spread_evenly(alike, left, ends - starts + 1):
            back = 1
            while back <= ends[i] - starts[i] + 1 and left > 0:
                kept[lines[ends[i] + 1 - back]] = True
                back, left = 2 * back, left - 1
    return kept


def _spread_evenly(trials: list[int], room: int, lengths: np.ndarray) -> list[int]:
    """As many of them as have room for their lines, evenly over their order."""
    each = [int(lengths[i]).bit_length() for i in trials]
    if sum(each) <= room:
        return trials
    count = max(1, int(room / (sum(each) / len(each))))
    picks = np.unique(np.linspace(0, len(trials) - 1, count).round().astype(int))
    return [trials[i] for i in picks]
