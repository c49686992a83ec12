"""Microseconds a trial of asynchronous successive halving's decisions, beside Ray Tune's.

    python benchmarks/scheduler_decisions.py

10,000 trials of random values, 16 at a time, budgets 1, 3, 9 and 27; time of the processor, so
that other processes do not count. Ours is everything a trial costs: `next_jobs` after each report,
and `report`, in both modes. Ray's is what its `ASHAScheduler` decides by: `on_trial_add`,
`on_trial_result` at each budget where it decides, and `on_trial_complete`, without the trials,
events and processes around it; its environment is found below BOJAX_BENCH_ENVS. Five processes
each, in turn; a minute or two. Rows go to benchmarks/rows/scheduler_decisions.csv.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

SIDES = ("bojax promotion", "bojax stopping", "ray")
SLOTS = 16
BUDGETS = (1, 3, 9, 27)
ETA = 3


def ours(mode, trials):
    """Seconds and decisions (reports) of a run."""
    from bojax.schedulers import DONE, WAIT, asha

    draw = random.Random(0)
    values = [[draw.random() for _ in BUDGETS] for _ in range(trials)]
    rung = {budget: i for i, budget in enumerate(BUDGETS)}
    running, reports = [], 0
    began = time.process_time()
    scheduler = asha(max_budget=BUDGETS[-1], eta=ETA, mode=mode, trials=trials)
    while (jobs := scheduler.next_jobs(SLOTS - len(running))) is not DONE:
        if jobs is not WAIT:
            running += jobs
        job = running.pop(0)
        scheduler.report(job.trial, job.stop, values[job.trial][rung[job.stop]])
        reports += 1
    return time.process_time() - began, reports, ""


def rays(trials):
    """The same of Ray's scheduler, in Ray's environment."""
    import ray
    from ray.tune.schedulers import ASHAScheduler

    class Trial:
        def __init__(self, number):
            self.trial_id = str(number)

    draw = random.Random(0)
    values = [[draw.random() for _ in BUDGETS] for _ in range(trials)]
    scheduler = ASHAScheduler(
        metric="loss", mode="min", max_t=BUDGETS[-1], grace_period=1, reduction_factor=ETA
    )
    running, reports, started = [], 0, 0
    began = time.process_time()
    while started < trials or running:
        while len(running) < SLOTS and started < trials:
            trial = Trial(started)
            scheduler.on_trial_add(None, trial)
            running.append((trial, started, 0))
            started += 1
        trial, number, i = running.pop(0)
        result = {"training_iteration": BUDGETS[i], "loss": values[number][i]}
        action = scheduler.on_trial_result(None, trial, result)
        reports += 1
        if action == "STOP" or i + 1 == len(BUDGETS):
            scheduler.on_trial_complete(None, trial, result)
        else:
            running.append((trial, number, i + 1))
    return time.process_time() - began, reports, ray.__version__


def measure(side, trials):
    """One side in a process of its own."""
    python = Path(sys.executable)
    if side == "ray":
        below = Path(os.environ.get("BOJAX_BENCH_ENVS", ".bench"))
        python = below.absolute() / "ray" / "bin" / "python"
        if not python.exists():
            raise SystemExit(f"no environment ray below {below}; run `make bench-env`.")
    command = [str(python), "-W", "ignore", __file__, "--side", side, "--trials", str(trials)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=Path, default=None)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    settings = parser.parse_args(arguments)
    if settings.side:
        side = settings.side
        found = rays(settings.trials) if side == "ray" else ours(side.split()[1], settings.trials)
        print(json.dumps(found))
        return
    import record  # not in Ray's environment's way

    run, rows = record.started(), []
    for round_ in range(settings.rounds):
        for side in SIDES:
            seconds, reports, version = measure(side, settings.trials)
            rows.append(
                {
                    "run": run, "side": side, "round": round_, "trials": settings.trials,
                    "reports": reports, "seconds": round(seconds, 6),
                    "microseconds_a_trial": round(1e6 * seconds / settings.trials, 3),
                    **record.machine(), "ray": version,
                }
            )  # fmt: skip
    record.append(settings.rows or record.ROWS / "scheduler_decisions.csv", rows)
    middle = {
        side: statistics.median(r["microseconds_a_trial"] for r in rows if r["side"] == side)
        for side in SIDES
    }
    for side in SIDES:
        times = middle["ray"] / middle[side]
        print(f"{side:16} {middle[side]:9.2f} us a trial; ray takes {times:.1f} times")


if __name__ == "__main__":
    main()
