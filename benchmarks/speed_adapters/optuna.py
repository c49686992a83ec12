"""Optuna's suggestion, timed inside its own process: `GPSampler`, noise learned as in bojax.

With greenlet installed its starts are searched together, without it one after the other,
four times slower.
"""

import time
import warnings

import optuna

ENVIRONMENT = "optuna"
PACKAGES = ("optuna", "torch", "greenlet")
optuna.logging.set_verbosity(optuna.logging.WARNING)
warnings.simplefilter("ignore")


def fit_predict(rows, values, test_rows, what="suggest", q=1, seed=0):
    """Not a prediction: seconds of the first suggestion, or "again" of one more result's."""
    sampler = optuna.samplers.GPSampler(seed=seed, deterministic_objective=False)
    study = optuna.create_study(sampler=sampler)
    space = {f"x{i}": optuna.distributions.FloatDistribution(0, 1) for i in range(len(rows[0]))}

    def tell(row, value):
        trial = optuna.trial.create_trial(
            params=dict(zip(space, row, strict=True)), distributions=space, value=value
        )
        study.add_trial(trial)

    first = len(rows) - (what == "again")
    for row, value in zip(rows[:first], values[:first], strict=True):
        tell(row, value)
    began = time.perf_counter(), time.process_time()
    trial = study.ask(space)
    ended = time.perf_counter(), time.process_time()
    if what == "again":
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
        tell(rows[-1], values[-1])
        began = time.perf_counter(), time.process_time()
        trial = study.ask(space)
        ended = time.perf_counter(), time.process_time()
    return {
        "seconds": ended[0] - began[0],
        "processor": ended[1] - began[1],
        "rows": [[trial.params[name] for name in space]],
    }
