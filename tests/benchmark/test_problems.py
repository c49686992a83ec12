"""Problems: minima to many digits, instances as stated, one program for all, kinds respected."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import bojax
from bojax.benchmark import problems
from bojax.benchmark.problems import _functions as functions
from bojax.benchmark.problems import _instances as instances
from bojax.errors import ConfigError, DataError
from bojax.space import table as tables

ANY = ("ackley", "rosenbrock", "levy", "rastrigin", "griewank", "styblinski_tang", "michalewicz")
FIXED = {"branin": 2, "hartmann3": 3, "hartmann6": 6, "cosine8": 8}
EVERY = [*[(name, 5) for name in ANY], *[(name, None) for name in FIXED]]
STANDARD = [  # a second copy of standard.toml, so that nothing there changes unseen
    ("styblinski_tang_4", "tuning", "continuous"),
    ("levy_10", "tuning", "continuous"),
    ("noisy_hartmann3", "tuning", "noisy"),
    ("mixed_rastrigin_6", "tuning", "mixed"),
    ("conditional_levy", "tuning", "conditional"),
    ("hartmann6", "reporting", "continuous"),
    ("rosenbrock_10", "reporting", "continuous"),
    ("noisy_branin", "reporting", "noisy"),
    ("mixed_ackley_6", "reporting", "mixed"),
    ("conditional_ackley", "reporting", "conditional"),
]


def on_host(problem, rows):
    return instances.truth_on_host(problem.data, rows)


def some_rows(problem, count=512, seed=0):
    points = np.random.default_rng(seed).random((count, problem.table.columns))
    return tables.unit_to_row(problem.table, points, np)


def best_row(problem, branch=0):
    """The row at which a branch attains its minimum."""
    of = jax.tree.map(lambda leaf: leaf[branch], problem.data.branches)
    row = np.array(problem.table.default, float)
    for i in np.flatnonzero(of.used):
        column, at = int(of.columns[i]), of.optimum_at[i]
        if problem.table.kind[column] == tables.CATEGORY:
            at = float(np.argmin(np.abs(problem.data.position[column] - at)))
        row[column] = at
    if problem.data.chooser >= 0:
        row[int(problem.data.chooser)] = branch
    return row[None]


# Values printed in the literature (Surjanovic and Bingham), where a table gives one.
@pytest.mark.parametrize(
    "name, d, point, value",
    [
        ("branin", None, (-np.pi, 12.275), 0.397887),
        ("branin", None, (9.42478, 2.475), 0.397887),
        ("hartmann3", None, (0.114614, 0.555649, 0.852547), -3.86278),
        ("hartmann6", None, (0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573), -3.32237),
        ("ackley", 3, (0, 0, 0), 0.0),
        ("rosenbrock", 3, (0, 0, 0), 2.0),
        ("rosenbrock", 2, (-1, 1), 4.0),
        ("levy", 2, (1, 1), 0.0),
        ("rastrigin", 2, (1, 1), 2.0),
        ("griewank", 2, (0, 0), 0.0),
        ("styblinski_tang", 2, (1, 1), -10.0),
        ("cosine8", None, (1,) * 8, 8.8),
        ("michalewicz", 2, (2.202906, 1.570796), -1.8013),
    ],
)
def test_values_in_print(name, d, point, value):
    problem = problems.function(name, d)
    rows = problem.space.encode([{f"x{i}": float(x) for i, x in enumerate(point)}])
    assert on_host(problem, rows)[0] == pytest.approx(value, abs=6e-5)


@pytest.mark.parametrize("name", [f.name for f in functions.FUNCTIONS])
def test_minima_are_stationary_in_long_arithmetic(name):
    function = functions.FUNCTIONS[functions.INDEX[name]]
    d = function.dimensions or 3
    at, least = np.asarray(function.minimiser(d), float), function.minimum(d)
    used = np.ones(d)
    value = float(function.formula(at, used, np))
    assert value == pytest.approx(least, abs=2e-13 * max(1, abs(least)))
    low, high = function.bounds(d)
    steps = np.random.default_rng(0).standard_normal((2000, d)) * (high - low) * 0.02
    near = np.clip(at + steps, low, high)
    assert (function.formula(near, used, np) >= least - 1e-12).all()


def test_hartmann_minimum_by_newton_in_thirty_digits():
    mpmath.mp.dps = 30
    for d in (3, 6):
        function = functions.FUNCTIONS[functions.INDEX[f"hartmann{d}"]]
        wells = list(
            zip(
                functions.HARTMANN_WEIGHTS, functions.HARTMANN_WIDTHS[d],
                functions.HARTMANN_CENTRES[d], strict=True,
            )
        )  # fmt: skip

        def slope(*x, wells=wells, d=d):
            return [
                mpmath.fsum(
                    2 * w * a[j] * (x[j] - c[j])
                    * mpmath.exp(-mpmath.fsum(a[k] * (x[k] - c[k]) ** 2 for k in range(d)))
                    for w, a, c in wells
                )
                for j in range(d)
            ]  # fmt: skip

        at = mpmath.findroot(slope, [mpmath.mpf(float(v)) for v in function.minimiser(d)])
        value = -mpmath.fsum(
            w * mpmath.exp(-mpmath.fsum(a[k] * (at[k] - c[k]) ** 2 for k in range(d)))
            for w, a, c in wells
        )
        assert function.minimum(d) == pytest.approx(float(value), abs=1e-13)
        assert np.allclose(function.minimiser(d), [float(v) for v in at], atol=1e-11)


@pytest.mark.parametrize("name, d", EVERY)
@pytest.mark.parametrize("instance", [0, 4])
def test_the_optimum_is_attained_and_not_passed(name, d, instance):
    problem = problems.function(name, d, instance=instance)
    assert on_host(problem, best_row(problem))[0] == pytest.approx(float(problem.optimum), abs=1e-9)
    assert on_host(problem, some_rows(problem)).min() >= problem.optimum - 1e-9


def test_instances_move_the_minimiser_and_turn_the_axes():
    plain, moved = problems.rosenbrock(4), problems.rosenbrock(4, instance=2)
    assert not np.allclose(best_row(plain), best_row(moved))
    turn = moved.data.branches.rotation[0][:4, :4]
    assert np.allclose(turn @ turn.T, np.eye(4), atol=1e-12)
    assert np.abs(turn - np.eye(4)).max() > 0.1
    same = problems.rosenbrock(4, instance=2)
    assert all(map(np.array_equal, jax.tree.leaves(moved.data), jax.tree.leaves(same.data)))
    inside = best_row(moved)[0, :4]
    assert (inside >= instances.MARGIN).all() and (inside <= 1 - instances.MARGIN).all()


def test_one_compiled_program_for_every_function_of_a_size_class():
    made = [
        problems.hartmann6(instance=1),
        problems.mixed("levy", 6, instance=2),
        problems.conditional("conditional_ackley", instance=3),
        problems.ackley(5),
    ]
    rows = np.stack([some_rows(p, 16, seed=i) for i, p in enumerate(made)])
    data = jax.tree.map(lambda *leaves: np.stack(leaves), *[p.data for p in made])
    with jax.enable_x64(True):
        together = jax.jit(lambda d, r: jax.lax.map(lambda x: instances.truth(*x), (d, r)))
        found = np.asarray(together(data, rows))
    for line, problem, x in zip(found, made, rows, strict=True):
        assert np.allclose(line, on_host(problem, x), rtol=1e-10, atol=1e-10)


def test_single_precision_is_close():
    problem = problems.levy(4, instance=1)
    rows = some_rows(problem, 64)
    found = np.asarray(jax.jit(instances.truth)(problem.data, rows.astype(np.float32)))
    assert found.dtype == np.float32
    assert np.allclose(found, on_host(problem, rows), rtol=1e-3, atol=1e-3)


def test_reference_is_the_median():
    problem = problems.styblinski_tang(3, instance=1)
    values = on_host(problem, some_rows(problem, 20_000))
    share = float(np.mean(values < problem.reference))
    assert share == pytest.approx(0.5, abs=0.03)


def test_noise_has_the_stated_spread_and_truth_has_none():
    problem = problems.hartmann3(noise=0.1, instance=1)
    assert problem.name == "noisy_hartmann3"
    rows = np.repeat(some_rows(problem, 1), 4000, axis=0).astype(np.float32)
    noisy = np.asarray(problem.evaluate(problem.data, jax.random.key(0), jnp.asarray(rows)))
    spread = 0.1 * (problem.reference - problem.optimum)
    assert noisy.std() == pytest.approx(spread, rel=0.05)
    assert np.ptp(np.asarray(problem.noise_free(rows))) == 0
    assert noisy.mean() == pytest.approx(float(problem.noise_free(rows)[0]), abs=4 * spread / 63)


def test_mixed_problems_read_every_kind():
    problem = problems.mixed("rastrigin", 6, instance=1)
    base = best_row(problem)
    least = on_host(problem, base)[0]
    assert least == pytest.approx(float(problem.optimum), abs=1e-9)
    for column in range(6):
        other = base.copy()
        kind = problem.table.kind[column]
        other[0, column] = (base[0, column] + 1) % 5 if kind == tables.CATEGORY else 0.03
        other = tables.canonical(problem.table, other, np)
        assert on_host(problem, other)[0] > least + 1e-6


@pytest.mark.parametrize("name", ["conditional_levy", "conditional_ackley"])
def test_branches_read_their_own_columns_and_no_other(name):
    problem = problems.conditional(name, instance=2)
    rows = some_rows(problem, 300)
    values = on_host(problem, rows)
    shaken = rows.copy()
    active = tables.active(problem.table, rows, np)
    noise = np.random.default_rng(1).random(rows.shape)
    shaken = np.where(active, shaken, noise)
    assert np.allclose(on_host(problem, shaken), values)
    least = [on_host(problem, best_row(problem, branch))[0] for branch in range(3)]
    assert min(least) == pytest.approx(float(problem.optimum), abs=1e-9)
    assert len({round(float(v), 3) for v in least}) == 3, "each branch has a minimum of its own"


def test_the_standard_set_is_what_it_was():
    made = problems.standard()
    names = list(dict.fromkeys(p.name for p in made))
    assert [
        (n, problems.described(n).half, problems.described(n).family) for n in names
    ] == STANDARD
    for half in problems.HALVES:
        numbers = [(p.name, int(p.data.number)) for p in problems.standard(half)]
        assert len(numbers) == len(set(numbers)) == 20
        assert all(1 <= number <= 4 for _, number in numbers)
    dimensions = {len(p.space.parameters) for p in made}
    assert min(dimensions) == 2 and max(dimensions) == 10
    assert len(problems.standard("tuning", instances=1)) == 5


# What a problem is must never change unnoticed: figures of other days are compared with it.
def test_values_of_the_standard_problems_are_pinned():
    pinned = json.loads((Path(__file__).parent / "data" / "standard_values.json").read_text())
    for problem in problems.standard():
        row = np.linspace(0.13, 0.87, problem.table.columns)[None]
        row = tables.unit_to_row(problem.table, row, np)
        label = f"{problem.name}/{int(problem.data.number)}"
        found = [float(on_host(problem, row)[0]), float(problem.reference), float(problem.optimum)]
        assert found == pytest.approx(pinned[label], rel=1e-9, abs=1e-9), label


@pytest.mark.slow
def test_draws_of_a_gaussian_process_have_its_covariance():
    made = [problems.gp_draw(2, instance=i) for i in range(150)]
    rows = np.zeros((3, made[0].table.columns), np.float32)
    rows[0, :2], rows[1, :2], rows[2, :2] = (0.5, 0.5), (0.6, 0.5), (0.9, 0.1)
    values = np.array([np.asarray(p.noise_free(rows)) for p in made])
    distance = np.linalg.norm(rows[:, None] - rows[None], axis=-1) / (0.2 * np.sqrt(2))
    s = np.sqrt(5) * distance
    expected = (1 + s + s * s / 3) * np.exp(-s)
    assert np.allclose(values.T @ values / len(made), expected, atol=0.3)
    assert all((v >= p.optimum - 1e-4).all() for v, p in zip(values, made, strict=True))


def test_tables_answer_with_the_nearest_row_and_name_bad_input():
    space = bojax.Space({"x": bojax.Float(0, 1), "c": bojax.Categorical(["a", "b"])})
    configs = [{"x": 0.1, "c": "a"}, {"x": 0.9, "c": "a"}, {"x": 0.1, "c": "b"}]
    problem = problems.table(space, configs, [3.0, 1.0, float("nan")], name="mine")
    rows = space.encode([{"x": 0.4, "c": "a"}, {"x": 0.6, "c": "a"}, {"x": 0.0, "c": "b"}])
    found = np.asarray(problem.noise_free(rows))
    assert found[:2].tolist() == [3.0, 1.0] and np.isnan(found[2])
    assert (float(problem.optimum), float(problem.reference)) == (1.0, 2.0)
    with pytest.raises(DataError, match="mine: 3 configurations and values of shape"):
        problems.table(space, configs, [1.0], name="mine")
    with pytest.raises(DataError, match="1 finite values"):
        problems.table(space, configs[:1], [1.0])


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: problems.function("sphere", 2), "unknown function 'sphere'; one of branin"),
        (lambda: problems.function("branin", 3), "branin: has 2 dimensions, got 3"),
        (lambda: problems.function("levy"), "levy: dimensions must be at least 1"),
        (lambda: problems.rosenbrock(1), "rosenbrock: dimensions must be at least 2"),
        (lambda: problems.conditional("levy"), "unknown 'levy'; one of conditional_levy"),
        (lambda: problems.levy(2, instance=-1), "must not be negative"),
        (lambda: problems.gp_draw(2, kernel="cosine"), "kernel must be one of rbf"),
        (lambda: problems.gp_draw(2, length_scale=0.0), "length_scale must be above 0"),
        (lambda: problems.standard("other"), "half must be tuning or reporting"),
    ],
)
def test_bad_input_is_named(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
