"""Whole runs as one pure function: the same as the Optimizer's, and jit and vmap."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.history import Status

SPACE = bojax.Space({"x": bojax.Float(0.0, 1.0), "y": bojax.Float(0.0, 1.0)})
MIXED = bojax.Space({"x": bojax.Float(0.0, 1.0), "n": bojax.Int(0, 7), "b": bojax.Boolean()})
QUICK = bojax.strategies.gp(candidates=56, local=8, fantasies=8, lanes=4)
STRATEGIES = {
    "random": bojax.strategies.random(),
    "sobol": bojax.strategies.sobol(),
    "gp": QUICK,
}


def bowl(shift, key, rows):
    return jnp.sum((rows[:, :2] - shift) ** 2, axis=1)


SHIFT = np.array([0.32, 0.71])


def problem(shift=SHIFT, space=SPACE, evaluate=bowl):
    return bojax.loop.Problem(space.table, evaluate, shift)


def in_double(function, *arguments):
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, jax.jit(function)(*arguments))


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_loop_is_the_optimizer_without_the_host(name):
    """In float64 the same suggestions at the same seed, evaluation by evaluation."""
    with jax.enable_x64(True):
        key = jax.random.key(3)
    history = in_double(
        lambda key: bojax.loop.run(STRATEGIES[name], problem(), key, evaluations=12), key
    )
    opt = bojax.Optimizer(SPACE, strategy=STRATEGIES[name], seed=3, evaluations=12)
    for i in range(12):
        trial = opt.ask()
        np.testing.assert_allclose(history.rows[i], trial.row, rtol=0, atol=1e-6, err_msg=str(i))
        opt.tell(trial, float(np.sum((trial.row[:2] - SHIFT) ** 2)))
    np.testing.assert_allclose(history.values[:12, 0], opt.history.values[:12, 0], atol=1e-6)


@pytest.fixture(scope="module")
def one_by_one():
    return in_double(
        lambda key: bojax.loop.run(STRATEGIES["sobol"], problem(), key, evaluations=20),
        jax.random.key(0),
    )


@pytest.mark.parametrize("batch", [3, 20])
def test_any_batch_makes_as_many_evaluations_as_asked(batch, one_by_one):
    history = in_double(
        lambda key: bojax.loop.run(
            STRATEGIES["sobol"], problem(), key, evaluations=20, batch=batch
        ),
        jax.random.key(0),
    )
    assert (history.status[:20] == Status.DONE).all() and (history.status[20:] == 0).all()
    assert history.trial.tolist() == [*range(20), *[-1] * 44]
    # A fixed design does not see the batch.
    np.testing.assert_array_equal(history.rows, one_by_one.rows)
    np.testing.assert_array_equal(history.trial, one_by_one.trial)
    np.testing.assert_array_equal(history.status, one_by_one.status)


def test_vmapped_runs_are_each_run_alone():
    """Over keys and problems together, in float32, no x64 anywhere."""
    strategy = STRATEGIES["random"]

    def one(key, shift):
        return bojax.loop.run(strategy, problem(shift), key, evaluations=9, batch=2)

    keys, shifts = jax.random.split(jax.random.key(1), 3), jnp.linspace(0.1, 0.9, 6).reshape(3, 2)
    together = jax.jit(jax.vmap(one))(keys, shifts)
    assert together.rows.shape == (3, 64, 4) and together.rows.dtype == jnp.float32
    alone = jax.jit(one)
    for i in range(3):
        single = alone(keys[i], shifts[i])
        np.testing.assert_allclose(together.rows[i], single.rows, atol=1e-6)
        np.testing.assert_allclose(together.values[i], single.values, atol=1e-6)
    best = np.asarray(bojax.loop.best_so_far(together))
    assert best.shape == (3, 64) and (np.diff(best, axis=1) <= 0).all()
    np.testing.assert_array_equal(best[:, -1], np.nanmin(together.values[:, :9, 0], axis=1))


def test_failures_are_lines_and_never_the_best():
    def half(data, key, rows):
        return jnp.where(rows[:, 0] > 0.5, jnp.nan, -rows[:, 0])

    history = in_double(
        lambda key: bojax.loop.run(
            STRATEGIES["sobol"], problem(evaluate=half), key, evaluations=16
        ),
        jax.random.key(2),
    )
    failed = history.rows[:16, 0] > 0.5
    assert failed.sum() == 8  # eight of sixteen points of a net
    assert ((history.status[:16] == Status.FAILED) == failed).all()
    with jax.enable_x64(True):
        best = float(bojax.loop.best_so_far(history)[-1])
    assert best == -history.rows[:16, 0][~failed].max()


def test_noise_has_keys_of_its_own():
    def noise(data, key, rows):
        return jax.random.normal(key, (rows.shape[0],), rows.dtype)

    history = in_double(
        lambda key: bojax.loop.run(
            STRATEGIES["sobol"], problem(evaluate=noise), key, evaluations=9
        ),
        jax.random.key(0),
    )
    assert len(set(history.values[:9, 0])) == 9


def test_a_space_used_up_fails_the_rest_instead_of_repeating_it():
    space = bojax.Space({"n": bojax.Int(0, 3), "b": bojax.Boolean()})
    history = in_double(
        lambda key: bojax.loop.run(STRATEGIES["random"], problem(space=space), key, evaluations=40),
        jax.random.key(0),
    )
    done = history.status[:40] == Status.DONE
    assert len(np.unique(history.rows[:40][done], axis=0)) == done.sum() == 8


@pytest.mark.parametrize("setting", ["evaluations", "batch"])
def test_a_number_that_is_none_is_refused(setting):
    given = {"evaluations": 3, "batch": 1} | {setting: 0}
    with pytest.raises(ValueError, match=f"{setting} must be at least 1, got 0"):
        bojax.loop.run(STRATEGIES["random"], problem(), jax.random.key(0), **given)


@pytest.mark.slow
def test_the_model_beats_chance_in_four_dimensions():
    """The default strategy on a shifted quadratic, 25 evaluations, five seeds, float32."""
    space = bojax.Space({name: bojax.Float(0.0, 1.0) for name in "abcd"})

    def quadratic(shift, key, rows):
        return jnp.sum((rows - shift) ** 2, axis=1)

    shifts = jax.random.uniform(jax.random.key(7), (5, 4), minval=0.2, maxval=0.8)
    keys = jax.random.split(jax.random.key(8), 5)
    best = {}
    for name in ("gp", "random"):
        strategy = bojax.strategies.by_name(name)

        def one(packed, strategy=strategy):
            key, shift = packed
            made = bojax.loop.Problem(space.table, quadratic, shift)
            return bojax.loop.run(strategy, made, key, evaluations=25)

        history = jax.jit(lambda packed, one=one: jax.lax.map(one, packed))((keys, shifts))
        best[name] = float(bojax.loop.best_so_far(history)[:, -1].mean())
    assert best["gp"] < best["random"] / 5


def test_a_run_in_float32_leaves_the_optimizer_of_its_space_alone():
    """JAX keeps a float32 copy of a NumPy constant; nobody else may be handed it."""
    space = bojax.Space({"x": bojax.Float(-1.0, 1.0)})
    problem = bojax.loop.Problem(
        space.table, lambda data, key, rows: (rows[:, 0] - data) ** 2, np.full((), 0.3)
    )

    def run(key):
        return bojax.loop.run(bojax.strategies.sobol(), problem, key, evaluations=2).values

    jax.jit(run)(jax.random.key(0))
    jax.jit(problem.noise_free)(np.zeros((1, 4), np.float32))
    with jax.enable_x64(True):
        jax.jit(lambda table, data: (table.low, data))(problem.table, problem.data)
    assert bojax.Optimizer(space, strategy="sobol").ask().config["x"] <= 1.0
