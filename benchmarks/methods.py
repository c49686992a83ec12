"""Seconds of methods that cost little, beside other libraries'.

    make bench-env && OMP_NUM_THREADS=1 taskset -c 0 python benchmarks/methods.py
    python benchmarks/methods.py --parts tpe --rounds 21

tpe  a warm `Optimizer(strategy="tpe").ask()` after 1,000 results in 6 dimensions beside
     `study.ask()` and the six `suggest_float` of Optuna 5's default sampler, of the same results

One core and one thread a side, in turn, round by round, each warmed up. Optuna runs in a process
and an environment of its own and times itself; where it is missing, bojax is timed alone. Both
sides' suggestions are withdrawn as failed, which adds a line to what the next one sees. Rows are
appended to benchmarks/rows/methods.csv.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import time
from pathlib import Path

if __name__ == "__main__":  # before anything counts the cores
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    flags = os.environ.get("XLA_FLAGS", "")
    os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()

import numpy as np
import record

import bojax
from bojax.benchmark import PeerError, Worker, foreign

FILE = record.ROWS / "methods.csv"
ADAPTERS = Path(__file__).parent / "speed_adapters"
OBSERVATIONS, COLUMNS = 1000, 6


def tpe(rounds: int, peers: bool):
    """`(contender, round, seconds, versions)` of each suggestion; round -1 is the first."""
    points = np.random.default_rng(0).random((OBSERVATIONS, COLUMNS))
    values = ((points - 0.3) ** 2).sum(axis=1)
    names = [f"x{i}" for i in range(COLUMNS)]
    optimizer = bojax.Optimizer({name: bojax.Float(0, 1) for name in names}, strategy="tpe", seed=0)
    configs = [dict(zip(names, map(float, point), strict=True)) for point in points]
    optimizer.tell(configs, values.tolist())

    def ours():
        began = time.perf_counter()
        trial = optimizer.ask()
        seconds = time.perf_counter() - began
        optimizer.tell(trial, status="stale")
        return seconds

    with contextlib.ExitStack() as stack:
        worker = None
        if peers:
            try:
                peer = foreign(ADAPTERS / "optuna_tpe.py", threads=1, timeout=300.0, label="optuna")
                worker = stack.enter_context(Worker(peer))
            except PeerError as error:
                print(f"optuna is left out: {error}")

        def theirs():
            answer, _ = worker.call(
                "fit_predict", rows=points.tolist(), values=values.tolist(), test_rows=[],
                settings={"seed": 0},
            )  # fmt: skip
            return answer["seconds"]

        sides = {"bojax": ours} | ({"optuna": theirs} if worker else {})
        for round_ in range(-1, rounds):  # the first of a process loads and compiles
            for side in sorted(sides, reverse=round_ % 2 == 0):
                seconds = sides[side]()
                versions = "" if side == "bojax" else f"optuna {worker.versions.get('optuna', '')}"
                yield side, round_, seconds, versions


PARTS = {"tpe": tpe}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--no-peers", action="store_true", help="bojax alone")
    parser.add_argument("--rows", type=Path, default=FILE)
    settings = parser.parse_args(arguments)
    wanted = settings.parts.split(",")
    if unknown := set(wanted) - set(PARTS):
        parser.error(f"--parts: {', '.join(sorted(unknown))}; expected some of {', '.join(PARTS)}")
    run, rows = record.started(), []
    for part in wanted:
        for contender, round_, seconds, versions in PARTS[part](
            settings.rounds, not settings.no_peers
        ):
            kind = "warm" if round_ >= 0 else "first"
            row = {"run": run, "part": part, "contender": contender, "kind": kind}
            row |= {"round": round_, "n": OBSERVATIONS, "d": COLUMNS, "seconds": f"{seconds:.6f}"}
            rows.append({**row, "versions": versions, **record.machine()})
    record.append(settings.rows, rows)
    for part in wanted:
        found = {}
        for row in rows:
            if (row["part"], row["kind"]) == (part, "warm"):
                found.setdefault(row["contender"], []).append(float(row["seconds"]))
        ours = statistics.median(found["bojax"])
        for contender, seconds in found.items():
            middle = statistics.median(seconds)
            print(
                f"{part} {contender:8} {1e3 * middle:.2f} ms ({1e3 * min(seconds):.2f} to "
                f"{1e3 * max(seconds):.2f}, {len(seconds)}), {middle / ours:.1f} times bojax's"
            )
    return rows


if __name__ == "__main__":
    main()
