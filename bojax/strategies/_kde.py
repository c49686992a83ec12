"""BOHB's model: kernel densities of the good and the bad trials of one budget.

S. Falkner, A. Klein and F. Hutter, "BOHB: Robust and efficient hyperparameter optimization at
scale", ICML 2018, section 3 and its implementation, HpBandSter 0.7.4: products of kernels over
all columns with the normal reference bandwidth, Gaussian for numbers, Aitchison and Aitken's for
categories; candidates are drawn around good trials with wider kernels, and the one of least
g / l is suggested. A third of the suggestions is random. :func:`bojax.coordinate.bohb` joins it
to Hyperband.

Unlike HpBandSter, which fills in what a trial does not have with random values, a column that
does not exist in a trial says nothing about those that lack it; and nothing is suggested twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp, ndtr, ndtri

from bojax.history import History
from bojax.pytrees import pytree
from bojax.space import table as tables
from bojax.space.table import SpaceTable
from bojax.strategies import protocol
from bojax.strategies._random import Random, State, feasible_points
from bojax.strategies.protocol import ALTERNATIVES, Proposal, Sizes

# HpBandSter 0.7.4, config_generators/bohb.py.
RANDOM_FRACTION = 1.0 / 3.0
GOOD = 0.15
CANDIDATES = 64
WIDER = 3.0  # kernels that candidates are drawn from, over those of the density
NARROWEST = 1e-3  # bandwidth, of a column's range
REFERENCE = 1.06  # of the normal reference rule (B. W. Silverman, 1986), as statsmodels has it


class Density(NamedTuple):
    """Lines `[N]` that kernels stand at, and the bandwidth of each column `[D]`."""

    rows: Any
    lines: Any
    present: Any
    width: Any


@pytree
@dataclass(frozen=True)
class KernelDensity:
    """BOHB's model as a strategy.

    Attributes:
        random_fraction: probability of a random suggestion.
        good: share of the trials that are good.
        wider: factor on the kernels that candidates are drawn from.
        candidates: static, draws that are compared.

    Example:
        >>> import bojax
        >>> bojax.coordinate.bohb(max_budget=9).strategy.candidates
        64
    """

    random_fraction: Any = RANDOM_FRACTION
    good: Any = GOOD
    wider: Any = WIDER
    candidates: int = field(default=CANDIDATES, metadata={"static": True})

    def init(self, table: SpaceTable, sizes: Sizes) -> State:
        """State before the first suggestion."""
        protocol.refuse_several("bohb", sizes)
        return State(table, np.int32(0))

    def ask(self, state: State, history: History, key, q: int, given=None, wanted=None):
        """`q` rows; random ones until a budget has d + 1 good trials and d + 1 bad ones."""
        given = protocol.nothing_given(history, q) if given is None else given
        wanted = jnp.asarray(q if wanted is None else wanted, jnp.int32)
        table = state.table
        chosen = table.used & (table.role != tables.FIDELITY)
        least = jnp.sum(chosen, dtype=jnp.int32) + 1
        learnt = protocol.told_at_one_budget(table, history, 2 * least)
        enough = jnp.sum(learnt, dtype=jnp.int32) >= 2 * least

        def by_model():
            good, bad = self.densities(table, history, learnt, least, chosen)

            def propose(i, known, taken):
                own = jax.random.fold_in(key, state.asked + i)
                keys = jax.random.split(own, 4)
                at = jax.lax.dynamic_index_in_dim(given, i, keepdims=False)
                found, raw = self.candidates_of(table, good, bad, chosen, keys[0], at)
                unit = jax.random.uniform(keys[1], (ALTERNATIVES, at.shape[0]), raw.dtype)
                unit = feasible_points(table, keys[2], unit, at)
                spare = tables.with_given(table, tables.from_unit(table, unit), at)
                found, raw = jnp.concatenate([found, spare]), jnp.concatenate([raw, unit])
                open_ = protocol.free_of(table, found, taken)
                if table.rules is not None:
                    open_ &= tables.feasible(table, found, inside=True)
                # At random: the model's candidates are passed over if there is another.
                chance = jax.random.uniform(keys[3], (), raw.dtype) < self.random_fraction
                number = jnp.arange(len(found), dtype=jnp.int32)
                order = jnp.where(chance & (number < self.candidates), len(found) + number, number)
                pick = jnp.argmin(jnp.where(open_, order, 4 * len(found)))
                return known, Proposal(found[pick], raw[pick], open_[pick])

            _, rows, info = protocol.one_by_one(history, q, wanted, (), propose)
            return state._replace(asked=state.asked + wanted), rows, info

        return jax.lax.cond(
            enough, by_model, lambda: Random().ask(state, history, key, q, given, wanted)
        )

    def tell(self, state: State, history: History) -> State:
        """Nothing: the history holds it all."""
        return state

    def densities(self, table: SpaceTable, history: History, learnt, least, chosen):
        """Of the best trials at the budget learnt from, and of those after them."""
        number = jnp.sum(learnt, dtype=jnp.int32)
        share = jnp.floor(self.good * number.astype(history.values.dtype)).astype(jnp.int32)
        count = jnp.maximum(least, share)
        value = jnp.where(learnt, history.values[:, 0], jnp.inf)
        place = jnp.argsort(jnp.argsort(value, stable=True), stable=True).astype(jnp.int32)
        present = tables.active(table, history.rows)
        return tuple(
            density(table, history.rows, learnt & lines, present, chosen)
            for lines in (place < count, place >= count)
        )

    def candidates_of(self, table: SpaceTable, good: Density, bad: Density, chosen, key, given):
        """Canonical candidates, the one of least g / l first, and what they were drawn as."""
        raw = self.drawn(table, good, key, given)
        rows = tables.with_given(table, raw, given)
        ratio = log_density(table, bad, rows, chosen) - log_density(table, good, rows, chosen)
        order = jnp.argsort(ratio, stable=True)  # what breaks a constraint is passed over later
        return rows[order], raw[order]

    def drawn(self, table: SpaceTable, good: Density, key, given):
        """Draws around good trials, `[candidates, D]`, not yet snapped."""
        keys = jax.random.split(key, 4)
        shape = (self.candidates, good.rows.shape[1])
        dtype = good.rows.dtype
        line = jax.random.categorical(
            keys[0], jnp.where(good.lines, 0.0, -jnp.inf).astype(dtype), shape=shape[:1]
        )
        at, there = good.rows[line], good.present[line]
        u, v, w = (jax.random.uniform(k, shape, dtype) for k in keys[1:])
        width = jnp.maximum(self.wider * good.width, NARROWEST).astype(dtype)
        low, high = ndtr(-at / width), ndtr((1.0 - at) / width)
        number = jnp.clip(at + width * ndtri(low + u * (high - low)), 0.0, 1.0)
        choices = jnp.maximum(table.cardinality, 1).astype(dtype)
        anywhere = jnp.minimum(jnp.floor(v * choices), choices - 1.0)
        code = jnp.where(w < 1.0 - good.width, at, anywhere)
        category = table.kind == tables.CATEGORY
        # A column that the trial lacks, but the draw may have, is drawn from its whole range.
        number, code = jnp.where(there, number, u), jnp.where(there, code, anywhere)
        raw = jnp.where(category, code, number)
        return jnp.where(jnp.isnan(given), raw, given)


def density(table: SpaceTable, rows, lines, present, chosen) -> Density:
    """Kernels at some lines, with the normal reference bandwidth `1.06 s n^(-1 / (4 + d))`.

    Args:
        table: the space.
        rows: `[N, D]` canonical.
        lines: `[N]` bool, those that take part.
        present: `[N, D]` bool, the columns that exist in them.
        chosen: `[D]` bool, the columns that are searched.
    """
    here = (present & lines[:, None]).astype(rows.dtype)
    number = jnp.maximum(jnp.sum(here, axis=0), 1.0)
    mean = jnp.sum(here * rows, axis=0) / number
    spread = jnp.sqrt(jnp.sum(here * jnp.square(rows - mean), axis=0) / number)
    d = jnp.sum(chosen, dtype=jnp.int32).astype(rows.dtype)
    total = jnp.maximum(jnp.sum(lines, dtype=jnp.int32).astype(rows.dtype), 1.0)
    width = REFERENCE * spread * total ** (-1.0 / (4.0 + d))
    choices = jnp.maximum(table.cardinality, 2).astype(rows.dtype)
    most = jnp.where(table.kind == tables.CATEGORY, (choices - 1.0) / choices, 1.0)
    return Density(rows, lines, present, jnp.clip(width, NARROWEST, most))


def log_density(table: SpaceTable, model: Density, rows, chosen):
    """Log density at canonical rows `[S, D]`: a mean of products over columns.

    Args:
        table, model, chosen: as for :func:`density`.
        rows: where.
    """
    z = (rows[:, None] - model.rows) / model.width
    number = -0.5 * jnp.square(z) - jnp.log(model.width) - 0.5 * jnp.log(2.0 * jnp.pi)
    choices = jnp.maximum(table.cardinality, 2).astype(rows.dtype)
    # Aitchison and Aitken, "Multivariate binary discrimination by the kernel method", 1976.
    same = rows[:, None] == model.rows
    category = jnp.log(jnp.where(same, 1.0 - model.width, model.width / (choices - 1.0)))
    kernel = jnp.where(table.kind == tables.CATEGORY, category, number)
    both = chosen & model.present & tables.active(table, rows)[:, None]
    product = jnp.sum(jnp.where(both, kernel, 0.0), axis=-1)
    product = jnp.where(model.lines, product, -jnp.inf)
    count = jnp.maximum(jnp.sum(model.lines, dtype=jnp.int32).astype(rows.dtype), 1.0)
    return logsumexp(product, axis=-1) - jnp.log(count)
