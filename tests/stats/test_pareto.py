"""Fronts, crowding and hypervolume: closed forms and what must hold for any points."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bojax.errors import DataError
from bojax.stats import crowding_distances, hypervolume, pareto_ranks

CELLS = 5  # of the integer grid on which volumes are counted


def clouds(objectives):
    point = st.tuples(*[st.integers(0, CELLS)] * objectives)
    return st.lists(point, max_size=9)


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_the_volume_is_the_number_of_dominated_cells(objectives):
    @settings(max_examples=30)
    @given(clouds(objectives))
    def check(points):
        counted = sum(
            any(all(p <= c for p, c in zip(point, cell, strict=True)) for point in points)
            for cell in itertools.product(range(CELLS), repeat=objectives)
        )
        assert hypervolume(points, [CELLS] * objectives) == pytest.approx(counted)

    check()


def test_the_volume_of_a_known_front():
    # Of f2 = 1 - sqrt(f1), up to (1, 1): 1 - 1/3; of f2 = 1 - f1^2: 1 - 2/3
    x = np.linspace(0, 1, 100_001)
    assert hypervolume(np.stack([x, 1 - np.sqrt(x)], 1), [1, 1]) == pytest.approx(2 / 3, abs=1e-4)
    assert hypervolume(np.stack([x, 1 - x**2], 1), [1, 1]) == pytest.approx(1 / 3, abs=1e-4)
    sphere = np.random.default_rng(0).normal(size=(200, 3))
    sphere = np.abs(sphere) / np.linalg.norm(sphere, axis=1, keepdims=True)
    assert 1 - math.pi / 6 < 1 - hypervolume(1 - sphere, [1, 1, 1]) < 0.55  # an eighth of a ball


def test_what_adds_nothing():
    one = hypervolume([[0.2, 0.4]], [1, 1])
    assert one == pytest.approx(0.48)
    more = [[0.2, 0.4], [0.3, 0.4], [1.0, 0.0], [5.0, -9.0], [np.nan, 0.0], [0.0, np.inf]]
    assert hypervolume(more, [1, 1]) == one
    assert hypervolume([], [1, 1]) == hypervolume(np.zeros((0, 2)), [1, 1]) == 0.0


@pytest.mark.parametrize(
    ("points", "reference", "words"),
    [
        ([[1.0, 2.0, 3.0]], [1, 1], r"got \(1, 3\) and \(2,\)"),
        ([1.0, 2.0], [1, 1], r"points \[n, M\]"),
        ([[1.0, 2.0]], [1, math.inf], "reference: expected finite"),
        ([[-math.inf, 2.0]], [1, 1], "one is -inf"),
    ],
)
def test_what_has_no_volume_is_named(points, reference, words):
    with pytest.raises(DataError, match=words):
        hypervolume(points, reference)


def test_fronts_and_crowding_take_lists():
    ranks = pareto_ranks([[0, 2], [2, 0], [1, 1], [2, 2]])
    assert ranks.tolist() == [0, 0, 0, 1]
    found = crowding_distances([[0, 2], [2, 0], [1, 1], [2, 2]], ranks)
    assert found.tolist() == [math.inf, math.inf, 2.0, math.inf]
