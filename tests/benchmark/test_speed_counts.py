"""The work behind the engine's speed, counted: no clock, so no busy machine can fail these.

Each bound is what was counted when it was written, rounded up a little; who makes the engine
do less lowers it.
"""

import importlib
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.optimize.linalg import LEAF, cholesky, inverse_transposed
from bojax.surrogates import Data

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
LINES, COLUMNS = 24, 4
FIT_EVALUATIONS = 70  # 16 screened draws, then four searches
REFIT_EVALUATIONS = 8  # one search, from the optimum of one line less
# Operations of the objective over those of potrf, potri and one pass (benchmarks/floor.py).
# For large n they tend to 3.1: 1/3 the factor, 2/3 its inverse, 2 the product of K^-1 = U U'.
FLOPS_OVER_FLOOR = 3.75  # at 128 lines
# Of matrices, in one evaluation at 128 lines. Four make U U' without its zero blocks, which is
# half the work of the one there was.
PRODUCTS = 14


@pytest.fixture
def bench(monkeypatch):
    """`bench("speed_parts.counts")` is that module of the benchmarks."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if name.split(".")[0] in {"speed", "speed_parts", "floor", "record"}:
            del sys.modules[name]


def observations(n, d, seed=0):
    rng = np.random.default_rng(seed)
    rows = rng.random((n, d))
    values = np.sin(5 * rows[:, 0]) + rows[:, 1] ** 2 + 0.1 * rng.normal(size=n)
    return rows, values


# ---------------------------------------------------------------- the counting itself


def test_factors_and_solves_by_their_textbook_counts(bench):
    counts = bench("speed_parts.counts")

    def both(a, b):
        return jax.scipy.linalg.solve_triangular(cholesky(a), b, lower=True)

    traced = jax.make_jaxpr(both)(jnp.eye(12), jnp.ones((12, 5)))
    assert counts.lapack_flops(traced) == 12**3 / 3 + 12**2 * 5
    batch = jax.make_jaxpr(cholesky)(jnp.ones((7, 12, 12)))
    assert counts.lapack_flops(batch) == 7 * 12**3 / 3


def test_what_stands_in_loops_and_branches_is_counted_once(bench):
    counts = bench("speed_parts.counts")

    def looped(a):
        a = jax.lax.fori_loop(0, 9, lambda i, m: jax.jit(cholesky)(m), a)
        return jax.lax.cond(a[0, 0] > 0, lambda m: m @ m, lambda m: jnp.linalg.eigh(m)[1], a)

    found = counts.calls(jax.make_jaxpr(looped)(jnp.eye(3)))
    assert {name: n for name, n in found.items() if n} == {
        "cholesky": 1, "dot_general": 1, "eigh": 1
    }  # fmt: skip


def test_flops_of_a_product(bench):
    counts = bench("speed_parts.counts")
    traced = jax.jit(lambda a, b: a @ b).trace(jnp.ones((32, 48)), jnp.ones((48, 16)))
    assert counts.flops(traced.lower().compile(), traced.jaxpr) == 2 * 32 * 48 * 16


# ---------------------------------------------------------------- the engine


def test_an_evaluation_factors_once_and_costs_little_more_than_the_floor(bench):
    n = 2 * LEAF
    engine, counts, floor = bench("speed_parts.engine"), bench("speed_parts.counts"), bench("floor")
    kernel, evidence, _ = engine.prepared(*observations(n, COLUMNS))
    found = engine.evaluation(kernel, evidence)
    assert found.calls["cholesky"] == 1
    assert found.calls["triangular_solve"] == 1
    assert found.calls["dot_general"] <= PRODUCTS
    assert not any(found.calls[name] for name in counts.OTHERS)
    assert found.flops <= FLOPS_OVER_FLOOR * floor.flops(n, COLUMNS)


def test_a_fit_evaluates_its_objective_in_one_place(bench):
    counts = bench("speed_parts.counts")
    rows, values = (jnp.asarray(x, jnp.float32) for x in observations(64, COLUMNS))
    traced = jax.make_jaxpr(
        lambda key, rows, values: bojax.surrogates.gp().fit_pure(key, Data(rows, values))
    )(jax.random.key(0), rows, values)
    found = counts.calls(traced)
    assert found["cholesky"] == 1  # the objective's, whose factors are the posterior's
    assert not any(found[name] for name in counts.OTHERS)


def test_evaluations_of_a_fit_and_of_a_refit():
    rows, values = observations(LINES, COLUMNS)
    gp, key = bojax.surrogates.gp(), jax.random.key(0)
    _, before = gp.fit(key, Data(rows[:-1], values[:-1]))
    _, after = gp.fit(key, Data(rows, values), before.theta)
    assert 20 < before.evaluations <= FIT_EVALUATIONS
    assert 1 < after.evaluations <= REFIT_EVALUATIONS
    assert before.converged and after.converged


def test_a_suggestion_is_two_programs_and_the_next_none(count_compiles):
    # A size of the pool that nobody else uses: no other test has compiled these programs.
    strategy = bojax.strategies.gp(candidates=56, local=8)
    space = {f"x{i}": bojax.Float(0, 1) for i in range(COLUMNS)}
    optimizer = bojax.Optimizer(space, strategy=strategy, seed=0)
    for row, value in zip(*observations(6, COLUMNS), strict=True):
        optimizer.tell(dict(zip(optimizer.space.names, map(float, row), strict=True)), value)
    with count_compiles() as programs:
        trial = optimizer.ask()
    assert sorted(programs) == ["jit(_fit_program)", "jit(_suggest_program)"]
    optimizer.tell(trial, 0.0)
    with count_compiles() as programs:
        optimizer.ask()
    assert programs == []


def test_the_inverse_is_made_of_products():
    """One triangular solve, of small blocks together, and two products a level."""
    n = 4 * LEAF
    lower = jnp.eye(n) + jnp.tril(jnp.full((n, n), 0.01), -1)
    equations = jax.make_jaxpr(inverse_transposed)(lower).eqns
    (solve,) = [e for e in equations if e.primitive.name == "triangular_solve"]
    assert solve.invars[0].aval.shape == (4, LEAF, LEAF)
    assert sum(e.primitive.name == "dot_general" for e in equations) == 2 * 2
