"""Maximum a posteriori hyperparameters from several starts, in one loop over one program.

The first fit runs the default start and the best few of some prior draws, which a single
evaluation each screens. Of 100 data sets of 10 to 50 points in 6 dimensions the default alone
found the best optimum in 79 to 100, with three screened draws in all. A later fit starts where
the last one ended: eight evaluations on average.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from bojax.kernels.parameter import pack, parameters, unpack
from bojax.optimize import minimize, normals
from bojax.surrogates._gp import objective
from bojax.surrogates._gp.objective import Evidence, Model

MOST_EVALUATIONS = 60  # of one start; 36 was the most any of 300 fits of the default took
# A predicted decrease below this many nats is convergence: a nat is a factor e of probability,
# and predictions do not show a hundredth of one. 5e-3 saves one evaluation in fifteen, and ended
# an eighth of a nat short on one data set in fifty.
TOLERANCE = 1e-3
LARGEST_MOVE = 2.0  # log units in one step
# Beyond LARGE lines hyperparameters come from SUBSET of them and are polished on all: from 512 of
# 2,000 lines the optimum was 7 nats off, which four evaluations made good, from 256 49 nats.
LARGE = 1024
SUBSET = 512
WIDE_NOISE = 0.3  # of standardised values
POLISH = 6  # most evaluations on all lines


class Info(NamedTuple):
    """How a fit went.

    Attributes:
        theta: `[P]` fitted raw hyperparameters; warm start of the next fit.
        objective: negative log posterior there.
        evaluations: objective evaluations of the winning start's search and all others.
        jitter: largest amount the diagonal was raised above the fitted noise.
        converged: whether the winning start stopped by itself.

    Example:
        >>> import bojax
        >>> bojax.surrogates.Info._fields[:2]
        ('theta', 'objective')
    """

    theta: Any
    objective: Any
    evaluations: Any
    jitter: Any
    converged: Any


class Search(NamedTuple):
    """Where the search from each start ended, screened ones first."""

    thetas: Any  # [R, P]
    values: Any  # [R]
    evaluations: Any  # int32, all together
    converged: Any  # [R]
    factors: objective.Factors  # of the best of them


def bounds(model: Model):
    """Low and high of every raw hyperparameter, equal (frozen) where a column is not in use."""
    return objective.full(model, lambda p: p.low), objective.full(model, lambda p: p.high)


def prior_draws(key, model: Model, n: int):
    """`[n, P]` draws of raw hyperparameters around the priors' modes.

    The values of one parameter share a draw of location: independent length scales would
    hardly ever be short, or long, in all columns together.
    """
    dtype = pack(model).dtype
    which = jnp.concatenate(
        [jnp.full(jnp.size(p.raw), i, jnp.int32) for i, p in enumerate(parameters(model))]
    )
    count, size = len(parameters(model)), which.shape[0]
    normal = normals(key, (n, size + count), dtype)
    own, shared = normal[:, :size], normal[:, size:][:, which]
    mode = objective.full(model, lambda p: p.bijector.raw(jnp.asarray(p.prior.mode(), dtype)))
    spread = objective.full(model, lambda p: jnp.asarray(p.prior.spread(), dtype))
    return mode + spread * (0.7 * shared + 0.7 * own)


def wide_start(model: Model):
    """Length scales at the medians of their priors, much noise, `[P]`.

    From there a search ends in the mode that explains the data by a plain function and noise,
    if there is one; from the priors' modes it hardly ever does.
    """

    def far(p):
        log_value = p.prior.mode() + jnp.asarray(p.prior.spread(), p.log.dtype) ** 2
        return p.bijector.raw(log_value + jnp.zeros_like(p.log))

    kernel = objective.full(model.kernel, far)
    noise = model.noise.bijector.raw(jnp.asarray(math.log(WIDE_NOISE), kernel.dtype))
    return jnp.concatenate([kernel, noise[None]])


class Starts(NamedTuple):
    """Which starts a fit makes; both may be traced.

    Attributes:
        warm: whether it searches from the last fit's optimum.
        full: whether it searches from the default start and the best prior draws.

    Example:
        >>> import bojax
        >>> bojax.surrogates.Starts(warm=True, full=False).full
        False
    """

    warm: Any
    full: Any


def search(
    key,
    model: Model,
    evidence: Evidence,
    warm,
    starts: Starts,
    *,
    screened: int,
    kept: int,
    wide: bool = False,
):
    """Searches from `warm`, the screened draws, the default start and the best draws.

    Args:
        key: for the prior draws.
        model: kernel and noise at the default start.
        evidence: what to fit.
        warm: `[P]` start of a refit; not looked at unless `starts.warm`.
        starts: :class:`Starts`.
        screened, kept: static; prior draws evaluated once, and how many of the best of
            them are then searched from.
        wide: static; whether it searches from :func:`wide_start`, too.
    """
    low, high = bounds(model)
    default = pack(model)
    draws = prior_draws(key, model, screened) if screened else default[None, :][:0]
    # Order of the work: warm, screened draws (one evaluation each), default, wide, best draws.
    fixed = [default[None], wide_start(model)[None]] if wide else [default[None]]
    points = jnp.clip(jnp.concatenate([warm[None], draws, *fixed]), low, high)
    named = screened + 1 + len(fixed)
    room = named + kept

    def work(i, found: Search) -> Search:
        at = jnp.minimum(i, named - 1)
        if kept:
            values = jnp.where(jnp.isfinite(found.values), found.values, jnp.inf)
            ranked = 1 + jnp.argsort(values[1 : screened + 1])
            again = ranked[jnp.clip(i - named, 0, screened - 1)]
            at = jnp.where(i < named, at, again)
        once = (i >= 1) & (i <= screened)
        result = minimize(
            lambda theta: objective.value_gradient_factors(theta, model, evidence),
            points[at],
            low,
            high,
            most_evaluations=jnp.where(once, 1, MOST_EVALUATIONS),
            largest_move=LARGEST_MOVE,
            tolerance=TOLERANCE,
            has_aux=True,
        )
        better = result.value < jnp.min(found.values)
        return Search(
            found.thetas.at[i].set(result.x),
            found.values.at[i].set(result.value),
            found.evaluations + result.evaluations,
            found.converged.at[i].set(result.converged),
            jax.tree.map(lambda a, b: jnp.where(better, a, b), result.aux, found.factors),
        )

    first = jnp.where(starts.warm, 0, 1)
    last = jnp.where(starts.full, room, 1)
    empty = Search(
        jnp.broadcast_to(default, (room, default.shape[0])),
        jnp.full(room, jnp.inf, default.dtype),
        jnp.zeros((), jnp.int32),
        jnp.zeros(room, bool),
        objective.no_factors(evidence),
    )
    return jax.lax.fori_loop(first, last, work, empty)


def fit(key, model: Model, evidence: Evidence, warm, starts: Starts, *, screened: int, kept: int):
    """Raw hyperparameters of the highest posterior density found; arguments of :func:`search`.

    Returns:
        `(Info, Factors)`, the factors at `Info.theta`. Where nothing was finite, which no data
        set has managed so far, they are the prior's at the default start.
    """
    found = search(key, model, evidence, warm, starts, screened=screened, kept=kept)
    return best_of(found, model), found.factors


def best_of(found: Search, model: Model) -> Info:
    """The best end among searches."""
    values = jnp.where(jnp.isfinite(found.values), found.values, jnp.inf)
    best = jnp.argmin(values)
    theta = jnp.where(jnp.isfinite(values[best]), found.thetas[best], pack(model))
    jitter = found.factors.jitter
    return Info(theta, values[best], found.evaluations, jitter, found.converged[best])


def fit_large(
    key, model: Model, evidence: Evidence, warm, starts: Starts, *, screened: int, kept: int
):
    """:func:`fit` for many lines: hyperparameters of a random subset, polished on all.

    The subset is standardised with everything else. Neither the gradient nor the factors of a
    rejected point are kept, so that few matrices of all lines exist at a time.
    """
    draw, own = jax.random.split(key)
    chance = jax.random.uniform(draw, evidence.mask.shape, evidence.values.dtype)
    _, chosen = jax.lax.top_k(jnp.where(evidence.mask, chance, -1.0), SUBSET)
    part = objective.take(evidence, chosen)
    info, _ = fit(own, model, part, warm, starts, screened=screened, kept=kept)
    low, high = bounds(model)
    result = minimize(
        lambda theta: objective.value_and_gradient(theta, model, evidence),
        info.theta,
        low,
        high,
        most_evaluations=POLISH,
        largest_move=LARGEST_MOVE,
        tolerance=TOLERANCE,
    )
    at = unpack(model, result.x)
    gram = at.kernel.gram(evidence.features, evidence.features)
    diagonal = at.kernel.diagonal(evidence.features)
    factors = objective.factorise(gram, diagonal, evidence, at.noise.value, at.mean)
    evaluations = info.evaluations + result.evaluations
    converged = info.converged & jnp.isfinite(result.value)
    return Info(result.x, result.value, evaluations, factors.jitter, converged), factors
