"""`bojax sweep`: what it prints, and how it fails."""

import textwrap

import pytest
from typer.testing import CliRunner

from bojax.cli import app

FILE = """
    import numpy as np, optax, bojax
    from bojax.training.models import MLP

    TRIALS = 6
    DEFAULT = {"lr": 0.1}
    SPACE = bojax.Space({"lr": bojax.Float(1e-3, 1.0, log=True)})

    def build(hp):
        return MLP(2, 4, depth=1)

    def optimizer(hp):
        return optax.sgd(hp["lr"])

    TASK = bojax.Task.linen(build, optimizer=optimizer, batch_size=32)

    def sweep(**settings):
        x = np.random.default_rng(0).normal(size=(120, 3))
        data = bojax.ArrayData(x, (x[:, 0] > 0).astype(int))
        options = {"data": data, "strategy": "sobol", "max_budget": 3, "bracket": 3}
        return bojax.Sweep(TASK, SPACE, **(options | settings))
"""


@pytest.fixture
def call(tmp_path, monkeypatch):
    """`call(*arguments)` runs the command line in an empty folder that has `task.py`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "task.py").write_text(textwrap.dedent(FILE))
    runner = CliRunner()
    return lambda *arguments: runner.invoke(app, [*arguments])


def test_prints_plan_progress_tables_and_writes_a_picture(call, tmp_path):
    result = call("sweep", "task.py", "--store", "a.db", "--no-progress", "--no-cache")
    assert result.exit_code == 0, result.output
    text = result.output
    plan, rung = text.index("bracket  rung"), text.index("3 members to 1 epochs")
    assert plan < rung < text.index("best configurations") < text.index("test part, looked at")
    assert "programs compiled" in text and "suggestions" in text
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    for method in ("default", "random", "bojax"):
        assert f"{method}-0:" in text


def test_several_splits_are_compared_with_intervals(call):
    result = call("sweep", "task.py", "--store", "a.db", "--splits", "3", "--no-cache")
    assert result.exit_code == 0, result.output
    assert "3 paired splits" in result.output and "of 3" in result.output


def test_resume_of_a_finished_run_says_so_and_keeps_the_test_part_shut(call):
    arguments = ("sweep", "task.py", "--store", "a.db", "--no-cache")
    first = call(*arguments)
    second = call(*arguments, "--resume")
    assert second.exit_code == 0, second.output
    assert "resumed with 6 trials" in second.output
    assert "was used already" in second.output and "was used already" not in first.output


def test_a_run_that_exists_is_not_overwritten(call):
    arguments = ("sweep", "task.py", "--store", "a.db", "--no-cache")
    call(*arguments)
    again = call(*arguments)
    assert again.exit_code == 2 and "--resume on the command line" in again.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("sweep", "none.py"), "none.py: no such file"),
        (("sweep", "empty.py"), "defines no function sweep"),
        (("sweep", "task.py", "--resume"), "--resume: needs --store"),
        (("sweep", "task.py", "--store", "garbage.db"), "garbage.db"),
    ],
)
def test_errors_are_one_line_and_exit_2(call, tmp_path, arguments, words):
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "garbage.db").write_text("this is no database, whatever its name is" * 100)
    result = call(*arguments, "--no-cache")
    assert result.exit_code == 2
    assert words in result.output and "Traceback" not in result.output
