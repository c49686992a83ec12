"""The section of surrogates: rows that `surrogates.py` or `bojax bench surrogates` wrote."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bojax.benchmark import (
    SurrogateComparison,
    SurrogateRow,
    surrogate_gaps,
    surrogate_losses,
)
from bojax.benchmark._surrogate_rows import read_rows

from . import Section, bullets, digits, standing

PICTURE = "bench_calibration.png"
EXPLAINED = """RMSE, log density and CRPS in units of the standard deviation of each data set, of
a new observation, means over data sets; `in 50 %` is how many of the held-out values lie in the
central interval that promises so many. Pairs are splits that both were fitted to, a failure
loses its pair, and intervals are bootstraps over data sets. Seconds are medians of warm fits,
`compile` is the sum over all runs.
"""


def rows_of(path: Path) -> list[SurrogateRow]:
    """Rows of a file; of several of one surrogate, data set, size and split the last counts."""
    found: dict[tuple, SurrogateRow] = {}
    for row in read_rows(path):
        found[row.surrogate, row.dataset, row.n, row.split] = row
    return list(found.values())


def ours(rows: Sequence[SurrogateRow]) -> str | None:
    """The first surrogate of bojax."""
    names = [row.surrogate for row in rows]
    return next((name for name in names if name == "gp" or name.startswith("bojax")), None)


def section(rows: Sequence[SurrogateRow]) -> Section | None:
    """The section, or None if there are no rows of ours."""
    name = ours(rows)
    if name is None:
        return None
    lost, behind, slower = surrogate_losses(rows, name)
    times, loads = sorted(row.when for row in rows), [row.load for row in rows]
    versions = {row.surrogate: f"{row.versions}; threads: {row.threads}" for row in rows}
    sets = list(dict.fromkeys(row.dataset for row in rows))
    parts = [
        f"`python benchmarks/surrogates.py`, {times[0].replace('T', ' ')}; {', '.join(sets)}; "
        f"{rows[0].machine}, load average {digits(min(loads))} to {digits(max(loads))}.\n",
        bullets([f"{surrogate}: {told}" for surrogate, told in versions.items()]) + "\n",
        f"Ours is `{name}`.\n",
        standing(lost, behind, slower),
    ]
    if gaps := surrogate_gaps(rows):
        parts.append(f"Not complete:\n\n{bullets(gaps)}\n")
    compared = SurrogateComparison(tuple(rows))
    parts += [EXPLAINED, f"![calibration](../docs/{PICTURE})\n", compared.table()]
    lost += [f"slower than {told}" for told in slower]
    return Section("Surrogates", lost, "\n".join(parts))
