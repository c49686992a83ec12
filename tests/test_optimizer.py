"""Ask and tell: what every user leans on, for each strategy."""

import itertools
import json
import math

import numpy as np
import pytest

import bojax
from bojax.history import Status

# A Gaussian process with few candidates: the same code, quicker to run; compiled once here.
QUICK = bojax.strategies.gp(candidates=56, local=8, fantasies=8, lanes=4)
STRATEGIES = {"random": "random", "sobol": "sobol", "gp": QUICK}
CHEAP = ["random", "sobol"]

MIXED = bojax.Space(
    {
        "x": bojax.Float(1e-3, 1e3, log=True),
        "c": bojax.Categorical(["a", 1, True]),
        "y": bojax.Float(0.0, 1.0, when={"c": ["a", 1]}),
        "n": bojax.Int(1, 2**40, log=True),
    }
)
# Finite, conditional, nested: 3 + 2 + 3 * 2 configurations of the first three parameters.
FINITE = bojax.Space(
    {
        "c": bojax.Categorical(["a", "b", "d"]),
        "n": bojax.Int(1, 3, when={"c": ["a", "d"]}),
        "b": bojax.Boolean(when=[{"c": "b"}, {"c": "d", "n": bojax.Range(2, 3)}]),
    }
)
CONFIGURATIONS = (
    [{"c": "a", "n": n} for n in (1, 2, 3)]
    + [{"c": "b", "b": b} for b in (False, True)]
    + [{"c": "d", "n": 1}]
    + [{"c": "d", "n": n, "b": b} for n in (2, 3) for b in (False, True)]
)


def loss(config):
    value = (math.log10(config["x"]) - 1.0) ** 2 + math.log2(config["n"]) / 40
    return value + {"a": 0.0, 1: 0.3}.get(config["c"], 0.5) + config.get("y", 0.2)


def optimizer(name="random", space=MIXED, **settings):
    return bojax.Optimizer(space, strategy=STRATEGIES[name], **settings)


def run(name, evaluations, *, batch=None, function=loss, **settings):
    """Ask, tell, ask, ...: the optimizer, and the configurations in order."""
    opt = optimizer(name, **settings)
    while len(opt.trials) < evaluations:
        trials = [opt.ask()] if batch is None else opt.ask(batch)
        for trial in trials:
            opt.tell(trial, function(trial.config))
    return opt


def configs(opt):
    return [repr(trial.config) for trial in opt.trials]


@pytest.fixture(params=STRATEGIES)
def name(request):
    return request.param


# ------------------------------------------------------------------------ what is suggested


def test_done_needs_a_value_a_cost_is_a_number_and_maximize_maximizes():
    opt = bojax.Optimizer({"x": bojax.Float(0, 1)}, strategy="random")
    trial = opt.ask()
    with pytest.raises(bojax.errors.TrialError, match="'done' needs a value"):
        opt.tell(trial, status="done")
    for cost in (math.nan, -1.0):
        with pytest.raises(bojax.errors.TrialError, match="cost: expected a number"):
            opt.tell(trial, 1.0, cost=cost)
    opt.tell(trial, 1.0, status="done", cost=0.0)
    assert opt.trials[0].value == 1.0
    with pytest.raises(bojax.errors.ConfigError, match="maximize: says the direction itself"):
        bojax.maximize(lambda c: c["x"], opt.space, evaluations=1, direction="minimize")


def test_suggestions_are_plain_configurations_of_the_space(name):
    opt = run(name, 9)
    assert [trial.id for trial in opt.trials] == list(range(9))
    for trial in opt.trials:
        assert np.array_equal(opt.space.encode(trial.config), trial.row)
        assert type(trial.config["x"]) is float and type(trial.config["n"]) is int
        assert trial.status == Status.DONE and trial.seed == 0 and trial.source


def test_nothing_is_suggested_twice_in_a_batch_or_later(name):
    opt = optimizer(name)
    for _ in range(3):
        for trial in opt.ask(4):
            opt.tell(trial, loss(trial.config))
    assert len(set(configs(opt))) == 12


@pytest.mark.parametrize("batch", [pytest.param(None, marks=pytest.mark.slow), 4])
def test_a_finite_space_is_used_up_exactly_once_each(name, batch):
    opt = optimizer(name, FINITE, seed=3)
    with pytest.raises(bojax.SpaceExhausted, match="all 10 configurations"):
        for _ in range(20):
            for trial in [opt.ask()] if batch is None else opt.ask(batch):
                opt.tell(trial, float(trial.config.get("n", 0)))
    assert sorted(configs(opt)) == sorted(map(repr, CONFIGURATIONS))
    # Exhausted is a state, not an accident: it stays so, and results still arrive.
    with pytest.raises(bojax.SpaceExhausted, match="replicate"):
        opt.ask(2)
    opt.tell(CONFIGURATIONS[0], -1.0)
    assert opt.best().config == CONFIGURATIONS[0]


def test_pending_rows_of_a_finite_space_count_as_suggested(name):
    opt = optimizer(name, FINITE)
    asked = [repr(opt.ask().config) for _ in range(10)]
    assert len(set(asked)) == 10
    with pytest.raises(bojax.SpaceExhausted):
        opt.ask()


def test_replicates_when_asked_for():
    opt = optimizer("random", FINITE, repeats="replicate")
    assert len(opt.ask(10)) == 10 and len(set(configs(opt))) == 10
    assert repr(opt.ask().config) in set(configs(opt)[:10])


def test_pending_suggestions_are_respected(name):
    """Asked twice and told nothing: other points, and not next to the first."""
    opt = run(name, 7)
    first, second = opt.ask(), opt.ask()
    assert np.abs(first.row - second.row).max() > 1e-3


def test_a_batch_is_spread_out():
    space = bojax.Space({"x": bojax.Float(0.0, 1.0), "y": bojax.Float(0.0, 1.0)})
    opt = run("gp", 8, batch=4, space=space, function=lambda c: (c["x"] - 0.3) ** 2 + c["y"])
    rows = np.array([trial.row for trial in opt.ask(4)])
    for one, other in itertools.combinations(rows, 2):
        assert np.abs(one - other).max() > 1e-3


def test_a_batch_larger_than_any_program():
    opt = optimizer("sobol")
    trials = opt.ask(70)
    assert len(trials) == 70 and len(set(configs(opt))) == 70
    one_by_one = optimizer("sobol")
    assert [repr(one_by_one.ask().config) for _ in range(3)] == configs(opt)[:3]


def test_the_model_is_used_and_better_than_chance():
    """Mean best value of a smooth function after 20 evaluations, over seeds."""
    space = bojax.Space({"x": bojax.Float(0.0, 1.0), "y": bojax.Float(0.0, 1.0)})

    def bowl(config):
        return (config["x"] - 0.32) ** 2 + (config["y"] - 0.71) ** 2

    best = {
        strategy: np.mean(
            [run(strategy, 20, space=space, function=bowl, seed=s).best().value for s in range(4)]
        )
        for strategy in ("gp", "random")
    }
    assert best["gp"] < best["random"] / 20


def test_an_optimum_on_the_bound_is_not_asked_for_again_and_does_not_end_the_search():
    space = bojax.Space({"x": bojax.Float(0.0, 1.0)})
    opt = run("gp", 16, space=space, function=lambda config: config["x"])
    assert opt.best().value == 0.0
    # Free suggestions stay near the bound: they are the model's, not random ones.
    assert np.median([trial.config["x"] for trial in opt.trials[8:]]) < 0.1


# ------------------------------------------------------------------------ determinism


def test_the_seed_fixes_everything(name):
    one, again, other = (run(name, 8, seed=seed) for seed in (5, 5, 6))
    assert configs(one) == configs(again)
    assert configs(one)[2:] != configs(other)[2:]


def test_the_order_of_results_does_not_matter(name):
    asked = []
    for order in ([0, 1, 2, 3], [2, 0, 3, 1]):
        opt = optimizer(name)
        for _ in range(2):
            trials = opt.ask(4)
            for i in order:
                opt.tell(trials[i], loss(trials[i].config))
        asked.append(configs(opt) + [repr(trial.config) for trial in opt.ask(4)])
    assert asked[0] == asked[1]


def test_maximising_is_minimising_the_negative(name):
    down = run(name, 8)
    up = run(name, 8, function=lambda config: -loss(config), direction="maximize")
    assert configs(down) == configs(up)
    assert up.best().value == -down.best().value and up.best().id == down.best().id


def assert_same_future(one, other, steps):
    for _ in range(steps):
        a, b = one.ask(), other.ask()
        assert repr(a) == repr(b)
        assert a.row.tobytes() == b.row.tobytes()
        one.tell(a, loss(a.config))
        other.tell(b, loss(b.config))
    for a, b in zip(one.history, other.history, strict=True):
        assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize("cheap", CHEAP)
def test_saved_at_any_step_it_continues_to_the_bit(cheap, tmp_path):
    for step in range(8):
        opt = run(cheap, step, seed=step)
        if step % 2:
            opt.ask()  # one left pending
        opt.save(tmp_path / "run.json")
        assert_same_future(bojax.Optimizer.load(tmp_path / "run.json"), opt, 3)


def test_a_saved_model_continues_to_the_bit(tmp_path):
    for step in (2, 6, 9):
        opt = run("gp", step, seed=step)
        opt.save(tmp_path / "run.json")
        loaded = bojax.Optimizer.load(tmp_path / "run.json")
        assert loaded.strategy == opt.strategy
        assert_same_future(loaded, opt, 2)


def test_everything_told_survives_the_file(tmp_path):
    space = bojax.Space({"x": bojax.Float(0, 1), "e": bojax.Int(1, 9)}, fidelity="e")
    opt = optimizer("random", space, direction="maximize", repeats="replicate", seed=2**40)
    trials = opt.ask(3)
    opt.tell(trials[0], math.nan)
    opt.tell(trials[1], 0.1 + 0.2, variance=0.5, cost=3, metrics={"auc": math.inf})
    opt.tell(trials[1], 1e300, fidelity=3)
    opt.tell({"x": 0.25, "e": 4}, -0.0)
    opt.save(tmp_path / "run.json")
    back = bojax.Optimizer.load(tmp_path / "run.json")
    for a, b in zip(opt.trials, back.trials, strict=True):
        assert repr(a) == repr(b)
    assert (back.direction, back.repeats, back.seed) == ("maximize", "replicate", 2**40)
    assert back.space == space
    assert not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be read"),
        ("[]", "not a saved optimizer"),
        ('{"format": "other"}', "not a saved optimizer"),
        ('{"format": "bojax-optimizer", "version": 99}', "version 99.*upgrade"),
    ],
)
def test_a_file_that_is_no_optimizer_is_refused(tmp_path, text, words):
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(bojax.ConfigError, match=words):
        bojax.Optimizer.load(path)
    with pytest.raises(bojax.ConfigError, match="cannot be read"):
        bojax.Optimizer.load(tmp_path / "missing.json")


def test_a_save_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "run.json"
    run("random", 2).save(path)
    before = path.read_text()
    strange = optimizer("random", bojax.Space({"c": bojax.Categorical([(1,), (2,)])}))
    with pytest.raises(bojax.SpaceError, match="cannot be written as JSON"):
        strange.save(path)
    assert path.read_text() == before and json.loads(before)
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]


# ------------------------------------------------------------------------ results of all kinds


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, None, np.float32("nan")])
def test_no_number_is_a_failed_trial_not_an_error(bad):
    opt = optimizer("random")
    trial = opt.ask()
    opt.tell(trial, bad)
    assert opt.trials[0].status == Status.FAILED and opt.trials[0].value is None
    with pytest.raises(bojax.TrialError, match="no trial has a value"):
        opt.best()


def test_all_failed_is_survived(name):
    opt = run(name, 10, function=lambda config: math.nan)
    assert {trial.status for trial in opt.trials} == {Status.FAILED}
    assert len(set(configs(opt))) == 10


def test_failures_are_avoided():
    """Half of the box fails: of the later suggestions few lie there."""
    space = bojax.Space({"x": bojax.Float(0.0, 1.0), "y": bojax.Float(0.0, 1.0)})

    def half(config):
        return math.nan if config["x"] > 0.5 else (config["x"] - 0.2) ** 2 + config["y"]

    opt = run("gp", 20, space=space, function=half)
    assert np.mean([trial.config["x"] > 0.5 for trial in opt.trials[10:]]) < 0.4


@pytest.mark.parametrize("scale", [1e300, 1e-300, 1e12, 0.0])
def test_values_of_any_size(scale):
    opt = run("gp", 9, function=lambda config: scale * (loss(config) + 1.0))
    assert len(set(configs(opt))) == 9
    if scale:
        # The same run but for the unit, as long as nothing over- or underflows.
        usual = run("gp", 9, function=lambda config: loss(config) + 1.0)
        for a, b in zip(opt.trials, usual.trials, strict=True):
            np.testing.assert_allclose(a.row, b.row, atol=1e-4)


def test_foreign_results_count(name):
    opt = optimizer(name)
    known = MIXED.sample(6, seed=1)
    opt.tell(known, [loss(config) for config in known])
    assert [trial.source for trial in opt.trials] == ["foreign"] * 6
    assert opt.best().config == min(known, key=loss)
    for _ in range(6):
        trial = opt.ask()
        assert repr(trial.config) not in map(repr, known)
        opt.tell(trial, loss(trial.config))
    assert [trial.id for trial in opt.trials] == list(range(12))


def test_what_is_told_moves_the_model():
    """A foreign optimum draws the search towards itself."""
    space = bojax.Space({"x": bojax.Float(0.0, 1.0), "y": bojax.Float(0.0, 1.0)})
    asked = []
    for centre in (0.1, 0.9):
        opt = run("gp", 6, space=space, function=lambda c: 1.0)
        near = [{"x": centre, "y": centre}, {"x": centre, "y": centre + 0.05}]
        opt.tell(near, [0.0, 0.01])
        asked.append(np.mean([trial.row[:2] for trial in opt.ask(4)]))
    assert asked[0] < 0.5 < asked[1]


def test_late_results_are_taken():
    opt = optimizer("gp")
    late = opt.ask()
    for _ in range(6):
        trial = opt.ask()
        opt.tell(trial, loss(trial.config))
    opt.tell(late, -5.0)
    assert opt.best().id == late.id
    opt.ask()


def test_a_lost_worker_may_report_after_all():
    opt = optimizer("random")
    trial = opt.ask()
    opt.tell(trial, status="stale")
    assert opt.trials[0].status == Status.STALE
    opt.tell(trial, 0.5)
    assert opt.best().value == 0.5


def test_replicates_are_trials_of_their_own():
    opt = run("gp", 6)
    same = opt.trials[2].config
    opt.tell([same, same], [0.1, 0.2])
    assert len(opt.trials) == 8
    opt.ask()


def test_known_variance_and_cost_reach_the_history():
    opt = optimizer("random")
    opt.tell(opt.ask(2), [1.0, 2.0], variance=[0.25, 0.5], cost=[3.0, None])
    np.testing.assert_array_equal(opt.history.variance[:, 0], [0.25, 0.5])
    np.testing.assert_array_equal(opt.history.cost, [3.0, np.nan])
    assert opt.trials[0].variance == (0.25,) and opt.trials[1].cost is None


def test_ties_go_to_the_earlier_and_callbacks_hear_everything():
    heard = []
    opt = bojax.Optimizer(
        {"x": bojax.Float(0, 1)},
        strategy="random",
        callbacks=[lambda event, t: heard.append((event, t.id))],
    )
    for trial in opt.ask(2):
        opt.tell(trial, 1.0)
    assert opt.best().id == 0
    assert heard == [("asked", 0), ("asked", 1), ("told", 0), ("told", 1)]


# ------------------------------------------------------------------------ budgets and context

BUDGETED = bojax.Space(
    {"x": bojax.Float(0.0, 1.0), "epochs": bojax.Int(1, 27, log=True)}, fidelity="epochs"
)


@pytest.mark.parametrize("order", list(itertools.permutations([1, 9, 27])))
def test_partial_results_in_any_order_make_the_same_trial(order):
    opt = optimizer("random", BUDGETED)
    trial = opt.ask()
    assert trial.fidelity == 27 and trial.config.keys() == {"x"}
    for epochs in order:
        opt.tell(trial, 1.0 / epochs, fidelity=epochs)
    (told,) = opt.trials
    assert (told.fidelity, told.value, told.status) == (27, 1 / 27, Status.DONE)
    assert [budget for budget, _ in told.curve] == [1, 9, 27]
    assert opt.best().value == 1 / 27
    assert sorted(opt.history.status) == [Status.DONE] * 3


@pytest.mark.parametrize("order", list(itertools.permutations([1, 9, 27])))
def test_a_trial_that_failed_at_its_largest_budget_has_failed(order):
    opt = optimizer("random", BUDGETED)
    trial = opt.ask()
    for epochs in order:
        opt.tell(trial, math.nan if epochs == 27 else 1.0 / epochs, fidelity=epochs)
    (told,) = opt.trials
    assert (told.fidelity, told.value, told.status) == (27, 1 / 9, Status.FAILED)


def test_the_best_is_the_best_at_the_largest_budget():
    opt = optimizer("random", BUDGETED, direction="maximize")
    a, b = opt.ask(2)
    opt.tell(a, 0.9, fidelity=1)
    assert opt.best().value == 0.9
    opt.tell(b, 0.5, fidelity=27)
    assert opt.best().id == b.id


@pytest.mark.parametrize("epochs", [1, 2, 3, 13, 27])
def test_a_budget_asked_for_is_the_budget_told(epochs):
    opt = optimizer("random", BUDGETED)
    trial = opt.ask(fidelity=epochs)
    assert trial.fidelity == epochs
    opt.tell(trial, 0.5, fidelity=epochs)
    assert opt.history.status.tolist() == [Status.DONE]


def test_the_same_configuration_at_another_budget_is_no_new_one():
    space = bojax.Space({"n": bojax.Int(1, 3), "e": bojax.Float(1, 9)}, fidelity="e")
    opt = optimizer("random", space)
    for budget in (1, 3, 9):
        opt.ask(fidelity=budget)
    assert len(set(configs(opt))) == 3
    with pytest.raises(bojax.SpaceExhausted):
        opt.ask(fidelity=5)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_context_is_given_and_decides_what_exists(strategy):
    space = bojax.Space(
        {
            "data": bojax.Categorical(["u", "v"]),
            "n": bojax.Int(1, 4, when={"data": "v"}),
            "b": bojax.Boolean(),
        },
        context=["data"],
    )
    opt = optimizer(strategy, space)
    for _ in range(2):
        for trial in opt.ask(4, context={"data": "v"}):
            opt.tell(trial, 1.0)
    expected = {repr({"data": "v", "n": n, "b": b}) for n in range(1, 5) for b in (False, True)}
    assert set(configs(opt)) == expected
    with pytest.raises(bojax.SpaceExhausted):
        opt.ask(context={"data": "v"})
    assert len(opt.ask(4, context={"data": "u"})) == 2


def test_children_of_the_context_are_drawn_evenly():
    space = bojax.Space(
        {
            "data": bojax.Categorical(["u", "v"]),
            "y": bojax.Float(0.0, 1.0, when={"data": "v"}),
            "z": bojax.Float(0.0, 1.0),
        },
        context=["data"],
    )
    opt = optimizer("sobol", space)
    drawn = np.array([trial.config["y"] for trial in opt.ask(32, context={"data": "v"})])
    assert (np.histogram(drawn, bins=8, range=(0, 1))[0] == 4).all()


# ------------------------------------------------------------------------ bad input


def tell(*arguments, **settings):
    return lambda opt: opt.tell(*arguments, **settings)


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (lambda opt: opt.ask(0), ValueError, "at least 1, got 0"),
        (lambda opt: opt.ask(-3), ValueError, "got -3"),
        (lambda opt: opt.ask(2.0), ValueError, r"got 2\.0"),
        (lambda opt: opt.ask(True), ValueError, "got True"),
        (lambda opt: opt.ask(fidelity=3), bojax.ConfigError, "this space has none"),
        (lambda opt: opt.ask(context={"x": 1.0}), bojax.ConfigError, "x: is no context"),
        (tell(7, 0.5), bojax.TrialError, r"trial 7: unknown id; ids so far are 0\.\.2"),
        (tell(-1, 0.5), bojax.TrialError, "trial -1: unknown"),
        (tell("0", 0.5), bojax.TrialError, "expected a Trial, its id or a config"),
        (tell(True, 0.5), bojax.TrialError, "got True"),
        (tell(0, 0.5), bojax.TrialError, "trial 0: was told already"),
        (tell([1, 0], [0.5, 0.5]), bojax.TrialError, "trial 0: was told already"),
        (tell([1, 1], [0.5, 0.5]), bojax.TrialError, "twice in one call"),
        (tell([1, 2], [0.5]), bojax.TrialError, "2 trials need 2 values, got 1"),
        (tell([1, 2], 0.5), bojax.TrialError, r"2 trials need 2 values, got the single 0\.5"),
        (tell(1, [0.5, 0.6]), bojax.TrialError, r"one number a trial, got shape \(2,\)"),
        (tell(1, "good"), bojax.TrialError, "expected a number, got 'good'"),
        (tell(1, 0.5, variance=-1.0), bojax.TrialError, r"not negative, got -1\.0"),
        (tell(1, 0.5, variance=math.nan), bojax.TrialError, "variance: must be finite"),
        (tell(1, 0.5, status="lost"), bojax.TrialError, "'failed' or 'stale', got 'lost'"),
        (tell(1, 0.5, status="empty"), bojax.TrialError, "'failed' or 'stale'"),
        (tell(1, 0.5, status=Status.PENDING), bojax.TrialError, "'failed' or 'stale'"),
        (tell(1, 0.5, fidelity=3), bojax.ConfigError, "this space has none"),
        (tell({"x": 1.0}, 0.5), bojax.ConfigError, "c: missing"),
        (tell([1, {"z": 1}], [0.5, 0.5]), bojax.ConfigError, "z: not a parameter"),
    ],
)
def test_bad_input_is_named_and_changes_nothing(act, error, words):
    opt = optimizer("sobol")
    opt.ask(3)
    opt.tell(0, 1.0)
    twin = optimizer("sobol")
    twin.ask(3)
    twin.tell(0, 1.0)
    with pytest.raises(error, match=words):
        act(opt)
    assert repr(opt.trials) == repr(twin.trials)
    for a, b in zip(opt.history, twin.history, strict=True):
        assert a.tobytes() == b.tobytes()
    assert repr(opt.ask(2)) == repr(twin.ask(2))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"strategy": "best"}, "unknown name 'best'; expected one of cmaes, .*, evolution, .*, gp"),
        ({"strategy": 3}, "expected a name or an object with init, ask and tell, got 3"),
        ({"direction": "up"}, "direction: expected one of .*got 'up'"),
        ({"repeats": "always"}, "repeats: .*got 'always'"),
        ({"seed": 1.5}, r"seed: expected an integer, got 1\.5"),
        ({"seed": True}, "seed: expected an integer, got True"),
    ],
)
def test_a_setting_that_is_none_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        bojax.Optimizer(MIXED, **settings)


def test_unknown_budgets_and_missing_context_are_named():
    with pytest.raises(bojax.ConfigError, match="epochs: 28 is outside"):
        optimizer("random", BUDGETED).ask(fidelity=28)
    space = bojax.Space({"x": bojax.Float(0, 1), "d": bojax.Boolean()}, context=["d"])
    with pytest.raises(bojax.ConfigError, match=r"d: is context and must be given"):
        optimizer("random", space).ask()


def test_trial_errors_before_any_trial():
    with pytest.raises(bojax.TrialError, match="has no trials yet"):
        optimizer("random").tell(0, 1.0)


# ------------------------------------------------------------------------ one line


def test_minimize_and_maximize_spend_what_they_are_given():
    calls = []
    result = bojax.minimize(
        lambda c: calls.append(c) or loss(c), MIXED, evaluations=7, batch=3, strategy="sobol"
    )
    assert len(calls) == len(result.trials) == 7
    assert result.best().value == min(map(loss, calls))
    up = bojax.maximize(lambda c: float(c.get("n", 0)), FINITE, evaluations=99, strategy="random")
    assert len(up.trials) == 10 and up.best().value == 3.0


def test_an_exception_passes_through_with_what_was_told():
    def breaks(config):
        if len(seen) == 3:
            raise ZeroDivisionError("own fault")
        seen.append(config)
        return 1.0

    seen = []
    with pytest.raises(ZeroDivisionError, match="own fault") as error:
        bojax.minimize(breaks, MIXED, evaluations=9, strategy="random")
    assert [t.value for t in error.value.optimizer.trials] == [1.0, 1.0, 1.0, None]


@pytest.mark.parametrize("setting", ["evaluations", "batch"])
@pytest.mark.parametrize("bad", [0, -1, 1.5, True])
def test_minimize_refuses_a_number_that_is_none(setting, bad):
    given = {"evaluations": 3, "batch": 1} | {setting: bad}
    with pytest.raises(ValueError, match=f"{setting} must be at least 1, got {bad!r}"):
        bojax.minimize(loss, MIXED, strategy="random", **given)


# ------------------------------------------------------------------------ compiled programs


def test_a_run_compiles_five_programs_and_another_space_none(count_compiles):
    with count_compiles() as programs:
        run("gp", 70)
    names = {"jit(_design_program)", "jit(_fit_program)", "jit(_suggest_program)"}
    assert set(programs) <= names and len(programs) <= 5
    other = bojax.Space(
        {
            "k": bojax.Ordinal([1, 2, 4, 8]),
            "b": bojax.Boolean(when={"k": [2, 4]}),
            "z": bojax.Int(3, 900, when={"b": True}),
        }
    )
    with count_compiles() as programs:
        run("gp", 70, space=other, seed=9, function=lambda c: c["k"] + c.get("z", 500) / 900)
    assert programs == []
