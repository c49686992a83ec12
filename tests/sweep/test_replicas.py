"""Sweeps over folds and seeds: races and Wilcoxon stopping decide on real values, and resume."""

import jax
import numpy as np
import optax
import pytest
from flax import linen

import bojax
from bojax.coordinate import Coordinator
from bojax.errors import ConfigError, SchedulerError, TaskError
from bojax.history import Report, Status
from bojax.schedulers import DONE, by_name

SPACE = bojax.Space({"lr": bojax.Float(1e-4, 1.0, log=True)})
TASK = bojax.Task.linen(
    lambda hp: linen.Dense(3), optimizer=lambda hp: optax.sgd(hp["lr"]), batch_size=16
)
RACE = {"name": "racing", "correction": "none"}


def make_data():
    rng = np.random.default_rng(0)
    y = np.arange(100) % 3
    x = rng.normal(size=(100, 4)) + 2.0 * rng.normal(size=(3, 4))[y]
    return bojax.ArrayData(x, y, split=bojax.CrossValidation(5, test=0.2))


def make(**settings):
    given = {"data": make_data(), "unit": "replicas", "passes": 3, "strategy": "random"}
    given |= {"scheduler": RACE, "chunk": 2}
    return bojax.Sweep(TASK, SPACE, **given | settings)


def table(result):
    return [(t.config, t.status, t.values, t.fidelity, t.curve) for t in result.trials]


def same(a, b):
    leaves = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.array_equal(x, y) for x, y in leaves)


@pytest.fixture(scope="module")
def raced():
    return make().run(12)


@pytest.fixture(scope="module")
def whole():
    """Every trial on all folds at once."""
    return make(unit="epochs", passes=1, max_budget=3, scheduler="full_budget").run(12)


def test_a_race_stops_the_bad_and_finds_what_all_folds_would(raced, whole):
    assert [t.config for t in raced.trials] == [t.config for t in whole.trials]
    reached = [int(t.fidelity) for t in raced.trials]
    assert 3 in reached and 5 in reached and raced.spent == sum(reached) < 0.8 * 60
    assert raced.best.id == whole.best.id and raced.best.values == whole.best.values
    for one, other in zip(raced.trials, whole.trials, strict=True):
        assert one.status == (Status.DONE if one.fidelity == 5 else Status.STOPPED)
        if one.fidelity == 5:
            assert one.values == other.values
    assert same(raced.params(), whole.params())
    assert raced.unit == "replicas" and raced.ranked()[0].id == raced.best.id


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("scheduler", [RACE, {"name": "wilcoxon", "bracket": 3}])
def test_its_decisions_are_the_schedulers_on_what_was_reported(scheduler, direction):
    metric = "loss" if direction == "minimize" else "accuracy"
    result = make(scheduler=scheduler, metric=metric, direction=direction).run(12)
    sign = 1.0 if direction == "minimize" else -1.0
    each = {
        (report.trial, report.budget): [sign * v for v in report.each[metric]]
        for report in result.reports
    }
    settings = dict(scheduler)
    alone = by_name(settings.pop("name"), max_budget=5, trials=12, **settings)
    reached = {}
    while (jobs := alone.next_jobs(100)) is not DONE:
        for job in jobs:
            values = each.pop((job.trial, job.stop))
            assert len(values) == job.stop - job.start
            alone.report(job.trial, job.stop, 0.0, each=values)
            reached[job.trial] = job.stop
    assert not each and [int(t.fidelity) for t in result.trials] == list(reached.values())
    assert len(set(reached.values())) > 1


@pytest.mark.slow
def test_what_a_result_gives(raced):
    data = make_data()
    assert raced.refit().params()["kernel"].shape == (4, 3)  # one model, on all the folds
    assert len(raced.ensemble(2).params()) == 2
    assert raced.model().params()["kernel"].shape == (5, 4, 3)
    expected = np.mean(
        [data.x[:7] @ k + b for k, b in zip(*(raced.params()[n] for n in ("kernel", "bias")),
                                            strict=True)], axis=0)  # fmt: skip
    np.testing.assert_allclose(raced.predict(data.x[:7]), expected, atol=1e-5)
    # A refit trains as long as each replica did.
    again = make(unit="epochs", passes=1, max_budget=3, scheduler="full_budget").run(12).refit()
    assert same(raced.refit().params(), again.params())
    with_default = make(default={"lr": 1e-4}).run(4)
    assert with_default.trials[0].fidelity < 5  # trained on the other folds, to compare
    assert with_default.test().improvement is not None


class Stop(Exception):
    """Raised by a callback to interrupt a run."""


@pytest.mark.parametrize("rungs", [1, 2])
def test_a_race_that_was_interrupted_ends_as_the_uninterrupted_one(tmp_path, raced, rungs):
    seen = []

    def stop(event):
        seen.append(event.kind)
        if seen.count("rung") == rungs:
            raise Stop

    with pytest.raises(Stop):
        make(store=tmp_path / "a.db", callbacks=[stop]).run(12)
    result = bojax.Sweep.resume(tmp_path / "a.db", TASK, data=make_data())
    assert table(result) == table(raced) and same(result.params(), raced.params())
    assert [r.each for r in sorted(result.reports, key=lambda r: (r.trial, r.budget))] == [
        r.each for r in sorted(raced.reports, key=lambda r: (r.trial, r.budget))
    ]
    with pytest.raises(ConfigError, match="passes=3, now it is 2"):
        make(store=tmp_path / "a.db", passes=2).continue_run(12)


def test_any_scheduler_takes_replicas_and_means_of_them(whole):
    result = make(scheduler="successive_halving", eta=5).run(5)
    assert [int(t.fidelity) for t in result.trials].count(5) == 1
    first = {t.id: t.curve[0][1]["loss"] for t in result.trials}
    assert result.best.id == min(first, key=first.get)
    assert result.best.values == whole.trials[result.best.id].values


def test_the_plan_is_in_replicas():
    sweep = make(seeds=2)
    assert sweep.max_budget == 10 and make(scheduler="wilcoxon").max_budget == 5
    assert [row.budget for row in sweep.plan(4).rows] == [3, 4, 5, 6, 7, 8, 9, 10]
    assert make(unit="epochs", passes=1, scheduler="full_budget").max_budget == 27


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"max_budget": 4}, TaskError, "5 x 1, got 4; give max_budget=5"),
        ({"unit": "epochs", "passes": 1}, ConfigError,
         "'racing' compares replicas, folds and seeds, got unit='epochs'"),
        ({"scheduler": "plateau"}, ConfigError, "'plateau' compares values of all budgets"),
        ({"scheduler": "pbt"}, ConfigError, "'pbt' lets trials go on from others"),
        ({"data": bojax.ArrayData(np.zeros((20, 4)), np.arange(20) % 2)}, SchedulerError,
         "racing compares replicas, give more folds or seeds"),
    ],
)  # fmt: skip
def test_sweeps_that_cannot_be_are_refused_at_once(settings, error, words):
    with pytest.raises(error, match=words):
        make(**settings)


class Instances:
    """An executor of one's own: a function on so many instances, no training."""

    kept = ()

    def __init__(self, told=True):
        self.calls, self.told = 0, told
        self.values = {}

    def run(self, jobs, configs):
        reports = []
        for job in jobs:
            noise = np.random.default_rng(job.trial).normal(size=20)
            new = (configs[job.trial]["x"] ** 2 + 0.1 * noise)[job.start : job.stop].tolist()
            self.calls += len(new)
            so_far = self.values.setdefault(job.trial, [])
            so_far += new
            each = {"loss": tuple(new)} if self.told else None
            reports.append(Report(job.trial, job.stop, {"loss": np.mean(so_far)}, each=each))
        return reports

    def keep(self, trials):
        pass


def coordinator(executor):
    return Coordinator(
        bojax.Space({"x": bojax.Float(-3, 3)}).with_fidelity("replicas", 3, 20),
        bojax.strategies.random(), by_name("racing", max_budget=20, trials=40), executor,
        metric="loss",
    )  # fmt: skip


def test_a_race_of_any_function_over_instances():
    executor = Instances()
    race = coordinator(executor)
    race.run()
    assert executor.calls == race.spent < 0.5 * 40 * 20
    best = min(range(40), key=lambda t: race.trials[t].config["x"] ** 2)
    assert abs(race.best.config["x"]) < 0.2 and race.trials[best].fidelity == 20


def test_an_executor_that_does_not_report_its_replicas_is_named():
    with pytest.raises(TaskError, match=r"trial 0: .* must give each="):
        coordinator(Instances(told=False)).run()


@pytest.mark.slow
def test_nested_and_measured_sweeps_take_replicas():
    nested = make().nested(4, folds=2)
    assert len(nested.scores["loss"]) == 2
    assert {result.unit for result in nested.results} == {"replicas"}
    assert make(chunk=None).measured(4).measurements.chunk >= 1
