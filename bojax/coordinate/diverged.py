"""A rung that diverges whole is the task's fault, and said so."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bojax.errors import TrialError
from bojax.history import Job, Report, Trial

MANY = 8  # members of a rung that do not all diverge by chance


def check_one_lives(
    run: str, trials: Sequence[Trial], jobs: Sequence[Job], reports: Sequence[Report]
) -> None:
    """A rung of many members that all diverged from the start is the task's fault, not theirs.

    Raises:
        TrialError: after the rung was committed.
    """
    broken = [r for r in reports if not math.isfinite(r.metrics.get("train_loss", 0.0))]
    if len(broken) < max(MANY, len(jobs)) or any(t.values is not None for t in trials):
        return
    first = broken[0]
    shown = ", ".join(f"{n}={v!r}" for n, v in trials[first.trial].config.items())
    values = ", ".join(f"{n}={v:.3g}" for n, v in first.metrics.items())
    raise TrialError(
        f"run {run!r}, rung of budget {first.budget:g}: all {len(jobs)} members "
        f"diverged from the first step on; trial {first.trial} ({shown}) has {values}. Look "
        "for NaN in the loss, or lower the learning rates that the space reaches. What was "
        "told is kept; a run that is resumed goes on with the next rung."
    )
