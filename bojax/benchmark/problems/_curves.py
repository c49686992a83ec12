"""Recorded learning curves: training that can be tuned again and again without training.

Every configuration of a finite space was trained once, and its validation metrics kept after
each epoch (`benchmarks/record_curves.py`). The last epoch's loss is a table problem with a
known optimum; whole curves, played behind the executor's protocol, are what a scheduler
decides about. This is how K. Eggensperger et al. ("Efficient benchmarking of hyperparameter
optimizers via surrogates", AAAI 2015) and A. Klein and F. Hutter ("Tabular benchmarks for
joint architecture and hyperparameter optimization", 2019) compare tuners.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import jax.numpy as jnp
import numpy as np

from bojax.errors import ConfigError, DataError, TaskError, TrialError
from bojax.history import Job, Report, Status
from bojax.loop import Problem
from bojax.space import Categorical, Ordinal, Space
from bojax.space import table as tables
from bojax.training.budgets import Budget
from bojax.training.records import check_jobs

DATA = Path(__file__).parent
RECORDED = ("digits_mlp", "diabetes_mlp")  # a file each in DATA
LOSS = "loss"  # the metric that is minimised
FORMAT = 1  # of the files


class Table(NamedTuple):
    """What `evaluate` needs: the space, and `[C]` values in the order of the grid."""

    table: Any
    values: Any


@dataclass(frozen=True, eq=False)
class Curves:
    """Learning curves of all C configurations of a space, over E epochs and S seeds.

    Configurations are in the order of `itertools.product`: the last parameter turns fastest.

    Attributes:
        name: for tables and pictures.
        space: `Ordinal` and `Categorical` parameters without conditions.
        metrics: name -> `[C, E, S]`, what was measured on the validation part after epoch
            1, ..., E; NaN where that was not finite. "loss" is the one to minimise.
        about: how they were recorded, JSON-able.

    Raises:
        DataError: space and arrays do not fit.

    Example:
        >>> import numpy as np
        >>> import bojax
        >>> from bojax.benchmark.problems import Curves
        >>> space = bojax.Space({"lr": bojax.Ordinal([0.01, 0.1, 1.0])})
        >>> curves = Curves("toy", space, {"loss": np.array([[9, 8], [7, 4], [6, 5.0]])[..., None]})
        >>> curves.index({"lr": 1.0}), curves.values[2, :, 0].tolist()
        (2, [6.0, 5.0])
        >>> float(curves.problem().optimum)
        4.0
    """

    name: str
    space: Space
    metrics: Mapping[str, np.ndarray]
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, parameter in self.space.parameters.items():
            if not isinstance(parameter, (Ordinal, Categorical)) or parameter.when is not None:
                raise DataError(
                    f"{self.name}: {name} must be an Ordinal or Categorical without when=, "
                    f"got {parameter!r}."
                )
        if LOSS not in self.metrics:
            raise DataError(f"{self.name}: no metric {LOSS!r} among {sorted(self.metrics)}.")
        frozen = {name: np.array(values) for name, values in self.metrics.items()}
        shape = frozen[LOSS].shape
        for name, values in frozen.items():
            if values.ndim != 3 or values.shape != shape or len(values) != self.space.size:
                raise DataError(
                    f"{self.name}: {name} has shape {values.shape}, expected [configurations, "
                    f"epochs, seeds] with {self.space.size:.0f} configurations, the same for "
                    "every metric."
                )
            values.setflags(write=False)
        object.__setattr__(self, "metrics", frozen)

    @property
    def values(self) -> np.ndarray:
        """`[C, E, S]` validation loss."""
        return self.metrics[LOSS]

    @property
    def epochs(self) -> int:
        """E, the budget of a whole curve."""
        return self.values.shape[1]

    @property
    def seeds(self) -> int:
        """S, how often each configuration was trained."""
        return self.values.shape[2]

    def index(self, which: Any) -> Any:
        """Where a configuration's curves are on the first axis.

        Args:
            which: a configuration, a list of N, a canonical row `[D]`, or rows `[N, D]`.

        Returns:
            An int for one, int `[N]` for several.

        Raises:
            ConfigError: a configuration the grid does not have, naming the parameter, or a
                row that is none of its canonical rows.
        """
        listed = isinstance(which, (list, tuple)) and all(isinstance(c, Mapping) for c in which)
        if listed or isinstance(which, Mapping):
            rows = self.space.encode(which)
        else:
            rows = self._checked(which)
        found = position(self.space.table, rows, np)
        return int(found) if rows.ndim == 1 else found

    def _checked(self, rows: Any) -> np.ndarray:
        columns = self.space.table.columns
        rows = np.asarray(rows)
        numbers = np.issubdtype(rows.dtype, np.floating)
        if not numbers or rows.ndim not in (1, 2) or rows.shape[-1] != columns:
            raise ConfigError(
                f"{self.name}: expected a configuration, a list of them, or rows of {columns} "
                f"columns, got {rows.dtype} of shape {rows.shape}."
            )
        # Rows of a float32 program are the same rows.
        near = np.isclose(rows, self.space.canonical(rows), rtol=0, atol=1e-6).all(axis=-1)
        if not near.all():
            row = np.atleast_2d(rows)[int(np.argmin(np.atleast_1d(near)))]
            raise ConfigError(
                f"{self.name}: the row {row.tolist()} is none of the grid; put rows through "
                "space.canonical."
            )
        return rows

    def problem(self, instance: int | str = 0) -> Problem:
        """The loss after the last epoch as a table problem; failed trainings are NaN.

        `reference` is the median over all configurations, a failed one counted as worst.

        Args:
            instance: number of the seed, or "mean" of all seeds (NaN where one failed).

        Returns:
            :class:`bojax.loop.Problem`, whose `evaluate` is pure and shared by all instances.

        Raises:
            ConfigError: no such seed.
        """
        if instance == "mean":
            final = self.values[:, -1].astype(np.float64).mean(axis=-1)
        else:
            final = self.values[:, -1, self._seed(instance)]
        counted = np.where(np.isfinite(final), final, np.inf).astype(np.float64)
        return Problem(
            self.space.table,
            evaluate,
            Table(self.space.table, final.astype(self.values.dtype)),
            np.float64(counted.min()),
            self.name,
            self.space,
            None,
            np.float64(np.median(counted)),
        )

    def executor(self, seed: int = 0) -> Replay:
        """Plays these curves where an executor is asked for: see :class:`Replay`.

        Raises:
            ConfigError: no such seed.
        """
        return Replay(self, self._seed(seed))

    def _seed(self, number: Any) -> int:
        whole = isinstance(number, (int, np.integer)) and not isinstance(number, bool)
        if not whole or not 0 <= number < self.seeds:
            raise ConfigError(
                f"{self.name}: {number!r} is no seed of it; 0 to {self.seeds - 1} were recorded"
                ' (a problem may also be the "mean").'
            )
        return int(number)

    # ------------------------------------------------------------------ files

    def save(self, path: str | Path) -> None:
        """Write a compressed .npz file without pickles; the same curves give the same bytes."""
        arrays: dict[str, Any] = {f"metric/{name}": values for name, values in self.metrics.items()}
        head = {"format": FORMAT, "name": self.name, "space": self.space.to_json(),
                "about": dict(self.about)}  # fmt: skip
        with Path(path).open("wb") as file:
            np.savez_compressed(file, head=np.array(json.dumps(head)), **arrays)

    @classmethod
    def load(cls, path: str | Path) -> Curves:
        """What :meth:`save` wrote.

        Raises:
            DataError: no such file, not one of these, or one of a newer version.
        """
        try:
            with Path(path).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                head = json.loads(str(file["head"]))
                metrics = {
                    name.removeprefix("metric/"): file[name]
                    for name in file.files
                    if name.startswith("metric/")
                }
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise DataError(f"{path}: not a file of recorded curves ({error}).") from error
        if head["format"] > FORMAT:
            raise DataError(
                f"{path}: written with format {head['format']}, this bojax reads up to {FORMAT}; "
                "upgrade bojax."
            )
        return cls(head["name"], Space.from_json(head["space"]), metrics, head["about"])


@lru_cache
def recorded(name: str) -> Curves:
    """Learning curves that come with bojax.

    "digits_mlp" is a classifier of scikit-learn's digits, "diabetes_mlp" a regression that
    overfits; `about` says how each was trained.

    Args:
        name: one of `RECORDED`.

    Returns:
        :class:`Curves`; the same object each time.

    Raises:
        ConfigError: an unknown name.

    Example:
        >>> from bojax.benchmark.problems import recorded
        >>> curves = recorded("digits_mlp")
        >>> curves.values.shape[:2] == (curves.space.size, 27)
        True
    """
    if name not in RECORDED:
        raise ConfigError(f"recorded: unknown curves {name!r}; one of {', '.join(RECORDED)}.")
    return Curves.load(DATA / f"{name}.npz")


def position(table: tables.SpaceTable, rows: Any, xp: Any = jnp) -> Any:
    """Number of each row's configuration, `[...]` int32: `enumerate_rows` the other way.

    Args:
        table: of a space of choices only.
        rows: `[..., D]`; one that is not canonical counts as the cell it lies in.
        xp: array namespace.
    """
    radix = xp.where(table.used, xp.maximum(table.cardinality, 1), 1).astype(xp.int32)
    stride = xp.flip(xp.cumprod(xp.flip(radix), dtype=xp.int32)) // radix
    code = tables.choice_code(table, rows, xp)
    return xp.sum(code * stride, axis=-1, dtype=xp.int32)


def evaluate(data: Table, key: Any, rows: Any) -> Any:
    """Recorded values of rows `[q, D]`, `[q]`; there is no noise to draw."""
    return jnp.asarray(data.values)[position(data.table, rows)].astype(rows.dtype)


class Replay:
    """Recorded curves behind the protocol of :class:`bojax.training.LocalExecutor`.

    A job's report is what was measured after the epoch it stops at, so a Coordinator, a
    scheduler or a loop of one's own runs as it would with training. A training is never
    restarted: jobs resume where their trial is, as with a real executor.

    Args:
        curves: :class:`Curves`.
        seed: which of its trainings.

    Attributes:
        spent: epochs that would have been trained so far, all trials together.
        max_budget: E, epochs.

    Example:
        >>> import bojax
        >>> from bojax.benchmark.problems import recorded
        >>> from bojax.coordinate import Coordinator
        >>> curves = recorded("diabetes_mlp")
        >>> executor = curves.executor(seed=1)
        >>> run = Coordinator(
        ...     curves.space.with_fidelity("epochs", 1, 27), bojax.strategies.random(),
        ...     bojax.schedulers.successive_halving(trials=27), executor, metric="loss")
        >>> run.run()
        >>> executor.spent
        81
        >>> run.best.value == float(curves.values[curves.index(run.best.config), 26, 1])
        True
    """

    def __init__(self, curves: Curves, seed: int = 0) -> None:
        self.curves, self.seed = curves, curves._seed(seed)
        self.max_budget = curves.epochs
        self.spent = 0
        self._done: dict[int, int] = {}  # trial -> epochs
        self._index: dict[int, int] = {}  # trial -> its configuration

    def run(self, jobs: Sequence[Job], configs: Mapping[int, Mapping]) -> list[Report]:
        """A report a job, in the order of the jobs; FAILED where a metric is NaN.

        Args:
            jobs: each names a trial once; `start` must be the epochs it has.
            configs: trial -> its configuration.

        Raises:
            ConfigError: a configuration that was not recorded.
            TrialError: a job that does not follow on its trial's state, comes twice, whose
                configuration changed, or that ends before the first epoch.
            TaskError: a budget that is no whole number of epochs; a clone.
        """
        jobs = list(jobs)
        starts, stops = (
            [Budget().whole(f"trial {job.trial}: {at}", getattr(job, at)) for job in jobs]
            for at in ("start", "stop")
        )
        check_jobs(jobs, starts, stops, self._done, self.max_budget)
        found = self._find(jobs, configs)
        reports = []
        for job, start, stop, index in zip(jobs, starts, stops, found, strict=True):
            self._done[job.trial], self._index[job.trial] = stop, index
            self.spent += stop - start
            reports.append(self._report(job.trial, stop, stop - start, index))
        return reports

    def _find(self, jobs: Sequence[Job], configs: Mapping[int, Mapping]) -> list[int]:
        """Where the curves of each job are."""
        for job in jobs:
            if job.clone_of is not None:
                raise TaskError(
                    f"trial {job.trial}: it clones trial {job.clone_of}, but a recorded curve "
                    "cannot go on with another configuration; train with LocalExecutor."
                )
            if job.stop < 1:
                raise TrialError(f"trial {job.trial}: nothing was recorded before epoch 1.")
            if job.trial not in configs:
                raise TrialError(f"trial {job.trial}: no configuration given; add it to configs.")
        found = self.curves.index([configs[job.trial] for job in jobs]).tolist() if jobs else []
        for job, index in zip(jobs, found, strict=True):
            if self._index.get(job.trial, index) != index:
                raise TrialError(
                    f"trial {job.trial}: its configuration changed; start a new trial."
                )
        return found

    def _report(self, trial: int, stop: int, epochs: int, index: int) -> Report:
        metrics = {
            name: float(values[index, stop - 1, self.seed])
            for name, values in self.curves.metrics.items()
        }
        good = all(map(math.isfinite, metrics.values()))
        examples = self.curves.about.get("training_examples", math.nan)
        return Report(
            trial=trial,
            budget=float(stop),
            metrics=metrics,
            status=Status.DONE if good else Status.FAILED,
            examples=float(epochs * examples),
        )

    # ------------------------------------------------------------------ states

    @property
    def kept(self) -> list[int]:
        """Trials that can be resumed, in order."""
        return sorted(self._done)

    def keep(self, trials: Iterable[int]) -> None:
        """Forget every trial but these."""
        wanted = set(trials)
        self.drop([trial for trial in self._done if trial not in wanted])

    def drop(self, trials: Iterable[int]) -> None:
        """Forget these trials; unknown ones are ignored."""
        for trial in trials:
            self._done.pop(trial, None)
            self._index.pop(trial, None)

    def state_arrays(self, trials: Iterable[int]) -> tuple[dict[str, np.ndarray], dict]:
        """How far these trials are, for a checkpoint: arrays and a JSON-able description."""
        listed = list(trials)
        arrays = {
            "trial": np.array(listed, np.int32),
            "epochs": np.array([self._done[trial] for trial in listed], np.int32),
        }
        return arrays, {"curves": self.curves.name, "seed": self.seed, "spent": self.spent}

    def restore(
        self, arrays: Mapping[str, np.ndarray], meta: Mapping, configs: Mapping[int, Mapping]
    ) -> None:
        """Take over what :meth:`state_arrays` gave.

        Raises:
            TaskError: other curves, or another seed.
        """
        for name, mine in (("curves", self.curves.name), ("seed", self.seed)):
            if meta[name] != mine:
                raise TaskError(
                    f"restore: the state is of a run with {name}={meta[name]!r}, this one has "
                    f"{mine!r}; use the same."
                )
        self.spent = int(meta["spent"])
        for trial, epochs in zip(arrays["trial"].tolist(), arrays["epochs"].tolist(), strict=True):
            self._done[trial], self._index[trial] = epochs, self.curves.index(configs[trial])
