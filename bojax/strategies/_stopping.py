"""Whether to go on: what the model says could still be gained.

Makarova, Shen, Perrone, Klein, Faddoul, Krause, Seeger & Archambeau (2022), "Automatic Termination
for Hyperparameter Optimization": with high probability the simple regret is at most

    min_observed (mean + w sd) - min_space (mean - w sd),

and once that is smaller than the noise of a measurement a better configuration could not be told
from the incumbent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bojax.configuration import jit, single_threaded
from bojax.history import History
from bojax.strategies import protocol
from bojax.strategies._fantasies import targets_of
from bojax.strategies._modelled import modelled
from bojax.strategies._pool import best_row, candidate_pool
from bojax.strategies._ucb_pe import WIDTH
from bojax.surrogates import Fantasies


@dataclass(frozen=True)
class Stopping:
    """Advice whether to stop, and its reason.

    Attributes:
        stop: whether the regret's bound is within the tolerance.
        regret: bound on how much better than the incumbent anything in the space is, at the
            largest budget, in the values' unit.
        tolerance: what it is compared with: the one given, or the noise's standard deviation.
        noise: standard deviation of a measurement, as fitted.
        results: how many usable results it rests on.

    Example:
        >>> from bojax.strategies import Stopping
        >>> print(Stopping(stop=True, regret=0.02, tolerance=0.1, noise=0.01, results=9))
        stop: after 9 results the best of the space may be better than the incumbent by 0.02,
        no more than the tolerance, 0.1
    """

    stop: bool
    regret: float
    tolerance: float
    noise: float
    results: int

    def __str__(self) -> str:
        verb, than = ("stop", "no more") if self.stop else ("go on", "more")
        against = "the noise of a measurement" if self.tolerance == self.noise else "the tolerance"
        return (
            f"{verb}: after {self.results} results the best of the space may be better than the "
            f"incumbent by {self.regret:.3g}, {than} than {against}, {self.tolerance:.3g}"
        )


class Told(NamedTuple):
    """What the program gives back, in the values' unit."""

    regret: Any
    noise: Any


def stopping_on_host(strategy, state, history: History, bits) -> Told:
    """The regret's bound and the noise, by one program.

    Args:
        strategy: a `GPStrategy`.
        state: its state, for the space.
        history: all lines; pending ones are left out.
        bits: of the run's key.

    Raises:
        ValueError: fewer than two usable results.
    """
    if np.sum(protocol.told_lines(history, np)) < 2:
        raise ValueError("stopping: needs two usable results to have a model; go on.")
    history = modelled(history, state.table, strategy.lines)
    with jax.enable_x64(True), single_threaded(history.capacity):
        found = _program(strategy, state._replace(fitted=np.int32(0)), history, bits)
        return Told(*map(np.asarray, found))


@jit
def _program(strategy, state, history: History, bits):
    table, d = state.table, history.rows.shape[1]
    key = jax.random.wrap_key_data(bits)
    _, posterior = strategy.fit(state, history, key)
    lines = Fantasies(posterior, posterior.whitened[:, None])
    given = jnp.full(d, jnp.nan, history.rows.dtype)
    means, variances = lines.mean_and_variance(targets_of(lines, table, given))
    upper = jnp.where(posterior.mask, means[:, 0] + WIDTH * jnp.sqrt(variances), jnp.inf)
    least = jnp.argmin(jnp.where(posterior.mask, means[:, 0], jnp.inf))
    leader = posterior.features.coordinate[least]

    def lower(rows):
        mean, variance = lines.mean_and_variance(rows)
        return mean[:, 0] - WIDTH * jnp.sqrt(variance)

    keys = jax.random.split(key, 5)
    pool = candidate_pool(
        keys, table, leader, given, jnp.int32(0), protocol.shift_of(key, d),
        candidates=strategy.candidates, local=strategy.local,
    )  # fmt: skip
    nothing = protocol.Taken(jnp.zeros((1, d), pool.dtype), jnp.zeros(1, bool))
    found = best_row(lambda rows: -lower(rows), table, keys[4], pool, given, nothing,
                     strategy.lanes)  # fmt: skip
    seen = jnp.where(posterior.mask, lower(posterior.features.coordinate), jnp.inf)
    bound = jnp.minimum(jnp.min(seen), lower(found.row[None])[0])
    regret = jnp.maximum(jnp.min(upper) - bound, 0.0)
    return Told(posterior.scale * regret, posterior.scale * jnp.sqrt(posterior.noise))
