"""The public pictures of a surrogate: a posterior in, a matplotlib Figure out, a PNG on request."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from bojax.analysis import _surrogate_numbers as numbers
from bojax.analysis._pictures import _write
from bojax.space import Space


def coverage_picture(
    posterior: Any,
    rows: Any = None,
    values: Any = None,
    *,
    save: str | os.PathLike[str] | None = None,
) -> Any:
    """Share of observations found inside each central interval, against what it promised.

    Above the diagonal the intervals are too wide, below it too narrow. In the grey band lie 95
    of 100 shares that so many independent observations give a model that is right.

    Args:
        posterior: :class:`bojax.surrogates.Posterior`.
        rows: `[N, D]` rows that the posterior has not seen; None to predict each of its
            observations from the others.
        values: `[N]` what was observed there.
        save: a PNG to write as well.

    Returns:
        The `matplotlib.figure.Figure`.

    Raises:
        DataError: fewer than two observations, shapes that do not fit, or numbers that are not
            finite.
        ImportError: matplotlib is not installed.

    Example:
        >>> import jax, numpy as np
        >>> import bojax
        >>> rows = np.linspace(0, 1, 8)[:, None]
        >>> posterior, _ = bojax.surrogates.gp().fit(
        ...     jax.random.key(0), bojax.surrogates.Data(rows, np.sin(6 * rows[:, 0])))
        >>> bojax.analysis.coverage_picture(posterior).axes[0].get_title(loc="left")
        'Coverage of 8 observations, each left out'
    """
    found = numbers.coverage(numbers.predictions(posterior, rows, values))
    how = "each left out" if rows is None else "held out"
    return _saved(_figures().coverage_figure(found, how), save)


def leave_one_out_picture(posterior: Any, *, save: str | os.PathLike[str] | None = None) -> Any:
    """Every observation against what the others say of it, and the residuals in deviations.

    Bars are two deviations, noise included; what lies further away is set off. Equal rows
    count as one observation, their mean.

    Args:
        posterior: :class:`bojax.surrogates.Posterior`.
        save: a PNG to write as well.

    Returns:
        The `matplotlib.figure.Figure`.

    Raises:
        DataError: fewer than two observations.
        ImportError: matplotlib is not installed.

    Example:
        >>> import jax, numpy as np
        >>> import bojax
        >>> rows = np.linspace(0, 1, 8)[:, None]
        >>> posterior, _ = bojax.surrogates.gp().fit(
        ...     jax.random.key(0), bojax.surrogates.Data(rows, np.sin(6 * rows[:, 0])))
        >>> len(bojax.analysis.leave_one_out_picture(posterior).axes)
        2
    """
    return _saved(_figures().left_out_figure(numbers.left_out(posterior)), save)


def slices_picture(
    posterior: Any,
    at: Mapping[str, Any] | Any,
    columns: Sequence[str | int] | None = None,
    *,
    space: Space | None = None,
    save: str | os.PathLike[str] | None = None,
) -> Any:
    """The fitted function through one point, a panel a column: mean and two deviations.

    Of the function, without the noise of an observation. All panels share the axis of values,
    so that a column that does nothing is a flat line.

    Args:
        posterior: :class:`bojax.surrogates.Posterior`.
        at: the point, as a row `[D]`, or a configuration where `space` is given.
        columns: names, or positions; None for all that exist at the point.
        space: what the rows belong to, for names, natural units and choices; without it
            columns are plain numbers, drawn as far as the observations go.
        save: a PNG to write as well.

    Returns:
        The `matplotlib.figure.Figure`.

    Raises:
        DataError: a column that does not exist, or not at this point; a point that is none.
        ImportError: matplotlib is not installed.

    Example:
        >>> import jax, numpy as np
        >>> import bojax
        >>> space = bojax.Space({"lr": bojax.Float(1e-4, 1, log=True), "n": bojax.Int(1, 3)})
        >>> rows = space.encode(space.sample(8))
        >>> data = bojax.surrogates.Data(rows, np.sin(6 * rows[:, 0]), table=space.table)
        >>> posterior, _ = bojax.surrogates.gp().fit(jax.random.key(0), data)
        >>> figure = bojax.analysis.slices_picture(posterior, {"lr": 0.1, "n": 2}, space=space)
        >>> [axes.get_title(loc="left") for axes in figure.axes]
        ['lr', 'n']
    """
    return _saved(_figures().slices_figure(numbers.slices(posterior, at, columns, space)), save)


def _figures() -> Any:
    """The drawing half, which needs matplotlib."""
    try:
        from bojax.analysis import _surrogate_figures
    except ImportError as error:
        raise ImportError(
            f"pictures need matplotlib, which cannot be imported ({error}); "
            "pip install 'bojax[plots]'."
        ) from error
    return _surrogate_figures


def _saved(figure: Any, path: str | os.PathLike[str] | None) -> Any:
    if path is not None:
        _write(figure, path)
    return figure
