"""The log posterior density of a Gaussian process's hyperparameters, of unconstrained variables.

What is sampled is a vector z in which every number is free, and its density is that of z: the
likelihood, the priors of the values, and the Jacobian of z -> values. (The objective of the MAP
fit has no Jacobian: a mode would otherwise depend on the variables it is sought in.)

- raw = middle + half tanh(z / half) keeps a raw hyperparameter within its bounds; near the
  middle it is z, shifted.
- SAAS (D. Eriksson and M. Jankowiak, "High-dimensional Bayesian optimization with sparse
  axis-aligned subspaces", UAI 2021, eq. 5 to 9; here with the numbers that Ax 1.3 ships):

      tau^2 ~ HalfCauchy(0.1),  lambda_k ~ HalfCauchy(1),  1 / l_k^2 = tau^2 lambda_k,
      output scale ~ Gamma(2, 0.15),  noise ~ 1e-4 + Gamma(0.9, 10),  mean ~ N(0, 1)

  in z = (log tau^2, log lambda_1, ...): a few columns matter, the others are switched off.
- The mean is integrated out: a mean N(0, 1) is the same as 1 added to the kernel.
- What is frozen (a column not in use) is given a standard normal of its own, which touches
  nothing else: the sampler then needs no exceptions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bojax.kernels import Constant, Flat, HalfCauchy, Parameter, ShiftedLog, gamma
from bojax.kernels.kernel import Columns, Kernel
from bojax.kernels.parameter import LOG_SQRT_2_PI, is_parameter, pack, parameters, unpack
from bojax.pytrees import pytree
from bojax.surrogates._gp import objective
from bojax.surrogates._gp.objective import Evidence, Model
from bojax.surrogates._gp.recipes import FAMILIES, RECIPES

PRIORS = ("saas", "bojax")
# SAAS as in Ax 1.3 and BoTorch 0.18. A smaller GLOBAL switches off more columns.
GLOBAL, LOCAL = 0.1, 1.0
SCALE = gamma(2.0, 0.15)
LEAST_NOISE, EXCESS_NOISE = 1e-4, gamma(0.9, 10.0)
NOISE_START = math.log(1e-2)  # where the chain begins; the prior's mode is at no noise at all
FAR = 30.0  # bounds of logarithms that the originals leave unbounded; e^30 is beyond any use
LOG_2 = math.log(2.0)


@pytree
@dataclass(frozen=True)
class Horseshoe(Flat):
    """Marks the length scales that share tau."""


@pytree
@dataclass(frozen=True)
class Excess(Flat):
    """The prior is that of what a value exceeds the least one by, exp(raw) of `ShiftedLog`."""

    prior: Any = None


class Target(NamedTuple):
    """What is sampled.

    Attributes:
        model: kernel and noise; holds where everything starts.
        start: `[M]` unconstrained variables at the start.
        free: `[M]` bool; the rest are normals that nothing depends on.
        theta: `[M]` -> `[P]` raw hyperparameters of the model.
        log_density: `[M]` -> scalar, differentiable.
    """

    model: Model
    start: Any
    free: Any
    theta: Callable
    log_density: Callable


def model_of(prior: str, kernel: str, custom: Kernel | None, columns: Columns) -> Model:
    """Kernel and noise of a prior for these columns, the unknown mean in the kernel.

    Args:
        prior: one of `PRIORS`.
        kernel: a family's name, or "custom".
        custom: the kernel then, with its own priors.
    """
    recipe, noise = RECIPES["bojax"], RECIPES["bojax"].noise
    spec = custom if custom is not None else recipe.kernel(FAMILIES[kernel])
    if prior == "saas":
        middle = Parameter(-0.5 * math.log(GLOBAL), Horseshoe(), -FAR, FAR)
        scale = Parameter(SCALE.mode(), SCALE, -FAR, FAR)
        spec = FAMILIES[kernel](length_scale=middle, gap=middle).scaled(scale)
        bijector = ShiftedLog(LEAST_NOISE)
        noise = Parameter(NOISE_START, Excess(EXCESS_NOISE), -FAR, FAR, bijector)
    unknown_mean = Constant(Parameter(0.0).fixed())
    return Model((spec + unknown_mean).build(columns), noise, 0.0)


def target(model: Model, evidence: Evidence) -> Target:
    """The density of the hyperparameters of a model after the evidence."""
    bare = jax.tree.map(
        lambda p: Parameter(p.raw, Flat(), p.low, p.high, p.bijector) if is_parameter(p) else p,
        model,
        is_leaf=is_parameter,
    )
    free = objective.full(model, lambda p: p.free)
    low, high = (objective.full(model, lambda p, n=n: getattr(p, n)) for n in ("low", "high"))
    raw = pack(model)
    shared = np.concatenate(
        [np.full(np.size(p.raw), isinstance(p.prior, Horseshoe)) for p in parameters(model)]
    )
    any_shared = bool(shared.any())
    half = jnp.where(free, 0.5 * (high - low), 1.0)
    middle = 0.5 * (low + high)

    def split(z):
        """log tau^2 and the others."""
        return (z[0], z[1:]) if any_shared else (jnp.zeros((), z.dtype), z)

    def theta(z):
        log_global, own = split(z)
        found = middle + half * jnp.tanh(own / half)
        if any_shared:
            found = jnp.where(shared, -0.5 * (log_global + own), found)
        return jnp.where(free, found, raw)

    def log_prior(z):
        log_global, own = split(z)
        at = unpack(model, theta(z))
        ratio = jnp.abs(own / half)
        log_slope = 2.0 * (LOG_2 - ratio - jnp.log1p(jnp.exp(-2.0 * ratio)))  # of tanh
        each = jnp.concatenate([jnp.ravel(_log_density_of_raw(p)) for p in parameters(at)])
        each = each + log_slope
        total = jnp.zeros((), z.dtype)
        if any_shared:
            each = jnp.where(shared, HalfCauchy(LOCAL).log_density(own) + own, each)
            total = HalfCauchy(GLOBAL).log_density(log_global) + log_global
        return total + jnp.sum(jnp.where(free, each, -0.5 * own**2 - LOG_SQRT_2_PI))

    def log_density(z):
        return log_likelihood(theta(z), bare, evidence) + log_prior(z)

    inside = jnp.clip((raw - middle) / half, -0.999, 0.999)
    start = jnp.where(free, half * jnp.arctanh(inside), 0.0)
    if any_shared:
        log_global = jnp.asarray(math.log(GLOBAL), raw.dtype)
        start = jnp.where(free & shared, -2.0 * raw - log_global, start)
        return Target(
            model, jnp.append(log_global, start), jnp.append(True, free), theta, log_density
        )
    return Target(model, start, free, theta, log_density)


def log_likelihood(theta, model: Model, evidence: Evidence):
    """Of raw hyperparameters; -inf, with slope 0, where the matrix could not be factored.

    The gradient is the closed form's: the value enters as a constant, and the slopes multiply
    a difference that is 0. So nothing ever differentiates the factorisation.
    """
    at = jax.lax.stop_gradient(theta)
    value, slope = objective.value_and_gradient(at, model, evidence)
    good = jnp.isfinite(value) & jnp.all(jnp.isfinite(slope))
    value = jax.lax.stop_gradient(jnp.where(good, value, jnp.inf))
    slope = jax.lax.stop_gradient(jnp.where(good, slope, 0.0))
    return -value - slope @ (theta - at)


def _log_density_of_raw(p: Parameter):
    """Log density of raw: that of the value, and log |dvalue / draw|."""
    if isinstance(p.prior, Excess):
        return p.prior.prior.log_density(p.raw) + p.raw
    by_value = p.prior.log_density(p.log)
    return jnp.broadcast_to(by_value + p.log, jnp.shape(p.raw)) + jnp.log(
        p.bijector.log_slope(p.raw)
    )
