"""What makes a space, what it refuses, and JSON."""

import json

import numpy as np
import pytest
from helpers_space import spaces
from hypothesis import given, settings

import bojax


def written(space):
    return bojax.Space.from_json(json.loads(json.dumps(space.to_json(), allow_nan=False)))


@settings(max_examples=30)
@given(spaces())
def test_json_gives_the_space_back_or_says_which_choice_it_cannot_write(space):
    plain = all(
        not isinstance(choice, (tuple, bytes))
        for parameter in space.parameters.values()
        for choice in getattr(parameter, "choices", ())
    )
    if not plain:
        with pytest.raises(bojax.SpaceError, match="cannot be written as JSON"):
            space.to_json()
        return
    back = written(space)
    assert back == space
    for one, other in zip(
        (space.table.low, space.table.high, space.table.clauses.low, space.table.clauses.choices),
        (back.table.low, back.table.high, back.table.clauses.low, back.table.clauses.choices),
        strict=True,
    ):
        assert np.array_equal(one, other)
    assert repr(back.sample(5, seed=1)) == repr(space.sample(5, seed=1))


def test_json_keeps_roles_sets_and_types():
    space = bojax.Space(
        {
            "c": bojax.Categorical([1, True, 1.0, None, "a"]),
            "d": bojax.Categorical(["u", "v"]),
            "x": bojax.Float(0, 1, when={"c": {1, "a"}}),
            "y": bojax.Float(0, 1, when=[{"x": bojax.Range(0.1, 0.2)}, {"d": "u", "c": [True]}]),
            "e": bojax.Int(1, 9, log=True),
        },
        fidelity="e",
        context=("d",),
    )
    back = written(space)
    assert back == space
    assert (back.fidelity, back.context) == ("e", ("d",))
    assert [type(choice) for choice in back.parameters["c"].choices] == [
        int, bool, float, type(None), str,
    ]  # fmt: skip


def test_spaces_that_differ_are_not_equal():
    def space(**changes):
        given = {"high": 2.0, "log": True, "choices": [1, 2], "when": {"c": 1}, "role": ()}
        given |= changes
        return bojax.Space(
            {
                "x": bojax.Float(1.0, given["high"], log=given["log"]),
                "c": bojax.Categorical(given["choices"]),
                "b": bojax.Boolean(when=given["when"]),
                "d": bojax.Boolean(),
            },
            context=given["role"],
        )

    assert space() == space()
    for change in ({"high": 3.0}, {"log": False}, {"choices": [1, 2.0]}, {"when": {"c": 2}},
                   {"when": None}, {"role": ("d",)}):  # fmt: skip
        assert space(**change) != space(), change


@pytest.mark.parametrize("data", [None, [], {}, {"parameters": [{"name": "x"}]},
                                  {"parameters": [{"type": "float"}]}])  # fmt: skip
def test_json_that_is_no_space_is_refused(data):
    with pytest.raises(bojax.SpaceError, match=r"Space\.from_json"):
        bojax.Space.from_json(data)


def test_json_of_a_newer_version_is_refused():
    data = bojax.Space({"x": bojax.Float(0, 1)}).to_json() | {"version": 99}
    with pytest.raises(bojax.SpaceError, match=r"version 99.*upgrade"):
        bojax.Space.from_json(data)


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: bojax.Float(2, 1), ("Float", "low=2", "high=1", "swap")),
        (lambda: bojax.Float(1, 1), ("Float", "1 twice", "constant")),
        (lambda: bojax.Float(0, INF), ("Float", "high", "inf", "finite")),
        (lambda: bojax.Float(NAN, 1), ("Float", "low", "nan", "finite")),
        (lambda: bojax.Float("0", 1), ("Float", "low", "'0'", "finite")),
        (lambda: bojax.Float(None, 1), ("Float", "low", "None")),
        (lambda: bojax.Float(-1e308, 1e308), ("Float", "overflow", "-1e+308")),
        (lambda: bojax.Float(0, 1, log=True), ("Float", "log", "low=0")),
        (lambda: bojax.Float(-1, 1, log=True), ("Float", "log", "low=-1")),
        (lambda: bojax.Float(0, 1, step=0), ("Float", "step=0", "positive")),
        (lambda: bojax.Float(0, 1, step=2), ("Float", "step=2", "at most")),
        (lambda: bojax.Float(0, 1, step=NAN), ("Float", "step=nan")),
        (lambda: bojax.Float(1e6, 1e6 + 1, step=1e-10), ("Float", "step=1e-10", "too fine")),
        (lambda: bojax.Int(5, 2), ("Int", "low=5", "high=2", "swap")),
        (lambda: bojax.Int(2, 2), ("Int", "2 twice")),
        (lambda: bojax.Int(0, 9, log=True), ("Int", "log", "low=0")),
        (lambda: bojax.Int(0.5, 9), ("Int", "low", "0.5", "use Float")),
        (lambda: bojax.Int(0, True), ("Int", "high", "True")),
        (lambda: bojax.Int(0, 2**45 + 1), ("Int", "2**45", str(2**45 + 1))),
        (lambda: bojax.Int(0, 10**400), ("Int", "high", "finite")),
        (lambda: bojax.Int(0, 9, step=0), ("Int", "step=0")),
        (lambda: bojax.Int(0, 9, step=10), ("Int", "step=10")),
        (lambda: bojax.Categorical([]), ("Categorical", "two choices", "[]")),
        (lambda: bojax.Categorical(["a"]), ("Categorical", "two choices", "['a']")),
        (lambda: bojax.Categorical("ab"), ("Categorical", "list", "'ab'")),
        (lambda: bojax.Categorical(3), ("Categorical", "list", "3")),
        (lambda: bojax.Categorical(["a", "b", "a"]), ("Categorical", "'a'", "twice")),
        (lambda: bojax.Categorical([[1], [1]]), ("Categorical", "[1]", "twice")),
        (lambda: bojax.Ordinal([1, 2, 1]), ("Ordinal", "1", "twice")),
        (lambda: bojax.Range(2, 1), ("Range", "low=2", "high=1")),
        (lambda: bojax.Range(0, INF), ("Range", "inf")),
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused(make, words):
    with pytest.raises(bojax.SpaceError) as error:
        make()
    assert all(word in str(error.value) for word in words), error.value


X = bojax.Float(0, 1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: bojax.Space({}), ("at least one parameter",)),
        (lambda: bojax.Space([]), ("at least one parameter",)),
        (lambda: bojax.Space({3: X}), ("names", "3")),
        (lambda: bojax.Space({"": X}), ("names", "''")),
        (lambda: bojax.Space({"x": 3}), ("x", "Float, Int", "3")),
        (lambda: bojax.Space({"x": (0, 1)}), ("x", "Float, Int", "(0, 1)")),
        (lambda: bojax.Space({"x": X}, fidelity="e"), ("'e'", "no parameter", "x")),
        (lambda: bojax.Space({"x": X}, context=["d"]), ("'d'", "no parameter")),
        (lambda: bojax.Space({"x": X}, fidelity="x"), ("nothing to choose",)),
        (
            lambda: bojax.Space({"x": X, "e": X}, fidelity="e", context=["e"]),
            ("e:", "both fidelity and context"),
        ),
        (
            lambda: bojax.Space({"x": X, "e": bojax.Boolean()}, fidelity="e"),
            ("e:", "Float or Int"),
        ),
        (
            lambda: bojax.Space({f"x{i}": X for i in range(129)}),
            ("at most 128 parameters", "129"),
        ),
        (
            lambda: bojax.Space({"c": bojax.Categorical(range(129))}),
            ("at most 128 choices", "129"),
        ),
        (lambda: bojax.Space({"x": X}).with_fidelity("x", 1, 9), ("x:", "share this name")),
    ],
)
def test_a_space_that_makes_no_sense_is_refused(make, words):
    with pytest.raises(bojax.SpaceError) as error:
        make()
    assert all(word in str(error.value) for word in words), error.value


def test_the_largest_space_there_is():
    space = bojax.Space({f"x{i}": bojax.Int(0, i + 1) for i in range(128)})
    assert space.table.columns == 128
    (config,) = space.sample(1)
    assert space.decode(space.encode(config)) == config


def test_columns_are_the_decoded_values():
    space = bojax.Space(
        {
            "x": bojax.Float(0.1, 1, log=True),
            "n": bojax.Int(0, 2**40),
            "c": bojax.Categorical(["xy", "z"]),
        }
    )
    configs = space.sample(7, seed=3)
    columns = space.columns(space.encode(configs))
    assert columns["x"].tolist() == [config["x"] for config in configs]
    assert columns["n"].tolist() == [config["n"] for config in configs]
    assert columns["c"].tolist() == [["xy", "z"].index(config["c"]) for config in configs]


def test_a_budget_column_is_appended():
    space = bojax.Space({"x": X}).with_fidelity("epochs", 1, 81)
    assert space.fidelity == "epochs" and space.names == ("x", "epochs")
    rows = np.array([[0.5, 0.0, 0, 0], [0.5, 0.5, 0, 0], [0.5, 1.0, 0, 0]])
    np.testing.assert_allclose(space.fidelity_value(rows), [1, 9, 81])
