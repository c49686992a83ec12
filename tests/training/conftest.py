"""One small problem for all training tests, so that its programs are compiled once."""

from types import SimpleNamespace

import numpy as np
import pytest
from flax import linen

import bojax
from bojax.history import Job
from bojax.training import LocalExecutor
from bojax.training.models import MLP
from bojax.training.optimizers import fused
from bojax.training.schedules import schedule_for

SPACE = bojax.Space(
    {
        "lr": bojax.Float(1e-4, 1e2, log=True),
        "weight_decay": bojax.Float(1e-6, 1.0, log=True),
        "dropout": bojax.Float(0.0, 0.9),
        "width": bojax.Int(4, 16),
        "depth": bojax.Int(1, 2),
        "batch_size": bojax.Ordinal([16, 32]),
        "optimizer": bojax.Categorical(["momentum", "adamw"]),
        "momentum": bojax.Float(0.0, 0.99, when={"optimizer": "momentum"}),
        "schedule": bojax.Categorical(["constant", "cosine"]),
    }
)


def build(hp):
    return MLP(
        outputs=3,
        width=hp["width"],
        max_width=hp.ceiling["width"],
        depth=hp["depth"],
        max_depth=hp.ceiling["depth"],
        dropout=hp["dropout"],
        activation="tanh",
    )


def optimizer(hp):
    kinds = hp.choices["schedule"]
    return fused(
        hp["optimizer"],
        schedule_for(hp["schedule"], base=hp["lr"], horizon=hp.steps, kinds=kinds),
        weight_decay=hp["weight_decay"],
        momentum=hp["momentum"],
        epsilon=1e-5,
        kinds=hp.choices["optimizer"],
    )


def configuration(i, **changes):
    generator = np.random.default_rng(i)
    config = {
        "lr": float(10 ** generator.uniform(-3, -2)),
        "weight_decay": 1e-3,
        "dropout": float(generator.uniform(0.0, 0.5)),
        "width": int(generator.integers(9, 17)),
        "depth": int(generator.integers(1, 3)),
        "batch_size": 16,
        "optimizer": ["momentum", "adamw"][i % 2],
        "momentum": 0.9,
        "schedule": ["constant", "cosine"][i // 2 % 2],
    } | changes
    if config["optimizer"] != "momentum":
        del config["momentum"]
    return config


def data(seed=0):
    generator = np.random.default_rng(seed)
    y = np.arange(150) % 3
    x = generator.normal(size=(150, 5)) + generator.normal(size=(3, 5))[y]
    return bojax.ArrayData(x, y, normalize=True)


def executor(**settings):
    given = {"seed": 7, "max_budget": 9, "chunk": 2, "slots": 8}
    task = bojax.Task.linen(build, optimizer=optimizer, padded=["width"])
    return LocalExecutor(task, SPACE, settings.pop("data", None) or data(), **given | settings)


TINY = bojax.Space({"lr": bojax.Float(1e-3, 1.0, log=True), "batch_size": bojax.Ordinal([16, 32])})


def tiny(**settings):
    """An executor of a linear model, quick to compile."""
    task = bojax.Task.linen(lambda hp: linen.Dense(3), optimizer=sgd, metrics=())
    return LocalExecutor(task, TINY, data(), max_budget=9, chunk=2, slots=8, **settings)


def sgd(hp):
    return fused("sgd", hp["lr"])


def jobs(trials, start, stop):
    return [Job(trial, start, stop) for trial in trials]


def leaves(executor, trials):
    """States of these trials, in their order, whatever bucket they are in."""
    found = []
    for trial in trials:
        arrays, _ = executor.state_arrays([trial])
        found.append({name: leaf[0] for name, leaf in arrays.items()})
    return found


def same_bits(one, other):
    return all(
        a.keys() == b.keys() and all(a[n].tobytes() == b[n].tobytes() for n in a)
        for a, b in zip(one, other, strict=True)
    )


@pytest.fixture(scope="session")
def small():
    """The problem's space, task, data, and short ways to run it."""
    return SimpleNamespace(
        space=SPACE,
        task=bojax.Task.linen(build, optimizer=optimizer, padded=["width"]),
        data=data,
        executor=executor,
        tiny=tiny,
        configuration=configuration,
        configurations=lambda n, **changes: {i: configuration(i, **changes) for i in range(n)},
        jobs=jobs,
        leaves=leaves,
        same_bits=same_bits,
    )
