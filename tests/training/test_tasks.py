"""Tasks of other makes: NNX, batch statistics, regression, a step of one's own, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx

import bojax
from bojax.errors import DataError, TaskError
from bojax.training import METRICS, Batch, LocalExecutor, mean_of
from bojax.training.metrics import cross_entropy, squared_error
from bojax.training.solo import Solo

SPACE = bojax.Space({"lr": bojax.Float(1e-3, 1.0, log=True), "rate": bojax.Float(0.0, 0.9)})
CONFIGS = {i: {"lr": 0.05 * (i + 1), "rate": 0.2} for i in range(3)}


def adam(hp):
    return optax.adam(hp["lr"])


def sgd(hp):
    return optax.sgd(hp["lr"])


def run(task, data, epochs=4, configs=CONFIGS, space=SPACE):
    executor = LocalExecutor(task, space, data, max_budget=epochs, chunk=2, slots=4)
    jobs = [bojax.history.Job(trial, 0, epochs) for trial in configs]
    return executor, executor.run(jobs, configs)


class Normalised(linen.Module):
    @linen.compact
    def __call__(self, x, train):
        x = linen.BatchNorm(use_running_average=not train, momentum=0.5)(linen.Dense(8)(x))
        return linen.Dense(3)(linen.relu(x))


def test_batch_statistics_are_kept_and_updated(small):
    task = bojax.Task.linen(lambda hp: Normalised(), optimizer=adam, batch_size=16)
    executor, reports = run(task, small.data(), epochs=6)
    mean = executor.state(0)["batch_stats"]["BatchNorm_0"]["mean"]
    assert mean.shape == (8,) and np.abs(mean).max() > 0.01
    assert reports[0].metrics["accuracy"] > 0.6


class Net(nnx.Module):
    def __init__(self, rngs):
        self.first = nnx.Linear(5, 16, rngs=rngs)
        self.norm = nnx.BatchNorm(16, rngs=rngs)
        self.drop = nnx.Dropout(0.2, rngs=rngs)
        self.last = nnx.Linear(16, 3, rngs=rngs)

    def __call__(self, x):
        return self.last(self.drop(nnx.relu(self.norm(self.first(x)))))


def test_nnx_modules_train_with_dropout_and_statistics(small):
    task = bojax.Task.nnx(lambda hp, rngs: Net(rngs), optimizer=adam, batch_size=16)
    executor, reports = run(task, small.data(), epochs=6)
    assert all(r.metrics["accuracy"] > 0.6 for r in reports)
    assert executor.params(0)["first"]["kernel"].shape == (5, 16)
    assert np.abs(executor.state(0)["norm"]["mean"]).max() > 0.01


def test_nnx_and_linen_are_the_same_training(small):
    """One linear layer from zeros: initial values and random streams play no part."""
    zeros = nnx.initializers.zeros_init()
    by_nnx = bojax.Task.nnx(
        lambda hp, rngs: nnx.Linear(5, 3, kernel_init=zeros, rngs=rngs),
        optimizer=sgd, batch_size=16,
    )  # fmt: skip
    by_linen = bojax.Task.linen(
        lambda hp: linen.Dense(3, kernel_init=linen.initializers.zeros),
        optimizer=sgd, batch_size=16,
    )  # fmt: skip
    (one, first), (other, second) = (run(task, small.data()) for task in (by_nnx, by_linen))
    np.testing.assert_allclose(one.params(1)["kernel"], other.params(1)["kernel"], atol=1e-6)
    assert first[1].metrics["loss"] == pytest.approx(second[1].metrics["loss"], abs=1e-6)


def regression():
    x = np.random.default_rng(0).normal(size=(120, 3))
    return bojax.ArrayData(x, x @ [1.0, -2.0, 0.5] + 1.0)


def test_regression_reaches_its_noise_floor():
    task = bojax.Task.linen(
        lambda hp: linen.Dense(1), loss="mean_squared_error", optimizer=adam,
        metrics=["rmse", "mae"], batch_size=16,
    )  # fmt: skip
    executor, reports = run(task, regression(), epochs=30)
    metrics = reports[2].metrics
    assert metrics["rmse"] < 0.05
    assert metrics["rmse"] == pytest.approx(np.sqrt(metrics["loss"]), rel=1e-5)
    data = executor.data
    predicted = executor.predict(2, data.x[data.validation])[:, 0]
    error = np.abs(predicted - data.y[data.validation]).mean()
    assert metrics["mae"] == pytest.approx(error, rel=1e-4)


def smoothed(outputs, y, hp):
    target = jax.nn.one_hot(y, 3) * (1 - hp["rate"]) + hp["rate"] / 3
    return -(target * jax.nn.log_softmax(outputs)).sum(-1)


def test_losses_and_metrics_of_the_user(small):
    task = bojax.Task.linen(
        lambda hp: linen.Dense(3), loss=smoothed, optimizer=adam, batch_size=16,
        metrics={"hits": "accuracy", "margin": lambda outputs, y: outputs.max(-1)},
    )  # fmt: skip
    configs = {0: {"lr": 0.05, "rate": 0.0}, 1: {"lr": 0.05, "rate": 0.8}}
    executor, (sharp, smooth) = run(task, small.data(), epochs=10, configs=configs)
    assert set(sharp.metrics) == {"loss", "hits", "margin", "train_loss"}
    assert smooth.metrics["margin"] < 0.7 * sharp.metrics["margin"]
    data = executor.data
    outputs = executor.predict(0, data._raw[data.validation])
    assert sharp.metrics["margin"] == pytest.approx(outputs.max(-1).mean(), rel=1e-4)


def test_a_step_of_ones_own():
    """Only the sign of the gradient is followed."""

    def init(key, hp, x):
        return jnp.zeros(x.shape[1]), {}

    def loss(params, state, batch, hp, key):
        return jnp.sum(batch.weight * (batch.x @ params - batch.y) ** 2), state

    def step(carry, batch, hp, key):
        params, state, optimizer = carry
        value, grads = jax.value_and_grad(lambda p: loss(p, state, batch, hp, key)[0])(params)
        return (params - hp["lr"] * jnp.sign(grads), state, optimizer), value

    task = bojax.Task(
        init, loss, lambda p, s, x, hp: x @ p, sgd, metrics={"rmse": METRICS["rmse"]},
        batch_size=24, step=step,
    )  # fmt: skip
    executor, _ = run(task, regression(), epochs=3)
    steps = 3 * 3  # 72 examples, 24 a batch
    moved = np.abs(executor.params(0))
    assert moved.max() <= steps * 0.05 + 1e-6
    np.testing.assert_allclose(moved / 0.05, np.round(moved / 0.05), atol=1e-3)


def test_the_step_is_counted_through_epochs_and_jobs_and_alone():
    """Each step adds its own number: a rate of dropout can follow a schedule of `hp.step`."""

    def step(carry, batch, hp, key):
        params, state, optimizer = carry
        return (params + (hp.step + 1) * (hp.step < hp.steps), state, optimizer), jnp.float32(0)

    task = bojax.Task(
        lambda key, hp, x: (jnp.zeros((), jnp.int32), {}), sgd, lambda p, s, x, hp: x[:, 0],
        lambda hp: optax.set_to_zero(), metrics={"rmse": METRICS["rmse"]}, batch_size=24, step=step,
    )  # fmt: skip
    executor = LocalExecutor(task, SPACE, regression(), max_budget=3, chunk=2, slots=4)
    executor.run([bojax.history.Job(0, 0, 2)], CONFIGS)
    assert int(executor.params(0)) == sum(range(1, 7))  # 72 examples, 24 a batch
    executor.run([bojax.history.Job(0, 2, 3)], CONFIGS)
    assert int(executor.params(0)) == sum(range(1, 10))
    alone = Solo(task, SPACE, regression(), CONFIGS[0], max_budget=3)
    alone.train(3)
    assert int(alone.member.params) == sum(range(1, 10))


def test_the_last_batch_counts_its_examples_once():
    """Batches that do not divide the data are padded with examples of weight 0."""

    def mean_target(params, state, batch, hp, key):
        return params + jnp.sum(batch.weight * batch.y) / jnp.sum(batch.weight), state

    seen = {}
    for size in (50, 60):
        task = bojax.Task(
            lambda key, hp, x: (jnp.zeros(()), {}), mean_target, lambda p, s, x, hp: x[:, 0],
            lambda hp: optax.set_to_zero(), metrics={"rmse": METRICS["rmse"]}, batch_size=size,
        )  # fmt: skip
        data = regression()
        _, reports = run(task, data, epochs=1, configs={0: CONFIGS[0]})
        seen[size] = reports[0].metrics["train_loss"]
    mean = data.y[data.train].mean()
    assert seen == {50: pytest.approx(mean, abs=1e-5), 60: pytest.approx(mean, abs=1e-5)}


def test_losses_agree_with_optax():
    generator = np.random.default_rng(0)
    outputs = jnp.asarray(generator.normal(size=(6, 4)) * 5, jnp.float32)
    y = jnp.asarray(generator.integers(0, 4, 6), jnp.int32)
    np.testing.assert_allclose(
        cross_entropy(outputs, y),
        optax.softmax_cross_entropy_with_integer_labels(outputs, y),
        rtol=1e-5, atol=1e-6,
    )  # fmt: skip
    squares = squared_error(outputs, 0 * outputs)
    np.testing.assert_allclose(squares, (outputs**2).mean(-1), rtol=1e-5)
    with pytest.raises(TaskError, match="equally many"):
        squared_error(outputs, outputs[:, 0])


def in_batches(name, outputs, y, size=7):
    """A metric over batches whose last is padded with nonsense of weight 0."""
    metric, total = METRICS[name], None
    for at in range(0, len(y), size):
        there = np.arange(at, at + size)
        weight = jnp.asarray(there < len(y), jnp.float32)
        there = np.where(there < len(y), there, 0)
        sums = metric.accumulate(jnp.asarray(outputs[there]), jnp.asarray(y[there]), weight)
        total = sums if total is None else jax.tree.map(jnp.add, total, sums)
    return float(metric.finalise(total))


@pytest.mark.parametrize("classes", [2, 4])
def test_f1_and_auc_are_scikit_learns_however_they_are_batched(classes):
    from sklearn import metrics as reference

    rng = np.random.default_rng(classes)
    y = rng.integers(0, classes, 200)
    outputs = (rng.normal(size=(200, classes)) + 1.5 * np.eye(classes)[y]).astype(np.float32)
    guess, share = outputs.argmax(1), np.asarray(jax.nn.softmax(outputs))
    f1 = reference.f1_score(y, guess, average="macro")
    assert in_batches("f1", outputs, y) == pytest.approx(f1, abs=1e-6)
    each = [reference.roc_auc_score(y == k, share[:, k]) for k in range(classes)]
    assert in_batches("auc", outputs, y) == pytest.approx(np.mean(each), abs=1e-3)
    if classes == 2:
        one = outputs[:, 1] - outputs[:, 0]
        assert in_batches("auc", one, y) == pytest.approx(each[1], abs=1e-3)


def test_a_class_that_does_not_occur_counts_neither_way():
    outputs = np.eye(3, dtype=np.float32)[[0, 0, 1, 1]] * 3
    y = np.array([0, 1, 1, 1])
    assert in_batches("f1", outputs, y) == pytest.approx((2 / 3 + 4 / 5) / 2, abs=1e-6)
    assert np.isnan(in_batches("auc", outputs, np.zeros(4, int)))  # no pairs to order


@pytest.mark.parametrize("shape", [(60,), (60, 2)])
def test_r2_is_scikit_learns(shape):
    from sklearn.metrics import r2_score

    rng = np.random.default_rng(0)
    y = rng.normal(size=shape).astype(np.float32) + 3
    outputs = y + 0.3 * rng.normal(size=shape).astype(np.float32)
    assert in_batches("r2", outputs, y) == pytest.approx(r2_score(y, outputs), abs=1e-4)


def test_weightless_examples_do_not_count_even_when_they_are_nan():
    metric = mean_of(lambda outputs, y: outputs)
    sums = metric.accumulate(jnp.array([1.0, jnp.nan]), jnp.zeros(2), jnp.array([1.0, 0.0]))
    assert float(metric.finalise(sums)) == 1.0
    assert Batch(1, 2, 3).weight == 3


def test_equal_tasks_share_programs_and_others_do_not():
    build = lambda hp: linen.Dense(3)  # noqa: E731
    one = bojax.Task.linen(build, optimizer=adam, batch_size=16)
    assert one == bojax.Task.linen(build, optimizer=adam, batch_size=16)
    assert hash(one) == hash(bojax.Task.linen(build, optimizer=adam, batch_size=16))
    assert one != bojax.Task.linen(build, optimizer=sgd, batch_size=16)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "hinge"}, "loss='hinge'"),
        ({"metrics": ["f2"]}, "no 'f2'"),
        ({"metrics": {"a": 3}}, "expected a Metric or a callable"),
        ({"batch_size": 0}, "batch_size must be a positive integer"),
        ({"batch_size": True}, "batch_size must be a positive integer"),
        ({"padded": "width"}, "padded must be a list"),
        ({"optimizer": None}, "optimizer must be callable"),
    ],
)
def test_tasks_that_make_no_sense_are_refused(settings, message):
    given = {"optimizer": adam, "batch_size": 16} | settings
    with pytest.raises(TaskError, match=message):
        bojax.Task.linen(lambda hp: linen.Dense(3), **given)


def test_models_that_do_not_fit_the_data_are_found_before_compiling(small, count_compiles):
    too_few = bojax.Task.linen(lambda hp: linen.Dense(2), optimizer=adam, batch_size=16)
    classes = bojax.Task.linen(lambda hp: linen.Dense(3), optimizer=adam, batch_size=16)
    no_module = bojax.Task.linen(lambda hp: 3, optimizer=adam, batch_size=16)
    with count_compiles() as programs:
        with pytest.raises(DataError, match="labels up to 2, the model has 2 outputs"):
            run(too_few, small.data())
        with pytest.raises(DataError, match="real targets"):
            run(classes, regression())
        with pytest.raises(TaskError, match=r"must return a flax\.linen.Module, got int"):
            run(no_module, small.data())
    assert programs == []


def widened(hp):
    return linen.Dense(3) if hp["rate"] > 0.5 else linen.Dense(4)


def unscheduled(hp):
    return optax.sgd(optax.cosine_decay_schedule(hp["lr"], hp.steps))


def rated(outputs, y, hp):
    return cross_entropy(outputs, y) * float(hp["rate"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"build": widened}, "rate: a traced number is used where Python needs its value"),
        ({"optimizer": unscheduled}, "hp.steps: .* bojax.training.schedules"),
        ({"loss": rated}, "rate: .*search an Ordinal"),
    ],
)
def test_a_hyperparameter_that_cannot_be_traced_is_named_before_compiling(
    small, count_compiles, settings, message
):
    given = {"build": lambda hp: linen.Dense(3), "optimizer": sgd, "batch_size": 16} | settings
    task = bojax.Task.linen(given.pop("build"), **given)
    executor = LocalExecutor(task, SPACE, small.data(), max_budget=1, chunk=2, slots=4)
    with count_compiles() as compiles, pytest.raises(TaskError, match=message):
        executor.plan([CONFIGS[0]])
    assert not compiles


def test_a_metric_that_is_no_scalar_is_named(small):
    metric = bojax.training.Metric(lambda outputs, y, weight: outputs.sum(0), lambda sums: sums)
    task = bojax.Task.linen(
        lambda hp: linen.Dense(3), optimizer=sgd, batch_size=16, metrics={"wide": metric}
    )
    with pytest.raises(TaskError, match=r"wide: expected a scalar for a batch, got shape \(3,\)"):
        run(task, small.data(), epochs=1)
