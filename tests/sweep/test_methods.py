"""Methods that join strategy and scheduler, on a real task."""

import pytest

import bojax
from bojax.coordinate import METHODS, bohb, dehb, freeze_thaw, gp_hyperband
from bojax.errors import ConfigError
from bojax.strategies import DEHB, GPStrategy, KernelDensity
from tests.sweep.conftest import TASK, make_data


@pytest.mark.parametrize(
    ("name", "kind"),
    [("bohb", KernelDensity), ("dehb", DEHB), ("gp_hyperband", GPStrategy)],
)
def test_a_method_replaces_strategy_and_scheduler(small, name, kind):
    sweep = small(method=name, max_budget=9, bracket=None)
    assert isinstance(sweep.strategy, kind)
    assert sweep.scheduler_settings["name"] == "hyperband"
    rows = sweep.plan(15).rows
    assert {row.bracket for row in rows} == {0, 1, 2} and max(row.budget for row in rows) == 9


def test_bohb_fills_later_brackets_by_its_model_and_resumes(small, table, tmp_path):
    result = small(method=bohb(max_budget=9, random_fraction=0.0), bracket=None).run(17)
    random = small(method=bohb(max_budget=9, random_fraction=1.0), bracket=None).run(17)
    configs = [[t.config for t in run.trials] for run in (result, random)]
    assert configs[0][:9] == configs[1][:9] and configs[0][9:] != configs[1][9:]

    class Stop(Exception):
        pass

    rungs = []

    def stop(event):
        rungs.append(event.kind)
        if rungs.count("rung") == 4:
            raise Stop

    store = tmp_path / "a.db"
    with pytest.raises(Stop):
        small(
            method=bohb(max_budget=9, random_fraction=0.0), bracket=None, store=store,
            callbacks=[stop],
        ).run(17)  # fmt: skip
    resumed = bojax.Sweep.resume(store, TASK, data=make_data())
    assert table(resumed) == table(result)


def test_dehb_breeds_at_every_rung_and_resumes(small, table, tmp_path):
    """At R = 3 a round starts 5 trials, and every later one 6: the last one is 17 in all."""
    settings = {"method": dehb(max_budget=3), "bracket": None}
    result = small(**settings).run(17)
    assert [t.fidelity for t in result.trials[5:]] == [1, 1, 1, 3, 3, 3] * 2

    class Stop(Exception):
        pass

    rungs = []

    def stop(event):
        rungs.append(event.kind)
        if rungs.count("rung") == 5:
            raise Stop

    store = tmp_path / "a.db"
    with pytest.raises(Stop):
        small(**settings, store=store, callbacks=[stop]).run(17)
    resumed = bojax.Sweep.resume(store, TASK, data=make_data())
    assert table(resumed) == table(result)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"f": 0.0}, "f must lie in"),
        ({"cr": 1.1}, "cr must lie in"),
        ({"max_budget": 2}, "max_budget must be at least eta times"),
    ],
)
def test_bad_settings_of_dehb_are_named(settings, words):
    with pytest.raises(ValueError, match=words):
        dehb(**settings)


@pytest.mark.slow
def test_freeze_thaw_goes_on_after_a_kill_as_if_there_was_none(small, table, tmp_path):
    settings = {
        "method": freeze_thaw(max_budget=9, slots=2, mean_budget=3, initial=2), "bracket": None,
    }  # fmt: skip
    result = small(**settings).run(8)
    assert result.any_budget and result.best.fidelity == 9.0
    assert {trial.source for trial in result.trials} == {"GPStrategy"}

    class Stop(Exception):
        pass

    def stop(event):
        if event.kind == "rung" and event.data["spent"] >= 10:
            raise Stop

    store = tmp_path / "a.db"
    with pytest.raises(Stop):
        small(**settings, store=store, callbacks=[stop]).run(8)
    assert table(bojax.Sweep.resume(store, TASK, data=make_data())) == table(result)


def test_settings_reach_both_halves(small):
    sweep = small(method=freeze_thaw(max_budget=5, basket=3, lines=100, kernel="rbf"))
    assert sweep.max_budget == 5 and sweep.scheduler_settings["basket"] == 3
    assert sweep.strategy.lines == 100 and sweep.strategy.surrogate.kernel == "rbf"
    assert small(method="freeze_thaw").strategy.surrogate.kernel == "learning_curve"
    sweep = small(method=gp_hyperband(max_budget=3, eta=3, table="table-1", initial=3))
    assert sweep.max_budget == 3 and sweep.strategy.initial == 3
    assert sweep.scheduler_settings["table"] == "table-1"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"random_fraction": 1.5}, "random_fraction must lie"),
        ({"good": 1.0}, "good must lie"),
        ({"candidates": 0}, "candidates must be at least 1"),
        ({"wider": 0.0}, "wider must be above 0"),
    ],
)
def test_bad_settings_of_bohb_are_named(settings, words):
    with pytest.raises(ValueError, match=words):
        bohb(**settings)


def test_an_unknown_method_is_named(small):
    with pytest.raises(bojax.ConfigError, match="expected one of " + ", ".join(METHODS)):
        small(method="bohbb")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"method": "bohb", "scheduler": "racing"}, "scheduler: method 'bohb' has its own"),
        ({"method": "bohb", "strategy": "gp"}, "strategy: method 'bohb' has its own, got 'gp'"),
        ({"method": bohb(max_budget=9), "max_budget": 3}, "max_budget: method 'bohb' has its own"),
    ],
)
def test_what_a_method_settles_is_not_given_beside_it(small, settings, words):
    with pytest.raises(ConfigError, match=words):
        small(**settings)
    assert small(method=bohb(max_budget=9), max_budget=9).max_budget == 9


def test_a_method_that_does_not_suit_the_unit_is_named_as_it_was_given(small):
    x = make_data()._raw
    folded = bojax.ArrayData(x, x[:, 0] > 0, split=bojax.CrossValidation(3))
    with pytest.raises(ConfigError, match=r"^method 'freeze_thaw': .*values of all budgets"):
        small(method="freeze_thaw", unit="replicas", data=folded)
