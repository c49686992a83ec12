"""The regret's bound against the surrogate on a dense grid, and the advice that follows."""

import jax
import numpy as np
import pytest

import bojax
from bojax.strategies import gp
from bojax.surrogates import Data

SPACE = bojax.Space({"x": bojax.Float(0, 1)})
GRID = np.pad(np.linspace(0, 1, 4001)[:, None], ((0, 0), (0, SPACE.table.columns - 1)))


def told(xs, noise=0.0, direction="minimize", factor=1.0):
    optimizer = bojax.Optimizer(SPACE, strategy=gp(warp="none"), direction=direction)
    sign = 1.0 if direction == "minimize" else -1.0
    draws = np.random.default_rng(0).normal(size=len(xs))
    for x, e in zip(xs, draws, strict=True):
        value = np.sin(9.0 * x) + 0.7 * x + noise * e
        optimizer.tell({"x": float(x)}, sign * factor * float(value))
    return optimizer


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_the_bound_is_that_of_the_surrogate(direction):
    optimizer = told([0.02, 0.2, 0.35, 0.6, 0.8, 0.95], direction=direction)
    history = optimizer.history
    rows, values = history.rows, history.values[:, 0]
    posterior, _ = bojax.surrogates.gp(recipe="tuning").fit(
        jax.random.key(0), Data(rows, values, table=SPACE.table)
    )
    mean, variance = posterior.mean_and_variance(rows)
    lower, spread = posterior.mean_and_variance(GRID)
    bound = np.min(mean + 1.8 * np.sqrt(variance)) - np.min(lower - 1.8 * np.sqrt(spread))
    advice = optimizer.stopping()
    assert advice.regret == pytest.approx(bound, rel=1e-3)
    fitted = float(np.sqrt(posterior.noise)) * float(posterior.scale)
    assert advice.noise == pytest.approx(fitted, rel=1e-2)  # of another search
    assert (advice.tolerance, advice.results) == (advice.noise, 6)
    assert not advice.stop and str(advice).startswith("go on: after 6 results")


def test_it_shrinks_with_results_and_scales_with_the_values():
    few = told([0.02, 0.2, 0.35, 0.6, 0.8, 0.95]).stopping(0.1)
    xs = [0.02, 0.2, 0.35, 0.48, 0.5, 0.52, 0.54, 0.6, 0.8, 0.95]
    many, larger = (told(xs, factor=f).stopping(0.1 * f) for f in (1.0, 100.0))
    assert not few.stop and many.stop and larger.stop
    assert many.regret < 0.2 * few.regret
    assert larger.regret == pytest.approx(100.0 * many.regret, rel=1e-3)
    assert str(many).startswith("stop: after 10 results") and "the tolerance, 0.1" in str(many)


def test_noise_is_what_it_is_compared_with():
    xs = np.tile(np.linspace(0.0, 1.0, 12), 6)
    noisy = told(xs, noise=0.5).stopping()
    assert noisy.noise == pytest.approx(0.5, rel=0.3)
    assert noisy.tolerance == noisy.noise
    assert told(xs, noise=0.05).stopping().noise < 0.1


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="needs two usable results"):
        told([0.5]).stopping()
    with pytest.raises(ValueError, match="tolerance must be above 0, got 0"):
        told([0.5, 0.2]).stopping(0)
    with pytest.raises(ValueError, match="stopping: the strategy Random has no model"):
        bojax.Optimizer(SPACE, strategy="random").stopping()
