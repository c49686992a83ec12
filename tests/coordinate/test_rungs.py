"""What a rung costs the host, in statements, rows and calls; and what it leaves in the store."""

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import event

import bojax
from bojax.coordinate import Coordinator
from bojax.history import Report, Run, Trial, from_json
from bojax.store import open_store, schema, write_checkpoint
from bojax.strategies import session

SPACE = bojax.Space({"x": bojax.Float(-1, 1), "n": bojax.Int(1, 9)})
SPACE = SPACE.with_fidelity("epochs", 1, 9)
# A store after the first of three rungs, as bojax wrote it before rows went to the driver as
# they are: `sqlite3 .dump` of a run like `begun` below. Its checkpoint held nothing.
OLD = Path(__file__).parent / "data" / "halfway.sql"


class Bowl:
    """An executor that answers at once; it keeps what it is told to have kept."""

    kept = ()
    arrays: dict = {}  # noqa: RUF012

    def run(self, jobs, configs):
        return [
            Report(j.trial, j.stop, {"loss": configs[j.trial]["x"] ** 2 + 1 / j.stop}) for j in jobs
        ]

    def keep(self, trials):
        pass

    def state_arrays(self, trials):
        return self.arrays, {}

    def restore(self, arrays, meta, configs):
        self.arrays = arrays


def begun(store, lease, trials=9, executor=None):
    plan = bojax.schedulers.successive_halving(eta=3, max_budget=9, trials=trials, bracket=trials)
    return Coordinator(
        SPACE, bojax.strategies.random(), plan, executor or Bowl(), metric="loss", seed=3,
        lease=lease, folder=store.checkpoint_folder("main"),
    )  # fmt: skip


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "a.db") as store:
        store.create_run(
            Run(id="main", space=SPACE.to_json(), objectives={"loss": "minimize"}, seed=3)
        )
        yield store


@pytest.fixture
def said(store):
    """What is said to the database: the kinds of statement, rows by table, commits."""
    counts = Counter()

    def statement(connection, cursor, text, parameters, context, many):
        words = text.split()
        kind = " ".join(words[:3]) if words[0] == "INSERT" else words[0]
        counts["statements"] += 1
        counts[kind] += len(parameters) if many else 1

    event.listen(store._engine, "before_cursor_execute", statement)
    event.listen(store._engine, "commit", lambda _: counts.update(["commits"]))
    return counts


def test_a_rung_is_one_commit_of_as_many_statements_however_many_members(store, said):
    seen = []
    for trials in (9, 36):
        with store.acquire("main") as lease:
            run = begun(store, lease, trials)
            for members in (trials, trials // 3, trials // 9):
                said.clear()
                run.turn()
                seen.append(said["statements"])
                assert said["commits"] == 1
                # A line, a report and a record a member; the closing rung decides on all of them.
                for table in ("lines", "reports", "trials"):
                    assert said[f"INSERT INTO {table}"] == members
        store._engine.dispose()
        with store._engine.begin() as connection:
            for table in (schema.lines, schema.reports, schema.trials):
                connection.execute(table.delete())
    assert len(set(seen)) <= 2  # a lease's first rung looks at the lines that are there
    assert max(seen) <= 16


def test_independent_rows_come_in_one_call_and_are_those_of_many(monkeypatch):
    calls = []
    program = session._ask_program

    def counted(strategy, state, history, bits, q, given, wanted):
        calls.append((q, int(wanted)))
        return program(strategy, state, history, bits, q, given, wanted)

    monkeypatch.setattr(session, "_ask_program", counted)
    asked = {}
    for most in (512, 9):  # the programs are those of the runs above
        monkeypatch.setattr(session, "MOST_INDEPENDENT", most)
        for strategy in (bojax.strategies.random(), bojax.strategies.sobol()):
            one = session.Session(SPACE, strategy, seed=1)
            asked[type(strategy), most] = np.array([row for row, _ in one.ask(36)])
            assert one.lines == 0 and not one.history.status.any()
    assert calls == [(64, 36)] * 2 + [(16, 9)] * 8
    for kind in (bojax.strategies.Random, bojax.strategies.Sobol):
        np.testing.assert_array_equal(asked[kind, 512], asked[kind, 9])
        assert len(np.unique(asked[kind, 512], axis=0)) == 36


def test_lines_written_at_once_are_those_written_one_by_one():
    rng = np.random.default_rng(0)
    one, many = (session.Session(SPACE, bojax.strategies.random()) for _ in range(2))
    for step in range(6):
        trials = rng.permutation(70)[: rng.integers(1, 70)]
        rows = np.where(rng.random((len(trials), 4)) < 0.3, -0.0, trials[:, None] / 70)
        status = [bojax.Status(int(s)) for s in rng.integers(1, 7, len(trials))]
        values, cost = rng.normal(size=(2, len(trials)))
        infos = [
            {"tag": rng.integers(0, 9, 4), "raw": rng.random(4)} if rng.random() < 0.5 else None
            for _ in trials
        ]
        replace = bool(step % 2)
        for i, trial in enumerate(trials):
            if replace or one.find(trial, rows[i]) is None:
                one.write(
                    trial, rows[i], status=status[i], values=values[i], cost=cost[i], info=infos[i]
                )
        many.write_many(
            trials, rows, status=status, values=values, cost=cost, infos=infos, replace=replace
        )
        assert one.lines == many.lines
        for a, b in zip(one.history, many.history, strict=True):
            assert a.tobytes() == b.tobytes()
        assert all(
            one.find(*place) == many.find(*place) for place in zip(trials, rows, strict=True)
        )
    assert one.history.capacity > 64  # it grew


RECORDS = {"trials": Trial, "reports": Report}


def rows_of(connection):
    """Every table's rows; of records all that they say, a field that came later at its default."""
    names = [table.name for table in schema.metadata.sorted_tables if table.name != "leases"]
    return {
        name: sorted(
            repr((*row[:-1], from_json(RECORDS[name], row[-1]) if name in RECORDS else row[-1]))
            for row in connection.execute(f"SELECT * FROM {name}")
        )
        for name in names
    }


def test_what_is_stored_is_what_was_stored_before(store, tmp_path):
    with store.acquire("main") as lease:
        begun(store, lease).turn()
    with (
        closing(sqlite3.connect(tmp_path / "a.db")) as new,
        closing(sqlite3.connect(":memory:")) as old,
    ):
        old.executescript(OLD.read_text())
        mine, theirs = rows_of(new), rows_of(old)
    assert len(theirs.pop("checkpoints")) == 1 and mine.pop("checkpoints") == []
    assert mine == theirs


def test_an_old_store_goes_on(store, tmp_path):
    file = tmp_path / "old.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(OLD.read_text())
        connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    with open_store(file) as old, old.acquire("main") as lease:
        write_checkpoint(old.checkpoint_folder("main"), "population", {}, {})
        resumed = begun(old, lease)
        assert resumed.restore(old)
        assert len(resumed.trials) == len(resumed.reports) == 9
        with lease.transaction() as tx:  # said again, a report of then is the same
            tx.write_reports(resumed.reports)
        resumed.run()
    with store.acquire("main") as lease:
        whole = begun(store, lease)
        whole.run()
    with closing(sqlite3.connect(file)) as a, closing(sqlite3.connect(tmp_path / "a.db")) as b:
        assert rows_of(a) == rows_of(b)
    assert repr(resumed.trials) == repr(whole.trials)


def test_an_executor_without_states_has_no_checkpoint(store):
    folder, executor = store.checkpoint_folder("main"), Bowl()
    with store.acquire("main") as lease:
        run = begun(store, lease, executor=executor)
        run.turn()
        assert store.checkpoints("main") == [] and not folder.exists()
        executor.arrays = {"w": np.ones(3)}
        run.turn()
        (named,) = store.checkpoints("main")
        assert [named.path] == list(folder.iterdir())
        resumed = Bowl()
        assert begun(store, lease, executor=resumed).restore(store)
        assert resumed.arrays["w"].tolist() == [1, 1, 1]
        executor.arrays = {}
        run.turn()
        assert store.checkpoints("main") == [] and list(folder.iterdir()) == []
