"""GPJax's fit, timed inside its own process: `fit_lbfgs` of the conjugate likelihood.

Matern 5/2 of unit variance and a constant mean; the priors of bojax are added to the
objective, without its bounds. `fit_lbfgs` as it is compiles its loop anew in every call; here
one `jax.jit` is put around it, so that only the first of a size does, which is told apart.
"""

import math
import time

import gpjax
import jax
import jax.numpy as jnp
import numpy as np
import paramax
from gpjax.parameters import val

jax.config.update("jax_enable_x64", True)

ENVIRONMENT = "gpjax"
PACKAGES = ("gpjax", "jax", "optax")


def negative_log_posterior(model, data):
    length_scale = val(model.prior.kernel.lengthscale)
    noise = val(model.likelihood.obs_stddev) ** 2
    location = math.sqrt(2.0) + 0.5 * math.log(data.X.shape[1])
    prior = jnp.sum(log_normal(length_scale, location, math.sqrt(3.0)))
    prior = prior + jnp.sum(log_normal(noise, -4.0, 1.0))
    return -gpjax.objectives.conjugate_mll(model, data) - prior


def log_normal(value, location, scale):
    return -jnp.log(value) - 0.5 * ((jnp.log(value) - location) / scale) ** 2


@jax.jit
def fit(rows, values):
    d = rows.shape[1]
    start = jnp.full(d, math.exp(math.sqrt(2.0) - 3.0) * math.sqrt(d))
    unit = paramax.non_trainable(gpjax.parameters.PositiveReal(1.0))
    kernel = gpjax.kernels.Matern52(lengthscale=start, variance=unit)
    prior = gpjax.gps.Prior(mean_function=gpjax.mean_functions.Constant(), kernel=kernel)
    model = prior * gpjax.likelihoods.Gaussian(obs_stddev=jnp.array(math.exp(-2.5)))
    data = gpjax.Dataset(X=rows, y=(values - values.mean())[:, None] / values.std(ddof=1))
    model, _ = gpjax.fit_lbfgs(
        model=model, objective=negative_log_posterior, train_data=data, safe=False
    )
    return val(model.prior.kernel.lengthscale), val(model.likelihood.obs_stddev) ** 2, model


@jax.jit
def predict(model, rows, values, test_rows):
    shift, scale = values.mean(), values.std(ddof=1)
    data = gpjax.Dataset(X=rows, y=(values - shift)[:, None] / scale)
    latent = model.condition(data)(test_rows, covariance="diagonal")
    found = model.likelihood(latent)
    return shift + scale * found.mean.flatten(), scale**2 * found.variance.flatten()


def fit_predict(rows, values, test_rows, what="fit", q=1, seed=0):
    """Seconds of a fit, and of predictions with "predict", compiled before if the size was seen.

    "as it is" leaves out the `jax.jit` around the fit, which then compiles in every call.
    """
    rows, values = np.array(rows), np.array(values)
    began = time.perf_counter(), time.process_time()
    run = fit.__wrapped__ if what == "as it is" else fit
    length_scale, noise, model = jax.block_until_ready(run(rows, values))
    mean = variance = None
    if what == "predict":
        mean, variance = jax.block_until_ready(predict(model, rows, values, np.array(test_rows)))
    ended = time.perf_counter(), time.process_time()
    return {
        "mean": None if mean is None else np.asarray(mean).tolist(),
        "variance": None if variance is None else np.asarray(variance).tolist(),
        "seconds": ended[0] - began[0],
        "processor": ended[1] - began[1],
        "length_scale": np.asarray(length_scale).tolist(),
        "noise": float(np.squeeze(noise)),
    }
