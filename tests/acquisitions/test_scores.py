"""Every acquisition as a strategy calls it, and every option changes what it says."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import bojax
from bojax import acquisitions as a
from bojax.acquisitions._host import noise_of
from bojax.pytrees import pytree

CENTRE = np.array([[0.5, 1.0, 0.0, 0.0]])
UNCONSTRAINED = {
    "EI": a.EI(),
    "LogEI": a.LogEI(),
    "PI": a.PI(),
    "LogPI": a.LogPI(),
    "LogNormalEI": a.LogNormalEI(),
    "UCB": a.UCB(),
    "Deviation": a.Deviation(),
    "Thompson": a.Thompson(),
    "QLogEI": a.QLogEI(count=64),
    "QLogNEI": a.QLogNEI(CENTRE, count=64),
    "QUCB": a.QUCB(count=64),
    "MaxValueEntropy": a.MaxValueEntropy(),
    "Gibbon": a.Gibbon(),
    "KnowledgeGradient": a.KnowledgeGradient(),
}


@pytree
@dataclass(frozen=True)
class Bowl:
    """Least at x = 0.45 of the second kind; the deviation grows with x."""

    table: Any

    def mean_and_variance(self, rows):
        mean = (rows[..., 0] - 0.45) ** 2 + jnp.where(rows[..., 1] < 0.5, 0.05, 0.0)
        return mean, (0.01 + 0.01 * rows[..., 0]) ** 2

    def joint(self, rows):
        mean, variance = self.mean_and_variance(rows)
        squared = jnp.sum((rows[:, None] - rows[None]) ** 2, axis=-1)
        deviation = jnp.sqrt(variance)
        return mean, deviation[:, None] * deviation * jnp.exp(-20.0 * squared)

    def paths(self, key, n, count):
        slopes = jax.random.normal(key, (n, 1))
        return lambda rows: self.mean_and_variance(rows)[0] + 0.01 * slopes * rows[:, 0]


def test_one_program_scores_rows_of_a_space_by_all_of_them():
    """As in `model_based`: rows `[N, 1, D]` of the column class, one posterior, traced."""
    space = bojax.Space({"x": bojax.Float(0, 1), "kind": bojax.Categorical(["a", "b"])})
    configs = [{"x": float(x), "kind": kind} for x in np.linspace(0, 1, 21) for kind in "ab"]
    rows = np.stack([space.encode(config) for config in configs])
    assert rows.shape == (42, 4)

    @jax.jit
    def scores(posterior, rows, incumbent):
        return {
            name: acquisition((posterior,), rows[:, None, :], incumbent)
            for name, acquisition in UNCONSTRAINED.items()
        }

    with jax.enable_x64(True):
        found = {k: np.asarray(v) for k, v in scores(Bowl(space.table), rows, 1e-3).items()}
    for name, score in found.items():
        assert score.shape == (42,) and score.dtype == np.float64, name
        assert np.isfinite(score).all() and np.ptp(score) > 0, name
        best = space.decode(rows[score.argmax()])
        if name == "Deviation":
            assert best["x"] == 1.0
        else:
            assert 0.35 <= best["x"] <= 0.65 and best["kind"] == "b", (name, best)


def test_model_based_takes_them():
    for acquisition in UNCONSTRAINED.values():
        strategy = bojax.strategies.model_based(acquisition=acquisition)
        assert type(strategy.acquisition) is type(acquisition)


ROWS = np.array([0.0, 3.0])[:, None, None]
SET = np.array([[1.0], [4.0], [6.0]])
# Settings that say the same, and then one that does not.
OPTIONS = [
    (a.PI, {}, "margin", 0.1),
    (a.LogPI, {}, "margin", 0.1),
    (a.UCB, {}, "beta", 1.0),
    (a.Deviation, {}, "log", False),
    (a.LogFeasibility, {}, "thresholds", [0.1, 0.2]),
    (a.LogFeasibility, {}, "objectives", 2),
    (a.ConstrainedLogEI, {}, "thresholds", 0.1),
    (a.LogEIPerCost, {}, "alpha", 0.5),
    (a.LogEIPerCost, {}, "thresholds", 0.2),
    (a.LogEIPerCost, {}, "log_cost", False),
    (a.QLogEI, {"count": 8}, "seed", 1),
    (a.QLogEI, {"count": 8}, "count", 16),
    (a.QLogNEI, {"count": 8, "baseline": SET}, "seed", 1),
    (a.QLogNEI, {"count": 8, "baseline": SET}, "count", 16),
    (a.QUCB, {"count": 8}, "seed", 1),
    (a.QUCB, {"count": 8}, "count", 16),
    (a.QUCB, {"count": 8}, "pending_mask", [False]),
    (a.MaxValueEntropy, {"candidates": SET}, "candidates", SET[:2]),
    (a.MaxValueEntropy, {"candidates": SET}, "noise", 0.5),
    (a.MaxValueEntropy, {"candidates": SET}, "seed", 1),
    (a.MaxValueEntropy, {"candidates": SET}, "count", 5),
    (a.Gibbon, {"candidates": SET}, "candidates", SET[:2]),
    (a.Gibbon, {"candidates": SET}, "noise", 0.5),
    (a.Gibbon, {"candidates": SET}, "seed", 1),
    (a.Gibbon, {"candidates": SET}, "count", 5),
    (a.Gibbon, {"candidates": SET}, "pending_mask", [False]),
    (a.KnowledgeGradient, {"candidates": SET}, "candidates", SET[:2]),
    (a.KnowledgeGradient, {"candidates": SET}, "noise", 0.5),
]


@pytest.mark.parametrize(
    ("kind", "settings", "option", "value"),
    OPTIONS,
    ids=[f"{kind.__name__}-{option}" for kind, _, option, _ in OPTIONS],
)
def test_every_option_matters(smooth, numbered, kind, settings, option, value):
    posterior, mean, covariance = smooth
    other = numbered(np.abs(mean[::-1]) + 0.1, covariance)
    if option == "pending_mask":
        settings = {**settings, "pending": SET[:1]}
        value = np.array(value)
    posteriors = (posterior, other, posterior)
    if option == "thresholds" and np.shape(value) == () and kind is a.ConstrainedLogEI:
        posteriors = posteriors[:2]

    def score(**more):
        return kind(**{**settings, **more})(posteriors, ROWS, -0.4)

    assert (np.abs(score(**{option: value}) - score()) > 1e-9).any()


def test_seed_and_count_of_what_is_drawn_by_the_posterior(sloped):
    """Functions, and Sobol rows all over the space."""
    rows = np.array([[[0.1, 0.2]], [[0.8, 0.5]]])
    with jax.enable_x64(True):
        posteriors = (sloped(jnp.float64(0.3), jnp.float64(0.5)),)
        few = {"candidates": rows[:, 0]}
        for kind, settings, changed in (
            (a.Thompson, {}, {"seed": 1}),
            (a.Thompson, {}, {"count": 64}),
            (a.MaxValueEntropy, few, {"by": "paths"}),
            (a.Gibbon, few, {"by": "paths"}),
            (a.KnowledgeGradient, {"count": 8}, {"seed": 1}),
            (a.KnowledgeGradient, {"count": 8}, {"count": 16}),
        ):
            before, after = (
                kind(**{**settings, **more})(posteriors, rows, 0.1) for more in ({}, changed)
            )
            assert np.isfinite(after).all() and (np.asarray(before) != np.asarray(after)).any()
            if kind is a.Thompson:
                path = posteriors[0].paths(jax.random.key(0), 1)
                np.testing.assert_allclose(before, -path(rows[:, 0])[0], rtol=1e-12)


def test_cost_and_feasibility_by_hand(smooth, numbered):
    posterior, mean, covariance = smooth
    constraint = numbered(mean[::-1], 0.5 * covariance)
    at, best, sd = [0, 3], -0.4, np.sqrt(np.diag(covariance))
    feasible = stats.norm.logcdf((0.2 - mean[::-1][at]) / (np.sqrt(0.5) * sd[at]))
    z = (best - mean[at]) / sd[at]
    log_ei = np.log(sd[at] * (stats.norm.pdf(z) + z * stats.norm.cdf(z)))
    for log_cost, cost in (
        (True, mean[at] + 0.5 * sd[at] ** 2),
        (False, np.log(sd[at] * stats.norm.pdf(mean[at] / sd[at])
                       + mean[at] * stats.norm.cdf(mean[at] / sd[at]))),
    ):  # fmt: skip
        acquisition = a.LogEIPerCost(0.7, thresholds=0.2, log_cost=log_cost)
        score = acquisition((posterior, constraint, posterior), ROWS, best)
        np.testing.assert_allclose(score, log_ei + feasible - 0.7 * cost, rtol=1e-9)
    constrained = a.ConstrainedLogEI(0.2)
    found = constrained((posterior, constraint), ROWS, best)
    np.testing.assert_allclose(found, log_ei + feasible, rtol=1e-9)
    # Nothing feasible yet: whatever is.
    found = constrained((posterior, constraint), ROWS, np.inf)
    np.testing.assert_allclose(found, feasible, rtol=1e-9)


def test_a_margin_moves_the_incumbent_down(smooth):
    for kind in (a.PI, a.LogPI):
        moved = kind(margin=0.3)(smooth[:1], ROWS, 0.4)
        np.testing.assert_allclose(moved, kind()(smooth[:1], ROWS, 0.1), rtol=1e-12)


def test_noise_is_read_in_the_unit_of_the_values():
    standardised = SimpleNamespace(noise=0.1, scale=3.0)
    for given, posterior, expected in (
        (None, standardised, 0.9),
        (None, SimpleNamespace(noise=0.1), 0.1),
        (None, SimpleNamespace(), 0.0),
        (0.5, standardised, 0.5),
    ):
        found = noise_of(given, posterior, np.float32)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


BAD = [
    (a.EI(), 1, (2, 1), "EI: scores one row at a time"),
    (a.KnowledgeGradient(SET), 1, (2, 1), "KnowledgeGradient: scores one row at a time"),
    (a.ConstrainedLogEI(), 1, (1, 1), "ConstrainedLogEI: needs at least 2 posteriors"),
    (a.LogFeasibility(), 1, (1, 1), "LogFeasibility: needs at least 2 posteriors"),
    (a.LogEIPerCost(), 1, (1, 1), "LogEIPerCost: needs at least 2 posteriors"),
    (a.LogFeasibility([0.0, 1.0]), 2, (1, 1), "LogFeasibility: thresholds must be one number"),
    (a.QLogEI(pending=np.zeros((2, 3))), 1, (1, 1), r"QLogEI: pending must be rows \[N, 1\]"),
    (
        a.QUCB(pending=SET, pending_mask=np.ones(2, bool)),
        1,
        (1, 1),
        r"QUCB: pending_mask must have shape \(3,\)",
    ),
    (a.QLogEI(samples=np.zeros((8, 1))), 1, (2, 1), r"QLogEI: samples must be \[S, 2\]"),
    (a.Thompson(), 1, (1, 1), r"Thompson: Numbered has no paths\(key, n\)"),
    (a.Gibbon(by="magic"), 1, (1, 1), "Gibbon: by must be 'gumbel' or 'paths'"),
]


@pytest.mark.parametrize(("acquisition", "count", "shape", "message"), BAD)
def test_what_does_not_fit_is_named(smooth, acquisition, count, shape, message):
    with pytest.raises(ValueError, match=message):
        acquisition(smooth[:1] * count, np.zeros((3, *shape)), 0.0)


def test_settings_compile_nothing_new(smooth, count_compiles):
    rows = ROWS[:1]
    a.UCB(beta=1.0)(smooth[:1], rows)
    a.QLogEI(count=8, seed=1)(smooth[:1], rows, -0.4)
    with count_compiles() as programs:
        a.UCB(beta=2.0)(smooth[:1], rows)
        a.QLogEI(count=8, seed=2, tau_max=0.1)(smooth[:1], rows, -0.7)
    assert programs == []
