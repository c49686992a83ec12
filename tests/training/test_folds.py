"""Folds and seeds are members of a trial: each trains as if alone, the trial is their mean."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen

import bojax
from bojax import CrossValidation
from bojax.errors import TaskError
from bojax.history import Job
from bojax.training import METRICS, LocalExecutor
from bojax.training.schedules import schedule_for
from bojax.training.solo import Solo

SPACE = bojax.Space({"lr": bojax.Float(1e-3, 1.0, log=True)})
CONFIGS = {0: {"lr": 0.05}, 3: {"lr": 0.2}}


def build(hp):
    return linen.Dense(3)


def sgd(hp):
    return optax.sgd(schedule_for("cosine", base=hp["lr"], horizon=hp.steps))


TASK = bojax.Task.linen(build, optimizer=sgd, batch_size=16)


def data(split, n=75):
    rng = np.random.default_rng(0)
    y = np.arange(n) % 3
    x = 2.0 + rng.normal(size=(n, 4)) + rng.normal(size=(3, 4))[y]
    return bojax.ArrayData(x, y, split=split, normalize=True)


def executor(split=None, **settings):
    given = {"seed": 5, "max_budget": 4, "chunk": 2, "slots": 4} | settings
    return LocalExecutor(TASK, SPACE, data(split or CrossValidation(4)), **given)


def jobs(start=0, stop=4):
    return [Job(trial, start, stop) for trial in CONFIGS]


@pytest.mark.parametrize("split", [CrossValidation(4), CrossValidation(3, time=True)])
def test_a_fold_of_a_trial_equals_that_fold_alone_and_the_trial_is_the_mean(split):
    """In time the first fold has a third of the last one's steps, and its own horizon."""
    trained = executor(split)
    for trial, report in zip(CONFIGS, trained.run(jobs(), CONFIGS), strict=True):
        alone = []
        for fold in range(trained.replicas):
            solo = Solo(
                TASK, SPACE, trained.data, CONFIGS[trial], trial=trial, seed=5, max_budget=4,
                fold=fold,
            )  # fmt: skip
            solo.train(4)
            alone.append(solo.evaluate())
            mine, theirs = trained.params(trial), solo.member.params
            for name in ("kernel", "bias"):
                np.testing.assert_allclose(mine[name][fold], theirs[name], atol=2e-6)
        for name in report.metrics:
            expected = np.mean([one[name] for one in alone])
            assert report.metrics[name] == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_seeds_are_other_weights_and_orders_of_the_same_configuration():
    once, thrice = executor(), executor(seeds=3)
    one, three = (e.run(jobs(), CONFIGS)[0].metrics["loss"] for e in (once, thrice))
    assert thrice.replicas == 12 and one != three
    kernels = thrice.params(0)["kernel"]
    assert kernels.shape[0] == 12
    assert len({kernel.tobytes() for kernel in kernels}) == 12


def test_a_rung_and_another_are_one_to_the_bit_and_a_checkpoint_continues():
    whole, halves = executor(), executor()
    expected = whole.run(jobs(), CONFIGS)
    halves.run(jobs(0, 1), CONFIGS)
    arrays, meta = halves.state_arrays(halves.kept)
    restored = executor()
    restored.restore(arrays, meta, CONFIGS)
    for one in (halves, restored):
        found = one.run(jobs(1, 4), CONFIGS)
        assert [r.metrics for r in found] == [r.metrics for r in expected]
    with pytest.raises(TaskError, match="replicas=4, this one has 8"):
        executor(seeds=2).restore(arrays, meta, CONFIGS)


def test_predictions_and_the_test_score_are_means_over_the_folds_models():
    trained = executor()
    trained.run(jobs(), CONFIGS)
    raw, labels = trained.data.test._x, trained.data.test._y
    outputs = []
    for fold in range(4):
        x = trained.data.transform(raw, fold)
        params = trained.params(0)
        outputs.append(x @ params["kernel"][fold] + params["bias"][fold])
    np.testing.assert_allclose(trained.predict(0, raw), np.mean(outputs, axis=0), atol=1e-5)
    expected = np.mean([(out.argmax(1) == labels).mean() for out in outputs])
    assert trained.test(0)["accuracy"] == pytest.approx(expected, abs=1e-6)


def test_each_fold_is_judged_on_its_part_normalised_by_its_own():
    trained = executor()
    (report, _) = trained.run(jobs(), CONFIGS)
    data, params, losses = trained.data, trained.params(0), []
    for fold, (_, judged) in enumerate(data.folds):
        x = data.transform(data.x[judged], fold)
        logits = x @ params["kernel"][fold] + params["bias"][fold]
        logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        losses.append(-logs[np.arange(len(judged)), data.y[judged]].mean())
    assert report.metrics["loss"] == pytest.approx(np.mean(losses), rel=1e-5)


def test_one_broken_fold_fails_its_trial_alone():
    """The second fold of trial 3 is told apart by the examples that it validates."""

    def init(key, hp, x):
        return jnp.zeros(()), {}

    def loss(params, state, batch, hp, key):
        return params * jnp.sum(batch.weight), state

    def predict(params, state, x, hp):
        return jnp.where((hp["lr"] > 0.1) & (x[:, 0] == 7.0), jnp.nan, 0.0)

    task = bojax.Task(
        init, loss, predict, sgd, metrics={"rmse": METRICS["rmse"]}, batch_size=8
    )  # fmt: skip
    x = np.arange(24.0)[:, None]
    split = CrossValidation(3, test=0.0)
    trained = LocalExecutor(
        task, SPACE, bojax.ArrayData(x, np.zeros(24), split=split), max_budget=1, chunk=2, slots=4
    )
    good, bad = trained.run([Job(trial, 0, 1) for trial in CONFIGS], CONFIGS)
    assert good.status.name == "DONE" and bad.status.name == "FAILED"
    assert good.examples == 48 and np.isfinite(good.seconds)


def test_dropping_a_trial_frees_its_members_and_clones_copy_all():
    trained = executor()
    trained.run(jobs(0, 2), CONFIGS)
    (report,) = trained.run([Job(9, 2, 2, clone_of=0)], {9: CONFIGS[0]})
    kernels = trained.params(9)["kernel"]
    assert kernels.tobytes() == trained.params(0)["kernel"].tobytes()
    assert report.budget == 2
    trained.drop([0])
    assert trained.kept == [3, 9]


@pytest.mark.parametrize("seeds", [0, True, 1.5])
def test_seeds_are_checked(seeds):
    with pytest.raises(TaskError, match="seeds must be a positive integer"):
        executor(seeds=seeds)
