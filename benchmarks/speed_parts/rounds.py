"""Contenders in turn, round by round, and a row for each time one was measured.

Before the first round each contender runs once, off the record but for what it compiled.
Within a round all of them see the same data sets; who begins moves on from round to round,
because whoever goes first finds the caches of the other. Rows are written after each round,
so an interrupted run keeps what it has.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import record

from bojax.benchmark import PeerError, Worker, foreign
from bojax.benchmark._profile import compiling

ADAPTERS = Path(__file__).parents[1] / "speed_adapters"


@dataclass(frozen=True)
class Measured:
    """One measurement.

    Attributes:
        seconds: of what the case times, for one unit of it (a fit, a suggestion, a run).
        processor: seconds of the processor in it: other work on the machine does not add to
            them, as it does to the clock's.
        evaluations: of the objective, where it can be counted.
        factorizations, flops: behind these evaluations.
        objective: where it ended, lower is better: bojax's objective in nats for a fit.
        score: how good what came out is, higher is better: log expected improvement; or a
            function that says it, called once the measurement is over.
    """

    seconds: float
    processor: float | None = None
    evaluations: int | None = None
    factorizations: int | None = None
    flops: float | None = None
    objective: float | None = None
    score: float | Callable[[], float] | None = None


class Clock:
    """Seconds, and seconds of the processor, of what is done within."""

    def __enter__(self) -> Clock:
        self.seconds, self.processor = -time.perf_counter(), -time.process_time()
        return self

    def __exit__(self, *details) -> None:
        self.seconds += time.perf_counter()
        self.processor += time.process_time()

    def measured(self, units: int = 1, **what: Any) -> Measured:
        """What a unit of it took, as a :class:`Measured`."""
        return Measured(self.seconds / units, self.processor / units, **what)


@dataclass(frozen=True)
class Contender:
    """Somebody to be measured.

    Attributes:
        name: in the rows; those of bojax begin with "bojax".
        measure: `(set, round) -> Measured`.
        rounds: at most so many, for the slow ones.
        warm: whether it is run once before the first round.
        versions: of a foreign one's packages, asked once it has run.
    """

    name: str
    measure: Callable[[int, int], Measured]
    rounds: int = 1000
    warm: bool = True
    versions: Callable[[], str] = lambda: ""


@dataclass(frozen=True)
class Case:
    """A comparison.

    Attributes:
        part: letter or name of the part it belongs to.
        name: what is timed.
        contenders: who takes part.
        sets: data sets of each round; None makes round r see set r alone.
        sizes: n, d, q and runs, as far as they mean something.
    """

    part: str
    name: str
    contenders: Sequence[Contender]
    sets: int | None = None
    sizes: dict[str, int] = field(default_factory=dict)


class Recorder:
    """Rows of this run: kept for the summary, appended to a file at each call of `flush`."""

    def __init__(self, path: Path) -> None:
        self.path, self.run = path, record.started()
        self.rows: list[dict[str, Any]] = []
        self._waiting: list[dict[str, Any]] = []

    def add(self, case: Case, contender: Contender, set_: int, round_: int, measured, **more):
        row = {
            "run": self.run, "part": case.part, "case": case.name, "contender": contender.name,
            **{size: case.sizes.get(size, "") for size in ("n", "d", "q", "runs")},
            "set": set_, "round": round_, "seconds": _digits(measured.seconds),
            "processor": _digits(measured.processor), "first_seconds": "",
            "compile_seconds": "", "programs": "",
            "evaluations": _plain(measured.evaluations),
            "factorizations": _plain(measured.factorizations),
            "flops": _digits(measured.flops), "objective": _digits(measured.objective, 10),
            "score": _digits(measured.score), "note": "", "peer": contender.versions(),
            **record.machine("jaxlib"),
        }  # fmt: skip
        self._waiting.append({**row, **more})

    def flush(self) -> None:
        if self._waiting:
            record.append(self.path, self._waiting)
            self.rows += self._waiting
            self._waiting = []


def interleave(case: Case, rounds: int, recorder: Recorder, say: Callable[[str], None]) -> None:
    """Run a case to its end, or until somebody interrupts."""
    alive, first = list(case.contenders), {}
    for contender in case.contenders:
        first[contender.name] = {}
        if contender.warm and _try(case, contender, 0, -1, recorder, say, first) is None:
            alive.remove(contender)
    for round_ in range(rounds):
        present = [c for c in alive if round_ < c.rounds]
        turn = round_ % max(1, len(present))
        last: dict[str, list[float]] = {c.name: [] for c in present}
        for set_ in range(case.sets) if case.sets is not None else (round_,):
            for contender in present[turn:] + present[:turn]:
                if contender not in alive:
                    continue
                measured = _try(case, contender, set_, round_, recorder, say)
                if measured is None:
                    alive.remove(contender)
                    continue
                recorder.add(case, contender, set_, round_, measured, **first[contender.name])
                last[contender.name].append(measured.seconds)
        recorder.flush()
        told = ", ".join(f"{n} {statistics.median(s):.4g}" for n, s in last.items() if s)
        say(f"{case.part} | {case.name} | round {round_ + 1} of {rounds} | {told}")
    recorder.flush()


def _try(case, contender, set_, round_, recorder, say, first=None):
    """What it measured; None, and a row that says why, if a foreign process failed."""
    began = time.perf_counter()
    try:
        with compiling() as compiled:
            measured = contender.measure(set_, round_)
    except PeerError as error:
        say(f"{case.part} | {case.name} | {contender.name} leaves: {error}")
        recorder.add(case, contender, set_, round_, Measured(float("nan")), note=str(error)[:300])
        return None
    if first is not None:
        spent = time.perf_counter() - began
        first[contender.name] = {"first_seconds": _digits(spent)}
        told = f"{case.part} | {case.name} | {contender.name}: first call {spent:.3g} s"
        if not contender.versions():  # what another process compiles is not seen here
            first[contender.name] |= {
                "compile_seconds": _digits(compiled.seconds), "programs": compiled.programs
            }  # fmt: skip
            told += f", {compiled.programs} programs compiled in {compiled.seconds:.3g} s"
        say(told)
    return replace(measured, score=measured.score()) if callable(measured.score) else measured


class Peers:
    """Processes of the foreign contenders, each started when it is first called."""

    def __init__(
        self, say: Callable[[str], None], wanted: Sequence[str] | None = None, threads: int = 1
    ) -> None:
        self._say, self._wanted, self._workers = say, wanted, contextlib.ExitStack()
        self._threads = threads
        self._open: dict[str, Worker | None] = {}

    def __enter__(self) -> Peers:
        return self

    def __exit__(self, *details) -> None:
        self._workers.close()

    def has(self, name: str) -> bool:
        """Whether its environment is there; says so once if not."""
        if self._wanted is not None and name not in self._wanted:
            return False
        if name not in self._open:
            try:
                peer = foreign(ADAPTERS / f"{name}.py", threads=self._threads, timeout=300.0)
                self._open[name] = self._workers.enter_context(Worker(peer))
            except PeerError as error:
                self._say(f"{name} is left out: {error}")
                self._open[name] = None
        return self._open[name] is not None

    def call(self, name: str, rows, values, test_rows=None, **settings) -> dict[str, Any]:
        """Its adapter's answer, the seconds it took in there among it."""
        worker = self._open[name]
        assert worker is not None
        answer, _ = worker.call(
            "fit_predict",
            rows=rows.tolist(), values=values.tolist(),
            test_rows=[] if test_rows is None else test_rows.tolist(), settings=settings,
        )  # fmt: skip
        return answer

    def versions(self, name: str) -> Callable[[], str]:
        """For :class:`Contender`."""

        def told() -> str:
            worker = self._open[name]
            return " ".join(f"{k} {v}" for k, v in worker.versions.items()) if worker else ""

        return told


def groups(rows) -> Iterator[tuple[tuple[str, str, str], list[dict[str, Any]]]]:
    """Rows by (part, case, contender), in the order in which they appear."""
    found: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["part"], row["case"], row["contender"]), []).append(row)
    yield from found.items()


def _plain(value):
    return "" if value is None else value


def _digits(value, digits: int = 6):
    return "" if value is None or value != value else float(f"{value:.{digits}g}")
