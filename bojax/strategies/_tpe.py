"""The tree-structured Parzen estimator (TPE): draw where good trials were, not where bad were.

J. Bergstra, R. Bardenet, Y. Bengio, B. Kegl, "Algorithms for Hyper-Parameter Optimization",
NeurIPS 2011; S. Watanabe, "Tree-Structured Parzen Estimator", arXiv 2304.11127, 2023, on what its
parts do. Trials are split by value into few good and many bad ones. Candidates are drawn from a
Parzen estimator l of the good ones, and the one of largest l/g is suggested, g being that of the
bad. Recipes are Optuna's, by version (see :mod:`bojax.strategies._parzen`).

Beyond Optuna: nothing is suggested twice, failed trials count as bad ones, constraints of the
space hold (candidates that break one are walked back towards the best trial), columns that are
given weigh the kernels of the others, and with a fidelity the trials at one budget are learnt
from, the largest that has as many results as the random start.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bojax.history import History, Status
from bojax.optimize.walk import made_feasible
from bojax.pytrees import pytree
from bojax.space import table as tables
from bojax.space.table import SpaceTable
from bojax.strategies import protocol
from bojax.strategies._parzen import (
    GAPS,
    GAPS_AND_CENTRE,
    SCOTT_RULE,
    Groups,
    draws,
    log_densities,
    parzen,
)
from bojax.strategies._random import State, feasible_points
from bojax.strategies.protocol import ALTERNATIVES, Proposal, Sizes, Taken

# Defaults of `optuna.samplers.TPESampler`, 4.5 and 5.0.
INITIAL = 10
CANDIDATES = 24
GAMMA, MOST_GOOD = 0.1, 25  # good: min(ceil(0.1 n), 25)
RECIPES = {"optuna-5": True, "optuna-4": False}  # whether multivariate, and with a constant liar


@pytree
@dataclass(frozen=True)
class TPE:
    """The tree-structured Parzen estimator; see :func:`tpe`.

    Example:
        >>> import bojax
        >>> bojax.strategies.tpe(recipe="optuna-4").multivariate
        False
    """

    initial: Any = INITIAL
    gamma: Any = GAMMA
    recipe: str = field(default="optuna-5", metadata={"static": True})
    candidates: int = field(default=CANDIDATES, metadata={"static": True})
    most_good: int = field(default=MOST_GOOD, metadata={"static": True})
    multivariate: bool = field(default=True, metadata={"static": True})
    constant_liar: bool = field(default=True, metadata={"static": True})

    def init(self, table: SpaceTable, sizes: Sizes) -> State:
        """State before the first suggestion."""
        protocol.refuse_several("tpe", sizes)
        return State(table, np.int32(0))

    def ask(self, state: State, history: History, key, q: int, given=None, wanted=None):
        """`q` rows: random ones until enough was told, then the model's, one after the other.

        The history's lines are in the order of trials, by which observations age.
        """
        given = protocol.nothing_given(history, q) if given is None else given
        wanted = jnp.asarray(q if wanted is None else wanted, jnp.int32)
        propose = self.proposer(state, history, key, given)
        _, rows, info = protocol.one_by_one(history, q, wanted, (), propose)
        return state._replace(asked=state.asked + wanted), rows, info

    def tell(self, state: State, history: History) -> State:
        """Nothing: the history holds it all."""
        return state

    # ------------------------------------------------------------------ what is learnt from

    def learnt(self, table: SpaceTable, history: History):
        """`[N]` bool: told lines, at the largest budget that has as many as the random start."""
        return protocol.told_at_one_budget(table, history, self.initial)

    def good_lines(self, history: History, learnt):
        """Indices `[G]` of the best lines, oldest first, and which of them count."""
        number = jnp.sum(learnt, dtype=jnp.int32)
        share = jnp.ceil(self.gamma * number.astype(history.values.dtype)).astype(jnp.int32)
        size = min(self.most_good, history.capacity)
        count = jnp.minimum(jnp.minimum(share, size), number)
        value = jnp.where(learnt, history.values[:, 0], jnp.inf)
        _, best = jax.lax.top_k(-value, size)  # of equal values the earlier
        best = jnp.where(jnp.arange(size, dtype=jnp.int32) < count, best, history.capacity)
        best = jnp.sort(best)
        return jnp.minimum(best, history.capacity - 1), best < history.capacity

    def unfinished(self, history: History, learnt):
        """`[N]` bool: lines without a value that count as bad: failed ones, and the liar's."""
        bad = history.status == Status.FAILED
        if self.constant_liar:
            bad = bad | (history.status == Status.PENDING)
        # A trial whose value is learnt from is no worse for being run on.
        known = jnp.sort(jnp.where(learnt, history.trial, np.iinfo(np.int32).max))
        place = jnp.minimum(jnp.searchsorted(known, history.trial), history.capacity - 1)
        return bad & (known[place] != history.trial)

    # ------------------------------------------------------------------ suggestions

    def proposer(self, state: State, history: History, key, given):
        """The rule of `protocol.one_by_one` that takes the candidate of largest l/g."""
        table, rows = state.table, history.rows
        learnt = self.learnt(table, history)
        enough = jnp.sum(learnt, dtype=jnp.int32) >= self.initial
        groups, rule = self.groups(table), self.rule
        conditional = jnp.any(table.clauses.used)
        present = jax.lax.cond(
            conditional, lambda: tables.active(table, rows), lambda: jnp.ones(rows.shape, bool)
        )
        best, counts = self.good_lines(history, learnt)
        good = parzen(table, groups, rows[best], counts, present[best], rule)
        value = jnp.where(learnt, history.values[:, 0], jnp.inf)
        leader = rows[jnp.argmin(value)]
        bad = learnt | self.unfinished(history, learnt)
        bad = bad.at[jnp.where(counts, best, history.capacity)].set(False, mode="drop")

        def propose(i, known, taken: Taken):
            own = jax.random.fold_in(key, state.asked + i)
            at = jax.lax.dynamic_index_in_dim(given, i, keepdims=False)

            def by_model():
                batch = taken.rows[history.capacity :], taken.mask[history.capacity :]
                others = parzen(
                    table,
                    groups,
                    taken.rows,
                    jnp.concatenate([bad, batch[1] & self.constant_liar]),
                    jnp.concatenate([present, tables.active(table, batch[0])]),
                    rule,
                )
                found, raw = self.ranked(table, groups, good, others, own, at, leader)
                open_ = protocol.free_of(table, found, taken)
                if table.rules is not None:
                    open_ &= tables.feasible(table, found, inside=True)
                pick = jnp.argmax(open_)
                return Proposal(found[pick], raw[pick], open_[pick])

            def at_random():
                size = ALTERNATIVES, at.shape[0]
                unit = feasible_points(table, own, jax.random.uniform(own, size, rows.dtype), at)
                return protocol.first_free(table, unit, at, taken)

            none = Proposal(at, at, jnp.zeros((), bool))
            promising = jax.lax.cond(enough, by_model, lambda: none)
            # In a small finite space every candidate may be taken.
            return known, jax.lax.cond(promising.valid, lambda: promising, at_random)

        return propose

    @property
    def rule(self) -> str:
        """How wide kernels are."""
        if self.recipe == "optuna-5":
            return GAPS
        return SCOTT_RULE if self.multivariate else GAPS_AND_CENTRE

    def groups(self, table: SpaceTable) -> Groups:
        """Columns that always exist are modelled together, if multivariate; others alone."""
        chosen = table.used & (table.role != tables.FIDELITY)
        always = chosen & ~jnp.any(table.clauses.used, axis=(1, 2))
        joint = always if self.multivariate else jnp.zeros_like(always)
        cells = (table.kind == tables.INTEGER) | (table.kind == tables.ORDINAL)
        if self.recipe == "optuna-4":  # which takes a density there
            cells = cells & ~table.log
        return Groups(joint, chosen & ~joint, cells & chosen)

    def ranked(self, table: SpaceTable, groups, good, bad, key, given, leader):
        """Canonical candidates, the most promising first, and what they were before rounding.

        The first takes every group's best. Each column of its own is chosen whether or not the
        row will have it, as its density does not depend on the others.
        """
        raw = draws(table, groups, good, key, self.candidates, given)
        raw = jnp.where(jnp.isnan(given), raw, given)
        shown = tables.snap(table, raw) if table.pool is None else tables.canonical(table, raw)

        def score(rows):
            inside, outside = log_densities(table, groups, (good, bad), rows)
            return inside[0] - outside[0], inside[1] - outside[1]

        joint, own = score(shown)
        best = jnp.where(groups.own, jnp.argmax(own, axis=0), jnp.argmax(joint))
        composed = jnp.take_along_axis(raw, best[None], axis=0)
        raw = jnp.concatenate([composed, raw])
        rows = tables.with_given(table, raw, given)
        first = jnp.arange(len(rows), dtype=jnp.int32) == 0
        if table.rules is None:
            there = groups.own & tables.active(table, rows[1:])
            total = joint + jnp.sum(jnp.where(there, own, 0.0), axis=1)
            total = jnp.concatenate([jnp.full(1, jnp.inf, total.dtype), total])
        else:
            kept = tables.feasible(table, rows, inside=True)
            near = tables.with_given(table, leader, given)
            rows = made_feasible(table, jax.random.fold_in(key, 2), rows, given, near)
            joint, own = score(rows)
            there = groups.own & tables.active(table, rows)
            total = joint + jnp.sum(jnp.where(there, own, 0.0), axis=1)
            total = jnp.where(first & kept, jnp.inf, total)
        order = jnp.argsort(-total, stable=True)
        return rows[order], raw[order]


def tpe(
    *,
    recipe: str = "optuna-5",
    initial: int = INITIAL,
    candidates: int = CANDIDATES,
    gamma: float = GAMMA,
    most_good: int = MOST_GOOD,
    multivariate: bool | None = None,
    constant_liar: bool | None = None,
) -> TPE:
    """The tree-structured Parzen estimator (TPE): cheap, for any mix of parameters.

    Args:
        recipe: whose kernels. "optuna-5" takes the larger gap to a neighbour as their width;
            "optuna-4", what most papers call TPE, counts the centre as a neighbour, and if
            multivariate takes `0.2 m^(-1/(d+4))` of the range for m trials in d columns.
        initial: results told before the model is used; suggestions are random until then, at
            least 1.
        candidates: draws from the good trials' density that are compared, at least 1.
        gamma: share of the trials that are good, above 0 and below 1; rounded up.
        most_good: no more good ones than this, at least 1.
        multivariate: model the parameters that always exist together, the others each by itself;
            or all by themselves. None is True for "optuna-5", False for "optuna-4".
        constant_liar: count what is pending as bad, so that a batch spreads. None is True for
            "optuna-5", False for "optuna-4".

    Raises:
        ValueError: a setting out of range, naming it.

    Example:
        >>> import bojax
        >>> space = {"x": bojax.Float(-1, 1), "kind": bojax.Categorical(["a", "b"])}
        >>> optimizer = bojax.Optimizer(space, strategy=bojax.strategies.tpe(initial=4), seed=0)
        >>> for _ in range(20):
        ...     trial = optimizer.ask()
        ...     optimizer.tell(trial, trial.config["x"] ** 2 + (trial.config["kind"] == "b"))
        >>> optimizer.best().config["kind"], optimizer.best().value < 0.01
        ('a', True)
    """
    if recipe not in RECIPES:
        raise ValueError(f"tpe: recipe must be one of {', '.join(RECIPES)}, got {recipe!r}.")
    for name, value in (("initial", initial), ("candidates", candidates), ("most_good", most_good)):
        if value < 1:
            raise ValueError(f"tpe: {name} must be at least 1, got {value}.")
    if not 0.0 < gamma < 1.0:
        raise ValueError(f"tpe: gamma must be above 0 and below 1, got {gamma}.")
    usual = RECIPES[recipe]
    return TPE(
        initial=initial,
        gamma=gamma,
        recipe=recipe,
        candidates=candidates,
        most_good=most_good,
        multivariate=usual if multivariate is None else multivariate,
        constant_liar=usual if constant_liar is None else constant_liar,
    )
