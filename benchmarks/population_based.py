"""Population based training against the best fixed schedule of random search, at equal work.

    python benchmarks/population_based.py                    all contenders, 12 seeds
    python benchmarks/population_based.py --seeds 4 --first 100

A perceptron on scikit-learn's digits by SGD with momentum; rate, momentum, dropout and weight
decay over wide ranges. Pixels get fresh noise in every step, so that the last steps must be small.
Every contender trains MEMBERS members for EPOCHS epochs and chooses its winner by validation loss:
`pbt`, judged together and in turn, and `pb2` with a rate that is constant between two
perturbations; `fixed` is random search
over the same ranges and, for the rate, every kind of schedule of `bojax.training.schedules` with
its shapes; `constant` the same without schedules; `fixed x2` may train twice as many. A seed is a
split of the data and a run, the same for all; the test part is looked at once. `last_alone` is the
validation loss of the winner's last values trained with from the start: what a schedule is worth
beyond where it ends. Ranges and noise were settled on seeds 100 to 107. Rows go to
benchmarks/rows/population_based.csv.
"""

from __future__ import annotations

import argparse
import time

import jax
import numpy as np
import optax
import record
from sklearn.datasets import load_digits

import bojax
from bojax.history import Job
from bojax.stats import paired_bootstrap
from bojax.training import LocalExecutor, schedules
from bojax.training.models import MLP

FILE = record.ROWS / "population_based.csv"
MEMBERS, EPOCHS, INTERVAL = 20, 60, 2
NOISE = 1.0  # standard deviations of a pixel
RANGES = {
    "lr": bojax.Float(1e-4, 10.0, log=True),
    "drag": bojax.Float(0.01, 1.0, log=True),  # one minus momentum
    "dropout": bojax.Float(0.0, 0.8),
    "decay": bojax.Float(1e-6, 1e-1, log=True),
}
PLAIN = bojax.Space(RANGES)
SCHEDULED = bojax.Space(RANGES | schedules.searched("lr"))
POPULATION = {"interval": INTERVAL, "max_budget": EPOCHS}
CONTENDERS = {
    "pbt": (PLAIN, {"name": "pbt", **POPULATION}, MEMBERS),
    "pbt in turn": (PLAIN, {"name": "pbt", "judged": "in turn", **POPULATION}, MEMBERS),
    "pb2": (PLAIN, {"name": "pb2", **POPULATION}, MEMBERS),
    "fixed": (SCHEDULED, "full_budget", MEMBERS),
    "constant": (PLAIN, "full_budget", MEMBERS),
    "fixed x2": (SCHEDULED, "full_budget", 2 * MEMBERS),
}


def noisy(x, key):
    """Inputs as they are trained on: never twice the same, so that the last steps must be small."""
    return x + NOISE * jax.random.normal(key, x.shape)


def build(hp):
    return MLP(10, 64, depth=1, dropout=hp["dropout"])


def optimizer(hp):
    rate = schedules.of(hp, "lr") if "lr_schedule" in hp.choices else hp["lr"]
    return optax.chain(
        optax.add_decayed_weights(hp["decay"]),
        optax.trace(1.0 - hp["drag"]),
        optax.scale_by_learning_rate(rate),
    )


TASK = bojax.Task.linen(build, optimizer=optimizer, batch_size=32, augment=noisy)


def run(name: str, seed: int) -> dict:
    """Losses of the winner, validated and tested, and what was spent."""
    space, scheduler, members = CONTENDERS[name]
    x, y = load_digits(return_X_y=True)
    data = bojax.ArrayData(x, y, split=bojax.Holdout(1 / 3, 1 / 3, seed=seed), normalize=True)
    began = time.perf_counter()
    result = bojax.Sweep(
        TASK, space, data=data, strategy="random", scheduler=scheduler, max_budget=EPOCHS, seed=seed
    ).run(members)
    seconds, test, best = time.perf_counter() - began, result.test(), result.best
    alone = LocalExecutor(TASK, space, data, seed=seed, max_budget=EPOCHS)
    (last,) = alone.run([Job(best.id, 0, EPOCHS)], {best.id: best.config})
    return {
        "validation_loss": best.value, "last_alone": last.metrics["loss"],
        "test_loss": test["loss"],
        "test_accuracy": test["accuracy"], "epochs": result.spent,
        "stages": len(result.schedule().stages),
        "seconds": round(seconds, 2),
    }  # fmt: skip


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--contenders", nargs="+", default=list(CONTENDERS))
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--rows", default=FILE, help="none to write nothing")
    settings = parser.parse_args(arguments)
    rows, started = [], record.started()
    for seed in range(settings.first, settings.first + settings.seeds):
        begun = len(rows)
        for name in settings.contenders:
            found = run(name, seed)
            rows.append(
                {"run": started, "contender": name, "seed": seed, "members": MEMBERS,
                 "horizon": EPOCHS, "interval": INTERVAL, **found, **record.machine("optax")}
            )  # fmt: skip
            print(
                f"{seed:4} {name:>9}: loss {found['validation_loss']:.4f}, tested "
                f"{found['test_loss']:.4f}, accuracy {found['test_accuracy']:.4f}, "
                f"{found['stages']} stages, {found['seconds']:.0f} s",
                flush=True,
            )
        if settings.rows != "none":
            record.append(settings.rows, rows[begun:])
    if settings.rows != "none":
        rows = record.read(settings.rows)  # with those of earlier runs
    summary(rows)
    return rows


def summary(rows) -> None:
    """Means, and by how much each contender is above the first one, seed by seed."""
    names = list(dict.fromkeys(r["contender"] for r in rows))
    for column in ("validation_loss", "last_alone", "test_loss", "test_accuracy"):
        table = {(r["contender"], int(r["seed"])): float(r[column]) for r in rows}
        for name in names:
            seeds = [seed for one, seed in table if one == name and (names[0], seed) in table]
            mine = [table[name, seed] for seed in seeds]
            line = f"{column:>16} {name:>9}: {np.mean(mine):.4f} over {len(mine)} seeds"
            if name != names[0] and len(mine) > 1:
                first = [table[names[0], seed] for seed in seeds]
                line += f"; minus {names[0]}: {paired_bootstrap(mine, first)}"
            print(line)


if __name__ == "__main__":
    main()
