"""`bojax bench`: what it runs, prints, keeps and says when something is wrong."""

import textwrap
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from typer.testing import CliRunner

import bojax
from bojax import cli, console
from bojax.benchmark import Doubled, Trace, problems, read_traces
from bojax.benchmark._surrogate_rows import read_rows
from bojax.cli import app
from bojax.history import TAGS
from bojax.strategies import Info

SPACE = bojax.Space({"x": bojax.Float(-1, 1)})


def bowl(data, key, rows):
    return (rows[:, 0] - data.astype(rows.dtype)) ** 2


def small(half=None, *, instances=None):
    """Two instances of one cheap problem in place of the standard set."""
    made = [
        bojax.loop.Problem(SPACE.table, bowl, jnp.float32(where), optimum=0.0, name=name,
                           space=SPACE, reference=0.1)
        for name in ("bowl", "dish") for where in (0.2, 0.6)
    ]  # fmt: skip
    return [p for i, p in enumerate(made) if instances is None or i % 2 < instances]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Uniform:
    """Random search that compiles in no time: it looks at nothing."""

    width: Any = 1.0

    def init(self, table, sizes):
        return jnp.int32(0)

    def ask(self, state, history, key, q, given=None, wanted=None):
        key, shape = jax.random.fold_in(key, state), (q, history.rows.shape[1])
        rows = jax.random.uniform(key, shape, history.rows.dtype)
        return state + wanted, rows, Info(jnp.zeros((q, TAGS), jnp.int32), rows, jnp.ones(q, bool))

    def tell(self, state, history):
        return state


class Line:
    """Linear regression: a surrogate that compiles nothing."""

    noise = 1.0

    def __init__(self, kernel):
        self.ridge = {"matern52": 1e-3, "rbf": 1.0}.get(kernel)
        if self.ridge is None:
            raise ValueError(f"gp: kernel must be one of matern52, rbf, got {kernel!r}.")

    def fit(self, key, data):
        x = np.c_[data.rows, np.ones(len(data.rows))]
        self.weights = np.linalg.solve(x.T @ x + self.ridge * np.eye(x.shape[1]), x.T @ data.values)
        return self, None

    def mean_and_variance(self, rows):
        mean = np.c_[rows, np.ones(len(rows))] @ self.weights
        return mean, np.full(len(rows), 4.0)


@pytest.fixture
def call(tmp_path, monkeypatch):
    """`call(*arguments)` runs `bojax bench` in an empty folder, on problems that cost nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(problems, "standard", small)
    for name in ("gp", "random", "sobol"):
        monkeypatch.setitem(bojax.strategies.NAMES, name, Uniform)
    monkeypatch.setattr(bojax.surrogates, "gp", lambda *, kernel: Line(kernel))
    runner = CliRunner()
    return lambda *arguments: runner.invoke(app, ["bench", *arguments])


REGRET = ("regret", "--seeds", "2", "--evaluations", "4", "--no-cache", "--no-progress",
          "--method", "random", "--method", "sobol")  # fmt: skip


# ------------------------------------------------------------------ regret


def test_regret_runs_keeps_rows_prints_and_draws(call, tmp_path):
    result = call(*REGRET, "--picture", "new/a.png")
    assert result.exit_code == 0, result.output
    text = result.output
    assert "4 instances of the tuning half, 2 methods, 2 seeds: 16 runs of 4 evaluations" in text
    assert text.index("16 of 16 runs") < text.index("loses: ") < text.index("regret after 4 eval")
    assert "random wins" in text and "programs compiled" in text
    traces = read_traces([tmp_path / "runs" / "regret.csv"])
    assert len(traces) == 16 and {t.method for t in traces} == {"random", "sobol"}
    assert (tmp_path / "new" / "a.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def asked(monkeypatch):
    """What the comparison is asked for, in place of running it."""
    found = {}

    def compare(strategies, chosen, **settings):
        found.update(settings, methods=list(strategies), problems=[p.name for p in chosen])
        raise bojax.ConfigError("stopped here")

    monkeypatch.setattr("bojax.benchmark.compare_strategies", compare)
    return found


def test_settings_reach_the_runs(call, asked):
    call("regret", "--method", "sobol", "--problem", "dish", "--instances", "1", "--seeds", "3",
         "--evaluations", "6", "--batch", "2", "--rows", "b.csv", "--jobs", "7",
         "--no-cache")  # fmt: skip
    asked.pop("on_trace")
    assert str(asked.pop("store")) == "b.csv"
    assert asked == {"methods": ["sobol"], "problems": ["dish"], "seeds": 3, "evaluations": 6,
                     "batch": 2, "workers": 7}  # fmt: skip


def test_without_a_choice_it_is_what_the_help_says(call, asked):
    call("regret", "--no-cache")
    assert asked["methods"] == ["gp", "random", "sobol"]
    assert (asked["seeds"], asked["evaluations"], asked["batch"]) == (5, 40, 1)
    assert asked["workers"] is None and str(asked["store"]) == "runs/regret.csv"


def test_an_interrupted_comparison_goes_on(call, tmp_path, monkeypatch):
    seen = console.RunWatch.trace

    def stop(self, trace, done, total, left):
        if done == 5:
            raise KeyboardInterrupt
        seen(self, trace, done, total, left)

    monkeypatch.setattr(console.RunWatch, "trace", stop)
    first = call(*REGRET)
    assert first.exit_code == 130
    assert "Finished runs are in runs/regret.csv; the same command goes on." in first.output
    kept = read_traces([tmp_path / "runs" / "regret.csv"])
    assert 5 <= len(kept) < 16
    monkeypatch.setattr(console.RunWatch, "trace", seen)
    second = call(*REGRET)
    assert second.exit_code == 0, second.output
    after = read_traces([tmp_path / "runs" / "regret.csv"])
    assert len(after) == 16 and after[: len(kept)] == kept


def test_a_finished_comparison_runs_nothing_and_says_the_same(call):
    first, second = call(*REGRET), call(*REGRET)
    assert "programs compiled: 0 " in second.output
    # All but the seconds, of which a file keeps four digits.
    cells = [
        [[c.strip() for c in line.split("│")][:-2] for line in r.output.splitlines() if "│" in line]
        for r in (first, second)
    ]
    assert cells[0] == cells[1] and len(cells[0]) == 2 and cells[0][0][1] == "random"


ADAPTER = """
    class Middle:
        def ask(self, q):
            return [{"x": 0.0}] * q
        def tell(self, configs, values):
            if FAILS:
                raise RuntimeError("out of ideas")

    def make(space, seed, evaluations):
        return Middle()
"""


@pytest.mark.parametrize("fails", [False, True])
def test_an_adapter_of_ones_own_takes_part(call, tmp_path, fails):
    text = f"FAILS = {fails}\n" + textwrap.dedent(ADAPTER)
    (tmp_path / "middle.py").write_text(text)
    result = call(*REGRET, "--against", "middle.py", "--jobs", "1", "--problem", "bowl")
    assert result.exit_code == 0, result.output
    traces = [t for t in read_traces([tmp_path / "runs" / "regret.csv"]) if "middle" in t.method]
    assert len(traces) == 4
    assert all(bool(t.failure) == fails for t in traces)
    assert ("not complete: middle" in result.output) == fails
    assert ("out of ideas" in result.output) == fails
    assert fails or {round(t.values[0], 6) for t in traces} == {0.09, 0.01}  # from the middle


def test_names_of_strategies():
    for name in bojax.strategies.NAMES:
        assert type(cli._strategy(name)) is type(bojax.strategies.by_name(name))
        twice = cli._strategy(f"{name}-x2")
        assert isinstance(twice, Doubled) and type(twice.strategy) is type(cli._strategy(name))


def test_names_of_other_libraries(monkeypatch):
    asked, limit = [], {"timeout": 9.0}

    def foreign(name, **settings):
        asked.append((name, settings))

    monkeypatch.setattr("bojax.benchmark.foreign", foreign)
    for name in ("botorch", "optuna-gp", "optuna4-tpe", "a/b-c.py"):
        cli._peer(name, 9.0)
    assert asked == [
        ("botorch", limit),
        ("optuna", {"environment": "optuna", "sampler": "gp", "label": "optuna-gp"} | limit),
        ("optuna", {"environment": "optuna4", "sampler": "tpe", "label": "optuna4-tpe"} | limit),
        ("a/b-c.py", limit),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("regret", "--method", "best"),
            "--method best: unknown; expected one of cmaes, coarse",
        ),
        (("regret", "--problem", "hill"), "--problem hill: not in the tuning half, which has bowl"),
        (("regret", "--against", "nobody"), "nobody: no such adapter; shipped: "),
        (("regret", "--rows", "garbage.csv"), "garbage.csv: is no file of traces"),
        (("surrogates", "--kernel", "best"), "--kernel: gp: kernel must be one of"),
        (("surrogates", "--data", "hill"), "--data hill: unknown; expected one of diabetes"),
        (("surrogates", "--rows", "garbage.csv"), "garbage.csv"),
        (("surrogates", "--data", "diabetes", "--size", "9999"), "diabetes: 442 rows are too few"),
        (("speed", "--script", "nothing"), "--script nothing: there is no such script"),
        (("sweeps", "none.py"), "none.py: no such file"),
    ],
)
def test_errors_are_one_line_and_exit_2(call, tmp_path, arguments, words):
    (tmp_path / "garbage.csv").write_text("a,b\n1,2\n")
    result = call(*arguments, *(["--no-cache"] if arguments[0] != "speed" else []))
    assert result.exit_code == 2, result.output
    assert words in result.output and "Traceback" not in result.output


# ------------------------------------------------------------------ surrogates


def test_surrogates_are_fitted_kept_and_drawn(call, tmp_path):
    arguments = ("surrogates", "--data", "friedman1", "--data", "bowl", "--size", "20", "--size",
                 "30", "--splits", "2", "--test", "50", "--no-cache")  # fmt: skip
    result = call(*arguments, "--picture", "a.png")
    assert result.exit_code == 0, result.output
    rows = read_rows(tmp_path / "runs" / "surrogates.csv")
    assert len(rows) == 16
    assert {(r.surrogate, r.dataset, r.n) for r in rows} == {
        (s, d, n) for s in ("bojax matern52", "bojax rbf") for d in ("friedman1", "bowl")
        for n in (20, 30)
    }  # fmt: skip
    assert "16 of 16 runs" in result.output and "loses: " in result.output
    assert "| 30 | bojax rbf | 4 | 0 |" in result.output
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    again = call(*arguments)
    assert len(read_rows(tmp_path / "runs" / "surrogates.csv")) == 16, again.output


# ------------------------------------------------------------------ speed and sweeps


@pytest.fixture
def checkout(tmp_path):
    """`checkout(name)` makes the present folder a repository of that project."""

    def make(name):
        (tmp_path / "pyproject.toml").write_text(f'[project]\nname = "{name}"\n')
        (tmp_path / "benchmarks").mkdir()
        script = "import pathlib, sys\npathlib.Path('told').write_text(' '.join(sys.argv[1:]))\n"
        (tmp_path / "benchmarks" / "speed.py").write_text(script + "sys.exit(3)")

    return make


def test_speed_runs_the_script_of_a_checkout(call, checkout, tmp_path, monkeypatch):
    checkout("bojax")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    result = call("speed", "--parts", "a,b", "--", "--help")
    assert result.exit_code == 3
    assert (tmp_path / "below" / "told").read_text() == "--parts a,b --help"


def test_speed_runs_no_other_projects_script(call, checkout, tmp_path, monkeypatch):
    checkout("other")
    monkeypatch.setattr(cli, "__file__", str(tmp_path / "installed" / "bojax" / "cli.py"))
    result = call("speed")
    assert result.exit_code == 2 and not (tmp_path / "told").exists()
    assert "needs a checkout of bojax" in result.output and "make bench-env" in result.output


def test_sweeps_is_a_sweep_on_ten_splits(call, tmp_path, monkeypatch):
    (tmp_path / "task.py").write_text("def sweep(**settings):\n    pass\n")
    asked = {}
    monkeypatch.setattr(cli, "_run", lambda module, console, programs, **s: asked.update(s))
    result = call("sweeps", "task.py", "--trials", "7", "--store", "a.db", "--seed", "3",
                  "--resume", "--no-cache")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert asked.pop("picture").name == "a.png"
    assert asked == {"trials": 7, "splits": 10, "store": "a.db", "seed": 3, "resume": True}


# ------------------------------------------------------------------ what is printed


def test_a_bar_on_a_terminal_and_lines_elsewhere():
    class Bar:
        def update(self, task, **what):
            self.seen = what

    trace = ended(failure="")
    watch = console.RunWatch(console.Console(plain=True), console.Programs())
    watch.bar, watch.task = Bar(), 0
    watch.trace(trace, 3, 9, 12.4)
    assert (watch.bar.seen["completed"], watch.bar.seen["total"]) == (3, 9)
    assert watch.bar.seen["note"].startswith("about 12 s left, ")


def test_some_twenty_lines_for_any_number_of_runs_and_every_failure(capsys):
    watch = console.RunWatch(console.Console(plain=True), console.Programs())
    for done in range(1, 1001):
        watch.trace(ended(failure="died" if done == 7 else ""), done, 1000, float("nan"))
    lines = capsys.readouterr().out.splitlines()
    assert sum("of 1000 runs" in line for line in lines) == 20
    assert [line for line in lines if "failed" in line] == [
        "failed: a on p, instance 1, seed 2: died"
    ]
    assert lines[-1].startswith("1000 of 1000 runs, 0 programs")


def ended(failure):
    return Trace("a", "p", 1, 2, 1, 1, (1.0,), (0.1,), 0.0, 1.0, failure=failure)
