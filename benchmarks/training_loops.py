"""Four ways to train many small models: trials per minute on scikit-learn's digits.

    python benchmarks/training_loops.py --batch 32 --width 64 --trials 64

An MLP 64-W-W-10, Adam, one learning rate a trial, everything else equal:

a  a new `jit` a trial (the learning rate is a constant of the step), Python loop, host batches
b  one jitted step, learning rate traced, Python loop, host batches
c  one jitted epoch (`lax.scan` over steps), data on the device, Python loop over epochs
d  bojax: a population on one CPU device a core

All four run in one process, in turn, `--rounds` times. a, b and c are timed on a few trials
(`--timed`) and extrapolated; d runs in full. `excl` leaves out what was compiled (for `a`
that is a program a trial), `incl` has it, spread over all trials. a, b and c drop the last,
incomplete batch of an epoch, d trains on it (34 steps an epoch against 33). One row a method and a
round is appended to benchmarks/rows/training_loops.csv. A minute or two at the defaults.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import time
from pathlib import Path

import bojax

bojax.configure(cpu_devices="cores")  # before JAX starts

import flax  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402
from sklearn.datasets import load_digits  # noqa: E402

from bojax.history import Job  # noqa: E402
from bojax.training import LocalExecutor, clear_programs  # noqa: E402
from bojax.training.models import MLP  # noqa: E402

ROWS = Path(__file__).parent / "rows" / "training_loops.csv"


def loss_of(model, params, x, y):
    logits = model.apply({"params": params}, x)
    return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()


def step(model, lr, carry, x, y):
    params, state = carry
    loss, grads = jax.value_and_grad(lambda p: loss_of(model, p, x, y))(params)
    updates, state = optax.adam(lr).update(grads, state, params)
    return (optax.apply_updates(params, updates), state), loss


class Timer:
    """Seconds spent compiling, told apart from the rest."""

    def __init__(self):
        self.compiling = 0.0

    def compile(self, function, *arguments):
        began = time.perf_counter()
        compiled = jax.jit(function).lower(*arguments).compile()
        self.compiling += time.perf_counter() - began
        return compiled


def python_loops(method, data, rates, settings):
    """a, b and c: seconds compiling, seconds running, mean validation accuracy."""
    model, timer = MLP(10, settings.width, 2), Timer()
    x, y = data.x[data.train], data.y[data.train]
    held_x, held_y = data.x[data.validation], data.y[data.validation]
    device = jax.devices()[0]
    on_device = jax.device_put((x, y), device)
    size, steps = settings.batch, len(x) // settings.batch
    began = time.perf_counter()

    def start(key):
        params = model.init(key, jnp.zeros((1, 64)))["params"]
        return params, optax.adam(1e-3).init(params)

    def epoch(lr, carry, key, x, y):
        order = jax.random.permutation(key, len(x))[: steps * size].reshape(steps, size)
        return jax.lax.scan(lambda c, i: step(model, lr, c, x[i], y[i]), carry, order)

    key = jax.random.key(0)
    init = timer.compile(start, key)
    score = timer.compile(
        lambda p, x, y: (model.apply({"params": p}, x).argmax(-1) == y).mean(),
        init(key)[0], held_x, held_y,
    )  # fmt: skip
    carry, lr = init(key), jnp.float32(1e-3)
    if method == "b":
        stepped = timer.compile(lambda lr, c, x, y: step(model, lr, c, x, y), lr, carry,
                                x[:size], y[:size])  # fmt: skip
    elif method == "c":
        whole = timer.compile(epoch, lr, carry, key, *on_device)
    scores = []
    for trial, rate in enumerate(rates):
        keys = jax.random.split(jax.random.key(trial), settings.epochs + 1)
        generator, carry = np.random.default_rng(trial), init(keys[0])
        if method == "a":
            own = timer.compile(lambda c, x, y, r=float(rate): step(model, r, c, x, y), carry,
                                x[:size], y[:size])  # fmt: skip
        for e in range(settings.epochs):
            if method == "c":
                carry, _ = whole(jnp.float32(rate), carry, keys[e + 1], *on_device)
                continue
            order = generator.permutation(len(x))[: steps * size].reshape(steps, size)
            for batch in order:
                if method == "a":
                    carry, _ = own(carry, x[batch], y[batch])
                else:
                    carry, _ = stepped(np.float32(rate), carry, x[batch], y[batch])
        scores.append(float(score(carry[0], held_x, held_y)))
    seconds = time.perf_counter() - began
    return timer.compiling, seconds - timer.compiling, float(np.mean(scores))


def population(data, rates, settings):
    """d: the same numbers from bojax, all trials."""
    clear_programs()
    task = bojax.Task.linen(
        lambda hp: MLP(10, settings.width, 2),
        optimizer=lambda hp: optax.adam(hp["lr"]),
        batch_size=settings.batch,
    )
    space = bojax.Space({"lr": bojax.Float(1e-4, 1e-1, log=True)})
    began = time.perf_counter()
    executor = LocalExecutor(
        task, space, data, max_budget=settings.epochs, chunk=settings.chunk, seed=0
    )
    jobs = [Job(trial, 0, settings.epochs) for trial in range(len(rates))]
    reports = executor.run(jobs, {i: {"lr": float(rate)} for i, rate in enumerate(rates)})
    seconds = time.perf_counter() - began
    accuracy = np.mean([report.metrics["accuracy"] for report in reports])
    return executor.compile_seconds, seconds - executor.compile_seconds, float(accuracy)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--timed", type=int, nargs=3, default=(3, 8, 8), help="trials of a, b, c")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--chunk", type=int, default=None, help="members a device trains at once")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=Path, default=ROWS)
    settings = parser.parse_args()
    x, y = load_digits(return_X_y=True)
    data = bojax.ArrayData(x, y, normalize=True)
    rates = 10 ** np.random.default_rng(0).uniform(-3.5, -2, settings.trials)
    timed = dict(zip("abc", settings.timed, strict=True), d=settings.trials)
    jax.random.split(jax.random.key(0), settings.epochs + 1)  # its own program is nobody's cost
    rows = []
    for round_ in range(settings.rounds):
        for method, count in timed.items():
            load = os.getloadavg()[0]
            some = rates[: min(count, settings.trials)]
            if method == "d":
                compiling, running, accuracy = population(data, some, settings)
            else:
                compiling, running, accuracy = python_loops(method, data, some, settings)
            measured = (len(some), compiling, running, accuracy, load)
            rows.append(row(method, round_, *measured, settings))
    settings.rows.parent.mkdir(parents=True, exist_ok=True)
    new = not settings.rows.exists()
    with settings.rows.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        if new:
            writer.writeheader()
        writer.writerows(rows)
    report(rows, settings)


def row(method, round_, timed, compiling, running, accuracy, load, settings):
    """One line of the table; what was timed on few trials is extrapolated to all."""
    trials = settings.trials
    per_trial = running / timed
    # a compiles for every trial, the others once.
    compile_all = compiling * trials / timed if method == "a" else compiling
    return {
        "method": method, "round": round_, "batch": settings.batch, "width": settings.width,
        "epochs": settings.epochs, "trials": trials, "trials_timed": timed,
        "compile_seconds": round(compiling, 4), "run_seconds": round(running, 4),
        "per_minute_excl": round(60 / per_trial, 1),
        "per_minute_incl": round(60 * trials / (per_trial * trials + compile_all), 1),
        "accuracy": round(accuracy, 4), "load": round(load, 2), "cores": os.cpu_count(),
        "devices": len(jax.devices()), "platform": jax.default_backend(),
        "jax": jax.__version__, "flax": flax.__version__, "optax": optax.__version__,
        "python": platform.python_version(), "bojax": bojax.__version__,
        "when": time.strftime("%Y-%m-%dT%H:%M:%S"),
    }  # fmt: skip


def report(rows, settings):
    """Medians over the rounds, and how many times d is faster."""
    median = {
        (method, which): float(
            np.median([r[f"per_minute_{which}"] for r in rows if r["method"] == method])
        )
        for method in "abcd"
        for which in ("excl", "incl")
    }
    print(f"batch {settings.batch}, width {settings.width}, {settings.trials} trials; medians")
    print("method  trials timed  per minute excl / incl compile  d is faster by  accuracy")
    for method in "abcd":
        mine = [r for r in rows if r["method"] == method]
        excl, incl = median[method, "excl"], median[method, "incl"]
        print(
            f"{method:6}  {mine[0]['trials_timed']:12}  {excl:12.0f} / {incl:<17.0f}  "
            f"{median['d', 'excl'] / excl:5.1f} / {median['d', 'incl'] / incl:<6.1f}  "
            f"{np.mean([r['accuracy'] for r in mine]):.3f}"
        )


if __name__ == "__main__":
    main()
