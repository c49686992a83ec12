"""Rows scored together, lookahead and information: against plain simulation and quadrature."""

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from bojax import acquisitions as a
from bojax.acquisitions import _joint
from bojax.acquisitions.knowledge_gradient import log_expected_gain
from bojax.pytrees import pytree

DRAWS = 400_000
SHARP = {"tau_relu": 1e-9, "tau_max": 1e-4, "count": 8192}


def numbers(*rows):
    return np.array(rows, float)[..., None]


@pytest.fixture(scope="module")
def draws(smooth):
    """`[S, 8]` of the function at all rows."""
    _, mean, covariance = smooth
    z = np.random.default_rng(11).normal(size=(DRAWS, 8))
    return mean + z @ np.linalg.cholesky(covariance).T


def agree(ours, simulated):
    """Within 4 errors of the simulation, and 1 % for our own."""
    error = simulated.std(axis=0) / np.sqrt(len(simulated))
    assert np.abs(ours - simulated.mean(axis=0)) < 4.0 * error + 0.01 * simulated.mean(axis=0)


def test_improvement_together(smooth, draws):
    best = -0.5
    (score,) = a.QLogEI(**SHARP)(smooth[:1], numbers([0, 3, 6]), best)
    agree(np.exp(score), np.maximum(best - draws[:, [0, 3, 6]].min(axis=1), 0.0))


def test_improvement_with_pending_rows_and_without_masked_ones(smooth, draws):
    best, rows = -0.5, numbers([0, 3])
    settings = {"pending": np.array([[5.0], [7.0]]), **SHARP}
    both = a.QLogEI(pending_mask=np.array([True, True]), **settings)(smooth[:1], rows, best)
    one = a.QLogEI(pending_mask=np.array([True, False]), **settings)(smooth[:1], rows, best)
    none = a.QLogEI(pending_mask=np.array([False, False]), **settings)(smooth[:1], rows, best)
    for score, chosen in ((both, [0, 3, 5, 7]), (one, [0, 3, 5]), (none, [0, 3])):
        agree(np.exp(score[0]), np.maximum(best - draws[:, chosen].min(axis=1), 0.0))


def test_a_masked_pending_row_is_as_none(smooth):
    rows = numbers([1, 5])  # a masked row is 0, which is better
    pending = {"pending": np.array([[5.0]]), "pending_mask": np.array([False])}
    for plain in (a.QLogEI(count=64, tau_max=0.5), a.QUCB(count=64)):
        masked = replace(plain, **pending)(smooth[:1], rows, -0.5)
        np.testing.assert_allclose(masked, plain(smooth[:1], rows, -0.5), rtol=1e-12)


def test_noisy_improvement(smooth, draws):
    settings = {"baseline": np.array([[1.0], [2.0], [4.0]]), **SHARP}
    rows = numbers([0, 3])
    for mask, chosen in (([1, 1, 1], [1, 2, 4]), ([0, 1, 0], [2])):
        acquisition = a.QLogNEI(baseline_mask=np.array(mask, bool), **settings)
        (score,) = acquisition(smooth[:1], rows, 1e3)  # the incumbent plays no part
        best = draws[:, chosen].min(axis=1)
        agree(np.exp(score), np.maximum(best - draws[:, [0, 3]].min(axis=1), 0.0))


def test_without_a_baseline_the_incumbent_counts(smooth):
    rows, few = numbers([0, 3]), {"count": 64}
    empty = a.QLogNEI(np.zeros((1, 1)), np.array([False]), **few)(smooth[:1], rows, -0.5)
    np.testing.assert_allclose(a.QLogEI(**few)(smooth[:1], rows, -0.5), empty, rtol=1e-12)
    with pytest.raises(ValueError, match=r"QLogNEI: needs a baseline"):
        a.QLogNEI(**few)(smooth[:1], rows, None)


def test_bound_together(smooth, draws):
    _, mean, _ = smooth
    acquisition = a.QUCB(beta=2.0, pending=np.array([[5.0]]), count=8192)
    (score,) = acquisition(smooth[:1], numbers([0, 3]))
    chosen = [0, 3, 5]
    spread = np.sqrt(2.0 * np.pi / 2.0) * np.abs(draws[:, chosen] - mean[chosen])
    agree(score, (spread - mean[chosen]).max(axis=1))


def test_one_row_alone_is_the_closed_form(smooth):
    rows, settings = numbers([0], [3], [6]), {"count": 4096}
    together = a.QLogEI(tau_relu=1e-9, **settings)(smooth[:1], rows, 0.2)
    np.testing.assert_allclose(together, np.log(a.EI()(smooth[:1], rows, 0.2)), rtol=0.02)
    bound = a.QUCB(beta=2.0, **settings)(smooth[:1], rows)
    np.testing.assert_allclose(bound, a.UCB(beta=2.0)(smooth[:1], rows), rtol=2e-3)


def test_groups_that_share_fixed_rows_are_as_one_by_one(smooth):
    """However many groups one joint call takes, and when they do not fill the last one."""
    pairs = numbers(*([i, j] for i in range(8) for j in range(i)))[:15]
    acquisition = a.QLogNEI(np.arange(5.0)[:, None], count=16)
    together = acquisition(smooth[:1], pairs.reshape(5, 3, 2, 1), None)
    alone = [acquisition(smooth[:1], pair[None], None)[0] for pair in pairs]
    np.testing.assert_allclose(together, np.reshape(alone, (5, 3)), rtol=1e-7)


def test_a_factor_of_what_has_none():
    """Of a singular, an indefinite and a fine matrix; the diagonal is kept always."""
    same = np.ones((3, 3))
    wrong = np.array([[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]])
    fine = np.array([[4.0, 1.0, 0.0], [1.0, 9.0, -2.0], [0.0, -2.0, 1e-12 + 1.0]])
    with jax.enable_x64(True):

        @jax.jit
        def both(matrices):
            slope = jax.grad(lambda m: _joint.factor(m).sum())
            return _joint.factor(matrices), slope(matrices)

        lower, slope = map(np.asarray, both(np.stack([same, wrong, fine])))
    assert np.isfinite(lower).all() and np.isfinite(slope).all()
    product = lower @ lower.swapaxes(-1, -2)
    np.testing.assert_allclose(product[[0, 2]], np.stack([same, fine]), atol=1e-13)
    np.testing.assert_allclose(np.diagonal(product[1]), 1.0, rtol=1e-12)


@pytree
@dataclass(frozen=True)
class Rounded:
    """Certain rows, whose joint covariance has come out as rounding."""

    spread: Any

    def mean_and_variance(self, rows):
        return rows[..., 0], jnp.full(rows.shape[:-1], 1e-12, rows.dtype)

    def joint(self, rows):
        return rows[:, 0], self.spread * jnp.ones((len(rows), len(rows)))


@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_a_joint_that_is_rounding(precision):
    """Below zero, or larger beside the diagonal than on it: still a number, near the mean's."""
    eps = float(np.finfo(precision).eps)
    acquisition = a.QLogNEI(np.array([[0.5], [0.5]]), count=8)
    with jax.enable_x64(precision == "float64"):
        rows = np.array([[[0.2], [0.2]], [[0.5], [0.9]]], precision)
        for spread in (-eps, eps):
            score = acquisition((Rounded(jnp.asarray(spread, precision)),), rows, None)
            assert np.isfinite(score).all()
            # Two rows of like value are their maximum and tau_max log 2.
            np.testing.assert_allclose(score[0], np.log(0.3) + 0.01 * np.log(2.0), atol=1e-3)


def test_base_samples():
    """Sobol points in the first columns, where they are far better than random ones."""
    samples = np.asarray(a.base_samples(3, 512, 40))
    assert np.abs(samples.mean(axis=0)[:32]).max() < 0.01
    np.testing.assert_allclose(samples.std(axis=0), 1.0, atol=0.1)
    correlation = np.abs(np.corrcoef(samples.T) - np.eye(40))
    assert correlation[:32, :32].max() < 0.1 and correlation.max() < 0.2
    assert (np.asarray(a.base_samples(4, 512, 40)) != samples).mean() > 0.99


def test_prune_baseline_keeps_what_may_be_best(smooth):
    _, mean, covariance = smooth

    class Drawn:
        def sample(self, key, rows, n):
            z = np.asarray(jax.random.normal(key, (n, len(rows))))
            return mean[:4] + z @ np.linalg.cholesky(covariance[:4, :4]).T

    rows = np.arange(4.0)[:, None]
    wins = np.bincount(Drawn().sample(jax.random.key(0), rows, 2048).argmin(axis=1), minlength=4)
    kept, mask = a.prune_baseline(Drawn(), rows)
    assert set(kept[mask, 0].astype(int)) == set(np.flatnonzero(wins)) and mask.sum() < 4
    (leader,), _ = a.prune_baseline(Drawn(), rows, most=1)
    assert leader[0] == wins.argmax()
    without, mask = a.prune_baseline(Drawn(), rows, np.arange(4) != wins.argmax())
    assert wins.argmax() not in without[mask, 0]


def test_expected_gain_of_lines_equals_quadrature():
    rng = np.random.default_rng(7)
    intercepts, slopes = rng.normal(size=(120, 7)), rng.normal(size=(120, 7))
    slopes[:40] = slopes[:40].round(0)  # parallel lines
    intercepts[:20] = intercepts[:20].round(0)  # and the same line twice, three in a point
    slopes[40:60], intercepts[40:60] = np.linspace(-1, 1, 7), -(np.linspace(-1, 1, 7) ** 2)
    with jax.enable_x64(True):
        ours = jax.jit(log_expected_gain)(intercepts, slopes)
    z = np.linspace(-12.0, 12.0, 240_001)
    for gain, i, s in zip(np.exp(ours), intercepts, slopes, strict=True):
        top = (i[:, None] + s[:, None] * z).max(axis=0)
        expected = integrate.trapezoid(top * stats.norm.pdf(z), z) - i.max()
        np.testing.assert_allclose(gain, expected, rtol=1e-6, atol=1e-8)


def test_expected_gain_far_out_and_of_nothing():
    with jax.enable_x64(True):
        intercepts, slopes = (
            np.array([[0.0, -50.0], [0.0, -1.0]]),
            np.array([[0.0, 1.0], [0.5, 0.5]]),
        )
        far, none = np.asarray(jax.jit(log_expected_gain)(intercepts, slopes))
        expected = a.log_h(jnp.asarray(-50.0))  # E max(Z - 50, 0)
    np.testing.assert_allclose(far, np.asarray(expected), rtol=1e-12)
    assert none == -1e30


def test_knowledge_gradient(smooth):
    posterior, mean, covariance = smooth
    rng, noise = np.random.default_rng(13), 0.3
    candidates, mask = np.array([[1.0], [4.0], [6.0], [2.0]]), np.array([1, 1, 1, 0], bool)
    acquisition = a.KnowledgeGradient(candidates, mask, noise=noise)
    score = acquisition((posterior,), numbers([0], [7]))
    for row, ours in ((0, score[0]), (7, score[1])):
        lines = [1, 4, 6, row]
        slope = covariance[lines, row] / np.sqrt(covariance[row, row] + noise)
        z = rng.normal(size=DRAWS)
        gain = mean[lines].min() - (mean[lines] + z[:, None] * slope).min(axis=1)
        assert abs(np.exp(ours) - gain.mean()) < 4.0 * gain.std() / np.sqrt(DRAWS)


def test_entropy_is_what_a_bound_takes(smooth):
    """The entropy of a normal less that of it above each minimum, by quadrature."""
    posterior, mean, covariance = smooth
    minima = np.array([-0.8, 0.1])
    score = a.MaxValueEntropy(minima=minima)((posterior,), numbers([2], [5]))
    for row, ours in ((2, score[0]), (5, score[1])):
        normal = stats.norm(mean[row], np.sqrt(covariance[row, row]))
        lost = [
            normal.entropy()
            - stats.truncnorm(
                (m - mean[row]) / normal.std(), 40.0, normal.mean(), normal.std()
            ).entropy()
            for m in minima
        ]
        np.testing.assert_allclose(np.exp(ours), np.mean(lost), rtol=1e-7)


def test_gibbon_bounds_the_information_from_below(smooth):
    """Without noise; and rows that repeat each other tell less than their sum."""
    posterior, *_ = smooth
    minima, rows = np.array([-0.8, -1.5]), numbers([2], [5])
    lower = a.Gibbon(minima=minima, noise=0.0)((posterior,), rows)
    assert (lower <= np.exp(a.MaxValueEntropy(minima=minima)((posterior,), rows)) + 1e-12).all()
    noisy = a.Gibbon(minima=minima, noise=0.2)
    alone = noisy((posterior,), numbers([2], [3]))
    (pair,) = noisy((posterior,), numbers([2, 3]))
    assert pair < alone.sum() - 0.1
    # What a pair tells is what one does, and the other once the first is pending.
    added = a.Gibbon(minima=minima, noise=0.2, pending=np.array([[2.0]]))
    np.testing.assert_allclose(pair, alone[0] + added((posterior,), numbers([3]))[0], rtol=1e-6)


def test_gumbel_minima_are_near_those_of_independent_rows():
    rng = np.random.default_rng(17)
    mean, deviation = rng.normal(size=60), rng.uniform(0.2, 1.0, 60)
    simulated = (mean + deviation * rng.normal(size=(40_000, 60))).min(axis=1)
    chances = np.linspace(0.1, 0.85, 16)
    with jax.enable_x64(True):
        found = a.gumbel_minima(*map(jnp.asarray, (mean, deviation**2, chances)))
    np.testing.assert_allclose(found, np.quantile(simulated, 1.0 - chances), atol=0.08)
