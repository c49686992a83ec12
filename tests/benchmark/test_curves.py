"""Recorded curves: what a table says, what a scheduler makes of it, and how it was recorded."""

import importlib
import itertools
import json
import math
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import bojax
from bojax.benchmark.problems._curves import DATA, RECORDED, Curves, recorded
from bojax.coordinate import Coordinator
from bojax.history import Job, Status
from bojax.training import LocalExecutor

NAN = math.nan
TOY = bojax.Space({"lr": bojax.Ordinal([1, 2, 3]), "kind": bojax.Categorical(["a", "b", "c"])})
# Loss after epochs 1, 3 and 9 of seed 0. The best at each rung are 1, 4 and 7, then 7;
# 3 would have been best in the end, and nobody finds out.
AT = {
    1: [5.0, 1.0, 4.0, 9.0, 2.0, 8.0, 7.0, 3.0, 6.0],
    3: [0.1, 0.9, 0.1, 0.1, 0.8, 0.1, 0.1, 0.7, 0.1],
    9: [0.5, 0.5, 0.5, 0.0, 0.5, 0.5, 0.5, 0.6, 0.5],
}


def toy():
    """Nine configurations, nine epochs, two seeds; what AT does not say is 100."""
    loss = np.full((9, 9, 2), 100.0)
    for epoch, values in AT.items():
        loss[:, epoch - 1, 0] = values
        loss[:, epoch - 1, 1] = values[::-1]
    loss[7, :, 1] = NAN  # the 1.0 of seed 1
    return Curves("toy", TOY, {"loss": loss, "hits": loss * 2}, {"training_examples": 10})


def all_configs(space):
    names = list(space.parameters)
    grid = itertools.product(*(space.parameters[name].choices for name in names))
    return [dict(zip(names, values, strict=True)) for values in grid]


def coordinate(curves, trials, seed=0, **settings):
    """Successive halving over the curves, configurations in the order of the grid."""
    executor = curves.executor(seed)
    settings = {"first": all_configs(curves.space)} | settings
    run = Coordinator(
        curves.space.with_fidelity("epochs", 1, curves.epochs),
        bojax.strategies.random(),
        bojax.schedulers.successive_halving(max_budget=curves.epochs, trials=trials),
        executor,
        metric="loss",
        **settings,
    )
    run.run()
    return run, executor


# ------------------------------------------------------------------ the table


@pytest.mark.parametrize("name", RECORDED)
def test_index_is_the_order_of_the_product(name):
    curves = recorded(name)
    configs = all_configs(curves.space)
    assert curves.index(configs).tolist() == list(range(len(curves.values)))
    assert curves.index(curves.space.encode(configs)).tolist() == list(range(len(configs)))
    for i in (0, 1, len(configs) - 1):
        assert curves.index(configs[i]) == i
        assert curves.index(curves.space.encode(configs[i])) == i


@pytest.mark.parametrize("x64", [False, True])
@pytest.mark.parametrize("name", RECORDED)
def test_problem_values_are_the_arrays(name, x64):
    curves = recorded(name)
    order = np.random.default_rng(0).permutation(len(curves.values))
    rows = curves.space.encode([all_configs(curves.space)[i] for i in order])
    with jax.enable_x64(x64):
        for instance in range(curves.seeds):
            problem = curves.problem(instance)
            values = jax.jit(problem.evaluate)(problem.data, None, jnp.asarray(rows))
            assert values.dtype == (jnp.float64 if x64 else jnp.float32)
            np.testing.assert_array_equal(values, curves.values[order, 26, instance])


def test_optimum_and_reference_by_hand():
    problem = toy().problem(0)
    assert (problem.optimum, problem.reference) == (0.0, 0.5)
    # Seed 1 has .5 .6 .5 .5 .5 0 .5 NaN .5: still .5 in the middle, the failure above it.
    last = [0.5, 0.6, 0.5, 0.5, 0.5, 0.0, 0.5, NAN, 0.5]
    problem = toy().problem(1)
    rows = jnp.asarray(TOY.encode(all_configs(TOY)))
    np.testing.assert_array_equal(problem.noise_free(rows), np.float32(last))
    assert (problem.optimum, problem.reference) == (0.0, 0.5)


def test_half_the_trainings_failed_is_no_better_than_the_middle():
    loss = np.array([1.0, NAN, 2.0, NAN, NAN, 4.0, 3.0, 5.0, 6.0]).reshape(9, 1, 1)
    assert Curves("toy", TOY, {"loss": loss}).problem(0).reference == 5.0


def test_mean_of_the_seeds():
    problem = toy().problem("mean")
    rows = jnp.asarray(TOY.encode(all_configs(TOY)))
    expected = [0.5, 0.55, 0.5, 0.25, 0.5, 0.25, 0.5, NAN, 0.5]
    np.testing.assert_allclose(problem.noise_free(rows), expected, rtol=1e-6)
    assert problem.optimum == 0.25


def test_instances_are_one_program():
    curves = recorded("digits_mlp")
    problems = [curves.problem(k) for k in range(curves.seeds)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(x) for x in leaves]), *problems)
    rows = jnp.asarray(curves.space.every_row()[::7])
    values = jax.jit(jax.vmap(lambda p: p.evaluate(p.data, None, rows)))(stacked)
    np.testing.assert_array_equal(values, curves.values[::7, 26].T)


def test_a_loop_that_sees_every_configuration_finds_the_optimum():
    problem = toy().problem(1)
    history = bojax.loop.run(bojax.strategies.random(), problem, jax.random.key(0), evaluations=9)
    status = np.asarray(history.status)[:9]
    assert (status == Status.FAILED).sum() == 1  # the NaN, once
    assert (status == Status.DONE).sum() == 8
    assert float(bojax.loop.best_so_far(history)[8]) == float(problem.optimum)


@pytest.mark.parametrize(
    ("which", "message"),
    [
        ({"lr": 4, "kind": "a"}, "lr: 4 is no choice"),
        ({"lr": 1}, "kind: missing"),
        ([{"lr": 1, "kind": "a", "width": 3}], "width: not a parameter"),
        (np.zeros(3), "rows of 4 columns"),
        (np.full((1, 4), 0.4), "none of the grid"),
        ("lr=1", "expected a configuration"),
    ],
)
def test_what_is_not_on_the_grid_is_refused(which, message):
    with pytest.raises(bojax.ConfigError, match=message):
        toy().index(which)


def test_rows_of_a_float32_program_are_the_same_rows():
    rows = TOY.encode(all_configs(TOY)).astype(np.float32)
    assert toy().index(rows).tolist() == list(range(9))


@pytest.mark.parametrize("seed", [2, -1, 0.0, True, "median"])
def test_unknown_seeds_are_refused(seed):
    for door in (toy().problem, toy().executor):
        with pytest.raises(bojax.ConfigError, match="0 to 1 were recorded"):
            door(seed)
    with pytest.raises(bojax.ConfigError, match="0 to 1"):
        toy().executor("mean")


@pytest.mark.parametrize(
    ("space", "metrics", "message"),
    [
        ({"x": bojax.Float(0, 1)}, {"loss": np.ones((9, 2, 1))}, "x must be an Ordinal"),
        (TOY.parameters, {"error": np.ones((9, 2, 1))}, "no metric 'loss'"),
        (TOY.parameters, {"loss": np.ones((8, 2, 1))}, "9 configurations"),
        (TOY.parameters, {"loss": np.ones((9, 2))}, r"shape \(9, 2\)"),
        (TOY.parameters, {"loss": np.ones((9, 2, 1)), "b": np.ones((9, 3, 1))}, "b has shape"),
    ],
)
def test_curves_that_do_not_fit_are_refused(space, metrics, message):
    with pytest.raises(bojax.DataError, match=message):
        Curves("toy", bojax.Space(space), metrics)


# ------------------------------------------------------------------ training that is played


def test_halving_by_hand():
    run, executor = coordinate(toy(), trials=9)
    reached = [trial.fidelity for trial in run.trials]
    assert reached == [1, 3, 1, 1, 3, 1, 1, 9, 1]
    assert [budget for budget, _ in run.trials[7].curve] == [1, 3, 9]
    assert [m["loss"] for _, m in run.trials[7].curve] == [3.0, 0.7, 0.6]
    assert (run.best.id, run.best.value) == (7, 0.6)
    assert executor.spent == run.spent == 9 * 1 + 3 * 2 + 1 * 6


def test_a_failed_training_is_not_promoted():
    (report,) = toy().executor(1).run([Job(0, 0, 1)], {0: all_configs(TOY)[7]})
    assert (report.status, math.isnan(report.metrics["loss"])) == (Status.FAILED, True)
    # Seed 1 is the other way round, 7 has NaN for its 1.0: 4, 1 and 6 go on, then 6.
    run, executor = coordinate(toy(), trials=9, seed=1)
    assert [trial.fidelity for trial in run.trials] == [1, 3, 1, 1, 3, 1, 9, 1, 1]
    assert run.trials[7].status == Status.FAILED
    assert (run.best.id, executor.spent) == (6, 21)


@pytest.mark.parametrize("name", RECORDED)
def test_halving_of_recorded_curves_keeps_the_best_third(name):
    curves = recorded(name)
    run, executor = coordinate(curves, trials=27, seed=1, first=())
    found = curves.index([trial.config for trial in run.trials])
    # What halving is: sort, cut to a third, again, with failures last and ties to the earlier.
    alive = list(range(27))
    for epoch in (1, 3, 9):
        loss = curves.values[found[alive], epoch - 1, 1]
        order = np.lexsort([alive, np.where(np.isfinite(loss), loss, np.inf)])
        alive = sorted(alive[i] for i in order[: len(alive) // 3])
        assert [t.id for t in run.trials if t.fidelity > epoch] == alive
    assert run.best.value == curves.values[found[alive[0]], 26, 1]
    assert executor.spent == 27 + 9 * 2 + 3 * 6 + 18


def test_a_full_space_ends_the_run():
    run, executor = coordinate(toy(), trials=12, first=())
    assert run.exhausted
    assert sorted(toy().index([t.config for t in run.trials])) == list(range(9))
    assert executor.spent == run.spent


def test_resuming_follows_one_curve():
    curves = recorded("diabetes_mlp")
    config = all_configs(curves.space)[100]
    at_once, in_parts = curves.executor(1), curves.executor(1)
    (whole,) = at_once.run([Job(0, 0, 27)], {0: config})
    parts = [in_parts.run([Job(5, i, i + 1)], {5: config})[0] for i in range(27)]
    assert [report.metrics["loss"] for report in parts] == curves.values[100, :, 1].tolist()
    assert parts[-1].metrics == whole.metrics
    assert at_once.spent == in_parts.spent == 27
    assert whole.examples == sum(report.examples for report in parts) == 27 * 221


def test_a_checkpoint_goes_on_where_it_was():
    curves, configs = toy(), dict(enumerate(all_configs(TOY)))
    first = curves.executor(0)
    first.run([Job(3, 0, 3), Job(4, 0, 1), Job(5, 0, 1)], configs)
    first.keep([3, 4])
    assert first.kept == [3, 4]
    arrays, meta = first.state_arrays(first.kept)
    second = curves.executor(0)
    second.restore(arrays, json.loads(json.dumps(meta)), configs)
    assert (second.kept, second.spent) == ([3, 4], 5)
    (report,) = second.run([Job(3, 3, 9)], configs)
    assert (report.metrics["loss"], second.spent) == (0.0, 11)
    with pytest.raises(bojax.TaskError, match="seed=0"):
        curves.executor(1).restore(arrays, meta, configs)


def test_a_forgotten_trial_starts_again_as_with_a_real_executor():
    executor, configs = toy().executor(0), {0: all_configs(TOY)[0]}
    executor.run([Job(0, 0, 3)], configs)
    executor.keep([])
    with pytest.raises(bojax.TrialError, match="its state has 0"):
        executor.run([Job(0, 3, 9)], configs)
    (report,) = executor.run([Job(0, 0, 9)], configs)
    assert (report.metrics, report.status) == ({"loss": 0.5, "hits": 1.0}, Status.DONE)
    assert executor.spent == 12


@pytest.mark.parametrize(
    ("job", "configs", "error", "message"),
    [
        (Job(0, 1, 3), {0: {"lr": 1, "kind": "a"}}, bojax.TrialError, "its state has 0"),
        (Job(0, 0, 10), {0: {"lr": 1, "kind": "a"}}, bojax.TrialError, "max_budget=9"),
        (Job(0, 0, 0), {0: {"lr": 1, "kind": "a"}}, bojax.TrialError, "before epoch 1"),
        (Job(0, 0, 0.5), {0: {"lr": 1, "kind": "a"}}, bojax.TaskError, "whole epochs"),
        (Job(0, 0, 3), {}, bojax.TrialError, "no configuration"),
        (Job(0, 0, 3), {0: {"lr": 7, "kind": "a"}}, bojax.ConfigError, "lr: 7"),
        (Job(1, 0, 3, clone_of=0), {1: {"lr": 1, "kind": "a"}}, bojax.TaskError, "clones trial 0"),
    ],
)
def test_jobs_that_cannot_be_played_are_refused(job, configs, error, message):
    executor = toy().executor(0)
    with pytest.raises(error, match=message):
        executor.run([job], configs)
    assert (executor.spent, executor.kept) == (0, [])


def test_a_trial_keeps_its_configuration():
    executor, (one, other, *_) = toy().executor(0), all_configs(TOY)
    executor.run([Job(0, 0, 1)], {0: one})
    with pytest.raises(bojax.TrialError, match="configuration changed"):
        executor.run([Job(0, 1, 3)], {0: other})


# ------------------------------------------------------------------ files


def test_a_file_is_the_curves(tmp_path):
    curves = toy()
    curves.save(tmp_path / "a.npz")
    Curves.load(tmp_path / "a.npz").save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    again = Curves.load(tmp_path / "b.npz")
    assert (again.name, again.space, again.about) == (curves.name, curves.space, curves.about)
    assert list(again.metrics) == ["loss", "hits"]
    np.testing.assert_array_equal(again.values, curves.values)


def test_what_is_no_such_file_is_refused(tmp_path):
    (tmp_path / "text.npz").write_text("no zip")
    toy().save(tmp_path / "whole.npz")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:300])
    np.savez(tmp_path / "pickled.npz", head=np.array({}, object))
    np.savez(tmp_path / "other.npz", x=np.zeros(2))
    np.savez(tmp_path / "newer.npz", head=np.array(json.dumps({"format": 99})))
    for name, message in [
        ("missing", "not a file of recorded curves"),
        ("text", "not a file of recorded curves"),
        ("cut", "not a file of recorded curves"),
        ("pickled", "not a file of recorded curves"),
        ("other", "not a file of recorded curves"),
        ("newer", "upgrade bojax"),
    ]:
        with pytest.raises(bojax.DataError, match=message):
            Curves.load(tmp_path / f"{name}.npz")


def test_unknown_names_are_refused():
    with pytest.raises(bojax.ConfigError, match="one of digits_mlp, diabetes_mlp"):
        recorded("cifar")


def test_recorded_curves_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        recorded("digits_mlp").values[0, 0, 0] = 0.0


def test_the_recorded_files_are_small_and_complete():
    assert sum(path.stat().st_size for path in DATA.glob("*.npz")) < 1_000_000
    assert {path.stem for path in DATA.glob("*.npz")} == set(RECORDED)
    for name in RECORDED:
        curves = recorded(name)
        assert curves.name == name
        assert len(curves.values) >= 500
        assert (curves.epochs, curves.seeds) == (27, 4)


@pytest.mark.parametrize("name", RECORDED)
def test_the_recorded_curves_are_hard_enough(name):
    """They diverge, cross and overfit: what makes early stopping a problem."""
    curves = recorded(name)
    final = curves.values[:, -1]
    assert 0.005 < np.mean(np.isnan(final)) < 0.3
    for seed in range(curves.seeds):
        problem = curves.problem(seed)
        assert problem.optimum < 0.9 * problem.reference < np.inf
        best = np.argsort(np.where(np.isnan(final[:, seed]), np.inf, final[:, seed]))[:10]
        # One of the final ten at least is outside the best third after the first epoch.
        early = np.nan_to_num(curves.values[:, 0, seed], nan=np.inf)
        assert (early[best] > np.quantile(early, 1 / 3)).any()
    least = np.where(np.isnan(curves.values), np.inf, curves.values).min(axis=1)
    good = np.isfinite(final)
    assert np.mean(final[good] > 1.05 * least[good]) > 0.2


# ------------------------------------------------------------------ the recorder


LINE = bojax.Task(  # linear regression; made once, so that the tests share its programs
    init=lambda key, hp, x: (jax.random.normal(key, (2,)), {}),
    loss=lambda p, s, b, hp, key: (jnp.mean(b.weight * (b.x @ p - b.y) ** 2), s),
    predict=lambda p, s, x, hp: x @ p,
    optimizer=lambda hp: optax.sgd(hp["lr"]),
    metrics={"loss": bojax.training.mean_of(lambda outputs, y: (outputs - y) ** 2)},
    batch_size=8,
)


@pytest.fixture
def recorder(monkeypatch, tmp_path):
    """The script, with a linear regression in place of its two networks."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    script = importlib.import_module("record_curves")
    x = np.random.default_rng(0).normal(size=(40, 2))
    data = lambda: bojax.ArrayData(x, x @ [1.0, 2.0], split=script.HALF)  # noqa: E731
    space = bojax.Space(
        {"lr": bojax.Ordinal([0.01, 0.1, 1e20]), "unused": bojax.Categorical(["a", "b"])}
    )
    recording = script.Recording("toy", data, space, LINE, ("loss",))
    for name, value in {
        "RECORDINGS": {"toy": recording}, "EPOCHS": 3, "SEEDS": 2, "BLOCK": 4, "PARTS": tmp_path,
    }.items():  # fmt: skip
        monkeypatch.setattr(script, name, value)
    yield script
    del sys.modules["record_curves"]


def test_an_interrupted_recording_goes_on(recorder, monkeypatch, capsys):
    blocks, train = [], recorder.train

    def counted(executor, configs, first, metrics):
        blocks.append((executor.seed, first, len(configs)))
        return train(executor, configs, first, metrics)

    monkeypatch.setattr(recorder, "train", counted)
    assert recorder.record("toy", 3, "v1") is None
    assert blocks == [(0, 0, 4), (0, 4, 2), (1, 0, 4)]
    assert "3 of 4 blocks; run again" in capsys.readouterr().out
    resumed = recorder.record("toy", 9, "v1")
    assert blocks[3:] == [(1, 4, 2)]
    at_once = recorder.record("toy", 9, "v2")  # another version shares no blocks
    assert len(blocks) == 8
    np.testing.assert_array_equal(resumed.values, at_once.values)


def test_what_is_recorded_is_what_an_executor_reports(recorder):
    curves = recorder.record("toy", 9, "v1")
    recording = recorder.RECORDINGS["toy"]
    configs = dict(enumerate(all_configs(recording.space)))
    data = recording.data().resplit(1)
    executor = LocalExecutor(recording.task, recording.space, data, seed=1, max_budget=3)
    for report in executor.run([Job(t, 0, 3) for t in configs], configs):
        value = curves.values[report.trial, 2, 1]
        if configs[report.trial]["lr"] == 1e20:
            assert np.isnan(value)
            assert report.status == Status.FAILED
        else:
            assert value == pytest.approx(report.metrics["loss"], rel=2.0**-recorder.BITS)


def test_shortened_numbers_are_close_and_few(recorder):
    numbers = np.exp(np.random.default_rng(0).normal(0, 20, 5000)).astype(np.float32)
    short = recorder.shortened(np.append(numbers, [np.nan, 0.0]).astype(np.float32))
    assert np.abs(short[:-2] / numbers - 1).max() <= 2.0**-recorder.BITS
    assert np.isnan(short[-2])
    assert short[-1] == 0
    assert not (short[:-2].view(np.uint32) & 0x3FF).any()  # ten bits less to compress
