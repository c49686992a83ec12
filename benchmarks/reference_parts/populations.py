"""PBT beside the paper's algorithm 1, on noisy quadratics whose best rate falls as they train.

M. Jaderberg et al., "Population based training of neural networks", arXiv 1711.09846, written
down here from the paper, in two orders: members in turn, each of which compares itself with what is
known of the others by then, as in the paper, or all of an interval together, as Ray has it with
`synch=True`. Settings are the same on both sides: truncation, factors 1.2 and 0.8; a fifth and no
fresh draws (the paper), or a quarter and a fresh draw in four (Ray's defaults). These are different
methods: in turn a replaced member stands in the ranking with its donor's loss, so that the next who
trains falls behind, and 16 of 20 are replaced an interval instead of 5. Ours has both orders
(`judged`), in turn after all have trained: 9 of 20.

A member is heavy-ball descent, rate and drag searched, on 0.5 sum(h x^2) with gradients under
noise. Far away a large rate is best; close by, what a rate leaves is proportional to it. The loss
of the population's best after the last step counts.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import bojax
from bojax.coordinate import Coordinator
from bojax.history import Report, Status

from . import Pair

MEMBERS, INTERVALS, STEPS = 20, 40, 10
SPACE = {"rate": (1e-5, 1.0), "drag": (0.01, 1.0)}
TASKS = {  # curvatures, and noise of a gradient
    "even, noise 1": (np.ones(10), 1.0),
    "condition 10, noise 1": (np.logspace(0, 1, 10), 1.0),
    "condition 100, noise 1": (np.logspace(0, 2, 10), 1.0),
    "condition 100, noise 0.1": (np.logspace(0, 2, 10), 0.1),
}
START = 10.0  # every coordinate
FACTORS = (1.2, 0.8)
RECIPES = {"paper": (0.2, 0.0), "ray": (0.25, 0.25)}  # quantile, probability of a fresh draw


def trained(task: str, state, rate: float, drag: float, rng):
    """Place and velocity after an interval, and the loss there."""
    curvature, noise = TASKS[task]
    place, velocity = state
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(STEPS):
            gradient = curvature * place + noise * rng.standard_normal(len(place))
            velocity = (1.0 - drag) * velocity - rate * gradient
            place = place + velocity
        loss = 0.5 * float(np.sum(curvature * place**2))
    return (place, velocity), loss if np.isfinite(loss) and loss < 1e30 else np.inf


def fresh(task: str):
    place = np.full(len(TASKS[task][0]), START)
    return place, np.zeros_like(place)


class Quadratics:
    """The task behind the executor's protocol."""

    kept = ()

    def __init__(self, task: str, seed: int):
        self.task, self.seed, self.states = task, seed, {}

    def run(self, jobs, configs):
        before, reports = dict(self.states), []
        for job in jobs:
            state = before.get(job.trial if job.clone_of is None else job.clone_of)
            rng = np.random.default_rng([self.seed, job.trial, int(job.stop)])
            self.states[job.trial], loss = trained(
                self.task, state or fresh(self.task), **configs[job.trial], rng=rng
            )
            status = Status.DONE if np.isfinite(loss) else Status.FAILED
            reports.append(Report(job.trial, job.stop, {"loss": loss}, status))
        return reports

    def keep(self, trials):
        pass  # states are small


def ours(task: str, seed: int, quantile: float, resample: float, judged: str) -> float:
    space = {name: bojax.Float(*ends, log=True) for name, ends in SPACE.items()}
    scheduler = bojax.schedulers.pbt(
        max_budget=INTERVALS, quantile=quantile, factors=FACTORS, resample=resample,
        judged=judged, trials=MEMBERS,
    )  # fmt: skip
    run = Coordinator(
        bojax.Space(space).with_fidelity("intervals", 1, INTERVALS), bojax.strategies.random(),
        scheduler, Quadratics(task, seed), metric="loss", seed=seed,
    )  # fmt: skip
    run.run()
    return float(run.best.value)


def algorithm_1(task: str, seed: int, quantile: float, resample: float, *, together: bool) -> float:
    """The paper's; `together`, members are judged when all have trained, by what held then."""
    rng = np.random.default_rng([17, seed])
    low, high = np.log(np.array(list(SPACE.values()))).T
    chosen = rng.uniform(low, high, (MEMBERS, len(SPACE)))  # logs of h
    states, performance = [fresh(task) for _ in range(MEMBERS)], np.full(MEMBERS, np.nan)

    def exploited(i):
        """State, hyperparameters and performance of member i afterwards."""
        order = np.argsort(performance, kind="stable")[: np.sum(~np.isnan(performance))]
        cut = int(quantile * len(order))
        if not cut or i not in order[-cut:]:
            return states[i], chosen[i], performance[i]
        j = rng.choice(order[:cut])  # truncation selection
        moved = chosen[j] + np.log(rng.choice(FACTORS, len(SPACE)))  # explore
        anew = rng.random(len(SPACE)) < resample
        moved = np.where(anew, rng.uniform(low, high), moved)
        return states[j], np.clip(moved, low, high), performance[j]

    for t in range(INTERVALS):
        for i in range(MEMBERS):
            states[i], performance[i] = trained(task, states[i], *np.exp(chosen[i]), rng=rng)
            if not together and t + 1 < INTERVALS:
                states[i], chosen[i], performance[i] = exploited(i)
        if together and t + 1 < INTERVALS:
            after = [exploited(i) for i in range(MEMBERS)]
            states, chosen = [a[0] for a in after], np.array([a[1] for a in after])
    return float(np.min(performance))


def pbt(seeds: int, few: bool) -> Iterator[Pair]:
    """Both recipes, in both orders."""
    budget = MEMBERS * INTERVALS * STEPS
    orders = {"together": "algorithm 1, all together", "in turn": "algorithm 1, in turn"}
    for recipe, settings in RECIPES.items():
        for task in list(TASKS)[: 1 if few else None]:
            for seed in range(seeds):
                own = seed + 1000 * list(TASKS).index(task)  # else tasks shared their draws
                for judged, reference in orders.items():
                    mine = ours(task, own, *settings, judged)
                    theirs = algorithm_1(task, own, *settings, together=judged == "together")
                    yield Pair(
                        "pbt", f"pbt({recipe}'s settings)", reference, task, 0, seed, budget,
                        "final loss", mine, theirs, "",
                    )  # fmt: skip
