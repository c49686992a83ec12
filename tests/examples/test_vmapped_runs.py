"""The example runs; its problem is Hartmann's function, its runs are those of single runs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax

# Where Hartmann's function in 6-d is least, from its published definition.
LEAST = [0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573]


@pytest.fixture
def runs(example):
    return example("vmapped_runs")


def test_the_optimum_is_the_functions(runs):
    row = jnp.zeros((1, runs.PROBLEM.table.columns)).at[0, :6].set(jnp.array(LEAST))
    (value,) = runs.hartmann6(runs.PROBLEM.data, None, row)
    assert value == pytest.approx(runs.OPTIMUM, abs=1e-5)
    gradient = jax.grad(lambda r: runs.hartmann6(runs.PROBLEM.data, None, r)[0])(row)
    assert np.abs(gradient).max() < 1e-3


def test_random_runs_in_one_program(runs, capsys):
    found = runs.main(runs=6, evaluations=20, strategies=("random",))
    final = found["random"]
    assert final.shape == (6,)
    assert (final > 0).all() and len(set(final.tolist())) == 6
    assert str(runs.median_interval(final)) in capsys.readouterr().out
    keys = jax.random.split(jax.random.key(runs.SEED), 6)
    one = bojax.loop.run(bojax.strategies.random(), runs.PROBLEM, keys[2], evaluations=20)
    values = np.asarray(one.values)[:20, 0]
    assert values.min() - runs.OPTIMUM == pytest.approx(final[2], rel=1e-5)


def test_longer_and_other_runs_differ(runs):
    random = bojax.strategies.random()
    short, *_ = runs.regrets(random, runs=2, evaluations=5)
    longer, *_ = runs.regrets(random, runs=2, evaluations=20)
    other, *_ = runs.regrets(random, runs=2, evaluations=5, seed=1)
    assert (longer <= short).all() and (longer < short).any()
    assert not np.array_equal(short, other)


def test_the_interval_holds_the_median(runs):
    interval = runs.median_interval(np.arange(101.0))
    assert interval.low < interval.mean == 50 < interval.high
    assert runs.median_interval(np.arange(101.0), level=0.5).low > interval.low


@pytest.mark.slow
def test_the_model_beats_random(runs):
    found = runs.main(runs=8, evaluations=30)
    assert np.median(found["gp"]) < 0.5 * np.median(found["random"])
