"""Successive halving, beside training everything to the end."""

from __future__ import annotations

import bojax
from bojax.training import clear_programs

from . import LR, digits, in_turn
from .folds import TASK


def measure(rounds, tiny, folder):
    """Seconds of sweeps without a store: 128 trials, 32 after 1 epoch, 8 after 4, 16 at most.

    Random suggestions, an MLP 64-64-64-10, batch 32. The floor is the share of the epochs, which
    is `value` of one over the other.
    """
    trials, most = (8, 4) if tiny else (128, 16)
    data = digits()

    def sweep(scheduler, **settings):
        clear_programs()
        result = bojax.Sweep(
            TASK, bojax.Space(LR), data=data, strategy="random", scheduler=scheduler,
            max_budget=most, **settings,
        ).run(trials)  # fmt: skip
        return {"value": result.spent, "unit": "epochs", "compile_seconds": result.compile_seconds,
                "seconds": result.seconds - result.compile_seconds}  # fmt: skip

    return in_turn(
        "halving",
        rounds,
        {
            "halving": lambda: sweep("successive_halving", eta=4, bracket=trials),
            "to the end": lambda: sweep("full_budget"),
        },
    )
