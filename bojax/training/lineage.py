"""`Schedule`: the configurations a trial was trained with, from which budget to which, and again.

M. Jaderberg et al., "Population based training of neural networks", 2017 (arXiv 1711.09846): what
it finds is a schedule of hyperparameters, the chain of copies that led to the winner. A model that
is trained anew is trained along it, since the last values of a schedule may be bad ones to begin
with. A trial that nothing was copied for has a schedule of one stage.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bojax.errors import ConfigError, TrialError
from bojax.history import Job, Trial
from bojax.space import Space
from bojax.training.model import Model

SCHEMA = 1  # of the JSON


@dataclass(frozen=True)
class Stage:
    """A part of a schedule.

    Attributes:
        start, stop: budgets, from which to which.
        config: the active parameters meanwhile.
        trial: number of the trial that was trained; its randomness is keyed on it.

    Example:
        >>> from bojax.training import Stage
        >>> Stage(0, 2, {"lr": 0.1}).trial
        0
    """

    start: float
    stop: float
    config: Mapping[str, Any]
    trial: int = 0


@dataclass(frozen=True)
class Schedule:
    """Configurations one after the other, as population based training found them.

    Attributes:
        stages: each :class:`Stage` begins where the one before ends, the first at 0.
        unit: what budgets count.
        passes: with some units, epochs at the largest budget; see :class:`Budget`.
        horizon: the budget at which schedules *inside* a configuration end (a cosine, say): the
            `max_budget` of the sweep. None for the end of the last stage.

    Raises:
        ConfigError: stages that do not follow on one another.

    Example:
        >>> from bojax.training import Schedule, Stage
        >>> found = Schedule([Stage(0, 2, {"lr": 0.1}, trial=3), Stage(2, 6, {"lr": 0.08}, 9)])
        >>> print(found)
        from  to    lr  trial
           0   2   0.1      3
           2   6  0.08      9
        >>> found.at(2), Schedule.from_json(found.to_json()) == found
        ({'lr': 0.08}, True)
    """

    stages: tuple[Stage, ...]
    unit: str = "epochs"
    passes: int = 1
    horizon: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "stages", tuple(self.stages))
        if not self.stages:
            raise ConfigError("schedule: no stages; give at least one.")
        before, seen = 0.0, set()
        for stage in self.stages:
            if stage.start != before or not stage.stop > stage.start:
                raise ConfigError(
                    f"schedule: a stage from {stage.start:g} to {stage.stop:g} cannot follow on "
                    f"one that ends at {before:g}; a stage begins where the last one ends."
                )
            if stage.trial in seen:
                raise ConfigError(
                    f"schedule: two stages of trial {stage.trial}; a change is a new trial, number "
                    "them apart."
                )
            before = stage.stop
            seen.add(stage.trial)
        if self.horizon is None:
            object.__setattr__(self, "horizon", self.stages[-1].stop)
        elif self.horizon < before:
            raise ConfigError(f"schedule: horizon={self.horizon:g} is before its end, {before:g}.")

    @classmethod
    def of(cls, trials: Sequence[Trial], number: int, **settings: Any) -> Schedule:
        """The schedule of a trial along its ancestors.

        Args:
            trials: of a run, by number.
            number: whose.
            settings: unit, passes and horizon.

        Raises:
            TrialError: no such trial, or one that was never trained.
        """
        if not 0 <= number < len(trials):
            raise TrialError(f"trial {number}: the run has trials 0 to {len(trials) - 1}.")
        trial, stages = trials[number], []
        if not trial.curve:
            raise TrialError(f"trial {number}: it was never trained, it has no schedule.")
        stop = trial.curve[-1][0]
        while True:
            first = trial.curve[0][0]
            parent = None if trial.parent is None else trials[trial.parent]
            # A copy is made between two rungs: it begins where its parent stood before its first.
            rungs = () if parent is None else [budget for budget, _ in parent.curve]
            start = max((budget for budget in rungs if budget < first), default=0.0)
            stages.append(Stage(start, stop, dict(trial.config), trial.id))
            if parent is None or start == 0:
                return cls(tuple(reversed(stages)), **settings)
            trial, stop = parent, start

    @property
    def stop(self) -> float:
        """The budget at its end."""
        return self.stages[-1].stop

    def at(self, budget: float) -> dict[str, Any]:
        """The configuration that training goes on with at a budget; the last one at the end."""
        later = [stage for stage in self.stages if budget < stage.stop]
        return dict((later[0] if later else self.stages[-1]).config)

    def until(self, budget: float) -> Schedule:
        """Cut at a budget, or the last stage drawn out to it."""
        kept = [stage for stage in self.stages if stage.start < budget]
        if not kept:
            raise ConfigError(f"schedule: until={budget!r} must be above 0.")
        kept[-1] = replace(kept[-1], stop=budget)
        assert self.horizon is not None  # set when it was made
        return replace(self, stages=tuple(kept), horizon=max(self.horizon, budget))

    def __str__(self) -> str:
        names = list(dict.fromkeys(name for stage in self.stages for name in stage.config))
        lines = [("from", "to", *names, "trial")]
        for stage in self.stages:
            values = (_shown(stage.config[n]) if n in stage.config else "" for n in names)
            lines.append((f"{stage.start:g}", f"{stage.stop:g}", *values, str(stage.trial)))
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(f"{cell:>{width}}" for cell, width in zip(line, widths, strict=True))
            for line in lines
        )

    def to_json(self) -> str:
        """As JSON; :meth:`from_json` reads it."""
        body = {
            "schema": SCHEMA, "unit": self.unit, "passes": self.passes, "horizon": self.horizon,
            "stages": [
                {"start": s.start, "stop": s.stop, "trial": s.trial, "config": dict(s.config)}
                for s in self.stages
            ],
        }  # fmt: skip
        return json.dumps(body, allow_nan=False, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Schedule:
        """The schedule that :meth:`to_json` wrote.

        Raises:
            ConfigError: no such thing, or of a newer version.
        """
        try:
            body = json.loads(text)
            schema, stages = body.pop("schema"), body.pop("stages")
            if schema > SCHEMA:
                raise ConfigError(
                    f"schedule: written with schema {schema}, this bojax reads up to {SCHEMA}; "
                    "upgrade bojax."
                )
            return cls(tuple(Stage(**stage) for stage in stages), **body)
        except (ValueError, TypeError, KeyError, AttributeError) as wrong:
            if isinstance(wrong, ConfigError):
                raise
            raise ConfigError(
                f"schedule: not the JSON of one ({wrong}); give what to_json wrote."
            ) from wrong

    def replay(
        self, task: Any, space: Any, data: Any, *, seed: int = 0, seeds: int = 1, **settings: Any
    ) -> Model:
        """A model trained along it, from scratch.

        With the task, data, seed and number of seeds of the sweep it is the trial that the
        schedule is of, to rounding: every stage is drawn with the number of its trial.

        Args:
            task: a :class:`Task`.
            space: of the configurations, a :class:`bojax.Space` or its parameters.
            data: an :class:`ArrayData` or :class:`GrainData`; `data.whole()` trains on the
                validation part, too.
            seed, seeds: as for a sweep.
            settings: others of :class:`LocalExecutor`.

        Raises:
            TaskError: task, space, data and schedule do not fit.
            ConfigError: a configuration is not of the space.
        """
        from bojax.training.executors import executor_of

        assert self.horizon is not None
        if not isinstance(space, Space):
            space = Space(space)
        for stage in self.stages:
            space.encode(stage.config)  # raises, naming the parameter
        executor = executor_of(
            task, space, data, seed=seed, seeds=seeds, max_budget=self.horizon, unit=self.unit,
            passes=self.passes, **{"members": seeds} | settings,
        )  # fmt: skip
        train_along(executor, [self])
        last = self.stages[-1]
        return Model(executor, (last.trial,), (dict(last.config),))


def train_along(executor: Any, schedules: Sequence[Schedule]) -> None:
    """Train the last trial of every schedule, all of one run; what they share only once.

    Args:
        executor: with none of the trials trained.
        schedules: that end at one budget.
    """
    ends = sorted({stage.stop for schedule in schedules for stage in schedule.stages})
    wanted = {schedule.stages[-1].trial for schedule in schedules}
    for start, stop in zip((0.0, *ends), ends, strict=False):
        jobs: dict[int, Job] = {}
        configs: dict[int, dict[str, Any]] = {}
        for schedule in schedules:
            for before, stage in zip((None, *schedule.stages), schedule.stages, strict=False):
                if stage.start <= start < stage.stop:
                    copied = before is not None and stage.start == start
                    parent = before.trial if copied and before is not None else None
                    jobs[stage.trial] = Job(stage.trial, start, stop, clone_of=parent)
                    configs[stage.trial] = dict(stage.config)
        executor.run(list(jobs.values()), configs)
    executor.keep(wanted)


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
