"""Fronts of several objectives: NSGA-II against Optuna's and against random search.

    make bench-env && python benchmarks/objectives.py
    python benchmarks/objectives.py --seeds 4 --peer path/to/python

ZDT1 and ZDT2 (Zitzler, Deb and Thiele, Evolutionary Computation 8, 2000) with six parameters, and
`mixed`: a logarithmic float, an integer, a category and a float that exists for one choice of it.
500 evaluations, populations of 50, ten seeds. What counts is the hypervolume of all results so far
up to a fixed reference point, larger is better. Optuna 5 (NSGAIISampler as it comes, RandomSampler)
runs in an environment of its own; where that is missing, bojax runs alone. Nothing is timed. Rows
are appended to benchmarks/rows/objectives.csv.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from pathlib import Path

import numpy as np

COLUMNS, EVALUATIONS, BATCH = 6, 500, 50
AT = (150, 300, EVALUATIONS)  # evaluations at which a front is measured
REFERENCES = {"zdt1": (1.1, 6.0), "zdt2": (1.1, 6.0), "mixed": (2.5, 2.5)}
SHAPES = {"zdt1": 0.5, "zdt2": 2.0}
CHOICES = ("a", "b", "d")


def zdt(xp, shape, first, others):
    """Two objectives `[..., 2]`; `others` on the last axis."""
    g = 1.0 + 9.0 * xp.mean(others, axis=-1)
    return xp.stack([first, g * (1.0 - (first / g) ** shape)], axis=-1)


def mixed(xp, x, n, code, m):
    """Two objectives `[..., 2]` of x, n, the code of a choice, and m where that is 0."""
    rate = xp.log10(x) / 4.0
    extra = xp.where(code == 0, 0.5 * (m - 0.8) ** 2, xp.where(code == 1, 0.15, 0.3))
    loss = (rate + 0.6) ** 2 + extra + 1.5 * xp.exp(-n / 8.0)
    return xp.stack(
        [loss, n / 40.0 + xp.where(code == 0, 0.5, 0.1 * code) + 0.5 * rate**2], axis=-1
    )


# ---------------------------------------------------------------------------------- Optuna's side


def of_optuna(name, sampler, seed):
    """Values of a run; of the package, in its own process."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    makers = {"nsga2": optuna.samplers.NSGAIISampler, "random": optuna.samplers.RandomSampler}
    study = optuna.create_study(directions=["minimize"] * 2, sampler=makers[sampler](seed=seed))

    def objective(trial):
        if name in SHAPES:
            x = np.array([trial.suggest_float(f"x{i}", 0.0, 1.0) for i in range(COLUMNS)])
            return tuple(map(float, zdt(np, SHAPES[name], x[0], x[1:])))
        x = trial.suggest_float("x", 1e-4, 1.0, log=True)
        n, code = (
            trial.suggest_int("n", 1, 40),
            CHOICES.index(trial.suggest_categorical("c", CHOICES)),
        )
        m = trial.suggest_float("m", 0.0, 1.0) if code == 0 else 0.0
        return tuple(map(float, mixed(np, x, float(n), code, m)))

    study.optimize(objective, n_trials=EVALUATIONS)
    return [trial.values for trial in study.trials]


def peer_main(seeds):
    """Of the process that has Optuna: a line of JSON a run."""
    import optuna

    for name in REFERENCES:
        for sampler in ("nsga2", "random"):
            for seed in range(seeds):
                told = {"problem": name, "contender": f"optuna {sampler}", "seed": seed}
                told |= {"values": of_optuna(name, sampler, seed), "version": optuna.__version__}
                print(json.dumps(told), flush=True)


def of_peer(python, seeds):
    """Runs of Optuna: `(problem, contender, seed, values, version)` each."""
    if not Path(python).exists():
        print(f"optuna is left out: {python} is missing")
        return
    command = [str(python), str(Path(__file__).resolve()), "--as-peer", "--seeds", str(seeds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    for line in done.stdout.splitlines():
        told = json.loads(line)
        values = np.array(told["values"])
        yield told["problem"], told["contender"], told["seed"], values, f"optuna {told['version']}"


# ---------------------------------------------------------------------------------- our side


def of_bojax(seeds):
    """Runs of bojax: `(problem, contender, seed, values, version)` each."""
    import jax
    import jax.numpy as jnp

    import bojax
    from bojax.space import table as tables

    boxes = bojax.Space({f"x{i}": bojax.Float(0.0, 1.0) for i in range(COLUMNS)})
    kinds = bojax.Space({
        "x": bojax.Float(1e-4, 1.0, log=True), "n": bojax.Int(1, 40),
        "c": bojax.Categorical(list(CHOICES)), "m": bojax.Float(0.0, 1.0, when={"c": "a"}),
    })  # fmt: skip

    def of_boxes(shape, key, rows):
        return zdt(jnp, shape, rows[:, 0], rows[:, 1:COLUMNS])

    def of_kinds(shape, key, rows):
        value = tables.natural(kinds.table, rows)
        return mixed(jnp, value[:, 0], value[:, 1], rows[:, 2], value[:, 3])

    strategies = {
        "bojax nsga2": bojax.strategies.nsga2(),
        "bojax nsga2 sbx": bojax.strategies.nsga2(crossover="sbx", mutation="polynomial"),
        "bojax random": bojax.strategies.random(),
    }
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(0), seeds)
        for contender, strategy in strategies.items():
            for names, space, evaluate in (
                (list(SHAPES), boxes, of_boxes), (["mixed"], kinds, of_kinds),
            ):  # fmt: skip

                def one(shape, key, strategy=strategy, space=space, evaluate=evaluate):
                    problem = bojax.loop.Problem(space.table, evaluate, shape)
                    return bojax.loop.run(
                        strategy, problem, key, evaluations=EVALUATIONS, batch=BATCH
                    )

                shapes = jnp.array([SHAPES.get(name, 0.0) for name in names])
                whole = jax.vmap(jax.vmap(one, (None, 0)), (0, None))
                history = jax.jit(whole)(shapes, keys)
                values = np.asarray(history.values)[:, :, :EVALUATIONS]
                for i, name in enumerate(names):
                    for seed in range(seeds):
                        yield name, contender, seed, values[i, seed], ""


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    below = Path(os.environ.get("BOJAX_BENCH_ENVS", ".bench"))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--peer", type=Path, default=below / "optuna" / "bin" / "python")
    parser.add_argument("--rows", type=Path)
    parser.add_argument("--as-peer", action="store_true", help=argparse.SUPPRESS)
    settings = parser.parse_args(arguments)
    if settings.as_peer:
        peer_main(settings.seeds)
        return []

    import record

    import bojax

    bojax.configure()
    run, rows = record.started(), []
    runs = [*of_peer(settings.peer, settings.seeds), *of_bojax(settings.seeds)]
    for problem, contender, seed, values, versions in runs:
        row = {"run": run, "problem": problem, "contender": contender, "seed": seed}
        for count in AT:
            volume = bojax.stats.hypervolume(values[:count], REFERENCES[problem])
            row[f"volume_{count}"] = round(volume, 6)
        rows.append({**row, "versions": versions, **record.machine()})
    record.append(settings.rows or record.ROWS / "objectives.csv", rows)
    for problem in REFERENCES:
        by = {}
        for row in rows:
            if row["problem"] == problem:
                by.setdefault(row["contender"], []).append(row)
        ours = np.array([row[f"volume_{EVALUATIONS}"] for row in by["bojax nsga2"]])
        for contender, its in by.items():
            means = [np.mean([row[f"volume_{count}"] for row in its]) for count in AT]
            text = f"{problem:6} {contender:16} " + " ".join(f"{mean:.4f}" for mean in means)
            if contender != "bojax nsga2" and settings.seeds > 1:
                theirs = np.array([row[f"volume_{EVALUATIONS}"] for row in its])
                gain = bojax.stats.mean_interval(ours - theirs)
                text += f"  bojax nsga2 ahead by {gain}"
            print(text)
    return rows


if __name__ == "__main__":
    main()
