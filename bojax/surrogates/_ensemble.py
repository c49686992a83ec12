"""Deep ensembles: several networks with a mean and a variance each, trained as one population.

B. Lakshminarayanan, A. Pritzel and C. Blundell, "Simple and scalable predictive uncertainty
estimation using deep ensembles", NeurIPS 2017, algorithm 1. Member m predicts
N(mu_m(x), sigma_m^2(x)), sigma^2 = softplus(.) + 1e-3, and minimises (eq. 1)

    -log p(y | x) = log sigma^2 / 2 + (y - mu)^2 / (2 sigma^2) + constant.

The ensemble is their equal mixture. Members differ in their start alone, which the paper
found enough (section 2.4); the adversarial examples, of which it found little in regression,
are left out. The paper's data sets are larger. Here all data are one batch, and each member
has a Gaussian prior around the start it was drawn at (T. Pearce, F. Leibfried and A. Brintrup,
"Uncertainty in neural networks: approximately Bayesian ensembling", AISTATS 2020): where no
data contradict them, members stay as different as they began.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bojax.configuration import jit
from bojax.pytrees import pytree
from bojax.surrogates import _mixture
from bojax.surrogates._lines import at_own_precision, host_data, is_traced, lines_of
from bojax.surrogates.data import Data
from bojax.surrogates.transforms import standardize

# Lakshminarayanan et al. (2017), section 3.3: five networks, one hidden layer of 50 ReLU.
MEMBERS, WIDTH, DEPTH, ACTIVATION = 5, 50, 1, "relu"
# Of standardised values. The paper's 1e-6 makes the density so stiff that the same lines in
# another order ended 0.04 apart.
LEAST_VARIANCE = 1e-3
# On Friedman's first function (30 points, 10 columns, three splits) the log density of a point
# was -1.3 with this prior around the start, -2.3 with a third of its precision, and at best
# -4.3 with priors around 0; the error was the same within 0.02.
STEPS, LEARNING_RATE, PRECISION = 500, 0.01, 3.0
ACTIVATIONS = ("relu", "tanh")


class NetworkInfo(NamedTuple):
    """How the training of networks went.

    Attributes:
        params: at the end; warm start of the next fit.
        loss: of each network, negative log posterior density a line.

    Example:
        >>> import bojax
        >>> bojax.surrogates.NetworkInfo._fields
        ('params', 'loss')
    """

    params: Any
    loss: Any


@pytree
@dataclass(frozen=True)
class EnsemblePosterior:
    """Trained members, and the scale of the values.

    Attributes:
        params: of all members, each leaf `[M, ...]`.
        shift, scale: value = shift + scale * standardised.
        table: the space's table, or None.
        settings: the :class:`DeepEnsemble`'s width, depth and activation.
        noise: 0: the variance is that of an observation, the members' sigma^2 included.

    Example:
        >>> import jax, numpy as np
        >>> import bojax
        >>> rows = np.linspace(0, 1, 6)[:, None]
        >>> posterior, _ = bojax.surrogates.deep_ensemble(members=2, steps=20).fit(
        ...     jax.random.key(0), bojax.surrogates.Data(rows, rows[:, 0]))
        >>> posterior.joint(rows)[1].shape
        (6, 6)
    """

    params: Any
    shift: Any
    scale: Any
    table: Any
    settings: tuple = field(metadata={"static": True})
    noise: float = field(default=0.0, metadata={"static": True})

    @at_own_precision
    def mean_and_variance(self, rows):
        """Of an observation at `[..., D]` rows: two arrays `[...]`, values' unit."""
        mean, variance = _mixture.moments(*self.members(rows), LEAST_VARIANCE)
        return self.shift + self.scale * mean, self.scale**2 * variance

    @at_own_precision
    def joint(self, rows):
        """Mean `[Q]` and covariance `[Q, Q]` of observations at `[Q, D]` rows, values' unit."""
        mean, covariance = _mixture.joint(*self.members(rows), LEAST_VARIANCE)
        return self.shift + self.scale * mean, self.scale**2 * covariance

    @at_own_precision
    def sample(self, key, rows, n: int):
        """`[n, Q]` draws of observations at `[Q, D]` rows, a member each."""
        means, variances = self.members(rows)
        drawn = _mixture.sample(key, means, variances, LEAST_VARIANCE, n)
        return self.shift + self.scale * drawn

    def members(self, rows):
        """Standardised mean and variance of every member, `[..., D]` -> `[M, ...]` twice."""
        from bojax.surrogates import _network

        rows = jnp.asarray(rows, self.scale.dtype)
        inputs = _network.inputs_of(self.table, rows)
        flat = inputs.reshape(-1, inputs.shape[-1])
        network = _network.Network(*self.settings)
        means, variances = jax.vmap(lambda p: _heads(network.apply(p, flat)[0]))(self.params)
        shape = (means.shape[0], *rows.shape[:-1])
        return means.reshape(shape), variances.reshape(shape)


@pytree
@dataclass(frozen=True)
class DeepEnsemble:
    """Several Flax networks, trained together under `vmap`. Rows are of the unit cube.

    Attributes:
        members: how many.
        width, depth: units a hidden layer, hidden layers.
        activation: "relu" or "tanh".
        steps: of Adam on the whole data, its rate falling to 0.
        learning_rate: of the first step.
        precision: of the Gaussian prior around each weight's start, in units of the variance
            it is drawn with. A smaller one fits exact values closer and is sure of
            itself sooner.

    Example:
        >>> import bojax
        >>> bojax.surrogates.deep_ensemble(members=3).members
        3
    """

    members: int = field(default=MEMBERS, metadata={"static": True})
    width: int = field(default=WIDTH, metadata={"static": True})
    depth: int = field(default=DEPTH, metadata={"static": True})
    activation: str = field(default=ACTIVATION, metadata={"static": True})
    steps: int = field(default=STEPS, metadata={"static": True})
    learning_rate: Any = LEARNING_RATE
    precision: Any = PRECISION

    def fit(self, key, data: Data, warm=None) -> tuple[EnsemblePosterior, NetworkInfo]:
        """Fit to observations, on the host or under `jit`.

        On the host (NumPy data) the work is done in float64, padded to a capacity, by one
        compiled program a (size class, capacity); under a trace, in the trace's precision.

        Args:
            key: `jax.random.key`, for the starts.
            data: :class:`Data`. Known variances add to sigma^2; a value that is the mean of
                c replicates has sigma^2 / c.
            warm: `NetworkInfo.params` of an earlier fit: train on from there.

        Returns:
            `(EnsemblePosterior, NetworkInfo)`.

        Raises:
            DataError: as for :meth:`GP.fit` (host only).
        """
        if is_traced(key, data, warm):
            return self.fit_pure(key, data, warm)
        padded = host_data(data)
        with jax.enable_x64(True):
            posterior, info = _fit_program(self, key, padded, warm)
            return jax.block_until_ready(posterior), jax.tree.map(np.asarray, info)

    def fit_pure(self, key, data: Data, warm=None) -> tuple[EnsemblePosterior, NetworkInfo]:
        """The traceable fit."""
        from bojax.surrogates import _network

        lines = lines_of(data)
        dtype = lines.rows.dtype
        values, shift, scale = standardize(lines.values, lines.mask)
        known = lines.variance / jnp.maximum(scale**2, jnp.finfo(dtype).tiny)
        n = jnp.maximum(jnp.sum(lines.mask.astype(dtype)), 1.0)
        inputs = _network.inputs_of(data.table, lines.rows)
        settings = (self.width, self.depth, 2, self.activation)
        network = _network.Network(*settings)

        def loss(params, start):
            mean, variance = _heads(network.apply(params, inputs)[0])
            total = variance / lines.count + known
            density = 0.5 * (jnp.log(total) + (values - mean) ** 2 / total)
            fitted = jnp.sum(jnp.where(lines.mask, density, 0.0))
            return (fitted + 0.5 * self.precision * _network.distance(params, start)) / n

        def member(key, warm):
            start = network.init(key, inputs[:1])
            first = start if warm is None else warm
            return _network.train(
                lambda params: loss(params, start), first, self.steps, self.learning_rate
            )

        params, losses = jax.vmap(member)(jax.random.split(key, self.members), warm)
        posterior = EnsemblePosterior(params, shift, scale, data.table, settings)
        return posterior, NetworkInfo(params, losses)


def deep_ensemble(
    *,
    members: int = MEMBERS,
    width: int = WIDTH,
    depth: int = DEPTH,
    activation: str = ACTIVATION,
    steps: int = STEPS,
    learning_rate: float = LEARNING_RATE,
    precision: float = PRECISION,
) -> DeepEnsemble:
    """A deep ensemble as a surrogate; see :class:`DeepEnsemble` for the settings.

    Raises:
        ValueError: a setting out of range, naming it.

    Example:
        >>> import bojax
        >>> bojax.surrogates.deep_ensemble().width
        50
    """
    check(
        "deep_ensemble", members=members, width=width, depth=depth, steps=steps,
        activation=activation, learning_rate=learning_rate, precision=precision,
    )  # fmt: skip
    return DeepEnsemble(members, width, depth, activation, steps, learning_rate, precision)


def check(who: str, *, activation: str, learning_rate: float, precision: float, **counts: int):
    """Settings of networks are in range.

    Raises:
        ValueError: one is not; names it.
    """
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{who}: {name} must be at least 1, got {count}.")
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"{who}: activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}."
        )
    if not learning_rate > 0:
        raise ValueError(f"{who}: learning_rate must be above 0, got {learning_rate}.")
    if not precision >= 0:
        raise ValueError(f"{who}: precision must not be negative, got {precision}.")


def _heads(outputs):
    """Mean and variance `[N]` of a member's outputs `[N, 2]`."""
    return outputs[:, 0], jax.nn.softplus(outputs[:, 1]) + LEAST_VARIANCE


@jit
def _fit_program(surrogate: DeepEnsemble, key, data: Data, warm):
    return surrogate.fit_pure(key, data, warm)
