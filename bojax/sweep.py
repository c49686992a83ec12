"""`Sweep`: a task, a space and a budget in; trained models, curves and an honest score out."""

from __future__ import annotations

import copy
import datetime
import os
import platform
import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from bojax.configuration import cores
from bojax.coordinate import METHODS, Coordinator, Event, Method
from bojax.errors import ConfigError, DataError, StoreError, TaskError
from bojax.history import Job, Report, Run, Trial
from bojax.schedulers import by_name as scheduler_by_name
from bojax.space import Space
from bojax.stats import Interval, mean_interval
from bojax.store import open_store
from bojax.strategies import by_name, from_description, to_description
from bojax.training import (
    ArrayData,
    Budget,
    CrossValidation,
    GrainData,
    LocalExecutor,
    Model,
    Schedule,
    Task,
    TestScore,
)
from bojax.training.budgets import FRESH, SIZES
from bojax.training.data import fingerprint
from bojax.training.energy import EnergyMeter, joules
from bojax.training.executors import executor_of
from bojax.training.hyper import Schema
from bojax.training.lineage import train_along
from bojax.training.measured import SLOTS as MEASURED_SLOTS
from bojax.training.measured import Measured, measure
from bojax.training.replicated import check_replicas
from bojax.training.resampling import check_largest

DEFAULT_RUN = "main"
WITHOUT = ("data", "task")  # settings that runs of an earlier time were stored without
MAX_BUDGET = 27  # as of the schedulers: with eta = 3, three rungs above the first


class Sweep:
    """Tunes a training task: many configurations trained as populations, the best longer.

    Args:
        task: a :class:`Task`.
        space: a :class:`Space` or a dict of parameters.
        data: an :class:`ArrayData`, or a :class:`bojax.training.GrainData` for more than memory
            holds.
        metric: which of the task's metrics to optimise, measured on the validation part.
        direction: "minimize" or "maximize" it.
        strategy: what suggests configurations: "random", "sobol", ... or a strategy. None is "gp".
        scheduler: how budget is given out: a name of `bojax.schedulers.METHODS`, or a mapping
            with its own settings, `{"name": "asha", "slots": 16}`. None is "successive_halving".
        method: what replaces both: "bohb", "dehb", "gp_hyperband", "freeze_thaw", or one of
            `bojax.coordinate` with settings of its own, whose budgets are the sweep's then.
        max_budget: what the survivors are trained for; the horizon of schedules. By default 27,
            with "replicas" all folds and seeds.
        min_budget: after which a trial may first be judged.
        unit: what budgets count: "epochs", "steps", "examples", "percent" of the training
            examples; the "resolution" of images or "length" of sequences, which every rung is
            trained on from scratch; or "replicas", the folds and seeds of a trial, for the
            schedulers "racing" and "wilcoxon" (:mod:`bojax.training.budgets`). The name of the
            space's fidelity column.
        passes: with "percent", epochs that all the examples are trained for; with "resolution"
            and "length", epochs at every size; with "replicas", epochs of every fold and seed.
        eta: one trial in `eta` goes on to the next rung.
        bracket: trials started together; None for the scheduler's own choice. The strategy
            learns from each bracket before it fills the next.
        default: a configuration to start with, before the strategy is asked.
        store: path or database URL that keeps every rung, or None for memory alone.
        run: id of the run in the store.
        seed: fixes every suggestion and every training step.
        seeds: how often each configuration is trained; its score is the mean, as over the folds
            of `bojax.CrossValidation`.
        chunk: members a device trains at once; None for a table's choice, which
            :meth:`check` prints.
        callbacks: called with every :class:`bojax.coordinate.Event`.

    Attributes:
        measurements: what :meth:`measured` timed, or None.

    Raises:
        ConfigError: the default is not of the space.
        SpaceError, TaskError, SchedulerError, ValueError: a setting makes no sense.

    Example:
        >>> import bojax, optax, numpy as np
        >>> from bojax.training.models import MLP
        >>> x = np.random.default_rng(0).normal(size=(120, 4))
        >>> data = bojax.ArrayData(x, (x[:, 0] > 0).astype(int))
        >>> task = bojax.Task.linen(
        ...     lambda hp: MLP(2, 8), optimizer=lambda hp: optax.adam(hp["lr"]), batch_size=32)
        >>> sweep = bojax.Sweep(
        ...     task, {"lr": bojax.Float(1e-4, 1e-1, log=True)}, data=data,
        ...     strategy="random", max_budget=3, eta=3)
        >>> result = sweep.run(trials=3)
        >>> len(result.trials), result.best.fidelity
        (3, 3.0)
    """

    def __init__(
        self,
        task: Task,
        space: Space | Mapping[str, Any],
        *,
        data: ArrayData | GrainData,
        metric: str = "loss",
        direction: str = "minimize",
        strategy: Any = None,
        scheduler: str | Mapping[str, Any] | None = None,
        method: str | Method | None = None,
        max_budget: int | None = None,
        min_budget: int = 1,
        unit: str = "epochs",
        passes: int = 1,
        eta: float = 3,
        bracket: int | None = None,
        default: Mapping[str, Any] | None = None,
        store: str | os.PathLike[str] | None = None,
        run: str = DEFAULT_RUN,
        seed: int = 0,
        seeds: int = 1,
        chunk: int | None = None,
        callbacks: Sequence[Callable[[Event], None]] = (),
    ) -> None:
        if not isinstance(space, Space):
            space = Space(space)
        if direction not in ("minimize", "maximize"):
            raise ValueError(f"direction: expected 'minimize' or 'maximize', got {direction!r}.")
        self.task, self.space = task, space
        self.data: Any = data
        self.metric, self.direction, self.seed, self.run_id = metric, direction, seed, run
        self._check_metric()
        self._method = method if method is None or isinstance(method, str) else method.name
        if method is not None:
            _check_alone(method, strategy=strategy, scheduler=scheduler, max_budget=max_budget)
        strategy = "gp" if strategy is None else strategy
        scheduler = "successive_halving" if scheduler is None else scheduler
        if max_budget is None:
            max_budget = seeds * len(data.folds) if unit == "replicas" else MAX_BUDGET
        if method is not None:
            method = _method(method, max_budget=max_budget, min_budget=min_budget, eta=eta)
            strategy, scheduler = method.strategy, method.scheduler
            max_budget = scheduler["max_budget"]
        self.strategy = by_name(strategy)
        self.scheduler_settings = _scheduler_settings(
            scheduler, max_budget=max_budget, min_budget=min_budget, eta=eta, bracket=bracket
        )
        self.max_budget, self.budget = max_budget, Budget(unit, passes)
        self.budget.whole("max_budget", max_budget)
        if unit in SIZES:
            check_largest(data, unit, max_budget)
        if unit == "replicas":
            check_replicas(data, seeds, max_budget)
        self.default = None if default is None else dict(default)
        if self.default is not None:
            space.encode(self.default)  # raises, naming the parameter
        self.seeds, self.chunk, self.store = seeds, chunk, store
        self.measurements: Measured | None = None
        self.callbacks = tuple(callbacks)
        told = self._scheduler(1)  # raises, naming the setting
        self._check_suits(told)

    def _check_metric(self) -> None:
        """The task reports what is to be optimised.

        Raises:
            TaskError: it does not.
        """
        known = [*(name for name, _ in self.task.metrics), "train_loss"]
        if self.metric not in known:
            raise TaskError(
                f"metric {self.metric!r}: the task reports no such metric; a sweep optimises one "
                f"of {', '.join(known)}."
            )

    def _check_suits(self, scheduler: Any) -> None:
        """The scheduler makes sense of what budgets count.

        Raises:
            ConfigError: it does not.
        """
        unit, name = self.budget.unit, self.scheduler_settings["name"]
        chosen = "scheduler" if self._method is None else f"method {self._method!r}"
        counts = getattr(scheduler, "unit", unit)
        if counts != unit:
            raise ConfigError(
                f"{chosen}: {name!r} compares {counts}, folds and seeds, got unit={unit!r}; give "
                f"unit={counts!r}, and passes= for the epochs that each is trained for."
            )
        if unit in FRESH and getattr(scheduler, "any_budget", False):
            raise ConfigError(
                f"{chosen}: {name!r} compares values of all budgets, and with unit={unit!r} those "
                "are of other data; use successive_halving."
            )
        if unit in FRESH and hasattr(scheduler, "explore"):
            raise ConfigError(
                f"{chosen}: {name!r} lets trials go on from others, and with unit={unit!r} every "
                "rung starts from scratch; use successive_halving."
            )

    # ------------------------------------------------------------------ before a run

    def plan(self, trials: int) -> Any:
        """The rung table of a run of so many trials."""
        return self._scheduler(trials).plan()

    def check(self, trials: int = 64) -> str:
        """What a run would do: rung table, programs, memory; compiles and runs nothing.

        Each bucket's model is traced abstractly, for configurations drawn at random, so a
        hyperparameter that cannot be traced is named here.
        """
        executor = self._executor(lambda event: None, trials)
        sample = self.space.sample(trials, seed=self.seed)
        if self.default is not None:
            sample[0] = self.default
        return f"{self.plan(trials)}\n\n{executor.plan(sample).describe()}"

    def measured(self, trials: int = 64) -> Sweep:
        """This sweep with chunk and ceilings by measurement: wasted arithmetic against programs.

        Times a step of several chunks, and of the narrowest and the widest ceiling of every
        `padded` parameter that has none given; compiles a few programs to do so. What was timed
        is the new sweep's `measurements`, to be printed. A clock chose: write the numbers into
        task and sweep to have the same run again. A stored run remembers them.

        Args:
            trials: of the run that it is for.
        """
        plan = self.plan(trials)
        examples = max(len(train) for train, _ in self.data.folds)
        sample = self.space.sample(64, seed=self.seed)
        schema = Schema.of(self.space, static=self.task.static, padded=self.task.padded)
        size = self.task.batch_size
        budget, total = self.budget, float(plan.total)
        if budget.unit in SIZES:  # what trains at the data's own size is timed
            budget, total = Budget(), self._passes_at_full_size(plan)
        if budget.unit == "replicas":  # of a trial with all of them
            budget, total = Budget(), total * budget.passes / self.max_budget
        steps = [
            budget.steps(
                total,
                examples=examples,
                batch_size=structure.static[size] if isinstance(size, str) else size,
            )
            for structure in schema.structures(sample)
        ]

        def make(task: Task, chunk: int | None) -> LocalExecutor:
            return LocalExecutor(
                task, self.space, self.data, seeds=self.seeds, max_budget=3, chunk=chunk,
                slots=MEASURED_SLOTS, seed=self.seed,
            )  # fmt: skip

        replicas = self.seeds * len(self.data.folds)
        new = copy.copy(self)
        new.measurements = measure(
            make, self.task, self.space, steps=float(np.mean(steps)) * replicas, seed=self.seed
        )
        new._as_measured(new.measurements.chunk, new.measurements.padded)
        return new

    def _passes_at_full_size(self, plan: Any) -> float:
        """Epochs of all rungs together, those at a smaller size by its share of the values."""
        power = 2 if self.budget.unit == "resolution" else 1
        shares = [row.members * (row.budget / self.max_budget) ** power for row in plan.rows]
        return self.budget.passes * sum(shares)

    def _as_measured(self, chunk: int, padded: Mapping[str, Sequence[int]]) -> None:
        self.chunk = chunk
        self.task = replace(self.task, padded=dict(padded))

    # ------------------------------------------------------------------ running

    def run(self, trials: int = 64, *, timeout: float | None = None) -> Result:
        """Start so many configurations and see them through.

        Args:
            trials: configurations started, all brackets together.
            timeout: seconds after which no further rung is begun; None for no limit. With a
                store, :meth:`continue_run` goes on from there.

        Returns:
            A :class:`Result`.

        Raises:
            StoreError: the store has this run already.
            StoreInUse: another process is writing this run.
        """
        return self._run(trials, resume=False, timeout=timeout)

    def nested(self, trials: int = 64, *, folds: int = 5) -> Nested:
        """How good the whole procedure is: search, choose, refit, by nested cross-validation.

        In each of `folds` outer folds a sweep like this one searches the rest of the examples,
        split as `data` is; its best configuration is trained anew on all of them and scored on
        the fold. The score is that of what a sweep gives on so much data, not of one
        configuration. The test part is not looked at, nothing is stored.

        Args:
            trials: of each sweep.
            folds: outer folds; each example but the test part's is scored once.

        Raises:
            DataError: too few examples or groups for so many folds.
            ConfigError: every trial of a fold failed.

        Example:
            >>> from bojax.sweep import Nested
            >>> list(Nested.__dataclass_fields__)
            ['scores', 'configs', 'results']
        """
        if not isinstance(self.data, ArrayData):
            raise DataError(
                f"nested: splits its examples anew, so that they must be a bojax.ArrayData, got "
                f"{type(self.data).__name__}."
            )
        data, split = self.data, self.data.split
        groups = None if split.groups is None else np.asarray(split.groups)[data._kept]
        outer = CrossValidation(
            folds, test=0.0, seed=self.seed, stratify=split.stratify, groups=groups,
            time=split.time,
        )  # fmt: skip
        scores: dict[str, list[float]] = {}
        results = []
        every = np.arange(len(data.y))
        for train, judged in outer.parts(data.y, every, len(every), self.seed):
            inner = replace(split, test=0.0, groups=None if groups is None else groups[train])
            own = copy.copy(self)
            own.store = None
            own.data = ArrayData(
                data._raw[train], data.y[train], split=inner, normalize=data.normalize
            )
            results.append(own.run(trials))
            score = results[-1].refit().score(data._raw[judged], data.y[judged])
            for name, value in score.items():
                scores.setdefault(name, []).append(value)
        configs = tuple(dict(result.best.config) for result in results if result.best)
        return Nested(scores, configs, tuple(results))

    def continue_run(self, trials: int = 64, *, timeout: float | None = None) -> Result:
        """As :meth:`run`, from what the store has of this run; from the start if nothing."""
        return self._run(trials, resume=True, timeout=timeout)

    @classmethod
    def resume(
        cls,
        store: str | os.PathLike[str],
        task: Task,
        *,
        data: ArrayData | GrainData,
        run: str = DEFAULT_RUN,
        strategy: Any = None,
        callbacks: Sequence[Callable[[Event], None]] = (),
    ) -> Result:
        """Finish a stored run: same suggestions, same training, to the bit.

        Args:
            store, run: where it is.
            task, data: as they were; code and arrays are not stored.
            strategy: needed only if it was none of this package.
            callbacks: as for the constructor.

        Raises:
            StoreError: no such store or run.
            StoreInUse: another process is writing this run.
            ConfigError: `strategy` is needed, or task or data do not fit what was stored.
        """
        with open_store(os.fspath(store), create=False) as opened:
            record = opened.run(run)
        settings = dict(record.settings)
        if strategy is None:
            strategy = from_description(settings["strategy"])
        sweep = cls(
            task,
            Space.from_json(record.space),
            data=data,
            metric=settings["metric"],
            direction=record.objectives[settings["metric"]],
            strategy=strategy,
            scheduler=settings["scheduler"],
            max_budget=settings["max_budget"],
            default=settings["default"],
            store=store,
            run=run,
            seed=record.seed,
            **{name: settings[name] for name in ("seeds", "unit", "passes") if name in settings},
            callbacks=callbacks,
        )
        return sweep.continue_run(settings["trials"])

    def _run(self, trials: int, *, resume: bool, timeout: float | None = None) -> Result:
        began = time.perf_counter()
        if timeout is not None and not timeout > 0:
            raise ValueError(f"timeout: expected seconds above 0 or None, got {timeout!r}.")
        scheduler = self._scheduler(trials)
        self._emit("planned", plan=scheduler.plan(), trials=trials)
        with ExitStack() as stack:
            meter = stack.enter_context(EnergyMeter())
            opened = lease = folder = None
            if self.store is not None:
                opened = stack.enter_context(open_store(os.fspath(self.store)))
                self._register(opened, trials, resume)
                lease = stack.enter_context(opened.acquire(self.run_id))
                folder = opened.checkpoint_folder(self.run_id)
                self._guard_test(opened, lease)
            executor = self._executor(self._training_event, trials)
            coordinator = Coordinator(
                self.space.with_fidelity(self.budget.unit, *self._budget_range(scheduler)),
                self.strategy,
                scheduler,
                executor,
                metric=self.metric,
                direction=self.direction,
                seed=self.seed,
                run=self.run_id,
                first=() if self.default is None else (self.default,),
                lease=lease,
                folder=folder,
                callbacks=self.callbacks,
            )
            if opened is not None and resume:
                coordinator.restore(opened)
            coordinator.run(until=None if timeout is None else began + timeout)
            meter.sample()
            return Result(
                trials=tuple(coordinator.trials),
                reports=tuple(coordinator.reports),
                best=coordinator.best,
                metric=self.metric,
                direction=self.direction,
                spent=coordinator.spent,
                seconds=time.perf_counter() - began,
                ask_seconds=coordinator.ask_seconds,
                train_seconds=executor.train_seconds,
                compile_seconds=executor.compile_seconds,
                programs=tuple(executor.programs),
                executor=executor,
                space=self.space,
                unit=self.budget.unit,
                any_budget=getattr(scheduler, "any_budget", False),
                energy=joules(meter.parts()),
                energy_parts=meter.parts(),
                _touch=None if opened is None else self._touch,
            )

    # ------------------------------------------------------------------ pieces

    def _scheduler(self, trials: int) -> Any:
        settings = dict(self.scheduler_settings)
        return scheduler_by_name(settings.pop("name"), trials=trials, **settings)

    def _executor(self, on_event: Callable, trials: int) -> Any:
        replicas = self.seeds * len(self.data.folds)
        rows = self.plan(trials).rows
        if self.budget.unit == "replicas":
            largest = max(row.cost for row in rows)
        else:
            largest = replicas * max(row.members for row in rows)
        return executor_of(
            self.task,
            self.space,
            self.data,
            seed=self.seed,
            seeds=self.seeds,
            max_budget=self.max_budget,
            unit=self.budget.unit,
            passes=self.budget.passes,
            sizes=[row.budget for row in rows],
            chunk=self.chunk,
            members=largest,
            all_read=True,
            on_event=on_event,
        )

    def _budget_range(self, scheduler: Any) -> tuple[float, float]:
        """Budgets a trial can be seen at; a single one is given room below."""
        budgets = [row.budget for row in scheduler.plan().rows]
        low, high = float(min(budgets)), float(max(budgets))
        return (low if low < high else high / 2, high)

    def _settings(self, trials: int) -> dict[str, Any]:
        return {
            "metric": self.metric,
            "strategy": to_description(self.strategy),
            "scheduler": self.scheduler_settings,
            "max_budget": self.max_budget,
            "default": self.default,
            "trials": trials,
            "seeds": self.seeds,
            "folds": len(self.data.folds),
            "block": getattr(self.data, "block", None),
            "data": fingerprint(self.data),
            "task": {
                "batch_size": self.task.batch_size,
                "static": list(self.task.static),
                "metrics": [name for name, _ in self.task.metrics],
            },
            "unit": self.budget.unit,
            "passes": self.budget.passes,
            **({} if self.measurements is None else {"measured": self._chosen()}),
        }

    def _chosen(self) -> dict[str, Any]:
        """What was measured, as it is stored."""
        padded = {name: list(ceilings) for name, ceilings in self.task.padded}
        return {"chunk": self.chunk, "padded": padded}

    def _register(self, opened: Any, trials: int, resume: bool) -> None:
        """Record the run, or check that the stored one is this one."""
        known = {run.id: run for run in opened.runs()}
        settings = self._settings(trials)
        if self.run_id not in known:
            opened.create_run(
                Run(
                    id=self.run_id,
                    space=self.space.to_json(),
                    objectives={self.metric: self.direction},
                    seed=self.seed,
                    versions=versions(),
                    hardware={"machine": platform.machine(), "cores": cores()},
                    started=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                    command=shlex.join(
                        Path(a).name if i == 0 else a for i, a in enumerate(sys.argv)
                    ),
                    settings=settings,
                )
            )
            return
        if not resume:
            raise StoreError(
                f"{self.store}: has run {self.run_id!r} already; go on with it "
                "(sweep.continue_run, Sweep.resume, or --resume on the command line), or give "
                "another store or run=."
            )
        stored = known[self.run_id]
        mine = {**settings, "seed": self.seed, "space": self.space.to_json()}
        before = {"seeds": 1, "folds": 1, "unit": "epochs", "passes": 1, "block": None}
        theirs: dict[str, Any] = before | stored.settings
        theirs |= {"seed": stored.seed, "space": stored.space}
        if "measured" in theirs:  # by the clock of that day: the stored choice stands
            self._as_measured(**theirs["measured"])
            mine.pop("measured", None)
        for name, value in mine.items():
            if name in WITHOUT and name not in theirs:
                continue
            if name == "data" and value != theirs[name]:
                raise ConfigError(
                    f"{self.store}: run {self.run_id!r} was trained on other data: examples, "
                    "labels, split or normalize differ; give the same, or another store."
                )
            if _jsonable(value) != _jsonable(theirs.get(name)):
                raise ConfigError(
                    f"{self.store}: run {self.run_id!r} was stored with {name}="
                    f"{theirs.get(name)!r}, now it is {value!r}; resume it as it was, or give "
                    "another store."
                )

    def _guard_test(self, opened: Any, lease: Any) -> None:
        """A test part that was touched in a stored run stays touched."""
        if opened.state(self.run_id, "test") is not None:
            self.data.test.touched = True

    def _touch(self) -> None:
        assert self.store is not None  # only a stored run asks for this
        with (
            open_store(os.fspath(self.store), create=False) as opened,
            opened.acquire(self.run_id) as lease,
            lease.transaction() as tx,
        ):
            tx.write_state("test", "touched")

    def _training_event(self, event: Any) -> None:
        self._emit(
            event.kind,
            name=event.name,
            seconds=event.seconds,
            members=event.members,
            epochs=event.epochs,
        )

    def _emit(self, kind: str, **data: Any) -> None:
        for callback in self.callbacks:
            callback(Event(kind, self.run_id, data))


@dataclass(frozen=True)
class Nested:
    """Scores of nested cross-validation.

    Attributes:
        scores: metric -> its value on each outer fold.
        configs: the configuration chosen in each.
        results: the :class:`Result` of each fold's sweep.

    Example:
        >>> from bojax.sweep import Nested
        >>> print(Nested({"loss": [0.5, 0.6, 0.7]}, (), ()))
        loss 0.6 [0.3516, 0.8484]
    """

    scores: dict[str, list[float]]
    configs: tuple[dict[str, Any], ...]
    results: tuple[Result, ...]

    def interval(self, metric: str) -> Interval:
        """The mean over folds and Student's interval around it.

        Folds share examples to train on, so that the interval is somewhat too narrow (Y. Bengio
        and Y. Grandvalet, "No unbiased estimator of the variance of k-fold cross-validation",
        JMLR 5, 2004).
        """
        return mean_interval(self.scores[metric])

    def __str__(self) -> str:
        return "; ".join(f"{name} {self.interval(name)}" for name in self.scores)


@dataclass(frozen=True)
class Result:
    """What a sweep found.

    Attributes:
        trials: every :class:`Trial`, its `curve` a learning curve.
        reports: every :class:`~bojax.history.Report`, in the order they came.
        best: the one of best validation metric at the largest budget; None if all failed.
        metric, direction: what "best" means.
        spent: budget trained, all trials together; folds and seeds of a trial count once, unless
            they are what budgets count.
        unit: what budgets count.
        any_budget: whether values at different budgets are compared (scheduler "plateau").
        seconds: wall-clock time of the run; of it `ask_seconds` suggesting,
            `compile_seconds` compiling training programs and `train_seconds` training.
        programs: the training programs used.
        executor: keeps the best trial's model.
        space: what was searched.
        energy: joules that the machine used during the run, `energy_parts` by what reports them;
            None where nothing does (:mod:`bojax.training.energy`).

    Example:
        >>> import bojax
        >>> from bojax.sweep import Result
        >>> Result.__dataclass_fields__["best"].name
        'best'
    """

    trials: tuple[Trial, ...]
    reports: tuple[Report, ...]
    best: Trial | None
    metric: str
    direction: str
    spent: float
    seconds: float
    ask_seconds: float
    train_seconds: float
    compile_seconds: float
    programs: tuple[Any, ...]
    executor: Any
    space: Space
    unit: str = "epochs"
    any_budget: bool = False
    energy: float | None = None
    energy_parts: Mapping[str, float] = field(default_factory=dict)
    _touch: Any = None

    def __str__(self) -> str:
        """What was found and spent, in a few lines."""
        counts = Counter(trial.status.name.lower() for trial in self.trials)
        told = ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))
        lines = ["no trial was finished"]
        if self.best is not None:
            value = f"{self.metric} {self.best.value:.4g}, {self.direction}d"
            lines = [f"best: trial {self.best.id}, {value}: {self.best.config}"]
        lines.append(f"{len(self.trials)} trials: {told}")
        lines.append(
            f"{self.spent:g} {self.unit} in {self.seconds:.1f} s: {self.ask_seconds:.1f} asking, "
            f"{self.compile_seconds:.1f} compiling, {self.train_seconds:.1f} training"
        )
        return "\n".join(lines)

    __repr__ = __str__  # not every report and program, which the generated one would show

    def test(self) -> TestScore:
        """Every metric of the best trial's model on the test part. Once.

        A dict, with `intervals` over resamples of the test part; `optimism`: by how much the
        validation part, on which the winner was chosen, promised something else; and, if the
        sweep began with a default, the `improvement` over it. A default that was stopped is
        trained for as long as the winner first.

        Raises:
            TestDataTouched: the test part was used before, in this or a stored run.
            ConfigError: every trial failed.
        """
        best = self._best("test")
        last = max((r for r in self.reports if r.trial == best.id), key=lambda r: r.budget)
        test = self.executor.data.test
        default = None
        if self.trials[0].source == "default" and not test.touched:
            default = self._executor_of(self.executor.data, members=self.executor.members)
            default.run([Job(0, 0, last.budget)], {0: self.trials[0].config})
        test.on_touch = self._touch
        x, y = self.executor.take_test(best.id)
        scores = self.executor.resampled_scores(best.id, x, y)
        if default is None:
            return TestScore.of(scores, last.metrics)
        sign = 1.0 if self.direction == "minimize" else -1.0
        before = default.resampled_scores(0, x, y)[self.metric]
        return TestScore.of(scores, last.metrics, sign * (before - scores[self.metric]))

    def refit(self, *, seeds: int = 1) -> Model:
        """The best configuration trained anew on training and validation data together.

        To the budget it was chosen at; after population based training along its
        :meth:`schedule`, from the first ancestor's values to its own. More data and the same
        configuration: usually better than the model that was validated, and never measured by
        anything but the test part.

        Args:
            seeds: how many models; predictions are their mean, test scores the mean of theirs.

        Returns:
            A :class:`bojax.training.Model`.

        Raises:
            ConfigError: every trial failed.
        """
        return self._refitted([self._best("refit")], seeds)

    def schedule(self, trial: int | None = None) -> Schedule:
        """The configurations a trial was trained with, along its ancestors, from budget to budget.

        Population based training finds a schedule, not a configuration. It prints as a table, is
        JSON both ways, and trains another model by :meth:`bojax.training.Schedule.replay`.

        Args:
            trial: number of the trial; None for the best.

        Raises:
            TrialError: no such trial, or one that was never trained.
            ConfigError: every trial failed, and none was named.
        """
        number = self._best("schedule").id if trial is None else trial
        budget = self.executor.budget
        return Schedule.of(
            self.trials, number, unit=budget.unit, passes=budget.passes,
            horizon=float(self.executor.max_budget),
        )  # fmt: skip

    def ensemble(self, k: int = 5, *, seeds: int = 1) -> Model:
        """The k best configurations, trained anew as in :meth:`refit`, as members of one program.

        Predictions are the mean of their outputs, and scores those of that mean. Configurations
        that were stopped early are trained to the full budget too; ancestors that several have in
        common are trained once.

        Args:
            k: how many; fewer if fewer trials have a value.
            seeds: models of each.

        Returns:
            A :class:`bojax.training.Model`.

        Raises:
            ConfigError: every trial failed.
            ValueError: k is not positive.
        """
        if isinstance(k, bool) or not isinstance(k, int) or k < 1:
            raise ValueError(f"ensemble: k must be a positive integer, got {k!r}.")
        self._best("ensemble")
        return self._refitted(self.ranked()[:k], seeds)

    def _refitted(self, trials: Sequence[Trial], seeds: int) -> Model:
        budget = trials[0].fidelity
        budget = self.executor.max_budget if budget is None else budget
        settings: dict[str, Any] = {}
        if self.unit == "replicas":  # as long as each of them
            budget = self.executor.budget.passes
            settings = {"unit": "epochs", "passes": 1, "max_budget": budget}
        executor = self._executor_of(
            self.executor.data.whole(), seeds=seeds, members=len(trials) * seeds, **settings
        )
        train_along(executor, [self.schedule(trial.id).until(budget) for trial in trials])
        configs = tuple(dict(trial.config) for trial in trials)
        return Model(executor, tuple(trial.id for trial in trials), configs, self._touch)

    def _executor_of(self, data: Any, *, members: int, **others: Any) -> Any:
        """Another executor like this result's, for other data or with other settings."""
        old = self.executor
        settings = {
            "seed": old.seed,
            "seeds": old.seeds,
            "max_budget": old.max_budget,
            "unit": old.budget.unit,
            "passes": old.budget.passes,
            "chunk": old.chunk,
        }
        return executor_of(old.task, old.space, data, members=members, **settings | others)

    def _best(self, what: str) -> Trial:
        if self.best is None:
            raise ConfigError(f"{what}: every trial failed; there is no model.")
        return self.best

    def model(self) -> Model:
        """The best trial's model, as it was validated.

        Raises:
            ConfigError: every trial failed.
        """
        best = self._best("model")
        return Model(self.executor, (best.id,), (dict(best.config),), self._touch)

    def params(self) -> Any:
        """Parameters of the best trial's model, a pytree of NumPy arrays.

        Raises:
            ConfigError: every trial failed.
        """
        return self.executor.params(self._best("params").id)

    def predict(self, x: Any) -> Any:
        """Outputs of the best trial's model for new inputs, `[N, ...]`."""
        return self.executor.predict(self._best("predict").id, x)

    def ranked(self) -> list[Trial]:
        """Trials with a value, those that came furthest first, best metric first.

        After a scheduler that stops trials when they are done, by the metric alone.
        """
        sign = 1.0 if self.direction == "minimize" else -1.0
        scored = [(t, t.values[0]) for t in self.trials if t.values is not None]
        far = 0.0 if self.any_budget else 1.0
        scored.sort(key=lambda pair: (-far * (pair[0].fidelity or 0.0), sign * pair[1], pair[0].id))
        return [trial for trial, _ in scored]

    def plot(self, path: str | os.PathLike[str], *, baseline: Result | None = None) -> Path:
        """Best-so-far against budget, and the learning curves, as one picture.

        Args:
            path: the PNG to write.
            baseline: another result to draw beside it (random search at equal budget).
        """
        from bojax.analysis import sweep_picture

        curves = {"bojax": self} if baseline is None else {"bojax": self, "random": baseline}
        return sweep_picture(curves, path)


def versions() -> dict[str, str]:
    """Versions of what decides the numbers.

    Example:
        >>> from bojax.sweep import versions
        >>> sorted(versions())[0]
        'bojax'
    """
    from importlib.metadata import version

    names = ("jax", "jaxlib", "numpy", "flax", "optax", "sqlalchemy")
    return {
        "bojax": version("bojax"),
        "python": platform.python_version(),
        **{name: version(name) for name in names},
    }


def _method(method: str | Method, **settings: Any) -> Method:
    """A method by its name.

    Raises:
        ConfigError: nobody has it.
    """
    import inspect

    if isinstance(method, Method):
        return method
    if method not in METHODS:
        raise ConfigError(
            f"method: expected one of {', '.join(METHODS)}, or a bojax.coordinate.Method, got "
            f"{method!r}."
        )
    takes = inspect.signature(METHODS[method]).parameters  # not all of them have rungs, so an eta
    return METHODS[method](**{k: v for k, v in settings.items() if k in takes})


def _check_alone(method: str | Method, **given: Any) -> None:
    """Nothing is given beside a method that the method settles.

    Raises:
        ConfigError: something is.
    """
    name = method if isinstance(method, str) else method.name
    if not isinstance(method, Method) or given["max_budget"] == method.scheduler["max_budget"]:
        given.pop("max_budget")
    for setting, value in given.items():
        if value is not None:
            raise ConfigError(
                f"{setting}: method {name!r} has its own, got {value!r} beside it; leave it out, "
                f"or give it to bojax.coordinate.{name}(...) where it takes one."
            )


def _scheduler_settings(name: str | Mapping[str, Any], **settings: Any) -> dict[str, Any]:
    """The settings a scheduler of that name takes, and those given for it alone."""
    import inspect

    from bojax.schedulers import method

    own = {} if isinstance(name, str) else dict(name)
    name = own.pop("name", "successive_halving") if not isinstance(name, str) else name
    takes = inspect.signature(method(name)).parameters
    return {"name": name, **{k: v for k, v in settings.items() if k in takes}, **own}


def _jsonable(value: Any) -> Any:
    import json

    return json.loads(json.dumps(value))
