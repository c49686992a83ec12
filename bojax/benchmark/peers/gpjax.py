"""GPJax's conjugate GP, set up and fitted as its documentation's "UCI Data Benchmarking" does.

GPJax 1.0.0 in float64: zero mean, RBF kernel with a length scale a dimension that starts at
0.1 and a variance that starts at that of the values, Gaussian likelihood, L-BFGS of
`fit_scipy` on the marginal likelihood without priors; rows and values standardised. The
prediction asks for the diagonal only. Each call compiles anew, as GPJax's own loop does, and
the seconds include it.
"""

ENVIRONMENT = "gpjax"
PACKAGES = ("gpjax", "jax", "jaxlib", "scipy", "numpy")
IMPORTS = ("gpjax",)


def fit_predict(rows, values, test_rows):
    import time

    import jax

    jax.config.update("jax_enable_x64", True)
    import gpjax
    import jax.numpy as jnp

    x, test = jnp.array(rows), jnp.array(test_rows)
    y = jnp.array(values)[:, None]
    low, width = x.mean(axis=0), jnp.where(x.std(axis=0) > 0, x.std(axis=0), 1.0)
    centre, scale = y.mean(), jnp.where(y.std() > 0, y.std(), 1.0)
    data = gpjax.Dataset(X=(x - low) / width, y=(y - centre) / scale)
    start = time.perf_counter()
    d = x.shape[1]
    kernel = gpjax.kernels.RBF(
        active_dims=list(range(d)), variance=jnp.var(data.y), lengthscale=0.1 * jnp.ones(d)
    )
    prior = gpjax.gps.Prior(mean_function=gpjax.mean_functions.Zero(), kernel=kernel)
    model, _ = gpjax.fit_scipy(
        model=prior * gpjax.likelihoods.Gaussian(),
        objective=lambda p, d: -gpjax.objectives.conjugate_mll(p, d),
        train_data=data,
        verbose=False,
    )
    fitted = time.perf_counter()
    latent = model.condition(data)((test - low) / width, covariance="diagonal")
    predicted = model.likelihood(latent)
    mean, variance = jax.block_until_ready((predicted.mean, predicted.variance))
    return {
        "mean": centre + scale * mean,
        "variance": scale**2 * variance,
        "fit_seconds": fitted - start,
        "predict_seconds": time.perf_counter() - fitted,
    }
