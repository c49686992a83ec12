"""SMAC3's facade for hyperparameter optimisation, all settings at their defaults.

Written for SMAC 2.4.1: Sobol points, at most a quarter of the evaluations, then a random forest
whose suggestions are asked for one at a time. Every configuration is evaluated once
(`deterministic=True`), noisy or not, as all methods here. Conditions are told as ConfigSpace's.
Grids other than the integers are rounded to after the suggestion. A failed evaluation is told as
a crashed trial. What SMAC writes goes to a folder that is removed.
"""

ENVIRONMENT = "smac"
PACKAGES = ("smac", "ConfigSpace", "scikit-learn", "scipy", "numpy")
IMPORTS = ("smac", "ConfigSpace", "sklearn.ensemble")


class Facade:
    def __init__(self, space, seed, evaluations):
        import logging
        import tempfile

        from smac import HyperparameterOptimizationFacade, Scenario

        self.space, self.told = space, []
        self.folder = tempfile.TemporaryDirectory()
        scenario = Scenario(
            described(space, seed), deterministic=True, n_trials=evaluations, seed=seed,
            output_directory=self.folder.name,
        )  # fmt: skip
        self.smac = HyperparameterOptimizationFacade(
            scenario, lambda config, seed=0: 0.0, overwrite=True, logging_level=logging.ERROR
        )

    def ask(self, q):
        self.told = [self.smac.ask() for _ in range(q)]
        return [self.named(dict(info.config)) for info in self.told]

    def tell(self, configs, values):
        from smac.runhistory import StatusType, TrialValue

        for info, value in zip(self.told, values, strict=True):
            if value is None:
                result = TrialValue(cost=float("inf"), status=StatusType.CRASHED)
            else:
                result = TrialValue(cost=value)
            self.smac.tell(info, result)

    def named(self, found):
        config = {}
        for p in self.space:
            if p["name"] in found:
                value = found[p["name"]]
                coded = p["kind"] == "categorical"
                config[p["name"]] = p["choices"][int(value)] if coded else plain(value)
        return self.space.nearest(config)


def plain(value):
    return value.item() if hasattr(value, "item") else value


def described(space, seed):
    import ConfigSpace as cs

    made = cs.ConfigurationSpace(seed=seed)
    for p in space:
        made.add(parameter(p))
    for p in space:
        clauses = [
            cs.InCondition(made[p["name"]], made[parent], coded(space, parent, values))
            for parent, values in (p["when"] or {}).items()
        ]
        if clauses:
            made.add(clauses[0] if len(clauses) == 1 else cs.AndConjunction(*clauses))
    return made


def coded(space, name, values):
    p = next(p for p in space if p["name"] == name)
    if p["kind"] != "categorical":
        return list(values)
    return [p["choices"].index(value) for value in values]


def parameter(p):
    import ConfigSpace as cs

    name, low, high = p["name"], p["low"], p["high"]
    if p["kind"] == "categorical":
        return cs.CategoricalHyperparameter(name, list(range(len(p["choices"]))))
    if p["kind"] == "ordinal":
        return cs.OrdinalHyperparameter(name, p["choices"])
    if p["kind"] == "int":
        return cs.UniformIntegerHyperparameter(name, low, high, log=p["log"])
    return cs.UniformFloatHyperparameter(name, low, high, log=p["log"])


def make(space, seed, evaluations):
    return Facade(space, seed, evaluations)
