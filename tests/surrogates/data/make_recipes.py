"""Reference values of the GP recipes, made by the libraries they are named after.

    python make_recipes.py RECIPE [--out FILE]   in that library's environment; writes the JSON
    python make_recipes.py check [FILE ...]      NumPy and SciPy only; recomputes every number

RECIPE and what it was made with: `botorch`, `botorch-legacy` (botorch 0.18.1, gpytorch 1.15.2),
`optuna` (optuna 5.0.0), `hebo` (HEBO 0.3.6), `vizier` (google-vizier 0.1.24). FILE is
`recipes_RECIPE.json` beside this script unless given. docs/recipes.md has the formulas in words.

A file holds, for each data set: rows, values, `targets` (the values as the model sees them) and
test rows; at four settings of the hyperparameters (the recipe's own start, and `short`, `long`,
`uneven`) the objective, which is always to be *minimised*, and its gradient in the library's own
parameters (`own_parameters`, in that order); `fit`, what the library's own fit gives; `polished`,
the same objective taken from there to a stationary point by L-BFGS-B with tight tolerances; and
predictions of the latent function at the test rows, in the unit of `targets`.
Hyperparameters are in natural units: length scales in the unit of `rows` (but see `inputs`),
variances and mean in the unit of `targets`. Everything is float64.

`check` uses only the plain formulas of this script (`FORMULAS` and what they call) and prints
the largest error of each kind; it fails above 1e-10 for objectives and predictions.
"""

import argparse
import importlib.metadata
import json
import math
import os
import sys
import warnings
from pathlib import Path

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize
from scipy.special import gammaln
from scipy.stats import boxcox, norm, yeojohnson

HERE = Path(__file__).parent
TEST_ROWS = 5
TOLERANCE = 1e-10  # relative + absolute, objectives and predictions
GRADIENT_TOLERANCE = 1e-5  # against differences; 1e-3 at fits, where C is near singular
POLISH = {"maxiter": 5000, "maxfun": 50000, "ftol": 1e-15, "gtol": 1e-9, "maxls": 50}


# ---------------------------------------------------------------------------- data


def _smooth(x, rng):
    return np.sin(3.0 * x).sum(axis=1) + x[:, 0] ** 2


def _noisy(x, rng):
    return np.sin(6.0 * x[:, 0]) + 0.3 * rng.standard_normal(len(x))


def _noise(x, rng):
    return rng.standard_normal(len(x))


def _jump(x, rng):
    return np.where(x[:, 0] > 0.4, 1.0, -0.5) + 0.5 * x[:, -1]


def _skewed(x, rng):
    return np.exp(4.0 * x.mean(axis=1)) + 0.05 * rng.standard_normal(len(x)) ** 2


# name, n, d, function, offset, factor
DATA_SETS = (
    ("smooth-8-1", 8, 1, _smooth, 0.0, 1.0),
    ("smooth-20-2", 20, 2, _smooth, 1.0e3, 50.0),
    ("smooth-40-6", 40, 6, _smooth, 0.0, 1.0e-6),
    ("noisy-20-1", 20, 1, _noisy, -5.0, 1.0),
    ("noisy-40-2", 40, 2, _noisy, 0.0, 1.0e7),
    ("noisy-8-6", 8, 6, _noisy, 0.3, 0.02),
    ("noise-20-2", 20, 2, _noise, 0.0, 1.0),
    ("jump-40-1", 40, 1, _jump, 0.0, 300.0),
    ("jump-20-6", 20, 6, _jump, 2.0, 1.0),
    ("skewed-20-2", 20, 2, _skewed, 0.0, 1.0e-3),
)
# name, n, d, number of choices of the last column: for recipes that know categories
CATEGORICAL = (("categories-20-3", 20, 3, 3), ("categories-40-2", 40, 2, 5))


def data_sets(categorical=False):
    """The ten data sets, and two with choices 0, 1, ... in the last column where asked for."""
    made = []
    for seed, (name, n, d, function, offset, factor) in enumerate(DATA_SETS):
        rng = np.random.default_rng(seed)
        rows = rng.random((n, d))
        values = offset + factor * function(rows, rng)
        made.append(_data_set(name, rows, values, rng.random((TEST_ROWS, d)), [False] * d))
    for seed, (name, n, d, choices) in enumerate(CATEGORICAL if categorical else ()):
        rng = np.random.default_rng(100 + seed)
        rows, test = rng.random((n, d)), rng.random((TEST_ROWS, d))
        rows[:, -1] = rng.integers(choices, size=n)
        test[:, -1] = rng.integers(choices, size=TEST_ROWS)
        effect = np.array([0.0, 1.5, -0.7, 0.4, 3.0])[rows[:, -1].astype(int)]
        values = _noisy(rows, rng) + effect
        made.append(_data_set(name, rows, values, test, [False] * (d - 1) + [True]))
    return made


def _data_set(name, rows, values, test_rows, categorical):
    return {
        "name": name,
        "categorical": categorical,
        "rows": rows,
        "values": values,
        "test_rows": test_rows,
    }


def fixed_settings(d):
    """Three settings, the same for all recipes; a recipe ignores what it does not have."""
    column = np.arange(d)
    return {
        "short": _natural(0.15 + 0.05 * column, 0.02, 1.7, 0.25),
        "long": _natural(1.5 / (1.0 + 0.4 * column), 0.3, 0.5, -0.4),
        "uneven": _natural(np.array([0.12, 4.0, 0.6])[column % 3], 1.5e-3, 3.0, 0.1),
    }


def _natural(length_scales, noise, output_scale=1.0, mean=0.0):
    return {
        "length_scales": np.asarray(length_scales, dtype=float),
        "noise": float(noise),
        "output_scale": float(output_scale),
        "mean": float(mean),
    }


# ---------------------------------------------------------------------------- formulas


def scaled_distances(a, b, length_scales, categorical):
    """Euclidean distances over length scales; a category is at distance 0 or 1 of another."""
    difference = a[:, None, :] - b[None, :, :]
    difference = np.where(np.asarray(categorical), (difference != 0.0) * 1.0, difference)
    return np.sqrt(np.square(difference / length_scales).sum(axis=-1))


def squared_exponential(r):
    return np.exp(-0.5 * r**2)


def matern32(r):
    return (1.0 + math.sqrt(3.0) * r) * np.exp(-math.sqrt(3.0) * r)


def matern52(r):
    return (1.0 + math.sqrt(5.0) * r + 5.0 / 3.0 * r**2) * np.exp(-math.sqrt(5.0) * r)


def log_normal(x, mu, sigma):
    """Normalised log density over x itself: with -ln x."""
    z = (np.log(x) - mu) / sigma
    return -np.log(x) - math.log(sigma) - 0.5 * math.log(2.0 * math.pi) - 0.5 * z**2


def log_gamma(x, shape, rate):
    """Normalised log density over x itself."""
    return shape * math.log(rate) - gammaln(shape) + (shape - 1.0) * np.log(x) - rate * x


def log_likelihood(kernel, rows, targets, p, categorical, constant=True):
    """log N(targets; mean, output_scale * kernel + noise * I)."""
    r = scaled_distances(rows, rows, p["length_scales"], categorical)
    n = len(targets)
    lower = cholesky(p["output_scale"] * kernel(r) + p["noise"] * np.eye(n), lower=True)
    half = solve_triangular(lower, targets - p["mean"], lower=True)
    value = -0.5 * half @ half - np.log(np.diag(lower)).sum()
    return value - 0.5 * n * math.log(2.0 * math.pi) if constant else value


def predict(kernel, rows, targets, test_rows, p, categorical):
    """Mean and variance of the latent function."""
    r = scaled_distances(rows, rows, p["length_scales"], categorical)
    cross = scaled_distances(test_rows, rows, p["length_scales"], categorical)
    cross = p["output_scale"] * kernel(cross)
    noise = p["noise"] * np.eye(len(targets))
    lower = cholesky(p["output_scale"] * kernel(r) + noise, lower=True)
    mean = p["mean"] + cross @ cho_solve((lower, True), targets - p["mean"])
    variance = p["output_scale"] - np.square(solve_triangular(lower, cross.T, lower=True)).sum(0)
    return mean, variance


def softplus(x):
    return np.logaddexp(0.0, x)


def inverse_softplus(y):
    return y + np.log(-np.expm1(-y))


def standardise(values, ddof, floor=0.0):
    deviation = np.std(values, ddof=ddof)
    return (values - np.mean(values)) / max(deviation, floor)


class BoTorch:
    """Squared exponential, no output scale, priors that follow the dimension."""

    objective = "-(log likelihood + log priors) / n; all constants kept"
    inputs = "as they are"
    outputs = "standardised, ddof 1"
    targets_tolerance = TOLERANCE
    noise_floor = 1e-4
    kernel = staticmethod(squared_exponential)
    own_parameters = ("noise", "mean", "length_scales")

    @staticmethod
    def rows(rows, reference):
        return rows

    @staticmethod
    def targets(values, transform=None):
        return standardise(values, ddof=1)

    @staticmethod
    def start(rows, targets):
        d = rows.shape[1]
        mode = math.exp(math.sqrt(2.0) + 0.5 * math.log(d) - 3.0)
        return _natural(np.full(d, mode), math.exp(-5.0))

    @staticmethod
    def settings(d):
        return {k: {**p, "output_scale": 1.0} for k, p in fixed_settings(d).items()}

    @staticmethod
    def own(p):
        return np.concatenate([[p["noise"], p["mean"]], p["length_scales"]])

    @staticmethod
    def natural(own):
        return _natural(own[2:], own[0], 1.0, own[1])

    @staticmethod
    def steps(own):
        """For differences."""
        return 1e-3 * np.append(own[0], np.clip(np.abs(own[1:]), 0.1, 1.0))

    @classmethod
    def loss(cls, rows, targets, p, categorical):
        n, d = rows.shape
        total = log_likelihood(cls.kernel, rows, targets, p, categorical)
        mu = math.sqrt(2.0) + 0.5 * math.log(d)
        total += log_normal(p["length_scales"], mu, math.sqrt(3.0)).sum()
        total += log_normal(p["noise"], -4.0, 1.0)
        return -total / n


class BoTorchLegacy(BoTorch):
    """Scaled Matern-5/2 with gamma priors."""

    kernel = staticmethod(matern52)
    own_parameters = ("noise", "mean", "softplus^-1(output_scale)", "softplus^-1(length_scales)")

    @staticmethod
    def start(rows, targets):
        return _natural(np.full(rows.shape[1], math.log(2.0)), 2.0, math.log(2.0))

    settings = staticmethod(fixed_settings)

    @staticmethod
    def own(p):
        tail = inverse_softplus(np.append(p["output_scale"], p["length_scales"]))
        return np.concatenate([[p["noise"], p["mean"]], tail])

    @staticmethod
    def natural(own):
        return _natural(softplus(own[3:]), own[0], softplus(own[2]), own[1])

    @classmethod
    def loss(cls, rows, targets, p, categorical):
        total = log_likelihood(cls.kernel, rows, targets, p, categorical)
        total += log_gamma(p["length_scales"], 3.0, 6.0).sum()
        total += log_gamma(p["output_scale"], 2.0, 0.15)
        total += log_gamma(p["noise"], 1.1, 0.05)
        return -total / len(targets)


class Optuna:
    """Scaled Matern-5/2, zero mean, penalties on inverse squared length scales."""

    objective = "-(log likelihood + log penalties); not over n; n/2 ln 2pi and norms left out"
    inputs = "as they are; a category differs by 0 or 1 (squared distance)"
    outputs = "standardised, ddof 0, sign so that larger is better (here as they are)"
    targets_tolerance = TOLERANCE
    noise_floor = 1e-6
    kernel = staticmethod(matern52)
    own_parameters = ("ln(length_scales^-2)", "ln(output_scale)", "ln(noise - 1e-6)")

    @staticmethod
    def rows(rows, reference):
        return rows

    @staticmethod
    def targets(values, transform=None):
        return standardise(values, ddof=0, floor=1e-10)

    @staticmethod
    def start(rows, targets):
        # The noise starts at ln(1 - 0.99e-6), then 1e-6 is added.
        return _natural(np.ones(rows.shape[1]), 1.0 + 0.01e-6)

    @staticmethod
    def settings(d):
        return {k: {**p, "mean": 0.0} for k, p in fixed_settings(d).items()}

    @classmethod
    def own(cls, p):
        tail = [math.log(p["output_scale"]), math.log(p["noise"] - cls.noise_floor)]
        return np.append(-2.0 * np.log(p["length_scales"]), tail)

    @classmethod
    def natural(cls, own):
        noise = math.exp(own[-1]) + cls.noise_floor
        return _natural(np.exp(-0.5 * own[:-2]), noise, math.exp(own[-2]))

    @staticmethod
    def steps(own):
        return 1e-3 * np.clip(np.abs(own), 0.1, 1.0)

    @classmethod
    def loss(cls, rows, targets, p, categorical):
        total = log_likelihood(cls.kernel, rows, targets, p, categorical, constant=False)
        inverse = p["length_scales"] ** -2.0
        total -= (0.1 / inverse + 0.1 * inverse).sum()
        total += math.log(p["output_scale"]) - p["output_scale"]
        total += 0.1 * math.log(p["noise"]) - 30.0 * p["noise"]
        return -total


class Hebo:
    """Scaled Matern-3/2 on inputs in [-1, 1] and power-transformed outputs."""

    objective = "-(log likelihood + log priors) / n; all constants kept"
    inputs = "each column mapped so that the training rows' least is -1 and largest 1"
    outputs = "over the deviation, Box-Cox or Yeo-Johnson, standardised (ddof 0); smaller is better"
    targets_tolerance = 1e-6  # a strong power cancels: 1e-16 of nearly equal numbers
    noise_floor = 8e-4
    kernel = staticmethod(matern32)
    own_parameters = (
        "softplus^-1(noise - 8e-4)",
        "mean",
        "softplus^-1(output_scale)",
        "softplus^-1(length_scales)",
    )

    @staticmethod
    def rows(rows, reference):
        low, span = reference.min(axis=0), np.ptp(reference, axis=0)
        return 2.0 * (rows - low) / np.where(span == 0.0, 1.0, span) - 1.0

    @staticmethod
    def transform(values):
        """Which power transform, and its parameter by maximum likelihood."""
        scaled = values / np.std(values)
        if values.min() > 0.0:
            return {"name": "box-cox", "power": boxcox(scaled)[1]}
        return {"name": "yeo-johnson", "power": yeojohnson(scaled)[1]}

    @classmethod
    def targets(cls, values, transform=None):
        transform = transform or cls.transform(values)
        scaled = values / np.std(values)
        power = {"box-cox": boxcox, "yeo-johnson": yeojohnson}[transform["name"]]
        return standardise(power(scaled, lmbda=transform["power"]), ddof=0)

    @staticmethod
    def start(rows, targets):
        pairs = np.triu_indices(len(rows), k=1)
        distances = np.sort(np.abs(rows[:, None] - rows)[pairs], axis=0)
        medians = distances[(len(distances) - 1) // 2]  # the lower one of two
        scale = np.var(targets, ddof=1)
        return _natural(np.maximum(medians, 0.02), 0.01, scale)

    settings = staticmethod(fixed_settings)

    @classmethod
    def own(cls, p):
        head = [inverse_softplus(p["noise"] - cls.noise_floor), p["mean"]]
        tail = inverse_softplus(np.append(p["output_scale"], p["length_scales"]))
        return np.concatenate([head, tail])

    @classmethod
    def natural(cls, own):
        noise = softplus(own[0]) + cls.noise_floor
        return _natural(softplus(own[3:]), noise, softplus(own[2]), own[1])

    @staticmethod
    def steps(own):
        return 1e-3 * np.clip(np.abs(own), 0.1, 1.0)

    @classmethod
    def loss(cls, rows, targets, p, categorical):
        total = log_likelihood(cls.kernel, rows, targets, p, categorical)
        total += log_gamma(p["output_scale"], 0.5, 0.5)
        total += log_normal(p["noise"], math.log(0.01), 0.5)
        return -total / len(targets)


class Vizier:
    """Scaled Matern-5/2, zero mean, penalties on logarithms, warped outputs."""

    objective = "-log likelihood + penalties; not over n; all constants of the likelihood kept"
    inputs = "as they are"
    outputs = "half-rank, log and shift warping; larger is better (values as they are)"
    targets_tolerance = TOLERANCE
    noise_floor = 1e-10
    kernel = staticmethod(matern52)
    own_parameters = ("length_scales^2", "noise", "output_scale")

    @staticmethod
    def rows(rows, reference):
        return rows

    @staticmethod
    def targets(values, transform=None):
        """Finite values only; at least two different ones."""
        y = np.array(values)
        median = np.median(y)
        unique = np.unique(y)
        good = unique[unique >= median]
        deviation = math.sqrt(np.square(good - median).mean())
        if deviation == 0.0:
            deviation = math.sqrt(np.square(unique - median).mean())
        below = np.searchsorted(unique, median)
        whole = below + 0.5 * (unique[below] == median)
        rank = np.searchsorted(unique, y) + 1.0  # equal values share one
        quantile = np.where(y < median, 0.5 * (rank - 0.5) / whole, 0.5)
        y = np.where(y < median, median + deviation * norm.ppf(quantile), y)
        y = 0.5 - np.log1p(0.5 * (y.max() - y) / np.ptp(y)) / math.log(1.5)
        feasible = (len(y) + 0.5) / (len(y) + 1.0)
        bad = y.min() - (0.5 * np.ptp(y) + 1.0)
        return y - y.mean() * feasible - bad * (1.0 - feasible)

    @staticmethod
    def start(rows, targets):
        return None

    @staticmethod
    def settings(d):
        return {k: {**p, "mean": 0.0} for k, p in fixed_settings(d).items()}

    @staticmethod
    def own(p):
        return np.append(p["length_scales"] ** 2, [p["noise"], p["output_scale"]])

    @staticmethod
    def natural(own):
        return _natural(np.sqrt(own[:-2]), own[-2], own[-1])

    @staticmethod
    def steps(own):
        return 1e-3 * own

    @classmethod
    def loss(cls, rows, targets, p, categorical):
        total = -log_likelihood(cls.kernel, rows, targets, p, categorical)
        total += 0.01 * np.square(np.log(p["length_scales"] ** 2 / 0.5)).sum()
        total += 0.01 * math.log(p["output_scale"] / 0.039) ** 2
        return total + 0.01 * math.log(p["noise"] / 0.0039) ** 2


FORMULAS = {
    "botorch": BoTorch,
    "botorch-legacy": BoTorchLegacy,
    "optuna": Optuna,
    "hebo": Hebo,
    "vizier": Vizier,
}


# ---------------------------------------------------------------------------- libraries


def polish(function, own, bounds=None):
    """A stationary point of a library's own objective, from where its fit ended."""
    best = minimize(function, own, jac=True, method="L-BFGS-B", bounds=bounds, options=POLISH)
    return best.x, float(best.fun)


def make_botorch(data, recipe):
    """The library's model, objective, fit and posterior for one data set."""
    import torch
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from botorch.models.utils import gpt_posterior_settings
    from botorch.models.utils.gpytorch_modules import (
        get_gaussian_likelihood_with_gamma_prior,
        get_matern_kernel_with_gamma_prior,
    )
    from botorch.optim.closures import get_loss_closure_with_grads
    from botorch.optim.core import NdarrayOptimizationClosure
    from botorch.optim.fit import fit_gpytorch_mll_scipy
    from botorch.optim.utils import get_parameters_and_bounds
    from botorch.optim.utils.numpy_utils import get_bounds_as_ndarray
    from gpytorch.mlls import ExactMarginalLogLikelihood

    # Otherwise the constants of priors and bounds are float32 (1e-8 off).
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    formula = FORMULAS[recipe]
    rows, d = torch.tensor(data["rows"]), data["rows"].shape[1]
    extra = {}
    if recipe == "botorch-legacy":
        extra = {
            "covar_module": get_matern_kernel_with_gamma_prior(d),
            "likelihood": get_gaussian_likelihood_with_gamma_prior(),
        }
    model = SingleTaskGP(rows, torch.tensor(data["values"])[:, None], **extra)
    mll = ExactMarginalLogLikelihood(model.likelihood, model).train()
    names, bounds = get_parameters_and_bounds(mll)
    bounds = get_bounds_as_ndarray(names, bounds)
    closure = NdarrayOptimizationClosure(get_loss_closure_with_grads(mll, names), names)
    first = closure.state.copy()
    attempts = []

    def loss(own):
        mll.train()
        value, gradient = closure(np.asarray(own))
        return float(value), gradient.copy()

    def optimizer(mll, closure=None, **rest):
        attempts.append(fit_gpytorch_mll_scipy(mll, closure=closure, **rest))
        return attempts[-1]

    def fit():
        mll.train()
        closure.state = first
        fit_gpytorch_mll(mll, optimizer=optimizer)
        last = attempts[-1]
        facts = {"attempts": len(attempts), "iterations": last.step, "message": last.message}
        return closure.state.copy(), facts

    def posterior(own):
        closure.state = own
        mll.train()  # drops what the last predictions left behind
        mll.eval()
        with torch.no_grad(), gpt_posterior_settings():
            latent = model(torch.tensor(data["test_rows"]))
        found = latent.mean.numpy(), latent.variance.numpy()
        mll.train()
        return found

    targets = model.train_targets.numpy()
    assert next(iter(names)).endswith("raw_noise"), tuple(names)
    return {
        "targets": targets,
        "start": formula.natural(first),
        "loss": loss,
        "fit": fit,
        "bounds": bounds,
        "posterior": posterior,
    }


def make_optuna(data, recipe):
    import torch
    from optuna._gp import gp, prior
    from optuna.samplers._gp.sampler import _standardize_values

    targets = _standardize_values(data["values"][:, None])[0][:, 0]
    categorical = np.array(data["categorical"])
    floor = prior.DEFAULT_MINIMUM_NOISE_VAR

    def regressor(raw, grad=False):
        raw = torch.tensor(raw).requires_grad_(grad)
        made = gp.GPRegressor(
            is_categorical=torch.from_numpy(categorical),
            X_train=torch.from_numpy(data["rows"]),
            y_train=torch.from_numpy(targets),
            inverse_squared_lengthscales=torch.exp(raw[:-2]),
            kernel_scale=torch.exp(raw[-2]),
            noise_var=torch.exp(raw[-1]) + floor,
        )
        return raw, made

    def loss(own):
        raw, made = regressor(np.asarray(own), grad=True)
        value = -made.marginal_log_likelihood() - prior.default_log_prior(made)
        value.backward()
        return value.item(), raw.grad.numpy().copy()

    def fit():
        counted = []
        genuine = gp.scipy.optimize.minimize

        def counting(*args, **rest):
            counted.append(genuine(*args, **rest))
            return counted[-1]

        gp.scipy.optimize.minimize = counting
        try:
            gp.fit_kernel_params(
                X=data["rows"],
                Y=targets,
                is_categorical=categorical,
                log_prior=prior.default_log_prior,
                minimum_noise=floor,
                deterministic_objective=False,
            )
        finally:
            gp.scipy.optimize.minimize = genuine
        last = counted[-1]
        facts = {"attempts": len(counted), "iterations": int(last.nit), "message": last.message}
        return last.x, facts

    def posterior(own):
        _, made = regressor(np.asarray(own))
        made._cache_matrix()
        mean, variance = made.posterior(torch.from_numpy(data["test_rows"]))
        return mean.numpy(), variance.numpy()

    d = data["rows"].shape[1]
    first = np.append(np.zeros(d + 1), math.log(1.0 - 0.99 * floor))
    return {
        "targets": targets,
        "start": Optuna.natural(first),
        "loss": loss,
        "fit": fit,
        "bounds": None,
        "posterior": posterior,
    }


def make_hebo(data, recipe):
    """The model's own classes in float64 (the library itself runs them in float32).

    The library's training is random, so `fit` is L-BFGS-B on its objective from its start, and
    `sampled` what the library's own training gives under a few seeds.
    """
    import torch
    from gpytorch.constraints import GreaterThan
    from gpytorch.likelihoods import GaussianLikelihood
    from gpytorch.mlls import ExactMarginalLogLikelihood
    from gpytorch.priors import LogNormalPrior
    from hebo.models.gp.gp import GP, GPyTorchModel
    from sklearn.preprocessing import MinMaxScaler, StandardScaler, power_transform

    torch.set_default_dtype(torch.float64)
    values = data["values"][:, None]
    transform = Hebo.transform(data["values"])
    powered = power_transform(values / values.std(), method=transform["name"])
    assert powered.std(ddof=1) > 0.5, "the library would try another transform"
    scaler = MinMaxScaler((-1, 1)).fit(data["rows"])
    x, y = torch.tensor(scaler.transform(data["rows"])), StandardScaler().fit_transform(powered)
    no_categories = torch.zeros(len(x), 0).long()
    prior = LogNormalPrior(np.log(0.01), 0.5)
    likelihood = GaussianLikelihood(noise_constraint=GreaterThan(8e-4), noise_prior=prior)
    model = GPyTorchModel(x, no_categories, torch.tensor(y), likelihood, noise_lb=8e-4)
    model.likelihood.noise = 1e-2
    mll = ExactMarginalLogLikelihood(likelihood, model).train()
    parameters = list(model.parameters())
    names = [name.split(".")[-1] for name, _ in model.named_parameters()]
    assert names == ["raw_noise", "raw_constant", "raw_outputscale", "raw_lengthscale"], names

    def put(own):
        mll.train()
        torch.nn.utils.vector_to_parameters(torch.tensor(np.asarray(own)), parameters)

    def get(parameters):
        return torch.nn.utils.parameters_to_vector(parameters).detach().numpy().astype(float)

    first = get(parameters)

    def loss(own):
        put(own)
        value = -mll(model(x, no_categories), torch.tensor(y[:, 0]))
        gradient = torch.autograd.grad(value, parameters)
        return value.item(), torch.cat([g.reshape(-1) for g in gradient]).numpy()

    def fit():
        found = minimize(loss, first, jac=True, method="L-BFGS-B", options=POLISH)
        return found.x, {"iterations": int(found.nit), "message": found.message}

    def posterior(own):
        put(own)
        mll.eval()
        test = torch.tensor(scaler.transform(data["test_rows"]))
        with torch.no_grad():
            latent = model(test, torch.zeros(len(test), 0).long())
        return latent.mean.numpy(), latent.variance.numpy()

    def sampled():
        torch.set_default_dtype(torch.float32)
        found = []
        for seed in range(3):
            torch.manual_seed(seed)
            peer = GP(x.shape[1], 0, 1, lr=0.01, num_epochs=100, noise_lb=8e-4, pred_likeli=False)
            rows = torch.FloatTensor(data["rows"])
            peer.fit(rows, torch.zeros(len(x), 0).long(), torch.FloatTensor(powered))
            own = get(peer.gp.parameters())
            found.append({"seed": seed, **Hebo.natural(own), "own": own})
        torch.set_default_dtype(torch.float64)
        return [{**p, "objective": loss(p.pop("own"))[0]} for p in found]

    return {
        "targets": y[:, 0],
        "start": Hebo.natural(first),
        "loss": loss,
        "fit": fit,
        "bounds": None,
        "posterior": posterior,
        "more": {"transform": transform, "sampled": sampled()},
    }


def make_vizier(data, recipe):
    """The designer's model, warper and training. It starts at random: best of five seeds."""
    # jaxlib 0.5.3 compiles a wrong gradient by the length scale where d = 1 (CPU); not without jit.
    os.environ.setdefault("XLA_FLAGS", "--xla_disable_hlo_passes=algsimp")
    import jax

    jax.config.update("jax_enable_x64", True)
    import equinox as eqx
    import jax.numpy as jnp
    from vizier._src.algorithms.designers.gp import gp_models, output_warpers
    from vizier._src.jax import stochastic_process_model as sp
    from vizier._src.jax import types
    from vizier.jax import optimizers

    targets = output_warpers.create_default_warper().warp(data["values"][:, None].copy())
    d = data["rows"].shape[1]

    def features(rows):
        none = np.zeros((len(rows), 0), dtype=np.int32)
        pad = types.PaddedArray.as_padded
        empty = types.PaddedArray.from_array(none, none.shape, fill_value=-1)
        return types.ModelInput(continuous=pad(jnp.asarray(rows)), categorical=empty)

    labels = types.PaddedArray.as_padded(jnp.asarray(targets))
    training = types.ModelData(features=features(data["rows"]), labels=labels)
    coroutine = gp_models.get_vizier_gp_coroutine(data=training)
    model = sp.CoroutineWithData(coroutine, training)
    graded = eqx.filter_jit(eqx.filter_value_and_grad(model.loss_with_aux, has_aux=True))

    def named(own):
        own = jnp.asarray(own)
        return {
            "continuous_length_scale_squared": own[:d],
            "categorical_length_scale_squared": jnp.zeros(0),
            "observation_noise_variance": own[d],
            "signal_variance": own[d + 1],
        }

    def flat(tree):
        scales = np.asarray(tree["continuous_length_scale_squared"])
        rest = (tree["observation_noise_variance"], tree["signal_variance"])
        return np.append(scales, [float(value) for value in rest])

    def loss(own):
        (value, _), gradient = graded(named(own))
        return float(value), flat(gradient)

    restarts, runs = optimizers.DEFAULT_RANDOM_RESTARTS, []

    def fit():
        for seed in range(5):
            keys = jax.random.split(jax.random.PRNGKey(seed), restarts + 1)
            starts = eqx.filter_jit(eqx.filter_vmap(model.setup))(keys[1:])
            best, metrics = optimizers.default_optimizer()(
                starts, model.loss_with_aux, keys[0], constraints=model.constraints(), best_n=1
            )
            own = flat(jax.tree_util.tree_map(lambda x: x[0], best))
            ends = np.ravel(metrics["loss"])
            run = {"seed": seed, "objective": loss(own)[0], "restarts": ends, "own": own}
            if seed == 0:
                each = [
                    jax.tree_util.tree_map(lambda x, i=i: x[i], starts) for i in range(restarts)
                ]
                run["starts"] = [Vizier.natural(flat(start)) for start in each]
            runs.append(run)
        best = min(runs, key=lambda run: run["objective"])
        owns = [run.pop("own") for run in runs]
        return owns[best["seed"]], {"seed": best["seed"]}

    def posterior(own):
        made = sp.StochasticProcessWithCoroutine(coroutine=coroutine, params=named(own))
        predictive = made.precompute_predictive(training)
        found = predictive.predict(features(data["test_rows"]))
        latent = np.asarray(found.variance()) - own[d]  # the library adds the noise
        return np.asarray(found.mean()), latent

    low, high = ({**bound} for bound in model.constraints().bounds)
    return {
        "targets": targets[:, 0],
        "start": None,
        "loss": loss,
        "fit": fit,
        "bounds": list(zip(flat(low), flat(high), strict=True)),
        "posterior": posterior,
        "more": {"runs": runs},
    }


MAKERS = {
    "botorch": (make_botorch, ("botorch", "gpytorch", "torch", "scipy", "numpy")),
    "botorch-legacy": (make_botorch, ("botorch", "gpytorch", "torch", "scipy", "numpy")),
    "optuna": (make_optuna, ("optuna", "torch", "scipy", "numpy")),
    "vizier": (make_vizier, ("google-vizier", "tfp-nightly", "jax", "scipy", "numpy")),
    "hebo": (make_hebo, ("HEBO", "gpytorch", "torch", "scikit-learn", "scipy", "numpy")),
}


# ---------------------------------------------------------------------------- commands


def make(recipe):
    """All reference values of one recipe."""
    formula, (maker, packages) = FORMULAS[recipe], MAKERS[recipe]
    made = []
    for data in data_sets(categorical=recipe == "optuna"):
        peer = maker(data, recipe)
        d = data["rows"].shape[1]
        settings = {"start": peer["start"]} if peer["start"] else {}
        settings |= formula.settings(d)
        records = []
        for name, p in settings.items():
            value, gradient = peer["loss"](formula.own(p))
            records.append({"name": name, **p, "objective": value, "gradient": gradient})
        own, facts = peer["fit"]()
        value, gradient = peer["loss"](own)
        fit = {**formula.natural(own), "objective": value, "gradient": gradient, **facts}
        better, value = polish(peer["loss"], own, peer["bounds"])
        polished = {**formula.natural(better), "objective": value}
        at = {"fit": own, "long": formula.own(settings["long"])}
        predictions = []
        for name, where in at.items():
            mean, variance = peer["posterior"](where)
            predictions.append({"at": name, "mean": mean, "variance": variance})
        made.append(
            {
                **data,
                "targets": peer["targets"],
                "settings": records,
                "fit": fit,
                "polished": polished,
                **peer.get("more", {}),
                "predictions": predictions,
            }
        )
        shift = np.abs(formula.own(fit) - better).max()
        gain = fit["objective"] - value
        print(f"{data['name']:16s} fit {value + gain:.8g}, less {gain:.1e} moving {shift:.1e}")
    return {
        "recipe": recipe,
        "versions": {name: importlib.metadata.version(name) for name in packages},
        "objective": formula.objective,
        "inputs": formula.inputs,
        "outputs": formula.outputs,
        "noise_floor": formula.noise_floor,
        "own_parameters": formula.own_parameters,
        "data_sets": made,
    }


def plain(value):
    """What json can write, at full precision."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def write(made, path):
    """One data set's field a line."""
    body = json.dumps(plain({k: v for k, v in made.items() if k != "data_sets"}), indent=1)
    lines = []
    for data in plain(made["data_sets"]):
        fields = ",\n".join(f"   {json.dumps(k)}: {json.dumps(v)}" for k, v in data.items())
        lines.append("  {\n" + fields + "\n  }")
    text = body[:-2] + ',\n "data_sets": [\n' + ",\n".join(lines) + "\n ]\n}\n"
    assert json.loads(text) == json.loads(json.dumps(plain(made)))
    path.write_text(text)
    print(f"{path.name}: {len(text) / 1000:.0f} kB")


def error(found, expected):
    """Largest error, relative + absolute."""
    found, expected = np.asarray(found, dtype=float), np.asarray(expected, dtype=float)
    return float((np.abs(found - expected) / (1.0 + np.abs(expected))).max())


def differences(formula, rows, targets, p, categorical):
    """The objective's gradient in the library's own parameters, by five-point differences."""
    own = formula.own(p)
    gradient = np.zeros(len(own))
    for i, step in enumerate(formula.steps(own)):
        for weight, multiple in ((1.0, -2.0), (-8.0, -1.0), (8.0, 1.0), (-1.0, 2.0)):
            moved = own.copy()
            moved[i] += multiple * step
            value = formula.loss(rows, targets, formula.natural(moved), categorical)
            gradient[i] += weight * value / (12.0 * step)
    return gradient


def as_arrays(record):
    return {**record, "length_scales": np.array(record["length_scales"])}


def check(path):
    """Recompute a stored file from the formulas; the largest error of each kind."""
    stored = json.loads(path.read_text())
    formula = FORMULAS[stored["recipe"]]
    worst = {}

    def note(kind, value, limit, where):
        if not value <= worst.get(kind, (-1.0, 0.0, ""))[0]:
            worst[kind] = (value, limit, where)

    fresh = {data["name"]: data for data in data_sets(categorical=True)}
    for data in stored["data_sets"]:
        name, categorical = data["name"], data["categorical"]
        given, test = np.array(data["rows"]), np.array(data["test_rows"])
        values, targets = np.array(data["values"]), np.array(data["targets"])
        for key in ("rows", "values", "test_rows"):
            note("data", error(data[key], fresh[name][key]), 1e-14, name)
        found = formula.targets(values, data.get("transform"))
        note("targets", error(found, targets), formula.targets_tolerance, name)
        rows, test = formula.rows(given, given), formula.rows(test, given)
        start = formula.start(rows, targets)  # None: at random
        for key, value in (start or {}).items():
            note("start", error(value, data["settings"][0][key]), 1e-12, name)
        records = {r["name"]: as_arrays(r) for r in data["settings"]}
        records |= {key: as_arrays(data[key]) for key in ("fit", "polished")}
        for key, p in records.items():
            value = formula.loss(rows, targets, p, categorical)
            note("objective", error(value, p["objective"]), TOLERANCE, f"{name} {key}")
            if "gradient" in p:
                gradient = differences(formula, rows, targets, p, categorical)
                wrong = error(gradient, p["gradient"])
                kind, limit = ("at fit", 1e-3) if key == "fit" else ("gradient", GRADIENT_TOLERANCE)
                note(kind, wrong, limit, f"{name} {key}")
        for prediction in data["predictions"]:
            p = records[prediction["at"]]
            found = predict(formula.kernel, rows, targets, test, p, categorical)
            for key, value in zip(("mean", "variance"), found, strict=True):
                where = f"{name} {prediction['at']}"
                note(key, error(value, prediction[key]), TOLERANCE, where)
    print(f"{stored['recipe']}: {len(stored['data_sets'])} data sets")
    for kind, (value, limit, where) in worst.items():
        verdict = "ok" if value <= limit else "WRONG"
        print(f"  {kind:10s} {value:9.2e}  (limit {limit:.0e})  {verdict}  {where}")
    return all(value <= limit for value, limit, _ in worst.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=[*MAKERS, "check"])
    parser.add_argument("files", nargs="*", type=Path, help="what to check; all if none is given")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.what == "check":
        files = given.files or sorted(HERE.glob("recipes_*.json"))
        fine = [check(path) for path in files]
        sys.exit(0 if fine and all(fine) else 1)
    warnings.simplefilter("ignore")
    write(make(given.what), given.out or HERE / f"recipes_{given.what}.json")


if __name__ == "__main__":
    main()
