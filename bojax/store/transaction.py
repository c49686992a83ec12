"""What may be written within one transaction of a lease."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, bindparam, delete, text
from sqlalchemy.dialects import postgresql, sqlite

from bojax.errors import StoreError
from bojax.history import History, Report, Trial, from_json, to_json
from bojax.store import schema
from bojax.store.checkpoints import check_name
from bojax.store.lines import Lines, lines_of, stored_lines

# As text: a statement of parts costs a millisecond where it is first said, in a run's first rung.
_LINES = text(
    'SELECT trial, line, status, "count", cost, "rows", "values", variance, constraints, tag, raw '
    "FROM lines WHERE run = :run ORDER BY trial, line"
)
_REPORTS = text(
    "SELECT trial, budget, record FROM reports WHERE run = :run "
    "AND trial BETWEEN :first AND :last AND budget BETWEEN :low AND :high"
)
_FILE = text("SELECT file FROM checkpoints WHERE run = :run AND name = :name")


class Transaction:
    """One transaction on one run: all of it is written, or nothing.

    Made by :meth:`Lease.transaction`.

    Example:
        >>> import tempfile
        >>> from bojax.history import Run
        >>> from bojax.store import open_store
        >>> with tempfile.TemporaryDirectory() as folder, open_store(f"{folder}/a.db") as store:
        ...     store.create_run(Run(id="a", space={}, objectives={}, seed=0))
        ...     with store.acquire("a") as lease, lease.transaction() as tx:
        ...         tx.write_state("scheduler", '{"rung": 2}')
        ...     print(store.state("a", "scheduler"))
        {"rung": 2}
    """

    def __init__(
        self,
        connection: Connection,
        run: str,
        where: str,
        folder: Path,
        lines: Lines | None,
    ):
        self._connection, self._run, self._where = connection, run, where
        self._folder = folder
        self.lines = lines  # what the table holds, or None before the first look
        self.superseded: set[str] = set()  # checkpoint files to delete after the commit

    def write_history(self, history: History) -> None:
        """Make the stored history this one: only lines that differ are written.

        Args:
            history: on the host. Read again, its lines are ordered by trial and, within
                one, as they are here.
        """
        shape = {
            "capacity": history.capacity,
            "columns": history.rows.shape[1],
            "objectives": history.values.shape[1],
            "constraints": history.constraints.shape[1],
        }
        self._upsert(schema.histories, [tuple(shape.values())])
        old = self._stored_lines(shape) if self.lines is None else self.lines
        new = lines_of(history)
        self._upsert(schema.lines, new.differing_from(old))
        if gone := old.missing_in(new):
            table = schema.lines.c
            here = (table.run == self._run) & (table.trial == bindparam("t"))
            self._connection.execute(
                delete(schema.lines).where(here & (table.line == bindparam("l"))),
                [{"t": trial, "l": line} for trial, line in gone],
            )
        self.lines = new

    def _stored_lines(self, shape: Mapping[str, int]) -> Lines:
        return stored_lines(shape, self._connection.execute(_LINES, {"run": self._run}))

    def write_trials(self, trials: Iterable[Trial]) -> None:
        """Add trials, or replace what is stored of them."""
        self._upsert(schema.trials, [(trial.id, to_json(trial)) for trial in trials])

    def write_reports(self, reports: Iterable[Report]) -> None:
        """Add reports. One that is stored already, the same in everything, is no error.

        Raises:
            StoreError: another report of that trial at that budget is stored.
        """
        new: dict[tuple[int, float], str] = {}
        for report in reports:
            key, record = (report.trial, float(report.budget)), to_json(report)
            if new.setdefault(key, record) != record:
                self._refuse_report(key)
        if not new:
            return
        for trial, budget, record in self._reports_among(new):
            said = new.pop((trial, budget), record)
            # An older bojax wrote fewer fields of the same report.
            if said != record and said != to_json(from_json(Report, record)):
                self._refuse_report((trial, budget))
        self._upsert(schema.reports, [(*key, record) for key, record in new.items()])

    def _reports_among(self, keys: Iterable[tuple[int, float]]) -> Iterable[Any]:
        """Stored reports within the trials and budgets of these: few, for a rung has one budget."""
        trials, budgets = zip(*keys, strict=True)
        bounds = {"first": min(trials), "last": max(trials), "low": min(budgets)}
        return self._connection.execute(
            _REPORTS, {"run": self._run, **bounds, "high": max(budgets)}
        )

    def _refuse_report(self, key: tuple[int, float]) -> None:
        raise StoreError(
            f"{self._where}: trial {key[0]} has reported budget {key[1]:g} already, with other "
            "results; a report is final. Drop this one."
        )

    def write_state(self, name: str, value: str | bytes) -> None:
        """Store a text or bytes under a name, in place of what it held.

        Args:
            name: whose state it is: "strategy", "scheduler", ...
            value: JSON text, or bytes; it comes back as the type it was given.
        """
        if not isinstance(value, (str, bytes)):
            raise StoreError(
                f"{self._where}: state {name!r} must be str or bytes, got "
                f"{type(value).__name__}; encode it."
            )
        row = (name, value, None) if isinstance(value, str) else (name, None, value)
        self._upsert(schema.states, [row])

    def name_checkpoint(
        self, name: str, path: str | Path, checksum: str, size: int, meta: Mapping[str, Any]
    ) -> None:
        """Name a file that is on the disk; the one it supersedes goes after the commit.

        Args:
            name: what the checkpoint is of, as "trial-3".
            path, checksum, size: what :func:`write_checkpoint` gave.
            meta: whatever JSON can hold.

        Raises:
            StoreError: the file is not in the run's checkpoint folder, or not complete.
        """
        check_name("checkpoint", name)
        path = Path(path).absolute()
        if path.parent != self._folder:
            raise StoreError(
                f"checkpoint {name!r}: {path} is not in {self._folder}; write it to "
                "store.checkpoint_folder(run_id)."
            )
        if not path.is_file() or path.stat().st_size != size:
            raise StoreError(
                f"checkpoint {name!r}: {path} is not a file of {size} bytes; write it first."
            )
        old = self._file_of(name)
        if old not in (None, path.name):
            self.superseded.add(old)
        self.superseded.discard(path.name)
        row = (name, path.name, checksum, size, json.dumps(dict(meta)))
        self._upsert(schema.checkpoints, [row])

    def drop_checkpoint(self, name: str) -> None:
        """Forget a checkpoint, if there is one; its file goes after the commit."""
        old = self._file_of(name)
        if old is None:
            return
        self.superseded.add(old)
        table = schema.checkpoints
        self._connection.execute(
            delete(table).where((table.c.run == self._run) & (table.c.name == name))
        )

    def _file_of(self, name: str) -> str | None:
        named = {"run": self._run, "name": name}
        return self._connection.execute(_FILE, named).scalar_one_or_none()

    def _upsert(self, table: Table, rows: Iterable[tuple[Any, ...]]) -> None:
        """Add rows, or replace those of the same key.

        Args:
            table: any, the run its first column.
            rows: the other columns, in the table's order.
        """
        full = [(self._run, *row) for row in rows]
        if not full:
            return
        dialect = self._connection.dialect.name
        if dialect == "sqlite":  # its driver takes the rows as they are
            self._connection.exec_driver_sql(_sqlite_text(table), full)
        else:
            named = [dict(zip(table.c.keys(), row, strict=True)) for row in full]
            self._connection.execute(upsert(table, dialect), named)


@functools.cache
def _sqlite_text(table: Table) -> str:
    """The text of :func:`upsert`, its parameters in the order of the columns."""
    compiled = upsert(table, "sqlite").compile(dialect=sqlite.dialect())
    assert compiled.positiontup == table.c.keys()
    return str(compiled)


def upsert(table: Table, dialect: str):
    """`INSERT ... ON CONFLICT DO UPDATE` of every column that is not part of the key."""
    insert = (postgresql if dialect == "postgresql" else sqlite).insert(table)
    key = [column.name for column in table.primary_key]
    rest = {c.name: insert.excluded[c.name] for c in table.columns if c.name not in key}
    return insert.on_conflict_do_update(index_elements=key, set_=rest)
