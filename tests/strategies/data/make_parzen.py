"""Reference values of Parzen estimators, made by Optuna itself.

    python make_parzen.py       in an environment with optuna 5.0.0, then in one with 4.5.0

Each run writes the half of `parzen.json` beside this script that its version is for, and keeps
the other. Every case is a set of observations of the parameters below, in natural units and in
the order of the trials, and 8 candidates. Of `optuna.samplers._tpe.parzen_estimator`'s
`_ParzenEstimator` it holds: the mixture's `weights`, the prior's last; `mean` and `sigma` of
each numeric parameter's kernels in its own unit (logarithms where it is log); and `log_density`
of the candidates, of all parameters together ("multivariate") or of each by itself. Then
`good[n]`, how many of n trials are good, and `age`, the weights of n trials. Observations
are all different, but for the cases "ties", where only whole sets of kernels can be compared:
which of two equal observations has the wider kernel is an accident of sorting.
"""

import importlib.metadata
import json
from pathlib import Path

import numpy as np

FILE = Path(__file__).parent / "parzen.json"
FLOATS = {"x": (-2.0, 5.0, None, False), "lr": (1e-4, 1e-1, None, True), "s": (0, 2, 0.02, False)}
INTS = {"n": (1, 300, 1, False), "w": (4, 4096, 1, True), "few": (1, 4, 1, False)}
CHOICES = ["a", "b", "c", "d"]
SIZES = (0, 1, 2, 7, 26, 40)


def observed(rng, size, ties):
    """Values of `size` trials by parameter; the columns that have ties only where asked for."""
    values = {"x": rng.uniform(-2, 5, size), "lr": np.exp(rng.uniform(*np.log([1e-4, 0.1]), size))}
    values["s"] = 0.02 * rng.choice(101, size, replace=False)
    values["n"] = 1 + rng.choice(300, size, replace=False)
    values["w"] = 4 + rng.choice(4093, size, replace=False)
    if ties:
        values = {"few": 1 + rng.integers(4, size=size), "x": np.round(values["x"])}
    else:
        values["c"] = rng.integers(4, size=size)
    return {name: column.astype(float) for name, column in values.items()}


def distributions():
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    made = {n: FloatDistribution(a, b, step=s, log=g) for n, (a, b, s, g) in FLOATS.items()}
    made |= {n: IntDistribution(a, b, step=s, log=g) for n, (a, b, s, g) in INTS.items()}
    return made | {"c": CategoricalDistribution(CHOICES)}


def estimator(values, names, multivariate):
    from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters
    from optuna.samplers._tpe.sampler import default_weights

    settings = {
        "prior_weight": 1.0, "consider_magic_clip": True, "consider_endpoints": False,
        "weights": default_weights, "multivariate": multivariate, "categorical_distance_func": {},
    }  # fmt: skip
    settings = {name: settings[name] for name in _ParzenEstimatorParameters._fields}
    space = {name: distributions()[name] for name in names}
    return _ParzenEstimator(
        {n: values[n] for n in names}, space, _ParzenEstimatorParameters(**settings)
    )


def case(number, size, multivariate, ties):
    rng = np.random.default_rng(number)
    values, candidates = observed(rng, size, ties), observed(rng, 8, ties)
    names = list(values)
    found = {"multivariate": multivariate, "ties": ties, "observed": values}
    found |= {"candidates": candidates, "mean": {}, "sigma": {}, "log_density": {}}
    for group in [names] if multivariate else [[name] for name in names]:
        mixture = estimator(values, group, multivariate)
        at = {n: candidates[n] for n in group}
        found["log_density"]["all" if multivariate else group[0]] = mixture.log_pdf(at)
        found["weights"] = mixture._mixture_distribution.weights
        for name, part in zip(group, mixture._mixture_distribution.distributions, strict=True):
            if name != "c":
                found["mean"][name], found["sigma"][name] = part.mu, part.sigma
    return found


def main():
    from optuna.samplers._tpe.sampler import default_gamma, default_weights

    version = importlib.metadata.version("optuna")
    modes = [(True, False), (False, False), (False, True)]
    cases = [
        case(100 * i + size, size, multivariate, ties)
        for i, (multivariate, ties) in enumerate(modes)
        for size in (SIZES if not ties else (3, 12))
    ]
    good = [default_gamma(n) for n in range(400)]
    age = {n: default_weights(n) for n in (0, 1, 24, 25, 26, 27, 60)}
    written = json.loads(FILE.read_text()) if FILE.exists() else {}
    written[version] = {"cases": cases, "good": good, "age": age}
    text = json.dumps(written, default=lambda x: np.asarray(x).tolist(), sort_keys=True)
    FILE.write_text(text.replace('{"candidates"', '\n{"candidates"') + "\n")


if __name__ == "__main__":
    main()
