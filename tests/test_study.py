"""Studies in a store: the same suggestions to the bit, from any number of doors, after any kill."""

import json
import os
import subprocess
import sys
import threading

import pytest
from typer.testing import CliRunner

import bojax
from bojax.cli import app
from bojax.errors import ConfigError, SpaceError, StoreError, TrialError
from bojax.store import open_store

SPACE = bojax.Space({"x": bojax.Float(-1, 1), "k": bojax.Categorical(["a", "b c"])})


def score(config):
    return config["x"] ** 2 + (config["k"] == "a")


def drive(optimizer, rounds):
    """Three at a time, the last of which stays pending; what was suggested."""
    found = []
    for _ in range(rounds):
        trials = optimizer.ask(3)
        optimizer.tell(trials[:2], [score(trial.config) for trial in trials[:2]])
        found += [(trial.id, trial.config) for trial in trials]
    return found


def ids(optimizer):
    return [trial.id for trial in optimizer.trials]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "run.db"


# --------------------------------------------------------------------------------- Optimizer


@pytest.mark.parametrize("strategy", ["random", pytest.param("gp", marks=pytest.mark.slow)])
def test_any_door_goes_on_to_the_bit(file, strategy):
    alone = bojax.Optimizer(SPACE, strategy=strategy, seed=5)
    expected = drive(alone, 5)
    first = bojax.Optimizer(SPACE, strategy=strategy, seed=5, store=file)
    found = drive(first, 2)
    found += drive(bojax.Optimizer(store=file), 1)
    found += drive(bojax.Optimizer.load(file), 1)
    found += drive(first, 1)  # it sees what the others did
    assert found == expected
    assert first.best().id == alone.best().id
    assert bojax.Optimizer(store=file).history.rows.tobytes() == alone.history.rows.tobytes()


def test_a_suggestion_that_came_late_is_made_again(file, monkeypatch):
    mine = bojax.Optimizer(SPACE, strategy="sobol", store=file)
    other = bojax.Optimizer(store=file)
    mine.ask()
    turn, between = mine._study.store.turn, [lambda: other.ask(2)]

    def late(run):
        while between:
            between.pop()()
        return turn(run)

    heard = []
    mine.callbacks = (lambda event, trial: heard.append((event, trial.id)),)
    monkeypatch.setattr(mine._study.store, "turn", late)
    assert mine.ask().id == 3
    assert heard == [("asked", 3)]  # once, although it was worked out twice
    plain = bojax.Optimizer(SPACE, strategy="sobol")
    assert [plain.ask().config for _ in range(4)] == [trial.config for trial in other.trials]


def test_many_at_a_time_lose_nothing(file):
    bojax.Optimizer(SPACE, strategy="random", store=file)
    taken, failures = [], []

    def work():
        try:
            mine = bojax.Optimizer(store=file)
            for _ in range(4):
                trial = mine.ask()
                taken.append(trial.id)
                mine.tell(trial, float(trial.id))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(taken) == list(range(16))
    told = bojax.Optimizer(store=file).trials
    assert [trial.value for trial in told] == [float(i) for i in range(16)]


def test_many_may_begin_it(file):
    opened, failures = [], []
    ready = threading.Barrier(6)

    def work():
        try:
            ready.wait()
            opened.append(bojax.Optimizer(SPACE, strategy="random", store=file).seed)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == [] and opened == [0] * 6
    with open_store(file) as store:
        assert [run.id for run in store.runs()] == ["study"]


def test_what_is_read_is_what_others_told(file):
    mine = bojax.Optimizer(SPACE, strategy="random", store=file)
    mine.ask()
    bojax.Optimizer(store=file).tell(0, 2.0)
    assert mine.best().value == 2.0
    bojax.Optimizer(store=file).tell({"x": 0.0, "k": "a"}, 1.0)
    assert [trial.value for trial in mine.trials] == [2.0, 1.0]
    bojax.Optimizer(store=file).tell({"x": 0.5, "k": "a"}, 3.0)
    assert mine.history.values[:, 0].tolist() == [2.0, 1.0, 3.0]


def test_together_is_all_or_nothing(file):
    mine = bojax.Optimizer(SPACE, strategy="random", store=file)
    mine.ask(2)

    def both():
        mine.tell(0, 1.0)
        mine.tell(7, 1.0)

    with pytest.raises(TrialError, match="trial 7"):
        mine.together(both)
    assert [trial.value for trial in mine.trials] == [None, None]
    mine.together(lambda: [mine.tell(i, float(i)) for i in range(2)])
    assert [trial.value for trial in bojax.Optimizer(store=file).trials] == [0.0, 1.0]


def test_callbacks_hear_only_of_what_is_kept(file, monkeypatch):
    heard = []

    def listen(event, trial):
        with open_store(file) as store:
            heard.append((event, [t.status.name for t in store.trials("study")]))

    mine = bojax.Optimizer(SPACE, strategy="random", store=file, callbacks=[listen])
    mine.ask()
    mine.tell(0, 1.0)
    assert heard == [("asked", ["PENDING"]), ("told", ["DONE"])]

    def refuse(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr(mine._study, "_write", refuse)
    with pytest.raises(OSError):
        mine.ask()
    monkeypatch.undo()
    assert len(heard) == 2 and ids(mine) == [0]


def test_what_differs_from_the_store_is_refused(file):
    settings = {"strategy": "sobol", "seed": 3, "direction": "maximize", "repeats": "replicate"}
    settings["evaluations"] = 12
    bojax.Optimizer(SPACE, store=file, **settings).tell({"x": 0.0, "k": "a"}, 1.0)
    kept = bojax.Optimizer(SPACE, store=file)  # what is not given is the store's
    assert (kept.seed, kept.direction, kept.repeats) == (3, "maximize", "replicate")
    assert kept.evaluations == 12
    assert kept.strategy == bojax.strategies.sobol()
    with pytest.raises(ConfigError, match=r"seed: .* begun with 3, got 4"):
        bojax.Optimizer(store=file, seed=4)
    with pytest.raises(ConfigError, match=r"evaluations: .* begun with 12, got 13"):
        bojax.Optimizer(store=file, evaluations=13)
    with pytest.raises(ConfigError, match=r"strategy: .*'sobol'.*'random'"):
        bojax.Optimizer(store=file, strategy="random")
    with pytest.raises(ConfigError, match=r"k: .*another space"):
        bojax.Optimizer({"x": bojax.Float(-1, 1)}, store=file)
    with pytest.raises(StoreError, match="holds no study"):
        bojax.Optimizer(store=file.with_name("none.db"))
    assert not file.with_name("none.db").exists()
    with pytest.raises(SpaceError, match="needs a space"):
        bojax.Optimizer()
    assert ids(bojax.Optimizer(store=file)) == [0]


def test_a_bad_setting_makes_no_store(file):
    with pytest.raises(ValueError, match="direction"):
        bojax.Optimizer(SPACE, store=file, direction="up")
    assert not file.exists()


# ------------------------------------------------------------------------------- command line


@pytest.fixture
def call(tmp_path, monkeypatch):
    """`call(command, ...)` in an empty folder with `space.json`: (exit code, lines, error)."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.json").write_text(json.dumps(SPACE.to_json()))
    runner = CliRunner()

    def run(command, *arguments, text=None):
        quick = [] if command == "report" else ["--no-cache"]
        got = runner.invoke(app, [command, "--store", "run.db", *quick, *arguments], input=text)
        assert got.exception is None or isinstance(got.exception, SystemExit), got.exception
        return got.exit_code, got.stdout.splitlines(), got.stderr

    return run


BEGIN = ("--space", "space.json", "--strategy", "random", "--seed", "7")


def test_ask_tell_report(call):
    code, lines, _ = call("ask", *BEGIN, "-n", "2", "--direction", "maximize", "--format", "json")
    asked = [json.loads(line) for line in lines]
    assert code == 0 and [a["trial"] for a in asked] == [0, 1]
    expected = bojax.Optimizer(SPACE, strategy="random", seed=7).ask(2)
    assert [a["config"] for a in asked] == [trial.config for trial in expected]
    code, (line,), _ = call("ask")
    assert code == 0 and line.startswith("2 x=") and (" k=a" in line or " k='b c'" in line)
    assert call("tell", "0", "-0.5", "1", "2e-1", "--variance", "0.25")[0] == 0
    assert call("tell", "2", "--status", "failed")[0] == 0
    assert call("tell", "--config", '{"x": 1, "k": "a"}', "0.1")[0] == 0
    code, (line,), _ = call("report", "--format", "json")
    told = json.loads(line)
    assert told["counts"] == {"done": 3, "failed": 1} and told["direction"] == "maximize"
    assert told["best"] == told["trials"][1]
    assert [row["value"] for row in told["trials"]] == [-0.5, 0.2, None, 0.1]
    assert told["trials"][0]["variance"] == 0.25
    assert told["trials"][3]["config"] == {"x": 1, "k": "a"}
    text = call("report")[1]
    assert text[0] == "study: maximize value; trials: 3 done, 1 failed"
    assert text[1].startswith("best: trial 1, 0.2: x=") and len(text) == 3 + 4


def test_fixed_values_and_lines_from_standard_input(call):
    _, lines, _ = call("ask", *BEGIN, "-n", "3", "--fixed", '{"k": "a"}', "--format", "json")
    assert {json.loads(line)["config"]["k"] for line in lines} == {"a"}
    given = '{"trial": 0, "value": 2}\n\n{"trial": 1, "status": "stale"}\n'
    bad = given + '{"trial": 1, "value": 3}\n{"trial": 9, "value": 3}\n'
    code, _, error = call("tell", "--json", text=bad)
    assert code == 2 and "trial 9: unknown id" in error
    assert call("tell", "--json", text=given)[0] == 0  # nothing of the first was kept
    (line,) = call("report", "--format", "json")[1]
    assert json.loads(line)["counts"] == {"done": 1, "stale": 1, "pending": 1}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["ask", "--seed", "8"], "seed: run.db was begun with 7, got 8"),
        (["ask", "--seed", "0"], "seed: run.db was begun with 7, got 0"),
        (["ask", "--strategy", "gp"], "strategy: run.db was begun with 'random', got 'gp'"),
        (["ask", "--strategy", "magic"], "strategy 'magic': unknown; expected one of cmaes"),
        (["ask", "--space", "other.json"], "k: run.db was begun with another space"),
        (["ask", "--space", "none.json"], "none.json: cannot be read as the JSON of a space"),
        (["ask", "--space", "odd.json"], "odd.json: describes no space"),
        (["ask", "-n", "0"], "n: expected a whole number of trials, at least 1, got 0"),
        (["ask", "--fixed", "{"], "--fixed: is no JSON"),
        (["tell", "9", "1"], "trial 9: unknown id"),
        (["tell", "0", "1"], "trial 0: was told already"),
        (["tell", "1", "2", "1", "3"], "trial 1: was told already"),
        (["tell", "1", "much"], "trial 1: its value must be a number, got 'much'"),
        (["tell", "one", "1"], "one: expected a trial's number"),
        (["tell", "1"], "trial 1: has no value"),
        (["tell"], "nothing was told"),
        (["tell", "1", "--status", "lost"], "--status lost: expected failed or stale"),
        (["tell", "1", "1", "--variance", "-1"], "variance: must be finite and not negative"),
        (["tell", "--config", '{"x": 9, "k": "a"}', "1"], "x: "),
        (["report", "--run", "gone"], "no run 'gone'"),
    ],
)
def test_bad_input_is_one_line_and_changes_nothing(call, tmp_path, arguments, complaint):
    call("ask", *BEGIN, "-n", "2")
    call("tell", "0", "0.5")
    other = bojax.Space({"x": bojax.Float(-1, 1)}).to_json()
    (tmp_path / "other.json").write_text(json.dumps(other))
    (tmp_path / "odd.json").write_text('{"parameters": [3]}')
    before = call("report")[1]
    code, lines, error = call(*arguments)
    assert code == 2 and lines == []
    assert error.startswith("bojax: ") and complaint in error and error.count("\n") == 1
    assert call("report")[1] == before


@pytest.mark.parametrize("command", [["ask"], ["tell", "0", "1"], ["report"], ["serve"]])
def test_a_missing_store_is_not_made(call, tmp_path, command):
    code, _, error = call(*command)
    assert code == 2 and "run.db" in error
    assert not (tmp_path / "run.db").exists()


def test_serve_answers_each_line_and_goes_on(call):
    requests = [
        '{"op": "ask", "n": 2}',
        "{nonsense",
        '{"op": "dance"}',
        '{"op": "ask", "m": 2}',
        '{"op": "tell", "trial": 0, "value": "high"}',
        '{"op": "best"}',
        '{"op": "tell", "trial": 0, "value": 0.5}',
        '{"op": "tell", "reports": [{"trial": 1, "value": 0.25}, {"trial": 0, "value": 1}]}',
        '{"op": "best"}',
        '{"op": "report"}',
        '{"op": "quit"}',
        '{"op": "ask"}',
    ]
    code, lines, _ = call("serve", *BEGIN, text="\n".join(requests))
    got = [json.loads(line) for line in lines]
    assert code == 0 and len(got) == len(requests) - 1
    assert [trial["trial"] for trial in got[0]["trials"]] == [0, 1]
    for found, complaint in zip(
        got[1:6],
        ["is no JSON", "op 'dance'", "does not know 'm'", "must be a number", "no trial has"],
        strict=True,
    ):
        assert list(found) == ["error"] and complaint in found["error"]
    assert got[6] == {"told": 1} and "was told already" in got[7]["error"]
    assert got[8]["best"]["value"] == 0.5 and got[9]["counts"] == {"done": 1, "pending": 1}
    assert got[10] == {"bye": True}
    assert call("report", "--format", "json")[1] == lines[9:10]


def test_killed_before_the_commit_nothing_was_printed(call, tmp_path):
    command = [sys.executable, "-m", "bojax.cli", "serve", "--store", "run.db", "--no-cache"]
    requests = "\n".join(['{"op": "ask"}'] * 5)
    killed = subprocess.run(
        [*command, *BEGIN], input=requests, capture_output=True, text=True, check=False,
        cwd=tmp_path, env=os.environ | {"BOJAX_FAULT": "commit:3"},
    )  # fmt: skip
    assert killed.returncode < 0
    printed = [json.loads(line)["trials"][0] for line in killed.stdout.splitlines()]
    expected = bojax.Optimizer(SPACE, strategy="random", seed=7)
    configs = [expected.ask().config for _ in range(3)]
    assert [trial["config"] for trial in printed] == configs[:2]
    (line,) = call("ask", "--format", "json")[1]
    assert json.loads(line) == {"trial": 2, "config": configs[2]}
