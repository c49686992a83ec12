"""Anyone's surrogate and acquisition: used as given, pending rows believed, faults said."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.history import Status, empty_history
from bojax.strategies import ModelBased, Sizes, model_based
from bojax.strategies._model_based import _drawn

SPACE = bojax.Space({"x": bojax.Float(0, 1)})
SIZES = {"candidates": 12, "local": 4, "lanes": 4}  # small: nothing depends on them here


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Nearest:
    """Predicts the nearest observed value; the variance is the squared distance to it.

    `sign` turns the prediction round, `poison` is added to it: leaves, so that one compiled
    program serves every test.
    """

    sign: float = 1.0
    poison: float = 0.0

    def fit(self, key, data):
        return Near(data, self), None


class Near:
    def __init__(self, data, settings):
        self.data, self.settings = data, settings

    def mean_and_variance(self, rows):
        gap = jnp.sum((rows[..., None, :] - self.data.rows) ** 2, axis=-1)
        gap = jnp.where(self.data.mask, gap, jnp.inf)
        mean = jnp.take(self.data.values, jnp.argmin(gap, axis=-1))
        return self.settings.sign * mean + self.settings.poison, jnp.min(gap, axis=-1)


class Tall(Near):
    def mean_and_variance(self, rows):
        mean, variance = super().mean_and_variance(rows)
        return mean[..., None], variance


@dataclass(frozen=True)
class OfAnotherShape:
    def fit(self, key, data):
        return Tall(data, Nearest()), None


def farthest(posteriors, rows, incumbent):
    return posteriors[0].mean_and_variance(rows[..., 0, :])[1]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Bound:
    """Variance less `greed` times the mean."""

    greed: float = 1.0

    def __call__(self, posteriors, rows, incumbent):
        mean, variance = posteriors[0].mean_and_variance(rows[..., 0, :])
        return variance - self.greed * mean


def small(surrogate=None, greed=0.0, **settings):
    return model_based(surrogate or Nearest(), Bound(greed), **(SIZES | settings))


def history_of(points, values, pending=()):
    history = empty_history(64, SPACE.table.columns)
    for i, x in enumerate((*points, *pending)):
        history.rows[i, 0], history.trial[i] = x, i
        history.status[i] = Status.PENDING if i >= len(points) else Status.DONE
        history.values[i, 0] = np.nan if i >= len(points) else values[i]
    return history


@jax.jit
def program(strategy, state, history, key, wanted):
    return strategy.ask(state, history, key, 2, None, wanted)[1]


def ask(strategy, history, wanted=1, asked=10):
    state = strategy.init(SPACE.table, Sizes())._replace(asked=np.int32(asked))
    history = jax.tree.map(jnp.asarray, history)
    rows = program(strategy, state, history, jax.random.key(0), np.int32(wanted))
    return np.asarray(rows)[:wanted, 0]


THREE = history_of([0.0, 1.0, 0.4], [3.0, 2.0, 1.0])


def test_the_acquisition_given_is_the_one_maximised():
    assert ask(small(), THREE) == pytest.approx([0.7], abs=1e-3), "the middle of the widest gap"
    assert abs(ask(small(greed=10.0), THREE)[0] - 0.4) < 0.3, "nearest to the least value"


def test_the_surrogate_given_is_the_one_fitted():
    slope = history_of([0.1, 0.9, 0.5], [0.0, 1.0, 0.5])
    assert ask(small(greed=1.0), slope)[0] < 0.5 < ask(small(Nearest(-1.0), greed=1.0), slope)[0]


def test_pending_rows_and_earlier_ones_of_a_batch_are_believed():
    beside = history_of([0.0, 1.0, 0.4], [3.0, 2.0, 1.0], pending=[0.7])
    assert ask(small(), beside) == pytest.approx([0.2], abs=1e-3)
    assert ask(small(), THREE, wanted=2) == pytest.approx([0.7, 0.2], abs=1e-3)


def test_a_model_that_predicts_nothing_says_so():
    assert np.isnan(ask(small(Nearest(poison=float("nan"))), THREE)).all()
    with pytest.raises(ValueError, match=r"mean of rows .* must have shape"):
        ask(small(OfAnotherShape()), THREE)


def test_initial_matters():
    design, model = (ask(small(initial=n), THREE, asked=3)[0] for n in (9, 2))
    assert model == pytest.approx(0.7, abs=1e-3) and design != pytest.approx(model, abs=1e-3)


@pytest.mark.slow
def test_warp_matters():
    skewed = history_of([0.0, 0.5, 1.0], [0.0, 1.0, 100.0])
    plain, warped = (ask(small(greed=0.02, warp=w), skewed)[0] for w in ("none", "half_rank"))
    assert plain != pytest.approx(warped, abs=1e-3)


def test_settings_of_an_acquisition_are_leaves_and_functions_are_static():
    made = model_based(Nearest(), Bound(0.5))
    assert jax.tree.leaves(made) == [1.0, 0.0, 0.5]
    made = model_based(OfAnotherShape(), farthest)
    assert jax.tree.leaves(made) == []
    assert hash(jax.tree.structure(made))


@pytest.mark.slow
def test_through_the_optimizer():
    optimizer = bojax.Optimizer(SPACE, strategy=small(initial=2))
    for _ in range(4):
        trial = optimizer.ask()
        optimizer.tell(trial, abs(trial.config["x"] - 0.3))
    assert len({t.config["x"] for t in optimizer.trials}) == 4
    assert isinstance(optimizer.strategy, ModelBased)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"surrogate": 3}, r"surrogate needs fit\(key, data\)"),
        ({"acquisition": 3}, "acquisition must be called with"),
        ({"warp": "log"}, "warp must be one of half_rank, none"),
        ({"initial": 1}, "initial must be at least 2"),
        ({"lanes": 7}, "lanes must divide"),
    ],
)
def test_bad_input_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        model_based(**settings)


def test_an_acquisition_of_one_array_is_a_pytree_not_a_constant():
    strategy = bojax.strategies.model_based(acquisition=bojax.acquisitions.UCB(np.array([2.0])))
    assert isinstance(strategy.acquisition, bojax.acquisitions.UCB)


def test_acquisitions_that_draw_do_so_anew_for_every_suggestion():
    one, two = (_drawn(bojax.acquisitions.Thompson(), jax.random.key(k)) for k in (0, 1))
    assert int(one.seed) != int(two.seed) and one.count == two.count
    plain = bojax.acquisitions.LogEI()
    assert _drawn(plain, jax.random.key(0)) is plain
