"""Ceilings and chunks by measurement: the cheapest set, found and remembered."""

import itertools

import numpy as np
import optax
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bojax
from bojax.store import open_store
from bojax.training import measured
from bojax.training.measured import choose_ceilings
from bojax.training.models import MLP


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=12),
    st.floats(0.0, 50.0),
    st.floats(0.5, 2.0),
)
def test_the_ceilings_are_the_cheapest_of_all_subsets(values, program, power):
    candidates = (4, 8, 16, 32, 60)

    def total(ceilings):
        above = [min(c for c in ceilings if c >= value) for value in values]
        return sum(c**power for c in above) / len(values) * 7.0 + program * len(ceilings)

    chosen, tried = choose_ceilings(
        np.array(values), candidates, lambda c: c**power, steps=7.0, program=program
    )
    subsets = [
        (*rest, 60)
        for size in range(len(candidates))
        for rest in itertools.combinations(candidates[:-1], size)
    ]
    assert total(chosen) == pytest.approx(min(map(total, subsets)), rel=1e-9)
    for ceilings, seconds in tried.items():
        assert seconds == pytest.approx(total(ceilings), rel=1e-9)


def build(hp):
    return MLP(3, hp["width"], 1, max_width=hp.ceiling["width"])


def optimizer(hp):
    return optax.sgd(hp["lr"])


def make_sweep(**settings):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 4))
    task = bojax.Task.linen(build, optimizer=optimizer, padded=["width"], batch_size=32)
    space = {"lr": bojax.Float(1e-3, 1.0, log=True), "width": bojax.Int(4, 64, log=True)}
    data = bojax.ArrayData(x, np.argmax(x[:, :3], axis=1))
    options = {"strategy": "random", "max_budget": 3, "bracket": 9}
    return bojax.Sweep(task, space, data=data, **(options | settings))


def test_a_measured_sweep_says_what_it_timed_and_a_store_remembers_it(tmp_path, monkeypatch):
    monkeypatch.setitem(measured.CHUNKS, "cpu", (1, 2))
    plain = make_sweep(store=tmp_path / "a.db")
    sweep = plain.measured(9)
    assert plain.measurements is None and plain.chunk is None
    assert [t.what for t in sweep.measurements.timings] == ["chunk 1", "chunk 2", "width 4"]
    assert all(t.step > 0 and t.compile > 0 for t in sweep.measurements.timings)
    ceilings = sweep.measurements.padded["width"]
    assert ceilings[-1] == 64 and sweep.chunk in (1, 2)
    assert "chosen: chunk=" in str(sweep.measurements)
    # A choice that no clock would make, so that remembering it is seen.
    sweep._as_measured(1, {"width": [5, 64]})
    with pytest.raises(KeyboardInterrupt):
        sweep.callbacks = [_interrupt]
        sweep.run(9)
    with open_store(tmp_path / "a.db") as opened:
        known = opened.run("main").settings["measured"]
    assert known == {"chunk": 1, "padded": {"width": [5, 64]}}
    resumed = bojax.Sweep.resume(tmp_path / "a.db", plain.task, data=plain.data)
    assert {b.ceiling["width"] for b in resumed.executor.plan(_configs(resumed)).buckets} <= {5, 64}
    assert resumed.executor.chunk == 1
    alone = make_sweep()
    alone._as_measured(1, {"width": [5, 64]})
    assert [t.values for t in alone.run(9).trials] == [t.values for t in resumed.trials]


def _configs(result):
    return {trial.id: trial.config for trial in result.trials}


def _interrupt(event):
    if event.kind == "rung":
        raise KeyboardInterrupt


def test_ceilings_that_are_given_stay(monkeypatch):
    monkeypatch.setitem(measured.CHUNKS, "cpu", (2,))
    sweep = make_sweep()
    sweep._as_measured(2, {"width": [16, 64]})
    assert dict(sweep.measured(9).task.padded) == {"width": (16, 64)}
