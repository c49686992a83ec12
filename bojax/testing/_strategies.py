"""What a strategy promises, one function a promise: through `Optimizer`, and as a pure function."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import bojax.loop
from bojax.errors import BojaxError
from bojax.history import Status
from bojax.optimizer import Optimizer
from bojax.space import Boolean, Categorical, Float, Int, Linear, Ordinal, Space
from bojax.testing._check import Broken, Check, bound, run

Q = 4  # asked at once; always, so that few programs are compiled
ROUNDS = 4
# Within one program of another, two that add in other orders: see `bojax.loop`.
ALIKE = 1e-6

MIXED = Space(
    {
        "x": Float(1e-3, 1.0, log=True),
        "kind": Categorical(["a", "b", 1, True]),
        "y": Float(-1.0, 1.0, when={"kind": "a"}),
        "n": Int(1, 40),
    }
)
FEW = Space({"on": Boolean(), "size": Ordinal([1, 2, 4])})
BOUNDED = Space(
    {"u": Float(0.0, 1.0), "v": Float(0.0, 1.0)},
    constraints=[Linear({"u": 1.0, "v": 1.0}, at_most=0.6)],
)


class Subject:
    """A strategy under test.

    Attributes:
        strategy: made anew for every run by `make`, if it is a function.
        name: for complaints.
    """

    def __init__(self, strategy: Any, name: str | None) -> None:
        self._strategy = strategy
        self.name = name or type(self.strategy).__name__

    @property
    def strategy(self) -> Any:
        """The value itself."""
        return self._strategy

    def optimizer(self, space: Space = MIXED, seed: int = 0) -> Optimizer:
        """A fresh run of it."""
        return Optimizer(space, strategy=self.strategy, seed=seed)


def loss(config: dict[str, Any]) -> float:
    """Something to minimise over `MIXED`, smooth in numbers and different for each category."""
    kinds = {"a": 0.0, "b": 0.5}
    base = kinds.get(config["kind"], 1.0) if isinstance(config["kind"], str) else 1.0
    return base + np.log10(config["x"]) ** 2 + config.get("y", 0.5) ** 2 + config["n"] / 40


def valid(subject: Subject) -> None:
    """Every suggestion is a configuration of the space: in range, its active parameters alone."""
    for trial in _trials(subject):
        _in_space(MIXED, trial.config)


def unique(subject: Subject) -> None:
    """No suggestion equals another, nor what was told before."""
    optimizer = subject.optimizer()
    known = MIXED.sample(3, seed=5)
    optimizer.tell(known, [loss(config) for config in known])
    seen = [_key(config) for config in known]
    for _ in range(ROUNDS):
        trials = optimizer.ask(Q)
        seen += [_key(trial.config) for trial in trials]
        optimizer.tell(trials, [loss(trial.config) for trial in trials])
    if len(set(seen)) < len(seen):
        raise Broken(f"{len(seen)} different configurations", f"{len(set(seen))}")


def finite_space(subject: Subject) -> None:
    """A space of six configurations gives each of them once, and then no more."""
    optimizer, seen = subject.optimizer(FEW), []
    for _ in range(3):
        trials = _asked_or_none(optimizer)
        seen += [_key(trial.config) for trial in trials]
        optimizer.tell(trials, [float(trial.config["size"]) for trial in trials])
    if len(seen) != 6 or len(set(seen)) != 6:
        raise Broken("each of 6 configurations once", f"{len(seen)}, {len(set(seen))} of them new")


def constraints(subject: Subject) -> None:
    """Under a constraint suggestions are feasible, or the constraint is refused in words."""
    try:
        optimizer = subject.optimizer(BOUNDED)
    except (BojaxError, ValueError) as error:
        if not str(error).strip():
            raise Broken("an error that says why", "an empty one") from error
        return
    for _ in range(2):
        trials = optimizer.ask(Q)
        for trial in trials:
            if not BOUNDED.feasible(trial.config):
                raise Broken("a feasible suggestion", repr(trial.config))
        optimizer.tell(trials, [trial.config["u"] for trial in trials])


def determinism(subject: Subject) -> None:
    """The same seed and the same values give the same suggestions, to the bit."""
    one, other = (_rows(_trials(subject)) for _ in range(2))
    if not np.array_equal(one, other):
        raise Broken("the same rows again", "others")


def seed(subject: Subject) -> None:
    """Another seed gives other suggestions."""
    if np.array_equal(_rows(_trials(subject)), _rows(_trials(subject, seed=1))):
        raise Broken("other rows by another seed", "the same")


def order_of_results(subject: Subject) -> None:
    """Whose result came first plays no part in what is suggested next."""
    found = []
    for step in (1, -1):
        optimizer = subject.optimizer()
        for _ in range(ROUNDS - 1):
            trials = optimizer.ask(Q)
            for trial in trials[::step]:
                optimizer.tell(trial, loss(trial.config))
        found.append(_rows(optimizer.ask(Q)))
    one, other = found
    if not np.array_equal(one, other):
        raise Broken("the same suggestions after results in another order", "others")


def saved(subject: Subject) -> None:
    """Saved and loaded at every step, with some results still out, a run is the same run."""
    with tempfile.TemporaryDirectory() as folder:
        one, other = (
            _interrupted(subject, Path(folder) / "run.json", whole) for whole in (True, False)
        )
    if not np.array_equal(one, other):
        raise Broken("the suggestions of the run that was never saved", "others")


def partial_and_late(subject: Subject) -> None:
    """Results in part, late, and none at all: suggestions stay valid and new."""
    optimizer, waiting, seen = subject.optimizer(), [], []
    for _ in range(ROUNDS):
        trials = optimizer.ask(Q)
        seen += [_key(trial.config) for trial in trials]
        for trial in trials:
            _in_space(MIXED, trial.config)
        waiting += trials
        optimizer.tell(waiting[0], loss(waiting[0].config))
        waiting = waiting[1:]
    if len(set(seen)) < len(seen):
        raise Broken("suggestions that none awaiting its result equals", "one twice")


def failures(subject: Subject) -> None:
    """Values that are not finite, some of them or all, end nothing."""
    for every in (1, 3):
        optimizer = subject.optimizer()
        for _ in range(ROUNDS):
            trials = optimizer.ask(Q)
            values = [
                float("nan") if i % every == 0 else loss(trial.config)
                for i, trial in enumerate(trials)
            ]
            optimizer.tell(trials, values)
        for trial in optimizer.ask(Q):
            _in_space(MIXED, trial.config)


def wild_values(subject: Subject) -> None:
    """Values of 1e300, of 1e-300 and all alike end nothing."""
    for values in ([1e300, -1e300, 0.0, 1.0], [1e-300, 2e-300, 0.0, 3e-300], [7.0] * 4):
        optimizer = subject.optimizer()
        for _ in range(ROUNDS - 1):
            optimizer.tell(optimizer.ask(Q), values)
        for trial in optimizer.ask(Q):
            _in_space(MIXED, trial.config)


def foreign(subject: Subject) -> None:
    """Results that it never asked for, from the first call on, are taken in."""
    optimizer = subject.optimizer()
    known = MIXED.sample(12, seed=3)
    optimizer.tell(known, [loss(config) for config in known])
    trials = optimizer.ask(Q)
    optimizer.tell(trials, [loss(trial.config) for trial in trials])
    for trial in optimizer.ask(Q):
        _in_space(MIXED, trial.config)


def pure(subject: Subject) -> None:
    """Runs vmapped over their keys are the runs one by one; in single precision, too."""
    problem = bojax.loop.Problem(MIXED.table, _bowl, name="bowl")
    whole = functools.partial(bojax.loop.run, subject.strategy, problem, evaluations=2 * Q, batch=Q)
    keys = jax.random.split(jax.random.key(0), 2)
    together = jax.jit(jax.vmap(whole))(keys)
    alone = jax.jit(whole)(keys[1])
    rows = np.asarray(together.rows)
    told = np.asarray(together.status) == Status.DONE
    if told.sum() != 4 * Q or not np.isfinite(rows[told]).all():
        raise Broken(f"{4 * Q} finite rows", f"{told.sum()} lines")
    if not np.allclose(rows[1], np.asarray(alone.rows), atol=1e3 * ALIKE):
        raise Broken("the rows of the run by itself", "others")


STRATEGY_CHECKS: tuple[Callable[[Subject], None], ...] = (
    valid,
    unique,
    finite_space,
    constraints,
    determinism,
    seed,
    order_of_results,
    saved,
    partial_and_late,
    failures,
    wild_values,
    foreign,
    pure,
)


def strategy_checks(
    strategy: Any, *, name: str | None = None, skip: Sequence[str] = ()
) -> list[Check]:
    """The checks of one strategy, for `pytest.mark.parametrize`.

    Args:
        strategy: any value with `init`, `ask` and `tell`.
        name: for complaints; its type's by default.
        skip: names of checks that are not meant for it (a grid has no use for a seed).

    Raises:
        ValueError: `skip` names no check.

    Example:
        >>> import bojax.testing
        >>> checks = bojax.testing.strategy_checks(bojax.strategies.random())
        >>> checks[1].__name__, checks[1].promise
        ('unique', 'No suggestion equals another, nor what was told before.')
    """
    return bound(STRATEGY_CHECKS, Subject(strategy, name), skip)


def check_strategy(strategy: Any, **settings: Any) -> None:
    """Every check at once.

    Args:
        strategy, settings: as for :func:`strategy_checks`.

    Raises:
        AssertionError: listing every promise that was not kept.

    Example:
        >>> import bojax
        >>> import bojax.testing
        >>> bojax.testing.check_strategy(bojax.strategies.random(), skip=["pure"])
    """
    run(strategy_checks(strategy, **settings))


# ---------------------------------------------------------------------------------- helpers


def _trials(subject: Subject, seed: int = 0) -> list[Any]:
    """A run's suggestions, all of them told."""
    optimizer, found = subject.optimizer(seed=seed), []
    for _ in range(ROUNDS):
        trials = optimizer.ask(Q)
        optimizer.tell(trials, [loss(trial.config) for trial in trials])
        found += trials
    return found


def _interrupted(subject: Subject, file: Path, whole: bool) -> np.ndarray:
    """Rows of a run that is saved and loaded at every step, or not."""
    optimizer, rows = subject.optimizer(), []
    late: list[Any] = []

    def again(optimizer: Optimizer) -> Optimizer:
        if whole:
            return optimizer
        optimizer.save(file)
        return Optimizer.load(file, strategy=subject.strategy)

    for _ in range(ROUNDS):
        trials = optimizer.ask(Q)
        rows.append(_rows(trials))
        optimizer = again(optimizer)
        for trial in [*late, *trials[1:]]:
            optimizer.tell(trial.id, loss(trial.config))
        late = trials[:1]
        optimizer = again(optimizer)
    return np.concatenate(rows)


def _asked_or_none(optimizer: Optimizer) -> list[Any]:
    try:
        return optimizer.ask(Q)
    except BojaxError:  # the named outcome of a space that is used up
        return []


def _rows(trials: Sequence[Any]) -> np.ndarray:
    return np.stack([trial.row for trial in trials])


def _key(config: dict[str, Any]) -> str:
    return repr(sorted((name, type(value).__name__, value) for name, value in config.items()))


def _in_space(space: Space, config: dict[str, Any]) -> None:
    try:
        again = space.decode(space.encode(config))
    except BojaxError as error:
        raise Broken("a configuration of the space", f"{config!r}: {error}") from error
    if _key(again) != _key(config):
        raise Broken(f"the active parameters of {again!r}", repr(config))


def _bowl(data: Any, key: Any, rows: Any) -> Any:
    return jnp.sum(jnp.square(rows[:, :2] - 0.3), axis=1)
