"""A learning rate tuned at width 64 holds at width 512: muP beside the standard parametrisation.

    python examples/mup_transfer.py           about two minutes on two cores
    python examples/mup_transfer.py --quick   widths 64 and 128, one epoch, half a minute

You will see two tables of the loss on scikit-learn's digits, a line a learning rate and a column
a width, after a few epochs of Adam: first as networks usually are, then in the maximal update
parametrisation (Yang et al., 2022, arXiv 2203.03466). Under each stands the best rate of every
width, and what the rate that is best at width 64 costs at the others. The coordinate check says
why: it is how the outputs of the layers grow with the width in four steps. At width 64, the base,
both are the same network, so the first columns agree.

The last lines compare what counts: width 512 with the rate tuned at 64, either way, and with the
rate tuned at 512 itself. muP saves that second search; that it beats it is nothing it promises,
and on this small case (1,797 images, three hidden layers, two seeds) it does not.
"""

import argparse

import numpy as np
import optax
from sklearn.datasets import load_digits

import bojax
from bojax.analysis import coordinate_picture, transfer_picture
from bojax.history import Job
from bojax.training import LocalExecutor, coordinate_check, mup
from bojax.training.models import MLP

# ------------------------------------------------------------------ settings
BASE = 64  # where the rate is tuned
WIDTHS = (64, 128, 256, 512)
RATES = tuple(float(rate) for rate in np.geomspace(1e-4, 1e-1, 9))
SEEDS = 2
EPOCHS = 4
DEPTH = 3
BATCH = 64
CHECKED_AT = 0.01  # rate of the coordinate check
METRIC = "train_loss"  # mean over the last epoch; "loss" is that of the validation part

SPACE = bojax.Space({"lr": bojax.Float(1e-5, 1.0, log=True), "width": bojax.Ordinal([16, *WIDTHS])})


# ------------------------------------------------------------------ the model, twice
def build(hp):
    return MLP(outputs=10, width=hp["width"], depth=DEPTH)


def adam(hp):
    return optax.adam(hp["lr"])


STANDARD = bojax.Task.linen(build, optimizer=adam, static=["width"], batch_size=BATCH)
TASKS = {"standard": STANDARD, "muP": mup(STANDARD, base=BASE)}


def digits():
    x, y = load_digits(return_X_y=True)
    return bojax.ArrayData(x, y, normalize=True)


# ------------------------------------------------------------------ every rate at every width
def losses(task, data, *, widths=WIDTHS, rates=RATES, seeds=SEEDS, epochs=EPOCHS):
    """Mean loss of the seeds, `[rates, widths]`: all of them members of a few populations."""
    configs = [{"lr": rate, "width": width} for rate in rates for width in widths]
    executor = LocalExecutor(task, SPACE, data, seeds=seeds, max_budget=epochs, members=len(rates))
    jobs = [Job(trial, 0, epochs) for trial in range(len(configs))]
    reports = executor.run(jobs, dict(enumerate(configs)))
    found = np.array([report.metrics.get(METRIC, np.nan) for report in reports])
    return found.reshape(len(rates), len(widths))


def best_rates(table, rates):
    """The best rate of each width; a loss that is no number is no candidate."""
    return [rates[i] for i in np.argmin(np.where(np.isfinite(table), table, np.inf), axis=0)]


def printed(name, table, *, widths, rates):
    """The table as text, the best of each width marked, and what the base's best rate costs."""
    best = best_rates(table, rates)
    lines = [f"{name}: {METRIC} by learning rate and width"]
    lines.append("".join(f"{head:>10}" for head in ("rate", *widths)))
    for rate, row in zip(rates, table, strict=True):
        marks = ("*" if rate == own else " " for own in best)
        cells = "".join(f"{loss:>9.4f}{mark}" for loss, mark in zip(row, marks, strict=True))
        lines.append(f"{rate:>10.2e}{cells}")
    lines.append(f"{'best rate':>10}" + "".join(f"{rate:>9.2e} " for rate in best))
    kept = table[rates.index(best[0])] / np.nanmin(table, axis=0)
    lines.append(f"{'kept rate':>10}" + "".join(f"{f'x {ratio:.2f}':>9} " for ratio in kept))
    return "\n".join(lines)


def summed_up(found, *, widths, rates):
    """What the rate that is best at the first width gives at the last, beside the last's own."""
    lines = [f"width {widths[-1]}, {METRIC}:"]
    for name, table in found.items():
        first, last = (rates.index(rate) for rate in np.array(best_rates(table, rates))[[0, -1]])
        for what, i in ((f"rate tuned at width {widths[0]}", first), ("its own best rate", last)):
            lines.append(f"  {name:<10}{what:<26}{rates[i]:.2e}{table[i, -1]:>9.4f}")
    return "\n".join(lines)


def main(path="mup_transfer.png", *, check=True, **settings):
    """Print the tables and write the pictures; returns `{parametrisation: losses}`."""
    chosen = {"widths": WIDTHS, "rates": RATES} | settings
    shown = {"widths": chosen["widths"], "rates": chosen["rates"]}
    data, found, checks = digits(), {}, {}
    for name, task in TASKS.items():
        found[name] = losses(task, data, **chosen)
        print(printed(name, found[name], **shown), flush=True)
        if check:
            checks[name] = coordinate_check(
                task, SPACE, data, {"lr": CHECKED_AT, "width": BASE}, widths=chosen["widths"]
            )
            print(f"\nmean size of outputs after 4 steps at rate {CHECKED_AT}:")
            print(checks[name].table(), flush=True)
        print()
    print(summed_up(found, **shown))
    transfer_picture(found, **shown, metric=METRIC, save=path)
    if check:
        coordinate_picture(checks, save=str(path).removesuffix(".png") + "_outputs.png")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="widths 64 and 128, one epoch")
    quick = parser.parse_args().quick
    bojax.configure(cpu_devices="cores")
    main(**({"widths": (64, 128), "epochs": 1, "check": False} if quick else {}))
