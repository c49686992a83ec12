"""Factors against NumPy, and the choice of how a batch runs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bojax.optimize import over_batch
from bojax.optimize.linalg import cholesky, inverse_transposed


@pytest.mark.parametrize("n", [1, 48, 49, 64, 100, 203, 256])
def test_factors_equal_numpy(n):
    a = np.random.default_rng(n).normal(size=(n, 2 * n))
    a = a @ a.T / n + np.eye(n)
    with jax.enable_x64(True):
        lower = np.asarray(cholesky(jnp.asarray(a)))
        upper = np.asarray(jax.jit(inverse_transposed)(lower))
    np.testing.assert_allclose(np.tril(lower), np.linalg.cholesky(a), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(upper @ upper.T, np.linalg.inv(a), rtol=1e-10, atol=1e-12)
    assert np.array_equal(upper, np.triu(upper))


def test_what_is_not_positive_definite_is_nan_not_an_error():
    assert np.isnan(np.asarray(cholesky(-jnp.eye(3)))).any()


@pytest.mark.parametrize("mode", ["vmap", "map", "auto"])
def test_a_batch_is_each_of_its_members(mode):
    x, y = jnp.arange(4.0), {"a": jnp.ones((4, 2))}
    result = over_batch(lambda x, y: x * y["a"].sum(), mode=mode)(x, y)
    assert np.array_equal(result, [0, 2, 4, 6])


def test_one_after_the_other_on_a_cpu_and_as_asked():
    def primitive(mode):
        return str(jax.make_jaxpr(over_batch(jnp.sin, mode=mode))(jnp.ones(3)))

    assert "scan" in primitive("map") and "scan" not in primitive("vmap")
    with pytest.raises(ValueError, match=r"mode.*pmap"):
        over_batch(jnp.sin, mode="pmap")
