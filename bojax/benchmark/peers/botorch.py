"""BoTorch's single-task GP and log noisy expected improvement, as its documentation has them.

BoTorch 0.18.1 is a library of parts; the recipe is that of its tutorial "Getting Started" and
of the docstring of `optimize_acqf`: `SingleTaskGP` with its default priors on inputs in the
unit cube (`Normalize` has nothing to do there) and outcomes it standardises itself,
`fit_gpytorch_mll`, `qLogNoisyExpectedImprovement` with a pruned baseline, and `optimize_acqf`
with 10 restarts, 512 raw samples and sequential greedy batches, in float64. Categories are
one-hot, as Ax gives them to BoTorch: `optimize_acqf_mixed` over up to 10 combinations of
them, beyond that the relaxed problem, whose largest entry is the choice.

Left open there, and chosen here as bojax has it: five first points, the centre and then
Sobol; the logarithm of logarithmic parameters; integers and ordered choices spread evenly and
rounded. Conditions do not exist in BoTorch: unused parameters are modelled at their default.
A failed evaluation counts as the worst value so far.
"""

import itertools
import math

ENVIRONMENT = "botorch"
PACKAGES = ("botorch", "gpytorch", "linear-operator", "torch", "scipy", "numpy")
IMPORTS = ("botorch.models", "botorch.fit", "botorch.acquisition.logei", "botorch.optim")
START = 5
RESTARTS, RAW_SAMPLES = 10, 512
ENUMERATED = 10


class Loop:
    def __init__(self, space, seed):
        import torch

        torch.manual_seed(seed)
        self.space, self.rows, self.values, self.asked = space, [], [], 0
        self.widths = [len(p["choices"]) if p["kind"] == "categorical" else 1 for p in space]
        self.sobol = torch.quasirandom.SobolEngine(len(space), scramble=True, seed=seed)

    def ask(self, q):
        first, self.asked = self.asked, self.asked + q
        if first < START:
            return [self.space.from_unit(self.point(first + i)) for i in range(q)]
        return [self.space.from_unit(self.narrow(row)) for row in self.suggest(q).tolist()]

    def tell(self, configs, values):
        self.rows += [self.wide(self.space.to_unit(config)) for config in configs]
        self.values += values

    def point(self, index):
        """The centre, then Sobol; a category's share of [0, 1] is its choice."""
        units = self.sobol.draw(1)[0].tolist() if index else [0.5] * len(self.space)
        return [u if w == 1 else int(u * w) for u, w in zip(units, self.widths, strict=True)]

    def wide(self, units):
        """Positions with one column for each choice of a category."""
        pairs = zip(units, self.widths, strict=True)
        return [x for u, w in pairs for x in ([u] if w == 1 else [float(u == i) for i in range(w)])]

    def narrow(self, row):
        """The inverse of `wide`: a category's largest column is its choice."""
        row = iter(row)
        parts = [list(itertools.islice(row, w)) for w in self.widths]
        return [part[0] if len(part) == 1 else part.index(max(part)) for part in parts]

    def combinations(self):
        """Columns of the categories -> values, for each combination; none beyond the limit."""
        if not 1 < math.prod(self.widths) <= ENUMERATED:
            return []
        wide = [w for w in self.widths for _ in range(w)]  # of each column
        rows = [self.wide(codes) for codes in itertools.product(*map(range, self.widths))]
        return [{c: row[c] for c, w in enumerate(wide) if w > 1} for row in rows]

    def suggest(self, q):
        import torch
        from botorch.acquisition.logei import qLogNoisyExpectedImprovement
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import SingleTaskGP
        from botorch.optim import optimize_acqf, optimize_acqf_mixed
        from gpytorch.mlls import ExactMarginalLogLikelihood

        x = torch.tensor(self.rows, dtype=torch.float64)
        worst = max((v for v in self.values if v is not None), default=0.0)
        y = -torch.tensor([[worst if v is None else v] for v in self.values], dtype=torch.float64)
        model = SingleTaskGP(x, y)
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        settings = {
            "acq_function": qLogNoisyExpectedImprovement(model, X_baseline=x, prune_baseline=True),
            "bounds": torch.tensor([[0.0], [1.0]], dtype=torch.float64).repeat(1, x.shape[1]),
            "q": q,
            "num_restarts": RESTARTS,
            "raw_samples": RAW_SAMPLES,
        }
        fixed = self.combinations()
        if fixed:
            return optimize_acqf_mixed(**settings, fixed_features_list=fixed)[0]
        return optimize_acqf(**settings, sequential=True)[0]


def make(space, seed, evaluations):
    return Loop(space, seed)
