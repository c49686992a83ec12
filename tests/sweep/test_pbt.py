"""Population based training on a real task: copies, their parents, and going on after a stop."""

from dataclasses import replace

import numpy as np
import pytest

import bojax
from bojax.history import Status
from bojax.training import Schedule, Stage
from tests.sweep.conftest import SPACE, TASK, make_data

SETTINGS = {"scheduler": {"name": "pbt", "interval": 2, "quantile": 0.5}, "max_budget": 6}
BANDITS = {"scheduler": {"name": "pb2", "interval": 1, "quantile": 0.5}, "max_budget": 6}
SEED = 3  # of a run whose winner is a copy of a copy


class Stop(Exception):
    """Raised by a callback to interrupt a run."""


def stop_at(rung):
    seen = []

    def callback(event):
        seen.append(event.kind)
        if seen.count("rung") == rung:
            raise Stop

    return callback


def test_copies_go_on_from_their_parents_with_other_values(small, count_compiles):
    events = []
    sweep = small(**SETTINGS, callbacks=[events.append])
    with count_compiles() as programs:
        result = sweep.run(8)
    train = [name for name in programs if "train" in name]
    assert len(train) <= 1  # inside a bucket copies compile nothing
    copies = [t for t in result.trials if t.parent is not None]
    assert len(result.trials) == 8 + 4 + 4 and len(copies) == 8
    by_id = {t.id: t for t in result.trials}
    for copy in copies:
        parent = by_id[copy.parent]
        assert copy.source == "clone" and copy.config != parent.config
        begun = copy.curve[0][0] - 2
        assert begun in [budget for budget, _ in parent.curve]
    rungs = [event.data for event in events if event.kind == "rung"]
    assert [rung["members"] for rung in rungs] == [8, 8, 8]
    assert result.spent == 8 * 6
    assert sum(t.status == Status.DONE for t in result.trials) == 8
    assert sum(t.status == Status.STOPPED for t in result.trials) == 8
    assert result.best.fidelity == 6
    for trial in result.trials:
        SPACE.encode(trial.config)  # every value in its range


def test_losers_copy_winners(small):
    result = small(**SETTINGS).run(8)
    first = {t.id: t.curve[0][1]["loss"] for t in result.trials if t.id < 8}
    best = set(sorted(first, key=first.get)[:4])
    second = [t for t in result.trials if 8 <= t.id < 12]
    assert {t.parent for t in second} <= best
    worst = set(first) - best
    assert {t.id for t in result.trials if t.status == Status.STOPPED and t.id < 8} >= worst


@pytest.mark.parametrize("settings", [SETTINGS, BANDITS], ids=["pbt", "pb2"])
def test_stopped_anywhere_and_resumed_it_is_the_same_run(small, table, tmp_path, settings):
    whole = small(**settings).run(8)
    for rung in (1, 3 if settings is BANDITS else 2):
        store = tmp_path / f"{rung}.db"
        with pytest.raises(Stop):
            small(**settings, store=store, callbacks=[stop_at(rung)]).run(8)
        resumed = bojax.Sweep.resume(store, TASK, data=make_data())
        assert table(resumed) == table(whole)
        assert [t.parent for t in resumed.trials] == [t.parent for t in whole.trials]
        assert resumed.schedule() == whole.schedule()


def test_seed_factors_resampling_and_names_change_the_copies(small):
    def copies(seed=0, **more):
        scheduler = SETTINGS["scheduler"] | more
        result = small(scheduler=scheduler, max_budget=6, seed=seed).run(8)
        return [t.config for t in result.trials[8:]]

    plain = copies(resample=0.0)
    assert copies(resample=1.0) != plain
    assert copies(resample=0.0, factors=[2.0, 0.5]) != plain
    assert copies(resample=0.0, seed=1) != plain
    rates = copies(resample=0.0, perturb=["lr"])
    ratios = np.array([c["lr"] for c in rates])
    assert rates != plain and len(set(ratios.tolist())) > 1


def test_what_chooses_the_program_cannot_be_perturbed(small):
    scheduler = {"name": "pbt", "perturb": ["momentum"]}
    with pytest.raises(bojax.SpaceError, match="perturb='momentum': no such parameter"):
        small(scheduler=scheduler).run(4)


@pytest.fixture(scope="module")
def found():
    """A run whose winner is a copy of a copy."""
    data = make_data()
    sweep = bojax.Sweep(TASK, SPACE, data=data, strategy="random", seed=SEED, **SETTINGS)
    result = sweep.run(8)
    assert len(result.schedule().stages) == 3
    return result


def test_a_schedule_is_the_chain_of_parents(found):
    trial = found.best
    schedule = found.schedule(trial.id)
    parent = found.trials[trial.parent]
    chain = [found.trials[parent.parent], parent, trial]
    assert [stage.trial for stage in schedule.stages] == [t.id for t in chain]
    assert [stage.config for stage in schedule.stages] == [t.config for t in chain]
    assert [(s.start, s.stop) for s in schedule.stages] == [(0, 2), (2, 4), (4, 6)]
    assert found.schedule() == found.schedule(found.best.id)
    rates = [schedule.at(budget)["lr"] for budget in (0, 1, 2, 5, 6)]
    assert rates == [chain[i].config["lr"] for i in (0, 0, 1, 2, 2)]
    again = Schedule.from_json(schedule.to_json())
    assert again == schedule and again.horizon == 6
    head, *lines = str(again).splitlines()
    assert head.split() == ["from", "to", "lr", "dropout", "trial"]
    assert [line.split()[-1] for line in lines] == [str(t.id) for t in chain]
    with pytest.raises(bojax.TrialError, match="trial 99: the run has trials 0 to 15"):
        found.schedule(99)


def test_a_replay_trains_what_the_lineage_was(found):
    trial = found.best
    schedule = Schedule.from_json(found.schedule(trial.id).to_json())
    x = np.random.default_rng(1).normal(size=(9, 4))
    model = schedule.replay(TASK, SPACE, make_data(), seed=SEED)
    data = make_data()
    metrics = model.score(data._raw[data.validation], data.y[data.validation])
    # Another layout of the same sums: to rounding.
    assert metrics["loss"] == pytest.approx(trial.curve[-1][1]["loss"], abs=1e-5)
    # What the defect was: the last values from the start on.
    last = replace(schedule, stages=(Stage(0, 6, trial.config, trial.id),))
    few = replace(schedule, unit="percent", horizon=100)
    for other, seed in (
        (last, SEED), (schedule, 0), (schedule.until(5), SEED),
        (replace(schedule, unit="steps"), SEED), (few, SEED),
    ):  # fmt: skip
        again = other.replay(TASK, SPACE, make_data(), seed=seed)
        assert np.abs(again.predict(x) - model.predict(x)).max() > 1e-3
    more = replace(few, passes=9).replay(TASK, SPACE, make_data(), seed=SEED)
    assert np.abs(again.predict(x) - more.predict(x)).max() > 1e-3
    later = replace(schedule, horizon=9).replay(TASK, SPACE.parameters, make_data(), seed=SEED)
    assert later.executor.max_budget == 9 and model.executor.max_budget == 6
    assert schedule.replay(TASK, SPACE, make_data(), seeds=2).params()["output"]["kernel"].ndim == 3


def test_a_refit_and_an_ensemble_follow_the_schedules(found):
    x = np.random.default_rng(1).normal(size=(9, 4))
    best = [t.id for t in found.ranked()[:5]]
    whole = found.executor.data.whole()
    schedules = [found.schedule(number) for number in best]
    assert len({s.stages[0].trial for s in schedules}) < 5  # some have ancestors in common
    each = [s.replay(TASK, SPACE, whole, seed=SEED).predict(x) for s in schedules]
    np.testing.assert_allclose(found.refit().predict(x), each[0], atol=1e-5)
    np.testing.assert_allclose(found.ensemble(5).predict(x), np.mean(each, axis=0), atol=1e-5)
    assert len(found.ensemble(5).executor.kept) == 5


def test_bandits_choose_what_copies_train_with(small, table):
    def run(run=8, seed=0, **settings):
        scheduler = BANDITS["scheduler"] | settings
        return small(**(BANDITS | {"scheduler": scheduler}), seed=seed).run(run)

    whole = run()
    copies = [t for t in whole.trials if t.parent is not None]
    assert len(copies) == 5 * 4 and all(t.source == "clone" for t in copies)
    for trial in whole.trials:
        SPACE.encode(trial.config)
    assert table(run()) == table(whole) != table(run(seed=1))
    by_chance = small(**(BANDITS | {"scheduler": {"name": "pbt", "quantile": 0.5}})).run(8)
    assert table(whole)[:8] != table(by_chance)[:8]  # trials go on and are stopped elsewhere
    configs = [t.config for t in whole.trials]
    assert configs[:8] == [t.config for t in by_chance.trials][:8] != configs[8:16]
    assert [t.config for t in run(window=3).trials] != configs
    rates = run(perturb=["lr"]).trials
    assert all(t.config["dropout"] == rates[t.parent].config["dropout"] for t in rates[8:])
    assert whole.schedule().stop == 6 and whole.refit().predict(np.zeros((1, 4))).shape == (1, 3)


def test_schedules_that_make_no_sense_are_named():
    lr = {"lr": 0.1, "dropout": 0.1}
    for stages, words in (
        ([], "no stages"),
        ([Stage(1, 2, lr)], "a stage from 1 to 2 cannot follow on one that ends at 0"),
        ([Stage(0, 2, lr, 0), Stage(3, 4, lr, 1)], "from 3 to 4 cannot follow on one that ends at"),
        ([Stage(0, 0, lr)], "from 0 to 0 cannot follow"),
        ([Stage(0, 2, lr, 4), Stage(2, 4, lr, 4)], "two stages of trial 4"),
    ):
        with pytest.raises(bojax.ConfigError, match=words):
            Schedule(stages)
    schedule = Schedule([Stage(0, 2, lr)])
    with pytest.raises(bojax.ConfigError, match="horizon=1 is before its end, 2"):
        replace(schedule, horizon=1)
    with pytest.raises(bojax.ConfigError, match="until=0 must be above 0"):
        schedule.until(0)
    for text in ("{", "[]", "{}", schedule.to_json().replace('"trial"', '"number"')):
        with pytest.raises(bojax.ConfigError, match="not the JSON of one"):
            Schedule.from_json(text)
    with pytest.raises(bojax.ConfigError, match="written with schema 9"):
        Schedule.from_json(schedule.to_json().replace('"schema": 1', '"schema": 9'))
    far = Schedule([Stage(0, 2, {"lr": 7.0, "dropout": 0.1})])
    with pytest.raises(bojax.ConfigError, match=r"lr: 7\.0 is outside"):
        far.replay(TASK, SPACE, make_data())
