"""How seconds grow with observations, columns, batch and runs; bojax alone."""

from __future__ import annotations

import functools
from dataclasses import replace

import jax

import bojax
from bojax.surrogates import Data
from speed_parts import engine, runs, suggestions
from speed_parts.data import observations
from speed_parts.rounds import Case, Clock, Contender, Measured

OBSERVATIONS = (64, 128, 256, 512, 1024)  # capacities, so that no padding hides the growth
COLUMNS = (4, 8, 16, 32)  # size classes, for the same reason
BATCHES = (1, 2, 4, 8, 16, 32)
RUNS = (1, 2, 4, 8, 16)
STARTS = (1, 5, 17, 65)  # the default one among them
N, D = 128, 8  # where the others are varied
EVALUATIONS = 16  # of a run: enough for the model to be used


def cases(peers, only=""):
    """A case a kind of work and size."""
    for work, what, size, measure, sizes in _wanted():
        if only in (part := f"scaling {work} {what}"):
            yield Case(part, f"{what}={size}", [Contender("bojax", measure)], 1, sizes)


def _wanted():
    """Work, what varies, its size, how it is measured, and all sizes."""
    again, fresh = suggestions.suggest_again, suggestions.suggest
    for n in OBSERVATIONS:
        yield "refit", "n", n, functools.partial(refit, n, D), {"n": n, "d": D}
    for count in STARTS:
        yield "fit", "starts", count, functools.partial(fit, count), {"n": N, "d": D}
    for n in OBSERVATIONS[:4]:
        yield "suggest", "n", n, functools.partial(again, n, D), {"n": n, "d": D, "q": 1}
    for d in COLUMNS:
        yield "refit", "d", d, functools.partial(refit, N, d), {"n": N, "d": d}
    for d in COLUMNS:
        yield "suggest", "d", d, functools.partial(again, N, d), {"n": N, "d": d, "q": 1}
    for q in BATCHES:
        yield "suggest", "q", q, functools.partial(fresh, N, D, q), {"n": N, "d": D, "q": q}
    for count in RUNS:
        yield "runs", "runs", count, whole(count), {"n": EVALUATIONS, "d": 6, "runs": count}


def fit(starts, set_, round_) -> Measured:
    """Seconds of a full fit whose every start is searched from."""
    rows, values = observations(0, N, D)
    surrogate = bojax.surrogates.gp(screened=starts - 1, kept=starts - 1)
    with Clock() as clock:
        _, info = surrogate.fit(jax.random.key(0), Data(rows, values))
    return clock.measured(evaluations=int(info.evaluations), objective=float(info.objective))


def refit(n, d, set_, round_) -> Measured:
    """Seconds of an evaluation in a fit from one start, so that their number does not count."""
    rows, values = observations(set_, n, d)
    kernel, evidence, _ = engine.prepared(rows, values)
    start = engine.default_theta(kernel, evidence)
    with Clock() as clock:
        _, info = bojax.surrogates.gp().fit(jax.random.key(0), Data(rows, values), start)
    count = int(info.evaluations)
    return clock.measured(count, evaluations=count, objective=float(info.objective))


def whole(count):
    """Seconds of all runs of one program."""
    measure = runs.batched(count, EVALUATIONS)

    def together(set_, round_):
        found = measure(set_, round_)
        return replace(found, seconds=found.seconds * count, processor=found.processor * count)

    return together
