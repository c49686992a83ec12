"""The no-U-turn sampler, by blackjax, warm-up and sampling in one loop.

M. D. Hoffman and A. Gelman, "The No-U-Turn sampler", JMLR 15 (2014), in its multinomial form
(M. Betancourt, 2017), with Stan's warm-up: the step size by dual averaging, the mass matrix by
the covariance of windows that double. Both are blackjax's; the loop is ours, since two of them
(one to warm up, one to sample) would compile the trajectory twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bojax.surrogates._bayes.chain import Chain

FIRST_STEP = 0.1  # of the step size; Stan's 1 begins with dozens of divergences here


def require() -> Any:
    """The blackjax package.

    Raises:
        ImportError: it is not installed; names the extra.
    """
    try:
        import blackjax
    except ImportError as error:
        raise ImportError(
            "bayesian_gp: sampler='nuts' needs blackjax, which is not installed; "
            "pip install 'bojax[bayes]', or take sampler='slice'."
        ) from error
    return blackjax


def sample(
    key,
    log_density: Callable,
    start,
    *,
    warm_up: int,
    samples: int,
    depth: int,
    dense: bool,
    target_acceptance: float,
) -> Chain:
    """A chain from a start.

    Args:
        key: `jax.random.key`.
        log_density: `[M]` -> scalar, differentiable.
        start: `[M]`, where the density is above 0.
        warm_up, samples: transitions, static.
        depth: a trajectory has at most 2^depth - 1 steps.
        dense: a full mass matrix, not a diagonal one.
        target_acceptance: of the step size's adaptation.
    """
    blackjax = require()
    from blackjax.adaptation.mass_matrix import mass_matrix_adaptation
    from blackjax.adaptation.step_size import dual_averaging_adaptation
    from blackjax.adaptation.window_adaptation import build_schedule

    # blackjax mixes integers and numbers of Python's with arrays: hence the promotion here.
    with jax.ensure_compile_time_eval(), jax.numpy_dtype_promotion("standard"):
        schedule = np.asarray(build_schedule(warm_up), int).reshape(warm_up, 2)
    slow, closing = jnp.asarray(np.pad(schedule, [(0, samples), (0, 0)]).T.astype(bool))
    mass_init, mass_update, mass_final = mass_matrix_adaptation(not dense)
    step_init, step_update, step_final = dual_averaging_adaptation(target_acceptance)
    kernel = blackjax.nuts.build_kernel()
    # Its states are in the default precision, whatever that of the data.
    dtype, own = jnp.result_type(float), start.dtype

    def default_density(z):
        return log_density(z.astype(own)).astype(dtype)

    def alike(old, new):
        """The new state in the old one's types: a loop must not change them."""
        return jax.tree.map(lambda a, b: jnp.asarray(b).astype(jnp.asarray(a).dtype), old, new)

    def choose(condition, new, old):
        return jax.tree.map(lambda a, b: jnp.where(condition, a, b), alike(old, new), old)

    def transition(carry, x):
        state, mass, step = carry
        i, slow, closing = x
        warming = i < warm_up
        size = jnp.where(warming, jnp.exp(step.log_step_size), step_final(step)).astype(dtype)
        new, info = kernel(
            jax.random.fold_in(key, i),
            state,
            default_density,
            size,
            mass.inverse_mass_matrix,
            depth,
        )
        state = alike(state, new)
        mass = choose(slow, mass_update(mass, state.position), mass)
        step = choose(warming, step_update(step, info.acceptance_rate), step)
        mass = choose(closing, mass_final(mass), mass)
        step = choose(closing, step_init(step_final(step)), step)
        out = (
            state.position, state.logdensity, info.acceptance_rate, info.is_divergent,
            info.num_integration_steps,
        )  # fmt: skip
        return (state, mass, step), out

    def in_precision(x):
        x = jnp.asarray(x)
        return x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x

    with jax.numpy_dtype_promotion("standard"):
        adaptation = mass_init(start.shape[0]), step_init(FIRST_STEP)
        begin = (
            blackjax.nuts.init(start.astype(dtype), default_density),
            *jax.tree.map(in_precision, adaptation),
        )
        xs = jnp.arange(warm_up + samples), slow, closing
        _, (positions, values, acceptance, divergent, steps) = jax.lax.scan(transition, begin, xs)
    return Chain(
        positions[warm_up:].astype(own),
        values[warm_up:].astype(own),
        jnp.mean(acceptance[warm_up:]).astype(own),
        jnp.sum(divergent[warm_up:], dtype=jnp.int32),
        1 + jnp.sum(steps, dtype=jnp.int32),
    )
