"""Training until a target in live sweeps: schedulers beside random search at full budget.

    python benchmarks/live_sweep.py                 5 seeds, a few minutes
    python benchmarks/live_sweep.py --seeds 2 --methods random asha

A multilayer perceptron on scikit-learn's digits, 27 epochs, over learning rate, weight decay,
dropout and width. The target is the validation loss that one in 100 of 300 random configurations
reached after full training, in a sweep of its own (`TARGET_SEED`), so that random search takes
about 100 trials in the mean. What counts is the epochs trained, all trials together, until a
report first reaches it; a run that does not counts as all of its epochs. Rows go to
benchmarks/rows/live_sweep.csv.
"""

from __future__ import annotations

import argparse
import math
import time

import numpy as np
import optax
import record
from sklearn.datasets import load_digits

import bojax
from bojax.coordinate import freeze_thaw
from bojax.stats import paired_bootstrap
from bojax.training.models import MLP

FILE = record.ROWS / "live_sweep.csv"
EPOCHS = 27
SAMPLE, TARGET_SEED, RARE = 300, 1000, 100  # one in 100 of 300 reach the target
SPACE = {
    "lr": bojax.Float(1e-5, 1.0, log=True),
    "weight_decay": bojax.Float(1e-6, 1e-1, log=True),
    "dropout": bojax.Float(0.0, 0.9),
    "width": bojax.Int(8, 64, log=True),
}
# Trials that a run may start: of the schedulers as many as random search's epochs could pay for.
TRIALS = {"random": 300, "hyperband": 700, "asha": 1000, "bohb": 400, "gp_hyperband": 200,
          "freeze_thaw": 300}  # fmt: skip
MEAN, SLOTS = 4, 8  # of freeze-thaw: epochs a trial on average, trials trained at once


def build(hp):
    """The network of one member."""
    return MLP(outputs=10, width=hp["width"], max_width=hp.ceiling["width"], dropout=hp["dropout"])


def adamw(hp):
    """Its optimiser."""
    return optax.adamw(hp["lr"], weight_decay=hp["weight_decay"])


def sweep(name: str, data, seed: int) -> bojax.Sweep:
    """The sweep of a method."""
    task = bojax.Task.linen(build, optimizer=adamw, padded=["width"], batch_size=64)
    how: dict = {
        "random": {"strategy": "random", "scheduler": "full_budget", "bracket": 50},
        "hyperband": {"strategy": "random", "scheduler": "hyperband"},
        "asha": {"strategy": "random", "scheduler": {"name": "asha", "eta": 3, "slots": 9}},
        "bohb": {"method": "bohb"},
        "gp_hyperband": {"method": "gp_hyperband"},
        "freeze_thaw": {"method": freeze_thaw(max_budget=EPOCHS, mean_budget=MEAN, slots=SLOTS)},
    }[name]
    return bojax.Sweep(task, SPACE, data=data, metric="loss", max_budget=EPOCHS, seed=seed, **how)


def epochs_to(target: float, result) -> int:
    """Epochs until a report first reached the target, or all of them."""
    spent, done = 0, {}
    for report in result.reports:
        spent += int(report.budget - done.get(report.trial, 0))
        done[report.trial] = report.budget
        if report.metrics["loss"] <= target:
            break
    return spent


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", default=list(TRIALS), choices=TRIALS)
    parser.add_argument("--seeds", type=int, default=5)
    settings = parser.parse_args(arguments)
    bojax.configure(cpu_devices="cores")
    x, y = load_digits(return_X_y=True)
    data = bojax.ArrayData(x, y, split=bojax.Holdout(validation=0.3), normalize=True)
    sample = sweep("random", data, TARGET_SEED).run(SAMPLE)
    finals = sorted(r.metrics["loss"] for r in sample.reports if math.isfinite(r.metrics["loss"]))
    target, started, rows = finals[SAMPLE // RARE - 1], record.started(), []
    print(f"target {target:.4f}; median {np.median(finals):.3f}, best {finals[0]:.4f}", flush=True)
    spent: dict[str, list[float]] = {name: [] for name in settings.methods}
    for seed in range(settings.seeds):
        for name in settings.methods:
            began = time.perf_counter()
            epochs = epochs_to(target, sweep(name, data, seed).run(TRIALS[name]))
            spent[name].append(math.log(epochs))
            rows.append(
                {"run": started, "method": name, "seed": seed, "target": round(target, 5),
                 "epochs_to_target": epochs, "seconds": round(time.perf_counter() - began, 1),
                 **record.machine()}
            )  # fmt: skip
            print(f"seed {seed} {name:>10}: {epochs} epochs, {epochs / EPOCHS:.0f} full trainings")
    record.append(FILE, rows)
    for name, own in spent.items():
        if "random" in spent and len(own) > 1:
            gain = paired_bootstrap(spent["random"], own)
            low, middle, high = np.exp([gain.low, gain.mean, gain.high])
            print(f"{name:>10}: {middle:.1f} [{low:.1f}, {high:.1f}] times less than random search")
    return rows


if __name__ == "__main__":
    main()
