"""Posteriors that were told what to say."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bojax.pytrees import pytree


@pytree
@dataclass(frozen=True)
class Numbered:
    """A Gaussian of N rows that are named by their number, the first column."""

    mean: Any
    covariance: Any
    noise: Any = 0.0

    def mean_and_variance(self, rows):
        at = jnp.asarray(rows)[..., 0].astype(jnp.int32)
        return self.mean[at], jnp.diagonal(self.covariance)[at]

    def joint(self, rows):
        at = jnp.asarray(rows)[..., 0].astype(jnp.int32)
        return self.mean[at], self.covariance[at[:, None], at[None, :]]


@pytree
@dataclass(frozen=True)
class Sloped:
    """mean = offset + x_0, covariance = variance exp(-|x - x'|^2 / 2)."""

    offset: Any
    variance: Any

    def mean_and_variance(self, rows):
        return self.offset + rows[..., 0], jnp.broadcast_to(self.variance, rows.shape[:-1])

    def joint(self, rows):
        squared = jnp.sum((rows[:, None] - rows[None]) ** 2, axis=-1)
        return self.offset + rows[:, 0], self.variance * jnp.exp(-0.5 * squared)

    def paths(self, key, n, count=1024):
        heights = jax.random.normal(key, (n, count), self.variance.dtype)
        heights = jnp.sum(heights, axis=1, keepdims=True) / count**0.5
        return lambda rows: self.offset + rows[:, 0] + jnp.sqrt(self.variance) * heights


@pytest.fixture(scope="session")
def numbered():
    """`numbered(mean, covariance, noise)` in float64."""

    def make(mean, covariance, noise=0.0):
        with jax.enable_x64(True):
            return Numbered(*(jnp.asarray(x, jnp.float64) for x in (mean, covariance, noise)))

    return make


@pytest.fixture(scope="session")
def sloped():
    """`sloped(offset, variance)`: the class, to be made inside a program."""
    return Sloped


@pytest.fixture(scope="session")
def botorch():
    """What BoTorch says, with lists as arrays; see data/make_acquisitions.py."""
    data = json.loads((Path(__file__).parent / "data" / "acquisitions.json").read_text())
    return {k: np.array(v) if isinstance(v, list) and k != "values" else v for k, v in data.items()}


@pytest.fixture(scope="session")
def smooth(numbered):
    """Eight correlated rows, neither sure nor unrelated, and their mean and covariance."""
    rng = np.random.default_rng(3)
    x = np.sort(rng.uniform(0, 1, 8))
    covariance = np.exp(-0.5 * (x[:, None] - x) ** 2 / 0.2**2) * 0.7 + 0.01 * np.eye(8)
    mean = rng.normal(size=8)
    return numbered(mean, covariance), mean, covariance
