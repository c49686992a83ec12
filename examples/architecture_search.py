"""Architecture search: depth, and each layer's width, operation and skip, on real digits.

    python examples/architecture_search.py                      evolution against random search
    python examples/architecture_search.py --strategies tpe gp  others, one after the other

A space of 13 million architectures: one to four layers, each with one of five widths, six
operations, and a skip connection or none. What a layer is exists only if the layer does: layer 3's
parameters are conditional on a depth of at least 3. Every architecture is a member of the same
compiled program (masks, and codes that choose), so that a search costs seconds. Both methods train
as many networks for as many epochs, and are compared on the same splits, seed by seed.

One-shot and gradient-based search (shared weights, relaxed choices) are other methods and not
part of bojax.
"""

from __future__ import annotations

import argparse

import optax
from sklearn.datasets import load_digits

import bojax
from bojax.stats import mean_interval
from bojax.training.models import OPERATIONS, Layered

LAYERS = 4
WIDTHS = [4, 8, 16, 32, 64]
EPOCHS, TRIALS, ROUND = 6, 96, 8
# A population that is a small part of the trials: the paper's 100 would be all of them, at random.
CHOSEN = {"evolution": bojax.strategies.evolution(population=24, sample=8)}


def space() -> bojax.Space:
    """Depth first, then each layer under the condition that it is there."""
    parameters = {"depth": bojax.Int(1, LAYERS)}
    for layer in range(1, LAYERS + 1):
        when = {"when": {"depth": bojax.Range(layer, LAYERS)}} if layer > 1 else {}
        parameters |= {
            f"width_{layer}": bojax.Ordinal(WIDTHS, **when),
            f"operation_{layer}": bojax.Categorical(list(OPERATIONS), **when),
            f"skip_{layer}": bojax.Boolean(**when),
        }
    return bojax.Space(parameters)


def architectures() -> int:
    """How many there are."""
    layer = len(WIDTHS) * len(OPERATIONS) * 2
    return sum(layer**depth for depth in range(1, LAYERS + 1))


def build(hp):
    """One network; every choice is a number in the program."""
    layers = range(1, LAYERS + 1)
    return Layered(
        outputs=10,
        depth=hp["depth"],
        widths=tuple(hp[f"width_{n}"] for n in layers),
        operations=tuple(hp[f"operation_{n}"] for n in layers),
        skips=tuple(hp[f"skip_{n}"] for n in layers),
        max_width=max(WIDTHS),
    )


def optimizer(hp):
    """The same for all: it is the architecture that is searched."""
    return optax.adam(2e-3)


TASK = bojax.Task.linen(build, optimizer=optimizer, batch_size=64)


def search(strategy: str, seed: int, *, trials: int = TRIALS, epochs: int = EPOCHS, x=None, y=None):
    """One search on one split: the result of a sweep without early stopping."""
    if x is None:
        x, y = load_digits(return_X_y=True)
    split = bojax.Holdout(validation=0.3, test=0.2, seed=seed)
    sweep = bojax.Sweep(
        TASK,
        space(),
        data=bojax.ArrayData(x / 16.0, y, split=split),
        strategy=CHOSEN.get(strategy, strategy),
        scheduler={"name": "full_budget", "bracket": ROUND},
        max_budget=epochs,
        seed=seed,
    )
    return sweep.run(trials)


def main(arguments=None) -> dict[str, list[float]]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--strategies", nargs="+", default=["evolution"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    settings = parser.parse_args(arguments)
    bojax.configure(cpu_devices="cores")
    print(f"{architectures():,} architectures, {settings.trials} trained by each search")
    found: dict[str, list[float]] = {}
    for name in ["random", *settings.strategies]:
        for seed in range(settings.seeds):
            result = search(name, seed, trials=settings.trials, epochs=settings.epochs)
            found.setdefault(name, []).append(result.best.value)
            print(
                f"{name:>10} seed {seed}: validation loss {result.best.value:.4f} in "
                f"{result.seconds:.0f} s, {result.spent:g} epochs; {drawn(result.best.config)}",
                flush=True,
            )
    for name in settings.strategies:
        gains = [a - b for a, b in zip(found["random"], found[name], strict=True)]
        print(f"{name} below random search by {mean_interval(gains)}, paired")
    return found


def drawn(config) -> str:
    """An architecture in one line, `32 relu + 16 gate`: + is a skip into the next layer."""
    layers = []
    for layer in range(1, config["depth"] + 1):
        plus = "+" if config[f"skip_{layer}"] else ""
        layers.append(f"{plus}{config[f'width_{layer}']} {config[f'operation_{layer}']}")
    return " > ".join(layers)


if __name__ == "__main__":
    main()
