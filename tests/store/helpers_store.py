"""What the tests of the store share: a run, histories, processes to kill."""

import os
import subprocess
import sys

import numpy as np

from bojax.history import Report, Run, Status, Trial, empty_history

RUN = Run(id="digits", space={"x": [0, 1]}, objectives={"loss": "minimize"}, seed=7)


def history_with(trials, capacity=64, value=0.5):
    """A history with a line for each of so many trials."""
    history = empty_history(capacity, columns=4)
    for i in range(trials):
        history.trial[i], history.status[i] = i, Status.DONE
        history.rows[i], history.values[i] = i / 7, value
    return history


def trial(number, **known):
    return Trial(id=number, config={"x": number}, row=np.full(4, 0.1 * number), **known)


def report(number, budget, loss=0.5):
    return Report(trial=number, budget=budget, metrics={"loss": loss}, values=(loss,))


def python(code, *arguments, fault=""):
    """Start Python on a program text, with a fault to die of."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"BOJAX_FAULT": fault, "JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
