"""Bayesian optimisation with a Gaussian process and log expected improvement.

A design (the centre, then Sobol points) comes first. Then, for every batch: the values are
half-rank warped and the surrogate is fitted, once more to the values as they are if that finds
much noise and none of them has diverged; and rows are chosen one after the other by a rule of
`BATCHES`: log EI over fantasies of the rows before, Thompson's functions, or a confidence bound
and pure exploration.

The incumbent is the best posterior mean at an observed row, at the budget that is asked
for, so that neither a lucky noisy value nor a cheap budget sets it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bojax.configuration import jit
from bojax.history import History, Status
from bojax.kernels import Kernel
from bojax.pytrees import pytree
from bojax.space.table import SpaceTable
from bojax.strategies import protocol
from bojax.strategies._explain import explain_on_host
from bojax.strategies._fantasies import by_fantasies
from bojax.strategies._modelled import modelled
from bojax.strategies._penalised import by_penalties
from bojax.strategies._sobol import Sobol
from bojax.strategies._stopping import stopping_on_host
from bojax.strategies._thompson import by_thompson
from bojax.strategies._ucb_pe import by_ucb_pe
from bojax.strategies.protocol import Sizes
from bojax.strategies.weighing import weigh_on_host
from bojax.surrogates import GP, Data, Starts
from bojax.surrogates import gp as surrogate_of
from bojax.surrogates.transforms import half_rank

SOBOL_CANDIDATES = 512
LOCAL_CANDIDATES = 256  # around the incumbent: they find what Sobol cannot in 6 columns up
LANES = 4  # eight made 0.00 (0.01) of difference: nearly all end in the same optimum
FANTASIES = 16
REFIT_ALL = 1.5  # all starts again when there are so many times more lines than last time

# Under that prior the search from its mode is enough: three searches and twelve draws made 0.00
# (0.02) decades of difference over 200 paired runs (docs/decisions/0004), at three times the work.
SCREENED, KEPT = 0, 0
RECIPE = "tuning"  # a sixth of a decade less regret than "bojax" after 20 evaluations and 40
BATCHES = {
    "fantasies": by_fantasies,
    "thompson": by_thompson,
    "ucb_pe": by_ucb_pe,
    "penalties": by_penalties,
}
WARPS = {"half_rank": half_rank, "none": lambda values, mask: values}
AUTO = "auto"
# Fitted noise over the spread of the better half, from which on values are left as they are: a
# rank says nothing of the size that would average the noise out. 0.16 (0.07) decades less regret
# on noisy problems, 0.05 (0.03) on the tuning half (docs/decisions/0004).
NOISY = 0.1
# Times that spread from the median, beyond which a value is a diverged one. Whole runs on noisy
# functions reach 1,000, and cutting those off costs 0.10 (0.03) decades (docs/decisions/0013).
DIVERGED = 1e4


class State(NamedTuple):
    """The space, suggestions asked so far, and the last fit to start the next from.

    `initial` is how many the design has, and `fitted` the number of lines at the last fit from
    all starts, 0 before one.
    """

    table: SpaceTable
    initial: Any
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

    initial: Any = None
    surrogate: GP = field(default_factory=lambda: GP(recipe=RECIPE, screened=SCREENED, kept=KEPT))
    warp: str = field(default=AUTO, metadata={"static": True})
    batch: str = field(default="fantasies", metadata={"static": True})
    fantasies: int = field(default=FANTASIES, metadata={"static": True})
    candidates: int = field(default=SOBOL_CANDIDATES, metadata={"static": True})
    local: int = field(default=LOCAL_CANDIDATES, metadata={"static": True})
    lanes: int = field(default=LANES, metadata={"static": True})
    lines: int | None = field(default=None, metadata={"static": True})

    def init(self, table: SpaceTable, sizes: Sizes) -> State:
        """State before the first suggestion."""
        protocol.refuse_several("gp", sizes)
        theta = np.zeros(self.surrogate.hyperparameters(table.columns), jnp.result_type(float))
        initial = protocol.initial_of(self.initial, table, sizes)
        return State(table, initial, np.int32(0), theta, np.int32(0))

    def ask(self, state: State, history: History, key, q: int, given=None, wanted=None):
        """`q` rows: the design's, or the model's by the batch rule.

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
        return ((state.asked < state.initial) & (told < state.initial)) | (told < 2)

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
        warp = WARPS["half_rank" if self.warp == AUTO else self.warp]
        data = observations(history, state.table, warp)
        told = jnp.sum(data.mask, dtype=jnp.int32)
        # A starting point of its own for each size of history, whatever was asked before.
        own = jax.random.fold_in(key, 2**30 + told)
        grown = told.astype(state.theta.dtype) >= REFIT_ALL * state.fitted.astype(state.theta.dtype)
        full = (state.fitted == 0) | grown
        starts = Starts(state.fitted > 0, full)
        if self.warp == AUTO:
            posterior, theta = self.fit_again_if_noisy(own, state, history, data, starts)
        else:
            posterior, info = self.surrogate.fit_pure(own, data, state.theta, starts)
            theta = info.theta
        fitted = jnp.where(full, told, state.fitted)
        return state._replace(theta=theta, fitted=fitted), posterior

    def fit_again_if_noisy(self, key, state, history: History, warped: Data, starts: Starts):
        """The fit to warped values; if it finds noise, to the values as they are: traced once.

        Not where a value has diverged, beside which all others are one.

        Returns:
            `(posterior, theta)`, theta of the warped fit, where the next one starts.
        """
        plain = observations(history, state.table, WARPS["none"])
        spread, diverged = spread_of_better_half(plain.values, plain.mask)

        def attempt(again, theta, starts):
            values = jnp.where(again, plain.values, warped.values)
            return self.surrogate.fit_pure(key, replace(warped, values=values), theta, starts)

        def body(carry):
            trip, posterior, theta, _ = carry
            again = trip > 0
            # The second begins at the default start: the first one's optimum is of other values.
            chosen = Starts(~again & starts.warm, again | starts.full)
            posterior, info = attempt(again, theta, chosen)
            theta = jnp.where(again, theta, info.theta)
            noise = jnp.sqrt(posterior.noise) * posterior.scale
            return trip + 1, posterior, theta, (noise > NOISY * spread) & ~diverged

        def unfinished(carry):
            trip, _, _, noisy = carry
            return (trip == 0) | ((trip == 1) & noisy)

        shapes, _ = jax.eval_shape(lambda: attempt(False, state.theta, starts))
        empty = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        start = jnp.zeros((), jnp.int32), empty, state.theta, jnp.zeros((), bool)
        _, posterior, theta, _ = jax.lax.while_loop(unfinished, body, start)
        return posterior, theta

    def suggest(
        self, state, posterior, history, key, q, given, wanted, fantasies, pending, asked=None
    ):
        """Rows from a fitted posterior by the batch rule: `(state, rows, info)`.

        Args:
            history: what the posterior was fitted to.
            fantasies: static, S.
            pending: static; False promises that no line of the history is pending.
            asked: the history whose rows are taken, where it has more lines.
        """
        known, propose = BATCHES[self.batch](
            self, state, posterior, history, key, given, fantasies, pending
        )
        asked = history if asked is None else asked
        _, rows, info = protocol.one_by_one(asked, q, wanted, known, propose)
        return state._replace(asked=state.asked + wanted), rows, info

    # ------------------------------------------------------------------ the host's door

    def ask_on_host(self, state, history: History, bits, q: int, given, wanted: int):
        """`ask` as three named programs, so that one fit serves every batch size.

        Arguments as in `ask`, with NumPy arrays; `bits` are the key's. The caller has
        entered the precision.
        """
        if self.designs(state, history, np):
            return self.design_on_host(state, history, bits, q, given, wanted)
        known = modelled(history, state.table, self.lines)
        state, posterior = self.fit_on_host(state, known, bits)
        pending = bool((history.status == Status.PENDING).any())
        fantasies = self.fantasies if q > 1 or pending else 1
        asked = None if known is history else history
        return _suggest_program(
            self, state, posterior, known, bits, q, given, wanted, fantasies, pending, asked
        )

    def design_on_host(self, state, history: History, bits, q: int, given, wanted: int):
        """:meth:`design` as a named program."""
        return _design_program(self, state, history, bits, q, given, wanted)

    def fit_on_host(self, state, history: History, bits):
        """:meth:`fit` as a named program."""
        return _fit_program(self, state, history, bits)

    def weigh_on_host(self, state, history: History, bits, q: int, given, wanted: int, *others):
        """See :func:`bojax.strategies.weighing.weigh_on_host`."""
        return weigh_on_host(self, state, history, bits, q, given, wanted, *others)

    def explain_on_host(self, state, history: History, bits, row, trial: int):
        """See :func:`bojax.strategies._explain.explain_on_host`."""
        return explain_on_host(self, state, history, bits, row, trial)

    def stopping_on_host(self, state, history: History, bits):
        """See :func:`bojax.strategies._stopping.stopping_on_host`."""
        return stopping_on_host(self, state, history, bits)


def gp(
    *,
    initial: int | None = None,
    kernel: str | Kernel | None = None,
    recipe: str = RECIPE,
    conditional: bool = False,
    warp: str = AUTO,
    batch: str = "fantasies",
    fantasies: int = FANTASIES,
    candidates: int = SOBOL_CANDIDATES,
    local: int = LOCAL_CANDIDATES,
    lanes: int = LANES,
    lines: int | None = None,
) -> GPStrategy:
    """Bayesian optimisation with a Gaussian process, the default strategy.

    Args:
        initial: suggestions from the design before the model is used. None is 5, or half the
            parameters if they are more than ten; at most a quarter of a finite space, and of the
            evaluations where the run says how many it makes (a loop, a sweep).
        kernel, recipe, conditional: of the surrogate, see :func:`bojax.surrogates.gp`.
        warp: "half_rank" ranks values worse than the median, "none" leaves them, "auto" ranks
            them unless the fit finds the values noisy.
        batch: how rows are chosen one after the other. "fantasies" maximises log EI averaged
            over outcomes of pending rows and of the batch so far; "thompson" minimises a function
            drawn for each row; "ucb_pe" takes the least confidence bound, then explores where the
            optimum may lie; "penalties" keeps away from pending rows by the slope.
        fantasies: outcomes drawn for each pending point; of "fantasies" alone.
        candidates, local: Sobol points and perturbations of the incumbent scored for each
            suggestion.
        lanes: how many of the best climb; must divide `candidates + local`.
        lines: results that are modelled at most: those of the largest budgets, and of smaller
            ones a part, spread over their values. None for all; the time is cubic in them. Whole
            runs as one pure function (`bojax.loop`) model all.

    Raises:
        ValueError: a setting out of range, naming it.

    Example:
        >>> import bojax
        >>> space = bojax.Space({"x": bojax.Float(0, 1)})
        >>> optimizer = bojax.Optimizer(space, strategy=bojax.strategies.gp(initial=3))
        >>> [trial.config["x"] for trial in optimizer.ask(1)]
        [0.5]
    """
    if warp not in (AUTO, *WARPS):
        raise ValueError(f"gp: warp must be one of {', '.join((AUTO, *WARPS))}, got {warp!r}.")
    if batch not in BATCHES:
        raise ValueError(f"gp: batch must be one of {', '.join(BATCHES)}, got {batch!r}.")
    for name, value, least in (
        ("initial", 2 if initial is None else initial, 2),
        ("fantasies", fantasies, 1),
        ("candidates", candidates, 1),
        ("local", local, 0),
        ("lanes", lanes, 1),
        ("lines", 2 if lines is None else lines, 2),
    ):
        if value < least:
            raise ValueError(f"gp: {name} must be at least {least}, got {value}.")
    if (candidates + local) % lanes:
        raise ValueError(
            f"gp: lanes must divide candidates + local, got {lanes} and {candidates + local}."
        )
    return GPStrategy(
        initial=initial,
        surrogate=surrogate_of(
            kernel=kernel, recipe=recipe, screened=SCREENED, kept=KEPT, conditional=conditional
        ),
        warp=warp,
        batch=batch,
        fantasies=fantasies,
        candidates=candidates,
        local=local,
        lanes=lanes,
        lines=lines,
    )


# ------------------------------------------------------------------ what the history says


def spread_of_better_half(values, mask):
    """Root mean square distance from the median of what is no worse, which no warp changes.

    And whether a value is worse than the median by more than `DIVERGED` times that.
    """
    count = jnp.sum(mask, dtype=jnp.int32)
    ordered = jnp.sort(jnp.where(mask, values, jnp.inf))
    median = ordered[jnp.maximum((count + 1) // 2 - 1, 0)]
    apart = jnp.where(mask & (values <= median), values - median, 0.0)
    largest = jnp.max(jnp.abs(apart))
    unit = jnp.where(largest > 0, largest, 1.0)  # squares of 1e-300 would be 0
    number = jnp.sum((mask & (values <= median)).astype(values.dtype))
    spread = unit * jnp.sqrt(jnp.sum((apart / unit) ** 2) / jnp.maximum(number, 1.0))
    worst = jnp.max(jnp.where(mask, values, median))
    # Of no spread ranks would make all values one.
    return spread, (spread > 0) & (worst - median > DIVERGED * spread)


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


# ------------------------------------------------------------------ named programs


@jit(static_argnames="q")
def _design_program(strategy, state, history, bits, q, given, wanted):
    return strategy.design(state, history, jax.random.wrap_key_data(bits), q, given, wanted)


@jit
def _fit_program(strategy, state, history, bits):
    return strategy.fit(state, history, jax.random.wrap_key_data(bits))


@jit(static_argnames=("q", "fantasies", "pending"))
def _suggest_program(
    strategy, state, posterior, history, bits, q, given, wanted, fantasies, pending, asked
):
    key = jax.random.wrap_key_data(bits)
    return strategy.suggest(
        state, posterior, history, key, q, given, wanted, fantasies, pending, asked
    )
