"""Part a: value and gradient of the Gaussian process's objective beside the floor."""

from __future__ import annotations

import floor
import jax
import numpy as np

from speed_parts import engine
from speed_parts.data import observations
from speed_parts.rounds import Case, Clock, Contender, Measured

SIZES = (
    *((n, 6) for n in (64, 128, 256, 512, 1024, 2048)),
    *((n, 20) for n in (64, 128, 256, 512)),
)
LEAST = 0.02  # seconds a measurement lasts at least: so many evaluations at once
FEWEST = 4  # evaluations in one program, as in a fit: a call pays for its memory anew
SPREAD = 0.3  # log units, of the thetas around the start


def cases(peers, only=""):
    """A case a size; contenders are bojax inside one program, one call of it, and the floor."""
    for n, d in SIZES:
        name = f"value and gradient, n={n} d={d}"
        if only in name:
            yield case(name, n, d)


def case(name, n, d) -> Case:
    rows, values = observations(0, n, d)
    kernel, evidence, _ = engine.prepared(rows, values)
    start = engine.default_theta(kernel, evidence)
    repeats = max(FEWEST, round(LEAST / (2e-10 * n**3 + 1e-4)))
    draw = np.random.default_rng(0).normal(size=(repeats, len(start)))
    thetas = start + SPREAD * draw
    one, limit = engine.evaluation(kernel, evidence), floor.Floor(n, d)
    work = {"evaluations": 1, "factorizations": one.calls["cholesky"], "flops": one.flops}

    def inside(set_, round_):
        with jax.enable_x64(True), Clock() as clock:
            found, _ = jax.block_until_ready(engine.several(thetas, kernel, evidence))
        return clock.measured(repeats, **work, objective=float(found[-1]))

    def alone(set_, round_):
        with jax.enable_x64(True), Clock() as clock:
            for theta in thetas:
                found, _ = jax.block_until_ready(one.alone(theta, kernel, evidence))
        return clock.measured(repeats, **work, objective=float(found))

    def least(set_, round_):
        return Measured(*limit.seconds(LEAST), 1, 1, floor.flops(n, d))

    return Case(
        "a",
        name,
        [Contender("bojax", inside), Contender("bojax, a call", alone), Contender("floor", least)],
        sets=1,
        sizes={"n": n, "d": d},
    )
