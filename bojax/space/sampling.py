"""Rows that meet every constraint, drawn on the host: NumPy, many at a time.

First plain rejection, in growing batches. Where that finds too few, subset simulation
(S.-K. Au and J. L. Beck, Probabilistic Engineering Mechanics 16, 2001): walkers descend
through levels of the broken amount, each level holding the best fifth of the one before, so
that a feasible volume of 1e-6 takes nine levels and not a million draws. Between levels and
at the end they walk by hit-and-run (R. L. Smith, Operations Research 32, 1984) with the
shrinking bracket of slice sampling (R. M. Neal, Annals of Statistics 31, 2003), which
leaves the uniform distribution over the feasible part of the unit cube as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bojax.errors import InfeasibleError

BATCHES = (1024, 4096, 16384, 65536)  # of plain rejection, the last one again and again
PATIENCE = 4_000_000  # draws of plain rejection where yes or no is all that a rule says
WALKERS = 256
KEPT = 0.2  # of the walkers at each level
LEVELS = 200
STALL = 0.995  # of a level's amount left at the next: in 200 columns a fifth of them falls so
MOVES = 6  # of each walker between levels
SHRINKS = 24  # of a bracket before a walker stays where it is


def feasible_rows(
    n: int,
    dimensions: int,
    rng: np.random.Generator,
    row_of: Callable[[np.ndarray], np.ndarray],
    broken: Callable[[np.ndarray], np.ndarray],
    labels: Sequence[tuple[int, str]],
    listed: bool = False,
) -> np.ndarray:
    """`n` feasible rows, uniform over the feasible part of the unit cube.

    Args:
        n: how many.
        dimensions: of the cube.
        rng: what they are drawn from.
        row_of: points of the cube `[N, D]` -> canonical rows `[N, D]`.
        broken: rows -> by how much each rule is broken, `[N, rules]`.
        labels: place among the rules and text, for the error.
        listed: whether the caller can list the space instead, so that patience is lost.

    Raises:
        InfeasibleError: none was found; says how many draws each constraint alone was met
            by.
    """
    points, drawn, met = _rejection(n, dimensions, rng, row_of, broken, BATCHES[:3])
    if len(points) >= n:
        return row_of(points[:n])

    def total(unit):
        return np.maximum(broken(row_of(unit)), 0.0).sum(axis=1)

    if len(points) == 0:
        walkers, heights = _descent(dimensions, rng, total)
        points = walkers[heights <= 0.0]
        # Amounts that lead to no feasible point say that there is none; a mere yes or no
        # says nothing, and only luck helps.
        left = broken(row_of(walkers[np.argmin(heights)][None]))[0]
        patient = not listed and set(left[left > 0.0]) <= {1.0}
        if len(points) == 0 and patient:
            batches = (BATCHES[3],) * (PATIENCE // BATCHES[3])
            points, more, met_more = _rejection(1, dimensions, rng, row_of, broken, batches)
            drawn, met = drawn + more, met + met_more
    if len(points) == 0:
        told = "; ".join(f"{label} is met by {met[place]:,}" for place, label in labels)
        alone = int(np.argmin([met[place] for place, _ in labels]))
        raise InfeasibleError(
            f"no feasible configuration found in {drawn:,} draws: {told}. Relax "
            f"{labels[alone][1]}, the hardest to meet, or widen the ranges it speaks of."
        )
    # Walk away from where few were found, until they are as good as independent.
    walkers = points[rng.integers(len(points), size=max(n, 256))]
    for _ in range(3 * MOVES):
        walkers = _moved(walkers, 0.0, total, rng)
    picked = rng.permutation(len(walkers))[:n]
    return row_of(walkers[picked])


def _rejection(n, dimensions, rng, row_of, broken, batches):
    """Feasible points, how many were drawn, and how many of these met each rule."""
    found, drawn, met, count = [], 0, 0, 0
    for size in batches:
        unit = rng.random((size, dimensions))
        holds = broken(row_of(unit)) <= 0.0
        met = met + holds.sum(axis=0)
        good = unit[holds.all(axis=1)]
        found.append(good)
        drawn, count = drawn + size, count + len(good)
        if count >= n:
            break
    return np.concatenate(found), drawn, met


def _descent(dimensions, rng, total) -> tuple[np.ndarray, np.ndarray]:
    """Points and their totals after subset simulation, feasible ones among them if it can."""
    walkers = rng.random((WALKERS, dimensions))
    heights, level = total(walkers), np.finfo(float).max
    for _ in range(LEVELS):
        best = np.quantile(heights, KEPT, method="lower")
        if best <= 0.0 or best > STALL * level:  # there, or at the bottom of what there is
            break
        level = best
        kept = np.flatnonzero(heights <= level)
        walkers = walkers[kept[rng.integers(len(kept), size=WALKERS)]]
        for _ in range(MOVES):
            walkers = _moved(walkers, level, total, rng)
        heights = total(walkers)
    return walkers, heights


def _moved(walkers, level, total, rng) -> np.ndarray:
    """One step of hit-and-run each, to a point whose total is at most the level."""
    n, d = walkers.shape
    direction = rng.standard_normal((n, d))
    one = rng.integers(d, size=n)
    direction = np.where((rng.random(n) < 0.5)[:, None], np.eye(d)[one], direction)
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.stack([-walkers / direction, (1.0 - walkers) / direction])
    ends = np.where(direction == 0.0, [[[-np.inf]], [[np.inf]]], ends)
    low, high = ends.min(axis=0).max(axis=1), ends.max(axis=0).min(axis=1)
    live, out = np.arange(n), walkers.copy()
    for _ in range(SHRINKS):
        step = low[live] + (high[live] - low[live]) * rng.random(len(live))
        tried = np.clip(walkers[live] + step[:, None] * direction[live], 0.0, 1.0)
        good = total(tried) <= level
        out[live[good]] = tried[good]
        low[live] = np.where(step < 0, step, low[live])
        high[live] = np.where(step >= 0, step, high[live])
        live = live[~good]
        if len(live) == 0:
            break
    return out
