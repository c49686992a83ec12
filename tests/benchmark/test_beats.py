"""The Gaussian process must beat random and Sobol search on the tuning half, by interval.

Minutes: real runs of real strategies. It guards quality as other tests guard correctness.
"""

import pytest

from bojax import stats
from bojax.benchmark import compare_strategies, problems


@pytest.mark.slow
def test_the_gaussian_process_beats_random_and_sobol():
    found = compare_strategies(
        {"gp": "gp", "random": "random", "sobol": "sobol"},
        problems.standard("tuning"),
        seeds=2,
        evaluations=40,
    )
    assert not found.failures
    end = {}
    for trace in found.traces:
        regret = stats.normalised_regret(trace.values, trace.optimum, trace.reference)
        of = end.setdefault(trace.method, {}).setdefault((trace.problem, trace.instance), [])
        of.append(float(stats.log_regret(regret)[-1]))
    for other in ("random", "sobol"):
        gap = stats.bootstrap_over_problems(end["gp"], end[other])
        assert gap.high < 0, f"log10 regret of gp less that of {other}: {gap}"
        assert stats.win_rate(end["gp"], end[other]).low > 0.5
