"""Tune a small transformer that writes letter by letter: twelve chapters of Jane Austen.

    python examples/characters_transformer.py                        about a minute on two cores
    bojax sweep examples/characters_transformer.py --no-progress     the same beside random search

You will see what a letter costs, in bits: for one who knows only how frequent each letter is, for
one who looks at the letter before, and for the transformer that successive halving found; on the
part of the text after that which it was trained on and then, once, on the part at the end. Below
stands how it goes on from a beginning. It has read some thirty pages, nine times over: words come
out, sentences do not.

Learning rate, dropout and weight decay differ from member to member of a population; width decides
the shapes, so that each of its values is a program of its own.
"""

from pathlib import Path

import numpy as np
import optax

import bojax
from bojax.training.datasets import characters
from bojax.training.models import CharTransformer
from bojax.training.schedules import schedule_for

# ------------------------------------------------------------------ settings
TEXT = Path(__file__).parent / "data/pride_and_prejudice.txt"
LENGTH = 32  # letters a window: how far back it can look
TRIALS = 9  # configurations started
MAX_BUDGET = 9  # times the survivors read the text
DEPTH = 2
BEGINNING = "Mr. Bennet was so very much surprised that he"
WRITTEN = 120  # letters to go on with
WARMTH = 0.5  # of the drawing; 0 is the likeliest letter every time

SPACE = bojax.Space(
    {
        "lr": bojax.Float(3e-4, 3e-2, log=True),
        "weight_decay": bojax.Float(1e-4, 1.0, log=True),
        "dropout": bojax.Float(0.0, 0.3),
        "width": bojax.Ordinal([16, 32]),
    }
)


# ------------------------------------------------------------------ the data
X, Y, VOCABULARY = characters(TEXT, length=LENGTH)


def windows():
    """In the order of the text: validation and test part come after what is trained on."""
    return bojax.ArrayData(X, Y, split=bojax.Holdout(validation=0.15, test=0.15, time=True))


# ------------------------------------------------------------------ the model, once
def build(hp):
    return CharTransformer(len(VOCABULARY), width=hp["width"], depth=DEPTH, dropout=hp["dropout"])


def adamw(hp):
    rate = schedule_for("warmup_cosine", base=hp["lr"], horizon=hp.steps)
    return optax.adamw(rate, weight_decay=hp["weight_decay"])


TASK = bojax.Task.linen(build, optimizer=adamw, static=["width"], batch_size=32)


def sweep(**settings):
    """The sweep; `settings` are those the command line adds (store, seed, callbacks, ...)."""
    options = {"data": windows(), "metric": "loss", "max_budget": MAX_BUDGET}
    return bojax.Sweep(TASK, SPACE, **(options | settings))


# ------------------------------------------------------------------ what it is worth
def counted(data, looking_back):
    """Bits a letter costs the validation part by counts of the training part, each plus one."""
    letters = len(VOCABULARY)
    counts = np.ones((letters, letters))
    np.add.at(counts, (data.x[data.train], data.y[data.train]), 1)
    if not looking_back:
        counts[:] = counts.sum(axis=0)
    shares = counts / counts.sum(axis=1, keepdims=True)
    return -np.log2(shares[data.x[data.validation], data.y[data.validation]]).mean()


def written(predict, beginning, letters, seed=0):
    """How it goes on: each letter is drawn, and becomes part of what the next one is drawn for."""
    draw = np.random.default_rng(seed)
    text = [VOCABULARY.index(letter) for letter in beginning]
    for _ in range(letters):
        (scores,) = predict(np.array([text[-LENGTH:]], X.dtype))[:, -1]
        # The largest of the scores plus Gumbel noise is a draw from their softmax.
        text.append(int(np.argmax(scores + WARMTH * draw.gumbel(size=len(VOCABULARY)))))
    return "".join(VOCABULARY[number] for number in text)


def main():
    """Returns the bits a letter costs in each way, and the text that was written."""
    data = windows()
    result = sweep(data=data).run(trials=TRIALS)
    bits = {
        "frequencies": counted(data, looking_back=False),
        "the letter before": counted(data, looking_back=True),
        "transformer": result.best.value / np.log(2),
        "on the test part": result.test()["loss"] / np.log(2),
    }
    for name, cost in bits.items():
        print(f"{name:20}{cost:6.3f} bits a letter")
    print(f"{result.best.config}\n")
    text = written(result.predict, BEGINNING, WRITTEN)
    print(text)
    return bits, text


if __name__ == "__main__":
    bojax.configure(cpu_devices="cores")
    main()
