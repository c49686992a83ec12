"""Racing: all trials are given folds or seeds in rounds, and who is worse drops out.

After every round the trials still in the race are compared on the replicas they all have, and
those statistically worse than the best are eliminated. The race over the examples of a
cross-validation is that of O. Maron and A. W. Moore, "Hoeffding races", NIPS 1994. The test here
is by ranks, as in M. Birattari, T. Stuetzle, L. Paquete and K. Varrentrapp, "A racing algorithm
for configuring metaheuristics" (F-Race), GECCO 2002: with R_i the sum over k replicas of trial i's
rank among the m in the race,

    Friedman:  T = (m - 1) sum_i (R_i - k (m + 1) / 2)^2 / (sum_ij r_ij^2 - k m (m + 1)^2 / 4)
    then i is out where  R_i - R_best > t (2 (k sum_ij r_ij^2 - sum_i R_i^2) / ((k - 1)(m - 1)))^1/2

if T is beyond the quantile of chi-squared with m - 1 degrees of freedom, t Student's quantile with
(k - 1)(m - 1) degrees (W. J. Conover, Practical Nonparametric Statistics, 1999, section 5.8). Two
that are left are compared by Wilcoxon's signed ranks. Or paired t tests against the best mean.

Elites stay, as in M. Lopez-Ibanez et al., "The irace package: iterated racing for automatic
algorithm configuration", Operations Research Perspectives 3, 2016: the best trial of the brackets
before enters the next race with the replicas it has, at no cost.

Ours: a `level` of the race, not of each test. The best is compared with every rival after every
round, and each of these tests has its share of the level (Bonferroni); `correction="none"` is
F-Race. And whoever is left alone is evaluated on all replicas, so that its score compares with
those of other races. Of 200 simulated races of 20 over 10 replicas (`many` in the tests: scatter 1,
folds shift all alike), how often the first was eliminated, and which share of all replicas a race
took:

                                      friedman            friedman, none    t            t, none
    0 against 0.5, 0.7, ... 4         0.0 %, 68 %         0.5 %, 52 %       0 %, 89 %    3 %, 53 %
    five of 0, fifteen of 3           0.5 %, 58 %         8.5 %, 47 %       0 %, 82 %   18 %, 49 %
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from bojax.errors import SchedulerError
from bojax.schedulers._ranking import Value
from bojax.schedulers._replicas import MAX_REPLICAS, ReplicaScheduler, probability
from bojax.stats import friedman_p_value, ranks, signed_rank_p_value, t_quantile

LEVEL = 0.05  # F-Race and irace: confidence 0.95
STARTUP = 3  # F-Race waits for 5, which of five folds are all; two tell too little of scatter
TESTS = ("friedman", "t")
CORRECTIONS = ("bonferroni", "none")


class RacingScheduler(ReplicaScheduler):
    """Brackets that are races."""

    def __init__(self, settings: dict[str, Any], trials: int | None, bracket: int | None) -> None:
        self._elite = False  # whether the best of the races before is in this one
        super().__init__("racing", settings, trials, bracket)

    def _survivors(self, values: dict[int, Value]) -> list[int]:
        """Those not worse than the best of the race."""
        if self._rung == 0:
            self._elite = self._best is not None
        trials = sorted(values)
        table = [self._seen[trial] for trial in trials]
        if self._elite and table:
            assert self._best is not None
            table.append(self._best[1][: len(table[0])])
        if len(table) < 2:
            return trials
        level, share = self._levels()
        test = by_ranks if self._settings["test"] == "friedman" else by_means
        out = test(np.array(table), level, share)
        self._elite = self._elite and not out[-1]
        return [trial for trial, gone in zip(trials, out[: len(trials)], strict=True) if not gone]

    def _levels(self) -> tuple[float, float]:
        """The levels of a round, and of one comparison in it."""
        level = self._settings["level"]
        if self._settings["correction"] == "none":
            return level, level
        looks = len(self._budgets(self._bracket)) - 1
        rivals = self._sizes[self._bracket] - 1 + (self._best is not None)
        return level / looks, level / (looks * rivals)

    def state(self) -> dict[str, Any]:
        """As of its brackets, and whether the best of those before is in the race."""
        return {**super().state(), "elite": self._elite}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        super().restore(state)
        self._elite = state["elite"]


def by_ranks(values: np.ndarray, level: float, share: float) -> np.ndarray:
    """Who of `values[m, k]` is worse than the best, by Friedman's test: bool `[m]`."""
    m, k = values.shape
    if m == 2:
        one = signed_rank_p_value(values[0] - values[1])
        other = signed_rank_p_value(values[1] - values[0])
        return np.array([one, other]) < share / 2
    if friedman_p_value(values) >= level:
        return np.zeros(m, bool)
    ranked = np.asarray(ranks(values[:, None]))
    sums = ranked.sum(axis=1)
    within = k * float((ranked**2).sum()) - float((sums**2).sum())
    degrees = (k - 1) * (m - 1)
    return sums - sums.min() > _quantile(share, degrees) * math.sqrt(2 * within / degrees)


def by_means(values: np.ndarray, level: float, share: float) -> np.ndarray:
    """Who of `values[m, k]` is worse than the lowest mean, by paired t tests: bool `[m]`."""
    k = values.shape[1]
    apart = values - values[values.mean(axis=1).argmin()]
    error = apart.std(axis=1, ddof=1) / math.sqrt(k)
    return apart.mean(axis=1) > _quantile(share, k - 1) * error


@lru_cache(maxsize=1024)
def _quantile(level: float, degrees: int) -> float:
    """Student's, two-sided as in F-Race."""
    return t_quantile(1 - level / 2, degrees)


def racing(
    *,
    max_budget: int = MAX_REPLICAS,
    test: str = "friedman",
    level: float = LEVEL,
    correction: str = "bonferroni",
    startup: int = STARTUP,
    every: int = 1,
    trials: int | None = None,
    bracket: int | None = None,
) -> RacingScheduler:
    """Race trials over folds or seeds: more replicas only for those that may be the best.

    Its budgets count replicas, and `report(..., each=values)` takes the value of each: in a sweep,
    `Sweep(unit="replicas", scheduler="racing")`.

    Args:
        max_budget: replicas in all: folds, seeds, instances.
        test: "friedman", by ranks within a replica, whatever the scale of each; or "t", by paired
            means.
        level: chance, between 0 and 1, that the best trial is eliminated in a race, at most; with
            `correction="none"`, of every single test.
        correction: "bonferroni" shares the level among rounds and rivals; "none" does not.
        startup: replicas before the first test, at least 2.
        every: replicas between tests.
        trials: trials to start in all; None if `extend` will say.
        bracket: trials of a race; all by default.

    Returns:
        A :class:`Scheduler`. Its plan is that of trials that all go on to the end.

    Raises:
        SchedulerError: a setting makes no sense.

    Example:
        >>> import bojax
        >>> scheduler = bojax.schedulers.racing(max_budget=5, test="t", trials=3, startup=2)
        >>> [job.stop for job in scheduler.next_jobs(3)]
        [2, 2, 2]
        >>> for trial, pair in enumerate([[0.50, 0.70], [0.52, 0.71], [0.90, 1.10]]):
        ...     decisions = scheduler.report(trial, 2, sum(pair) / 2, each=pair)
        >>> [decision.action for decision in decisions]
        ['promote', 'promote', 'stop']
    """
    for name, value, known in (("test", test, TESTS), ("correction", correction, CORRECTIONS)):
        if value not in known:
            raise SchedulerError(f"{name}: expected one of {', '.join(known)}, got {value!r}.")
    settings: dict[str, Any] = {
        "max_budget": max_budget,
        "test": test,
        "level": probability("level", level, LEVEL),
        "correction": correction,
        "startup": startup,
        "every": every,
        "bracket": bracket,
    }
    return RacingScheduler(settings, trials, bracket)
