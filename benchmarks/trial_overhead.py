"""Seconds a trial beyond its training: bojax, Optuna and Ray Tune with trials that cost nothing.

    make bench-env && python benchmarks/trial_overhead.py

bojax replays recorded curves through its Coordinator: random search, whole trainings and
successive halving, every rung committed to a store. Optuna asks and tells with SQLite; Ray
Tune runs trainables of one step, actors reused. Each in a process of its own, in turns, with all
cores; what a library needs to start is not counted. Rows go to benchmarks/rows/trial_overhead.csv.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import record

import bojax
from bojax.benchmark import PeerError, Worker, foreign, problems
from bojax.coordinate import Coordinator
from bojax.history import Run
from bojax.store import open_store

FILE = record.ROWS / "trial_overhead.csv"
ADAPTERS = Path(__file__).parent / "speed_adapters"
PEERS = {"optuna": "optuna_loop.py", "ray": "ray_loop.py"}


def ours(trials, scheduler):
    """Seconds of a run over recorded curves with a store."""
    curves = problems.recorded("digits_mlp")
    space = curves.space.with_fidelity("epochs", 1, curves.epochs)
    plan = getattr(bojax.schedulers, scheduler)(trials=trials, max_budget=curves.epochs)
    with tempfile.TemporaryDirectory() as folder, open_store(f"{folder}/a.db") as store:
        store.create_run(Run(id="main", space=space.to_json(), objectives={}, seed=0))
        with store.acquire("main") as lease:
            run = Coordinator(
                space, bojax.strategies.random(), plan, curves.executor(0), metric="loss",
                lease=lease, folder=store.checkpoint_folder("main"),
            )  # fmt: skip
            began = time.perf_counter()
            run.run()
            return time.perf_counter() - began


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    parser.add_argument("--rows", type=Path, default=FILE)
    settings = parser.parse_args(arguments)
    cores = bojax.configuration.cores()
    workers, versions = {}, {}
    for name in settings.peers:
        try:
            peer = foreign(ADAPTERS / PEERS[name], threads=cores, timeout=600.0, label=name)
            workers[name], versions[name] = Worker(peer), peer.versions()[name]
        except PeerError as error:
            print(f"{name}: left out: {error}")
    run, rows = record.started(), []
    for round_ in range(settings.rounds + 1):  # round 0 warms up
        found = {
            f"bojax, {scheduler}": ours(settings.trials, scheduler)
            for scheduler in ("full_budget", "successive_halving")
        }
        for name, worker in workers.items():
            own = {"trials": settings.trials}
            answer, _ = worker.call("fit_predict", rows=[], values=[], test_rows=[], settings=own)
            found[name] = answer["seconds"]
        for side, seconds in found.items():
            print(f"round {round_}: {side} {1e3 * seconds / settings.trials:.2f} ms a trial")
            if round_:
                rows.append(
                    {
                        "run": run, "side": side, "round": round_, "trials": settings.trials,
                        "seconds": round(seconds, 6), **record.machine(),
                        **{n: versions.get(n, "") for n in PEERS},
                    }
                )  # fmt: skip
    for worker in workers.values():
        worker.close()
    record.append(settings.rows, rows)
    for side in dict.fromkeys(row["side"] for row in rows):
        each = [1e3 * r["seconds"] / r["trials"] for r in rows if r["side"] == side]
        print(
            f"{side:28} {statistics.median(each):8.3f} ms a trial "
            f"({min(each):.3f} to {max(each):.3f}, {len(each)})"
        )


if __name__ == "__main__":
    main()
