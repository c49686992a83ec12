"""Batch rules of `gp`, against the surrogate on a dense grid of one dimension."""

import itertools

import jax
import numpy as np
import pytest
from scipy.stats import norm

import bojax
from bojax.strategies import gp
from bojax.strategies._gp import BATCHES
from bojax.surrogates import Data

GRID = np.linspace(0.0, 1.0, 2001)[:, None]
AT = np.array([0.02, 0.2, 0.35, 0.6, 0.8, 0.95])
SPACE = bojax.Space({"x": bojax.Float(0, 1)})


def value(x):
    return np.sin(9.0 * x) + 0.7 * x


def told(batch, seed=0, **settings):
    optimizer = bojax.Optimizer(SPACE, strategy=gp(batch=batch, warp="none", **settings), seed=seed)
    for x in AT:
        optimizer.tell({"x": float(x)}, float(value(x)))
    return optimizer


def suggested(batch, q=3, **settings):
    return np.array([trial.config["x"] for trial in told(batch, **settings).ask(q)])


@pytest.fixture(scope="module")
def posterior():
    rows = np.zeros((AT.size, SPACE.table.columns))
    rows[:, 0] = AT
    surrogate = bojax.surrogates.gp(recipe="tuning")
    return surrogate.fit(jax.random.key(0), Data(rows, value(AT), table=SPACE.table))[0]


def grid(table=SPACE.table):
    return np.pad(GRID, ((0, 0), (0, table.columns - 1)))


def test_ucb_pe_takes_the_least_bound_then_explores_where_the_optimum_may_lie(posterior):
    mean, variance = posterior.mean_and_variance(grid())
    lower = mean - 1.8 * np.sqrt(variance)
    at_lines = posterior.mean_and_variance(posterior.features.coordinate)
    relevant = lower <= np.min((at_lines[0] + 1.8 * np.sqrt(at_lines[1]))[posterior.mask])
    assert 0.05 < relevant.mean() < 0.95
    first, second, third = suggested("ucb_pe")
    assert first == pytest.approx(GRID[np.argmin(lower), 0], abs=2e-3)
    for before, row in (([first], second), ([first, second], third)):
        rows = np.pad(np.array(before)[:, None], ((0, 0), (0, grid().shape[1] - 1)))
        values, _ = posterior.mean_and_variance(rows)
        _, left = posterior.condition(rows, values).mean_and_variance(grid())
        best = GRID[np.argmax(np.where(relevant, left, -np.inf)), 0]
        assert row == pytest.approx(best, abs=5e-3)


@pytest.mark.slow
def test_ucb_pe_explores_while_something_is_pending():
    optimizer = told("ucb_pe")
    one_by_one = [optimizer.ask().config["x"] for _ in range(3)]
    assert one_by_one == pytest.approx(suggested("ucb_pe"), abs=5e-3)  # of other fits


def test_penalties_are_chances_to_lie_outside(posterior):
    first, second = suggested("penalties", 2)
    mean, variance = posterior.mean_and_variance(grid())
    least = np.min(posterior.mean_and_variance(posterior.features.coordinate)[0][posterior.mask])
    score = np.asarray(
        bojax.acquisitions.LogEI()((posterior,), grid()[:, None, :], np.array(least))
    )
    assert first == pytest.approx(GRID[np.argmax(score), 0], abs=2e-3)
    slope = np.max(np.abs(np.gradient(mean, GRID[:, 0])))
    at = np.argmin(np.abs(GRID[:, 0] - first))
    apart = slope * np.abs(GRID[:, 0] - first)
    outside = norm.logcdf((apart - (mean[at] - least)) / np.sqrt(variance[at]))
    assert second == pytest.approx(GRID[np.argmax(score + outside), 0], abs=1e-2)


def test_thompson_rows_are_least_of_functions_of_their_own(posterior):
    rows = suggested("thompson", 32)
    paths = posterior.paths(jax.random.key(3), 400)(grid())
    drawn = GRID[np.argmin(paths, axis=1), 0]
    assert np.unique(rows).size == 32
    # The two wells are hit as often as by draws of the surrogate itself.
    share, expected = np.mean(rows < 0.5), np.mean(drawn < 0.5)
    assert abs(share - expected) < 3.0 * np.sqrt(expected * (1.0 - expected) / 32) + 0.02
    assert np.median(np.abs(rows - np.median(drawn))) < 0.15


@pytest.mark.slow
def test_thompson_believes_nothing_of_what_is_pending():
    optimizer = told("thompson")
    one_by_one = [optimizer.ask().config["x"] for _ in range(4)]
    assert one_by_one == pytest.approx(suggested("thompson", 4), abs=5e-3)  # of other fits


@pytest.mark.parametrize(
    "batch",
    ["turbo", *(pytest.param(b, marks=pytest.mark.slow) for b in BATCHES if b != "fantasies")],
)
def test_mixed_spaces_and_what_is_fixed(batch):
    space = bojax.Space({
        "x": bojax.Float(1e-3, 1.0, log=True), "n": bojax.Int(1, 3),
        "c": bojax.Categorical(["a", "b"]), "m": bojax.Float(0, 1, when={"c": "a"}),
    })  # fmt: skip
    if batch == "turbo":
        strategy = bojax.strategies.turbo(initial=3, conditional=True, candidates=64)
    else:
        strategy = gp(batch=batch, initial=3)
    optimizer = bojax.Optimizer(space, strategy=strategy, seed=2)
    for step in range(4):
        for trial in optimizer.ask(3, fixed={"c": "a"} if step == 3 else None):
            optimizer.tell(trial, trial.config["n"] + trial.config["x"])
    configs = [trial.config for trial in optimizer.trials]
    assert len({str(config) for config in configs}) == 12
    assert all(config["c"] == "a" for config in configs[9:])
    assert all(("m" in config) == (config["c"] == "a") for config in configs)


@pytest.mark.slow
def test_rules_differ():
    found = [suggested(batch, 4) for batch in ("fantasies", "thompson", "ucb_pe", "penalties")]
    assert not any(np.allclose(a, b, atol=1e-3) for a, b in itertools.pairwise(found))


def test_other_rules_are_refused():
    with pytest.raises(ValueError, match=r"batch must be one of fantasies, .*penalties, got"):
        gp(batch="greedy")


def test_designs_are_sized_by_space_and_evaluations():
    from bojax.strategies import Sizes

    def size(space, **sizes):
        return int(gp().init(bojax.Space(space).table, Sizes(**sizes)).initial)

    wide = {f"x{i}": bojax.Float(0, 1) for i in range(30)}
    assert size({"x": bojax.Float(0, 1)}) == 5
    assert size(wide) == 15
    assert size(wide, evaluations=40) == 10
    assert size(wide, evaluations=3) == 2
    assert size({"n": bojax.Int(1, 12)}) == 3
    assert int(gp(initial=7).init(SPACE.table, Sizes(evaluations=8)).initial) == 7


def test_the_optimizer_tells_its_evaluations_and_keeps_them(tmp_path):
    """After two results of eight planned the model suggests, else the design goes on."""

    def third(**settings):
        optimizer = bojax.Optimizer(SPACE, seed=1, **settings)
        for trial in optimizer.ask(2):
            optimizer.tell(trial, float(value(trial.config["x"])))
        optimizer.save(tmp_path / "run.json")
        again = bojax.Optimizer.load(tmp_path / "run.json")
        assert again.evaluations == settings.get("evaluations")
        row = optimizer.ask().row
        np.testing.assert_array_equal(again.ask().row, row)
        return row

    np.testing.assert_array_equal(third(), bojax.Optimizer(SPACE, seed=1).ask(3)[2].row)
    assert not np.array_equal(third(evaluations=8), third())
    for wrong in (0, 2.5, "12", True):
        with pytest.raises(ValueError, match=f"evaluations: expected an integer .* got {wrong!r}"):
            bojax.Optimizer(SPACE, evaluations=wrong)
