"""Which of the trials that could go on, or of new ones, is worth the next piece of budget.

    height = log EI(mean, variance at the largest budget) - log(budget still to train)

after K. Swersky, J. Snoek and R. P. Adams, "Freeze-thaw Bayesian optimization", 2014, section 4.
They compare candidates by how much a further step is expected to tell of where the minimum is
(entropy search); this is the expected improvement of each at the end, for what it costs to get
there. The incumbent is the best mean predicted for any trial at the end, trained to there or not.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bojax.acquisitions import LogEI
from bojax.configuration import jit, single_threaded
from bojax.history import History, capacity_for, ordered
from bojax.strategies._fantasies import targets_of
from bojax.strategies._modelled import modelled
from bojax.strategies.protocol import Q_CLASSES
from bojax.surrogates import Fantasies


class Weighed(NamedTuple):
    """What is weighed, and new rows.

    Attributes:
        state: of the strategy, with all new rows counted as asked.
        rows: `[q, D]` new ones.
        info: of them.
        heights: `[M]` of what could go on.
        fresh: `[q]` of the new ones.
    """

    state: Any
    rows: Any
    info: Any
    heights: Any
    fresh: Any


def weigh_on_host(
    strategy, state, history: History, bits, q: int, given, wanted: int, rows, left, whole
) -> Weighed:
    """New rows, and the heights of them and of others, by two named programs.

    Args:
        strategy: a `GPStrategy`.
        state: its state.
        history: all lines, none of them pending.
        bits: of the run's key.
        q, given, wanted: as of `ask`.
        rows: `[M, D]` trials that could go on, at the largest budget; padded as you like.
        left: `[M]` what each still has to be trained.
        whole: what a new one has.
    """
    if strategy.designs(state, history, np):
        state, found, info = strategy.design_on_host(state, history, bits, q, given, wanted)
        return Weighed(state, found, info, np.full(len(rows), -np.inf), np.zeros(q))
    known = modelled(history, state.table, strategy.lines)
    state, posterior = strategy.fit_on_host(state, known, bits)
    costs = np.concatenate([left, np.full(q, whole)])
    return Weighed(
        *_weigh_program(
            strategy, state, posterior, known, history, bits, q, given, wanted, rows, costs
        )
    )


@jit(static_argnames="q")
def _weigh_program(strategy, state, posterior, known, history, bits, q, given, wanted, rows, costs):
    key = jax.random.wrap_key_data(bits)
    fantasies = 1 if q == 1 else strategy.fantasies
    table = state.table
    state, found, info = strategy.suggest(
        state, posterior, known, key, q, given, wanted, fantasies, pending=False, asked=history
    )
    lines = Fantasies(posterior, posterior.whitened[:, None])
    means, _ = lines.mean_and_variance(targets_of(lines, table, given[0]))
    incumbent = jnp.min(jnp.where(posterior.mask, means[:, 0], jnp.inf))
    mean, variance = lines.mean_and_variance(jnp.concatenate([rows, found]))
    heights = LogEI().of_moments(mean, variance, incumbent[None]) - jnp.log(costs)
    return state, found, info, heights[: len(rows)], heights[len(rows) :]


def weigh(
    session: Any, rows: np.ndarray, left: np.ndarray, *, whole: float, fresh: int, places: int
) -> tuple[list[int | None], list[tuple[np.ndarray, dict]]]:
    """What is worth the next pieces of budget, best first: trials that could go on, or new ones.

    Only the new ones that have a place count as asked.

    Args:
        session: a `Session` whose strategy has `weigh_on_host`.
        rows: `[M, D]` trials that could go on, at the largest budget.
        left: `[M]` what each still has to be trained.
        whole: what a new one has.
        fresh: new ones that may be begun.
        places: how many pieces are given out now.

    Returns:
        Numbers in `rows`, and None for each new one that is to be begun; and those new ones, as
        `Session.ask` gives them.
    """
    given = session._complete(None)
    wanted, q = min(fresh, Q_CLASSES[-1]), session._class_of(fresh)
    columns = session.space.table.columns
    room = capacity_for(max(len(rows), session.sizes.evaluations or 1))
    padded, costs = np.zeros((room, columns)), np.ones(room)
    padded[: len(rows)], costs[: len(rows)] = rows.reshape(-1, columns), left
    before, history = session.state, ordered(session._view(q))
    with jax.enable_x64(True), single_threaded(history.capacity):
        found = session.strategy.weigh_on_host(
            session._anchored(given), history, session.bits, q, np.tile(given, (q, 1)),
            np.int32(wanted), padded, costs, np.float64(whole),
        )  # fmt: skip
        state = jax.tree.map(np.asarray, found.state)
    drawn = session._usable(found.rows, found.info, wanted, given)
    # A new one is begun after those suggested before it, however they compare.
    heights = np.minimum.accumulate(np.asarray(found.fresh)[: len(drawn)])
    both = np.concatenate([np.asarray(found.heights)[: len(rows)], heights])
    order = np.argsort(-both, kind="stable").tolist()
    begun = sum(place >= len(rows) for place in order[:places])
    session.state = state._replace(asked=before.asked + np.int32(begun), table=before.table)
    kept = [place for place in order if place < len(rows) + begun]
    return [place if place < len(rows) else None for place in kept], drawn[:begun]
