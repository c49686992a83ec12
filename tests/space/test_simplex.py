"""Groups of a fixed sum: uniform, one to one, and nothing else of the space knows."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bojax
from bojax.space import table as tables


def group(n, low=0.0, high=None, total=1.0, **more):
    names = [f"w{i}" for i in range(n)]
    high = total if high is None else high
    parameters = {name: bojax.Float(low, high) for name in names}
    return bojax.Space(
        {"x": bojax.Float(0, 1), **parameters, "c": bojax.Boolean()},
        constraints=[bojax.Simplex(names, total=total)],
        **more,
    )


@settings(max_examples=40)
@given(
    st.integers(2, 9),
    st.sampled_from([0.0, 0.01, -0.5]),
    st.sampled_from([1.0, 100.0, 0.3]),
    st.integers(0, 99),
)
def test_values_sum_to_the_total_and_survive_the_trip(n, low, total, seed):
    space = group(n, low, high=total - (n - 1) * min(low, 0.0), total=total)
    unit = np.random.default_rng(seed).random((20, space.table.columns))
    unit[:4] = np.array([0.0, 1.0, 0.999999, 1e-9])[:, None]
    rows = space.canonical(tables.from_unit(space.table, unit, np))
    assert np.array_equal(space.canonical(rows), rows)
    configs = space.decode(rows)
    for config in configs:
        values = [config[f"w{i}"] for i in range(n)]
        assert abs(sum(values) - total) <= 1e-12 * max(total, n)
        assert min(values) >= low - 1e-15
    assert np.array_equal(space.encode(configs), rows)
    natural = tables.natural(space.table, rows, np)[:, 1 : 1 + n]
    np.testing.assert_array_equal(natural, [[c[f"w{i}"] for i in range(n)] for c in configs])


def test_uniform_numbers_are_uniform_points():
    # A Dirichlet(1, ..., 1): mean 1/n, variance (n - 1) / (n^2 (n + 1)), covariances equal.
    space = group(4)
    values = np.array([[c[f"w{i}"] for i in range(4)] for c in space.sample(20000, seed=1)])
    np.testing.assert_allclose(values.mean(axis=0), 0.25, atol=0.005)
    wanted = np.full((4, 4), -1 / 80) + np.eye(4) * (3 / 80 + 1 / 80)
    np.testing.assert_allclose(np.cov(values.T), wanted, atol=1e-3)
    assert abs(np.mean(values.max(axis=1) > 0.5) - 0.5) < 0.015  # n / 2^(n - 1)


def test_told_values_come_back_and_are_normalised_within_rounding():
    space = group(3)
    told = {"x": 0.5, "w0": 0.2, "w1": 0.3, "w2": 0.5, "c": True}
    back = space.decode(space.encode(told))
    assert all(abs(back[name] - told[name]) < 1e-8 for name in ("w0", "w1", "w2"))
    corner = {"x": 0.5, "w0": 1.0, "w1": 0.0, "w2": 0.0, "c": True}
    assert space.decode(space.encode(corner)) == corner
    thirds = dict.fromkeys(("w0", "w1", "w2"), 0.3333333)
    assert abs(space.decode(space.encode({**told, **thirds}))["w0"] - 1 / 3) < 1e-8


def test_all_that_is_left_nowhere_is_one_row():
    space = group(4)
    rows = np.full((2, 6), 0.5)
    rows[:, 1], rows[:, 2] = 1.0, [0.1, 0.9]
    a, b = space.canonical(np.pad(rows, ((0, 0), (0, 0))))
    assert np.array_equal(a, b)
    with jax.enable_x64(True):
        a, b = jax.jit(tables.canonical)(space.table, rows)
    assert np.array_equal(a, b)


def test_an_upper_bound_is_kept():
    space = group(3, high=0.5)
    values = np.array([[c[f"w{i}"] for i in range(3)] for c in space.sample(500, seed=2)])
    assert values.max() <= 0.5 and values.min() < 0.05
    whole = {"x": 0.5, "w0": 0.5, "w1": 0.1, "w2": 0.4, "c": True}
    assert space.feasible(whole)
    with pytest.raises(bojax.ConfigError, match=r"w0: 0.6 is outside"):
        space.feasible({**whole, "w0": 0.6, "w2": 0.3})
    np.testing.assert_allclose(values.mean(axis=0), 1 / 3, atol=0.02)


def test_slopes_are_finite_everywhere_and_right_inside():
    space = group(3)
    rows = jnp.array([[0.5, u, v, 0.5, 0, 0] for u in (0.0, 0.3, 1.0) for v in (0.0, 0.6, 1.0)])

    def first_squared(row):
        return tables.natural(space.table, row)[1] ** 2

    slopes = jax.jit(jax.vmap(jax.grad(first_squared)))(rows)
    assert np.isfinite(slopes).all()
    # w0 = 1 - sqrt(1 - u), d(w0^2)/du = w0 / sqrt(1 - u)
    np.testing.assert_allclose(slopes[4, 1], (1 - 0.7**0.5) / 0.7**0.5, rtol=1e-5)


def test_the_last_member_is_no_column_of_the_model():
    space = group(3)
    rows = space.feasible_rows(5)
    shown = tables.features(space.table, rows, np).active[0]
    assert shown.tolist() == [1, 1, 1, 0, 1, 1]
    assert space.active(rows).all() and (rows[:, 3] == 0.5).all()


def test_a_linear_constraint_sees_the_values():
    space = bojax.Space(
        {name: bojax.Float(0, 1) for name in "abc"},
        constraints=[
            bojax.Simplex(["a", "b", "c"]),
            bojax.Linear({"c": 1}, at_least=0.6),
            lambda v: v["a"] > v["b"],
        ],
    )
    configs = space.sample(50)
    assert all(c["c"] >= 0.6 and c["a"] > c["b"] for c in configs)


def test_a_group_is_fixed_whole_or_not_at_all():
    space = group(3)
    fixed = {"w0": 0.2, "w1": 0.3, "w2": 0.5}
    config = space.decode(space.feasible_rows(1, given=space.given(fixed)))[0]
    assert all(abs(config[name] - value) < 1e-8 for name, value in fixed.items())
    with pytest.raises(bojax.ConfigError, match=r"w1: missing.*w0, w1, w2"):
        space.given({"w0": 0.2})


def test_json_keeps_the_group():
    space = group(3, high=0.7)
    assert bojax.Space.from_json(json.loads(json.dumps(space.to_json()))) == space
    assert space != group(3)


F = bojax.Float(0, 1)


@pytest.mark.parametrize(
    ("parameters", "names", "more", "words"),
    [
        ({"a": F, "b": F}, "ab", {}, ("Simplex", "list of names")),
        ({"a": F, "b": F}, ["a"], {}, ("at least two",)),
        ({"a": F, "b": F}, ["a", "a"], {}, ("at least two different",)),
        ({"a": F, "b": F}, ["a", "z"], {}, ("'z'", "no parameter")),
        ({"a": F, "b": bojax.Float(0.1, 1, log=True)}, ["a", "b"], {}, ("b: has log=True",)),
        ({"a": F, "b": bojax.Float(0, 1, step=0.1)}, ["a", "b"], {}, ("b: has a step",)),
        ({"a": F, "b": bojax.Int(0, 1)}, ["a", "b"], {}, ("b: is no Float",)),
        ({"a": F, "b": F, "c": F}, ["a", "b"], {"context": ("a",)}, ("a: is fidelity or",)),
        ({"a": bojax.Float(0.6, 1), "b": bojax.Float(0.6, 1)}, ["a", "b"], {}, ("1.2..2", "1")),
        ({"a": bojax.Float(0, 0.4), "b": bojax.Float(0, 0.4)}, ["a", "b"], {}, ("0..0.8",)),
        (
            {"a": F, "b": F, "c": bojax.Boolean(when={"b": bojax.Range(0, 0.5)})},
            ["a", "b"], {}, ("c: when", "'b'", "Simplex"),
        ),
        (
            {"a": F, "b": F}, ["a", "b"], {"forbidden": [{"a": bojax.Range(0, 0.1)}]},
            ("forbidden", "bojax.Linear"),
        ),
    ],
)  # fmt: skip
def test_a_group_that_makes_no_sense_is_refused(parameters, names, more, words):
    with pytest.raises(bojax.SpaceError) as error:
        bojax.Space(parameters, constraints=[bojax.Simplex(names)], **more)
    assert all(word in str(error.value) for word in words), error.value


def test_one_parameter_has_one_group():
    with pytest.raises(bojax.SpaceError, match="a: belongs to two"):
        bojax.Space(
            {"a": F, "b": F, "c": F},
            constraints=[bojax.Simplex(["a", "b"]), bojax.Simplex(["a", "c"])],
        )
    with pytest.raises(bojax.ConfigError, match=r"w0 \+ w1 \+ w2 is 0.9 and must be 1"):
        group(3).encode({"x": 0.5, "w0": 0.2, "w1": 0.3, "w2": 0.4, "c": True})
