"""bojax's side: the functions its public path compiles, and one judge for all sides."""

from __future__ import annotations

import functools
import math
import time
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

import bojax
from bojax.configuration import compiler_options
from bojax.kernels.parameter import pack
from bojax.surrogates import GP, Data
from bojax.surrogates._gp import objective
from bojax.surrogates._gp.surrogate import pad_data
from speed_parts import counts
from speed_parts.data import observations

SURROGATE = GP()
DRAWS = 4096  # of the posterior, behind an expected improvement


@dataclass(frozen=True)
class Evaluation:
    """The compiled objective of a (capacity, columns), and what one evaluation takes.

    Attributes:
        alone: `(theta, kernel, evidence) -> (value, gradient)`, compiled.
        calls: how often factorisations and products stand in it.
        flops: operations of one evaluation.
        compile_seconds: of tracing, lowering and compiling it.
    """

    alone: Any
    calls: dict[str, int]
    flops: float
    compile_seconds: float


def prepared(rows, values) -> tuple[Any, Any, int]:
    """Kernel and evidence as a fit makes them from observations, and the columns in use."""
    data = pad_data(Data(rows, values))
    with jax.enable_x64(True):
        kernel, evidence = _prepared(data)
    return kernel, evidence, rows.shape[1]


@jax.jit
def _prepared(data):
    evidence, _, _ = SURROGATE.evidence(data)
    return SURROGATE.model(evidence), evidence


_EVALUATIONS: dict[tuple[int, int], Evaluation] = {}


def evaluation(kernel, evidence) -> Evaluation:
    """The objective as a program of its own; each (capacity, columns) is compiled once."""
    size = _, columns = evidence.features.coordinate.shape
    if size not in _EVALUATIONS:
        theta = np.zeros(2 * columns + 1)
        began = time.perf_counter()
        with jax.enable_x64(True):
            jitted = jax.jit(objective.value_and_gradient, compiler_options=compiler_options())
            traced = jitted.trace(theta, kernel, evidence)
            alone = traced.lower().compile()
        seconds = time.perf_counter() - began
        found = counts.calls(traced.jaxpr)
        flops = counts.flops(alone, traced.jaxpr)
        _EVALUATIONS[size] = Evaluation(alone, found, flops, seconds)
    return _EVALUATIONS[size]


@functools.partial(jax.jit, compiler_options=compiler_options())
def several(thetas, kernel, evidence):
    """Evaluations one after the other inside one program, as in a fit."""
    return jax.lax.map(lambda t: objective.value_and_gradient(t, kernel, evidence), thetas)


@functools.partial(jax.jit, compiler_options=compiler_options())
def exact_fit(rows, values):
    """A fit from one start, compiled for the very shape of the data, in the caller's precision."""
    surrogate = bojax.surrogates.gp(screened=0, kept=0)
    return surrogate.fit_pure(jax.random.key(0), Data(rows, values))


def default_theta(kernel, evidence) -> np.ndarray:
    """The start every fit has: the priors' modes."""
    with jax.enable_x64(True):
        return np.asarray(pack(kernel))


def objective_at(rows, values, length_scale, noise) -> float:
    """Our objective, in nats, at somebody's length scales `[d]` and noise variance.

    Gap length scales, which plain numbers do not have, stay at their start; a mean needs no
    telling, it is profiled out.
    """
    kernel, evidence, d = prepared(rows, values)
    theta = default_theta(kernel, evidence).copy()
    theta[:d] = np.log(np.clip(length_scale, 1e-6, 1e6))
    theta[-1] = math.log(max(noise, 1e-12))
    with jax.enable_x64(True):
        value, _ = evaluation(kernel, evidence).alone(theta, kernel, evidence)
    return float(value)


@functools.lru_cache(maxsize=4)
def judge(number, n, d):
    """A Matern 5/2 fitted to a data set as it is, and its least mean at an observation."""
    rows, values = observations(number, n, d)
    posterior, _ = bojax.surrogates.gp().fit(jax.random.key(0), Data(rows, values))
    mean, _ = posterior.mean_and_variance(rows)
    return posterior, mean.min()


def improvement(number, n, d, batch) -> float:
    """log expected improvement of a batch `[q, d]` on a data set, by one judge for all sides.

    Monte Carlo with the same random numbers for all, of the noise-free function, over the
    least mean seen.
    """
    posterior, least = judge(number, n, d)
    batch = np.asarray(batch, float)
    mean_there, covariance = posterior.joint(batch)
    lower = np.linalg.cholesky(covariance + 1e-10 * np.trace(covariance) * np.eye(len(batch)))
    normal = np.random.default_rng(0).standard_normal((DRAWS, len(batch)))
    draws = (mean_there + normal @ lower.T).min(axis=1)
    gain = np.mean(np.maximum(least - draws, 0.0))
    return math.log(gain) if gain > 0 else -math.inf


def optimizer_with(rows, values, seed):
    """An `Optimizer` that was told the observations."""
    names = [f"x{i}" for i in range(rows.shape[1])]
    optimizer = bojax.Optimizer({name: bojax.Float(0, 1) for name in names}, seed=seed)
    for row, value in zip(rows, values, strict=True):
        tell(optimizer, row, value)
    return optimizer


def tell(optimizer, row, value):
    names = optimizer.space.names
    optimizer.tell(dict(zip(names, map(float, row), strict=True)), float(value))


def rows_of(trials) -> list[list[float]]:
    """Configurations of trials as rows, in the order of the parameters."""
    return [list(trial.config.values()) for trial in trials]
