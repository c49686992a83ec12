"""Advice of a strategy's model to a scheduler that leaves open who trains on.

A scheduler takes advice if it has `candidates()` and `prefer(order)`, as that of freeze-thaw has; a
strategy gives it if it has `weigh_on_host`. It is asked for before every turn, and is a function
of seed and history alone, so that a run that was killed in a turn has the same turn again.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bojax.strategies.weighing import weigh


def advised(coordinator: Any) -> list[tuple[np.ndarray, Any]]:
    """Tell the scheduler what to go on with; the rows of new trials among it.

    Nothing is told without candidates; configurations to start with come before all others.
    """
    scheduler, session = coordinator.scheduler, coordinator.session
    if not hasattr(scheduler, "prefer") or not hasattr(session.strategy, "weigh_on_host"):
        return []
    frozen, fresh, places = scheduler.candidates()
    trials = coordinator.trials
    given = len(coordinator._first) - len(trials)
    if given > 0:
        scheduler.prefer([None] * min(given, fresh) + frozen)
    if given > 0 or not (frozen or fresh):
        return []
    whole = scheduler.max_budget
    order, drawn = weigh(
        session,
        coordinator._rows_at(frozen, [whole] * len(frozen)),
        np.array([whole - trials[number].fidelity for number in frozen]),
        whole=float(whole),
        fresh=0 if coordinator.exhausted else fresh,
        places=places,
    )
    scheduler.prefer([None if place is None else frozen[place] for place in order])
    return drawn
