"""What the host does in a rung: decisions, a commit, and the states on the disk."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import numpy as np

import bojax
from bojax.coordinate import Coordinator
from bojax.history import Job, Report, Run
from bojax.store import open_store, write_checkpoint
from bojax.training import LocalExecutor

from . import LR, digits, rates, row
from .folds import TASK

SPACE = bojax.Space(
    {
        "lr": bojax.Float(1e-4, 1e-1, log=True),
        "width": bojax.Int(8, 128, log=True),
        "depth": bojax.Int(1, 3),
        "dropout": bojax.Float(0, 0.5),
        "batch_size": bojax.Ordinal([16, 32, 64]),
    }
)
PAGE = 4096  # bytes of the least that a commit can write


class Instant:
    """An executor that answers at once and has no states."""

    kept = ()

    def run(self, jobs, configs):
        return [Report(j.trial, j.stop, {"loss": configs[j.trial]["lr"]}) for j in jobs]

    def keep(self, trials):
        pass

    def state_arrays(self, trials):
        return {}, {}


def turn(members, folder):
    """Seconds of the first rung of a run, and of the suggestions in it."""
    with open_store(f"{folder}/a.db") as store:
        store.create_run(Run(id="main", space=SPACE.to_json(), objectives={}, seed=0))
        with store.acquire("main") as lease:
            plan = bojax.schedulers.successive_halving(
                eta=4, max_budget=16, trials=members, bracket=members
            )
            run = Coordinator(
                SPACE.with_fidelity("epochs", 1, 16), bojax.strategies.random(), plan, Instant(),
                metric="loss", lease=lease, folder=store.checkpoint_folder("main"),
            )  # fmt: skip
            began = time.perf_counter()
            run.turn()
            return time.perf_counter() - began, run.ask_seconds


def synced(path, data):
    """Seconds to write bytes to a new file and have them on the disk."""
    began = time.perf_counter()
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return time.perf_counter() - began


def measure(rounds, tiny, folder):
    """Seconds of a rung of 256 trials that cost nothing, in a store on the disk.

    Suggestions by the random strategy, decisions of successive halving, one transaction; there are
    no states, so no checkpoint; the floor is one page synced. Apart from it the states of 256 MLPs
    64-64-64-10 with Adam, gathered, and written with their checksum; the floor is as many bytes
    written and synced.
    """
    members = 8 if tiny else 256
    executor = LocalExecutor(TASK, bojax.Space(LR), digits(), max_budget=1)
    jobs = [Job(trial, 0, 1) for trial in range(members)]
    executor.run(jobs, dict(enumerate(rates(members))))
    rows = []
    for round_ in range(-1, rounds):  # the first warms up
        with tempfile.TemporaryDirectory(dir=folder) as where:
            rung, asking = turn(members, where)
            page = synced(f"{where}/page", bytes(PAGE))
            began = time.perf_counter()
            arrays, meta = executor.state_arrays(executor.kept)
            gathered = time.perf_counter()
            _, _, size = write_checkpoint(Path(where), "states", arrays, meta)
            written = time.perf_counter()
            raw = synced(f"{where}/raw", np.random.default_rng(0).bytes(size))
        measured = {
            "rung": (members, "members", rung),
            "rung, its suggestions": (members, "members", asking),
            "a page synced": (PAGE, "bytes", page),
            "states gathered": (size, "bytes", gathered - began),
            "states written": (size, "bytes", written - gathered),
            "as many bytes synced": (size, "bytes", raw),
        }
        if round_ >= 0:
            rows += [
                row("host", what, round_, value=value, unit=unit, seconds=seconds)
                for what, (value, unit, seconds) in measured.items()
            ]
    return rows
