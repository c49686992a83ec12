"""Part b: a fit through the public path beside other libraries', on the same data sets."""

from __future__ import annotations

import jax

import bojax
from bojax.surrogates import Data
from speed_parts import engine
from speed_parts.data import observations
from speed_parts.rounds import Case, Clock, Contender, Measured

SIZES = ((50, 6), (100, 6), (200, 20))
SETS = 5
# The slow ones run fewer rounds, at least ten fits of a size in all.
ROUNDS = {
    "botorch": {50: 2, 100: 2, 200: 2},
    "sklearn": {200: 2},
    "gpjax": {200: 3},
}


def cases(peers, only=""):
    """A case a size."""
    for n, d in SIZES:
        if only in (name := f"fit, n={n} d={d}"):
            yield case(peers, name, n, d)


def case(peers, name, n, d) -> Case:
    sets = [observations(number, n, d) for number in range(SETS)]
    kernel, evidence, _ = engine.prepared(*sets[0])
    one, start = engine.evaluation(kernel, evidence), engine.default_theta(kernel, evidence)

    def ours(warm):
        def measure(set_, round_):
            rows, values = sets[set_]
            key = jax.random.key(set_)
            with Clock() as clock:
                _, info = bojax.surrogates.gp().fit(key, Data(rows, values), warm)
            count = int(info.evaluations)
            return clock.measured(
                evaluations=count,
                factorizations=count * one.calls["cholesky"] + 1,  # the posterior's
                flops=count * one.flops,
                objective=float(info.objective),
            )

        return measure

    def theirs(name):
        def measure(set_, round_):
            rows, values = sets[set_]
            answer = peers.call(name, rows, values, what="fit", seed=set_)
            at = engine.objective_at(rows, values, answer["length_scale"], answer["noise"])
            spent = answer["seconds"], answer["processor"]
            return Measured(*spent, answer.get("evaluations"), objective=at)

        most = ROUNDS[name].get(n, 1000)
        return Contender(name, measure, rounds=most, versions=peers.versions(name))

    contenders = [Contender("bojax", ours(None)), Contender("bojax, one start", ours(start))]
    contenders += [theirs(name) for name in ROUNDS if peers.has(name)]
    return Case("b", name, contenders, sets=SETS, sizes={"n": n, "d": d})
