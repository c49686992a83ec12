"""Which parameters exist: against `when` read as a person would."""

import itertools

import numpy as np
import pytest
from helpers_space import present, rows_of, spaces
from hypothesis import given, settings
from hypothesis import strategies as st

import bojax
from bojax.space import table as tables

some = settings(max_examples=30)  # making a random space is the dear part


@some
@given(spaces(), st.integers(0, 2**32))
def test_activity_is_what_the_conditions_say(space, seed):
    rows = rows_of(space, seed, 16)
    shown = space.active(rows)
    decoded = space.values_of(rows)
    for i in range(len(rows)):
        values = {name: decoded[c][i] for c, name in enumerate(space.names)}
        for c, (name, verdict) in enumerate(present(space, values).items()):
            assert verdict is None or verdict == shown[i, c], (name, values)


@some
@given(spaces(), st.integers(0, 2**32))
def test_an_inactive_coordinate_is_parked_and_matters_to_nothing(space, seed):
    rows = rows_of(space, seed)
    shown = tables.active(space.table, rows, np)
    assert np.array_equal(rows[~shown], np.broadcast_to(space.table.default, rows.shape)[~shown])
    other = np.random.default_rng(seed + 1).random(rows.shape)
    assert np.array_equal(space.canonical(np.where(shown, rows, other)), rows)


def exists(parent, when, value, **more):
    space = bojax.Space({"p": parent, **more, "child": bojax.Boolean(when=when)})
    return "child" in space.decode(space.encode({"p": value, "child": True}))


@pytest.mark.parametrize(
    ("parent", "wanted", "value", "expected"),
    [
        # integers with a step: only whole grid values, never the half of a neighbour's cell
        (bojax.Int(2, 10, step=2), bojax.Range(3, 7), 2, False),
        (bojax.Int(2, 10, step=2), bojax.Range(3, 7), 4, True),
        (bojax.Int(2, 10, step=2), bojax.Range(3, 7), 6, True),
        (bojax.Int(2, 10, step=2), bojax.Range(3, 7), 8, False),
        (bojax.Int(0, 9), bojax.Range(2.5, 4.5), 2, False),
        (bojax.Int(0, 9), bojax.Range(2.5, 4.5), 3, True),
        (bojax.Int(0, 9), bojax.Range(2.5, 4.5), 5, False),
        (bojax.Int(1, 64, log=True), bojax.Range(1, 1), 1, True),
        (bojax.Int(1, 64, log=True), bojax.Range(1, 1), 2, False),
        (bojax.Int(0, 9), [1, 2, 7], 7, True),
        (bojax.Int(0, 9), [1, 2, 7], 3, False),
        (bojax.Int(-5, 5), 0, 0, True),
        (bojax.Float(0, 1, step=0.1), bojax.Range(0.25, 0.55), 0.2, False),
        (bojax.Float(0, 1, step=0.1), bojax.Range(0.25, 0.55), 0.3, True),
        (bojax.Float(0, 1, step=0.1), bojax.Range(0.2, 0.5), 0.2, True),
        (bojax.Float(0, 1, step=0.1), bojax.Range(0.2, 0.3), 0.3, True),
        (bojax.Float(0, 1, step=0.1), bojax.Range(0.25, 0.55), 0.6, False),
        # a told value on the very bound of a closed interval is inside
        (bojax.Float(0, 1), bojax.Range(0.3, 0.7), 0.3, True),
        (bojax.Float(0, 1), bojax.Range(0.3, 0.7), 0.7, True),
        (bojax.Float(1e-5, 1.0, log=True), bojax.Range(1e-3, 1e-2), 1e-3, True),
        (bojax.Float(1e-5, 1.0, log=True), bojax.Range(1e-3, 1e-2), 1e-2, True),
        (bojax.Float(1e-5, 1.0, log=True), bojax.Range(0.0, 1e-2), 1e-5, True),
        (bojax.Float(0, 1), bojax.Range(-4.0, 0.5), 0.0, True),
        (bojax.Float(0, 1), bojax.Range(0.5, 9.0), 1.0, True),
        # 1, True and 1.0 are three values
        (bojax.Categorical([1, True, 1.0]), True, True, True),
        (bojax.Categorical([1, True, 1.0]), True, 1, False),
        (bojax.Categorical([1, True, 1.0]), [1, 1.0], 1.0, True),
        (bojax.Categorical([[1], [2], [1, 2]]), [1, 2], [1, 2], True),
        (bojax.Categorical([[1], [2], [1, 2]]), [[1], [2]], [2], True),
        (bojax.Ordinal([1, 2, 4]), {2, 4}, 4, True),
        (bojax.Boolean(), False, False, True),
        (bojax.Boolean(), False, True, False),
    ],
)
def test_a_child_exists_for_these_values_of_its_parent(parent, wanted, value, expected):
    assert exists(parent, {"p": wanted}, value) == expected


def test_all_of_a_clause_and_any_of_the_clauses():
    flags = ("a", "b", "c")
    space = bojax.Space(
        {
            **{name: bojax.Boolean() for name in flags},
            "child": bojax.Boolean(when=[{"a": True, "b": True}, {"c": True}]),
        }
    )
    for a, b, c in itertools.product([False, True], repeat=3):
        config = {"a": a, "b": b, "c": c, "child": True}
        assert ("child" in space.decode(space.encode(config))) == ((a and b) or c)


def test_a_child_of_an_inactive_parent_is_inactive_at_any_depth():
    names = [f"p{i}" for i in range(6)]
    parameters = {names[0]: bojax.Boolean()}
    for parent, name in itertools.pairwise(names):
        parameters[name] = bojax.Boolean(when={parent: False})  # False is where they are parked
    space = bojax.Space(parameters)
    for depth in range(6):
        config = {name: i == depth for i, name in enumerate(names[: depth + 1])}
        assert space.decode(space.encode(config)) == config


PARENTS = {
    "f": bojax.Float(0.0, 1.0),
    "n": bojax.Int(2, 10, step=2),
    "c": bojax.Categorical(["x", "y"]),
}


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ({"later": True}, ("child", "'later'", "come before")),
        ({"child": True}, ("child", "'child'", "come before")),
        ({"nobody": 1}, ("child", "'nobody'", "unknown", "f, n, c")),
        ({"c": "z"}, ("child", "c='z'", "no choice", "['x', 'y']")),
        ({"c": ["x", "z"]}, ("child", "c='z'", "no choice")),
        ({"c": []}, ("child", "no value", "'c'")),
        ({"c": bojax.Range(0, 1)}, ("child", "Range", "'c'")),
        ({"n": 11}, ("child", "n in 11..11", "2..10")),
        ({"n": 3}, ("child", "n", "3", "could never exist")),
        ({"n": bojax.Range(4.5, 5.5)}, ("child", "n", "4.5..5.5", "could never exist")),
        ({"n": "4"}, ("child", "n='4'", "integers or a Range")),
        ({"n": True}, ("child", "n=True", "integers or a Range")),
        ({"n": []}, ("child", "no value", "'n'")),
        ({"f": 0.5}, ("child", "0.5", "real parameter 'f'", "Range")),
        ({"f": bojax.Range(2, 3)}, ("child", "f in 2..3", "0.0..1.0")),
        ({}, ("child", "at least one entry", "{}")),
        ([], ("child", "mapping", "[]")),
        ("c", ("child", "mapping", "'c'")),
        ([3], ("child", "alternative", "3")),
    ],
)
def test_a_condition_that_cannot_be_is_refused_by_name(when, words):
    with pytest.raises(bojax.SpaceError) as error:
        bojax.Space({**PARENTS, "child": bojax.Boolean(when=when), "later": bojax.Boolean()})
    assert all(word in str(error.value) for word in words), error.value


def test_more_alternatives_than_there_is_room_for_are_refused():
    with pytest.raises(bojax.SpaceError, match="at most 8 alternatives in one condition"):
        bojax.Space({"n": bojax.Int(0, 99), "x": bojax.Boolean(when={"n": list(range(0, 90, 10))})})
