"""Which lines of a long history a model is fitted to, by hand."""

import numpy as np
import pytest

import bojax
from bojax.history import Status, empty_history, ordered
from bojax.strategies._modelled import modelled

SPACE = bojax.Space({"x": bojax.Float(0, 1)}).with_fidelity("epochs", 1, 16)


def history_of(trials, capacity=256):
    """Lines of `{trial: (values at 1, 2, ... epochs)}`, all done."""
    history, line = empty_history(capacity, SPACE.table.columns), 0
    for trial, values in trials.items():
        for epoch, value in enumerate(values, start=1):
            history.trial[line] = trial
            history.rows[line] = SPACE.encode({"x": trial / 100, "epochs": float(epoch)})
            history.values[line], history.status[line] = value, Status.DONE
            line += 1
    return ordered(history)


def kept(history, most):
    """`{trial: [epochs]}` of the lines that are modelled."""
    found = modelled(history, SPACE.table, most)
    lines = np.flatnonzero(found.status != Status.EMPTY)
    column = SPACE.names.index("epochs")
    epochs = (16.0 ** found.rows[lines, column]).round().astype(int).tolist()
    told = {}
    for trial, epoch in zip(found.trial[lines].tolist(), epochs, strict=True):
        told.setdefault(trial, []).append(epoch)
    return told


def test_nothing_goes_where_all_fit_in():
    history = history_of({0: (3.0, 2.0), 1: (4.0,)})
    assert modelled(history, SPACE.table, None) is history
    assert kept(history, 3) == {0: [1, 2], 1: [1]}
    assert modelled(history, SPACE.table, 3).capacity == 64


def test_of_a_curve_the_last_lines_of_powers_of_two_stay():
    history = history_of({0: np.linspace(9, 1, 16), 1: (5.0,) * 3})
    assert kept(history, 7) == {0: [1, 9, 13, 15, 16], 1: [2, 3]}


def test_large_budgets_come_first_and_small_ones_are_spread_over_their_values():
    """Trials 0 to 9 have one line, worth their number; trial 50 three, of which two stay."""
    history = history_of({**{i: (float(i),) for i in range(10)}, 50: (1.0, 1.0, 1.0)})
    assert kept(history, 6) == {50: [2, 3], 0: [1], 3: [1], 6: [1], 9: [1]}
    assert kept(history, 4) == {50: [2, 3], 0: [1], 9: [1]}


def test_what_is_pending_stays_and_takes_room():
    history = history_of({i: (float(i),) for i in range(10)})
    history.status[4] = Status.PENDING
    assert set(kept(history, 5)) == {0, 3, 4, 6, 9}
    history.status[5:] = np.where(history.trial[5:] >= 0, Status.PENDING, Status.EMPTY)
    assert set(kept(history, 4)) == {0, 3, *range(4, 10)}  # never less than half for the told


def test_failures_are_lines_like_others():
    history = history_of({i: (float(i),) for i in range(9)})
    history.status[8], history.values[8] = Status.FAILED, np.nan
    assert set(kept(history, 3)) == {0, 4, 8}


def suggested(parameter, most, values):
    """What comes after so many values at 0, 1, 2, ..."""
    strategy = bojax.strategies.gp(lines=most)
    optimizer = bojax.Optimizer({"n": parameter}, strategy=strategy, seed=0)
    for n, value in enumerate(values):
        optimizer.tell({"n": n}, float(value))
    return optimizer.ask().config["n"]


VALUES = [(n - 7) ** 2 + n % 3 for n in range(20)]


@pytest.mark.parametrize("most", [8, 64])
def test_what_is_left_out_of_the_model_is_not_suggested_again(most):
    assert suggested(bojax.Int(0, 20), most, VALUES) == 20


def test_a_suggestion_depends_on_how_many_lines_are_modelled():
    few, all_of_them = (suggested(bojax.Float(0, 20), most, VALUES) for most in (8, 64))
    assert few != all_of_them
