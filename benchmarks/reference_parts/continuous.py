"""Strategies: TPE beside Optuna, CMA-ES beside cmaes, differential evolution beside SciPy.

TPE runs on the reporting half; Optuna's side are its stored traces, and for seeds that they lack
runs in its own environment, where that is there. The others run on eight functions of the BBOB
test bed in eight dimensions, searched as the unit cube, on both sides from the same settings:

- CMA-ES: mean 0.5, step 1/6, bounds, ten rows a generation, 80 generations.
- Differential evolution: 64 members from Sobol points, F and CR 0.5, a whole generation at a time,
  40 generations; SciPy without its polishing and its stopping.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np

import bojax
from bojax.benchmark import PeerError, compare_strategies, foreign, problems, read_traces
from bojax.benchmark.problems._bbob import evaluate_on_host

from . import Pair

TRACES = Path(__file__).parents[1] / "traces"
FLOOR = 1e-9  # of a regret: beyond, the optimum's own digits are the difference
FUNCTIONS = (1, 2, 8, 10, 14, 15, 17, 21)  # five of one valley, three of many
D = 8  # a size class: a row has no unused column
POPSIZE, GENERATIONS = 10, 80  # of CMA-ES, 4 + floor(3 ln D)
MEMBERS, BRED = 64, 40
TPE_EVALUATIONS = 40
RECIPES = {"optuna-5": ("optuna-tpe", None), "optuna-4": ("optuna4-tpe", "optuna4")}


def regret(values, optimum, reference) -> float:
    """Best of some values: 1 is the median random point, 0 the optimum."""
    return max((np.nanmin(values) - optimum) / (reference - optimum), FLOOR)


def show(trace, done, total, left):
    print(f"\r{trace.method}: {done}/{total} runs, {left:.0f} s left ", end="", flush=True)


# ---------------------------------------------------------------------------------- TPE


def tpe(seeds: int, few: bool) -> Iterator[Pair]:
    """Both recipes, paired with the Optuna they are named after."""
    chosen = problems.standard("reporting", instances=1 if few else None)
    for recipe, (label, environment) in RECIPES.items():
        theirs = _of_optuna(label, environment, chosen, seeds)
        ours = compare_strategies(
            {label: bojax.strategies.tpe(recipe=recipe)}, chosen, seeds=seeds,
            evaluations=TPE_EVALUATIONS, precision="float64", on_trace=show,
        )  # fmt: skip
        for trace in ours.traces:
            other = theirs.get(trace.key)
            if other is None or other.failure:
                continue
            yield Pair(
                "tpe", f"tpe({recipe})", label, trace.problem, trace.instance, trace.seed,
                TPE_EVALUATIONS, "regret",
                *(regret(t.values, t.optimum, t.reference) for t in (trace, other)),
                next(part for part in other.versions.split(", ") if part.startswith("optuna")),
            )  # fmt: skip


def _of_optuna(label, environment, chosen, seeds):
    """Stored traces, and runs of the seeds that are not stored."""
    found = {trace.key: trace for trace in read_traces([TRACES / f"{label}.csv"])}
    missing = sorted(set(range(seeds)) - {key[3] for key in found})
    try:
        more = {"environment": environment} if environment else {}
        peer = foreign("optuna", label=label, sampler="tpe", **more)
    except PeerError as error:
        print(f"{label}: stored seeds alone: {error}")
        missing = []
    if missing:
        run = compare_strategies(
            {label: peer}, chosen, seeds=missing, evaluations=TPE_EVALUATIONS, on_trace=show
        )
        found |= {trace.key: trace for trace in run.traces}
    return found


# ---------------------------------------------------------------------------------- CMA-ES


def cmaes(seeds: int, few: bool) -> Iterator[Pair]:
    """The full and the separable covariance, beside those of the package cmaes."""
    import cmaes as package

    kinds = {False: ("cmaes", package.CMA), True: ("cmaes(separable=True)", package.SepCMA)}
    for separable, (method, kind) in kinds.items():

        def reference(problem, seed, kind=kind):
            optimizer = kind(
                mean=np.full(D, 0.5), sigma=1 / 6, bounds=np.tile([0.0, 1.0], (D, 1)),
                population_size=POPSIZE, seed=seed,
            )  # fmt: skip
            values = []
            for _ in range(GENERATIONS):
                rows = np.array([optimizer.ask() for _ in range(POPSIZE)])
                new = evaluate_on_host(problem.data, rows)
                optimizer.tell(list(zip(rows, map(float, new), strict=True)))
                values.extend(new)
            return values

        strategy = bojax.strategies.cmaes(separable=separable, popsize=POPSIZE)
        versions = f"cmaes {version('cmaes')}"
        yield from _on_boxes(
            "cmaes", method, strategy, f"cmaes.{kind.__name__}", reference,
            seeds, few, POPSIZE, GENERATIONS, versions,
        )  # fmt: skip


# ---------------------------------------------------------------------------------- DE


def de(seeds: int, few: bool) -> Iterator[Pair]:
    """Two variants, beside SciPy's of the same name."""
    from scipy.optimize import differential_evolution

    for variant in ("rand1bin", "best1bin"):

        def reference(problem, seed, variant=variant):
            values = []

            def objective(columns):
                new = evaluate_on_host(problem.data, columns.T)
                values.extend(new)
                return new

            differential_evolution(
                objective, [(0.0, 1.0)] * D, strategy=variant, popsize=MEMBERS // D, mutation=0.5,
                recombination=0.5, maxiter=BRED - 1, tol=0.0, atol=0.0, polish=False, init="sobol",
                updating="deferred", vectorized=True, rng=seed,
            )  # fmt: skip
            assert len(values) == MEMBERS * BRED, len(values)
            return values

        strategy = bojax.strategies.de(popsize=MEMBERS, variant=variant)
        versions = f"scipy {version('scipy')}"
        yield from _on_boxes(
            "de", f"de({variant})", strategy, "scipy differential_evolution", reference,
            seeds, few, MEMBERS, BRED, versions,
        )  # fmt: skip


def _on_boxes(
    part, method, strategy, name, reference, seeds, few, batch, generations, versions
) -> Iterator[Pair]:  # fmt: skip
    """Ours as one program, the reference run by run."""
    chosen = [problems.bbob(function, D) for function in FUNCTIONS[: 2 if few else None]]
    ours = compare_strategies(
        {method: strategy}, chosen, seeds=seeds, evaluations=batch * generations, batch=batch,
        precision="float64", on_trace=show,
    )  # fmt: skip
    by_name = {problem.name: problem for problem in chosen}
    for trace in ours.traces:
        # Another stream for each problem, as ours has: else pairs of one seed were no two pairs.
        seed = zlib.crc32(f"{trace.problem}/{trace.seed}".encode())
        values = reference(by_name[trace.problem], seed)
        yield Pair(
            part, method, name, trace.problem, trace.instance, trace.seed, batch * generations,
            "regret", regret(trace.values, trace.optimum, trace.reference),
            regret(values, trace.optimum, trace.reference), versions,
        )  # fmt: skip
