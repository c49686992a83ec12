"""The figures themselves. Importing this loads matplotlib; no global state of it is touched.

Colours are those of Okabe and Ito (2008), told apart by colour-blind readers too; lines are
labelled where they end, so that nobody has to look up a legend.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from bojax.analysis._progress import best_so_far, curve_of, full_budget

DPI = 160
SWEEP_INCHES = (11.0, 4.4)
COMPARISON_INCHES = (1.7, 4.4)  # width a method (and one margin), height
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK, SOFT, GRID = "#222222", "#6b6b6b", "#e6e6e6"
GREY = "#c9c9c9"  # trials that were stopped
LOG_FROM = 4.0  # largest value over least from which a log axis shows more
MOST_TICKS = 7
LABEL_GAP = 0.1  # least distance of two labels, as a share of the axis


def sweep_figure(results: Mapping[str, Any]) -> Figure:
    """Two panels: best-so-far of each result, learning curves of the first."""
    figure = _blank(SWEEP_INCHES)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1))
    full = full_budget(results.values())
    _progress_panel(left, results, full)
    name, first = next(iter(results.items()))
    _curves_panel(right, name if len(results) > 1 else None, first, full)
    return figure


def comparison_figure(
    columns: Mapping[str, Sequence[float]],
    intervals: Mapping[str, Any],
    metric: str,
    direction: str,
    level: float,
) -> Figure:
    """One panel: values of each split joined by a line, mean and interval beside them."""
    width, height = COMPARISON_INCHES
    figure = _blank((width * (len(columns) + 1), height))
    axes = figure.subplots()
    values = list(columns.values())
    halo = [withStroke(linewidth=3, foreground="white")]
    for split in zip(*values, strict=True):
        axes.plot(range(len(columns)), split, color=GREY, linewidth=0.8, zorder=1)
    for place, (name, column) in enumerate(columns.items()):
        colour, interval = COLOURS[place % len(COLOURS)], intervals[name]
        axes.plot([place] * len(column), column, "o", color=colour, markersize=4, alpha=0.55,
                  markeredgewidth=0, zorder=2)  # fmt: skip
        axes.errorbar(place + 0.16, interval.mean, fmt="o", color=colour, markersize=7,
                      yerr=[[interval.mean - interval.low], [interval.high - interval.mean]],
                      elinewidth=2.2, capsize=0, zorder=3)  # fmt: skip
        axes.annotate(f"{interval.mean:.3g}", (place + 0.16, interval.mean), (8, 0),
                      textcoords="offset points", va="center", color=colour, fontsize=9,
                      fontweight="bold", path_effects=halo)  # fmt: skip
    better = "lower" if direction == "minimize" else "higher"
    title = f"{len(values[0])} splits, a line each; mean and {100 * level:g} % interval"
    _dress(axes, title, "", f"{metric} ({better} is better)")
    axes.set_xlim(-0.35, len(columns) - 0.4)
    axes.set_xticks(range(len(columns)), list(columns), fontsize=10, color=INK)
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="x", visible=False)
    _scale(axes, [value for column in values for value in column])
    return figure


def _progress_panel(axes: Any, results: Mapping[str, Any], full: float) -> None:
    drawn, ends = [], []
    for number, (name, result) in enumerate(results.items()):
        when, value = best_so_far(result, full)
        if not when:
            continue
        colour = COLOURS[number % len(COLOURS)]
        axes.step(when, value, where="post", color=colour, linewidth=2.2, label=name)
        axes.plot(when[:-1], value[:-1], "o", color=colour, markersize=4)
        drawn += value
        ends.append((when[-1], value[-1], f"{name}\n{value[-1]:.3g}", colour))
    first = next(iter(results.values()))
    metric, unit = first.metric, _unit(first)
    _dress(axes, "Best so far, among trials at full budget",
           f"training spent, {unit} of all trials", f"validation {metric}")  # fmt: skip
    if not drawn:
        axes.text(0.5, 0.5, "no trial reached the full budget", transform=axes.transAxes,
                  ha="center", color=SOFT)  # fmt: skip
        return
    axes.set_xlim(0, 1.02 * max(x for x, _, _, _ in ends))
    _scale(axes, drawn)
    _label_ends(axes, ends)


def _unit(result: Any) -> str:
    """What a result's budgets count."""
    return getattr(result, "unit", "epochs")


def _curves_panel(axes: Any, name: str | None, result: Any, full: float) -> None:
    best = result.best.id if result.best is not None else None
    survivors, budgets, drawn = 0, set(), []
    for trial in result.trials:
        x, y = curve_of(trial, result.metric)
        if not x:
            continue
        survived, champion = x[-1] == full, trial.id == best
        survivors += survived
        budgets.update(x)
        drawn += y
        axes.plot(
            x, y, "-o",
            color=COLOURS[0] if survived or champion else GREY,
            linewidth=2.6 if champion else 1.0 if survived else 0.8,
            markersize=6 if champion else 3 if survived else 2.5,
            alpha=1.0 if champion or not survived else 0.5,
            zorder=4 if champion else 3 if survived else 2,
            label=f"trial {trial.id}",
        )  # fmt: skip
        if champion:
            axes.annotate(
                f"best: trial {trial.id}\n{y[-1]:.3g}", (x[-1], y[-1]), (8, 0),
                textcoords="offset points", va="center", color=COLOURS[0], fontsize=9,
                fontweight="bold", annotation_clip=False,
            )  # fmt: skip
    whose = "" if name is None else f" of {name}"
    title = f"Learning curves{whose}: {len(result.trials)} trials, {survivors} to the end"
    _dress(axes, title, f"{_unit(result)} a trial was trained for", f"validation {result.metric}")
    if not drawn:
        axes.text(0.5, 0.5, "nothing was measured", transform=axes.transAxes, ha="center",
                  color=SOFT)  # fmt: skip
        return
    _scale(axes, drawn)
    if max(budgets) > min(budgets):
        axes.set_xscale("log")
        axes.set_xlim(min(budgets) / 1.1, max(budgets) * 1.1)
    axes.xaxis.set_major_locator(FixedLocator(sorted(budgets)[-8:]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


# ------------------------------------------------------------------ how all of them look


def _blank(inches: tuple[float, float]) -> Figure:
    figure = Figure(figsize=inches, dpi=DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    layout: Any = figure.get_layout_engine()
    layout.set(w_pad=0.12, h_pad=0.12, wspace=0.06)
    return figure


def _dress(axes: Any, title: str, below: str, beside: str) -> None:
    """Title and axes, and nothing that carries no number."""
    axes.set_title(title, loc="left", fontsize=11, color=INK, pad=10)
    axes.set_xlabel(below, fontsize=10, color=SOFT)
    axes.set_ylabel(beside, fontsize=10, color=SOFT)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GREY)
    axes.tick_params(colors=SOFT, labelsize=9, which="both")
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def _scale(axes: Any, values: Sequence[float]) -> None:
    """A log axis where the values span much, ticks in plain numbers."""
    low, high = min(values), max(values)
    if low <= 0 or high < LOG_FROM * low:
        return
    axes.set_yscale("log")
    for leading in ((1, 1.5, 2, 3, 4, 5, 7), (1, 2, 5), (1,)):
        ticks = [float(f"{m}e{e}") for e in range(-12, 13) for m in leading]
        shown = [tick for tick in ticks if low / 1.1 <= tick <= high * 1.1]
        if len(shown) <= MOST_TICKS:
            break
    axes.yaxis.set_major_locator(FixedLocator(shown))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _label_ends(
    axes: Any, ends: Sequence[tuple[float, float, str, str]], gap: float = LABEL_GAP
) -> None:
    """A name where each line ends, pushed apart where two would overlap."""
    axes.set_ylim(axes.get_ylim())  # where the labels go depends on it, so it stays
    to_axes = axes.transData + axes.transAxes.inverted()
    places = sorted((float(to_axes.transform((x, y))[1]), x, y, text, colour)
                    for x, y, text, colour in ends)  # fmt: skip
    heights = _apart([place[0] for place in places], gap)
    for height, (at, x, y, text, colour) in zip(heights, places, strict=True):
        shift = (height - at) * axes.bbox.height * 72 / axes.figure.dpi
        axes.annotate(
            text, (x, y), (8, shift), textcoords="offset points", va="center", color=colour,
            fontsize=9, fontweight="bold", annotation_clip=False,
        )  # fmt: skip


def _apart(heights: Sequence[float], gap: float) -> list[float]:
    """Ascending heights, moved as little as it takes to be `gap` apart."""
    groups: list[list[float]] = []  # each a run of labels that touch: [sum of wishes, count]
    for height in heights:
        groups.append([height, 1])
        while len(groups) > 1:
            (below, n), (above, m) = groups[-2], groups[-1]
            if above / m - below / n >= gap * (n + m) / 2:
                break
            groups[-2:] = [[below + above, n + m]]
    return [
        total / count + gap * (i - (count - 1) / 2)
        for total, count in groups
        for i in range(int(count))
    ]
