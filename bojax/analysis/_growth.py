"""How seconds grow with a size, on log axes, beside the fitted exponents."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from bojax.analysis._bench_pictures import _figures, _saved
from bojax.errors import DataError

INCHES = (6.8, 4.6)


def exponent(sizes: Any, seconds: Any) -> float:
    """Slope of log seconds over log size by least squares: seconds ~ size ** slope.

    Example:
        >>> round(exponent([1, 2, 4], [3.0, 12.0, 48.0]), 6)
        2.0
    """
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def growth_picture(
    growth: Mapping[str, Mapping[float, float]],
    *,
    below: str = "size",
    beside: str = "seconds",
    save: str | os.PathLike[str] | None = None,
) -> Any:
    """Seconds against size on log axes, a line each, with the exponent that fits it.

    Args:
        growth: name -> size -> seconds, at least two sizes each.
        below: what the sizes are of, under the axis.
        beside: what grows, if it is not seconds.
        save: a PNG to write as well.

    Returns:
        The `matplotlib.figure.Figure`. Dashed lines are the fitted powers.

    Raises:
        DataError: no line, one size only, or a size or seconds that are not above 0.
        ImportError: matplotlib is not installed.

    Example:
        >>> from bojax.analysis import growth_picture
        >>> figure = growth_picture({"fit": {64: 0.01, 128: 0.04, 256: 0.2}}, below="observations")
        >>> figure.axes[0].get_xscale(), figure.axes[0].lines[0].get_label()
        ('log', 'fit ~ size^2.2')
    """
    if not growth:
        raise DataError("growth: expected at least one line, got none.")
    for name, line in growth.items():
        if len(line) < 2 or min(*line, *line.values()) <= 0:
            raise DataError(
                f"growth: {name!r} needs two sizes or more, and sizes and {beside} above 0."
            )
    return _saved(_drawn(growth, below, beside), save)


def _drawn(growth: Mapping[str, Mapping[float, float]], below: str, beside: str) -> Any:
    figures = _figures()
    figure = figures._blank(INCHES)
    axes = figure.subplots()
    for number, (name, line) in enumerate(growth.items()):
        colour = figures.COLOURS[number % len(figures.COLOURS)]
        sizes = np.array(sorted(line), float)
        seconds = np.array([line[size] for size in sorted(line)])
        slope = exponent(sizes, seconds)
        fitted = np.exp(np.mean(np.log(seconds)) + slope * (np.log(sizes) - np.log(sizes).mean()))
        label = f"{name} ~ size^{round(slope, 1) + 0.0:.1f}"  # + 0: no "-0.0"
        axes.plot(sizes, seconds, "o-", color=colour, linewidth=1.8, markersize=4, label=label)
        axes.plot(sizes, fitted, "--", color=colour, linewidth=1.0)
    axes.set_xscale("log")
    axes.set_yscale("log")
    figures._plain_log(axes.xaxis)
    figures._plain_log(axes.yaxis)
    figures._dress(axes, "Growth", below, beside)
    # Lines end anywhere, so names at their ends would lie on other lines.
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=9)
    return figure
