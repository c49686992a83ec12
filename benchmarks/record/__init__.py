"""Raw rows of a measurement: what was measured, on what, with what, when.

One CSV a benchmark under `benchmarks/rows/`, appended to and never rewritten; every figure
of `benchmarks/README.md` is made from these files by `make_page.py`.
"""

from __future__ import annotations

import csv
import os
import platform
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROWS = Path(__file__).parents[1] / "rows"


def started() -> str:
    """The moment a run began, which names it in the rows."""
    return time.strftime("%Y-%m-%dT%H:%M:%S")


def machine(*packages: str) -> dict[str, Any]:
    """Versions, threads and load, as columns."""
    return {
        "load": round(os.getloadavg()[0], 2),
        "threads": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else "",
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: _version(name) for name in ("bojax", "jax", *packages)},
    }


def append(path: str | os.PathLike[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Add rows to a CSV file; a header is written once and must stay what it is.

    Raises:
        ValueError: the file has other columns; move it away, its numbers are of another kind.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = list(rows[0])
    new = not path.exists()
    if not new:
        with path.open(newline="") as file:
            present = next(csv.reader(file))
        if present != columns:
            raise ValueError(f"{path}: has columns {present}, now they are {columns}; move it.")
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, columns)
        if new:
            writer.writeheader()
        writer.writerows(rows)


def read(path: str | os.PathLike[str]) -> list[dict[str, str]]:
    """The rows of a file, values as they were written."""
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
