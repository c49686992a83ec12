"""Traces of other libraries' methods on the standard problems, kept so that they run once.

    make bench-env                        # their environments, once
    python benchmarks/peers.py            # what is missing of the reporting half

Each method runs in its own process and environment, with its own defaults (the adapters in
bojax/benchmark/peers say which), on the problems, instances and seeds of `make bench`. Its
traces go to benchmarks/traces/<method>.csv as its runs end; a run found there is not
repeated, so an interrupted call goes on where it stopped. Seed by seed over all methods, so
that what there is can be compared at any time. Hours for everything.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bojax.benchmark import PeerError, compare_strategies, foreign, problems

TRACES = Path(__file__).parent / "traces"
# method: adapter, settings, and how many seeds are affordable (None: all)
METHODS = {
    "optuna-tpe": ("optuna", {"sampler": "tpe"}, None),
    "optuna4-tpe": ("optuna", {"sampler": "tpe", "environment": "optuna4"}, None),
    "optuna-cmaes": ("optuna", {"sampler": "cmaes"}, None),
    "optuna-gp": ("optuna", {"sampler": "gp"}, None),
    "hyperoptax": ("hyperoptax", {}, None),
    "botorch": ("botorch", {}, None),
    "ax": ("ax", {}, None),
    "hebo": ("hebo", {}, 2),
}


def show(trace, done, total, left):
    state = trace.failure[:70] or f"{len(trace.values)} evaluations"
    print(
        f"  {done}/{total} {trace.problem}/{trace.instance} seed {trace.seed}: {state}", flush=True
    )


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=list(METHODS))
    parser.add_argument("--half", choices=problems.HALVES, default="reporting")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--instances", type=int, default=None, help="of each problem; all")
    parser.add_argument("--evaluations", type=int, default=40)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds of one suggestion")
    parser.add_argument("--traces", type=Path, default=TRACES)
    settings = parser.parse_args(arguments)
    chosen = problems.standard(settings.half, instances=settings.instances)
    for seed in range(settings.seeds):
        for method in settings.methods:
            adapter, own, most = METHODS[method]
            if most is not None and seed >= most:
                continue
            try:
                peer = foreign(adapter, timeout=settings.timeout, label=method, **own)
            except PeerError as error:
                print(f"{method}: left out: {error}", flush=True)
                continue
            print(f"{method}, seed {seed}", flush=True)
            compare_strategies(
                {method: peer},
                chosen,
                seeds=[seed],
                evaluations=settings.evaluations,
                batch=settings.batch,
                workers=settings.workers,
                store=settings.traces / f"{method}.csv",
                on_trace=show,
            )


if __name__ == "__main__":
    main()
