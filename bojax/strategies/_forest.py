"""Optimisation with a random forest, as SMAC: for conditional spaces and thousands of results.

F. Hutter, H. Hoos and K. Leyton-Brown, "Sequential Model-Based Optimization for General Algorithm
Configuration", LION 5 (2011); M. Lindauer et al., "SMAC3", JMLR 23 (2022), whose facade for
hyperparameter optimisation (version 2.4.1) the defaults follow: Sobol points, then a forest of the
logarithms of scaled values, expected improvement of what is log-normal, 10,000 candidates, local
searches from the ten best of them and the ten best results, every fifth suggestion random on
average, and a new forest after eight suggestions, until when the next best of its local optima
are suggested.

What differs from SMAC3: thresholds are drawn between the values they part (`interpolate`, of the
same authors' paper of 2014); candidates are Sobol points under a shift of their own; searches go
to the best of a neighbourhood, not to the first better one, and remember the best configuration
that is new; without a known number of evaluations a run counts as one of 100. Constraints are met,
never penalised; failed results count as the worst value; the largest budget with one result more
than there are parameters is modelled, as in BOHB (S. Falkner, A. Klein and F. Hutter, ICML 2018).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bojax.acquisitions import LogEI, LogNormalEI
from bojax.history import History, Status
from bojax.optimize import sobol as sobol_points
from bojax.optimize.exchange import SPREAD, local_search
from bojax.optimize.mixed import BELIEF
from bojax.pytrees import pytree
from bojax.space import table as tables
from bojax.space.table import SpaceTable
from bojax.strategies import protocol
from bojax.strategies._choosing import free_columns, once, taken_among
from bojax.strategies._pool import wide_candidates
from bojax.strategies._random import feasible_points
from bojax.strategies.protocol import ALTERNATIVES, Sizes, Taken
from bojax.surrogates import Data
from bojax.surrogates import forest as surrogate_of

# Of SMAC3 2.4.1, the facade for hyperparameter optimisation.
DESIGN_A_COLUMN, DESIGN_SHARE, USUAL_EVALUATIONS = 10, 4, 100
CANDIDATES, SEARCHES = 10_000, 10
RANDOM_SHARE = 0.2
REFIT = 8
TREES, FEATURES, LEAF = 10, 1.0, 1
PERCENTILE = 0.05  # the zero of the logarithm is as far below the minimum as this lies above it
LARGEST_SPREAD = 1e6  # of a logarithm's noise: its square is a number in single precision, too
FLOOR = 1e-10  # of the range, where that is the minimum itself


class Queue(NamedTuple):
    """The best local optima of the last forest, in order.

    Attributes:
        rows: `[R, D]` canonical.
        open: `[R]` bool, which were found and not yet suggested.
        until: number of the suggestion from which on a new forest is due.
        given: `[D]` what they were searched with.
    """

    rows: Any
    open: Any
    until: Any
    given: Any


class State(NamedTuple):
    """The space, how many the design has, suggestions asked so far, and what comes next."""

    table: SpaceTable
    initial: Any
    asked: Any
    queue: Queue


@pytree
@dataclass(frozen=True)
class ForestStrategy:
    """Random-forest optimisation; see :func:`forest`.

    Example:
        >>> import bojax
        >>> bojax.strategies.forest(trees=30).surrogate.trees
        30
    """

    initial: Any = None
    random_share: Any = RANDOM_SHARE
    spread: Any = SPREAD
    trees: int = field(default=TREES, metadata={"static": True})
    features: float = field(default=FEATURES, metadata={"static": True})
    leaf: int = field(default=LEAF, metadata={"static": True})
    interpolate: bool = field(default=True, metadata={"static": True})
    log: bool = field(default=True, metadata={"static": True})
    candidates: int = field(default=CANDIDATES, metadata={"static": True})
    searches: int = field(default=SEARCHES, metadata={"static": True})
    refit: int = field(default=REFIT, metadata={"static": True})

    @property
    def surrogate(self) -> Any:
        """The forest that is fitted."""
        return surrogate_of(
            trees=self.trees, features=self.features, leaf=self.leaf, interpolate=self.interpolate
        )

    def init(self, table: SpaceTable, sizes: Sizes) -> State:
        """State before the first suggestion."""
        protocol.refuse_several("forest", sizes)
        initial = self.initial
        if initial is None:
            initial = design_size(table, sizes.evaluations)
        elif not isinstance(initial, jax.Array):
            initial = np.int32(initial)
        d, dtype = table.columns, jnp.result_type(float)
        queue = Queue(
            np.zeros((self.refit, d), dtype), np.zeros(self.refit, bool), np.int32(0),
            np.full(d, np.nan, dtype),
        )  # fmt: skip
        return State(table, initial, np.int32(0), queue)

    def ask(self, state: State, history: History, key, q: int, given=None, wanted=None):
        """`q` rows: of the design, at random, or the next of the forest's local optima."""
        given = protocol.nothing_given(history, q) if given is None else given
        wanted = jnp.asarray(q if wanted is None else wanted, jnp.int32)
        table, (_, d), dtype = state.table, history.rows.shape, history.rows.dtype
        shift = protocol.shift_of(key, d)
        designed = sobol_points(state.asked, q, d, shift).astype(dtype)
        told = jnp.sum(protocol.told_lines(history, jnp), dtype=jnp.int32)
        enough = jnp.sum(self.learnt(table, history), dtype=jnp.int32) >= 2

        def propose(i, queue: Queue, taken: Taken):
            number = state.asked + i
            keys = jax.random.split(jax.random.fold_in(key, number), 3)
            at = jax.lax.dynamic_index_in_dim(given, i, keepdims=False)
            early = ((number < state.initial) & (told < state.initial)) | ~enough
            drawn = early | (jax.random.uniform(keys[0], (), dtype) < self.random_share)
            # A random row, too, where the forest finds nothing that is new.
            unit = jax.random.uniform(keys[1], (ALTERNATIVES, d), dtype)
            unit = unit.at[0].set(jnp.where(early, designed[i], unit[0]))
            plain = protocol.first_free(table, feasible_points(table, keys[1], unit, at), at, taken)

            same = jnp.all((queue.given == at) | (jnp.isnan(queue.given) & jnp.isnan(at)))
            free = queue.open & protocol.free_of(table, queue.rows, taken)
            due = (number >= queue.until) | ~jnp.any(free) | ~same
            queue = once(
                due & ~drawn,
                lambda _, number, at, taken: self.searched(
                    table, history, key, number, shift, at, taken
                ),
                queue, number, at, taken,
            )  # fmt: skip
            free = queue.open & protocol.free_of(table, queue.rows, taken)
            pick = jnp.argmax(free).astype(jnp.int32)
            modelled = protocol.Proposal(queue.rows[pick], queue.rows[pick], free[pick])
            use = ~drawn & modelled.valid
            found = jax.tree.map(lambda a, b: jnp.where(use, a, b), modelled, plain)
            passed = use & (jnp.arange(self.refit, dtype=jnp.int32) <= pick)
            return queue._replace(open=queue.open & ~passed), found

        queue, rows, info = protocol.one_by_one(history, q, wanted, state.queue, propose)
        return state._replace(asked=state.asked + wanted, queue=queue), rows, info

    def tell(self, state: State, history: History) -> State:
        """Nothing: the fit happens in `ask`."""
        return state

    # ------------------------------------------------------------------ the forest

    def learnt(self, table: SpaceTable, history: History):
        """`[N]` bool: told lines, at the largest budget that has enough of them."""
        columns = jnp.sum(free_columns(table), dtype=jnp.int32)
        return protocol.told_at_one_budget(table, history, columns + 1)

    def data(self, table: SpaceTable, history: History) -> Data:
        """What the forest is fitted to: failures at the worst value, the rest masked out."""
        told = self.learnt(table, history)
        values = jnp.where(told, history.values[:, 0], 0.0)
        variance = jnp.where(told, history.variance[:, 0], 0.0)
        if self.log:
            values, slope = scaled_logs(values, told)
            spread = jnp.where(variance > 0, jnp.sqrt(variance) * slope, 0.0)
            variance = jnp.minimum(spread, LARGEST_SPREAD) ** 2
        worst = jnp.max(jnp.where(told, values, -jnp.inf))
        failed = (history.status == Status.FAILED) & jnp.isfinite(worst)
        values = jnp.where(failed, worst, jnp.where(told, values, 0.0))
        return Data(history.rows, values, variance, history.count, told | failed, table)

    def searched(self, table, history: History, key, number, shift, given, taken: Taken) -> Queue:
        """A new forest's local optima, the best that are new first."""
        dtype = history.rows.dtype
        keys = jax.random.split(jax.random.fold_in(key, 2**30 + number), 6)
        data = self.data(table, history)
        posterior, _ = self.surrogate.fit(keys[5], data)
        means = posterior.mean_and_variance(data.rows)[0]
        means = jnp.where(data.mask, means, jnp.inf)
        incumbent = jnp.min(means)
        acquisition = LogNormalEI() if self.log else LogEI()
        seen = jnp.maximum(jnp.sum(data.mask, dtype=jnp.int32), 1).astype(dtype)

        def score(rows):
            height = acquisition((posterior,), rows[:, None], incumbent)
            if table.prior is not None:
                height = height + BELIEF / seen * tables.log_prior(table, rows)
            return height

        shut = taken_among(table, taken.rows, taken.mask)
        pool = wide_candidates(keys, table, given, number, shift, self.candidates, self.candidates)
        heights = score(pool)
        heights = jnp.where(jnp.isnan(heights), -jnp.inf, heights)
        if table.rules is not None:
            good = tables.feasible(table, pool, inside=True)
            heights = jnp.where(good, heights, -jnp.inf)
        heights = jnp.where(shut(pool), -jnp.inf, heights)
        most = min(2 * self.searches + self.refit, self.candidates)
        best, order = jax.lax.top_k(heights, most)
        spare = pool[order]

        starts = min(self.searches, self.candidates)
        old = min(self.searches, history.capacity)
        lowest, lines = jax.lax.top_k(-means, old)
        results = tables.with_given(table, history.rows[lines], given)
        # With few results more of the candidates are searched from.
        fill = spare[(starts + jnp.arange(old, dtype=jnp.int32)) % most]
        results = jnp.where(jnp.isfinite(lowest)[:, None], results, fill)
        ends = local_search(
            score, table, keys[4], jnp.concatenate([spare[:starts], results]), given,
            lambda rows: ~shut(rows), spread=self.spread,
        )  # fmt: skip

        rows = jnp.concatenate([ends.rows, spare])
        heights = jnp.concatenate([ends.scores, best])
        down = jnp.argsort(-heights, stable=True)
        rows, heights = rows[down], heights[down]
        place = jnp.arange(rows.shape[0], dtype=jnp.int32)
        again = tables.same_configuration(table, rows[:, None], rows[None])
        again = jnp.any(again & (place[None] < place[:, None]), axis=1)
        new = ~again & (heights > -jnp.inf)
        kept = jnp.argsort(~new, stable=True)[: self.refit]
        pad = self.refit - kept.shape[0]
        # A model that predicts nothing has no optima.
        found = new[kept] & jnp.isfinite(incumbent)
        return Queue(
            jnp.pad(rows[kept], ((0, pad), (0, 0))), jnp.pad(found, (0, pad)),
            jnp.asarray(number + self.refit, jnp.int32), given,
        )  # fmt: skip


def forest(
    *,
    initial: int | None = None,
    trees: int = TREES,
    features: float = FEATURES,
    leaf: int = LEAF,
    interpolate: bool = True,
    log: bool = True,
    random_share: float = RANDOM_SHARE,
    refit: int = REFIT,
    candidates: int = CANDIDATES,
    searches: int = SEARCHES,
    spread: float = SPREAD,
) -> ForestStrategy:
    """Bayesian optimisation with a random forest (SMAC); needs the extra `sklearn`.

    Args:
        initial: suggestions from the Sobol design before the forest, at least 2. None is ten for
            each parameter, at most a quarter of the evaluations (of 100, where the run does not
            say) and of a finite space.
        trees, features, leaf, interpolate: of :func:`bojax.surrogates.forest`.
        log: model the logarithms of the values' distances from a point below their minimum,
            and improve on them as on log-normal ones; False models the values as they are.
        random_share: probability that a suggestion is random, in [0, 1].
        refit: suggestions after which a new forest is grown, SMAC3's 8; 1 learns from every
            result, at eight times the work: regret 1.2 [1.0, 1.5] times smaller after 40
            evaluations (benchmarks/forest.py).
        candidates: points of the space that are scored for each forest.
        searches: local searches from the best of these, and from the best results.
        spread: deviation of a number's neighbours in a local search to begin with, of the
            unit interval, above 0.

    Raises:
        ValueError: a setting out of range, naming it.

    Example:
        >>> import bojax
        >>> space = {"x": bojax.Float(-1, 1), "kind": bojax.Categorical(["a", "b"])}
        >>> strategy = bojax.strategies.forest(initial=8, refit=1)
        >>> bojax.Optimizer(space, strategy=strategy).strategy.surrogate.trees
        10
    """
    for name, value, least in (
        ("initial", 2 if initial is None else initial, 2),
        ("refit", refit, 1),
        ("candidates", candidates, 1),
        ("searches", searches, 1),
    ):
        if value < least:
            raise ValueError(f"forest: {name} must be at least {least}, got {value}.")
    if not 0.0 <= random_share <= 1.0:
        raise ValueError(f"forest: random_share must be in [0, 1], got {random_share}.")
    if not spread > 0.0:
        raise ValueError(f"forest: spread must be above 0, got {spread}.")
    surrogate_of(trees=trees, features=features, leaf=leaf)  # complains of them
    return ForestStrategy(
        initial, random_share, spread, trees, features, leaf, interpolate, log, candidates,
        searches, refit,
    )  # fmt: skip


def design_size(table: SpaceTable, evaluations: int | None):
    """Points of the design, int32: see `initial` of :func:`forest`."""
    xp = np if isinstance(table.used, np.ndarray) else jnp  # on the host nothing is compiled
    free = xp.sum(table.used & (table.role == tables.PARAMETER), dtype=xp.int32)
    most = xp.minimum(tables.cells(table, xp), 2.0**30).astype(xp.int32)
    most = xp.minimum(most, USUAL_EVALUATIONS if evaluations is None else evaluations)
    size = xp.minimum(DESIGN_A_COLUMN * free, most // DESIGN_SHARE)
    return xp.maximum(size, 2).astype(xp.int32)


def scaled_logs(values, mask):
    """Logarithms of values scaled to end at 1 and to begin above 0, and their slopes, `[N]` each.

        ln (y - l) / (max - l),  l = min - (p - min)

    with p the fifth percentile: SMAC3's encoding, for values of either sign. 0 where all are
    alike.
    """
    count = jnp.sum(mask, dtype=jnp.int32)
    low = jnp.min(jnp.where(mask, values, jnp.inf))
    high = jnp.max(jnp.where(mask, values, -jnp.inf))
    span = 0.5 * high - 0.5 * low  # half of it, lest it overflows
    varies = (count > 1) & (span > 0.0)
    safe = jnp.where(varies, span, 1.0)
    unit = jnp.where(mask & varies, (0.5 * values - 0.5 * low) / safe, 0.0)
    ordered = jnp.sort(jnp.where(mask, unit, jnp.inf))
    place = PERCENTILE * jnp.maximum(count - 1, 0).astype(unit.dtype)
    under = jnp.floor(place).astype(jnp.int32)
    over = jnp.minimum(under + 1, jnp.maximum(count - 1, 0))
    part = place - under.astype(unit.dtype)
    share = ordered[under] + part * (ordered[over] - ordered[under])
    above = jnp.where(varies, share, 1.0) + FLOOR
    logs = jnp.log((unit + above) / (1.0 + above))
    slope = 0.5 / safe / (unit + above)
    return jnp.where(mask & varies, logs, 0.0), jnp.where(varies, slope, 0.0)
