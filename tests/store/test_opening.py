"""What is not a store is refused, named, and left as it was."""

import sqlite3
from contextlib import closing
from types import SimpleNamespace

import pytest
from helpers_store import RUN, history_with, trial
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from bojax.errors import StoreError, StoreInUse
from bojax.history import to_json
from bojax.store import engine, open_store, schema, transaction
from bojax.store.transaction import upsert


def sql(file, *statements):
    with closing(sqlite3.connect(file)) as connection, connection:
        return [connection.execute(statement).fetchall() for statement in statements]


@pytest.mark.parametrize("content", [b"hello", b"\0" * 4096, b"SQLite format 3\0"])
def test_no_sqlite_file(file, content):
    file.write_bytes(content)
    with pytest.raises(StoreError, match=r"runs\.db: not a SQLite file, or a damaged one"):
        open_store(file)
    assert file.read_bytes() == content
    assert list(file.parent.iterdir()) == [file]


def test_another_programs_file(file):
    sql(file, "CREATE TABLE studies (id)", "PRAGMA journal_mode = DELETE")
    before = file.read_bytes()
    with pytest.raises(StoreError, match=r"runs\.db: a SQLite file of another program"):
        open_store(file)
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_a_table_of_our_name_in_a_foreign_database(file):
    sql(file, "CREATE TABLE runs (id)", f"PRAGMA application_id = {schema.APPLICATION_ID}")
    with pytest.raises(StoreError, match="not a bojax store, yet it has a table 'runs'"):
        open_store(file)


def test_places_where_no_file_can_be(tmp_path):
    with pytest.raises(StoreError, match=r"a folder; give the path of a file"):
        open_store(tmp_path)
    with pytest.raises(StoreError, match=r"the folder .*none does not exist; make it first"):
        open_store(tmp_path / "none" / "runs.db")
    with pytest.raises(StoreError, match=r"none\.db: no such file"):
        open_store(tmp_path / "none.db", create=False)
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite://", "a store is a file that outlives the process"),
        ("sqlite:///:memory:", "a store is a file"),
        ("nothing://host/x", "no driver for this database"),
        ("://", "not a database URL"),
    ],
)
def test_urls_that_are_none(url, message):
    with pytest.raises(StoreError, match=message):
        open_store(url)


def test_an_empty_file_becomes_a_store(file):
    file.touch()
    with open_store(file) as store:
        assert store.runs() == []
    assert sql(file, "PRAGMA journal_mode") == [[("wal",)]]


def test_a_newer_schema(store, file):
    sql(file, "UPDATE bojax_schema SET version = 99")
    with pytest.raises(StoreError, match=r"store schema 99, this bojax reads up to 1; upgrade"):
        open_store(file)
    sql(file, "DELETE FROM bojax_schema")
    with pytest.raises(StoreError, match=r"runs\.db: damaged, its schema version is missing"):
        open_store(file)


def test_a_newer_record(store, file):
    newer = to_json(RUN).replace('"schema": 1', '"schema": 99')
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE runs SET record = ?", [newer])
    with pytest.raises(StoreError, match=r"runs\.db: Run: written with schema 99"):
        store.runs()


def test_a_damaged_store(store, file):
    with store.acquire(RUN.id) as lease, lease.transaction() as tx:
        tx.write_history(history_with(64))
    store.close()
    data = bytearray(file.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    file.write_bytes(data)
    with pytest.raises(StoreError, match=r"runs\.db: damaged"), open_store(file) as broken:
        broken.history(RUN.id)
    assert file.read_bytes() == data


def test_readers_are_not_held_up_by_a_writer(store, file, monkeypatch):
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.1)
    with store.acquire(RUN.id) as lease:
        with lease.transaction() as tx:
            tx.write_history(history_with(3))
        with lease.transaction() as tx:
            tx.write_history(history_with(5))
            with open_store(file) as reader:  # opens, too, while the writer writes
                assert (reader.history(RUN.id).trial >= 0).sum() == 3
                with pytest.raises(StoreInUse, match=r"locked by another process for more"):
                    reader.create_run(RUN)
        assert (store.history(RUN.id).trial >= 0).sum() == 5


def test_a_reader_keeps_its_snapshot(store):
    with store.acquire(RUN.id) as lease, store._engine.connect() as reader:
        query = "SELECT count(*) FROM states"
        assert reader.exec_driver_sql(query).scalar() == 0
        with lease.transaction() as tx:
            tx.write_state("a", "b")
        assert reader.exec_driver_sql(query).scalar() == 0


def test_the_folder_of_checkpoints(store, file):
    assert store.checkpoint_folder("a") == file.parent / "runs.db.d" / "a"


def test_the_text_of_a_statement_has_the_tables_columns():
    for said, table in ((transaction._LINES, schema.lines), (transaction._REPORTS, schema.reports)):
        names = str(said).removeprefix("SELECT ").split(" FROM ")[0].replace('"', "").split(", ")
        assert names == table.c.keys()[1:]


def test_other_databases_are_given_rows_by_name():
    said = []
    connection = SimpleNamespace(
        dialect=postgresql.dialect(), execute=lambda statement, rows: said.append((statement, rows))
    )
    tx = transaction.Transaction(connection, "digits", "there", None, None)
    tx.write_trials([trial(3)])
    tx.write_state("rung", b"2")
    (into_trials, trials), (_, states) = said
    assert "ON CONFLICT (run, trial) DO UPDATE" in str(
        into_trials.compile(dialect=connection.dialect)
    )
    assert trials == [{"run": "digits", "trial": 3, "record": to_json(trial(3))}]
    assert states == [{"run": "digits", "name": "rung", "text": None, "data": b"2"}]


def test_every_statement_can_be_said_to_postgresql():
    dialect = postgresql.dialect()
    for table in schema.metadata.sorted_tables:
        assert str(CreateTable(table).compile(dialect=dialect))
        if table.name != "bojax_schema":
            text = str(upsert(table, "postgresql").compile(dialect=dialect))
            assert "ON CONFLICT" in text
