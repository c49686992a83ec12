"""What copies of a population are: whose state they take, and what they train with next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from bojax.coordinate._bandit import Bandit, check_numbers
from bojax.coordinate.explore import explored, names_to_explore
from bojax.history import Job, Trial
from bojax.space import Space

_EXPLORE = 0x9B7  # its stream of the run's seed


class Copies:
    """Draws donors, and perturbs or chooses configurations.

    Chance is the run's seed and the copy's number alone, so that a resumed run draws alike.

    Args:
        space: of the run.
        explore: of the scheduler: `perturb`, and what else its way takes; `by` names another
            way than perturbing.
        fixed: parameters that cannot change in training.
        seed: of the run.
        value: of a dict of metrics, minimised.

    Raises:
        SpaceError: what is to be perturbed cannot be.

    Example:
        >>> import bojax
        >>> from bojax.coordinate._copies import Copies
        >>> space = bojax.Space({"x": bojax.Float(0.0, 1.0)})
        >>> Copies(space, bojax.schedulers.pbt(trials=4).explore, (), 0, min).names
        ('x',)
    """

    def __init__(
        self, space: Space, explore: Mapping[str, Any], fixed: Iterable[str], seed: int,
        value: Callable[[Mapping[str, float]], float],
    ) -> None:  # fmt: skip
        self.space, self.explore, self.seed = space, dict(explore), abs(seed)
        self.names = names_to_explore(space, explore["perturb"], fixed)
        self._value = value
        self._by_bandit = explore.get("by") == "pb2"
        if self._by_bandit:
            check_numbers(space, self.names)

    def made(
        self, jobs: Sequence[Job], trials: Sequence[Trial]
    ) -> Callable[[Job], tuple[Trial, dict[str, Any]]]:
        """What makes the copies of one generation: job -> donor and configuration.

        Args:
            jobs: of the generation; those of copies have donors.
            trials: known so far, by number.
        """
        bandit = self._bandit(jobs, trials)

        def make(job: Job) -> tuple[Trial, dict[str, Any]]:
            rng = np.random.default_rng([_EXPLORE, self.seed, job.trial])
            donor = trials[job.donors[int(rng.integers(len(job.donors)))]]
            if bandit is None:
                return donor, explored(
                    self.space, donor.config, self.names, rng,
                    factors=self.explore["factors"], resample=self.explore["resample"],
                )  # fmt: skip
            config = bandit.chosen(donor, rng)
            bandit.expect(Trial(job.trial, config, self.space.encode(config)), donor)
            return donor, config

        return make

    def _bandit(self, jobs: Sequence[Job], trials: Sequence[Trial]) -> Bandit | None:
        """A model of this generation that awaits what is decided already."""
        copies = [job for job in jobs if job.donors]
        if not self._by_bandit or all(job.trial < len(trials) for job in copies):
            return None
        bandit = Bandit(
            self.space, self.names, trials, self._value, now=copies[0].start,
            interval=self.explore["interval"], window=self.explore["window"],
        )  # fmt: skip
        for job in jobs:
            if job.trial < len(trials):
                trial = trials[job.trial]
                known = trial if not job.donors or trial.parent is None else trials[trial.parent]
                bandit.expect(trial, known)
        return bandit
