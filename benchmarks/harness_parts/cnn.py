"""64 small convolutional networks: a population beside one trial after the other."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen

import bojax
from bojax.training.models import CNN
from bojax.training.models.cnn import max_pool

from . import Loop, adam, in_turn, population, rates

BATCH = 32


class Usual(linen.Module):
    """`CNN` with `flax.linen.Conv` in place of patches; parameters are named and shaped alike."""

    outputs: int

    @linen.compact
    def __call__(self, x, *, train=False):
        h = x.astype(jnp.float32) / 255.0
        for block, channels in enumerate(CNN.features):
            h = linen.Conv(channels, (3, 3), use_bias=False, name=f"conv_{block}")(h)
            h = linen.BatchNorm(
                use_running_average=not train, momentum=CNN.momentum, name=f"norm_{block}"
            )(h)
            h = max_pool(jax.nn.relu(h))
        return linen.Dense(self.outputs, name="output")(h.reshape(h.shape[0], -1))


def build(hp):
    return CNN(10)


TASK = bojax.Task.linen(build, optimizer=adam, batch_size=BATCH)


def images(examples):
    """Random bytes, 28 x 28; a fifth is validated on, none is kept for the end."""
    draw = np.random.default_rng(0)
    x = draw.integers(0, 256, (examples, 28, 28, 1), np.uint8)
    split = bojax.Holdout(validation=0.2, test=0.0)
    return bojax.ArrayData(x, draw.integers(0, 10, examples), split=split)


def measure(rounds, tiny, folder):
    """Seconds of 64 trials of 2 epochs of 512 examples; each loop on 4, to be extrapolated.

    The loops have one jitted step with a traced rate, once with XLA's convolution, once with the
    patches that the population uses. The floor is the arithmetic, which is the same for all.
    """
    trials, timed, epochs, examples = (2, 1, 1, 80) if tiny else (64, 4, 2, 640)
    data, configs = images(examples), rates(trials)

    def loop(model):
        own = Loop(model, optax.adam, data, BATCH)
        seconds = [own.train(configs[i]["lr"], epochs, i) for i in range(timed)]
        return {"value": timed, "unit": "trials", "seconds": sum(seconds),
                "compile_seconds": sum(own.compiling.values())}  # fmt: skip

    return in_turn(
        "cnn",
        rounds,
        {
            "population": lambda: population(TASK, data, configs, epochs),
            "loop, XLA's convolution": lambda: loop(Usual(10)),
            "loop, patches": lambda: loop(CNN(10)),
        },
    )
