"""Compiled programs kept on disk, so that a second process neither traces nor compiles them.

JAX's persistent compilation cache saves what XLA does, which is about half of a first call: the
other half, tracing and lowering some thousands of equations, is Python's and repeated in every
process. Where that cache is switched on (`jax_compilation_cache_dir`), whole executables of this
package's own programs are kept beside it, under a name that holds everything they depend on:

- the source of this package, the versions of Python, JAX and jaxlib, all of JAX's settings;
- the processor, the backend, compiler options;
- the function, the tree its arguments are, its static parts, shapes and dtypes.

Only programs whose every part is known that way are kept: a function of a module of this package
without a closure, arguments made of this package's, JAX's and Python's own types, on one CPU
device. Anything else (a kernel or an acquisition of the user's own, whose source may change) is
compiled as always.

What lies in that folder is code and is trusted as such, as JAX trusts its cache: a folder that
others can write to is not used.
"""

from __future__ import annotations

import contextlib
import enum
import functools
import hashlib
import inspect
import os
import pickle
import platform
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = "bojax"  # below JAX's own cache
PLAIN = (str, int, float, bool, bytes, type(None))


class NotKept(Exception):
    """Something a program depends on has no name that would change with it."""


def folder() -> Path | None:
    """Where executables are kept; None while JAX's persistent cache is off or unsafe.

    Example:
        >>> import jax
        >>> from bojax import executables
        >>> executables.folder() is None or jax.config.jax_compilation_cache_dir is not None
        True
    """
    import jax

    config: Any = jax.config
    base = config.jax_compilation_cache_dir
    if not base or "://" in base or not config.jax_enable_compilation_cache:
        return None
    if config.jax_default_device is not None or jax.default_backend() != "cpu":
        return None
    path = Path(base) / FOLDER
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        known = path.stat()
    except OSError:
        return None
    if hasattr(os, "getuid") and known.st_uid != os.getuid():
        return None
    return None if known.st_mode & (stat.S_IWGRP | stat.S_IWOTH) else path


class Kept:
    """A jitted function whose executables are kept.

    Args:
        function: of a module, with no closure.
        jitted: `jax.jit` of it.
        static: names of its static arguments.
        options: what it is compiled with.

    Example:
        >>> import math
        >>> import jax
        >>> from bojax import executables
        >>> executables.Kept(math.hypot, jax.jit(math.hypot), (), {}).can_be_kept
        False
    """

    def __init__(
        self, function: Callable, jitted: Any, static: tuple[str, ...], options: dict[str, Any]
    ) -> None:
        self._function, self._jitted = function, jitted
        self._static, self._options = frozenset(static), options
        self._loaded: dict[Any, Any] = {}

    @functools.cached_property
    def can_be_kept(self) -> bool:
        """Whether the function's name says all that it does."""
        function = self._function
        module = getattr(function, "__module__", None) or ""
        name = getattr(function, "__qualname__", "<")
        ours = module.split(".")[0] == "bojax"
        return ours and "<" not in name and getattr(function, "__closure__", None) is None

    @functools.cached_property
    def _names(self) -> list[str]:
        return list(inspect.signature(self._function).parameters)

    def call(self, where: Path, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """The result, by an executable of this process, of the folder, or a new one."""
        import jax

        statics = {n: a for n, a in zip(self._names, arguments, strict=False) if n in self._static}
        statics |= {n: a for n, a in named.items() if n in self._static}
        dynamic = tuple(
            a for n, a in zip(self._names, arguments, strict=False) if n not in self._static
        )
        by_name = {n: a for n, a in named.items() if n not in self._static}
        leaves, tree = jax.tree.flatten((dynamic, by_name))
        try:
            shapes = tuple(map(_described, leaves))
            config: Any = jax.config
            known = (tree, shapes, tuple(sorted(statics.items())), config.jax_enable_x64, where)
            if known not in self._loaded:
                name = self._name(tree, shapes, statics)
                self._loaded[known] = self._load(where / name, arguments, named)
        except (NotKept, TypeError):  # or static values that cannot be sorted or hashed
            return self._jitted(*arguments, **named)
        return self._loaded[known](*dynamic, **by_name)

    def _name(self, tree: Any, shapes: tuple, statics: dict[str, Any]) -> str:
        told = [f"{self._function.__module__}.{self._function.__qualname__}"]
        told += [surroundings(), settings(), repr(sorted(self._options.items()))]
        told += [
            _tree(tree),
            repr(shapes),
            repr(sorted((n, _plain(a)) for n, a in statics.items())),
        ]
        return hashlib.blake2b("\n".join(told).encode(), digest_size=16).hexdigest()

    def _load(self, file: Path, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        import jax
        from jax.experimental import serialize_executable as serialization

        if file.exists():
            _start_lapack()
            try:
                program, taken, given = pickle.loads(file.read_bytes())
                return serialization.deserialize_and_load(
                    program, taken, given, execution_devices=jax.local_devices()[:1]
                )
            except Exception:  # written by a process that died, or for another machine
                file.unlink(missing_ok=True)
        with _jaxs_cache_off():
            compiled = self._jitted.lower(*arguments, **named).compile()
        try:
            text = pickle.dumps(serialization.serialize(compiled))
        except Exception:  # a backend that cannot
            return compiled
        _write(file, text)
        return compiled


@contextlib.contextmanager
def _jaxs_cache_off() -> Iterator[None]:
    """What JAX's cache gives back is serialised without its kernels, so it is not asked."""
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    config: Any = jax.config
    before = config.jax_enable_compilation_cache
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()  # it looks at that setting once, when it first compiles
    try:
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", before)
        compilation_cache.reset_cache()


def _write(file: Path, content: bytes) -> None:
    """Under a temporary name first, so that nobody reads half a file."""
    try:
        with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as part:
            part.write(content)
        os.replace(part.name, file)
    except OSError:  # a full disk costs a compilation next time, not this run
        Path(part.name).unlink(missing_ok=True)


def _described(leaf: Any) -> tuple:
    """Shape, dtype and weakness of an argument that lies on one CPU device."""
    import jax

    if isinstance(leaf, jax.Array):
        devices = leaf.devices()
        if len(devices) != 1 or next(iter(devices)).platform != "cpu" or leaf.committed:
            raise NotKept
        return leaf.shape, str(leaf.dtype), getattr(leaf, "weak_type", False)  # a key has none
    if isinstance(leaf, (np.ndarray, np.generic)):
        return leaf.shape, str(leaf.dtype), False
    if type(leaf) in (bool, int, float):
        return (), type(leaf).__name__, True
    raise NotKept


def _tree(tree: Any) -> str:
    """A tree of arguments as text; every type in it is known, and so is its static data."""
    data = tree.node_data()
    if data is None:
        return "*" if tree.num_leaves else "-"
    kind, more = data
    if kind.__module__.split(".")[0] not in ("builtins", "bojax", "jax", "collections"):
        raise NotKept
    parts = ",".join(map(_tree, tree.children()))
    return f"{kind.__module__}.{kind.__qualname__}<{_plain(more)}>({parts})"


def _plain(value: Any) -> str:
    """Static data as text, if it is text, numbers and tuples of these, or a type of ours."""
    if type(value) in (tuple, list):
        return f"({','.join(map(_plain, value))})"
    if type(value) is dict:
        return _plain(tuple(value.items()))
    if isinstance(value, type) and value.__module__.split(".")[0] in ("bojax", "builtins"):
        return f"{value.__module__}.{value.__qualname__}"
    if type(value) in PLAIN or isinstance(value, np.dtype):
        return f"{type(value).__name__} {value!r}"
    if isinstance(value, enum.Enum) and type(value).__module__.split(".")[0] == "bojax":
        return f"{type(value).__qualname__} {value!r}"
    raise NotKept


@functools.cache
def surroundings() -> str:
    """A text that changes with the source of this package, the versions and the processor.

    Example:
        >>> from bojax import executables
        >>> len(executables.surroundings())
        32
    """
    import jax
    import jaxlib

    told = hashlib.blake2b(digest_size=16)
    for part in (sys.version, jax.__version__, jaxlib.__version__, _processor()):
        told.update(part.encode())
    for path in sources():
        told.update(path.name.encode() + path.read_bytes())
    return told.hexdigest()


def sources() -> list[Path]:
    """Every source file of this package, in order.

    Example:
        >>> from bojax import executables
        >>> {"rbf.py", "log_ei.py", "configuration.py"} <= {p.name for p in executables.sources()}
        True
    """
    from importlib.util import find_spec

    found: set[Path] = set()
    for name in ("bojax", "bojax.kernels", "bojax.acquisitions"):
        spec = find_spec(name)
        for place in (spec.submodule_search_locations or []) if spec else []:
            found.update(Path(place).rglob("*.py"))
    return sorted(found)


def settings() -> str:
    """JAX's settings and environment, as they are now, as text."""
    import jax

    values = {name: getattr(jax.config, name, value) for name, value in jax.config.values.items()}
    told = sorted(f"{name}={value!r}" for name, value in values.items())
    return "\n".join([*told, os.environ.get("XLA_FLAGS", ""), jax.default_backend()])


@functools.cache
def _start_lapack() -> None:
    """JAX finds its LAPACK when it first lowers a call to it, which a loaded program does not."""
    import jax

    jax.jit(jax.lax.linalg.cholesky).lower(jax.ShapeDtypeStruct((1, 1), "float32"))


def _processor() -> str:
    """What the machine's code is made for."""
    told = f"{platform.machine()} {platform.system()} {platform.processor()}"
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return told
    named = ("model name", "flags", "Features")
    return told + "".join(next((x for x in lines if x.startswith(name)), "") for name in named)
