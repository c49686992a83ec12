"""Where a store lives, and how it is opened: paths, URLs, what a file must look like.

A file that is not ours is refused before SQLite may touch it: opening one for writing
would already change it.
"""

from __future__ import annotations

import sqlite3
import struct
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL, make_url

from bojax.errors import StoreError, StoreInUse
from bojax.store.schema import APPLICATION_ID, has_tables, make_tables

BUSY_SECONDS = 30.0  # how long a writer waits for another; a commit takes milliseconds
POLL = 0.01  # seconds between two tries where SQLite itself does not wait
HEADER = b"SQLite format 3\x00"
HEADER_SIZE = 100  # bytes; the application id is the 32-bit integer at 68 (SQLite file format)
IMMEDIATE = "bojax_immediate"  # execution option: this transaction is going to write


def locate(path_or_url: str | Path) -> tuple[URL, Path | None]:
    """The database URL, and the file it names if it is SQLite's.

    Raises:
        StoreError: no such kind of database, or one in memory.
    """
    text = str(path_or_url)
    if "://" not in text:
        path = Path(path_or_url).absolute()
        return URL.create("sqlite", database=str(path)), path
    try:
        url = make_url(text)
    except sqlalchemy.exc.ArgumentError as error:
        raise StoreError(
            f"store {text!r}: not a database URL; give a path, or sqlite:///file.db."
        ) from error
    if url.get_backend_name() != "sqlite":
        return url, None
    if not url.database or url.database == ":memory:" or url.query:
        raise StoreError(
            f"store {text!r}: a store is a file that outlives the process; "
            "give a path, or sqlite:///file.db."
        )
    path = Path(url.database).absolute()
    return url.set(database=str(path)), path


def check_file(path: Path, create: bool) -> None:
    """Refuse, without touching it, whatever cannot become or be a store.

    Raises:
        StoreError: a folder, a missing parent, no such file (unless `create`), no
            permission, not a SQLite file, or another program's.
    """
    if path.is_dir():
        raise StoreError(f"{path}: a folder; give the path of a file, as in runs.db.")
    if not path.parent.is_dir():
        raise StoreError(f"{path}: the folder {path.parent} does not exist; make it first.")
    if not path.exists():
        if not create:
            raise StoreError(f"{path}: no such file; check the path.")
        return
    try:
        with path.open("rb") as file:
            header = file.read(HEADER_SIZE)
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be read ({error.strerror}); check its permissions."
        ) from error
    if not header:
        return  # an empty file is an empty database
    if len(header) < HEADER_SIZE or not header.startswith(HEADER):
        raise StoreError(
            f"{path}: not a SQLite file, or a damaged one; it was left as it is. "
            "Give another path, or restore a copy."
        )
    (application,) = struct.unpack_from(">I", header, 68)
    if application != APPLICATION_ID and _tables(path):
        raise StoreError(
            f"{path}: a SQLite file of another program; it was left as it is. Give another path."
        )


def _tables(path: Path) -> int:
    """How many tables a SQLite file has, read without writing."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            return connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    except sqlite3.Error as error:
        raise StoreError(
            f"{path}: cannot be read as SQLite ({error}); it was left as it is. "
            "Give another path, or restore a copy."
        ) from error


def start_engine(url: URL, where: str) -> Engine:
    """An engine with the settings every connection needs; no connection is made yet."""
    sqlite = url.get_backend_name() == "sqlite"
    arguments = {"timeout": BUSY_SECONDS, "check_same_thread": False} if sqlite else {}
    try:
        engine = sqlalchemy.create_engine(url, connect_args=arguments)
    except (sqlalchemy.exc.NoSuchModuleError, ModuleNotFoundError) as error:
        raise StoreError(
            f"{where}: no driver for this database ({error}); install it, or use SQLite."
        ) from error
    if sqlite:
        event.listen(engine, "connect", _on_connect)
        event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(connection, record) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    for pragma in (
        "foreign_keys = ON",
        # A commit is on the disk when it returns: files that a commit supersedes are
        # deleted after it, so a commit that a power cut takes back would name lost files.
        "synchronous = FULL",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _on_begin(connection: Connection) -> None:
    # A transaction that reads first and writes later may fail at once, whatever the busy
    # timeout, when another writes between; one that says so at its beginning waits.
    writes = connection.get_execution_options().get(IMMEDIATE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def create_or_check(engine: Engine, where: str) -> None:
    """Tables and settings of a new database; the version of an old one, without a lock."""
    with translated(where):
        with engine.connect() as connection:
            present = has_tables(connection, where)
        if not present:
            _make(engine, where)
        if engine.dialect.name == "sqlite":
            _use_wal(engine)


def _make(engine: Engine, where: str) -> None:
    with writing(engine) as connection:  # all of it or nothing, whoever else tries
        if has_tables(connection, where):
            return
        make_tables(connection)
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")


def _use_wal(engine: Engine) -> None:
    """Readers and a writer side by side. The setting stays in the file."""
    with closing(engine.raw_connection()) as raw, closing(raw.cursor()) as cursor:
        end = time.monotonic() + BUSY_SECONDS
        while True:
            try:  # not possible within a transaction
                cursor.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                # SQLite does not wait here for others who make the same file this moment.
                if "locked" not in str(error) or time.monotonic() >= end:
                    raise
            time.sleep(POLL)


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction that takes the write lock at its beginning."""
    with engine.connect() as connection:
        connection = connection.execution_options(**{IMMEDIATE: True})
        with connection.begin():
            yield connection


@contextmanager
def translated(where: str) -> Iterator[None]:
    """A database's error as a StoreError that names the store and the remedy."""
    try:
        yield
    except (sqlalchemy.exc.DBAPIError, sqlite3.Error) as error:
        reason = str(getattr(error, "orig", error))
        if "locked" in reason or "busy" in reason:
            raise StoreInUse(
                f"{where}: locked by another process for more than {BUSY_SECONDS:g} s; "
                "see what has it open, then try again."
            ) from error
        if "malformed" in reason or "not a database" in reason:
            raise StoreError(
                f"{where}: damaged ({reason}); restore a copy, or save what is left with "
                "`sqlite3 FILE .recover`."
            ) from error
        raise StoreError(
            f"{where}: the database refused ({reason}); nothing was written. "
            "Check that the disk has room and the file may be written."
        ) from error
