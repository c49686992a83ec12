"""The settings that make the other tests strict are on."""

import warnings

import jax
import jax.numpy as jnp
import pytest


def test_warnings_are_errors():
    with pytest.raises(UserWarning, match="heard"):
        warnings.warn("heard", stacklevel=1)


def test_promotion_is_strict():
    with pytest.raises(Exception, match="promotion"):
        jnp.zeros(2, jnp.int32) + jnp.zeros(2, jnp.float32)


def test_there_are_two_devices():
    assert len(jax.devices("cpu")) == 2


def test_compiles_are_counted(count_compiles):
    def doubled(x):
        return x + x

    fresh, x = jax.jit(doubled), jnp.ones(3)
    with count_compiles() as programs:
        fresh(x)
        fresh(x)
    assert programs == ["jit(doubled)"]
    with count_compiles() as programs:
        fresh(x)
    assert programs == []
