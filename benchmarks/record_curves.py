"""Record the learning curves of every configuration of two grids, for schedulers to decide on.

    python benchmarks/record_curves.py                    both, some minutes on two cores
    python benchmarks/record_curves.py --only digits_mlp --blocks 2    a first look

Two multilayer perceptrons, each trained for 27 epochs with every configuration of a grid and
on four seeds, as populations of `bojax.training.LocalExecutor`; a seed is another split,
another initialisation and another order of the examples. After every epoch the metrics on the
validation half are kept.

digits_mlp    classes of scikit-learn's 8 x 8 digits; one-cycle schedules start behind
              constant rates and end before them, large rates diverge
diabetes_mlp  regression on scikit-learn's diabetes, 221 examples to train on: what learns
              fast overfits, and large rates end in NaN

Each block of configurations is a file under runs/curves/ until all are there, so an interrupted
recording goes on where it was. Blocks of another version of this file are not used. The result,
bojax/benchmark/problems/<name>.npz, depends on the seeds alone, up to rounding.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import optax
from sklearn.datasets import load_diabetes, load_digits

import bojax
from bojax.benchmark.problems._curves import DATA, Curves
from bojax.history import Job, Status
from bojax.training import LocalExecutor
from bojax.training.models import MLP
from bojax.training.optimizers import fused
from bojax.training.schedules import schedule_for

EPOCHS = 27
SEEDS = 4
BLOCK = 128  # configurations a file
PARTS = Path(__file__).parents[1] / "runs" / "curves"
BITS = 14  # of the mantissa that are kept: off by 6e-5 at most, far below the noise of a loss
HALF = bojax.Holdout(validation=0.5, test=0.0)


@dataclass(frozen=True)
class Recording:
    """What is trained: data, space, task, and which of its metrics are kept."""

    text: str
    data: Callable[[], bojax.ArrayData]
    space: bojax.Space
    task: bojax.Task
    metrics: tuple[str, ...]


# ------------------------------------------------------------------ digits
def digits_data():
    x, y = load_digits(return_X_y=True)
    return bojax.ArrayData(x, y, split=HALF, normalize=True)


DIGITS = bojax.Space(
    {
        "learning_rate": bojax.Ordinal([1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0]),
        "optimizer": bojax.Categorical(["momentum", "adam", "rmsprop"]),
        "schedule": bojax.Categorical(["constant", "one_cycle"]),
        "width": bojax.Ordinal([4, 16, 64]),
        "depth": bojax.Ordinal([1, 3]),
        "batch_size": bojax.Ordinal([16, 64]),
    }
)


def digits_network(hp):
    return MLP(
        outputs=10,
        width=hp["width"],
        max_width=hp.ceiling["width"],
        depth=hp["depth"],
        max_depth=hp.ceiling["depth"],
    )


def digits_optimizer(hp):
    rate = schedule_for(
        hp["schedule"], base=hp["learning_rate"], horizon=hp.steps, kinds=hp.choices["schedule"]
    )
    return fused(hp["optimizer"], rate, kinds=hp.choices["optimizer"])


# ------------------------------------------------------------------ diabetes
def diabetes_data():
    x, y = load_diabetes(return_X_y=True)
    # In deviations of the target: an error of 1 is what the mean of all would make.
    return bojax.ArrayData(x, (y - y.mean()) / y.std(), split=HALF, normalize=True)


DIABETES = bojax.Space(
    {
        "learning_rate": bojax.Ordinal([3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0]),
        "optimizer": bojax.Categorical(["sgd", "momentum", "adam"]),
        "activation": bojax.Categorical(["relu", "tanh"]),
        "weight_decay": bojax.Ordinal([0.0, 0.01, 0.1]),
        "width": bojax.Ordinal([4, 16, 64]),
        "batch_size": bojax.Ordinal([8, 32]),
    }
)


def diabetes_network(hp):
    return MLP(
        outputs=1,
        width=hp["width"],
        max_width=hp.ceiling["width"],
        depth=2,
        activation=hp["activation"],
        activations=hp.choices["activation"],
    )


def diabetes_optimizer(hp):
    step = fused(hp["optimizer"], hp["learning_rate"], kinds=hp.choices["optimizer"])
    return optax.chain(optax.add_decayed_weights(hp["weight_decay"]), step)  # a penalty for all


RECORDINGS = {
    "digits_mlp": Recording(
        "classes of scikit-learn's digits; cross-entropy in nats",
        digits_data,
        DIGITS,
        bojax.Task.linen(digits_network, optimizer=digits_optimizer, padded=["width"]),
        ("loss", "accuracy"),
    ),
    "diabetes_mlp": Recording(
        "regression on scikit-learn's diabetes; mean squared error in variances of the target",
        diabetes_data,
        DIABETES,
        bojax.Task.linen(
            diabetes_network,
            loss="mean_squared_error",
            optimizer=diabetes_optimizer,
            metrics=["mae"],
            padded=["width"],
        ),
        ("loss", "mae"),
    ),
}


# ------------------------------------------------------------------ training
def train(executor, configs, first, metrics):
    """Curves `[M, configurations, EPOCHS]` of a block, NaN where training or a metric failed."""
    listed = dict(enumerate(configs, start=first))
    found = np.full((len(metrics), len(configs), EPOCHS), np.nan, np.float32)
    for epoch in range(EPOCHS):
        jobs = [Job(trial, start=epoch, stop=epoch + 1) for trial in listed]
        for report in executor.run(jobs, listed):
            if report.status == Status.DONE:
                found[:, report.trial - first, epoch] = [report.metrics[m] for m in metrics]
    executor.keep([])
    return found


def record(name, wanted, version):
    """Train what is missing, at most so many blocks; the curves if none is missing then."""
    recording = RECORDINGS[name]
    space = recording.space
    configs = space.decode(space.every_row())
    blocks = [(s, b) for s in range(SEEDS) for b in range(0, len(configs), BLOCK)]
    base = recording.data()
    parts, executors, seconds = {}, {}, 0.0
    for number, (seed, first) in enumerate(blocks, start=1):
        path = PARTS / version / f"{name}-{seed}-{first}.npz"
        if not path.exists() and wanted > 0:
            wanted -= 1
            if seed not in executors:
                executors[seed] = LocalExecutor(
                    recording.task, space, base.resplit(seed), seed=seed, max_budget=EPOCHS
                )
            began = time.perf_counter()
            found = train(executors[seed], configs[first : first + BLOCK], first, recording.metrics)
            write_whole(path, curves=found, seconds=time.perf_counter() - began)
        if path.exists():
            with np.load(path, allow_pickle=False) as part:
                parts[seed, first] = part["curves"]
                took = float(part["seconds"])
            seconds += took
            print(f"{name} block {number}/{len(blocks)}: seed {seed}, configurations from {first},"
                  f" {took:.1f} s ({seconds:.0f} s so far)", flush=True)  # fmt: skip
    if len(parts) < len(blocks):
        print(f"{name}: {len(parts)} of {len(blocks)} blocks; run again to go on")
        return None
    by_seed = [
        np.concatenate([parts[block] for block in blocks if block[0] == seed], axis=1)
        for seed in range(SEEDS)
    ]
    stacked = np.stack(by_seed, axis=-1)  # [M, C, E, S]
    about = {
        "text": recording.text,
        "training_examples": len(base.train),
        "validation_examples": len(base.validation),
        "command": "python benchmarks/record_curves.py",
        "versions": {module.__name__: module.__version__ for module in (bojax, jax, optax)},
    }
    metrics = {m: shortened(stacked[i]) for i, m in enumerate(recording.metrics)}
    return Curves(name, space, metrics, about)


def shortened(values):
    """float32 rounded to `BITS` bits of mantissa, so that the rest compresses to nothing."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.round(mantissa * 2.0**BITS) / 2.0**BITS, exponent).astype(np.float32)


def write_whole(path, **arrays):
    """A file that is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez_compressed(file, **arrays)
    os.replace(partial, path)


# ------------------------------------------------------------------ what one gets
def ranks(values):
    """`[C]` ranks from 0, the least first; failed ones last."""
    return np.argsort(np.argsort(np.where(np.isfinite(values), values, np.inf), kind="stable"))


def describe(curves):
    """Spread, failures, and how much an early epoch says about the last."""
    values, seeds = curves.values, range(curves.seeds)
    final = values[:, -1]
    good = np.isfinite(final)
    best = np.where(np.isfinite(values), values, np.inf).min(axis=1)
    shares = (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)
    spread = zip(shares, np.quantile(final[good], shares), strict=True)
    lines = [
        f"{curves.name}: {len(final)} configurations, {curves.epochs} epochs, {curves.seeds} seeds",
        "  final loss: " + ", ".join(f"{share:.0%} {value:.4g}" for share, value in spread),
        f"  failed at the end: {1 - good.mean():.1%}; at the end 5 % or more above the best "
        f"epoch: {np.mean(final[good] > 1.05 * best[good]):.1%} of the others",
    ]
    last = [ranks(final[:, s]) for s in seeds]
    for epoch in (1, 3, 9):
        early = [ranks(values[:, epoch - 1, s]) for s in seeds]
        pairs = list(zip(early, last, strict=True))
        rho = np.mean([np.corrcoef(a, b)[0, 1] for a, b in pairs])
        kept = np.mean([a[b < 10] < len(a) / 3 for a, b in pairs])
        lines.append(
            f"  ranks after {epoch} and {curves.epochs} epochs: correlation {rho:.2f}; "
            f"{kept:.0%} of the final ten are in the best third"
        )
    between = np.mean([np.corrcoef(last[0], other)[0, 1] for other in last[1:]])
    lines.append(f"  final ranks with seed 0 and another: correlation {between:.2f}")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=list(RECORDINGS), help="one of the two")
    parser.add_argument("--blocks", type=int, default=sys.maxsize, help="train at most so many")
    settings = parser.parse_args()
    bojax.configure(cpu_devices="cores")
    version = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    for name in [settings.only] if settings.only else RECORDINGS:
        curves = record(name, settings.blocks, version)
        if curves is not None:
            path = DATA / f"{name}.npz"
            curves.save(path)
            print(f"{describe(curves)}\n  {path.name}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
