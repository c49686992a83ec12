"""The lease on a run: one writer at a time, and none that has lost it.

Each acquisition raises the run's fencing number. A transaction begins by comparing it: a
writer that was suspended while another took its run over writes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, Row, select, text, update

from bojax.errors import StoreError, StoreInUse
from bojax.store import faults, schema
from bojax.store.checkpoints import sweep_checkpoints
from bojax.store.engine import translated, writing
from bojax.store.lines import Lines
from bojax.store.process import Process, alive, this_process
from bojax.store.transaction import Transaction

EXPIRY = 60.0  # seconds after which a silent holder that cannot be looked at is given up
POLL = 0.05  # seconds between two tries while waiting for a lease


class Lease:
    """The right to write to a run. Made by :meth:`Store.acquire`.

    Attributes:
        run_id: the run.
        fence: number of this acquisition, one more than of the one before.

    Example:
        >>> import tempfile
        >>> from bojax.history import Run
        >>> from bojax.store import open_store
        >>> with tempfile.TemporaryDirectory() as folder, open_store(f"{folder}/a.db") as store:
        ...     store.create_run(Run(id="a", space={}, objectives={}, seed=0))
        ...     with store.acquire("a") as lease:
        ...         print(lease.fence)
        ...     with store.acquire("a") as lease:
        ...         print(lease.fence)
        1
        2
    """

    def __init__(
        self, engine: Engine, where: str, folder: Path, run_id: str, fence: int, expiry: float
    ):
        self.run_id, self.fence = run_id, fence
        self._engine, self._where, self._folder, self._expiry = engine, where, folder, expiry
        self._lines: Lines | None = None  # as stored; ours alone while we hold
        self._held, self._busy = True, False

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """One transaction: committed at the end, taken back on an exception.

        Renews the lease.

        Raises:
            StoreInUse: the run was taken over; nothing is written.
            StoreError: the lease was released, or a transaction of it is open.
        """
        if self._busy:
            raise StoreError(f"{self._where}: a transaction of this lease is open; end it first.")
        self._busy = True
        try:
            with translated(self._where), writing(self._engine) as connection:
                self._check_and_renew(connection)
                tx = Transaction(connection, self.run_id, self._where, self._folder, self._lines)
                yield tx
                faults.point("commit")
        except BaseException:
            self._lines = None  # what was written was taken back: look again
            raise
        finally:
            self._busy = False
        self._lines = tx.lines
        faults.point("committed")
        for file in tx.superseded:
            with suppress(OSError):  # a file left over is swept later, no reason to fail
                (self._folder / file).unlink(missing_ok=True)

    def renew(self) -> None:
        """Say that the holder lives, between two transactions that are far apart."""
        with translated(self._where), writing(self._engine) as connection:
            self._check_and_renew(connection)

    def sweep_checkpoints(self) -> list[Path]:
        """Delete files that no row names: of torn writes and of commits that never came.

        Returns:
            What was deleted.
        """
        with translated(self._where), writing(self._engine) as connection:
            self._check_and_renew(connection)
            table = schema.checkpoints.c
            named = connection.execute(select(table.file).where(table.run == self.run_id))
            return sweep_checkpoints(self._folder, named.scalars().all())

    def release(self) -> None:
        """Give the run back; a second time does nothing."""
        if not self._held:
            return
        self._held = False
        mine = (schema.leases.c.run == self.run_id) & (schema.leases.c.fence == self.fence)
        with translated(self._where), writing(self._engine) as connection:
            connection.execute(update(schema.leases).where(mine).values(**_NOBODY))

    def _check_and_renew(self, connection: Connection) -> None:
        if not self._held:
            raise StoreError(f"{self._where}: this lease was released; acquire the run again.")
        row = row_of(connection, self.run_id)
        if row.fence != self.fence:
            taker = "has since given it back" if row.host is None else f"is {_holder(row)}"
            raise StoreInUse(
                f"{self._where}: this process lost its lease (number {self.fence}); the one "
                f"who took it {taker}. Nothing was written. Resume the run in one process only."
            )
        connection.execute(_RENEWED, {"expires": time.time() + self._expiry, "run": self.run_id})


# As text: what a statement of parts costs where it is first said would fall into a rung.
_RENEWED = text("UPDATE leases SET expires = :expires WHERE run = :run")
_NOBODY = dict.fromkeys(("host", "pid", "process", "since", "expires"))


def acquire(
    engine: Engine, where: str, folder: Path, run_id: str, *, expiry: float, wait: float
) -> Lease:
    """See :meth:`Store.acquire`."""
    end = time.monotonic() + wait
    while True:
        try:
            with translated(where), writing(engine) as connection:
                fence = _take(connection, where, run_id, expiry)
            return Lease(engine, where, folder, run_id, fence, expiry)
        except StoreInUse:
            if time.monotonic() >= end:
                raise
            time.sleep(POLL)


@contextmanager
def turn(
    engine: Engine, where: str, folder: Path, run_id: str
) -> Iterator[tuple[Transaction, int]]:
    """See :meth:`Store.turn`."""
    with translated(where), writing(engine) as connection:
        fence = _take(connection, where, run_id, 0.0)
        table = schema.leases
        connection.execute(update(table).where(table.c.run == run_id).values(**_NOBODY))
        yield Transaction(connection, run_id, where, folder, None), fence - 1
        faults.point("commit")
    faults.point("committed")


def _take(connection: Connection, where: str, run_id: str, expiry: float) -> int:
    row, now, me = row_of(connection, run_id), time.time(), this_process()
    if row.host is not None and not _given_up(row, now, me):
        left = max(0.0, row.expires - now)
        raise StoreInUse(
            f"{where}: in use by {_holder(row)}. Let that process end or stop it; one that "
            f"cannot be seen from here loses the run after {left:.0f} s of silence."
        )
    connection.execute(
        update(schema.leases)
        .where(schema.leases.c.run == run_id)
        .values(
            fence=row.fence + 1,
            host=me.host,
            pid=me.pid,
            process=me.identity,
            since=datetime.now(UTC).isoformat(timespec="seconds"),
            expires=now + expiry,
        )
    )
    return row.fence + 1


def _given_up(row: Row, now: float, me: Process) -> bool:
    """Whether a holder is dead, or silent for too long where nobody can look.

    A live process of this host keeps its run however long a rung takes. A lease of this
    very process that was never released, in a notebook say, expires.
    """
    holder = Process(row.host, row.pid, row.process)
    lives = alive(holder)
    if lives is False:
        return True
    if lives and holder != me:
        return False
    return row.expires <= now


def _holder(row: Row) -> str:
    return f"process {row.pid} on host {row.host} since {row.since}"


def row_of(connection: Connection, run_id: str) -> Row:
    """The lease's row, locked for this transaction where the database locks rows."""
    query = select(schema.leases).where(schema.leases.c.run == run_id)
    return connection.execute(query.with_for_update()).one()
