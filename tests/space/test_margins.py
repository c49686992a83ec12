"""How far a yes or no is from turning agrees with the answer, and with the numbers behind it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bojax.space.margins import LEAST, answer_and_margin

VALUES = {"a": jnp.array([0.2, 0.5, 0.9]), "n": jnp.array([1, 4, 7])}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (lambda v: v["a"] <= 0.5, [-0.3, 0.0, 0.4]),
        (lambda v: v["a"] >= 0.5, [0.3, 0.0, -0.4]),
        (lambda v: v["a"] < 0.5, [-0.3, LEAST, 0.4]),
        (lambda v: v["n"] < 4, [-3.0, LEAST, 3.0]),
        (lambda v: ~(v["a"] < 0.5), [0.3, 0.0, -0.4]),
        (lambda v: (v["a"] < 0.8) & (v["n"] > 2), [1.0, -0.3, 0.1]),
        (lambda v: (v["a"] > 0.8) | (v["n"] < 2), [-1.0, 0.3, -0.1]),
        (lambda v: v["n"] == 4, [1.0, -1.0, 1.0]),
        (lambda v: jnp.logical_and(v["a"] < 0.8, v["n"] > 2), [1.0, -0.3, 0.1]),
        (lambda v: v["a"] - 0.5, [-0.3, 0.0, 0.4]),
        (lambda v: jnp.array([True, False, True]), [-1.0, 1.0, -1.0]),
    ],
)
def test_the_margin_is_the_difference_that_was_compared(rule, expected):
    answer, margin = answer_and_margin(rule, VALUES)
    np.testing.assert_allclose(margin, expected, atol=1e-6)
    np.testing.assert_array_equal(answer, rule(VALUES))
    if answer.dtype == bool:
        np.testing.assert_array_equal(np.asarray(margin) <= 0, answer)


def test_a_margin_has_a_slope():
    def ball(v):
        return v["a"] ** 2 + v["b"] ** 2 <= 1.0

    values = {"a": jnp.array([2.0]), "b": jnp.array([3.0])}
    slope = jax.grad(lambda v: answer_and_margin(ball, v)[1].sum())(values)
    assert float(slope["a"][0]) == 4.0 and float(slope["b"][0]) == 6.0


def test_what_is_not_finite_is_broken():
    _, margin = answer_and_margin(lambda v: jnp.log(v["a"]) < 0, {"a": jnp.array([-1.0, 0.5])})
    assert float(margin[0]) > 0 > float(margin[1])
