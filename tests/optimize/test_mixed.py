"""The maximiser over mixed, conditional spaces: against listing every configuration."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.optimize import maximize, mixed
from bojax.space import table as tables

LANES, POOL, TAKEN = 8, 256, 64

# All of one size class and all finite but the last: one program for all of them.
SPACES = {
    "integers": bojax.Space({"a": bojax.Int(0, 15), "b": bojax.Int(1, 16, log=True)}),
    "choices": bojax.Space(
        {"c": bojax.Categorical(range(7)), "o": bojax.Ordinal(range(5)), "b": bojax.Boolean()}
    ),
    "conditional": bojax.Space(
        {
            "c": bojax.Categorical(["a", "b", "d"]),
            "n": bojax.Int(1, 8, when={"c": ["a", "b"]}),
            "o": bojax.Ordinal([1, 2, 4], when={"n": bojax.Range(3, 8)}),
            "b": bojax.Boolean(when={"c": "d"}),
        }
    ),
    "real": bojax.Space(
        {
            "x": bojax.Float(0.0, 1.0),
            "c": bojax.Categorical(["a", "b", "d"]),
            "n": bojax.Int(1, 2000),
            "y": bojax.Float(0.0, 1.0, when={"c": "b"}),
        }
    ),
}
FINITE = [name for name in SPACES if name != "real"]


def score_of(parameters, table, rows):
    """A smooth bump over the features, plus a bonus a code: no two configurations alike."""
    features = tables.features(table, rows)
    centre, weights, bonus = parameters
    codes = tables.choice_code(table, rows)
    bumps = -weights * (features.coordinate - centre) ** 2
    category = bonus[jnp.arange(4), codes]
    return jnp.sum(
        features.active * jnp.where(table.kind == tables.CATEGORY, category, bumps), axis=-1
    )


def parameters_of(seed):
    rng = np.random.default_rng(seed)
    return rng.random(4), rng.uniform(0.5, 4.0, 4), rng.random((4, 8))


@pytest.fixture(scope="module")
def search():
    @partial(jax.jit, static_argnames="lanes")
    def found(parameters, table, bits, pool, fixed, taken, mask, lanes):
        def score(rows):
            return score_of(parameters, table, rows)

        key = jax.random.wrap_key_data(bits)
        return maximize(score, table, key, pool, fixed, taken, mask, lanes=lanes), score(taken)

    def run(space, seed, *, taken=(), fixed=(), pool=None, lanes=LANES):
        columns = space.table.columns
        if pool is None:
            unit = np.random.default_rng(seed + 99).random((POOL, columns))
            pool = tables.unit_to_row(space.table, unit, np)
        rows = np.zeros((TAKEN, columns))
        rows[: len(taken)] = taken if len(taken) else rows[:0]
        mask = np.arange(TAKEN) < len(taken)
        held = np.isin(np.arange(columns), list(fixed))
        bits = np.array([7, seed], np.uint32)
        with jax.enable_x64(True):
            result, _ = found(
                parameters_of(seed), space.table, bits, pool, held, rows, mask, lanes=lanes
            )
            return jax.tree.map(np.asarray, result)

    return run


def ranking(space, seed):
    """Every configuration, best first, and their scores."""
    rows = space.every_row()
    with jax.enable_x64(True):
        parameters = jax.tree.map(jnp.asarray, parameters_of(seed))
        scores = np.asarray(score_of(parameters, space.table, jnp.asarray(rows)))
    order = np.argsort(-scores)
    return rows[order], scores[order]


def enumeration(space):
    """A pool with every configuration in it, repeated to its length."""
    rows = space.every_row()
    return rows[np.arange(POOL) % len(rows)]


@pytest.mark.parametrize("name", FINITE)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_finds_the_best_of_a_finite_space(search, name, seed):
    space = SPACES[name]
    rows, scores = ranking(space, seed)
    found = search(space, seed)
    np.testing.assert_allclose(found.score, scores[0], atol=1e-9)
    assert space.decode(found.row) == space.decode(rows[0])
    assert found.valid


@pytest.mark.parametrize("name", FINITE)
def test_the_best_that_is_not_taken(search, name):
    space = SPACES[name]
    rows, scores = ranking(space, 4)
    for taken in (1, 5, 30):
        found = search(space, 4, taken=rows[:taken], pool=enumeration(space))
        assert found.valid
        np.testing.assert_allclose(found.score, scores[taken], atol=1e-9)
        assert space.decode(found.row) == space.decode(rows[taken])


def test_nothing_is_valid_once_all_is_taken_and_the_last_one_is_found(search):
    space = SPACES["conditional"]
    rows, _ = ranking(space, 6)
    assert len(rows) <= TAKEN
    pool = enumeration(space)
    assert not search(space, 6, taken=rows, pool=pool).valid
    for last in (0, 7, len(rows) - 1):
        found = search(space, 6, taken=np.delete(rows, last, axis=0), pool=pool)
        assert found.valid
        assert space.decode(found.row) == space.decode(rows[last])


def test_fixed_columns_do_not_move(search):
    space = SPACES["choices"]
    rows, scores = ranking(space, 8)
    pool = enumeration(space).copy()
    for fixed, value in ((0, 3.0), (1, rows[7, 1]), (2, 0.0)):
        held = tables.canonical(space.table, np.where(np.arange(4) == fixed, value, pool), np)
        found = search(space, 8, fixed=[fixed], pool=held)
        assert found.row[fixed] == value
        np.testing.assert_allclose(found.score, scores[rows[:, fixed] == value][0], atol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_real_columns_are_climbed_to_the_top(search, seed):
    """The best of a mixed space, by hand: the bump's centre and the best codes."""
    space = SPACES["real"]
    centre, weights, bonus = parameters_of(seed)
    best = -np.inf
    for code in range(3):
        n = np.round(centre[2] * 2000 + 0.5).clip(1, 2000)
        off = weights[2] * ((n - 0.5) / 2000 - centre[2]) ** 2
        best = max(best, bonus[1, code] - off)
    found = search(space, seed)
    np.testing.assert_allclose(found.score, best, atol=2e-6)
    np.testing.assert_allclose(found.row[0], centre[0], atol=2e-3)


def test_a_fixed_real_column_stays(search):
    space = SPACES["real"]
    unit = np.random.default_rng(0).random((POOL, 4))
    unit[:, 0] = 0.125
    found = search(space, 1, fixed=[0], pool=tables.unit_to_row(space.table, unit, np))
    assert found.row[0] == 0.125 and found.valid


def test_a_taken_top_gives_way_in_a_real_space(search):
    """Every climb ends on the taken top: another row must come back, not that one."""
    space = SPACES["real"]
    for seed in range(4):
        top = search(space, seed).row
        found = search(space, seed, taken=[top])
        assert found.valid
        with jax.enable_x64(True):
            assert not bool(tables.same_configuration(space.table, found.row, top))


def test_rows_are_canonical_and_raw_is_where_they_came_from(search):
    for name in FINITE:
        found = search(SPACES[name], 3)
        row = tables.canonical(SPACES[name].table, found.row, np)
        np.testing.assert_allclose(row, found.row, rtol=0, atol=1e-14)
        again = tables.canonical(SPACES[name].table, found.raw, np)
        np.testing.assert_allclose(again, found.row, rtol=0, atol=1e-14)


def test_scores_that_are_not_numbers_lose():
    table = SPACES["integers"].table
    pool = jnp.asarray(enumeration(SPACES["integers"]), jnp.float32)

    def score(rows):
        return jnp.where(rows[:, 0] < 0.5, jnp.nan, -((rows[:, 0] - 0.8) ** 2))

    found = jax.jit(
        lambda key: maximize(
            score, table32(table), key, pool, jnp.zeros(4, bool), pool[:1], jnp.zeros(1, bool)
        )
    )(jax.random.key(0))
    assert found.row.dtype == jnp.float32
    assert np.isfinite(found.score) and abs(found.row[0] - 0.8) < 1 / 16


def table32(table):
    return jax.tree.map(lambda x: np.asarray(x, np.float32) if x.dtype == np.float64 else x, table)


# ---------------------------------------------------------------------- constraints and beliefs

BOX = {name: bojax.Float(0, 1) for name in "abcd"}
NOT_FIXED = np.zeros(4, bool)


def ruled(*rules):
    return bojax.Space(BOX, constraints=[bojax.Linear(*rule) for rule in rules])


@pytest.fixture(scope="module")
def under_rules():
    """A bowl's top under linear constraints: `(table, pool, centre)` -> found."""

    @jax.jit
    def run(table, pool, centre):
        def score(rows):
            return -jnp.sum((rows - centre) ** 2, axis=-1)

        none = jnp.zeros(1, bool)
        return maximize(score, table, jax.random.key(0), pool, NOT_FIXED, pool[:1], none)

    return run


@pytest.mark.parametrize(
    ("rules", "top"),
    [
        # On one plane: the centre's foot on it.
        ([({"a": 1, "b": 1}, 0.5), ({"a": 1}, 0.9)], [0.25, 0.25, 0.6, 0.6]),
        # On the edge of two: a + b = 0.5 and b = 0.1.
        ([({"a": 1, "b": 1}, 0.5), ({"b": 1}, 0.1)], [0.4, 0.1, 0.6, 0.6]),
        # The centre itself.
        ([({"a": 1, "b": 1}, 1.5), ({"a": 1}, 0.9)], [0.6, 0.6, 0.6, 0.6]),
    ],
)
def test_the_top_under_constraints_is_reached_and_never_passed(under_rules, rules, top):
    space = ruled(*rules)
    pool = space.feasible_rows(64, 1)
    with jax.enable_x64(True):
        found = under_rules(space.table, pool, np.full(4, 0.6))
    row = np.asarray(found.row)
    np.testing.assert_allclose(row, top, atol=3e-3)  # a climb along an edge has a kink
    assert tables.feasible(space.table, row, np, inside=True)
    assert abs(float(found.score) + np.sum((row - 0.6) ** 2)) < 1e-12


def test_the_top_on_a_curved_boundary_is_reached_in_few_steps(monkeypatch):
    """A rule that only says yes or no, in a small part, from candidates on its boundary."""

    def in_the_ball(v):
        return (v["a"] - 0.3) ** 2 + (v["b"] - 0.3) ** 2 + (v["c"] - 0.3) ** 2 <= 0.01

    monkeypatch.setattr(mixed, "MOST_EVALUATIONS", 12)
    space = bojax.Space(BOX, constraints=[in_the_ball])
    towards = np.array([0.6, 0.5, 0.3])
    generator = np.random.default_rng(0)
    ways = generator.normal(size=(64, 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    pool = np.concatenate([0.3 + 0.0999 * ways, generator.random((64, 1))], axis=1)

    @jax.jit
    def run(table, pool):
        def score(rows):
            return -10 * jnp.sum((rows[:, :3] - towards) ** 2, axis=-1) - (rows[:, 3] - 0.2) ** 2

        none = jnp.zeros(1, bool)
        return maximize(score, table, jax.random.key(0), pool, NOT_FIXED, pool[:1], none)

    with jax.enable_x64(True):
        row = np.asarray(run(space.table, pool).row)
    way = (towards - 0.3) / np.linalg.norm(towards - 0.3)
    np.testing.assert_allclose(row[:3], 0.3 + 0.1 * way, atol=2e-3)
    assert tables.feasible(space.table, row, np, inside=True)


def test_an_infeasible_pool_gives_nothing(under_rules):
    space = ruled(({"a": 1, "b": 1}, 0.5), ({"a": 1}, 0.9))
    with jax.enable_x64(True):
        found = under_rules(space.table, np.full((64, 4), 0.7), np.full(4, 0.6))
    assert not found.valid


@pytest.mark.parametrize("known", [False, True])
def test_a_belief_tilts_the_score_and_fades(known):
    space = bojax.Space({"x": bojax.Float(0, 1, prior=bojax.Normal(0.8, 0.1))})
    pool = np.linspace(0, 1, 32)[:, None] * np.array([1.0, 0, 0, 0])

    def score(rows):
        return -10 * (rows[:, 0] - 0.2) ** 2

    @jax.jit
    def best(table, lines):
        taken = jnp.full((1000, 4), 9.0)
        return maximize(
            score, table, jax.random.key(0), pool, NOT_FIXED, taken,
            jnp.arange(1000, dtype=jnp.int32) < lines, heights=score(pool) if known else None,
        )  # fmt: skip

    for lines in (1, 10, 1000):
        with jax.enable_x64(True):
            found = best(space.table, np.int32(lines))
        # Where -10 (x - 0.2)^2 and -(10 / n) (x - 0.8)^2 / (2 0.1^2) have opposite slopes.
        weight = 50 * 10 / lines
        wanted = (10 * 0.2 + weight * 0.8) / (10 + weight)
        assert float(found.row[0]) == pytest.approx(wanted, abs=2e-3)
