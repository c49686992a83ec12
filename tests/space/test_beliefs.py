"""Priors, pools, derived parameters, presets, and the look at the edges."""

import json
import math
import re
from pathlib import Path

import jax
import numpy as np
import pytest
from scipy import stats

import bojax
from bojax.space import table as tables


def written(space, functions=None):
    return bojax.Space.from_json(json.loads(json.dumps(space.to_json())), functions)


# ---------------------------------------------------------------------- priors


def believed():
    return bojax.Space(
        {
            "x": bojax.Float(0, 2, prior=bojax.Normal(0.5, 0.3)),
            "lr": bojax.Float(1e-4, 1.0, log=True, prior=bojax.Normal(1e-2, 4.0)),
            "n": bojax.Int(1, 9, prior=bojax.Normal(3, 2.0)),
            "c": bojax.Categorical(["a", "b", "d"], weights=[6, 3, 1]),
            "o": bojax.Ordinal([1, 2], weights=[1, 4]),
            "b": bojax.Boolean(when={"c": "a"}, weights=[9, 1]),
            "flat": bojax.Float(0, 1),
        }
    )


def test_the_density_is_the_product_of_cut_normals_and_weights():
    space = believed()
    config = {"x": 0.8, "lr": 0.05, "n": 4, "c": "a", "o": 2, "b": True, "flat": 0.9}

    def cut(value, mean, deviation, low, high):
        a, b = (low - mean) / deviation, (high - mean) / deviation
        return stats.truncnorm.logpdf(value, a, b, mean, deviation) + math.log(high - low)

    wanted = cut(0.8, 0.5, 0.3, 0, 2)
    wanted += cut(math.log(0.05), math.log(1e-2), math.log(4), math.log(1e-4), 0)
    wanted += cut(4, 3, 2.0, 0.5, 9.5)
    wanted += math.log(0.6 * 3) + math.log(0.8 * 2) + math.log(0.1 * 2)
    row = space.encode(config)
    assert abs(space.log_prior(row) - wanted) < 1e-9
    with jax.enable_x64(True):
        assert abs(jax.jit(tables.log_prior)(space.table, row) - wanted) < 1e-9
    # What does not exist says nothing.
    del config["b"]
    config["c"] = "b"
    without = wanted - math.log(0.6 * 3) - math.log(0.1 * 2) + math.log(0.3 * 3)
    assert abs(space.log_prior(space.encode(config)) - without) < 1e-9


def test_draws_follow_the_belief_and_need_not():
    space = believed()
    drawn, even = space.sample(4000, seed=1, prior=True), space.sample(4000, seed=1)
    x = stats.truncnorm((0 - 0.5) / 0.3, (2 - 0.5) / 0.3, 0.5, 0.3)
    assert stats.kstest([c["x"] for c in drawn], x.cdf).pvalue > 0.01
    lr = stats.truncnorm(*(np.log([1e-4, 1.0]) - np.log(1e-2)) / np.log(4))
    z = [(math.log(c["lr"]) - math.log(1e-2)) / math.log(4) for c in drawn]
    assert stats.kstest(z, lr.cdf).pvalue > 0.01
    assert stats.kstest([c["flat"] for c in drawn], "uniform").pvalue > 0.01
    for sample, shares in ((drawn, (0.6, 0.8)), (even, (1 / 3, 0.5))):
        assert abs(np.mean([c["c"] == "a" for c in sample]) - shares[0]) < 0.03
        assert abs(np.mean([c["o"] == 2 for c in sample]) - shares[1]) < 0.03
    assert abs(np.mean([c["b"] for c in drawn if "b" in c]) - 0.1) < 0.03


def test_the_device_draws_as_the_host():
    space = believed()
    unit = np.random.default_rng(0).random((50, space.table.columns))
    host = tables.canonical(space.table, tables.from_prior(space.table, unit, np), np)
    with jax.enable_x64(True):
        rows = jax.jit(lambda t, u: tables.canonical(t, tables.from_prior(t, u)))(space.table, unit)
    np.testing.assert_allclose(rows, host, atol=1e-9)


def test_beliefs_are_part_of_a_space():
    space = believed()
    assert written(space) == space
    plain = bojax.Space({name: bojax.Float(0, 1) for name in "xy"})
    tilted = bojax.Space({**plain.parameters, "x": bojax.Float(0, 1, prior=bojax.Normal(0.5, 1))})
    assert plain != tilted and plain.log_prior(np.full((3, 4), 0.5)).tolist() == [0, 0, 0]
    assert space.to_json()["version"] == 2


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: bojax.Normal(0.5, 0), ("Normal", "deviation=0")),
        (lambda: bojax.Normal(float("nan"), 1), ("Normal", "mean=nan")),
        (lambda: bojax.Float(0, 1, prior=0.5), ("Float", "bojax.Normal", "0.5")),
        (lambda: bojax.Float(0, 1, prior=bojax.Normal(2, 1)), ("Float", "2", "outside")),
        (
            lambda: bojax.Float(0.1, 1, log=True, prior=bojax.Normal(0.5, 0.5)),
            ("Float", "factor above 1"),
        ),
        (lambda: bojax.Int(0, 9, prior=bojax.Normal(-1, 1)), ("Int", "-1", "outside")),
        (lambda: bojax.Categorical(["a", "b"], weights=[1]), ("Categorical", "2 positive")),
        (lambda: bojax.Ordinal([1, 2], weights=[1, 0]), ("Ordinal", "leave it out")),
        (lambda: bojax.Boolean(weights={True: 1}), ("Boolean", "list of numbers")),
    ],
)
def test_a_belief_that_makes_no_sense_is_refused(make, words):
    with pytest.raises(bojax.SpaceError) as error:
        make()
    assert all(word in str(error.value) for word in words), error.value


# ---------------------------------------------------------------------- pools

MOLECULES = [
    {"name": f"m{i}", "mass": round(1.5**i, 3), "rings": i % 3, "salt": i % 2 == 0, "solvent": "w"}
    for i in range(12)
]


def test_every_row_is_a_member():
    space = bojax.Space.pool(MOLECULES, log=["mass"])
    assert space.names == ("name", "mass", "rings", "salt") and space.size == 12
    assert space.parameters["mass"].log and isinstance(space.parameters["rings"], bojax.Int)
    rows = np.random.default_rng(0).random((200, space.table.columns)) * [12, 1, 1, 2]
    assert all(config in MOLECULES for config in space.decode(rows))
    canonical = space.canonical(rows)
    assert np.array_equal(space.canonical(canonical), canonical)
    with jax.enable_x64(True):
        assert np.array_equal(jax.jit(tables.canonical)(space.table, rows), canonical)
    assert space.decode(space.encode(MOLECULES)) == MOLECULES
    assert space.decode(space.every_row()) == MOLECULES


def test_draws_are_even_over_the_members_and_keep_what_is_given():
    space = bojax.Space.pool({name: [m[name] for m in MOLECULES] for name in MOLECULES[0]})
    counts = np.bincount([MOLECULES.index(c) for c in space.sample(6000)], minlength=12)
    assert abs(counts / 500 - 1).max() < 0.2
    given = space.given({"rings": 2})
    assert {c["rings"] for c in space.decode(space.feasible_rows(30, given=given))} == {2}
    with pytest.raises(bojax.InfeasibleError, match="no configuration of the pool"):
        space.given({"rings": 2, "name": "m0"})


def test_a_pool_is_itself_elsewhere_too():
    space = bojax.Space.pool(MOLECULES)
    back = written(space)
    assert back == space and back.sample(5) == space.sample(5)
    budget = space.with_fidelity("steps", 1, 9)
    rows = budget.encode(MOLECULES[:2])
    rows[:, budget.names.index("steps")] = 0.25
    assert budget.canonical(rows)[0, budget.names.index("steps")] == 0.25
    assert budget.decode(rows) == MOLECULES[:2]


def test_a_stranger_to_the_pool_is_named():
    space = bojax.Space.pool(MOLECULES)
    with pytest.raises(bojax.ConfigError, match=r"'m3'.*no configuration of the pool; the nearest"):
        space.encode({**MOLECULES[3], "rings": 2})
    with pytest.raises(bojax.ConfigError, match="no configuration of the pool"):
        space.encode({**MOLECULES[3], "solvent": "x"})


def test_identifiers_stay_out_of_the_model():
    space = bojax.Space.pool([{"id": f"k{i}", "x": float(i)} for i in range(200)])
    assert space.names == ("x",)
    assert space.decode(space.encode({"id": "k7", "x": 7.0})) == {"id": "k7", "x": 7.0}


@pytest.mark.parametrize(
    ("pool", "settings", "words"),
    [
        ([], {}, ("at least two", "0")),
        ([{"x": 1}, {"x": 1}], {}, ("at least two", "1")),
        ("ab", {}, ("list of dicts", "'ab'")),
        ([{"x": 1}, 3], {}, ("entry 1", "3")),
        ([{"x": 1}, {"y": 1}], {}, ("entry 1", "['y']", "['x']")),
        ({"x": [1, 2], "y": [1]}, {}, ("length", "'y': 1")),
        ([{"x": 1}, {"x": 2}], {"log": ["y"]}, ("'y'", "no entry")),
        ([{"i": f"a{i}", "x": i % 2} for i in range(200)], {}, ("198", "do not differ")),
        ([{"i": f"a{i}"} for i in range(200)], {}, ("tells the entries apart",)),
    ],
)
def test_a_pool_that_makes_no_sense_is_refused(pool, settings, words):
    with pytest.raises(bojax.SpaceError) as error:
        bojax.Space.pool(pool, **settings)
    assert all(word in str(error.value) for word in words), error.value


def test_a_pool_takes_no_constraints():
    with pytest.raises(bojax.SpaceError, match="a pool takes no constraints"):
        bojax.Space(
            {"x": bojax.Int(0, 3)},
            members=[{"x": 0}, {"x": 2}],
            constraints=[bojax.Linear({"x": 1}, at_most=1)],
        )


# ---------------------------------------------------------------------- derived

BASE = {
    "base_lr": bojax.Float(0.01, 1.0, log=True),
    "batch": bojax.Ordinal([64, 256, 512]),
    "warm": bojax.Boolean(),
    "steps": bojax.Int(10, 100, when={"warm": True}),
}


def doubled(config):
    return 2 * config["lr"]


def derived_space():
    return bojax.Space(
        BASE,
        derived={
            "twice": bojax.Derived(doubled, inputs=("lr",)),
            "lr": bojax.Derived("base_lr * batch / 256"),
            "area": bojax.Product({"batch": 2, "base_lr": -1}, scale=0.5),
            "tail": bojax.Derived("max(steps - 20, 0) ** 2 // 3 + -min(1, batch % 7)"),
        },
    )


def test_derived_values_follow_their_inputs():
    space = derived_space()
    config = space.decode(space.encode({"base_lr": 0.5, "batch": 512, "warm": True, "steps": 50}))
    base = config["base_lr"]
    assert config["lr"] == base * 512 / 256 and config["twice"] == 2 * config["lr"]
    assert config["area"] == pytest.approx(0.5 * 512**2 / base)
    assert config["tail"] == 30**2 // 3 - 1
    assert list(config) == ["base_lr", "batch", "warm", "steps", "lr", "area", "tail", "twice"]
    without = space.decode(space.encode({"base_lr": 0.5, "batch": 64, "warm": False}))
    assert "tail" not in without and "lr" in without


def test_told_derived_values_are_ignored_or_contradict():
    space = derived_space()
    config = space.sample(1, seed=4)[0]
    assert space.decode(space.encode(config)) == config
    with pytest.raises(bojax.ConfigError, match=r"lr: is derived and follows as .*, got 9"):
        space.encode({**config, "lr": 9.0})
    with pytest.raises(bojax.ConfigError, match=r"lr: not a parameter.*derived from"):
        space.given({"lr": 0.1})


def test_json_keeps_formulas_and_asks_for_functions():
    space = derived_space()
    assert written(space, {"doubled": doubled}) == space
    with pytest.raises(bojax.SpaceError, match=r"'doubled' is code"):
        written(space)


@pytest.mark.parametrize(
    ("derived", "words"),
    [
        (lambda: {"lr": 3}, ("lr", "bojax.Derived", "3")),
        (lambda: [3], ("derived must be a dict",)),
        (lambda: {"batch": bojax.Product({"base_lr": 1})}, ("'batch'", "name of its own")),
        (lambda: {"lr": bojax.Derived("base_lr * bath")}, ("lr", "'bath'", "batch")),
        (
            lambda: {"a": bojax.Derived("b + 1"), "b": bojax.Product({"a": 1})},
            ("a, b", "circle"),
        ),
        (lambda: {"a": bojax.Derived("a + 1")}, ("a", "circle")),
        (lambda: {"a": bojax.Derived("batch +")}, ("'batch +'", "no formula")),
        (lambda: {"a": bojax.Derived("__import__('os')")}, ("may hold names", "__import__")),
        (lambda: {"a": bojax.Derived("batch.real")}, ("batch.real", "none of these")),
        (lambda: {"a": bojax.Derived("'x' * batch")}, ("'x'", "none of these")),
        (lambda: {"a": bojax.Derived(doubled)}, ("inputs=",)),
        (lambda: {"a": bojax.Product({})}, ("at least one power",)),
        (lambda: {"a": bojax.Product({"batch": "1"})}, ("batch", "'1'")),
    ],
)
def test_a_derivation_that_makes_no_sense_is_refused(derived, words):
    with pytest.raises(bojax.SpaceError) as error:
        bojax.Space(BASE, derived=derived())
    assert all(word in str(error.value) for word in words), error.value


def test_a_formula_that_fails_for_a_configuration_is_named():
    space = bojax.Space({"n": bojax.Int(0, 3)}, derived={"inverse": bojax.Derived("1 / n")})
    with pytest.raises(bojax.ConfigError, match=r"inverse: cannot be derived from \{'n': 0\}"):
        space.decode(space.encode({"n": 0}))


# ---------------------------------------------------------------------- edges


class Told:
    def __init__(self, config, value):
        self.config, self.value = config, value


EDGED = bojax.Space(
    {
        "lr": bojax.Float(1e-4, 1e-1, log=True),
        "n": bojax.Int(1, 9),
        "x": bojax.Float(0, 1),
        "c": bojax.Boolean(),
    }
)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_best_at_an_edge_are_found(sign):
    configs = EDGED.sample(400, seed=0)
    told = [
        Told(c, sign * (abs(math.log(0.1 / c["lr"])) + c["n"] + (c["x"] - 0.5) ** 2))
        for c in configs
    ]
    found = EDGED.check(told, direction="minimize" if sign > 0 else "maximize")
    assert found and {(e.name, e.side) for e in found.edges} >= {("n", "low")}
    assert "x" not in {e.name for e in found.edges}
    (edge,) = (e for e in found.edges if e.name == "n")
    assert (edge.bound, edge.suggestion) == (1, -3) and "n: " in str(found)
    other = EDGED.check(told, direction="maximize" if sign > 0 else "minimize")
    assert ("n", "low") not in {(e.name, e.side) for e in other.edges}


def test_a_suggestion_keeps_to_the_scale():
    told = [Told(c, -c["lr"]) for c in EDGED.sample(400, seed=1)]
    (edge,) = EDGED.check(told).edges
    assert (edge.name, edge.side, edge.bound) == ("lr", "high", 0.1)
    assert edge.suggestion == 3.2  # half of three decades further
    told = [Told(c, (c["x"] - 0.5) ** 2) for c in EDGED.sample(400, seed=1)]
    found = EDGED.check(told)
    assert not found and "No parameter" in str(found)


def test_too_few_values_are_refused():
    told = [Told(c, float("nan")) for c in EDGED.sample(40)]
    with pytest.raises(bojax.ConfigError, match="at least 10 trials"):
        EDGED.check(told)
    with pytest.raises(ValueError, match="direction"):
        EDGED.check(told, direction="up")


# ---------------------------------------------------------------------- presets


@pytest.mark.parametrize("name", bojax.space.presets.__all__)
def test_a_preset_can_be_sampled_encoded_and_written(name):
    space = getattr(bojax.space.presets, name)()
    configs = space.sample(20, seed=1)
    assert space.feasible(configs).all() and space.decode(space.encode(configs)) == configs
    assert written(space) == space


def test_presets_have_the_ranges_of_their_sources():
    presets = bojax.space.presets
    assert presets.mlp().parameters["lr"] == bojax.Float(1e-4, 1e-1, log=True)
    assert presets.cnn().parameters["one_minus_momentum"].low == pytest.approx(1 - 0.999)
    assert presets.svm().parameters["C"] == bojax.Float(2**-10, 2**10, log=True)
    assert presets.random_forest().parameters["max_depth"] == bojax.Int(1, 50, log=True)
    adam = [len(presets.transformer(trials=n).names) for n in (5, 10, 25, 100)]
    assert adam == [5, 6, 7, 8]


def test_the_page_of_spaces_runs(capsys):
    text = (Path(__file__).parents[2] / "docs" / "spaces.md").read_text()
    scope = {}
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(block, scope)
    assert "of the best trials lie at its high end, 1; try a high of 1.5" in capsys.readouterr().out
