"""What was asked and what came back: the history and the records around it.

The `History` is the one record of a run: padded arrays, a line an observation, ordered by
(trial, fidelity). A trial seen at three budgets is three lines that differ in their
fidelity column. A strategy's own state holds only what cannot be derived from it, so
foreign, late, partial and failed results work for every strategy at once, and resuming is
loading the history and the state.

The plain records (`Trial`, `Run`, `Job`, `Report`, `Decision`) travel between the layers
and to disk: frozen dataclasses, JSON both ways.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

SCHEMA = 1  # version of every JSON record below; a newer one is refused, an older one upgraded

# Number of lines a history may hold: doubling while a fit costs little, then by half, so
# that a fit, cubic in the capacity, wastes at most 3.4 times the work (docs/decisions/0002).
CAPACITIES = (64, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192)
TAGS = 4  # integers a strategy may keep with each row it asked (generation, parent, ...)


class Status(IntEnum):
    """The life of a trial, as stored in `History.status`.

    `stale` is not `failed`: its worker was lost, its configuration may be fine.

    Example:
        >>> import bojax
        >>> bojax.Status.DONE.name
        'DONE'
    """

    EMPTY = 0
    PENDING = 1
    DONE = 2
    FAILED = 3
    PAUSED = 4
    STOPPED = 5
    STALE = 6


class History(NamedTuple):
    """Every observation of a run, padded to a capacity of N lines.

    D columns of the space's size class, M objectives, J black-box constraints.

    Attributes:
        trial: `[N]` int32, number of the trial, -1 where the line is empty.
        rows: `[N, D]` canonical rows in the unit cube.
        values: `[N, M]` objectives, minimised; NaN where none was told.
        variance: `[N, M]` known variance of each value; 0 where none was given.
        count: `[N]` how many replicates the value is the mean of.
        constraints: `[N, J]` black-box constraints, feasible when at most 0.
        cost: `[N]` what the observation cost, in the user's unit; NaN if unknown.
        status: `[N]` int32, a :class:`Status`.
        tag: `[N, 4]` int32, the strategy's own.
        raw: `[N, D]` the strategy's sample before rounding.

    Example:
        >>> from bojax.history import empty_history
        >>> empty_history(64, columns=4).rows.shape
        (64, 4)
    """

    trial: Any
    rows: Any
    values: Any
    variance: Any
    count: Any
    constraints: Any
    cost: Any
    status: Any
    tag: Any
    raw: Any

    @property
    def capacity(self) -> int:
        """Number of lines there is room for."""
        return self.trial.shape[0]


def empty_history(capacity: int, columns: int, objectives: int = 1, constraints: int = 0):
    """A history without a line, on the host (NumPy, float64).

    Args:
        capacity: lines there is room for.
        columns: D, the columns of the space's size class.
        objectives, constraints: M and J.

    Returns:
        A :class:`History` whose every line has status EMPTY.

    Example:
        >>> from bojax.history import empty_history
        >>> int(empty_history(64, columns=4).status.sum())
        0
    """
    n, d = capacity, columns
    return History(
        trial=np.full(n, -1, np.int32),
        rows=np.zeros((n, d)),
        values=np.full((n, objectives), np.nan),
        variance=np.zeros((n, objectives)),
        count=np.ones(n),
        constraints=np.full((n, constraints), np.nan),
        cost=np.full(n, np.nan),
        status=np.zeros(n, np.int32),
        tag=np.zeros((n, TAGS), np.int32),
        raw=np.zeros((n, d)),
    )


def capacity_for(lines: int) -> int:
    """The smallest capacity of the ladder that holds so many lines.

    Example:
        >>> from bojax.history import capacity_for
        >>> capacity_for(65)
        128
    """
    for capacity in CAPACITIES:
        if lines <= capacity:
            return capacity
    return math.ceil(lines / CAPACITIES[-1]) * CAPACITIES[-1]


def grow(history: History, capacity: int) -> History:
    """The same lines with more room, on the host.

    Example:
        >>> from bojax.history import empty_history, grow
        >>> grow(empty_history(64, columns=4), 128).capacity
        128
    """
    old, columns = history.rows.shape
    if capacity < old:
        raise ValueError(f"grow: capacity {capacity} is below the present {old}.")
    larger = empty_history(capacity, columns, history.values.shape[1], history.constraints.shape[1])
    for new, present in zip(larger, history, strict=True):
        new[:old] = present
    return larger


def ordered(history: History) -> History:
    """Lines in the order of (trial, fidelity row), empty ones last, on the host.

    The order in which results arrive must not matter, so whatever reads a history is
    given this order. Lines of one trial are sorted by their row, in which only the
    fidelity column can differ.

    Example:
        >>> from bojax.history import empty_history, ordered
        >>> ordered(empty_history(64, columns=4)).capacity
        64
    """
    empty = history.status == Status.EMPTY
    trials = history.trial[: np.argmax(empty) if empty.any() else len(empty)]
    if empty[len(trials) :].all() and np.all(trials[1:] > trials[:-1]):  # a line a trial, in order
        return History(*(leaf.copy() for leaf in history))
    keys = [*history.rows.T[::-1], np.where(empty, np.iinfo(np.int32).max, history.trial)]
    order = np.lexsort(keys)
    return History(*(leaf[order] for leaf in history))


class Merged(NamedTuple):
    """Lines of which no two have equal rows, each `[N]`; see :func:`merge_equal`.

    Attributes:
        values, variance, count: mean of a group, its known variance, replicates behind it.
        mask: the first line of a group carries it, the others are masked out.
        freedom, scatter: degrees of freedom and sum of squares about the mean within the group,
            which tell the variance s^2 of a replicate: scatter / s^2 is chi-squared.
        log_weight: 1/2 log of the group's count over the product of its lines', which the
            density of the lines has besides.
    """

    values: Any
    variance: Any
    count: Any
    mask: Any
    freedom: Any
    scatter: Any
    log_weight: Any


def merge_equal(rows, values, variance, count, mask) -> Merged:
    """Replicates become one line: mean, variance of the mean, count, scatter. Traceable.

    A matrix with two equal rows is singular but for the noise; merged, replicates inform
    the noise and never the conditioning. Lines with a known variance of their own inform it by
    their means alone.

    Args:
        rows: `[N, D]` canonical rows.
        values, variance, count: `[N]` mean, its known variance, replicates behind it.
        mask: `[N]` which lines take part.

    Returns:
        :class:`Merged`.

    Example:
        >>> import jax.numpy as jnp
        >>> from bojax.history import merge_equal
        >>> rows, ones = jnp.zeros((2, 4)), jnp.ones(2)
        >>> merged = merge_equal(rows, jnp.array([1.0, 3.0]), 0 * ones, ones, ones > 0)
        >>> float(merged.values[0]), float(merged.count[0]), float(merged.scatter[0])
        (2.0, 2.0, 2.0)
        >>> merged.mask.tolist()
        [True, False]
    """
    n = rows.shape[0]
    equal = jnp.all(rows[:, None, :] == rows[None, :, :], axis=-1)
    equal &= mask[None, :]
    first = jnp.argmax(equal, axis=1)  # of each line, the first line of its group
    weight = jnp.where(mask, count, 0.0)

    def group(x):
        return jax.ops.segment_sum(jnp.where(mask, x, 0.0), first, num_segments=n)

    total = group(weight)
    safe = jnp.where(total > 0, total, 1.0)
    leads = mask & (first == jnp.arange(n))
    mean = group(weight * jnp.where(mask, values, 0.0)) / safe
    spread = group(weight**2 * jnp.where(mask, variance, 0.0)) / safe**2
    lines = group(jnp.ones_like(weight))
    alike = leads & (spread == 0.0) & (lines > 1)
    squares = group(weight * (values - mean[first]) ** 2)
    logs = jnp.log(safe) - group(jnp.log(jnp.where(weight > 0, weight, 1.0)))
    return Merged(
        jnp.where(leads, mean, 0.0),
        jnp.where(leads, spread, 0.0),
        jnp.where(leads, total, 1.0),
        leads,
        jnp.where(alike, lines - 1.0, 0.0),
        jnp.where(alike, squares, 0.0),
        jnp.where(alike, 0.5 * logs, 0.0),
    )


# --------------------------------------------------------------------------- plain records


@dataclass(frozen=True)
class Trial:
    """One configuration and all that is known of it.

    Attributes:
        id: its number, counted from 0 in the order of asking.
        config: plain dict of the active parameters, in the space's order.
        row: canonical row in the unit cube, `[D]`.
        status: a :class:`Status`.
        values: objectives in the user's own direction, or None before one is told.
        variance, constraints, cost: as in :class:`History`.
        fidelity: the budget it was asked for or last seen at, or None.
        curve: `curve[i] = (budget, {metric: value})`, one entry a rung.
        seed: the run's seed.
        parent: the trial it was cloned from (population based training), or None.
        retry_of: the trial it repeats after a lost worker, or None.
        source: what asked for it: a strategy's name, "foreign", "default", ...
        info: diagnostics of the strategy.

    Example:
        >>> import bojax
        >>> trial = bojax.Optimizer(bojax.Space({"x": bojax.Float(0, 1)}), seed=0).ask()
        >>> trial.id, trial.status.name
        (0, 'PENDING')
    """

    id: int
    config: dict[str, Any]
    row: Any = None
    status: Status = Status.PENDING
    values: tuple[float, ...] | None = None
    variance: tuple[float, ...] | None = None
    constraints: tuple[float, ...] | None = None
    cost: float | None = None
    fidelity: float | None = None
    curve: tuple[tuple[float, dict[str, float]], ...] = ()
    seed: int | None = None
    parent: int | None = None
    retry_of: int | None = None
    source: str = ""
    info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> float | None:
        """The first objective, in the user's own direction; None before it is told."""
        return None if self.values is None else self.values[0]


@dataclass(frozen=True)
class Run:
    """What identifies a run, and what would be needed to do it again.

    Example:
        >>> from bojax.history import Run
        >>> Run(id="a", space={}, objectives={"value": "minimize"}, seed=0).seed
        0
    """

    id: str
    space: Mapping[str, Any]
    objectives: Mapping[str, str]
    seed: int
    versions: Mapping[str, str] = field(default_factory=dict)
    hardware: Mapping[str, Any] = field(default_factory=dict)
    started: str = ""
    command: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Job:
    """Train a trial from one budget to another; training resumes, it never restarts.

    Attributes:
        trial: number of the trial.
        start, stop: budgets; `start` is 0 for a new trial.
        clone_of: the trial whose state it starts from, or None.
        donors: the trials one of which is to become `clone_of`, as a scheduler that draws
            nothing says it; empty once that is decided.

    Example:
        >>> from bojax.history import Job
        >>> Job(trial=3, start=0, stop=9)
        Job(trial=3, start=0, stop=9, clone_of=None, donors=())
    """

    trial: int
    start: float
    stop: float
    clone_of: int | None = None
    donors: tuple[int, ...] = ()


@dataclass(frozen=True)
class Report:
    """What came back from a job.

    Attributes:
        trial, budget: which trial, trained to which budget.
        metrics: every metric by name, as measured (not negated).
        status: DONE, or FAILED when a metric is not finite or the worker said so.
        values: objectives, minimised.
        variance, constraints: as in :class:`History`.
        seconds, examples: what it cost.
        each: where budgets count replicas, every metric on each of those that the job trained.

    Example:
        >>> from bojax.history import Report
        >>> Report(trial=3, budget=9, metrics={"loss": 0.5}).status.name
        'DONE'
    """

    trial: int
    budget: float
    metrics: Mapping[str, float]
    status: Status = Status.DONE
    values: tuple[float, ...] = ()
    variance: tuple[float, ...] | None = None
    constraints: tuple[float, ...] | None = None
    seconds: float = math.nan
    examples: float = math.nan
    each: Mapping[str, tuple[float, ...]] | None = None


@dataclass(frozen=True)
class Decision:
    """What a scheduler makes of a report.

    Attributes:
        trial: number of the trial.
        action: "continue", "promote", "pause", "stop" or "clone".
        donors: for "clone", the trials one of which is to be copied.

    Example:
        >>> from bojax.history import Decision
        >>> Decision(trial=3, action="stop").donors
        ()
    """

    trial: int
    action: str
    donors: tuple[int, ...] = ()


def with_changes(record: Any, **changes: Any) -> Any:
    """`dataclasses.replace` of a plain record, at a fifth of its time: a rung has hundreds.

    Example:
        >>> from bojax.history import Job, with_changes
        >>> with_changes(Job(3, 0, 1), stop=9)
        Job(trial=3, start=0, stop=9, clone_of=None, donors=())
    """
    body = {**vars(record), **changes}
    assert len(body) == len(vars(record)), f"{type(record).__name__} has no {sorted(changes)}"
    changed = object.__new__(type(record))  # no record checks or computes anything when made
    vars(changed).update(body)
    return changed


def to_json(record: Any) -> str:
    """A plain record as one line of JSON, with the schema's version.

    Values that are not finite are written as strings, since JSON has no word for them.

    Example:
        >>> from bojax.history import Job, from_json, to_json
        >>> from_json(Job, to_json(Job(1, 0, 3)))
        Job(trial=1, start=0, stop=3, clone_of=None, donors=())
    """
    body = {"schema": SCHEMA, **vars(record)}
    # What a report does not know is NaN.
    for name in _numbers_of(type(record)):  # type: ignore[arg-type]
        body[name] = _plain(body[name])
    try:
        return _ENCODER.encode(body)
    except (TypeError, ValueError):  # within a field: a key that is no text, or not finite
        return _ENCODER.encode({name: _plain(value) for name, value in body.items()})


@functools.cache
def _numbers_of(kind: Any) -> list[str]:
    """The fields of a record that are one number."""
    return [field.name for field in fields(kind) if field.type in ("float", "float | None")]


def from_json(kind: type, text: str) -> Any:
    """The record that :func:`to_json` wrote.

    Raises:
        ValueError: the text was written by a newer version.
    """
    body = {key: _restored(value) for key, value in json.loads(text).items()}
    schema = body.pop("schema", 0)
    if schema > SCHEMA:
        raise ValueError(
            f"{kind.__name__}: written with schema {schema}, this bojax reads up to {SCHEMA}; "
            "upgrade bojax."
        )
    for name in ("values", "variance", "constraints", "donors"):
        if isinstance(body.get(name), list):
            body[name] = tuple(body[name])
    if isinstance(body.get("each"), dict):
        body["each"] = {name: tuple(values) for name, values in body["each"].items()}
    if "status" in body:
        body["status"] = Status(body["status"])
    if isinstance(body.get("curve"), list):
        body["curve"] = tuple((budget, metrics) for budget, metrics in body["curve"])
    if kind is Trial and body.get("row") is not None:
        body["row"] = np.array(body["row"])
    return kind(**body)


def _element(value: Any) -> Any:
    """What JSON has no word for as what it has one for."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


# One for all, in C but for what it does not know: a rung writes hundreds of records.
_ENCODER = json.JSONEncoder(allow_nan=False, default=_element)
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if kind is float:
        return value if math.isfinite(value) else {"float": _name_of(value)}
    if kind is dict:
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, IntEnum):
        return int(value)
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": _name_of(value)}
    return value


def _name_of(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _restored(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"float"} and value["float"] in _NOT_FINITE:
            return _NOT_FINITE[value["float"]]
        return {k: _restored(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_restored(v) for v in value]
    return value
