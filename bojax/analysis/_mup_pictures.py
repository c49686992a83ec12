"""Pictures of what a width does: to the outputs of layers, and to the best learning rate."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bojax.analysis._pictures import _figures, _write
from bojax.errors import DataError

PANEL_INCHES = (4.4, 4.2)  # width of a panel, height


def coordinate_picture(
    checks: Mapping[str, Any], *, step: int = -1, save: str | os.PathLike[str] | None = None
) -> Any:
    """Mean absolute outputs of layers against the width, a panel a parametrisation.

    A flat line is a layer whose outputs do not depend on the width. Dotted lines are outputs
    before the first step.

    Args:
        checks: name -> :class:`bojax.training.Coordinates`.
        step: after which of its steps; -1 for the last.
        save: a PNG to write as well.

    Returns:
        The `matplotlib.figure.Figure`.

    Raises:
        DataError: no check.
        ImportError: matplotlib is not installed.

    Example:
        >>> import numpy as np
        >>> from bojax.analysis import coordinate_picture
        >>> from bojax.training import Coordinates
        >>> size = {"model": np.array([[0.5, 1.0], [0.5, 2.0]])}
        >>> figure = coordinate_picture({"standard": Coordinates((64, 128), size, size)})
        >>> [line.get_label() for line in figure.axes[0].lines[::2]]
        ['model, slope 1.00']
    """
    if not checks:
        raise DataError("coordinate_picture: no check to draw; give at least one, by name.")
    figures = _figures()
    figure, panels = _panels(figures, checks)
    for axes, (name, check) in zip(panels, checks.items(), strict=True):
        slopes = check.slopes(step)
        for number, (layer, size) in enumerate(check.size.items()):
            colour = figures.COLOURS[number % len(figures.COLOURS)]
            label = f"{layer}, slope {slopes[layer]:.2f}"
            axes.plot(check.widths, size[:, step], "o-", color=colour, markersize=4, label=label)
            axes.plot(check.widths, size[:, 0], ":", color=colour, linewidth=1.0)
        _log_axes(axes, check.widths)
        figures._dress(axes, name, "width", "mean absolute output")
        figures._scale(axes, [v for s in check.size.values() for v in (*s[:, 0], *s[:, step])])
        axes.legend(frameon=False, fontsize=8)
    return _kept(figure, save)


def transfer_picture(
    losses: Mapping[str, Any],
    *,
    widths: Sequence[int],
    rates: Sequence[float],
    metric: str = "loss",
    save: str | os.PathLike[str] | None = None,
) -> Any:
    """Loss against the learning rate, a line a width and a panel a parametrisation.

    The best rate of each width is a large dot. Where a rate transfers, the dots stand above each
    other.

    Args:
        losses: name -> `[rates, widths]`; a loss that is not finite is left out.
        widths, rates: of its columns and rows; rates above 0.
        metric: name of the loss, for the axis.
        save: a PNG to write as well.

    Returns:
        The `matplotlib.figure.Figure`.

    Raises:
        DataError: nothing to draw, or a table of another shape.
        ImportError: matplotlib is not installed.

    Example:
        >>> from bojax.analysis import transfer_picture
        >>> table = [[0.9, 0.5], [0.4, 0.6]]
        >>> figure = transfer_picture({"standard": table}, widths=[64, 512], rates=[1e-3, 1e-2])
        >>> [line.get_label() for line in figure.axes[0].lines[::2]]
        ['width 64, best 1.0e-02', 'width 512, best 1.0e-03']
    """
    if not losses:
        raise DataError("transfer_picture: no losses to draw; give at least one table, by name.")
    tables = {name: np.asarray(table, float) for name, table in losses.items()}
    for name, table in tables.items():
        if table.shape != (len(rates), len(widths)):
            raise DataError(
                f"transfer_picture: {name} has shape {table.shape}, expected "
                f"{(len(rates), len(widths))}: a row a rate, a column a width."
            )
        if not np.isfinite(table).any(axis=0).all():
            raise DataError(f"transfer_picture: {name} has a width without a finite loss.")
    figures = _figures()
    figure, panels = _panels(figures, tables)
    for axes, (name, table) in zip(panels, tables.items(), strict=True):
        for number, (width, column) in enumerate(zip(widths, table.T, strict=True)):
            colour = figures.COLOURS[number % len(figures.COLOURS)]
            best = int(np.nanargmin(np.where(np.isfinite(column), column, np.nan)))
            label = f"width {width}, best {rates[best]:.1e}"
            axes.plot(rates, column, "o-", color=colour, markersize=3, linewidth=1.4, label=label)
            axes.plot(rates[best], column[best], "o", color=colour, markersize=9)
        axes.set_xscale("log")
        figures._dress(axes, name, "learning rate", metric)
        figures._scale(axes, [v for t in tables.values() for v in t[np.isfinite(t)]])
        axes.legend(frameon=False, fontsize=8)
    return _kept(figure, save)


def _panels(figures: Any, named: Mapping) -> tuple[Any, Sequence]:
    """A panel a name, on one vertical axis."""
    width, height = PANEL_INCHES
    figure = figures._blank((width * len(named), height))
    return figure, figure.subplots(1, len(named), sharey=True, squeeze=False)[0]


def _log_axes(axes: Any, widths: Sequence[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(widths), [str(width) for width in widths])
    axes.minorticks_off()


def _kept(figure: Any, save: str | os.PathLike[str] | None) -> Any:
    if save is not None:
        _write(figure, save)
    return figure
