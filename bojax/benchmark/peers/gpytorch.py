"""GPyTorch's exact GP, trained as its tutorial "GPyTorch Regression Tutorial" does.

GPyTorch 1.15.2: constant mean, scaled RBF kernel, Gaussian likelihood, 50 steps of Adam at 0.1
on the marginal likelihood, float32, no priors. The tutorial has one input and values of unit
size; here there is a length scale a dimension, and the values are standardised.
"""

ENVIRONMENT = "botorch"
PACKAGES = ("gpytorch", "linear-operator", "torch")
IMPORTS = ("gpytorch",)
STEPS, RATE = 50, 0.1


def fit_predict(rows, values, test_rows):
    import time

    import gpytorch
    import torch

    class Model(gpytorch.models.ExactGP):
        def __init__(self, x, y, likelihood):
            super().__init__(x, y, likelihood)
            self.mean_module = gpytorch.means.ConstantMean()
            rbf = gpytorch.kernels.RBFKernel(ard_num_dims=x.shape[1])
            self.covar_module = gpytorch.kernels.ScaleKernel(rbf)

        def forward(self, x):
            mean, covariance = self.mean_module(x), self.covar_module(x)
            return gpytorch.distributions.MultivariateNormal(mean, covariance)

    torch.manual_seed(0)
    x, test = torch.tensor(rows), torch.tensor(test_rows)
    raw = torch.tensor(values, dtype=torch.float64)
    centre, scale = raw.mean(), raw.std() if raw.std() > 0 else 1.0
    y = ((raw - centre) / scale).float()
    start = time.perf_counter()
    likelihood = gpytorch.likelihoods.GaussianLikelihood()
    model = Model(x, y, likelihood).train()
    adam = torch.optim.Adam(model.parameters(), lr=RATE)
    objective = gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, model)
    for _ in range(STEPS):
        adam.zero_grad()
        loss = -objective(model(x), y)
        loss.backward()
        adam.step()
    fitted = time.perf_counter()
    model.eval(), likelihood.eval()
    with torch.no_grad(), gpytorch.settings.fast_pred_var():
        predicted = likelihood(model(test))
        mean, variance = predicted.mean.double(), predicted.variance.double()
    return {
        "mean": centre + scale * mean,
        "variance": scale**2 * variance,
        "fit_seconds": fitted - start,
        "predict_seconds": time.perf_counter() - fitted,
    }
