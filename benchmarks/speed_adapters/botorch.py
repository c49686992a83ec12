"""BoTorch's fit and suggestion, timed inside its own process.

Fit: `fit_gpytorch_mll` of a `SingleTaskGP` with the Matern 5/2 kernel under the priors it
ships, in float64. Suggestion: that fit, then qLogNEI by `optimize_acqf`, 10 restarts from 512
raw samples, batches one point after the other (`sequential=True`) as bojax chooses them.
"""

import time

import torch
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.utils.gpytorch_modules import get_covar_module_with_dim_scaled_prior
from botorch.optim import optimize_acqf
from gpytorch.mlls import ExactMarginalLogLikelihood

ENVIRONMENT = "botorch"
PACKAGES = ("botorch", "gpytorch", "torch")
RESTARTS, RAW = 10, 512


class Counted(ExactMarginalLogLikelihood):
    """The marginal likelihood, and how often it was evaluated."""

    evaluations = 0

    def forward(self, *arguments, **settings):
        self.evaluations += 1
        return super().forward(*arguments, **settings)


def fitted(rows, values):
    covariance = get_covar_module_with_dim_scaled_prior(
        ard_num_dims=rows.shape[-1], use_rbf_kernel=False
    )
    model = SingleTaskGP(rows, -values[:, None], covar_module=covariance)  # it maximises
    likelihood = Counted(model.likelihood, model)
    fit_gpytorch_mll(likelihood)
    return model, likelihood.evaluations


def fit_predict(rows, values, test_rows, what="fit", q=1, seed=0):
    """Seconds of a fit, of one with predictions, or of a suggestion of q points with its fit."""
    torch.manual_seed(seed)
    rows = torch.tensor(rows, dtype=torch.double)
    values = torch.tensor(values, dtype=torch.double)
    began = time.perf_counter(), time.process_time()
    model, evaluations = fitted(rows, values)
    found = None
    if what == "suggest":
        acquisition = qLogNoisyExpectedImprovement(model, rows)
        bounds = torch.tensor([[0.0], [1.0]], dtype=torch.double).expand(2, rows.shape[-1])
        found, _ = optimize_acqf(
            acquisition, bounds, q=q, num_restarts=RESTARTS, raw_samples=RAW, sequential=q > 1
        )
    mean = variance = None
    if what == "predict":
        with torch.no_grad():
            posterior = model.posterior(
                torch.tensor(test_rows, dtype=torch.double), observation_noise=True
            )
            mean, variance = -posterior.mean.flatten(), posterior.variance.flatten()
    ended = time.perf_counter(), time.process_time()
    return {
        "mean": None if mean is None else mean.tolist(),
        "variance": None if variance is None else variance.tolist(),
        "seconds": ended[0] - began[0],
        "processor": ended[1] - began[1],
        "evaluations": evaluations,
        "length_scale": model.covar_module.lengthscale.detach().flatten().tolist(),
        "noise": model.likelihood.noise.item(),
        "rows": None if found is None else found.tolist(),
    }
