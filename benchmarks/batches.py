"""What a batch costs in regret, and how far apart its rows are.

    python benchmarks/batches.py            the reporting half, 5 seeds, 40 evaluations

For every batch rule of `strategies.gp`, batches of 1 and of 8 on the same instances and seeds. The
area is that under log10 of the normalised regret, floored at 1e-6 and lifted by 6 so that it is
positive: 1 is the median random point all along, 0 the optimum at once. Noisy values are judged
without their noise. Spread is the distance of a row to the nearest other of its batch, in the
unit cube, columns that do not exist left out, averaged. Rows: benchmarks/rows/batches.csv.
"""

from __future__ import annotations

import argparse
import time

import jax
import numpy as np
import record

import bojax
from bojax import stats
from bojax.benchmark import problems
from bojax.configuration import jit
from bojax.history import Status

FILE = record.ROWS / "batches.csv"
FLOOR = 6.0  # decades below the median random point that still count
RULES = ("fantasies", "thompson", "ucb_pe", "penalties")


def spread(space, rows) -> float:
    """Mean distance of each row of a batch `[q, D]` to its nearest neighbour in it."""
    rows = np.asarray(rows, float) / np.maximum(space.table.cardinality - 1, 1)
    apart = np.sqrt(((rows[:, None] - rows[None]) ** 2).sum(-1))
    np.fill_diagonal(apart, np.inf)
    return float(apart.min(axis=1).mean())


def traces(strategy, chosen, seeds, evaluations, batch):
    """`(problem, instance, seed) -> area, spread` of whole runs; one program a problem."""
    found = {}
    for name in sorted({p.name for p in chosen}):
        same = [p for p in chosen if p.name == name]

        def one(table, data, key, like=same[0]):
            problem = bojax.loop.Problem(table, like.evaluate, data, truth=like.truth)
            history = bojax.loop.run(strategy, problem, key, evaluations=evaluations, batch=batch)
            return history.rows, history.status, problem.noise_free(history.rows)

        program = jit(one)
        for number, problem in enumerate(same):
            low, scale = float(problem.optimum), float(problem.reference - problem.optimum)
            for seed in range(seeds):
                rows, status, values = map(
                    np.asarray, program(problem.table, problem.data, jax.random.key(seed))
                )
                kept = slice(0, evaluations)
                good = (status[kept] == Status.DONE) & np.isfinite(values[kept])
                best = np.minimum.accumulate(np.where(good, values[kept], np.inf))
                regret = np.maximum((best - low) / scale, 10.0**-FLOOR)
                area = float(np.mean((FLOOR + np.log10(np.minimum(regret, 10.0))) / FLOOR))
                blocks = [
                    spread(problem.space, rows[at : at + batch])
                    for at in range(batch, evaluations - batch + 1, batch)
                    if batch > 1
                ]
                found[name, number, seed] = area, float(np.mean(blocks)) if blocks else np.nan
    return found


def by_problem(areas) -> dict:
    """`(problem, instance) -> values of its seeds`, as the statistics take them."""
    kept: dict = {}
    for (name, number, _), (area, _) in areas.items():
        kept.setdefault((name, number), []).append(area)
    return {key: np.array(values) for key, values in kept.items()}


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--evaluations", type=int, default=40)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rules", nargs="*", choices=RULES, default=list(RULES))
    parser.add_argument("--half", choices=problems.HALVES, default="reporting")
    settings = parser.parse_args(arguments)
    chosen = problems.standard(settings.half)
    rows, began = [], time.monotonic()
    single = traces(bojax.strategies.gp(), chosen, settings.seeds, settings.evaluations, 1)
    runs = {("single", 1): single}
    for rule in settings.rules:
        strategy = bojax.strategies.gp(batch=rule)
        runs[rule, settings.batch] = traces(
            strategy, chosen, settings.seeds, settings.evaluations, settings.batch
        )
    run, about = record.started(), record.machine()
    names = "problem", "instance", "seed"
    for (rule, batch), areas in runs.items():
        rows += [
            {
                "run": run, "rule": rule, "batch": batch, "evaluations": settings.evaluations,
                **dict(zip(names, key, strict=True)), "area": area, "spread": apart, **about,
            }
            for key, (area, apart) in areas.items()
        ]  # fmt: skip
        mine = np.array([area for area, _ in areas.values()])
        alone = np.array([single[key][0] for key in areas])
        said = f"{rule:10s} q={batch} area {mine.mean():.3f}, {mine.mean() / alone.mean():.3f} x"
        if batch > 1:
            difference = stats.bootstrap_over_problems(by_problem(areas), by_problem(single))
            apart = np.nanmean([apart for _, apart in areas.values()])
            said += f", difference {difference}, nearest in the batch {apart:.3f}"
        print(said, flush=True)
    print(f"{time.monotonic() - began:.0f} s")
    record.append(FILE, rows)


if __name__ == "__main__":
    main()
