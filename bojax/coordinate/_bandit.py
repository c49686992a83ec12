"""Population based bandits: what a copy trains with next is where the most progress may be.

J. Parker-Holder, V. Nguyen and S. Roberts, "Provably efficient online hyperparameter optimization
with population-based bandits", NeurIPS 2020, algorithm 1. What is modelled is the improvement per
budget of an interval, over the hyperparameters it was trained with, the value it began at and, with
fading covariance, when; see `bojax.coordinate._time_varying`. A copy is given the row of largest

    mean + sqrt(0.2 + max(0, log(0.4 n))) deviation

after n observations, the deviation given what the rest of the population is about to try. Ours, and
not the paper's: the deviation and not the variance, which the authors' code multiplies; outlying
improvements are drawn in to Tukey's fences, and an interval that failed counts as the worst of all;
time counts intervals, so that the fading is one of an interval; the last `window` observations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bojax.coordinate._time_varying import Fading, fit
from bojax.errors import SpaceError
from bojax.history import Trial
from bojax.space import Space
from bojax.space.parameters import Float, Int

C1, C2 = 0.2, 0.4  # of beta; Bogunovic et al. 2016, section 5
CANDIDATES = 512  # rows looked at everywhere, and again around the best one at each width
WIDTHS = (0.1, 0.03, 0.01)  # of the unit cube
FENCE = 1.5  # interquartile ranges beyond the quartiles
FEASIBLE = 64  # rows tried, best first, until one meets the constraints


class Bandit:
    """One generation's choices.

    Args:
        space: of the run.
        names: of the parameters that are chosen.
        trials: all of them, by number.
        value: of a dict of metrics, minimised; not finite where it failed.
        now: the budget at which the copies are made.
        interval: budget that counts as one in time.
        window: observations that are used, the latest.

    Attributes:
        model: the process, with what is awaited; None while no improvement was seen.
        beta: the square of how many deviations are hoped for.

    Example:
        >>> import numpy as np
        >>> import bojax
        >>> from bojax.coordinate._bandit import Bandit
        >>> from bojax.history import Trial
        >>> space = bojax.Space({"x": bojax.Float(0.0, 1.0)})
        >>> trials = [  # the larger x, the more is won in the second interval
        ...     Trial(id=i, config={"x": i / 9}, row=np.array([i / 9]),
        ...           curve=((1.0, {"loss": 1.0}), (2.0, {"loss": 1.0 - i / 9})))
        ...     for i in range(10)]
        >>> bandit = Bandit(space, ["x"], trials, lambda metrics: metrics["loss"], now=2.0)
        >>> bandit.chosen(trials[0], np.random.default_rng(0))["x"] > 0.8
        True
    """

    def __init__(
        self, space: Space, names: Sequence[str], trials: Sequence[Trial],
        value: Callable[[Mapping[str, float]], float], *, now: float, interval: float = 1,
        window: int = 200,
    ) -> None:  # fmt: skip
        self.space, self.names = space, tuple(names)
        self._columns = [space.names.index(name) for name in self.names]
        self._value, self._now, self._time = value, now, now / interval
        begun, rows, times, gains = self._progress(trials, window)
        self._fences = fences(np.concatenate([begun, self._standing(trials)]))
        self.model: Fading | None = None
        self.beta = C1
        if len(gains):
            self.model = fit(self._with(begun, rows), times / interval, standardised(gains))
            self.beta += max(0.0, math.log(C2 * len(gains)))

    def _progress(self, trials: Sequence[Trial], window: int) -> tuple[np.ndarray, ...]:
        """Intervals with a value at their beginning: that value, row, time, improvement."""
        lines = []
        for trial in trials:
            before = None
            if trial.parent is not None and trial.curve:
                parent = trials[trial.parent]
                earlier = [point for point in parent.curve if point[0] < trial.curve[0][0]]
                before = earlier[-1] if earlier else None
            for budget, metrics in trial.curve:
                if before is not None:
                    first, last = self._value(before[1]), self._value(metrics)
                    gain = (first - last) / (budget - before[0])
                    if math.isfinite(first):
                        row = np.asarray(trial.row)[self._columns]
                        lines.append((before[0], trial.id, first, row, gain))
                before = (budget, metrics)
        lines = sorted(lines, key=lambda line: line[:2])[-window:]
        gains = np.array([line[4] for line in lines])
        alive = gains[np.isfinite(gains)]
        gains[~np.isfinite(gains)] = alive.min() if len(alive) else 0.0
        rows = np.array([line[3] for line in lines]).reshape(len(lines), len(self._columns))
        times = np.array([line[0] for line in lines])
        return np.array([line[2] for line in lines]), rows, times, gains

    def _with(self, begun: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Rows and, as a further column in the unit cube, the values they begin at."""
        low, high = self._fences
        column = (np.clip(begun, low, high) - low) / (high - low if high > low else 1.0)
        return np.concatenate([rows, np.broadcast_to(column, (len(rows),))[:, None]], axis=1)

    def _standing(self, trials: Sequence[Trial]) -> np.ndarray:
        """What the members are worth now."""
        last = [trial.curve[-1] for trial in trials if trial.curve]
        found = np.array([self._value(metrics) for budget, metrics in last if budget == self._now])
        return found[np.isfinite(found)]

    def _begin(self, trial: Trial) -> np.ndarray:
        """The value that a trial, or a copy of it, goes on from, `[1]`."""
        found = self._value(trial.curve[-1][1])
        return np.array([found if math.isfinite(found) else self._fences[1]])

    def expect(self, trial: Trial, state: Trial) -> None:
        """A member is going to train, from the state of `state`: its own, or its donor's."""
        if self.model is not None:
            row = np.asarray(trial.row)[None, self._columns]
            self.model = self.model.awaiting(self._with(self._begin(state), row), self._time)

    def chosen(self, donor: Trial, rng: np.random.Generator) -> dict[str, Any]:
        """The configuration of a copy; drawn evenly while no improvement was seen.

        Args:
            donor: what it is a copy of.
            rng: where chance comes from.
        """
        moved = [i for i, name in enumerate(self.names) if name in donor.config]
        base = np.asarray(donor.row)[self._columns]
        candidates = np.tile(base, (CANDIDATES, 1))
        candidates[:, moved] = rng.random((CANDIDATES, len(moved)))
        if self.model is not None:
            seen = [(candidates, self.bound(candidates, donor))]
            for width in WIDTHS:
                best = max(seen, key=lambda pair: pair[1].max())
                near = np.tile(best[0][best[1].argmax()], (CANDIDATES, 1))
                near[:, moved] += width * rng.standard_normal((CANDIDATES, len(moved)))
                near = np.clip(near, 0.0, 1.0)
                seen.append((near, self.bound(near, donor)))
            candidates = np.concatenate([rows for rows, _ in seen])
            order = np.argsort(-np.concatenate([bounds for _, bounds in seen]), kind="stable")
            candidates = candidates[order]
        for row in candidates[:FEASIBLE]:
            whole = np.array(donor.row)
            whole[self._columns] = row
            found: dict[str, Any] = self.space.decode(whole)
            if self.space.feasible(found):
                kept = {n: v for n, v in donor.config.items() if n not in self.names}
                return {n: kept.get(n, v) for n, v in found.items()}
        return dict(donor.config)

    def bound(self, rows: np.ndarray, donor: Trial) -> np.ndarray:
        """The upper confidence bound of the improvement of a copy of `donor`, `[Q]`."""
        assert self.model is not None
        context = self._with(self._begin(donor), rows)
        mean, deviation = self.model.mean_and_deviation(context, self._time)
        return np.asarray(mean + math.sqrt(self.beta) * deviation)


def fences(values: np.ndarray) -> tuple[float, float]:
    """The range of values, outliers left out."""
    if not len(values):
        return 0.0, 1.0
    first, third = np.quantile(values, [0.25, 0.75])
    room = FENCE * (third - first)
    inside = values[(values >= first - room) & (values <= third + room)]
    return float(inside.min()), float(inside.max())


def standardised(values: np.ndarray) -> np.ndarray:
    """Mean 0 and deviation 1, outliers drawn in first."""
    if not len(values):
        return values
    values = np.clip(values, *fences(values))
    deviation = values.std()
    return np.asarray((values - values.mean()) / (deviation if deviation > 0 else 1.0))


def check_numbers(space: Space, names: Sequence[str]) -> None:
    """Every parameter that is chosen is a number.

    Raises:
        SpaceError: one is not.
    """
    for name in names:
        if not isinstance(space.parameters[name], (Float, Int)):
            raise SpaceError(
                f"perturb={name!r}: pb2 chooses numbers, this is "
                f"{type(space.parameters[name]).__name__}; leave it out, or use pbt."
            )
