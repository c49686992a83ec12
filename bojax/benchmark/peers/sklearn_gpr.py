"""scikit-learn's `GaussianProcessRegressor`, as scikit-optimize sets it up for optimization.

scikit-learn 1.9.1 has no default kernel worth the name (a fixed RBF); this is the estimator
of scikit-optimize 0.9's `gp_minimize`: variance in [0.01, 1000] times Matern 5/2 with a length
scale a dimension in [0.01, 100], white noise, `normalize_y`, and two restarts of L-BFGS-B
beside the start at ones.
"""

ENVIRONMENT = "botorch"
PACKAGES = ("scikit-learn", "scipy", "numpy")
IMPORTS = ("sklearn.gaussian_process",)


def fit_predict(rows, values, test_rows):
    import time

    import numpy as np
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    x, test = np.array(rows), np.array(test_rows)
    scales = np.ones(x.shape[1])
    kernel = ConstantKernel(1.0, (0.01, 1000.0)) * Matern(scales, (0.01, 100.0), nu=2.5)
    model = GaussianProcessRegressor(
        kernel + WhiteKernel(), normalize_y=True, n_restarts_optimizer=2, random_state=0
    )
    start = time.perf_counter()
    model.fit(x, np.array(values))
    fitted = time.perf_counter()
    mean, deviation = model.predict(test, return_std=True)  # the white noise is part of it
    return {
        "mean": mean,
        "variance": deviation**2,
        "fit_seconds": fitted - start,
        "predict_seconds": time.perf_counter() - fitted,
    }
