"""One fit and one prediction of a surrogate: in this process, in a child, or in a peer's.

Whatever goes wrong in a run comes back as the text of its failure. Only a process of its own
survives a surrogate that crashes or never returns, and only there does peak memory say
something about the surrogate alone.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import hashlib
import inspect
import math
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from bojax.benchmark._foreign import Foreign, PeerError, Worker
from bojax.errors import ConfigError
from bojax.surrogates import Data, Posterior

START_SECONDS = 300.0  # for a child to load JAX, which a cold disk makes slow
# What decides, beside the kernels, what a surrogate of ours predicts.
ENGINE = ("optimize", "space", "surrogates", "history.py")
LONGEST_FAILURE = 300  # characters of a reason that are kept
RESET_PEAK = "5"  # written to clear_refs: the peak becomes what is resident now, see proc(5)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a run gave.

    Attributes:
        mean, variance: `[m]` of a new observation at the test rows; None after a failure.
        fit_seconds, predict_seconds: NaN after a failure.
        peak_bytes: largest resident size of the process that ran it, its libraries
            included, during this run; NaN if it shared this process or that cannot be read.
        failure: "" or why there is no prediction.
    """

    mean: Any = None
    variance: Any = None
    fit_seconds: float = math.nan
    predict_seconds: float = math.nan
    peak_bytes: float = math.nan
    failure: str = ""


def failed(reason: object) -> Outcome:
    """An outcome without a prediction; the reason on one line, cut to a length."""
    return Outcome(failure=" ".join(str(reason).split())[:LONGEST_FAILURE])


def fit_predict(surrogate: Any, seed: int, rows: Any, values: Any, test_rows: Any) -> Outcome:
    """Fit and predict here; whatever the surrogate raises is raised."""
    import jax

    key = jax.random.key(seed)
    start = time.perf_counter()
    posterior, _ = surrogate.fit(key, Data(rows, values))
    jax.block_until_ready(posterior)
    fitted = time.perf_counter()
    mean, variance = posterior.mean_and_variance(test_rows)
    mean, variance = np.asarray(mean, np.float64), np.asarray(variance, np.float64)
    predicted = time.perf_counter()
    noise = observation_noise(posterior)
    if not np.all(noise >= 0):
        return failed(f"noise: must not be negative, got {noise!r}")
    return Outcome(mean, variance + noise, fitted - start, predicted - fitted)


def observation_noise(posterior: Any) -> Any:
    """Variance of the noise of a new observation, in the values' unit squared.

    bojax's own posterior keeps it in units of its standardised values. Of any other, `noise`
    is taken as it is, and as 0 where it is missing: then `mean_and_variance` is taken to be
    of an observation already.
    """
    if isinstance(posterior, Posterior):
        return np.float64(posterior.noise) * np.float64(posterior.scale) ** 2
    return np.asarray(getattr(posterior, "noise", 0.0), np.float64)


def checked(outcome: Outcome, wanted: int) -> Outcome:
    """The outcome, or the failure that its numbers are.

    Example:
        >>> import numpy as np
        >>> checked(Outcome(np.zeros(3), np.array([1.0, -1.0, 1.0])), 3).failure
        'variance: -1 at test row 1; must be above 0'
    """
    if outcome.failure:
        return outcome
    for name in ("mean", "variance"):
        column = getattr(outcome, name)
        if column.shape != (wanted,):
            return failed(f"{name}: expected shape ({wanted},), got {column.shape}")
        if not np.isfinite(column).all():
            bad = int(np.argmin(np.isfinite(column)))
            return failed(f"{name}: {column[bad]} at test row {bad}; must be finite")
    if not (outcome.variance > 0).all():
        bad = int(np.argmin(outcome.variance > 0))
        return failed(f"variance: {outcome.variance[bad]:g} at test row {bad}; must be above 0")
    return outcome


class Local:
    """A surrogate in this process. A call past the limit is interrupted where Python runs."""

    def __init__(self, surrogate: Any, timeout: float) -> None:
        self.surrogate, self.timeout = surrogate, timeout
        self.threads = _cores()

    def run(self, seed: int, rows: Any, values: Any, test_rows: Any) -> Outcome:
        """One fit and one prediction."""
        try:
            with _alarm(self.timeout):
                # A copy: what one fit leaves in the object is neither there for the next one
                # nor a setting that makes the object another.
                return fit_predict(copy.copy(self.surrogate), seed, rows, values, test_rows)
        except _Overdue:
            return failed(f"took longer than {self.timeout:g} s")
        except (Exception, SystemExit) as error:
            return failed(f"{type(error).__name__}: {error}")

    def content(self) -> str:
        """Hash of what decides the surrogate's results."""
        return content_of(self.surrogate)

    def versions(self) -> str:
        """Versions of bojax and what it stands on."""
        return ", ".join(f"{name} {_version(name)}" for name in ("bojax", "jax", "numpy"))

    def close(self) -> None:
        """Nothing to end."""


class Child(Local):
    """A surrogate in a process of its own, which is started anew after a crash or a hang.

    Raises:
        ConfigError: the surrogate cannot be pickled, and so not be sent there.
    """

    def __init__(self, name: str, surrogate: Any, timeout: float) -> None:
        super().__init__(surrogate, timeout)
        try:
            pickle.dumps(surrogate)
        except Exception as error:
            raise ConfigError(
                f"{name}: cannot be sent to a process of its own ({error}); define its class at "
                "the top of a module, or use isolated=False."
            ) from error
        self._process: Any = None
        self._pipe: Any = None

    def run(self, seed: int, rows: Any, values: Any, test_rows: Any) -> Outcome:
        """One fit and one prediction, over there."""
        try:
            self._start()
            reset_peak(self._process.pid)
            self._pipe.send((seed, rows, values, test_rows))
            outcome: Outcome = self._answer(self.timeout)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            self._process.join(5.0)
            status = self._process.exitcode
            self.close()
            return failed(f"crashed with exit status {status}")
        except TimeoutError as error:
            self.close()
            return failed(error)
        peak = peak_bytes(self._process.pid)
        return Outcome(**{**outcome.__dict__, "peak_bytes": peak})

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
            self._pipe.close()
            self._process = self._pipe = None

    def _start(self) -> None:
        if self._process is not None:
            return
        # Not fork: JAX has threads, whose locks a forked child would inherit as they are.
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, self.surrogate), daemon=True)
        self._process.start()
        other.close()  # the child has its own: when it ends, so does the pipe
        self._answer(START_SECONDS)

    def _answer(self, timeout: float) -> Any:
        if not self._pipe.poll(timeout):
            raise TimeoutError(f"took longer than {timeout:g} s")
        return self._pipe.recv()


def _serve(pipe: Any, surrogate: Any) -> None:
    """What a child does: answer until the pipe is closed."""
    here = Local(surrogate, math.inf)
    pipe.send("ready")
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        pipe.send(here.run(*task))


class Peer:
    """A surrogate of another library, by its adapter's `fit_predict`."""

    def __init__(self, peer: Foreign) -> None:
        self.worker, self.threads = Worker(peer), peer.threads

    def run(self, seed: int, rows: Any, values: Any, test_rows: Any) -> Outcome:
        """One fit and one prediction, over there; an adapter has its own seed."""
        worker = self.worker
        try:
            worker.start()
            pid = worker._process.pid  # type: ignore[union-attr]
            reset_peak(pid)
            answer, _ = worker.call(
                "fit_predict",
                rows=rows.tolist(),
                values=values.tolist(),
                test_rows=test_rows.tolist(),
                settings=dict(worker.peer.settings),
            )
        except PeerError as error:
            return failed(str(error).removeprefix(f"{worker.peer.label}: "))
        try:
            mean, variance = (np.asarray(answer[k], np.float64) for k in ("mean", "variance"))
            fit, predict = (float(answer[k]) for k in ("fit_seconds", "predict_seconds"))
        except (KeyError, TypeError, ValueError) as error:
            return failed(f"malformed answer: {type(error).__name__}: {error}")
        return Outcome(mean, variance, fit, predict, peak_bytes(pid))

    def content(self) -> str:
        """Hash of what decides the surrogate's results; "" if it cannot be asked."""
        try:
            return self.worker.peer.content()
        except PeerError:
            return ""

    def versions(self) -> str:
        """Versions that the adapter names."""
        try:
            found = self.worker.peer.versions()
        except PeerError:
            return ""
        return ", ".join(f"{name} {number}" for name, number in found.items())

    def close(self) -> None:
        """End the process."""
        self.worker.close()


def runner(name: str, surrogate: Any, *, isolated: bool, timeout: float) -> Local | Peer:
    """Who runs a surrogate.

    Raises:
        ConfigError: it is none, or cannot be sent to a process of its own.
    """
    if isinstance(surrogate, Foreign):
        return Peer(surrogate)
    if not callable(getattr(surrogate, "fit", None)) or inspect.isclass(surrogate):
        raise ConfigError(
            f"{name}: expected an object with fit(key, data) -> (posterior, info), or a "
            f"bojax.benchmark.foreign(...), got {surrogate!r}."
        )
    return Child(name, surrogate, timeout) if isolated else Local(surrogate, timeout)


# ------------------------------------------------------------------------------- identity


def content_of(surrogate: Any) -> str:
    """Hash of a surrogate's class, its source, settings, and the version of JAX.

    Of one of ours all sources that decide a prediction count; of a user's, those of its
    class, not of the functions it calls.

    Example:
        >>> import bojax
        >>> content_of(bojax.surrogates.gp()) == content_of(bojax.surrogates.gp(kernel="rbf"))
        False
    """
    kind = type(surrogate)
    parts = [kind.__module__, kind.__qualname__, _version("jax"), _settings(surrogate)]
    if kind.__module__.split(".")[0] == "bojax":
        parts.append(_own_sources())
    else:
        with contextlib.suppress(OSError, TypeError):  # typed at a prompt: there is none
            parts.append(inspect.getsource(kind))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _settings(surrogate: Any) -> str:
    """Its attributes as text; arrays in full, since repr leaves out the middle of a long one."""
    found = []
    for name, value in sorted(getattr(surrogate, "__dict__", {}).items()):
        is_array = hasattr(value, "tobytes")
        shown = hashlib.sha256(value.tobytes()).hexdigest() if is_array else repr(value)
        found.append(f"{name}={shown}")
    return ", ".join(found)


@functools.cache
def _own_sources() -> str:
    from bojax import kernels, surrogates

    root, digest = Path(surrogates.__file__).parents[1], hashlib.sha256()
    places = [Path(kernels.__file__).parent, *(root / part for part in ENGINE)]
    for place in places:
        for path in [place] if place.is_file() else sorted(place.rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


# --------------------------------------------------------------------- the operating system


def reset_peak(pid: int) -> bool:
    """Begin to measure a process's peak memory anew; False where that cannot be done."""
    try:
        Path(f"/proc/{pid}/clear_refs").write_text(RESET_PEAK)
    except OSError:
        return False
    return True


def peak_bytes(pid: int) -> float:
    """Largest resident size of a process since it began or was reset; NaN if not told.

    Not `ru_maxrss`: what that says of a child includes the memory of the parent it was
    started from.

    Example:
        >>> import os
        >>> import numpy as np
        >>> peak = peak_bytes(os.getpid())
        >>> bool(np.isnan(peak)) or peak > 1e6
        True
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return math.nan
    sizes = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return 1024.0 * float(sizes[0]) if sizes else math.nan


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Overdue(BaseException):
    """Not an Exception: a surrogate that catches those must not catch this one."""


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise _Overdue within after so long, where the system and the thread allow it."""
    possible = hasattr(signal, "setitimer") and math.isfinite(seconds)
    if not possible or threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: Any) -> None:
        raise _Overdue

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
