"""The store: every run's history, trials, reports and states in one database."""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, func, insert, select

from bojax.errors import StoreError
from bojax.history import History, Report, Run, Trial, from_json, to_json
from bojax.store import schema
from bojax.store.checkpoints import check_name
from bojax.store.engine import (
    check_file,
    create_or_check,
    locate,
    start_engine,
    translated,
    writing,
)
from bojax.store.lease import EXPIRY, Lease, acquire, turn
from bojax.store.lines import history_of
from bojax.store.transaction import Transaction


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that a row names.

    Attributes:
        name: what it is of, as "trial-3".
        path: the file.
        checksum, size: of the file, size in bytes.
        meta: what was stored with it.

    Example:
        >>> from pathlib import Path
        >>> from bojax.store import Checkpoint
        >>> Checkpoint("trial-3", Path("a.ckpt"), "00", 64, {"step": 9}).meta["step"]
        9
    """

    name: str
    path: Path
    checksum: str
    size: int
    meta: dict[str, Any]


class Snapshot(NamedTuple):
    """A run as it was at one moment.

    Attributes:
        fence: its fencing number; as long as that is the same, nothing was written.
        history: as :meth:`Store.history` gives it.
        trials: by number.
        state: the state that was asked for, or None.
    """

    fence: int
    history: History | None
    trials: list[Trial]
    state: str | None


def open_store(path_or_url: str | Path, *, create: bool = True) -> Store:
    """Open a store, making it if it is not there.

    Args:
        path_or_url: path of a SQLite file, or a database URL ("sqlite:///runs.db",
            "postgresql://...").
        create: whether a missing file is made.

    Returns:
        A :class:`Store`; close it, or use it in a `with` statement.

    Raises:
        StoreError: the file is not a store, is damaged, was written by a newer bojax, or
            cannot be made. It is left as it is.

    Example:
        >>> import tempfile
        >>> from bojax.store import open_store
        >>> with tempfile.TemporaryDirectory() as folder, open_store(f"{folder}/a.db") as store:
        ...     store.runs()
        []
    """
    url, path = locate(path_or_url)
    where = str(path_or_url) if path else url.render_as_string(hide_password=True)
    if path is not None:
        check_file(path, create)
    engine = start_engine(url, where)
    try:
        create_or_check(engine, where)
    except BaseException:
        engine.dispose()
        raise
    folder = path if path is not None else Path(url.database or "bojax").absolute()
    return Store(engine, where, folder.with_name(folder.name + ".d"))


class Store:
    """An open store. Reading takes no lock; writing needs a lease (:meth:`acquire`).

    Example:
        >>> import tempfile
        >>> from bojax.history import Run
        >>> from bojax.store import open_store
        >>> with tempfile.TemporaryDirectory() as folder, open_store(f"{folder}/a.db") as store:
        ...     store.create_run(Run(id="a", space={}, objectives={}, seed=3))
        ...     store.run("a").seed
        3
    """

    def __init__(self, engine: Engine, where: str, folder: Path):
        self._engine, self._where, self._folder = engine, where, folder
        # A store that nobody closes must not leave connections behind it.
        self._close = weakref.finalize(self, engine.dispose)

    def __repr__(self) -> str:
        return f"<bojax store {self._where}>"

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection; a second time does nothing."""
        self._close()

    def checkpoint_folder(self, run_id: str) -> Path:
        """Where a run's checkpoints belong: `runs.db.d/<run>`, beside `runs.db`.

        For other databases it is in the working directory, named after the database.
        """
        check_name("run", run_id)
        return self._folder / run_id

    # ------------------------------------------------------------------------------- runs

    def create_run(self, run: Run) -> None:
        """Add a run.

        Raises:
            StoreError: there is one with that id, or the id cannot be a folder's name.
        """
        check_name("run", run.id)
        table = schema.runs
        with translated(self._where), writing(self._engine) as connection:
            known = connection.execute(select(table.c.id)).scalars().all()
            if run.id in known:
                raise StoreError(
                    f"{self._where}: run {run.id!r} exists; resume it, or take another id."
                )
            position = connection.execute(select(func.count()).select_from(table)).scalar_one()
            connection.execute(
                insert(table).values(id=run.id, position=position, record=to_json(run))
            )
            connection.execute(insert(schema.leases).values(run=run.id, fence=0))

    def runs(self) -> list[Run]:
        """Every run, in the order they were made."""
        rows = self._read(select(schema.runs.c.record).order_by(schema.runs.c.position))
        return [self._record(Run, row.record) for row in rows]

    def run(self, run_id: str) -> Run:
        """One run.

        Raises:
            StoreError: no such run.
        """
        rows = self._read(select(schema.runs.c.record).where(schema.runs.c.id == run_id))
        if not rows:
            known = ", ".join(run.id for run in self.runs()) or "none"
            raise StoreError(f"{self._where}: no run {run_id!r}; its runs: {known}.")
        return self._record(Run, rows[0].record)

    def acquire(self, run_id: str, *, expiry: float = EXPIRY, wait: float = 0.0) -> Lease:
        """Take the lease on a run, to write to it.

        A dead holder on this host loses it at once, a live one keeps it; one that cannot
        be seen from here, on another host, loses it after its expiry.

        Args:
            run_id: the run.
            expiry: seconds for which the lease is good without a transaction or renewal.
            wait: seconds to wait for another holder.

        Raises:
            StoreInUse: another process holds it.
            StoreError: no such run.
        """
        self.run(run_id)
        where, folder = f"{self._where}: run {run_id!r}", self.checkpoint_folder(run_id)
        return acquire(self._engine, where, folder, run_id, expiry=expiry, wait=wait)

    @contextmanager
    def turn(self, run_id: str) -> Iterator[tuple[Transaction, int]]:
        """One transaction on a run that many write to, none for longer: it waits for its turn.

        Returns:
            A context of the transaction and of the fencing number before it. Whoever has a
            copy of that number (:meth:`fence`) has all that was written before.

        Raises:
            StoreInUse: another process holds the lease, or the file for too long.

        Example:
            >>> import tempfile
            >>> from bojax.history import Run
            >>> from bojax.store import open_store
            >>> with tempfile.TemporaryDirectory() as folder, open_store(f"{folder}/a.db") as store:
            ...     store.create_run(Run(id="a", space={}, objectives={}, seed=0))
            ...     with store.turn("a") as (tx, before):
            ...         tx.write_state("strategy", "{}")
            ...     before, store.fence("a")
            (0, 1)
        """
        where, folder = f"{self._where}: run {run_id!r}", self.checkpoint_folder(run_id)
        with turn(self._engine, where, folder, run_id) as taken:
            yield taken

    # ---------------------------------------------------------------------------- reading

    def history(self, run_id: str) -> History | None:
        """The run's history, ordered by trial; None if none was written.

        Returns:
            On the host, in the capacity it was written with, every float64 to the bit.
        """
        self._known(run_id)
        with translated(self._where), self._snapshot() as connection:
            return self._history(connection, run_id)

    def fence(self, run_id: str) -> int:
        """How often the run was acquired or had a turn; a copy of that number is up to date."""
        table = schema.leases.c
        (row,) = self._read(select(table.fence).where(table.run == run_id))
        return row.fence

    def snapshot(self, run_id: str, state: str) -> Snapshot:
        """History, trials and a state of one and the same moment."""
        leases, trials, states = schema.leases.c, schema.trials.c, schema.states.c
        self._known(run_id)
        with translated(self._where), self._snapshot() as connection:
            fence = connection.execute(
                select(leases.fence).where(leases.run == run_id)
            ).scalar_one()
            history = self._history(connection, run_id)
            records = connection.execute(
                select(trials.record).where(trials.run == run_id).order_by(trials.trial)
            ).scalars()
            text = connection.execute(
                select(states.text).where((states.run == run_id) & (states.name == state))
            ).scalar_one_or_none()
            found = [self._record(Trial, record) for record in records]
        return Snapshot(fence, history, found, text)

    def _history(self, connection: Connection, run_id: str) -> History | None:
        table, shapes = schema.lines, schema.histories
        shape = connection.execute(select(shapes).where(shapes.c.run == run_id)).one_or_none()
        if shape is None:
            return None
        rows = connection.execute(
            select(table).where(table.c.run == run_id).order_by(table.c.trial, table.c.line)
        ).mappings()
        sizes = {name: size for name, size in shape._mapping.items() if name != "run"}
        return history_of(sizes, rows)

    @contextmanager
    def _snapshot(self) -> Iterator[Connection]:
        """A connection whose every query sees the same moment, as SQLite's do anyway."""
        with self._engine.connect() as connection:
            if self._engine.dialect.name != "sqlite":
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection

    def trials(self, run_id: str) -> list[Trial]:
        """The run's trials, by number."""
        table = schema.trials.c
        rows = self._read(
            select(table.record).where(table.run == self._known(run_id)).order_by(table.trial)
        )
        return [self._record(Trial, row.record) for row in rows]

    def reports(self, run_id: str) -> list[Report]:
        """The run's reports, by trial and budget."""
        table = schema.reports.c
        rows = self._read(
            select(table.record)
            .where(table.run == self._known(run_id))
            .order_by(table.trial, table.budget)
        )
        return [self._record(Report, row.record) for row in rows]

    def state(self, run_id: str, name: str) -> str | bytes | None:
        """What was stored under that name, as str or bytes; None if nothing was."""
        table = schema.states.c
        rows = self._read(
            select(table.text, table.data).where(
                (table.run == self._known(run_id)) & (table.name == name)
            )
        )
        if not rows:
            return None
        return rows[0].data if rows[0].text is None else rows[0].text

    def checkpoints(self, run_id: str) -> list[Checkpoint]:
        """The checkpoints that rows name, by name."""
        folder, table = self.checkpoint_folder(run_id), schema.checkpoints
        rows = self._read(
            select(table).where(table.c.run == self._known(run_id)).order_by(table.c.name)
        )
        return [
            Checkpoint(row.name, folder / row.file, row.checksum, row.size, json.loads(row.meta))
            for row in rows
        ]

    def _known(self, run_id: str) -> str:
        """The id again, if there is such a run."""
        self.run(run_id)
        return run_id

    def _read(self, query) -> list[Any]:
        with translated(self._where), self._engine.connect() as connection:
            return list(connection.execute(query))

    def _record(self, kind: type, text: str) -> Any:
        try:
            return from_json(kind, text)
        except ValueError as error:
            raise StoreError(f"{self._where}: {error}") from error
