"""The machine, set in one place: CPU devices of JAX, threads of its LAPACK.

A vmapped population on one CPU device mostly uses one thread; with one device a core its
members are sharded over the cores. XLA reads the number once, when its backend starts.

JAX on a CPU calls the LAPACK that SciPy ships, OpenBLAS, whose threads spin at a barrier in
every call. For the matrices of a Gaussian process with up to some hundred points that gains
nothing, doubles the processor time, and when other work holds a core each call waits for
the scheduler: a run of 50 suggestions took 7.5 s instead of 0.35 on a busy machine
(docs/decisions/0005).

XLA's fusion emitters are switched off for the programs made here: without them a fit of a
Gaussian process compiled in 2.5 s of processor time instead of 6.7, and ran faster
(docs/decisions/0007).
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bojax import executables

LARGEST_SINGLE = 512  # lines up to which one thread is at least as fast as two
# Options of XLA's compiler for a CPU, each with the versions of jaxlib it was measured on;
# an unknown option is an error there, so other versions compile as they come.
CPU_OPTIONS = {"xla_cpu_use_fusion_emitters": False}
MEASURED_VERSIONS = ((0, 10),)


def configure(*, cpu_devices: int | str = "cores", lapack_threads: int = 1) -> int:
    """Ask JAX for several CPU devices; call it before anything is computed.

    Args:
        cpu_devices: how many, or "cores" for one a core this process may run on.
        lapack_threads: threads of the LAPACK that JAX calls on a CPU. `Optimizer` and
            `Sweep` use one for small matrices whatever is set here; programs of one's own
            (`bojax.loop`) use what is set. More pay from about a thousand points.

    Returns:
        The number of CPU devices JAX has. When a backend was started before the call, the
        number cannot change any more: a warning says so, and everything works, slower.

    Example:
        >>> import bojax
        >>> import warnings
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")  # a backend may be running already
        ...     bojax.configure(cpu_devices="cores") >= 1
        True
    """
    import jax

    set_compiler_flags()
    wanted = cores() if cpu_devices == "cores" else int(cpu_devices)
    if wanted < 1:
        raise ValueError(f"configure: cpu_devices must be at least 1, got {cpu_devices!r}.")
    if lapack_threads < 1:
        raise ValueError(f"configure: lapack_threads must be at least 1, got {lapack_threads!r}.")
    set_lapack_threads(lapack_threads)
    try:
        jax.config.update("jax_num_cpu_devices", wanted)
    except RuntimeError:
        present = len(jax.devices("cpu"))
        if present != wanted:
            warnings.warn(
                f"bojax.configure: JAX already runs with {present} CPU device(s), {wanted} "
                "wanted; call it before the first computation.",
                stacklevel=2,
            )
        return present
    return wanted


def cores() -> int:
    """Cores this process may run on (its affinity mask, where the system has one)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def compiler_options() -> dict[str, Any]:
    """Options every program of this package is compiled with; empty where they are not known.

    Example:
        >>> from bojax import configuration
        >>> set(configuration.compiler_options()) <= set(configuration.CPU_OPTIONS)
        True
    """
    import jaxlib

    return CPU_OPTIONS if jaxlib.version.__version_info__[:2] in MEASURED_VERSIONS else {}


def jit(function: Callable | None = None, **settings: Any) -> Any:
    """`jax.jit` with the options above, for programs that the host calls.

    Within another program it is plain `jax.jit`: options belong to the outermost.

    Args:
        function: what to compile; left out when used as a decorator with settings.
        settings: of `jax.jit`.

    Example:
        >>> from bojax import configuration
        >>> configuration.jit(lambda x, n: x * n, static_argnums=1)(2.0, 3).item()
        6.0
    """
    if function is None:
        return functools.partial(jit, **settings)
    return Jitted(function, settings)


class Jitted:
    """What :func:`jit` makes: called, traced and lowered like a jitted function.

    Example:
        >>> from bojax import configuration
        >>> configuration.Jitted(abs, {})(-2.0).item()
        2.0
    """

    def __init__(self, function: Callable, settings: dict[str, Any]) -> None:
        functools.update_wrapper(self, function)
        self._function, self._settings = function, settings

    @functools.cached_property
    def outermost(self) -> Any:
        """The jitted function with options."""
        import jax

        options = {**compiler_options(), **self._settings.get("compiler_options", {})}
        settings = {**self._settings, "compiler_options": options or None}
        return jax.jit(self._function, **settings)

    @functools.cached_property
    def nested(self) -> Any:
        """The jitted function without, for use inside another program."""
        import jax

        settings = {k: v for k, v in self._settings.items() if k != "compiler_options"}
        return jax.jit(self._function, **settings)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        import jax

        leaves = jax.tree.leaves((arguments, named))
        if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
            return self.nested(*arguments, **named)
        if self._kept.can_be_kept and (where := executables.folder()) is not None:
            return self._kept.call(where, arguments, named)
        return self.outermost(*arguments, **named)

    @functools.cached_property
    def _kept(self) -> executables.Kept:
        """Its executables on disk, where it has no setting that they do not know."""
        static = self._settings.get("static_argnames", ())
        names = (static,) if isinstance(static, str) else tuple(static)
        if set(self._settings) - {"static_argnames", "compiler_options"}:
            return executables.Kept(abs, self.outermost, (), {})  # which is never kept
        options = {**compiler_options(), **self._settings.get("compiler_options", {})}
        return executables.Kept(self._function, self.outermost, names, options)

    def trace(self, *arguments: Any, **named: Any) -> Any:
        """As `jax.jit(...).trace`."""
        return self.outermost.trace(*arguments, **named)

    def lower(self, *arguments: Any, **named: Any) -> Any:
        """As `jax.jit(...).lower`."""
        return self.outermost.lower(*arguments, **named)


def set_compiler_flags() -> None:
    """The same options for programs of the user's own, if no backend was started yet.

    Example:
        >>> from bojax import configuration
        >>> configuration.set_compiler_flags()
    """
    flags = os.environ.get("XLA_FLAGS", "")
    for name, value in compiler_options().items():
        if name not in flags:
            flags = f"{flags} --{name}={str(value).lower()}".strip()
    if flags:
        os.environ["XLA_FLAGS"] = flags


@functools.cache
def _controls() -> tuple[Callable[[int], None], Callable[[], int]] | None:
    """Setter and getter of the thread count of SciPy's OpenBLAS; None where it is another."""
    import scipy

    folder = Path(scipy.__file__).parent
    places = (folder.parent / "scipy.libs", folder / ".dylibs")
    for library in sorted(path for place in places for path in place.glob("*openblas*")):
        try:
            loaded = ctypes.CDLL(str(library))
        except OSError:
            continue
        for prefix, suffix in (("scipy_", ""), ("scipy_", "64_"), ("", ""), ("", "64_")):
            setter = getattr(loaded, f"{prefix}openblas_set_num_threads{suffix}", None)
            getter = getattr(loaded, f"{prefix}openblas_get_num_threads{suffix}", None)
            if setter is not None and getter is not None:
                setter.argtypes, setter.restype = [ctypes.c_int], None
                getter.argtypes, getter.restype = [], ctypes.c_int
                return setter, getter
    return None


def lapack_threads() -> int | None:
    """How many threads JAX's LAPACK uses now; None where that cannot be asked.

    Example:
        >>> from bojax import configuration
        >>> configuration.lapack_threads() is None or configuration.lapack_threads() >= 1
        True
    """
    controls = _controls()
    return None if controls is None else controls[1]()


def set_lapack_threads(count: int) -> bool:
    """Set it for the whole process; False where it cannot be set.

    Example:
        >>> from bojax import configuration
        >>> before = configuration.lapack_threads()
        >>> changed = configuration.set_lapack_threads(1)
        >>> changed == (before is not None)
        True
        >>> _ = changed and configuration.set_lapack_threads(before)
    """
    controls = _controls()
    if controls is None:
        return False
    controls[0](count)
    return True


@contextlib.contextmanager
def single_threaded(lines: int) -> Iterator[None]:
    """One LAPACK thread within, if matrices of so many lines do not gain from more.

    Whatever is computed within must be finished within.

    Example:
        >>> from bojax import configuration
        >>> with configuration.single_threaded(128):
        ...     configuration.lapack_threads() in (1, None)
        True
    """
    before = lapack_threads() if lines <= LARGEST_SINGLE else None
    if before is None or before == 1:
        yield
        return
    set_lapack_threads(1)
    try:
        yield
    finally:
        set_lapack_threads(before)
