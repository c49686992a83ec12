"""Part d: whole runs of ask, evaluate, tell: many in one program, or one after the other."""

from __future__ import annotations

import functools

import jax
import numpy as np

import bojax
from bojax.benchmark import problems
from bojax.optimize import over_batch
from speed_parts.rounds import Case, Clock, Contender, Measured

RUNS = 64
EVALUATIONS = 50
SINGLE, LOOPED = 4, 1  # runs a round of the loops, whose seconds a run are what is compared


def cases(peers, only=""):
    """One case; `objective` is the median regret of the runs that were measured."""
    sizes = {"n": EVALUATIONS, "d": 6, "runs": RUNS}
    contenders = [
        Contender("bojax, one program", batched(RUNS, EVALUATIONS)),
        Contender("bojax, a jitted run at a time", one_by_one),
        Contender("bojax, ask and tell", asked),
    ]
    if only in (name := f"a run of Hartmann-6, {EVALUATIONS} evaluations"):
        yield Case("d", name, contenders, sets=1, sizes=sizes)


@functools.cache
def _problem(door="loop"):
    """One for each door: JAX 0.10 gives an array that a float32 program closed over to a
    float64 one as float32, and both doors read the arrays of a problem's table."""
    return problems.hartmann6()


def final(evaluations, key):
    """Regret at the end of one run; pure."""
    problem = _problem()
    history = bojax.loop.run(bojax.strategies.gp(), problem, key, evaluations=evaluations)
    return bojax.loop.best_so_far(history)[evaluations - 1] - problem.optimum


@functools.cache
def program(runs, evaluations):
    """`keys [runs] -> regrets [runs]`, or of one key for `runs` None."""
    one = functools.partial(final, evaluations)
    return jax.jit(one if runs is None else over_batch(one))


def batched(runs, evaluations):
    """All runs in one program, in the way bojax maps a batch on this machine."""
    keys = jax.random.split(jax.random.key(0), runs)

    def measure(set_, round_):
        with Clock() as clock:
            found = np.asarray(program(runs, evaluations)(keys))
        return clock.measured(runs, objective=float(np.median(found)))

    return measure


def one_by_one(set_, round_) -> Measured:
    """A Python loop over the same pure function."""
    keys = jax.random.split(jax.random.key(0), RUNS)
    chosen = [keys[(round_ * SINGLE + i) % RUNS] for i in range(SINGLE)]
    with Clock() as clock:
        found = [float(program(None, EVALUATIONS)(key)) for key in chosen]
    return clock.measured(SINGLE, objective=float(np.median(found)))


def asked(set_, round_) -> Measured:
    """A Python loop over `Optimizer`, which computes in float64."""
    problem, found = _problem("ask"), []
    with Clock() as clock:
        for i in range(LOOPED):
            optimizer = bojax.Optimizer(problem.space, seed=max(0, round_) * LOOPED + i)
            for _ in range(EVALUATIONS):
                trial = optimizer.ask()
                optimizer.tell(trial, _value(trial.row))
            found.append(optimizer.best().value - float(problem.optimum))
    return clock.measured(LOOPED, objective=float(np.median(found)))


def _value(row) -> float:
    return float(_evaluate(np.asarray(row, np.float32)[None])[0])


@jax.jit
def _evaluate(rows):
    return _problem("ask").noise_free(rows)
