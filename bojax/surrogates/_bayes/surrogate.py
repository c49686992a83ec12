"""The surrogate: data in, a mixture of Gaussian processes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bojax.configuration import jit, single_threaded
from bojax.errors import DataError
from bojax.kernels.kernel import Columns, Kernel
from bojax.kernels.parameter import is_parameter, parameters, unpack
from bojax.pytrees import pytree
from bojax.surrogates._bayes import density, nuts, slices
from bojax.surrogates._bayes.diagnostics import effective_samples, split_r_hat
from bojax.surrogates._bayes.posterior import AXES, BayesianPosterior
from bojax.surrogates._gp import objective
from bojax.surrogates._gp.recipes import FAMILIES
from bojax.surrogates._gp.surrogate import GP, _posterior, pad_data
from bojax.surrogates.data import Data

SAMPLERS = ("nuts", "slice")
# As Ax 1.3 and BoTorch 0.18 run SAAS: 512 transitions of warm-up, 256 after it, of which every
# 16th is kept, trajectories of at most 2^6 - 1 steps, a dense mass matrix.
WARM_UP, SAMPLES, THIN, DEPTH = 512, 256, 16, 6
TARGET_ACCEPTANCE = 0.8  # Stan's and NumPyro's
# A. Gelman & D. B. Rubin's (1992) bound; below it more samples change means by little. The
# stricter 1.01 of later work is for four chains of a thousand states.
LARGEST_R_HAT = 1.1


class BayesianInfo(NamedTuple):
    """How the sampling went; P hyperparameters, S samples.

    Attributes:
        theta: `[M]` the last state, unconstrained; warm start of the next fit.
        samples: `[S, P]` the hyperparameters themselves (see :meth:`BayesianGP.names`), before
            thinning.
        log_density: `[S]` of the unconstrained variables, normalised but for the evidence.
        acceptance: average acceptance probability.
        divergences: of NUTS after the warm-up; many mean that a region was not reached.
        evaluations: of the log density, warm-up included.
        r_hat: `[P]` split R-hat of the logarithms; 1 is best.
        ess: `[P]` effective sample size of their means; of what is frozen, S and R-hat 1.
        converged: whether the largest R-hat is at most 1.1.

    Example:
        >>> import bojax
        >>> bojax.surrogates.BayesianInfo._fields[:2]
        ('theta', 'samples')
    """

    theta: Any
    samples: Any
    log_density: Any
    acceptance: Any
    divergences: Any
    evaluations: Any
    r_hat: Any
    ess: Any
    converged: Any


@pytree
@dataclass(frozen=True)
class BayesianGP:
    """A Gaussian process averaged over the posterior of its hyperparameters.

    Values are standardised; the mean is integrated out, with a standard normal prior.

    Attributes:
        gp: whose kernel is used, and whose treatment of the data.
        prior: "saas", or "bojax", that of :func:`bojax.surrogates.gp`.
        sampler: "nuts" (needs blackjax) or "slice".
        warm_up: transitions that are thrown away.
        samples: transitions after them.
        thin: every so many of them are kept for predictions.
        depth: of NUTS; a trajectory has at most 2^depth - 1 steps.
        dense: of NUTS; a full mass matrix, not a diagonal one.
        target_acceptance: of NUTS; higher means smaller steps and fewer divergences.

    Example:
        >>> import jax, numpy as np
        >>> import bojax
        >>> rows = np.linspace(0, 1, 8)[:, None]
        >>> data = bojax.surrogates.Data(rows, rows[:, 0] ** 2)
        >>> surrogate = bojax.surrogates.bayesian_gp(sampler="slice", warm_up=20, samples=32)
        >>> posterior, info = surrogate.fit(jax.random.key(0), data)
        >>> info.samples.shape[0], posterior.members.noise.shape
        (32, (2,))
    """

    gp: GP
    prior: str = field(default="saas", metadata={"static": True})
    sampler: str = field(default="nuts", metadata={"static": True})
    warm_up: int = field(default=WARM_UP, metadata={"static": True})
    samples: int = field(default=SAMPLES, metadata={"static": True})
    thin: int = field(default=THIN, metadata={"static": True})
    depth: int = field(default=DEPTH, metadata={"static": True})
    dense: bool = field(default=True, metadata={"static": True})
    target_acceptance: float = field(default=TARGET_ACCEPTANCE, metadata={"static": True})

    def __post_init__(self) -> None:
        for name, known in (("prior", density.PRIORS), ("sampler", SAMPLERS)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"bayesian_gp: {name} must be one of {', '.join(known)}, "
                    f"got {getattr(self, name)!r}."
                )
        for name, least in (("warm_up", 1), ("samples", 4), ("thin", 1), ("depth", 1)):
            if getattr(self, name) < least:
                raise ValueError(
                    f"bayesian_gp: {name} must be at least {least}, got {getattr(self, name)}."
                )
        if self.thin > self.samples:
            raise ValueError(
                f"bayesian_gp: thin must not exceed samples, got thin={self.thin}, "
                f"samples={self.samples}; nothing would be kept."
            )
        if not 0 < self.target_acceptance < 1:
            raise ValueError(
                "bayesian_gp: target_acceptance must be between 0 and 1, got "
                f"{self.target_acceptance}."
            )
        if self.prior == "saas" and isinstance(self.gp, GP) and self.gp.kernel == "custom":
            raise ValueError(
                "bayesian_gp: prior='saas' is one of length scales, so it takes the name of a "
                f"kernel ({', '.join(FAMILIES)}); a kernel of one's own has its own priors: "
                "prior='bojax'."
            )

    def fit(self, key, data: Data, warm=None) -> tuple[BayesianPosterior, BayesianInfo]:
        """Sample hyperparameters given observations, on the host or under `jit`.

        On the host (NumPy data) the work is done in float64, padded to a capacity, by one
        compiled program a (columns, capacity); under a trace, in the trace's precision.

        Args:
            key: `jax.random.key`, for the chain.
            data: :class:`Data`.
            warm: `Info.theta` of an earlier fit: the chain begins there.

        Returns:
            `(BayesianPosterior, BayesianInfo)`.

        Raises:
            DataError: shapes that do not fit, rows that are not finite, variances below 0 or
                counts below 1 (host only). A value that is not finite is left out.
            ImportError: `sampler="nuts"` without blackjax.
        """
        if self.sampler == "nuts":
            nuts.require()
        if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves((key, data))):
            return self.fit_pure(key, data, warm)
        padded = pad_data(_ordered(pad_data(data)))
        with jax.enable_x64(True), single_threaded(len(padded.values)):
            bits = np.asarray(jax.random.key_data(key))
            size = self._variables(padded.rows.shape[1])
            theta = np.full(size, np.nan) if warm is None else np.asarray(warm, float)
            if theta.shape != (size,):
                raise DataError(
                    "warm: expected the theta of an earlier fit with this kernel and prior, "
                    f"shape ({size},), got shape {theta.shape}."
                )
            posterior, info = _fit_program(self, bits, padded, theta)
            return jax.block_until_ready(posterior), jax.tree.map(np.asarray, info)

    def fit_pure(self, key, data: Data, warm=None):
        """The traceable fit. A `warm` with a NaN is none."""
        evidence, shift, scale = self.gp.evidence(data)
        dtype = evidence.values.dtype
        model = self._model(evidence.columns)
        model = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), model)
        target = density.target(model, evidence)
        start = target.start
        if warm is not None:
            start = jnp.where(jnp.all(jnp.isfinite(warm)), warm, start)
        if self.sampler == "nuts":
            chain = nuts.sample(
                key,
                target.log_density,
                start,
                warm_up=self.warm_up,
                samples=self.samples,
                depth=self.depth,
                dense=self.dense,
                target_acceptance=self.target_acceptance,
            )
        else:
            chain = slices.sample(
                key,
                target.log_density,
                start,
                target.free,
                warm_up=self.warm_up,
                samples=self.samples,
            )
        thetas = jax.vmap(target.theta)(chain.positions)
        logs = jax.vmap(lambda theta: objective.full(unpack(model, theta), lambda p: p.log))(thetas)
        free = objective.full(model, lambda p: p.free)
        r_hat = jnp.where(free, split_r_hat(logs), 1.0)
        ess = jnp.where(free, effective_samples(logs), float(self.samples))
        info = BayesianInfo(
            chain.positions[-1],
            jnp.exp(logs),
            chain.log_density,
            chain.acceptance,
            chain.divergences,
            chain.evaluations,
            r_hat,
            ess,
            jnp.all(r_hat <= LARGEST_R_HAT),
        )

        def member(theta):
            at = unpack(model, theta)
            gram = at.kernel.gram(evidence.features, evidence.features)
            diagonal, noise = at.kernel.diagonal(evidence.features), at.noise.value
            factors = objective.factorise(gram, diagonal, evidence, noise, at.mean)
            return _posterior(at, factors, evidence, shift, scale, data.table)

        kept = thetas[self.thin - 1 :: self.thin]
        members = jax.vmap(member, out_axes=AXES)(kept)
        return BayesianPosterior(members, jnp.mean(members.noise) * scale**2), info

    def names(self, columns: int) -> list[str]:
        """What the hyperparameters of `Info.samples` are called, for D columns.

        Columns are padded to a class, the rest are frozen.

        Example:
            >>> import bojax
            >>> bojax.surrogates.bayesian_gp().names(1)
            ['length_scale[0]', 'gap[0]', 'scale', 'variance', 'noise']
        """
        model = self._model(Columns.plain(columns))
        found = []
        for path, p in jax.tree_util.tree_flatten_with_path(model, is_leaf=is_parameter)[0]:
            if is_parameter(p):
                own = jax.tree_util.keystr(path[-1:], simple=True)
                size = np.shape(p.raw)
                found += [f"{own}[{i}]" for i in range(size[0])] if size else [own]
        return found

    def _model(self, columns: Columns):
        return density.model_of(self.prior, str(self.gp.kernel), self.gp.custom, columns)

    def _variables(self, columns: int) -> int:
        """M, the length of `Info.theta`."""
        raws = jax.eval_shape(
            lambda: [p.raw for p in parameters(self._model(Columns.plain(columns)))]
        )
        return sum(raw.size for raw in raws) + (self.prior == "saas")


def bayesian_gp(
    *,
    prior: str = "saas",
    sampler: str = "nuts",
    kernel: str | Kernel = "matern52",
    warm_up: int = WARM_UP,
    samples: int = SAMPLES,
    thin: int = THIN,
    depth: int = DEPTH,
    dense: bool = True,
    target_acceptance: float = TARGET_ACCEPTANCE,
) -> BayesianGP:
    """A Gaussian process with fully Bayesian hyperparameters; see :class:`BayesianGP`.

    With few observations, or many columns of which few matter, hyperparameters are uncertain
    and a single setting is overconfident. It costs some thousand evaluations where the MAP fit
    takes some dozen.

    Args:
        prior: "saas" (sparse axis-aligned subspaces: most columns are switched off) or "bojax".
        sampler: "nuts", or "slice", which needs no blackjax and compiles faster.
        kernel: a family's name; with `prior="bojax"` also a kernel of :mod:`bojax.kernels`.
        warm_up, samples, thin: `samples // thin` sets of hyperparameters are kept.
        depth, dense, target_acceptance: of NUTS.

    Raises:
        ValueError: a setting that is none.

    References:
        D. Eriksson and M. Jankowiak, "High-dimensional Bayesian optimization with sparse
        axis-aligned subspaces", UAI 2021.

    Example:
        >>> import bojax
        >>> bojax.surrogates.bayesian_gp().prior
        'saas'
    """
    custom = kernel if isinstance(kernel, Kernel) else None
    if custom is None and kernel not in FAMILIES:
        raise ValueError(
            f"bayesian_gp: kernel must be one of {', '.join(FAMILIES)}, or a kernel of "
            f"bojax.kernels, got {kernel!r}."
        )
    own = GP(kernel="custom" if custom is not None else str(kernel), custom=custom)
    return BayesianGP(own, prior, sampler, warm_up, samples, thin, depth, dense, target_acceptance)


def _ordered(data: Data) -> Data:
    """The lines that count, sorted: their order and what is masked must not change the fit.

    Another order is other rounding, and a chain makes of 1e-16 another chain within a few
    hundred transitions.
    """
    order = np.lexsort((data.values, data.variance, data.count, *data.rows.T[::-1]))
    order = order[data.mask[order]]
    return Data(
        data.rows[order],
        data.values[order],
        data.variance[order],
        data.count[order],
        table=data.table,
    )


@jit
def _fit_program(surrogate: BayesianGP, bits, data: Data, warm):
    key = jax.random.wrap_key_data(bits)
    return surrogate.fit_pure(key, data, warm)
