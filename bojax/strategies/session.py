"""A strategy on the host: history, padding, keys, deduplication; NumPy outside programs.

The one place where Python objects become padded arrays. `Optimizer` and the Coordinator
both drive a `Session`; neither sees a key, a capacity or a size class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from bojax.configuration import jit, single_threaded
from bojax.errors import ConfigError
from bojax.history import (
    SCHEMA,
    History,
    Status,
    capacity_for,
    empty_history,
    grow,
    ordered,
)
from bojax.space import Space
from bojax.space import table as tables
from bojax.strategies._packing import key_bits, packed, places, unpacked
from bojax.strategies.protocol import Q_CLASSES, Sizes

# Of a strategy whose rows do not depend on one another; more would save 0.3 ms a call, of 5.
MOST_INDEPENDENT = 512
MOST_CELLS = 1_000_000  # a finite space up to this size is searched to its last cell


@jit(static_argnames="q")
def _ask_program(strategy, state, history, bits, q, given, wanted):
    return strategy.ask(state, history, jax.random.wrap_key_data(bits), q, given, wanted)


class Session:
    """A run of one strategy on one space.

    Args:
        space, strategy, seed: of the run.
        sizes: static sizes.
        repeats: "never" or "replicate": whether a configuration may be suggested again
            when every one was.
        capacity: lines to make room for at first; it saves the programs of fewer.
        batch: largest batch that will be asked for; smaller ones share its program.

    Attributes:
        history: NumPy arrays with room to spare, `lines` of them in use.
    """

    def __init__(
        self,
        space: Space,
        strategy: Any,
        *,
        seed: int = 0,
        sizes: Sizes = Sizes(),  # noqa: B008 (a tuple, immutable)
        repeats: str = "never",
        capacity: int = 1,
        batch: int | None = None,
    ) -> None:
        if hasattr(strategy, "for_space"):  # what it is told by name, by column
            strategy = strategy.for_space(space)
        self.space, self.strategy, self.sizes, self.repeats = space, strategy, sizes, repeats
        self.seed = seed
        self._table = space.table  # every look at a space's is a copy
        self.lines = 0
        self._places: dict[tuple[int, bytes], int] | None = None  # (trial, row) -> line
        self._identified, self._seen = set[bytes](), 0  # of so many lines
        self._least_capacity, self._class = capacity_for(capacity), batch
        self.history = empty_history(
            self._least_capacity, self._table.columns, sizes.objectives, sizes.constraints
        )
        with jax.enable_x64(True):
            self.state = jax.tree.map(np.asarray, strategy.init(self._table, sizes))
        self._bits = key_bits(seed)
        # One that suggests for a budget may suggest a configuration again for another.
        self._ignored = self._table.role == tables.FIDELITY
        self._ignored &= not getattr(strategy, "asks_by_budget", False)

    # ------------------------------------------------------------------ asking

    def ask(self, q: int, given: np.ndarray | None = None) -> list[tuple[np.ndarray, dict]]:
        """Up to `q` canonical rows with their tags and raw samples.

        Fewer than `q`, and at last none, come back when a finite space is used up.

        Args:
            q: at least 1; more than 64 (512 of independent rows) are asked in several batches.
            given: `[D]` what every row must have, NaN elsewhere.

        Raises:
            ConfigError: a context parameter that is not given.
        """
        found: list[tuple[np.ndarray, dict]] = []
        given = self._complete(given)
        while len(found) < q:
            batch = self._ask_batch(min(q - len(found), self._most), given)
            found.extend(batch)
            if not batch:
                break
            if len(found) < q:  # the next batch must see this one as pending
                raise_pending = [row for row, _ in batch]
                self._scratch(raise_pending)
        self._unscratch()
        return found

    def _class_of(self, wanted: int) -> int:
        least = min(max(wanted, self._class or 1), self._most)
        return 1 << (least - 1).bit_length()  # the next of Q_CLASSES, which go on like that

    def _ask_batch(self, wanted: int, given: np.ndarray) -> list[tuple[np.ndarray, dict]]:
        q = self._class_of(wanted)
        history = ordered(self._view(q))
        tiled = np.tile(given, (q, 1))
        anchored = self._anchored(given)
        with jax.enable_x64(True), single_threaded(history.capacity):
            on_host = getattr(self.strategy, "ask_on_host", None)
            arguments = (anchored, history, self._bits, q, tiled, np.int32(wanted))
            if on_host is None:
                state, rows, info = _ask_program(self.strategy, *arguments)
            else:
                state, rows, info = on_host(*arguments)
            self._keep(state)
        found = self._usable(rows, info, wanted, given)
        some = np.asarray(info.valid)[:wanted].any() and np.isnan(given).all()
        if not found and some and self._is_listed:
            return self._ask_batch(wanted, given)  # all of them too near to a constraint
        return found

    def _usable(
        self, rows: Any, info: Any, wanted: int, given: np.ndarray
    ) -> list[tuple[np.ndarray, dict]]:
        """Rows of a batch with tag and raw sample, another where one is present or infeasible."""
        rows, valid = np.asarray(rows)[:wanted], np.asarray(info.valid)[:wanted]
        raw, tags = np.asarray(info.raw)[:wanted], np.asarray(info.tag)[:wanted]
        rows, feasible = self.space.nearest_feasible(self.space.canonical(rows), given)
        taken, number = self._present(), self.lines + self._scratched
        found: list[tuple[np.ndarray, dict]] = []
        own = self._identities(rows)
        for i, ok in enumerate((valid & feasible).tolist()):
            row, identity = rows[i], own[i]
            if not ok or identity in taken:
                row = self._unseen(taken, given, number)
                if row is None:
                    continue
                identity = self._identity(row)
            taken.add(identity)
            number += 1
            found.append((row, {"tag": tags[i], "raw": raw[i]}))
        return found

    @property
    def _most(self) -> int:
        """The largest batch the strategy is asked for at once."""
        independent = getattr(self.strategy, "independent", False)
        return MOST_INDEPENDENT if independent else Q_CLASSES[-1]

    @property
    def _is_listed(self) -> bool:
        """Whether the strategy has a list of rows, and nothing may be drawn in their place."""
        return getattr(self.strategy, "listed", False)

    def _unseen(self, taken: set[bytes], given: np.ndarray, number: int) -> np.ndarray | None:
        """A row nobody was given yet, drawn evenly from what is left; None if nothing is."""
        rng = np.random.default_rng([self.seed % 2**64, number])
        if self._is_listed:  # it would have said what is left
            rows = tables.with_given(self._table, self._present_rows(), given, np)
            again = [row for row in rows if self._identity(row) in taken]
            replicates = self.repeats == "replicate" and again
            return again[rng.integers(len(again))] if replicates else None
        if (rows := self.space.every_row(MOST_CELLS, given)) is not None:
            ours = self._identities(rows)
            left = [row for row, own in zip(rows, ours, strict=True) if own not in taken]
            if left:
                return left[rng.integers(len(left))]
            if self.repeats == "replicate":
                return rows[rng.integers(len(rows))]
            return None
        for attempt in range(100):
            for row in self.space.feasible_rows(
                64, int(rng.integers(2**63)) + attempt, given=given
            ):
                if self._identity(row) not in taken:
                    return row
        return None

    def _anchored(self, given: np.ndarray) -> Any:
        """The state, with the table's feasible rows such that have what is given.

        Raises:
            InfeasibleError: there are none.
        """
        table = self._table
        if table.rules is None or np.isnan(given[table.role != tables.FIDELITY]).all():
            return self.state
        if self._anchors is None or self._anchors[0] != given.tobytes():
            rows = self.space.feasible_rows(len(table.rules.anchors), given=given)
            self._anchors = given.tobytes(), rows
        rules = replace(table.rules, anchors=self._anchors[1])
        return self.state._replace(table=replace(table, rules=rules))

    _anchors: tuple[bytes, np.ndarray] | None = None

    # ------------------------------------------------------------------ telling

    def write(
        self,
        trial: int,
        row: np.ndarray,
        *,
        status: Status,
        values: Any = None,
        variance: Any = None,
        constraints: Any = None,
        cost: float | None = None,
        info: dict | None = None,
    ) -> None:
        """Put one line into the history; a line of the same trial and row is replaced."""
        (line,) = self._lines_for([trial], np.asarray(row, float)[None])
        h = self.history
        h.trial[line], h.rows[line], h.status[line] = trial, row, status
        h.values[line] = np.nan if values is None else values
        h.variance[line] = 0.0 if variance is None else variance
        h.cost[line] = np.nan if cost is None else cost
        if constraints is not None:
            h.constraints[line] = constraints
        if info is not None:
            h.tag[line], h.raw[line] = info["tag"], info["raw"]

    def write_many(
        self,
        trials: Sequence[int],
        rows: np.ndarray,
        *,
        status: Status | Sequence[Status],
        values: Sequence[float] | None = None,
        cost: Sequence[float] | None = None,
        infos: Sequence[dict | None] | None = None,
        replace: bool = True,
    ) -> None:
        """:meth:`write` for a rung: the same lines in the same places, array by array.

        Args:
            trials, rows: `[n]` and `[n, D]`, no two of them the same.
            status, values, cost, infos: of each line; `status` may be of all, a value is one.
            replace: whether a line that is there is replaced, or left as it is.
        """
        before = self.lines
        lines = np.array(self._lines_for(trials, rows), int)
        chosen = np.flatnonzero(lines >= (0 if replace else before))
        h, lines = self.history, lines[chosen]

        def of_chosen(given: Sequence[Any]) -> np.ndarray:
            return np.asarray(given)[chosen]

        h.trial[lines], h.rows[lines] = of_chosen(trials), rows[chosen]
        h.status[lines] = status if isinstance(status, Status) else of_chosen(status)
        h.values[lines] = np.nan if values is None else of_chosen(values)[:, None]
        h.variance[lines] = 0.0
        h.cost[lines] = np.nan if cost is None else of_chosen(cost)
        known = [] if infos is None else [infos[i] for i in chosen.tolist()]
        for line, info in zip(lines.tolist(), known, strict=False):
            if info is not None:
                h.tag[line], h.raw[line] = info["tag"], info["raw"]

    def find(self, trial: int, row: np.ndarray) -> int | None:
        """The line of a trial at a row (so at a fidelity), or None."""
        return self._index.get(next(places([trial], np.asarray(row, float)[None])))

    def _lines_for(self, trials: Sequence[int], rows: np.ndarray) -> list[int]:
        """The line of each trial at its row, a new one at the end where it has none."""
        index, lines = self._index, []
        for place in places(trials, rows):
            lines.append(index.setdefault(place, self.lines))
            self.lines += lines[-1] == self.lines
        if self.lines > self.history.capacity:
            self.history = grow(self.history, capacity_for(self.lines))
        return lines

    @property
    def _index(self) -> dict[tuple[int, bytes], int]:
        """(trial, row) -> line, since a rung of hundreds asks line by line; of two the first."""
        if self._places is None:
            used, self._places = self.used(), {}
            for line, place in enumerate(places(used.trial.tolist(), used.rows)):
                self._places.setdefault(place, line)
        return self._places

    def tell(self) -> None:
        """Let the strategy see what was written."""
        # Every strategy so far learns in `ask`; the call stays for those that close generations.
        if getattr(self.strategy, "learns_in_tell", False):
            with jax.enable_x64(True):
                self._keep(self.strategy.tell(self.state, ordered(self._view(0))))

    # ------------------------------------------------------------------ helpers

    def lines_in_order(self) -> History:
        """The history as strategies see it: by trial, at the capacity its lines need."""
        return ordered(self._view(0))

    @property
    def bits(self) -> np.ndarray:
        """The bits of the run's key."""
        return self._bits

    def _complete(self, given: np.ndarray | None) -> np.ndarray:
        table = self._table
        given = np.full(table.columns, np.nan) if given is None else np.asarray(given, float)
        lacking = (table.role == tables.CONTEXT) & np.isnan(given)
        if lacking.any():
            name = self.space.names[int(np.argmax(lacking))]
            raise ConfigError(
                f"{name}: is context and must be given: ask(..., context={{{name!r}: value}})."
            )
        return given

    def _identity(self, row: np.ndarray) -> bytes:
        """What two rows share when they are the same configuration."""
        return self._identities(row[None])[0]

    def _identities(self, rows: np.ndarray) -> list[bytes]:
        """:meth:`_identity` of every row."""
        return [row.tobytes() for row in self._comparable(rows)]

    def _comparable(self, rows: np.ndarray) -> np.ndarray:
        """Rows without what does not tell suggestions apart: the fidelity, a zero's sign."""
        return np.where(self._ignored, 0.0, rows + 0.0)

    def _present(self) -> set[bytes]:
        """Identities of all rows that are present; a line's never changes once it is written."""
        new = self.used().rows[self._seen :]
        self._identified.update(self._identities(new))
        self._seen = self.lines
        return self._identified | set(self._identities(self._present_rows()[self.lines :]))

    def _present_rows(self) -> np.ndarray:
        return self._view(0).rows[: self.lines + self._scratched]

    _scratched = 0

    def _view(self, room: int) -> History:
        """The history at the capacity its lines need now."""
        lines = self.lines + self._scratched
        capacity = max(capacity_for(max(lines, 1)), self._least_capacity)
        return History(*(leaf[:capacity] for leaf in self.history))

    def _scratch(self, rows: list[np.ndarray]) -> None:
        """Pending lines of a batch that is still being asked."""
        lines = self.lines + self._scratched
        if lines + len(rows) > self.history.capacity:
            self.history = grow(self.history, capacity_for(lines + len(rows)))
        new = slice(lines, lines + len(rows))
        self.history.trial[new] = 2**30 + np.arange(lines, lines + len(rows))
        self.history.rows[new] = rows
        self.history.status[new] = Status.PENDING
        self._scratched += len(rows)

    def _unscratch(self) -> None:
        if not self._scratched:
            return
        blank = empty_history(1, self._table.columns, self.sizes.objectives, self.sizes.constraints)
        for leaf, empty in zip(self.history, blank, strict=True):
            leaf[self.lines : self.lines + self._scratched] = empty[0]
        self._scratched = 0

    # ------------------------------------------------------------------ saving

    def save(self) -> dict[str, Any]:
        """The history and the strategy's state as JSON-able data, floats exact."""
        return {
            "schema": SCHEMA,
            "history": {
                name: packed(leaf) for name, leaf in zip(History._fields, self.used(), strict=True)
            },
            "state": self.save_state(),
        }

    def save_state(self) -> list[dict[str, Any]]:
        """The strategy's state alone, for stores that keep the history in lines."""
        return [packed(leaf) for leaf in jax.tree.leaves(self._own_state())]

    def used(self) -> History:
        """The lines in use, as views."""
        return History(*(leaf[: self.lines] for leaf in self.history))

    def restore(self, data: dict[str, Any]) -> None:
        """Continue where :meth:`save` was called, to the bit."""
        lines = {name: unpacked(leaf) for name, leaf in data["history"].items()}
        self.restore_from(History(**lines), data["state"])

    def restore_from(self, history: History, state: list[dict[str, Any]]) -> None:
        """Continue from lines (empty ones are dropped) and what :meth:`save_state` gave."""
        used = history.status != Status.EMPTY
        self.lines, self._places = int(used.sum()), None
        self._identified, self._seen = set(), 0
        self.history = empty_history(
            max(capacity_for(max(self.lines, 1)), self._least_capacity),
            self._table.columns,
            self.sizes.objectives,
            self.sizes.constraints,
        )
        for mine, leaf in zip(self.history, history, strict=True):
            mine[: self.lines] = leaf[used]
        own = self._own_state()
        restored = jax.tree.unflatten(jax.tree.structure(own), [unpacked(leaf) for leaf in state])
        self.state = restored._replace(table=self._table)

    def _keep(self, state: Any) -> None:
        """A state that came back; the table, which no strategy changes, as it was given."""
        own = jax.tree.map(np.asarray, state._replace(table=None))
        self.state = own._replace(table=self._table)

    def _own_state(self) -> Any:
        """The state without the table, which the space gives back."""
        return self.state._replace(table=None)
