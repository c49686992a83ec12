"""Ax's `Client` with the generation strategy it chooses itself ("fast").

Ax 1.3.1: the centre, four Sobol points, then BoTorch's single-task GP with log noisy expected
improvement over a mixed space. Conditions are given as dependents of a choice, below one
constant root, which is how Ax has them; it takes one parent and one value of it, so that a
condition on a number or on several values is left out, and of several parents all but the
last: Ax then searches a parameter that is not used. A grid is rounded to after the suggestion.
A failed evaluation is a failed trial, which Ax's models leave out.
"""

ENVIRONMENT = "botorch"
PACKAGES = ("ax-platform", "botorch", "gpytorch", "torch")
IMPORTS = ("ax.api.client", "ax.generators.torch.botorch_modular.surrogate")
ROOT = "root of the space"


class Client:
    def __init__(self, space, seed):
        import logging

        from ax.api.client import Client

        logging.disable(logging.WARNING)
        self.space, self.indices = space, []
        self.client = Client(random_seed=seed)
        self.client.configure_experiment(parameters=described(space))
        self.client.configure_optimization(objective="-value")

    def ask(self, q):
        trials, more = {}, True
        while more and len(trials) < q:  # a call ends where the generation strategy changes
            more = self.client.get_next_trials(max_trials=q - len(trials))
            trials |= more
        self.indices = list(trials)
        configs = [dict(values) for values in trials.values()]
        for config in configs:
            config.pop(ROOT, None)
        return [self.space.nearest(config) for config in configs]

    def tell(self, configs, values):
        for index, value in zip(self.indices, values, strict=True):
            if value is None:
                self.client.mark_trial_failed(trial_index=index)
            else:
                self.client.complete_trial(trial_index=index, raw_data={"value": value})


def described(space):
    from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig

    below = {p["name"]: {} for p in space if p["choices"] is not None} | {ROOT: {}}
    parents = {p["name"]: list(p["when"].items())[-1] for p in space if p["when"]}
    # Ax's conditions are a tree: one parent, a choice, and one value of it.
    parents = {n: (p, v) for n, (p, v) in parents.items() if p in below and len(v) == 1}
    for p in space if parents else ():
        parent, values = parents.get(p["name"], (ROOT, ["all"]))
        below[parent].setdefault(values[0], []).append(p["name"])
    out = []
    if below[ROOT]:
        root = ChoiceParameterConfig(ROOT, ["all"], "str", dependent_parameters=below[ROOT])
        out.append(root)
    for p in space:
        if p["choices"] is None:
            out.append(
                RangeParameterConfig(
                    name=p["name"],
                    bounds=(p["low"], p["high"]),
                    parameter_type=p["kind"],
                    scaling="log" if p["log"] else "linear",
                )
            )
        else:
            out.append(
                ChoiceParameterConfig(
                    name=p["name"],
                    values=p["choices"],
                    parameter_type=type(p["choices"][0]).__name__,
                    is_ordered=p["kind"] == "ordinal",
                    dependent_parameters=below[p["name"]] or None,
                )
            )
    return out


def make(space, seed, evaluations):
    return Client(space, seed)
