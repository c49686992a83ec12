"""Sweeps over the size of images and the length of sequences."""

import jax
import numpy as np
import optax
import pytest
from flax import linen

import bojax
from bojax.errors import ConfigError, DataError, TaskError, TrialError
from bojax.history import Job
from bojax.training import LocalExecutor, ResizedExecutor


class Flat(linen.Module):
    """One layer on the pixels: its parameters have the size of what it was trained on."""

    @linen.compact
    def __call__(self, x):
        return linen.Dense(2)(x.reshape(x.shape[0], -1))


class Places(linen.Module):
    """An output for every place."""

    @linen.compact
    def __call__(self, x):
        return linen.Dense(2)(x[..., None])


TASK = bojax.Task.linen(
    lambda hp: Flat(), optimizer=lambda hp: optax.sgd(hp["lr"]), metrics=(), batch_size=32
)
SPACE = bojax.Space({"lr": bojax.Float(1e-3, 1.0, log=True)})
CONFIGS = {0: {"lr": 0.05}, 1: {"lr": 0.2}}


def make_data(side=8):
    generator = np.random.default_rng(0)
    y = np.arange(80) % 2
    x = generator.normal(size=(80, side, side)) + 0.5 * y[:, None, None]
    return bojax.ArrayData(x, y, split=bojax.Holdout(0.25, 0.25))


def make(**settings):
    given = {"data": make_data(), "unit": "resolution", "passes": 2, "max_budget": 8}
    given |= {"min_budget": 2, "eta": 2, "bracket": 4, "strategy": "random", "chunk": 2}
    return bojax.Sweep(TASK, SPACE, **given | settings)


def executor(**settings):
    given = {"unit": "resolution", "max_budget": 8, "passes": 2, "chunk": 2, "slots": 4}
    return ResizedExecutor(
        TASK, SPACE, settings.pop("data", None) or make_data(), **given | settings
    )


def local(data, **settings):
    return LocalExecutor(TASK, SPACE, data, **{"max_budget": 2, "chunk": 2, "slots": 4} | settings)


def pooled(x, side):
    block = x.shape[1] // side
    return x.reshape(-1, side, block, side, block).mean(axis=(2, 4))


def loss_by_hand(params, x, y):
    logits = x.reshape(len(x), -1) @ params["kernel"] + params["bias"]
    return -jax.nn.log_softmax(logits)[np.arange(len(y)), y].mean()


def same(a, b):
    return all(
        np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


# ------------------------------------------------------------------ the executor


def test_a_rung_trains_and_validates_at_its_size():
    mine, data = executor(), make_data()
    for start, side in ((0, 2), (2, 4), (4, 8)):
        (report,) = mine.run([Job(0, start, side)], CONFIGS)
        params = mine.params(0)["Dense_0"]
        assert params["kernel"].shape == (side * side, 2) and report.budget == side
        judged = pooled(data.x[data.validation], side)
        loss = loss_by_hand(params, judged, data.y[data.validation])
        assert report.metrics["loss"] == pytest.approx(float(loss), abs=1e-5)
        assert report.examples == 2 * len(data.train)
        # Inputs of the whole size are taken to the trial's.
        x = data._raw[:5]
        expected = pooled(x, side).reshape(5, -1) @ params["kernel"] + params["bias"]
        np.testing.assert_allclose(mine.predict(0, x), expected, atol=1e-5)
        np.testing.assert_allclose(mine.predict(0, x > 0), mine.predict(0, 1.0 * (x > 0)))
        score = mine.score(0, data._raw[data.validation], data.y[data.validation])
        assert score["loss"] == pytest.approx(report.metrics["loss"], abs=1e-5)
        assert mine.kept == [0] and sum(len(each.kept) for each in mine._executors.values()) == 1


def test_at_the_whole_size_it_is_the_executor_of_the_whole_data():
    """Whatever the trial was trained on before."""
    mine, alone = executor(seed=3), local(make_data(), seed=3)
    mine.run([Job(t, 0, 4) for t in CONFIGS], CONFIGS)
    found = mine.run([Job(t, 4, 8) for t in CONFIGS], CONFIGS)
    expected = alone.run([Job(t, 0, 2) for t in CONFIGS], CONFIGS)
    assert [r.metrics for r in found] == [r.metrics for r in expected]
    assert all(same(mine.params(t), alone.params(t)) for t in CONFIGS)


def test_a_rung_of_several_sizes_answers_in_the_order_of_the_jobs():
    mine, apart = executor(), executor()
    mine.run([Job(1, 0, 2)], CONFIGS)
    found = mine.run([Job(1, 2, 8), Job(0, 0, 4)], CONFIGS)
    expected = [apart.run([Job(t, 0, size)], CONFIGS)[0] for t, size in ((1, 8), (0, 4))]
    assert [(r.trial, r.budget, r.metrics) for r in found] == [
        (r.trial, r.budget, r.metrics) for r in expected
    ]
    with pytest.raises(TrialError, match=r"resolution \[4, 8\]"):
        mine.predict([0, 1], make_data()._raw[:1])
    mine.keep([0])
    assert mine.kept == [0]
    with pytest.raises(TrialError, match="trial 1: no state"):
        mine.params(1)


def test_states_come_back_to_the_bit():
    mine, other = executor(), executor()
    mine.run([Job(0, 0, 4), Job(1, 0, 2)], CONFIGS)
    arrays, meta = mine.state_arrays(mine.kept)
    other.restore(arrays, meta, CONFIGS)
    assert other.kept == [0, 1]
    assert all(same(mine.params(t), other.params(t)) for t in CONFIGS)
    assert (
        other.run([Job(1, 2, 2)], CONFIGS)[0].metrics
        == mine.run([Job(1, 2, 2)], CONFIGS)[0].metrics
    )
    for wrong, words in (({"unit": "length"}, "unit=resolution"), ({"passes": 3}, "max_budget=2")):
        with pytest.raises(TaskError, match=words):
            executor(**wrong).restore(arrays, meta, CONFIGS)


@pytest.mark.parametrize(
    ("job", "error", "words"),
    [
        (Job(0, 0, 0), TaskError, "trial 0: stop.*from 1 to the data's own, 8, got 0"),
        (Job(0, 0, 9), TaskError, "from 1 to the data's own, 8, got 9"),
        (Job(0, 0, 3.5), TaskError, "whole resolution, got 3.5"),
        (Job(0, 2, 4), TrialError, "its state has 0"),
        (Job(0, 0, 2, clone_of=1), TaskError, "cannot start from another trial"),
    ],
)
def test_jobs_that_cannot_be_are_refused(job, error, words):
    with pytest.raises(error, match=words):
        executor().run([job], CONFIGS)


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(TaskError, match="of size 8, got 16; give max_budget=8"):
        executor(max_budget=16)
    with pytest.raises(TaskError, match="resolution, length, got 'epochs'"):
        executor(unit="epochs")
    with pytest.raises(TaskError, match=r"sizes: .* got 0"):
        executor(sizes=[0, 8])
    with pytest.raises(TaskError, match="ResizedExecutor"):
        local(make_data(), unit="length")
    mine = executor()
    mine.run([Job(0, 0, 2)], CONFIGS)
    with pytest.raises(DataError, match=r"shape \(8, 8\), got \(2, 2\)"):
        mine.predict(0, np.zeros((3, 2, 2)))
    with pytest.raises(DataError, match=r"targets of shape \(\), got \(4,\)"):
        mine.score(0, np.zeros((3, 8, 8)), np.zeros((3, 4)))


# ------------------------------------------------------------------ sweeps


def test_a_sweep_over_resolutions_and_what_it_gives():
    sweep, data = make(default={"lr": 0.01}), make_data()
    assert "4" in sweep.check(4)
    result = sweep.run(4)
    assert [row.budget for row in sweep.plan(4).rows] == [2, 4, 8]
    assert [budget for budget, _ in result.best.curve] == [2, 4, 8] and result.unit == "resolution"
    assert result.params()["Dense_0"]["kernel"].shape == (64, 2)
    alone = local(data)
    (report,) = alone.run([Job(result.best.id, 0, 2)], {result.best.id: result.best.config})
    assert result.best.value == report.metrics["loss"]
    # Refits are trained at the whole size, on the data that was validated on, too.
    again = local(data.whole())
    again.run([Job(result.best.id, 0, 2)], {result.best.id: result.best.config})
    assert same(result.refit().params(), again.params(result.best.id))
    assert len(result.ensemble(2).params()) == 2
    x, y = result.executor.data.test._x, result.executor.data.test._y
    expected = loss_by_hand(result.params()["Dense_0"], x, y)
    score = result.test()
    assert score["loss"] == pytest.approx(float(expected), abs=1e-5)
    assert score.improvement is not None
    assert result.train_seconds > 0 and len(result.programs) >= 6


def test_passes_matter_and_the_unit_is_the_name_of_the_fidelity():
    short, long = make(passes=1).run(4), make(passes=2).run(4)
    assert short.trials[0].config == long.trials[0].config
    assert short.trials[0].curve[0][1] != long.trials[0].curve[0][1]


class Stop(Exception):
    """Raised by a callback to interrupt a run."""


@pytest.mark.parametrize("rungs", [1, 2])
def test_a_run_that_was_interrupted_ends_as_the_uninterrupted_one(tmp_path, rungs):
    expected = make().run(4)
    seen = []

    def stop(event):
        seen.append(event.kind)
        if seen.count("rung") == rungs:
            raise Stop

    with pytest.raises(Stop):
        make(store=tmp_path / "a.db", callbacks=[stop]).run(4)
    result = bojax.Sweep.resume(tmp_path / "a.db", TASK, data=make_data())
    assert [(t.config, t.values, t.curve) for t in result.trials] == [
        (t.config, t.values, t.curve) for t in expected.trials
    ]
    assert same(result.params(), expected.params())
    with pytest.raises(ConfigError, match="passes=2, now it is 1"):
        make(store=tmp_path / "a.db", passes=1).continue_run(4)


def test_a_sweep_over_lengths_cuts_targets_too():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(60, 6)).astype(np.float32)
    x[:, 3:] *= 100.0  # what only the longest sees
    y = (x > 0).astype(int)
    data = bojax.ArrayData(x, y, split=bojax.Holdout(0.25, 0.25))
    per_place = lambda outputs, y: (  # noqa: E731
        optax.softmax_cross_entropy_with_integer_labels(outputs, y).mean(-1)
    )
    task = bojax.Task.linen(
        lambda hp: Places(), loss=per_place, optimizer=lambda hp: optax.sgd(hp["lr"]), metrics=(),
        batch_size=15,
    )  # fmt: skip
    mine = ResizedExecutor(task, SPACE, data, unit="length", max_budget=6, passes=1, chunk=1,
                           slots=2)  # fmt: skip
    (report,) = mine.run([Job(0, 0, 3)], CONFIGS)
    outputs = mine.predict(0, data._raw[data.validation])
    assert outputs.shape == (15, 3, 2)
    labels = data.y[data.validation][:, :3]
    loss = -np.take_along_axis(jax.nn.log_softmax(outputs), labels[..., None], -1).mean()
    assert report.metrics["loss"] == pytest.approx(float(loss), abs=1e-5)
    score = mine.score(0, data._raw[data.validation], data.y[data.validation])
    assert score["loss"] == pytest.approx(float(loss), abs=1e-5)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"max_budget": 16}, TaskError, "of size 8, got 16"),
        ({"unit": "length", "max_budget": 4}, TaskError, "of size 8, got 4"),
        ({"data": bojax.ArrayData(np.zeros((20, 4)), np.arange(20) % 2)}, DataError, "images"),
        ({"passes": 0}, TaskError, "passes: expected a positive integer"),
        ({"scheduler": "plateau"}, ConfigError, "'plateau' compares values of all budgets"),
    ],
)
def test_sweeps_that_cannot_be_are_refused_at_once(settings, error, words):
    with pytest.raises(error, match=words):
        make(**settings)


def test_measuring_counts_smaller_sizes_by_their_share():
    """Rungs of 4, 2 and 1 trials at sides 2, 4 and 8, in passes at side 8."""
    sweep = make(passes=3)
    assert sweep._passes_at_full_size(sweep.plan(4)) == 3 * (4 / 16 + 2 / 4 + 1)
    sequences = make(unit="length", passes=3)
    assert sequences._passes_at_full_size(sequences.plan(4)) == 3 * (4 / 4 + 2 / 2 + 1)
