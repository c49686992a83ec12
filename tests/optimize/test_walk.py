"""Walks end at feasible rows, spread over all of them or near to where they should."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.optimize.walk import inside, made_feasible, to_unit
from bojax.space import table as tables
from bojax.strategies._random import feasible_points

NOTHING = jnp.full(4, jnp.nan)
made = jax.jit(made_feasible)


def corner(top):
    return bojax.Space(
        {name: bojax.Float(0, 1) for name in "ab"},
        constraints=[bojax.Linear({"a": 1, "b": 1}, at_most=top)],
    )


@pytest.mark.parametrize("top", [0.9, 0.02])
def test_the_infeasible_are_replaced_evenly(top):
    table = corner(top).table
    rows = np.random.default_rng(0).random((4000, 4)) * [1, 1, 0, 0]
    out = np.asarray(made(table, jax.random.key(1), rows, NOTHING))[:, :2]
    assert (out.sum(axis=1) <= top + 1e-6).all()
    kept = rows[:, :2].sum(axis=1) <= top - 1e-6
    np.testing.assert_allclose(out[kept], rows[kept, :2], atol=1e-6)
    np.testing.assert_allclose(out.mean(axis=0) / top, 1 / 3, atol=0.06)
    assert len(np.unique(out[~kept].round(7), axis=0)) > 0.95 * (~kept).sum()


def test_near_a_row_they_stay_near():
    table = corner(0.5).table
    leader = jnp.array([0.1, 0.39, 0, 0])
    rows = leader + 0.05 * jax.random.normal(jax.random.key(2), (500, 4)) * jnp.array(
        [1.0, 1.0, 0, 0]
    )
    rows = tables.canonical(table, rows)
    out = np.asarray(made(table, jax.random.key(3), rows, NOTHING, leader))
    assert (out[:, :2].sum(axis=1) <= 0.5).all()
    assert np.linalg.norm(out - leader, axis=1).max() <= np.linalg.norm(rows - leader, axis=1).max()
    # An infeasible leader is no place to stay.
    out = np.asarray(made(table, jax.random.key(3), rows, NOTHING, jnp.array([0.9, 0.9, 0, 0])))
    assert (out[:, :2].sum(axis=1) <= 0.5).all() and np.ptp(out[:, 0]) > 0.4


def test_what_is_given_is_kept():
    space = bojax.Space(
        {"c": bojax.Categorical(["u", "v", "w"]), "n": bojax.Int(1, 9), "x": bojax.Float(0, 1)},
        constraints=[bojax.Linear({"n": 1, "x": 10}, at_most=6)],
        forbidden=[{"c": ["v"]}],
    )
    given = space.given({"n": 4})
    rows = np.random.default_rng(0).random((300, 4)) * [3, 1, 1, 0]
    rows = space.canonical(tables.with_given(space.table, rows, given, np))
    with jax.enable_x64(True):
        out = made(space.table, jax.random.key(0), rows, given)
    configs = space.decode(np.asarray(out))
    assert {c["n"] for c in configs} == {4} and max(c["x"] for c in configs) <= 0.2
    assert {c["c"] for c in configs} == {"u", "w"}


def test_the_unit_cube_and_back():
    space = bojax.Space(
        {"c": bojax.Categorical([*"uvwxy"]), "n": bojax.Int(1, 9, log=True), "x": bojax.Float(0, 1),
         "o": bojax.Ordinal([1, 2, 4])}
    )  # fmt: skip
    rows = space.encode(space.sample(50))
    with jax.enable_x64(True):
        back = tables.canonical(
            space.table, tables.from_unit(space.table, to_unit(space.table, rows))
        )
    np.testing.assert_allclose(back, rows, atol=1e-12)


def test_a_plain_space_pays_nothing():
    table, rows = bojax.Space({"x": bojax.Float(0, 1)}).table, jnp.zeros((3, 4))
    assert made_feasible(table, None, rows, NOTHING) is rows
    assert feasible_points(table, None, rows, NOTHING) is rows


def test_a_point_outside_stands_for_the_crossing_and_its_slope():
    def in_the_ball(values):
        return values["a"] ** 2 + values["b"] ** 2 - 0.25

    space = bojax.Space({name: bojax.Float(0, 1) for name in "ab"}, constraints=[in_the_ball])

    @jax.jit
    def crossing(point):
        end = inside(space.table, jnp.array([0.1, 0.1, 0, 0]), point)
        value, slope = jax.value_and_grad(lambda row: row[0] ** 2)(end.row)
        return end.row, value, end.slope(slope)

    with jax.enable_x64(True):
        point = np.array([0.7, 0.6, 0, 0])
        row, _, slope = crossing(point)
        assert abs(np.hypot(row[0], row[1]) - 0.5) < 2e-4 and np.hypot(row[0], row[1]) <= 0.5
        ratio = (row[1] - 0.1) / (row[0] - 0.1)
        assert abs(ratio - 5 / 6) < 1e-9
        # Against differences wide enough to see over the steps of the cuts.
        for column in (0, 1):
            step = np.eye(4)[column] * 0.05
            difference = (crossing(point + step)[1] - crossing(point - step)[1]) / 0.1
            assert abs(difference - slope[column]) < 0.02
        row, _, slope = crossing(np.array([0.2, 0.3, 0, 0]))
        np.testing.assert_allclose(row, [0.2, 0.3, 0, 0])
        np.testing.assert_allclose(slope, [0.4, 0, 0, 0])
