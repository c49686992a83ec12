"""Replica by replica: what each gives is what it gives where all of them train together."""

import jax
import numpy as np
import optax
import pytest
from flax import linen

import bojax
from bojax import CrossValidation
from bojax.errors import TaskError, TestDataTouched, TrialError
from bojax.history import Job, Report, Status, from_json, to_json
from bojax.training import LocalExecutor, ReplicatedExecutor
from bojax.training.schedules import schedule_for

SPACE = bojax.Space({"lr": bojax.Float(1e-3, 1.0, log=True)})
CONFIGS = {0: {"lr": 0.05}, 3: {"lr": 0.2}}
SHAPE = {"seed": 5, "chunk": 2, "slots": 4}


def sgd(hp):
    return optax.sgd(schedule_for("cosine", base=hp["lr"], horizon=hp.steps))


TASK = bojax.Task.linen(lambda hp: linen.Dense(3), optimizer=sgd, batch_size=16)


def make_data():
    rng = np.random.default_rng(0)
    y = np.arange(75) % 3
    x = 2.0 + rng.normal(size=(75, 4)) + rng.normal(size=(3, 4))[y]
    return bojax.ArrayData(x, y, split=CrossValidation(3, test=0.2), normalize=True)


def executor(**settings):
    given = SHAPE | {"max_budget": 6, "passes": 4, "seeds": 2} | settings
    return ReplicatedExecutor(TASK, SPACE, settings.pop("data", None) or make_data(), **given)


@pytest.fixture(scope="module")
def together():
    """All folds and seeds of both trials at once, four epochs each."""
    local = LocalExecutor(TASK, SPACE, make_data(), max_budget=4, seeds=2, **SHAPE)
    return local, local.run([Job(trial, 0, 4) for trial in CONFIGS], CONFIGS)


def test_one_after_the_other_is_all_of_them_to_the_bit(together):
    local, whole = together
    mine = executor()
    reports = {trial: [] for trial in CONFIGS}
    for jobs in ([Job(0, 0, 2)], [Job(0, 2, 3), Job(3, 0, 4)], [Job(3, 4, 6), Job(0, 3, 6)]):
        for job, report in zip(jobs, mine.run(jobs, CONFIGS), strict=True):
            assert (report.trial, report.budget) == (job.trial, job.stop)
            assert all(len(v) == job.stop - job.start for v in report.each.values())
            reports[job.trial].append(report)
    for trial, expected in zip(CONFIGS, whole, strict=True):
        last = reports[trial][-1]
        assert last.budget == 6 and last.metrics == expected.metrics
        assert sum(report.examples for report in reports[trial]) == expected.examples
        # Every mean is that of the values so far.
        for name in last.metrics:
            values = [v for report in reports[trial] for v in report.each[name]]
            assert len(set(values)) > 3
            done = np.cumsum([len(report.each[name]) for report in reports[trial]])
            for count, report in zip(done, reports[trial], strict=True):
                assert report.metrics[name] == np.mean(values[:count])
        mine_params, theirs = mine.params(trial), local.params(trial)
        for a, b in zip(jax.tree.leaves(mine_params), jax.tree.leaves(theirs), strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_replica_is_judged_on_its_fold():
    """Replica 4 of six: the second fold, with the second seed."""
    mine, data = executor(), make_data()
    (report,) = mine.run([Job(0, 0, 5)], CONFIGS)
    for replica, value in enumerate(report.each["loss"]):
        judged = data.folds[replica % 3][1]
        kernel, bias = (mine.params(0)[name][replica] for name in ("kernel", "bias"))
        outputs = data.transform(data._raw[judged], replica % 3) @ kernel + bias
        loss = optax.softmax_cross_entropy_with_integer_labels(outputs, data.y[judged]).mean()
        assert value == pytest.approx(float(loss), rel=1e-5)


def test_models_are_the_mean_of_the_replicas_so_far(together):
    local, _ = together
    mine, data = executor(), make_data()
    mine.run([Job(0, 0, 1), Job(3, 0, 6)], CONFIGS)
    x, y = data._raw[:20], data.y[:20]
    np.testing.assert_allclose(mine.predict(3, x), local.predict(3, x), atol=1e-6)
    scores = local.resampled_scores(3, x, y)
    for name, values in mine.resampled_scores(3, x, y).items():
        np.testing.assert_allclose(values, scores[name], rtol=1e-6)
    # Of one replica so far it is that one's: of fold 0, normalised as that fold is.
    kernel, bias = (mine.params(0)[name] for name in ("kernel", "bias"))
    assert kernel.shape == (4, 3)
    np.testing.assert_allclose(mine.predict(0, x), data.transform(x, 0) @ kernel + bias, atol=1e-5)
    # Of several trials the mean of all replicas.
    pair = (mine.predict(0, x) + 6 * mine.predict(3, x)) / 7
    np.testing.assert_allclose(mine.predict([0, 3], x), pair, atol=1e-6)
    assert mine.score([0, 3], x, y)["loss"] == pytest.approx(
        float(optax.softmax_cross_entropy_with_integer_labels(pair, y).mean()), rel=1e-5
    )
    assert mine.test(3)["loss"] > 0
    with pytest.raises(TestDataTouched):
        mine.test(0)


def test_states_and_values_come_back_to_the_bit():
    mine, other = executor(), executor()
    mine.run([Job(0, 0, 3), Job(3, 0, 2)], CONFIGS)
    arrays, meta = mine.state_arrays(mine.kept)
    other.restore(arrays, meta, CONFIGS)
    assert other.kept == [0, 3]
    jobs = [Job(0, 3, 5), Job(3, 2, 3)]
    for one, same in zip(mine.run(jobs, CONFIGS), other.run(jobs, CONFIGS), strict=True):
        assert (one.metrics, one.each) == (same.metrics, same.each)
    for trial in CONFIGS:
        for a, b in zip(*(jax.tree.leaves(e.params(trial)) for e in (mine, other)), strict=True):
            np.testing.assert_array_equal(a, b)
    for wrong, words in (
        ({"seeds": 1, "max_budget": 3}, "max_budget=6, this one has 3"),
        ({"passes": 3}, "max_budget=4, this one has 3"),
        ({"seed": 6}, "seed=5, this one has 6"),
    ):
        with pytest.raises(TaskError, match=words):
            executor(**wrong).restore(arrays, meta, CONFIGS)


def test_what_is_dropped_is_gone_and_can_be_trained_again():
    mine = executor()
    (first, _) = mine.run([Job(0, 0, 2), Job(3, 0, 2)], CONFIGS)
    mine.keep([3])
    assert mine.kept == [3]
    with pytest.raises(TrialError, match="trial 0: no state"):
        mine.params(0)
    (again,) = mine.run([Job(0, 0, 2)], CONFIGS)
    assert again.each == first.each and mine.kept == [0, 3]


def test_passes_and_seeds_matter():
    first = executor().run([Job(0, 0, 2)], CONFIGS)[0].each["loss"]
    assert executor(passes=3).run([Job(0, 0, 2)], CONFIGS)[0].each["loss"] != first
    once = executor(seeds=1, max_budget=3)
    assert once.run([Job(0, 0, 2)], CONFIGS)[0].each["loss"] == first  # other folds, one seed
    assert once.replicas == 3 and once.plan(CONFIGS).replicas == 3


def test_a_replica_that_diverges_fails_its_trial():
    wild = {0: {"lr": float("inf")}, 3: CONFIGS[3]}
    failed, fine = executor().run([Job(0, 0, 2), Job(3, 0, 2)], wild)
    assert (failed.status, fine.status) == (Status.FAILED, Status.DONE)


@pytest.mark.parametrize(
    ("job", "error", "words"),
    [
        (Job(0, 0, 7), TrialError, "trial 0: stop=7 must lie between start=0 and max_budget=6"),
        (Job(0, 0, 1.5), TaskError, "whole replicas, got 1.5"),
        (Job(0, 2, 4), TrialError, "its state has 0"),
        (Job(9, 0, 1), TrialError, "trial 9: no configuration given"),
        (Job(0, 0, 2, clone_of=3), TaskError, "cannot start from another trial"),
    ],
)
def test_jobs_that_cannot_be_are_refused(job, error, words):
    with pytest.raises(error, match=words):
        executor().run([job], CONFIGS)


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(TaskError, match="folds times seeds, 3 x 2, got 5; give max_budget=6"):
        executor(max_budget=5)
    with pytest.raises(TaskError, match="expected 'replicas', got 'epochs'"):
        executor(unit="epochs")
    with pytest.raises(TaskError, match=r"unit='replicas' is for .*ReplicatedExecutor"):
        LocalExecutor(TASK, SPACE, make_data(), max_budget=6, unit="replicas")


def test_a_report_with_its_replicas_goes_through_json():
    report = Report(2, 3.0, {"loss": 0.25}, each={"loss": (0.1, 0.4, float("inf"))})
    assert from_json(Report, to_json(report)) == Report(
        2, 3.0, {"loss": 0.25}, each=report.each, seconds=pytest.approx(np.nan, nan_ok=True),
        examples=pytest.approx(np.nan, nan_ok=True),
    )  # fmt: skip
