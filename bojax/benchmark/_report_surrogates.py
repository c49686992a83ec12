"""Where one of our surrogates loses, from the rows of a comparison."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bojax.benchmark._report import number, reason, share
from bojax.benchmark._surrogate_rows import SurrogateComparison, SurrogateRow
from bojax.errors import DataError

SCORES = {"nrmse": "RMSE", "log_density": "log density", "crps": "CRPS"}


def surrogate_losses(
    rows: Sequence[SurrogateRow], ours: str
) -> tuple[list[str], list[str], list[str]]:
    """Against whom ours loses, is behind without the interval showing it, and fits slower.

    A pair is a data set, size and split that both were run on; who failed there loses it. It
    loses by a score where the interval of the share of pairs won is below a half. Seconds
    are medians of warm fits over the pairs in which neither failed.

    Raises:
        DataError: no row of `ours`.

    Example:
        >>> from bojax.benchmark import SurrogateRow, surrogate_losses
        >>> rows = [SurrogateRow(s, data, n=20, d=2, tests=9, split=k, nrmse=v, log_density=-v,
        ...                      crps=v, fit_seconds=1 / v)
        ...         for data in ("a", "b") for k in range(3) for s, v in (("gp", 1), ("b", 0.5))]
        >>> surrogate_losses(rows, "gp")[0][0]
        'b by RMSE (won 0.00 [0.00, 0.00] of 6 pairs)'
    """
    mine = {_place(row): row for row in rows if row.surrogate == ours}
    if not mine:
        known = ", ".join(sorted({row.surrogate for row in rows})) or "none at all"
        raise DataError(f"surrogate_losses: no row of {ours!r}; there are {known}.")
    lost, behind, slower = [], [], []
    for name in dict.fromkeys(row.surrogate for row in rows if row.surrogate != ours):
        theirs = {_place(row): row for row in rows if row.surrogate == name}
        shared = [place for place in mine if place in theirs]
        if len({place[0] for place in shared}) > 1:  # an interval is over data sets
            pairs = SurrogateComparison(tuple(side[p] for p in shared for side in (mine, theirs)))
            for score, label in SCORES.items():
                wins = pairs.wins(ours, name, score)
                told = f"{name} by {label} (won {share(wins)} of {len(shared)} pairs)"
                if wins.high < 0.5:
                    lost.append(told)
                elif wins.mean < 0.5:
                    behind.append(told)
        fine = [p for p in shared if not (mine[p].failure or theirs[p].failure)]
        if fine:
            own, its = (float(np.median([side[p].fit_seconds for p in fine]))
                        for side in (mine, theirs))  # fmt: skip
            if own > its:
                slower.append(f"{name} {number(its)} s a fit, {number(own)} s here")
    return lost, behind, slower


def surrogate_gaps(rows: Sequence[SurrogateRow]) -> list[str]:
    """What is missing or failed, a sentence a surrogate.

    Example:
        >>> from bojax.benchmark import SurrogateRow, surrogate_gaps
        >>> rows = [SurrogateRow(s, "a", n=20, d=2, tests=9, split=k, failure=f)
        ...         for s, k, f in (("gp", 0, ""), ("gp", 1, ""), ("b", 0, "crashed"))]
        >>> surrogate_gaps(rows)
        ['b: 1 of 2 runs are missing, 1 failed (first: crashed).']
    """
    everywhere, told = {_place(row) for row in rows}, []
    for name in dict.fromkeys(row.surrogate for row in rows):
        mine = [row for row in rows if row.surrogate == name]
        missing = len(everywhere - {_place(row) for row in mine})
        failed = [row.failure for row in mine if row.failure]
        parts = [f"{missing} of {len(everywhere)} runs are missing"] if missing else []
        parts += [f"{len(failed)} failed (first: {reason(failed[0])})"] if failed else []
        if parts:
            told.append(f"{name}: {', '.join(parts)}.")
    return told


def _place(row: SurrogateRow) -> tuple[str, int, int]:
    return row.dataset, row.n, row.split
