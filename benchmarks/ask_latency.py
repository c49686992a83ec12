"""Seconds of a suggestion after 100 observations in 6 dimensions, beside Optuna's GPSampler.

    python benchmarks/ask_latency.py

One process pinned to one core, the two sides in turn, the same observations for both: half
drawn evenly on Hartmann's function, half near the best of them, as late in a run. Each round
is a new set. Three seconds are measured on each side:

cold     the first suggestion of the process, with what is compiled or loaded in it
scratch  the first of a round, at one observation less: the model is fitted from all starts
warm     after one more result was told: the fit starts from the last one

Optuna has its own defaults; its noise is learned (`deterministic_objective=False`) as bojax's
is, and greenlet is installed, without which its search runs a start at a time, some four times
slower. The suggestion in between is withdrawn, so that the warm one sees `--observations`
results, on both sides. Rows go to benchmarks/rows/ask_latency.csv. A minute or two.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from pathlib import Path

if hasattr(os, "sched_setaffinity"):  # before anything counts the cores
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import numpy as np
import optuna
import record
import torch

import bojax

FILE = record.ROWS / "ask_latency.csv"
SIDES = ("bojax", "optuna")
NEAR = 0.1  # standard deviation of the points near the best one, in the unit cube


def observations(seed, count, columns):
    """`count` points of the unit cube and their values: a sum of four wells, noise-free."""
    draw = np.random.default_rng(seed)
    centres = np.random.default_rng(0).random((4, columns))  # the same problem in each round
    depths = np.array([1.0, 1.2, 3.0, 3.2])

    def value(x):
        gaps = ((x[:, None] - centres) ** 2).sum(-1)
        return -np.exp(-3 * gaps) @ depths

    even = draw.random((count - count // 2, columns))
    best = even[np.argmin(value(even))]
    near = np.clip(best + NEAR * draw.normal(size=(count // 2, columns)), 0, 1)
    points = np.concatenate([even, near])
    return points, value(points)


class Bojax:
    """An optimizer that was told the observations."""

    def __init__(self, points, values, seed):
        names = [f"x{i}" for i in range(points.shape[1])]
        self.names = names
        self.optimizer = bojax.Optimizer({n: bojax.Float(0, 1) for n in names}, seed=seed)
        # The first suggestions come from a design, whatever was told; it is not what is timed.
        design = self.optimizer.ask(self.optimizer.strategy.initial)
        for trial in design:
            self.optimizer.tell(trial, status="stale")
        for point, value in zip(points, values, strict=True):
            self.tell(point, value)

    def tell(self, point, value):
        config = dict(zip(self.names, map(float, point), strict=True))
        self.optimizer.tell(config, float(value))

    def ask(self):
        self.asked = self.optimizer.ask()

    def fitted(self):
        """Results that the model behind the last suggestion was fitted to."""
        return int((self.optimizer.history.status == bojax.Status.DONE).sum()) * int(
            self.optimizer._session.state.fitted > 0
        )

    def withdraw(self):
        self.optimizer.tell(self.asked, status="stale")


class Optuna:
    """A study to which the observations were added."""

    def __init__(self, points, values, seed):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.GPSampler(seed=seed, deterministic_objective=False)
        self.study = optuna.create_study(sampler=sampler)
        self.space = {
            f"x{i}": optuna.distributions.FloatDistribution(0, 1) for i in range(points.shape[1])
        }
        for point, value in zip(points, values, strict=True):
            self.tell(point, value)

    def tell(self, point, value):
        self.study.add_trial(
            optuna.trial.create_trial(
                params=dict(zip(self.space, map(float, point), strict=True)),
                distributions=self.space,
                value=float(value),
            )
        )

    def ask(self):
        self.asked = self.study.ask(self.space)

    def fitted(self):
        """Finished trials, of which more than the sampler's 10 startup trials."""
        finished = self.study.get_trials(states=[optuna.trial.TrialState.COMPLETE])
        return len(finished)

    def withdraw(self):
        self.study.tell(self.asked, state=optuna.trial.TrialState.FAIL)


MAKE = {"bojax": Bojax, "optuna": Optuna}


def measure(side, seed, settings, cold):
    """Seconds of each kind in one round."""
    points, values = observations(seed, settings.observations, settings.columns)
    asker = MAKE[side](points[:-1], values[:-1], seed)
    seconds = {}
    began = time.perf_counter()
    asker.ask()
    seconds["cold" if cold else "scratch"] = time.perf_counter() - began
    asker.withdraw()
    asker.tell(points[-1], values[-1])
    began = time.perf_counter()
    asker.ask()
    warm = time.perf_counter() - began
    if asker.fitted() != settings.observations:
        raise RuntimeError(f"{side}: the suggestion was not made from what was told")
    if not cold:  # the second of a process may still load something
        seconds["warm"] = warm
    return seconds


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--observations", type=int, default=100)
    parser.add_argument("--columns", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--rows", type=Path, default=FILE)
    settings = parser.parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    torch.set_num_threads(1)
    run, rows = record.started(), []
    for round_ in range(settings.rounds + 1):  # round 0 is the cold one
        # Whoever goes first finds the cache of the other; they take turns at that.
        for side in SIDES if round_ % 2 else SIDES[::-1]:
            for kind, seconds in measure(side, round_, settings, cold=round_ == 0).items():
                rows.append(
                    {
                        "run": run, "side": side, "kind": kind, "round": round_,
                        "seconds": round(seconds, 6), "observations": settings.observations,
                        "columns": settings.columns,
                        **record.machine("optuna", "torch", "greenlet"),
                    }
                )  # fmt: skip
    record.append(settings.rows, rows)
    print(f"{settings.observations} observations, {settings.columns} columns; seconds")
    for kind in ("cold", "scratch", "warm"):
        found = {
            side: [row["seconds"] for row in rows if (row["side"], row["kind"]) == (side, kind)]
            for side in SIDES
        }
        middle = {side: statistics.median(seconds) for side, seconds in found.items()}
        spread = ", ".join(
            f"{side} {middle[side]:.4f} ({min(s):.4f} to {max(s):.4f}, {len(s)})"
            for side, s in found.items()
        )
        print(f"{kind:8} {spread}; optuna takes {middle['optuna'] / middle['bojax']:.2f} times")


if __name__ == "__main__":
    main()
