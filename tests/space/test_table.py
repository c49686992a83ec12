"""A space as data: the same on the host and on the device, and every configuration listed once."""

import itertools
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers_space import present
from scipy import stats

import bojax
from bojax.space import table as tables

# Spaces of one size class: the device functions are compiled once for all of them.
CLASS = {
    "mixed": {
        "x": bojax.Float(1e-6, 1e3, log=True),
        "n": bojax.Int(1, 2**45, log=True),
        "c": bojax.Categorical(["a", "b", "d"]),
        "q": bojax.Float(0.0, 0.9, step=0.1, when={"c": ["a", "b"]}),
        "o": bojax.Ordinal([1, 2, 4], when={"q": bojax.Range(0.2, 0.5)}),
    },
    "flat": {
        "x": bojax.Float(-3.0, 5.0),
        "n": bojax.Int(-7, 900, step=7),
        "m": bojax.Int(0, 2**40),
        "b": bojax.Boolean(),
        "l": bojax.Float(2.0, 64.0, log=True, step=2.0),
        "c": bojax.Categorical(range(8)),
    },
    "chain": {
        "a": bojax.Boolean(),
        "b": bojax.Int(1, 9, when={"a": True}),
        "c": bojax.Categorical([0, 1], when={"b": bojax.Range(2, 5)}),
        "d": bojax.Float(0.0, 1.0, when={"c": 1}),
        "e": bojax.Float(0.0, 1.0, when={"d": bojax.Range(0.5, 1.0)}),
    },
}
SPACES = {name: bojax.Space(parameters) for name, parameters in CLASS.items()}


def shapes(space):
    return [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(space.table)]


def test_spaces_of_one_size_class_have_tables_of_one_shape():
    one, *others = (shapes(space) for space in SPACES.values())
    assert all(other == one for other in others)


def test_another_size_class_has_another_shape():
    wider = bojax.Space({f"x{i}": bojax.Float(0, 1) for i in range(7)})
    assert shapes(wider) != shapes(SPACES["mixed"])
    assert wider.table.columns == 8


@pytest.fixture(scope="module")
def on_device():
    """The table functions, compiled once in float64; NumPy in, NumPy out."""

    @jax.jit
    def everything(table, rows, steps, given):
        return {
            "snap": tables.snap(table, rows),
            "canonical": tables.canonical(table, rows),
            "active": tables.active(table, rows),
            "choice_code": tables.choice_code(table, rows),
            "unit_to_row": tables.unit_to_row(table, rows),
            "move": tables.move(table, rows, steps),
            "with_given": tables.with_given(table, rows, given),
            "features": tables.features(table, rows).coordinate,
            "shown": tables.features(table, rows).active,
            "cells": tables.cells(table),
        }

    def run(*arguments):
        with jax.enable_x64(True):
            return jax.tree.map(np.asarray, everything(*arguments))

    return run


@pytest.mark.parametrize("name", SPACES)
def test_host_and_device_agree(name, on_device):
    space = SPACES[name]
    rng = np.random.default_rng(0)
    rows = tables.from_unit(space.table, rng.random((200, space.table.columns)), np)
    steps = np.where(rng.random(rows.shape) < 0.5, 1.0, -1.0)
    given = np.where(rng.random(rows.shape) < 0.3, rows[::-1], np.nan)
    device = on_device(space.table, rows, steps, given)
    table = space.table
    host = {
        "snap": tables.snap(table, rows, np),
        "canonical": tables.canonical(table, rows, np),
        "active": tables.active(table, rows, np),
        "choice_code": tables.choice_code(table, rows, np),
        "unit_to_row": tables.unit_to_row(table, rows, np),
        "move": tables.move(table, rows, steps, np),
        "with_given": tables.with_given(table, rows, given, np),
        "features": tables.features(table, rows, np).coordinate,
        "shown": tables.features(table, rows, np).active,
        "cells": tables.cells(table, np),
    }
    assert device.keys() == host.keys()
    for key in host:
        np.testing.assert_allclose(device[key], host[key], rtol=0, atol=1e-13, err_msg=key)
    # What the device calls canonical is the same configuration on the host.
    rows = space.canonical(device["canonical"])
    assert space.decode(rows) == space.decode(host["canonical"])


def test_moves_are_whole_cells():
    space = SPACES["flat"]
    at = space.encode({"x": 0.0, "n": 0, "m": 5, "b": True, "l": 6.0, "c": 7})
    up = space.decode(tables.move(space.table, at, np.ones(6), np))
    assert up == {"x": 0.0, "n": 7, "m": 6, "b": False, "l": 8.0, "c": 0}
    down = space.decode(tables.move(space.table, at, -np.ones(6), np))
    assert down == {"x": 0.0, "n": -7, "m": 4, "b": False, "l": 4.0, "c": 6}


def test_moves_stop_at_the_ends():
    space = SPACES["flat"]
    top = space.encode({"x": 0.0, "n": 896, "m": 2**40, "b": True, "l": 64.0, "c": 3})
    up = space.decode(tables.move(space.table, top, np.ones(6), np))
    assert (up["n"], up["m"], up["l"], up["c"]) == (896, 2**40, 64.0, 4)


UNIFORM = bojax.Space(
    {
        "x": bojax.Float(1e-3, 1e3, log=True),
        "n": bojax.Int(1, 5),
        "o": bojax.Ordinal(["a", "b", "c", "d"]),
        "c": bojax.Categorical([1, True, 1.0]),
        "q": bojax.Float(0.0, 1.0, step=0.25),
    }
)


def test_sampling_is_uniform():
    """Every value of a discrete parameter alike, a real one in the scale searched in."""
    sampled = UNIFORM.sample(4000, seed=5)
    assert stats.kstest(np.log([c["x"] for c in sampled]), stats.uniform(
        np.log(1e-3), np.log(1e6)).cdf).pvalue > 1e-3  # fmt: skip
    for name, choices in (("n", 5), ("o", 4), ("c", 3), ("q", 5)):
        counts = Counter(repr(config[name]) for config in sampled)
        assert len(counts) == choices
        assert stats.chisquare(list(counts.values())).pvalue > 1e-3, name


def test_samples_depend_on_the_seed_alone():
    assert UNIFORM.sample(3, seed=1) == UNIFORM.sample(3, seed=1)
    assert UNIFORM.sample(3, seed=1) != UNIFORM.sample(3, seed=2)
    assert UNIFORM.sample(3, seed=1) == UNIFORM.sample(9, seed=1)[:3]


FINITE = bojax.Space(
    {
        "c": bojax.Categorical(["a", "b", "d"]),
        "n": bojax.Int(1, 16, log=True, step=5, when={"c": ["a", "b"]}),
        "b": bojax.Boolean(),
        "o": bojax.Ordinal([1, True, 1.0], when=[{"n": bojax.Range(2, 12), "b": True}, {"c": "d"}]),
        "q": bojax.Float(0.0, 0.2, step=0.1, when={"o": 1.0}),
    }
)


def configurations(space, values):
    """Every configuration, from all combinations of values and a plain reading of `when`."""
    found = set()
    for combination in itertools.product(*values.values()):
        config = dict(zip(values, combination, strict=True))
        shown = present(space, config)
        found.add(repr({name: value for name, value in config.items() if shown[name]}))
    return found


def test_a_finite_space_is_listed_once_and_whole():
    expected = configurations(
        FINITE,
        {
            "c": ["a", "b", "d"],
            "n": [1, 6, 11, 16],
            "b": [False, True],
            "o": [1, True, 1.0],
            "q": [0.0, 0.1, 0.2],
        },
    )
    assert FINITE.size == 3 * 4 * 2 * 3 * 3
    rows = FINITE.every_row()
    listed = [repr(config) for config in FINITE.decode(rows)]
    assert len(listed) == len(set(listed)) and set(listed) == expected
    assert np.array_equal(FINITE.canonical(rows), rows)


def test_the_last_column_turns_fastest():
    space = bojax.Space({"n": bojax.Int(1, 3), "b": bojax.Boolean()})
    rows = tables.enumerate_rows(space.table, np.arange(6), np)
    expected = [{"n": n, "b": b} for n, b in itertools.product([1, 2, 3], [False, True])]
    assert space.decode(rows) == expected


def test_the_device_lists_the_same_rows():
    with jax.enable_x64(True):
        index = jnp.arange(int(FINITE.size))
        device = np.asarray(jax.jit(tables.enumerate_rows)(FINITE.table, index))
    host = tables.enumerate_rows(FINITE.table, np.arange(int(FINITE.size)), np)
    np.testing.assert_allclose(device, host, rtol=0, atol=1e-15)


def test_a_space_with_a_real_parameter_has_no_list():
    assert SPACES["mixed"].size == np.inf
    assert SPACES["mixed"].every_row() is None
    assert FINITE.every_row(limit=10) is None


def test_the_same_configuration_whatever_the_budget():
    space = bojax.Space({"x": bojax.Float(0, 1), "e": bojax.Int(1, 9)}, fidelity="e")
    one = space.encode({"x": 0.5, "e": 1})
    assert bool(tables.same_configuration(space.table, one, space.encode({"x": 0.5, "e": 9})))
    assert not bool(tables.same_configuration(space.table, one, space.encode({"x": 0.51, "e": 1})))


def test_what_is_given_is_kept_and_the_budget_is_the_largest():
    space = bojax.Space(
        {"x": bojax.Float(0, 1), "d": bojax.Categorical(["u", "v"]), "e": bojax.Int(1, 9)},
        fidelity="e",
        context=["d"],
    )
    rows = space.encode([{"x": 0.25, "d": "u", "e": 2}])
    given = np.array([[np.nan, 1.0, np.nan, np.nan]])
    rows = tables.with_given(space.table, rows, given, np)
    assert space.decode(rows) == [{"x": 0.25, "d": "v"}]
    assert space.fidelity_value(rows).tolist() == [9.0]


def test_float32_tables_work_without_x64():
    space = SPACES["chain"]
    table = jax.tree.map(
        lambda x: np.asarray(x, np.float32) if x.dtype == np.float64 else x, space.table
    )
    unit = np.random.default_rng(2).random((64, 6)).astype(np.float32)
    rows = jax.jit(tables.unit_to_row)(table, unit)
    assert rows.dtype == jnp.float32
    shown = np.asarray(jax.jit(tables.active)(table, rows))
    assert np.array_equal(shown, tables.active(space.table, np.asarray(rows, float), np))
