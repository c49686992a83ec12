"""Reference values of acquisitions, made by BoTorch.

    python make_acquisitions.py     in an environment with botorch 0.18.1; writes acquisitions.json

Posteriors are told, not fitted: a Gaussian of N rows with a given mean and covariance of the
function that is *minimised*, rows being named by their number. BoTorch maximises, so it is given
the mean with its sign turned, except where it has a setting for that (`maximize=False`).

The file holds the posterior (`mean`, `covariance`, `noise`), the `incumbent`, two constraints
(`constraint_mean`, `constraint_variance` `[2, N]`, `thresholds`), standard normal `samples`
`[S, 6]`, a column for each row of a joint draw in BoTorch's order and of the turned function, and
under `values` one entry a value: the acquisition, its settings, rows by number, what BoTorch
says. A group's rows come last in a joint draw: after `pending`, and in qLogNEI after `baseline`.
"""

import json
import math
import warnings
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import numpy as np

HERE = Path(__file__).parent
ROWS, DRAWS, COLUMNS = 8, 16, 6


def told():
    """The numbers everything is computed from."""
    rng = np.random.default_rng(5)
    x = np.sort(rng.uniform(0.0, 1.0, ROWS))
    covariance = np.exp(-0.5 * (x[:, None] - x) ** 2 / 0.15**2) * 0.4 + 0.02 * np.eye(ROWS)
    return {
        "mean": rng.normal(size=ROWS).round(6),
        "covariance": covariance.round(8),
        "noise": 0.05,
        "incumbent": -0.6,
        "constraint_mean": rng.normal(size=(2, ROWS)).round(6),
        "constraint_variance": rng.uniform(0.01, 1.0, (2, ROWS)).round(6),
        "thresholds": [0.3, -0.2],
        "samples": rng.normal(size=(DRAWS, COLUMNS)).round(6),
    }


def library():
    """BoTorch's modules, posteriors and samplers that were told what to say, and `numbers`."""
    import torch
    from botorch.acquisition import analytic, logei, max_value_entropy_search, monte_carlo
    from botorch.models.model import Model
    from botorch.posteriors import GPyTorchPosterior
    from botorch.sampling.base import MCSampler
    from gpytorch.distributions import MultivariateNormal
    from linear_operator import to_linear_operator

    torch.set_default_dtype(torch.float64)

    class Told(Model):
        """A model whose posterior at rows (their numbers) is the one told."""

        num_outputs, _num_outputs = 1, 1

        def __init__(self, mean, covariance, noise):
            super().__init__()
            self.mean, self.covariance, self.noise = map(torch.as_tensor, (mean, covariance, noise))

        def forward(self, x):
            at = x[..., 0].long()
            covariance = self.covariance[at[..., :, None], at[..., None, :]]
            return MultivariateNormal(self.mean[at], to_linear_operator(covariance))

        def posterior(self, X, observation_noise=False, posterior_transform=None, **_):
            normal = self(X)
            if observation_noise:
                extra = self.noise * torch.eye(X.shape[-2])
                covariance = to_linear_operator(normal.covariance_matrix + extra)
                normal = MultivariateNormal(normal.mean, covariance)
            return GPyTorchPosterior(normal)

    class Given(MCSampler):
        """Draws by the base samples told, checked to be mean + L z."""

        def __init__(self, samples):
            super().__init__(sample_shape=torch.Size([len(samples)]))
            self.samples = torch.as_tensor(samples)

        def forward(self, posterior):
            mean = posterior.mean[..., 0]
            z = self.samples[:, : mean.shape[-1]]
            lower = torch.linalg.cholesky(posterior.distribution.covariance_matrix)
            return (mean + torch.einsum("...ij,sj->s...i", lower, z))[..., None]

    class Several(Model):
        """The objective and constraints, as means and variances of a row."""

        num_outputs = _num_outputs = 3

        def __init__(self, means, variances):
            super().__init__()
            self.means, self.variances = torch.as_tensor(means), torch.as_tensor(variances)

        def posterior(self, X, posterior_transform=None, **_):
            at = X[..., 0].long()

            class Moments:
                mean = torch.movedim(self.means[:, at], 0, -1)
                variance = torch.movedim(self.variances[:, at], 0, -1)

            return Moments

    def numbers(rows):
        return torch.as_tensor(rows, dtype=torch.get_default_dtype())[..., None]

    return SimpleNamespace(
        torch=torch,
        analytic=analytic,
        logei=logei,
        entropy=max_value_entropy_search,
        monte_carlo=monte_carlo,
        Told=Told,
        Given=Given,
        Several=Several,
        numbers=numbers,
    )


def make():
    """Everything of the file."""
    data, peer = told(), library()
    torch, analytic, logei, entropy = peer.torch, peer.analytic, peer.logei, peer.entropy
    monte_carlo, numbers = peer.monte_carlo, peer.numbers
    mean, covariance, noise = data["mean"], data["covariance"], data["noise"]
    best, made = data["incumbent"], []
    down, up = peer.Told(mean, covariance, noise), peer.Told(-mean, covariance, noise)
    singles = numbers(np.arange(ROWS)[:, None])

    def note(name, value, **facts):
        made.append({"name": name, **facts, "value": value.detach().numpy().tolist()})

    for incumbent in (best, best - 8.0, best + 8.0):
        for name, cls in (
            ("EI", analytic.ExpectedImprovement),
            ("LogEI", analytic.LogExpectedImprovement),
            ("PI", analytic.ProbabilityOfImprovement),
            ("LogPI", analytic.LogProbabilityOfImprovement),
        ):
            found = cls(down, incumbent, maximize=False)(singles)
            note(name, found, incumbent=incumbent)
    for beta in (0.2, 4.0):
        found = analytic.UpperConfidenceBound(down, beta, maximize=False)(singles)
        note("UCB", found, beta=beta)
    variance = np.vstack([np.diag(covariance), data["constraint_variance"]])
    several = peer.Several(np.vstack([mean, data["constraint_mean"]]), variance)
    bounds = {j + 1: (None, t) for j, t in enumerate(data["thresholds"])}
    cei = analytic.LogConstrainedExpectedImprovement(several, best, 0, bounds, maximize=False)
    note("ConstrainedLogEI", cei(singles), incumbent=best)
    feasible = analytic.LogProbabilityOfFeasibility(several, bounds)
    note("LogFeasibility", feasible(singles))

    sampler = peer.Given(data["samples"])
    groups = [[0, 3], [5, 6], [7, 2]]
    for temperatures in ({}, {"tau_max": 0.1, "tau_relu": 0.01}):
        for incumbent in (best, best - 8.0):
            acquisition = logei.qLogExpectedImprovement(up, -incumbent, sampler, **temperatures)
            facts = {"incumbent": incumbent, **temperatures}
            note("QLogEI", acquisition(numbers(groups)), rows=groups, **facts)
            pending = [[4, 1, *group] for group in groups]
            note("QLogEI", acquisition(numbers(pending)), rows=groups, pending=[4, 1], **facts)
        for pending in ([], [4]):
            acquisition = logei.qLogNoisyExpectedImprovement(
                up,
                numbers([1, 2]),
                sampler,
                prune_baseline=False,
                cache_root=False,
                X_pending=numbers(pending) if pending else None,
                **temperatures,
            )
            groups_ = [[0, 3], [5, 6], [7, 0]]
            facts = {"baseline": [1, 2], "pending": pending, **temperatures}
            note("QLogNEI", acquisition(numbers(groups_)), rows=groups_, **facts)
    # BoTorch measures spreads from the samples' mean: antithetic samples make it the true one.
    both = peer.Given(np.concatenate([data["samples"], -data["samples"]]))
    for beta in (0.2, 4.0):
        acquisition = monte_carlo.qUpperConfidenceBound(up, beta, both)
        note("QUCB", acquisition(numbers(groups)), rows=groups, beta=beta)
        pending = [[4, 1, *group] for group in groups]
        note("QUCB", acquisition(numbers(pending)), rows=groups, pending=[4, 1], beta=beta)

    minima = [-0.9, -1.4, -2.5]
    for pending in ([], [4, 1]):
        gibbon = entropy.qLowerBoundMaxValueEntropy(
            up, numbers(np.arange(ROWS)), X_pending=numbers(pending) if pending else None
        )
        gibbon.posterior_max_values = -torch.tensor(minima)[:, None]
        if pending:
            gibbon.set_X_pending(numbers(pending))
        found = gibbon(singles).reshape(-1)
        note("Gibbon", found, minima=minima, pending=pending)
    uniforms = np.array([0.05, 0.3, 0.62, 0.97])
    rand, torch.rand = torch.rand, lambda *shape, **_: torch.as_tensor(uniforms)[:, None]
    found = entropy._sample_max_value_Gumbel(down, numbers(np.arange(ROWS)), 4, maximize=False)
    torch.rand = rand
    note("gumbel_minima", -found[:, 0], uniforms=uniforms.tolist())
    assert all(math.isfinite(v) for entry in made for v in entry["value"])
    return {"versions": {p: version(p) for p in ("botorch", "gpytorch", "torch")}, **data}, made


def main():
    warnings.simplefilter("ignore")
    head, values = make()
    plain = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in head.items()}
    body = ",\n".join(f" {json.dumps(k)}: {json.dumps(v)}" for k, v in plain.items())
    lines = ",\n".join("  " + json.dumps(entry) for entry in values)
    path = HERE / "acquisitions.json"
    path.write_text("{\n" + body + ',\n "values": [\n' + lines + "\n ]\n}\n")
    json.loads(path.read_text())
    print(f"{path.name}: {len(values)} values")


if __name__ == "__main__":
    main()
