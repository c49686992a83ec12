"""`LocalExecutor`: jobs in, reports out, on the devices of this process."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from bojax.errors import DataError, TaskError, TrialError
from bojax.history import Job, Report
from bojax.training import population as pop
from bojax.training.bank import Bank
from bojax.training.budgets import FRESH, SIZES, Budget
from bojax.training.data import ArrayData
from bojax.training.devices import Devices, Programs
from bojax.training.hyper import Hyperparameters, Schema, Structure
from bojax.training.plan import SLOTS, Layout, Plan, chunk_for, chunks_for, pack
from bojax.training.program import Program, float32_scope
from bojax.training.records import (
    Columns,
    Event,
    check_batch_size,
    check_folds,
    check_jobs,
    check_outputs,
    check_restored,
    reports_of,
)
from bojax.training.score import TestScore, resampled
from bojax.training.streamed import EpochMean, GrainData, block_spans
from bojax.training.task import Task

_FORMAT = 1  # of `state_arrays`


@dataclass
class _Bucket:
    """One set of static values and ceilings: programs, states, size of an epoch."""

    programs: Programs
    bank: Bank
    steps: np.ndarray  # [folds] int32, optimisation steps at the final budget
    batch_size: int
    name: str


class LocalExecutor:
    """Trains trials as vmapped populations on the devices of this process.

    Members keep their state between calls, so a job resumes;
    a trial's result depends on its configuration, its number and the seed, not on what it
    was trained with. A trial is one member, or one for each fold of the data and each seed;
    its metrics are their means, and it fails where one of them does.

    Args:
        task: a :class:`Task`.
        space: the :class:`bojax.Space` of the configurations.
        data: an :class:`ArrayData`, or a :class:`GrainData` that is read anew for every call.
        seed: of the run; a trial's seed is folded from it and the trial's number.
        seeds: how often a configuration is trained on each fold, from other initial weights
            and in other orders.
        max_budget: the final budget, the horizon of schedules.
        unit: what budgets count: "epochs", "steps", "examples", or "percent" of the training
            examples (:mod:`bojax.training.budgets`).
        passes: with "percent", epochs that all of them are trained for.
        chunk: members a device trains at once; None for what the table in
            `bojax.training.plan` says for the platform and the model.
        members: of the largest rung, folds and seeds counted, for that table; None for many.
        slots: members one call holds; more are trained in several calls.
        apart: whether each fold and seed is a trial by itself, whose number is that of the member,
            `trial * folds * seeds + replica` (:class:`bojax.training.ReplicatedExecutor`).
        devices: JAX devices; None for all of the default backend. On a CPU, one a core:
            `bojax.configure(cpu_devices="cores")`.
        all_read: whether a parameter that the task never asks for is an error, before anything
            is compiled; with static parameters, once every combination of them was seen.
        on_event: called with an :class:`Event`.

    Attributes:
        programs: every :class:`Program` used, compiled here or taken over.
        compile_seconds: lowering and compiling done by this executor.
        train_seconds: running programs, and moving states to and from the devices.

    Raises:
        TaskError: task and space do not fit.

    Example:
        >>> import bojax, numpy as np
        >>> from bojax.training import LocalExecutor
        >>> from bojax.history import Job
        >>> import jax.numpy as jnp, optax
        >>> task = bojax.Task(
        ...     init=lambda key, hp, x: (jnp.zeros(x.shape[1]), {}),
        ...     loss=lambda p, s, b, hp, key: (jnp.mean(b.weight * (b.x @ p - b.y) ** 2), s),
        ...     predict=lambda p, s, x, hp: x @ p,
        ...     optimizer=lambda hp: optax.sgd(hp["lr"]),
        ...     metrics={"rmse": bojax.training.METRICS["rmse"]}, batch_size=16)
        >>> space = bojax.Space({"lr": bojax.Float(1e-3, 1.0, log=True)})
        >>> x = np.random.default_rng(0).normal(size=(100, 3))
        >>> data = bojax.ArrayData(x, x @ [1.0, 2.0, 3.0])
        >>> executor = LocalExecutor(task, space, data, seed=0, max_budget=4)
        >>> (report,) = executor.run([Job(trial=0, start=0, stop=4)], {0: {"lr": 0.1}})
        >>> report.metrics["rmse"] < 1.0
        True
    """

    def __init__(
        self,
        task: Task,
        space: Any,
        data: ArrayData | GrainData,
        *,
        seed: int = 0,
        seeds: int = 1,
        max_budget: float,
        unit: str = "epochs",
        passes: int = 1,
        chunk: int | None = None,
        members: int | None = None,
        slots: int = SLOTS,
        apart: bool = False,
        devices: Sequence[Any] | None = None,
        all_read: bool = False,
        on_event: Callable[[Event], None] | None = None,
    ) -> None:
        if not isinstance(task, Task):
            raise TaskError(f"executor: expected a bojax.Task, got {type(task).__name__}.")
        if not isinstance(data, (ArrayData, GrainData)):
            raise DataError(f"executor: expected a bojax.ArrayData, got {type(data).__name__}.")
        self.task, self.space, self.data, self.seed = task, space, data, seed
        if isinstance(seeds, bool) or not isinstance(seeds, int) or seeds < 1:
            raise TaskError(f"executor: seeds must be a positive integer, got {seeds!r}.")
        self.seeds, self.replicas = seeds, 1 if apart else seeds * len(data.folds)
        self.budget = Budget(unit, passes)
        if unit in FRESH:
            raise TaskError(
                f"executor: unit={unit!r} is for bojax.training."
                f"{'ResizedExecutor' if unit in SIZES else 'ReplicatedExecutor'}."
            )
        self.max_budget = self.budget.whole("max_budget", max_budget)
        self.programs: list[Program] = []
        self.compile_seconds = self.train_seconds = 0.0
        self._on_event = on_event or (lambda event: None)
        self._schema = Schema.of(space, static=task.static, padded=task.padded)
        self._devices = Devices(devices)
        self.chunk, self.members, self.slots = chunk, members, slots
        self._buckets: dict[Structure, _Bucket] = {}
        self._all_read = all_read
        self._read: set[str] = set()  # parameters that the task asked for
        self._home: dict[int, Structure] = {}  # trial -> its bucket
        self._done: dict[int, int] = {}  # trial -> budget trained
        self._configs: dict[int, dict] = {}
        self._stream = data if isinstance(data, GrainData) else None
        host = pop.arrays_of(data) if isinstance(data, ArrayData) else data.judged_arrays()
        self._train_sizes = np.array([len(train) for train, _ in data.folds])
        check_folds(task, data)
        if unit == "percent" and self._stream is not None:
            raise TaskError(
                "unit='percent': the first so many of streamed examples are not told apart; use "
                "epochs, steps or examples, or an ArrayData."
            )
        if unit == "percent":
            host = host._replace(train=_sampled(host, seed))
        with float32_scope():
            self._arrays = self._devices.share(host)
            self._key = self._devices.share(pop.key_words(seed))

    # ------------------------------------------------------------------ training

    def run(self, jobs: Sequence[Job], configs: Mapping[int, Mapping]) -> list[Report]:
        """Train each job's trial up to its budget and evaluate it.

        Args:
            jobs: each names a trial once; `start` must be the budget it has.
            configs: trial -> its active parameters.

        Returns:
            A report a job, in the order of the jobs: every metric on the validation part
            and `train_loss` (mean over the last epoch); FAILED where one is not finite.

        Raises:
            TrialError: a job that does not follow on its trial's state, or comes twice.
            TaskError: a budget that is no whole number; a clone that does not fit.
        """
        jobs = list(jobs)
        if not jobs:
            return []
        starts, stops = (
            np.array(
                [self.budget.whole(f"trial {j.trial}: {at}", getattr(j, at)) for j in jobs], int
            )
            for at in ("start", "stop")
        )
        listed = [self._config(job, configs) for job in jobs]
        groups: dict[Structure, list[int]] = {}
        for i, structure in enumerate(self._schema.structures(listed)):
            groups.setdefault(structure, []).append(i)
        with float32_scope():
            for structure in groups:
                self._bucket(structure)
            check_jobs(jobs, starts.tolist(), stops.tolist(), self._done, self.max_budget)
            self._check_homes(jobs, groups)
            self._clone(jobs, groups)
            reports: list[Report | None] = [None] * len(jobs)
            for structure, members in self._compiled_ahead(jobs, groups):
                index = np.array(members)
                batch = self._columns(
                    structure, [jobs[i].trial for i in members], [listed[i] for i in members],
                    starts[index], stops[index],
                )  # fmt: skip
                for i, report in zip(members, self._train(structure, batch), strict=True):
                    reports[i] = report
                self._home.update({jobs[i].trial: structure for i in members})
        for job, config, stop in zip(jobs, listed, stops.tolist(), strict=True):
            self._done[job.trial], self._configs[job.trial] = stop, config
        return reports  # type: ignore[return-value]

    def _compiled_ahead(
        self, jobs: list[Job], groups: Mapping[Structure, list[int]]
    ) -> Iterator[tuple[Structure, list[int]]]:
        """The groups one after the other; while one trains, a thread compiles the next ones."""

        def prepare(structure: Structure, members: list[int]) -> None:
            bank = self._buckets[structure].bank
            new = any(self._numbers(jobs[i].trial)[0] not in bank for i in members)
            with float32_scope():  # a thread does not inherit it
                self._buckets[structure].programs.compile(init=new)

        (first, members), *others = groups.items()
        prepare(first, members)
        if not others:
            yield first, members
            return
        with ThreadPoolExecutor(1, "bojax-compile") as pool:
            waiting = {group[0]: pool.submit(prepare, *group) for group in others}
            try:
                yield first, members
                for structure, members in others:
                    waiting[structure].result()
                    yield structure, members
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _columns(
        self, structure: Structure, trials: Sequence[int], configs: Sequence[Mapping],
        starts: np.ndarray, stops: np.ndarray,
    ) -> Columns:  # fmt: skip
        """Every member of these trials, the replicas of a trial one after the other."""
        values, active = self._schema.columns(configs)
        each = lambda column: np.repeat(column, self.replicas)  # noqa: E731
        numbers = np.array([self._numbers(trial) for trial in trials], np.int32).reshape(-1)
        folds = self._fold(numbers)
        steps = self._buckets[structure].steps[folds]
        hp = Hyperparameters(
            jax.tree.map(each, values), jax.tree.map(each, active), steps, structure
        )
        begin, end = (each(at.astype(np.int32)) for at in (starts, stops))
        return Columns(pop.Who(numbers, folds), begin, end, hp)

    def _steps(self, bucket: _Bucket, budget: np.ndarray, fold: np.ndarray) -> tuple[Any, Any]:
        """Steps taken, and examples seen, of members of these folds at these budgets."""
        most, count = int(self._train_sizes.max()), self._train_sizes[fold]
        spans = self.budget.span(
            np.zeros_like(budget), budget, examples=most, batch_size=bucket.batch_size
        )
        count = np.maximum(np.minimum(count, spans.limit), 1)
        return pop.own_part(spans.stop, np.maximum(spans.limit, 1), count, bucket.batch_size)

    def _numbers(self, trial: int) -> range:
        """The numbers of a trial's members."""
        return range(trial * self.replicas, (trial + 1) * self.replicas)

    def _fold(self, number: Any) -> Any:
        """The fold of a member; a trial's replicas go through all folds with every seed."""
        return number % len(self.data.folds)

    def _train(self, structure: Structure, batch: Columns) -> list[Report]:
        """The members of one bucket in as many calls as they need: a report a trial."""
        bucket, count = self._buckets[structure], len(batch.starts)
        seconds = np.zeros(count)
        table: dict[str, np.ndarray] = {}
        span = self.budget.span(
            batch.starts, batch.stops, examples=int(self._train_sizes.max()),
            batch_size=bucket.batch_size,
        )  # fmt: skip
        bucket.bank.reserve(batch.who.number.tolist())
        left = np.arange(count)
        while len(left):
            layout = self._pack(bucket, np.column_stack(span), left)
            try:
                called = self._call(bucket, layout, batch, span.stop - span.start)
            except jax.errors.JaxRuntimeError as error:
                self._halve(bucket, error)
                continue
            index, metrics, took = called
            for name, values in metrics.items():
                table.setdefault(name, np.full(count, np.nan))[index] = values
            seconds[index] = took
            left = np.setdiff1d(left, index)
        seen = [self._steps(bucket, at, batch.who.fold)[1] for at in (batch.starts, batch.stops)]
        examples = seen[1] - seen[0]
        mean = lambda values: values.reshape(-1, self.replicas).mean(axis=1)  # noqa: E731
        total = lambda values: values.reshape(-1, self.replicas).sum(axis=1)  # noqa: E731
        trials = (batch.who.number[:: self.replicas] // self.replicas).tolist()
        return reports_of(
            trials, batch.stops[:: self.replicas], {n: mean(v) for n, v in table.items()},
            total(seconds), total(examples),
        )  # fmt: skip

    def _pack(self, bucket: _Bucket, spans: np.ndarray, left: np.ndarray) -> Layout:
        """The first call's layout of the members that are left."""
        shape = bucket.programs
        layout = pack(
            spans[left], chunk=shape.chunk, chunks=shape.chunks, devices=len(self._devices)
        )[0]
        jobs = np.where(layout.jobs >= 0, left[layout.jobs], -1)
        return layout._replace(jobs=jobs, filled=left[layout.filled])

    def _halve(self, bucket: _Bucket, error: Exception) -> None:
        """Smaller calls from now on, if it was memory that ran out; members lose nothing.

        Raises:
            TaskError: calls cannot be smaller. Any other error as it is.
        """
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise error
        programs = bucket.programs
        if programs.chunks > 1:
            programs.resize(programs.chunk, programs.chunks // 2)
        elif programs.chunk > 1:
            programs.resize(programs.chunk // 2, 1)
        else:
            raise TaskError(
                f"bucket {bucket.name}: out of memory with one member at a time; use a smaller "
                "batch size or model, or fewer examples in the data."
            ) from error
        self._on_event(Event("halved", bucket.name, members=programs.chunk * programs.chunks))

    def _call(
        self, bucket: _Bucket, layout: Layout, batch: Columns, steps: np.ndarray
    ) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
        """One call of the programs: gather, train, evaluate, scatter; which, metrics, seconds."""
        began, compiled = time.perf_counter(), self.compile_seconds
        spread = lambda column: self._devices.put(column[layout.filled])  # noqa: E731
        slot, lane = np.nonzero(layout.jobs >= 0)
        index = layout.jobs[slot, lane]
        who, hp = jax.tree.map(spread, batch.who), jax.tree.map(spread, batch.hp)
        members = self._gather(bucket, layout, batch, who.number, hp)
        if self._stream is None:
            members = bucket.programs.train(members, layout, who, hp, self._key, self._arrays)
        else:
            members = self._train_streamed(bucket, layout, members, who, hp)
        metrics = bucket.programs.evaluate(members, layout, who.fold, hp, self._arrays)
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(members)]
        bucket.bank.write(batch.who.number[index].tolist(), [leaf[slot, lane] for leaf in leaves])
        table = {name: np.asarray(value)[slot, lane] for name, value in metrics.items()}
        table["train_loss"] = np.asarray(members.loss)[slot, lane]
        own = steps[index]
        seconds = time.perf_counter() - began - (self.compile_seconds - compiled)
        self.train_seconds += seconds
        total = int(own.sum())
        epochs = total / pop.steps_per_epoch(int(self._train_sizes.max()), bucket.batch_size)
        self._on_event(Event("trained", bucket.name, seconds, len(index), epochs))
        share = seconds * (own / total if total else np.full(len(index), 1 / len(index)))
        return index, table, share

    def _train_streamed(
        self, bucket: _Bucket, layout: Layout, members: pop.Member, who: Any, hp: Any
    ) -> pop.Member:
        """One block after the other; the loss is the mean over the last epoch trained in."""
        assert self._stream is not None
        used, size = layout.jobs[:, 0] >= 0, bucket.batch_size
        start, stop = layout.spans[used, 0].min(), layout.spans[used, 1].max()
        total, mean = np.zeros(layout.jobs.shape), EpochMean(layout.spans, size)
        pieces = self._stream.pieces(int(start), int(stop), size)
        with closing(self._stream.blocks(pieces, self.seed)) as blocks:
            for piece, block in blocks:
                spans = block_spans(layout.spans, piece, self._stream.block, size)
                members = bucket.programs.train(
                    members, layout._replace(spans=spans), who, hp, self._key,
                    self._devices.share(block),
                )  # fmt: skip
                total = mean.add(piece, np.asarray(members.loss))
        if not pieces:
            return members
        return members._replace(loss=self._devices.put(total.astype(np.float32)))

    def _gather(
        self, bucket: _Bucket, layout: Layout, batch: Columns, numbers: Any, hp: Any
    ) -> pop.Member:
        """Members in the layout's slots, on the devices: kept ones, and fresh ones."""
        known = np.array([number in bucket.bank for number in batch.who.number.tolist()])
        kept = known[layout.filled] & (layout.jobs >= 0).any(1, keepdims=True)
        used = (layout.jobs >= 0).any(1)
        if not kept.any():
            return bucket.programs.init(layout, numbers, hp, self._key)
        if kept[used].all():
            leaves = [
                np.zeros((*layout.jobs.shape, *shape), dtype) for shape, dtype in bucket.bank.shapes
            ]
        else:
            fresh = bucket.programs.init(layout, numbers, hp, self._key)
            leaves = [np.array(leaf) for leaf in jax.tree.leaves(fresh)]
        slot, lane = np.nonzero(kept)
        rows = bucket.bank.read(batch.who.number[layout.filled[slot, lane]].tolist())
        for leaf, row in zip(leaves, rows, strict=True):
            leaf[slot, lane] = row
        return self._devices.put(jax.tree.unflatten(bucket.bank.structure, leaves))

    # ------------------------------------------------------------------ buckets

    def _bucket(self, structure: Structure) -> _Bucket:
        if structure not in self._buckets:
            size = self.task.batch_size
            size = structure.static[size] if isinstance(size, str) else size
            if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
                raise TaskError(f"batch size: expected a positive integer, got {size!r}.")
            block = None if self._stream is None else self._stream.block
            check_batch_size(self.task, int(size), int(self._train_sizes.max()), block)
            judged = _shapes(self._arrays)
            trained = judged if self._stream is None else _shapes(self._stream.empty_block())
            programs = Programs(
                self.task, self._schema.key, structure, trained, self._devices,
                batch_size=int(size), compiled=self._note, judged=judged,
            )  # fmt: skip
            outputs, read = programs.check()
            check_outputs(self.task, self.data, outputs)
            self._read |= read
            chunk = self.chunk or chunk_for(self.platform, self.members, programs.largest())
            programs.resize(chunk, chunks_for(len(self._devices), chunk, self.slots))
            fixed = {**structure.static, **structure.ceiling}
            name = ", ".join(f"{n}={v}" for n, v in fixed.items()) or "all"
            none = np.zeros(0, np.int32)
            bucket = _Bucket(programs, Bank(programs.member_shapes()), none, int(size), name)
            folds = np.arange(len(self._train_sizes))
            horizon = self._steps(bucket, np.full(len(folds), self.max_budget), folds)[0]
            bucket.steps = np.asarray(horizon, np.int32)
            self._buckets[structure] = bucket
            if self._all_read:
                self._check_all_read()
        return self._buckets[structure]

    def _check_all_read(self) -> None:
        """Every parameter is of use to the task: asked once all its static values were seen.

        Raises:
            TaskError: one is not, naming it.
        """
        seen = {structure.key[0] for structure in self._buckets}
        if len(seen) < self._schema.static_combinations:
            return  # another static value may lead to the code that reads it
        names = [column.name for column in self._schema.parameters]
        unread = [name for name in names if name not in {*self._read, self.task.batch_size}]
        if unread:
            raise TaskError(
                f"{unread[0]}: the space has it, but the task never reads hp[{unread[0]!r}]: it "
                "would be searched for nothing. Use it in the model, the loss or the optimizer, "
                "or take it out of the space."
            )

    def _note(self, kind: str, name: str, program: Program | None = None, new: bool = True) -> None:
        if program is None:
            self._on_event(Event("compiling", f"{kind} {name}".strip()))
            return
        if all(program is not known for known in self.programs):
            self.programs.append(program)
        seconds = program.lower_seconds + program.compile_seconds
        if new:
            self.compile_seconds += seconds
        self._on_event(Event("compiled" if new else "reused", program.name, seconds * new))

    # ------------------------------------------------------------------ checks and clones

    def _config(self, job: Job, configs: Mapping[int, Mapping]) -> dict:
        if job.trial not in configs:
            raise TrialError(f"trial {job.trial}: no configuration given; add it to configs.")
        return dict(configs[job.trial])

    def _check_homes(self, jobs: list[Job], groups: Mapping[Structure, list[int]]) -> None:
        for structure, members in groups.items():
            for i in members:
                home = self._home.get(jobs[i].trial, structure)
                if jobs[i].clone_of is None and home != structure:
                    raise TrialError(
                        f"trial {jobs[i].trial}: its configuration changed to another bucket "
                        f"({self._buckets[structure].name}); start a new trial."
                    )

    def _clone(self, jobs: list[Job], groups: Mapping[Structure, list[int]]) -> None:
        """Copy donors' states before anything is trained."""
        copies = []
        for structure, members in groups.items():
            bank = self._buckets[structure].bank
            for i in members:
                parent = jobs[i].clone_of
                if parent is None:
                    continue
                donor = self._buckets[self._where(parent)].bank
                if donor.shapes != bank.shapes:
                    raise TaskError(
                        f"trial {jobs[i].trial}: cannot start from trial {parent}, whose "
                        "parameters have other shapes; clone within a bucket."
                    )
                copies.append((bank, jobs[i].trial, donor.read(self._numbers(parent))))
        for bank, trial, leaves in copies:
            bank.write(self._numbers(trial), leaves)

    def _where(self, trial: int) -> Structure:
        if trial not in self._home:
            raise TrialError(f"trial {trial}: no state is kept of it; train it first.")
        return self._home[trial]

    # ------------------------------------------------------------------ states

    @property
    def kept(self) -> list[int]:
        """Trials whose state is kept, in order."""
        return sorted(self._home)

    def keep(self, trials: Iterable[int]) -> None:
        """Forget every trial but these."""
        wanted = set(trials)
        self.drop([trial for trial in self._home if trial not in wanted])

    def drop(self, trials: Iterable[int]) -> None:
        """Forget the states of these trials; unknown ones are ignored."""
        for trial in trials:
            if trial in self._home:
                bank = self._buckets[self._home.pop(trial)].bank
                for number in self._numbers(trial):
                    bank.drop(number)
                del self._done[trial], self._configs[trial]

    def state_arrays(self, trials: Iterable[int]) -> tuple[dict[str, np.ndarray], dict]:
        """States as flat arrays and a JSON-able description, for a checkpoint.

        Training continues from :meth:`restore` bit for bit, given the same number of
        devices and the same chunk.
        """
        groups: dict[Structure, list[int]] = {}
        for trial in trials:
            groups.setdefault(self._where(trial), []).append(trial)
        arrays, listed = {}, []
        for b, (structure, members) in enumerate(groups.items()):
            bank = self._buckets[structure].bank
            numbers = [number for trial in members for number in self._numbers(trial)]
            for name, leaf in zip(bank.names, bank.read(numbers), strict=True):
                arrays[f"{b}/{name}"] = leaf
            programs = self._buckets[structure].programs
            listed.append({
                "trials": members, "epochs": [self._done[t] for t in members],
                "calls": [programs.chunks, programs.chunk],
            })  # fmt: skip
        meta = {
            "format": _FORMAT, "seed": self.seed, "max_budget": self.max_budget,
            "replicas": self.replicas, "unit": self.budget.unit, "passes": self.budget.passes,
            "devices": len(self._devices),
            "buckets": listed,
        }  # fmt: skip
        return arrays, meta

    def restore(
        self, arrays: Mapping[str, np.ndarray], meta: Mapping, configs: Mapping[int, Mapping]
    ) -> None:
        """Take over what :meth:`state_arrays` gave.

        Raises:
            TaskError: another seed, budget, or shapes of another model.
        """
        before = {"replicas": 1, "unit": "epochs", "passes": 1}  # states of a time before these
        check_restored(
            {**before, **meta}, seed=self.seed, max_budget=self.max_budget,
            replicas=self.replicas, unit=self.budget.unit, passes=self.budget.passes,
        )  # fmt: skip
        for b, entry in enumerate(meta["buckets"]):
            trials = [int(trial) for trial in entry["trials"]]
            listed = [dict(configs[trial]) for trial in trials]
            structure = self._schema.structures(listed[:1])[0]
            with float32_scope():
                bank = self._bucket(structure).bank
            chunks, chunk = entry.get("calls", (0, 0))
            programs = self._buckets[structure].programs
            if (
                self.chunk is None
                and chunk
                and (chunks, chunk) != (programs.chunks, programs.chunk)
            ):
                programs.resize(chunk, chunks)  # as it was, halved or not: the same to the bit
            numbers = [number for trial in trials for number in self._numbers(trial)]
            leaves = [np.asarray(arrays[f"{b}/{name}"]) for name in bank.names]
            for name, leaf, (shape, dtype) in zip(bank.names, leaves, bank.shapes, strict=True):
                if leaf.shape != (len(numbers), *shape) or leaf.dtype != dtype:
                    raise TaskError(
                        f"restore: {name} is {leaf.dtype}{leaf.shape[1:]}, the task's is "
                        f"{dtype}{shape}; use the task of the checkpoint."
                    )
            bank.write(numbers, leaves)
            for trial, epochs, config in zip(trials, entry["epochs"], listed, strict=True):
                self._home[trial], self._done[trial] = structure, int(epochs)
                self._configs[trial] = config

    # ------------------------------------------------------------------ models

    def params(self, trial: int) -> Any:
        """The trial's parameters as the task made them, NumPy arrays.

        Padded to the bucket's ceilings: units beyond the true width are zeros, layers
        beyond the true depth are there and unused. They go back into the same module. With
        folds or seeds the leaves are `[replicas, ...]`.
        """
        return self._whole(trial).params

    def state(self, trial: int) -> Any:
        """The trial's other collections (batch statistics), as :meth:`params`."""
        return self._whole(trial).state

    def predict(self, trials: int | Sequence[int], x: Any) -> np.ndarray:
        """Outputs of a trial's model for `x[n, ...]` as the user has it (not normalised).

        The mean over the models of its folds and seeds, and over the trials if several.
        """
        return np.mean(self._all_outputs(trials, x), axis=0)

    def _all_outputs(self, trials: int | Sequence[int], x: Any) -> list[np.ndarray]:
        """A trial after the other, of each the replicas."""
        listed = [trials] if isinstance(trials, int) else list(trials)
        return [
            self._outputs(trial, replica, x) for trial in listed for replica in range(self.replicas)
        ]

    def _outputs(self, trial: int, replica: int, x: Any) -> np.ndarray:
        x = self.data.transform(x, self._fold(self._numbers(trial)[replica]))
        bucket = self._buckets[self._where(trial)]
        _, size = pop.evaluation_batches(len(self.data.validation))
        with float32_scope():
            program = bucket.programs.predict(size)
            member, hp = self._member(trial, replica), self._scalars(trial, replica)
            member = member._replace(optimizer=())
            parts = []
            for begin in range(0, len(x), size):
                part = x[begin : begin + size]
                padded = np.zeros((size, *x.shape[1:]), x.dtype)
                padded[: len(part)] = part
                parts.append(np.asarray(program(member, hp, padded))[: len(part)])
        return np.concatenate(parts)

    def test(
        self, trials: int | Sequence[int], validation: Mapping[str, float] | None = None
    ) -> TestScore:
        """Every metric on the test part, once: see :class:`TestSplit`.

        Args:
            trials: which; as for :meth:`score`.
            validation: metrics on the validation part, for the score's `optimism`.

        Raises:
            TestDataTouched: the test part was used before.
        """
        return self.score(trials, *self.take_test(trials), validation)

    def take_test(self, trials: int | Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """`x` and `y` of the test part, once, and only if these trials can be scored.

        Raises:
            TestDataTouched: the test part was used before.
        """
        if self.data.test.touched or not len(self.data.test):
            self.data.test.take()  # raises, before anything is compiled
        self._all_outputs(trials, self.data._raw[:1])  # what cannot run fails before the touch
        return self.data.test.take()

    def score(
        self, trials: int | Sequence[int], x: Any, y: Any,
        validation: Mapping[str, float] | None = None,
    ) -> TestScore:  # fmt: skip
        """Every metric on other examples.

        Of one trial the mean over the models of its folds and seeds, each by itself; of several
        the score of their mean outputs, an ensemble.

        Args:
            x: `[n, ...]`, not normalised.
            y: `[n, ...]`.
            validation: metrics on the validation part, for the score's `optimism`.

        Raises:
            DataError: shapes or values that do not fit.
        """
        return TestScore.of(self.resampled_scores(trials, x, y), validation)

    def resampled_scores(
        self, trials: int | Sequence[int], x: Any, y: Any
    ) -> dict[str, np.ndarray]:
        """Every metric on the examples, then on resamples of them, the same for every model.

        Name -> `[1 + 1,000]`; arguments and errors as for :meth:`score`.
        """
        y = np.asarray(y, self.data.y.dtype)
        if len(y) != len(x) or not len(y):
            raise DataError(f"score: x has {len(x)} examples, y has {len(y)}; give as many.")
        outputs = self._all_outputs(trials, x)
        first = trials if isinstance(trials, int) else trials[0]
        if len(outputs) > self.replicas:
            outputs = [np.mean(outputs, axis=0)]
        found = []
        for replica, output in enumerate(outputs):
            with float32_scope():
                hp = self._scalars(first, replica)
                found.append(resampled(self.task.metrics, output, y, hp, seed=self.seed))
        return {name: np.mean([one[name] for one in found], axis=0) for name in found[0]}

    def _member(self, trial: int, replica: int) -> pop.Member:
        return self._buckets[self._where(trial)].bank.member(self._numbers(trial)[replica])

    def _whole(self, trial: int) -> pop.Member:
        members = [self._member(trial, replica) for replica in range(self.replicas)]
        if len(members) == 1:
            return members[0]
        return jax.tree.map(lambda *leaves: np.stack(leaves), *members)

    def _scalars(self, trial: int, replica: int) -> Hyperparameters:
        structure = self._where(trial)
        values, active = self._schema.columns([self._configs[trial]])
        first = lambda columns: {name: column[0] for name, column in columns.items()}  # noqa: E731
        steps = self._buckets[structure].steps[self._fold(self._numbers(trial)[replica])]
        return Hyperparameters(first(values), first(active), steps, structure)

    # ------------------------------------------------------------------ plan

    @property
    def fixed(self) -> frozenset[str]:
        """Parameters that cannot change while a member trains: they choose its program."""
        return frozenset((*self.task.static, *(name for name, _ in self.task.padded)))

    @property
    def platform(self) -> str:
        """Of the devices: "cpu", "gpu" or "tpu"."""
        return self._devices.devices[0].platform

    def call_of(self, config: Mapping[str, Any]) -> tuple[int, int]:
        """Trials that fill a call of this configuration's programs, and steps of its epoch."""
        (structure,) = self._schema.structures([config])
        with float32_scope():
            bucket = self._bucket(structure)
        members = len(self._devices) * bucket.programs.chunks * bucket.programs.chunk
        epoch = pop.steps_per_epoch(int(self._train_sizes.max()), bucket.batch_size)
        return max(members // self.replicas, 1), epoch

    def plan(self, configs: Sequence[Mapping] | Mapping[int, Mapping]) -> Plan:
        """Buckets, memory and call shape for these configurations; compiles nothing."""

        def member_bytes(structure: Structure) -> int:
            with float32_scope():
                shapes = self._bucket(structure).bank.shapes
            return sum(math.prod(shape) * dtype.itemsize for shape, dtype in shapes)

        def shape(structure: Structure) -> tuple[int, int]:
            with float32_scope():
                programs = self._bucket(structure).programs
            return programs.chunks, programs.chunk

        return Plan.of(
            self.task, self.space, configs, devices=len(self._devices), slots=self.slots,
            member_bytes=member_bytes, shape=shape, replicas=self.replicas,
        )  # fmt: skip


def _sampled(arrays: pop.Arrays, seed: int) -> np.ndarray:
    """The folds' training indices in a random order, so that their beginning is a sample."""
    train = np.array(arrays.train)
    for fold, count in enumerate(arrays.count):
        train[fold, :count] = np.random.default_rng([seed, fold]).permutation(train[fold, :count])
    return train


def _shapes(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), tree)
