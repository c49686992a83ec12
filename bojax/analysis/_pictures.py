"""The public pictures: what goes in is checked, what comes out is one whole PNG file."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bojax.errors import DataError
from bojax.stats import mean_interval

DIRECTIONS = ("minimize", "maximize")


def sweep_picture(results: Mapping[str, Any], path: str | os.PathLike[str]) -> Path:
    """Best-so-far against the budget spent, and the learning curves, as one PNG.

    Left, for each result: the best metric among trials trained to the full budget, after so
    many epochs of training, all trials of that result together. Right, for the first result:
    the learning curve of every trial, the survivors in colour, the best one labelled.

    Args:
        results: name -> a sweep's result; anything with `trials`, `best`, `metric` and
            `direction` will do. If it has `reports`, they are its trials' rungs in the order
            in which they ended; else trial is taken to follow trial.
        path: the PNG to write.

    Returns:
        The path.

    Raises:
        DataError: no result, or results of different metrics or directions.
        ImportError: matplotlib is not installed.

    Example:
        >>> import tempfile
        >>> from types import SimpleNamespace
        >>> from bojax.analysis import sweep_picture
        >>> from bojax.history import Trial
        >>> curves = [((1, {"loss": 0.9}),), ((1, {"loss": 0.7}), (3, {"loss": 0.5}))]
        >>> trials = [Trial(i, {}, values=(c[-1][1]["loss"],), curve=c)
        ...           for i, c in enumerate(curves)]
        >>> result = SimpleNamespace(
        ...     trials=trials, best=trials[1], metric="loss", direction="minimize")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     sweep_picture({"gp": result}, f"{folder}/sweep.png").name
        'sweep.png'
    """
    if not results:
        raise DataError("sweep_picture: no result to draw; give at least one, by name.")
    kinds = {name: (r.metric, r.direction) for name, r in results.items()}
    if len(set(kinds.values())) > 1:
        listed = ", ".join(f"{name}: {m}, {d}" for name, (m, d) in kinds.items())
        raise DataError(f"sweep_picture: these cannot share an axis ({listed}); draw them apart.")
    figures = _figures()
    return _write(figures.sweep_figure(results), path)


def comparison_picture(
    rows: Sequence[Mapping[str, float]],
    path: str | os.PathLike[str],
    *,
    metric: str = "value",
    direction: str = "minimize",
    level: float = 0.95,
) -> Path:
    """Methods side by side on the same splits, as one PNG.

    A thin line joins what one split gave each method; beside it stand the method's mean and
    Student's interval around it.

    Args:
        rows: one a split, at least two: `{method: value}`, the same methods in each, drawn
            in the order of the first.
        path: the PNG to write.
        metric: name of the value, for the axis.
        direction: "minimize" or "maximize": which end is the better one.
        level: of the interval, in (0, 1).

    Returns:
        The path.

    Raises:
        DataError: fewer than two rows or methods, a row that lacks a method, or a value that
            is not finite.
        ImportError: matplotlib is not installed.

    Example:
        >>> import tempfile
        >>> from bojax.analysis import comparison_picture
        >>> rows = [{"random": 0.12, "gp": 0.09}, {"random": 0.10, "gp": 0.08}]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     comparison_picture(rows, f"{folder}/comparison.png").name
        'comparison.png'
    """
    if direction not in DIRECTIONS:
        raise DataError(f"direction: expected one of {DIRECTIONS}, got {direction!r}.")
    columns = _columns(rows)
    intervals = {name: mean_interval(values, level=level) for name, values in columns.items()}
    figures = _figures()
    return _write(figures.comparison_figure(columns, intervals, metric, direction, level), path)


def _columns(rows: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """Method -> its value on each split."""
    if len(rows) < 2:
        raise DataError(f"comparison_picture: needs at least two splits, got {len(rows)}.")
    methods = list(rows[0])
    if len(methods) < 2:
        raise DataError(f"comparison_picture: needs at least two methods, got {methods}.")
    for number, row in enumerate(rows):
        if set(row) != set(methods):
            odd = ", ".join(sorted(set(row) ^ set(methods)))
            raise DataError(
                f"comparison_picture: split {number} and split 0 differ in {odd}; "
                "every split needs every method."
            )
        for name in methods:
            if not math.isfinite(row[name]):
                raise DataError(
                    f"comparison_picture: {name} is {row[name]} on split {number}; decide what a "
                    "failure counts before drawing."
                )
    return {name: [float(row[name]) for row in rows] for name in methods}


def _figures() -> Any:
    """The drawing half, which needs matplotlib."""
    try:
        from bojax.analysis import _figures
    except ImportError as error:
        raise ImportError(
            f"pictures need matplotlib, which cannot be imported ({error}); "
            "pip install 'bojax[plots]'."
        ) from error
    return _figures


def _write(figure: Any, path: str | os.PathLike[str], *, colours: int | None = None) -> Path:
    """The figure under its name at once or not at all; folders are made.

    With so many `colours` and no more, it is a fraction of the size.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=path.name) as folder:
        whole = Path(folder) / "picture.png"
        figure.savefig(whole, format="png")
        if colours is not None:
            from PIL import Image  # matplotlib needs it, so it is there

            with Image.open(whole) as image:
                small = image.convert("RGB").quantize(colours)
            small.save(whole, format="PNG", optimize=True)
        os.replace(whole, path)
    return path
