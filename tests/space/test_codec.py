"""Configurations to rows and back: exact, whatever the space."""

import numpy as np
import pytest
from helpers_space import CHOICES, floats, integers, quantised, rows_of, same, spaces
from hypothesis import example, given, settings
from hypothesis import strategies as st

import bojax
from bojax.space import codec

some = settings(max_examples=30)  # making a random space is the dear part


@some
@given(spaces(), st.integers(0, 2**32))
def test_a_suggested_configuration_survives_the_trip_to_the_bit(space, seed):
    for config in space.sample(8, seed=seed):
        back = space.decode(space.encode(config))
        assert list(back) == list(config)
        assert all(same(back[name], config[name]) for name in config)


@some
@given(spaces(), st.integers(0, 2**32))
def test_a_canonical_row_survives_the_trip_to_the_bit(space, seed):
    rows = rows_of(space, seed)
    assert np.array_equal(space.encode(space.decode(rows)), rows)


@some
@given(spaces(), st.integers(0, 2**32))
def test_canonical_is_idempotent_to_the_bit(space, seed):
    rows = rows_of(space, seed)
    assert np.array_equal(space.canonical(rows), rows)


@some
@given(spaces(), st.integers(0, 2**32))
def test_values_are_plain_python_within_their_bounds(space, seed):
    for config in space.decode(rows_of(space, seed)):
        for name, value in config.items():
            parameter = space.parameters[name]
            if isinstance(parameter, bojax.Int):
                assert type(value) is int and parameter.low <= value <= parameter.high
                assert (value - parameter.low) % parameter.step == 0
            elif isinstance(parameter, bojax.Float):
                assert type(value) is float and parameter.low <= value <= parameter.high
            else:
                assert any(value is choice for choice in parameter.choices)


@given(floats())
@example(bojax.Float(0.1, 0.7))
@example(bojax.Float(1e-300, 1e300, log=True))
@example(bojax.Float(-1e15, 1e-3))
@example(bojax.Float(1e15, 1e15 + 1))
def test_the_ends_of_a_real_parameter_are_its_bounds(parameter):
    space = bojax.Space({"x": parameter})
    for end, bound in ((0.0, parameter.low), (1.0, parameter.high)):
        row = np.array([end, 0, 0, 0])
        assert space.decode(row) == {"x": bound}
        assert space.encode({"x": bound})[0] == end


@given(integers(), st.data())
@example(bojax.Int(1, 2**45, log=True), None)
@example(bojax.Int(-(2**45), 2**45), None)
@example(bojax.Int(2**45 - 1, 2**45, log=True), None)
def test_every_integer_survives(parameter, data):
    space = bojax.Space({"n": parameter})
    last = (parameter.high - parameter.low) // parameter.step
    indices = [0, 1, last // 2, last - 1, last]
    if data is not None:
        indices += data.draw(st.lists(st.integers(0, last), max_size=20))
    for index in indices:
        value = parameter.low + max(index, 0) * parameter.step
        assert space.decode(space.encode({"n": value})) == {"n": value}


@given(quantised())
@example(bojax.Float(0.0, 0.3, step=0.1))
@example(bojax.Float(0.1, 0.7, step=0.2))
@example(bojax.Float(1 / 3, 1.0, step=1 / 3))
@example(bojax.Float(1e6, 1e6 + 1e-5, step=1e-7))
@example(bojax.Float(0.1, 100.0, log=True, step=0.1))
def test_every_value_of_a_grid_survives_and_is_its_own(parameter):
    space = bojax.Space({"x": parameter})
    rows = space.every_row()
    values = [config["x"] for config in space.decode(rows)]
    assert len(set(values)) == len(values) == codec.grid_count(parameter)
    expected = parameter.low + parameter.step * np.arange(len(values))
    np.testing.assert_allclose(values, expected, rtol=1e-14, atol=1e-9 * parameter.step)
    assert np.array_equal(space.encode([{"x": value} for value in values]), rows)


def test_a_grid_shows_round_numbers():
    space = bojax.Space({"x": bojax.Float(0.1, 1.0, step=0.1)})
    values = [config["x"] for config in space.decode(space.every_row())]
    assert values == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]


def test_choices_that_differ_only_in_type_are_told_apart():
    space = bojax.Space({"c": bojax.Categorical(CHOICES), "o": bojax.Ordinal(CHOICES)})
    for choice in CHOICES:
        back = space.decode(space.encode({"c": choice, "o": choice}))
        assert back["c"] is choice and back["o"] is choice


def test_numpy_scalars_are_their_python_values():
    space = bojax.Space({"c": bojax.Categorical([1, True]), "x": bojax.Float(0, 1)})
    row = space.encode({"c": np.int64(1), "x": np.float32(0.5)})
    assert same(space.decode(row), {"c": 1, "x": 0.5})


def test_a_list_of_configurations_is_each_of_them():
    space = bojax.Space({"x": bojax.Float(0, 1), "n": bojax.Int(1, 9)})
    configs = space.sample(5, seed=3)
    assert np.array_equal(space.encode(configs), [space.encode(config) for config in configs])
    assert space.decode(space.encode(configs)) == configs


def test_inactive_values_change_nothing():
    space = bojax.Space(
        {"c": bojax.Categorical(["a", "b"]), "x": bojax.Float(0, 1, when={"c": "a"})}
    )
    assert np.array_equal(space.encode({"c": "b", "x": 0.9}), space.encode({"c": "b"}))


SPACE = bojax.Space(
    {
        "lr": bojax.Float(1e-5, 1e-1, log=True),
        "n": bojax.Int(2, 10, step=2),
        "c": bojax.Categorical(["a", 1]),
        "m": bojax.Float(0.0, 1.0, when={"c": "a"}),
    }
)
GOOD = {"lr": 1e-3, "n": 4, "c": "a", "m": 0.5}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lr": 1.0}, ("lr", "1.0", "outside", "1e-05..0.1")),
        ({"lr": float("nan")}, ("lr", "nan", "outside")),
        ({"lr": "big"}, ("lr", "'big'", "number")),
        ({"lr": True}, ("lr", "True", "number")),
        ({"n": 12}, ("n", "12", "outside")),
        ({"n": 5}, ("n", "5", "grid")),
        ({"n": 4.5}, ("n", "4.5", "grid")),
        ({"c": True}, ("c", "True", "'a', 1")),
        ({"c": 1.0}, ("c", "1.0", "'a', 1")),
        ({"extra": 0}, ("extra", "not a parameter", "lr, n, c, m")),
    ],
)
def test_a_bad_value_is_refused_by_name(change, words):
    with pytest.raises(bojax.ConfigError) as error:
        SPACE.encode([GOOD, {**GOOD, **change}])
    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize("name", ["lr", "n", "c", "m"])
def test_a_missing_active_parameter_is_named(name):
    with pytest.raises(bojax.ConfigError, match=f"^{name}: missing"):
        SPACE.encode({key: value for key, value in GOOD.items() if key != name})


def test_a_missing_inactive_parameter_is_fine():
    config = {"lr": 1e-3, "n": 4, "c": 1}
    assert list(SPACE.decode(SPACE.encode(config))) == ["lr", "n", "c"]


def test_a_fidelity_left_out_is_the_largest():
    for budget in (bojax.Float(1.0, 81.0, log=True), bojax.Int(1, 81), bojax.Int(1, 81, log=True)):
        space = bojax.Space({"x": bojax.Float(0, 1), "epochs": budget}, fidelity="epochs")
        row = space.encode({"x": 0.5})
        assert space.fidelity_value(row).tolist() == [81.0]
        assert space.decode(row) == {"x": 0.5}
        assert space.fidelity_value(space.encode({"x": 0.5, "epochs": 3})) == pytest.approx(3)
