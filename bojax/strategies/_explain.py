"""Why the Gaussian process suggested a row: what it predicted there, and what it was after."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bojax.acquisitions import LogEI
from bojax.configuration import jit, single_threaded
from bojax.history import History, Status
from bojax.space import table as tables
from bojax.strategies import protocol
from bojax.strategies._fantasies import targets_of
from bojax.strategies._modelled import modelled
from bojax.surrogates import Fantasies

SMALL = 0.01  # nats of log EI below which a parameter is not named in the text


@dataclasses.dataclass(frozen=True)
class Explanation:
    """What the model said of a trial, fitted to the results of the trials before it.

    Attributes:
        trial: its id.
        mean, deviation: predicted for it, without noise, in the user's unit and direction. With
            the half-rank warp values worse than the median are ranks on that scale.
        incumbent: the best mean predicted at an observed row, which it was to improve on.
        log_ei: log expected improvement over it, of warped values.
        nearest: id of the observed trial it is most like.
        similarity: the kernel's correlation with that trial, 0 to 1.
        drivers: parameter -> how much log EI (nats) it would lose with the incumbent's setting
            of that parameter instead of its own, most first.

    Example:
        >>> import bojax
        >>> optimizer = bojax.Optimizer({"x": bojax.Float(0, 1)}, seed=0)
        >>> for x in (0.0, 0.2, 0.4, 0.5, 0.7, 1.0):
        ...     optimizer.tell({"x": x}, (x - 0.3) ** 2)
        >>> told = optimizer.explain(optimizer.ask())
        >>> told.trial, list(told.drivers), 0 <= told.similarity <= 1
        (6, ['x'], True)
    """

    trial: int
    mean: float
    deviation: float
    incumbent: float
    log_ei: float
    nearest: int
    similarity: float
    drivers: Mapping[str, float]

    def __str__(self) -> str:
        why = [f"{name} ({gain:+.2f})" for name, gain in self.drivers.items() if gain > SMALL]
        return (
            f"trial {self.trial}: predicted {self.mean:.4g} +- {self.deviation:.2g}, to improve on "
            f"{self.incumbent:.4g}; log EI {self.log_ei:.2f}; most like trial {self.nearest} "
            f"(correlation {self.similarity:.2f}); "
            + (f"for its {', '.join(why)}" if why else "no single parameter sets it apart")
        )


class Told(NamedTuple):
    """What the program gives back, see :class:`Explanation`."""

    mean: Any
    deviation: Any
    incumbent: Any
    log_ei: Any
    line: Any
    similarity: Any
    drivers: Any  # [D]


def explain_on_host(strategy, state, history: History, bits, row: np.ndarray, trial: int) -> Told:
    """What the model of all results before `trial` says of a row, by one program.

    Args:
        strategy: a `GPStrategy`.
        state: its state, for the last hyperparameters.
        history: all lines; those of later trials and of the trial itself are left out.
        bits: of the run's key.
        row: `[D]` canonical.
        trial: its number.

    Raises:
        ValueError: fewer than two usable results before it, so that it came from the design.
    """
    status = np.where(
        (history.trial < trial) & (history.status != Status.PENDING), history.status, Status.EMPTY
    ).astype(history.status.dtype)
    known = history._replace(status=status)
    if np.sum(protocol.told_lines(known, np)) < 2:
        raise ValueError(
            f"explain: trial {trial} comes from the initial design: fewer than two results were "
            "known before it, so no model chose it."
        )
    known = modelled(known, state.table, strategy.lines)
    with jax.enable_x64(True), single_threaded(history.capacity):
        found = _program(strategy, state._replace(fitted=np.int32(0)), known, bits, row)
        return Told(*map(np.asarray, found))


@jit
def _program(strategy, state, history: History, bits, row):
    table, d = state.table, row.shape[0]
    _, posterior = strategy.fit(state, history, jax.random.wrap_key_data(bits))
    lines = Fantasies(posterior, posterior.whitened[:, None])
    given = jnp.where(table.role == tables.PARAMETER, jnp.nan, row)
    targets = targets_of(lines, table, given)
    # One parameter after the other as the incumbent has it; the row itself first.
    means, _ = lines.mean_and_variance(targets)
    means = jnp.where(posterior.mask, means[:, 0], jnp.inf)
    leader = posterior.features.coordinate[jnp.argmin(means)]
    swapped = jnp.where(jnp.eye(d, dtype=bool), leader, row)
    rows = tables.canonical(table, jnp.concatenate([row[None], swapped]))
    mean, variance = lines.mean_and_variance(rows)
    scores = LogEI().of_moments(mean, variance, jnp.min(means)[None])
    similarity = jnp.where(posterior.mask, posterior.covariance(rows[:1], targets)[0], -jnp.inf)
    scale = posterior.scale
    return Told(
        posterior.shift + scale * mean[0, 0],
        scale * jnp.sqrt(variance[0]),
        posterior.shift + scale * jnp.min(means),
        scores[0],
        jnp.argmax(similarity),
        jnp.max(similarity) / posterior.kernel.diagonal(posterior.features)[0],
        scores[0] - scores[1:],
    )
