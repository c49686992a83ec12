"""BOHB's model: densities against statsmodels' formulas written out, and where it draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.space import table as tables
from bojax.strategies._kde import KernelDensity, density, log_density
from bojax.testing import strategy_checks

SPACE = bojax.Space(
    {
        "x": bojax.Float(0.0, 1.0),
        "kind": bojax.Categorical(["a", "b", "c"]),
        "y": bojax.Float(0.0, 1.0, when={"kind": "a"}),
    }
)


@pytest.mark.parametrize("check", strategy_checks(KernelDensity(), name="kde"), ids=repr)
def test_it_keeps_every_promise_of_a_strategy(check):
    check()


def test_the_density_is_the_mean_of_products_of_kernels():
    """Gaussian for numbers, Aitchison and Aitken for categories; what is absent says nothing."""
    configs = [
        {"x": 0.2, "kind": "a", "y": 0.5},
        {"x": 0.3, "kind": "b"},
        {"x": 0.7, "kind": "a", "y": 0.9},
        {"x": 0.4, "kind": "c"},
    ]
    rows = SPACE.encode(configs)
    at = SPACE.encode([{"x": 0.35, "kind": "a", "y": 0.6}, {"x": 0.1, "kind": "c"}])
    with jax.enable_x64(True):
        table = SPACE.table
        present = tables.active(table, jnp.asarray(rows))
        chosen = jnp.asarray(table.used)
        model = density(table, jnp.asarray(rows), jnp.ones(4, bool), present, chosen)
        got = np.asarray(log_density(table, model, jnp.asarray(at), chosen))
        width = np.asarray(model.width)
    names = SPACE.names
    codes = rows[:, names.index("kind")]
    factor = 1.06 * 4 ** (-1 / (4 + 3))
    expected = {
        "x": factor * np.std([0.2, 0.3, 0.7, 0.4]),
        "kind": factor * np.std(codes),
        "y": factor * np.std([0.5, 0.9]),
    }
    for name, value in expected.items():
        limit = 2 / 3 if name == "kind" else 1.0
        assert width[names.index(name)] == pytest.approx(min(value, limit), rel=1e-12)

    def normal(z, s):
        return np.exp(-0.5 * (z / s) ** 2) / (s * np.sqrt(2 * np.pi))

    wx, wk, wy = (width[names.index(name)] for name in ("x", "kind", "y"))
    for value, row in zip(got, [{"x": 0.35, "kind": "a", "y": 0.6}, {"x": 0.1, "kind": "c"}],
                          strict=True):  # fmt: skip
        total = 0.0
        for config in configs:
            kernel = normal(row["x"] - config["x"], wx)
            kernel *= 1 - wk if row["kind"] == config["kind"] else wk / 2
            if "y" in row and "y" in config:
                kernel *= normal(row["y"] - config["y"], wy)
            total += kernel / len(configs)
        assert value == pytest.approx(np.log(total), rel=1e-9)


def told(strategy, seed=0, lines=30):
    """A run in which small x of kind b is good."""
    optimizer = bojax.Optimizer(SPACE, strategy=strategy, seed=seed)
    known = SPACE.sample(lines, seed=7)
    optimizer.tell(known, [config["x"] + (config["kind"] != "b") for config in known])
    return [trial.config for _ in range(4) for trial in optimizer.ask(4)]


def test_it_draws_where_good_trials_were_and_settings_matter():
    usual = told(KernelDensity(random_fraction=0.0))
    assert np.mean([c["kind"] == "b" for c in usual]) > 0.8
    assert np.median([c["x"] for c in usual]) < 0.3
    wild = told(KernelDensity(random_fraction=1.0))
    assert np.mean([c["kind"] == "b" for c in wild]) < 0.8
    for change in ({"good": 0.5}, {"wider": 0.2}, {"candidates": 4}, {"random_fraction": 0.5}):
        assert told(KernelDensity(**({"random_fraction": 0.0} | change))) != usual


def test_random_until_a_budget_has_enough_and_then_the_largest_that_has():
    space = bojax.Space({"x": bojax.Float(0.0, 1.0)}).with_fidelity("epochs", 1, 9)
    optimizer = bojax.Optimizer(space, strategy=KernelDensity(random_fraction=0.0))
    # At 1 epoch small x looks good; at 9, large x is. Four lines (2 (d + 1)) are enough.
    for x in np.linspace(0.05, 0.95, 12):
        optimizer.tell({"x": float(x)}, float(x), fidelity=1)
    early = [optimizer.ask(4) for _ in range(3)]
    for x in np.linspace(0.07, 0.93, 8):
        optimizer.tell({"x": float(x)}, -float(x), fidelity=9)
    late = [optimizer.ask(4) for _ in range(3)]
    first, second = (
        np.median([t.config["x"] for batch in part for t in batch]) for part in (early, late)
    )
    assert first < 0.4 and second > 0.6
