"""`Optimizer`: ask and tell from any Python code, a batch at a time."""

from __future__ import annotations

import functools
import json
import math
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bojax.errors import ConfigError, SpaceError, SpaceExhausted, TrialError
from bojax.history import Status, Trial, from_json, to_json
from bojax.objectives import Objectives, column, number
from bojax.space import Space
from bojax.strategies import (
    Explanation,
    Sizes,
    Stopping,
    by_name,
    from_description,
    to_description,
)
from bojax.strategies.protocol import told_lines
from bojax.strategies.session import Session

FORMAT = "bojax-optimizer"
VERSION = 1
_WRONG_STATUS = "status: expected 'failed' or 'stale', got {!r}."


def _in_store(method: Callable) -> Callable:
    """With a store: done to what it holds by now, and committed before it returns."""

    @functools.wraps(method)
    def kept(self, *arguments, **named):
        work = functools.partial(method, self, *arguments, **named)
        return work() if self._study is None else self._kept(work, method.__name__ == "ask")

    return kept


class Optimizer:
    """Suggests configurations, learns from what they scored.

    Args:
        space: a :class:`Space`, or a dict of parameters.
        strategy: a name ("gp", "tpe", "turbo", "nsga2", "random", ...) or a strategy value.
        seed: suggestion i depends on the seed, i and what was told before it, on nothing
            else: no clock, no order of arrival.
        direction: "minimize" or "maximize"; of several objectives a mapping of their names to
            these, `{"loss": "minimize", "speed": "maximize"}`, for a strategy that takes several.
        repeats: "never" or "replicate": what happens once a finite space is used up.
        evaluations: how many results are planned, if that is known: a strategy's first design is
            at most a quarter of them. It sets no end.
        callbacks: called as `callback(event, trial)` with event "asked" or "told".
        store: path of a file, or a database URL, that keeps the study: each ask and each tell
            is committed there before it returns, from any number of processes at a time. An
            existing one goes on, to the bit; space and settings may then be left out, and
            those given must be its own.
        functions: as for :meth:`load`, where the space comes from the store.

    Raises:
        SpaceError: the space is not one.
        ValueError: unknown strategy, direction or repeats, or fewer than one evaluation.
        ConfigError: the store was begun with another space or other settings.
        StoreError: neither a space nor a study in the store, or no store at all.

    Example:
        >>> import bojax
        >>> space = bojax.Space({"x": bojax.Float(-1.0, 1.0)})
        >>> optimizer = bojax.Optimizer(space, seed=0)
        >>> for trial in optimizer.ask(4):
        ...     optimizer.tell(trial, trial.config["x"] ** 2)
        >>> optimizer.best().value <= 0.25
        True
    """

    def __init__(
        self,
        space: Space | Mapping[str, Any] | None = None,
        *,
        strategy: Any = "gp",
        seed: int = 0,
        direction: str | Mapping[str, str] = "minimize",
        repeats: str = "never",
        evaluations: int | None = None,
        callbacks: Sequence[Callable[[str, Trial], None]] = (),
        store: str | os.PathLike[str] | None = None,
        functions: Mapping[str, Callable] | None = None,
    ) -> None:
        self._study: Any = None
        self._events: list[tuple[str, Trial]] = []  # of what is not committed yet
        if store is not None:
            from bojax import study  # the database's code loads only here

            given = {"strategy": strategy, "seed": seed}
            given |= {"direction": direction, "repeats": repeats, "evaluations": evaluations}
            kept = study.agreed(store, space, given, functions)
            space, strategy, seed, direction, repeats, evaluations = kept
        if space is None:
            raise SpaceError("Optimizer: needs a space, or the store of a study: store=.")
        if not isinstance(space, Space):
            space = Space(space)
        self._objectives = Objectives.of(direction)
        if repeats not in ("never", "replicate"):
            raise ValueError(f"repeats: expected 'never' or 'replicate', got {repeats!r}.")
        if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
            raise ValueError(f"seed: expected an integer, got {seed!r}.")
        whole = isinstance(evaluations, (int, np.integer)) and not isinstance(evaluations, bool)
        if evaluations is not None and not (whole and evaluations >= 1):
            raise ValueError(
                f"evaluations: expected an integer of at least 1, or None, got {evaluations!r}."
            )
        self.space, self.direction, self.seed = space, self._objectives.direction, int(seed)
        self.repeats, self.callbacks = repeats, tuple(callbacks)
        self.evaluations = None if evaluations is None else int(evaluations)
        self.strategy = by_name(strategy)
        sizes = Sizes(len(self._objectives.names), evaluations=self.evaluations)
        self._session = Session(space, self.strategy, seed=self.seed, sizes=sizes, repeats=repeats)
        self._trials: list[Trial] = []
        if store is not None:
            self._untouched = json.dumps(self._session.save_state())
            settings = study.Settings(
                space, self.strategy, self.seed, self.direction, repeats, self.evaluations
            )
            self._study = study.opened(store, settings)

    # ------------------------------------------------------------------ ask

    @_in_store
    def ask(
        self,
        q: int | None = None,
        *,
        fidelity: float | None = None,
        context: Mapping[str, Any] | None = None,
        fixed: Mapping[str, Any] | None = None,
    ) -> Any:
        """The next trial, or a list of `q` of them.

        Args:
            q: how many; None for a single :class:`Trial`. A batch is chosen together: each
                trial of it knows of the others and of all that are pending.
            fidelity: budget to ask for, if the space has a fidelity; its largest by default.
            context: values of the space's context parameters.
            fixed: values of parameters that are not to be chosen this time.

        Returns:
            A :class:`Trial`, or a list. When a finite space runs out the list is shorter.

        Raises:
            ValueError: `q` below 1.
            ConfigError: a value that its parameter cannot take, or a name that has none.
            InfeasibleError: no feasible configuration has what is given and fixed.
            SpaceExhausted: every configuration of a finite space was suggested.

        Example:
            >>> import bojax
            >>> optimizer = bojax.Optimizer({"x": bojax.Float(0, 1)}, seed=1)
            >>> [trial.id for trial in optimizer.ask(2)]
            [0, 1]
        """
        if q is not None and (isinstance(q, bool) or not isinstance(q, (int, np.integer)) or q < 1):
            raise ValueError(f"ask: q must be an integer of at least 1, got {q!r}.")
        given = self._given(fidelity, context, fixed)
        found = self._session.ask(1 if q is None else int(q), given)
        if not found:
            what = "grid" if getattr(self.strategy, "listed", False) else "space"
            raise SpaceExhausted(
                f"all {len(self._trials)} configurations of the {what} have been suggested; "
                f"stop here, widen the {what}, or pass repeats='replicate' to measure again."
            )
        trials = []
        rows = np.array([row for row, _ in found])
        configs, budgets = self.space.decode_canonical(rows), self.space.fidelity_value(rows)
        for (row, info), config, budget in zip(found, configs, budgets, strict=True):
            trial = Trial(
                id=len(self._trials),
                config=config,
                row=row,
                fidelity=None if math.isnan(budget) else float(budget),
                seed=self.seed,
                source=type(self.strategy).__name__,
            )
            self._session.write(trial.id, row, status=Status.PENDING, info=info)
            self._trials.append(trial)
            trials.append(trial)
            self._notify("asked", trial)
        return trials[0] if q is None else trials

    # ------------------------------------------------------------------ tell

    @_in_store
    def tell(
        self,
        trial: Any,
        value: Any = None,
        *,
        variance: Any = None,
        cost: Any = None,
        fidelity: float | None = None,
        metrics: Mapping[str, float] | None = None,
        status: Status | str | None = None,
    ) -> None:
        """What a trial scored; returns at once, the model is fitted in `ask`.

        Args:
            trial: a :class:`Trial`, its id, a configuration (a foreign result, which becomes
                a trial of its own), or a sequence of these.
            value: its objective, in the user's own direction, or as many as there are
                trials. Of several objectives a mapping by name, or a tuple in the order of
                `direction`. NaN, infinity or None, in one of them or all, is a failed trial.
            variance: known variance of the value, given as the value is, or one a trial.
            cost: what it cost, any unit.
            fidelity: budget the value was seen at, if the space has a fidelity.
            metrics: anything else measured; kept in the trial's curve.
            status: "failed" or "stale" for a worker that was lost.

        Raises:
            TrialError: unknown id, a trial already told at that fidelity, or as many values
                as there are not trials. Nothing is recorded then.
            ConfigError: a foreign configuration the space does not have.

        Example:
            >>> import bojax
            >>> optimizer = bojax.Optimizer({"x": bojax.Float(0, 1)}, direction="maximize")
            >>> optimizer.tell({"x": 0.25}, 7.0)
            >>> optimizer.best().value
            7.0
        """
        several = isinstance(trial, Sequence) and not isinstance(trial, (str, Mapping, Trial))
        if not several:
            reports = [(trial, value, variance, cost)]
        else:
            columns = [
                column(name, given, len(trial))
                for name, given in (("values", value), ("variance", variance), ("cost", cost))
            ]
            reports = list(zip(trial, *columns, strict=True))
        # Everything is checked before anything is written.
        checked = [
            self._check(which, v, s2, c, fidelity, metrics, status) for which, v, s2, c in reports
        ]
        lines = [(c.trial, c.row.tobytes()) for c in checked if c.trial is not None]
        if len(set(lines)) < len(lines):
            raise TrialError("tell: the same trial appears twice in one call; tell it once.")
        for report in checked:
            self._record(report)
        self._session.tell()

    def best(self) -> Trial:
        """The finished trial of best value; ties go to the earlier one.

        Raises:
            TrialError: nothing finished yet, or several objectives: see :meth:`pareto`.
        """
        return self._objectives.best(self.trials)

    def pareto(self) -> list[Trial]:
        """The finished trials that none is better than, by id; with one objective, the best.

        A trial is better than another if it is no worse in any objective and better in one. Where
        the space has a fidelity, those at the largest budget told are compared.

        Example:
            >>> import bojax
            >>> both = {"loss": "minimize", "speed": "maximize"}
            >>> optimizer = bojax.Optimizer(
            ...     {"x": bojax.Float(0, 1)}, direction=both, strategy="random")
            >>> for x, loss, speed in ((0.1, 0.5, 1.0), (0.2, 0.3, 0.7), (0.3, 0.4, 0.6)):
            ...     optimizer.tell({"x": x}, {"loss": loss, "speed": speed})
            >>> [trial.values for trial in optimizer.pareto()]
            [(0.5, 1.0), (0.3, 0.7)]
        """
        return self._objectives.pareto(self.trials)

    def explain(self, trial: Any) -> Explanation:
        """Why a trial was suggested: what the model of the trials before it says of it.

        Args:
            trial: a :class:`Trial` or its id.

        Returns:
            :class:`bojax.strategies.Explanation`, which prints as a sentence.

        Raises:
            TrialError: an unknown id.
            ValueError: a strategy without a model, or a trial of the initial design.

        Example:
            >>> import bojax
            >>> optimizer = bojax.Optimizer({"x": bojax.Float(0, 1)}, strategy="random")
            >>> optimizer.explain(optimizer.ask())
            Traceback (most recent call last):
            ValueError: explain: the strategy Random has no model that would say.
        """
        self._refresh()
        known = self._trials[self._known(trial)]
        session = self._session
        history = session.lines_in_order()
        told = self._model("explain")(session.state, history, session.bits, known.row, known.id)
        sign = float(self._objectives.signs[0])
        columns = [self.space.names.index(name) for name in known.config]
        drivers = {self.space.names[k]: float(told.drivers[k]) for k in columns}
        return Explanation(
            known.id,
            sign * float(told.mean),
            float(told.deviation),
            sign * float(told.incumbent),
            float(told.log_ei),
            int(history.trial[told.line]),
            float(told.similarity),
            dict(sorted(drivers.items(), key=lambda item: -item[1])),
        )

    def stopping(self, tolerance: float | None = None) -> Stopping:
        """Whether to stop: how much better than the incumbent the space may still be.

        It is advice: nothing stops asking. The bound holds as far as the model does, about 19
        times in 20.

        Args:
            tolerance: what a further gain would not be worth, in the values' unit; None is the
                fitted noise of a measurement.

        Returns:
            :class:`bojax.strategies.Stopping`, which prints as a sentence.

        Raises:
            ValueError: a strategy without a model, fewer than two results, or a tolerance that is
                not positive.

        Example:
            >>> import bojax
            >>> optimizer = bojax.Optimizer({"x": bojax.Float(0, 1)}, seed=0)
            >>> for x in (0.0, 0.2, 0.5, 1.0):
            ...     optimizer.tell({"x": x}, (x - 0.3) ** 2)
            >>> str(optimizer.stopping(1e-9)).split(":")[0]
            'go on'
        """
        if tolerance is not None and not tolerance > 0:
            raise ValueError(f"stopping: tolerance must be above 0, got {tolerance!r}.")
        self._refresh()
        session = self._session
        history = session.lines_in_order()
        told = self._model("stopping")(session.state, history, session.bits)
        within = float(told.noise) if tolerance is None else float(tolerance)
        count = int(np.sum(told_lines(history, np)))
        regret = float(told.regret)
        return Stopping(regret <= within, regret, within, float(told.noise), count)

    def _model(self, question: str) -> Callable:
        """The strategy's door that answers a question by its model."""
        door = getattr(self.strategy, f"{question}_on_host", None)
        if door is None:
            name = type(self.strategy).__name__
            raise ValueError(f"{question}: the strategy {name} has no model that would say.")
        return door

    @property
    def trials(self) -> list[Trial]:
        """All trials, in the order of their ids."""
        self._refresh()
        return list(self._trials)

    @property
    def history(self):
        """The :class:`~bojax.history.History` so far (a copy, lines in use only)."""
        self._refresh()
        session = self._session
        return type(session.history)(*(leaf[: session.lines].copy() for leaf in session.history))

    # ------------------------------------------------------------------ save and load

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one JSON file, at once or not at all.

        Raises:
            SpaceError: the space has choices that cannot be written as JSON.
        """
        self._refresh()
        body = {
            "format": FORMAT,
            "version": VERSION,
            "space": self.space.to_json(),
            "strategy": to_description(self.strategy),
            "seed": self.seed,
            "direction": self.direction,
            "repeats": self.repeats,
            "evaluations": self.evaluations,
            "trials": [json.loads(to_json(trial)) for trial in self._trials],
            "session": self._session.save(),
        }
        path = Path(path)
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, prefix=path.name, suffix=".tmp", delete=False
        ) as file:
            json.dump(body, file, allow_nan=False)
            file.flush()
            os.fsync(file.fileno())
        os.replace(file.name, path)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        strategy: Any = None,
        callbacks: Sequence[Callable[[str, Trial], None]] = (),
        functions: Mapping[str, Callable] | None = None,
    ) -> Optimizer:
        """The optimizer that :meth:`save` wrote; it continues the same run, to the bit.

        Args:
            path: the file; or a store's, as for `Optimizer(store=path)`.
            strategy: needed only if it was no strategy of this package.
            callbacks: as for the constructor; they are not saved.
            functions: name -> function, for constraints and derived parameters of the space
                that are code: it is stored by name.

        Raises:
            ConfigError: the file is not readable as such, or written by a newer version.
        """
        if _is_store(path):
            given = {} if strategy is None else {"strategy": strategy}
            return cls(store=path, callbacks=callbacks, functions=functions, **given)
        try:
            body = json.loads(Path(path).read_text())
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path}: cannot be read as a saved optimizer: {error}") from error
        if not isinstance(body, dict) or body.get("format") != FORMAT:
            raise ConfigError(f"{path}: is not a saved optimizer; Optimizer.save writes one.")
        if body["version"] > VERSION:
            raise ConfigError(
                f"{path}: written with version {body['version']}, this bojax reads up to "
                f"{VERSION}; upgrade bojax."
            )
        optimizer = cls(
            Space.from_json(body["space"], functions),
            strategy=from_description(body["strategy"]) if strategy is None else strategy,
            seed=body["seed"],
            direction=body["direction"],
            repeats=body["repeats"],
            evaluations=body.get("evaluations"),
            callbacks=callbacks,
        )
        optimizer._trials = [from_json(Trial, json.dumps(trial)) for trial in body["trials"]]
        optimizer._session.restore(body["session"])
        return optimizer

    # ------------------------------------------------------------------ store

    def together(self, work: Callable[[], Any]) -> Any:
        """Several asks and tells in one transaction, if there is a store: all of them, or none.

        Args:
            work: asks and tells; it is called once.

        Returns:
            What `work` returned.

        Example:
            >>> import bojax
            >>> optimizer = bojax.Optimizer({"x": bojax.Float(0, 1)}, strategy="random")
            >>> trial = optimizer.together(lambda: optimizer.ask())
            >>> trial.id
            0
        """
        return work() if self._study is None else self._kept(work, False)

    def _kept(self, work: Callable[[], Any], ahead: bool) -> Any:
        result = self._study.carry_out(self, work, ahead=ahead)
        if not self._study.busy:
            events, self._events = self._events, []
            for event, trial in events:
                self._announce(event, trial)
        return result

    def _refresh(self) -> None:
        if self._study is not None:
            self._study.refresh(self)

    def _contents(self) -> tuple[Any, list[Trial], str]:
        session = self._session
        return session.used(), self._trials, json.dumps(session.save_state(), allow_nan=False)

    def _take(self, history: Any, trials: list[Trial], state: str | None) -> None:
        if history is None:  # nothing was asked or told yet
            history = type(self._session.history)(*(x[:0] for x in self._session.history))
        self._events.clear()
        self._trials = trials
        self._session.restore_from(history, json.loads(state or self._untouched))

    # ------------------------------------------------------------------ private

    def _given(self, fidelity, context, fixed=None) -> np.ndarray | None:
        if fidelity is None and not context and not fixed:
            return None
        for name in dict(context or {}):
            if name not in self.space.context:
                raise ConfigError(
                    f"{name}: is no context of this space; expected one of "
                    f"{', '.join(self.space.context) or 'none'}."
                )
        for name in dict(fixed or {}):
            if name in self.space.context or name == self.space.fidelity:
                which = "fidelity" if name == self.space.fidelity else "context"
                raise ConfigError(f"{name}: is {which}; give it as ask({which}=...).")
        given = self.space.given({**(context or {}), **(fixed or {})})
        if fidelity is not None:
            column, name = self._fidelity()
            given[column] = self.space.column_row(name, fidelity)
        return given

    def _fidelity(self) -> tuple[int, str]:
        if self.space.fidelity is None:
            raise ConfigError(
                "fidelity: this space has none; name it: bojax.Space(..., fidelity='epochs')."
            )
        return self.space.names.index(self.space.fidelity), self.space.fidelity

    def _check(self, which, value, variance, cost, fidelity, metrics, status) -> _Checked:
        values = self._objectives.values(value)
        finite = all(map(math.isfinite, values))
        if isinstance(status, str):
            try:
                status = Status[status.upper()]
            except KeyError:
                raise TrialError(_WRONG_STATUS.format(status)) from None
        if status not in (None, Status.DONE, Status.FAILED, Status.STALE):
            raise TrialError(_WRONG_STATUS.format(status))
        if status == Status.DONE and value is None:
            raise TrialError("status: 'done' needs a value, got none; give it, or 'failed'.")
        if status in (None, Status.DONE):
            status = Status.DONE if finite else Status.FAILED
        variance = self._objectives.variance(variance)
        cost = None if cost is None else number("cost", cost)
        if cost is not None and not 0.0 <= cost < math.inf:
            raise TrialError(f"cost: expected a number of at least 0, got {cost!r}.")
        if isinstance(which, Mapping):
            trial, row = None, self.space.encode(which)
        else:
            trial = self._known(which)
            row = np.array(self._trials[trial].row)
        if fidelity is not None:
            column, name = self._fidelity()
            row[column] = self.space.column_row(name, fidelity)
        if trial is not None:
            line = self._session.find(trial, row)
            settled = (Status.DONE, Status.FAILED, Status.STOPPED)
            if line is not None and self._session.history.status[line] in settled:
                at = "" if fidelity is None else f" at fidelity {fidelity}"
                raise TrialError(
                    f"trial {trial}: was told already{at}; tell the config dict to add a replicate."
                )
        return _Checked(trial, row, values, variance, cost, status, dict(metrics or {}), which)

    def _known(self, which: Any) -> int:
        number = which.id if isinstance(which, Trial) else which
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)):
            raise TrialError(f"tell: expected a Trial, its id or a config dict, got {which!r}.")
        if not 0 <= number < len(self._trials):
            known = (
                f"ids so far are 0..{len(self._trials) - 1}"
                if self._trials
                else "this optimizer has no trials yet"
            )
            raise TrialError(
                f"trial {number}: unknown id; {known}. Ask first, or tell a config dict."
            )
        return int(number)

    def _record(self, report: _Checked) -> None:
        budget = self.space.fidelity_value(report.row)[0]
        budget = None if math.isnan(budget) else float(budget)
        if report.trial is None:
            trial = Trial(
                id=len(self._trials),
                config=dict(report.which),
                row=report.row,
                seed=self.seed,
                source="foreign",
            )
            self._trials.append(trial)
        else:
            trial = self._trials[report.trial]
        ok = report.status == Status.DONE
        told = report.values if ok else (math.nan,) * len(report.values)
        self._session.write(
            trial.id,
            report.row,
            status=report.status,
            values=self._objectives.inner(told),
            variance=report.variance,
            cost=report.cost,
        )
        point = (
            budget if budget is not None else math.nan,
            {**self._objectives.named(told), **report.metrics},
        )
        curve = trial.curve
        if budget is not None or report.metrics:
            curve = (*curve, point)
        trial = replace(
            trial,
            status=report.status,
            values=told if ok else trial.values,
            variance=report.variance,
            cost=report.cost,
            fidelity=budget,
            curve=curve,
        )
        if budget is not None:
            trial = self._at_largest_budget(trial)
        self._trials[trial.id] = trial
        self._notify("told", trial)

    def _at_largest_budget(self, trial: Trial) -> Trial:
        """The trial as its largest budgets have it, in whatever order they were told."""
        session = self._session
        history = type(session.history)(*(leaf[: session.lines] for leaf in session.history))
        told = np.flatnonzero((history.trial == trial.id) & (history.status != Status.PENDING))
        told = told[np.argsort(history.rows[told, self._fidelity()[0]])]
        done = told[history.status[told] == Status.DONE]
        last = told[-1]
        return replace(
            trial,
            status=Status(int(history.status[last])),
            values=self._objectives.outer(history.values[done[-1]]) if len(done) else None,
            variance=tuple(history.variance[(done if len(done) else told)[-1]].tolist()),
            fidelity=float(self.space.fidelity_value(history.rows[last])[0]),
            curve=tuple(sorted(trial.curve, key=lambda point: point[0])),
        )

    def _notify(self, event: str, trial: Trial) -> None:
        if self._study is None:
            self._announce(event, trial)
        else:  # told only once it is committed
            self._events.append((event, trial))

    def _announce(self, event: str, trial: Trial) -> None:
        for callback in self.callbacks:
            callback(event, trial)


class _Checked(NamedTuple):
    """A report that will be accepted."""

    trial: int | None
    row: np.ndarray
    values: tuple[float, ...]
    variance: tuple[float, ...]
    cost: float | None
    status: Status
    metrics: dict[str, float]
    which: Any


def minimize(
    function: Callable[[dict[str, Any]], Any],
    space: Space | Mapping[str, Any],
    *,
    evaluations: int,
    batch: int = 1,
    direction: str | Mapping[str, str] = "minimize",
    **settings: Any,
) -> Optimizer:
    """Ask, evaluate, tell, until the evaluations are spent.

    Args:
        function: configuration -> value, or values as `tell` takes them. An exception it raises
            passes through; what was told before is in the exception's `optimizer` attribute.
        space, settings: as for :class:`Optimizer`.
        evaluations: how many in all; fewer if a finite space is used up.
        batch: configurations asked for at a time.
        direction: as for :class:`Optimizer`.

    Returns:
        The :class:`Optimizer`; `.best()`, or `.pareto()`, and `.trials` have the result.

    Raises:
        ValueError: evaluations or batch below 1.

    Example:
        >>> import bojax
        >>> result = bojax.minimize(
        ...     lambda c: (c["x"] - 0.3) ** 2, {"x": bojax.Float(0, 1)},
        ...     evaluations=6, strategy="sobol")
        >>> len(result.trials)
        6
    """
    for name, value in (("evaluations", evaluations), ("batch", batch)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"minimize: {name} must be at least 1, got {value!r}.")
    optimizer = Optimizer(space, direction=direction, **settings)
    while len(optimizer.trials) < evaluations:
        try:
            trials = optimizer.ask(min(batch, evaluations - len(optimizer.trials)))
        except SpaceExhausted:
            break
        for trial in trials:
            try:
                optimizer.tell(trial, function(trial.config))
            except BaseException as error:
                error.optimizer = optimizer  # type: ignore[attr-defined]
                raise
    return optimizer


def maximize(
    function: Callable[[dict[str, Any]], Any],
    space: Space | Mapping[str, Any],
    *,
    evaluations: int,
    batch: int = 1,
    **settings: Any,
) -> Optimizer:
    """As :func:`minimize`, for values that are better when larger.

    Example:
        >>> import bojax
        >>> result = bojax.maximize(
        ...     lambda c: c["x"], {"x": bojax.Int(1, 3)}, evaluations=3, strategy="random")
        >>> result.best().config
        {'x': 3}
    """
    if settings.setdefault("direction", "maximize") != "maximize":
        raise ConfigError(
            f"maximize: says the direction itself, got direction={settings['direction']!r}; leave "
            "it out, or take minimize, which takes any."
        )
    return minimize(function, space, evaluations=evaluations, batch=batch, **settings)


def _is_store(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a database's URL or a file of SQLite's (its format's first bytes)."""
    if "://" in str(path):
        return True
    try:
        with open(path, "rb") as file:
            return file.read(16) == b"SQLite format 3\x00"
    except OSError:
        return False
