"""Optuna's bookkeeping of trials that cost nothing: ask and tell with SQLite, random sampler."""

import os
import tempfile
import time

import optuna

ENVIRONMENT = "optuna"
PACKAGES = ("optuna", "sqlalchemy")
optuna.logging.set_verbosity(optuna.logging.WARNING)


def fit_predict(rows, values, test_rows, trials=100):
    """Not a prediction: seconds of a loop over `trials`, the study's creation not included."""
    with tempfile.TemporaryDirectory() as folder:
        study = optuna.create_study(
            storage="sqlite:///" + os.path.join(folder, "a.db"),
            sampler=optuna.samplers.RandomSampler(seed=0),
        )
        began = time.perf_counter()
        for _ in range(trials):
            trial = study.ask()
            x = [trial.suggest_float(f"x{i}", 0.0, 1.0) for i in range(5)]
            study.tell(trial, sum(x))
        return {"seconds": time.perf_counter() - began}
