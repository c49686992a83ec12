"""What a sampler returns, whichever it is."""

from __future__ import annotations

from typing import Any, NamedTuple


class Chain(NamedTuple):
    """A Markov chain after its warm-up, S states of M variables.

    Attributes:
        positions: `[S, M]`.
        log_density: `[S]`.
        acceptance: average acceptance probability of a proposal.
        divergences: transitions that left the region in which the integrator is stable.
        evaluations: of the log density, warm-up included.
    """

    positions: Any
    log_density: Any
    acceptance: Any
    divergences: Any
    evaluations: Any
