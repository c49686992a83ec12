"""The figures of a surrogate. Importing this loads matplotlib; see `_figures` for their looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from bojax.analysis._bench_figures import _plain_log
from bojax.analysis._figures import COLOURS, GREY, INK, SOFT, _blank, _dress
from bojax.analysis._surrogate_numbers import Coverage, Predictions, Slice

COVERAGE_INCHES = (5.0, 4.8)
LEFT_OUT_INCHES = (10.0, 4.6)
SLICE_INCHES = (3.1, 3.0)  # a panel
ABREAST = 4  # most panels in a row
FAR = 2.0  # deviations, beyond which a point is set off
ROOM = 0.06  # of an axis around its points
FEW = 12  # values of a discrete column up to which each has its bar
LONG = 22  # letters of all choices together beyond which they are slanted


def coverage_figure(found: Coverage, how: str) -> Figure:
    """Found against promised, with the band that chance alone fills."""
    figure = _blank(COVERAGE_INCHES)
    axes = figure.subplots()
    level, inside = 100 * found.level, 100 * found.found
    ends = np.array([0.0]), np.array([100.0])  # where nothing is left to chance
    at, low, high = (
        np.concatenate([ends[0], 100 * x, ends[1]]) for x in (found.level, found.low, found.high)
    )
    axes.fill_between(at, low, high, color=GREY, alpha=0.4, linewidth=0, label="chance")
    axes.plot([0, 100], [0, 100], color=INK, linewidth=1.2, label="promised")
    axes.plot(level, inside, "-o", color=COLOURS[0], linewidth=2.2, markersize=4, label="found")
    _dress(axes, f"Coverage of {found.n} observations, {how}", "promised, % of a central interval",
           "found inside, %")  # fmt: skip
    axes.set(xlim=(0, 100), ylim=(0, 100), aspect="equal")
    axes.text(
        4,
        96,
        "above: too cautious\ngrey: chance alone, 95 %",
        color=SOFT,
        fontsize=9,
        va="top",
        linespacing=1.5,
    )
    axes.text(96, 4, "below: too sure", color=SOFT, fontsize=9, ha="right")
    return figure


def left_out_figure(of: Predictions) -> Figure:
    """Left: predicted against observed. Right: the residuals in deviations."""
    figure = _blank(LEFT_OUT_INCHES)
    left, right = figure.subplots(1, 2)
    residual = of.standardised
    far = np.abs(residual) > FAR
    ends = np.concatenate([of.observed, of.mean])
    low, high = _room(ends)
    left.plot([low, high], [low, high], color=INK, linewidth=1.2, zorder=1)
    for which, colour, name in ((~far, COLOURS[0], "near"), (far, COLOURS[1], "far")):
        if which.any():
            left.errorbar(
                of.mean[which], of.observed[which], xerr=FAR * of.deviation[which], fmt="o",
                color=colour, ecolor=colour, elinewidth=1.0, markersize=4, capsize=0, label=name,
                alpha=0.8, zorder=3 if name == "far" else 2,
            )  # fmt: skip
            right.plot(of.mean[which], residual[which], "o", color=colour, markersize=4, label=name,
                       alpha=0.8, zorder=3)  # fmt: skip
    left.set(xlim=(low, high), ylim=(low, high))
    title = f"{len(residual)} observations, each left out"
    _dress(left, title, "predicted by the others, ±2 sd", "observed")
    right.axhspan(-FAR, FAR, color=GREY, alpha=0.3, linewidth=0, zorder=0)
    right.axhline(0, color=INK, linewidth=1.2, zorder=1)
    reach = 1.12 * max(1.5 * FAR, float(np.abs(residual).max()))
    right.set_ylim(-reach, reach)
    right.set_xlim(low, high)
    outside = f"{int(far.sum())} of {len(far)} beyond ±2 sd (4.6 % by chance)"
    _dress(right, outside, "predicted by the others", "residual, in sd")
    return figure


def slices_figure(found: Sequence[Slice]) -> Figure:
    """A panel a column: mean, ±2 sd, and where the point is; one axis of values for all."""
    down = -(-len(found) // ABREAST)
    across = -(-len(found) // down)
    width, height = SLICE_INCHES
    figure = _blank((width * across + 0.8, height * down + 0.4))
    panels = figure.subplots(down, across, sharey=True, squeeze=False)
    for place, axes in enumerate(panels.flat):
        if place >= len(found):
            axes.remove()
            continue
        _panel(axes, found[place], "value" if place % across == 0 else "")
    low = min(float((one.mean - 2 * one.deviation).min()) for one in found)
    high = max(float((one.mean + 2 * one.deviation).max()) for one in found)
    panels[0, 0].set_ylim(_room(np.array([low, high])))
    return figure


def _panel(axes: Any, one: Slice, beside: str) -> None:
    colour = COLOURS[0]
    low, high = one.mean - 2 * one.deviation, one.mean + 2 * one.deviation
    if one.log:
        axes.set_xscale("log")
    if one.discrete and len(one.x) <= FEW:
        axes.errorbar(one.x, one.mean, yerr=2 * one.deviation, fmt="o", color=colour,
                      elinewidth=5, alpha=0.35, markersize=0, capsize=0)  # fmt: skip
        own = np.argmin(np.abs(one.x - one.at))
        axes.plot(one.x, one.mean, "o", color=colour, markersize=6, label="mean")
        axes.plot(one.x[own], one.mean[own], "o", color=COLOURS[1], markersize=7, label="at")
    else:
        axes.fill_between(one.x, low, high, color=colour, alpha=0.18, linewidth=0)
        axes.plot(one.x, one.mean, color=colour, linewidth=2.2, label="mean")
        axes.axvline(one.at, color=COLOURS[1], linewidth=1.4, linestyle=(0, (4, 2)), label="at",
                     clip_on=False)  # fmt: skip
    _dress(axes, one.name, "", beside)
    if one.choices is not None:
        slanted = sum(map(len, one.choices)) > LONG
        axes.set_xticks(range(len(one.choices)), one.choices,
                        **({"rotation": 30, "ha": "right"} if slanted else {}))  # fmt: skip
        axes.set_xlim(-0.5, len(one.choices) - 0.5)
        axes.grid(axis="x", visible=False)
    elif one.discrete and len(one.x) <= FEW:
        axes.xaxis.set_major_locator(FixedLocator(one.x.tolist()))
        axes.xaxis.set_minor_locator(FixedLocator([]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.margins(x=0.1)
    else:
        axes.set_xlim(float(one.x.min()), float(one.x.max()))
        if one.log:
            _plain_log(axes.xaxis)
        else:
            axes.xaxis.set_major_locator(MaxNLocator(4))


def _room(values: np.ndarray) -> tuple[float, float]:
    """Ends of an axis a little wider than its points, were they all the same."""
    low, high = float(values.min()), float(values.max())
    room = ROOM * (high - low) or max(abs(high), 1.0) * ROOM
    return low - room, high + room
