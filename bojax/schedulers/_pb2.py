"""Population based bandits: as population based training, and copies are chosen by a model.

J. Parker-Holder, V. Nguyen and S. Roberts, "Provably efficient online hyperparameter optimization
with population-based bandits", NeurIPS 2020. Who copies whom is decided as in `_pbt.py`; what the
copy trains with next is chosen by the Coordinator (`bojax.coordinate._bandit`), since a scheduler
draws nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from bojax.schedulers._pbt import QUANTILE, PopulationBasedTraining, population_settings
from bojax.schedulers._settings import integer

# The authors' code keeps between 200 and 1,000, as many as explain the data best; the covariance
# forgets by itself, and 200 are fitted in a fraction of a second.
WINDOW = 200


def pb2(
    *,
    max_budget: int = 27,
    interval: int = 1,
    quantile: float = QUANTILE,
    perturb: Sequence[str] | None = None,
    window: int = WINDOW,
    trials: int | None = None,
) -> PopulationBasedTraining:
    """Population based bandits.

    Population based training whose copies do not multiply their hyperparameters by chance: a
    Gaussian process of the improvement in an interval, which forgets, says where the most may be
    won next. Made for populations of 4 to 8, where chance explores too little.

    Args:
        max_budget, interval, quantile, trials: as for :func:`bojax.schedulers.pbt`.
        perturb: names of the parameters that are chosen, numbers all of them; None for every
            `Float`.
        window: intervals of members that the process is fitted to, the latest.

    Returns:
        A :class:`Scheduler`.

    Raises:
        SchedulerError: a setting makes no sense.

    Example:
        >>> import bojax
        >>> scheduler = bojax.schedulers.pb2(max_budget=4, trials=4)
        >>> scheduler.explore["by"], len(scheduler.plan().rows)
        ('pb2', 4)
    """
    settings = {
        **population_settings(max_budget, interval, quantile, perturb),
        "window": integer("window", window),
    }
    explore = {"by": "pb2", **{n: settings[n] for n in ("perturb", "interval", "window")}}
    return PopulationBasedTraining(settings, trials, method="pb2", explore=explore)
