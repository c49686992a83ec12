"""What the parts of harness.py share: rows, rounds, a population, and a loop of one's own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import record

import bojax
from bojax.history import Job
from bojax.training import LocalExecutor, clear_programs

LR = {"lr": bojax.Float(1e-4, 1e-1, log=True)}


def row(
    part: str, what: str, round_: int, *, case: Any = "", value: float, unit: str,
    seconds: float = 0.0, compile_seconds: float = 0.0,
) -> dict[str, Any]:  # fmt: skip
    """One line of harness.csv; `harness.py` puts the run in front and the machine behind."""
    return {
        "part": part, "case": case, "what": what, "round": round_, "value": value, "unit": unit,
        "seconds": round(seconds, 6), "compile_seconds": round(compile_seconds, 4),
        **record.machine("flax", "optax"),
    }  # fmt: skip


def in_turn(part: str, rounds: int, sides: Mapping[str, Callable[[], dict]]) -> list[dict]:
    """What each side measured, one after the other, so often."""
    return [
        row(part, what, round_, **measured())
        for round_ in range(rounds)
        for what, measured in sides.items()
    ]


def digits(split: Any = None) -> bojax.ArrayData:
    """scikit-learn's digits, 64 features, 10 classes."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return bojax.ArrayData(x, y, normalize=True, split=split)


def rates(count: int) -> list[dict[str, float]]:
    """Configurations that differ in the learning rate alone."""
    drawn = 10 ** np.random.default_rng(0).uniform(-3.5, -2, count)
    return [{"lr": float(rate)} for rate in drawn]


def adam(hp: Any) -> Any:
    return optax.adam(hp["lr"])


def population(task: Any, data: Any, configs: list, epochs: int) -> dict[str, Any]:
    """All configurations trained by a new executor, its programs compiled anew."""
    clear_programs()
    began = time.perf_counter()
    executor = LocalExecutor(task, bojax.Space(LR), data, max_budget=epochs)
    jobs = [Job(trial, 0, epochs) for trial in range(len(configs))]
    executor.run(jobs, dict(enumerate(configs)))
    seconds, compiling = time.perf_counter() - began, executor.compile_seconds
    return {"value": len(configs), "unit": "trials", "seconds": seconds - compiling,
            "compile_seconds": compiling}  # fmt: skip


class Loop:
    """Training as one writes it by hand: a jitted step, a Python loop, host batches.

    Args:
        model: a Linen module that takes `train`.
        optimizer: `learning rate -> optax.GradientTransformation`.
        data: a `bojax.ArrayData`.
        batch: examples a step; an incomplete last batch is dropped.
        rate: a constant of the step, or None to have it traced, so that trials share the step.
    """

    def __init__(
        self, model: Any, optimizer: Callable, data: Any, batch: int, rate: float | None = None
    ) -> None:
        self.compiling: dict[str, float] = {}
        self.batch, self.x, self.y = batch, data.x[data.train], data.y[data.train]
        self.judged = data.x[data.validation], data.y[data.validation]

        def start(key: Any) -> tuple:
            state = dict(model.init(key, jnp.zeros((1, *self.x.shape[1:]), self.x.dtype)))
            params = state.pop("params")
            return params, state, optimizer(1e-3).init(params)

        def step(lr: Any, carry: tuple, x: Any, y: Any) -> tuple:
            params, state, inner = carry

            def loss(params: Any) -> tuple:
                outputs, after = model.apply(
                    {"params": params, **state}, x, train=True, mutable=list(state)
                )
                each = optax.softmax_cross_entropy_with_integer_labels(outputs, y)
                return each.mean(), dict(after)

            (_, state_), grads = jax.value_and_grad(loss, has_aux=True)(params)
            tx = optimizer(lr if rate is None else rate)
            updates, inner = tx.update(grads, inner, params)
            return optax.apply_updates(params, updates), state_, inner

        def score(carry: tuple, x: Any, y: Any) -> Any:
            outputs = model.apply({"params": carry[0], **carry[1]}, x, train=False)
            return (outputs.argmax(-1) == y).mean()

        key = jax.random.key(0)
        self.start = self._compiled("start", start, key)
        carry = self.start(key)
        self.step = self._compiled(
            "step", step, np.float32(1e-3), carry, self.x[:batch], self.y[:batch]
        )
        self.score = self._compiled("score", score, carry, *self.judged)

    def _compiled(self, name: str, function: Callable, *arguments: Any) -> Any:
        began = time.perf_counter()
        compiled = jax.jit(function).lower(*arguments).compile()
        self.compiling[name] = time.perf_counter() - began
        return compiled

    def train(self, rate: float, epochs: int, seed: int) -> float:
        """Seconds of one trial, from its first weights to its score."""
        key, generator = jax.random.key(seed), np.random.default_rng(seed)
        began = time.perf_counter()
        carry, steps = self.start(key), len(self.x) // self.batch
        for _ in range(epochs):
            order = generator.permutation(len(self.x))[: steps * self.batch]
            for index in order.reshape(steps, self.batch):
                carry = self.step(np.float32(rate), carry, self.x[index], self.y[index])
        float(self.score(carry, *self.judged))
        return time.perf_counter() - began


def resident() -> int:
    """Bytes of this process in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
