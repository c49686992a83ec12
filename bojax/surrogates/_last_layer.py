"""Bayesian linear regression on the last hidden layer of a network (DNGO).

J. Snoek et al., "Scalable Bayesian optimization using deep neural networks", ICML 2015. A
network is trained to the maximum of its posterior density, its weights' prior centred at the
start they were drawn at; then its last layer is Bayesian.
With phi the hidden units over the square root of their number, and a constant,

    y = phi'w + noise,   w ~ N(0, I / alpha),   noise ~ N(0, beta / count + known variance)
    A = alpha I + Phi' S^-1 Phi,   w | y ~ N(A^-1 Phi' S^-1 y, A^-1)

with S the diagonal of noise variances. alpha and beta maximise the evidence (C. Bishop,
"Pattern Recognition and Machine Learning", 2006, section 3.5)

    log p(y) = (P log alpha - log |S| - log |A| - y'S^-1 y + b'A^-1 b - n log 2 pi) / 2,
    b = Phi'S^-1 y,

under broad priors, which matter with a few points only. A prediction costs O(P^2), whatever
the number of observations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bojax.configuration import jit
from bojax.optimize import minimize
from bojax.optimize.linalg import cholesky, inverse_transposed
from bojax.pytrees import pytree
from bojax.surrogates._ensemble import check
from bojax.surrogates._lines import at_own_precision, host_data, is_traced, lines_of
from bojax.surrogates.data import Data
from bojax.surrogates.transforms import standardize

# Snoek et al. (2015), section 3.2, have three layers of 50 tanh units; with the prior below
# two predict as well, and their variance holds better.
WIDTH, DEPTH, ACTIVATION = 50, 2, "tanh"
STEPS, LEARNING_RATE = 500, 0.01
# Weights are kept near their start as by noise of the variance of the values. Trained with
# less noise, units that fit every value exactly leave nothing uncertain: on Friedman's first
# function (100 points, 10 columns, three splits) intervals of 90 % held 78 % of the values at
# noise 1, 29 % at 0.1 and 8 % at 0.02, while the error was the same within 0.01.
TRAINING_NOISE, PRECISION = 1.0, 1.0
# Log-normal priors (location, scale) of alpha and beta; the noise's is that of the Gaussian
# process here (BoTorch 0.18).
ALPHA, BETA = (0.0, 2.0), (-4.0, 1.0)
LOW, HIGH = (math.log(1e-3), math.log(1e-4)), (math.log(1e3), math.log(10.0))
STARTS = ((0.0, -5.0), (0.0, -1.0), (-3.0, -3.0))
LEAST_DIAGONAL = 4.0  # times P eps, of the largest entry: what keeps A positive definite
SMALLEST_VARIANCE = 1e-12  # of standardised values


class LastLayerInfo(NamedTuple):
    """How a fit went.

    Attributes:
        params: of the network; warm start of the next fit.
        loss: of its training, a line.
        theta: `[2]`, log alpha and log beta.
        evidence: log density of the standardised values there, priors included.

    Example:
        >>> import bojax
        >>> bojax.surrogates.LastLayerInfo._fields[:2]
        ('params', 'loss')
    """

    params: Any
    loss: Any
    theta: Any
    evidence: Any


@pytree
@dataclass(frozen=True)
class LastLayerPosterior:
    """A network, the Gaussian of its last layer's P weights, and the scale of the values.

    Attributes:
        params: of the network.
        precision: `[P, P]`, A.
        projection: `[P]`, b.
        root: `[P, P]`, U with A^-1 = U U'.
        beta: variance of the noise, of standardised values.
        shift, scale: value = shift + scale * standardised.
        table: the space's table, or None.
        settings: the :class:`LastLayer`'s width, depth and activation.

    Example:
        >>> import jax, numpy as np
        >>> import bojax
        >>> rows = np.linspace(0, 1, 6)[:, None]
        >>> posterior, _ = bojax.surrogates.last_layer(width=8, depth=1, steps=50).fit(
        ...     jax.random.key(0), bojax.surrogates.Data(rows, rows[:, 0]))
        >>> told = posterior.condition(np.array([[0.5]]), np.array([0.9]))
        >>> bool(told.mean_and_variance(rows)[0][3] > posterior.mean_and_variance(rows)[0][3])
        True
    """

    params: Any
    precision: Any
    projection: Any
    root: Any
    beta: Any
    shift: Any
    scale: Any
    table: Any
    settings: tuple = field(metadata={"static": True})

    @property
    def noise(self):
        """Variance of a new observation's noise, values' unit squared."""
        return self.beta * self.scale**2

    @at_own_precision
    def mean_and_variance(self, rows):
        """Of the noise-free function at `[..., D]` rows: two arrays `[...]`, values' unit."""
        phi = self.features(rows)
        half = phi @ self.root
        mean = half @ (self.root.T @ self.projection)
        variance = jnp.maximum(jnp.sum(half**2, axis=-1), SMALLEST_VARIANCE)
        return self.shift + self.scale * mean, self.scale**2 * variance

    @at_own_precision
    def joint(self, rows):
        """Mean `[Q]` and covariance `[Q, Q]` at `[Q, D]` rows, values' unit."""
        half = self.features(rows) @ self.root
        mean = half @ (self.root.T @ self.projection)
        return self.shift + self.scale * mean, self.scale**2 * (half @ half.T)

    @at_own_precision
    def sample(self, key, rows, n: int):
        """`[n, Q]` draws of the function at `[Q, D]` rows: weights drawn, no factor of rows."""
        half = self.features(rows) @ self.root
        normal = jax.random.normal(key, (n, half.shape[-1]), half.dtype)
        drawn = (self.root.T @ self.projection + normal) @ half.T
        return self.shift + self.scale * drawn

    @at_own_precision
    def condition(self, rows, values) -> LastLayerPosterior:
        """The posterior after Q more noisy observations, network, alpha and beta kept."""
        phi = self.features(jnp.atleast_2d(jnp.asarray(rows, self.scale.dtype)))
        standard = (jnp.atleast_1d(jnp.asarray(values, self.scale.dtype)) - self.shift) / self.scale
        precision = self.precision + phi.T @ phi / self.beta
        projection = self.projection + standard @ phi / self.beta
        return replace(self, precision=precision, projection=projection, root=_root(precision))

    def features(self, rows):
        """phi, `[..., D]` -> `[..., P]`."""
        rows = jnp.asarray(rows, self.scale.dtype)
        return _phi(self.params, self.settings, self.table, rows)


@pytree
@dataclass(frozen=True)
class LastLayer:
    """Bayesian linear regression on a Flax network's last hidden layer. Rows of the unit cube.

    Far from the data tanh units saturate, and the variance stays at what they had there.

    Attributes:
        width, depth: units a hidden layer, hidden layers.
        activation: "tanh" or "relu".
        steps: of Adam on the whole data, its rate falling to 0.
        learning_rate: of the first step.
        precision: of the Gaussian prior around the start while it is trained, in units of the
            variance a weight is drawn with.

    Example:
        >>> import bojax
        >>> bojax.surrogates.last_layer(width=20).width
        20
    """

    width: int = field(default=WIDTH, metadata={"static": True})
    depth: int = field(default=DEPTH, metadata={"static": True})
    activation: str = field(default=ACTIVATION, metadata={"static": True})
    steps: int = field(default=STEPS, metadata={"static": True})
    learning_rate: Any = LEARNING_RATE
    precision: Any = PRECISION

    def fit(self, key, data: Data, warm=None) -> tuple[LastLayerPosterior, LastLayerInfo]:
        """Fit to observations, on the host or under `jit`.

        On the host (NumPy data) the work is done in float64, padded to a capacity, by one
        compiled program a (size class, capacity); under a trace, in the trace's precision.

        Args:
            key: `jax.random.key`, for the network's start.
            data: :class:`Data`.
            warm: `LastLayerInfo.params` of an earlier fit: train on from there.

        Returns:
            `(LastLayerPosterior, LastLayerInfo)`.

        Raises:
            DataError: as for :meth:`GP.fit` (host only).
        """
        if is_traced(key, data, warm):
            return self.fit_pure(key, data, warm)
        padded = host_data(data)
        with jax.enable_x64(True):
            posterior, info = _fit_program(self, key, padded, warm)
            return jax.block_until_ready(posterior), jax.tree.map(np.asarray, info)

    def fit_pure(self, key, data: Data, warm=None) -> tuple[LastLayerPosterior, LastLayerInfo]:
        """The traceable fit."""
        from bojax.surrogates import _network

        lines = lines_of(data)
        dtype = lines.rows.dtype
        values, shift, scale = standardize(lines.values, lines.mask)
        known = lines.variance / jnp.maximum(scale**2, jnp.finfo(dtype).tiny)
        n = jnp.maximum(jnp.sum(lines.mask.astype(dtype)), 1.0)
        settings = (self.width, self.depth, 1, self.activation)
        network = _network.Network(*settings)
        inputs = _network.inputs_of(data.table, lines.rows)
        certainty = jnp.where(lines.mask, 1.0 / (TRAINING_NOISE / lines.count + known), 0.0)

        def loss(params):
            error = network.apply(params, inputs)[0][:, 0] - values
            fitted = jnp.sum(certainty * error**2)
            return 0.5 * (fitted + self.precision * _network.distance(params, start)) / n

        start = network.init(key, inputs[:1])
        first = start if warm is None else warm
        params, trained = _network.train(loss, first, self.steps, self.learning_rate)
        phi = _phi(params, settings, data.table, lines.rows)
        theta, density = _best_evidence(phi, values, lines.count, known, lines.mask)
        precision, projection, _ = _regression(theta, phi, values, lines.count, known, lines.mask)
        posterior = LastLayerPosterior(
            params,
            precision,
            projection,
            _root(precision),
            jnp.exp(theta[1]),
            shift,
            scale,
            data.table,
            settings,
        )
        return posterior, LastLayerInfo(params, trained, theta, density)


def last_layer(
    *,
    width: int = WIDTH,
    depth: int = DEPTH,
    activation: str = ACTIVATION,
    steps: int = STEPS,
    learning_rate: float = LEARNING_RATE,
    precision: float = PRECISION,
) -> LastLayer:
    """A Bayesian last layer as a surrogate; see :class:`LastLayer` for the settings.

    Raises:
        ValueError: a setting out of range, naming it.

    Example:
        >>> import bojax
        >>> bojax.surrogates.last_layer().depth
        2
    """
    check(
        "last_layer", width=width, depth=depth, steps=steps, activation=activation,
        learning_rate=learning_rate, precision=precision,
    )  # fmt: skip
    return LastLayer(width, depth, activation, steps, learning_rate, precision)


@jit
def _fit_program(surrogate: LastLayer, key, data: Data, warm):
    return surrogate.fit_pure(key, data, warm)


def _phi(params, settings, table, rows):
    """Hidden units over the square root of their number, and a constant, `[..., P]`."""
    from bojax.surrogates import _network

    inputs = _network.inputs_of(table, rows)
    flat = inputs.reshape(-1, inputs.shape[-1])
    _, hidden = _network.Network(*settings).apply(params, flat)
    scaled = hidden / math.sqrt(hidden.shape[-1])
    phi = jnp.concatenate([scaled, jnp.ones((flat.shape[0], 1), hidden.dtype)], axis=-1)
    return phi.reshape(*rows.shape[:-1], -1)


def _regression(theta, phi, values, count, known, mask):
    """A, b and the noise variances S at `theta` = (log alpha, log beta)."""
    alpha, beta = jnp.exp(theta[0]), jnp.exp(theta[1])
    noise = jnp.where(mask, beta / count + known, 1.0)
    weighted = jnp.where(mask, 1.0 / noise, 0.0)[:, None] * phi
    identity = jnp.eye(phi.shape[1], dtype=phi.dtype)
    return alpha * identity + weighted.T @ phi, values @ weighted, noise


def _factor(precision):
    """Cholesky factor of A, its diagonal raised by what rounding may have taken."""
    size = precision.shape[0]
    largest = jnp.max(jnp.diagonal(precision))
    least = LEAST_DIAGONAL * size * jnp.finfo(precision.dtype).eps * largest
    return cholesky(precision + least * jnp.eye(size, dtype=precision.dtype))


def _root(precision):
    return inverse_transposed(_factor(precision))


def _log_evidence(theta, phi, values, count, known, mask):
    """log p(y | theta) p(theta)."""
    precision, projection, noise = _regression(theta, phi, values, count, known, mask)
    lower = _factor(precision)
    half = jax.lax.linalg.triangular_solve(lower, projection[:, None], left_side=True, lower=True)
    size, n = phi.shape[1], jnp.sum(mask.astype(phi.dtype))
    total = size * theta[0] - 2.0 * jnp.sum(jnp.log(jnp.diagonal(lower)))
    total -= jnp.sum(jnp.where(mask, jnp.log(noise) + values**2 / noise, 0.0))
    total += jnp.sum(half**2) - n * math.log(2.0 * math.pi)
    for log, (location, scale) in zip(theta, (ALPHA, BETA), strict=True):
        total -= ((log - location) / scale) ** 2
    return 0.5 * total


def _best_evidence(*evidence):
    """Log alpha and log beta of the highest evidence from several starts, and the evidence."""
    dtype = evidence[0].dtype
    low, high = jnp.asarray(LOW, dtype), jnp.asarray(HIGH, dtype)
    slope = jax.value_and_grad(lambda theta: -_log_evidence(theta, *evidence))
    results = jax.vmap(
        lambda start: minimize(slope, start, low, high, most_evaluations=40, tolerance=1e-4)
    )(jnp.asarray(STARTS, dtype))
    values = jnp.where(jnp.isfinite(results.value), results.value, jnp.inf)
    best = jnp.argmin(values)
    return results.x[best], -values[best]
