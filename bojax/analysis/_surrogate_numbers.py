"""What the pictures of a surrogate show, as numbers: no matplotlib here.

Everything is about observations, noise included, but the slices, which are of the function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bojax import stats
from bojax.errors import DataError
from bojax.space import Float, Space

LEVELS = np.linspace(0.05, 0.95, 19)  # of central intervals
BAND = 1.96  # deviations; 95 of 100 shares that chance alone gives a calibrated model are inside
POINTS = 201  # of a slice along a real column, and the point's own
CATEGORY = 4  # bojax.space.table's


@dataclass(frozen=True)
class Predictions:
    """What was observed and what was said of it before, `[n]` each, in the values' unit.

    Example:
        >>> Predictions(np.array([3.0]), np.array([2.0]), np.array([0.5])).standardised.tolist()
        [2.0]
    """

    observed: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray

    @property
    def standardised(self) -> np.ndarray:
        """Residuals in deviations: standard normal where the model is right."""
        return (self.observed - self.mean) / self.deviation


@dataclass(frozen=True)
class Coverage:
    """Share of observations found in each central interval.

    Attributes:
        level: `[m]` what was promised.
        found: `[m]`.
        low, high: `[m]`, where 95 of 100 shares lie if the promise holds, of n independent
            observations.
        n: observations.
    """

    level: np.ndarray
    found: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: int


@dataclass(frozen=True)
class Slice:
    """The function along one column, everything else as in one point.

    Attributes:
        name: of the column.
        x: `[m]` where, in natural units; positions 0, 1, ... of choices.
        mean, deviation: `[m]`, in the values' unit.
        at: the point's own x.
        choices: what the positions stand for, or None for numbers.
        log: whether x belongs on a log axis.
        discrete: whether nothing is between the x.
    """

    name: str
    x: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    at: float
    choices: tuple[str, ...] | None = None
    log: bool = False
    discrete: bool = False


def left_out(posterior: Any) -> Predictions:
    """Each observation as the others predict it.

    Raises:
        DataError: fewer than two observations.
    """
    residual, variance = posterior.leave_one_out()
    used = np.asarray(posterior.mask)
    if used.sum() < 2:
        raise DataError(f"posterior: leaving one out needs two observations, has {used.sum()}.")
    # v = U'(y - m): the posterior keeps the whitened values only.
    centred = np.linalg.solve(np.asarray(posterior.upper).T, np.asarray(posterior.whitened))
    shift, scale = float(posterior.shift), float(posterior.scale)
    observed = (shift + scale * (float(posterior.mean) + centred))[used]
    return Predictions(observed, observed - residual[used], np.sqrt(variance[used]))


def held_out(posterior: Any, rows: Any, values: Any) -> Predictions:
    """New observations, each as one of fitted noise.

    Raises:
        DataError: shapes that do not fit, no observation, or one that is not finite.
    """
    rows, values = np.asarray(rows, float), np.asarray(values, float)
    if rows.ndim != 2 or values.shape != rows.shape[:1] or not len(values):
        raise DataError(
            "rows and values: expected shapes (N, D) and (N,), N at least 1, got shapes "
            f"{rows.shape} and {values.shape}."
        )
    if not (np.isfinite(rows).all() and np.isfinite(values).all()):
        raise DataError("rows and values: must be finite; leave the other lines out.")
    mean, variance = posterior.mean_and_variance(rows)
    noise = float(posterior.scale) ** 2 * float(posterior.noise)
    return Predictions(values, np.asarray(mean), np.sqrt(np.asarray(variance) + noise))


def predictions(posterior: Any, rows: Any, values: Any) -> Predictions:
    """Of what is given, else of each observation from the others."""
    if (rows is None) != (values is None):
        raise DataError("rows and values: give both, or neither to leave each line out.")
    return left_out(posterior) if rows is None else held_out(posterior, rows, values)


def coverage(of: Predictions, levels: np.ndarray = LEVELS) -> Coverage:
    """Shares inside central intervals, and what chance alone does to them.

    Example:
        >>> of = Predictions(np.array([0.0, 5.0]), np.zeros(2), np.ones(2))
        >>> coverage(of, np.array([0.5])).found.tolist()
        [0.5]
    """
    n = len(of.observed)
    found = stats.coverage(of.mean, of.deviation**2, of.observed, levels.tolist())
    chance = BAND * np.sqrt(levels * (1 - levels) / n)
    return Coverage(levels, found, np.maximum(levels - chance, 0), np.minimum(levels + chance, 1),
                    n)  # fmt: skip


def slices(
    posterior: Any, at: Any, columns: Sequence[str | int] | None, space: Space | None
) -> list[Slice]:
    """The function through one point, along each column.

    Args:
        at: a row `[D]`, or a configuration where a space is given.
        columns: names or positions; None for all that the point has.
        space: what the rows belong to; None for plain numbers, whose slices go as far as the
            observations do.

    Raises:
        DataError: a column that does not exist, or not at this point; a configuration without
            a space; a row of another length, or not finite.
    """
    if isinstance(at, Mapping):
        if space is None:
            raise DataError("at: a configuration needs its space; give space= as well.")
        at = space.encode(at)
    row = np.asarray(at, float)
    known = _known(posterior, space)
    if row.ndim != 1 or len(row) < len(known) or not np.isfinite(row).all():
        raise DataError(
            f"at: expected one row of {len(known)} finite numbers, got {np.shape(at)} numbers."
        )
    if space is not None:
        row = space.canonical(row)
    present = [True] * len(known) if space is None else space.active(row).tolist()
    if columns is None:
        columns = [c for c in range(len(known)) if present[c]]
    found = []
    for wanted in columns:
        place = known.index(wanted) if wanted in known else wanted
        if not isinstance(place, int) or not 0 <= place < len(known):
            raise DataError(f"columns: expected some of {', '.join(known)}, got {wanted!r}.")
        if not present[place]:
            raise DataError(f"columns: {known[place]} does not exist at this point; leave it out.")
        found.append(_slice(posterior, row, place, known[place], space))
    if not found:
        raise DataError("columns: there is none to draw; give at least one.")
    return found


def _known(posterior: Any, space: Space | None) -> list[str]:
    """The columns' names, or their numbers for plain ones."""
    if space is not None:
        return list(space.names)
    kind = np.asarray(posterior.features.kind)
    return [f"column {c}" for c in np.flatnonzero(kind).tolist()]


def _slice(posterior: Any, row: np.ndarray, c: int, name: str, space: Space | None) -> Slice:
    if space is None:
        seen = np.asarray(posterior.features.coordinate)[np.asarray(posterior.mask), c]
        ends = np.append(seen, row[c])
        line = np.linspace(ends.min(), ends.max(), POINTS)
        rows = _along(row, c, np.union1d(line, row[c]))
        x, own = rows[:, c], float(row[c])
        choices, log, discrete = None, False, False
    else:
        parameter = space.parameters[name]
        log = bool(getattr(parameter, "log", False))
        discrete = not isinstance(parameter, Float) or parameter.step is not None
        listed = getattr(parameter, "choices", None)  # numbers have none
        choices = None if listed is None else tuple(str(choice) for choice in listed)
        if choices is None:
            line = np.append(np.linspace(0.0, 1.0, POINTS), row[c])
        elif int(np.asarray(space.table.kind)[c]) == CATEGORY:
            line = np.arange(len(choices), dtype=float)
        else:
            line = (np.arange(len(choices)) + 0.5) / len(choices)
        rows = space.canonical(_along(row, c, line))
        rows = rows[np.unique(rows[:, c], return_index=True)[1]]
        x = np.asarray(space.columns(rows)[name], float)
        own = float(space.columns(row[None])[name][0])
    mean, variance = posterior.mean_and_variance(rows)
    deviation = np.sqrt(np.asarray(variance))
    return Slice(name, x, np.asarray(mean), deviation, own, choices, log, discrete)


def _along(row: np.ndarray, c: int, line: np.ndarray) -> np.ndarray:
    rows = np.tile(row, (len(line), 1))
    rows[:, c] = line
    return rows
