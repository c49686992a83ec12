"""Cross-validation: folds as members, beside as many plain members."""

from __future__ import annotations

import bojax
from bojax.training.models import MLP

from . import adam, digits, in_turn, population, rates

FOLDS = 10


def build(hp):
    return MLP(10, 64, 2)


TASK = bojax.Task.linen(build, optimizer=adam, batch_size=32)


def measure(rounds, tiny, folder):
    """Seconds of 32 configurations in 10 folds, and of 320 configurations without folds.

    An MLP 64-64-64-10, batch 32, 20 epochs; 1,293 or 1,294 examples to train on in all of them,
    so the same arithmetic: the floor is a ratio of 1.
    """
    trials, epochs = (1, 1) if tiny else (32, 20)
    folds, plain = digits(bojax.CrossValidation(FOLDS)), digits(bojax.Holdout(validation=0.08))
    configs = rates(FOLDS * trials)
    return in_turn(
        "folds",
        rounds,
        {
            "folds": lambda: population(TASK, folds, configs[:trials], epochs),
            "plain": lambda: population(TASK, plain, configs, epochs),
        },
    )
