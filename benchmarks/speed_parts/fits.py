"""Part b: a fit through the public path beside other libraries', on the same data sets.

Others search from one start. So does "bojax, one start" (padded, through the host's door) and
"bojax, exact size" (the same compiled for the very shape of the data, as inside a program of
one's own). "bojax" is the default with its screened starts, "bojax, warm" refits a hundredth of
the data later than the last fit: with one more observation.
"""

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
    one = engine.evaluation(kernel, evidence)

    def ours(set_, round_, warm=None):
        rows, values = sets[set_]
        key = jax.random.key(set_)
        with Clock() as clock:
            _, info = bojax.surrogates.gp().fit(key, Data(rows, values), warm)
        count = int(info.evaluations)
        return clock.measured(
            evaluations=count,
            factorizations=count * one.calls["cholesky"],
            flops=count * one.flops,
            objective=float(info.objective),
        )

    def theirs(name, what="fit"):
        def measure(set_, round_):
            rows, values = sets[set_]
            answer = peers.call(name, rows, values, what=what, seed=set_)
            at = engine.objective_at(rows, values, answer["length_scale"], answer["noise"])
            spent = answer["seconds"], answer["processor"]
            return Measured(*spent, answer.get("evaluations"), objective=at)

        most = ROUNDS[name].get(n, 1000) if what == "fit" else 1
        called = name if what == "fit" else f"{name}, {what}"
        return Contender(called, measure, rounds=most, versions=peers.versions(name))

    def one_start(set_, round_):
        rows, values = sets[set_]
        key = jax.random.key(set_)
        with Clock() as clock:
            _, info = bojax.surrogates.gp(screened=0, kept=0).fit(key, Data(rows, values))
        return told(clock, info)

    def exact(set_, round_):
        rows, values = sets[set_]
        with jax.enable_x64(True), Clock() as clock:
            _, info = jax.block_until_ready(engine.exact_fit(rows, values))
        return told(clock, info)

    def told(clock, info):
        count = int(info.evaluations)
        return clock.measured(evaluations=count, objective=float(info.objective))

    before = [
        bojax.surrogates.gp().fit(jax.random.key(k), Data(rows[:-1], values[:-1]))[1].theta
        for k, (rows, values) in enumerate(sets)
    ]
    contenders = [
        Contender("bojax", ours),
        Contender("bojax, one start", one_start),
        Contender("bojax, exact size", exact),
        Contender("bojax, warm", lambda set_, round_: ours(set_, round_, before[set_])),
    ]
    contenders += [theirs(name) for name in ROUNDS if peers.has(name)]
    if peers.has("gpjax"):
        contenders.append(theirs("gpjax", "as it is"))
    return Case("b", name, contenders, sets=SETS, sizes={"n": n, "d": d})
