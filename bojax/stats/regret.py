"""How far from the optimum a run is, how soon it gets there, and who gets there first.

Values are minimised. A run is its values in the order of evaluation, on the last axis, NaN
where an evaluation failed; leading axes are runs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from bojax.errors import DataError
from bojax.stats.checks import at_least_one, first_place, numbers

FLOOR = 1e-4  # regret below which nobody is better off; deeper, one lucky run owns the mean
CEILING = 1.0  # the regret of a point drawn blindly (the median one): worse is no worse
TARGETS = tuple(10.0 ** (-i / 10) for i in range(41))  # 1 to 1e-4, ten a decade


def best_so_far(values: Any) -> np.ndarray:
    """The lowest value up to each evaluation.

    Args:
        values: `[..., n]`, NaN where an evaluation failed.

    Returns:
        `[..., n]`, infinite before the first success: the minimum of nothing.

    Raises:
        DataError: there is no axis of evaluations, or a value is -inf.

    Example:
        >>> import numpy as np
        >>> import bojax
        >>> bojax.stats.best_so_far([np.nan, 3.0, 4.0, np.nan, 1.0]).tolist()
        [inf, 3.0, 3.0, 3.0, 1.0]
    """
    x = _runs("values", values)
    if (x == -np.inf).any():
        raise DataError(
            f"values: evaluation {first_place(x == -np.inf)} is -inf, below any optimum; mark a "
            "failed one as NaN."
        )
    return np.minimum.accumulate(np.where(np.isnan(x), np.inf, x), axis=-1)


def normalised_regret(
    values: Any, optimum: Any, reference: Any, evaluations: int | None = None
) -> np.ndarray:
    """What is left of the way from a reference value to the optimum, after each evaluation.

        max(0, (best so far - optimum) / (reference - optimum))

    With the median value of the space as the reference, as a problem of the bench has it,
    1 is a point drawn blindly and 0.01 is one per cent of the way left.

    Args:
        values: `[..., n]` noise-free values, NaN where an evaluation failed; n may be 0.
        optimum: the lowest value there is; a number, or one a run `[...]`.
        reference: the value that has regret 1, above the optimum; likewise.
        evaluations: of the answer, n unless told. A run that ended early keeps its last
            regret, and of a longer one the rest is left out.

    Returns:
        `[..., evaluations]`, falling, infinite before the first success.

    Raises:
        DataError: a reference is not above its optimum, one of them is not finite, the
            shapes do not fit, or as in :func:`best_so_far`.

    Example:
        >>> import bojax
        >>> bojax.stats.normalised_regret([3.0, 5.0, 2.0], 1.0, 5.0, evaluations=5).tolist()
        [0.5, 0.5, 0.25, 0.25, 0.25]
    """
    best = best_so_far(values)
    low, high = numbers("optimum", optimum), numbers("reference", reference)
    for name, x in (("optimum", low), ("reference", high)):
        if not np.isfinite(x).all():
            raise DataError(f"{name} must be finite, got {x[~np.isfinite(x)][0]}.")
        if x.ndim and x.shape != best.shape[:-1]:
            raise DataError(
                f"{name}: expected one number, or one a run {best.shape[:-1]}, got shape {x.shape}."
            )
    if (high <= low).any():
        run = np.broadcast_arrays(low, high, high <= low)
        optimum, reference = run[0][run[2]][0], run[1][run[2]][0]
        raise DataError(
            f"reference must be above optimum, got reference={reference} and optimum={optimum}; "
            "take the median value over the space."
        )
    regret = np.maximum(0.0, (best - low[..., None]) / (high - low)[..., None])
    if evaluations is None:
        return regret
    have, wanted = best.shape[-1], at_least_one("evaluations", evaluations)
    last = regret[..., -1:] if have else np.full((*best.shape[:-1], 1), np.inf)
    rest = np.repeat(last, max(0, wanted - have), axis=-1)
    return np.concatenate([regret[..., :wanted], rest], axis=-1)


def log_regret(regret: Any, *, floor: float = FLOOR, ceiling: float = CEILING) -> np.ndarray:
    """The logarithm to base 10 of regret, between that of a floor and that of a ceiling.

    Below the floor all are the same: otherwise the mean over runs belongs to whoever came
    closest once. At the ceiling are regrets above it and those before the first success, so
    a failed evaluation counts as a point drawn blindly, the curve still only falls, and no
    run gains by failing.

    Args:
        regret: `[..., n]`, at least 0, as :func:`normalised_regret` gives it.
        floor, ceiling: regrets, `0 < floor < ceiling < inf`.

    Returns:
        `[..., n]` in decades, from `log10(floor)` to `log10(ceiling)`.

    Raises:
        DataError: a regret is NaN or negative, or the bounds are out of order.

    Example:
        >>> import numpy as np
        >>> import bojax
        >>> bojax.stats.log_regret([np.inf, 3.0, 0.1, 0.0]).tolist()
        [0.0, 0.0, -1.0, -4.0]
    """
    x = _regrets(regret)
    if not 0 < floor < ceiling < math.inf:
        raise DataError(f"expected 0 < floor < ceiling < inf, got {floor!r} and {ceiling!r}.")
    return np.log10(np.clip(x, floor, ceiling))


def log_regret_area(regret: Any, *, floor: float = FLOOR, ceiling: float = CEILING) -> Any:
    """The area under the curve of :func:`log_regret`, as its mean over evaluations.

    One number for a whole run, lower is better: one decade less means ten times closer at
    the average evaluation.

    Args:
        regret: `[..., n]`, n of at least 1; of runs of one length, if they are compared.
        floor, ceiling: as in :func:`log_regret`.

    Returns:
        Decades: a float for one run, `[...]` for more.

    Raises:
        DataError: no evaluation, or as in :func:`log_regret`.

    Example:
        >>> import bojax
        >>> bojax.stats.log_regret_area([1.0, 0.1, 0.01])
        -1.0
    """
    curve = log_regret(regret, floor=floor, ceiling=ceiling)
    if not curve.shape[-1]:
        raise DataError("regret: expected at least one evaluation; give normalised_regret a count.")
    area = curve.mean(axis=-1)
    return float(area) if area.ndim == 0 else area


def time_to_target(regret: Any, target: float, seconds: Any = None) -> Any:
    """Evaluations, or seconds, until the regret is at or below a target.

    Args:
        regret: `[..., n]`, at least 0.
        target: a regret.
        seconds: `[..., n]` the clock at each evaluation; None counts evaluations from 1. May
            be shorter than the regret of runs that ended early.

    Returns:
        A float for one run, `[...]` for more; infinite where the target is never reached.

    Raises:
        DataError: a regret is NaN or negative, the target is NaN, or the clock has another
            shape or is not a number where the target was reached.

    Example:
        >>> import bojax
        >>> bojax.stats.time_to_target([0.9, 0.2, 0.1], 0.25)
        2.0
        >>> bojax.stats.time_to_target([0.9, 0.2, 0.1], 0.25, seconds=[0.0, 1.5, 4.0])
        1.5
        >>> bojax.stats.time_to_target([0.9, 0.2, 0.1], 0.01)
        inf
    """
    x = _regrets(regret)
    if math.isnan(target):
        raise DataError("target must be a regret, got nan.")
    hit = x <= target
    reached = hit.any(axis=-1)
    if not x.shape[-1]:
        time = np.full(x.shape[:-1], np.inf)
    elif seconds is None:
        time = np.where(reached, hit.argmax(axis=-1) + 1.0, np.inf)
    else:
        clock = _runs("seconds", seconds)
        if clock.shape[:-1] != x.shape[:-1] or clock.shape[-1] > x.shape[-1]:
            raise DataError(f"seconds: expected shape {x.shape} of regret, got {clock.shape}.")
        # Regret beyond the end of a clock was kept from before it, so it is never first.
        rest = np.full((*x.shape[:-1], x.shape[-1] - clock.shape[-1]), np.nan)
        clock = np.concatenate([clock, rest], axis=-1)
        first = np.take_along_axis(clock, hit.argmax(axis=-1)[..., None], axis=-1)[..., 0]
        if (reached & np.isnan(first)).any():
            raise DataError("seconds: none is given for the evaluation that reached the target.")
        time = np.where(reached, first, np.inf)
    return float(time) if time.ndim == 0 else time


def hit_fraction(regrets: Any, targets: Sequence[float] = TARGETS) -> np.ndarray:
    """The fraction of (run, target) pairs reached after each number of evaluations.

    The empirical distribution of run times over targets, all runs of all problems counted
    alike. Nothing is extrapolated: a pair that was not reached stays unreached, where COCO
    restarts a run in simulation.

    Args:
        regrets: `[..., n]`, one run or many of one length, each at least 0.
        targets: regrets; ten a decade from 1 to 1e-4 unless told.

    Returns:
        `[n]` rising, in [0, 1]; entry i is after i + 1 evaluations.

    Raises:
        DataError: there is no run or no target, or one of them is NaN or negative.

    Example:
        >>> import bojax
        >>> bojax.stats.hit_fraction([[0.5, 0.5, 0.01], [0.2, 0.1, 0.1]], [0.3, 0.1]).tolist()
        [0.25, 0.5, 1.0]

    References:
        N. Hansen, A. Auger, R. Ros, O. Mersmann, T. Tusar and D. Brockhoff, COCO: a platform
        for comparing continuous optimizers in a black-box setting, Optimization Methods and
        Software 36(1), 2021.
    """
    x, wanted = _regrets(regrets), numbers("targets", targets)
    if wanted.ndim != 1 or not len(wanted) or not (wanted >= 0).all():
        raise DataError(f"targets: expected regrets of at least 0 in a row, got {targets!r}.")
    if not x.size:
        raise DataError(f"regrets: expected at least one run of one evaluation, got {x.shape}.")
    best = np.minimum.accumulate(x, axis=-1).reshape(-1, x.shape[-1])
    # How many targets are at or above a regret, from their order: no array over all pairs.
    reached = len(wanted) - np.searchsorted(np.sort(wanted), best, side="left")
    return reached.mean(axis=0) / len(wanted)


def ranks(
    values: Any, *, missing: Literal["raise", "worst", "leave out"] = "raise"
) -> np.ndarray | dict[Any, np.ndarray]:
    """The mean rank of each method over problems; 1 is the lowest value.

    Equal values share the mean of the ranks they take up (mid-ranks), infinite ones too.

    Args:
        values: `[methods, problems, ...]`, lower is better, or `{method: [problems, ...]}`. A
            problem may be a pair of problem and seed; further axes, as of evaluations, are
            ranked one by one. NaN is a run that is missing.
        missing: "raise" refuses them; with "worst" they share the last ranks with infinite
            values; with "leave out" a problem on which any method is missing is not counted.

    Returns:
        `[methods, ...]`, or a mapping if one was given; the methods' ranks always add up to
        `methods (methods + 1) / 2`.

    Raises:
        DataError: a run is missing and that is not allowed, or no problem is left; names the
            method and the problem.

    Example:
        >>> import bojax
        >>> bojax.stats.ranks([[0.1, 0.2], [0.3, 0.2], [0.5, 0.9]]).tolist()
        [1.25, 1.75, 3.0]
    """
    if missing not in ("raise", "worst", "leave out"):
        raise DataError(f'missing must be "raise", "worst" or "leave out", got {missing!r}.')
    names = list(values) if isinstance(values, Mapping) else None
    x = numbers("values", values if names is None else [values[name] for name in names])
    if x.ndim < 2 or not x.shape[0]:
        raise DataError(f"values: expected an array [methods, problems, ...], got shape {x.shape}.")
    absent = np.isnan(x).any(axis=tuple(range(2, x.ndim)))
    if missing == "raise" and absent.any():
        method, problem = np.argwhere(absent)[0].tolist()
        raise DataError(
            f"method {method if names is None else names[method]!r}: no value on problem "
            f'{problem}; finish the run, or choose missing="worst" or "leave out".'
        )
    if missing == "leave out":
        x = x[:, ~absent.any(axis=0)]
    if not x.shape[1]:
        raise DataError("values: no problem on which every method has a value.")
    x = np.where(np.isnan(x), np.inf, x)
    average = np.stack(
        [((x < row).sum(axis=0) + (x <= row).sum(axis=0) + 1).mean(axis=0) / 2 for row in x]
    )
    return average if names is None else dict(zip(names, average, strict=True))


def _runs(name: str, values: Any) -> np.ndarray:
    x = numbers(name, values)
    if not x.ndim:
        raise DataError(f"{name}: expected evaluations in a row, got the number {x}.")
    return x


def _regrets(values: Any) -> np.ndarray:
    x = _runs("regret", values)
    wrong = ~(x >= 0)
    if wrong.any():
        raise DataError(
            f"regret: evaluation {first_place(wrong)} is {x[wrong][0]}; expected at least 0, inf "
            "before the first success, as normalised_regret gives it."
        )
    return x
