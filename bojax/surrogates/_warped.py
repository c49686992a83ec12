"""A surrogate of warped values that predicts in the values' own unit.

With f the fitted transform and g the function that the surrogate believes f(values) to be,
what is predicted is f^-1(g), whose moments under a normal g are integrals against the normal
density (Snelson, Rasmussen & Ghahramani 2004, "Warped Gaussian Processes", section 3.2). They
are taken by Gauss-Hermite quadrature (Abramowitz & Stegun 25.4.46). Covariances use the same
nodes: for standard normal a, b of correlation r,

    cov(u(a), v(b)) = sum over k >= 1 of u_k v_k r^k,    u_k = E[u(a) He_k(a)] / sqrt(k!)

(Mehler's formula), whose diagonal is the quadrature's variance, and which has no negative
eigenvalue.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bojax.configuration import jit
from bojax.errors import DataError
from bojax.history import capacity_for
from bojax.pytrees import pytree
from bojax.surrogates import transforms
from bojax.surrogates._gp.posterior import SMALLEST_VARIANCE, Posterior
from bojax.surrogates.data import Data

# Exact for polynomials of degree 63. Of smooth inverses (powers, logarithms) 16 nodes would do;
# where one has a corner, 32 leave up to 1 % of a deviation in mean and deviation, 16 leave 2 %.
NODE_COUNT = 32
PREDICTS = ("function", "observation")


def _quadrature(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes and weights for a standard normal, and `[count, count]` He_k / sqrt(k!) there."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(count)
    basis = [np.ones(count), nodes]
    for k in range(1, count - 1):
        basis.append((nodes * basis[k] - math.sqrt(k) * basis[k - 1]) / math.sqrt(k + 1))
    return nodes, weights / weights.sum(), np.stack(basis)


NODES, WEIGHTS, BASIS = _quadrature(NODE_COUNT)


@pytree
@dataclass(frozen=True)
class Warped:
    """A surrogate fitted to transformed values.

    Attributes:
        surrogate: what is fitted to them.
        transform: of :mod:`bojax.surrogates.transforms`.
        predicts: "function", what the surrogate itself predicts (a Gaussian process: the
            noise-free function), or "observation", a new value with its noise.

    Example:
        >>> import bojax
        >>> bojax.surrogates.warped(bojax.surrogates.gp(), "rank").surrogate.kernel
        'matern52'
    """

    surrogate: Any
    transform: Any
    predicts: str = field(default="function", metadata={"static": True})

    def __post_init__(self) -> None:
        if self.predicts not in PREDICTS:
            raise ValueError(
                f"warped: predicts must be one of {', '.join(PREDICTS)}, got {self.predicts!r}."
            )

    def fit(self, key, data: Data, warm=None) -> tuple[WarpedPosterior, Any]:
        """Fit to observations, on the host or under `jit`, as the surrogate does.

        A known variance is that of the warped value, by quadrature through the transform.

        Args:
            key: `jax.random.key`, for the surrogate.
            data: :class:`Data`. A value that is not finite takes no part in the transform.
            warm: of the surrogate's `fit`.

        Returns:
            `(WarpedPosterior, info of the surrogate)`.

        Raises:
            DataError: shapes that do not fit, or what the surrogate refuses (host only).
        """
        further = () if warm is None else (warm,)
        if _traced((key, data)):
            dtype = jnp.asarray(data.rows).dtype
            given = jnp.asarray(data.values, dtype)
            usable = True if data.mask is None else data.mask
            known = 0.0 if data.variance is None else data.variance
            found = _warp(
                self.transform,
                given,
                jnp.broadcast_to(jnp.asarray(known, dtype), given.shape),
                jnp.broadcast_to(jnp.asarray(usable), given.shape),
            )
            posterior, info = self.surrogate.fit(key, _replaced(data, *found[1:3]), *further)
            noise = _noise_of(posterior)
            there = _noise_there(found[0], found[1], found[3], jnp.asarray(noise, dtype))
        else:
            values, variance, mask = _columns(data)
            n, room = len(values), capacity_for(len(values)) - len(values)
            padded = (np.pad(x, (0, room)) for x in (values, variance, mask))
            with jax.enable_x64(True):
                found = jax.tree.map(np.asarray, _warp_program(self.transform, *padded))
            told = _replaced(data, found[1][:n], found[2][:n])
            posterior, info = self.surrogate.fit(key, told, *further)
            noise = _noise_of(posterior)
            with jax.enable_x64(True):
                there = np.asarray(_noise_program(found[0], found[1], found[3], noise))
        return WarpedPosterior(posterior, found[0], noise, there, found[4], self.predicts), info


@pytree
@dataclass(frozen=True)
class WarpedPosterior:
    """The posterior of a surrogate of warped values, in the values' unit.

    Mean and variance are those of the inverse of the transform under a normal belief, by
    quadrature with 32 nodes; samples go through the inverse. A variance is at least 1e-12 of
    that of the observed values: a transform may leave none.

    Attributes:
        posterior: of the warped values.
        transform: fitted.
        warped_noise: variance of the noise of a warped value.
        observed_noise: variance that it gives an observed value, in the values' unit squared,
            averaged over the observations.
        scale: standard deviation of the observed values.
        predicts: "function" or "observation"; all methods give the one or the other.

    Example:
        >>> import jax, numpy as np
        >>> import bojax
        >>> rows = np.linspace(0, 1, 8)[:, None]
        >>> surrogate = bojax.surrogates.warped(bojax.surrogates.gp(), "box_cox")
        >>> posterior, _ = surrogate.fit(
        ...     jax.random.key(0), bojax.surrogates.Data(rows, np.exp(9 * rows[:, 0])))
        >>> mean, variance = posterior.mean_and_variance(rows)
        >>> bool((mean > 0).all()), bool(mean[7] > 1000 * mean[0])
        (True, True)
    """

    posterior: Any
    transform: Any
    warped_noise: Any
    observed_noise: Any
    scale: Any
    predicts: str = field(default="function", metadata={"static": True})

    @property
    def noise(self):
        """What to add to the variance for that of a new observation, one number for all rows.

        0 if it is observations that are predicted. Otherwise it is an average, since the same
        noise of a warped value is more of it where the transform is flat.
        """
        return 0.0 if self.predicts == "observation" else self.observed_noise

    def mean_and_variance(self, rows):
        """At `[..., D]` rows: two arrays `[...]`, in the values' unit and its square."""
        mean, variance = self.posterior.mean_and_variance(rows)
        return self._run("moments", mean, variance, self._added)

    def joint(self, rows):
        """Mean `[Q]` and covariance `[Q, Q]` at `[Q, D]` rows."""
        mean, covariance = self.posterior.joint(rows)
        return self._run("joint", mean, covariance, self._added)

    def sample(self, key, rows, n: int):
        """`[n, Q]` draws at `[Q, D]` rows."""
        drawn = self.posterior.sample(key, rows, n)
        if self.predicts == "function":
            return self._run("inverse", drawn)
        return self._run("noisy", drawn, self._added, jax.random.key_data(key))

    def condition(self, rows, values) -> WarpedPosterior:
        """The posterior after Q more observations, in the values' unit; no transform is refitted.

        The average of the noise stays that of the first observations.
        """
        warped = self._run("forward", values)
        return WarpedPosterior(
            self.posterior.condition(rows, warped),
            self.transform,
            self.warped_noise,
            self.observed_noise,
            self.scale,
            self.predicts,
        )

    @property
    def _added(self):
        return self.warped_noise if self.predicts == "observation" else 0.0

    def _run(self, name: str, first, *others):
        """A function of the table below: compiled on the host, and in the first's precision."""
        if _traced((self, first, others)):
            return _STEPS[name](self.transform, self.scale, jnp.asarray(first), *others)
        first = np.asarray(first) if hasattr(first, "dtype") else np.asarray(first, float)
        if first.dtype not in (np.float32, np.float64):
            first = first.astype(float)
        with jax.enable_x64(first.dtype == np.float64):
            arguments = jax.tree.map(np.asarray, (self.transform, self.scale, first, *others))
            result = _PROGRAMS[name](*arguments)
            return jax.tree.map(np.asarray, result)


def warped(surrogate: Any, transform: Any = "yeo_johnson", *, predicts: str = "function") -> Warped:
    """A surrogate fitted to transformed values, behind the same protocol.

    Args:
        surrogate: anything with `fit(key, data) -> (posterior, info)`.
        transform: a name ("yeo_johnson", "box_cox", "winsorize", "rank", "half_rank",
            "log_warp", "standardize", and "hebo" and "vizier" as HEBO 0.3.6 and OSS Vizier
            0.1.24 have it), a transform, or a tuple of them, the first one first. Ax 1.3
            takes "winsorize".
        predicts: "function", what the surrogate predicts, whose posterior has a `noise` that
            is right on average; "observation", a new value, whose noise is right everywhere
            and within the variance. Score the second.

    Returns:
        :class:`Warped`.

    Raises:
        ValueError: a transform or a prediction of another name.

    Example:
        >>> import jax, numpy as np
        >>> import bojax
        >>> rows = np.linspace(0, 1, 12)[:, None]
        >>> data = bojax.surrogates.Data(rows, np.exp(6 * rows[:, 0]))
        >>> surrogate = bojax.surrogates.warped(bojax.surrogates.gp(), "yeo_johnson")
        >>> posterior, info = surrogate.fit(jax.random.key(0), data)
        >>> mean, _ = posterior.mean_and_variance(np.array([[0.5]]))
        >>> bool(abs(mean[0] - np.exp(3)) < 2)
        True
    """
    return Warped(surrogate, transforms.named(transform), predicts)


# ------------------------------------------------------------------------------- under a fit


def _warp(transform, values, variance, mask):
    """The fitted transform, warped values and variances, their mask, the values' deviation."""
    usable = mask & jnp.isfinite(values)
    kept = jnp.where(usable, values, 0.0)
    fitted = transform.fit(kept, usable)
    warped = fitted(kept)
    _, known = _through(fitted, kept, variance, 0.0)
    known = jnp.where(variance > 0, known, variance)  # what is refused is refused by the surrogate
    _, _, scale = transforms.standardize(kept, usable)
    return (
        fitted,
        jnp.where(usable, warped, values),
        jnp.where(usable, known, variance),
        usable,
        scale,
    )


def _noise_there(fitted, warped, mask, noise):
    """Mean variance that noise gives the inverse around `[N]` warped values."""
    kept = jnp.where(mask, warped, 0.0)
    _, variance = _through(fitted.inverse, kept, noise, 0.0)
    n = jnp.maximum(jnp.sum(mask.astype(kept.dtype)), 1.0)
    return jnp.sum(jnp.where(mask, variance / n, 0.0))


_warp_program, _noise_program = jit(_warp), jit(_noise_there)


def _columns(data: Data) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, variance and mask of host data, one a row."""
    n = len(np.atleast_2d(np.asarray(data.rows)))
    values = np.asarray(data.values, float)
    variance = np.zeros(n) if data.variance is None else np.asarray(data.variance, float)
    mask = np.ones(n, bool) if data.mask is None else np.asarray(data.mask, bool)
    for name, column in (("values", values), ("variance", variance), ("mask", mask)):
        if column.shape != (n,):
            raise DataError(f"{name}: expected one a row, shape ({n},), got shape {column.shape}.")
    return values, variance, mask


def _replaced(data: Data, values, variance) -> Data:
    known = None if data.variance is None else variance
    return Data(data.rows, values, known, data.count, data.mask, data.table)


def _noise_of(posterior):
    """Variance of a new value's noise, in the unit that the posterior predicts in."""
    if isinstance(posterior, Posterior):  # keeps it in units of standardised values
        if _traced((posterior.noise, posterior.scale)):
            return posterior.noise * posterior.scale**2
        return np.asarray(posterior.noise) * np.asarray(posterior.scale) ** 2
    return getattr(posterior, "noise", 0.0)


def _traced(tree) -> bool:
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(tree))


# ------------------------------------------------------------------------ under a prediction


def _through(function: Callable, mean, variance, floor):
    """Mean and variance of a function of normal numbers, `[...]` each; heights by the way."""
    nodes, weights = jnp.asarray(NODES, mean.dtype), jnp.asarray(WEIGHTS, mean.dtype)
    deviation = jnp.sqrt(jnp.asarray(variance, mean.dtype))
    largest = 0.25 * jnp.finfo(mean.dtype).max
    at = mean[..., None] + deviation[..., None] * nodes
    centred, centre, unit = _centred(function(jnp.clip(at, -largest, largest)), weights)
    return centre, jnp.maximum(unit**2 * (centred**2 @ weights), floor)


def _centred(heights, weights):
    """Heights less their mean, in a unit in which squares do not overflow; mean, unit."""
    centre = heights @ weights
    centred = heights - centre[..., None]
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(centred)))
    unit = jnp.where(largest > 0, largest, 1.0)
    return centred / unit, centre, unit


def _at(dtype, fitted, scale):
    """A fitted transform and the least variance, in a precision."""

    def cast(x):
        x = jnp.asarray(x)
        return x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x

    fitted = jax.tree.map(cast, fitted)
    least = jnp.finfo(dtype).tiny
    return fitted, jnp.maximum(SMALLEST_VARIANCE * cast(scale) ** 2, least)


def _moments(fitted, scale, mean, variance, noise):
    fitted, floor = _at(mean.dtype, fitted, scale)
    return _through(fitted.inverse, mean, variance + jnp.asarray(noise, mean.dtype), floor)


def _joint(fitted, scale, mean, covariance, noise):
    dtype = mean.dtype
    fitted, floor = _at(dtype, fitted, scale)
    nodes, weights = jnp.asarray(NODES, dtype), jnp.asarray(WEIGHTS, dtype)
    total = jnp.diagonal(covariance) + jnp.asarray(noise, dtype)
    deviation = jnp.sqrt(jnp.maximum(total, jnp.finfo(dtype).tiny))
    heights = fitted.inverse(mean[:, None] + deviation[:, None] * nodes)
    centred, centre, unit = _centred(heights, weights)
    parts = centred @ jnp.asarray(WEIGHTS * BASIS, dtype).T  # [Q, K], the first of them 0
    correlation = covariance / deviation[:, None] / deviation[None, :]
    identity = jnp.eye(len(mean), dtype=dtype)
    correlation = jnp.clip(correlation, -1.0, 1.0) * (1.0 - identity) + identity

    def add(sum_so_far, part):  # Horner's scheme, the highest power first
        return correlation * (sum_so_far + part[:, None] * part[None, :]), None

    found, _ = jax.lax.scan(add, jnp.zeros_like(covariance), parts.T[:0:-1])
    found = unit**2 * found
    missing = jnp.maximum(floor - jnp.diagonal(found), 0.0)
    return centre, found + jnp.diag(missing)


def _inverse(fitted, scale, values):
    return _at(values.dtype, fitted, scale)[0].inverse(values)


def _forward(fitted, scale, values):
    return _at(values.dtype, fitted, scale)[0](values)


def _noisy(fitted, scale, values, noise, bits):
    key = jax.random.fold_in(jax.random.wrap_key_data(bits), 1)
    normal = jax.random.normal(key, values.shape, values.dtype)
    return _inverse(fitted, scale, values + jnp.sqrt(jnp.asarray(noise, values.dtype)) * normal)


_STEPS: dict[str, Callable[..., Any]] = {
    "moments": _moments,
    "joint": _joint,
    "inverse": _inverse,
    "forward": _forward,
    "noisy": _noisy,
}
_PROGRAMS = {name: jit(step) for name, step in _STEPS.items()}
