"""Records to JSON and back; the history's order, growth and merging."""

import json
import math
from dataclasses import replace
from types import MappingProxyType

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bojax.history import (
    CAPACITIES,
    Decision,
    Job,
    Report,
    Run,
    Status,
    Trial,
    capacity_for,
    empty_history,
    from_json,
    grow,
    merge_equal,
    ordered,
    to_json,
    with_changes,
)

numbers = st.floats()  # NaN and the infinities too
names = st.text(min_size=1, max_size=8)
plain = st.one_of(st.integers(), numbers, st.text(), st.booleans(), st.none())
configs = st.dictionaries(names, st.one_of(plain, st.lists(plain, max_size=3)), max_size=4)
metrics = st.dictionaries(names, numbers, max_size=3)
values = st.none() | st.lists(numbers, min_size=1, max_size=3).map(tuple)
maybe = st.none() | numbers
statuses = st.sampled_from(list(Status))
trials = st.builds(
    Trial,
    id=st.integers(0),
    config=configs,
    row=st.none() | st.lists(st.floats(0, 1), min_size=4, max_size=4).map(np.array),
    status=statuses,
    values=values,
    variance=values,
    constraints=values,
    cost=maybe,
    fidelity=maybe,
    curve=st.lists(st.tuples(numbers, metrics), max_size=3).map(tuple),
    seed=st.none() | st.integers(),
    parent=st.none() | st.integers(0),
    retry_of=st.none() | st.integers(0),
    source=st.text(max_size=5),
    info=configs,
)
runs = st.builds(
    Run,
    id=names,
    space=configs,
    objectives=st.dictionaries(names, st.sampled_from(["minimize", "maximize"])),
    seed=st.integers(),
    versions=st.dictionaries(names, names, max_size=2),
    hardware=configs,
    started=names,
    command=names,
    settings=configs,
)
jobs = st.builds(Job, st.integers(0), numbers, numbers, clone_of=st.none() | st.integers(0))
reports = st.builds(
    Report,
    trial=st.integers(0),
    budget=numbers,
    metrics=metrics,
    status=statuses,
    values=st.lists(numbers, max_size=2).map(tuple),
    variance=values,
    constraints=values,
    seconds=numbers,
    examples=numbers,
)
decisions = st.builds(
    Decision,
    trial=st.integers(0),
    action=st.sampled_from(["continue", "promote", "pause", "stop", "clone"]),
    donors=st.lists(st.integers(0), max_size=3).map(tuple),
)


@settings(max_examples=200)
@given(st.one_of(trials, runs, jobs, reports, decisions))
def test_a_record_survives_json_with_its_types(record):
    back = from_json(type(record), to_json(record))
    assert repr(back) == repr(record)  # repr tells 1 from True from 1.0, and knows NaN


@settings(max_examples=50)
@given(st.one_of(trials, reports), statuses)
def test_changes_are_those_of_replace(record, status):
    changed = with_changes(record, status=status, values=(0.5,))
    assert repr(changed) == repr(replace(record, status=status, values=(0.5,)))
    assert to_json(changed) == to_json(replace(record, status=status, values=(0.5,)))
    with pytest.raises(AssertionError, match="has no"):
        with_changes(record, stauts=status)


def test_what_json_has_no_word_for_within_a_field():
    nan, row = math.nan, np.array([0.5, math.inf])
    trial = Trial(1, {"a": [nan, 2]}, row, curve=((1.0, {"loss": -math.inf}),), info={3: nan})
    body = json.loads(to_json(trial))
    assert body["config"] == {"a": [{"float": "NaN"}, 2]} and body["info"] == {
        "3": {"float": "NaN"}
    }
    assert body["row"] == [0.5, {"float": "Infinity"}]
    assert body["curve"] == [[1.0, {"loss": {"float": "-Infinity"}}]]
    mapping = MappingProxyType({"a": MappingProxyType({"b": np.float32(0.5)})})
    assert json.loads(to_json(Trial(1, mapping)))["config"] == {"a": {"b": 0.5}}


def test_numpy_scalars_and_arrays_are_written_plainly():
    trial = Trial(np.int64(3), {"x": np.float32(0.5), "n": np.int32(2)}, values=(np.float64(1),))
    back = from_json(Trial, to_json(trial))
    assert (back.id, back.config, back.values) == (3, {"x": 0.5, "n": 2}, (1.0,))
    assert type(back.config["n"]) is int


def test_a_newer_schema_is_refused():
    with pytest.raises(ValueError, match=r"Job: written with schema 99.*upgrade"):
        from_json(Job, '{"schema": 99, "trial": 1, "start": 0, "stop": 1}')


def filled(rng, lines=30, capacity=64):
    history = empty_history(capacity, 4, objectives=2, constraints=1)
    for name, leaf in zip(history._fields, history, strict=True):
        leaf[:lines] = (
            rng.integers(1, 7, leaf[:lines].shape)
            if leaf.dtype.kind == "i"
            else rng.random(leaf[:lines].shape)
        )
        if name == "rows":
            leaf[:lines] = rng.integers(0, 3, leaf[:lines].shape) / 2
    return history


def test_order_of_arrival_does_not_matter_and_empty_lines_come_last():
    rng = np.random.default_rng(0)
    history = filled(rng)
    history.rows[:30] = np.linspace(0, 1, 30)[rng.permutation(30), None]  # no two lines alike
    one = ordered(history)
    shuffle = rng.permutation(64)
    other = ordered(type(history)(*(leaf[shuffle] for leaf in history)))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (one.status[:30] != 0).all() and (one.status[30:] == 0).all()
    keys = list(zip(one.trial[:30], map(tuple, one.rows[:30]), strict=True))
    assert keys == sorted(keys)


def test_ordered_moves_whole_lines():
    history = filled(np.random.default_rng(1))
    result = ordered(history)

    def lines(h):
        return sorted(repr([leaf[i].tolist() for leaf in h]) for i in range(64))

    assert lines(result) == lines(history)


def test_grow_keeps_every_line_and_refuses_to_shrink():
    history = filled(np.random.default_rng(2), lines=64)
    larger = grow(history, 128)
    blank = empty_history(64, 4, 2, 1)
    for new, old, empty in zip(larger, history, blank, strict=True):
        np.testing.assert_array_equal(new[:64], old)
        np.testing.assert_array_equal(new[64:], empty)
        assert new.dtype == old.dtype
    with pytest.raises(ValueError, match=r"32 is below the present 64"):
        grow(history, 32)


@pytest.mark.parametrize("lines", [1, 64, 65, 128, 129, 1024, 8192, 8193, 20000])
def test_capacity_is_the_least_that_holds(lines):
    capacity = capacity_for(lines)
    assert capacity >= lines
    smaller = [c for c in CAPACITIES if c < capacity]
    assert not smaller or max(smaller) < lines or capacity > CAPACITIES[-1]
    assert capacity in CAPACITIES or capacity - lines < CAPACITIES[-1]


N = 12
merge = jax.jit(merge_equal)


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_merging_is_grouping_by_rows(seed):
    """Weighted mean, variance of it and count of every group, against a loop."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 2, (N, 2)) / 4
    values, variance = rng.normal(size=N), rng.random(N) * rng.integers(0, 2)
    count, mask = rng.integers(1, 5, N).astype(float), rng.random(N) < 0.7
    values[~mask] = np.nan
    with jax.enable_x64(True):
        merged = [np.asarray(x) for x in merge(rows, values, variance, count, mask)]
    seen = set()
    for i in range(N):
        group = [j for j in range(N) if mask[j] and (rows[j] == rows[i]).all()]
        leads = mask[i] and group[0] == i
        assert merged[3][i] == leads
        if leads:
            seen |= set(group)
            weight = count[group]
            np.testing.assert_allclose(merged[0][i], np.average(values[group], weights=weight))
            of_mean = (weight**2 * variance[group]).sum() / weight.sum() ** 2
            np.testing.assert_allclose(merged[1][i], of_mean, rtol=1e-12)
            assert merged[2][i] == weight.sum()
            pure = (variance[group] == 0).all() and len(group) > 1
            scatter = (weight * (values[group] - merged[0][i]) ** 2).sum()
            log_weight = 0.5 * (np.log(weight.sum()) - np.log(weight).sum())
            within = [len(group) - 1, scatter, log_weight] if pure else [0, 0, 0]
            np.testing.assert_allclose([x[i] for x in merged[4:]], within, rtol=1e-12, atol=1e-12)
        else:
            assert [x[i] for x in merged[:3]] == [0.0, 0.0, 1.0]
    assert seen == set(np.flatnonzero(mask))
