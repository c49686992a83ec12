"""Whether a chain has forgotten its start: split R-hat and the effective sample size.

A. Gelman et al., "Bayesian Data Analysis" (3rd edition, 2013), section 11.4 and 11.5; the sum
of autocorrelations is cut by C. J. Geyer's initial monotone sequence ("Practical Markov chain
Monte Carlo", Statistical Science 7, 1992). With the two halves of a chain as chains of n states,

    W = mean variance within,   V = (n - 1) / n W + variance of the means,
    R-hat = sqrt(V / W),   ESS = 2 n / (1 + 2 sum rho_t),   rho_t = 1 - (W - mean c_t) / V.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def halves(x):
    """`[S, ...]` -> `[2, S // 2, ...]`; of an odd number the first is left out."""
    n = x.shape[0] // 2
    return x[x.shape[0] - 2 * n :].reshape(2, n, *x.shape[1:])


def _variances(chains):
    """W and V of `[C, n, ...]`."""
    n = chains.shape[1]
    within = jnp.mean(jnp.var(chains, axis=1, ddof=1), axis=0)
    between = jnp.var(jnp.mean(chains, axis=1), axis=0, ddof=1)
    return within, (n - 1) / n * within + between


def split_r_hat(x):
    """`[S, P]` -> `[P]`: 1 where both halves look alike; inf where each half is stuck."""
    within, total = _variances(halves(x))
    stuck = jnp.where(total > 0, jnp.inf, 1.0).astype(x.dtype)
    return jnp.where(within > 0, jnp.sqrt(total / jnp.where(within > 0, within, 1.0)), stuck)


def effective_samples(x):
    """`[S, P]` -> `[P]`: independent draws that tell as much of a mean; at most S log10 S."""
    chains = halves(x)
    within, total = _variances(chains)
    n = chains.shape[1]
    centred = chains - jnp.mean(chains, axis=1, keepdims=True)
    later = jnp.concatenate([centred, jnp.zeros_like(centred)], axis=1)

    def autocovariance(lag):
        shifted = jax.lax.dynamic_slice_in_dim(later, lag, n, axis=1)
        return jnp.mean(jnp.sum(centred * shifted, axis=1) / n, axis=0)

    lags = n - n % 2
    covariances = jax.lax.map(autocovariance, jnp.arange(lags))
    safe = jnp.where(total > 0, total, 1.0)
    rho = (1.0 - (within - covariances) / safe).at[0].set(1.0)
    pairs = rho[0::2] + rho[1::2]
    positive = jnp.cumprod(pairs > 0, axis=0, dtype=jnp.int32) > 0
    monotone = jax.lax.cummin(jnp.where(positive, pairs, 0.0), axis=0)
    inefficiency = -1.0 + 2.0 * jnp.sum(monotone, axis=0)
    size = 2.0 * n
    most = size * jnp.log10(jnp.asarray(size, x.dtype))
    found = size / jnp.maximum(inefficiency, size / most)
    return jnp.where(total > 0, found, 0.0).astype(x.dtype)
