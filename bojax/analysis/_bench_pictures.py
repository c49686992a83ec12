"""The public pictures of the bench: data in, a matplotlib Figure out, a PNG on request."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from bojax.analysis import _bench_numbers as numbers
from bojax.analysis._pictures import _write
from bojax.errors import DataError

COLOURS = 128  # of a saved picture; overlapping bands have thousands, which nobody tells apart


def regret_picture(
    traces: Sequence[Any], *, ours: str | None = None, save: str | os.PathLike[str] | None = None
) -> Any:
    """Regret of the best so far after each evaluation, over all instances and by family.

    Lines are geometric means over instances (seeds averaged first) of the normalised regret,
    floored and capped as :func:`bojax.stats.log_regret` does; bands are 95 % bootstrap
    intervals over instances. The small panels keep the colours of the large one, and only
    the band of `ours`. A method that was not run on all instances of a panel is not in it, and
    named below the large one.

    Args:
        traces: :class:`bojax.benchmark.Trace`, of one batch size and one budget.
        ours: the method to draw thickest.
        save: a PNG to write as well, small enough for a repository.

    Returns:
        The `matplotlib.figure.Figure`.

    Raises:
        DataError: no trace with a value, two of one run, or budgets or batches that differ.
        ImportError: matplotlib is not installed.

    Example:
        >>> from bojax.analysis import regret_picture
        >>> from bojax.benchmark import Trace
        >>> traces = [Trace(m, "branin", i, 0, 1, 3, (30.0, 9.0, v), (0.1, 0.2, 0.3), 0.4, 30.0)
        ...           for i in (1, 2) for m, v in (("gp", 0.5), ("random", 8.0))]
        >>> len(regret_picture(traces, ours="gp").axes)
        1
    """
    methods = numbers.cells(traces)
    families: dict[str, dict[str, dict[numbers.Cell, Any]]] = {}
    for method, runs in methods.items():
        for cell, trace in runs.items():
            families.setdefault(trace.family, {}).setdefault(method, {})[cell] = trace
    kept, left_out = numbers.complete(methods)
    parts = {name: numbers.complete(part)[0] for name, part in families.items()}
    figure = _figures().regret_figure(
        numbers.regret_bands(kept),
        {name: numbers.regret_bands(part) for name, part in parts.items()},
        {"": _instances(kept)} | {name: _instances(part) for name, part in parts.items()},
        list(methods),
        left_out,
        ours,
    )
    return _saved(figure, save)


def rank_picture(
    traces: Sequence[Any], *, ours: str | None = None, save: str | os.PathLike[str] | None = None
) -> Any:
    """Mean rank of the methods after each evaluation, 1 the best, with bands over instances.

    Only runs that all methods have are ranked; methods with fewer than half the runs of the
    fullest are left out.

    Args, Returns, Raises:
        as :func:`regret_picture`; a DataError also where the methods share no run.

    Example:
        >>> from bojax.analysis import rank_picture
        >>> from bojax.benchmark import Trace
        >>> traces = [Trace(m, "branin", i, 0, 1, 3, (30.0, 9.0, v), (0.1, 0.2, 0.3), 0.4, 30.0)
        ...           for i in (1, 2) for m, v in (("gp", 0.5), ("random", 8.0))]
        >>> rank_picture(traces).axes[0].get_ylabel()
        'rank among 2 (1 is best)'
    """
    methods = numbers.cells(traces)
    bands, runs = numbers.rank_bands(methods)
    if not bands:
        raise DataError("traces: no run that all methods have, so none can be ranked.")
    return _saved(_figures().rank_figure(bands, list(methods), runs, ours), save)


def cost_picture(
    traces: Sequence[Any], *, ours: str | None = None, save: str | os.PathLike[str] | None = None
) -> Any:
    """Final regret against the seconds a method itself took for a run, one point a method.

    Vertical bars are 95 % bootstrap intervals over instances, horizontal ones the quartiles
    over runs. What compiling took is not in the point: a hollow one has it added. A method
    that was not run on all instances is left out, and named below.

    Args, Returns, Raises:
        as :func:`regret_picture`.

    Example:
        >>> from bojax.analysis import cost_picture
        >>> from bojax.benchmark import Trace
        >>> traces = [Trace(m, "branin", i, 0, 1, 3, (30.0, 9.0, v), (0.1, 0.2, 0.3), 0.4, 30.0)
        ...           for i in (1, 2) for m, v in (("gp", 0.5), ("random", 8.0))]
        >>> cost_picture(traces).axes[0].get_xscale()
        'log'
    """
    methods = numbers.cells(traces)
    kept, left_out = numbers.complete(methods)
    figure = _figures().cost_figure(numbers.costs(kept), list(methods), left_out, ours)
    return _saved(figure, save)


def calibration_picture(
    rows: Sequence[Any], *, ours: str | None = None, save: str | os.PathLike[str] | None = None
) -> Any:
    """Share of held-out values found inside each central interval, beside what it promised.

    One panel a nominal coverage, one point a surrogate: the mean over data sets with its
    95 % bootstrap interval over them. Left of the line the intervals are too narrow.

    Args:
        rows: :class:`bojax.benchmark.SurrogateRow`; failures are left out.
        ours: the surrogate to set off.
        save: a PNG to write as well.

    Returns:
        The `matplotlib.figure.Figure`.

    Raises:
        DataError: no row has a prediction.
        ImportError: matplotlib is not installed.

    Example:
        >>> from types import SimpleNamespace
        >>> from bojax.analysis import calibration_picture
        >>> rows = [SimpleNamespace(surrogate="gp", dataset=d, coverage50=0.4, coverage90=c,
        ...                         failure="") for d, c in (("a", 0.8), ("b", 0.9))]
        >>> len(calibration_picture(rows).axes)
        2
    """
    return _saved(_figures().calibration_figure(numbers.coverages(rows), ours), save)


def _instances(methods: Any) -> int:
    return len({cell[:2] for runs in methods.values() for cell in runs})


def _figures() -> Any:
    """The drawing half, which needs matplotlib."""
    try:
        from bojax.analysis import _bench_figures
    except ImportError as error:
        raise ImportError(
            f"pictures need matplotlib, which cannot be imported ({error}); "
            "pip install 'bojax[plots]'."
        ) from error
    return _bench_figures


def _saved(figure: Any, path: str | os.PathLike[str] | None) -> Any:
    if path is not None:
        _write(figure, path, colours=COLOURS)
    return figure
