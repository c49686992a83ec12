"""`ResizedExecutor`: rungs that train anew on images of more pixels, or longer sequences.

A smaller size has other shapes, so other programs and, for most models, other parameters: nothing
of a rung can be carried into the next. What carries over is which configurations are good, as in
H. Cai et al., "Once for all", ICLR 2020, and P. Chrabaszcz, I. Loshchilov, F. Hutter, "A
downsampled variant of ImageNet as an alternative to the CIFAR datasets", arXiv:1707.08819, 2017.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bojax.errors import DataError, TaskError, TrialError
from bojax.history import Job, Report
from bojax.training.budgets import SIZES, Budget
from bojax.training.data import ArrayData
from bojax.training.executor import LocalExecutor
from bojax.training.plan import Plan
from bojax.training.program import Program
from bojax.training.records import check_from_scratch, check_jobs, check_restored
from bojax.training.resampling import (
    check_largest,
    cut_targets,
    resampled,
    resampled_inputs,
)
from bojax.training.score import TestScore

_FORMAT = 1  # of `state_arrays`


class ResizedExecutor:
    """A :class:`LocalExecutor` for each size; a trial is at the one it was trained at last.

    A job to budget `s` trains its trial from scratch for `passes` epochs on data of size `s`, and
    validates it at that size. What needs the trained model, predictions, scores and parameters,
    takes inputs of the data's own size and resamples them to that of the trial.

    Args:
        task, space: as for :class:`LocalExecutor`; the task is traced at every size.
        data: of the largest size.
        unit: "resolution", the longer side of images `[N, H, W]` or `[N, H, W, C]`, or "length",
            the places of sequences `[N, L, ...]`, of which the first are taken; `y[N, L, ...]` is
            cut alike.
        max_budget: the data's own size.
        passes: epochs at every size, the horizon of schedules.
        sizes: those that :meth:`plan` looks at beside the largest.
        seed, seeds, settings: as for :class:`LocalExecutor`.

    Raises:
        TaskError: another unit; `max_budget` is not the data's size.
        DataError: data without such axes.

    Example:
        >>> import bojax, jax.numpy as jnp, numpy as np, optax
        >>> from bojax.history import Job
        >>> from bojax.training import ResizedExecutor
        >>> task = bojax.Task(
        ...     init=lambda key, hp, x: (jnp.zeros(x[0].size), {}),
        ...     loss=lambda p, s, b, hp, key: (
        ...         jnp.mean(b.weight * (b.x.reshape(len(b.x), -1) @ p - b.y) ** 2), s),
        ...     predict=lambda p, s, x, hp: x.reshape(len(x), -1) @ p,
        ...     optimizer=lambda hp: optax.sgd(hp["lr"]),
        ...     metrics={"rmse": bojax.training.METRICS["rmse"]}, batch_size=16)
        >>> space = bojax.Space({"lr": bojax.Float(1e-3, 1.0, log=True)})
        >>> x = np.random.default_rng(0).normal(size=(60, 4, 4))
        >>> data = bojax.ArrayData(x, x.mean(axis=(1, 2)))
        >>> executor = ResizedExecutor(task, space, data, unit="resolution", max_budget=4)
        >>> executor.run([Job(0, 0, 2)], {0: {"lr": 0.1}})[0].budget, executor.params(0).shape
        (2.0, (4,))
    """

    def __init__(
        self,
        task: Any,
        space: Any,
        data: ArrayData,
        *,
        unit: str,
        max_budget: float,
        passes: int = 1,
        sizes: Sequence[float] = (),
        seed: int = 0,
        seeds: int = 1,
        **settings: Any,
    ) -> None:
        if unit not in SIZES:
            raise TaskError(f"unit: expected one of {', '.join(SIZES)}, got {unit!r}.")
        self.budget = Budget(unit, passes)
        self.max_budget = self.budget.whole("max_budget", max_budget)
        check_largest(data, unit, self.max_budget)
        self.sizes = tuple(sorted({self._size("sizes", size) for size in sizes}))
        self.task, self.space, self.data, self.seed = task, space, data, seed
        self.seeds, self._settings = seeds, settings
        self._executors: dict[int, LocalExecutor] = {}
        self._done: dict[int, int] = {}  # trial -> size
        self._at(self.max_budget)  # raises what is wrong with task, space and data

    def _size(self, what: str, budget: float) -> int:
        size = self.budget.whole(what, budget)
        if not 1 <= size <= self.max_budget:
            raise TaskError(
                f"{what}: with unit={self.budget.unit!r} a budget is a size from 1 to the data's "
                f"own, {self.max_budget}, got {budget!r}."
            )
        return size

    def _at(self, size: int) -> LocalExecutor:
        """The executor of a size, made when it is first needed."""
        if size not in self._executors:
            self._executors[size] = LocalExecutor(
                self.task, self.space, resampled(self.data, self.budget.unit, size),
                seed=self.seed, seeds=self.seeds, max_budget=self.budget.passes,
                **self._settings,
            )  # fmt: skip
        return self._executors[size]

    def _of(self, trials: int | Sequence[int]) -> tuple[int, LocalExecutor]:
        """The size that these trials are of, and its executor."""
        listed = [trials] if isinstance(trials, int) else list(trials)
        for trial in listed:
            if trial not in self._done:
                raise TrialError(f"trial {trial}: no state is kept of it; train it first.")
        found = {self._done[trial] for trial in listed}
        if len(found) != 1:
            raise TrialError(
                f"trials {listed}: they are of {self.budget.unit} {sorted(found)}; ask for trials "
                "of one size."
            )
        (size,) = found
        return size, self._at(size)

    # ------------------------------------------------------------------ training

    def run(self, jobs: Sequence[Job], configs: Mapping[int, Mapping]) -> list[Report]:
        """Train each job's trial anew at its size and evaluate it there.

        Args, Returns: as for :meth:`LocalExecutor.run`.

        Raises:
            TrialError: a job that does not follow on its trial's size, or comes twice.
            TaskError: a budget that is no size of the data; a clone.
        """
        jobs = list(jobs)
        starts = [self.budget.whole(f"trial {job.trial}: start", job.start) for job in jobs]
        stops = [self._size(f"trial {job.trial}: stop", job.stop) for job in jobs]
        check_from_scratch(jobs, self.budget.unit, "every rung")
        check_jobs(jobs, starts, stops, self._done, self.max_budget)
        sizes = dict(zip([job.trial for job in jobs], stops, strict=True))
        reports: dict[int, Report] = {}
        for size in sorted(set(stops)):
            own = [Job(t, 0, self.budget.passes) for t, at in sizes.items() if at == size]
            executor = self._at(size)
            executor.drop([job.trial for job in own])
            for report in executor.run(own, configs):
                reports[report.trial] = replace(report, budget=float(size))
            for job in own:
                self._forget(job.trial, but=size)
                self._done[job.trial] = size
        return [reports[job.trial] for job in jobs]

    def _forget(self, trial: int, but: int | None = None) -> None:
        for size, executor in self._executors.items():
            if size != but:
                executor.drop([trial])

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
            if self._done.pop(trial, None) is not None:
                self._forget(trial)

    def state_arrays(self, trials: Iterable[int]) -> tuple[dict[str, np.ndarray], dict]:
        """As :meth:`LocalExecutor.state_arrays`, those of each size under its own name."""
        listed = list(trials)
        arrays: dict[str, np.ndarray] = {}
        metas = {}
        for size in sorted({self._of(trial)[0] for trial in listed}):
            own = [trial for trial in listed if self._done[trial] == size]
            found, metas[str(size)] = self._at(size).state_arrays(own)
            arrays |= {f"{size}/{name}": leaf for name, leaf in found.items()}
        meta = {
            "format": _FORMAT, "unit": self.budget.unit, "max_budget": self.max_budget,
            "sizes": metas,
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
        for text, inner in meta["sizes"].items():
            head = f"{text}/"
            own = {n.removeprefix(head): a for n, a in arrays.items() if n.startswith(head)}
            self._at(int(text)).restore(own, inner, configs)
            for entry in inner["buckets"]:
                self._done.update({int(trial): int(text) for trial in entry["trials"]})

    # ------------------------------------------------------------------ models

    def params(self, trial: int) -> Any:
        """See :meth:`LocalExecutor.params`."""
        return self._of(trial)[1].params(trial)

    def state(self, trial: int) -> Any:
        """See :meth:`LocalExecutor.state`."""
        return self._of(trial)[1].state(trial)

    def predict(self, trials: int | Sequence[int], x: Any) -> np.ndarray:
        """See :meth:`LocalExecutor.predict`; `x` is of the data's own size."""
        size, executor = self._of(trials)
        return executor.predict(trials, self._inputs(x, size))

    def test(
        self, trials: int | Sequence[int], validation: Mapping[str, float] | None = None
    ) -> TestScore:
        """See :meth:`LocalExecutor.test`."""
        return self.score(trials, *self.take_test(trials), validation)

    def take_test(self, trials: int | Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """See :meth:`LocalExecutor.take_test`; of the data's own size."""
        return self._of(trials)[1].take_test(trials)

    def score(
        self, trials: int | Sequence[int], x: Any, y: Any,
        validation: Mapping[str, float] | None = None,
    ) -> TestScore:  # fmt: skip
        """See :meth:`LocalExecutor.score`; `x` and `y` are of the data's own size."""
        return TestScore.of(self.resampled_scores(trials, x, y), validation)

    def resampled_scores(
        self, trials: int | Sequence[int], x: Any, y: Any
    ) -> dict[str, np.ndarray]:
        """See :meth:`LocalExecutor.resampled_scores`; `x` and `y` are of the data's own size."""
        size, executor = self._of(trials)
        y = np.asarray(y)
        if y.shape[1:] != self.data.y.shape[1:]:
            raise DataError(
                f"score: expected targets of shape {self.data.y.shape[1:]}, got {y.shape[1:]}."
            )
        y = cut_targets(y, self.data, self.budget.unit, size)
        return executor.resampled_scores(trials, self._inputs(x, size), y)

    def _inputs(self, x: Any, size: int) -> np.ndarray:
        x = self.data.inputs(x)
        if size == self.max_budget:
            return x
        return resampled_inputs(x, self.budget.unit, size)

    # ------------------------------------------------------------------ plan and figures

    def plan(self, configs: Sequence[Mapping] | Mapping[int, Mapping]) -> Plan:
        """Buckets, memory and call shape at the largest size; the task is traced at each."""
        for size in self.sizes:
            self._at(size).plan(configs)
        return self._at(self.max_budget).plan(configs)

    @property
    def platform(self) -> str:
        """Of the devices: "cpu", "gpu" or "tpu"."""
        return self._at(self.max_budget).platform

    @property
    def members(self) -> int | None:
        """Of the largest rung, as it was given."""
        return self._at(self.max_budget).members

    @property
    def chunk(self) -> int | None:
        """Members a device trains at once, as it was given."""
        return self._at(self.max_budget).chunk

    @property
    def programs(self) -> list[Program]:
        """Every program used, of all sizes."""
        found = [program for each in self._executors.values() for program in each.programs]
        return list({id(program): program for program in found}.values())

    @property
    def compile_seconds(self) -> float:
        """Of all sizes."""
        return sum(each.compile_seconds for each in self._executors.values())

    @property
    def train_seconds(self) -> float:
        """Of all sizes."""
        return sum(each.train_seconds for each in self._executors.values())
