"""The figures of the bench. Importing this loads matplotlib; see `_figures` for how they look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from bojax.analysis._bench_numbers import Band, Cost
from bojax.analysis._figures import COLOURS, INK, SOFT, _blank, _dress, _label_ends

REGRET_INCHES = (11.0, 4.8)
ALONE_INCHES = (6.4, 4.4)  # of the regret curves where there is one family
RANK_INCHES = (6.4, 4.4)
COST_INCHES = (6.8, 4.6)
LEVEL_INCHES = (2.4, 0.9, 0.34)  # width a panel of calibration; height, and more a surrogate
GAP = 0.047  # of labels of one line, as a share of the axis
BAND_ALPHA = 0.12
DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1)))  # once the colours are used up
PLAIN = ("random", "sobol")  # what has no model: grey, told apart by dashes
MARGIN = 0.14  # of a log axis around its points, which have names beside them
FEW_DECADES = 2.2  # of a log axis, below which 2 and 5 are ticks as well
NOT_ALL = "not run on all instances"
REGRET_AXIS = "regret (1: median random point)"


def style(methods: Sequence[str], ours: str | None) -> dict[str, dict[str, Any]]:
    """Colour, dashes, width and order of each method, the same in all panels.

    The first colour is for ours alone; methods without a model are grey.
    """
    found: dict[str, dict[str, Any]] = {}
    peers = plain = 0
    for method in methods:
        if method == ours:
            look = {"color": COLOURS[0], "linestyle": "-", "linewidth": 2.8, "zorder": 5}
        elif method.startswith(PLAIN):
            look = {"color": SOFT, "linestyle": DASHES[plain % 3], "linewidth": 1.4, "zorder": 2}
            plain += 1
        else:
            colours = COLOURS[1:]
            dashes = DASHES[peers // len(colours) % 3]
            colour = colours[peers % len(colours)]
            look = {"color": colour, "linestyle": dashes, "linewidth": 1.6, "zorder": 3}
            peers += 1
        found[method] = look
    return found


def regret_figure(
    overall: Mapping[str, Band],
    families: Mapping[str, Mapping[str, Band]],
    instances: Mapping[str, int],
    methods: Sequence[str],
    left_out: Sequence[str],
    ours: str | None,
) -> Figure:
    """Large: all instances, `instances[""]` of them. Small beside it: each family."""
    looks = style(methods, ours)
    small = list(families) if len(families) > 1 else []
    figure = _blank(REGRET_INCHES if small else ALONE_INCHES)
    large, *others = _panels(figure, len(small))
    _curves(large, overall, looks, banded=list(overall))
    large.set_yscale("log")
    _plain_log(large.yaxis)
    count = instances[""]
    title = f"All {count} instances" if small else f"{count} instances"
    _dress(large, title, "evaluations" + _without(NOT_ALL, left_out), REGRET_AXIS)
    _label_ends(large, _ends(overall, looks), GAP)
    for name, axes in zip(small, others, strict=True):
        _curves(axes, families[name], looks, banded=[ours])
        axes.set_yscale("log")
        _plain_log(axes.yaxis)
        _dress(axes, f"{name} ({instances[name]})", "", "")
        axes.title.set_fontsize(10)
    return figure


def rank_figure(
    bands: Mapping[str, Band], methods: Sequence[str], runs: int, ours: str | None
) -> Figure:
    """Mean rank after each evaluation, the best on top; `methods` are also those unranked."""
    looks = style(methods, ours)
    unranked = [method for method in methods if method not in bands]
    figure = _blank(RANK_INCHES)
    axes = figure.subplots()
    _curves(axes, bands, looks, banded=list(bands))
    title = f"Mean rank of the best so far, over {runs} runs of each"
    below = "evaluations" + _without("on too few instances", unranked)
    _dress(axes, title, below, f"rank among {len(bands)} (1 is best)")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.invert_yaxis()
    _label_ends(axes, _ends(bands, looks), GAP)
    return figure


def cost_figure(
    costs: Mapping[str, Cost], methods: Sequence[str], left_out: Sequence[str], ours: str | None
) -> Figure:
    """A point a method: its own seconds a run against the regret it reached."""
    looks = style(methods, ours)
    figure = _blank(COST_INCHES)
    axes = figure.subplots()
    axes.set_xscale("log")
    axes.set_yscale("log")
    every = [(*cost.seconds, cost.seconds[1] + cost.compile_seconds) for cost in costs.values()]
    axes.set_xlim(_around([max(seconds, 1e-6) for one in every for seconds in one]))
    axes.set_ylim(_around([float(v[0]) for c in costs.values() for v in vars(c.regret).values()]))
    points = []
    for method, cost in costs.items():
        colour, order = looks[method]["color"], looks[method]["zorder"]
        low, x, high = (max(seconds, 1e-6) for seconds in cost.seconds)
        y, below, above = (float(line[0]) for line in vars(cost.regret).values())
        axes.errorbar(
            x, y, fmt="o", color=colour, markersize=9 if method == ours else 6, zorder=order,
            xerr=[[x - low], [high - x]], yerr=[[y - below], [above - y]],
            elinewidth=1.4, capsize=0, label=method,
        )  # fmt: skip
        points.append((x, y, method, colour))
        if cost.compile_seconds > 0:
            later = x + cost.compile_seconds
            axes.plot([x, later], [y, y], ":", color=colour, linewidth=1.4, zorder=order)
            axes.plot(later, y, "o", markerfacecolor="white", color=colour, markersize=6,
                      zorder=order)  # fmt: skip
    compiled = any(cost.compile_seconds > 0 for cost in costs.values())
    title = "Quality against time" + ("; hollow: compiling added" if compiled else "")
    caption = "seconds of the method itself, a whole run" + _without(NOT_ALL, left_out)
    _dress(axes, title, caption, f"final {REGRET_AXIS}")
    _plain_log(axes.yaxis)
    _plain_log(axes.xaxis)
    _name_points(axes, points)
    return figure


def calibration_figure(found: Mapping[float, Mapping[str, Band]], ours: str | None) -> Figure:
    """One panel a nominal coverage: what was found, a point a surrogate, beside a line."""
    names = list(dict.fromkeys(name for level in found.values() for name in level))
    looks = style(names, ours)
    width, height, more = LEVEL_INCHES
    figure = _blank((width * (len(found) + 0.5), height + more * max(len(names), 2)))
    panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    for axes, (level, bands) in zip(panels, found.items(), strict=True):
        axes.axvline(100 * level, color=INK, linewidth=1.2, zorder=1)
        for name, band in bands.items():
            low, middle, high = (100 * float(x[0]) for x in (band.low, band.middle, band.high))
            axes.errorbar(
                middle, names.index(name), fmt="o", color=looks[name]["color"], zorder=3,
                xerr=[[middle - low], [high - middle]], elinewidth=2, capsize=0,
                markersize=8 if name == ours else 6, label=name,
            )  # fmt: skip
        _dress(axes, f"{100 * level:g} % intervals", "% found inside", "")
        axes.grid(axis="x", visible=False)
        axes.tick_params(axis="y", length=0)
        axes.set_yticks(range(len(names)), names)
        axes.margins(x=0.15)
    axes.set_ylim(len(names) - 0.5, -0.5)  # shared: the first on top
    for label, name in zip(panels[0].get_yticklabels(), names, strict=True):
        label.set(color=looks[name]["color"], fontweight="bold")
    return figure


def _panels(figure: Figure, small: int) -> list[Any]:
    """A large panel, and small ones right of it."""
    if not small:
        return [figure.subplots()]
    columns = 2 if small > 2 else 1
    rows = -(-small // columns)
    grid = figure.add_gridspec(rows, columns + 1, width_ratios=[1.9] + [0.9] * columns)
    places = [divmod(number, columns) for number in range(small)]
    return [
        figure.add_subplot(grid[:, 0]),
        *(figure.add_subplot(grid[row, 1 + column]) for row, column in places),
    ]


def _curves(
    axes: Any, bands: Mapping[str, Band], looks: Mapping[str, Any], banded: Sequence[str | None]
) -> None:
    longest = 1
    for method, band in bands.items():
        x = np.arange(1, len(band.middle) + 1)
        longest = max(longest, len(x))
        if method in banded:
            axes.fill_between(x, band.low, band.high, color=looks[method]["color"],
                              alpha=BAND_ALPHA, linewidth=0)  # fmt: skip
        axes.plot(x, band.middle, label=method, **looks[method])
    axes.set_xlim(0, longest * 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))


def _ends(bands: Mapping[str, Band], looks: Mapping[str, Any]) -> list[Any]:
    return [
        (len(band.middle), float(band.middle[-1]), method, looks[method]["color"])
        for method, band in bands.items()
    ]


def _plain_log(axis: Any) -> None:
    """Plain numbers at powers of ten, and at 2 and 5 where those are few."""
    low, high = sorted(axis.get_view_interval())
    few = np.log10(high / low) < FEW_DECADES
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if few else (1.0,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _without(why: str, methods: Sequence[str]) -> str:
    """What an axis says of methods that are not drawn."""
    return f"\n({why}: {', '.join(methods)})" if methods else ""


def _around(values: Sequence[float]) -> tuple[float, float]:
    """Ends of a log axis that leave room around positive values, were they all the same."""
    low, high = min(values), max(values)
    room = max(1.3, (high / low) ** MARGIN)
    return low / room, high * room


def _name_points(axes: Any, points: Sequence[tuple[float, float, str, str]]) -> None:
    """A name at each point, where it meets no other name and no point, if there is such a place."""
    axes.figure.draw_without_rendering()
    renderer = axes.figure.canvas.get_renderer()
    spots = [axes.transData.transform((x, y)) for x, y, _, _ in points]
    halo = [withStroke(linewidth=3, foreground="white")]
    taken: list[Any] = []
    for x, y, text, colour in points:
        best: tuple[int, Any, Any] | None = None
        for side, shift in [(h, s) for h in ("left", "right") for s in (0, 11, -11, 22, -22)]:
            note = axes.annotate(
                text, (x, y), (8 if side == "left" else -8, shift), textcoords="offset points",
                ha=side, va="center", color=colour, fontsize=9, fontweight="bold",
                annotation_clip=False, path_effects=halo, zorder=9,
            )  # fmt: skip
            box = note.get_window_extent(renderer)
            met = sum(box.overlaps(b) for b in taken) + sum(box.contains(*s) for s in spots)
            if best is None or met < best[0]:
                if best is not None:
                    best[1].remove()
                best = met, note, box
            else:
                note.remove()
            if best[0] == 0:
                break
        assert best is not None
        taken.append(best[2])
