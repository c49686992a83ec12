"""Training on examples that are read in blocks, against arrays, single models and counts."""

import sys
import threading

import grain
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen

import bojax
from bojax.errors import DataError, TaskError
from bojax.history import Job
from bojax.training import GrainData, LocalExecutor
from bojax.training.devices import Programs
from bojax.training.solo import Solo

SPLIT = bojax.Holdout(validation=0.1, test=0.1, stratify=False)
N = 100  # 80 to train on


class Source:
    """Examples that count how often they are read."""

    def __init__(self, n=N, wrap=lambda x, y: {"x": x, "y": y}):
        generator = np.random.default_rng(0)
        self.x = generator.normal(size=(n, 5)).astype(np.float32)
        self.x[:, 0] = np.arange(n)
        self.y = np.argmax(self.x[:, 1:4], axis=1)
        self.reads, self.wrap = 0, wrap

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        self.reads += 1
        return self.wrap(self.x[i], self.y[i])


def data(source=None, **settings):
    return GrainData(source or Source(), **{"split": SPLIT, "block": 32} | settings)


class Linear(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.Dense(3)(x[:, 1:])


TASK = bojax.Task.linen(
    lambda hp: Linear(),
    optimizer=lambda hp: optax.adam(hp["lr"] * optax.cosine_decay_schedule(1.0, 40)(hp.step)),
    metrics=("accuracy",),
)
SPACE = bojax.Space({"lr": bojax.Float(0.0, 1.0), "batch_size": bojax.Ordinal([8, 16])})
CONFIGS = {t: {"lr": 0.01 * (t + 1), "batch_size": 16} for t in range(3)}


def executor(given=None, task=TASK, **settings):
    given = data() if given is None else given
    return LocalExecutor(
        task, SPACE, given, **{"seed": 7, "max_budget": 9, "chunk": 2, "slots": 4} | settings
    )


def same(a, b, trials):
    leaves = lambda each: [jax.tree.leaves(each.params(t)) for t in trials]  # noqa: E731
    return all(
        np.array_equal(x, y)
        for one, other in zip(leaves(a), leaves(b), strict=True)
        for x, y in zip(one, other, strict=True)
    )


def counting():
    """A task that only counts: examples by their number, and steps by theirs."""

    def step(carry, batch, hp, key):
        counts, state, optimizer = carry
        counts = counts.at[batch.x[:, 0].astype(int)].add(batch.weight)
        state = {"steps": state["steps"].at[hp.step].add(1)}
        return (counts, state, optimizer), 0.0 * hp["lr"]

    return bojax.Task(
        init=lambda key, hp, x: (jnp.zeros(N), {"steps": jnp.zeros(60)}),
        loss=lambda p, s, b, hp, key: (jnp.zeros(()), s),
        predict=lambda p, s, x, hp: x[:, 0] * 0.0,
        optimizer=lambda hp: optax.sgd(hp["lr"]),
        metrics={"zero": bojax.training.mean_of(lambda outputs, y: outputs)},
        batch_size="batch_size",
        step=step,
    )


# ------------------------------------------------------------------ what is trained on


@pytest.mark.parametrize("block", [32, 48, 96])
def test_an_epoch_sees_every_example_once_and_steps_count_on(block):
    """80 examples: blocks of 32, 32 and 16; of 48 and 32; of 80."""
    given = data(block=block)
    mine = executor(given, counting())
    configs = {0: {"lr": 0.1, "batch_size": 8}, 1: {"lr": 0.1, "batch_size": 16}}
    for epochs in (1, 3):
        start = mine._done.get(0, 0)
        reports = mine.run([Job(t, start, epochs) for t in configs], configs)
        expected = np.zeros(N)
        expected[given.train] = epochs
        for trial, steps in ((0, 10), (1, 5)):
            assert np.array_equal(mine.params(trial), expected)
            counted = mine.state(trial)["steps"]
            assert np.array_equal(counted, np.arange(60) < steps * epochs)
        assert [r.examples for r in reports] == [80 * (epochs - start)] * 2


def test_parts_are_those_of_arrays_and_whole_is_the_rest():
    source = Source()
    mine, arrays = data(source), bojax.ArrayData(source.x, source.y, split=SPLIT)
    assert np.array_equal(mine.x, arrays._raw[arrays.validation])
    assert np.array_equal(mine.y, arrays.y[arrays.validation])
    assert np.array_equal(source.x[mine.train], arrays._raw[arrays.train])
    x, y = mine.test.take()
    assert np.array_equal(x, arrays.test._x) and np.array_equal(y, arrays.test._y)
    whole = mine.whole()
    assert sorted(whole.train) == sorted(set(range(N)) - set(x[:, 0].astype(int)))
    assert whole.test is mine.test and mine.classes == 3


def test_one_block_in_the_order_of_the_source_is_training_on_arrays_to_the_bit():
    source = Source()
    mine = executor(data(source, block=80, shuffle=False))
    arrays = executor(bojax.ArrayData(source.x, source.y, split=SPLIT))
    jobs = [Job(t, 0, 3) for t in CONFIGS]
    found, expected = mine.run(jobs, CONFIGS), arrays.run(jobs, CONFIGS)
    assert [r.metrics for r in found] == [r.metrics for r in expected]
    assert same(mine, arrays, CONFIGS)


@pytest.mark.parametrize(("unit", "budget", "epochs", "steps"), [("epochs", 2, 2, 0),
                                                                 ("steps", 8, 1, 3)])  # fmt: skip
def test_a_member_is_the_trial_alone(unit, budget, epochs, steps):
    mine = executor(unit=unit, max_budget=9 if unit == "epochs" else 45)
    reports = mine.run([Job(t, 0, budget) for t in CONFIGS], CONFIGS)
    solo = Solo(TASK, SPACE, data(), CONFIGS[2], trial=2, seed=7, max_budget=9)
    solo.train(epochs, steps=steps)
    for a, b in zip(
        jax.tree.leaves(mine.params(2)), jax.tree.leaves(solo.member.params), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=2.6e-6, rtol=0)
    assert reports[2].metrics["train_loss"] == pytest.approx(float(solo.member.loss), abs=5e-6)


def test_the_training_loss_is_the_mean_over_the_epoch():
    """Of a model that does not move; the last block is half as long as the others."""
    given = data()
    mine = executor(given)
    (report,) = mine.run([Job(0, 0, 2)], {0: {"lr": 0.0, "batch_size": 16}})
    source, params = Source(), mine.params(0)["Dense_0"]
    logits = source.x[given.train][:, 1:] @ params["kernel"] + params["bias"]
    loss = -jax.nn.log_softmax(logits)[np.arange(80), source.y[given.train]].mean()
    assert report.metrics["train_loss"] == pytest.approx(float(loss), abs=1e-5)


# ------------------------------------------------------------------ the same again


@pytest.mark.parametrize("stops", [(3, 10), (6, 7, 10), (5, 10)])
def test_training_that_stops_and_goes_on_is_the_same_to_the_bit(stops):
    """5 steps an epoch: at the ends of blocks, within them, and of epochs; through a checkpoint."""
    whole = executor(unit="steps", max_budget=45)
    whole.run([Job(t, 0, 10) for t in CONFIGS], CONFIGS)
    parts, start = executor(unit="steps", max_budget=45), 0
    for stop in stops:
        parts.run([Job(t, start, stop) for t in CONFIGS], CONFIGS)
        arrays, meta = parts.state_arrays(parts.kept)
        parts, start = executor(unit="steps", max_budget=45), stop
        parts.restore(arrays, meta, CONFIGS)
    assert same(whole, parts, CONFIGS)


def test_members_of_different_spans_share_the_blocks():
    """Trials at other steps in one call; more of them than a call holds."""
    mine = executor(unit="steps", max_budget=45, slots=2)
    mine.run([Job(1, 0, 7)], CONFIGS)
    mine.run([Job(0, 0, 4), Job(1, 7, 9), Job(2, 0, 12)], CONFIGS)
    for trial, stop in ((0, 4), (1, 9), (2, 12)):
        alone = executor(unit="steps", max_budget=45, slots=2)
        alone.run([Job(trial, 0, stop)], CONFIGS)
        assert same(mine, alone, [trial])


def test_seed_shuffle_and_block_matter_and_threads_do_not():
    def params(given=None, **settings):
        mine = executor(given, **settings)
        mine.run([Job(0, 0, 2)], CONFIGS)
        return np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(mine.params(0))])

    first = params()
    assert np.array_equal(params(), first)
    assert np.array_equal(params(data(threads=4)), first)
    others = [params(data(block=48)), params(data(shuffle=False)), params(seed=8)]
    assert len({other.tobytes() for other in (first, *others)}) == 4


def test_epochs_and_seeds_have_orders_of_their_own():
    def order(given, seed, epoch):
        pieces = given.pieces(5 * epoch, 5 * epoch + 5, 16)
        return np.concatenate([b.x[: p.examples, 0] for p, b in given.blocks(pieces, seed)])

    orders = [tuple(order(data(), *which)) for which in ((0, 0), (0, 1), (1, 0), (1, 1))]
    assert len(set(orders)) == 4
    assert all(sorted(each) == sorted(orders[0]) for each in orders)
    plain = data(shuffle=False)
    assert np.array_equal(order(plain, 0, 1), plain.train)


# ------------------------------------------------------------------ reading


def test_one_block_is_read_while_another_trains_and_no_more(monkeypatch):
    source = Source()
    mine, before = executor(data(source), chunk=1, slots=1), source.reads
    train, seen = Programs.train, []

    def watched(self, *arguments):
        """Called before a block trains: waits for the next one to be read."""
        enough = min(80, 32 * (len(seen) + 2))
        for _ in range(100_000):
            if source.reads - before >= enough:
                break
            threading.Event().wait(0.001)
        seen.append(source.reads - before)
        return train(self, *arguments)

    monkeypatch.setattr(Programs, "train", watched)
    mine.run([Job(0, 0, 1)], CONFIGS)
    assert seen == [64, 80, 80]  # of blocks of 32, 32 and 16


def test_threads_read_at_once():
    together = threading.Barrier(2)

    def meet(x, y):
        together.wait(60)  # breaks where one thread reads alone
        return x, y

    assert len(data(Source(20, meet), threads=2, block=16, split=bojax.Holdout(0.2, 0.1)).x) == 4


def test_a_source_that_fails_ends_the_run_and_its_threads():
    source = Source()
    mine = executor(data(source))

    def fail(x, y):
        if source.reads > 20 + 40:
            raise OSError("disk gone")
        return x, y

    source.wrap = fail
    with pytest.raises(OSError, match="disk gone"):
        mine.run([Job(0, 0, 1)], CONFIGS)
    assert not any(thread.name.startswith("bojax-read") for thread in threading.enumerate())
    source.wrap = lambda x, y: (x, y)
    mine.run([Job(0, 0, 1)], CONFIGS)  # nothing was kept of the trial


def test_a_dataset_of_grains_own_and_pairs_are_taken():
    source = Source(wrap=lambda x, y: (x, y))
    doubled = grain.MapDataset.source(source).map(lambda pair: (2 * pair[0], pair[1]))
    mine = data(doubled)
    np.testing.assert_array_equal(mine.x, 2 * data().x)
    ((_, block),) = mine.blocks(mine.pieces(0, 1, 16), 0)
    assert set(block.x[:, 0] / 2) <= set(mine.train)


def test_without_grain_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "grain", None)
    with pytest.raises(bojax.ConfigError, match=r"pip install 'bojax\[grain\]'"):
        data()


# ------------------------------------------------------------------ sweeps and errors


def sweep(tmp_path=None, **settings):
    given = {"data": data(), "strategy": "random", "max_budget": 2, "eta": 2, "bracket": 2}
    given |= {"store": None if tmp_path is None else tmp_path / "a.db", "chunk": 1}
    return bojax.Sweep(TASK, SPACE, **given | settings)


def test_a_sweep_streams_and_resumes(tmp_path):
    expected = sweep().run(2)
    with pytest.raises(RuntimeError, match="stop"):
        sweep(tmp_path, callbacks=[stop_at_a_rung]).run(2)
    result = bojax.Sweep.resume(tmp_path / "a.db", TASK, data=data())
    assert [t.curve for t in result.trials] == [t.curve for t in expected.trials]
    assert result.refit().predict(data().x).shape == (10, 3)
    assert set(result.test()) == {"loss", "accuracy"}
    with pytest.raises(bojax.ConfigError, match="block=32, now it is 48"):
        sweep(tmp_path, data=data(block=48)).continue_run(2)
    with pytest.raises(DataError, match=r"nested.*bojax\.ArrayData, got GrainData"):
        sweep().nested(2)


def stop_at_a_rung(event):
    if event.kind == "rung":
        raise RuntimeError("stop")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"block": 0}, "block must be a positive integer, got 0"),
        ({"threads": 0}, "threads must be a positive integer, got 0"),
        ({"split": bojax.CrossValidation(3)}, "must be a Holdout, got CrossValidation"),
        ({"source": 3}, r"needs len\(source\) and source\[i\], got int"),
        ({"source": [1.0] * 50}, "is float; expected a mapping with 'x' and 'y', or a pair"),
        ({"source": Source(wrap=lambda x, y: (x[: 1 + int(x[0]) % 2], y))}, "different shapes"),
        ({"source": Source(wrap=lambda x, y: (x * np.nan, y))}, "NaN or infinite"),
    ],
)
def test_data_that_cannot_be_is_refused(settings, words):
    with pytest.raises(DataError, match=words):
        data(**settings)


def test_what_only_training_shows_is_said_when_it_is_read():
    given = data()
    late = int(given.train[0])
    for wrap, words in (
        (lambda x, y: (x, 7 if x[0] == late else y), "label 7.*3 classes; give classes=8"),
        (lambda x, y: (x, y + 0.5 if x[0] in given.train else y), "y of float32.*int32"),
    ):
        with pytest.raises(DataError, match=words):
            executor(data(Source(wrap=wrap))).run([Job(0, 0, 1)], CONFIGS)
    mine = data(Source(wrap=lambda x, y: (x, 7 if x[0] == late else y)), classes=8)
    with pytest.raises(DataError, match="3 outputs; build it with 8"):
        executor(mine).run([Job(0, 0, 1)], CONFIGS)


def test_settings_that_do_not_go_with_blocks_are_refused():
    with pytest.raises(TaskError, match="batch_size=16: blocks of 40 examples"):
        executor(data(block=40)).run([Job(0, 0, 1)], CONFIGS)
    with pytest.raises(TaskError, match="unit='percent'"):
        executor(unit="percent", max_budget=100)
    with pytest.raises(DataError, match=r"expected a bojax\.ArrayData, got GrainData"):
        sweep(unit="length", max_budget=5)
    mine = executor()
    mine.run([Job(0, 0, 1)], CONFIGS)
    with pytest.raises(DataError, match=r"shape \(5,\), got \(4,\)"):
        mine.predict(0, np.zeros((2, 4)))
