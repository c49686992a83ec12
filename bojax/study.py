"""A study: the run of an `Optimizer` in a store, asked and told by any number of processes.

What a study holds is serial: each ask and each tell takes one waiting transaction, sees all that
was committed before it, and is committed before it returns. Nothing is kept between two of them
but a copy of what the store holds, with the fencing number it was read at; every transaction
raises that number, so a copy that is out of date is known and read again.

A suggestion may take seconds, the first one of a process above all. It is therefore worked out
before the transaction and kept if nobody wrote meanwhile; otherwise it is worked out again
within the transaction, by programs that are compiled by then.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from bojax.errors import ConfigError, StoreError
from bojax.history import History, Run, Trial, from_json, to_json
from bojax.objectives import Objectives
from bojax.space import Space
from bojax.store import Store, Transaction, open_store
from bojax.store.engine import locate
from bojax.store.lines import Lines
from bojax.strategies import by_name, from_description, to_description

RUN = "study"  # the run's id: a store holds one study, beside sweeps if need be
STATE = "strategy"  # the name of the strategy's state in the store
DEFAULTS: dict[str, Any] = {
    "strategy": "gp", "seed": 0, "direction": "minimize", "repeats": "never", "evaluations": None,
}  # fmt: skip


class Settings(NamedTuple):
    """What a study is of; it never changes."""

    space: Space
    strategy: Any
    seed: int
    direction: str | Mapping[str, str]
    repeats: str
    evaluations: int | None = None


class Door(Protocol):
    """What keeps the copy: the `Optimizer`."""

    def _contents(self) -> tuple[History, list[Trial], str]: ...

    def _take(self, history: History | None, trials: list[Trial], state: str | None) -> None: ...


def stored(where: str | os.PathLike[str]) -> Run | None:
    """What the store says of its study; None if there is no store, or no study in it.

    Raises:
        StoreError: the file is not a store.
    """
    _, path = locate(os.fspath(where))
    if path is not None and not path.exists():
        return None
    with open_store(os.fspath(where), create=False) as store:
        return next((run for run in store.runs() if run.id == RUN), None)


def agreed(
    where: str | os.PathLike[str],
    space: Space | Mapping[str, Any] | None,
    given: Mapping[str, Any],
    functions: Mapping[str, Callable] | None = None,
) -> Settings:
    """The settings of a study: the store's if it has one, else what is given.

    Args:
        where: of the store.
        space: or None, for the store's own.
        given: "strategy", "seed", "direction", "repeats" and "evaluations". One that is as in
            `DEFAULTS` leaves the choice to the store.
        functions: as for `Space.from_json`.

    Raises:
        StoreError: no study, and no space to begin one with.
        ConfigError: another space, or another setting, than the store has.
    """
    if space is not None and not isinstance(space, Space):
        space = Space(space)
    run = stored(where)
    if run is None:
        if space is None:
            raise StoreError(
                f"{where}: holds no study; check the path, or give a space to begin one."
            )
        return Settings(space, **given)
    if space is None:
        space = Space.from_json(run.space, functions)
    else:
        _same_space(where, run, space)
    kept: dict[str, Any] = {"seed": run.seed}
    kept["repeats"] = run.settings["repeats"]
    kept["evaluations"] = run.settings.get("evaluations")
    for name, value in kept.items():
        if given[name] not in (value, DEFAULTS[name]):
            raise ConfigError(other(where, name, value, given[name]))
    ours, theirs = Objectives.of(run.objectives), Objectives.of(given["direction"])
    if theirs not in (ours, Objectives.of(DEFAULTS["direction"])):  # their order counts, too
        raise ConfigError(other(where, "direction", ours.direction, given["direction"]))
    kept["direction"] = ours.direction
    strategy, known = given["strategy"], run.settings["strategy"]
    if isinstance(strategy, str) and strategy == DEFAULTS["strategy"]:
        strategy = from_description(known)
    else:
        strategy = by_name(strategy)
        if _as_stored(to_description(strategy)) != known:
            raise ConfigError(other(where, "strategy", known["name"], given["strategy"]))
    return Settings(space, strategy, **kept)


def name_of(strategy: Any) -> str | None:
    """The name a strategy has in a store; None for one that is not this package's.

    Example:
        >>> import bojax
        >>> from bojax import study
        >>> study.name_of(bojax.strategies.sobol())
        'sobol'
    """
    return to_description(strategy)["name"]


def other(where: str | os.PathLike[str], name: str, value: Any, given: Any) -> str:
    """What to say of a setting that is not the store's."""
    return (
        f"{name}: {where} was begun with {value!r}, got {given!r}; leave {name} out to go on, "
        "or begin another store."
    )


def _same_space(where: str | os.PathLike[str], run: Run, space: Space) -> None:
    given, kept = _as_stored(space.to_json()), run.space
    if given == kept:
        return
    named = [{p["name"]: p for p in body["parameters"]} for body in (kept, given)]
    differing = [n for n in {**named[0], **named[1]} if named[0].get(n) != named[1].get(n)]
    culprit = differing[0] if differing else "its order, rules or roles"
    raise ConfigError(
        f"{culprit}: {where} was begun with another space; leave the space out to go on, or "
        "begin another store."
    )


def _as_stored(data: Any) -> Any:
    """Data as it comes back from a store."""
    return from_json(Run, to_json(Run("", {"data": data}, {}, 0))).space["data"]


class Study:
    """The study of a store, opened; made with :func:`opened`."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._fence: int | None = None  # what the copy was read at; None: there is none
        self._trials: list[Trial] = []  # those the store holds
        self._lines: Lines | None = None
        self.busy = False

    def refresh(self, door: Door) -> None:
        """Bring the copy up to date, unless a transaction is open."""
        if not self.busy and self.store.fence(RUN) != self._fence:
            self._read(door)

    def carry_out(self, door: Door, work: Callable[[], Any], *, ahead: bool = False) -> Any:
        """Do something to the copy and commit it; all of it or nothing.

        Args:
            door: has the copy.
            work: changes the copy. It may be called a second time, on a newer copy.
            ahead: whether it takes long and is tried before others have to wait.

        Returns:
            What `work` returned.
        """
        if self.busy:  # part of a larger piece of work
            return work()
        try:
            self.refresh(door)
            self.busy, done, result = True, False, None
            if ahead:
                result, done = work(), True
            with self.store.turn(RUN) as (tx, before):
                if before != self._fence:
                    self._read(door)
                    done = False
                if not done:
                    result = work()
                tx.lines = self._lines
                trials = self._write(tx, door)
            self._fence, self._trials, self._lines = before + 1, trials, tx.lines
        except BaseException:
            self._fence = None  # the copy may be ahead of the store: read it again
            raise
        finally:
            self.busy = False
        return result

    def _read(self, door: Door) -> None:
        saved = self.store.snapshot(RUN, STATE)
        door._take(saved.history, list(saved.trials), saved.state)
        self._fence, self._trials, self._lines = saved.fence, saved.trials, None

    def _write(self, tx: Transaction, door: Door) -> list[Trial]:
        history, trials, state = door._contents()
        tx.write_history(history)
        known = [*self._trials, *[None] * (len(trials) - len(self._trials))]
        tx.write_trials(new for new, old in zip(trials, known, strict=True) if new is not old)
        tx.write_state(STATE, state)
        return list(trials)


def opened(where: str | os.PathLike[str], settings: Settings) -> Study:
    """The study of a store, which is made where there is none.

    Raises:
        ConfigError: another process has just begun one with other settings.
        StoreError: the file is not a store, or cannot be made.
    """
    objectives = Objectives.of(settings.direction)
    run = Run(
        id=RUN,
        space=settings.space.to_json(),
        objectives=objectives.named(objectives.directions),
        seed=settings.seed,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        settings={
            "strategy": to_description(settings.strategy),
            "repeats": settings.repeats,
            **({} if settings.evaluations is None else {"evaluations": settings.evaluations}),
        },
    )
    store = open_store(os.fspath(where))
    try:
        if all(known.id != RUN for known in store.runs()):
            try:
                store.create_run(run)
            except StoreError:
                if all(known.id != RUN for known in store.runs()):
                    raise
        found = store.run(RUN)
        _same_space(where, found, settings.space)
        mine = from_json(Run, to_json(run))
        if Objectives.of(found.objectives) != objectives:  # their order counts, too
            raise ConfigError(other(where, "objectives", found.objectives, mine.objectives))
        for name in ("seed", "settings"):
            if getattr(mine, name) != getattr(found, name):
                raise ConfigError(other(where, name, getattr(found, name), getattr(mine, name)))
    except BaseException:
        store.close()
        raise
    return Study(store)
