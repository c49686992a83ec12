"""Races: by hand, beside the formulas of F-Race in SciPy's numbers, and many of them simulated."""

import json
import math

import numpy as np
import pytest
import scipy.stats

from bojax.errors import SchedulerError
from bojax.history import Status
from bojax.schedulers import DONE, racing
from bojax.schedulers._racing import by_means, by_ranks
from tests.schedulers.helpers_replicas import race

ROWS = [
    [1.0, 2.0, 3.0, 4.0],
    [1.1, 2.3, 3.2, 4.4],  # behind by 0.1, 0.3, 0.2: t = 2.0 of 2, then 3.46 < 4.30 of 3
    [2.0, 3.0, 0.0, 0.0],  # behind by 1 and 1: no scatter, out at once
    [2.0, 3.2, 4.1, 0.0],  # behind by 1.0, 1.2: t = 11 < 12.7; then 1.1: t = 19
]


def test_a_race_of_t_tests_by_hand():
    settings = {"max_budget": 4, "test": "t", "startup": 2, "trials": 4}
    assert race(racing(**settings, correction="none"), ROWS) == [4, 4, 2, 3]
    # 2 rounds, 3 rivals: t at 0.05 / 6 is 76 of one degree, 10.9 of two.
    assert race(racing(**settings), ROWS) == [4, 4, 2, 3]
    # At 0.01 / 6 it is 24 of two.
    assert race(racing(**settings, level=0.01), ROWS) == [4, 4, 2, 4]


def ranked(*columns):
    return np.array(columns, float).T


def test_a_race_of_ranks_by_hand():
    """Sums of ranks 8, 10, 18 over 6 replicas: T = 28 / 3, p = 0.009; the third is 10 behind, the
    second 2, and the critical difference is 2.228 (2 * 16 / 10)^1/2 = 3.99."""
    results = ranked(*[(1, 2, 3)] * 3, *[(2, 1, 3)] * 2, (1, 2, 3), (0, 0, 0))
    scheduler = racing(max_budget=7, startup=6, correction="none", trials=3)
    assert race(scheduler, results) == [7, 7, 6]
    # 1, 2, 3 every time: T = 2 k, so p is 0.135 of two replicas and 0.0498 of three.
    orderly = ranked(*[(1, 2, 3)] * 4)
    made = {"max_budget": 4, "startup": 2, "correction": "none", "trials": 3}
    assert race(racing(**made), orderly) == [4, 3, 3]
    assert race(racing(**made, level=0.04), orderly) == [4, 4, 4]
    assert race(racing(**made, level=0.2), orderly) == [4, 2, 2]


def test_two_that_are_left_are_compared_by_signed_ranks():
    apart = np.array([[0.0] * 8, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]])
    scheduler = racing(max_budget=8, correction="none", trials=2)
    assert race(scheduler, apart) == [8, 6]  # 2 / 2^6 = 0.031, 2 / 2^5 = 0.062
    assert race(racing(max_budget=8, correction="none", trials=2), apart[::-1]) == [6, 8]


@pytest.mark.parametrize("seed", range(12))
def test_ranks_are_compared_as_in_f_race(seed):
    """The form of Birattari et al.: the residual through T, and SciPy's quantiles."""
    rng = np.random.default_rng(seed)
    m, k, level = int(rng.integers(3, 12)), int(rng.integers(3, 9)), 0.2
    values = np.round(rng.normal(size=(m, k)) + 0.4 * np.arange(m)[:, None], seed % 3)
    r = scipy.stats.rankdata(values, axis=0)
    sums = r.sum(axis=1)
    t, p = scipy.stats.friedmanchisquare(*values)
    residual = 2 * k * (1 - t / (k * (m - 1))) * ((r**2).sum() - k * m * (m + 1) ** 2 / 4)
    error = math.sqrt(max(residual / ((k - 1) * (m - 1)), 0.0))
    critical = scipy.stats.t.ppf(1 - level / 2, (k - 1) * (m - 1))
    expected = (p < level) & (sums - sums.min() > critical * error)
    np.testing.assert_array_equal(by_ranks(values, level, level), expected)


@pytest.mark.parametrize("seed", range(6))
def test_means_are_compared_by_scipys_paired_t_test(seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(8, 5)) + 0.5 * np.arange(8)[:, None]
    best = values.mean(axis=1).argmin()
    others = [i for i in range(8) if i != best]
    p = {i: scipy.stats.ttest_rel(values[i], values[best]).pvalue for i in others}
    expected = [i != best and p[i] < 0.1 for i in range(8)]
    assert by_means(values, 0.5, 0.1).tolist() == expected
    assert any(expected) and not all(expected[i] for i in others)


def test_the_best_of_the_races_before_is_in_the_next():
    """Trial 0 is whole; the second race is lost to it, though its own two are alike."""
    rng = np.random.default_rng(0)
    fold = rng.normal(size=8)
    results = fold + np.array([0, 5, 9, 9.0, -2, 0])[:, None] + 0.1 * rng.normal(size=(6, 8))
    make = lambda: racing(max_budget=8, bracket=2, test="t", trials=6)  # noqa: E731
    assert race(make(), results) == [8, 3, 3, 3, 8, 3]
    scheduler = make()
    race(scheduler, results)
    assert scheduler.state()["best"][0] == 4
    # Somebody that fails does not become the one to beat.
    scheduler = racing(max_budget=3, bracket=1, trials=1)
    scheduler.next_jobs(1)
    scheduler.report(0, 3, 1.0, each=[0.0, math.nan, 0.0])
    assert scheduler.state()["best"] is None


def test_an_elite_that_is_beaten_leaves_the_race():
    """It would go on to make Friedman's test see a difference that the others have not."""
    rng = np.random.default_rng(1)
    results = rng.normal(size=(5, 12)) + np.array([50.0, 0, 0, 0, 0])[:, None]
    scheduler = racing(max_budget=12, bracket=1, test="t", trials=5)
    scheduler.next_jobs(1)
    states = []
    for trial in (0, 1):
        while trial in {job.trial for job in scheduler.outstanding}:
            (job,) = scheduler.outstanding
            each = results[trial][job.start : job.stop].tolist()
            scheduler.report(trial, job.stop, 0.0, each=each)
            scheduler.next_jobs(1)
            states.append(scheduler.state())
    assert states[-2]["elite"] is False and states[-1]["best"][0] == 1


@pytest.mark.parametrize("settings", [{}, {"test": "t"}, {"bracket": 5}, {"every": 2}])
def test_any_restart_gives_the_same_race(settings):
    rng = np.random.default_rng(3)
    results = rng.normal(size=(15, 9)) + 0.4 * np.arange(15)[:, None]
    make = lambda: racing(max_budget=9, trials=15, **settings)  # noqa: E731

    def stored(scheduler):
        other = make()
        other.restore(json.loads(json.dumps(scheduler.state(), allow_nan=False)))
        return other

    found = race(make(), results)
    assert race(make(), results, stored) == found
    assert sum(found) < 15 * 9


@pytest.mark.parametrize(
    "changed",
    [{"max_budget": 8}, {"test": "t"}, {"level": 0.3}, {"correction": "none"}, {"startup": 5},
     {"every": 3}, {"bracket": 6}],
)  # fmt: skip
def test_every_option_matters(changed):
    rng = np.random.default_rng(4)
    results = rng.normal(size=(16, 9)) + 0.3 * np.arange(16)[:, None]
    usual = {"max_budget": 9, "trials": 16}
    assert race(racing(**usual | changed), results) != race(racing(**usual), results)


# ------------------------------------------------------------------ many races


def many(means, count, replicas=10, **settings):
    """Races over folds that differ for all alike: lost by the first, replicas a trial, found."""
    rng = np.random.default_rng(0)
    lost = found = used = 0
    for _ in range(count):
        fold = 0.5 * rng.normal(size=replicas)
        results = np.array(means)[:, None] + fold + rng.normal(size=(len(means), replicas))
        reached = race(racing(max_budget=replicas, trials=len(means), **settings), results)
        whole = [i for i, n in enumerate(reached) if n == replicas]
        lost += reached[0] < replicas
        found += min(whole, key=lambda i: results[i].mean()) == 0
        used += sum(reached)
    return lost / count, used / (count * replicas * len(means)), found / count


def test_the_best_is_found_with_half_the_replicas():
    means = [0.0, *np.linspace(1.0, 5.0, 19)]
    lost, used, found = many(means, 40, correction="none")
    assert lost <= 0.05 and used < 0.45 and found >= 0.95
    lost, used, found = many(means, 40)
    assert lost == 0.0 and used < 0.65 and found >= 0.95


def test_the_level_holds_where_it_is_hardest():
    """All alike: any difference is chance, and every rival may push the first one out."""
    lost, _, _ = many([0.0] * 10, 120, test="t", level=0.2)
    assert lost <= 0.2
    # Uncorrected, the level is that of a test, and a race has many: the test above can fail.
    lost, _, _ = many([0.0] * 10, 120, test="t", level=0.2, correction="none")
    assert lost > 0.4


@pytest.mark.slow
@pytest.mark.parametrize("test", ["friedman", "t"])
@pytest.mark.parametrize("means", [[0.0] * 20, [0.0] * 5 + [3.0] * 15, [0.0, *[1.0] * 19]])
def test_the_level_holds(test, means):
    lost, _, _ = many(means, 500, test=test)
    assert lost <= 0.05


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"max_budget": 1}, "startup must not exceed max_budget, got startup=3, max_budget=1"),
        ({"startup": 1}, "startup must be an integer of at least 2, got 1"),
        ({"every": 0}, "every must be an integer of at least 1, got 0"),
        ({"level": 1.0}, "level must be between 0 and 1, got 1.0; 0.05 is usual"),
        ({"level": True}, "level must be between 0 and 1"),
        ({"test": "anova"}, "test: expected one of friedman, t, got 'anova'"),
        ({"correction": "holm"}, "correction: expected one of bonferroni, none, got 'holm'"),
        ({"bracket": 0}, "bracket must be an integer of at least 1, got 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, words):
    with pytest.raises(SchedulerError, match=words):
        racing(**settings)


def test_a_report_has_a_value_for_each_replica_of_its_job():
    scheduler = racing(max_budget=5, trials=2)
    scheduler.next_jobs(2)
    before = scheduler.state()
    with pytest.raises(SchedulerError, match="trial 0: its job is of 3 replicas, got 2 values"):
        scheduler.report(0, 3, 0.5, each=[0.4, 0.6])
    assert scheduler.state() == before
    # Of several metrics the first counts; without `each` all had the value.
    scheduler.report(0, 3, (0.5, 9.0), each=[(0.4, 9.0), (0.6, 9.0), [0.5, 9.0]])
    assert scheduler.state()["told"] == [[0, [0.4, 0.6, 0.5]]]
    (decision, other) = scheduler.report(1, 3, (0.7, 9.0))
    assert scheduler.state()["seen"] == [[0, [0.4, 0.6, 0.5]], [1, [0.7] * 3]]
    assert (decision.trial, other.trial) == (0, 1)


def test_a_replica_that_failed_fails_its_trial():
    scheduler = racing(max_budget=3, trials=2)
    scheduler.next_jobs(2)
    (decision,) = scheduler.report(0, 3, 0.5, each=[0.4, math.inf, 0.6])
    assert decision.action == "stop"
    scheduler.report(1, 3, math.nan, status=Status.FAILED)
    assert scheduler.next_jobs(2) is DONE and scheduler.state()["best"] is None
