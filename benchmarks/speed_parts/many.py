"""Part e: 1,024 small fits in one program, and one of 2,000 lines with its predictions."""

from __future__ import annotations

import jax
import numpy as np

import bojax
from bojax.surrogates import Data
from speed_parts.data import observations
from speed_parts.rounds import Case, Clock, Contender, Measured

FITS, SMALL = 1024, (64, 6)
LARGE, ASKED = (2000, 10), 1000
ROUNDS = {"botorch": 1, "gpjax": 1}  # minutes each


def cases(peers, only=""):
    """Seconds of a small fit among many, and of a large one; its score is the density."""
    for made in (_small, _large):
        case = made(peers)
        if only in case.name:
            yield case


def _small(peers) -> Case:
    n, d = SMALL
    sets = [observations(number, n, d) for number in range(FITS)]
    data = Data(np.stack([rows for rows, _ in sets]), np.stack([values for _, values in sets]))
    surrogate = bojax.surrogates.gp(screened=0, kept=0)

    def together(set_, round_):
        with Clock() as clock:
            _, info = bojax.surrogates.fit_batch(surrogate, jax.random.key(0), data)
        mean = float(np.mean(info.evaluations))
        return clock.measured(FITS, evaluations=round(mean), objective=float(info.objective[0]))

    def one_by_one(set_, round_):
        some = sets[:32]
        with Clock() as clock:
            for rows, values in some:
                surrogate.fit(jax.random.key(0), Data(rows, values))
        return clock.measured(len(some))

    def theirs(name):
        def measure(set_, round_):
            answers = [peers.call(name, *sets[k], what="fit", seed=k) for k in range(4)]
            seconds = [sum(a[what] for a in answers) / 4 for what in ("seconds", "processor")]
            return Measured(*seconds)

        return Contender(name, measure, rounds=3, versions=peers.versions(name))

    contenders = [Contender("bojax, one program", together)]
    contenders += [Contender("bojax, one fit at a time", one_by_one)]
    contenders += [theirs(name) for name in ("sklearn",) if peers.has(name)]
    return Case("e", f"one of {FITS} fits, n={n} d={d}", contenders, sizes={"n": n, "d": d})


def _large(peers) -> Case:
    n, d = LARGE
    rows, values = observations(0, n + ASKED, d)
    draw = np.random.default_rng(0).permutation(n + ASKED)
    rows, values = rows[draw], values[draw]
    seen, asked = (rows[:n], values[:n]), (rows[n:], values[n:])

    def density(mean, variance):
        rest = asked[1] - np.asarray(mean)
        each = -0.5 * (rest**2 / variance + np.log(2.0 * np.pi * np.asarray(variance)))
        return float(each.mean())

    def ours(surrogate):
        def measure(set_, round_):
            with Clock() as clock:
                posterior, info = surrogate.fit(jax.random.key(0), Data(*seen))
                mean, variance = posterior.mean_and_variance(asked[0])
            noise = float(posterior.noise) * float(posterior.scale) ** 2
            return clock.measured(
                evaluations=int(info.evaluations),
                objective=float(info.objective),
                score=density(mean, variance + noise),
            )

        return measure

    def theirs(name):
        def measure(set_, round_):
            answer = peers.call(name, *seen, asked[0], what="predict", seed=0)
            return Measured(
                answer["seconds"],
                answer["processor"],
                answer.get("evaluations"),
                score=density(answer["mean"], np.asarray(answer["variance"])),
            )

        most = ROUNDS[name]
        return Contender(
            name, measure, rounds=most, warm=name == "gpjax", versions=peers.versions(name)
        )

    one = bojax.surrogates.gp(screened=0, kept=0)
    contenders = [
        Contender("bojax, one start", ours(one), rounds=3),
        Contender("bojax", ours(bojax.surrogates.gp()), rounds=3),
    ]
    contenders += [theirs(name) for name in ROUNDS if peers.has(name)]
    return Case(
        "e", f"fit and {ASKED} predictions, n={n} d={d}", contenders, sizes={"n": n, "d": d}
    )
