"""What each choice of the strategy `gp` is worth, on the tuning half.

    python benchmarks/ablation.py                       every variant, 5 seeds, 40 evaluations
    python benchmarks/ablation.py --only rbf "no warp"
    python benchmarks/ablation.py --only "fantasies 16" --batch 4

Each variant changes one thing about the default. Same instances, same seeds, same noise: the
differences of the log10 regret at the end, and of its mean over the run, are paired, with
bootstrap intervals over problems and instances. Problems are shifted at random, so nothing
gains from the centre of the box. Traces are kept in build/ablation.csv, so that what is current
is not run again; the table goes to benchmarks/rows/ablation.csv.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import record

import bojax
from bojax import stats
from bojax.benchmark import compare_strategies, problems

FILE = record.ROWS / "ablation.csv"
STORE = Path("build/ablation.csv")
gp, model_based = bojax.strategies.gp, bojax.strategies.model_based


def variants():
    """Name -> strategy; the first is the default."""
    return {
        "default": gp(),
        "rbf": gp(kernel="rbf"),
        "matern32": gp(kernel="matern32"),
        "no warp": gp(warp="none"),
        "rbf, no warp": gp(kernel="rbf", warp="none"),
        "rbf, conditional": gp(kernel="rbf", conditional=True),
        "rbf, initial 10": gp(kernel="rbf", initial=10),
        "recipe bojax": gp(recipe="bojax"),
        "recipe optuna": gp(recipe="optuna"),
        "recipe botorch-legacy": gp(recipe="botorch-legacy"),
        "conditional": gp(conditional=True),
        "initial 3": gp(initial=3),
        "initial 10": gp(initial=10),
        "candidates 1536": gp(candidates=1536, local=512),
        "fantasies 16": gp(fantasies=16),
        "one mode, model-based": model_based(warp="half_rank"),
        "four modes": model_based(bojax.surrogates.gp(ensemble=4), warp="half_rank"),
        "slice": model_based(
            bojax.surrogates.bayesian_gp(
                prior="bojax", sampler="slice", warm_up=32, samples=64, thin=8
            ),
            warp="half_rank",
        ),
        "no screening": replace(gp(), surrogate=replace(gp().surrogate, screened=0, kept=0)),
    }


def regrets(traces, method):
    """log10 regret by instance, at the end and on average: `{(problem, instance): [seeds]}`."""
    last: dict[tuple[str, int], list[float]] = {}
    area: dict[tuple[str, int], list[float]] = {}
    for trace in sorted(traces, key=lambda t: (t.problem, t.instance, t.seed)):
        if trace.method != method:
            continue
        best = np.minimum.accumulate(np.nan_to_num(trace.values, nan=np.inf))
        logs = stats.log_regret((best - trace.optimum) / (trace.reference - trace.optimum))
        last.setdefault((trace.problem, trace.instance), []).append(float(logs[-1]))
        area.setdefault((trace.problem, trace.instance), []).append(float(np.mean(logs)))
    return last, area


def lines(traces, names):
    """A row a variant and family: paired differences from the default, with intervals."""
    families = {trace.problem: trace.family for trace in traces}
    groups = ["all", *dict.fromkeys(families.values())]
    base = regrets(traces, "default")
    for name in names:
        mine = regrets(traces, name)
        for group in groups:
            row = {"variant": name, "family": group}
            for what, a, b in zip(("last", "area"), mine, base, strict=True):
                a = {k: v for k, v in a.items() if group in ("all", families[k[0]])}
                b = {k: b[k] for k in a}
                row[f"{what}_log_regret"] = float(np.mean([np.mean(v) for v in a.values()]))
                gap = stats.bootstrap_over_problems(a, b) if name != "default" else None
                for part in ("mean", "low", "high"):
                    row[f"{what}_{part}"] = "" if gap is None else round(getattr(gap, part), 4)
                row[f"{what}_log_regret"] = round(row[f"{what}_log_regret"], 4)
            yield row


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--evaluations", type=int, default=40)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--only", nargs="+", help="variants, besides the default")
    parser.add_argument("--half", default="tuning", choices=problems.HALVES)
    parser.add_argument("--rows", type=Path, default=FILE)
    settings = parser.parse_args(arguments)
    bojax.configure(cpu_devices="cores")
    chosen = {
        name: strategy
        for name, strategy in variants().items()
        if settings.only is None or name in {"default", *settings.only}
    }
    STORE.parent.mkdir(exist_ok=True)
    run, began, found = record.started(), time.monotonic(), []
    for name, strategy in chosen.items():
        result = compare_strategies(
            {name: strategy}, problems.standard(settings.half), seeds=settings.seeds,
            evaluations=settings.evaluations, batch=settings.batch, store=STORE,
        )  # fmt: skip
        found += result.traces
        told = list(lines(found, [name]))
        settled = {"run": run, "half": settings.half, "seeds": settings.seeds}
        settled |= {"evaluations": settings.evaluations, "batch": settings.batch}
        record.append(settings.rows, [{**settled, **row, **record.machine()} for row in told])
        print(f"{time.monotonic() - began:6.0f} s | {name}", flush=True)
        for row in told:
            gap = "" if row["last_mean"] == "" else (
                f"last {row['last_mean']:+.3f} [{row['last_low']:+.3f}, {row['last_high']:+.3f}]  "
                f"area {row['area_mean']:+.3f} [{row['area_low']:+.3f}, {row['area_high']:+.3f}]"
            )  # fmt: skip
            print(f"     {row['family']:12} {row['last_log_regret']:.3f}  {gap}", flush=True)


if __name__ == "__main__":
    main()
