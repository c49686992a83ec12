"""The rung table: what a scheduler is going to train, printed before it does."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True)
class Rung:
    """One rung of one bracket. Costs are in units of budget (epochs, say).

    Attributes:
        bracket, rung: which one, counted from 0.
        members: trials that train up to this rung.
        budget: what each of them has been trained for at its end.
        cost: what the rung costs when training resumes at the rung before.
        cost_from_scratch: what it costs when every rung trains from the beginning.

    Example:
        >>> import bojax
        >>> bojax.schedulers.successive_halving(trials=27).plan().rows[1].cost
        18
    """

    bracket: int
    rung: int
    members: int
    budget: int
    cost: int
    cost_from_scratch: int

    @property
    def started(self) -> int:
        """How many of the members are new trials: all where nothing is resumed, or none."""
        return self.members if self.cost == self.cost_from_scratch else 0


@dataclass(frozen=True)
class RungTable:
    """The rungs of every bracket, in the order they are trained.

    Attributes:
        rows: a :class:`Rung` each.

    Example:
        >>> import bojax
        >>> print(bojax.schedulers.successive_halving(max_budget=9, trials=9).plan())
        bracket  rung  members  budget  cost  from scratch
              0     0        9       1     9             9
              0     1        3       3     6             9
              0     2        1       9     6             9
          total              9            21            27
    """

    rows: tuple[Rung, ...]

    @property
    def total(self) -> int:
        """Budget spent when training resumes: what a run costs."""
        return sum(row.cost for row in self.rows)

    @property
    def total_from_scratch(self) -> int:
        """Budget that would be spent if every rung trained from the beginning."""
        return sum(row.cost_from_scratch for row in self.rows)

    @property
    def trials(self) -> int:
        """Trials started in all."""
        return sum(row.started for row in self.rows)

    def __str__(self) -> str:
        head = ("bracket", "rung", "members", "budget", "cost", "from scratch")
        total = ("total", "", self.trials, "", self.total, self.total_from_scratch)
        lines = [tuple(map(str, line)) for line in (head, *self._lines(), total)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
            for line in lines
        )

    def _lines(self):
        """Lines to print: brackets that are alike share theirs, at the cost of all of them."""
        brackets = [list(rows) for _, rows in groupby(self.rows, lambda row: row.bracket)]
        for _, alike in groupby(brackets, lambda rows: [(r.members, r.budget) for r in rows]):
            group = list(alike)
            first, last = group[0][0].bracket, group[-1][0].bracket
            name = str(first) if first == last else f"{first}-{last}"
            for row in group[0]:
                times = len(group)
                yield (
                    name,
                    row.rung,
                    row.members if times == 1 else f"{times} x {row.members}",
                    row.budget,
                    times * row.cost,
                    times * row.cost_from_scratch,
                )


def rungs_of(
    bracket: int, sizes: list[int], budgets: tuple[int, ...], *, fresh: bool = False
) -> list[Rung]:
    """The table's rows of one bracket; in a fresh one no rung resumes another's trials."""
    starts = (0,) * len(budgets) if fresh else (0, *budgets[:-1])
    return [
        Rung(bracket, i, n, stop, n * (stop - start), n * stop)
        for i, (n, start, stop) in enumerate(zip(sizes, starts, budgets, strict=True))
    ]
