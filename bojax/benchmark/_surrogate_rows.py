"""Rows of a comparison of surrogates: what is in one, on disk, and what many say together."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from bojax import stats
from bojax.errors import DataError
from bojax.stats import Interval

LEVELS = (0.5, 0.9, 0.95)  # of the central intervals whose coverage is counted
# Metric -> whether more is better.
METRICS = {
    "rmse": False,
    "nrmse": False,
    "log_density": True,
    "crps": False,
    "calibration_error": False,
    "fit_seconds": False,
    "predict_seconds": False,
    "compile_seconds": False,
    "peak_bytes": False,
}


@dataclass(frozen=True)
class SurrogateRow:
    """One surrogate on one split of one data set, at one size.

    Attributes:
        surrogate, dataset: names.
        n, d, tests: rows fitted to, columns, rows predicted.
        split, seed: number of the split, and the seed of all splits.
        rmse: root mean square error, in the values' unit; of :func:`bojax.stats.rmse`.
        nrmse: the same over the standard deviation of all values of the data set: 1 is no
            better than their mean.
        log_density: mean log predictive density of an observation, values in units of that
            standard deviation (as for `crps`), in nats; more is better.
        crps: mean continuous ranked probability score.
        coverage50, coverage90, coverage95: share of observations inside the central 50, 90
            and 95 % interval.
        calibration_error: of :func:`bojax.stats.calibration_error`.
        fit_seconds, predict_seconds: warm: the first fit of a shape is done twice, and
            counted the second time.
        compile_seconds: what the first fit and prediction of a shape took beyond that; 0
            for all others.
        peak_bytes: largest resident size during the run of the surrogate's process, with
            all its libraries; NaN for a surrogate without a process of its own, or where
            the system does not tell.
        failure: "" or why there is no prediction; then all scores are NaN.
        content: hash of what decides the result; equal content need not run again.
        versions, machine, threads, load, when: where it came from; `threads` are those the
            surrogate may use, `load` the load average of the machine.

    Example:
        >>> from bojax.benchmark import SurrogateRow
        >>> SurrogateRow("gp", "friedman1", n=20, d=10, tests=200, split=0, nrmse=0.6).failure
        ''
    """

    surrogate: str
    dataset: str
    n: int
    d: int
    tests: int
    split: int
    seed: int = 0
    rmse: float = math.nan
    nrmse: float = math.nan
    log_density: float = math.nan
    crps: float = math.nan
    coverage50: float = math.nan
    coverage90: float = math.nan
    coverage95: float = math.nan
    calibration_error: float = math.nan
    fit_seconds: float = math.nan
    predict_seconds: float = math.nan
    compile_seconds: float = math.nan
    peak_bytes: float = math.nan
    failure: str = ""
    content: str = ""
    versions: str = ""
    machine: str = ""
    threads: int = 1
    load: float = math.nan
    when: str = ""


TYPES = {column.name: str(column.type) for column in fields(SurrogateRow)}
COLUMNS = tuple(TYPES)
KINDS: dict[str, Any] = {"int": int, "float": float, "str": str}
DIGITS = 6  # of a number, in memory as on disk: a row read back equals the row written


def scores(mean: Any, variance: Any, values: Any, scale: float) -> dict[str, float]:
    """The columns of a row that a prediction gives.

    Args:
        mean, variance: `[m]` of an observation.
        values: `[m]` observed.
        scale: the values' unit for the scores without one.

    Example:
        >>> import numpy as np
        >>> found = scores(np.zeros(4), np.ones(4), np.array([1.0, -1.0, 1.0, -1.0]), 2.0)
        >>> found["rmse"], found["nrmse"], found["coverage90"]
        (1.0, 0.5, 1.0)
    """
    m, v, y = mean / scale, variance / scale**2, values / scale
    covered = {f"coverage{100 * p:.0f}": stats.coverage(m, v, y, p) for p in LEVELS}
    return {
        "rmse": stats.rmse(mean, values),
        "nrmse": stats.rmse(m, y),
        "log_density": stats.log_predictive_density(m, v, y),
        "crps": stats.crps(m, v, y),
        **covered,
        "calibration_error": stats.calibration_error(m, v, y),
    }


# ------------------------------------------------------------------------- what they say


@dataclass(frozen=True)
class SurrogateComparison:
    """Paired results of several surrogates: every one saw the same splits.

    Attributes:
        rows: a :class:`SurrogateRow` a surrogate, data set, size and split.

    Example:
        >>> from bojax.benchmark import SurrogateComparison, SurrogateRow
        >>> rows = tuple(SurrogateRow(s, data, n=20, d=2, tests=9, split=k, nrmse=v + k)
        ...              for data in ("a", "b") for k in range(3)
        ...              for s, v in (("gp", 0.5), ("mean", 1.0)))
        >>> compared = SurrogateComparison(rows)
        >>> print(compared.gain("gp", "mean", "nrmse"))
        -0.5 [-0.5, -0.5]
        >>> print(compared.wins("gp", "mean", "nrmse"))
        1 [1, 1]
    """

    rows: tuple[SurrogateRow, ...]

    @property
    def surrogates(self) -> tuple[str, ...]:
        """Names in the order of the rows."""
        return tuple(dict.fromkeys(row.surrogate for row in self.rows))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Numbers of training rows, from small to large."""
        return tuple(sorted({row.n for row in self.rows}))

    @property
    def failures(self) -> tuple[SurrogateRow, ...]:
        """Rows without a prediction."""
        return tuple(row for row in self.rows if row.failure)

    def values(
        self, surrogate: str, metric: str = "log_density", *, n: int | None = None
    ) -> dict[str, list[float]]:
        """Data set -> the metric on each size and split, in order; NaN for a failure.

        Args:
            surrogate: a name.
            metric: a numeric column of :class:`SurrogateRow`.
            n: one size only.

        Raises:
            DataError: there are no such rows, or no such column.
        """
        if TYPES.get(metric) not in ("int", "float"):
            raise DataError(
                f"metric: {metric!r} is no numeric column; one of {', '.join(METRICS)}."
            )
        chosen = [r for r in self.rows if r.surrogate == surrogate and n in (None, r.n)]
        if not chosen:
            raise DataError(
                f"{surrogate}: no rows{'' if n is None else f' of size {n}'}; there are "
                f"{', '.join(self.surrogates)} at sizes {', '.join(map(str, self.sizes))}."
            )
        found: dict[str, list[float]] = {}
        for row in sorted(chosen, key=lambda row: (row.n, row.split)):
            found.setdefault(row.dataset, []).append(getattr(row, metric))
        return found

    def mean(self, surrogate: str, metric: str = "log_density", *, n: int | None = None) -> float:
        """Mean over data sets of the mean over the runs that went well; NaN if none did."""
        means = [
            float(np.mean(fine))
            for each in self.values(surrogate, metric, n=n).values()
            if (fine := [value for value in each if not math.isnan(value)])
        ]
        return float(np.mean(means)) if means else math.nan

    def gain(
        self,
        surrogate: str,
        over: str,
        metric: str = "log_density",
        *,
        n: int | None = None,
        level: float = 0.95,
    ) -> Interval:
        """Mean paired difference surrogate - over, with its bootstrap interval over data sets.

        Runs in which either failed are left out: see :attr:`failures` and :meth:`wins`. Of a
        single data set the interval is one over its splits.

        Raises:
            DataError: as of :meth:`values`, or there are fewer than two pairs.
        """
        mine, theirs = self._pairs(surrogate, over, metric, n)
        kept = {
            name: [(x, y) for x, y in zip(mine[name], theirs[name], strict=True) if x - y == x - y]
            for name in mine
        }
        a = {name: [x for x, _ in pairs] for name, pairs in kept.items() if pairs}
        b = {name: [y for _, y in pairs] for name, pairs in kept.items() if pairs}
        if len(a) < 2:
            flat = [[x for each in side.values() for x in each] for side in (a, b)]
            return stats.paired_bootstrap(flat[0], flat[1], level=level)
        return stats.bootstrap_over_problems(a, b, level=level)

    def wins(
        self,
        surrogate: str,
        over: str,
        metric: str = "log_density",
        *,
        n: int | None = None,
        level: float = 0.95,
    ) -> Interval:
        """Share of runs in which the surrogate is better; a failure loses, a tie is a half.

        With its bootstrap interval over data sets, of which it takes two.

        Raises:
            DataError: as of :meth:`values`; a metric without a better side; one data set.
        """
        if metric not in METRICS:
            raise DataError(f"metric: {metric!r} has no better side; one of {', '.join(METRICS)}.")
        sign = -1.0 if METRICS[metric] else 1.0
        a, b = (
            {
                name: [math.inf if math.isnan(value) else sign * value for value in each]
                for name, each in side.items()
            }
            for side in self._pairs(surrogate, over, metric, n)
        )
        return stats.win_rate(a, b, level=level)

    def table(self, *, n: int | None = None) -> str:
        """Markdown: a line a size and surrogate.

        Scores are means over data sets, of each surrogate's own successful runs; seconds are
        medians, `compile` the sum, peak memory the most.
        """
        head = (
            "n", "surrogate", "runs", "failed", "RMSE", "log density", "CRPS", "in 50 %", "in 90 %",
            "in 95 %", "calibration error", "fit, s", "predict, s", "compile, s", "peak, MB",
        )  # fmt: skip
        lines = [head, ("--:", ":--", *["--:"] * (len(head) - 2))]
        for size in self.sizes if n is None else (n,):
            for name in self.surrogates:
                lines.append(self._line(name, size))
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def _line(self, name: str, size: int) -> tuple[str, ...]:
        rows = [row for row in self.rows if (row.surrogate, row.n) == (name, size)]
        went = [row for row in rows if not row.failure]
        columns = (
            "nrmse", "log_density", "crps", "coverage50", "coverage90", "coverage95",
            "calibration_error",
        )  # fmt: skip
        scored = [f"{self.mean(name, c, n=size):.3f}" if went else "" for c in columns]
        seconds = [
            f"{np.median([getattr(row, c) for row in went]):.3g}" if went else ""
            for c in ("fit_seconds", "predict_seconds")
        ]
        compiling = f"{sum(row.compile_seconds for row in went):.3g}" if went else ""
        peaks = [row.peak_bytes for row in went if not math.isnan(row.peak_bytes)]
        peak = f"{max(peaks) / 1e6:.0f}" if peaks else ""
        failed = str(len(rows) - len(went))
        return (str(size), name, str(len(rows)), failed, *scored, *seconds, compiling, peak)

    def _pairs(self, surrogate: str, over: str, metric: str, n: int | None) -> list[dict]:
        return [self.values(name, metric, n=n) for name in (surrogate, over)]


# -------------------------------------------------------------------------------- on disk


def rounded(row: SurrogateRow) -> SurrogateRow:
    """The row with its numbers as a file keeps them."""
    numbers: dict[str, Any] = {
        name: float(f"{getattr(row, name):.{DIGITS}g}")
        for name, kind in TYPES.items()
        if kind == "float"
    }
    return replace(row, **numbers)


def write_rows(path: str | os.PathLike[str], rows: Iterable[SurrogateRow]) -> None:
    """Append rows to a CSV file; the header is written once.

    Raises:
        DataError: the file has other columns.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists() or path.stat().st_size == 0
    if not new:
        _check_header(path)
        with path.open("rb+") as file:  # a line that a kill cut off is not there
            file.truncate(file.read().rfind(b"\n") + 1)
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def read_rows(path: str | os.PathLike[str]) -> list[SurrogateRow]:
    """Rows of a file in order; lines that a kill cut off are left out.

    Raises:
        DataError: the file has other columns.

    Example:
        >>> import tempfile, pathlib
        >>> from bojax.benchmark import SurrogateRow
        >>> row = SurrogateRow("gp", "friedman1", n=20, d=10, tests=9, split=0, failure="died")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "rows.csv"
        ...     write_rows(path, [row])
        ...     read_rows(path)[0].failure
        'died'
    """
    path = Path(path)
    _check_header(path)
    whole, _, _ = path.read_text().rpartition("\n")
    return [
        SurrogateRow(**{name: KINDS[kind](line[name]) for name, kind in TYPES.items()})
        for line in csv.DictReader(io.StringIO(whole))
    ]


def _check_header(path: Path) -> None:
    with path.open(newline="") as file:
        header = tuple(next(csv.reader(file), []))
    if header != COLUMNS:
        raise DataError(
            f"{path.name}: holds no rows of surrogates, its columns are {list(header[:4])}...; "
            f"expected {list(COLUMNS[:4])}..."
        )
