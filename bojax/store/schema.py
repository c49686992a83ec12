"""The tables of a store, and their version.

Arrays are kept as little-endian bytes (float64 to the bit, NaN and infinities included),
records as one line of JSON; nothing in a store is code.
"""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Connection,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    insert,
    inspect,
    select,
)

from bojax.errors import StoreError

SCHEMA_VERSION = 1  # raise it with every change below, and upgrade older ones
APPLICATION_ID = 0x626F6A78  # "bojx" in the header of a SQLite file: tells ours from others

metadata = MetaData()


def _run() -> Column:
    return Column("run", String(200), ForeignKey("runs.id"), primary_key=True)


schema = Table(
    "bojax_schema",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("version", Integer, nullable=False),
)
runs = Table(
    "runs",
    metadata,
    Column("id", String(200), primary_key=True),
    Column("position", Integer, nullable=False, unique=True),
    Column("record", Text, nullable=False),
)
# One row a run. `fence` counts the acquisitions: a writer with an older number has lost the
# run, however alive it is. The other columns are NULL while nobody holds it.
leases = Table(
    "leases",
    metadata,
    _run(),
    Column("fence", Integer, nullable=False),
    Column("host", String(300)),
    Column("pid", Integer),
    Column("process", String(300)),
    Column("since", String(40)),
    Column("expires", Float),
)
histories = Table(
    "histories",
    metadata,
    _run(),
    Column("capacity", Integer, nullable=False),
    Column("columns", Integer, nullable=False),
    Column("objectives", Integer, nullable=False),
    Column("constraints", Integer, nullable=False),
)
# `line` counts the lines of a trial from 0.
lines = Table(
    "lines",
    metadata,
    _run(),
    Column("trial", Integer, primary_key=True, autoincrement=False),
    Column("line", Integer, primary_key=True, autoincrement=False),
    Column("status", Integer, nullable=False),
    Column("count", LargeBinary, nullable=False),
    Column("cost", LargeBinary, nullable=False),
    Column("rows", LargeBinary, nullable=False),
    Column("values", LargeBinary, nullable=False),
    Column("variance", LargeBinary, nullable=False),
    Column("constraints", LargeBinary, nullable=False),
    Column("tag", LargeBinary, nullable=False),
    Column("raw", LargeBinary, nullable=False),
)
trials = Table(
    "trials",
    metadata,
    _run(),
    Column("trial", Integer, primary_key=True, autoincrement=False),
    Column("record", Text, nullable=False),
)
reports = Table(
    "reports",
    metadata,
    _run(),
    Column("trial", Integer, primary_key=True, autoincrement=False),
    Column("budget", Float, primary_key=True),
    Column("record", Text, nullable=False),
)
states = Table(
    "states",
    metadata,
    _run(),
    Column("name", String(200), primary_key=True),
    Column("text", Text),
    Column("data", LargeBinary),
)
checkpoints = Table(
    "checkpoints",
    metadata,
    _run(),
    Column("name", String(200), primary_key=True),
    Column("file", String(300), nullable=False),
    Column("checksum", String(200), nullable=False),
    Column("size", Integer, nullable=False),
    Column("meta", Text, nullable=False),
)


def has_tables(connection: Connection, where: str) -> bool:
    """Whether a database is a store already; it only reads.

    Raises:
        StoreError: it is one of a newer bojax, or another program's.
    """
    present = set(inspect(connection).get_table_names())
    if schema.name not in present:
        taken = sorted(present & set(metadata.tables))
        if taken:
            raise StoreError(
                f"{where}: not a bojax store, yet it has a table {taken[0]!r}; "
                "give another file or database."
            )
        return False
    version = connection.execute(select(schema.c.version)).scalar_one_or_none()
    if version is None:
        raise StoreError(f"{where}: damaged, its schema version is missing; restore a copy.")
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{where}: written with store schema {version}, this bojax reads up to "
            f"{SCHEMA_VERSION}; upgrade bojax, or open it with the version that wrote it."
        )
    return True


def make_tables(connection: Connection) -> None:
    """Every table of a new store."""
    metadata.create_all(connection)
    connection.execute(insert(schema).values(id=1, version=SCHEMA_VERSION))
