"""The coordinate check: do the outputs of a model's layers grow with its width?

After G. Yang et al., "Tensor Programs V: Tuning Large Neural Networks via Zero-Shot
Hyperparameter Transfer", 2022, arXiv 2203.03466, appendix D.1: models of several widths are
trained for a few steps at one learning rate, and the mean absolute outputs of their layers
compared. In the maximal update parametrisation none grows with the width; in the standard one
some do, which is why its best learning rate falls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bojax.configuration import jit
from bojax.errors import TaskError
from bojax.training import population as pop
from bojax.training.data import ArrayData
from bojax.training.hyper import Hyperparameters
from bojax.training.program import INIT_OPTIONS, float32_scope
from bojax.training.task import Batch, Task

WHOLE = "model"  # the model's own output, among its layers
_BATCH = 64  # examples that outputs are measured on


@dataclass(frozen=True)
class Coordinates:
    """Mean absolute outputs of layers, by width and step.

    Attributes:
        widths: ascending.
        size: layer -> `[widths, steps + 1]`, mean absolute outputs, before the first step and
            after each; "model" is the output of the whole.
        change: layer -> the same of the outputs less those before the first step.

    Example:
        >>> import numpy as np
        >>> from bojax.training import Coordinates
        >>> size = np.array([[0.5, 1.0], [0.5, 2.0]])
        >>> check = Coordinates((64, 128), {"model": size}, {"model": size - 0.5})
        >>> check.slopes(), check.slopes(step=0)
        ({'model': 1.0}, {'model': 0.0})
    """

    widths: tuple[int, ...]
    size: Mapping[str, np.ndarray]
    change: Mapping[str, np.ndarray]

    def slopes(self, step: int = -1) -> dict[str, float]:
        """Layer -> the power of the width by which its outputs grow, at a step.

        About 0, or below it, where the width does not matter; a slope of log size over log width
        by least squares, NaN where outputs are 0 or not finite.
        """
        return {name: _slope(self.widths, size[:, step]) for name, size in self.size.items()}

    def change_slopes(self, step: int = -1) -> dict[str, float]:
        """As :meth:`slopes`, of the change since before the first step."""
        return {name: _slope(self.widths, size[:, step]) for name, size in self.change.items()}

    def table(self, step: int = -1) -> str:
        """A line a layer: its mean absolute output at each width, and the slopes."""
        names = max(len("layer"), *map(len, self.size))
        heads = "".join(f"{width:>10}" for width in self.widths)
        lines = [f"{'layer':<{names}}{heads}{'slope':>8}{'of change':>11}"]
        slopes, changes = self.slopes(step), self.change_slopes(step)
        for name, size in self.size.items():
            cells = "".join(f"{value:>10.3g}" for value in size[:, step])
            lines.append(f"{name:<{names}}{cells}{slopes[name]:>8.2f}{changes[name]:>11.2f}")
        return "\n".join(lines)


def coordinate_check(
    task: Task,
    space: Any,
    data: ArrayData,
    config: Mapping[str, Any],
    *,
    width: str = "width",
    widths: Sequence[int] = (64, 128, 256, 512),
    steps: int = 4,
    seeds: int = 4,
    seed: int = 0,
) -> Coordinates:
    """Mean absolute outputs of each layer, before and after a few steps, at several widths.

    Two programs a width. Outputs are measured in evaluation mode on the first examples of the
    first fold's training part, which the steps are taken on in order, batch by batch. Layers are
    the submodules of a Flax Linen module; of any other task the output alone is looked at.

    Args:
        task: a :class:`Task`, of :func:`mup` or not.
        space, data: as for the executor.
        config: the active parameters; its width does not matter. Take a learning rate that is
            good at the base, or above: what grows shows the sooner.
        width: the parameter, static or padded in the task.
        widths: two or more, of the space.
        steps: of optimisation, at least 1.
        seeds: initial weights averaged over, in root mean square.
        seed: of the first.

    Returns:
        :class:`Coordinates`; `bojax.analysis.coordinate_picture` draws it.

    Raises:
        TaskError: a width that is neither static nor padded, fewer than two widths, no step.
        ConfigError: a configuration that is not of the space.

    Example:
        >>> import bojax, numpy as np, optax
        >>> from bojax.training import coordinate_check, mup
        >>> from bojax.training.models import MLP
        >>> task = bojax.Task.linen(
        ...     lambda hp: MLP(2, hp["width"]), optimizer=lambda hp: optax.adam(0.01),
        ...     static=["width"], batch_size=16)
        >>> space = bojax.Space({"width": bojax.Ordinal([8, 16])})
        >>> x = np.random.default_rng(0).normal(size=(40, 4))
        >>> data = bojax.ArrayData(x, (x[:, 0] > 0).astype(int))
        >>> check = coordinate_check(
        ...     mup(task, base=8), space, data, {"width": 8}, widths=(8, 16), steps=1, seeds=1)
        >>> sorted(check.size)
        ['hidden_0', 'hidden_1', 'model', 'output']
    """
    if width not in (*task.static, *dict(task.padded)):
        raise TaskError(
            f"coordinate_check: {width!r} is neither static nor padded in the task; declare it "
            f"padded=[{width!r}] or static=[{width!r}]."
        )
    widths = tuple(sorted(set(widths)))
    if len(widths) < 2:
        raise TaskError(f"coordinate_check: expected two widths or more, got {list(widths)}.")
    for name, count in (("steps", steps), ("seeds", seeds)):
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise TaskError(f"coordinate_check: {name} must be a positive integer, got {count!r}.")
    rows = []
    for wide in widths:
        own = {**config, width: wide}
        space.encode(own)  # raises, naming the parameter
        rows.append(_row(task, space, data, own, width, steps, seeds, seed))
    by_layer = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    sizes, changes = (
        {name: table[..., part] for name, table in by_layer.items()} for part in (0, 1)
    )
    return Coordinates(widths, sizes, changes)


def _row(
    task: Task, space: Any, data: ArrayData, config: Mapping, width: str, steps: int, seeds: int,
    seed: int,
) -> dict[str, np.ndarray]:  # fmt: skip
    """One width: layer -> `[steps + 1, 2]`, sizes and changes."""
    # Padded no wider than it is, so that no mean is taken over units that are not there.
    ceilings = dict(task.padded)
    padded = tuple((n, (config[n],) if n == width else c) for n, c in ceilings.items())
    hp = Hyperparameters.of(config, space, static=task.static, padded=padded, steps=steps)
    size = config[task.batch_size] if isinstance(task.batch_size, str) else task.batch_size
    train = np.asarray(data.folds[0][0])
    first = data.transform(data._raw[train[:_BATCH]], 0)
    index = train[np.arange(steps * size).reshape(steps, size) % len(train)]
    with float32_scope():
        batches = Batch(
            data.transform(data._raw[index.reshape(-1)], 0).reshape(*index.shape, *first.shape[1:]),
            data.y[index],
            np.ones(index.shape, np.float32),
        )
        numbers = np.arange(seeds, dtype=np.int32)
        key = pop.key_words(seed)
        members = _members(task, numbers, key, hp, first[0])
        rows = _measured(task, members, numbers, key, hp, batches, first)
    return jax.tree.map(np.asarray, rows)


@jit(static_argnums=0, compiler_options=INIT_OPTIONS)
def _members(task: Task, numbers: Any, run_key: Any, hp: Hyperparameters, x: Any) -> pop.Member:
    return jax.vmap(lambda number: pop.init_member(task, run_key, number, hp, x))(numbers)


@jit(static_argnums=0)
def _measured(
    task: Task, members: pop.Member, numbers: Any, run_key: Any, hp: Hyperparameters,
    batches: Batch, x: Any,
) -> dict:  # fmt: skip
    def one(member: pop.Member, number: Any) -> dict:
        before = _outputs(task, member.params, member.state, x, hp)
        _, step_key = pop.training_keys(run_key, number)

        def sizes(params: Any, state: Any) -> dict:
            now = _outputs(task, params, state, x, hp)
            gone = jax.tree.map(jnp.subtract, now, before)
            return {name: jnp.stack([_mean(now[name]), _mean(gone[name])]) for name in now}

        def body(carry: tuple, inputs: tuple) -> tuple:
            step, batch = inputs
            key = jax.random.fold_in(step_key, step)
            after, _ = pop.train_step(task, carry, batch, hp.at(step), key)
            return after, sizes(*carry[:2])

        steps = jnp.arange(batches.weight.shape[0], dtype=jnp.int32)
        carry: tuple = (member.params, member.state, member.optimizer)
        sized: dict
        carry, sized = jax.lax.scan(body, carry, (steps, batches))
        last = sizes(*carry[:2])
        return jax.tree.map(lambda a, b: jnp.concatenate([a, b[None]]), sized, last)

    several = jax.vmap(one)(members, numbers)
    return jax.tree.map(lambda a: jnp.sqrt(jnp.mean(jnp.square(a), axis=0)), several)


def _outputs(task: Task, params: Any, state: Any, x: Any, hp: Hyperparameters) -> dict[str, list]:
    """Layer -> its outputs, and the model's."""
    found = {}
    if hasattr(task.predict, "layers"):
        found = task.predict.layers(params, state, x, hp)
    return {**found, WHOLE: jax.tree.leaves(task.predict(params, state, x, hp))}


def _mean(arrays: list) -> Any:
    """Mean absolute value of all their numbers."""
    total = sum(jnp.sum(jnp.abs(a.astype(jnp.float32))) for a in arrays)
    return total / float(sum(a.size for a in arrays))


def _slope(widths: Sequence[int], sizes: np.ndarray) -> float:
    if not (np.isfinite(sizes).all() and (sizes > 0).all()):
        return float("nan")
    return round(float(np.polyfit(np.log(widths), np.log(sizes), 1)[0]), 12)
