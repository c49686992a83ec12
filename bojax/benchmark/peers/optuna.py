"""Optuna with one of its samplers, all settings at their defaults.

`sampler` is "tpe", "gp" or "cmaes". Written for Optuna 5.0.0; with 4.5.0 (the environment
`optuna4`) "tpe" is the univariate estimator of earlier papers, which 5.0 replaced by a
multivariate one with a constant liar.

Conditions are told the way Optuna has them: a parameter is suggested only where it exists.
For q > 1, q trials are asked for before the first result is told. A failed evaluation is told
as a failed trial, which the samplers leave out. Ordered choices are integers to Optuna. A
logarithmic grid, which Optuna does not have, is rounded to after the suggestion.
"""

ENVIRONMENT = "optuna"
PACKAGES = ("optuna", "cmaes", "torch", "scipy", "numpy", "greenlet")
IMPORTS = ("optuna", "cmaes", "torch", "scipy.optimize", "scipy.stats", "greenlet")


class Study:
    def __init__(self, space, sampler):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.space, self.trials = space, []
        self.failed = optuna.trial.TrialState.FAIL
        self.study = optuna.create_study(sampler=sampler)

    def ask(self, q):
        self.trials = [self.study.ask() for _ in range(q)]
        return [self.suggest(trial) for trial in self.trials]

    def tell(self, configs, values):
        for trial, value in zip(self.trials, values, strict=True):
            self.study.tell(trial, value, state=self.failed if value is None else None)

    def suggest(self, trial):
        config = {}
        for p in self.space:
            if p["name"] in self.space.active(config | {p["name"]: None}):
                config[p["name"]] = self.suggest_one(trial, p)
        return config

    def suggest_one(self, trial, p):
        name, low, high = p["name"], p["low"], p["high"]
        if p["kind"] == "categorical":
            return trial.suggest_categorical(name, p["choices"])
        if p["kind"] == "ordinal":
            return p["choices"][trial.suggest_int(name, 0, len(p["choices"]) - 1)]
        suggest = trial.suggest_int if p["kind"] == "int" else trial.suggest_float
        if not p["log"]:
            return suggest(name, low, high, step=p["step"])
        return self.space.nearest({name: suggest(name, low, high, log=True)})[name]


def make(space, seed, evaluations, sampler="tpe"):
    import optuna

    if sampler == "gp":
        return Study(space, optuna.samplers.GPSampler(seed=seed))
    if sampler == "cmaes":
        # Categories and conditions are drawn at random by it; it would warn of each.
        quiet = optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
        return Study(space, quiet)
    return Study(space, optuna.samplers.TPESampler(seed=seed))
