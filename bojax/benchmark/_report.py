"""What traces say: a row a method, paired with one of ours, losses first.

A run is paired by problem, instance and seed. Intervals are bootstraps over instances, then
over the seeds on each (:func:`bojax.stats.bootstrap_over_problems`): what is claimed is
about further instances of these problems. Regrets below 1e-4 count as 1e-4 and those above
that of a blindly drawn point as that point's (:func:`bojax.stats.log_regret`), so two runs
beyond the same end are a tie.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from bojax import stats
from bojax.benchmark._traces import Trace
from bojax.errors import DataError
from bojax.stats import Interval

AT = (0.25, 0.5, 1.0)  # shares of the budget at which ranks are shown
RANKED_FROM = 0.5  # share of all instances that a method needs to have been run on to be ranked
SAME_PROBLEM = 1e-5  # tolerance of optimum and reference, which each run's machine computes
LONGEST_REASON = 120  # characters of a failure that are shown
FOLDERS = re.compile(r"(?<![\w.])(?:~|[A-Za-z]:)?(?:[/\\][\w.+-]+)*[/\\](?=[\w.+-])")
EVERYTHING = "all"  # the family that holds every problem
UNKNOWN = Interval(math.nan, math.nan, math.nan)

Cell = tuple[str, int, int]  # problem, instance, seed


@dataclass(frozen=True)
class RegretRow:
    """One method on the problems of one family, at one budget and batch size.

    Attributes:
        evaluations, batch: of each run.
        family: "all", or the family of the problems.
        method: its name; `ours` is the one that it is compared with.
        ours: see `method`.
        runs: recorded; `missing` are those that another method has and this one has not.
        missing: see `runs`.
        failures: runs that ended early. One that has a value counts with the best it had;
            one without any is left out of all other columns.
        reason: of the first failure, "" without one.
        counted, instances: runs behind the other columns, and instances among them.
        at: shares of the budget.
        ranks: mean rank at each of them, 1 the best, over the runs that all
            ranked methods have; NaN for a method that was run on fewer than half the instances.
        ranked: how many runs of each the ranks are over.
        regret: geometric mean of the final normalised regret, over its own runs.
        area: mean log10 regret over all evaluations, in decades; lower is better.
        hits: share of the targets from 1 to 1e-4 that the runs reached.
        pairs: runs that it shares with ours; the next three columns are over these.
        wins: how often ours ends below it; a tie is a half.
        ratio: final regret of ours over its, a geometric mean; below 1 ours is better.
        to_match: share of the budget after which ours is where it ended: the median over
            instances of the median over seeds; infinite where ours does not get there.
        seconds: median over runs of the method's own seconds a suggestion.
        compile_seconds: median of what compiling took on top, shared by the runs of a program.
        versions: of its libraries.

    Example:
        >>> from bojax.benchmark import Trace, regret_table
        >>> traces = [Trace(m, "branin", i, 0, 1, 3, (30.0, 9.0, v), (0.1, 0.2, 0.3), 0.4, 30.0)
        ...           for i in (1, 2) for m, v in (("gp", 0.5), ("random", 8.0))]
        >>> regret_table(traces)[1].wins.mean
        1.0
    """

    evaluations: int
    batch: int
    family: str
    method: str
    ours: str
    runs: int
    missing: int
    failures: int
    reason: str
    counted: int
    instances: int
    at: tuple[float, ...]
    ranks: tuple[float, ...]
    ranked: int
    regret: Interval
    area: float
    hits: float
    pairs: int
    wins: Interval
    ratio: Interval
    to_match: float
    seconds: float
    compile_seconds: float
    versions: str


def regret_table(
    traces: Sequence[Trace], *, method: str = "gp", at: Sequence[float] = AT
) -> tuple[RegretRow, ...]:
    """Rows of all methods: for each budget and batch size, all problems and then each family.

    Within one table ours comes first, then the methods from the one that it loses to most.
    A method and a family without common runs has rows with NaN where a pair is needed; an
    interval of a single instance is NaN.

    Args:
        traces: of any budgets, batches and families.
        method: which one is ours.
        at: shares of the budget at which methods are ranked, in (0, 1].

    Raises:
        DataError: no trace, none of `method`, two of one run, a problem without a known
            optimum or reference, or a share that is none.

    Example:
        >>> from bojax.benchmark import Trace, regret_table
        >>> traces = [Trace(m, "branin", i, 0, 1, 3, (30.0, 9.0, v), (0.1, 0.2, 0.3), 0.4, 30.0)
        ...           for i in (1, 2) for m, v in (("gp", 0.5), ("random", 8.0))]
        >>> [(row.method, row.family, row.ranks) for row in regret_table(traces, at=(1.0,))]
        [('gp', 'all', (1.0,)), ('random', 'all', (2.0,))]
    """
    if not any(trace.method == method for trace in traces):
        known = ", ".join(sorted({trace.method for trace in traces})) or "none at all"
        raise DataError(f"regret_table: no trace of {method!r}; there are {known}.")
    if not all(0 < share <= 1 for share in at):
        raise DataError(f"regret_table: at must be shares of the budget in (0, 1], got {at}.")
    _check(traces)
    rows: list[RegretRow] = []
    for evaluations, batch in sorted({(t.evaluations, t.batch) for t in traces}):
        mine = [t for t in traces if (t.evaluations, t.batch) == (evaluations, batch)]
        families = list(dict.fromkeys(t.family for t in mine if t.family))
        for family in [EVERYTHING, *(families if len(families) > 1 else ())]:
            part = [t for t in mine if family in (EVERYTHING, t.family)]
            rows += _Table(part, method, tuple(at), family).rows()
    return tuple(rows)


def regret_losses(rows: Iterable[RegretRow]) -> tuple[list[str], list[str], list[str]]:
    """Where ours loses, where it is behind without the intervals showing it, and is slower.

    It loses where the interval of wins is below a half or that of the ratio is above 1, and
    is behind where only the middle of either is. With many rows some intervals miss by chance:
    they are not corrected for how many there are.

    Example:
        >>> from bojax.benchmark import Trace, regret_losses, regret_table
        >>> traces = [Trace(m, "branin", i, 0, 1, 3, (30.0, 9.0, v), (0.1, 0.2, 0.3), 0.4, 30.0)
        ...           for i in (1, 2) for m, v in (("gp", 8.0), ("other", 0.5))]
        >>> regret_losses(regret_table(traces))[0]
        ['other (won 0.00 [0.00, 0.00] of the pairs, regret 76 [76, 76] times its)']
    """
    lost, behind, slower = [], [], []
    for row in rows:
        if row.method == row.ours or not row.pairs:
            continue
        where = row.method if row.family == EVERYTHING else f"{row.method} on {row.family}"
        where += f" in batches of {row.batch}" if row.batch > 1 else ""
        won, times = share(row.wins), interval(row.ratio)
        told = f"{where} (won {won} of the pairs, regret {times} times its)"
        if row.wins.high < 0.5 or row.ratio.low > 1:
            lost.append(told)
        elif row.wins.mean < 0.5 or row.ratio.mean > 1:
            behind.append(told)
    whole = [row for row in rows if row.family == EVERYTHING]
    for own in [row for row in whole if row.method == row.ours]:
        like = [r for r in whole if (r.evaluations, r.batch) == (own.evaluations, own.batch)]
        if faster := [f"{r.method} {number(r.seconds)} s" for r in like if r.seconds < own.seconds]:
            batch = f" in batches of {own.batch}" if own.batch > 1 else ""
            slower.append(f"{', '.join(faster)} a suggestion{batch}, {number(own.seconds)} s here")
    return lost, behind, slower


def regret_lines(rows: Sequence[RegretRow]) -> list[list[str]]:
    """A header and a line a row of one table, as text; for Markdown or a terminal.

    Where a method was run on fewer instances than others, its regret says on how many.

    Raises:
        DataError: there is no row.

    Example:
        >>> from bojax.benchmark import Trace, regret_lines, regret_table
        >>> traces = [Trace("gp", "branin", 1, 0, 1, 1, (30.0,), (0.1,), 0.4, 30.0)]
        >>> regret_lines(regret_table(traces))[1][:2]
        ['gp', '1']
    """
    if not rows:
        raise DataError("regret_lines: no rows; give those of one table.")
    ours, at = rows[0].ours, rows[0].at
    head = [
        "method", "runs", *(f"rank at {100 * share:g} %" for share in at), "regret", "area",
        "hits", f"{ours} wins", "pairs", f"{ours} / it", "to match", "seconds",
    ]  # fmt: skip
    lines, instances = [head], max(row.instances for row in rows)
    for row in rows:
        own = row.method == row.ours
        runs = f"{row.runs} of {row.runs + row.missing}" if row.missing else str(row.runs)
        failed = f" ({row.failures} failed)" if row.failures else ""
        # A mean over other instances than the rest is no comparison: said where it stands.
        alone = f" on {row.instances}" if 0 < row.instances < instances else ""
        pairs = [share(row.wins), str(row.pairs), interval(row.ratio), _to_match(row.to_match)]
        lines.append([
            row.method, f"{runs}{failed}", *(number(rank) for rank in row.ranks),
            interval(row.regret) + alone, number(row.area), number(row.hits),
            *([""] * 4 if own else pairs), number(row.seconds),
        ])  # fmt: skip
    return lines


def regret_gaps(rows: Iterable[RegretRow]) -> list[str]:
    """What is missing or failed, a sentence a method; of the rows over all problems.

    Example:
        >>> from bojax.benchmark import Trace, regret_gaps, regret_table
        >>> traces = [Trace(m, "branin", i, 0, 1, 1, (30.0,), (0.1,), 0.4, 30.0)
        ...           for m, count in (("gp", 3), ("other", 1)) for i in range(count)]
        >>> regret_gaps(regret_table(traces))
        ['other: 2 of 3 runs are missing, too few to be ranked.']
    """
    told = []
    for row in rows:
        if row.family != EVERYTHING:
            continue
        parts = []
        if row.missing:
            parts.append(f"{row.missing} of {row.runs + row.missing} runs are missing")
        if row.failures:
            empty = row.runs - row.counted
            without = f", {empty} of them without a value and not counted" if empty else ""
            parts.append(f"{row.failures} ended early{without} (first: {reason(row.reason)})")
        if row.at and all(math.isnan(rank) for rank in row.ranks) and row.counted:
            parts.append("too few to be ranked")
        if parts:
            batch = f" in batches of {row.batch}" if row.batch > 1 else ""
            told.append(f"{row.method}{batch}: {', '.join(parts)}.")
    return told


def number(value: float) -> str:
    """To three digits; nothing for NaN.

    Example:
        >>> number(0.012345), number(1234.5), number(float("nan"))
        ('0.0123', '1234', '')
    """
    if math.isnan(value):
        return ""
    return f"{value:.0f}" if 100 <= abs(value) < math.inf else f"{value:.3g}"


def interval(value: Interval) -> str:
    """Middle and ends; the middle alone where there are no ends.

    Example:
        >>> interval(Interval(0.5, 0.25, 0.75)), interval(Interval(0.5, math.nan, math.nan))
        ('0.5 [0.25, 0.75]', '0.5')
    """
    if math.isnan(value.low):
        return number(value.mean)
    return f"{value.mean:.2g} [{value.low:.2g}, {value.high:.2g}]"


def share(value: Interval) -> str:
    """A share with its ends, to two decimals.

    Example:
        >>> share(Interval(0.5, 0.25, 0.75))
        '0.50 [0.25, 0.75]'
    """
    if math.isnan(value.mean):
        return ""
    ends = "" if math.isnan(value.low) else f" [{value.low:.2f}, {value.high:.2f}]"
    return f"{value.mean:.2f}{ends}"


def reason(failure: str) -> str:
    """A failure on one line, cut to a length, without the folders of the machine it was on.

    Example:
        >>> reason("ax: crashed: Traceback in /a/b/c.py, line 1")
        'ax: crashed: Traceback in c.py, line 1'
    """
    text = FOLDERS.sub("", " ".join(failure.split()))
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}..."


def _to_match(value: float) -> str:
    if math.isnan(value):
        return ""
    return "never" if math.isinf(value) else f"{100 * value:.0f} %"


def _check(traces: Sequence[Trace]) -> None:
    seen: set[tuple] = set()
    scales: dict[tuple[str, int], tuple[float, float]] = {}
    for trace in traces:
        if trace.key in seen:
            raise DataError(f"traces: {trace.key} is there twice; keep one.")
        seen.add(trace.key)
        if not trace.reference > trace.optimum:
            raise DataError(
                f"{trace.problem}: regret needs a known optimum and a reference above it, got "
                f"{trace.optimum} and {trace.reference}; give the Problem both."
            )
        scale = (trace.optimum, trace.reference)
        known = scales.setdefault((trace.problem, trace.instance), scale)
        if not np.allclose(scale, known, rtol=SAME_PROBLEM, atol=SAME_PROBLEM):
            raise DataError(
                f"{trace.problem}, instance {trace.instance}: {trace.method} was run on another "
                f"version of it, (optimum, reference) {scale} and not {known}; run it again."
            )


class _Table:
    """The methods of one budget, batch size and family."""

    def __init__(self, traces: Sequence[Trace], ours: str, at: tuple[float, ...], family: str):
        self.ours, self.at, self.family = ours, at, family
        self.traces = {m: [t for t in traces if t.method == m] for m in _names(traces, ours)}
        self.cells = {
            m: {_cell(t): t for t in mine if np.isfinite(t.values).any()}
            for m, mine in self.traces.items()
        }
        # log10 of the regret after each evaluation
        self.curves = {m: {c: _curve(t) for c, t in own.items()} for m, own in self.cells.items()}
        self.everywhere = {_cell(t) for t in traces}
        self.like = traces[0]

    def rows(self) -> list[RegretRow]:
        ranks, ranked = self._ranks()
        rows = [self._row(m, ranks.get(m, (math.nan,) * len(self.at)), ranked) for m in self.traces]
        own = [row for row in rows if row.method == self.ours]
        others = [row for row in rows if row.method != self.ours]
        return own + sorted(others, key=lambda row: (math.isnan(row.wins.mean), row.wins.mean))

    def _row(self, method: str, ranks: tuple[float, ...], ranked: int) -> RegretRow:
        traces, cells, curves = self.traces[method], self.cells[method], self.curves[method]
        final = _by_instance({cell: float(curve[-1]) for cell, curve in curves.items()})
        area = _by_instance({cell: float(curve.mean()) for cell, curve in curves.items()})
        failed = [trace.failure for trace in traces if trace.failure]
        wins, ratio, to_match, pairs = self._paired(method)
        spent = [t.seconds[-1] / len(t.seconds) for t in cells.values() if t.seconds]
        return RegretRow(
            evaluations=self.like.evaluations,
            batch=self.like.batch,
            family=self.family,
            method=method,
            ours=self.ours,
            runs=len(traces),
            missing=len(self.everywhere - {_cell(t) for t in traces}),
            failures=len(failed),
            reason=failed[0] if failed else "",
            counted=len(cells),
            instances=len(final),
            at=self.at,
            ranks=ranks,
            ranked=ranked,
            regret=_power(_mean(final)),
            area=float(np.mean([np.mean(each) for each in area.values()])) if area else math.nan,
            hits=float(stats.hit_fraction([10.0**c for c in curves.values()])[-1])
            if curves
            else math.nan,
            pairs=pairs,
            wins=wins,
            ratio=ratio,
            to_match=to_match,
            seconds=_median(spent),
            compile_seconds=_median([t.compile_seconds for t in cells.values()]),
            versions="; ".join(dict.fromkeys(t.versions for t in traces if t.versions)),
        )

    def _ranks(self) -> tuple[dict[str, tuple[float, ...]], int]:
        every = len({cell[:2] for cell in self.everywhere})
        enough = {
            method: curves
            for method, curves in self.curves.items()
            if len({cell[:2] for cell in curves}) >= RANKED_FROM * every
        }
        shared = sorted(set.intersection(*map(set, enough.values()))) if enough else []
        if not shared:
            return {}, 0
        at = [math.ceil(share * self.like.evaluations - 1e-9) - 1 for share in self.at]
        values = np.array([[curves[cell][at] for cell in shared] for curves in enough.values()])
        # Every instance counts the same, however many of its seeds are shared.
        of_each = stats.ranks(values[:, None])  # [methods, cells, at]
        instances = [cell[:2] for cell in shared]
        weight = np.array([1 / instances.count(one) for one in instances]) / len(set(instances))
        means = np.einsum("mca,c->ma", np.asarray(of_each), weight)
        return {m: tuple(mean.tolist()) for m, mean in zip(enough, means, strict=True)}, len(shared)

    def _paired(self, method: str) -> tuple[Interval, Interval, float, int]:
        mine, theirs = self.curves[self.ours], self.curves[method]
        shared = [cell for cell in theirs if cell in mine]
        if method == self.ours or not shared:
            return UNKNOWN, UNKNOWN, math.nan, 0
        a = _by_instance({cell: float(mine[cell][-1]) for cell in shared})
        b = _by_instance({cell: float(theirs[cell][-1]) for cell in shared})
        matched = {
            cell: stats.time_to_target(10.0 ** mine[cell], float(10.0 ** theirs[cell][-1]))
            / self.like.evaluations
            for cell in shared
        }
        to_match = _median([_median(each) for each in _by_instance(matched).values()])
        if len(a) > 1:
            return (
                stats.win_rate(a, b),
                _power(stats.bootstrap_over_problems(a, b)),
                to_match,
                len(shared),
            )
        (x,), (y,) = a.values(), b.values()
        won = [0.5 + 0.5 * ((p < q) - (p > q)) for p, q in zip(x, y, strict=True)]
        gap = float(np.mean(x) - np.mean(y))
        return _alone(float(np.mean(won))), _alone(10.0**gap), to_match, len(shared)


def _names(traces: Sequence[Trace], ours: str) -> list[str]:
    return list(dict.fromkeys([*(t.method for t in traces if t.method == ours),
                               *(t.method for t in traces)]))  # fmt: skip


def _cell(trace: Trace) -> Cell:
    return trace.problem, trace.instance, trace.seed


def _curve(trace: Trace) -> np.ndarray:
    return stats.log_regret(
        stats.normalised_regret(trace.values, trace.optimum, trace.reference, trace.evaluations)
    )


def _by_instance(values: dict[Cell, float]) -> dict[tuple[str, int], list[float]]:
    found: dict[tuple[str, int], list[float]] = {}
    for problem, instance, seed in sorted(values):
        found.setdefault((problem, instance), []).append(values[problem, instance, seed])
    return found


def _mean(values: dict[tuple[str, int], list[float]]) -> Interval:
    """Mean over instances of the means over seeds, with its bootstrap interval."""
    if not values:
        return UNKNOWN
    if len(values) == 1:
        return _alone(float(np.mean(next(iter(values.values())))))
    zeros = {instance: [0.0] * len(each) for instance, each in values.items()}
    return stats.bootstrap_over_problems(values, zeros)


def _alone(value: float) -> Interval:
    return Interval(value, math.nan, math.nan)


def _power(value: Interval) -> Interval:
    return Interval(10.0**value.mean, 10.0**value.low, 10.0**value.high)


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if len(values) else math.nan
