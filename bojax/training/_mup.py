"""muP: rates and initial weights that let a learning rate tuned narrow hold wide.

G. Yang, E. J. Hu, I. Babuschkin, S. Sidor, X. Liu, D. Farhi, N. Ryder, J. Pachocki, W. Chen and
J. Gao, "Tensor Programs V: Tuning Large Neural Networks via Zero-Shot Hyperparameter Transfer",
2022, arXiv 2203.03466. Under the standard parametrisation one step of Adam changes the outputs of
a layer the more the wider the layer below it is, so the best rate falls with the width. The
maximal update parametrisation scales each parameter's initial values and updates by powers of
r = width / base such that every layer's outputs change equally much at any width. This is the
form of the paper's Table 3, which leaves the forward pass as it is.

What a parameter is to the width, its shapes say: the task's `init` is traced abstractly at the
base width and at twice of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bojax.errors import TaskError
from bojax.training.hyper import Hyperparameters, Structure
from bojax.training.population import train_step
from bojax.training.task import Batch, Task


class Exponents(NamedTuple):
    """Powers of r that multiply initial values, and updates under either rule."""

    init: float
    adam: float
    sgd: float


# Table 3 of the paper, as powers of r relative to the standard parametrisation, whose weights
# have variance 1 / fan-in. There an output matrix has variance 1 / fan-in**2, so a standard
# deviation r**-0.5 of the usual. "input" is everything of which only the fan-out grows: biases
# and the scales of normalisations too.
EXPONENTS = {
    "hidden": Exponents(init=0.0, adam=-1.0, sgd=0.0),
    "output": Exponents(init=-0.5, adam=-1.0, sgd=-1.0),
    "input": Exponents(init=0.0, adam=0.0, sgd=1.0),
    "fixed": Exponents(init=0.0, adam=0.0, sgd=0.0),
}
RULES = ("adam", "sgd")
VECTORS = ("bias", "scale")  # Flax's names of leaves that multiply no inputs, whatever their shape


class Multiplier(NamedTuple):
    """What muP does to one parameter.

    Attributes:
        role: "hidden", "output", "input" or "fixed".
        init: its initial values are multiplied by this.
        rate: its updates are.

    Example:
        >>> from bojax.training import Multiplier
        >>> Multiplier("hidden", init=1.0, rate=0.125).rate
        0.125
    """

    role: str
    init: Any
    rate: Any


@dataclass(frozen=True)
class Parametrisation:
    """What of a width makes the multipliers."""

    init: Callable
    width: str
    base: int
    rule: str

    def roles(self, hp: Hyperparameters, x: Any) -> Any:
        """Each parameter's role, a tree like the parameters; x a batch, of which no value matters.

        Raises:
            TaskError: parameters that do not fit muP; the first one is named.
        """
        value = hp[self.width]
        if not isinstance(value, jax.Array | np.generic) and (
            isinstance(value, bool) or not isinstance(value, int) or value < 1
        ):
            raise TaskError(
                f"mup: {self.width}={value!r}; a width is a positive integer, so that it has a "
                f"ratio to base={self.base}."
            )
        return _roles(self.width, self.base, *(self._shapes(hp, x, k * self.base) for k in (1, 2)))

    def multipliers(self, hp: Hyperparameters, x: Any) -> Any:
        """A tree like the parameters of :class:`Multiplier`."""
        value = hp[self.width]

        def one(role: str) -> Multiplier:
            powers = EXPONENTS[role]
            rate = powers.adam if self.rule == "adam" else powers.sgd
            return Multiplier(role, *(_power(value, self.base, e) for e in (powers.init, rate)))

        return jax.tree.map(one, self.roles(hp, x))

    def _shapes(self, hp: Hyperparameters, x: Any, width: int) -> Any:
        """Abstract parameters of a model as wide as that."""
        probe, structure = _at_width(hp, self.width, width), hp.structure
        x = jax.ShapeDtypeStruct((1, *x.shape[1:]), x.dtype)
        shapes = jax.eval_shape(lambda x: self.init(jax.random.key(0), probe, x)[0], x)
        # Shapes depend on what was read: programs that share a compilation must agree on it.
        for kind, name in probe.structure.reads or {}:
            structure.lookup(kind, name)
        return shapes


@dataclass(frozen=True)
class MupInit:
    """A task's `init`, its output matrices scaled."""

    scales: Parametrisation

    def __call__(self, key: Any, hp: Any, x: Any) -> tuple[Any, Any]:
        params, state = self.scales.init(key, hp, x)
        found = self.scales.multipliers(hp, x)
        return jax.tree.map(lambda leaf, m: _times(leaf, m.init), params, found), state


@dataclass(frozen=True)
class MupOptimizer:
    """A task's `optimizer`, whose updates, rate and all, are multiplied.

    The state is the optimizer's own.
    """

    inner: Callable
    multipliers: Any

    def __call__(self, hp: Any) -> Any:
        import optax

        inner = optax.with_extra_args_support(self.inner(hp))

        def update(grads: Any, state: Any, params: Any = None, **extra: Any) -> tuple:
            updates, state = inner.update(grads, state, params, **extra)
            found = self.multipliers
            return jax.tree.map(lambda leaf, m: _times(leaf, m.rate), updates, found), state

        return optax.GradientTransformationExtraArgs(inner.init, update)


@dataclass(frozen=True)
class MupStep:
    """One step of `task` with multiplied updates.

    A `step`, since an optimizer alone does not see an example, without which nothing says what
    shapes the parameters have at the base width.
    """

    task: Task
    scales: Parametrisation

    def __call__(self, carry: tuple, batch: Batch, hp: Any, key: Any) -> tuple:
        scaled = MupOptimizer(self.task.optimizer, self.scales.multipliers(hp, batch.x))
        # The batch is augmented before it comes here.
        return train_step(replace(self.task, optimizer=scaled, augment=None), carry, batch, hp, key)


def mup(task: Task, width: str = "width", base: int = 64, rule: str = "adam") -> Task:
    """The task in the maximal update parametrisation: rates tuned at `base` hold at any width.

    With r = width / base, Table 3 of Yang et al. (2022, arXiv 2203.03466) says:

    ================  =============  ===========  ===========  ==========
    parameter         what grows     initial std  Adam's rate  SGD's rate
    ================  =============  ===========  ===========  ==========
    hidden matrices   fan-in, -out   x 1          x 1/r        x 1
    output matrices   fan-in         x r**-0.5    x 1/r        x 1/r
    inputs, vectors   fan-out        x 1          x 1          x r
    all others        nothing        x 1          x 1          x 1
    ================  =============  ===========  ===========  ==========

    At the base width the task is the old one: bit for bit where the width is static, to rounding
    where it is padded (there a factor of 1 stands between a product and a sum that a compiler had
    fused). What grows is found from shapes; :func:`mup_multipliers` shows it. Where one axis grows,
    the last one is the fan-out and any other the fan-in; leaves called "bias" or "scale" are
    vectors.

    Three things are the model's own business: initial weights of variance 1 / fan-in (Flax's
    default), attention logits divided by the head's size instead of its root where heads get
    wider, and no weights shared between input and output.

    Args:
        task: a :class:`Task` without a `step` of its own.
        width: the parameter that the sizes of its layers are proportional to, static or padded.
        base: where the learning rate is, or was, tuned, at least 1. It need not be in the space.
        rule: "adam" for updates whose size does not depend on the gradient's (adam, adamw,
            rmsprop, lion), "sgd" for those proportional to it, with momentum or without.
            Updates are multiplied after the task's optimizer, so whatever is in them scales along:
            the weight decay inside `optax.adamw` and a schedule do, a clipped norm of gradients
            comes before. To decay hidden matrices equally fast at any width under "adam", multiply
            the weight decay by r.

    Returns:
        A task equal to any other made of the same arguments; its states fit the old one's.

    Raises:
        TaskError: a width that is neither static nor padded, a base or a rule that is none, or a
            step of its own; once the task is traced: no parameter grows, or one does in a way the
            table does not know.

    Example:
        >>> import bojax, optax
        >>> from bojax.training import mup
        >>> from bojax.training.models import MLP
        >>> def build(hp):
        ...     return MLP(outputs=10, width=hp["width"], max_width=hp.ceiling["width"])
        >>> def optimizer(hp):
        ...     return optax.adam(hp["lr"])
        >>> task = bojax.Task.linen(build, optimizer=optimizer, padded=["width"])
        >>> mup(task) == mup(task), mup(task) == mup(task, base=32)
        (True, False)
    """
    if not isinstance(task, Task):
        raise TaskError(f"mup: expected a bojax.Task, got {type(task).__name__}.")
    if width not in (*task.static, *dict(task.padded)):
        raise TaskError(
            f"mup: {width!r} is neither static nor padded in the task, so nothing says what grows "
            f"with it; declare it padded=[{width!r}] or static=[{width!r}]."
        )
    if isinstance(base, bool) or not isinstance(base, int) or base < 1:
        raise TaskError(f"mup: base must be a positive integer, got {base!r}.")
    if rule not in RULES:
        raise TaskError(f"mup: rule must be one of {RULES}, got {rule!r}.")
    if isinstance(task.step, MupStep):
        raise TaskError("mup: the task is in the maximal update parametrisation already.")
    if task.step is not None:
        raise TaskError(
            "mup: the task has a step of its own, which applies its updates itself; take the usual "
            "one, or multiply them there."
        )
    scales = Parametrisation(task.init, width, base, rule)
    return replace(task, init=MupInit(scales), step=MupStep(task, scales))


def mup_multipliers(task: Task, hp: Hyperparameters, x: Any) -> dict[str, Multiplier]:
    """What :func:`mup` does to each parameter; traces the task's `init`, compiles nothing.

    Args:
        task: what :func:`mup` returned.
        hp: a configuration, :meth:`Hyperparameters.of` outside of a program.
        x: `[B, ...]`, of the shape and dtype of a batch.

    Returns:
        Path of the parameter -> :class:`Multiplier`; numbers of a padded width are arrays.

    Raises:
        TaskError: no task of :func:`mup`, or what its tracing raises.

    Example:
        >>> import bojax, numpy as np, optax
        >>> from bojax.training import Hyperparameters, mup, mup_multipliers
        >>> from bojax.training.models import MLP
        >>> def build(hp):
        ...     return MLP(outputs=10, width=hp["width"])
        >>> def optimizer(hp):
        ...     return optax.adam(1e-3)
        >>> task = mup(bojax.Task.linen(build, optimizer=optimizer, static=["width"]))
        >>> space = bojax.Space({"width": bojax.Ordinal([64, 256])})
        >>> hp = Hyperparameters.of({"width": 256}, space, static=["width"])
        >>> found = mup_multipliers(task, hp, np.zeros((1, 8), np.float32))
        >>> found["hidden_1/kernel"]
        Multiplier(role='hidden', init=1.0, rate=0.25)
        >>> found["output/kernel"]
        Multiplier(role='output', init=0.5, rate=0.25)
    """
    init = getattr(task, "init", None)
    if not isinstance(init, MupInit):
        raise TaskError("mup_multipliers: expected what bojax.training.mup returned.")
    found = init.scales.multipliers(hp, np.asarray(x))
    leaves = jax.tree_util.tree_leaves_with_path(found, is_leaf=_is_multiplier)
    return {_name(path): multiplier for path, multiplier in leaves}


# ------------------------------------------------------------------ shapes at two widths


def _at_width(hp: Hyperparameters, name: str, width: int) -> Hyperparameters:
    """The same configuration, so wide and padded no wider; its structure notes what is read."""
    values, active, steps, step = hp.tree_flatten()[0]
    static, ceiling = hp.structure.static, hp.structure.ceiling
    if name in static:
        static = static | {name: width}
    else:
        values, ceiling = values | {name: np.int32(width)}, ceiling | {name: width}
    structure = Structure(static, ceiling, hp.structure.choices).recording()
    return Hyperparameters(values, active, steps, structure, step)


def _roles(width: str, base: int, one: Any, two: Any) -> Any:
    """The parameters' roles by their shapes at the base width and at twice of it."""
    where = f"{width}={base} and {2 * base}"
    narrow, wide = (
        {_name(path): leaf.shape for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}
        for tree in (one, two)
    )
    if odd := sorted(narrow.keys() ^ wide.keys()):
        raise TaskError(
            f"mup: there is {odd[0]} at one of {where} only; a width may change shapes, never "
            "what parameters there are."
        )
    roles = {name: _role(name, shape, wide[name], where) for name, shape in narrow.items()}
    if set(roles.values()) <= {"fixed"}:
        raise TaskError(
            f"mup: no parameter grows between {where}, {len(roles)} were looked at; build the "
            f"model from hp[{width!r}], or from hp.ceiling[{width!r}] where it is padded."
        )
    return jax.tree_util.tree_map_with_path(lambda path, _: roles[_name(path)], one)


def _role(name: str, narrow: tuple, wide: tuple, where: str) -> str:
    shapes = f"{name} has shape {narrow} and {wide} at {where}"
    if len(narrow) != len(wide):
        raise TaskError(f"mup: {shapes}; a width may change sizes, not the number of axes.")
    axes = [i for i, (a, b) in enumerate(zip(narrow, wide, strict=True)) if a != b]
    if any(not narrow[i] < wide[i] <= 2 * narrow[i] for i in axes):
        raise TaskError(
            f"mup: {shapes}; expected sizes that stay or grow in proportion to the width."
        )
    vector = name.rpartition("/")[2] in VECTORS
    if len(axes) > 2 and not vector:
        raise TaskError(
            f"mup: {shapes}; {len(axes)} axes grow, and muP knows a fan-in and a fan-out only."
        )
    if not axes:
        return "fixed"
    if vector or axes == [len(narrow) - 1]:
        return "input"
    return "hidden" if len(axes) == 2 else "output"


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _is_multiplier(leaf: Any) -> bool:
    return isinstance(leaf, Multiplier)


# ------------------------------------------------------------------ powers of r


def _power(width: Any, base: int, exponent: float) -> Any:
    """(width / base) ** exponent: a Python float, or float32 where the width is traced."""
    if not exponent:
        return 1.0
    if isinstance(width, int):
        return float((width / base) ** exponent)
    ratio = jnp.asarray(width, jnp.float32) / jnp.float32(base)
    # A compiler may divide by multiplying; at the base it has to be 1 to the last bit.
    return jnp.where(width == base, jnp.float32(1.0), ratio ** jnp.float32(exponent))


def _times(leaf: Any, factor: Any) -> Any:
    """The product in the leaf's dtype; where nothing is to be done, nothing is traced."""
    if isinstance(factor, float):
        return leaf if factor == 1.0 else leaf * jnp.asarray(factor, leaf.dtype)
    return leaf * factor.astype(leaf.dtype)
