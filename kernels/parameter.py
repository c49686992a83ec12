"""Hyperparameters that carry their prior, bounds and bijector as data.

A value is searched through an unconstrained number, `raw`; the prior is the density of the value
itself (no Jacobian), as BoTorch, Optuna, HEBO and Vizier define theirs. Priors work in log x,
which all of them are smooth in.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp

from bojax.pytrees import pytree

LOG_SQRT_2_PI = 0.9189385332046727


@pytree
@dataclass(frozen=True)
class LogNormal:
    """log x ~ Normal(location, scale^2), density of x itself.

    log p(x) = -log x - (log x - location)^2 / (2 scale^2) - log(scale sqrt(2 pi))

    Attributes:
        location, scale: of log x; any shape that broadcasts against x.

    Example:
        >>> from bojax.kernels.parameter import LogNormal
        >>> round(float(LogNormal(0.0, 1.0).log_density(0.0)), 4)  # at log x = 0
        -0.9189
    """

    location: Any
    scale: Any

    def log_density(self, log_x):
        """Log density of x, given log x."""
        z = (log_x - self.location) / self.scale
        return -log_x - 0.5 * z * z - jnp.log(self.scale) - LOG_SQRT_2_PI

    def slope(self, log_x):
        """Derivative of :meth:`log_density` by log x."""
        return -1.0 - (log_x - self.location) / self.scale**2

    def mode(self):
        """log x at the mode of the density of x."""
        return self.location - self.scale**2

    def spread(self):
        """Standard deviation of log x, for drawing starts."""
        return self.scale


@pytree
@dataclass(frozen=True)
class Power:
    """log p(x) = constant + a log x - b x^p - c x^-p: Gamma densities and their relatives.

    With p = 1 and c = 0 it is a Gamma density of shape a + 1 and rate b; with c > 0 the
    generalised inverse Gaussian. Optuna's priors are of this form, not normalised.

    Attributes:
        a, b, c: coefficients; b and c are not negative.
        power: p.
        constant: of the logarithm.

    Example:
        >>> from bojax.kernels.parameter import Power
        >>> float(Power(2.0, 1.0).log_density(0.0))  # at x = 1
        -1.0
    """

    a: Any
    b: Any
    c: Any = 0.0
    power: Any = 1.0
    constant: Any = 0.0

    def log_density(self, log_x):
        """Log density of x, given log x."""
        y = jnp.exp(self.power * log_x)
        return self.constant + self.a * log_x - self.b * y - self.c / y

    def slope(self, log_x):
        """Derivative of :meth:`log_density` by log x."""
        y = jnp.exp(self.power * log_x)
        return self.a - self.power * (self.b * y - self.c / y)

    def mode(self):
        """log x where the density of x is largest: the root y of p b y^2 - a y - p c.

        Where it only falls (c = 0, a at most 0, as of gamma(0.5, 0.5)), the mean of y instead:
        a start at log 0 would be none.
        """
        b, c = self.power * self.b, self.power * self.c
        root = jnp.where(
            (self.a > 0) | (c > 0), self.a + jnp.sqrt(self.a**2 + 4.0 * b * c), 2.0 * (self.a + 1.0)
        )
        return jnp.log(root / (2.0 * b)) / self.power

    def spread(self):
        """Standard deviation of log x, roughly, for drawing starts."""
        return 1.0 + 0.0 * jnp.asarray(self.a)


def gamma(shape: float, rate: float) -> Power:
    """The normalised Gamma density.

    log p(x) = shape log rate - log Gamma(shape) + (shape - 1) log x - rate x

    Example:
        >>> from bojax.kernels.parameter import gamma
        >>> float(gamma(1.0, 1.0).log_density(0.0))  # exp(-x) at 1
        -1.0
    """
    import math

    constant = shape * math.log(rate) - math.lgamma(shape)
    return Power(shape - 1.0, rate, 0.0, 1.0, constant)


@pytree
@dataclass(frozen=True)
class HalfCauchy:
    """p(x) = 2 / (pi scale (1 + (x / scale)^2)), x > 0.

    Example:
        >>> from bojax.kernels.parameter import HalfCauchy
        >>> round(float(HalfCauchy(1.0).log_density(0.0)), 4)  # log(1 / pi)
        -1.1447
    """

    scale: Any

    def log_density(self, log_x):
        """Log density of x, given log x."""
        z = 2.0 * (log_x - jnp.log(self.scale))
        return -0.4515827052894548 - jnp.log(self.scale) - jax.nn.softplus(z)

    def slope(self, log_x):
        """Derivative of :meth:`log_density` by log x."""
        return -2.0 * jax.nn.sigmoid(2.0 * (log_x - jnp.log(self.scale)))

    def mode(self):
        """The density is largest at 0; the median's logarithm is a better start."""
        return jnp.log(self.scale)

    def spread(self):
        """Standard deviation of log x: that of the hyperbolic secant, pi / 2."""
        return 1.5707963267948966 + 0.0 * jnp.asarray(self.scale)


@pytree
@dataclass(frozen=True)
class LogSquare:
    """log p(x) = -weight (log x - log centre)^2: Vizier's penalties, not normalised.

    Example:
        >>> from bojax.kernels.parameter import LogSquare
        >>> float(LogSquare(0.01, 1.0).log_density(10.0))
        -1.0
    """

    weight: Any
    centre: Any

    def log_density(self, log_x):
        """Log density of x, given log x."""
        return -self.weight * (log_x - jnp.log(self.centre)) ** 2

    def slope(self, log_x):
        """Derivative of :meth:`log_density` by log x."""
        return -2.0 * self.weight * (log_x - jnp.log(self.centre))

    def mode(self):
        """log x where it is largest."""
        return jnp.log(self.centre)

    def spread(self):
        """Standard deviation of log x."""
        return 1.0 / jnp.sqrt(2.0 * jnp.asarray(self.weight))


@pytree
@dataclass(frozen=True)
class Flat:
    """No preference: the log density is 0 everywhere.

    Example:
        >>> from bojax.kernels.parameter import Flat
        >>> float(Flat().log_density(3.0))
        0.0
    """

    def log_density(self, log_x):
        """0."""
        return jnp.zeros_like(jnp.asarray(log_x))

    def slope(self, log_x):
        """0."""
        return jnp.zeros_like(jnp.asarray(log_x))

    def mode(self):
        """Nowhere in particular: log x = 0."""
        return 0.0

    def spread(self):
        """One unit of log x, for drawing starts."""
        return 1.0


@pytree
@dataclass(frozen=True)
class Log:
    """value = exp(raw): the bijector of scales.

    Example:
        >>> from bojax.kernels.parameter import Log
        >>> float(Log().log_value(2.0)), float(Log().log_slope(2.0))
        (2.0, 1.0)
    """

    def log_value(self, raw):
        """log value."""
        return jnp.asarray(raw)

    def log_slope(self, raw):
        """Derivative of log value by raw."""
        return jnp.ones_like(jnp.asarray(raw))

    def raw(self, log_value):
        """The inverse."""
        return log_value


@pytree
@dataclass(frozen=True)
class ShiftedLog:
    """value = least + exp(raw): positive, and at least so much (Optuna's noise, SAAS's).

    Example:
        >>> from bojax.kernels.parameter import ShiftedLog
        >>> round(float(ShiftedLog(1.0).log_value(0.0)), 4)  # log 2
        0.6931
    """

    least: Any

    def log_value(self, raw):
        """log value."""
        return jnp.log(self.least + jnp.exp(raw))

    def log_slope(self, raw):
        """Derivative of log value by raw."""
        grown = jnp.exp(raw)
        return grown / (self.least + grown)

    def raw(self, log_value):
        """The inverse; -inf at the least value."""
        return jnp.log(jnp.exp(log_value) - self.least)


@pytree
@dataclass(frozen=True)
class Parameter:
    """A positive hyperparameter.

    Attributes:
        raw: the unconstrained number the search moves, any shape; where it starts.
        prior: density of the value: :class:`LogNormal`, :class:`Power`, ...
        low, high: bounds on raw; equal ones freeze it, and its prior counts no more.
        bijector: raw -> log value: :class:`Log` or :class:`ShiftedLog`.

    Example:
        >>> from bojax.kernels.parameter import LogNormal, Parameter
        >>> Parameter(0.0, LogNormal(0.0, 1.0), low=-3.0, high=3.0).value.item()
        1.0
    """

    raw: Any
    prior: Any = field(default_factory=Flat)
    low: Any = -20.0
    high: Any = 20.0
    bijector: Any = field(default_factory=Log)

    @property
    def value(self):
        """The value in natural units."""
        return jnp.exp(self.log)

    @property
    def log(self):
        """Logarithm of the value."""
        return self.bijector.log_value(self.raw)

    @property
    def free(self):
        """Where the search may move it."""
        return self.low < self.high

    def at(self, raw) -> Parameter:
        """The same parameter with another raw value."""
        return replace(self, raw=raw)

    def fixed(self) -> Parameter:
        """The same parameter, no longer searched.

        Example:
            >>> from bojax.kernels.parameter import Parameter
            >>> bool(Parameter(0.5).fixed().free)
            False
        """
        return replace(self, low=self.raw, high=self.raw)

    def log_prior(self):
        """Log density of the free values, summed."""
        return jnp.sum(jnp.where(self.free, self.prior.log_density(self.log), 0.0))

    def log_prior_slope(self):
        """Derivative of :meth:`log_prior` by raw, where free."""
        slope = self.prior.slope(self.log) * self.bijector.log_slope(self.raw)
        return jnp.where(self.free, slope, 0.0)


def scale_parameter(value: Any, **settings: Any) -> Parameter:
    """A parameter searched in its logarithm, from its value.

    Args:
        value: positive.
        settings: `prior`, and `low`, `high` as values; others of :class:`Parameter`.

    Example:
        >>> from bojax.kernels.parameter import scale_parameter
        >>> round(float(scale_parameter(2.0, low=1e-3).low), 3)
        -6.908
    """
    bounds = {n: jnp.log(settings.pop(n)) for n in ("low", "high") if n in settings}
    return Parameter(jnp.log(jnp.asarray(value, float)), **bounds, **settings)


def is_parameter(x: Any) -> bool:
    """Whether a node of a pytree is a :class:`Parameter`."""
    return isinstance(x, Parameter)


def parameters(tree: Any) -> list[Parameter]:
    """The parameters of a kernel, in the order in which everything else lists them.

    Example:
        >>> import bojax
        >>> kernel = bojax.kernels.dimension_scaled(bojax.kernels.RBF, 2)
        >>> len(bojax.kernels.parameters(kernel.scaled()))
        3
    """
    return [p for p in jax.tree.leaves(tree, is_leaf=is_parameter) if is_parameter(p)]


def pack(tree: Any):
    """All raw values in one vector `[P]`."""
    return jnp.concatenate([jnp.ravel(jnp.asarray(p.raw)) for p in parameters(tree)])


def unpack(tree: Any, theta: Any) -> Any:
    """The same tree with the raw values of a vector `[P]`."""
    at = 0

    def put(leaf):
        nonlocal at
        if not is_parameter(leaf):
            return leaf
        shape = jnp.shape(leaf.raw)
        size = jnp.size(leaf.raw)
        part = theta[at : at + size].reshape(shape)
        at += size
        return leaf.at(part)

    return jax.tree.map(put, tree, is_leaf=is_parameter)


def split(tree: Any, theta: Any) -> list[Any]:
    """A vector `[P]` as one array a parameter."""
    found, at = [], 0
    for p in parameters(tree):
        size = jnp.size(p.raw)
        found.append(theta[at : at + size].reshape(jnp.shape(p.raw)))
        at += size
    return found
