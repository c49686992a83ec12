"""Projected L-BFGS: against SciPy, against optimality conditions, under vmap."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize as scipy_optimize

from bojax.optimize import minimize

P = 6  # variables of every problem here, so that one program serves many


def quadratic(problem, x):
    matrix, centre = problem
    moved = x - centre
    return 0.5 * moved @ matrix @ moved, matrix @ moved


def rosenbrock(problem, x):
    value = jnp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2) + 0.0 * problem[1][0]
    return value


def solver(objective):
    @jax.jit
    def solve(problem, start, low, high, most, tolerance):
        return minimize(
            lambda x: objective(problem, x),
            start,
            low,
            high,
            most_evaluations=most,
            tolerance=tolerance,
        )

    def run(problem, start, low, high, most=400, tolerance=1e-14):
        with jax.enable_x64(True):
            arguments = jax.tree.map(
                lambda x: np.asarray(x, float), (problem, start, low, high, tolerance)
            )
            result = solve(*arguments[:4], np.int32(most), arguments[4])
            return jax.tree.map(np.asarray, result)

    return run


@pytest.fixture(scope="module")
def solve_quadratic():
    return solver(quadratic)


@pytest.fixture(scope="module")
def solve_rosenbrock():
    return solver(lambda p, x: jax.value_and_grad(lambda y: rosenbrock(p, y))(x))


def convex(seed, condition=1e3):
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(rng.normal(size=(P, P)))
    matrix = turn @ np.diag(np.geomspace(1.0, condition, P)) @ turn.T
    low = rng.uniform(-1, 0, P)
    high = low + rng.uniform(0.05, 2, P)
    return ((matrix + matrix.T) / 2, rng.normal(size=P)), rng.uniform(-1, 1, P), low, high


@settings(max_examples=150)
@given(st.integers(0, 2**32), st.sampled_from([1.0, 1e2, 1e4]))
def test_optimality_conditions_of_convex_problems_in_a_box(solve_quadratic, seed, condition):
    problem, start, low, high = convex(seed, condition)
    result = solve_quadratic(problem, start, low, high)
    slope = problem[0] @ (result.x - problem[1])
    scale = 1e-4 * np.abs(problem[0]).max()
    assert (result.x >= low).all() and (result.x <= high).all()
    inside = (result.x > low) & (result.x < high)
    assert (np.abs(slope[inside]) <= scale).all()
    assert (slope[result.x == low] >= -scale).all() and (slope[result.x == high] <= scale).all()
    # scipy's own distance from the optimum is what limits the comparison
    reference = scipy_optimize.minimize(
        lambda x: tuple(np.asarray(part) for part in quadratic(problem, x)),
        np.clip(start, low, high),
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(low, high, strict=True)),
        options={"ftol": 1e-15, "gtol": 1e-10},
    )
    assert result.value <= reference.fun + 1e-7 * (1 + abs(reference.fun))


@pytest.mark.parametrize("box", [(-2.0, 2.0), (-2.0, 0.8), (-5.0, 10.0), (0.9, 0.95)])
def test_rosenbrock_in_a_box_equals_scipy(solve_rosenbrock, box):
    start, low, high = np.full(P, -1.2), np.full(P, box[0]), np.full(P, box[1])
    start[::2] = 0.5
    problem = (np.eye(P), np.zeros(P))
    result = solve_rosenbrock(problem, start, low, high, most=1000)
    reference = scipy_optimize.minimize(
        scipy_optimize.rosen,
        np.clip(start, low, high),
        jac=scipy_optimize.rosen_der,
        method="L-BFGS-B",
        bounds=list(zip(low, high, strict=True)),
        options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 1000},
    )
    assert result.converged
    np.testing.assert_allclose(result.value, reference.fun, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(result.x, reference.x, atol=1e-4)
    # and not at many times its cost
    assert result.evaluations <= 2 * reference.nfev + 30


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.sampled_from([1e2, 1e6]))
def test_the_value_never_rises(solve_quadratic, seed, condition):
    problem, start, low, high = convex(seed, condition)
    most = [1, 2, 3, 4, 5, 6, 8, 12, 20, 40]
    values = [solve_quadratic(problem, start, low, high, most=m).value for m in most]
    assert (np.diff(values) <= 0).all()


def test_evaluations_are_counted_and_bounded():
    calls = []

    def counted(x):
        jax.debug.callback(lambda _: calls.append(1), x)
        return jnp.sum((x - 3.0) ** 4), 4.0 * (x - 3.0) ** 3

    for most in (1, 2, 7):
        calls.clear()
        result = minimize(
            counted, jnp.zeros(P), jnp.full(P, -9.0), jnp.full(P, 9.0), most_evaluations=most
        )
        jax.effects_barrier()
        assert len(calls) == int(result.evaluations) == most
        assert not result.converged


def test_one_evaluation_is_the_start(solve_quadratic):
    problem, start, low, high = convex(0)
    result = solve_quadratic(problem, start, low, high, most=1)
    np.testing.assert_array_equal(result.x, np.clip(start, low, high))
    expected, slope = quadratic(problem, np.clip(start, low, high))
    np.testing.assert_allclose(result.value, expected, rtol=1e-14)
    np.testing.assert_allclose(result.gradient, slope, rtol=1e-12)


def test_frozen_variables_stay(solve_quadratic):
    problem, start, low, high = convex(5)
    low[[1, 4]] = high[[1, 4]] = start[[1, 4]]
    result = solve_quadratic(problem, start, low, high)
    assert np.array_equal(result.x[[1, 4]], start[[1, 4]])
    free = [0, 2, 3, 5]
    slope = (problem[0] @ (result.x - problem[1]))[free]
    inside = (result.x > low)[free] & (result.x < high)[free]
    assert (np.abs(slope[inside]) < 1e-3).all()


def test_all_frozen_is_done_at_once(solve_quadratic):
    problem, start, _, _ = convex(5)
    result = solve_quadratic(problem, start, start, start)
    assert np.array_equal(result.x, start) and result.converged and result.evaluations == 1


@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf])
def test_regions_without_a_value_are_survived(hole):
    """A logarithm's wall: undefined from 1 on, the minimum just before it."""

    def walled(x):
        value = jnp.sum(-jnp.log(jnp.where(x < 1, 1 - x, 1.0)) * 0.01 - x)
        slope = 0.01 / jnp.where(x < 1, 1 - x, 1.0) - 1.0
        bad = jnp.any(x >= 1)
        return jnp.where(bad, hole, value), jnp.where(bad, jnp.nan, slope)

    with jax.enable_x64(True):
        result = minimize(
            walled, jnp.zeros(P), jnp.full(P, -9.0), jnp.full(P, 9.0), tolerance=1e-12
        )
    np.testing.assert_allclose(result.x, 0.99, atol=1e-5)


def test_a_start_without_a_value_is_said_so():
    result = minimize(
        lambda x: (jnp.nan * x[0], x), jnp.zeros(P), jnp.full(P, -1.0), jnp.full(P, 1.0)
    )
    assert np.isposinf(result.value) and np.array_equal(result.x, np.zeros(P))
    assert result.evaluations == 1


def test_lanes_under_vmap_equal_each_alone(solve_quadratic):
    problems = [convex(seed) for seed in range(5)]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *problems)

    def lane(problem, start, low, high):
        return minimize(
            lambda x: quadratic(problem, x), start, low, high, most_evaluations=400, tolerance=1e-14
        )

    with jax.enable_x64(True):
        together = jax.jit(jax.vmap(lane))(*stacked)
    for i, one in enumerate(problems):
        alone = solve_quadratic(*one)
        np.testing.assert_allclose(together.x[i], alone.x, atol=1e-6)
        np.testing.assert_allclose(together.value[i], alone.value, rtol=1e-9, atol=1e-12)


def test_memory_and_largest_move_and_tolerance_change_the_path(solve_quadratic):
    problem, start, low, high = convex(2, 1e4)
    low, high = np.full(P, -9.0), np.full(P, 9.0)

    def evaluations(**settings):
        with jax.enable_x64(True):
            arrays = [jnp.asarray(x) for x in (start, low, high)]
            given = {"tolerance": 1e-12, "most_evaluations": 500} | settings
            result = minimize(lambda x: quadratic(problem, x), *arrays, **given)
            return int(result.evaluations)

    usual = evaluations()
    assert evaluations(memory=1) > usual
    assert evaluations(tolerance=1e-2) < usual
    assert evaluations(largest_move=0.01) > usual


def test_float32_without_x64():
    problem, start, low, high = convex(1, 10.0)
    arrays = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), (problem, start, low, high))
    result = minimize(lambda x: quadratic(arrays[0], x), *arrays[1:], tolerance=1e-7)
    assert result.x.dtype == jnp.float32 and bool(result.converged)
    reference = scipy_optimize.minimize(
        lambda x: tuple(np.asarray(part) for part in quadratic(problem, x)),
        np.clip(start, low, high),
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(low, high, strict=True)),
    )
    np.testing.assert_allclose(result.value, reference.fun, rtol=1e-4, atol=1e-5)
