"""Part c: a suggestion with its fit, of one point and of batches, beside other libraries'."""

from __future__ import annotations

import functools

from speed_parts import engine
from speed_parts.data import observations
from speed_parts.rounds import Case, Clock, Contender, Measured

FEW = 2  # rounds of BoTorch's batch of 8, which takes a quarter of a minute


def cases(peers, only=""):
    """Of one point at n=100 d=6, then batches at n=200 d=20."""
    ours = functools.partial(suggest, 100, 6, 1), functools.partial(suggest_again, 100, 6)
    wanted = [
        ("fit and suggest 1, n=100 d=6", ours[0], {"optuna": "suggest", "botorch": "suggest"}),
        ("suggest 1 after one more result, n=100 d=6", ours[1], {"optuna": "again"}),
    ]
    for name, measure, others in wanted:
        if only in name:
            sizes = {"n": 100, "d": 6, "q": 1}
            foreigners = [foreign(peers, o, what, **sizes) for o, what in others.items()]
            contenders = [Contender("bojax", measure), *filter(None, foreigners)]
            yield Case("c", name, contenders, sizes=sizes)

    for q in (8, 64):
        if only in (name := f"fit and suggest {q}, n=200 d=20"):
            sizes = {"n": 200, "d": 20, "q": q}
            few = {"rounds": FEW, "warm": False}
            slow = foreign(peers, "botorch", "suggest", **sizes, **few) if q == 8 else None
            ours = Contender("bojax", functools.partial(suggest, 200, 20, q))
            yield Case("c", name, list(filter(None, [ours, slow])), sizes=sizes)


def improvement(number, n, d, batch):
    """The score, asked for when nobody counts what is compiled."""
    return functools.partial(engine.improvement, number, n, d, batch)


def suggest(n, d, q, set_, round_) -> Measured:
    """From observations alone: the model is fitted from all its starts."""
    rows, values = observations(set_, n, d)
    optimizer = engine.optimizer_with(rows, values, set_)
    with Clock() as clock:
        trials = optimizer.ask(q)
    return clock.measured(score=improvement(set_, n, d, engine.rows_of(trials)))


def suggest_again(n, d, set_, round_) -> Measured:
    """After a suggestion at one observation less, so that the fit starts from the last one."""
    rows, values = observations(set_, n, d)
    optimizer = engine.optimizer_with(rows[:-1], values[:-1], set_)
    optimizer.tell(optimizer.ask(), status="stale")
    engine.tell(optimizer, rows[-1], values[-1])
    with Clock() as clock:
        trials = optimizer.ask(1)
    return clock.measured(score=improvement(set_, n, d, engine.rows_of(trials)))


def foreign(peers, name, what, *, n, d, q, **settings) -> Contender | None:
    """A suggestion of another library; None if its environment is missing."""
    if not peers.has(name):
        return None

    def measure(set_, round_):
        rows, values = observations(set_, n, d)
        answer = peers.call(name, rows, values, what=what, q=q, seed=set_)
        score = improvement(set_, n, d, answer["rows"])
        spent = answer["seconds"], answer["processor"]
        return Measured(*spent, answer.get("evaluations"), score=score)

    return Contender(name, measure, versions=peers.versions(name), **settings)
