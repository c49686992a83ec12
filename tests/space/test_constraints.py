"""Constraints: what they mean, on the host and traced, and rows drawn under them."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers_space import parameter, spaces
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import bojax
from bojax.space import table as tables

UNIT = {name: bojax.Float(0, 1) for name in "abcdef"}


def ball(values):
    return sum((values[n] - 0.5) ** 2 for n in "abcdef") - 0.16


def not_near_zero(values):
    return values["a"] > 0.1


def mixed_space(**more):
    return bojax.Space(
        {
            "opt": bojax.Categorical(["sgd", "adam"]),
            "lr": bojax.Float(1e-4, 1.0, log=True),
            "momentum": bojax.Float(0.0, 0.99, when={"opt": "sgd"}),
            "layers": bojax.Int(1, 8),
            "width": bojax.Ordinal([16, 32, 64]),
            "bias": bojax.Boolean(),
        },
        **more,
    )


@st.composite
def constrained(draw):
    """A random space with a random linear constraint and a forbidden combination."""
    base = draw(spaces(most=5, parameter=parameter))
    numeric = [n for n, p in base.parameters.items() if isinstance(p, (bojax.Float, bojax.Int))]
    rules, forbidden = [], []
    if numeric:
        # Half a sum of unit terms: about half of the box.
        ends = {n: (base.parameters[n].low, base.parameters[n].high) for n in numeric}
        weights = {n: 1.0 / max(map(abs, ends[n])) for n in numeric}
        half = sum(weights[n] * sum(ends[n]) / 2 for n in numeric)
        rules.append(bojax.Linear(weights, at_most=half))
    listed = [n for n, p in base.parameters.items() if hasattr(p, "choices")]
    if listed:
        name = draw(st.sampled_from(listed))
        forbidden.append({name: [base.parameters[name].choices[0]]})
    assume(rules or forbidden)
    try:
        return bojax.Space(base.parameters, constraints=rules, forbidden=forbidden)
    except bojax.InfeasibleError:
        assume(False)


@settings(max_examples=25)
@given(constrained(), st.integers(0, 99))
def test_sampled_rows_are_feasible_canonical_and_survive_the_trip(space, seed):
    rows = space.feasible_rows(9, seed)
    assert np.array_equal(space.canonical(rows), rows)
    configs = space.decode(rows)
    assert space.feasible(configs).all()
    assert np.array_equal(space.encode(configs), rows)
    for config in configs:
        assert space.violated(config) == []
        for combination in space.forbidden:
            assert not all(
                name in config and repr(config[name]) in map(repr, wanted)
                for name, wanted in combination.items()
            )
        for rule in space.constraints:
            total = sum(w * config[n] for n, w in rule.weights.items() if n in config)
            scale = sum(abs(w) for w in rule.weights.values())
            assert total <= rule.at_most + 1e-9 * max(1.0, scale)


def test_what_a_person_would_say_is_feasible():
    space = mixed_space(
        constraints=[
            bojax.Linear({"layers": 1, "width": 0.125}, at_most=8.0),
            bojax.Linear({"lr": 1.0, "momentum": 1.0}, at_least=0.2),
            bojax.Linear({"layers": 1, "bias": 2}, at_least=3.0),
        ],
        forbidden=[
            {"opt": "sgd", "lr": bojax.Range(0.1, 1.0)},
            {"layers": [2, 4]},
            {"momentum": bojax.Range(0.0, 0.5), "bias": True},
        ],
    )
    configs = space.sample(100, seed=1) + mixed_space().sample(400, seed=2)

    def plain(c):
        return (
            c["layers"] + c["width"] / 8 <= 8
            and c["lr"] + c.get("momentum", 0.0) >= 0.2
            and c["layers"] + 2 * c["bias"] >= 3
            and not (c["opt"] == "sgd" and c["lr"] >= 0.1)
            and c["layers"] not in (2, 4)
            and not (c.get("momentum", 1.0) <= 0.5 and c["bias"])
        )

    wanted = [plain(c) for c in configs]
    assert space.feasible(configs).tolist() == wanted
    assert all(wanted[:100]) and 0 < sum(wanted[100:]) < 100


def test_the_host_and_a_program_agree():
    space = mixed_space(
        constraints=[
            bojax.Linear({"lr": 1, "layers": 0.1}, at_most=0.6),
            lambda v: (v["layers"] - 3) ** 2 + v["width"] / 64 - 3,
        ],
        forbidden=[{"opt": "sgd", "bias": True}],
    )
    unit = np.random.default_rng(0).random((512, space.table.columns))
    rows = space.canonical(tables.from_unit(space.table, unit, np))
    host = tables.feasible(space.table, rows, np)
    assert 0.02 < host.mean() < 0.9
    with jax.enable_x64(True):
        traced = jax.jit(tables.feasible)(space.table, rows)
        amounts = jax.jit(tables.excess)(space.table, rows)
    assert np.array_equal(traced, host)
    np.testing.assert_allclose(amounts, tables.excess(space.table, rows, np), atol=1e-12)


def test_numbers_that_share_a_class_share_a_program(count_compiles):
    def space(weight, name, choice):
        return bojax.Space(
            {name: bojax.Float(0, 1), "c": bojax.Categorical(["u", "v"])},
            constraints=[bojax.Linear({name: weight}, at_most=0.5)],
            forbidden=[{"c": choice}],
        )

    program = jax.jit(tables.feasible)
    rows = np.zeros((3, 4))
    program(space(1.0, "x", "u").table, rows)
    with count_compiles() as programs:
        program(space(2.0, "y", "v").table, rows)
    assert programs == []


def test_a_plain_space_holds_nothing_of_it():
    table = bojax.Space({"x": bojax.Float(0, 1), "c": bojax.Boolean()}).table
    assert (table.rules, table.sticks, table.prior, table.pool) == (None,) * 4
    traced = jax.make_jaxpr(tables.feasible)(table, np.zeros((3, 4), np.float32))
    assert len(traced.eqns) <= 1


def test_a_boundary_of_integers_belongs_and_one_of_reals_is_kept_by_a_hair():
    space = bojax.Space(
        {"n": bojax.Int(0, 9), "m": bojax.Int(0, 9), "x": bojax.Float(0, 1)},
        constraints=[
            bojax.Linear({"n": 0.1, "m": 0.1}, at_most=0.3),
            bojax.Linear({"x": 1}, at_most=0.7),
        ],
    )
    # 0.1 + 0.2 > 0.3 in floats; nobody means that.
    assert space.feasible({"n": 1, "m": 2, "x": 0.7}) and not space.feasible(
        {"n": 2, "m": 2, "x": 0.7}
    )
    configs = space.decode(space.feasible_rows(400, 3))
    assert {(c["n"], c["m"]) for c in configs} >= {(1, 2), (0, 3), (3, 0)}
    inside = tables.feasible(space.table, space.encode({"n": 0, "m": 0, "x": 0.7}), np, inside=True)
    assert not inside


def test_draws_are_uniform_over_the_feasible_part():
    # A triangle's corner, found by rejection and by walking: the mean is a third.
    for top, within in ((0.5, 0.01), (1e-3, 0.05)):
        space = bojax.Space(
            {n: UNIT[n] for n in "ab"}, constraints=[bojax.Linear({"a": 1, "b": 1}, at_most=top)]
        )
        rows = space.feasible_rows(3000, 5)[:, :2] / top
        np.testing.assert_allclose(rows.mean(axis=0), 1 / 3, atol=within)
        np.testing.assert_allclose(np.mean(rows[:, 0] * rows[:, 1]), 1 / 12, atol=within)


def test_a_millionth_is_found_without_sums_too():
    # Five columns below 0.063 each: 1e-6 of the cube.
    limit = 1e-6 ** (1 / 5)
    forbidden = [{n: bojax.Range(limit, 1)} for n in "abcde"]
    space = bojax.Space({n: UNIT[n] for n in "abcde"}, forbidden=forbidden)
    assert space.feasible_rows(20)[:, :5].max() <= limit

    def in_a_ball(v):  # volume 5.26 r^5
        return sum((v[n] - 0.2) ** 2 for n in "abcde") - 0.045**2

    space = bojax.Space({n: UNIT[n] for n in "abcde"}, constraints=[in_a_ball])
    assert (np.linalg.norm(space.feasible_rows(20)[:, :5] - 0.2, axis=1) <= 0.045).all()


def test_a_function_may_say_yes_or_give_an_amount():
    space = bojax.Space(UNIT, constraints=[ball, not_near_zero])
    rows = space.feasible_rows(50)
    inside = np.linalg.norm(rows[:, :6] - 0.5, axis=1) <= 0.4
    assert inside.all() and (rows[:, 0] > 0.1).all()
    assert space.violated(dict.fromkeys("abcdef", 0.05)) == ["ball", "not_near_zero"]


def test_what_is_given_is_kept_and_may_be_impossible():
    space = mixed_space(constraints=[bojax.Linear({"layers": 1, "lr": 1}, at_most=3.0)])
    row = space.given({"opt": "sgd", "layers": 2})
    configs = space.decode(space.feasible_rows(20, given=row))
    assert {(c["opt"], c["layers"]) for c in configs} == {("sgd", 2)}
    assert space.feasible(configs).all()
    with pytest.raises(bojax.InfeasibleError, match="layers"):
        space.given({"layers": 5})
    with pytest.raises(bojax.ConfigError, match="depth: not a parameter"):
        space.given({"depth": 5})
    with pytest.raises(bojax.ConfigError, match="layers"):
        space.given({"layers": 50})


def test_a_finite_space_lists_what_is_allowed():
    space = bojax.Space(
        {"n": bojax.Int(0, 99), "m": bojax.Int(0, 99), "k": bojax.Int(0, 9)},
        constraints=[lambda v: (v["n"] == 17) & (v["m"] == 71) & (v["k"] == 3)],
    )
    assert space.decode(space.every_row()) == [{"n": 17, "m": 71, "k": 3}]
    assert space.sample(2) == [{"n": 17, "m": 71, "k": 3}] * 2


def test_json_keeps_constraints_and_asks_for_functions():
    space = mixed_space(
        constraints=[
            bojax.Linear({"lr": 1, "layers": 0.5}, at_most=3.0, at_least=0.4),
            only_small,
        ],
        forbidden=[{"opt": "sgd", "lr": bojax.Range(0.1, 1.0)}, {"layers": [2, 3]}],
    )
    data = json.loads(json.dumps(space.to_json()))
    assert data["version"] == 2
    with pytest.raises(bojax.SpaceError, match=r"'only_small' is code.*functions="):
        bojax.Space.from_json(data)
    back = bojax.Space.from_json(data, functions={"only_small": only_small})
    assert back == space and back != mixed_space()
    assert back.sample(5, seed=3) == space.sample(5, seed=3)
    assert np.array_equal(back.table.rules.anchors, space.table.rules.anchors)
    assert mixed_space().to_json()["version"] == 1


def only_small(values):
    return values["width"] <= 32


X = {"x": bojax.Float(0, 1), "y": bojax.Float(0, 1), "c": bojax.Categorical(["u", "v"])}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: bojax.Linear({}, at_most=1), ("Linear", "at least one")),
        (lambda: bojax.Linear({"x": 0}, at_most=1), ("factor of x", "not 0")),
        (lambda: bojax.Linear({"x": float("nan")}, at_most=1), ("factor of x", "nan")),
        (lambda: bojax.Linear({"x": 1}), ("at_most=, at_least=",)),
        (lambda: bojax.Linear({"x": 1}, at_most="1"), ("at_most", "'1'")),
        (lambda: bojax.Linear({"x": 1}, at_most=1, at_least=1), ("below", "Simplex")),
        (lambda: bojax.Space(X, constraints=bojax.Linear({"x": 1}, at_most=1)), ("list",)),
        (lambda: bojax.Space(X, constraints=[3]), ("bojax.Linear", "3")),
        (
            lambda: bojax.Space(X, constraints=[bojax.Linear({"z": 1}, at_most=1)]),
            ("z <= 1", "'z'", "no parameter", "x, y, c"),
        ),
        (
            lambda: bojax.Space(X, constraints=[bojax.Linear({"c": 1}, at_most=1)]),
            ("c has choices", "no numbers"),
        ),
        (
            lambda: bojax.Space(
                X, constraints=[bojax.Linear({"x": 1}, at_most=1)], fidelity="x"
            ),
            ("'x'", "fidelity"),
        ),
        (lambda: bojax.Space(X, constraints=[lambda v: 1 / 0]), ("<lambda>", "ZeroDivision")),
        (lambda: bojax.Space(X, constraints=[lambda v: v["z"]]), ("KeyError", "'z'")),
        (lambda: bojax.Space(X, constraints=[lambda v: True]), ("one bool or number a row",)),
        (lambda: bojax.Space(X, constraints=[lambda v: np.sin(v["x"])]), ("jax.numpy",)),
        (lambda: bojax.Space(X, constraints=[only_small, only_small]), ("'only_small'", "2")),
        (lambda: bojax.Space(X, forbidden={"c": "u"}), ("list of mappings",)),
        (lambda: bojax.Space(X, forbidden=[{}]), ("at least one entry",)),
        (lambda: bojax.Space(X, forbidden=[{"z": 1}]), ("forbidden", "'z'", "x, y, c")),
        (lambda: bojax.Space(X, forbidden=[{"c": "w"}]), ("forbidden", "'w'", "no choice")),
        (lambda: bojax.Space(X, forbidden=[{"x": 0.5}]), ("forbidden", "Range")),
        (lambda: bojax.Space(X, forbidden=[{"x": bojax.Range(2, 3)}]), ("2..3", "outside")),
    ],
)  # fmt: skip
def test_a_constraint_that_makes_no_sense_is_refused(make, words):
    with pytest.raises(bojax.SpaceError) as error:
        make()
    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: bojax.Space(
                X,
                constraints=[
                    bojax.Linear({"x": 1, "y": 1}, at_least=3),
                    bojax.Linear({"x": 1}, at_most=0.5),
                ],
            ),
            ("x + y", "is met by 0", "Relax 3 <= x + y", "x <= 0.5 is met by"),
        ),
        (lambda: bojax.Space({"c": X["c"]}, forbidden=[{"c": ["u", "v"]}]), ("'c'", "met by 0")),
    ],
)
def test_constraints_that_leave_nothing_are_named(make, words):
    with pytest.raises(bojax.InfeasibleError) as error:
        make()
    assert all(word in str(error.value) for word in words), error.value


def test_gradients_pass_where_a_number_is_computed():
    space = bojax.Space(
        {"x": bojax.Float(0.01, 1, log=True), "y": bojax.Float(0, 2)},
        constraints=[bojax.Linear({"x": 2, "y": 1}, at_most=3)],
    )
    slope = jax.grad(lambda r: jnp.sum(tables.natural(space.table, r)))(jnp.full(4, 0.5))
    np.testing.assert_allclose(slope[:2], [0.1 * np.log(100), 2.0], rtol=1e-5)
