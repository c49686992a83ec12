"""A sweep over shapes: few shared programs, beside a program a shape and a jit a trial."""

from __future__ import annotations

import time

import numpy as np
import optax

import bojax
from bojax.history import Job
from bojax.training import LocalExecutor, clear_programs
from bojax.training.models import MLP
from bojax.training.optimizers import fused

from . import LR, Loop, digits, row

SPACE = bojax.Space(
    {
        **LR,
        "width": bojax.Ordinal([24, 32, 48, 64, 96, 128]),
        "depth": bojax.Int(1, 3),
        "optimizer": bojax.Categorical(["momentum", "adam", "rmsprop"]),
        "batch_size": bojax.Ordinal([32, 64, 128]),
    }
)
SHAPE = ("width", "depth", "optimizer", "batch_size")
RULES = {
    "momentum": lambda lr: optax.sgd(lr, momentum=0.9),
    "adam": optax.adam,
    "rmsprop": optax.rmsprop,
}


def shared(hp):
    return MLP(10, hp["width"], hp["depth"], max_width=hp.ceiling["width"],
               max_depth=hp.ceiling["depth"])  # fmt: skip


def shared_rule(hp):
    return fused(hp["optimizer"], hp["lr"], kinds=hp.choices["optimizer"])


def exact(hp):
    return MLP(10, hp["width"], hp["depth"])


def exact_rule(hp):
    return RULES[hp["optimizer"]](hp["lr"])


SHARED = bojax.Task.linen(shared, optimizer=shared_rule, padded=["width"])
EXACT = bojax.Task.linen(exact, optimizer=exact_rule, static=list(SHAPE))


def sweep(data, trials, most):
    """Successive halving over all shapes by few programs: the result."""
    clear_programs()
    return bojax.Sweep(
        SHARED, SPACE, data=data, strategy="random", max_budget=most, eta=4, bracket=trials
    ).run(trials)


def one_shape(data, trials, most):
    """Seconds running and compiling of the trials of one shape in an executor of their own.

    In chunks of 2, as a shape has few trials; each trains as long as it did in the sweep.
    """
    clear_programs()
    began = time.perf_counter()
    executor = LocalExecutor(EXACT, SPACE, data, max_budget=most, chunk=2)
    jobs = [Job(trial.id, 0, int(trial.fidelity)) for trial in trials]
    executor.run(jobs, {trial.id: trial.config for trial in trials})
    seconds = time.perf_counter() - began
    return seconds - executor.compile_seconds, executor.compile_seconds


def one_trial(data, trial):
    """Seconds running, compiling the step, and compiling the start and the score."""
    config = trial.config
    own = Loop(
        MLP(10, config["width"], config["depth"]), RULES[config["optimizer"]], data,
        config["batch_size"], rate=config["lr"],
    )  # fmt: skip
    seconds = own.train(config["lr"], int(trial.fidelity), trial.id)
    step = own.compiling.pop("step")
    return seconds, step, sum(own.compiling.values())


def measure(rounds, tiny, folder):
    """Seconds of 256 trials, halving 256, 64, 16 at 1, 4, 16 epochs; random suggestions.

    Beside it, extrapolated from samples: every distinct shape (width, depth, optimizer, batch
    size) compiled alone and trained as a small population, from 6 shapes; and a loop with a new
    jit a trial, start and score compiled once for each (width, depth), from 4 trials of each rung.
    Both give each trial the epochs it had in the sweep; running is extrapolated by epochs, or
    from the trials of a rung, compiling by shapes, or trials and networks. The floor of compiling
    is one train program for each width in powers of two and each batch size.
    """
    trials, most, sampled, of_rung = (4, 4, 1, 1) if tiny else (256, 16, 6, 4)
    data, rows = digits(), []
    for round_ in range(rounds):
        result = sweep(data, trials, most)
        draw = np.random.default_rng(round_)
        shapes: dict[tuple, list] = {}
        for trial in result.trials:
            shapes.setdefault(tuple(trial.config[name] for name in SHAPE), []).append(trial)
        networks = len({shape[:2] for shape in shapes})
        rows.append(
            row("mixed", "sweep", round_, value=len(result.programs), unit="programs",
                seconds=result.seconds - result.compile_seconds,
                compile_seconds=result.compile_seconds, case=f"{len(shapes)} shapes")
        )  # fmt: skip
        chosen = [list(shapes.values())[i] for i in draw.permutation(len(shapes))[:sampled]]
        running, compiling = np.sum([one_shape(data, own, most) for own in chosen], axis=0)
        epochs = sum(trial.fidelity for own in chosen for trial in own)
        rows.append(
            row("mixed", "a program a shape", round_, value=len(chosen), unit="shapes timed",
                seconds=running * result.spent / epochs,
                compile_seconds=compiling * len(shapes) / len(chosen),
                case=f"{len(shapes)} shapes")
        )  # fmt: skip
        steps, ends, running = [], [], 0.0
        for budget in sorted({trial.fidelity for trial in result.trials}):
            alike = [trial for trial in result.trials if trial.fidelity == budget]
            some = [alike[i] for i in draw.permutation(len(alike))[:of_rung]]
            found = np.array([one_trial(data, trial) for trial in some])
            running += found[:, 0].mean() * len(alike)
            steps += found[:, 1].tolist()
            ends += found[:, 2].tolist()
        rows.append(
            row("mixed", "a jit a trial", round_, value=len(steps), unit="trials timed",
                seconds=running,
                compile_seconds=np.mean(steps) * trials + np.mean(ends) * networks,
                case=f"{len(shapes)} shapes")
        )  # fmt: skip
    return rows
