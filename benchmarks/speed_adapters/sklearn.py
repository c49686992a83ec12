"""scikit-learn's fit, timed inside its own process: `GaussianProcessRegressor`.

Matern 5/2 and white noise, both within the bounds of bojax and from the same start, one
L-BFGS-B as by default. It has no priors, so what it maximises is another function; its
gradient costs an [n, n, d] array.
"""

import math
import time

import numpy as np
from scipy.optimize import minimize
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern, WhiteKernel

PACKAGES = ("scikit-learn", "scipy", "numpy")
MODE = math.exp(math.sqrt(2.0) - 3.0)  # of the length scales' prior, for one dimension


def fit_predict(rows, values, test_rows, what="fit", q=1, seed=0):
    """Not a prediction: seconds of a fit."""
    rows, values = np.array(rows), np.array(values)
    d = rows.shape[1]
    evaluations = 0

    def optimizer(objective, start, bounds):  # the default one, with its count kept
        nonlocal evaluations
        found = minimize(objective, start, method="L-BFGS-B", jac=True, bounds=bounds)
        evaluations = found.nfev
        return found.x, found.fun

    kernel = Matern(np.full(d, MODE * math.sqrt(d)), (0.025, 1e4), nu=2.5)
    kernel = kernel + WhiteKernel(math.exp(-5.0), (1e-4, 10.0))
    began = time.perf_counter(), time.process_time()
    model = GaussianProcessRegressor(kernel, normalize_y=True, optimizer=optimizer)
    model.fit(rows, values)
    ended = time.perf_counter(), time.process_time()
    return {
        "seconds": ended[0] - began[0],
        "processor": ended[1] - began[1],
        "evaluations": evaluations,
        "length_scale": model.kernel_.k1.length_scale.tolist(),
        "noise": model.kernel_.k2.noise_level,
    }
