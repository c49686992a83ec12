"""The BBOB functions against values of two reference programs (data/make_bbob.py)."""

import functools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.benchmark.problems._bbob import bbob, bbob_instance, evaluate, evaluate_on_host
from bojax.benchmark.problems._bbob_instances import DEFINITIONS, uniform
from bojax.errors import ConfigError

REFERENCE = json.loads(Path(__file__).with_name("data").joinpath("bbob.json").read_text())
FUNCTIONS = range(1, 25)
STEPS, RUGGED = {7}, {16, 23}  # flat almost everywhere; of unbounded slope as terms are added
WAVES = 19  # takes the cosine of up to 1e7: beyond float32 away from the minimum
COLUMNS = 12  # all sizes padded to this one are one program


def stacked(instances):
    return jax.tree.map(lambda *leaves: np.stack(leaves), *instances)


def row_of(data):
    """The row of the minimiser."""
    return data.x_opt / 10 + 0.5 * (data.used > 0)


@functools.cache
def stored():
    """What is stored: numbers of the functions, data, rows `[288, 4, D]`, values, minima."""
    functions, instances, rows, values, minima = [], [], [], [], []
    for key, entry in REFERENCE["problems"].items():
        function, d, number = map(int, key.split())
        points = np.array([*REFERENCE["points"][str(d)], entry["near"]]) / REFERENCE["grid"]
        functions.append(function)
        instances.append(bbob_instance(function, d, number, columns=COLUMNS))
        rows.append(np.pad(points, [(0, 0), (0, COLUMNS - d)], constant_values=0.5))
        values.append(entry["values"])
        minima.append(entry["optimum"])
    return np.array(functions), instances, np.stack(rows), np.array(values), np.array(minima)


def one_by_one(data, rows):
    """`[problems, q]`, at the cost of one formula each."""
    return jax.lax.map(lambda each: evaluate(each[0], None, each[1]), (data, rows))


def test_values_of_the_reference_programs():
    _, instances, rows, values, minima = stored()
    assert len(instances) == 24 * 3 * 4
    with jax.enable_x64(True):
        found = np.asarray(jax.jit(one_by_one)(stacked(instances), rows))
    np.testing.assert_allclose(found, values, rtol=1e-9)
    # f_opt would hide errors of a value near the minimum: the last points are close to it.
    gaps = values - minima[:, None]
    np.testing.assert_allclose(found - minima[:, None], gaps, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose([data.f_opt for data in instances], minima, rtol=1e-15)


def test_values_on_the_host():
    _, instances, rows, values, _ = stored()
    found = [evaluate_on_host(data, x) for data, x in zip(instances, rows, strict=True)]
    np.testing.assert_allclose(found, values, rtol=1e-9)


def test_single_precision():
    functions, instances, rows, values, minima = stored()
    found = np.asarray(jax.jit(one_by_one)(stacked(instances), rows.astype(np.float32)))
    assert found.dtype == np.float32
    height = (values - minima[:, None]).max(axis=1) + np.abs(minima)
    error = np.abs(found - values).max(axis=1) / height
    coarse = np.isin(functions, [*RUGGED, WAVES])
    assert error[~coarse].max() < 3e-5
    assert error[coarse].max() < 1e-3


def test_the_minimum_is_attained_and_nothing_is_below():
    draw = np.random.default_rng(0)
    for function in FUNCTIONS:
        for d in (2, 5):
            data = bbob_instance(function, d, 4)
            at, size = row_of(data), len(data.used)
            far = 10.0 ** -draw.uniform(1, 6, (200, 1))
            near = np.clip(at + far * draw.normal(size=(200, size)), 0, 1)
            gaps = [evaluate_on_host(data, x) - data.f_opt for x in (at[None], near)]
            others = evaluate_on_host(data, draw.random((200, size))) - data.f_opt
            np.testing.assert_allclose(gaps[0], 0, atol=1e-9)
            assert gaps[1].min() > -1e-9 and others.min() > 1e-3, (function, d)


def test_minimisers_lie_in_the_box():
    for function in FUNCTIONS:
        data = bbob_instance(function, 40, 7)
        assert (np.abs(data.x_opt[:40]) <= 5).all() and not data.x_opt[40:].any(), function


def test_a_batch_over_functions_is_the_functions_one_by_one():
    instances = [bbob_instance(f, d, 2) for d in (2, 4) for f in FUNCTIONS]
    rows = np.random.default_rng(1).random((48, 3, 4))
    with jax.enable_x64(True):
        batch = jax.jit(jax.vmap(evaluate, in_axes=(0, None, 0)))(stacked(instances), None, rows)
    single = [evaluate_on_host(data, x) for data, x in zip(instances, rows, strict=True)]
    np.testing.assert_allclose(batch, single, rtol=1e-9)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_padding_changes_nothing(function):
    rows = np.random.default_rng(2).random((5, 8))
    alone = evaluate_on_host(bbob_instance(function, 3, columns=3), rows[:, :3])
    for columns in (4, 8):
        padded = evaluate_on_host(bbob_instance(function, 3, columns=columns), rows[:, :columns])
        np.testing.assert_allclose(padded, alone, rtol=1e-12)


def test_slopes():
    """In a batch of all functions: finite everywhere, right where there are any."""
    instances = [bbob_instance(f, 4, 3) for f in FUNCTIONS]
    points = np.random.default_rng(3).random((24, 6, 4))
    special = [[row_of(data), np.full(4, 0.5), np.zeros(4), np.ones(4)] for data in instances]
    points[WAVES - 1] = row_of(instances[WAVES - 1]) + 0.01 * points[WAVES - 1]
    rows = np.concatenate([points, special], axis=1).astype(np.float32)

    def total(rows):
        return jnp.sum(jax.vmap(evaluate, in_axes=(0, None, 0))(stacked(instances), None, rows))

    slopes = np.asarray(jax.jit(jax.grad(total))(rows))
    assert np.isfinite(slopes).all()
    step = 1e-6 * np.eye(4)
    for f, data, x, slope in zip(FUNCTIONS, instances, rows, slopes, strict=True):
        if f not in STEPS | RUGGED:
            ends = x[:6, None, None] + np.stack([step, -step])
            up, down = evaluate_on_host(data, ends.reshape(-1, 4)).reshape(6, 2, 4).swapaxes(0, 1)
            error = np.abs(slope[:6] - (up - down) / 2e-6)
            steepest = np.abs(slope[:6]).max(axis=1)
            assert (error.max(axis=1) < 1e-4 * steepest).all(), f


def test_half_of_the_points_are_better_than_the_reference():
    draw = np.random.default_rng(4)
    for function in FUNCTIONS:
        problem = bbob(function, 5)
        values = evaluate_on_host(problem.data, draw.random((4000, 6)))
        assert abs(np.mean(values < problem.reference) - 0.5) < 0.04, function


def test_the_loop_takes_a_batch_of_functions():
    problems = [bbob(f, 3) for f in (1, 15, 21)]
    assert len({problem.space for problem in problems}) == 1
    data = stacked([problem.data for problem in problems])

    def run(data, key):
        problem = bojax.loop.Problem(problems[0].table, evaluate, data)
        return bojax.loop.run(bojax.strategies.random(), problem, key, evaluations=8, batch=3)

    history = jax.eval_shape(jax.vmap(run, in_axes=(0, None)), data, jax.random.key(0))
    assert history.values.shape[::2] == (3, 1)


def test_a_problem_is_about_its_space():
    problem = bbob(5, 3, instance=2)  # its minimiser is a corner
    corner = {f"x{i}": float(x) for i, x in enumerate(problem.data.x_opt[:3])}
    assert set(map(abs, corner.values())) == {5.0}
    (value,) = evaluate_on_host(problem.data, problem.space.encode([corner]))
    assert abs(value - problem.optimum) < 1e-12 and problem.name == "bbob_f5_linear_slope_3"


def test_names_are_unlike():
    assert len({definition.name for definition in DEFINITIONS.values()}) == 24


def test_uniform_numbers_are_those_of_park_and_miller():
    """Shuffled: all but the 32 that wait have come out, in another order."""
    state, plain = 1, []
    for _ in range(10_040):
        state = 16807 * state % (2**31 - 1)
        plain.append(state)
    assert plain[9_999] == 1043618065  # as printed by Park and Miller
    drawn = np.rint(uniform(10_000, 1) * (2**31 - 1)).astype(int)
    assert len(set(drawn)) == 10_000 and set(drawn) <= set(plain)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 3), "function must be an integer from 1 to 24, got 0"),
        ((25, 3), "function must be"),
        ((1, 1), "dimensions must be an integer from 2 to 40, got 1"),
        ((1, 2.5), "dimensions must be an integer from 2 to 40, got 2.5"),
        ((1, 3, 0), "instance must be an integer from 1 to 200000, got 0"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ConfigError, match=message):
        bbob(*arguments)


def test_rows_have_room_for_the_dimensions():
    with pytest.raises(ConfigError, match="3 dimensions need as many columns, got 2"):
        bbob_instance(1, 3, columns=2)
