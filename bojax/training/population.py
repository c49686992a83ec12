"""Many members trained by one program: the pure functions that are compiled.

A population is a pytree whose leaves begin with `[chunks, C]`. Each device runs a
`fori_loop` over its chunks of C vmapped members with a traced number of active chunks, so
one program serves every population size and every rung. All randomness is keyed on
(number of the member, epoch or step), never on a slot. Folds and seeds of a trial are members.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from bojax.training.data import ArrayData
from bojax.training.hyper import Hyperparameters
from bojax.training.metrics import call
from bojax.training.task import Batch, Task

# Streams drawn from a trial's key.
_INIT, _ORDER, _STEP = 0, 1, 2
_AUGMENT = 0x617567  # folded into a step's key: its dropout stays what it is without
_EVALUATED_AT_ONCE = 256  # examples a member predicts in one batch: bounds the activations

_Count = TypeVar("_Count", int, jax.Array)


class Member(NamedTuple):
    """What training changes: parameters, other collections, optimiser state, train loss."""

    params: Any
    state: Any
    optimizer: Any
    loss: Any


class Arrays(NamedTuple):
    """Data on the device: `x[N, ...]`, `y[N, ...]`, and a row a fold of what tells the parts."""

    x: Any
    y: Any
    train: Any  # [F, n] indices, padded to the longest
    count: Any  # [F] int32, how many of them there are
    validation: Any  # [F, m] indices, padded to whole evaluation batches
    weight: Any  # [F, m] 0 where `validation` is padding
    shift: Any = None  # [F, ...] what inputs are normalised by, or None
    inverse: Any = None
    first: Any = None  # int32, the step that a block of an epoch begins with; None for whole epochs


class Who(NamedTuple):
    """Which member: its number, which its randomness is keyed on, and its fold."""

    number: Any
    fold: Any


class Span(NamedTuple):
    """What is trained in a call: steps of the largest fold, from the first of all.

    Attributes:
        start, stop: how many were done before, and are done after.
        limit: training examples used, the first ones.
    """

    start: Any
    stop: Any
    limit: Any


def arrays_of(data: ArrayData) -> Arrays:
    """The examples that are not in the test part, as the programs take them."""
    shift = inverse = None
    if len(data.folds) > 1 and data.shift is not None and data.scale is not None:
        shift, inverse = data.shift.astype(np.float32), (1.0 / data.scale).astype(np.float32)
    return arranged(data.x, data.y, data.folds, shift, inverse)


def arranged(x: Any, y: Any, folds: Sequence, shift: Any = None, inverse: Any = None) -> Arrays:
    """NumPy arrays and pairs of indices as the programs take them."""
    count = np.array([len(train) for train, _ in folds], np.int32)
    batches, size = evaluation_batches(max(len(validation) for _, validation in folds))
    train = np.zeros((len(folds), count.max()), np.int32)
    validation = np.zeros((len(folds), batches * size), np.int32)
    weight = np.zeros(validation.shape, np.float32)
    for fold, (own, judged) in enumerate(folds):
        train[fold, : len(own)] = own
        validation[fold, : len(judged)] = judged
        weight[fold, : len(judged)] = 1.0
    return Arrays(x, y, train, count, validation, weight, shift, inverse)


def examples_at(arrays: Arrays, index: Any, fold: Any) -> Any:
    """Inputs `x[index]` as the models of a fold see them."""
    x = arrays.x[index]
    if arrays.shift is None:
        return x
    return (x.astype(jnp.float32) - arrays.shift[fold]) * arrays.inverse[fold]


def evaluation_batches(count: int) -> tuple[int, int]:
    """How many batches, of how many examples, evaluate so many examples."""
    batches = -(-count // _EVALUATED_AT_ONCE)
    return batches, -(-count // batches // 8) * 8


def steps_per_epoch(examples: _Count, batch_size: int) -> _Count:
    """Optimisation steps an epoch takes; the last batch is padded."""
    return -(-examples // batch_size)


def own_part(steps: Any, most: int, count: Any, batch_size: int) -> tuple[Any, Any]:
    """Of so many steps of the largest fold: steps, and examples, of a fold of `count` examples.

    Args:
        steps: integers, any shape.
        most: examples of the largest fold.
        count: of the fold, of the shape of `steps`.
    """
    whole, rest = np.divmod(steps, steps_per_epoch(most, batch_size))
    own = steps_per_epoch(count, batch_size)
    seen = whole * count + np.minimum(rest * batch_size, count)
    return whole * own + np.minimum(rest, own), seen


def key_words(seed: int) -> np.ndarray:
    """The words of `jax.random.key(seed)`, made without JAX."""
    return np.array([(seed >> 32) & 0xFFFFFFFF, seed & 0xFFFFFFFF], np.uint32)


def _stream(run_key: Any, trial: Any, stream: int) -> Any:
    key = jax.random.wrap_key_data(run_key, impl="threefry2x32")
    return jax.random.fold_in(jax.random.fold_in(key, trial), stream)


# ------------------------------------------------------------------------ one member


def init_member(task: Task, run_key: Any, number: Any, hp: Hyperparameters, example: Any) -> Member:
    """A fresh member; `example` has the shape and dtype of one `x`."""
    example = jnp.zeros((1, *example.shape), example.dtype)
    params, state = task.init(_stream(run_key, number, _INIT), hp, example)
    optimizer = task.optimizer(hp).init(params)
    return Member(params, state, optimizer, jnp.zeros((), jnp.float32))


def train_step(task: Task, carry: tuple, batch: Batch, hp: Hyperparameters, key: Any) -> tuple:
    """One optimisation step: `(params, state, optimizer state) -> same, loss`."""
    import optax

    if task.augment is not None:
        own = jax.random.fold_in(key, _AUGMENT)
        batch = batch._replace(x=call(task.augment, batch.x, own, hp=hp))
    if task.step is not None:
        return task.step(carry, batch, hp, key)
    params, state, optimizer = carry
    gradient = jax.value_and_grad(task.loss, has_aux=True)
    (loss, state), grads = gradient(params, state, batch, hp, key)
    updates, optimizer = task.optimizer(hp).update(grads, optimizer, params)
    return (optax.apply_updates(params, updates), state, optimizer), loss


def training_keys(run_key: Any, trial: Any) -> tuple[Any, Any]:
    """Keys of the trial's epoch orders and of its steps: fold in the epoch, or the step.

    Made once outside the loops: every use of threefry inside one costs time and compilation.
    """
    return _stream(run_key, trial, _ORDER), _stream(run_key, trial, _STEP)


def epoch_order(order_key: Any, epoch: Any, examples: int, count: Any) -> Any:
    """A permutation of `count` training examples, int32 `[examples]`, the padding at its end."""
    key = jax.random.fold_in(order_key, epoch)
    bits = jax.random.bits(key, (examples,))
    there = jnp.arange(examples, dtype=jnp.int32) < count
    return jnp.argsort(jnp.where(there, bits, ~jnp.zeros((), bits.dtype))).astype(jnp.int32)


def batch_at(
    arrays: Arrays, fold: Any, order: Any, position: Any, batch_size: int, count: Any
) -> Batch:
    """Step `position` of an epoch of `count` examples; the last batch is filled with weight 0."""
    examples = arrays.train.shape[1]
    places = position * batch_size + jnp.arange(batch_size, dtype=jnp.int32)
    index = arrays.train[fold, order[places % examples]]
    weight = (places < count).astype(jnp.float32)
    return Batch(examples_at(arrays, index, fold), arrays.y[index], weight)


def train_member(
    task: Task,
    batch_size: int,
    member: Member,
    run_key: Any,
    who: Who,
    span: Span,
    hp: Hyperparameters,
    arrays: Arrays,
) -> Member:
    """Train from one step to another; the loss is the mean over the last epoch trained in.

    An epoch takes as many steps as the largest fold's; a smaller fold rests in those it lacks. Of
    data that is streamed a block stands for an epoch, in order and span.
    """
    folds, examples = arrays.train.shape
    steps = steps_per_epoch(jnp.minimum(span.limit, examples), batch_size)
    count = jnp.minimum(span.limit, arrays.count[who.fold])
    own_steps = steps_per_epoch(count, batch_size)
    order_key, step_key = training_keys(run_key, who.number)

    def epoch_body(epoch: Any, member: Member) -> Member:
        order = epoch_order(order_key, epoch, examples, count)
        before = epoch * own_steps if arrays.first is None else arrays.first
        begin, end = (jnp.clip(at - epoch * steps, 0, steps) for at in (span.start, span.stop))

        def step_body(s: Any, carry: tuple) -> tuple:
            inner, total, seen = carry
            batch = batch_at(arrays, who.fold, order, s, batch_size, count)
            step = before + s
            key = jax.random.fold_in(step_key, step)
            after, loss = train_step(task, inner, batch, hp.at(step), key)
            if folds > 1:
                after = jax.tree.map(lambda a, b: jnp.where(s < own_steps, a, b), after, inner)
                loss = jnp.where(s < own_steps, loss, 0.0)
            weight = jnp.sum(batch.weight)
            return after, total + loss.astype(jnp.float32) * weight, seen + weight

        zero = jnp.zeros((), jnp.float32)
        carry = ((member.params, member.state, member.optimizer), zero, zero)
        inner, total, seen = jax.lax.fori_loop(begin, end, step_body, carry)
        params, state, optimizer = inner
        return Member(params, state, optimizer, jnp.where(seen > 0, total / seen, member.loss))

    return jax.lax.fori_loop(span.start // steps, -(-span.stop // steps), epoch_body, member)


def evaluate_member(
    task: Task, member: Member, fold: Any, hp: Hyperparameters, arrays: Arrays
) -> dict:
    """Every metric on the fold's validation part: name -> float32 scalar."""
    batches, size = evaluation_batches(arrays.validation.shape[1])
    judged, weights = arrays.validation[fold], arrays.weight[fold]

    def sums(b: Any) -> dict:
        index = jax.lax.dynamic_slice_in_dim(judged, b * size, size)
        weight = jax.lax.dynamic_slice_in_dim(weights, b * size, size)
        x = examples_at(arrays, index, fold)
        outputs = task.predict(member.params, member.state, x, hp)
        return {
            name: call(metric.accumulate, outputs, arrays.y[index], weight, hp=hp)
            for name, metric in task.metrics
        }

    def body(b: Any, total: dict) -> dict:
        return jax.tree.map(jnp.add, total, sums(b))

    shapes = jax.eval_shape(sums, jax.ShapeDtypeStruct((), jnp.int32))
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    total = jax.lax.fori_loop(0, batches, body, zeros)
    return {
        name: jnp.asarray(metric.finalise(total[name]), jnp.float32)
        for name, metric in task.metrics
    }


# ------------------------------------------------------------------------ one device


def _over_chunks(one_chunk: Any, active: Any, result: Any, *columns: Any) -> Any:
    """`result[i] = one_chunk(result[i], columns[i]...)` for the first `active` chunks."""

    def body(i: Any, result: Any) -> Any:
        at = lambda tree: jax.tree.map(  # noqa: E731
            lambda leaf: jax.lax.dynamic_index_in_dim(leaf, i, keepdims=False), tree
        )
        chunk = one_chunk(at(result), *(at(column) for column in columns))
        return jax.tree.map(
            lambda leaf, new: jax.lax.dynamic_update_index_in_dim(leaf, new, i, 0), result, chunk
        )

    return jax.lax.fori_loop(0, active[0], body, result)


def init_chunks(task: Task, example: jax.ShapeDtypeStruct) -> Any:
    """`(active[1], trials[K, C], hp, run_key) -> Member[K, C, ...]`."""

    def initialise(active: Any, trials: Any, hp: Any, run_key: Any) -> Member:
        def chunk(_: Any, trials: Any, hp: Any) -> Member:
            return jax.vmap(lambda t, h: init_member(task, run_key, t, h, example))(trials, hp)

        first = jax.tree.map(lambda leaf: leaf[0], hp)
        shapes = jax.eval_shape(chunk, None, trials[0], first)
        empty = jax.tree.map(lambda s: jnp.zeros((trials.shape[0], *s.shape), s.dtype), shapes)
        return _over_chunks(chunk, active, empty, trials, hp)

    return initialise


def train_chunks(task: Task, batch_size: int) -> Any:
    """`(members, active[1], who, span[K], hp, run_key, arrays) -> members`."""

    def train(
        members: Member, active: Any, who: Who, span: Span, hp: Any, run_key: Any, arrays: Arrays
    ) -> Member:
        def chunk(part: Member, who: Who, span: Span, hp: Any) -> Member:
            one = lambda m, w, h: train_member(  # noqa: E731
                task, batch_size, m, run_key, w, span, h, arrays
            )
            return jax.vmap(one)(part, who, hp)

        return _over_chunks(chunk, active, members, who, span, hp)

    return train


def evaluate_chunks(task: Task) -> Any:
    """`(members, active[1], folds, hp, arrays) -> {name: float32[K, C]}`."""

    def evaluate(members: Member, active: Any, folds: Any, hp: Any, arrays: Arrays) -> dict:
        def chunk(_: dict, part: Member, folds: Any, hp: Any) -> dict:
            one = lambda m, f, h: evaluate_member(task, m, f, h, arrays)  # noqa: E731
            return jax.vmap(one)(part, folds, hp)

        shape = members.loss.shape
        empty = {name: jnp.full(shape, jnp.nan, jnp.float32) for name, _ in task.metrics}
        return _over_chunks(chunk, active, empty, members, folds, hp)

    return evaluate
