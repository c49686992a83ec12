"""A package with entry points is known by name, without a line in bojax."""

import importlib
import sys
import tomllib

import pytest

import bojax
from bojax import plugins
from tests.examples.conftest import EXAMPLES
from tests.sweep.conftest import SPACE, TASK, make_data


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The example as an installer leaves it: its module on the path, its metadata beside it."""
    folder = EXAMPLES / "own_strategy"
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    lines = []
    for group, entries in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())]
    info = tmp_path / "bojax_hill_climb-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 0.1\n"
    )
    (info / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(folder)
    importlib.invalidate_caches()
    yield folder
    sys.modules.pop("hill_climb", None)


def test_a_strategy_of_another_package_has_a_name(installed):
    assert plugins.names("bojax.strategies") == ("hill_climb",)
    found = bojax.minimize(
        lambda config: (config["x"] - 0.7) ** 2,
        {"x": bojax.Float(0, 1)},
        evaluations=30,
        strategy="hill_climb",
    )
    assert found.best().value < 1e-3
    with pytest.raises(ValueError, match=r"expected one of .*gp, .*hill_climb"):
        bojax.Optimizer({"x": bojax.Float(0, 1)}, strategy="hill_climbing")


def test_it_is_saved_and_loaded_by_its_name(installed, tmp_path):
    space = {"x": bojax.Float(0, 1)}
    strategy = bojax.strategies.by_name("hill_climb")
    optimizer = bojax.Optimizer(space, strategy=type(strategy)(step=0.3))
    optimizer.tell(optimizer.ask(), 1.0)
    optimizer.save(tmp_path / "run.json")
    again = bojax.Optimizer.load(tmp_path / "run.json")
    assert again.strategy == optimizer.strategy
    assert again.ask().config == optimizer.ask().config


def test_a_scheduler_of_another_package_has_a_name(installed):
    sweep = bojax.Sweep(
        TASK, SPACE, data=make_data(), strategy="random", scheduler="half_way", max_budget=4
    )
    assert {row.budget for row in sweep.plan(4).rows} == {2, 4}
    with pytest.raises(bojax.SchedulerError, match=r"expected one of .*half_way.*plateau"):
        bojax.schedulers.by_name("half")


def test_a_package_that_cannot_be_imported_is_named(installed, tmp_path):
    (tmp_path / "bojax_hill_climb-0.1.0.dist-info" / "entry_points.txt").write_text(
        "[bojax.strategies]\nbroken = no_such_module:x\n"
    )
    with pytest.raises(ImportError, match="'broken' is offered by 'no_such_module:x'"):
        bojax.strategies.by_name("broken")
