"""Where the seconds of a run go: fitting, scoring, climbing, compiling, and the host.

The run is an ordinary one of :class:`~bojax.optimizer.Optimizer`, one suggestion at a time;
the strategy is wrapped so that each of its stages is a program of its own that is waited
for. What JAX reports of tracing, lowering and compiling is taken out of the stages.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bojax.acquisitions import LogEI
from bojax.errors import ConfigError
from bojax.history import History, Status
from bojax.loop import Problem
from bojax.optimizer import Optimizer
from bojax.strategies import protocol
from bojax.strategies._fantasies import targets_of
from bojax.strategies._pool import candidate_pool
from bojax.surrogates import Fantasies

# Events of `jax.monitoring`. A program is one backend compilation, found in a cache or not.
EVENTS = {
    "/jax/core/compile/jaxpr_trace_duration": "tracing",
    "/jax/core/compile/jaxpr_to_mlir_module_duration": "lowering",
    "/jax/core/compile/backend_compile_duration": "compiling",
}
COMPILING = tuple(EVENTS.values())

_events: list[tuple[str, float, float]] = []  # kind, when it began, when it ended
_open = 0  # how many are listening


def _listen(event: str, duration_secs: float, **kwargs: str | int) -> None:
    if _open and event in EVENTS:
        now = time.perf_counter()
        _events.append((EVENTS[event], now - duration_secs, now))


@dataclass
class Compiled:
    """What was traced, lowered and compiled within :func:`compiling`.

    Attributes:
        programs: how many were compiled.
        tracing, lowering, compiling: seconds of each; a function traced inside another one
            counts once.
        seconds: of all three together.

    Example:
        >>> from bojax.benchmark._profile import Compiled
        >>> Compiled().programs
        0
    """

    programs: int = 0
    tracing: float = 0.0
    lowering: float = 0.0
    compiling: float = 0.0
    seconds: float = 0.0


@contextlib.contextmanager
def compiling() -> Iterator[Compiled]:
    """Count the programs compiled within, and the seconds that took; may be nested.

    Example:
        >>> import jax
        >>> from bojax.benchmark._profile import compiling
        >>> with compiling() as found:
        ...     _ = jax.jit(lambda x: x + 1.0)(2.0)
        >>> found.programs, found.seconds > 0
        (1, True)
    """
    global _open
    _register()
    first, found = len(_events), Compiled()
    _open += 1
    try:
        yield found
    finally:
        _open -= 1
        events = _events[first:]
        found.programs = sum(kind == "compiling" for kind, _, _ in events)
        for kind in COMPILING:
            setattr(found, kind, _union([(a, b) for k, a, b in events if k == kind]))
        found.seconds = _union([(a, b) for _, a, b in events])
        if not _open:
            _events.clear()


_registered = False


def _register() -> None:
    """Once a process: listeners cannot be taken back."""
    global _registered
    if not _registered:
        jax.monitoring.register_event_duration_secs_listener(_listen)
        _registered = True


def _union(intervals: list[tuple[float, float]]) -> float:
    """Length of what intervals cover together."""
    total, reached = 0.0, -np.inf
    for low, high in sorted(intervals):
        total += max(0.0, high - max(low, reached))
        reached = max(reached, high)
    return float(total)


# ------------------------------------------------------------------ the profile


def profile(strategy: Any, problem: Problem, evaluations: int, *, seed: int = 0) -> dict[str, Any]:
    """Run a strategy on a problem and say where the seconds went.

    Args:
        strategy: a strategy value.
        problem: with a `space`, as those of `bojax.benchmark.problems` have.
        evaluations: how many suggestions, one at a time.
        seed: of the run.

    Returns:
        A dict that JSON can hold. `strategy`, `problem`, `evaluations`; `programs`, how many
        were compiled; `values`, what the suggestions scored, and `asks`, the seconds each
        took, compiling included; `tree`, nested dicts of `name`, `seconds` and `children`,
        whose parts sum up to the whole; and `seconds`, the same as a flat dict:

        - `fit`, `design`: the surrogate's fit, and points of an initial design;
        - `pool scoring`, `climb`: the two halves of maximising the acquisition. Scoring is
          timed as a program of its own, outside the total, the climb is what remains;
        - `ask`: all of a suggestion, for a strategy without these stages;
        - `tracing`, `lowering`, `compiling`: of programs, taken out of the stages;
        - `host`: NumPy and Python around them;
        - `evaluation`: of the problem itself.

    Raises:
        ConfigError: the problem has no space.
        ValueError: fewer than one evaluation.

    Example:
        >>> import bojax
        >>> from bojax.benchmark import problems
        >>> from bojax.benchmark._profile import profile
        >>> found = profile(bojax.strategies.random(), problems.branin(), 4)
        >>> len(found["asks"]), sorted(found["seconds"])[:3]
        (4, ['ask', 'compiling', 'evaluation'])
    """
    if evaluations < 1:
        raise ValueError(f"profile: evaluations must be at least 1, got {evaluations}.")
    if problem.space is None:
        raise ConfigError(
            f"profile: problem {problem.name!r} has no space, which suggestions are decoded "
            "with; give it one: dataclasses.replace(problem, space=...)."
        )
    staged = _Staged(strategy)
    # The problem's own program is no part of what is looked at.
    evaluate = jax.jit(problem.evaluate)
    key = jax.random.key(seed)
    value = _evaluator(evaluate, problem, key)
    value(0, np.zeros(problem.space.table.columns))

    optimizer = Optimizer(problem.space, strategy=staged, seed=seed)
    values, asks, told, evaluated = [], [], 0.0, 0.0
    with compiling() as compiled:
        for number in range(evaluations):
            beside, began = staged.beside, time.perf_counter()
            trial = optimizer.ask()
            asked = time.perf_counter()
            asks.append(asked - began - (staged.beside - beside))
            result = value(number, trial.row)
            finished = time.perf_counter()
            optimizer.tell(trial, result)
            values.append(result if np.isfinite(result) else None)
            evaluated += finished - asked
            told += time.perf_counter() - finished
    seconds = _parts(staged, compiled, sum(asks) + told)
    return {
        "strategy": type(strategy).__name__,
        "problem": problem.name,
        "evaluations": evaluations,
        "programs": compiled.programs - staged.unseen.programs,
        "values": values,
        "asks": asks,
        **_summed({**seconds, "evaluation": evaluated}),
    }


def _evaluator(evaluate: Callable, problem: Problem, key: Any) -> Callable[[int, Any], float]:
    def value(number: int, row: Any) -> float:
        rows = np.asarray(row, np.float32)[None]
        return float(evaluate(problem.data, jax.random.fold_in(key, number), rows)[0])

    return value


def _parts(staged: _Staged, compiled: Compiled, whole: float) -> dict[str, float]:
    """Seconds of each part; the host has what of the whole is in no other one."""
    stages = dict(staged.seconds)
    if "suggest" in stages:
        suggest = stages.pop("suggest")
        stages["pool scoring"] = min(staged.scoring, suggest)
        stages["climb"] = suggest - stages["pool scoring"]
    unseen = staged.unseen
    own = {kind: getattr(compiled, kind) - getattr(unseen, kind) for kind in COMPILING}
    # Lowering traces a little, which is in both: they share what they took together.
    together = max(0.0, compiled.seconds - unseen.seconds)
    share = together / sum(own.values()) if sum(own.values()) > 0 else 0.0
    own = {kind: seconds * share for kind, seconds in own.items()}
    host = max(0.0, whole - sum(stages.values()) - together)
    return {**stages, **own, "host": host}


def _summed(seconds: dict[str, float]) -> dict[str, Any]:
    """The tree of the parts, and the flat dict with the total."""

    def nodes(*names: str) -> list[dict[str, Any]]:
        return [_node(name, seconds[name]) for name in names if name in seconds]

    suggesting = nodes("design", "fit", "ask")
    if acquisition := nodes("pool scoring", "climb"):
        suggesting.append(_node("acquisition", children=acquisition))
    programs = _node("programs", children=nodes(*COMPILING))
    parts = [_node("suggesting", children=suggesting), programs, *nodes("host", "evaluation")]
    tree = _node("run", children=parts)
    return {"seconds": {**seconds, "total": tree["seconds"]}, "tree": tree}


def _node(name: str, seconds: float | None = None, children: Any = ()) -> dict[str, Any]:
    total = sum(child["seconds"] for child in children) if seconds is None else seconds
    return {"name": name, "seconds": float(total), "children": list(children)}


@dataclass
class _Staged:
    """A strategy whose stages are timed; the same suggestions as of the strategy itself."""

    strategy: Any
    seconds: dict[str, float] = field(default_factory=dict)
    scoring: float = 0.0  # of pools, each timed beside the run
    beside: float = 0.0  # seconds of everything that is not part of the run
    unseen: Compiled = field(default_factory=Compiled)  # compiled for what is beside

    def __post_init__(self) -> None:
        inner = self.strategy

        def with_key(method):
            return lambda state, history, bits, *rest: method(
                state, history, jax.random.wrap_key_data(bits), *rest
            )

        def suggest(state, posterior, history, bits, q, given, wanted, fantasies, pending):
            key = jax.random.wrap_key_data(bits)
            return inner.suggest(
                state, posterior, history, key, q, given, wanted, fantasies, pending
            )

        self._has_stages = all(
            hasattr(inner, name) for name in ("designs", "design", "fit", "suggest")
        )
        self._ask = jax.jit(with_key(inner.ask), static_argnums=3)
        if self._has_stages:
            self._design = jax.jit(with_key(inner.design), static_argnums=3)
            self._fit = jax.jit(with_key(inner.fit))
            self._suggest = jax.jit(suggest, static_argnums=(4, 7, 8))
            self._score = jax.jit(self._scores)

    def init(self, table, sizes):
        return self.strategy.init(table, sizes)

    def ask(self, *arguments, **settings):
        return self.strategy.ask(*arguments, **settings)

    def tell(self, state, history):
        return self.strategy.tell(state, history)

    def ask_on_host(self, state, history: History, bits, q: int, given, wanted):
        """The door of `Session`, which has entered the precision."""
        if not self._has_stages:
            return self._timed("ask", self._ask, state, history, bits, q, given, wanted)
        inner = self.strategy
        if inner.designs(state, history, np):
            return self._timed("design", self._design, state, history, bits, q, given, wanted)
        state, posterior = self._timed("fit", self._fit, state, history, bits)
        pending = bool((history.status == Status.PENDING).any())
        fantasies = inner.fantasies if q > 1 or pending else 1
        self._beside(state, posterior, bits, given[0])
        return self._timed(
            "suggest", self._suggest,
            state, posterior, history, bits, q, given, wanted, fantasies, pending,
        )  # fmt: skip

    def _timed(self, stage: str, program: Callable, *arguments: Any) -> Any:
        began = time.perf_counter()
        with compiling() as compiled:
            result = jax.block_until_ready(program(*arguments))
        spent = time.perf_counter() - began - compiled.seconds
        self.seconds[stage] = self.seconds.get(stage, 0.0) + max(0.0, spent)
        return result

    def _beside(self, *arguments: Any) -> None:
        """Time the scoring of one pool, which is no program of the run."""
        began = time.perf_counter()
        with compiling() as compiled:
            jax.block_until_ready(self._score(*arguments))
        whole = time.perf_counter() - began
        self.scoring += max(0.0, whole - compiled.seconds)
        self.beside += whole
        for name, value in vars(compiled).items():
            setattr(self.unseen, name, getattr(self.unseen, name) + value)

    def _scores(self, state, posterior, bits, given):
        """The pool of one suggestion, made and scored, without a climb."""
        inner, table = self.strategy, state.table
        key = jax.random.wrap_key_data(bits)
        believed = Fantasies(posterior, posterior.whitened[:, None])
        means, _ = believed.mean_and_variance(targets_of(believed, table, given))
        known = jnp.where(posterior.mask[:, None], means, jnp.inf)
        leader = posterior.features.coordinate[jnp.argmin(known[:, 0])]
        keys = jax.random.split(jax.random.fold_in(key, state.asked), 5)
        shift = protocol.shift_of(key, leader.shape[0])
        pool = candidate_pool(
            keys, table, leader, given, state.asked, shift,
            candidates=inner.candidates, local=inner.local,
        )  # fmt: skip
        return LogEI()((believed,), pool[:, None, :], jnp.min(known, axis=0))


# ------------------------------------------------------------------ the picture

COLOURS = {
    "suggesting": "#4477aa", "design": "#88bbdd", "fit": "#66aacc", "ask": "#66aacc",
    "acquisition": "#5599bb", "pool scoring": "#99ccee", "climb": "#77aadd",
    "programs": "#cc7744", "tracing": "#ddaa77", "lowering": "#e0bb99", "compiling": "#dd9966",
    "host": "#ccbb44", "evaluation": "#bbbbbb",
}  # fmt: skip
OTHER = "#aaaaaa"
NARROW = 0.06  # of the width: a part below it has no room for its name


def flame(profile: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Draw a profile: a run at the bottom, above each part what it is made of.

    Where programs were compiled there are two panels, the whole run, and what is left of it
    without them: compiling is seconds, once, and would hide everything else.

    Args:
        profile: what :func:`profile` returned.
        path: a file ending in .png, .svg or .pdf.

    Example:
        >>> import pathlib, tempfile
        >>> from bojax.benchmark._profile import flame
        >>> leaf = {"name": "fit", "seconds": 1.5, "children": []}
        >>> tree = {"name": "run", "seconds": 2.0, "children": [leaf]}
        >>> whole = {"strategy": "s", "problem": "p", "evaluations": 1, "tree": tree}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     flame(whole, pathlib.Path(folder) / "flame.svg")
        ...     (pathlib.Path(folder) / "flame.svg").stat().st_size > 1000
        True
    """
    from matplotlib.figure import Figure

    trees = [profile["tree"]]
    warm = [node for node in profile["tree"]["children"] if node["name"] != "programs"]
    if len(warm) < len(profile["tree"]["children"]):
        trees.append(_node("run, compiled before", children=warm))
    figure = Figure(figsize=(10, 2.8 * len(trees)), layout="constrained")
    for axes, tree in zip(figure.subplots(len(trees), squeeze=False)[:, 0], trees, strict=True):
        _draw(axes, tree)
    figure.suptitle(
        f"{profile['strategy']} on {profile['problem']}, {profile['evaluations']} evaluations"
    )
    figure.savefig(path)


def _draw(axes: Any, tree: Mapping[str, Any]) -> None:
    for node, left, level in _placed(tree, 0.0, 0):
        seconds = node["seconds"]
        colour = COLOURS.get(node["name"], OTHER)
        axes.barh(level, seconds, 0.94, left, color=colour, edgecolor="white")
        if seconds >= NARROW * tree["seconds"]:
            text = f"{node['name']}\n{seconds:.3g} s"
            axes.text(left + seconds / 2, level, text, ha="center", va="center", fontsize=8)
    axes.set_xlim(0, tree["seconds"] or 1.0)
    axes.set_xlabel("seconds")
    axes.set_yticks([])
    axes.set_frame_on(False)


def _placed(node: Mapping[str, Any], left: float, level: int) -> Iterator[tuple[Any, float, int]]:
    """Every node with where it begins and how high it stands; the longest parts first."""
    yield node, left, level
    for child in sorted(node["children"], key=lambda child: -child["seconds"]):
        yield from _placed(child, left, level + 1)
        left += child["seconds"]
