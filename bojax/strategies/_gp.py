"""Bayesian optimisation with a Gaussian process and log expected improvement.

A design (the centre, then Sobol points) comes first. Then, for every batch: the values are
half-rank warped, the surrogate is fitted once, and rows are chosen greedily, each
maximising log EI averaged over fantasies of the pending points before it (Snoek, Larochelle
& Adams 2012, section 3.2; Ament et al. 2023). With the factors cached, a further pending
point costs one new column, O(n^2).

The incumbent is the best posterior mean at an observed row, at the budget that is asked
for, so that neither a lucky noisy value nor a cheap budget sets it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bojax.acquisitions import LogEI
from bojax.configuration import jit
from bojax.history import TAGS, History, Status
from bojax.kernels import Kernel
from bojax.optimize import maximize
from bojax.pytrees import pytree
from bojax.space import table as tables
from bojax.space.table import SpaceTable
from bojax.strategies import protocol
from bojax.strategies._explain import explain_on_host
from bojax.strategies._pool import local_candidates, wide_candidates
from bojax.strategies._sobol import Sobol
from bojax.strategies.protocol import Info, Sizes
from bojax.surrogates import GP, Data, Fantasies, Starts
from bojax.surrogates import gp as surrogate_of
from bojax.surrogates.transforms import half_rank

# Points before the first model: Ax's centre + 4 Sobol, which led eight recipes at 50
# evaluations on seven shifted boxes (docs/decisions/0004).
INITIAL = 5
SOBOL_CANDIDATES = 512
LOCAL_CANDIDATES = 256  # around the incumbent: they find what Sobol cannot in 6 columns up
LANES = 8
FANTASIES = 16
REFIT_ALL = 1.5  # all starts again when there are so many times more lines than last time

WARPS = {"half_rank": half_rank, "none": lambda values, mask: values}


class State(NamedTuple):
    """The space, suggestions asked so far, and the last fit to start the next from.

    `fitted` is the number of lines at the last fit from all starts, 0 before one.
    """

    table: SpaceTable
    asked: Any
    theta: Any
    fitted: Any


@pytree
@dataclass(frozen=True)
class GPStrategy:
    """Gaussian-process optimisation; see :func:`gp`.

    Example:
        >>> import bojax
        >>> bojax.strategies.gp().surrogate.kernel
        'matern52'
    """

    initial: Any = INITIAL
    surrogate: GP = field(default_factory=GP)
    warp: str = field(default="half_rank", metadata={"static": True})
    fantasies: int = field(default=FANTASIES, metadata={"static": True})
    candidates: int = field(default=SOBOL_CANDIDATES, metadata={"static": True})
    local: int = field(default=LOCAL_CANDIDATES, metadata={"static": True})
    lanes: int = field(default=LANES, metadata={"static": True})

    def init(self, table: SpaceTable, sizes: Sizes) -> State:
        """State before the first suggestion."""
        if sizes.objectives != 1 or sizes.constraints:
            raise ValueError(
                "gp: one objective and no black-box constraints are supported so far, got "
                f"{sizes.objectives} and {sizes.constraints}; weigh them into one value."
            )
        theta = np.zeros(self.surrogate.hyperparameters(table.columns), jnp.result_type(float))
        return State(table, np.int32(0), theta, np.int32(0))

    def ask(self, state: State, history: History, key, q: int, given=None, wanted=None):
        """`q` rows: the design's, or the greedy maximisers of log EI.

        A single row asked while others are pending believes their predicted mean; the host
        door draws fantasies there too.
        """
        given = protocol.nothing_given(history, q) if given is None else given
        wanted = jnp.asarray(q if wanted is None else wanted, jnp.int32)

        def by_design(state):
            return self.design(state, history, key, q, given, wanted)

        def by_model(state):
            state, posterior = self.fit(state, history, key)
            fantasies = 1 if q == 1 else self.fantasies
            return self.suggest(
                state, posterior, history, key, q, given, wanted, fantasies, pending=True
            )

        return jax.lax.cond(self.designs(state, history, jnp), by_design, by_model, state)

    def tell(self, state: State, history: History) -> State:
        """Nothing: the fit happens in `ask`."""
        return state

    # ------------------------------------------------------------------ the three stages

    def designs(self, state: State, history: History, xp):
        """Whether the next batch comes from the design: too little asked or told to model."""
        told = xp.sum(protocol.told_lines(history, xp), dtype=xp.int32)
        return ((state.asked < self.initial) & (told < self.initial)) | (told < 2)

    def design(self, state: State, history: History, key, q, given, wanted):
        """The next points of the centred Sobol design."""
        sobol = Sobol(centre=True)
        inner = sobol.init(state.table, Sizes())._replace(asked=state.asked)
        inner, rows, info = sobol.ask(inner, history, key, q, given, wanted)
        return state._replace(asked=inner.asked), rows, info

    def fit(self, state: State, history: History, key):
        """Fit the surrogate to the history: `(state, posterior)`.

        The posterior's lines are the history's, pending ones last and masked out.
        """
        data = observations(history, state.table, WARPS[self.warp])
        told = jnp.sum(data.mask, dtype=jnp.int32)
        # A starting point of its own for each size of history, whatever was asked before.
        own = jax.random.fold_in(key, 2**30 + told)
        grown = told.astype(state.theta.dtype) >= REFIT_ALL * state.fitted.astype(state.theta.dtype)
        full = (state.fitted == 0) | grown
        starts = Starts(state.fitted > 0, full)
        posterior, info = self.surrogate.fit_pure(own, data, state.theta, starts)
        fitted = jnp.where(full, told, state.fitted)
        return state._replace(theta=info.theta, fitted=fitted), posterior

    def suggest(self, state, posterior, history, key, q, given, wanted, fantasies, pending):
        """Greedy rows from a fitted posterior: `(state, rows, info)`.

        Args:
            fantasies: static, S.
            pending: static; False promises that no line of the history is pending.
        """
        table, d = state.table, history.rows.shape[1]
        n, dtype = history.capacity, history.rows.dtype
        whitened = jnp.broadcast_to(posterior.whitened[:, None], (n, fantasies))
        believed = Fantasies(posterior, whitened)
        if pending:
            believed = _with_pending(believed, history, key)
        start = believed.posterior.with_room(believed.whitened, q)
        score = LogEI()
        taken = protocol.taken_by(history, q)
        shift = protocol.shift_of(key, d)
        lines, size = n + q, self.candidates + self.local
        # What all rows of a batch can share: the observed rows at the budget asked for, and the
        # wide candidates; each further point moves their predictions by one new column.
        alike = jnp.all((given == given[:1]) | (jnp.isnan(given) & jnp.isnan(given[:1])))
        start = start.watching(lines + self.candidates)
        wide = jnp.zeros((self.candidates, d), dtype)

        def one(i, carry):
            fantasy, wide, rows, raw, valid, taken = carry
            own = jax.random.fold_in(key, state.asked + i)
            keys = jax.random.split(own, 5)
            at = jax.lax.dynamic_index_in_dim(given, i, keepdims=False)

            def fresh(fantasy, _):
                wide = wide_candidates(keys, table, at, state.asked, shift, self.candidates, size)
                targets = self.targets(fantasy, table, at)
                return fantasy.watch(jnp.concatenate([targets, wide])), wide

            fantasy, wide = jax.lax.cond(
                (i == 0) | ~alike, fresh, lambda *kept: kept, fantasy, wide
            )
            means, variances = fantasy.seen()
            known = fantasy.posterior.mask
            incumbents = jnp.min(jnp.where(known[:, None], means[:lines], jnp.inf), axis=0)
            average = jnp.where(known, jnp.mean(means[:lines], axis=1), jnp.inf)
            leader = fantasy.posterior.features.coordinate[jnp.argmin(average)]

            def height(candidates):
                return score((fantasy,), candidates[:, None, :], incumbents)

            near = local_candidates(keys, table, leader, at, state.asked, self.local, size)
            near_means, near_variances = fantasy.mean_and_variance(near)
            heights = score.of_moments(
                jnp.concatenate([means[lines:], near_means]),
                jnp.concatenate([variances[lines:], near_variances]),
                incumbents,
            )
            pool = jnp.concatenate([wide, near])
            found = maximize(
                height,
                table,
                keys[4],
                pool,
                ~jnp.isnan(at) | (table.role != tables.PARAMETER),
                taken.rows,
                taken.mask,
                lanes=self.lanes,
                heights=heights,
            )
            line = n + i
            fantasy = jax.lax.cond(
                i + 1 < wanted,  # nobody looks at the last one's factors
                lambda f: f.append(line, found.row, _draws(own, fantasies, dtype)),
                lambda f: f,
                fantasy,
            )
            taken = protocol.Taken(
                taken.rows.at[line].set(found.row), taken.mask.at[line].set(found.valid)
            )
            return (
                fantasy,
                wide,
                rows.at[i].set(found.row),
                raw.at[i].set(found.raw),
                valid.at[i].set(found.valid),
                taken,
            )

        zeros = jnp.zeros((q, d), dtype)
        carry = (start, wide, zeros, zeros, jnp.zeros(q, bool), taken)
        _, _, rows, raw, valid, _ = jax.lax.fori_loop(0, wanted, one, carry)
        info = Info(jnp.zeros((q, TAGS), jnp.int32), raw, valid)
        return state._replace(asked=state.asked + wanted), rows, info

    def targets(self, fantasy: Fantasies, table: SpaceTable, given):
        """Training rows as they would be at the budget and context asked for, `[T, D]`."""
        rows = fantasy.posterior.features.coordinate
        fixed = jnp.where(table.role == tables.PARAMETER, jnp.nan, given)
        return jnp.where(
            table.role == tables.PARAMETER, rows, tables.with_given(table, rows, fixed)
        )

    # ------------------------------------------------------------------ the host's door

    def ask_on_host(self, state, history: History, bits, q: int, given, wanted: int):
        """`ask` as three named programs, so that one fit serves every batch size.

        Arguments as in `ask`, with NumPy arrays; `bits` are the key's. The caller has
        entered the precision.
        """
        if self.designs(state, history, np):
            return _design_program(self, state, history, bits, q, given, wanted)
        state, posterior = _fit_program(self, state, history, bits)
        pending = bool((history.status == Status.PENDING).any())
        fantasies = self.fantasies if q > 1 or pending else 1
        return _suggest_program(
            self, state, posterior, history, bits, q, given, wanted, fantasies, pending
        )

    def explain_on_host(self, state, history: History, bits, row, trial: int):
        """See :func:`bojax.strategies._explain.explain_on_host`."""
        return explain_on_host(self, state, history, bits, row, trial)


def gp(
    *,
    initial: int = INITIAL,
    kernel: str | Kernel | None = None,
    recipe: str = "bojax",
    conditional: bool = False,
    warp: str = "half_rank",
    fantasies: int = FANTASIES,
    candidates: int = SOBOL_CANDIDATES,
    local: int = LOCAL_CANDIDATES,
    lanes: int = LANES,
) -> GPStrategy:
    """Bayesian optimisation with a Gaussian process, the default strategy.

    Args:
        initial: suggestions from the design before the model is used.
        kernel, recipe, conditional: of the surrogate, see :func:`bojax.surrogates.gp`.
        warp: "half_rank" ranks values worse than the median, "none" leaves them.
        fantasies: outcomes drawn for each pending point.
        candidates, local: Sobol points and perturbations of the incumbent scored for each
            suggestion.
        lanes: how many of the best climb; must divide `candidates + local`.

    Raises:
        ValueError: a setting out of range, naming it.

    Example:
        >>> import bojax
        >>> space = bojax.Space({"x": bojax.Float(0, 1)})
        >>> optimizer = bojax.Optimizer(space, strategy=bojax.strategies.gp(initial=3))
        >>> [trial.config["x"] for trial in optimizer.ask(1)]
        [0.5]
    """
    if warp not in WARPS:
        raise ValueError(f"gp: warp must be one of {', '.join(WARPS)}, got {warp!r}.")
    for name, value, least in (
        ("initial", initial, 2),
        ("fantasies", fantasies, 1),
        ("candidates", candidates, 1),
        ("local", local, 0),
        ("lanes", lanes, 1),
    ):
        if value < least:
            raise ValueError(f"gp: {name} must be at least {least}, got {value}.")
    if (candidates + local) % lanes:
        raise ValueError(
            f"gp: lanes must divide candidates + local, got {lanes} and {candidates + local}."
        )
    return GPStrategy(
        initial=initial,
        surrogate=surrogate_of(kernel=kernel, recipe=recipe, conditional=conditional),
        warp=warp,
        fantasies=fantasies,
        candidates=candidates,
        local=local,
        lanes=lanes,
    )


# ------------------------------------------------------------------ what the history says


def observations(history: History, table: SpaceTable, warp) -> Data:
    """The history's lines as data: failures at the worst value seen, the rest masked out."""
    told = protocol.told_lines(history, jnp)
    values = jnp.where(told, history.values[:, 0], 0.0)
    values = warp(values, told)
    worst = jnp.max(jnp.where(told, values, -jnp.inf))
    failed = (history.status == Status.FAILED) & jnp.isfinite(worst)
    values = jnp.where(failed, worst, jnp.where(told, values, 0.0))
    variance = jnp.where(told, history.variance[:, 0], 0.0)
    return Data(history.rows, values, variance, history.count, told | failed, table)


def _draws(key, fantasies: int, dtype):
    """Whitened outcomes of one pending point; one alone is the mean, 0."""
    if fantasies == 1:
        return jnp.zeros(1, dtype)
    return jax.random.normal(key, (fantasies,), dtype)


def _with_pending(fantasies: Fantasies, history: History, key) -> Fantasies:
    """Pending lines enter as fantasies, each one new column, in place of its masked line.

    A masked line's row and column are the identity's, so it can be taken over where it
    stands: U stays a factor of K^-1, in the order in which the lines were entered.
    """
    pending = history.status == Status.PENDING
    order = jnp.argsort(~pending, stable=True)
    own = jax.random.fold_in(key, 2**29)

    def enter(i, fantasy):
        line = order[i]
        drawn = jax.random.fold_in(own, history.trial[line])
        _, count = fantasy.whitened.shape
        draw = _draws(drawn, count, history.rows.dtype)
        return fantasy.append(line, history.rows[line], draw)

    return jax.lax.fori_loop(0, jnp.sum(pending, dtype=jnp.int32), enter, fantasies)


# ------------------------------------------------------------------ named programs


@jit(static_argnames="q")
def _design_program(strategy, state, history, bits, q, given, wanted):
    return strategy.design(state, history, jax.random.wrap_key_data(bits), q, given, wanted)


@jit
def _fit_program(strategy, state, history, bits):
    return strategy.fit(state, history, jax.random.wrap_key_data(bits))


@jit(static_argnames=("q", "fantasies", "pending"))
def _suggest_program(
    strategy, state, posterior, history, bits, q, given, wanted, fantasies, pending
):
    key = jax.random.wrap_key_data(bits)
    return strategy.suggest(state, posterior, history, key, q, given, wanted, fantasies, pending)
