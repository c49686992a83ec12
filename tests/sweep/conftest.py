"""A sweep small enough to run many times: one program a kind, shared by all tests."""

import numpy as np
import optax
import pytest

import bojax
from bojax.training.models import MLP


def build(hp):
    return MLP(3, 8, depth=1, dropout=hp["dropout"])


def optimizer(hp):
    return optax.sgd(hp["lr"])


TASK = bojax.Task.linen(build, optimizer=optimizer, batch_size=32)
SPACE = bojax.Space({"lr": bojax.Float(1e-3, 1.0, log=True), "dropout": bojax.Float(0.0, 0.5)})


def make_data(seed=0):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(200, 4))
    return bojax.ArrayData(x, np.argmax(x[:, :3], axis=1), split=bojax.Holdout(0.25, 0.25))


@pytest.fixture
def small():
    """`small(**settings)` is a Sweep of the small task."""

    def make(**settings):
        options = {"data": make_data(), "bracket": 9}
        if "method" not in settings:
            options |= {"strategy": "random", "max_budget": 9}
        return bojax.Sweep(TASK, SPACE, **(options | settings))

    return make


@pytest.fixture
def table():
    """What two runs must share: everything about the trials but seconds."""

    def of(result):
        return [
            (t.id, t.config, t.status, t.values, t.fidelity, t.curve, t.source)
            for t in result.trials
        ]

    return of
