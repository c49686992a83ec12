"""Points with several objectives, all minimised: fronts, crowding, and the volume they dominate.

A point dominates another if it is no worse in any objective and better in one. Fronts and crowding
are those of NSGA-II (K. Deb, A. Pratap, S. Agarwal and T. Meyarivan, "A fast and elitist
multiobjective genetic algorithm: NSGA-II", IEEE Transactions on Evolutionary Computation 6, 2002,
sections III.A and III.B).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bojax.errors import DataError
from bojax.stats.checks import numbers


def pareto_ranks(points: Any) -> np.ndarray:
    """The front of each point, 0 the best: not dominated once the fronts before are taken away.

    Args:
        points: `[n, M]`, minimised. Takes n^2 bytes a metric for a moment.

    Returns:
        `[n]` int.

    Example:
        >>> import bojax
        >>> bojax.stats.pareto_ranks([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]).tolist()
        [0, 0, 1]
    """
    points = numbers("points", points)
    no_worse = np.ones((len(points), len(points)), bool)
    better = np.zeros_like(no_worse)
    for column in points.T:
        no_worse &= column[:, None] <= column
        better |= column[:, None] < column
    dominates = no_worse & better
    above = dominates.sum(axis=0)  # points left that dominate each
    ranks = np.full(len(points), -1)
    for front in range(len(points)):
        now = (above == 0) & (ranks < 0)
        if not now.any():
            break
        ranks[now] = front
        above -= dominates[now].sum(axis=0)
    return ranks


def crowding_distances(points: Any, ranks: Any) -> np.ndarray:
    """Room around each point within its front: the sides of the box between its neighbours.

    Args:
        points, ranks: `[n, M]` and `[n]`; see :func:`pareto_ranks`.

    Returns:
        `[n]`; infinite at the ends of a front.

    Example:
        >>> import bojax
        >>> points = [[0.0, 4.0], [1.0, 1.0], [4.0, 0.0]]
        >>> bojax.stats.crowding_distances(points, [0, 0, 0]).tolist()
        [inf, 2.0, inf]
    """
    points, ranks = numbers("points", points), np.asarray(ranks)
    distances = np.zeros(len(points))
    for front in range(ranks.max(initial=-1) + 1):
        (members,) = np.nonzero(ranks == front)
        for column in points[members].T:
            order = np.argsort(column, kind="stable")
            along, who = column[order], members[order]
            distances[who[[0, -1]]] = math.inf
            if along[-1] > along[0]:
                distances[who[1:-1]] += (along[2:] - along[:-2]) / (along[-1] - along[0])
    return distances


def hypervolume(points: Any, reference: Any) -> float:
    """The volume that points dominate, up to a reference point: larger is better.

        volume of { z : some point <= z <= reference, in every objective }

    Exact, by slices along the last objective; with two objectives one sort, with more n^(M - 1)
    steps for the n points of the front.

    Args:
        points: `[n, M]`, minimised. Those that are not below the reference in every objective add
            nothing, nor do those with a NaN, which mark failures.
        reference: `[M]`, the worst that counts. Choose it before looking at the results.

    Raises:
        DataError: the shapes do not fit, or the reference is not finite, or a point is -inf.

    Example:
        >>> import bojax
        >>> bojax.stats.hypervolume([[0.0, 0.5], [0.5, 0.0]], [1.0, 1.0])
        0.75

    References:
        E. Zitzler and L. Thiele, "Multiobjective evolutionary algorithms: a comparative case study
        and the strength Pareto approach", IEEE Transactions on Evolutionary Computation 3, 1999.
    """
    x, worst = numbers("points", points), numbers("reference", reference)
    if x.size == 0:
        x = x.reshape(0, worst.size)
    if worst.ndim != 1 or x.ndim != 2 or x.shape[1] != len(worst):
        raise DataError(
            f"hypervolume: expected points [n, M] and a reference [M], got {x.shape} and "
            f"{worst.shape}."
        )
    if not np.isfinite(worst).all():
        raise DataError(f"reference: expected finite numbers, got {worst.tolist()}.")
    if (x == -np.inf).any():
        raise DataError("points: one is -inf, which no volume measures; mark a failure as NaN.")
    return _volume(x[(x < worst).all(axis=1)], worst)


def _volume(points: np.ndarray, worst: np.ndarray) -> float:
    """Of points that are all better than the worst."""
    if len(points) == 0:
        return 0.0
    if len(worst) == 1:
        return float(worst[0] - points.min())
    points = points[np.argsort(points[:, -1], kind="stable")]
    heights = np.diff(points[:, -1], append=worst[-1])
    if len(worst) == 2:  # the slice's width is that of the best so far
        return float(heights @ (worst[0] - np.minimum.accumulate(points[:, 0])))
    slices = [_volume(points[: i + 1, :-1], worst[:-1]) for i in range(len(points))]
    return float(heights @ slices)
