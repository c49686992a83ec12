"""Tune a multilayer perceptron on scikit-learn's digits: 1,797 real images, 8 x 8.

    bojax sweep examples/digits_mlp.py              one sweep, about 20 seconds
    bojax sweep examples/digits_mlp.py --splits 10  the comparison `make demo` shows

You will see the rung table before anything runs, then rung after rung of configurations
trained as members of a few compiled programs: learning rate, weight decay, dropout,
schedule and optimiser differ from member to member, width and depth are masks, and only the
batch size and the width's power of two choose the program. The Gaussian process suggests
each bracket from all that was seen, at every budget. At the end the test part is looked at,
once.
"""

from sklearn.datasets import load_digits

import bojax
from bojax.training.models import MLP
from bojax.training.optimizers import fused
from bojax.training.schedules import schedule_for

# ------------------------------------------------------------------ settings
TRIALS = 64  # configurations started
MAX_BUDGET = 27  # epochs the survivors are trained for
MIN_BUDGET = 3  # epochs after which a configuration may first be judged
BRACKET = 16  # configurations started together
OPTIMIZERS = ["momentum", "adam", "adamw", "rmsprop"]
SCHEDULES = ["constant", "cosine", "warmup_cosine", "one_cycle"]

# What one would write down without tuning: Adam at its published rate, a middling network.
DEFAULT = {
    "learning_rate": 1e-3,
    "weight_decay": 1e-4,
    "dropout": 0.1,
    "width": 64,
    "depth": 2,
    "batch_size": 32,
    "optimizer": "adam",
    "schedule": "constant",
}

SPACE = bojax.Space(
    {
        "learning_rate": bojax.Float(1e-4, 1e-1, log=True),
        "weight_decay": bojax.Float(1e-6, 1e-1, log=True),
        "dropout": bojax.Float(0.0, 0.5),
        "width": bojax.Int(20, 128, log=True),
        "depth": bojax.Int(1, 3),
        "batch_size": bojax.Ordinal([32, 64]),
        "optimizer": bojax.Categorical(OPTIMIZERS),
        "momentum": bojax.Float(0.0, 0.99, when={"optimizer": "momentum"}),
        "schedule": bojax.Categorical(SCHEDULES),
    }
)


# ------------------------------------------------------------------ the model, once
def build(hp):
    """A network of the member's own width, depth and dropout inside the bucket's ceilings."""
    return MLP(
        outputs=10,
        width=hp["width"],
        max_width=hp.ceiling["width"],
        depth=hp["depth"],
        max_depth=hp.ceiling["depth"],
        dropout=hp["dropout"],
    )


def optimizer(hp):
    """One update rule for all kinds, its coefficients data; the horizon is the final budget."""
    rate = schedule_for(
        hp["schedule"], base=hp["learning_rate"], horizon=hp.steps, kinds=hp.choices["schedule"]
    )
    return fused(
        hp["optimizer"],
        rate,
        weight_decay=hp["weight_decay"],
        momentum=hp["momentum"],
        kinds=hp.choices["optimizer"],
    )


TASK = bojax.Task.linen(build, optimizer=optimizer, padded=["width"])


# ------------------------------------------------------------------ what the command line asks for
def sweep(**settings):
    """The sweep; `settings` are those the command line adds (store, seed, callbacks, ...)."""
    x, y = load_digits(return_X_y=True)
    data = bojax.ArrayData(x, y, split=bojax.Holdout(validation=0.2, test=0.2), normalize=True)
    options = {
        "data": data,
        "metric": "loss",
        "max_budget": MAX_BUDGET,
        "min_budget": MIN_BUDGET,
        "bracket": BRACKET,
        "default": DEFAULT,  # trial 0: what one has is worth knowing
    }
    return bojax.Sweep(TASK, SPACE, **(options | settings))


if __name__ == "__main__":
    bojax.configure(cpu_devices="cores")
    result = sweep().run(trials=TRIALS)
    print(f"best validation loss {result.best.value:.4f}: {result.best.config}")
    print(f"on the test part, once: {result.test()}")
