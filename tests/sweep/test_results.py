"""What a sweep gives besides its best trial: ensembles, checkpoints, gain, units, a time limit."""

import json
import warnings

import jax
import numpy as np
import pytest

import bojax
from bojax.history import Job
from bojax.training import LocalExecutor
from tests.sweep.conftest import SPACE, TASK, make_data

GOOD, BAD = {"lr": 0.3, "dropout": 0.0}, {"lr": 0.001, "dropout": 0.4}


def test_an_ensemble_is_the_mean_of_the_best_models_trained_on_all(small):
    result = small().run(9)
    model = result.ensemble(3)
    best = result.ranked()[:3]
    assert list(model.configs) == [trial.config for trial in best]
    data = make_data()
    alone = LocalExecutor(TASK, SPACE, data.whole(), max_budget=9)
    configs = {trial.id: trial.config for trial in best}
    alone.run([Job(number, 0, 9) for number in configs], configs)
    x = np.random.default_rng(0).normal(size=(7, 4))
    each = [alone.predict(number, x) for number in configs]
    np.testing.assert_allclose(model.predict(x), np.mean(each, axis=0), atol=1e-4)
    assert len(model.params()) == 3
    # The score is of the mean output, not the mean of scores.
    y = np.argmax(x[:, :3], axis=1)
    logits = np.mean(each, axis=0)
    expected = -jax.nn.log_softmax(logits)[np.arange(7), y].mean()
    assert model.score(x, y)["loss"] == pytest.approx(float(expected), abs=1e-4)
    apart = np.mean([alone.score(number, x, y)["loss"] for number in configs])
    assert abs(apart - expected) > 1e-3
    assert len(result.ensemble(100).configs) == 9
    with pytest.raises(ValueError, match="k must be a positive integer, got 0"):
        result.ensemble(0)


def test_a_saved_model_is_read_by_orbax_alone(small, tmp_path):
    import orbax.checkpoint as orbax

    result = small().run(3)
    folder = result.model().save(tmp_path / "best")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Orbax says that it guesses where arrays are to go
        found = orbax.StandardCheckpointer().restore(folder)
    mine = result.params()
    assert jax.tree.structure(found["0"]["params"]) == jax.tree.structure(mine)
    for a, b in zip(jax.tree.leaves(found["0"]["params"]), jax.tree.leaves(mine), strict=True):
        np.testing.assert_array_equal(a, b)
    told = json.loads((folder / "model.json").read_text())
    assert told["configs"] == [result.best.config]
    with pytest.raises(bojax.ConfigError, match="something already"):
        result.model().save(tmp_path / "best")


def test_the_improvement_over_the_default_is_paired_and_of_models_trained_as_long(small):
    result = small(default=BAD, max_budget=9).run(9)
    assert result.trials[0].fidelity < 9  # halving stopped it
    data = make_data()
    alone = LocalExecutor(TASK, SPACE, data, max_budget=9)
    alone.run([Job(0, 0, 9)], {0: BAD})
    score = result.test()
    assert score.improvement is not None
    before = alone.test(0)
    gain = before["loss"] - score["loss"]
    assert score.improvement.mean == pytest.approx(gain, abs=1e-4) and gain > 0
    # Paired: narrower than both intervals together.
    apart = sum(s.intervals["loss"].high - s.intervals["loss"].low for s in (before, score))
    assert 0 < score.improvement.high - score.improvement.low < apart
    assert "better than the default by" in str(score)


def test_improvement_is_upwards_whatever_the_direction(small):
    for metric, direction in (("loss", "minimize"), ("accuracy", "maximize")):
        result = small(default=BAD, metric=metric, direction=direction).run(9)
        assert result.test().improvement.mean > 0
    assert small().run(3).test().improvement is None
    only = small(default=GOOD, scheduler="full_budget", max_budget=3).run(1).test()
    assert (only.improvement.mean, only.improvement.low, only.improvement.high) == (0, 0, 0)


@pytest.mark.parametrize("unit", ["steps", "examples", "percent"])
def test_a_sweep_in_another_unit_resumes_as_it_was(small, table, tmp_path, unit):
    settings = {"unit": unit, "max_budget": 90, "min_budget": 10, "bracket": 9}
    if unit == "percent":
        settings["passes"] = 3
    whole = small(**settings).run(9)
    assert sorted({trial.fidelity for trial in whole.trials}) == [10, 30, 90]
    assert whole.unit == unit
    store = tmp_path / "a.db"

    def stop(event):
        if event.kind == "rung":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        small(**settings, store=store, callbacks=[stop]).run(9)
    again = bojax.Sweep.resume(store, TASK, data=make_data())
    assert table(again) == table(whole) and again.unit == unit
    with pytest.raises(bojax.ConfigError, match="unit"):
        small(**(settings | {"unit": "epochs", "passes": 1}), store=store).continue_run(9)


def test_a_timeout_ends_after_a_rung_and_the_store_goes_on(small, table, tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("bojax.coordinate.coordinator.time.perf_counter", lambda: now[0])

    def tick(event):
        now[0] += 10.0 * (event.kind == "rung")

    store = tmp_path / "a.db"
    result = small(store=store, callbacks=[tick]).run(9, timeout=15.0)
    assert {trial.fidelity for trial in result.trials} == {1, 3}
    rest = small(store=store).continue_run(9)
    assert table(rest) == table(small().run(9))
    with pytest.raises(ValueError, match="timeout: expected seconds above 0"):
        small().run(9, timeout=0)


def test_a_sweep_that_stops_each_trial_by_its_own_curve(small, table, tmp_path):
    scheduler = {"name": "plateau", "patience": 2, "every": 3, "min_delta": 0.02}
    result = small(scheduler=scheduler, max_budget=30, min_budget=3).run(6)
    reached = {trial.fidelity for trial in result.trials}
    assert len(reached) > 1 and max(reached) <= 30
    # The best is that of best value, however far it came, and its state is kept.
    assert result.best.value == min(trial.value for trial in result.trials)
    assert result.ranked()[0].id == result.best.id
    assert result.predict(np.zeros((1, 4))).shape == (1, 3)
    store = tmp_path / "a.db"
    small(scheduler=scheduler, max_budget=30, min_budget=3, store=store).run(6, timeout=1e-9)
    assert table(bojax.Sweep.resume(store, TASK, data=make_data())) == table(result)
    with pytest.raises(bojax.SchedulerError, match="no setting 'patience'"):
        small(scheduler={"name": "full_budget", "patience": 2})


def test_the_energy_of_a_run_is_what_the_machine_counts(small, tmp_path, monkeypatch):
    from bojax.training import energy

    monkeypatch.setattr(energy, "POWERCAP", tmp_path)
    monkeypatch.setattr(energy, "_gpus", lambda stack: [])
    assert small(max_budget=3).run(3).energy is None
    folder = tmp_path / "intel-rapl:0"
    folder.mkdir()
    for name, value in (("name", "package-0"), ("energy_uj", 0), ("max_energy_range_uj", 2**40)):
        (folder / name).write_text(str(value))

    def count(event):
        if event.kind == "rung":
            before = int((folder / "energy_uj").read_text())
            (folder / "energy_uj").write_text(str(before + 1_500_000))

    result = small(max_budget=3, callbacks=[count]).run(3)
    assert result.energy == 3.0  # two rungs
    assert result.energy_parts == {"cpu package-0": 3.0}
