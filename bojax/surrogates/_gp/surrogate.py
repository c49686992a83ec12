"""The Gaussian-process surrogate: data in, posterior out."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bojax.configuration import jit, single_threaded
from bojax.errors import DataError
from bojax.history import merge_equal
from bojax.kernels.kernel import Columns, Kernel
from bojax.kernels.parameter import pack, unpack
from bojax.pytrees import pytree
from bojax.space import table as tables
from bojax.surrogates import transforms
from bojax.surrogates._gp import fit as fitting
from bojax.surrogates._gp import modes, objective
from bojax.surrogates._gp.objective import Evidence, Model, Within
from bojax.surrogates._gp.posterior import Posterior
from bojax.surrogates._gp.recipes import FAMILIES, NAMED, RECIPES
from bojax.surrogates._lines import features_of, host_data
from bojax.surrogates.data import Data

# Known variance, in units of that of all values, beyond which a value says nothing.
WORTHLESS = 1e12


@pytree
@dataclass(frozen=True)
class GP:
    """Gaussian process with a constant mean, ARD length scales and inferred noise.

    The default recipe has the priors, bounds and starting values of Hvarfner et al. (2024) as
    BoTorch 0.18 ships them; values are standardised, there is no output scale. Equal rows
    are merged before the fit, and the diagonal never falls below 4 n eps.

    Attributes:
        kernel: "matern52", "matern32", "matern12", "rbf" or "rational_quadratic"; None for the
            recipe's; "learning_curve", of configuration and budget, with priors of its own
            (:class:`bojax.kernels.LearningCurve`); "custom" where `custom` is given.
        recipe: see `bojax/surrogates/_gp/recipes.py`.
        screened: prior draws evaluated once at a full fit.
        kept: how many of the best of them are searched from.
        ensemble: 1 for the best mode of the hyperparameters; more for a mixture of so many
            distinct modes, as far as the searches (one more, from long length scales and much
            noise) found them, weighted by their evidence.
        conditional: whether a row in which a column does not exist is further, by a gap that is
            fitted, from one in which it does; False takes an inactive column at its default.
        custom: a kernel of :mod:`bojax.kernels`, used as it is in place of the recipe's.

    Example:
        >>> import jax, numpy as np
        >>> import bojax
        >>> rows = np.linspace(0, 1, 8)[:, None]
        >>> data = bojax.surrogates.Data(rows, rows[:, 0] ** 2)
        >>> posterior, info = bojax.surrogates.gp(kernel="rbf").fit(jax.random.key(0), data)
        >>> bool(info.converged)
        True
    """

    kernel: str | None = field(default=None, metadata={"static": True})
    recipe: str = field(default="bojax", metadata={"static": True})
    screened: int = field(default=12, metadata={"static": True})
    kept: int = field(default=2, metadata={"static": True})
    ensemble: int = field(default=1, metadata={"static": True})
    conditional: bool = field(default=False, metadata={"static": True})
    custom: Any = None

    def __post_init__(self) -> None:
        if self.recipe not in RECIPES:
            raise ValueError(
                f"gp: recipe must be one of {', '.join(RECIPES)}, got {self.recipe!r}."
            )
        if self.kernel is None:
            object.__setattr__(self, "kernel", RECIPES[self.recipe].family)
        if self.kernel not in {**FAMILIES, **NAMED} and self.kernel != "custom":
            raise ValueError(
                f"gp: kernel must be one of {', '.join((*FAMILIES, *NAMED))}, or a kernel of "
                f"bojax.kernels, got {self.kernel!r}."
            )
        if self.screened < 0 or not 0 <= self.kept <= self.screened:
            raise ValueError(
                f"gp: expected 0 <= kept <= screened, got kept={self.kept}, "
                f"screened={self.screened}."
            )

        if not 1 <= self.ensemble <= self.kept + 2:
            raise ValueError(
                f"gp: ensemble must be between 1 and kept + 2, the number of searches, got "
                f"{self.ensemble} with kept={self.kept}."
            )

    def fit(self, key, data: Data, warm=None) -> tuple[Any, fitting.Info]:
        """Fit to observations, on the host or under `jit`.

        On the host (NumPy data) the work is done in float64, padded to a capacity, by one
        compiled program a (columns, capacity); under a trace, in the trace's precision.

        Args:
            key: `jax.random.key`, for the starts.
            data: :class:`Data`.
            warm: `Info.theta` of an earlier fit: refit from there alone.

        Returns:
            `(Posterior, Info)`; with an ensemble a :class:`ModesPosterior`.

        Raises:
            DataError: shapes that do not fit, rows that are not finite, variances below 0 or
                counts below 1 (host only). A value that is not finite is left out.
        """
        if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((key, data))):
            return self.fit_pure(key, data, warm)
        padded = pad_data(data)
        with jax.enable_x64(True), single_threaded(len(padded.values)):
            bits = np.asarray(jax.random.key_data(key))
            starts = fitting.Starts(np.bool_(warm is not None), np.bool_(warm is None))
            size = self.hyperparameters(padded.rows.shape[1])
            theta = np.zeros(size) if warm is None else np.asarray(warm, float)
            if theta.shape != (size,):
                raise DataError(
                    f"warm: expected the theta of an earlier fit with this kernel, shape "
                    f"({size},), got shape {theta.shape}."
                )
            posterior, info = _fit_program(self, bits, padded, theta, starts)
            return jax.block_until_ready(posterior), jax.tree.map(np.asarray, info)

    def fit_pure(self, key, data: Data, warm=None, starts: fitting.Starts | None = None):
        """The traceable fit; without `starts` it is a refit where `warm` is given, else full."""
        evidence, shift, scale = self.evidence(data)
        model = self.model(evidence)
        if starts is None:
            starts = fitting.Starts(warm is not None, warm is None)
        warm = pack(model) if warm is None else warm
        if self.ensemble > 1:
            return self._modes(key, data, model, evidence, warm, starts, shift, scale)
        search = fitting.fit if evidence.mask.shape[0] <= fitting.LARGE else fitting.fit_large
        info, factors = search(
            key, model, evidence, warm, starts, screened=self.screened, kept=self.kept
        )
        at = unpack(model, info.theta)
        return _posterior(at, factors, evidence, shift, scale, data.table), info

    def _modes(self, key, data: Data, model, evidence, warm, starts, shift, scale):
        found = fitting.search(
            key, model, evidence, warm, starts,
            screened=self.screened, kept=self.kept, wide=True,
        )  # fmt: skip
        ends = jnp.array([0, *range(self.screened + 1, found.values.shape[0])])
        thetas, values = found.thetas[ends], found.values[ends]
        log_evidences = jax.lax.map(
            lambda end: modes.log_evidence(end[0], end[1], model, evidence), (thetas, values)
        )
        free = objective.full(model, lambda p: p.free)
        chosen, shares = modes.distinct(thetas, log_evidences, free, self.ensemble)
        members = jax.lax.map(
            lambda theta: self.posterior_at(theta, data, evidence, shift, scale), thetas[chosen]
        )
        weights = jax.nn.softmax(shares)
        noise = jnp.sum(weights * members.noise) * scale**2
        return modes.ModesPosterior(members, weights, noise), fitting.best_of(found, model)

    def hyperparameters(self, columns: int) -> int:
        """P, the length of `Info.theta`, for D columns."""
        leaves, structure = jax.tree.flatten(self)
        return _size(structure, tuple(jnp.shape(leaf) for leaf in leaves), columns)

    def evidence(self, data: Data) -> tuple[Evidence, Any, Any]:
        """Merged, standardised observations, and the shift and scale of the values."""
        rows = jnp.asarray(data.rows)
        n, d = rows.shape
        dtype = rows.dtype
        values = jnp.asarray(data.values, dtype)
        zeros, ones = jnp.zeros(n, dtype), jnp.ones(n, dtype)
        variance = zeros if data.variance is None else jnp.asarray(data.variance, dtype)
        count = ones if data.count is None else jnp.asarray(data.count, dtype)
        mask = jnp.ones(n, bool) if data.mask is None else jnp.asarray(data.mask)
        used = jnp.ones(d, bool) if data.table is None else data.table.used
        gapped = jnp.zeros(d, bool)
        budget = jnp.zeros(d, bool) if data.table is None else data.table.role == tables.FIDELITY
        if self.conditional and data.table is not None:
            gapped = jnp.any(data.table.clauses.used, axis=(-1, -2))
        standardised, shift, scale = _standardize(values, mask, RECIPES[self.recipe].standardize)
        tiny = jnp.finfo(dtype).tiny  # the square of a scale of 1e-300 is 0
        variance = jnp.minimum(variance / jnp.maximum(scale**2, tiny), WORTHLESS)
        merged = merge_equal(rows, standardised, variance, count, mask)
        evidence = Evidence(
            features_of(data.table, rows),
            *merged[:4],
            Columns(used, gapped, jnp.sum(used.astype(dtype)), budget),
            Within(*merged[4:]),
        )
        return evidence, shift, scale

    def model(self, evidence: Evidence) -> Model:
        """Kernel and noise at the default start, for the evidence's columns."""
        recipe, model = RECIPES[self.recipe], self._model(evidence.columns)
        dtype = evidence.values.dtype
        model = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), model)
        if recipe.adapt is not None and self.kernel in FAMILIES:
            model = recipe.adapt(model, evidence)
        return model

    def _model(self, columns: Columns) -> Model:
        recipe = RECIPES[self.recipe]
        if self.kernel in NAMED:
            spec: Kernel = NAMED[str(self.kernel)]()
        elif self.kernel == "custom":
            spec = self.custom
        else:
            spec = recipe.kernel(FAMILIES[str(self.kernel)])
        return Model(spec.build(columns), recipe.noise, recipe.mean)

    def posterior_at(self, theta, data: Data, evidence, shift, scale) -> Posterior:
        """The posterior at given raw hyperparameters."""
        at = unpack(self.model(evidence), theta)
        gram = at.kernel.gram(evidence.features, evidence.features)
        diagonal, noise = at.kernel.diagonal(evidence.features), at.noise.value
        factors = objective.factorise(gram, diagonal, evidence, noise, at.mean)
        return _posterior(at, factors, evidence, shift, scale, data.table)


def _posterior(at: Model, factors, evidence: Evidence, shift, scale, table) -> Posterior:
    return Posterior(
        at.kernel,
        at.noise.value,
        factors.noise,
        evidence.features,
        evidence.mask,
        factors.upper,
        factors.whitened,
        factors.mean,
        shift,
        scale,
        table,
    )


def gp(
    *,
    kernel: str | Kernel | None = None,
    recipe: str = "bojax",
    screened: int = 12,
    kept: int = 2,
    ensemble: int = 1,
    conditional: bool = False,
) -> GP:
    """A Gaussian-process surrogate; see :class:`GP` for the settings.

    Args:
        kernel: a family's name or a kernel of :mod:`bojax.kernels`; its priors are the
            recipe's for a name, its own otherwise. None for the recipe's kernel.
        recipe: "bojax"; "tuning", whose tighter prior of the length scales suggests better and
            which the strategies use; or another library's: "botorch", "botorch-legacy", "optuna",
            "hebo", "vizier".
        screened, kept: starts of a full fit.
        ensemble: modes in a mixture, 1 for the best alone.
        conditional: whether existing and not existing are apart by a fitted gap.

    Example:
        >>> import bojax
        >>> bojax.surrogates.gp().kernel
        'matern52'
        >>> trend = bojax.kernels.Matern52() + bojax.kernels.Linear()
        >>> bojax.surrogates.gp(kernel=trend).kernel
        'custom'
    """
    if isinstance(kernel, Kernel):
        return GP("custom", recipe, screened, kept, ensemble, conditional, kernel)
    if kernel == "custom":
        raise ValueError("gp: kernel 'custom' is not a name; give the kernel itself.")
    return GP(kernel, recipe, screened, kept, ensemble, conditional)


@functools.cache
def _size(structure, shapes: tuple, columns: int) -> int:
    """Raw hyperparameters of a surrogate of this structure; tracing it takes milliseconds."""
    surrogate = jax.tree.unflatten(structure, [np.zeros(shape) for shape in shapes])
    found = jax.eval_shape(lambda: pack(surrogate._model(Columns.plain(columns))))
    return int(found.shape[0])


def _standardize(values, mask, how: str):
    """By a recipe's rule: `(standardised [N], shift, scale)`."""
    standardised, shift, scale = transforms.standardize(values, mask)
    if how == "sample":
        return standardised, shift, scale
    if how == "none":
        zero = jnp.zeros((), values.dtype)
        return jnp.where(mask, values, zero), zero, zero + 1.0
    n = jnp.sum(mask.astype(values.dtype))
    shrink = jnp.sqrt(jnp.maximum(n - 1.0, 1.0) / jnp.maximum(n, 1.0))
    return standardised / shrink, shift, scale * shrink


@jit
def _fit_program(surrogate: GP, bits, data: Data, warm, starts):
    key = jax.random.wrap_key_data(bits)
    return surrogate.fit_pure(key, data, warm, starts)


def lines_for(n: int) -> int:
    """Lines a fit on the host is padded to: at most 16 more up to 256, 64 more up to 1,024.

    A history grows line by line and has coarser capacities, which cost fewer programs; data
    are fitted again at the size they have, and half as many lines more are three times the work.

    Example:
        >>> from bojax.surrogates._gp.surrogate import lines_for
        >>> [lines_for(n) for n in (0, 50, 100, 200, 300, 2000)]
        [16, 64, 112, 208, 320, 2048]
    """
    step = 16 if n <= 256 else 64 if n <= 1024 else 256
    return max(16, -(-n // step) * step)


def pad_data(data: Data) -> Data:
    """Host data, checked and padded to :func:`lines_for` and a column class."""
    return host_data(data, lines_for)
