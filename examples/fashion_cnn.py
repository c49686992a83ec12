"""Tune a convolutional network with batch normalisation on Fashion-MNIST: 28 x 28 pictures.

    python examples/fashion_cnn.py                        about two minutes on two cores
    bojax sweep examples/fashion_cnn.py --no-progress     the same beside random search
    apt install dataset-fashion-mnist                     the data, 30 MB

Without the data, the 200 images that come with bojax are used, which is quick and teaches
little; the first line says which it is. You will see the rung table and the programs,
then the best configuration, and its scores on images that the search has not seen, looked at
once: with the data, they are the first ones of Fashion-MNIST's own test part.
"""

import optax

import bojax
from bojax.training.datasets import fashion_mnist, fashion_mnist_sample
from bojax.training.models import CNN

# ------------------------------------------------------------------ settings
FOLDER = None  # of the four files; None for where Debian's package puts them
IMAGES = 4000  # of the 60,000 to train and validate on; None for all of them
TEST_IMAGES = 2000  # of the 10,000 to test on; None for all of them
TRIALS = 18  # configurations started
MAX_BUDGET = 9  # epochs the survivors are trained for
FEATURES = (8, 16)  # channels of each block, of which a configuration uses a share

# What one would write down without tuning: Adam at its published rate, everything in use.
DEFAULT = {"lr": 1e-3, "weight_decay": 1e-4, "dropout": 0.2, "width": 1.0, "batch_size": 64}

SPACE = bojax.Space(
    {
        "lr": bojax.Float(1e-4, 1e-1, log=True),
        "weight_decay": bojax.Float(1e-6, 1e-1, log=True),
        "dropout": bojax.Float(0.0, 0.6),
        "width": bojax.Float(0.25, 1.0),
        "batch_size": bojax.Ordinal([32, 64]),
    }
)


# ------------------------------------------------------------------ the model, once
def build(hp):
    return CNN(outputs=10, features=FEATURES, dropout=hp["dropout"], width=hp["width"])


def adamw(hp):
    return optax.adamw(hp["lr"], weight_decay=hp["weight_decay"])


TASK = bojax.Task.linen(build, optimizer=adamw)


# ------------------------------------------------------------------ the data
def images():
    """What to train on, and a line that says what it is."""
    try:
        x, y = fashion_mnist(FOLDER)
        test_x, test_y = fashion_mnist(FOLDER, part="test")
    except bojax.DataError as missing:
        x, y = fashion_mnist_sample()
        return bojax.ArrayData(x, y), f"a sample of {len(y)} images only: {missing}"
    x, y, test_x, test_y = x[:IMAGES], y[:IMAGES], test_x[:TEST_IMAGES], test_y[:TEST_IMAGES]
    data = bojax.ArrayData(x, y, test=(test_x, test_y))  # looked at once
    return data, f"Fashion-MNIST, {len(y)} images and {len(test_y)} to test on"


def sweep(**settings):
    """The sweep; `settings` are those the command line adds (store, seed, callbacks, ...)."""
    options = {"metric": "loss", "max_budget": MAX_BUDGET, "default": DEFAULT}
    if "data" not in settings:
        options["data"], _ = images()
    return bojax.Sweep(TASK, SPACE, **(options | settings))


def main():
    """Returns the test scores of the model that was chosen, and its result."""
    data, which = images()
    print(which)
    tuning = sweep(data=data)
    print(tuning.check(TRIALS))
    result = tuning.run(trials=TRIALS)
    print(f"\nbest validation loss {result.best.value:.4f} of {len(result.trials)} trials:")
    print(result.best.config)
    score = result.test()
    print(f"on the test part, once: {score}")
    return result, score


if __name__ == "__main__":
    bojax.configure(cpu_devices="cores")
    main()
