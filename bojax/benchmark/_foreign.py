"""Methods of other libraries, each in a process and an environment of its own.

A foreign method that crashes, hangs or suggests nonsense costs its own run and nothing else:
its process is killed, with all that it started, and the next run begins in a new one.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import functools
import hashlib
import json
import math
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from bojax.errors import BojaxError, ConfigError
from bojax.space import Boolean, Categorical, Float, Int, Ordinal, Range, Space
from bojax.space.parameters import choice_key

WORKER = Path(__file__).with_name("_worker.py")
SHIPPED = Path(__file__).with_name("peers")
START_SECONDS = 300.0  # for loading the libraries, which a cold disk makes slow
GRACE_SECONDS = 5.0  # from the end of its output to its exit
THREAD_VARIABLES = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM")
LAST_WORDS = 2000  # bytes of its standard error that a crash is told with
LISTED = 1000  # integers of a range in a condition, which is sent as a list


class PeerError(BojaxError, RuntimeError):
    """A foreign method cannot be started, crashed, hung, or gave a malformed answer.

    Example:
        >>> from bojax.benchmark import PeerError, foreign
        >>> foreign("nobody")
        Traceback (most recent call last):
        ...
        bojax.benchmark._foreign.PeerError: nobody: no such adapter; shipped: ...
    """


@dataclass(frozen=True)
class Foreign:
    """A description of a foreign method; :func:`foreign` makes it.

    Attributes:
        label: its name in tables.
        adapter: the file that speaks for it.
        python: interpreter of its environment.
        threads: cores it may use.
        timeout: seconds a single call may take.
        settings: passed to the adapter's `make` or `fit_predict`, as (name, value) pairs.

    Example:
        >>> import sys
        >>> from bojax.benchmark import foreign
        >>> foreign("optuna", python=sys.executable, sampler="tpe").label
        'optuna-tpe'
    """

    label: str
    adapter: Path
    python: Path
    threads: int = 1
    timeout: float = 120.0
    settings: tuple[tuple[str, Any], ...] = ()

    def versions(self) -> dict[str, str]:
        """Versions of Python and of the packages the adapter names, as installed.

        Raises:
            PeerError: the interpreter or the adapter cannot be run.
        """
        return dict(_versions(self.python, self.adapter, self.adapter.read_text()))

    def content(self) -> str:
        """Hash of what decides the method's results: adapter, worker, versions, settings.

        Raises:
            PeerError: as of :meth:`versions`.
        """
        parts = {
            "adapter": _code(self.adapter),
            "worker": _code(WORKER),
            "versions": self.versions(),
            "settings": sorted(self.settings),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def foreign(
    name_or_path: str | Path,
    *,
    python: str | Path | None = None,
    environment: str | None = None,
    threads: int | None = None,
    timeout: float = 120.0,
    label: str | None = None,
    **settings: Any,
) -> Foreign:
    """A method of another library, as the bench runs it: in a process of its own.

    Args:
        name_or_path: a shipped adapter ("ax", "botorch", "hebo", "hyperoptax", "optuna", "smac" and
            surrogates), or the path of your own; `bojax.benchmark.peers` says how to write one.
        python: interpreter of an environment that has the library; None finds the one of
            `make bench-env`, or takes the running one for an adapter that names none.
        environment: name of the environment to find, if not the adapter's own.
        threads: cores it may use; None leaves it to the adapter, which has 1 unless more
            was seen to help it.
        timeout: seconds a single call (a suggestion of a batch, a fit) may take.
        label: name in tables; None makes one of the adapter's name and settings.
        settings: for the adapter, such as `sampler="tpe"`; what JSON can hold.

    Raises:
        PeerError: there is no such adapter, or no such environment.

    Example:
        >>> import sys
        >>> from bojax.benchmark import foreign
        >>> foreign("optuna", python=sys.executable, sampler="gp").settings
        (('sampler', 'gp'),)
    """
    adapter = Path(name_or_path)
    if adapter.suffix != ".py":
        adapter = SHIPPED / f"{name_or_path}.py"
    if not adapter.is_file():
        shipped = sorted(p.stem for p in SHIPPED.glob("*.py") if p.stem != "__init__")
        raise PeerError(
            f"{name_or_path}: no such adapter; shipped: {', '.join(shipped)}; or give the path "
            "of your own, ending in .py."
        )
    constants = _constants(adapter)
    if python is None:
        python = _python(adapter.stem, environment or constants.get("ENVIRONMENT"))
    own = [adapter.stem if environment is None else environment, *map(str, settings.values())]
    return Foreign(
        label="-".join(own) if label is None else label,
        adapter=adapter.resolve(),
        python=Path(python),
        threads=constants.get("THREADS", 1) if threads is None else threads,
        timeout=timeout,
        settings=tuple(settings.items()),
    )


def _code(path: Path) -> str:
    """A source without its comments and docstrings, which decide nothing."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(
            node, clean=False
        ):
            node.body[0] = ast.Pass()
    return ast.unparse(tree)


def _constants(adapter: Path) -> dict[str, Any]:
    """Constants at the top of an adapter, read without running it."""
    found = {}
    for node in ast.parse(adapter.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                found[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:
                continue  # computed: none of those that are asked for
    return found


def _python(name: str, environment: str | None) -> Path:
    if environment is None:
        return Path(sys.executable)
    below = Path(os.environ.get("BOJAX_BENCH_ENVS", ".bench"))
    found = below.absolute() / environment / "bin" / "python"
    if not found.exists():
        raise PeerError(
            f"{name}: its environment {environment} is not below {below}; run `make bench-env`, "
            "or give python=."
        )
    return found


@functools.cache
def _versions(python: Path, adapter: Path, source: str) -> tuple[tuple[str, str], ...]:
    """Asked once an adapter, whose `source` is here to tell changed ones apart."""
    command = [str(python), "-I", "-W", "ignore", str(WORKER), str(adapter), "--versions"]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=START_SECONDS)
        return tuple(json.loads(run.stdout).items())
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerError(f"{adapter.stem}: {python} cannot be run: {error}") from error
    except ValueError as error:
        raise PeerError(f"{adapter.stem}: cannot be loaded: {_tail(run.stderr)}") from error


class Worker:
    """The process of a foreign method. It starts at the first call, and again after a failure.

    A context manager: leaving it ends the process and all that it started.

    Attributes:
        peer: the :class:`Foreign` it runs.
        versions: what the process reported; empty before it ran.
        peak_bytes: largest memory the present process had when it last answered.

    Example:
        >>> import sys
        >>> from bojax.benchmark import Worker, foreign
        >>> with Worker(foreign("optuna", python=sys.executable)) as worker:
        ...     worker.call("ask", q=1)  # before "start"
        Traceback (most recent call last):
        ...
        bojax.benchmark._foreign.PeerError: optuna: ask raised AttributeError: ...
    """

    def __init__(self, peer: Foreign) -> None:
        self.peer = peer
        self.versions: dict[str, str] = {}
        self.peak_bytes = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: Any = None
        self._unread = b""

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def call(self, name: str, **arguments: Any) -> tuple[Any, float]:
        """Have the method do something.

        Args:
            name: "start", "ask", "tell" or "fit_predict".
            arguments: what JSON can hold.

        Returns:
            What it answered, and the seconds it took over there.

        Raises:
            PeerError: it raised, crashed, took longer than its `timeout`, or answered with
                something else than JSON. The process is gone then; the next call starts one.
        """
        answer = self._exchange(name, {"call": name, "arguments": arguments})
        if "error" in answer:
            raise self._failed(f"{name} raised {answer['error']}")
        try:
            self.peak_bytes = int(answer["peak_bytes"])
            return answer["result"], float(answer["seconds"])
        except (KeyError, TypeError, ValueError) as error:
            raise self._failed(f"{name} gave a malformed answer: {answer!r}") from error

    def start(self) -> None:
        """Start the process now, if it is not running: loading libraries can take seconds.

        Raises:
            PeerError: it cannot be started.
        """
        if self._process is not None:
            return
        peer, self._unread = self.peer, b""
        arguments = [str(peer.python), "-I", "-W", "ignore", str(WORKER), str(peer.adapter)]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                [*arguments, str(peer.threads)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=_environment(peer.threads),
                start_new_session=True,  # so that what it starts is killed with it
            )
        except OSError as error:
            raise self._failed(f"cannot be started: {error}") from error
        answer = self._read("start", START_SECONDS)
        try:
            self.versions = dict(answer["ready"]["versions"])
        except (KeyError, TypeError, ValueError) as error:
            raise self._failed(f"start gave a malformed answer: {answer!r}") from error

    def close(self) -> None:
        """End the process and all that it started; a call after this starts another."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):  # all of it has ended already
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(BrokenPipeError):  # what it left unread is not wanted
                    pipe.close()  # type: ignore[union-attr]
        if self._errors is not None:
            self._errors.close()
            self._errors = None

    def _exchange(self, name: str, message: Mapping[str, Any]) -> Mapping[str, Any]:
        line = (json.dumps(message, allow_nan=False) + "\n").encode()
        self.start()
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._crashed(name) from None
        return self._read(name, self.peer.timeout)

    def _read(self, name: str, timeout: float) -> Mapping[str, Any]:
        """The next line as a dict."""
        assert self._process is not None and self._process.stdout is not None
        end, pipe = time.monotonic() + timeout, self._process.stdout.fileno()
        pieces = [self._unread]
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while b"\n" not in pieces[-1]:
                if not selector.select(max(0.0, end - time.monotonic())):
                    raise self._failed(f"{name} took longer than {timeout:g} s")
                pieces.append(os.read(pipe, 1 << 20))
                if not pieces[-1]:
                    raise self._crashed(name)
        line, _, self._unread = b"".join(pieces).partition(b"\n")
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise self._failed(f"{name} gave a malformed answer: {line[:200]!r}")
        return answer

    def _crashed(self, name: str) -> PeerError:
        assert self._process is not None
        try:
            status = self._process.wait(timeout=GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            return self._failed(f"{name} closed its output")
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - LAST_WORDS))
        last = _tail(self._errors.read().decode(errors="replace"))
        return self._failed(f"{name} crashed with exit status {status}: {last}")

    def _failed(self, reason: str) -> PeerError:
        self.close()
        return PeerError(f"{self.peer.label}: {reason}")


def _environment(threads: int) -> dict[str, str]:
    """Our own environment, with the number of threads each library takes from it."""
    limits = {f"{library}_NUM_THREADS": str(threads) for library in THREAD_VARIABLES}
    if threads == 1:
        flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false"
        limits["XLA_FLAGS"] = flags.strip()
    return {**os.environ, **limits}


def _tail(text: str, lines: int = 3) -> str:
    """The last lines that say something, as one."""
    said = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(said[-lines:]) or "it said nothing"


# -------------------------------------------------------------------------- one whole run


@dataclass
class _Record:
    """What a run has come to, kept outside of it so that a failure loses nothing."""

    values: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def run_foreign(
    method: Worker | Foreign,
    space: Space,
    evaluate: Callable[[Sequence[dict[str, Any]]], Sequence[float]],
    *,
    seed: int,
    evaluations: int,
    batch: int = 1,
) -> tuple[list[float], list[float], str]:
    """One run of a foreign method on a problem that is evaluated here.

    Args:
        method: a :class:`Worker`, whose process is used for many runs, or a
            :class:`Foreign`, for which one is started.
        space: of the problem.
        evaluate: configurations -> what is minimised, NaN for a failed evaluation; the
            method is told of a failure as None.
        seed: for the method.
        evaluations: how many to make.
        batch: q, suggestions asked for at once; the last batch may be smaller.

    Returns:
        `values`: of the evaluations made. `seconds`: for each, the seconds the method itself
        had used when it was proposed, loading its library not included. `failure`: "" or why
        the run ended early.

    Raises:
        PeerError: the space is beyond what can be sent (:func:`describe`).

    Example:
        >>> import sys, tempfile, bojax
        >>> from bojax.benchmark import foreign, run_foreign
        >>> source = '''
        ... class Middle:
        ...     def ask(self, q): return [{"x": 0.5}] * q
        ...     def tell(self, configs, values): pass
        ... def make(space, seed, evaluations): return Middle()
        ... '''
        >>> with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
        ...     _ = file.write(source); file.flush()
        ...     peer = foreign(file.name, python=sys.executable)
        ...     space = bojax.Space({"x": bojax.Float(0, 1)})
        ...     values, seconds, failure = run_foreign(
        ...         peer, space, lambda configs: [c["x"] for c in configs], seed=0, evaluations=2
        ...     )
        >>> values, len(seconds), failure
        ([0.5, 0.5], 2, '')
    """
    described, record = describe(space), _Record()
    worker = Worker(method) if isinstance(method, Foreign) else method
    try:
        _run(worker, space, described, evaluate, seed, evaluations, batch, record)
        failure = ""
    except PeerError as error:
        failure = str(error)
        worker.close()  # also after an answer that only the space made nonsense
    finally:
        if worker is not method:
            worker.close()
    return record.values, record.seconds, failure


def _run(worker, space, described, evaluate, seed, evaluations, batch, record) -> None:
    settings = dict(worker.peer.settings)
    _, spent = worker.call(
        "start", space=described, seed=seed, evaluations=evaluations, settings=settings
    )
    while len(record.values) < evaluations:
        q = min(batch, evaluations - len(record.values))
        configs, seconds = worker.call("ask", q=q)
        spent += seconds
        configs = _checked(worker.peer.label, space, configs, q)
        values = [float(value) for value in evaluate(configs)]
        if len(values) != q:
            raise ValueError(f"evaluate: {q} configurations went in, {len(values)} values came.")
        record.values.extend(values)
        record.seconds.extend([spent] * q)
        if len(record.values) < evaluations:
            told = [value if math.isfinite(value) else None for value in values]
            spent += worker.call("tell", configs=configs, values=told)[1]


def _checked(label: str, space: Space, configs: Any, q: int) -> list[dict[str, Any]]:
    """The suggestions, or the reason why they are none."""
    if not isinstance(configs, list) or not all(isinstance(c, dict) for c in configs):
        raise PeerError(f"{label}: ask gave no list of configurations: {str(configs)[:200]}")
    if len(configs) != q:
        raise PeerError(f"{label}: asked for {q} configurations, it gave {len(configs)}")
    try:
        space.encode(configs)
    except ConfigError as error:
        raise PeerError(f"{label}: bad configuration: {error}") from error
    return configs


def describe(space: Space) -> list[dict[str, Any]]:
    """A space as the list of dicts an adapter is given, see `bojax.benchmark.peers`.

    Raises:
        PeerError: a condition other than "these values of these earlier parameters", a
            choice that JSON does not give back as it was, or a context.

    Example:
        >>> import bojax
        >>> from bojax.benchmark._foreign import describe
        >>> describe(bojax.Space({"x": bojax.Float(0, 1)}))[0]["kind"]
        'float'
    """
    if space.context:
        raise PeerError(f"{space.context[0]}: a context cannot be sent to a foreign method.")
    return [
        _described(name, parameter, space)
        for name, parameter in space.parameters.items()
        if name != space.fidelity
    ]


def _described(name: str, parameter: Any, space: Space) -> dict[str, Any]:
    out = dict.fromkeys(("low", "high", "step", "choices")) | {"name": name, "log": False}
    if isinstance(parameter, (Float, Int)):
        out |= {key: getattr(parameter, key) for key in ("low", "high", "log", "step")}
        out["kind"] = "int" if isinstance(parameter, Int) else "float"
    else:
        out["kind"] = "ordinal" if isinstance(parameter, Ordinal) else "categorical"
        out["choices"] = _sendable(name, list(parameter.choices))
    alone = Space({name: dataclasses.replace(parameter, when=None)})
    out["default"] = alone.decode(alone.table.default)[name]  # where bojax parks it, too
    out["when"] = _when(name, parameter.when, space)
    return out


def _sendable(name: str, values: list[Any]) -> list[Any]:
    try:
        back = json.loads(json.dumps(values, allow_nan=False))
    except (TypeError, ValueError):
        back = []
    if list(map(choice_key, back)) != list(map(choice_key, values)):
        raise PeerError(
            f"{name}: its choices {values!r} do not survive JSON; use strings or numbers."
        )
    return back


def _when(name: str, when: Any, space: Space) -> dict[str, list[Any]] | None:
    """A condition as {parent: values}."""
    if when is None:
        return None
    alternatives = [when] if isinstance(when, Mapping) else list(when)
    if len(alternatives) > 1:
        raise PeerError(f"{name}: alternatives in when= cannot be sent to a foreign method.")
    return {
        parent: _wanted(name, parent, space.parameters[parent], wanted)
        for parent, wanted in alternatives[0].items()
    }


def _wanted(name: str, parent: str, of: Any, wanted: Any) -> list[Any]:
    if isinstance(wanted, Range):
        if not isinstance(of, Int) or of.high - of.low > LISTED * of.step:
            raise PeerError(
                f"{name}: when= gives a Range for {parent}, which cannot be listed for a foreign "
                "method; make the parent an integer or a choice."
            )
        values = range(of.low, of.high + 1, of.step)
        return [value for value in values if wanted.low <= value <= wanted.high]
    if isinstance(of, (Categorical, Ordinal, Boolean)):
        whole = choice_key(wanted) in map(choice_key, of.choices)
        listed = isinstance(wanted, (list, tuple, set, frozenset)) and not whole
        return _sendable(parent, list(wanted) if listed else [wanted])
    return [int(v) for v in (wanted if isinstance(wanted, (list, tuple, set)) else [wanted])]
