"""Kill a sweep and resume it: is what it ends with the same, to the bit?

    python benchmarks/kills.py --kills 10 --folder build/kills
    python benchmarks/kills.py --kills 10 --folder build/kills_folds --folds

Runs one sweep of examples/digits_mlp.py (with --folds over three folds and two seeds, six
members a trial) to its end. Then, again and again, starts the same
sweep, kills it with SIGKILL at a random instant after its first rung (every third time from
inside a commit or a checkpoint), resumes it, and compares all trials, curves and history
lines with those of the uninterrupted run. Seconds are left out of the comparison; they are
the only thing that may differ.
"""

import argparse
import csv
import os
import platform
import random
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np

from bojax.history import History
from bojax.store import open_store

ROOT = Path(__file__).parent.parent
ROWS = [Path(__file__).parent / "rows" / f"{name}.csv" for name in ("kills", "kills_folds")]
EXAMPLES = (ROOT / "examples" / "digits_mlp.py", Path(__file__).parent / "folded_digits.py")
RUN = "bojax-0"
FAULTS = ("commit", "checkpoint", "renamed")
SECONDS = ("cost",)  # of a history line: how long it took


def command(store: Path, trials: int, example: Path, *more: str) -> list[str]:
    """The command line of one sweep."""
    return [
        sys.executable, "-m", "bojax.cli", "sweep", str(example), "--store", str(store),
        "--trials", str(trials), "--no-progress", "--picture", str(store.with_suffix(".png")),
        *more,
    ]  # fmt: skip


def outcome(store: Path) -> tuple:
    """Everything a finished run is, but for seconds."""
    with open_store(store, create=False) as opened:
        trials = [
            (t.id, sorted(t.config.items()), t.status, t.values, t.fidelity, t.curve, t.source)
            for t in opened.trials(RUN)
        ]
        history = opened.history(RUN)
    kept = [name for name in History._fields if name not in SECONDS]
    order = np.lexsort([*history.rows.T, history.trial])
    lines = [np.asarray(getattr(history, name))[order].tobytes() for name in kept]
    return trials, lines


def committed(store: Path) -> set:
    """Reports that are on the disk."""
    if not store.exists():
        return set()
    with open_store(store, create=False) as opened:
        if RUN not in [run.id for run in opened.runs()]:
            return set()
        return {(r.trial, r.budget, r.metrics["loss"]) for r in opened.reports(RUN)}


def kill_once(
    store: Path, trials: int, example: Path, fault: str, generator: random.Random
) -> float:
    """Start, wait for the first rung, kill; returns the seconds it lived after that."""
    environment = dict(os.environ)
    if fault:
        # The point is passed by the runs before (default, random) too: one rung each.
        environment["BOJAX_FAULT"] = f"{fault}:{generator.randint(3, 9)}"
    process = subprocess.Popen(
        command(store, trials, example), stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
        env=environment,
    )  # fmt: skip
    began = None
    for line in process.stdout:
        if line.startswith(RUN) and not fault:
            began = time.perf_counter()
            break
    if fault:
        process.wait()
        if process.returncode != -signal.SIGKILL:
            raise SystemExit(f"the fault {environment['BOJAX_FAULT']} did not strike")
        return 0.0
    time.sleep(generator.uniform(0.0, 6.0))
    process.kill()
    process.communicate()
    return time.perf_counter() - (began or time.perf_counter())


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, required=True, help="an empty folder to work in")
    parser.add_argument("--folds", action="store_true", help="three folds and two seeds")
    parser.add_argument("--rows", type=Path, help="CSV to write")
    options = parser.parse_args()
    rows_file, example = options.rows or ROWS[options.folds], EXAMPLES[options.folds]
    options.folder.mkdir(parents=True, exist_ok=True)
    generator = random.Random(options.seed)

    whole = options.folder / "whole.db"
    subprocess.run(command(whole, options.trials, example), check=True, stdout=subprocess.DEVNULL)
    expected = outcome(whole)
    rows = []
    for number in range(options.kills):
        store = options.folder / f"killed-{number}.db"
        fault = FAULTS[number // 3 % 3] if number % 3 == 2 else ""
        lived = kill_once(store, options.trials, example, fault, generator)
        before = committed(store)
        subprocess.run(
            command(store, options.trials, example, "--resume"),
            check=True,
            stdout=subprocess.DEVNULL,
        )
        same = outcome(store) == expected
        kept = before <= committed(store)
        rows.append({
            "date": date.today().isoformat(), "machine": platform.machine(), "kill": number,
            "inside": fault or "anywhere", "seconds_after_first_rung": round(lived, 2),
            "reports_committed": len(before), "reports_kept": kept, "equal": same,
        })  # fmt: skip
        print(rows[-1], flush=True)
    rows_file.parent.mkdir(parents=True, exist_ok=True)
    with rows_file.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    good = sum(row["equal"] and row["reports_kept"] for row in rows)
    print(f"{good} of {len(rows)} kills ended as the uninterrupted run")
    if good < len(rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
