"""Every acquisition is finite, and so is its slope, far in the tails and where nothing varies."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bojax import acquisitions as a

ROWS = np.array([[0.3, 0.1], [0.35, 0.9]])
FEW = {"count": 16}
MINIMA = {"candidates": np.array([[0.0, 0.0], [0.2, 0.2], [0.9, 0.5]]), "count": 4}
SCORES = {
    "EI": a.EI(),
    "LogEI": a.LogEI(),
    "PI": a.PI(),
    "LogPI": a.LogPI(),
    "LogNormalEI": a.LogNormalEI(),
    "UCB": a.UCB(),
    "Deviation": a.Deviation(),
    "Thompson": a.Thompson(),
    "LogFeasibility": a.LogFeasibility(),
    "ConstrainedLogEI": a.ConstrainedLogEI(),
    "LogEIPerCost": a.LogEIPerCost(log_cost=False),
    "MaxValueEntropy": a.MaxValueEntropy(**MINIMA),
    "KnowledgeGradient": a.KnowledgeGradient(MINIMA["candidates"]),
    "QLogEI": a.QLogEI(ROWS[:1] + 0.05, **FEW),
    "QLogNEI": a.QLogNEI(ROWS[1:], **FEW),  # one of them is scored itself
    "QUCB": a.QUCB(pending=ROWS[:1], **FEW),
    "Gibbon": a.Gibbon(pending=ROWS[:1], **MINIMA),
}
TOGETHER = ("QLogEI", "QLogNEI", "QUCB", "Gibbon")


def test_every_acquisition_is_here():
    classes = {name for name in a.__all__ if isinstance(getattr(a, name), type)}
    assert classes == set(SCORES)


@pytest.mark.parametrize(
    ("precision", "together"),
    [
        ("float32", False),
        pytest.param("float32", True, marks=pytest.mark.slow),
        # The same code with more room.
        pytest.param("float64", False, marks=pytest.mark.slow),
        pytest.param("float64", True, marks=pytest.mark.slow),
    ],
)
def test_finite(sloped, precision, together):
    # The posterior's offset from 0, its variance (no less than a posterior gives), the incumbent.
    huge, dtype = (1e300 if precision == "float64" else 1e30), np.dtype(precision)
    grid = [(m, v, b) for m in (0.0, 1e4, -1e4) for v in (1e-12, 1.0) for b in (0.0, huge, -huge)]
    grid = np.array(grid, dtype)
    names = [name for name in SCORES if (name in TOGETHER) == together]

    def score(name, offset, variance, rows, incumbent):
        acquisition = SCORES[name]
        posteriors = (sloped(offset, variance),) * 2
        if name == "LogEI":  # as the strategies' inner loop takes it: z must have a square
            incumbent = jnp.clip(incumbent, -1e4, 1e4)
        rows = rows[None] if together else rows[:, None]
        return acquisition(posteriors, rows, incumbent)[0]

    def all_of(offset, variance, incumbent):
        rows = jnp.asarray(ROWS, dtype)  # the mean's slope is part of theirs
        return {
            name: jax.value_and_grad(lambda *p, n=name: score(n, offset, *p), (0, 1))(
                variance, rows, incumbent
            )
            for name in names
        }

    with jax.enable_x64(precision == "float64"):
        found = jax.jit(jax.vmap(all_of))(*grid.T)
    for name, values in found.items():
        for leaf in jax.tree.leaves(values):
            assert leaf.dtype == dtype, name
            bad = ~np.isfinite(np.asarray(leaf)).reshape(len(grid), -1).all(axis=1)
            assert not bad.any(), (name, grid[bad])
