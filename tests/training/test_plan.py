"""Buckets, layouts and the hyperparameters they are made of."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bojax
from bojax.errors import TaskError
from bojax.training import Hyperparameters, Plan
from bojax.training.hyper import Schema, power_of_two
from bojax.training.plan import pack

SPACE = bojax.Space(
    {
        "lr": bojax.Float(1e-4, 1.0, log=True),
        "width": bojax.Int(4, 100),
        "depth": bojax.Ordinal([1, 2, 4]),
        "size": bojax.Ordinal(["small", "large"]),
        "rate": bojax.Categorical([0.1, 0.5]),
        "act": bojax.Categorical(["relu", "tanh"]),
        "norm": bojax.Boolean(),
        "momentum": bojax.Float(0.5, 0.9, when={"norm": True}),
    }
)
CONFIG = {
    "lr": 0.1, "width": 20, "depth": 4, "size": "large", "rate": 0.5, "act": "tanh", "norm": False
}  # fmt: skip


def test_every_kind_of_parameter_enters_as_documented():
    hp = Hyperparameters.of(CONFIG, SPACE, static=["act"], padded=["width"], steps=99)
    kinds = {name: (hp[name].dtype, float(hp[name])) for name in hp if name != "act"}
    assert kinds == {
        "lr": (np.float32, pytest.approx(0.1)),
        "width": (np.int32, 20),
        "depth": (np.int32, 4),
        "size": (np.int32, 1),
        "rate": (np.float32, 0.5),
        "norm": (np.bool_, 0),
        "momentum": (np.float32, 0.5),  # inactive: parked
    }
    assert hp["act"] == "tanh" and int(hp.steps) == 99
    assert not hp.active["momentum"] and hp.active["lr"]
    assert dict(hp.ceiling) == {"width": 32, "depth": 4}
    assert hp.choices["size"] == ("small", "large") and hp.code("size", "large") == 1
    assert bool(hp.equals("size", "large")) and not bool(hp.equals("norm", True))
    assert hp.equals("act", "tanh") is True and hp.equals("act", "relu") is False
    assert bool(hp.equals("depth", 4)) and not bool(hp.equals("depth", 1))
    assert hp.get("none", 3) == 3 and "lr" in hp
    with pytest.raises(KeyError, match="no such parameter"):
        hp["none"]
    with pytest.raises(TaskError, match="no choice 'elu'"):
        hp.code("act", "elu")
    with pytest.raises(TaskError, match="ceiling"):
        hp.ceiling["lr"]


def test_hyperparameters_are_a_pytree_of_the_traced_scalars():
    one, other = (
        Hyperparameters.of(CONFIG | {"lr": lr}, SPACE, padded=["width"]) for lr in (0.1, 0.2)
    )
    both = jax.tree.map(lambda *leaf: np.stack(leaf), one, other)
    np.testing.assert_allclose(both["lr"], [0.1, 0.2])
    assert jax.tree.structure(one) == jax.tree.structure(other)
    wide = Hyperparameters.of(CONFIG | {"width": 90}, SPACE, padded=["width"])
    assert jax.tree.structure(one) != jax.tree.structure(wide)
    assert wide.ceiling["width"] == 100  # never above the space's high


def test_what_a_program_reads_is_noted():
    structure = Schema.of(SPACE, static=["act", "size"], padded=["width"]).structures([CONFIG])[0]
    recording = structure.recording()
    hp = Hyperparameters({}, {}, 0, recording)
    assert hp["act"] == "tanh" and hp.ceiling["width"] == 32
    others = Schema.of(SPACE, static=["act", "size"], padded=["width"]).structures(
        [CONFIG | {"size": "small"}, CONFIG | {"act": "relu"}, CONFIG | {"width": 40}]
    )
    assert [other.matches(recording.reads) for other in others] == [True, False, False]
    assert recording != structure and structure == others[0].__class__(
        structure.static, structure.ceiling, structure.choices
    )


@pytest.mark.parametrize(
    ("static", "padded", "message"),
    [
        (["lr"], [], "lr: a Float cannot be static"),
        (["nope"], [], "static='nope': no such parameter"),
        ([], ["act"], "act: only an Int or an Ordinal of integers"),
        (["width"], ["width"], "both static and padded"),
    ],
)
def test_tasks_that_do_not_fit_the_space_say_so(static, padded, message):
    with pytest.raises(TaskError, match=message):
        Hyperparameters.of(CONFIG, SPACE, static=static, padded=padded)


def test_large_integers_are_refused_unless_static():
    space = bojax.Space({"n": bojax.Int(1, 2**40)})
    with pytest.raises(TaskError, match="n: traced integers are int32"):
        Hyperparameters.of({"n": 5}, space)
    assert Hyperparameters.of({"n": 2**39}, space, static=["n"])["n"] == 2**39


@given(
    st.lists(st.tuples(*[st.integers(0, 3)] * 2, st.integers(8, 9)), min_size=1, max_size=60),
    st.integers(1, 5), st.integers(1, 3), st.integers(1, 4),
)  # fmt: skip
def test_layouts_hold_every_job_once_in_chunks_of_one_span(spans, chunk, chunks, devices):
    spans = np.array([(start, start + more, limit) for start, more, limit in spans])
    layouts = pack(spans, chunk=chunk, chunks=chunks, devices=devices)
    placed = np.concatenate([layout.jobs[layout.jobs >= 0] for layout in layouts])
    assert sorted(placed.tolist()) == list(range(len(spans)))
    for layout in layouts:
        assert layout.jobs.shape == (devices * chunks, chunk)
        used = (layout.jobs >= 0).any(1).reshape(devices, chunks)
        np.testing.assert_array_equal(used.sum(1), layout.active)
        for count, row in zip(layout.active, used, strict=True):
            assert row[:count].all()  # active chunks come first
        assert layout.active.max() - layout.active.min() <= 1  # devices share the work
        for jobs, filled, planned in zip(layout.jobs, layout.filled, layout.spans, strict=True):
            mine = jobs[jobs >= 0]
            assert (spans[mine] == planned).all()
            assert (filled >= 0).all() and (not len(mine) or np.isin(filled, mine).all())


def test_a_plan_counts_buckets_and_prints_them():
    task = bojax.Task(*[lambda *a: None] * 4, static=["act"], padded=["width"], batch_size="depth")
    configs = {i: CONFIG | {"width": w, "depth": d} for i, (w, d) in enumerate(
        [(20, 1), (30, 1), (31, 2), (60, 1)])}  # fmt: skip
    plan = Plan.of(task, SPACE, configs, devices=2, chunk=4, slots=10)
    assert [bucket.trials for bucket in plan.buckets] == [(0, 1), (2,), (3,)]
    assert plan.slots == 16 and plan.memory(plan.buckets[0]) is None
    text = plan.describe()
    assert "3 bucket(s)" in text and "act=tanh, depth=1, width<=32" in text.replace(
        "depth=1, act=tanh", "act=tanh, depth=1"
    )


def test_the_executors_plan_knows_memory_and_compiles_nothing(small, count_compiles):
    with count_compiles() as programs:
        plan = small.executor().plan(small.configurations(4))
    assert programs == []
    assert 10e6 < plan.memory(plan.buckets[0]) < 12e6


@pytest.mark.parametrize(("value", "power"), [(1, 1), (2, 2), (3, 4), (64, 64), (65, 128)])
def test_powers_of_two(value, power):
    assert power_of_two(value) == power
