"""What is written comes back, to the bit, and only what was meant to change changes."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
from helpers_store import RUN, history_with, report, trial
from hypothesis import HealthCheck, given, settings
from hypothesis.extra import numpy as hnp
from sqlalchemy import event

from bojax.errors import StoreError
from bojax.history import Run, Status, empty_history
from bojax.store import open_store


def write(store, **parts):
    with store.acquire(RUN.id) as lease, lease.transaction() as tx:
        for name, value in parts.items():
            getattr(tx, f"write_{name}")(value)


def same(a, b):
    for name, x, y in zip(a._fields, a, b, strict=True):
        assert x.dtype == y.dtype and x.tobytes() == y.tobytes(), name


floats = st.floats(allow_subnormal=True)  # NaN, infinities and -0.0 included


@st.composite
def histories(draw):
    """Any history whose lines are grouped by trial, as the doors keep them."""
    columns, objectives = draw(st.sampled_from([4, 6])), draw(st.integers(1, 2))
    history = empty_history(64, columns, objectives, draw(st.integers(0, 2)))
    n = draw(st.integers(0, 6))
    numbers = sorted(draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)))
    history.trial[:n] = numbers
    history.status[:n] = draw(hnp.arrays(np.int32, n, elements=st.integers(1, 6)))
    history.tag[:n] = draw(hnp.arrays(np.int32, (n, 4), elements=st.integers(-(2**31), 2**31 - 1)))
    for leaf in (history.rows, history.values, history.variance, history.constraints, history.raw):
        leaf[:n] = draw(hnp.arrays(np.float64, (n, leaf.shape[1]), elements=floats))
    for leaf in (history.count, history.cost):
        leaf[:n] = draw(hnp.arrays(np.float64, n, elements=floats))
    return history


@given(histories(), histories())
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_histories_come_back_to_the_bit(store, first, second):
    for history in (first, second):  # the second replaces lines, adds some, removes some
        write(store, history=history)
        same(store.history(RUN.id), history)


@given(st.lists(histories(), min_size=2, max_size=3))
@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_one_lease_writes_what_changed_whatever_the_shapes(store, those):
    with store.acquire(RUN.id) as lease:
        for history in those:
            with lease.transaction() as tx:
                tx.write_history(history)
            same(store.history(RUN.id), history)


def test_other_doors_see_the_same(store, file):
    write(store, history=history_with(5))
    with open_store(f"sqlite:///{file}") as other:
        same(other.history(RUN.id), history_with(5))


def test_only_changed_lines_are_written(store):
    written = []

    def count(connection, cursor, statement, parameters, context, many):
        if statement.startswith("INSERT INTO lines"):
            written.append(len(parameters) if many else 1)

    event.listen(store._engine, "before_cursor_execute", count)
    history = history_with(9)
    with store.acquire(RUN.id) as lease:
        for changed in ([], [4], [], [0, 8]):
            history.values[changed] += 1
            with lease.transaction() as tx:
                tx.write_history(history)
    assert written == [9, 1, 2]
    history.values[3] += 1
    write(store, history=history)  # a new lease looks at what is there
    assert written == [9, 1, 2, 1]
    same(store.history(RUN.id), history)


def test_a_rolled_back_history_is_written_again(store):
    with store.acquire(RUN.id) as lease:
        with pytest.raises(KeyError), lease.transaction() as tx:
            tx.write_history(history_with(3))
            raise KeyError
        assert store.history(RUN.id) is None
        with lease.transaction() as tx:
            tx.write_history(history_with(3))
    same(store.history(RUN.id), history_with(3))


def test_trials_reports_and_states(store):
    trials = [
        trial(2, status=Status.FAILED, values=(math.nan,), curve=((3, {"loss": 0.1}),)),
        trial(10, values=(1 / 3,), source="gp"),
        trial(1),
    ]
    reports = [report(10, 9, math.inf), report(10, 3), report(2, 27, 0.1 + 0.2)]
    write(store, trials=trials, reports=reports)
    back = store.trials(RUN.id)
    assert [t.id for t in back] == [1, 2, 10]
    assert back[2].values == (1 / 3,) and back[2].row.tobytes() == trials[1].row.tobytes()
    assert math.isnan(back[1].values[0]) and back[1].curve == trials[0].curve
    found = [(r.trial, r.budget, r.metrics["loss"]) for r in store.reports(RUN.id)]
    assert found == [(2, 27, 0.1 + 0.2), (10, 3, 0.5), (10, 9, math.inf)]

    write(store, trials=[trial(1, status=Status.DONE)])
    assert store.trials(RUN.id)[0].status == Status.DONE

    with store.acquire(RUN.id) as lease, lease.transaction() as tx:
        tx.write_state("scheduler", "{}")
        tx.write_state("strategy", b"\x00\xff")
        tx.write_state("scheduler", '{"rung": 1}')
    assert store.state(RUN.id, "scheduler") == '{"rung": 1}'
    assert store.state(RUN.id, "strategy") == b"\x00\xff"
    assert store.state(RUN.id, "other") is None


def test_a_report_is_final(store):
    write(store, reports=[report(1, 9)])
    write(store, reports=[report(1, 9)])  # said twice, the same: nothing new
    with pytest.raises(StoreError, match="trial 1 has reported budget 9 already"):
        write(store, reports=[report(2, 9), report(1, 9, 0.25)])
    with pytest.raises(StoreError, match="trial 3 has reported budget 9 already"):
        write(store, reports=[report(3, 9), report(3, 9, 0.25)])
    assert [(r.trial, r.metrics) for r in store.reports(RUN.id)] == [(1, {"loss": 0.5})]


def test_runs(store):
    for name in ("b", "a"):
        store.create_run(Run(id=name, space={}, objectives={}, seed=0))
    assert [run.id for run in store.runs()] == ["digits", "b", "a"]
    assert store.run("digits") == RUN
    with pytest.raises(StoreError, match=r"no run 'c'; its runs: digits, b, a"):
        store.run("c")
    with pytest.raises(StoreError, match="run 'a' exists"):
        store.create_run(Run(id="a", space={}, objectives={}, seed=1))
    with pytest.raises(StoreError, match=r"run '\.\./x': expected up to 150 letters"):
        store.create_run(Run(id="../x", space={}, objectives={}, seed=1))
    for read in (store.history, store.trials, store.reports, store.checkpoints, store.acquire):
        with pytest.raises(StoreError, match="no run 'c'"):
            read("c")


def test_runs_do_not_mix(store):
    store.create_run(Run(id="other", space={}, objectives={}, seed=0))
    write(store, history=history_with(2), trials=[trial(0)], reports=[report(0, 1)])
    assert store.history("other") is None
    assert store.trials("other") == store.reports("other") == []


def test_states_are_text_or_bytes(store):
    with (
        store.acquire(RUN.id) as lease,
        pytest.raises(StoreError, match=r"state 'x' must be str or bytes, got dict"),
        lease.transaction() as tx,
    ):
        tx.write_state("x", {})


def test_one_transaction_at_a_time(store):
    with store.acquire(RUN.id) as lease:
        with (
            lease.transaction(),
            pytest.raises(StoreError, match="is open; end it first"),
            lease.transaction(),
        ):
            pass
        with lease.transaction() as tx:
            tx.write_state("a", "still usable")
    assert store.state(RUN.id, "a") == "still usable"
