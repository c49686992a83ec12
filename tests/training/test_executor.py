"""What a population computes: the same as alone, whatever it is packed with."""

import json

import jax
import numpy as np
import pytest

from bojax.errors import TaskError, TestDataTouched, TrialError
from bojax.history import Job, Status
from bojax.training import LocalExecutor
from bojax.training.solo import Solo


@pytest.mark.parametrize("trial", [0, 1, 2, 3])
def test_a_member_equals_the_trial_trained_alone(small, trial):
    configs = small.configurations(4)
    executor = small.executor()
    reports = executor.run(small.jobs(range(4), 0, 8), configs)  # 48 steps
    solo = Solo(
        small.task, small.space, small.data(), configs[trial], trial=trial, seed=7, max_budget=9
    )
    solo.train(8)
    for mine, theirs in zip(
        jax.tree.leaves(executor.params(trial)), jax.tree.leaves(solo.member.params), strict=True
    ):
        np.testing.assert_allclose(mine, theirs, atol=2.6e-6, rtol=0)
    expected = solo.evaluate()
    assert reports[trial].metrics.keys() == expected.keys() == {"loss", "accuracy", "train_loss"}
    for name, value in expected.items():
        assert reports[trial].metrics[name] == pytest.approx(value, abs=5e-6)


def test_order_company_and_number_of_calls_change_no_bit(small):
    configs = small.configurations(11)  # more than the 8 slots of a call
    together = small.executor()
    first = together.run(small.jobs(range(11), 0, 2), configs)
    shuffled = small.executor()
    order = np.random.default_rng(0).permutation(11).tolist()
    second = shuffled.run(small.jobs(order, 0, 2), configs)
    alone = small.executor()
    for trial in range(11):
        alone.run(small.jobs([trial], 0, 2), configs)
    states = small.leaves(together, range(11))
    assert small.same_bits(states, small.leaves(shuffled, range(11)))
    assert small.same_bits(states, small.leaves(alone, range(11)))
    by_trial = {report.trial: report.metrics for report in second}
    assert all(by_trial[report.trial] == report.metrics for report in first)
    assert [report.trial for report in second] == order


def test_one_and_two_epochs_are_three_to_the_bit(small):
    configs = small.configurations(5)
    whole, parts = small.executor(), small.executor()
    expected = whole.run(small.jobs(range(5), 0, 3), configs)
    parts.run(small.jobs(range(5), 0, 1), configs)
    found = parts.run(small.jobs(range(5), 1, 3), configs)
    assert small.same_bits(small.leaves(whole, range(5)), small.leaves(parts, range(5)))
    assert [r.metrics for r in found] == [r.metrics for r in expected]


def test_new_and_resumed_members_share_a_call(small):
    configs = small.configurations(6)
    expected = small.executor()
    expected.run(small.jobs(range(6), 0, 3), configs)
    mixed = small.executor()
    mixed.run(small.jobs([1, 4], 0, 1), configs)
    mixed.run([*small.jobs([1, 4], 1, 3), *small.jobs([0, 2, 3, 5], 0, 3)], configs)
    assert small.same_bits(small.leaves(expected, range(6)), small.leaves(mixed, range(6)))


@pytest.mark.parametrize("lr", [np.nan, 3e38])  # beyond the space, to break at once
def test_a_broken_member_fails_alone(small, lr):
    healthy = small.configurations(4, optimizer="momentum")
    broken = {**healthy, 1: {**healthy[1], "lr": lr}}
    good, bad = small.executor(), small.executor()
    good.run(small.jobs(range(4), 0, 3), healthy)
    reports = bad.run(small.jobs(range(4), 0, 3), broken)
    assert [r.status for r in reports] == [
        Status.DONE, Status.FAILED, Status.DONE, Status.DONE
    ]  # fmt: skip
    others = [0, 2, 3]
    assert small.same_bits(small.leaves(good, others), small.leaves(bad, others))


def test_a_checkpoint_continues_to_the_bit(small):
    configs = small.configurations(5) | {3: small.configuration(3, batch_size=32)}
    before = small.executor()
    before.run(small.jobs(range(5), 0, 2), configs)
    arrays, meta = before.state_arrays([4, 3, 0])
    assert all(type(leaf) is np.ndarray and leaf.dtype != object for leaf in arrays.values())
    after = small.executor()
    after.restore(arrays, json.loads(json.dumps(meta)), configs)
    assert after.kept == [0, 3, 4]
    expected = before.run(small.jobs([0, 3, 4], 2, 5), configs)
    found = after.run(small.jobs([0, 3, 4], 2, 5), configs)
    assert [r.metrics for r in found] == [r.metrics for r in expected]
    assert small.same_bits(small.leaves(before, [0, 3, 4]), small.leaves(after, [0, 3, 4]))
    with pytest.raises(TaskError, match="seed=7, this one has 8"):
        small.executor(seed=8).restore(arrays, meta, configs)


def test_nothing_compiles_for_other_values_seeds_sizes_and_splits(small, count_compiles):
    small.executor().run(small.jobs(range(3), 0, 1), small.configurations(3))
    with count_compiles() as programs:
        executor = small.executor(seed=99, data=small.data(5).resplit(3), max_budget=6)
        configs = {i: small.configuration(100 + i) for i in range(20)}
        executor.run(small.jobs(range(20), 0, 1), configs)
        executor.run(small.jobs(range(0, 20, 3), 1, 4), configs)
        executor.run(small.jobs([0], 4, 6), configs)
    assert programs == []
    assert executor.compile_seconds == 0 and len(executor.programs) == 3
    assert executor.train_seconds > 0


def test_another_batch_size_compiles_a_train_program_and_no_more(small, count_compiles):
    executor = small.tiny()
    configs = {0: {"lr": 0.1, "batch_size": 16}, 1: {"lr": 0.1, "batch_size": 32}}
    with count_compiles() as programs:
        executor.run(small.jobs([0], 0, 1), configs)
    assert len(programs) == 3
    assert sorted(p.kind for p in executor.programs) == ["eval", "init", "train"]
    with count_compiles() as programs:
        executor.run(small.jobs([1], 0, 1), configs)
    assert len(programs) == 1
    assert sorted(p.kind for p in executor.programs) == ["eval", "init", "train", "train"]


def test_a_clone_starts_from_its_donor_and_goes_its_own_way(small):
    configs = small.configurations(2) | {7: small.configuration(0, lr=0.05)}
    executor = small.executor()
    executor.run(small.jobs([0, 1], 0, 2), configs)
    donor = small.leaves(executor, [0])
    # The donor trains on in the same call: the clone takes its state from before.
    executor.run([Job(0, 2, 4), Job(7, 2, 2, clone_of=0)], configs)
    assert small.same_bits(donor, small.leaves(executor, [7]))
    executor.run(small.jobs([7], 2, 4), configs)
    assert not small.same_bits(small.leaves(executor, [0]), small.leaves(executor, [7]))


@pytest.mark.parametrize(
    "change",
    [
        {"lr": 0.05},
        {"weight_decay": 0.9},
        {"dropout": 0.8},
        {"width": 12},
        {"depth": 1},
        {"batch_size": 32},
        {"optimizer": "adamw"},
        {"momentum": 0.1},
        {"schedule": "constant"},
    ],
    ids=str,
)
def test_every_hyperparameter_matters(small, change):
    base = {"optimizer": "adamw" if "weight_decay" in change else "momentum", "lr": 0.02}
    base |= {"width": 16, "depth": 2, "dropout": 0.3, "schedule": "cosine"}
    losses = []
    for changes in ({}, change):
        executor = small.executor()
        config = small.configuration(0, **base | changes)
        (report,) = executor.run(small.jobs([0], 0, 4), {0: config})
        losses.append(report.metrics["loss"])
    assert abs(losses[0] - losses[1]) > 1e-5


def test_seed_and_horizon_matter(small):
    config = {0: small.configuration(2)}  # cosine
    losses = set()
    for settings in ({}, {"seed": 8}, {"max_budget": 3}):
        (report,) = small.executor(**settings).run(small.jobs([0], 0, 2), config)
        losses.add(round(report.metrics["loss"], 6))
    assert len(losses) == 3


def test_trials_of_one_configuration_differ_by_their_number(small):
    config = small.configuration(0)
    executor = small.executor()
    executor.run(small.jobs([3, 4], 0, 0), {3: config, 4: config})
    assert not small.same_bits(small.leaves(executor, [3]), small.leaves(executor, [4]))


def test_precision_does_not_follow_the_callers(small):
    configs = small.configurations(2)
    plain, within = small.executor(), small.executor()
    plain.run(small.jobs(range(2), 0, 2), configs)
    with jax.enable_x64(True):
        within.run(small.jobs(range(2), 0, 2), configs)
    assert small.same_bits(small.leaves(plain, range(2)), small.leaves(within, range(2)))


def test_training_learns(small):
    config = small.configuration(0, lr=0.05, dropout=0.1, width=16, depth=2)
    executor = small.executor()
    (early,) = executor.run(small.jobs([0], 0, 1), {0: config})
    (late,) = executor.run(small.jobs([0], 1, 9), {0: config})
    assert late.metrics["loss"] < 0.8 * early.metrics["loss"]
    assert late.metrics["accuracy"] > 0.7


def test_reports_say_what_it_cost(small):
    executor = small.executor()
    jobs = [Job(0, 0, 1), Job(1, 0, 3)]
    short, long = executor.run(jobs, small.configurations(2))
    assert (short.examples, long.examples) == (90, 270)
    assert long.budget == 3 and long.status is Status.DONE
    assert short.seconds + long.seconds == pytest.approx(executor.train_seconds)
    assert long.seconds == pytest.approx(3 * short.seconds)


def test_a_job_of_no_epochs_only_evaluates(small):
    executor = small.executor()
    configs = small.configurations(1)
    (first,) = executor.run(small.jobs([0], 0, 2), configs)
    (again,) = executor.run(small.jobs([0], 2, 2), configs)
    assert again.metrics["loss"] == first.metrics["loss"]


def test_events_tell_the_story(small):
    events, configs = [], {i: {"lr": 0.1, "batch_size": 16} for i in range(5)}
    executor = small.tiny(on_event=events.append)
    executor.run(small.jobs(range(5), 0, 1), configs)
    kinds = [event.kind for event in events]
    assert kinds.count("compiling") == kinds.count("compiled") == 3
    (trained,) = [event for event in events if event.kind == "trained"]
    assert (trained.members, trained.epochs) == (5, 5) and trained.seconds > 0
    assert trained.name == "batch_size=16"
    spent = sum(p.lower_seconds + p.compile_seconds for p in executor.programs)
    assert executor.compile_seconds == pytest.approx(spent)
    assert sum(e.seconds for e in events if e.kind == "compiled") == pytest.approx(spent)
    # The same task again: equal functions, so nothing is compiled twice.
    events.clear()
    again = LocalExecutor(
        executor.task, executor.space, executor.data, max_budget=9, chunk=2, slots=8,
        on_event=events.append,
    )  # fmt: skip
    again.run(small.jobs([0], 0, 1), configs)
    assert [event.kind for event in events] == ["reused"] * 3 + ["trained"]
    assert [p.name for p in again.programs] == [p.name for p in executor.programs]


def test_dropped_states_are_gone_and_their_rows_used_again(small):
    executor = small.executor()
    configs = small.configurations(4)
    executor.run(small.jobs(range(4), 0, 1), configs)
    before = small.leaves(executor, range(4))
    executor.keep([2])
    assert executor.kept == [2]
    executor.run(small.jobs([3, 0, 1], 0, 1), configs)
    assert small.same_bits(before, small.leaves(executor, range(4)))
    executor.drop([0, 77])
    with pytest.raises(TrialError, match="trial 0: no state is kept"):
        executor.params(0)


def test_models_come_out_and_the_test_part_is_used_once(small):
    executor = small.executor()
    config = small.configuration(0, width=11)
    (report,) = executor.run(small.jobs([0], 0, 4), {0: config})
    params = executor.params(0)
    assert params["hidden_1"]["kernel"].shape == (16, 16)
    assert not params["hidden_1"]["kernel"][11:].any()
    data = executor.data
    raw = data._raw[data.validation]
    outputs = executor.predict(0, raw)
    assert outputs.shape == (30, 3)
    accuracy = (outputs.argmax(1) == data.y[data.validation]).mean()
    assert accuracy == pytest.approx(report.metrics["accuracy"])
    seen = []
    data.test.on_touch = lambda: seen.append(data.test.touched)
    metrics = executor.test(0)
    assert seen == [False] and data.test.touched
    x, y = data.test._x, data.test._y
    assert metrics["accuracy"] == pytest.approx((executor.predict(0, x).argmax(1) == y).mean())
    correct = executor.predict(0, x).argmax(1) == y
    share = correct.mean()
    normal = 1.96 * np.sqrt(share * (1 - share) / len(y))  # of the binomial
    interval = metrics.intervals["accuracy"]
    assert interval.mean == metrics["accuracy"] and interval.low < share < interval.high
    assert interval.high - interval.low == pytest.approx(2 * normal, rel=0.35)
    assert metrics.optimism == {}
    with pytest.raises(TestDataTouched):
        executor.test(0)


def test_the_validation_score_beside_the_tests_is_optimism(small):
    executor = small.executor()
    (report,) = executor.run(small.jobs([0], 0, 4), {0: small.configuration(0)})
    score = executor.test(0, report.metrics)
    assert set(score) == {"loss", "accuracy"} == set(score.optimism)
    for name, value in score.items():
        assert score.optimism[name] == pytest.approx(report.metrics[name] - value)
    assert f"validation {report.metrics['loss']:.4f}" in str(score)


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (Job(0, 0, 2), "trial 0: the job starts at a budget of 0, its state has 1"),
        (Job(5, 1, 2), "trial 5: the job starts at a budget of 1, its state has 0"),
        (Job(0, 1, 10), "stop=10 must lie between start=1 and max_budget=9"),
        (Job(6, 0, 1), "trial 6: no configuration given"),
        (Job(0, 1, 2.5), "trial 0: stop: the budget is in whole epochs, got 2.5"),
    ],
)
def test_jobs_that_make_no_sense_say_so(small, job, message):
    configs = small.configurations(6)
    executor = small.executor()
    executor.run(small.jobs([0], 0, 1), configs)
    with pytest.raises((TrialError, TaskError), match=message):
        executor.run([job], configs)
    assert executor.run(small.jobs([0], 1, 2), configs)[0].status is Status.DONE


def test_two_jobs_of_a_trial_and_changed_buckets_are_refused(small):
    configs = small.configurations(1)
    executor = small.executor()
    with pytest.raises(TrialError, match="trial 0: two jobs in one call"):
        executor.run(small.jobs([0, 0], 0, 1), configs)
    executor.run(small.jobs([0], 0, 1), configs)
    with pytest.raises(TrialError, match="changed to another bucket"):
        executor.run(small.jobs([0], 1, 2), {0: small.configuration(0, batch_size=32)})
