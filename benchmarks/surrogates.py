"""Surrogates of bojax and of other libraries on the same splits of the same data.

    python benchmarks/surrogates.py

Gaussian processes of bojax (two kernels at their best mode, an ensemble of modes, sampled
hyperparameters), scikit-learn's Bayesian ridge regression as the least there is
to beat, and every shipped adapter that has `fit_predict` and whose environment is installed
(`make bench-env`), each in a process of its own. Data: diabetes, Friedman's three functions,
and uniform samples of two problems of the reporting half, one of them noisy. All processes
share one core and take turns; the surrogates' settings are the defaults of their libraries.

The run can be interrupted and started again: rows are kept in build/surrogates.csv, and added
to benchmarks/rows/surrogates.csv when all are there. Without HEBO's it took 23 minutes at a
load average of 4 to 9 on two cores.

How to read the seconds: `fit_seconds` are warm, so bojax's leave out what it compiles, nine
tenths of what it took here (`compile_seconds`), while GPJax's recipe compiles at every fit and
its seconds include that. Scores are of recipes, not of libraries: GPJax's starts at a length
scale of 0.1 and on ten inputs mostly stays at the mean.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict
from pathlib import Path

if hasattr(os, "sched_setaffinity"):  # before anything counts the cores; children inherit it
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import record

import bojax
from bojax.benchmark import PeerError, foreign, problems
from bojax.benchmark import _datasets as datasets
from bojax.benchmark._foreign import SHIPPED
from bojax.benchmark._surrogates import compare_surrogates

FILE = record.ROWS / "surrogates.csv"
STORE = Path("build/surrogates.csv")
OURS = "bojax matern52"
SCORES = ("nrmse", "log_density", "crps")


class Ridge:
    """Bayesian linear regression; scikit-learn's standard deviation includes the noise."""

    def fit(self, key, data):
        from sklearn.linear_model import BayesianRidge

        self.model = BayesianRidge().fit(data.rows, data.values)
        return self, None

    def mean_and_variance(self, rows):
        mean, deviation = self.model.predict(rows, return_std=True)
        return mean, deviation**2


def contenders(only=None):
    """Name -> surrogate, of those that are installed."""
    found = {
        OURS: bojax.surrogates.gp(),
        "bojax rbf": bojax.surrogates.gp(kernel="rbf"),
        "bojax ensemble": bojax.surrogates.gp(ensemble=3),
        "bojax slice": bojax.surrogates.bayesian_gp(prior="bojax", sampler="slice"),
        "bojax saas": bojax.surrogates.bayesian_gp(prior="saas"),
        "bojax forest": bojax.surrogates.forest(),
        "bojax deep ensemble": bojax.surrogates.deep_ensemble(),
        "bojax last layer": bojax.surrogates.last_layer(),
        "linear": Ridge(),
    }
    for path in sorted(SHIPPED.glob("*.py")):
        if "\ndef fit_predict(" in path.read_text():
            try:
                peer = foreign(path.stem, threads=1, timeout=60.0)
                peer.versions()  # an environment may be there and not work
                found[path.stem] = peer
            except PeerError as error:
                print(f"left out: {error}")
    return {name: one for name, one in found.items() if only is None or name in only}


def sets():
    """The data sets."""
    return [
        datasets.diabetes(),
        datasets.friedman1(),
        datasets.friedman2(),
        datasets.friedman3(),
        datasets.from_problem(problems.hartmann6(instance=1)),
        datasets.from_problem(problems.branin(instance=1, noise=0.1)),
    ]


def told(row, done, total, left):
    """A line every now and then, and one a failure."""
    if row.failure:
        print(f"  {row.surrogate}, {row.dataset}, n={row.n}, split {row.split}: {row.failure}")
    if done % 50 == 0 or done == total:
        print(f"{done} of {total} runs, {left / 60:.1f} min left", flush=True)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--sizes", type=int, nargs="+", default=[20, 100])
    parser.add_argument("--only", nargs="+", help="names of surrogates")
    parser.add_argument("--store", type=Path, default=STORE)
    parser.add_argument("--rows", type=Path, default=FILE)
    settings = parser.parse_args(arguments)
    compared = compare_surrogates(
        contenders(settings.only),
        sets(),
        settings.splits,
        sizes=settings.sizes,
        isolated=True,
        store=settings.store,
        on_row=told,
    )
    record.append(settings.rows, [asdict(row) for row in compared.rows])
    print(compared.table())
    print(f"\n{OURS} less the other, mean of all sizes, and the share of runs it is better in:")
    for name in compared.surrogates:
        if name != OURS and OURS in compared.surrogates:
            for score in SCORES:
                gain = compared.gain(OURS, name, score)
                wins = compared.wins(OURS, name, score)
                print(f"  {name:14} {score:12} {gain!s:32} {wins}")


if __name__ == "__main__":
    main()
