"""Recipes: kernel, priors, bounds, starts, mean and standardisation, ours and other libraries'.

`docs/recipes.md` says exactly what each original computes; a test holds every recipe to its
original's objective at fixed hyperparameters and to its fits on ten data sets. What differs is the
search: all are fitted by this package's solver, from the original's own default start.

- `bojax`: BoTorch 0.18's priors (Hvarfner, Hellsten & Nardi 2024) with a Matern 5/2 kernel.
- `botorch`: `SingleTaskGP` of BoTorch 0.18.1, squared exponential.
- `botorch-legacy`: its predecessor, scaled Matern 5/2 with Gamma priors.
- `optuna`: `GPSampler` of Optuna 5.0.0.
- `hebo`: the model "gp" of HEBO 0.3.6 at its optimum; HEBO samples around it by SGLD, and warps
  its values first: `warped(gp(recipe="hebo"), "hebo")`.
- `vizier`: the GP bandit of OSS Vizier 0.1.24, whose values are warped first:
  `warped(gp(recipe="vizier"), "vizier")`. Alone it takes values as they come.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from bojax import kernels
from bojax.kernels import LogNormal, LogSquare, Parameter, Power, ShiftedLog, gamma
from bojax.kernels.kernel import Kernel
from bojax.surrogates._gp.objective import Evidence, Model

FAMILIES = {
    "matern52": kernels.Matern52,
    "matern32": kernels.Matern32,
    "matern12": kernels.Matern12,
    "rbf": kernels.RBF,
    "rational_quadratic": kernels.RationalQuadratic,
}
# Kernels of one's own shape with priors of their own: no recipe adapts them.
NAMED = {"learning_curve": kernels.LearningCurve}
# BoTorch 0.18: noise variance ~ LogNormal(-4, 1), of standardised values, at least 1e-4.
NOISE = LogNormal(-4.0, 1.0)
NOISE_LOW = math.log(1e-4)
NOISE_HIGH = math.log(10.0)  # beyond ten times the variance everything is noise
FAR = 30.0  # log bound of what an original leaves unbounded; e^30 is beyond any use
MEDIAN_LEAST = 0.02  # HEBO: least start of a length scale, in columns from -1 to 1


@dataclass(frozen=True)
class Recipe:
    """What a recipe decides.

    Attributes:
        family: name of the kernel family.
        kernel: family -> kernel to be built for the columns.
        noise: of a single observation.
        mean: None to profile the constant mean out, 0 for none.
        standardize: denominator n - 1 ("sample"), n ("population"), or "none".
        adapt: evidence and built model -> model whose start comes from the data.
    """

    family: str
    kernel: Callable[[Any], Kernel]
    noise: Parameter
    mean: float | None = None
    standardize: str = "sample"
    adapt: Callable[[Model, Evidence], Model] | None = None


def _log(value: float, prior: Any, low: float = -FAR, high: float = FAR, **more: Any) -> Parameter:
    return Parameter(math.log(value), prior, low, high, **more)


def _scaled(length_scale: Parameter, scale: Parameter) -> Callable[[Any], Kernel]:
    return lambda family: family(length_scale=length_scale, gap=length_scale).scaled(scale)


def _hebo_start(model: Model, evidence: Evidence) -> Model:
    """Length scales at the (lower) median distance of pairs, output scale at the variance."""
    mask, x = evidence.mask, evidence.features.coordinate
    n = jnp.sum(mask, dtype=jnp.int32)
    later = jnp.arange(mask.shape[0])
    pairs = mask[:, None] & mask[None, :] & (later[:, None] < later[None, :])
    middle = jnp.maximum(n * (n - 1) // 2 - 1, 0) // 2

    def column(values):
        apart = jnp.where(pairs, jnp.abs(values[:, None] - values[None, :]), jnp.inf)
        kept = jnp.where(mask, values, jnp.nan)
        width = jnp.nanmax(kept) - jnp.nanmin(kept)
        median = jnp.sort(jnp.ravel(apart))[middle]
        found = jnp.maximum(median, 0.5 * MEDIAN_LEAST * width)
        return jnp.where((n > 1) & (found > 0), found, 1.0)

    start = jnp.log(jax.lax.map(column, x.T))
    kernel = model.kernel
    inner = kernel.kernel
    scale = inner.length_scale
    frozen = scale.low >= scale.high
    raw = jnp.where(frozen, scale.raw, start)
    # Frozen columns keep equal bounds where they are.
    inner = replace(inner, length_scale=replace(scale, raw=raw))
    weight = mask.astype(x.dtype)
    mean = jnp.sum(weight * evidence.values) / jnp.maximum(jnp.sum(weight), 1.0)
    squares = jnp.sum(weight * (evidence.values - mean) ** 2)
    variance = squares / jnp.maximum(jnp.sum(weight) - 1.0, 1.0)
    variance = jnp.where(variance > 0, variance, 1.0)
    return model._replace(
        kernel=replace(kernel, kernel=inner, scale=kernel.scale.at(jnp.log(variance)))
    )


# What wins by regret (docs/decisions/0004): the mode a little below the default prior's, and two
# fifths of its spread, so that a few points do not pass for a plane.
TUNING_LOCATION = math.log(0.125) + 0.7**2  # mode 0.125 sqrt(d)
TUNING_SCALE = 0.7


def _tight_scales(model: Model, evidence: Evidence) -> Model:
    """Length scales with the tight prior, starting at its mode."""
    scale = model.kernel.length_scale
    location = TUNING_LOCATION + 0.5 * jnp.log(jnp.maximum(evidence.columns.dimensions, 1.0))
    prior = LogNormal(location.astype(scale.raw.dtype), TUNING_SCALE)
    raw = jnp.where(scale.low >= scale.high, scale.raw, prior.mode())
    return model._replace(
        kernel=replace(model.kernel, length_scale=replace(scale, prior=prior, raw=raw))
    )


_LN2 = math.log(2.0)
RECIPES = {
    "bojax": Recipe(
        "matern52",
        lambda family: family(),
        Parameter(NOISE.mode(), NOISE, NOISE_LOW, NOISE_HIGH),
    ),
    "tuning": Recipe(
        "matern52",
        lambda family: family(),
        Parameter(NOISE.mode(), NOISE, NOISE_LOW, NOISE_HIGH),
        adapt=_tight_scales,
    ),
    "botorch": Recipe(
        "rbf", lambda family: family(), Parameter(NOISE.mode(), NOISE, NOISE_LOW, FAR)
    ),
    "botorch-legacy": Recipe(
        "matern52",
        _scaled(_log(_LN2, gamma(3.0, 6.0)), _log(_LN2, gamma(2.0, 0.15))),
        _log(2.0, gamma(1.1, 0.05), NOISE_LOW),
    ),
    "optuna": Recipe(
        "matern52",
        # -(0.1 / rho + 0.1 rho) of rho = l^-2; log s - s; 0.1 log v - 30 v.
        _scaled(_log(1.0, Power(0.0, 0.1, 0.1, 2.0)), _log(1.0, Power(1.0, 1.0))),
        Parameter(math.log(1.0 - 0.99e-6), Power(0.1, 30.0), -FAR, FAR, bijector=ShiftedLog(1e-6)),
        mean=0.0,
        standardize="population",
    ),
    "hebo": Recipe(
        "matern32",
        _scaled(_log(1.0, kernels.Flat()), _log(1.0, gamma(0.5, 0.5))),
        Parameter(
            math.log(0.01 - 8e-4),
            LogNormal(math.log(0.01), 0.5),
            -FAR,
            FAR,
            bijector=ShiftedLog(8e-4),
        ),
        standardize="population",
        adapt=_hebo_start,
    ),
    "vizier": Recipe(
        "matern52",
        # 0.01 log^2(l^2 / 0.5) is 0.04 log^2(l / 0.5^(1/2)).
        _scaled(
            _log(0.5**0.5, LogSquare(0.04, 0.5**0.5), math.log(0.1), math.log(10.0)),
            _log(0.039, LogSquare(0.01, 0.039), math.log(1e-3), math.log(10.0)),
        ),
        _log(0.0039, LogSquare(0.01, 0.0039), math.log(1e-10), 0.0),
        mean=0.0,
        standardize="none",
    ),
}
