"""The reference: one configuration alone, a plain jitted step and a Python loop.

What a population computes is held to this, and the benchmark's baselines are made of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from bojax.configuration import jit
from bojax.training import population as pop
from bojax.training.data import ArrayData
from bojax.training.hyper import Hyperparameters
from bojax.training.program import INIT_OPTIONS, float32_scope
from bojax.training.streamed import GrainData
from bojax.training.task import Task


class Solo:
    """One trial, trained without a population.

    It draws from the same streams as the trial of that number and seed in a
    `LocalExecutor`, and computes the same, to rounding.

    Args:
        task, space, data: as for the executor.
        fold: which of the data's folds.
        config: the active parameters.
        trial, seed: what its randomness is keyed on.
        max_budget: epochs at the final budget.

    Attributes:
        member: its :class:`Member`, NumPy or JAX arrays.

    Example:
        >>> import bojax, jax.numpy as jnp, numpy as np, optax
        >>> from bojax.training.solo import Solo
        >>> task = bojax.Task(
        ...     init=lambda key, hp, x: (jnp.zeros(x.shape[1]), {}),
        ...     loss=lambda p, s, b, hp, key: (jnp.mean(b.weight * (b.x @ p - b.y) ** 2), s),
        ...     predict=lambda p, s, x, hp: x @ p,
        ...     optimizer=lambda hp: optax.sgd(hp["lr"]),
        ...     metrics={"rmse": bojax.training.METRICS["rmse"]}, batch_size=30)
        >>> space = bojax.Space({"lr": bojax.Float(1e-3, 1.0, log=True)})
        >>> x = np.random.default_rng(0).normal(size=(50, 2))
        >>> data = bojax.ArrayData(x, x @ [1.0, 2.0])
        >>> solo = Solo(task, space, data, {"lr": 0.1}, trial=0, seed=0, max_budget=3)
        >>> solo.train(3)
        >>> sorted(solo.evaluate())
        ['rmse', 'train_loss']
    """

    def __init__(
        self, task: Task, space: Any, data: ArrayData | GrainData, config: Mapping, *,
        trial: int = 0, seed: int = 0, max_budget: int, fold: int = 0,
    ) -> None:  # fmt: skip
        number = trial * len(data.folds) + fold
        self.task, self.number, self.fold, self.epoch = task, np.int32(number), np.int32(fold), 0
        size = task.batch_size
        self.batch_size = config[size] if isinstance(size, str) else size
        self.examples = len(data.folds[fold][0])
        self.steps = pop.steps_per_epoch(self.examples, self.batch_size)
        self.hp = Hyperparameters.of(
            config, space, static=task.static, padded=task.padded, steps=max_budget * self.steps
        )
        self._stream, self._seed = (data if isinstance(data, GrainData) else None), seed
        self.arrays = pop.arrays_of(data) if isinstance(data, ArrayData) else data.judged_arrays()
        run_key = pop.key_words(seed)
        with float32_scope():
            self._keys = _keys(run_key, self.number)
            example = data.transform(data._raw[:1], fold)[0]
            self.member = _init(task, run_key, self.number, self.hp, example)

    def train(self, epochs: int, *, steps: int = 0) -> None:
        """Train for more epochs, and at last some steps of another."""
        with float32_scope():
            for _ in range(epochs):
                self._epoch(self.steps)
                self.epoch += 1
            if steps:
                self._epoch(steps)

    def _epoch(self, steps: int) -> None:
        """The first steps of an epoch; of streamed data block by block."""
        begin = self.epoch * self.steps
        parts = [(self.epoch, begin, self.steps, self.arrays)]
        if self._stream is not None:
            pieces = self._stream.pieces(begin, begin + steps, self.batch_size)
            blocks = self._stream.blocks(pieces, self._seed)
            parts = [(p.number, p.first, p.steps, block) for p, block in blocks]
        carry, total, seen = self.member[:3], 0.0, 0.0
        for number, first, most, arrays in parts:
            order = _order(
                self._keys[0], np.int32(number), arrays.train.shape[1], arrays.count[self.fold]
            )
            for s in range(min(most, begin + steps - first)):
                carry, loss, weight = _step(
                    self.task, self.batch_size, carry, self._keys[1], np.int32(first + s),
                    np.int32(s), self.fold, order, self.hp, arrays,
                )  # fmt: skip
                total += float(loss) * float(weight)
                seen += float(weight)
        params, state, optimizer = carry
        self.member = pop.Member(params, state, optimizer, np.float32(total / seen))

    def evaluate(self) -> dict[str, float]:
        """Every metric on the validation part, and `train_loss`."""
        with float32_scope():
            metrics = _evaluate(self.task, self.member, self.fold, self.hp, self.arrays)
        return {n: float(v) for n, v in {**metrics, "train_loss": self.member.loss}.items()}


_init = jit(pop.init_member, static_argnums=0, compiler_options=INIT_OPTIONS)
_keys = jit(pop.training_keys)
_order = jit(pop.epoch_order, static_argnums=2)
_evaluate = jit(pop.evaluate_member, static_argnums=0)


@jit(static_argnums=(0, 1))
def _step(
    task: Task, batch_size: int, carry: tuple, step_key: Any, step: Any, s: Any, fold: Any,
    order: Any, hp: Hyperparameters, arrays: pop.Arrays,
) -> tuple:  # fmt: skip
    count = arrays.count[fold]
    batch = pop.batch_at(arrays, fold, order, s, batch_size, count)
    key = jax.random.fold_in(step_key, step)
    carry, loss = pop.train_step(task, carry, batch, hp.at(step), key)
    return carry, loss, batch.weight.sum()
