"""Traces: one line a run, with everything a comparison needs and where it came from."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from bojax.errors import DataError


@dataclass(frozen=True)
class Trace:
    """A whole run of one method on one instance of a problem.

    Attributes:
        method: its name in the comparison.
        problem, instance: what was minimised.
        seed, batch, evaluations: of the run; `evaluations` as asked for.
        values: noise-free value of each evaluation made, NaN for a failed one.
        seconds: what the method itself had used, in all, when each was proposed; of methods
            that run many runs in one program, the run's share.
        optimum, reference: the problem's least and median noise-free value.
        failure: why the run ended early, "" if it did not.
        family, half: of the standard set, "" elsewhere.
        compile_seconds: spent compiling, shared by the runs of one program; not in `seconds`.
        content: hash of what decides the result; equal content need not run again.
        versions, machine, threads, load, when: where it came from.

    Example:
        >>> from bojax.benchmark import Trace
        >>> trace = Trace("random", "branin", 1, 0, 1, 3, (4.0, 2.0, 3.0), (0.0, 0.0, 0.0),
        ...               optimum=0.5, reference=34.8)
        >>> trace.key
        ('random', 'branin', 1, 0, 1, 3)
    """

    method: str
    problem: str
    instance: int
    seed: int
    batch: int
    evaluations: int
    values: tuple[float, ...]
    seconds: tuple[float, ...]
    optimum: float
    reference: float
    failure: str = ""
    family: str = ""
    half: str = ""
    compile_seconds: float = 0.0
    content: str = ""
    versions: str = ""
    machine: str = ""
    threads: int = 1
    load: float = 0.0
    when: str = ""

    @property
    def key(self) -> tuple[str, str, int, int, int, int]:
        """What tells runs apart: method, problem, instance, seed, batch, evaluations."""
        return (
            self.method, self.problem, self.instance, self.seed, self.batch, self.evaluations,
        )  # fmt: skip


COLUMNS = tuple(field.name for field in fields(Trace))
WIDE = ("values", "seconds")


def write_traces(path: str | os.PathLike[str], traces: Iterable[Trace]) -> None:
    """Append traces to a CSV file, one line each; the header is written once.

    Values keep nine digits, seconds four, so that hundreds of runs fit in some hundred
    kilobytes.

    Raises:
        DataError: the file has other columns.

    Example:
        >>> import tempfile, pathlib
        >>> from bojax.benchmark import Trace, read_traces, write_traces
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "traces.csv"
        ...     write_traces(path, [Trace("a", "p", 0, 0, 1, 1, (1.5,), (0.1,), 0.0, 1.0)])
        ...     read_traces([path])[0].values
        (1.5,)
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists() or path.stat().st_size == 0
    if not new:
        _check_header(path)
        _cut_torn_tail(path)
    with path.open("a", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if new:
            writer.writerow(COLUMNS)
        for trace in traces:
            row = asdict(trace)
            row["failure"] = " ".join(trace.failure.splitlines())
            row["values"] = " ".join(f"{v:.9g}" for v in trace.values)
            row["seconds"] = " ".join(f"{s:.4g}" for s in trace.seconds)
            for name in ("optimum", "reference"):
                row[name] = repr(float(row[name]))
            writer.writerow([row[name] for name in COLUMNS])


def read_traces(paths: Sequence[str | os.PathLike[str]]) -> list[Trace]:
    """Traces of some files, in order; of several with one key the last counts.

    A line cut off by a kill is left out.

    Raises:
        DataError: a file has other columns.

    Example:
        >>> from bojax.benchmark import read_traces
        >>> read_traces([])
        []
    """
    found: dict[tuple, Trace] = {}
    for path in map(Path, paths):
        _check_header(path)
        text = path.read_text()
        lines = text[: text.rfind("\n") + 1].splitlines()  # no field has a line break
        for row in csv.DictReader(lines):
            trace = _from_row(row)
            found.pop(trace.key, None)
            found[trace.key] = trace
    return list(found.values())


def values_matrix(traces: Sequence[Trace]) -> np.ndarray:
    """`[runs, evaluations]` noise-free values, NaN beyond the end of a run.

    Example:
        >>> from bojax.benchmark import Trace, values_matrix
        >>> values_matrix([Trace("a", "p", 0, 0, 1, 2, (1.5,), (0.1,), 0.0, 1.0)]).tolist()
        [[1.5, nan]]
    """
    width = max((t.evaluations for t in traces), default=0)
    out = np.full((len(traces), width), np.nan)
    for line, trace in zip(out, traces, strict=True):
        line[: len(trace.values)] = trace.values[:width]
    return out


def _check_header(path: Path) -> None:
    with path.open(newline="") as file:
        header = next(csv.reader(file), [])
    if tuple(header) != COLUMNS:
        raise DataError(
            f"{path.name}: is no file of traces, its columns are {header[:4]}...; "
            f"expected {COLUMNS[:4]}..."
        )


def _cut_torn_tail(path: Path) -> None:
    """A last line that a kill cut off is removed; its run counts as not done."""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("rb+") as file:
            file.truncate(whole)


def _from_row(row) -> Trace:
    return Trace(
        method=row["method"],
        problem=row["problem"],
        instance=int(row["instance"]),
        seed=int(row["seed"]),
        batch=int(row["batch"]),
        evaluations=int(row["evaluations"]),
        values=tuple(map(float, row["values"].split())),
        seconds=tuple(map(float, row["seconds"].split())),
        optimum=float(row["optimum"]),
        reference=float(row["reference"]),
        failure=row["failure"],
        family=row["family"],
        half=row["half"],
        compile_seconds=float(row["compile_seconds"]),
        content=row["content"],
        versions=row["versions"],
        machine=row["machine"],
        threads=int(row["threads"]),
        load=float(row["load"]),
        when=row["when"],
    )
