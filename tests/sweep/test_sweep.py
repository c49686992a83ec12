"""Sweeps end to end: rungs, resuming, stores, the test part, and what is refused."""

import dataclasses
import math

import numpy as np
import optax
import pytest

import bojax
from bojax.history import Status
from bojax.store import open_store
from bojax.training.solo import Solo
from tests.sweep.conftest import SPACE, TASK, build, make_data, optimizer


class Stop(Exception):
    """Raised by a callback to interrupt a run."""


def stop_after(rungs):
    """A callback that interrupts after so many committed rungs."""
    seen = []

    def callback(event):
        if event.kind == "rung":
            seen.append(event)
            if len(seen) == rungs:
                raise Stop

    return callback


# ------------------------------------------------------------------ what a run does


def test_rungs_are_those_of_the_plan(small):
    rungs = []
    sweep = small(callbacks=[lambda e: rungs.append(e.data) if e.kind == "rung" else None])
    result = sweep.run(trials=12)
    planned = [(row.members, row.budget) for row in sweep.plan(12).rows]
    assert [(rung["members"], rung["budget"]) for rung in rungs] == planned
    assert result.spent == sweep.plan(12).total
    assert [trial.id for trial in result.trials] == list(range(12))


def test_promoted_trials_are_the_best_of_their_rung(small):
    result = small().run(trials=9)
    at_first = {t.id: t.curve[0][1]["loss"] for t in result.trials}
    on = {t.id for t in result.trials if len(t.curve) > 1}
    assert on == set(sorted(at_first, key=at_first.get)[:3])
    (over,) = [t for t in result.trials if t.status == Status.DONE]
    assert over.fidelity == 9 and [budget for budget, _ in over.curve] == [1, 3, 9]
    assert all(t.status == Status.STOPPED for t in result.trials if t is not over)


def test_the_value_is_the_metric_on_the_validation_part(small):
    data = make_data()
    result = small(data=data).run(trials=9)
    outputs = result.predict(data._raw[data.validation])
    log_p = outputs - np.log(np.exp(outputs).sum(axis=1, keepdims=True))
    labels = data.y[data.validation]
    loss = -log_p[np.arange(len(labels)), labels].mean()
    assert result.best.value == pytest.approx(loss, rel=1e-5)


def test_maximize_takes_the_largest(small):
    result = small(metric="accuracy", direction="maximize").run(trials=9)
    finished = [t for t in result.trials if t.fidelity == 9]
    assert result.best.value == max(t.value for t in finished)
    at_first = {t.id: t.curve[0][1]["accuracy"] for t in result.trials}
    assert (
        min(at_first[t.id] for t in result.trials if len(t.curve) > 1)
        >= sorted(at_first.values())[-3]
    )


def test_same_seed_same_run_and_another_seed_another(small, table):
    first = table(small().run(trials=9))
    assert table(small().run(trials=9)) == first
    assert table(small(seed=1).run(trials=9)) != first


def test_the_default_is_trial_zero(small):
    default = {"lr": 0.125, "dropout": 0.25}
    result = small(default=default).run(trials=9)
    assert result.trials[0].config == pytest.approx(default)
    assert result.trials[0].source == "default"
    assert len(result.trials) == 9


def test_eta_and_min_budget_and_scheduler_change_the_plan(small):
    plans = {
        str(small(**settings).plan(12))
        for settings in (
            {},
            {"eta": 2},
            {"min_budget": 3},
            {"scheduler": "full_budget"},
            {"bracket": 4},
        )
    }
    assert len(plans) == 5


def test_the_model_learns_from_lower_budgets(small):
    """The strategy fills a second bracket elsewhere than random search does."""
    random = small(bracket=6, max_budget=3).run(trials=12)
    model = small(strategy=bojax.strategies.gp(initial=5), bracket=6, max_budget=3).run(trials=12)
    assert [t.config for t in model.trials[6:]] != [t.config for t in random.trials[6:]]
    assert all(t.source == "GPStrategy" for t in model.trials)


def test_a_finite_space_that_runs_out_ends_the_run(small):
    space = bojax.Space({"lr": bojax.Ordinal([0.1, 0.2]), "dropout": bojax.Ordinal([0.0, 0.1])})
    sweep = bojax.Sweep(TASK, space, data=make_data(), strategy="random", max_budget=3, bracket=3)
    result = sweep.run(trials=12)
    assert len({str(t.config) for t in result.trials}) == len(result.trials) == 4
    assert result.best is not None


def test_all_failed_is_a_result_without_a_best(small):
    space = bojax.Space({"lr": bojax.Float(1e30, 1e35, log=True), "dropout": bojax.Float(0, 0.5)})
    result = bojax.Sweep(TASK, space, data=make_data(), strategy="random", max_budget=3).run(3)
    assert result.best is None
    assert all(t.status == Status.FAILED for t in result.trials)
    with pytest.raises(bojax.BojaxError, match="every trial failed"):
        result.test()


# ------------------------------------------------------------------ the test part


def test_the_test_part_is_looked_at_once(small):
    result = small().run(trials=3)
    scores = result.test()
    assert 0.0 <= scores["accuracy"] <= 1.0 and math.isfinite(scores["loss"])
    with pytest.raises(bojax.TestDataTouched, match="used already"):
        result.test()


def test_a_touched_test_part_stays_touched_in_the_store(small, tmp_path):
    store = tmp_path / "a.db"
    small(store=store).run(trials=3).test()
    again = bojax.Sweep.resume(store, TASK, data=make_data())
    with pytest.raises(bojax.TestDataTouched):
        again.test()


# ------------------------------------------------------------------ stores and resuming


@pytest.mark.parametrize("rungs", [1, 2, 4])
def test_interrupted_and_resumed_equals_uninterrupted(small, table, tmp_path, rungs):
    expected = table(small().run(trials=18))
    store = tmp_path / "a.db"
    with pytest.raises(Stop):
        small(store=store, callbacks=[stop_after(rungs)]).run(trials=18)
    with open_store(store) as opened:
        committed = opened.reports("main")
    result = bojax.Sweep.resume(store, TASK, data=make_data())
    assert table(result) == expected
    with open_store(store) as opened:
        kept = {(r.trial, r.budget, r.metrics["loss"]) for r in opened.reports("main")}
        history = opened.history("main")
    assert {(r.trial, r.budget, r.metrics["loss"]) for r in committed} <= kept
    assert (history.status == Status.DONE).sum() == len(kept)
    assert not (history.status == Status.PENDING).any()


def test_the_model_resumes_to_the_bit(small, table, tmp_path):
    settings = {"strategy": bojax.strategies.gp(initial=5), "bracket": 6, "max_budget": 3}
    expected = table(small(**settings).run(trials=18))
    with pytest.raises(Stop):
        small(store=tmp_path / "a.db", callbacks=[stop_after(3)], **settings).run(trials=18)
    assert table(bojax.Sweep.resume(tmp_path / "a.db", TASK, data=make_data())) == expected


def test_resuming_a_finished_run_trains_nothing(small, table, tmp_path):
    store = tmp_path / "a.db"
    expected = table(small(store=store).run(trials=9))
    events = []
    result = bojax.Sweep.resume(store, TASK, data=make_data(), callbacks=[events.append])
    assert table(result) == expected
    assert not [event for event in events if event.kind in ("rung", "trained")]
    result.test()  # the winner's model came back with its checkpoint


def test_a_run_is_not_overwritten(small, tmp_path):
    store = tmp_path / "a.db"
    small(store=store).run(trials=3)
    with pytest.raises(bojax.StoreError, match="has run 'main' already; go on with it"):
        small(store=store).run(trials=3)


def test_another_sweep_is_not_resumed_into_a_run(small, tmp_path):
    store = tmp_path / "a.db"
    small(store=store).run(trials=3)
    with pytest.raises(bojax.ConfigError, match="seed=0, now it is 1"):
        small(store=store, seed=1).continue_run(trials=3)
    with pytest.raises(bojax.ConfigError, match="trials=3, now it is 6"):
        small(store=store).continue_run(trials=6)


def test_other_data_or_another_task_is_not_resumed_into_a_run(small, tmp_path):
    store = tmp_path / "a.db"
    result = small(store=store).run(9)
    other = make_data()
    other._raw[0, 0] += 1.0
    fewer = bojax.ArrayData(*other_arrays(), split=bojax.Holdout(0.25, 0.2))
    for data in (make_data(seed=1), other, fewer):
        with pytest.raises(bojax.errors.ConfigError, match="was trained on other data"):
            bojax.Sweep.resume(store, TASK, data=data)
    with pytest.raises(bojax.errors.ConfigError, match="stored with task="):
        bojax.Sweep.resume(store, dataclasses.replace(TASK, batch_size=16), data=make_data())
    again = bojax.Sweep.resume(store, TASK, data=make_data())
    assert again.best.id == result.best.id


def other_arrays():
    """The arrays of `make_data`, for another split."""
    x = np.random.default_rng(0).normal(size=(200, 4))
    return x, np.argmax(x[:, :3], axis=1)


def test_a_run_stored_before_data_had_a_fingerprint_goes_on(small, tmp_path):
    sweep = small(store=tmp_path / "a.db")
    settings = sweep._settings
    sweep._settings = lambda n: {k: v for k, v in settings(n).items() if k not in ("data", "task")}
    best = sweep.run(9).best
    assert bojax.Sweep.resume(tmp_path / "a.db", TASK, data=make_data()).best.id == best.id


def test_progress_says_a_line_a_rung_and_ends_with_all_done(small):
    said = []
    result = small(callbacks=[bojax.coordinate.progress(said.append)]).run(9)
    assert len(said) == len(small().plan(9).rows)
    assert said[0].startswith("9 trials to 1: ") and "s left, best" in said[0]
    assert f"100 % done, 0 s left, best {result.best.value:.4g}" in said[-1]


def test_a_result_is_told_in_a_few_lines(small):
    result = small().run(9)
    text = str(result)
    assert repr(result) == text and len(text.splitlines()) == 3
    assert f"best: trial {result.best.id}, loss {result.best.value:.4g}" in text
    assert "9 trials: " in text and f"{result.spent:g} epochs" in text


def test_a_store_in_use_is_refused_before_anything_is_trained(small, tmp_path):
    store = tmp_path / "a.db"
    small(store=store).run(trials=3)
    with (
        open_store(store) as opened,
        opened.acquire("main"),  # that of this very process counts until it is released
        pytest.raises(bojax.StoreInUse, match="main"),
    ):
        small(store=store).continue_run(trials=3)


def test_several_runs_share_a_store(small, tmp_path):
    store = tmp_path / "a.db"
    for name in ("one", "two"):
        small(store=store, run=name).run(trials=3)
    with open_store(store) as opened:
        assert [run.id for run in opened.runs()] == ["one", "two"]
        run = opened.run("one")
    assert run.seed == 0 and run.versions["jax"] and run.objectives == {"loss": "minimize"}


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"direction": "down"}, ValueError, "direction: expected"),
        ({"strategy": "annealing"}, ValueError, "unknown name 'annealing'"),
        ({"scheduler": "lottery"}, bojax.SchedulerError, "lottery"),
        ({"min_budget": 10}, bojax.SchedulerError, "min_budget must not exceed max_budget"),
        ({"eta": 1}, bojax.SchedulerError, "eta"),
        ({"default": {"lr": 0.1}}, bojax.ConfigError, "dropout: missing"),
        ({"default": {"lr": 9.0, "dropout": 0.1}}, bojax.ConfigError, "lr: 9.0 is outside"),
    ],
)
def test_settings_that_make_no_sense_are_refused_at_once(small, settings, error, words):
    with pytest.raises(error, match=words):
        small(**settings)


def test_an_unknown_metric_is_named(small):
    with pytest.raises(bojax.TaskError, match="metric 'f1': the task reports no such metric"):
        small(metric="f1")  # before anything is trained or stored


def test_a_parameter_that_the_task_never_reads_is_named_before_compiling(count_compiles):
    space = {**SPACE.parameters, "momentum": bojax.Float(0, 1)}
    sweep = bojax.Sweep(TASK, space, data=make_data(), strategy="random", max_budget=3)
    words = r"momentum: the space has it, but the task never reads hp\['momentum'\]"
    for start in (lambda: sweep.run(3), sweep.check):
        with count_compiles() as compiles, pytest.raises(bojax.TaskError, match=words):
            start()
        assert not [name for name in compiles if "train" in name]


def test_what_one_static_value_leads_to_is_read_by_that_alone():
    """Momentum is read by one of two optimisers: no error, whichever is drawn first."""

    def chosen(hp):
        if hp["kind"] == "momentum":
            return optax.sgd(hp["lr"], momentum=hp["momentum"])
        return optax.sgd(hp["lr"])

    task = bojax.Task.linen(build, optimizer=chosen, static=["kind"], batch_size=32)
    space = SPACE.parameters | {
        "kind": bojax.Categorical(["plain", "momentum"]),
        "momentum": bojax.Float(0.5, 0.9),
    }
    for seed in (0, 1):
        sweep = bojax.Sweep(
            task, space, data=make_data(), strategy="random", max_budget=1, seed=seed
        )
        assert sweep.run(2).best is not None


def test_a_rung_that_diverges_whole_ends_the_run_and_stays_on_disk(tmp_path):
    space = bojax.Space({"lr": bojax.Float(1e30, 1e35, log=True), "dropout": bojax.Float(0, 0.5)})
    settings = {"strategy": "random", "max_budget": 3, "bracket": 9}
    sweep = bojax.Sweep(TASK, space, data=make_data(), store=tmp_path / "a.db", **settings)
    words = r"rung of budget 1: all 9 members diverged .* trial 0 \(lr=.*train_loss=nan"
    with pytest.raises(bojax.TrialError, match=words):
        sweep.run(9)
    with open_store(tmp_path / "a.db") as opened:
        trials = opened.trials("main")
        assert len(opened.reports("main")) == 9
    assert [t.status for t in trials] == [Status.FAILED] * 9
    result = bojax.Sweep.resume(tmp_path / "a.db", TASK, data=make_data())
    assert result.best is None and len(result.trials) == 9


@pytest.mark.parametrize(
    ("counts", "settings", "task", "words"),
    [
        ((60, 0), {}, {}, "the training part has examples of class 0 alone"),
        (
            (59, 1),
            {"split": bojax.CrossValidation(5, stratify=False, time=True, test=0.0)},
            {},
            "fold 0: the training part has examples of class 0 alone",
        ),
        (
            (30, 30),
            {"split": bojax.CrossValidation(3, time=True, test=0.0)},
            {"metrics": ("accuracy", "auc")},
            "fold 0: the validation part has examples of class 0 alone",
        ),
        ((30, 30), {}, {"batch_size": 64}, "batch_size=64: larger than the 36 training examples"),
    ],
)
def test_folds_and_batches_that_cannot_teach_are_named(counts, settings, task, words):
    y = np.repeat([0, 1], counts)
    y[:1] = 0 if counts[1] < 30 else 1
    data = bojax.ArrayData(np.zeros((60, 4)), y, **settings)
    task = bojax.Task.linen(build, optimizer=optimizer, **{"batch_size": 8, **task})
    with pytest.raises(bojax.BojaxError, match=words):
        bojax.Sweep(task, SPACE, data=data, strategy="random", max_budget=3).run(3)


def test_check_prints_plan_and_programs_without_running(small, count_compiles):
    with count_compiles() as programs:
        text = small().check(trials=9)
    assert "bracket" in text and "bucket" in text
    assert not [name for name in programs if "train" in name]


def test_the_space_is_kept_as_it_was(small, tmp_path):
    small(store=tmp_path / "a.db").run(trials=3)
    with open_store(tmp_path / "a.db") as opened:
        assert bojax.Space.from_json(opened.run("main").space) == SPACE


def test_folds_and_seeds_are_scored_by_their_mean_and_resumed_to_the_bit(small, table, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 4))
    y = np.argmax(x[:, :3], axis=1)

    def data():
        return bojax.ArrayData(x, y, split=bojax.CrossValidation(3))

    settings = {"seeds": 2, "bracket": 3, "max_budget": 3}
    result = small(data=data(), **settings).run(3)
    assert result.executor.replicas == 6
    other = small(data=data(), **(settings | {"seeds": 1})).run(3)
    assert result.best.values != other.best.values

    store = tmp_path / "folds.db"
    with pytest.raises(Stop):
        small(data=data(), store=store, callbacks=[stop_after(1)], **settings).run(3)
    resumed = bojax.Sweep.resume(store, TASK, data=data())
    assert table(resumed) == table(result)
    assert set(resumed.test()) >= {"loss", "accuracy"}
    with pytest.raises(bojax.ConfigError, match="folds=3, now it is 1"):
        bojax.Sweep.resume(store, TASK, data=make_data())


def test_a_refit_is_the_best_configuration_on_all_but_the_test_part(small, tmp_path):
    result = small(store=tmp_path / "a.db").run(3)
    model = result.refit()
    data = result.executor.data
    assert model.config == result.best.config
    alone = Solo(TASK, SPACE, data.whole(), result.best.config, trial=result.best.id, max_budget=9)
    alone.train(int(result.best.fidelity))
    assert alone.examples == 150 > len(data.train)
    kernel = model.params()["output"]["kernel"]
    np.testing.assert_allclose(kernel, alone.member.params["output"]["kernel"], atol=1e-4)
    assert np.abs(kernel - result.params()["output"]["kernel"]).max() > 1e-3
    x = np.zeros((2, 4))
    several = result.refit(seeds=3)
    assert several.params()["output"]["kernel"].shape == (3, 8, 3)
    assert np.abs(several.predict(x) - model.predict(x)).max() > 1e-4
    assert set(model.test()) == {"loss", "accuracy"}
    for touched in (several, result):
        with pytest.raises(bojax.TestDataTouched):
            touched.test()
    with open_store(tmp_path / "a.db") as opened:
        assert opened.state("main", "test") is not None  # the store knows


def test_all_failed_cannot_be_refitted(small):
    space = bojax.Space({"lr": bojax.Float(1e30, 1e35, log=True), "dropout": bojax.Float(0, 0.5)})
    result = bojax.Sweep(TASK, space, data=make_data(), strategy="random", max_budget=3).run(3)
    with pytest.raises(bojax.ConfigError, match="refit: every trial failed"):
        result.refit()


def test_nested_folds_are_searched_refitted_and_scored_on_examples_never_seen(small):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 4))
    y = np.argmax(x[:, :3], axis=1)
    data = bojax.ArrayData(x, y, split=bojax.Holdout(0.25, 0.2), normalize=True)
    found = small(data=data, bracket=3, max_budget=3).nested(3, folds=4)
    assert len(found.results) == len(found.configs) == 4
    assert {len(values) for values in found.scores.values()} == {4}
    judged = []
    for result, config, loss in zip(
        found.results, found.configs, found.scores["loss"], strict=True
    ):
        inner = result.executor.data
        assert len(inner.y) == 60 and not len(inner.test) and config == result.best.config
        seen = {row.tobytes() for row in inner._raw}
        rest = [i for i, row in enumerate(data._raw) if row.tobytes() not in seen]
        assert len(rest) == 20
        judged += rest
        score = result.refit().score(data._raw[rest], data.y[rest])
        assert score["loss"] == pytest.approx(loss, rel=1e-5)
    assert sorted(judged) == list(range(80)) and not data.test.touched
    assert str(found).startswith("loss ")
    assert found.interval("accuracy").low < np.mean(found.scores["accuracy"])


def test_other_examples_must_fit(small):
    model = small(bracket=3, max_budget=3).run(3).refit()
    with pytest.raises(bojax.DataError, match="x has 3 examples, y has 2"):
        model.score(np.zeros((3, 4)), np.zeros(2, int))
    with pytest.raises(bojax.DataError, match="expected examples of shape"):
        model.score(np.zeros((2, 5)), np.zeros(2, int))
