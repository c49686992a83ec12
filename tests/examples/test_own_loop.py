"""The example runs; its physics and gains are those of the books, and its agent learns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bojax.training import Batch
from bojax.training.program import float32_scope


@pytest.fixture
def loop(example):
    return example("own_loop")


@pytest.mark.parametrize("push", [0, 1])
def test_the_motion_obeys_newton(loop, push):
    """Accelerations solve the two equations of motion, written out and solved as a system."""
    _, speed, angle, turning = place = np.array([0.3, -0.7, 0.15, 0.9])
    mass, arm = loop.POLE, loop.HALF
    across = mass * arm * np.cos(angle)
    matrix = [[loop.CART + mass, across], [across, 4 / 3 * mass * arm**2]]
    force = (2 * push - 1) * loop.FORCE + mass * arm * turning**2 * np.sin(angle)
    sped, turned = np.linalg.solve(matrix, [force, mass * arm * loop.GRAVITY * np.sin(angle)])
    change = np.array([speed, sped, turning, turned])
    after = loop.move(jnp.asarray(place, jnp.float32), push)
    np.testing.assert_allclose(after, place + loop.SECONDS * change, rtol=1e-5)


def test_an_episode_ends_where_the_pole_falls(loop, monkeypatch):
    monkeypatch.setattr(loop, "HORIZON", 40)
    params, _ = loop.init(jax.random.key(0), None, np.zeros((1, 4)))
    episode = loop.play(params, jnp.zeros(4), lambda preferences, t: 1)  # right, for ever
    up = int(episode.up.sum())
    assert 5 < up < 15  # nine or ten pushes in the literature
    assert episode.up.tolist() == [1.0] * up + [0.0] * (40 - up)
    fallen = np.array([bool(loop.fallen(place)) for place in episode.places])
    assert fallen.tolist() == [False] * up + [True] * (40 - up)


def test_gains_are_discounted_steps_above_the_usual(loop):
    rng = np.random.default_rng(0)
    lengths, weight = rng.integers(1, 9, 6), np.array([1.0, 1, 1, 1, 0, 1])
    up = (np.arange(10) < lengths[:, None]).astype(np.float32)
    to_come = np.array(
        [[sum(0.9**k * row[t + k] for k in range(10 - t)) for t in range(10)] for row in up]
    )
    own = up * weight[:, None]
    usual = (own * to_come).sum(0) / np.maximum(own.sum(0), 1)
    spread = np.sqrt((own * (to_come - usual) ** 2).sum() / own.sum())
    expected = (to_come - usual) / spread
    found = loop.gains(jnp.asarray(up), np.float32(0.9), jnp.asarray(own, jnp.float32))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_padding_does_not_count_and_updates_do(loop, monkeypatch):
    monkeypatch.setattr(loop, "HORIZON", 20)
    hp = {"lr": 0.01, "discount": 0.9, "entropy": 0.01}
    hp = {name: np.float32(value) for name, value in hp.items()}
    params, state = loop.init(jax.random.key(0), None, np.zeros((1, 4)))
    run = jax.jit(loop.step)

    def after(updates, padding):
        x = jnp.asarray([[0.1, 0, 0.05, 0], [-0.2, 0, 0, 0.1], padding], jnp.float32)
        batch = Batch(x, jnp.zeros(3), jnp.array([1.0, 1.0, 0.0]))
        own = hp | {"updates": np.int32(updates)}
        with float32_scope():  # as in a sweep
            carry = (params, state, loop.optimizer(own).init(params))
            (moved, _, _), loss = run(carry, batch, own, jax.random.key(1))
        return np.asarray(moved["in"]), float(loss)

    (one, up), (other, same) = after(3, [0.0, 0, 0, 0]), after(3, [1.0, 1, 0.1, 1])
    np.testing.assert_array_equal(one, other)
    assert up == same < -3  # minus the mean steps
    nothing, _ = after(0, [0.0, 0, 0, 0])
    np.testing.assert_array_equal(nothing, params["in"])
    assert np.abs(one - nothing).max() > 1e-3


def test_a_small_run_learns(loop, monkeypatch, capsys):
    """With one trial, search and guess train the same configuration: to the same bits."""
    strong = {"lr": 0.01, "discount": 0.9, "entropy": 1e-3, "updates": 8, "batch_size": 8}
    small = {"HORIZON": 60, "TRIALS": 1, "MAX_BUDGET": 3, "DEFAULT": strong}
    for name, value in small.items():
        monkeypatch.setattr(loop, name, value)
    found, score = loop.main()
    printed = capsys.readouterr().out
    assert f"{found['the best']:6.1f} of 60 steps" in printed and str(score) in printed
    assert found["a guess"] == found["the best"] <= 60
    assert found["the best"] > 3 * found["nothing learned"] > 15


@pytest.mark.slow
def test_tuning_is_worth_it(loop):
    found, score = loop.main()
    assert found["the best"] > 1.2 * found["a guess"] > 5 * found["nothing learned"]
    assert score["steps"] > found["a guess"]
