"""What every kernel here can do: be added, multiplied, scaled, restricted to columns, fitted.

A kernel is a frozen pytree with `gram(x, z)` and `diagonal(x)`. For the fit it also gives its
Gram matrix with a *pullback*: weights `W[N, N]` (symmetric) -> sum_ij W_ij dk_ij / d(raw) for each
of its parameters. With it sums, products and scales of kernels keep closed-form gradients:

    K = A + B:   pull(W) = (pull_A(W), pull_B(W))
    K = A * B:   pull(W) = (pull_A(W * B), pull_B(W * A))
    K = s A:     pull(W) = (pull_A(s W), sum W * s A)

A kernel without a closed form inherits one by automatic differentiation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from bojax.kernels.distance import as_features
from bojax.kernels.parameter import LogNormal, Parameter, parameters, unpack
from bojax.pytrees import pytree
from bojax.space import Features

# Output scale of kernels whose values were standardised: log s ~ N(0, 1), mode e^-1.
SCALE_PRIOR = LogNormal(0.0, 1.0)
SCALE_LOW, SCALE_HIGH = -9.0, 9.0  # of log s


class Columns(NamedTuple):
    """The columns a kernel is built for.

    Attributes:
        used: `[D]` bool; columns not in use have no hyperparameters.
        gapped: `[D]` bool; columns that some rows do not have.
        dimensions: how many are in use, a float.
        budget: `[D]` bool, the column that holds a budget; None for none.

    Example:
        >>> import bojax
        >>> bojax.kernels.Columns.plain(3).used.shape
        (3,)
    """

    used: Any
    gapped: Any
    dimensions: Any
    budget: Any = None

    @classmethod
    def plain(cls, columns: int, dimensions: Any = None) -> Columns:
        """All columns in use, none conditional; `dimensions` of them count for the priors."""
        count = jnp.asarray(columns if dimensions is None else dimensions, float)
        return cls(jnp.ones(columns, bool), jnp.zeros(columns, bool), count)


class Kernel:
    """Operators and defaults; a family adds `gram` and `diagonal`.

    Example:
        >>> import bojax
        >>> isinstance(bojax.kernels.Matern52() + bojax.kernels.Linear(), bojax.kernels.Kernel)
        True
    """

    def gram(self, x: Any, z: Any) -> Any:
        """k(x_i, z_j), `[N, D]`, `[M, D]` -> `[N, M]`; arrays or `Features`."""
        raise NotImplementedError(f"{type(self).__name__} has no gram(x, z).")

    def diagonal(self, x: Any) -> Any:
        """k(x_i, x_i), `[N, D]` -> `[N]`."""
        raise NotImplementedError(f"{type(self).__name__} has no diagonal(x).")

    def gram_and_pullback(self, x: Any) -> tuple[Any, Callable]:
        """The Gram matrix of x with itself, and weights -> gradients by raw parameters.

        This default differentiates `gram`; families override it with their closed form.
        """
        x = as_features(x)
        raws = [p.raw for p in parameters(self)]

        def gram(raws):
            flat = [jnp.ravel(raw) for raw in raws] or [jnp.zeros(0)]
            at = unpack(self, jnp.concatenate(flat))
            return at.gram(x, x)

        matrix, pull = jax.vjp(gram, raws)
        return matrix, lambda weights: list(pull(weights)[0])

    def directions(self, x: Any, vector: Any) -> list[Any]:
        """(dK / draw) vector of each parameter, `[N, size]`, where that is cheap; else zeros.

        What the average information of a fit is made of; a zero only costs it knowledge.
        """
        n = as_features(x).coordinate.shape[-2]
        return [jnp.zeros((n, jnp.size(p.raw)), vector.dtype) for p in parameters(self)]

    def build(self, columns: Columns) -> Kernel:
        """The kernel with its parameters made, or spread, over these columns."""
        parts = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        kernels = {n: p.build(columns) for n, p in parts.items() if isinstance(p, Kernel)}
        return replace(self, **kernels) if kernels else self  # type: ignore[type-var]

    def __add__(self, other: Kernel) -> Sum:
        return Sum(self, other)

    def __mul__(self, other: Any) -> Kernel:
        if isinstance(other, Kernel):
            return Product(self, other)
        return self.scaled(other)

    __rmul__ = __mul__

    def scaled(self, scale: Any = None) -> Scaled:
        """The kernel times a variance to be fitted, or a given :class:`Parameter` or number.

        A number is fixed; a Parameter is fitted as it says; nothing is a scale with a
        log-normal prior of location 0 and scale 1.

        Raises:
            ValueError: a number that is not above 0.
        """
        if isinstance(scale, (int, float)):
            if not scale > 0:
                raise ValueError(f"kernel.scaled: expected a number above 0, got {scale}.")
            # A float of Python takes the precision it is used in.
            scale = Parameter(math.log(scale)).fixed()
        elif scale is None:
            scale = Parameter(0.0, SCALE_PRIOR, SCALE_LOW, SCALE_HIGH)
        elif not isinstance(scale, Parameter):
            scale = Parameter(jnp.log(jnp.asarray(scale, float))).fixed()
        return Scaled(self, scale)

    def on(self, *columns: int) -> Selected:
        """The kernel of some columns only, by their positions."""
        return Selected(self, tuple(columns))


@pytree
@dataclass(frozen=True)
class Sum(Kernel):
    """k = a + b.

    Example:
        >>> import jax.numpy as jnp
        >>> import bojax
        >>> rbf = bojax.kernels.dimension_scaled(bojax.kernels.RBF, 1)
        >>> (rbf + rbf).diagonal(jnp.zeros((2, 1))).tolist()
        [2.0, 2.0]
    """

    left: Kernel
    right: Kernel

    def gram(self, x, z):
        """a + b."""
        return self.left.gram(x, z) + self.right.gram(x, z)

    def diagonal(self, x):
        """a + b."""
        return self.left.diagonal(x) + self.right.diagonal(x)

    def gram_and_pullback(self, x):
        """Closed form where both parts have one."""
        left, pull_left = self.left.gram_and_pullback(x)
        right, pull_right = self.right.gram_and_pullback(x)
        return left + right, lambda weights: pull_left(weights) + pull_right(weights)

    def directions(self, x, vector):
        """Those of both."""
        return self.left.directions(x, vector) + self.right.directions(x, vector)


@pytree
@dataclass(frozen=True)
class Product(Kernel):
    """k = a b.

    Example:
        >>> import jax.numpy as jnp
        >>> import bojax
        >>> rbf = bojax.kernels.dimension_scaled(bojax.kernels.RBF, 1)
        >>> (rbf * rbf.scaled(3.0)).diagonal(jnp.zeros((1, 1))).round(6).tolist()
        [3.0]
    """

    left: Kernel
    right: Kernel

    def gram(self, x, z):
        """a b."""
        return self.left.gram(x, z) * self.right.gram(x, z)

    def diagonal(self, x):
        """a b."""
        return self.left.diagonal(x) * self.right.diagonal(x)

    def gram_and_pullback(self, x):
        """Closed form where both parts have one."""
        left, pull_left = self.left.gram_and_pullback(x)
        right, pull_right = self.right.gram_and_pullback(x)

        def pull(weights):
            return pull_left(weights * right) + pull_right(weights * left)

        return left * right, pull


@pytree
@dataclass(frozen=True)
class Scaled(Kernel):
    """k = s a, s a variance in units of the (standardised) values.

    Example:
        >>> import jax.numpy as jnp
        >>> import bojax
        >>> rbf = bojax.kernels.dimension_scaled(bojax.kernels.RBF, 1)
        >>> rbf.scaled(2.0).diagonal(jnp.zeros((1, 1))).tolist()
        [2.0]
    """

    kernel: Kernel
    scale: Parameter

    def gram(self, x, z):
        """s a."""
        return self.scale.value * self.kernel.gram(x, z)

    def diagonal(self, x):
        """s a."""
        return self.scale.value * self.kernel.diagonal(x)

    def gram_and_pullback(self, x):
        """Closed form where the kernel has one."""
        inner, pull_inner = self.kernel.gram_and_pullback(x)
        scale = self.scale.value
        by_raw = self.scale.bijector.log_slope(self.scale.raw)

        def pull(weights):
            scaled = scale * weights
            return [*pull_inner(scaled), by_raw * jnp.sum(scaled * inner)]

        return scale * inner, pull

    def directions(self, x, vector):
        """Those of the kernel, and the scale's."""
        scaled = self.scale.value * vector
        own = self.kernel.gram(x, x) @ scaled * self.scale.bijector.log_slope(self.scale.raw)
        return [*self.kernel.directions(x, scaled), own[:, None]]


@pytree
@dataclass(frozen=True)
class Selected(Kernel):
    """A kernel that sees some columns only.

    Attributes:
        columns: positions, static.

    Example:
        >>> import jax.numpy as jnp
        >>> import bojax
        >>> first = bojax.kernels.dimension_scaled(bojax.kernels.RBF, 1).on(0)
        >>> first.gram(jnp.array([[0.0, 1.0]]), jnp.array([[0.0, 5.0]])).tolist()
        [[1.0]]
    """

    kernel: Kernel
    columns: tuple[int, ...] = field(metadata={"static": True})

    def _part(self, x) -> Features:
        x = as_features(x)
        at = jnp.asarray(self.columns)
        return Features(x.coordinate[..., at], x.active[..., at], x.kind[at])

    def gram(self, x, z):
        """Of the columns."""
        return self.kernel.gram(self._part(x), self._part(z))

    def diagonal(self, x):
        """Of the columns."""
        return self.kernel.diagonal(self._part(x))

    def gram_and_pullback(self, x):
        """As the kernel's."""
        return self.kernel.gram_and_pullback(self._part(x))

    def directions(self, x, vector):
        """As the kernel's."""
        return self.kernel.directions(self._part(x), vector)

    def build(self, columns: Columns) -> Selected:
        """Its part of the columns; raises where a position does not exist."""
        have = columns.used.shape[0]
        if bad := [c for c in self.columns if not 0 <= c < have]:
            raise ValueError(
                f"kernel.on: column {bad[0]} does not exist, expected 0 to {have - 1}."
            )
        at = jnp.asarray(self.columns)
        used = columns.used[at]
        dimensions = jnp.sum(used.astype(columns.dimensions.dtype))
        budget = None if columns.budget is None else columns.budget[at]
        part = Columns(used, columns.gapped[at], dimensions, budget)
        return replace(self, kernel=self.kernel.build(part))


def spread(given: Parameter | None, default: Parameter, free: Any) -> Parameter:
    """A parameter for each of D columns: the given one or the default, frozen where not free.

    Args:
        given: scalar or `[d]` with d <= D; the rest is the default's.
        default: scalar or `[D]`.
        free: `[D]` bool.
    """
    size = free.shape[0]
    dtype = jnp.result_type(float)

    def full(name):
        fallback = jnp.broadcast_to(jnp.asarray(getattr(default, name), dtype), (size,))
        if given is None:
            return fallback
        own = jnp.asarray(getattr(given, name), dtype)
        if own.ndim == 0:
            return jnp.broadcast_to(own, (size,))
        if own.shape[0] > size:
            raise ValueError(
                f"kernel: a parameter has {own.shape[0]} values for {size} columns; "
                "give one, or one a column."
            )
        return jnp.concatenate([own, fallback[own.shape[0] :]])

    raw = full("raw")
    base = default if given is None else given
    low, high = jnp.where(free, full("low"), raw), jnp.where(free, full("high"), raw)
    prior = base.prior
    if given is not None:  # priors given for fewer columns than there are
        prior = jax.tree.map(
            lambda leaf: (
                jnp.concatenate([leaf, jnp.broadcast_to(leaf[-1:], (size - leaf.shape[0],))])
                if jnp.ndim(leaf) == 1 and leaf.shape[0] < size
                else leaf
            ),
            prior,
        )
    return replace(base, raw=raw, low=low, high=high, prior=prior)
