"""Arithmetic of a training rung beside a large product, and how busy the devices are."""

from __future__ import annotations

import time

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import bojax
from bojax.history import Job
from bojax.training import LocalExecutor
from bojax.training.models import MLP

from . import LR, adam, digits, rates, row

CASES = ((64, 32), (64, 128), (256, 32), (256, 128))  # width, batch
TRIES = 5


def build(hp):
    return MLP(10, hp["width"], 2)


def products(n):
    """`a @ b`, n square, float32: on one device with all threads, and its rows over all devices."""
    a = np.random.default_rng(0).normal(size=(n, n)).astype(np.float32)
    mesh = Mesh(np.array(jax.devices()), ("rows",))
    split, whole = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in (["rows"], []))
    apart = jax.device_put(a, split), jax.device_put(a, whole)
    together = (jax.device_put(a, jax.devices()[0]),) * 2
    return {
        "product, one device": (jax.jit(jnp.matmul), together),
        "product, all devices": (jax.jit(jnp.matmul, out_shardings=split), apart),
    }


def best(function, arguments):
    """Least seconds of a few calls."""
    seconds = []
    for _ in range(TRIES):
        began = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def measure(rounds, tiny, folder):
    """Operations a second of the train program, and its floor: a float32 product, 2048 square.

    An MLP 64-W-W-10 has M = 64 W + W^2 + 10 W weights in its products; forward and back they
    take 6 M operations an example (2 forward, 2 for the weights' gradient, 2 for the inputs').
    The first layer's inputs need no gradient, so 6 M - 2 (64 W) are computed: both are noted.
    Examples that pad a batch are not counted. 128 members, 5 epochs, programs compiled before.
    Busy: seconds in programs of those of `executor.run`.
    """
    members, epochs, n = (2, 1, 256) if tiny else (128, 5, 2048)
    space = bojax.Space({**LR, "width": bojax.Ordinal([64, 256])})
    data, runs = digits(), {}
    for width, batch in CASES[:1] if tiny else CASES:
        task = bojax.Task.linen(build, optimizer=adam, static=["width"], batch_size=batch)
        executor = LocalExecutor(task, space, data, max_budget=epochs)
        executor.run([Job(0, 0, epochs)], {0: {"lr": 1e-3, "width": width}})  # compiles
        runs[width, batch] = executor
    rows, rungs = [], products(n)
    for function, arguments in rungs.values():
        best(function, arguments)
    for round_ in range(rounds):
        for what, (function, arguments) in rungs.items():
            rows.append(row("rate", what, round_, value=2 * n**3, unit="operations",
                            seconds=best(function, arguments)))  # fmt: skip
        for (width, batch), executor in runs.items():
            executor.keep([])
            trials = range(members)
            configs = {i: {**c, "width": width} for i, c in enumerate(rates(members))}
            before = {id(p): p.run_seconds for p in executor.programs}
            began = time.perf_counter()
            executor.run([Job(trial, 0, epochs) for trial in trials], configs)
            wall = time.perf_counter() - began
            spent = {p.kind: p.run_seconds - before[id(p)] for p in executor.programs}
            seen = members * epochs * len(data.train)
            weights = 64 * width + width**2 + 10 * width
            case = f"width {width}, batch {batch}"
            for what, value, unit, seconds in (
                ("6 M operations", 6 * weights * seen, "operations", spent["train"]),
                ("computed operations", (6 * weights - 128 * width) * seen, "operations",
                 spent["train"]),
                ("in programs", sum(spent.values()), "s", wall),
            ):  # fmt: skip
                own = {"seconds": seconds, "compile_seconds": executor.compile_seconds}
                rows.append(row("rate", what, round_, case=case, value=value, unit=unit, **own))
    return rows
