"""`ReplicatedExecutor`: rungs that train a trial on further folds, or with further seeds.

The budget of a trial is how many of its replicas were trained, each from scratch and to its end,
so that a scheduler can compare trials fold by fold and stop one after a few of them. A replica has
the same number, and so the same initial weights and batches, as where a trial trains on all its
folds and seeds at once: what the whole would give does not depend on the rungs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from bojax.errors import TaskError, TrialError
from bojax.history import Job, Report, Status
from bojax.training.budgets import Budget
from bojax.training.executor import LocalExecutor
from bojax.training.plan import Plan
from bojax.training.program import Program
from bojax.training.records import check_from_scratch, check_jobs, check_restored
from bojax.training.score import TestScore

_FORMAT = 1  # of `state_arrays`
Values = dict[str, list[float]]  # metric -> its value on each replica so far


class ReplicatedExecutor:
    """A :class:`LocalExecutor` whose budget counts replicas: folds and seeds of a trial.

    A job from replica `i` to `j` trains replicas `i` to `j - 1`, each for `passes` epochs. Replica
    `r` is validated on fold `r % folds`; with several seeds all folds come once, then again. The
    report has the mean of every metric over all replicas so far, and in `each` the values of those
    that the job trained. A trial's model is the mean over the replicas it has.

    Args:
        task, space, data: as for :class:`LocalExecutor`.
        max_budget: replicas in all, folds times seeds.
        passes: epochs that every replica is trained for, the horizon of schedules.
        unit: "replicas".
        seed, seeds, settings: as for :class:`LocalExecutor`.

    Raises:
        TaskError: another unit; `max_budget` is not the number of folds and seeds.

    Example:
        >>> import bojax, jax.numpy as jnp, numpy as np, optax
        >>> from bojax.history import Job
        >>> from bojax.training import ReplicatedExecutor
        >>> task = bojax.Task(
        ...     init=lambda key, hp, x: (jnp.zeros(x.shape[1]), {}),
        ...     loss=lambda p, s, b, hp, key: (jnp.mean(b.weight * (b.x @ p - b.y) ** 2), s),
        ...     predict=lambda p, s, x, hp: x @ p,
        ...     optimizer=lambda hp: optax.sgd(hp["lr"]),
        ...     metrics={"rmse": bojax.training.METRICS["rmse"]}, batch_size=16)
        >>> space = bojax.Space({"lr": bojax.Float(1e-3, 1.0, log=True)})
        >>> x = np.random.default_rng(0).normal(size=(60, 3))
        >>> data = bojax.ArrayData(x, x @ [1.0, 2.0, 3.0], split=bojax.CrossValidation(5))
        >>> executor = ReplicatedExecutor(task, space, data, max_budget=5, passes=4)
        >>> first, more = (
        ...     executor.run([job], {0: {"lr": 0.1}})[0] for job in (Job(0, 0, 2), Job(0, 2, 3)))
        >>> more.budget, len(first.each["rmse"]), len(more.each["rmse"])
        (3.0, 2, 1)
        >>> total = sum(first.each["rmse"] + more.each["rmse"])
        >>> bool(np.isclose(more.metrics["rmse"], total / 3))
        True
    """

    def __init__(
        self,
        task: Any,
        space: Any,
        data: Any,
        *,
        max_budget: float,
        passes: int = 1,
        unit: str = "replicas",
        seed: int = 0,
        seeds: int = 1,
        **settings: Any,
    ) -> None:
        if unit != "replicas":
            raise TaskError(f"unit: expected 'replicas', got {unit!r}.")
        self.budget = Budget(unit, passes)
        self._local = LocalExecutor(
            task, space, data, seed=seed, seeds=seeds, max_budget=passes, apart=True, **settings
        )
        self.task, self.space, self.data = task, space, data
        self.seed, self.seeds = seed, seeds
        self.replicas = check_replicas(data, seeds, max_budget)
        self.max_budget = self.replicas
        self._values: dict[int, Values] = {}  # trial -> what its replicas brought
        self._done: dict[int, int] = {}  # trial -> replicas trained

    def _members(self, trial: int, start: int = 0, stop: int | None = None) -> list[int]:
        """The numbers of a trial's replicas; of all that it has, if not said."""
        first = trial * self.replicas
        return list(range(first + start, first + (self._of(trial) if stop is None else stop)))

    def _of(self, trial: int) -> int:
        if trial not in self._done:
            raise TrialError(f"trial {trial}: no state is kept of it; train it first.")
        return self._done[trial]

    # ------------------------------------------------------------------ training

    def run(self, jobs: Sequence[Job], configs: Mapping[int, Mapping]) -> list[Report]:
        """Train each job's replicas and report on all that its trial has.

        Args, Returns: as for :meth:`LocalExecutor.run`; FAILED where a replica did.

        Raises:
            TrialError: a job that does not follow on its trial's replicas, or comes twice.
            TaskError: a budget that is no number of replicas; a clone.
        """
        jobs = list(jobs)
        starts, stops = (
            [self.budget.whole(f"trial {j.trial}: {at}", getattr(j, at)) for j in jobs]
            for at in ("start", "stop")
        )
        check_from_scratch(jobs, self.budget.unit, "every replica")
        for job in jobs:
            if job.trial not in configs:
                raise TrialError(f"trial {job.trial}: no configuration given; add it to configs.")
        check_jobs(jobs, starts, stops, self._done, self.max_budget)
        numbers = [
            self._members(job.trial, start, stop)
            for job, start, stop in zip(jobs, starts, stops, strict=True)
        ]
        inner = [Job(number, 0, self.budget.passes) for own in numbers for number in own]
        owners = {
            number: configs[job.trial] for job, own in zip(jobs, numbers, strict=True)
            for number in own
        }  # fmt: skip
        found = {report.trial: report for report in self._local.run(inner, owners)}
        return [
            self._report(job, stop, [found[number] for number in own])
            for job, stop, own in zip(jobs, stops, numbers, strict=True)
        ]

    def _report(self, job: Job, stop: int, new: list[Report]) -> Report:
        """What a job's replicas add to their trial."""
        values = self._values.setdefault(job.trial, {})
        names = list(new[0].metrics) if new else list(values)
        each = {name: tuple(float(report.metrics[name]) for report in new) for name in names}
        for name in names:
            values.setdefault(name, []).extend(each[name])
        self._done[job.trial] = stop
        metrics = {name: float(np.mean(values[name])) for name in names}
        good = all(np.isfinite(list(metrics.values())))
        return Report(
            trial=job.trial,
            budget=float(stop),
            metrics=metrics,
            status=Status.DONE if good else Status.FAILED,
            seconds=float(sum(report.seconds for report in new)),
            examples=float(sum(report.examples for report in new)),
            each=each,
        )

    # ------------------------------------------------------------------ states

    @property
    def kept(self) -> list[int]:
        """Trials whose state is kept, in order."""
        return sorted(self._done)

    def keep(self, trials: Iterable[int]) -> None:
        """Forget every trial but these."""
        wanted = set(trials)
        self.drop([trial for trial in self._done if trial not in wanted])

    def drop(self, trials: Iterable[int]) -> None:
        """Forget the states of these trials; unknown ones are ignored."""
        for trial in trials:
            if trial in self._done:
                self._local.drop(self._members(trial))
                del self._done[trial], self._values[trial]

    def state_arrays(self, trials: Iterable[int]) -> tuple[dict[str, np.ndarray], dict]:
        """As :meth:`LocalExecutor.state_arrays`, with the values of every replica."""
        listed = list(trials)
        members = [number for trial in listed for number in self._members(trial)]
        arrays, inner = self._local.state_arrays(members)
        meta = {
            "format": _FORMAT, "unit": self.budget.unit, "max_budget": self.max_budget,
            "values": [[trial, self._done[trial], self._values[trial]] for trial in listed],
            "members": inner,
        }  # fmt: skip
        return arrays, meta

    def restore(
        self, arrays: Mapping[str, np.ndarray], meta: Mapping, configs: Mapping[int, Mapping]
    ) -> None:
        """Take over what :meth:`state_arrays` gave.

        Raises:
            TaskError: another unit, seed or budget, or shapes of another model.
        """
        check_restored(meta, unit=self.budget.unit, max_budget=self.max_budget)
        for trial, done, values in meta["values"]:
            self._done[trial] = done
            self._values[trial] = {name: list(column) for name, column in values.items()}
        owners = {
            number: configs[trial] for trial, *_ in meta["values"]
            for number in self._members(trial)
        }  # fmt: skip
        self._local.restore(arrays, meta["members"], owners)

    # ------------------------------------------------------------------ models

    def params(self, trial: int) -> Any:
        """See :meth:`LocalExecutor.params`; leaves are `[replicas so far, ...]`."""
        return self._stacked(self._local.params, trial)

    def state(self, trial: int) -> Any:
        """See :meth:`LocalExecutor.state`; leaves are `[replicas so far, ...]`."""
        return self._stacked(self._local.state, trial)

    def _stacked(self, take: Any, trial: int) -> Any:
        parts = [take(number) for number in self._members(trial)]
        return parts[0] if len(parts) == 1 else jax.tree.map(lambda *leaf: np.stack(leaf), *parts)

    def _listed(self, trials: int | Sequence[int]) -> list[int]:
        listed = [trials] if isinstance(trials, int) else trials
        return [number for trial in listed for number in self._members(trial)]

    def predict(self, trials: int | Sequence[int], x: Any) -> np.ndarray:
        """See :meth:`LocalExecutor.predict`: the mean over the replicas of these trials."""
        return self._local.predict(self._listed(trials), x)

    def test(
        self, trials: int | Sequence[int], validation: Mapping[str, float] | None = None
    ) -> TestScore:
        """See :meth:`LocalExecutor.test`."""
        return self.score(trials, *self.take_test(trials), validation)

    def take_test(self, trials: int | Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """See :meth:`LocalExecutor.take_test`."""
        return self._local.take_test(self._listed(trials))

    def score(
        self, trials: int | Sequence[int], x: Any, y: Any,
        validation: Mapping[str, float] | None = None,
    ) -> TestScore:  # fmt: skip
        """See :meth:`LocalExecutor.score`."""
        return TestScore.of(self.resampled_scores(trials, x, y), validation)

    def resampled_scores(
        self, trials: int | Sequence[int], x: Any, y: Any
    ) -> dict[str, np.ndarray]:
        """See :meth:`LocalExecutor.resampled_scores`."""
        numbers = self._listed(trials)
        if not isinstance(trials, int) and len(trials) > 1:
            return self._local.resampled_scores(numbers, x, y)
        found = [self._local.resampled_scores(number, x, y) for number in numbers]
        return {name: np.mean([one[name] for one in found], axis=0) for name in found[0]}

    # ------------------------------------------------------------------ plan and figures

    def plan(self, configs: Sequence[Mapping] | Mapping[int, Mapping]) -> Plan:
        """Buckets, memory and call shape, were every trial trained on all its replicas."""
        return replace(self._local.plan(configs), replicas=self.replicas)

    @property
    def platform(self) -> str:
        """Of the devices: "cpu", "gpu" or "tpu"."""
        return self._local.platform

    @property
    def members(self) -> int | None:
        """Of the largest rung, as it was given."""
        return self._local.members

    @property
    def chunk(self) -> int | None:
        """Members a device trains at once, as it was given."""
        return self._local.chunk

    @property
    def programs(self) -> list[Program]:
        """Every program used."""
        return self._local.programs

    @property
    def compile_seconds(self) -> float:
        """Lowering and compiling."""
        return self._local.compile_seconds

    @property
    def train_seconds(self) -> float:
        """Running programs, and moving states to and from the devices."""
        return self._local.train_seconds


def check_replicas(data: Any, seeds: int, max_budget: float) -> int:
    """The number of folds and seeds, which the largest budget must be.

    Raises:
        TaskError: it is not.
    """
    folds = len(data.folds)
    if max_budget != seeds * folds:
        raise TaskError(
            f"max_budget: with unit='replicas' it is the number of folds times seeds, {folds} x "
            f"{seeds}, got {max_budget!r}; give max_budget={seeds * folds}, or change those."
        )
    return folds * seeds
