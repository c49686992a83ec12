"""Seconds of `import bojax` beside `import jax`, each in a fresh process, in turn.

    python benchmarks/import_time.py

The third line loads the first door, `bojax.Optimizer`, and with it JAX. One unmeasured turn
first, so that no file is read from the disk for the first time. Rows go to
benchmarks/rows/import_time.csv. Half a minute.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

import record

FILE = record.ROWS / "import_time.csv"
STATEMENTS = ("import jax", "import bojax", "import bojax; bojax.Optimizer")
MEASURED = """
import time
began = time.perf_counter()
{statement}
print(time.perf_counter() - began)
"""


def seconds_of(statement):
    """Of the statement alone, without the start of the interpreter."""
    code = MEASURED.format(statement=statement)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(run.stdout)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--rows", type=Path, default=FILE)
    settings = parser.parse_args(arguments)
    run, rows = record.started(), []
    for statement in STATEMENTS:
        seconds_of(statement)
    for round_ in range(settings.rounds):
        for statement in STATEMENTS:
            seconds = round(seconds_of(statement), 6)
            rows.append(
                {"run": run, "statement": statement, "round": round_, "seconds": seconds,
                 **record.machine("jaxlib", "numpy")}
            )  # fmt: skip
    record.append(settings.rows, rows)
    for statement in STATEMENTS:
        found = [row["seconds"] for row in rows if row["statement"] == statement]
        print(
            f"{statement:32} {statistics.median(found):.3f} s "
            f"({min(found):.3f} to {max(found):.3f}, {len(found)} processes)"
        )


if __name__ == "__main__":
    main()
