"""When a run of CMA-ES has ended, and how the next one begins.

IPOP: A. Auger and N. Hansen, "A restart CMA evolution strategy with increasing population size",
CEC 2005; its section 2 has the criteria. BIPOP: N. Hansen, "Benchmarking a BI-population CMA-ES
on the BBOB-2009 function testbed", GECCO 2009 workshop.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from bojax.strategies._cmaes_update import Distribution

# Of Auger and Hansen, section 2.
FUNCTIONS = 1e-12  # range of the values
SPREAD = 1e-12  # of a deviation, in units of the first step
CONDITION = 1e14  # of the covariance
WAIT, WAIT_A_COLUMN = 10, 30  # generations whose values are compared: 10 + ceil(30 n / lambda)
GROWTH = 1e4  # of a deviation, in units of the first step (cmaes 0.13.1, pycma's tolxup)
NO_AXIS, NO_COORDINATE = 0.1, 0.2
DOUBLINGS = 9  # of the population (pycma's `restarts`, and the example of cmaes)
SHRINK = 1e-2  # BIPOP: a small run begins with a step down to this part, log-uniform


class Runs(NamedTuple):
    """The runs so far.

    Attributes:
        count: restarts.
        large: whether the present one is of the large regime.
        doublings: of the population in the large regime.
        spent: `[2]` evaluations of the small and the large regime, the present run's left out.
        sigma0: the first step of the present run.
    """

    count: Any
    large: Any
    doublings: Any
    spent: Any
    sigma0: Any


def recent(values, generations, last, born, popsize, columns):
    """Whether enough generations passed, and the range of their values.

    Args:
        values: `[N]` of the history, inf where there is none.
        generations: `[N]`, -1 where a line belongs to none.
        last, born: the generation that closes, and its run's first.
    """
    waited = WAIT + -(-WAIT_A_COLUMN * columns // popsize)
    these = (generations >= born) & (generations > last - waited) & jnp.isfinite(values)
    high = jnp.max(jnp.where(these, values, -jnp.inf))
    low = jnp.min(jnp.where(these, values, jnp.inf))
    return (last - born + 1 > waited) & jnp.any(these), high - low


def ended(now: Distribution, runs: Runs, free, generation, waited, spread):
    """Whether a distribution has nowhere to go.

    Args:
        free: `[D]` bool.
        waited, spread: of :func:`recent`.
    """
    dtype = now.mean.dtype
    # Rows nearer than this are the same configuration.
    resolution = 1e-9 if dtype == jnp.float64 else 1e-6
    deviation = now.sigma * jnp.sqrt(now.variances)
    still = jnp.maximum(SPREAD * runs.sigma0, resolution)
    gone = jnp.all(~free | ((deviation < still) & (now.sigma * jnp.abs(now.path_c) < still)))
    lost = jnp.any(free & (deviation > GROWTH * runs.sigma0))
    stuck = jnp.any(free & (now.mean == now.mean + NO_COORDINATE * deviation))
    if now.basis is None:
        squares = now.scales**2
        least = jnp.min(jnp.where(free, squares, jnp.inf))
        flat = jnp.max(jnp.where(free, squares, 0.0)) > CONDITION * least
        return gone | lost | stuck | flat | (waited & (spread < FUNCTIONS))
    # A column without freedom has an eigenvalue of 1 and a vector of its own.
    owned = jnp.sum(jnp.where(free[:, None], now.basis**2, 0.0), axis=0) > 0.5
    squares = now.scales**2
    least = jnp.min(jnp.where(owned, squares, jnp.inf))
    flat = jnp.max(jnp.where(owned, squares, 0.0)) > CONDITION * least
    axis = jnp.mod(generation, free.shape[0])
    along = NO_AXIS * now.sigma * now.scales[axis] * now.basis[:, axis]
    stuck = stuck | (owned[axis] & jnp.all(now.mean == now.mean + along))
    return gone | lost | stuck | flat | (waited & (spread < FUNCTIONS))


def out_of_budget(runs: Runs, spent):
    """Whether a small run has had half the evaluations of the large ones (as pycma)."""
    return ~runs.large & (runs.count > 0) & (2 * spent >= runs.spent[1])


def next_run(rule: str, key, runs: Runs, spent, first_popsize, first_sigma, most: int):
    """The next run's bookkeeping and population.

    Args:
        rule: "ipop" or "bipop".
        key: of this restart.
        spent: evaluations of the run that ended.
        first_popsize, first_sigma: of the first run.
        most: static, populations grow no further.

    Returns:
        :class:`Runs` and the population's size.
    """
    dtype = runs.sigma0.dtype
    regime = jnp.arange(2, dtype=jnp.int32) == runs.large.astype(jnp.int32)
    total = runs.spent + jnp.where(regime, spent, 0).astype(jnp.int32)
    draws = jax.random.uniform(key, (2,), dtype)
    # The first run counts as small: after it comes a large one.
    large = jnp.ones((), bool) if rule == "ipop" else total[0] >= total[1]
    doublings = jnp.minimum(runs.doublings + large.astype(jnp.int32), DOUBLINGS)
    first = jnp.asarray(first_popsize, dtype)
    double = 2.0 ** doublings.astype(dtype)
    small = jnp.floor(first * jnp.maximum(0.5 * double, 1.0) ** (draws[0] ** 2))
    popsize = jnp.minimum(jnp.where(large, first * double, small), float(most))
    factor = jnp.where(large, 1.0, SHRINK ** draws[1]).astype(dtype)
    after = Runs(runs.count + 1, large, doublings, total, factor * first_sigma)
    return after, popsize.astype(jnp.int32)
