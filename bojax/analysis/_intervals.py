"""Means and their intervals, one line each, beside a line that they are compared with."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

from bojax.analysis._bench_pictures import _figures, _saved
from bojax.errors import DataError

WIDTH, HEIGHT, EACH = 8.2, 1.2, 0.32  # inches; EACH a line


def interval_picture(
    intervals: Mapping[str, Any],
    *,
    line: float = 0.0,
    title: str = "",
    below: str = "",
    save: str | os.PathLike[str] | None = None,
) -> Any:
    """A point and its interval a line, the first on top, beside an upright line.

    Colours say what an interval says: wholly left of the line, wholly right of it, or neither.

    Args:
        intervals: name -> :class:`bojax.stats.Interval`, or anything with `mean`, `low`, `high`.
        line: where the upright line is.
        title: above.
        below: what is measured, under the axis.
        save: a PNG to write as well.

    Returns:
        The `matplotlib.figure.Figure`.

    Raises:
        DataError: no interval, or one that is not finite, by name.
        ImportError: matplotlib is not installed.

    Example:
        >>> from bojax.analysis import interval_picture
        >>> from bojax.stats import Interval
        >>> figure = interval_picture({"tpe": Interval(-0.1, -0.2, 0.0)}, below="log10 ratio")
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['tpe']
    """
    if not intervals:
        raise DataError("intervals: expected at least one, got none.")
    for name, one in intervals.items():
        if not all(map(math.isfinite, (one.mean, one.low, one.high))):
            raise DataError(f"intervals: {name!r} is not finite: {one}.")
    return _saved(_drawn(intervals, line, title, below), save)


def _drawn(intervals: Mapping[str, Any], line: float, title: str, below: str) -> Any:
    figures = _figures()
    figure = figures._blank((WIDTH, HEIGHT + EACH * len(intervals)))
    axes = figure.subplots()
    axes.axvline(line, color=figures.INK, linewidth=1.2, zorder=1)
    better, worse = figures.COLOURS[0], figures.COLOURS[1]
    for place, one in enumerate(intervals.values()):
        colour = better if one.high < line else worse if one.low > line else figures.SOFT
        axes.errorbar(
            one.mean, place, fmt="o", color=colour, markersize=6, capsize=0, elinewidth=2.2,
            xerr=[[max(one.mean - one.low, 0.0)], [max(one.high - one.mean, 0.0)]], zorder=3,
        )  # fmt: skip
    figures._dress(axes, title, below, "")
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.set_yticks(range(len(intervals)), list(intervals))
    axes.set_ylim(len(intervals) - 0.5, -0.5)
    return figure
