"""BoTorch's `SingleTaskGP` with its default priors, fitted by `fit_gpytorch_mll`, in float64.

BoTorch 0.18.1: the model of the recipe in `botorch.py`; it standardises the values itself.
"""

ENVIRONMENT = "botorch"
PACKAGES = ("botorch", "gpytorch", "linear-operator", "torch", "scipy")
IMPORTS = ("botorch.models", "botorch.fit")


def fit_predict(rows, values, test_rows):
    import time

    import torch
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from gpytorch.mlls import ExactMarginalLogLikelihood

    torch.manual_seed(0)
    x, test = (torch.tensor(r, dtype=torch.float64) for r in (rows, test_rows))
    y = torch.tensor(values, dtype=torch.float64)[:, None]
    start = time.perf_counter()
    model = SingleTaskGP(x, y)
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    fitted = time.perf_counter()
    with torch.no_grad():
        predicted = model.posterior(test, observation_noise=True)
        mean, variance = predicted.mean[:, 0], predicted.variance[:, 0]
    return {
        "mean": mean,
        "variance": variance,
        "fit_seconds": fitted - start,
        "predict_seconds": time.perf_counter() - fitted,
    }
