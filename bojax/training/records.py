"""What goes in and out of an executor, and what is refused before anything is compiled."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bojax.errors import DataError, TaskError, TrialError
from bojax.history import Job, Report, Status
from bojax.training.data import ArrayData
from bojax.training.hyper import Hyperparameters
from bojax.training.population import Who
from bojax.training.streamed import GrainData
from bojax.training.task import Task

_COUNT_CLASSES = ("accuracy", "error", "cross_entropy")  # metrics that need integer labels
_NEEDS_BOTH = frozenset({"auc"})  # and what is undefined where one class is missing


@dataclass(frozen=True)
class Event:
    """Something happened in an executor.

    Attributes:
        kind: "compiling" (about to), "compiled", "reused" (compiled before in this process),
            "trained" (one call: some members, some epochs) or "halved" (memory ran out; calls
            hold `members` a device from now on).
        name: the program, or the bucket.
        seconds: what it took; NaN for "compiling".
        members: members trained by the call.
        epochs: sum over members, in passes over the largest fold's examples.

    Example:
        >>> from bojax.training import Event
        >>> Event("compiled", "eval", seconds=0.3).members
        0
    """

    kind: str
    name: str
    seconds: float = math.nan
    members: int = 0
    epochs: float = 0.0


@dataclass(frozen=True)
class Columns:
    """Members of one bucket as columns `[N]`."""

    who: Who
    starts: np.ndarray
    stops: np.ndarray
    hp: Hyperparameters


def reports_of(
    trials: Sequence[int], stops: np.ndarray, table: Mapping[str, np.ndarray],
    seconds: np.ndarray, examples: np.ndarray,
) -> list[Report]:  # fmt: skip
    """Columns `[N]` as reports; FAILED where a metric is not finite."""
    names = list(table)
    columns = np.stack([table[name] for name in names], axis=1).astype(np.float64)
    finite: Any = np.isfinite(columns).all(axis=1)
    return [
        Report(
            trial=trial,
            budget=float(stop),
            metrics=dict(zip(names, row, strict=True)),
            status=Status.DONE if good else Status.FAILED,
            seconds=took,
            examples=float(seen),
        )
        for trial, stop, row, good, took, seen in zip(
            trials, stops.tolist(), columns.tolist(), finite.tolist(), seconds.tolist(),
            examples.tolist(), strict=True,
        )
    ]  # fmt: skip


def check_jobs(
    jobs: Sequence[Job], starts: Sequence[int], stops: Sequence[int], done: Mapping[int, int],
    max_budget: int,
) -> None:  # fmt: skip
    """Every job follows on its trial's state, comes once and stays within the budget.

    Raises:
        TrialError: one does not.
    """
    seen: set[int] = set()
    for job, start, stop in zip(jobs, starts, stops, strict=True):
        if job.trial in seen:
            raise TrialError(f"trial {job.trial}: two jobs in one call; merge them.")
        seen.add(job.trial)
        source = job.trial if job.clone_of is None else job.clone_of
        have = done.get(source, 0)
        if start != have:
            raise TrialError(
                f"trial {source}: the job starts at a budget of {start}, its state has {have}; "
                "jobs resume, give start as the last budget reached."
            )
        if not start <= stop <= max_budget:
            raise TrialError(
                f"trial {job.trial}: stop={stop} must lie between start={start} and "
                f"max_budget={max_budget}."
            )


def check_from_scratch(jobs: Sequence[Job], unit: str, what: str) -> None:
    """No job goes on from another trial, where the budget of this unit says what is trained anew.

    Args:
        what: "every rung", "every replica".

    Raises:
        TaskError: one does.
    """
    for job in jobs:
        if job.clone_of is not None:
            raise TaskError(
                f"trial {job.trial}: with unit={unit!r} {what} starts from scratch, so that it "
                "cannot start from another trial; use another scheduler."
            )


def check_restored(meta: Mapping, **mine: Any) -> None:
    """States that were kept are of a run like this one.

    Raises:
        TaskError: a setting differs.
    """
    for name, value in mine.items():
        if meta.get(name) != value:
            raise TaskError(
                f"restore: the states are of a run with {name}={meta.get(name)}, this one has "
                f"{value}; use the same."
            )


def check_outputs(task: Task, data: ArrayData | GrainData, outputs: Any) -> None:
    """The model's outputs (abstract) suit the data's labels.

    Raises:
        DataError: they do not.
    """
    if not any(name in _COUNT_CLASSES for name, _ in task.metrics):
        return
    if data.classes is None:
        raise DataError(
            "y holds real targets, but the task's metrics count classes; give integer "
            "labels, or metrics such as 'rmse'."
        )
    if hasattr(outputs, "shape") and outputs.shape[-1] < data.classes:
        raise DataError(
            f"y has labels up to {data.classes - 1}, the model has {outputs.shape[-1]} "
            f"outputs; build it with {data.classes}."
        )


def check_batch_size(task: Task, size: int, examples: int, block: int | None = None) -> None:
    """A batch is no larger than what there is to train on, and blocks are of whole batches.

    Raises:
        TaskError: one is not.
    """
    name = task.batch_size if isinstance(task.batch_size, str) else "batch_size"
    if block is not None and block % size:
        raise TaskError(
            f"{name}={size}: blocks of {block} examples are no whole number of batches; give the "
            "data a block that every batch size divides."
        )
    if size <= examples:
        return
    raise TaskError(
        f"{name}={size}: larger than the {examples} training examples, so that every batch would "
        f"be padding for the most part; use at most {examples}."
    )


def check_folds(task: Task, data: ArrayData | GrainData) -> None:
    """Every part that is trained on has two classes, if classes are counted; and every part that
    is judged, if by the area under the curve. Streamed examples are not looked at.

    Raises:
        DataError: one has not, naming the fold.
    """
    names = {name for name, _ in task.metrics}
    if data.classes is None or not names & {*_COUNT_CLASSES, *_NEEDS_BOTH}:
        return
    for fold, parts in enumerate(data.folds):
        for part, what in zip(parts, ("training", "validation"), strict=True):
            if what == "validation" and not names & _NEEDS_BOTH:
                continue
            if what == "training" and isinstance(data, GrainData):
                continue
            there = np.unique(data.y[part])
            if len(there) > 1:
                continue
            where = f"fold {fold}: " if len(data.folds) > 1 else ""
            raise DataError(
                f"{where}the {what} part has examples of class {there[0]} alone; stratify the "
                "split, use fewer folds, or give more data."
            )
