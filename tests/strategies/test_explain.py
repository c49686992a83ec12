"""Explanations: against the surrogate fitted by hand, and against what must not matter."""

import jax
import numpy as np
import pytest

import bojax
from bojax.errors import TrialError
from bojax.surrogates import Data

SPACE = {"x": bojax.Float(0, 1), "idle": bojax.Float(0, 1), "kind": bojax.Categorical(["a", "b"])}


def value(config):
    return 10.0 + (config["x"] - 0.3) ** 2 + (config["kind"] == "b")


DIRECTIONS = ["maximize", pytest.param("minimize", marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=DIRECTIONS)
def told(request):
    """An optimizer that has told results and one pending trial of the model's."""
    sign = 1.0 if request.param == "minimize" else -1.0
    strategy = bojax.strategies.gp(warp="none")
    optimizer = bojax.Optimizer(SPACE, strategy=strategy, direction=request.param, seed=3)
    for _ in range(10):
        trial = optimizer.ask()
        optimizer.tell(trial, sign * value(trial.config))
    return optimizer, optimizer.ask(), sign


def test_it_says_what_the_surrogate_predicts(told):
    optimizer, trial, sign = told
    done = optimizer.trials[:10]
    data = Data(
        np.array([t.row for t in done]), np.array([value(t.config) for t in done]),
        table=optimizer.space.table,
    )  # fmt: skip
    posterior, _ = bojax.surrogates.gp(recipe="tuning").fit(jax.random.key(0), data)
    mean, variance = posterior.mean_and_variance(trial.row[None])
    explained = optimizer.explain(trial)
    assert explained.mean == pytest.approx(sign * mean[0], abs=2e-3)
    assert explained.deviation == pytest.approx(variance[0] ** 0.5, rel=0.1, abs=1e-3)
    observed, _ = posterior.mean_and_variance(data.rows)
    assert explained.incumbent == pytest.approx(sign * observed.min(), abs=2e-3)


def test_it_names_the_nearest_trial_and_what_drove_it(told):
    optimizer, trial, _ = told
    explained = optimizer.explain(trial.id)
    near = optimizer.trials[explained.nearest]
    assert near.config["kind"] == trial.config["kind"]
    assert 0.0 < explained.similarity <= 1.0
    assert set(explained.drivers) == {"x", "idle", "kind"}
    gains = list(explained.drivers.values())
    assert gains == sorted(gains, reverse=True)
    text = str(explained)
    assert f"trial {trial.id}: predicted {explained.mean:.4g}" in text
    assert f"trial {explained.nearest}" in text


def test_later_results_and_asking_change_nothing(told):
    optimizer, trial, _ = told
    early = optimizer.trials[7]
    before = optimizer.explain(early), optimizer.explain(trial)
    optimizer.tell({"x": 0.9, "idle": 0.5, "kind": "b"}, 3.0)
    assert (optimizer.explain(early), optimizer.explain(trial)) == before
    assert before[0].trial == 7 and before[0].nearest < 7


def test_what_no_model_chose_is_refused(told):
    optimizer, _, _ = told
    with pytest.raises(ValueError, match="trial 1 comes from the initial design"):
        optimizer.explain(1)
    with pytest.raises(TrialError):
        optimizer.explain(99)
