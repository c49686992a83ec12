"""Grid search: every combination once, coarse ones first, and then the end."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.errors import ConfigError, SpaceExhausted
from bojax.history import Status
from bojax.strategies import grid

CUBE = {name: bojax.Float(0, 1) for name in "abc"}
# (p: 3) + (q: y of three values, w at one of them) + (z: 1), times two.
TREE = {
    "k": bojax.Categorical(["p", "q", "z"]),
    "x": bojax.Float(-1, 1, when={"k": "p"}),
    "y": bojax.Int(1, 3, when={"k": "q"}),
    "w": bojax.Boolean(when={"k": "q", "y": 2}),
    "lr": bojax.Float(1e-2, 1, log=True),
}


def walked(space, most=500, q=8, optimizer=None, **settings):
    """Configurations until the grid is used up."""
    optimizer = optimizer or bojax.Optimizer(space, strategy=grid(**settings))
    found = []
    while len(found) < most:
        try:
            found += [trial.config for trial in optimizer.ask(q)]
        except SpaceExhausted:
            return found
    raise AssertionError("no end")


def distinct(configs):
    return {tuple(sorted(config.items())) for config in configs}


@pytest.mark.parametrize("order", ["coarse", "lexicographic"])
def test_every_combination_comes_once(order):
    found = walked(TREE, points={"x": 3, "lr": 2}, order=order)
    branches = [{"k": "p", "x": x} for x in (-1.0, 0.0, 1.0)]
    branches += [{"k": "q", "y": 1}, {"k": "q", "y": 3}, {"k": "z"}]
    branches += [{"k": "q", "y": 2, "w": w} for w in (False, True)]
    expected = [{**branch, "lr": lr} for branch in branches for lr in (0.01, 1.0)]
    assert len(found) == len(expected) and distinct(found) == distinct(expected)


def test_lexicographic_is_the_order_of_product():
    found = walked(CUBE, points={"a": 2, "b": 3, "c": 2}, order="lexicographic")
    levels = [(0.0, 1.0), (0.0, 0.5, 1.0), (0.0, 1.0)]
    assert [tuple(config.values()) for config in found] == list(itertools.product(*levels))


def test_the_first_of_the_coarse_order_cover_every_level_and_every_pair():
    found = walked(CUBE, points=5)
    assert len(distinct(found)) == 125
    assert found[0] == {"a": 0.5, "b": 0.5, "c": 0.5}
    for name in "abc":
        assert len({config[name] for config in found[:5]}) == 5
    for one, other in itertools.combinations("abc", 2):
        assert len({(config[one], config[other]) for config in found[:25]}) == 25
    early = walked(CUBE, points=5, order="lexicographic")[:25]
    assert len({config["a"] for config in early}) == 1


def test_levels_of_each_kind():
    space = {
        "f": bojax.Float(1e-4, 1e-1, log=True), "n": bojax.Int(1, 4), "m": bojax.Int(0, 1000),
        "g": bojax.Int(1, 1000, log=True), "s": bojax.Float(0, 1, step=0.25),
        "o": bojax.Ordinal([1, 5, 9]), "b": bojax.Boolean(),
    }  # fmt: skip

    def levels(**points):
        optimizer = bojax.Optimizer(space, strategy=grid(points={"f": 4, "m": 3, "g": 4, **points}))
        configs = [trial.config for trial in optimizer.ask(64)]
        return {name: sorted({config[name] for config in configs}) for name in space}

    found = levels()
    np.testing.assert_allclose(found["f"], [1e-4, 1e-3, 1e-2, 1e-1], rtol=1e-9)
    assert found["n"] == [1, 2, 3, 4] and found["m"] == [0, 500, 1000]
    assert found["g"] == [1, 10, 100, 1000]
    assert found["s"] == [0.0, 0.25, 0.5, 0.75, 1.0] and found["o"] == [1, 5, 9]
    assert found["b"] == [False, True]
    assert levels(f=1)["f"] == [pytest.approx(10**-2.5)]


def test_a_grid_of_more_cells_than_any_memory_has():
    space = {f"x{i}": bojax.Float(0, 1) for i in range(30)}
    for order in ("coarse", "lexicographic"):
        optimizer = bojax.Optimizer(space, strategy=grid(points=1000, order=order))
        assert len(distinct(trial.config for trial in optimizer.ask(8))) == 8


def test_branches_that_exclude_each_other_do_not_multiply():
    """Six branches of three parameters: 162 configurations, two billion cells."""
    space = {"branch": bojax.Categorical([*"abcdef"])}
    for branch in "abcdef":
        space |= {f"{branch}{i}": bojax.Float(0, 1, when={"branch": branch}) for i in range(3)}
    found = walked(space, q=32, points=3)
    assert len(found) == 162 == len(distinct(found))
    assert {config["branch"] for config in found[:6]} == set("abcdef")


def test_what_breaks_a_constraint_is_left_out_and_its_boundary_is_not():
    space = bojax.Space(
        {"a": bojax.Int(0, 4), "b": bojax.Int(0, 4)},
        constraints=[bojax.Linear({"a": 1, "b": 1}, at_most=3)],
    )
    for order in ("coarse", "lexicographic"):
        found = distinct(walked(space, order=order))
        assert found == {(("a", a), ("b", b)) for a in range(5) for b in range(5) if a + b <= 3}
    reals = bojax.Space(
        {"a": bojax.Float(0, 1), "b": bojax.Float(0, 1)},
        constraints=[bojax.Linear({"a": 1, "b": 1}, at_most=1)],
    )
    found = walked(reals, points=3)
    assert sorted((round(c["a"], 5), round(c["b"], 5)) for c in found) == [
        (0, 0), (0, 0.5), (0, 1), (0.5, 0), (0.5, 0.5), (1, 0)
    ]  # fmt: skip
    assert reals.feasible(found).all()


def test_foreign_results_are_not_measured_again():
    optimizer = bojax.Optimizer(TREE, strategy=grid(points={"x": 3, "lr": 2}))
    optimizer.tell({"k": "z", "lr": 1.0}, 0.5)
    optimizer.tell({"k": "p", "x": 0.3, "lr": 0.5}, 0.5)  # of no grid
    assert len(walked(None, optimizer=optimizer)) == 15


def test_what_is_given_is_walked_by_itself():
    optimizer = bojax.Optimizer(TREE, strategy=grid(points={"x": 3, "lr": 2}))
    first = [trial.config for trial in optimizer.ask(5)]
    fixed = []
    with pytest.raises(SpaceExhausted, match="of the grid"):
        while True:
            fixed += [t.config for t in optimizer.ask(8, fixed={"k": "q", "lr": 0.5})]
    assert len(distinct(fixed)) == 4 and {round(c["lr"], 9) for c in fixed} == {0.5}
    rest = walked(None, optimizer=optimizer)
    assert len(distinct(first + rest)) == 16 == len(first + rest)


def test_replicates_come_once_it_is_used_up():
    optimizer = bojax.Optimizer(
        {"b": bojax.Boolean(), "x": bojax.Float(0, 1)}, strategy=grid(points=2), repeats="replicate"
    )
    once = distinct(trial.config for trial in optimizer.ask(4))
    again = distinct(trial.config for trial in optimizer.ask(8))
    assert len(once) == 4 and again <= once
    fixed = [trial.config for trial in optimizer.ask(4, fixed={"b": True})]
    assert all(config["b"] for config in fixed)


def test_a_pool_is_a_grid_of_its_members():
    pool = bojax.Space.pool({"mass": [1.0, 2.5, 9.0, 9.5, 11.0], "rings": [0, 1, 1, 2, 2]})
    for order in ("coarse", "lexicographic"):
        optimizer = bojax.Optimizer(pool, strategy=grid(order=order))
        two = optimizer.ask(2, fixed={"rings": 2})
        assert {trial.config["mass"] for trial in two} == {9.5, 11.0}
        with pytest.raises(SpaceExhausted):
            optimizer.ask(fixed={"rings": 2})
        assert len(walked(None, optimizer=optimizer)) == 3


def test_fidelity_is_no_level_and_context_is_given():
    space = bojax.Space(
        {"n": bojax.Int(1, 3), "site": bojax.Categorical(["u", "v"]), "epochs": bojax.Int(1, 9)},
        fidelity="epochs", context=["site"],
    )  # fmt: skip
    optimizer = bojax.Optimizer(space, strategy=grid())
    for site in ("u", "v"):
        found = optimizer.ask(3, context={"site": site}, fidelity=3)
        assert {trial.config["n"] for trial in found} == {1, 2, 3}
        with pytest.raises(SpaceExhausted):
            optimizer.ask(context={"site": site})
    assert {trial.fidelity for trial in found} == {3.0}


@pytest.mark.parametrize("order", ["coarse", "lexicographic"])
def test_a_saved_walk_goes_on_alike(tmp_path, order):
    whole = walked(TREE, q=3, points={"x": 3, "lr": 2}, order=order)
    optimizer = bojax.Optimizer(TREE, strategy=grid(points={"x": 3, "lr": 2}, order=order))
    found = []
    while True:
        optimizer.save(tmp_path / "run.json")
        optimizer = bojax.Optimizer.load(tmp_path / "run.json")
        assert optimizer.strategy.points == {"x": 3, "lr": 2}
        try:
            trials = optimizer.ask(3)
        except SpaceExhausted:
            break
        found += [trial.config for trial in trials]
        optimizer.tell(trials[0], None, status="failed")
        optimizer.tell(trials[-1], 1.0) if len(trials) > 1 else None
    assert found == whole


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_runs_in_one_program(precision):
    space = bojax.Space(TREE)
    with jax.enable_x64(precision == "float64"):
        problem = bojax.loop.Problem(space.table, lambda data, key, rows: rows[:, 4] + data)
        strategy = grid(points={"x": 3, "lr": 2}).for_space(space)

        def one(key):
            return bojax.loop.run(strategy, problem, key, evaluations=18, batch=3)

        histories = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), 2))
        status, rows = np.asarray(histories.status), np.asarray(histories.rows, float)
    assert (status[:, :16] == Status.DONE).all() and (status[:, 16:18] == Status.STALE).all()
    for run in rows:
        assert len({repr(c) for c in space.decode(run[:16])}) == 16
    assert distinct(space.decode(rows[0][:16])) == distinct(walked(TREE, points={"x": 3, "lr": 2}))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"points": 0}, "points must be an integer of at least 1, got 0"),
        ({"points": {"lr": 0.5}}, "lr must be an integer of at least 1, got 0.5"),
        ({"order": "random"}, "order must be one of coarse, lexicographic, got 'random'"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        grid(**settings)


@pytest.mark.parametrize(
    ("parameters", "points", "message"),
    [
        (CUBE, None, "a: a Float has no levels of its own"),
        (CUBE, {"a": 2, "b": 2}, r"c: a Float .* grid\(points=\{'c': 5\}\)"),
        (CUBE, {"z": 2}, "z: grid.* counts levels of numbers; expected some of a, b, c"),
        (TREE, {"k": 2}, "k: grid.* expected some of x, y, lr"),
        ({"n": bojax.Int(0, 10**6)}, None, "n: a grid has at most 32,767 levels .* 1,000,001"),
    ],
)
def test_counts_that_do_not_fit_are_named(parameters, points, message):
    with pytest.raises(ConfigError, match=message):
        bojax.Optimizer(parameters, strategy=grid(points=points))


def test_names_need_a_space_and_reals_a_count():
    table = bojax.Space(CUBE).table
    with pytest.raises(ValueError, match=r"for_space\(space\)"):
        grid(points={"a": 2}).init(table, bojax.strategies.Sizes())
    with pytest.raises(ValueError, match="column 0 is real and needs a count"):
        grid().init(jax.tree.map(jnp.asarray, table), bojax.strategies.Sizes())
