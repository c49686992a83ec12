"""Fronts, crowding and constrained domination by their definitions."""

import itertools

import jax
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import bojax
from bojax.strategies import _fronts

K = 10  # points of a padded set


@jax.jit
def ranking(values, violation, mask):
    dominates = _fronts.dominance(values, violation, mask)
    ranks = _fronts.front_of(dominates, mask)
    return ranks, _fronts.crowding(values, ranks), _fronts.best_first(values, violation, mask)


def padded(values, violation=None):
    """Ranks, crowding and order of some points among K lines, the rest of no meaning."""
    with jax.enable_x64(True):
        many = np.full((K, 2), -5.0)
        many[: len(values)] = values
        broken = np.zeros(K)
        broken[: len(values)] = 0.0 if violation is None else violation
        found = ranking(many, broken, np.arange(K) < len(values))
        return [np.asarray(leaf)[: len(values)] for leaf in found]


points = st.lists(st.tuples(*[st.integers(0, 4).map(float)] * 2), min_size=1, max_size=K)


@given(points, st.lists(st.integers(0, 2), min_size=K, max_size=K))
@settings(max_examples=100)
def test_fronts_by_the_definition_of_constrained_domination(values, violations):
    ranks, _, _ = padded(values, violations[: len(values)])

    def beats(i, j):
        if violations[i] or violations[j]:
            return violations[i] < violations[j]
        return values[i] != values[j] and all(a <= b for a, b in zip(values[i], values[j]))  # noqa: B905

    left, front = set(range(len(values))), 0
    while left:
        now = {i for i in left if not any(beats(j, i) for j in left)}
        assert {i for i in left if ranks[i] == front} == now
        left, front = left - now, front + 1


@given(points)
@settings(max_examples=100)
def test_crowding_and_order_are_those_of_the_statistics(values):
    ranks, rooms, order = padded(values)
    expected = bojax.stats.pareto_ranks(values)
    np.testing.assert_array_equal(ranks, expected)
    crowds = bojax.stats.crowding_distances(values, expected)
    np.testing.assert_allclose(rooms, crowds)
    keys = [(expected[i], -crowds[i]) for i in order]
    assert all(a <= b or np.allclose(a, b) for a, b in itertools.pairwise(keys))
    assert sorted(order) == list(range(len(values)))


def test_no_value_is_too_large_for_crowding():
    values = [[-1.5e308, 1.5e308], [0.0, 0.0], [1.5e308, -1.5e308]]
    assert padded(values)[1].tolist() == [np.inf, 2.0, np.inf]
