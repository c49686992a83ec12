"""Do the best trials lie at the edge of what was searched?

An optimum at a bound says that the range was too small, the first thing to look at after a
search (the Deep Learning Tuning Playbook, Godbole et al. 2023: "if the best observed point is
near the boundary of the search space, expand it").
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from bojax.errors import ConfigError
from bojax.space import codec
from bojax.space.parameters import Float, Int

BEST = 0.1  # of the trials count as the best, and at least LEAST of them
LEAST = 5
EDGE = 0.1  # of the range in the scale searched in, at each end
WIDEN = 0.5  # of the range, what the suggestion adds


@dataclass(frozen=True)
class Edge:
    """A parameter whose best trials lie at an end of its range.

    Attributes:
        name: of the parameter.
        side: "low" or "high".
        share: of the best trials that lie within a tenth of that end.
        bound: the end, natural units.
        suggestion: where to move it: half a range further in the scale searched in.

    Example:
        >>> from bojax.space import Edge
        >>> print(Edge("lr", "high", 0.8, 0.1, 3.2))
        lr: 80% of the best trials lie at its high end, 0.1; try a high of 3.2.
    """

    name: str
    side: str
    share: float
    bound: float
    suggestion: float

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.share:.0%} of the best trials lie at its {self.side} end, "
            f"{self.bound:g}; try a {self.side} of {self.suggestion:g}."
        )


@dataclass(frozen=True)
class Edges:
    """What :meth:`bojax.Space.check` found; false when nothing lies at an edge.

    Attributes:
        edges: an :class:`Edge` each, most pressing first.
        best: how many trials were looked at.

    Example:
        >>> from bojax.space import Edges
        >>> bool(Edges((), 5)), str(Edges((), 5))
        (False, 'No parameter of the 5 best trials lies at an edge of its range.')
    """

    edges: tuple[Edge, ...]
    best: int

    def __bool__(self) -> bool:
        return bool(self.edges)

    def __str__(self) -> str:
        if not self.edges:
            return f"No parameter of the {self.best} best trials lies at an edge of its range."
        return "\n".join(map(str, self.edges))


def check(space: Any, told: Any, direction: str) -> Edges:
    """See :meth:`bojax.Space.check`."""
    if direction not in ("minimize", "maximize"):
        raise ValueError(f"direction: expected 'minimize' or 'maximize', got {direction!r}.")
    rows, values = _told(space, told)
    finite = np.isfinite(values)
    rows, values = rows[finite], values[finite]
    if len(values) < 2 * LEAST:
        raise ConfigError(
            f"check: needs at least {2 * LEAST} trials with a value, got {len(values)}; "
            "run more first."
        )
    order = np.argsort(values if direction == "minimize" else -values, kind="stable")
    best = rows[order[: max(LEAST, math.ceil(BEST * len(values)))]]
    active = space.active(best)
    found = []
    for c, (name, parameter) in enumerate(space.parameters.items()):
        there = best[active[:, c], c]
        fixed = name == space.fidelity or name in space.context
        if fixed or not isinstance(parameter, (Float, Int)) or len(there) < LEAST:
            continue
        if space.table.sticks is not None and space.table.sticks.member[c]:
            continue  # its ends are where the others end
        # A grid's end is its first cell if that is wider; chance alone fills it the more often.
        first = float(space.column_row(name, parameter.low))
        last = float(space.column_row(name, codec.last_value(parameter)))
        for side, near, width in (
            ("low", there <= max(EDGE, first), max(EDGE, 2 * first)),
            ("high", there >= min(1.0 - EDGE, last), max(EDGE, 2 * (1.0 - last))),
        ):
            if near.mean() > 0.5 and near.mean() >= min(1.0, 2 * width):
                found.append(_edge(name, parameter, side, float(near.mean())))
    return Edges(tuple(sorted(found, key=lambda e: -e.share)), len(best))


def _edge(name: str, parameter: Float | Int, side: str, share: float) -> Edge:
    low, high = (float(codec.scale(parameter, end)) for end in (parameter.low, parameter.high))
    moved = low - WIDEN * (high - low) if side == "low" else high + WIDEN * (high - low)
    moved = math.exp(moved) if parameter.log else moved
    if isinstance(parameter, Int):
        moved = round(moved)
        moved = max(moved, 1) if parameter.log else moved
    else:
        moved = float(f"{moved:.2g}")
    return Edge(name, side, share, getattr(parameter, side), moved)


def _told(space: Any, told: Any) -> tuple[np.ndarray, np.ndarray]:
    """Rows and values of a history, or of trials with `config` and `value`."""
    if hasattr(told, "rows") and hasattr(told, "values") and not isinstance(told, dict):
        return np.asarray(told.rows, float), np.asarray(told.values, float)[:, 0]
    kept = [trial for trial in told if getattr(trial, "value", None) is not None]
    if not kept:
        return np.zeros((0, space.table.columns)), np.zeros(0)
    return space.encode([t.config for t in kept]), np.array([float(t.value) for t in kept])
