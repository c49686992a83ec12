"""Rows of a batch: the first of their draws that can be had."""

import jax
import jax.numpy as jnp
import numpy as np

import bojax
from bojax.history import Status, empty_history
from bojax.strategies._choosing import choose, standing

CELLS = bojax.Space({"n": bojax.Int(0, 7), "x": bojax.Float(0, 1, when={"n": (6, 7)})})
REALS = bojax.Space({"x": bojax.Float(0, 1), "y": bojax.Float(0, 1)})
Q = 4


def chosen(space, draw, history=None, wanted=Q, given=None, tries=8):
    history = empty_history(64, space.table.columns) if history is None else history
    given = np.full((Q, space.table.columns), np.nan) if given is None else given

    @jax.jit
    def program(history, given, wanted):
        table = jax.tree.map(jnp.asarray, space.table)
        keys = jax.random.split(jax.random.key(0), Q)
        return choose(table, history, keys, given, wanted, draw, tries=tries)

    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, program(history, given, np.int32(wanted)))


def upwards(i, attempt, key):
    """Cell after cell."""
    return jnp.full(4, (attempt.astype(jnp.float64) + 0.5) / 8.0)


def cells(found):
    return np.floor(found.rows[:, 0] * 8).astype(int).tolist()


def test_rows_are_new_to_the_history_and_to_each_other():
    history = empty_history(64, 4)
    for line, n in enumerate((0, 2)):
        history.rows[line], history.trial[line] = CELLS.encode({"n": n}), line
        history.status[line] = Status.PENDING
    found = chosen(CELLS, upwards, history)
    assert cells(found) == [1, 3, 4, 5]
    assert found.valid.all() and not found.strayed.any()
    fewer = chosen(CELLS, upwards, history, wanted=2)
    assert cells(fewer)[:2] == [1, 3] and fewer.valid.tolist() == [True, True, False, False]
    # A given column counts in what is equal.
    given = np.full((Q, 4), np.nan)
    given[1] = CELLS.encode({"n": 7, "x": 0.25})
    given[1, 2:] = np.nan
    found = chosen(CELLS, upwards, history, given=given)
    assert cells(found) == [1, 7, 3, 4] and found.points[1, 1] == 0.25


def test_a_later_row_gives_way_to_an_earlier_one():
    def crossing(i, attempt, key):
        first = jnp.array([1.0, 3.0, 5.0, 6.0])[i]
        return jnp.full(
            4, (jnp.where(attempt == 0, first, 2.0 + attempt.astype(first.dtype)) + 0.5) / 8.0
        )

    history = empty_history(64, 4)
    history.rows[0], history.trial[0] = CELLS.encode({"n": 1}), 0
    history.status[0] = Status.DONE
    assert cells(chosen(CELLS, crossing, history)) == [3, 4, 5, 6]  # 3, where the second was


def test_without_a_draw_that_is_free_points_stray_until_one_is():
    stuck = lambda i, attempt, key: jnp.full(4, 0.3)  # noqa: E731
    found = chosen(REALS, stuck)
    assert found.strayed.tolist() == [False, True, True, True] and found.valid.all()
    apart = np.abs(found.rows[:, :2] - 0.3).max(axis=1)
    assert apart[0] == 0 and (apart[1:] > 1e-9).all() and (apart[1:] < 1e-3).all()
    history = empty_history(64, 4)
    everything = [{"n": n} for n in range(6)]
    history.rows[:6], history.trial[:6] = CELLS.encode(everything), np.arange(6)
    history.status[:6] = Status.DONE
    found = chosen(CELLS, stuck, history)
    assert found.valid.all() and set(cells(found)) == {6, 7}  # all that is left is far away
    one = bojax.Space({"n": bojax.Int(0, 1)})
    assert chosen(one, stuck).valid.tolist() == [True, True, False, False]


def test_what_lies_beyond_is_drawn_again_and_at_last_put_onto_the_edge():
    def outside(i, attempt, key):
        return jnp.where(attempt < i, 1.5, 0.1 * (i + 1).astype(jnp.float64)) * jnp.ones(4)

    np.testing.assert_allclose(chosen(REALS, outside).rows[:, 0], [0.1, 0.2, 0.3, 0.4])
    found = chosen(REALS, outside, tries=2)
    assert found.strayed.tolist() == [False, False, True, True]
    beyond = chosen(REALS, lambda i, attempt, key: jnp.array([-1.0, 2.0, 0, 0]), wanted=1)
    assert beyond.rows[0, :2].tolist() == [0.0, 1.0] and beyond.strayed[0]


def test_a_trial_stands_for_its_largest_final_budget():
    history = empty_history(64, 4)
    lines = [(0, "DONE"), (0, "DONE"), (0, "PENDING"), (1, "PENDING"), (2, "STALE"), (3, "FAILED")]
    for line, (trial, status) in enumerate(lines):
        history.trial[line], history.status[line] = trial, Status[status]
    found = np.asarray(standing(jax.tree.map(jnp.asarray, history._replace(rows=np.zeros(1)))))
    assert np.flatnonzero(found).tolist() == [1, 3, 4, 5]
