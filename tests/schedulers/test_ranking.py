"""The order of values: numbers, fronts, crowding, ties."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bojax.errors import SchedulerError
from bojax.schedulers import hyperband, successive_halving
from bojax.schedulers._ranking import best_first, checked, crowding_distances, pareto_ranks

points = st.integers(1, 3).flatmap(
    lambda m: st.lists(
        st.tuples(*[st.integers(0, 4).map(float)] * m), min_size=1, max_size=12
    )
)  # fmt: skip


@given(points)
def test_fronts_by_their_definition(values):
    ranks = pareto_ranks(np.array(values))
    left, front = set(range(len(values))), 0
    while left:

        def dominated(i, left=left):
            return any(
                all(a <= b for a, b in zip(values[j], values[i], strict=True))
                and values[j] != values[i]
                for j in left
            )

        now = {i for i in left if not dominated(i)}
        assert {i for i in left if ranks[i] == front} == now
        left, front = left - now, front + 1


def test_crowding_by_hand():
    # Deb et al. (2002): half the perimeter of the box between the neighbours, sides scaled
    front = np.array([[0.0, 10.0], [1.0, 6.0], [2.0, 5.0], [10.0, 0.0]])
    found = crowding_distances(front, np.zeros(4, int))
    np.testing.assert_allclose(found, [math.inf, 2 / 10 + 5 / 10, 9 / 10 + 6 / 10, math.inf])
    assert best_first(dict(enumerate(map(tuple, front)))) == [0, 3, 2, 1]
    equal = crowding_distances(np.ones((3, 2)), np.zeros(3, int))
    assert equal.tolist() == [math.inf, 0.0, math.inf]


def test_numbers_and_ties():
    assert best_first({5: 1.0, 2: 1.0, 3: 0.5}) == [3, 2, 5]
    assert best_first({}) == []
    assert best_first({1: (2.0, 2.0), 0: (1.0, 1.0), 2: (0.0, 3.0)}) == [0, 2, 1]


@given(points, st.randoms(use_true_random=False))
def test_the_order_of_reports_plays_no_part(values, random):
    listed = list(enumerate(values))
    expected = best_first(dict(listed))
    random.shuffle(listed)
    assert best_first(dict(listed)) == expected


def test_values_as_they_are_kept():
    assert checked(0, np.float32(0.5)) == 0.5
    assert checked(0, (1,)) == 1.0
    assert checked(0, [1, 2]) == (1.0, 2.0)
    assert checked(0, math.nan) is None and checked(0, (1.0, math.inf)) is None
    with pytest.raises(SchedulerError, match="trial 3: a value has at least one metric"):
        checked(3, ())
    with pytest.raises(SchedulerError, match="trial 3: reported 2 metrics, others 3"):
        checked(3, (1, 2), [None, (1.0, 2.0, 3.0)])


@pytest.mark.parametrize("make", [successive_halving, hyperband])
def test_synchronous_rungs_promote_by_fronts(make):
    scheduler = make(max_budget=3, trials=3)
    scheduler.next_jobs(3)
    scheduler.report(0, 1, (1.0, 3.0))
    scheduler.report(1, 1, (0.9, 3.5))
    decisions = scheduler.report(2, 1, (0.9, 2.9))  # dominates both
    assert [d.action for d in decisions] == ["stop", "stop", "promote"]
