"""Sequential model-based optimisation with any surrogate and any acquisition.

The loop of D. R. Jones, M. Schonlau and W. J. Welch, Journal of Global Optimization 13
(1998), with both parts exchangeable: fit the surrogate, maximise the acquisition, evaluate.
Pending rows and earlier rows of a batch are believed to take their predicted mean (the
kriging believer of D. Ginsbourger, R. Le Riche and L. Carraro, 2010), by a fit each, so that a
surrogate needs no method but `fit`. Where the surrogate is bojax's own Gaussian process,
:func:`bojax.strategies.gp` conditions instead of fitting and is many times faster.
"""

from __future__ import annotations

from dataclasses import dataclass, field, is_dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bojax.acquisitions import LogEI
from bojax.history import History, Status
from bojax.pytrees import pytree
from bojax.space.table import SpaceTable
from bojax.strategies import protocol
from bojax.strategies._gp import (
    LANES,
    LOCAL_CANDIDATES,
    RECIPE,
    SOBOL_CANDIDATES,
    WARPS,
    observations,
)
from bojax.strategies._pool import best_row, candidate_pool
from bojax.strategies._sobol import Sobol
from bojax.strategies.protocol import Sizes
from bojax.surrogates import GP, Data


class State(NamedTuple):
    """The space, how many the design has, and suggestions asked so far."""

    table: SpaceTable
    initial: Any
    asked: Any


@pytree
@dataclass(frozen=True)
class Static:
    """Something that is no pytree, carried by one: compared and hashed as it is."""

    value: Any = field(metadata={"static": True})


@pytree
@dataclass(frozen=True)
class ModelBased:
    """A surrogate and an acquisition as a strategy; see :func:`model_based`.

    Example:
        >>> import bojax
        >>> type(bojax.strategies.model_based().acquisition).__name__
        'LogEI'
    """

    surrogate: Any = field(default_factory=lambda: GP(recipe=RECIPE))
    acquisition: Any = field(default_factory=LogEI)
    initial: Any = None
    warp: str = field(default="none", metadata={"static": True})
    candidates: int = field(default=SOBOL_CANDIDATES, metadata={"static": True})
    local: int = field(default=LOCAL_CANDIDATES, metadata={"static": True})
    lanes: int = field(default=LANES, metadata={"static": True})

    def init(self, table: SpaceTable, sizes: Sizes) -> State:
        """State before the first suggestion."""
        protocol.refuse_several("model_based", sizes)
        return State(table, protocol.initial_of(self.initial, table, sizes), np.int32(0))

    def ask(self, state: State, history: History, key, q: int, given=None, wanted=None):
        """`q` rows: the design's, or the maximisers of the acquisition one after the other."""
        given = protocol.nothing_given(history, q) if given is None else given
        wanted = jnp.asarray(q if wanted is None else wanted, jnp.int32)
        usable = jnp.sum(protocol.told_lines(history, jnp), dtype=jnp.int32)
        early = ((state.asked < state.initial) & (usable < state.initial)) | (usable < 2)
        return jax.lax.cond(
            early,
            lambda s: self.design(s, history, key, q, given, wanted),
            lambda s: self.suggest(s, history, key, q, given, wanted),
            state,
        )

    def tell(self, state: State, history: History) -> State:
        """Nothing: the fit happens in `ask`."""
        return state

    def design(self, state: State, history: History, key, q, given, wanted):
        """The next points of the centred Sobol design."""
        sobol = Sobol(centre=True)
        inner = sobol.init(state.table, Sizes())._replace(asked=state.asked)
        inner, rows, info = sobol.ask(inner, history, key, q, given, wanted)
        return state._replace(asked=inner.asked), rows, info

    def suggest(self, state: State, history: History, key, q, given, wanted):
        """Rows by the model."""
        table, (n, d) = state.table, history.rows.shape
        surrogate, acquisition = _bare(self.surrogate), _bare(self.acquisition)
        shift = protocol.shift_of(key, d)
        data = _with_room(observations(history, table, WARPS[self.warp]), q)
        pending = jnp.concatenate([history.status == Status.PENDING, jnp.zeros(q, bool)])
        posterior, _ = surrogate.fit(jax.random.fold_in(key, 2**30), data)
        data = _believe(data, posterior, pending)

        def one(i, data, taken):
            number = state.asked + i
            keys = jax.random.split(jax.random.fold_in(key, number), 6)
            at = jax.lax.dynamic_index_in_dim(given, i, keepdims=False)
            posterior, _ = surrogate.fit(keys[5], data)
            drawn = _drawn(acquisition, jax.random.fold_in(keys[5], 1))
            means = _moments(posterior, data.rows)[0]
            means = jnp.where(data.mask, means, jnp.inf)
            incumbent, leader = jnp.min(means), data.rows[jnp.argmin(means)]

            def height(candidates):
                return drawn((posterior,), candidates[:, None, :], incumbent)

            pool = candidate_pool(
                keys, table, leader, at, number, shift,
                candidates=self.candidates, local=self.local,
            )  # fmt: skip
            found = best_row(height, table, keys[4], pool, at, taken, self.lanes)
            line = n + i
            data = replace(data, rows=data.rows.at[line].set(found.row))
            data = _believe(data, posterior, jnp.arange(n + q, dtype=jnp.int32) == line)
            # A model that predicts nothing must not pass for one: the row says so.
            row = jnp.where(jnp.isfinite(incumbent), found.row, jnp.nan)
            return data, protocol.Proposal(row, found.raw, found.valid)

        _, rows, info = protocol.one_by_one(history, q, wanted, data, one)
        return state._replace(asked=state.asked + wanted), rows, info


def model_based(
    surrogate: Any = None,
    acquisition: Any = None,
    *,
    initial: int | None = None,
    warp: str = "none",
    candidates: int = SOBOL_CANDIDATES,
    local: int = LOCAL_CANDIDATES,
    lanes: int = LANES,
) -> ModelBased:
    """Bayesian optimisation with a surrogate or an acquisition of your own.

    Both are traced: JAX inside, and differentiable, as the best candidates climb. Frozen
    dataclasses registered as pytrees may be vmapped over their settings; anything else must
    be hashable.

    Args:
        surrogate: with `fit(key, data) -> (posterior, info)` and, of the posterior,
            `mean_and_variance(rows[..., D]) -> (mean, variance)`. `data` is
            :class:`bojax.surrogates.Data`: arrays with a `mask` of the lines that count.
            None is :func:`bojax.surrogates.gp` with the recipe "tuning".
        acquisition: `(posteriors, rows[..., 1, D], incumbent) -> scores[...]`, larger is
            better; the incumbent is the least predicted mean at an observed row. None is
            log expected improvement.
        initial: suggestions from the design (the centre, then Sobol points) before; None as
            for :func:`bojax.strategies.gp`.
        warp: of the values, "none" or "half_rank" (see :func:`bojax.strategies.gp`).
        candidates, local: Sobol points and perturbations of the incumbent scored.
        lanes: how many of the best climb; must divide `candidates + local`.

    Raises:
        ValueError: a setting out of range, or a part without what it needs, naming it.

    Example:
        >>> import bojax
        >>> def lower_bound(posteriors, rows, incumbent):
        ...     mean, variance = posteriors[0].mean_and_variance(rows[..., 0, :])
        ...     return 2.0 * variance**0.5 - mean
        >>> strategy = bojax.strategies.model_based(acquisition=lower_bound)
        >>> optimizer = bojax.Optimizer({"x": bojax.Float(0, 1)}, strategy=strategy)
        >>> optimizer.strategy.surrogate.kernel
        'matern52'
    """
    surrogate = GP(recipe=RECIPE) if surrogate is None else surrogate
    acquisition = LogEI() if acquisition is None else acquisition
    if not callable(getattr(surrogate, "fit", None)):
        raise ValueError(
            f"model_based: the surrogate needs fit(key, data) -> (posterior, info), got "
            f"{surrogate!r}."
        )
    if not callable(acquisition):
        raise ValueError(
            "model_based: the acquisition must be called with (posteriors, rows, incumbent), got "
            f"{acquisition!r}."
        )
    if warp not in WARPS:
        raise ValueError(f"model_based: warp must be one of {', '.join(WARPS)}, got {warp!r}.")
    for name, value, least in (
        ("initial", 2 if initial is None else initial, 2),
        ("candidates", candidates, 1),
        ("local", local, 0),
        ("lanes", lanes, 1),
    ):
        if value < least:
            raise ValueError(f"model_based: {name} must be at least {least}, got {value}.")
    if (candidates + local) % lanes:
        raise ValueError(
            "model_based: lanes must divide candidates + local, got "
            f"{lanes} and {candidates + local}."
        )
    return ModelBased(
        _carried(surrogate), _carried(acquisition), initial, warp, candidates, local, lanes
    )


def _carried(part: Any) -> Any:
    """The part itself if it is a pytree, else wrapped as static."""
    return Static(part) if jax.tree_util.all_leaves([part]) else part


def _drawn(acquisition: Any, key) -> Any:
    """An acquisition that draws (it has a `seed`), with draws of its own for this suggestion."""
    if not hasattr(acquisition, "seed") or not is_dataclass(acquisition):
        return acquisition
    return replace(acquisition, seed=jax.random.bits(key, (), jnp.uint32))  # type: ignore[type-var]


def _bare(part: Any) -> Any:
    return part.value if isinstance(part, Static) else part


def _with_room(data: Data, room: int) -> Data:
    """Masked lines added for the rows of a batch."""

    def pad(leaf, fill):
        leaf = jnp.asarray(leaf)
        shape = (room, *leaf.shape[1:])
        return jnp.concatenate([leaf, jnp.full(shape, fill, leaf.dtype)])

    return Data(
        pad(data.rows, 0),
        pad(data.values, 0),
        pad(data.variance, 0),
        pad(data.count, 1),
        pad(data.mask, False),
        data.table,
    )


def _believe(data: Data, posterior, lines) -> Data:
    """Data in which some lines take their predicted mean."""
    means = _moments(posterior, data.rows)[0].astype(data.values.dtype)
    values = jnp.where(lines, means, data.values)
    return replace(data, values=values, mask=data.mask | lines)


def _moments(posterior, rows):
    """Mean and variance, of the shape they must have.

    Raises:
        ValueError: another shape.
    """
    mean, variance = posterior.mean_and_variance(rows)
    for name, value in (("mean", mean), ("variance", variance)):
        if jnp.shape(value) != rows.shape[:-1]:
            raise ValueError(
                f"{type(posterior).__name__}.mean_and_variance: {name} of rows "
                f"{rows.shape} must have shape {rows.shape[:-1]}, got {jnp.shape(value)}."
            )
    return jnp.asarray(mean), jnp.asarray(variance)
