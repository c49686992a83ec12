"""The Coordinator: joins strategy, scheduler and executor; the only place that knows all three.

It fills the new trials a scheduler numbers with rows the strategy suggests, hands jobs to
the executor, reports back to both, and stores. One turn is one rung, and one rung is one
transaction: checkpoint first, then the rows that name it. What was not committed never
happened, and is done again to the bit after a kill, since every suggestion and every
training step depends on the seed and on numbers that count, not on when.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from bojax.coordinate._advice import advised
from bojax.coordinate._copies import Copies
from bojax.coordinate.diverged import check_one_lives
from bojax.coordinate.events import Callback, Event
from bojax.errors import SchedulerError, SpaceError, TaskError
from bojax.history import Decision, Job, Report, Status, Trial, with_changes
from bojax.schedulers import DONE, WAIT
from bojax.space import Space
from bojax.store import Lease, read_checkpoint, write_checkpoint
from bojax.strategies import Sizes
from bojax.strategies.session import Session

CHECKPOINT = "population"
ALL = 2**31 - 1  # free slots: the executor packs as many calls as it needs


class Coordinator:
    """One run.

    Args:
        space: configurations and a fidelity column.
        strategy: a strategy value.
        scheduler: its number of trials known.
        executor: runs jobs; see :class:`bojax.training.LocalExecutor`.
        metric: name of the reported metric to optimise.
        direction: "minimize" or "maximize" it.
        seed: of the run.
        run: id of the run.
        first: configurations to start with, before the strategy is asked.
        lease: the right to write to a store, or None to keep everything in memory.
        folder: where checkpoints go; needed with a lease.
        callbacks: called with every :class:`Event`.

    Attributes:
        trials: all :class:`~bojax.history.Trial` records so far, by number.
        best: the finished trial of best metric at the largest budget so far, or None.

    Example:
        >>> import bojax
        >>> from bojax.coordinate import Coordinator
        >>> from bojax.history import Report
        >>> class Bowl:  # an executor: anything that turns jobs into reports
        ...     kept = ()
        ...     def run(self, jobs, configs):
        ...         return [Report(j.trial, j.stop, {"loss": configs[j.trial]["x"] ** 2})
        ...                 for j in jobs]
        ...     def keep(self, trials):
        ...         pass
        >>> coordinator = Coordinator(
        ...     bojax.Space({"x": bojax.Float(-1, 1)}).with_fidelity("epochs", 1, 3),
        ...     bojax.strategies.random(),
        ...     bojax.schedulers.successive_halving(max_budget=3, trials=3),
        ...     Bowl(), metric="loss")
        >>> coordinator.run()
        >>> coordinator.spent, coordinator.best.fidelity
        (5.0, 3.0)
    """

    def __init__(
        self,
        space: Space,
        strategy: Any,
        scheduler: Any,
        executor: Any,
        *,
        metric: str,
        direction: str = "minimize",
        seed: int = 0,
        run: str = "main",
        first: Sequence[Mapping[str, Any]] = (),
        lease: Lease | None = None,
        folder: Any = None,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        self.space, self.scheduler, self.executor = space, scheduler, executor
        self.metric, self.seed, self.run_id = metric, seed, run
        self.callbacks = tuple(callbacks)
        self._sign = 1.0 if direction == "minimize" else -1.0
        self._first = [dict(config) for config in first]
        self._lease, self._folder = lease, folder
        self._by_replica = getattr(scheduler, "unit", None) == "replicas"
        plan = scheduler.plan()
        # The whole run's lines are known, so one capacity, and one batch class, serve it.
        self.session = Session(
            space,
            strategy,
            seed=seed,
            sizes=Sizes(evaluations=plan.trials),
            capacity=sum(row.members for row in plan.rows),
            batch=min(
                max(row.members for row in plan.rows if row.rung == 0),
                getattr(scheduler, "slots", ALL),
            ),
        )
        self._copies: Copies | None = None
        if (explore := getattr(scheduler, "explore", None)) is not None:
            fixed = getattr(executor, "fixed", ())
            self._copies = Copies(space, explore, fixed, seed, self._minimised)
        if space.fidelity is None:
            raise SpaceError("Coordinator: the space needs a fidelity; see Space.with_fidelity.")
        self._fidelity = space.fidelity
        self._column = space.names.index(space.fidelity)
        self._budget_rows: dict[float, float] = {}  # budget -> its coordinate of a row
        self.trials: list[Trial] = []
        self.exhausted = False  # whether a finite space has nothing left to suggest
        self._drawn: list[tuple[np.ndarray, Any]] = []  # by who advised
        self._infos: dict[int, Any] = {}  # tag and raw sample of trials of this process
        self.reports: list[Report] = []
        self.spent = 0.0
        self.total = float(plan.total)
        self.ask_seconds = 0.0

    # ------------------------------------------------------------------ the run

    def run(self, until: float | None = None) -> None:
        """Turn until the scheduler is done, or a finite space is used up.

        Args:
            until: the `time.perf_counter()` after which no turn is begun; None for no limit.
        """
        while (until is None or time.perf_counter() < until) and self.turn():
            pass
        self._emit("finished", best=self.best, spent=self.spent)

    def turn(self) -> bool:
        """One rung: ask, train, report, commit. False when there is nothing left to do."""
        began = time.perf_counter()
        self._drawn = advised(self)
        jobs = self.scheduler.next_jobs(ALL)
        if jobs is DONE:
            return False
        if jobs is WAIT:
            raise SchedulerError(
                f"run {self.run_id!r}: the scheduler waits, but nothing is running; "
                "it lost a report."
            )
        filled, unfilled = self._fill([job for job in jobs if not job.donors])
        jobs = self._cloned(filled, jobs)
        asked = time.perf_counter()
        self.ask_seconds += asked - began
        self._pending(jobs)
        configs = {job.trial: self.trials[job.trial].config for job in jobs}
        reports = self.executor.run(jobs, configs) if jobs else []
        decided = self._take(jobs, reports, unfilled)
        # A paused trial may be promoted many turns later.
        alive = [trial.id for trial in self.trials if trial.status == Status.PAUSED]
        best = self.best
        self.executor.keep([*alive, *([best.id] if best is not None else [])])
        self._commit(sorted(decided | {job.trial for job in jobs}), reports)
        self._emit(
            "rung",
            budget=jobs[0].stop if jobs else 0.0,
            members=len(jobs),
            alive=len(alive),
            best=best,
            spent=self.spent,
            total=self.total,
            ask_seconds=asked - began,
            seconds=time.perf_counter() - asked,
        )
        check_one_lives(self.run_id, self.trials, jobs, reports)
        return True

    # ------------------------------------------------------------------ asking

    def _fill(self, jobs: list[Job]) -> tuple[list[Job], list[Decision]]:
        """Give every new trial a configuration; jobs of trials that got none fall away.

        Returns:
            The jobs left, and what the scheduler decided for want of the others.
        """
        new = [job for job in jobs if job.trial >= len(self.trials)]
        for expected, job in enumerate(new, start=len(self.trials)):
            if job.trial != expected and not self.exhausted:
                raise SchedulerError(
                    f"trial {job.trial}: new trials are numbered one after the other, the next "
                    f"is {expected}."
                )
        if not new:
            return jobs, []
        begun = len(self.trials)
        for config in self._first[begun : begun + len(new)]:
            self._open(self.space.encode(config), config, "default", None)
        left = begun + len(new) - len(self.trials)
        if left and not self.exhausted:
            self._pending(new[: len(new) - left])  # the strategy is to see them
            self._ask(new[len(new) - left :])
        filled = len(self.trials) - begun
        self._emit("asked", trials=filled)
        missing = {job.trial for job in new[filled:]}
        decisions = []
        for job in new[filled:]:
            # The scheduler goes on without them, as without any trial that failed at once.
            self.exhausted = True
            decisions += self.scheduler.report(job.trial, job.stop, math.nan, status=Status.FAILED)
        return [job for job in jobs if job.trial not in missing], decisions

    def _ask(self, new: list[Job]) -> None:
        """Open new trials with what the strategy suggests, as far as it does.

        One that `asks_by_budget` is told where each will be reported; any other suggests for the
        largest budget.
        """
        by_budget = getattr(self.session.strategy, "asks_by_budget", False)
        source = type(self.session.strategy).__name__
        for stop, group in groupby(new, lambda job: job.stop if by_budget else None):
            jobs, given = list(group), None
            if stop is not None:
                given = np.full(self.space.table.columns, np.nan)
                given[self._column] = self._budget_row(stop)
            asked, self._drawn = self._drawn or self.session.ask(len(jobs), given), []
            rows = np.array([row for row, _ in asked])
            configs = self.space.decode_canonical(rows) if asked else []
            for (row, info), config in zip(asked, configs, strict=True):
                self._open(row, config, source, info)
            if len(asked) < len(jobs):
                break
            self._pending(jobs)  # the next group is to see them

    def _cloned(self, filled: list[Job], jobs: list[Job]) -> list[Job]:
        """Copies of population based training: their donors, and what they train with."""
        if self._copies is None:
            return filled
        made = self._copies.made(jobs, self.trials)
        for job in jobs:
            if not job.donors:
                continue
            if job.trial == len(self.trials):  # else it was opened before its job was lost
                donor, config = made(job)
                self._open(self.space.encode(config), config, "clone", None, donor.id)
            filled.append(with_changes(job, clone_of=self.trials[job.trial].parent, donors=()))
        return filled

    def _minimised(self, metrics: Mapping[str, float]) -> float:
        return self._sign * float(metrics.get(self.metric, math.nan))

    def _open(
        self, row: np.ndarray, config: Mapping[str, Any], source: str, info: Any,
        parent: int | None = None,
    ) -> None:  # fmt: skip
        number = len(self.trials)
        trial = Trial(
            id=number,
            config=dict(config),
            row=row,
            seed=self.seed,
            source=source,
            parent=parent,
        )
        self.trials.append(trial)
        self._infos[number] = info

    def _pending(self, jobs: Sequence[Job]) -> None:
        """Lines of jobs that have none yet."""
        trials, rows = self._places_of(jobs)
        self.session.write_many(
            trials, rows, status=Status.PENDING, infos=list(map(self._infos.get, trials)),
            replace=False,
        )  # fmt: skip

    def _rows_at(self, trials: Sequence[int], budgets: Sequence[float]) -> np.ndarray:
        """Rows of trials, each at a budget, `[trials, D]`."""
        rows = np.empty((len(trials), self.session.history.rows.shape[1]))
        for row, trial in zip(rows, trials, strict=True):
            row[:] = self.trials[trial].row
        rows[:, self._column] = [self._budget_row(budget) for budget in budgets]
        return rows

    def _budget_row(self, budget: float) -> float:
        if budget not in self._budget_rows:
            self._budget_rows[budget] = self.space.column_row(self._fidelity, budget)
        return self._budget_rows[budget]

    def _places_of(self, jobs: Sequence[Job]) -> tuple[list[int], np.ndarray]:
        """Trials of jobs, and their rows at the budgets they train to."""
        trials = [job.trial for job in jobs]
        return trials, self._rows_at(trials, [job.stop for job in jobs])

    # ------------------------------------------------------------------ reporting

    def _take(self, jobs: list[Job], reports: list[Report], unfilled: list[Decision]) -> set[int]:
        """Results into the history, the records and the scheduler; trials it decided on."""
        latest = {decision.trial: decision for decision in unfilled}
        statuses, inners = [], []
        for job, report in zip(jobs, reports, strict=True):
            if self.metric not in report.metrics:
                known = ", ".join(report.metrics)
                raise TaskError(
                    f"metric {self.metric!r}: the task reports no such metric; it reports {known}."
                )
            value = float(report.metrics[self.metric])
            failed = report.status == Status.FAILED or not math.isfinite(value)
            inner = math.nan if failed else self._sign * value
            status = Status.FAILED if failed else Status.DONE
            self.reports.append(with_changes(report, values=() if failed else (inner,)))
            statuses.append(status)
            inners.append(inner)
            told = self._each(report) if self._by_replica and not failed else {}
            for decision in self.scheduler.report(
                job.trial, job.stop, inner, status=status, **told
            ):
                latest[decision.trial] = decision
            trial = self.trials[job.trial]
            self.trials[job.trial] = with_changes(
                trial,
                status=status if failed else Status.PAUSED,
                values=trial.values if failed else (value,),
                fidelity=float(job.stop),
                cost=(trial.cost or 0.0) + report.seconds,
                curve=(*trial.curve, (float(job.stop), dict(report.metrics))),
            )
            self.spent += job.stop - job.start
        self.session.write_many(
            *self._places_of(jobs),
            status=statuses,
            values=inners,
            cost=[report.seconds for report in reports],
        )
        self.session.tell()
        largest = max((row.budget for row in self.scheduler.plan().rows), default=0.0)
        # A trial that never got a configuration is the scheduler's, not ours.
        latest = {number: d for number, d in latest.items() if number < len(self.trials)}
        for number, decision in latest.items():
            trial = self.trials[number]
            if decision.action in ("stop", "clone") and trial.status != Status.FAILED:
                over = trial.fidelity == largest
                ended = Status.DONE if over else Status.STOPPED
                self.trials[number] = with_changes(trial, status=ended)
        return set(latest)

    def _each(self, report: Report) -> dict[str, list[float]]:
        """The metric of every replica that a job trained, minimised, for schedulers by replica.

        Raises:
            TaskError: the executor did not report them.
        """
        if report.each is None:
            raise TaskError(
                f"trial {report.trial}: the scheduler compares replicas, and the report has none; "
                "the executor must give each=, a value a replica of the job."
            )
        return {"each": [self._sign * float(value) for value in report.each[self.metric]]}

    @property
    def best(self) -> Trial | None:
        """The trial of best metric among those that came furthest; ties to the earlier one.

        A scheduler that stops trials when they are done says so by `any_budget`; then of all.
        """
        alike = getattr(self.scheduler, "any_budget", False)
        scored = [
            (0.0 if alike else -(t.fidelity or 0.0), self._sign * t.values[0], t.id)
            for t in self.trials
            if t.values is not None and t.status != Status.FAILED
        ]
        return self.trials[min(scored)[2]] if scored else None

    # ------------------------------------------------------------------ the store

    def _commit(self, changed: list[int], reports: list[Report]) -> None:
        if self._lease is None:
            return
        arrays, meta = self.executor.state_arrays(self.executor.kept)
        written = None  # an executor without states needs no file
        if arrays or meta:
            written = write_checkpoint(self._folder, CHECKPOINT, arrays, meta)
            self._emit("checkpoint", path=str(written[0]), size=written[2])
        with self._lease.transaction() as tx:
            tx.write_history(self.session.used())
            tx.write_trials([self.trials[number] for number in changed])
            tx.write_reports(self.reports[len(self.reports) - len(reports) :])
            tx.write_state("strategy", json.dumps(self.session.save_state()))
            tx.write_state("scheduler", json.dumps(self.scheduler.state()))
            tx.write_state("progress", json.dumps({"spent": self.spent}))
            if written is not None:
                tx.name_checkpoint(CHECKPOINT, *written, meta)
            else:
                tx.drop_checkpoint(CHECKPOINT)

    def restore(self, store: Any) -> bool:
        """Take over what the store has of this run; False if nothing was committed yet."""
        strategy, scheduler = (store.state(self.run_id, n) for n in ("strategy", "scheduler"))
        if strategy is None:
            return False
        history = store.history(self.run_id)
        self.trials = store.trials(self.run_id)
        self.reports = store.reports(self.run_id)
        self.session.restore_from(history, json.loads(strategy))
        self.scheduler.restore(json.loads(scheduler))
        used = self.session.used()
        for number, tag, raw in zip(used.trial.tolist(), used.tag, used.raw, strict=True):
            self._infos[number] = {"tag": tag.copy(), "raw": raw.copy()}
        self.spent = json.loads(store.state(self.run_id, "progress"))["spent"]
        configs = {trial.id: trial.config for trial in self.trials}
        for checkpoint in store.checkpoints(self.run_id):
            if checkpoint.name == CHECKPOINT:
                arrays, meta = read_checkpoint(checkpoint.path, checkpoint.checksum)
                self.executor.restore(arrays, meta, configs)
        self._emit("resumed", trials=len(self.trials), spent=self.spent, total=self.total)
        return True

    def _emit(self, kind: str, **data: Any) -> None:
        for callback in self.callbacks:
            callback(Event(kind, self.run_id, data))
