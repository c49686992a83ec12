"""Several objectives through every door: told by name or in order, whole, compared by front."""

import json
import math

import numpy as np
import pytest
from typer.testing import CliRunner

import bojax
from bojax.cli import app
from bojax.errors import ConfigError, TrialError
from bojax.history import Status
from bojax.objectives import Objectives
from bojax.strategies.protocol import SEVERAL

SPACE = bojax.Space({"x": bojax.Float(0, 1), "n": bojax.Int(1, 9)})
BOTH = {"loss": "minimize", "speed": "maximize"}


def optimizer(strategy="random", **settings):
    return bojax.Optimizer(SPACE, strategy=strategy, direction=BOTH, **settings)


def scored(config):
    return {"speed": 10 * config["x"], "loss": config["x"] ** 2 + config["n"]}


def run(rounds=4, **settings):
    found = optimizer(**settings)
    for _ in range(rounds):
        for trial in found.ask(4):
            found.tell(trial, scored(trial.config))
    return found


def test_values_by_name_in_order_and_many_at_once():
    opt = optimizer()
    trials = opt.ask(6)
    opt.tell(trials[0], {"speed": 3, "loss": 0.5})
    opt.tell(trials[1], (0.4, 2.0), variance=(0.1, 0.2))
    opt.tell(trials[2].id, np.array([0.3, 1.0]), variance={"speed": 0.0, "loss": 0.25}, cost=2.0)
    opt.tell(trials[3:5], [(0.6, 4.0), {"loss": 0.7, "speed": 5.0}], variance=[None, (1.0, 2.0)])
    opt.tell({"x": 0.5, "n": 3}, (0.2, 9.0))
    told = [trial.values for trial in opt.trials]
    assert told == [(0.5, 3.0), (0.4, 2.0), (0.3, 1.0), (0.6, 4.0), (0.7, 5.0), None, (0.2, 9.0)]
    assert opt.trials[0].value == 0.5  # the first of them
    assert opt.trials[2].variance == (0.25, 0.0)
    history = opt.history  # minimised inside
    np.testing.assert_array_equal(history.values[:3], [[0.5, -3], [0.4, -2], [0.3, -1]])
    np.testing.assert_array_equal(history.variance[1:5], [[0.1, 0.2], [0.25, 0], [0, 0], [1, 2]])


@pytest.mark.parametrize(
    "bad", [(math.nan, 1.0), (0.5, math.inf), {"loss": 0.5, "speed": None}, None, (None, None)]
)
def test_a_part_that_is_no_number_fails_the_whole_trial(bad):
    opt = optimizer()
    trial = opt.ask()
    opt.tell(trial, bad, metrics={"epoch": 3.0})
    (failed,) = opt.trials
    assert failed.status == Status.FAILED and failed.values is None and opt.pareto() == []
    assert np.isnan(opt.history.values).all()
    (_, metrics) = failed.curve[0]
    assert metrics["epoch"] == 3.0 and math.isnan(metrics["loss"]) and math.isnan(metrics["speed"])


@pytest.mark.parametrize(
    ("value", "settings", "words"),
    [
        (0.5, {}, "expected 2 numbers, one each for loss, speed, got 0.5"),
        ((1.0, 2.0, 3.0), {}, "one each for loss, speed, got 3 of them"),
        ({"loss": 1.0}, {}, "speed is missing"),
        ({"loss": 1.0, "sped": 2.0}, {}, "'sped' is no objective"),
        ({"loss": 1.0, "speed": "high"}, {}, "value of speed: expected a number, got 'high'"),
        ("12", {}, "expected 2 numbers"),
        ((1.0, 2.0), {"variance": 0.1}, "variance: expected 2 numbers"),
        ((1.0, 2.0), {"variance": (0.1, -1.0)}, "variance: must be finite and not negative"),
    ],
)
def test_what_is_no_value_is_named_and_nothing_is_kept(value, settings, words):
    opt = optimizer()
    trials = opt.ask(2)
    with pytest.raises(TrialError, match=words):
        opt.tell(trials, [(1.0, 1.0), value], variance=[None, settings.get("variance")])
    assert [trial.status for trial in opt.trials] == [Status.PENDING] * 2
    assert np.isnan(opt.history.values).all()


def test_the_front_is_what_no_other_trial_dominates():
    opt = run()

    def dominates(a, b):
        return a[0] <= b[0] and a[1] >= b[1] and a != b

    values = [trial.values for trial in opt.trials]
    expected = [i for i, b in enumerate(values) if not any(dominates(a, b) for a in values)]
    assert [trial.id for trial in opt.pareto()] == expected and 0 < len(expected) < 16
    with pytest.raises(
        TrialError, match=r"best: of several objectives \(loss, speed\).*pareto\(\)"
    ):
        opt.best()


def test_of_one_objective_the_front_is_the_best():
    opt = bojax.Optimizer(SPACE, strategy="random", direction={"score": "maximize"})
    with pytest.raises(TrialError, match="no trial has a value yet"):
        opt.best()
    trials = opt.ask(4)
    for trial, score in zip(trials, (1.0, 3.0, 2.0, 3.0), strict=True):
        opt.tell(trial, score if trial.id % 2 else {"score": score})
    assert [trial.id for trial in opt.pareto()] == [1, 3] and opt.best().id == 1
    assert opt.direction == {"score": "maximize"} and opt.history.values[1] == -3.0


def test_at_the_largest_budget_only():
    space = bojax.Space({"x": bojax.Float(0, 1), "epochs": bojax.Int(1, 9)}, fidelity="epochs")
    opt = bojax.Optimizer(space, strategy="random", direction=BOTH)
    first, second, third = opt.ask(3)
    opt.tell(first, (0.0, 9.0), fidelity=3)
    opt.tell(second, (1.0, 1.0), fidelity=9)
    opt.tell(second, (0.5, 2.0), fidelity=3)
    opt.tell(third, (2.0, 2.0), fidelity=9)
    assert [trial.id for trial in opt.pareto()] == [1, 2]
    assert opt.trials[1].values == (1.0, 1.0)  # its largest budget, told first
    assert opt.trials[1].curve == (
        (3.0, {"loss": 0.5, "speed": 2.0}), (9.0, {"loss": 1.0, "speed": 1.0}),
    )  # fmt: skip


@pytest.mark.parametrize(
    "strategy",
    ["random", "sobol", bojax.strategies.grid(points=4)],
    ids=["random", "sobol", "grid"],
)
def test_designs_do_not_look_at_values(strategy):
    opt, alone = optimizer(strategy, seed=3), bojax.Optimizer(SPACE, strategy=strategy, seed=3)
    for _ in range(2):
        for trial, other in zip(opt.ask(4), alone.ask(4), strict=True):
            assert trial.config == other.config
            opt.tell(trial, scored(trial.config))
            alone.tell(other, 1.0)


@pytest.mark.parametrize("name", bojax.strategies.NAMES)
def test_who_takes_one_objective_says_who_takes_several(name):
    if name in SEVERAL:
        strategy = bojax.strategies.grid(points=4) if name == "grid" else name
        assert optimizer(strategy).direction == BOTH
        return
    with pytest.raises(ValueError, match="takes one objective, got 2; give one of nsga2, random"):
        optimizer(name)


@pytest.mark.parametrize(
    ("direction", "words"),
    [
        ({}, "or a mapping of objectives to these, got {}"),
        ({"loss": "down"}, "direction of loss: expected one of .*got 'down'"),
        ({3: "minimize"}, "an objective's name is a word, got 3"),
        (["minimize"], "or a mapping"),
    ],
)
def test_directions_that_are_none(direction, words):
    with pytest.raises(ValueError, match=words):
        bojax.Optimizer(SPACE, strategy="random", direction=direction)


def test_minimize_takes_functions_of_several():
    settings = {"direction": BOTH, "strategy": "sobol", "evaluations": 6}
    found = bojax.minimize(scored, SPACE, **settings)
    pairs = bojax.minimize(lambda c: (scored(c)["loss"], scored(c)["speed"]), SPACE, **settings)
    assert [t.values for t in found.trials] == [t.values for t in pairs.trials]


def test_saved_and_loaded(tmp_path):
    opt = run()
    opt.tell(opt.ask(), (math.nan, 1.0))
    opt.save(tmp_path / "run.json")
    again = bojax.Optimizer.load(tmp_path / "run.json")
    assert again.direction == BOTH and list(again.direction) == list(BOTH)
    assert repr(again.trials) == repr(opt.trials)
    assert again.history.values.tobytes() == opt.history.values.tobytes()
    assert again.ask().config == opt.ask().config


def test_a_study_in_a_store(tmp_path):
    file = tmp_path / "run.db"
    opt = run(store=file)
    again = bojax.Optimizer(store=file)
    assert list(again.direction.items()) == list(BOTH.items())
    again.tell(again.ask(), {"loss": -1.0, "speed": 0.0})
    assert [t.id for t in opt.pareto()][-1] == 16  # seen by the other door
    assert repr(bojax.Optimizer.load(file).trials) == repr(opt.trials)
    assert bojax.Optimizer(SPACE, strategy="random", direction=dict(BOTH), store=file).direction
    turned = dict(reversed(BOTH.items()))
    for other in (turned, "maximize", {"loss": "minimize"}, BOTH | {"speed": "minimize"}):
        with pytest.raises(ConfigError, match=r"direction: .*run\.db was begun with"):
            bojax.Optimizer(SPACE, strategy="random", direction=other, store=file)


def test_objectives_there_and_back():
    wanted = Objectives.of(BOTH)
    assert wanted.outer(wanted.inner((1.5, -2.0))) == (1.5, -2.0)
    assert Objectives.of("maximize").direction == "maximize"
    assert Objectives.of({"value": "maximize"}).direction == "maximize"


# --------------------------------------------------------------------------------- the shell


@pytest.fixture
def call(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.json").write_text(json.dumps(SPACE.to_json()))

    def run(command, *arguments, text=None):
        quick = [] if command == "report" else ["--no-cache"]
        found = CliRunner().invoke(
            app, [command, "--store", "run.db", *quick, *arguments], input=text
        )
        return found.exit_code, found.stdout.splitlines(), found.stderr

    return run


BEGIN = ["--space", "space.json", "--strategy", "random"]
WAYS = ["--direction", "loss=minimize,speed=maximize"]


def test_ask_tell_and_report(call):
    assert call("ask", *BEGIN, *WAYS, "-n", "4")[0] == 0
    assert call("tell", "0", "0.5,3", "1", "speed=4,loss=-0.25", "--variance", "0.1,0.2")[0] == 0
    lines = '{"trial": 2, "value": {"loss": 1, "speed": 1}, "variance": [0, 0.5]}\n'
    lines += '{"trial": 3, "value": [null, 1]}\n'
    assert call("tell", "--json", text=lines)[0] == 0
    assert call("tell", "--config", '{"x": 1, "n": 2}', "9,9")[0] == 0
    told = json.loads(call("report", "--format", "json")[1][0])
    assert told["objectives"] == BOTH and told["counts"] == {"done": 4, "failed": 1}
    assert [row["trial"] for row in told["pareto"]] == [1, 4]
    assert [row["values"] for row in told["trials"][:4]] == [
        {"loss": 0.5, "speed": 3.0}, {"loss": -0.25, "speed": 4.0}, {"loss": 1.0, "speed": 1.0},
        None,
    ]  # fmt: skip
    assert told["trials"][2]["variance"] == {"loss": 0.0, "speed": 0.5}
    text = call("report")[1]
    assert text[0] == "study: minimize loss, maximize speed; trials: 4 done, 1 failed"
    assert text[1].startswith("front: trial 1, -0.25, 4: x=") and text[2].startswith("front: trial")
    assert text[3].split() == ["trial", "status", "loss", "speed", "configuration"]
    assert text[4].split()[:4] == ["0", "done", "0.5", "3"] and len(text) == 4 + 5


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["tell", "1", "0.5"], "expected 2 numbers, one each for loss, speed"),
        (["tell", "1", "0.5,high"], "trial 1: its value must be a number, got 'high'"),
        (["tell", "1", "loss=1,loss=2"], "names an objective twice"),
        (["tell", "1", "1,2", "--variance", "much"], "--variance: its value must be a number"),
        (["ask", "--direction", "speed=maximize,loss=minimize"], "direction: run.db was begun"),
        (["ask", "--direction", "loss=up"], "direction of loss: expected one of"),
        (["ask", "--direction", "loss,speed"], "expected one direction, or NAME=minimize"),
        (["ask", "--direction", "a=minimize,a=minimize"], "an objective is named twice"),
    ],
)
def test_bad_words_are_one_line_and_change_nothing(call, arguments, complaint):
    call("ask", *BEGIN, *WAYS, "-n", "2")
    before = call("report")[1]
    code, lines, error = call(*arguments)
    assert code == 2 and lines == [] and complaint in error and error.count("\n") == 1
    assert call("report")[1] == before


def test_serve(call):
    requests = [
        '{"op": "ask", "n": 2}', '{"op": "tell", "trial": 0, "value": {"loss": 1, "speed": 2}}',
        '{"op": "best"}', '{"op": "pareto"}', '{"op": "report"}',
        '{"op": "tell", "trial": 1, "value": [1, true]}',
    ]  # fmt: skip
    code, lines, _ = call("serve", *BEGIN, *WAYS, text="\n".join(requests))
    got = [json.loads(line) for line in lines]
    assert code == 0 and got[1] == {"told": 1}
    assert "pareto() has those" in got[2]["error"]
    assert [row["values"] for row in got[3]["pareto"]] == [{"loss": 1.0, "speed": 2.0}]
    assert got[4]["objectives"] == BOTH and got[4]["pareto"] == got[3]["pareto"]
    assert "its value must be a number, got True" in got[5]["error"]
