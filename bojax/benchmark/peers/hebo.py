"""HEBO with its defaults: warped outcomes, a Gaussian process, and MACE searched by NSGA-II.

HEBO 0.3.6, the class `HEBO` of its README, its own 1 + d Sobol points included. Logarithmic
parameters are its "pow" types, categories its "cat", booleans among them; ordered choices are
"int". Grids other than the integers are rounded to after the suggestion. HEBO knows no
conditions: an unused parameter is told at its default. A failed evaluation is told as NaN,
which HEBO leaves out. HEBO leaves the generator of its NSGA-II unseeded; here it is seeded,
so that a run can be repeated. A suggestion takes seconds, most of them in that search.
"""

ENVIRONMENT = "hebo"
PACKAGES = ("HEBO", "torch", "gpytorch", "pymoo", "scikit-learn", "pandas", "numpy")
IMPORTS = ("hebo.optimizers.hebo", "hebo.design_space.design_space")


class Loop:
    def __init__(self, space, seed):
        import functools

        import numpy as np
        import torch
        from hebo.acq_optimizers import evolution_optimizer
        from hebo.design_space.design_space import DesignSpace
        from hebo.optimizers.hebo import HEBO
        from pymoo.optimize import minimize

        np.random.seed(seed)
        torch.manual_seed(seed)
        evolution_optimizer.minimize = functools.partial(minimize, seed=seed)
        self.space = space
        self.hebo = HEBO(DesignSpace().parse([described(p) for p in space]), scramble_seed=seed)

    def ask(self, q):
        rows = self.hebo.suggest(n_suggestions=q).to_dict("records")
        return [self.space.nearest(self.named(row)) for row in rows]

    def tell(self, configs, values):
        import numpy as np
        import pandas as pd

        frame = pd.DataFrame([self.coded(self.space.filled(config)) for config in configs])
        told = [np.nan if value is None else value for value in values]
        self.hebo.observe(frame, np.array(told)[:, None])

    def named(self, row):
        choices = {p["name"]: p["choices"] for p in self.space if p["choices"]}
        return {n: choices[n][int(v)] if n in choices else v for n, v in row.items()}

    def coded(self, config):
        choices = {p["name"]: p["choices"] for p in self.space if p["choices"]}
        return {n: choices[n].index(v) if n in choices else v for n, v in config.items()}


def described(p):
    if p["kind"] == "categorical":
        return {"name": p["name"], "type": "cat", "categories": list(range(len(p["choices"])))}
    if p["kind"] == "ordinal":
        return {"name": p["name"], "type": "int", "lb": 0, "ub": len(p["choices"]) - 1}
    kinds = {("float", False): "num", ("float", True): "pow", ("int", False): "int"}
    kind = kinds.get((p["kind"], p["log"]), "pow_int")
    return {"name": p["name"], "type": kind, "lb": p["low"], "ub": p["high"]}


def make(space, seed, evaluations):
    return Loop(space, seed)
