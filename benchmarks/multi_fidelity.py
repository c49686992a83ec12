"""Training until a target on recorded learning curves: schedulers beside random search.

    python benchmarks/multi_fidelity.py                all methods, both sets of curves, 10 seeds
    python benchmarks/multi_fidelity.py --methods random hyperband --seeds 4

The curves are those of `bojax.benchmark.problems.recorded`: real trainings of every configuration
of a grid, 27 epochs each. The target is the loss that one configuration in a hundred reaches, so
that random search at full budget needs a hundred trials in the mean. What counts is the epochs
trained, all trials together, until a report first reaches the target; a run that does not within
its epochs counts as all of them. The best loss after a third of the epochs stands beside it, random
search at twice those too; with `--end` a run ends at the target instead, which a method wants that
fits a model before every step. DEHB itself is compared with where `make bench-env` has made its
environment: `--methods random dehb "DEHB 0.1.2"`. Rows go to benchmarks/rows/multi_fidelity.csv.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import record
import references

import bojax
from bojax.benchmark.problems import recorded
from bojax.coordinate import Coordinator, bohb, dehb, freeze_thaw, gp_hyperband
from bojax.stats import paired_bootstrap

FILE = record.ROWS / "multi_fidelity.csv"
SETS = ("digits_mlp", "diabetes_mlp")
SHARE = 0.01  # of the configurations that reach the target
EPOCHS = 27
FULL = 300  # full trainings a run may spend
# Trials started at most, as many as those epochs can pay for: a history has room for all.
MANY, FEW, MOST = 2500, 1000, 700  # of halving, of the median rule, of what a model fills
MEAN, SLOTS = 4, 4  # of freeze-thaw: epochs a trial on average, trials trained at once
MEASURED = 100  # full trainings after which the best loss is noted


def method(name: str):
    """Strategy, and scheduler for so many trials."""
    schedulers = bojax.schedulers
    random = bojax.strategies.random()
    if name in ("random", "random x2"):
        return random, schedulers.full_budget(max_budget=EPOCHS, bracket=1, trials=FULL)
    if name == "gp":
        strategy = bojax.strategies.gp()
        return strategy, schedulers.full_budget(max_budget=EPOCHS, bracket=4, trials=FULL)
    if name == "asha":
        return random, schedulers.asha(max_budget=EPOCHS, eta=3, slots=9, trials=MANY)
    if name == "bohb":
        joined = bohb(max_budget=EPOCHS)
    elif name == "dehb":
        joined = dehb(max_budget=EPOCHS)
    elif name == "gp_hyperband":
        joined = gp_hyperband(max_budget=EPOCHS)
    elif name == "freeze_thaw":
        joined = freeze_thaw(max_budget=EPOCHS, mean_budget=MEAN, slots=SLOTS)
    else:
        scheduler = getattr(schedulers, name)
        more = {"bracket": 27} if name == "successive_halving" else {}
        return random, scheduler(
            max_budget=EPOCHS, trials=FEW if name == "median" else MANY, **more
        )
    settings, most = dict(joined.scheduler), MANY if name == "dehb" else MOST
    return joined.strategy, schedulers.by_name(settings.pop("name"), trials=most, **settings)


REFERENCE = "DEHB 0.1.2"  # runs in an environment of its own
METHODS = (
    "random", "random x2", "successive_halving", "hyperband", "asha", "median", "bohb", "dehb",
    "gp", "gp_hyperband", "freeze_thaw",
)  # fmt: skip


def reports_of(name: str, curves, seed: int):
    """Turn by turn, reports (trial, budget, loss), and how many trials were started so far."""
    if name == REFERENCE:
        reports, trials = references.dehb(curves, seed, FULL * EPOCHS)
        yield reports, trials
        return
    strategy, scheduler = method(name)
    coordinator = Coordinator(
        curves.space.with_fidelity("epochs", 1, EPOCHS), strategy, scheduler,
        curves.executor(seed=seed % curves.seeds), metric="loss", seed=seed,
    )  # fmt: skip
    seen = 0
    while coordinator.turn():
        new = coordinator.reports[seen:]
        seen += len(new)
        yield [(r.trial, r.budget, r.metrics["loss"]) for r in new], len(coordinator.trials)


def run(name: str, curves, target: float, seed: int, end: bool = False) -> dict:
    """Epochs to the target, and the best loss after a number of epochs, unless it is to end."""
    measured = MEASURED * EPOCHS * (2 if name.endswith("x2") else 1)
    began, spent, trials = time.perf_counter(), 0, 0
    to_target, best, noted = FULL * EPOCHS, np.inf, None
    done: dict[int, float] = {}
    for reports, started in reports_of(name, curves, seed):
        trials = started
        for trial, budget, loss in reports:
            spent += int(budget - done.get(trial, 0))
            done[trial] = budget
            if loss <= target and spent < to_target:
                to_target = spent
            if spent <= measured and np.isfinite(loss):
                best = min(best, loss)
        if spent >= measured:
            noted = best
        if (to_target < FULL * EPOCHS or spent >= FULL * EPOCHS) and (noted is not None or end):
            break
    return {
        "epochs_to_target": to_target, "best": np.nan if end else best,
        "trials": trials, "seconds": round(time.perf_counter() - began, 2),
    }  # fmt: skip


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="+", choices=[*METHODS, REFERENCE], default=METHODS)
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--end", action="store_true", help="a run ends at the target")
    settings = parser.parse_args(arguments)
    rows, started = [], record.started()
    for name in settings.sets:
        curves = recorded(name)
        for method_name in settings.methods:
            for seed in range(settings.seeds):
                final = curves.values[:, EPOCHS - 1, seed % curves.seeds]
                target = float(np.nanquantile(final, SHARE))
                found = run(method_name, curves, target, seed, settings.end)
                rows.append(
                    {"run": started, "curves": name, "method": method_name, "seed": seed,
                     "target": target, **found, **record.machine()}
                )  # fmt: skip
            mine = [r for r in rows if (r["curves"], r["method"]) == (name, method_name)]
            epochs = [r["epochs_to_target"] for r in mine]
            print(
                f"{name:>12} {method_name:>18}: {np.median(epochs):7.0f} epochs to the target "
                f"({np.median(epochs) / EPOCHS:.0f} full trainings), best "
                f"{np.median([r['best'] for r in mine]):.4f}, "
                f"{np.median([r['seconds'] for r in mine]):.0f} s a run",
                flush=True,
            )
    record.append(FILE, rows)
    if "random" in settings.methods:
        summary(rows, settings.methods)
    return rows


def summary(rows, names) -> None:
    """Geometric means of the epochs of random search over the method's, and their intervals."""
    spent = {
        name: np.log([r["epochs_to_target"] for r in rows if r["method"] == name]) for name in names
    }
    for name in names:
        gain = paired_bootstrap(spent["random"], spent[name])
        low, middle, high = np.exp([gain.low, gain.mean, gain.high])
        print(f"{name:>18}: {middle:.1f} [{low:.1f}, {high:.1f}] times less than random search")


if __name__ == "__main__":
    main()
