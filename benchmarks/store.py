"""What a commit costs, and a trial on the disk.

    python benchmarks/store.py

A sweep of 243 trials in rungs of 27: each commit writes the history, the rung's trials and
reports and two states, as the coordinator does. Rows go to benchmarks/rows/store.csv.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import record

from bojax.history import Report, Run, Status, Trial, capacity_for, empty_history
from bojax.store import open_store, read_checkpoint, write_checkpoint

TRIALS, RUNG, COLUMNS = 243, 27, 8
MEGABYTES = 32  # of a checkpoint


def rungs():
    """(history, trials, reports) after each rung."""
    history = empty_history(capacity_for(TRIALS), COLUMNS)
    draw = np.random.default_rng(0)
    for first in range(0, TRIALS, RUNG):
        members = range(first, first + RUNG)
        history.trial[first : first + RUNG] = members
        history.status[first : first + RUNG] = Status.DONE
        history.rows[first : first + RUNG] = draw.random((RUNG, COLUMNS))
        history.values[first : first + RUNG] = draw.random((RUNG, 1))
        config = {f"parameter_{i}": float(i) / 7 for i in range(COLUMNS)}
        trials = [Trial(i, config, history.rows[i], values=(0.5,), source="gp") for i in members]
        reports = [Report(i, 9, {"loss": 1 / 3, "accuracy": 2 / 3}) for i in members]
        yield history, trials, reports


def commits(folder):
    """Seconds of each commit, and bytes a trial."""
    file, seconds = Path(folder) / "runs.db", []
    with open_store(file) as store:
        store.create_run(Run(id="a", space={}, objectives={}, seed=0))
        with store.acquire("a") as lease:
            for history, trials, reports in rungs():
                start = time.perf_counter()
                with lease.transaction() as tx:
                    tx.write_history(history)
                    tx.write_trials(trials)
                    tx.write_reports(reports)
                    tx.write_state("strategy", bytes(4096))
                    tx.write_state("scheduler", "{}" * 500)
                seconds.append(time.perf_counter() - start)
            tells = []
            for i in range(50):
                start = time.perf_counter()
                history.values[i] += 1
                with lease.transaction() as tx:
                    tx.write_history(history)
                tells.append(time.perf_counter() - start)
    return seconds, tells, os.path.getsize(file) / TRIALS


def checkpoint(folder):
    """Megabytes a second, written to the disk and read again."""
    arrays = {"weights": np.random.default_rng(0).random(MEGABYTES * 2**17)}
    start = time.perf_counter()
    path, checksum, size = write_checkpoint(folder, "a", arrays, {})
    written = time.perf_counter()
    read_checkpoint(path, checksum)
    read = time.perf_counter()
    return size / 1e6 / (written - start), size / 1e6 / (read - written)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=Path, default=record.ROWS / "store.csv")
    settings = parser.parse_args(arguments)
    run = record.started()
    with tempfile.TemporaryDirectory() as folder:
        seconds, tells, size = commits(folder)
        write, read = checkpoint(folder)
    measured = {
        f"commit of a rung of {RUNG}": ("ms", [1e3 * s for s in seconds]),
        "commit of one result": ("ms", [1e3 * s for s in tells]),
        "a trial on the disk": ("bytes", [size]),
        "checkpoint written, flushed, checksummed": ("MB/s", [write]),
        "checkpoint read, checksummed": ("MB/s", [read]),
    }
    rows = [
        {"run": run, "what": what, "number": number, "value": round(value, 4), "unit": unit,
         **record.machine("sqlalchemy")}
        for what, (unit, values) in measured.items()
        for number, value in enumerate(values)
    ]  # fmt: skip
    record.append(settings.rows, rows)
    for what, (unit, values) in measured.items():
        print(f"{what:42}{statistics.median(values):8.1f} {unit} (median of {len(values)})")


if __name__ == "__main__":
    main()
