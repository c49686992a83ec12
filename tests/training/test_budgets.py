"""Budgets of every unit: the steps they stand for, and training that stops between epochs."""

import jax
import numpy as np
import optax
import pytest
from flax import linen

import bojax
from bojax.errors import TaskError
from bojax.history import Job
from bojax.training import LocalExecutor
from bojax.training.budgets import Budget
from bojax.training.solo import Solo


def executor(small, unit, max_budget, **settings):
    return small.executor(unit=unit, max_budget=max_budget, **settings)


def same_params(a, b, trials):
    return all(
        np.array_equal(x, y)
        for t in trials
        for x, y in zip(jax.tree.leaves(a.params(t)), jax.tree.leaves(b.params(t)), strict=True)
    )


def test_so_many_steps_are_so_many_epochs_to_the_bit(small):
    """90 examples to train on, 16 a batch: 6 steps an epoch."""
    configs = small.configurations(4, batch_size=16)
    epochs, steps = small.executor(), executor(small, "steps", 54)
    expected = epochs.run(small.jobs(range(4), 0, 2), configs)
    found = steps.run(small.jobs(range(4), 0, 12), configs)
    assert [r.metrics for r in found] == [r.metrics for r in expected]
    assert [r.examples for r in found] == [r.examples for r in expected]
    assert same_params(epochs, steps, range(4))


def test_training_stops_and_goes_on_between_epochs_to_the_bit(small):
    configs = small.configurations(3, batch_size=16)
    whole, parts = executor(small, "steps", 54), executor(small, "steps", 54)
    whole.run(small.jobs(range(3), 0, 20), configs)
    for start, stop in ((0, 4), (4, 6), (6, 13), (13, 20)):
        parts.run(small.jobs(range(3), start, stop), configs)
    assert same_params(whole, parts, range(3))


def test_steps_within_an_epoch_equal_the_trial_alone(small):
    config = small.configuration(1, batch_size=16)
    mine = executor(small, "steps", 54)
    (report,) = mine.run([Job(1, 0, 10)], {1: config})
    solo = Solo(small.task, small.space, small.data(), config, trial=1, seed=7, max_budget=9)
    solo.train(1, steps=4)
    for a, b in zip(
        jax.tree.leaves(mine.params(1)), jax.tree.leaves(solo.member.params), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=2.6e-6, rtol=0)
    assert report.metrics["train_loss"] == pytest.approx(float(solo.member.loss), abs=5e-6)


def test_small_batches_take_more_steps_for_as_many_examples(small):
    configs = {0: small.configuration(0, batch_size=16), 1: small.configuration(0, batch_size=32)}
    mine = executor(small, "examples", 640)
    reports = mine.run(small.jobs(range(2), 0, 320), configs)
    steps = executor(small, "steps", 40)
    steps.run([Job(0, 0, 20)], configs)
    assert same_params(mine, steps, [0])
    # An epoch of 90 is 6 steps of 16, the last one of 10: 20 steps see 3 epochs and 32 more.
    assert [report.examples for report in reports] == [302, 302]


def test_a_percentage_trains_on_a_part_and_then_on_more(small):
    """At 50 percent the labels of the other half are never seen; at 100 they are."""
    seen = []
    for labels in (0, 1):
        data = small.data()
        part = executor(small, "percent", 100, passes=4, data=data)
        order = np.asarray(part._arrays.train)[0]
        half = order[: len(order) // 2]
        late = np.setdiff1d(data.train, half)
        y = np.array(data.y)
        y[late] = (y[late] + labels) % 3
        data.y = y
        mine = executor(small, "percent", 100, passes=4, data=data)
        config = {0: small.configuration(0, batch_size=16)}
        mine.run([Job(0, 0, 50)], config)
        early = mine.params(0)
        mine.run([Job(0, 50, 100)], config)
        seen.append((early, mine.params(0)))
    early, late = zip(*seen, strict=True)
    equal = lambda a, b: all(  # noqa: E731
        np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )
    assert equal(*early) and not equal(*late)


def test_a_percentage_costs_in_proportion(small):
    mine = executor(small, "percent", 100, passes=4)
    config = {0: small.configuration(0, batch_size=16)}
    (report,) = mine.run([Job(0, 0, 25)], config)
    assert report.examples == 3 * 23  # 6 of 24 steps, in batches of 16 and 7
    (rest,) = mine.run([Job(0, 25, 100)], config)
    assert 0.8 * 360 <= report.examples + rest.examples <= 1.1 * 360


def test_ragged_folds_rest_in_the_steps_they_lack(small):
    x = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    y = (x[:, 0] > 0).astype(int)
    split = bojax.CrossValidation(3, test=0.0, time=True)  # trains on 15, 30 and 45
    data = bojax.ArrayData(x, y, split=split)
    task = bojax.Task.linen(
        lambda hp: bojax.training.models.MLP(2, 4),
        optimizer=lambda hp: optax.sgd(hp["lr"]),
        batch_size=15,
    )
    space = bojax.Space({"lr": bojax.Float(0.01, 0.1)})
    runs = []
    for unit, budget in (("epochs", 2), ("steps", 6)):
        mine = LocalExecutor(task, space, data, unit=unit, max_budget=budget, chunk=3, slots=3)
        (report,) = mine.run([Job(0, 0, budget)], {0: {"lr": 0.05}})
        runs.append((report.metrics, report.examples))
    assert runs[0] == runs[1]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"unit": "minutes"},
            ("'minutes'", "epochs, steps, examples, percent, resolution, length"),
        ),
        ({"unit": "percent", "max_budget": 120}, ("percent", "100")),
        ({"passes": 3}, ("passes", "'epochs'", "max_budget")),
        ({"unit": "percent", "max_budget": 100, "passes": 0}, ("passes", "positive")),
        ({"unit": "steps", "max_budget": 2.5}, ("max_budget", "whole steps")),
    ],
)
def test_budgets_that_make_no_sense_are_refused(small, settings, words):
    with pytest.raises(TaskError) as error:
        small.executor(**settings)
    assert all(word in str(error.value) for word in words), error.value


def test_units_agree_where_they_should():
    assert Budget("percent", passes=3).span(0, 100, examples=90, batch_size=16) == (0, 18, 90)
    assert Budget("epochs").span(1, 3, examples=90, batch_size=16) == (6, 18, 90)
    assert Budget("examples").span(0, 90, examples=90, batch_size=16) == (0, 6, 90)
    # A size trains anew, for all its passes.
    assert Budget("length", passes=2).span(4, 8, examples=90, batch_size=16) == (0, 12, 90)


# ------------------------------------------------------------------------ augmentation


def test_augmentation_changes_what_is_trained_on_and_nothing_that_is_judged(small):
    def executor(augment):
        task = bojax.Task.linen(
            lambda hp: linen.Dense(3), optimizer=lambda hp: optax.sgd(hp["lr"]),
            metrics=(), augment=augment,
        )  # fmt: skip
        space = bojax.Space({"lr": bojax.Float(1e-3, 1.0), "batch_size": bojax.Ordinal([16, 32])})
        return LocalExecutor(task, space, small.data(), max_budget=9, chunk=2, slots=8, seed=3)

    config, job = {0: {"lr": 0.1, "batch_size": 16}}, [Job(0, 0, 2)]
    plain, none, noisy, scaled = (
        executor(augment)
        for augment in (
            None,
            lambda x, key: x,
            lambda x, key: x + 0.3 * jax.random.normal(key, x.shape),
            lambda x, key, hp: x * hp["lr"],
        )
    )
    values = [each.run(job, config)[0].metrics["loss"] for each in (plain, none, noisy, scaled)]
    assert values[0] == values[1] and len(set(values)) == 3
    # Judged as it is: the noisy model's own outputs, by hand.
    data, params = small.data(), noisy.params(0)
    logits = data.x[data.validation] @ params["kernel"] + params["bias"]
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, data.y[data.validation]).mean()
    assert values[2] == pytest.approx(float(loss), abs=1e-5)


def test_what_augments_must_be_a_function():
    with pytest.raises(TaskError, match="augment must be callable"):
        bojax.Task.linen(lambda hp: None, optimizer=lambda hp: None, augment="flip")
