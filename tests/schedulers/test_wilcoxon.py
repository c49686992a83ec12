"""Wilcoxon stopping: by hand, and beside the rule in SciPy's words."""

import json

import numpy as np
import pytest
import scipy.stats

from bojax.errors import SchedulerError
from bojax.schedulers import wilcoxon
from tests.schedulers.helpers_replicas import race

BEST = np.array([1.0, 5.0, 2.0, 4.0, 3.0, 1.0])


def test_a_trace_by_hand():
    results = BEST + np.array([
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],  # the first, whole
        [0.1, 0.2, 0.3, 0.4, 0.0, 0.0],  # all of four above: 1 / 16
        [0.4, 0.3, 0.2, -0.1, 0.5, 0.0],  # 2 / 16 of four, 2 / 32 of five
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0],  # the same in everything: p is 1
        [0.0, 0.1, 0.2, 0.3, 0.4, 0.5],  # a zero takes no side: 1 / 8 of four, 1 / 16 of five
        [0.1, 0.2, -0.4, -0.1, -0.2, -0.3],  # better: the next to lose to
        [0.0, 0.0, 0.0, 0.2, 0.0, 0.0],  # worse than trial 5 by -.1, -.2, .4, .3, .2, .3
    ])  # fmt: skip
    scheduler = wilcoxon(max_budget=6, trials=7, bracket=1)
    assert race(scheduler, results) == [6, 4, 5, 6, 5, 6, 6]
    assert scheduler.state()["best"][0] == 5
    # Of equal ones the earlier stays.
    scheduler = wilcoxon(max_budget=6, trials=4, bracket=1)
    race(scheduler, results)
    assert scheduler.state()["best"][0] == 0


def test_whose_mean_is_no_worse_goes_on():
    """Nine folds a little worse, one much better: p is 0.04, the mean is lower."""
    best = np.zeros(12)
    mine = np.array([*[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9], -10.0, 0.0, 0.0])
    assert scipy.stats.wilcoxon(mine[:10], alternative="greater").pvalue < 0.05
    settings = {"max_budget": 12, "startup": 10, "trials": 2, "bracket": 1}
    assert race(wilcoxon(**settings), [best, mine]) == [12, 12]
    mine[9] = -1.0
    assert race(wilcoxon(**settings), [best, mine]) == [12, 10]


def expected(results, threshold, startup, every, size):
    """Replicas given, by the rule."""
    total = len(results[0])
    looks = [k for k in range(startup, total) if (k - startup) % every == 0]
    given, best = [], None
    for first in range(0, len(results), size):
        block = range(first, min(first + size, len(results)))
        for trial in block:
            reached = total
            for k in looks if best is not None else ():
                d = results[trial][:k] - results[best][:k]
                p = scipy.stats.wilcoxon(d, alternative="greater", method="exact").pvalue
                if p < threshold and d.mean() > 0:
                    reached = k
                    break
            given.append(reached)
        whole = [t for t in block if given[t] == total] + ([] if best is None else [best])
        best = min(whole, key=lambda t: results[t].mean())
    return given


@pytest.mark.parametrize(
    "settings",
    [{}, {"threshold": 0.3}, {"startup": 7}, {"every": 3}, {"bracket": 2}, {"max_budget": 9}],
)
def test_who_stops_is_who_is_worse_than_the_best_before(settings):
    usual = {"max_budget": 12, "threshold": 0.1, "startup": 2, "every": 1, "bracket": 4}
    given = usual | settings
    rng = np.random.default_rng(5)
    results = rng.normal(size=(24, given["max_budget"])) + 0.8 * rng.normal(size=(24, 1))
    make = lambda: wilcoxon(trials=24, **given)  # noqa: E731

    def stored(scheduler):
        other = make()
        other.restore(json.loads(json.dumps(scheduler.state(), allow_nan=False)))
        return other

    found = race(make(), results)
    size = given["bracket"]
    by_rule = expected(results, given["threshold"], given["startup"], given["every"], size)
    assert found == by_rule and race(make(), results, stored) == found
    if settings:  # every option matters
        plain = rng.normal(size=(24, 12)) + 0.8 * rng.normal(size=(24, 1))
        assert race(make(), plain) != race(wilcoxon(trials=24, **usual), plain)


def test_the_best_is_found_with_half_the_replicas():
    rng = np.random.default_rng(0)
    results = 0.5 * rng.normal(size=20) + rng.normal(size=(64, 20))
    results += np.abs(rng.normal(scale=3.0, size=(64, 1)))
    reached = race(wilcoxon(max_budget=20, trials=64), results)
    assert sum(reached) < 0.5 * 64 * 20
    whole = [i for i, n in enumerate(reached) if n == 20]
    assert min(whole, key=lambda i: results[i].mean()) == results.mean(axis=1).argmin()


def test_brackets_are_of_eight_unless_said():
    scheduler = wilcoxon(trials=20)
    assert [row.members for row in scheduler.plan().rows if row.rung == 0] == [8, 8, 4]
    assert repr(scheduler) == repr(wilcoxon(trials=20, bracket=8))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"threshold": 0.0}, "threshold must be between 0 and 1, got 0.0; 0.1 is usual"),
        ({"threshold": "0.1"}, "threshold must be between 0 and 1"),
        ({"startup": 1}, "startup must be an integer of at least 2"),
        ({"max_budget": 1}, "wilcoxon compares replicas, give more folds or seeds"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, words):
    with pytest.raises(SchedulerError, match=words):
        wilcoxon(**settings)
