"""ASHA beside Ray's ASHAScheduler (stopping) and the paper's algorithm 2 (promotion).

Both sides drive the same simulated cluster over recorded curves: nine workers, an epoch of a
configuration takes its own time, the n-th trial is the same configuration to both. So jobs end in
the same order as long as decisions agree. What counts is the epochs until a report reaches the
loss that one configuration in a hundred reaches; a run that does not counts as all of its epochs.

Ray's class runs without Ray's runtime, in its own environment: this file is run there, and needs
NumPy alone. Where that environment is missing, its part is left out.
"""

from __future__ import annotations

import heapq
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

BUDGETS, ETA, WORKERS = (1, 3, 9, 27), 3, 9
SHARE, FULL = 0.01, 300  # configurations that reach the target; full trainings a run may spend
TRIALS = 2500
SETS = ("digits_mlp", "diabetes_mlp")
SPREAD = 0.5  # standard deviation of the log of an epoch's seconds, over configurations
WORST = 1e9  # what a training that failed reports


def simulated(scheduler, losses, seconds, target: float) -> dict:
    """Epochs until the target, and what was decided on the way.

    Args:
        scheduler: `next()` is `(trial, start, stop)` or None, `report(trial, budget, loss)`.
        losses: `[trials, epochs]`.
        seconds: `[trials]`, of an epoch.
        target: loss to be reached.

    Returns:
        `epochs`, and `jobs`, every job in the order given out.
    """
    most = FULL * BUDGETS[-1]
    clock, spent, jobs, running = 0.0, 0, [], []
    while spent < most:
        while len(running) < WORKERS and (job := scheduler.next()) is not None:
            trial, start, stop = job
            ends = clock + (stop - start) * seconds[trial]
            heapq.heappush(running, (ends, len(jobs), trial, start, stop))
            jobs.append([trial, start, stop])
        if not running:
            break
        clock, _, trial, start, stop = heapq.heappop(running)
        spent += stop - start
        loss = float(losses[trial, stop - 1])
        if loss <= target:
            return {"epochs": min(spent, most), "jobs": jobs}
        scheduler.report(trial, stop, loss)
    return {"epochs": most, "jobs": jobs}


class Ours:
    """`bojax.schedulers.asha` behind the simulation's interface."""

    def __init__(self, mode):
        from bojax.schedulers import asha

        self.asha = asha(max_budget=BUDGETS[-1], eta=ETA, mode=mode, trials=TRIALS)

    def next(self):
        jobs = self.asha.next_jobs(1)
        return (jobs[0].trial, jobs[0].start, jobs[0].stop) if isinstance(jobs, list) else None

    def report(self, trial, budget, loss):
        self.asha.report(trial, budget, loss)


class Paper:
    """L. Li et al., MLSys 2020, algorithm 2, read line by line: get_job promotes from the top."""

    def __init__(self):
        self.rungs = [{} for _ in BUDGETS]  # trial -> loss
        self.promoted = [set() for _ in BUDGETS]
        self.started = 0

    def next(self):
        for k in reversed(range(len(BUDGETS) - 1)):
            rung = self.rungs[k]
            top = sorted(rung, key=lambda trial: (rung[trial], trial))[: len(rung) // ETA]
            for trial in top:
                if trial not in self.promoted[k]:
                    self.promoted[k].add(trial)
                    return trial, BUDGETS[k], BUDGETS[k + 1]
        if self.started == TRIALS:
            return None
        self.started += 1
        return self.started - 1, 0, BUDGETS[0]

    def report(self, trial, budget, loss):
        self.rungs[BUDGETS.index(budget)][trial] = loss


class Rays:
    """Ray's scheduler: a trial that may continue keeps its worker."""

    def __init__(self):
        from ray.tune.schedulers import ASHAScheduler

        self.scheduler = ASHAScheduler(
            metric="loss", mode="min", max_t=BUDGETS[-1], grace_period=1, reduction_factor=ETA
        )
        self.trials, self.going = {}, []

    def next(self):
        if self.going:
            return self.going.pop()
        number = len(self.trials)
        if number == TRIALS:
            return None
        trial = self.trials[number] = type("Trial", (), {"trial_id": str(number)})()
        self.scheduler.on_trial_add(None, trial)
        return number, 0, BUDGETS[0]

    def report(self, number, budget, loss):
        trial, result = self.trials[number], {"training_iteration": budget, "loss": loss}
        if self.scheduler.on_trial_result(None, trial, result) == "STOP":
            self.scheduler.on_trial_complete(None, trial, result)
        else:
            after = BUDGETS[BUDGETS.index(budget) + 1]
            self.going.append((number, budget, after))


def asha(seeds: int, few: bool) -> Iterator:
    """Both modes."""
    from . import Pair

    tables = {
        (name, seed): _drawn(name, seed) for name in SETS[: 1 if few else None]
        for seed in range(seeds)
    }  # fmt: skip
    rays, version = _by_ray(tables)
    for (name, seed), table in tables.items():
        about = name, 0, seed, FULL * BUDGETS[-1], "epochs to the target"
        pairs = [("promotion", "the paper's algorithm 2", simulated(Paper(), *table), "")]
        if rays:
            pairs.append(("stopping", "ray ASHAScheduler", rays.pop(0), f"ray {version}"))
        for mode, reference, theirs, versions in pairs:
            ours = simulated(Ours(mode), *table)
            if ours["jobs"] != theirs["jobs"]:
                print(f"asha({mode}) and {reference} part on {name}, seed {seed}")
            yield Pair("asha", f"asha(mode={mode})", reference, *about, ours["epochs"],
                       theirs["epochs"], versions)  # fmt: skip


def _drawn(name, seed):
    """Losses of the trials in order, seconds of an epoch of each, and the target."""
    from bojax.benchmark.problems import recorded

    curves, rng = recorded(name), np.random.default_rng([71, seed])
    own = curves.values[:, :, seed % curves.seeds].astype(float)
    order = np.concatenate([rng.permutation(len(own)) for _ in range(-(-TRIALS // len(own)))])
    losses = np.where(np.isfinite(own), own, WORST)[order[:TRIALS]]
    seconds = np.exp(SPREAD * rng.standard_normal(len(own)))[order[:TRIALS]]
    return losses, seconds, float(np.nanquantile(own[:, -1], SHARE))


def _by_ray(tables) -> tuple[list[dict], str]:
    """What Ray's scheduler makes of the same tables, and its version."""
    below = Path(os.environ.get("BOJAX_BENCH_ENVS", ".bench"))
    python = below.absolute() / "ray" / "bin" / "python"
    if not python.exists():
        print(f"ray is left out: no environment of it below {below}; run `make bench-env`.")
        return [], ""
    with tempfile.TemporaryDirectory() as folder:
        losses, seconds, targets = (np.array(each) for each in zip(*tables.values(), strict=True))
        np.savez(f"{folder}/tables.npz", losses=losses, seconds=seconds, targets=targets)
        done = subprocess.run(
            [python, "-W", "ignore", __file__, folder], capture_output=True, text=True, check=True
        )
    told = json.loads(done.stdout.splitlines()[-1])
    return told["runs"], told["version"]


def _as_ray(folder: str) -> None:
    """What runs beside Ray."""
    import ray

    with np.load(f"{folder}/tables.npz", allow_pickle=False) as file:
        cases = zip(file["losses"], file["seconds"], file["targets"], strict=True)
        runs = [simulated(Rays(), *case) for case in cases]
    print(json.dumps({"version": ray.__version__, "runs": runs}))


if __name__ == "__main__":
    _as_ray(sys.argv[1])
