"""Runs one foreign method in that method's own Python, for `bojax.benchmark.foreign`.

    python -I _worker.py adapter.py [threads]      serves calls, one JSON line each
    python -I _worker.py adapter.py --versions     prints what is installed, and ends

This file is run by its path in environments that have neither bojax nor JAX, so it needs
nothing but the standard library. A call comes in as `{"call": name, "arguments": {...}}` and
goes out as `{"result": ..., "seconds": s, "peak_bytes": b}` or `{"error": text}`; the first
line out is `{"ready": {"versions": {...}}}`. Numbers that are not finite travel as null, and
what the method prints goes to the standard error.

The calls are `start`, which makes the method, `ask`, `tell`, and `fit_predict`; what an
adapter has to define for them is told in `bojax.benchmark.peers`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import math
import os
import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version


class Space(list):
    """The parameters as dicts, in order, and what most adapters need beside them.

    A dict has `name`, `kind` ("float", "int", "ordinal" or "categorical"), `low` and `high`,
    `log`, `step` (None without a grid), `choices`, `default`, and `when`: None, or the
    values of earlier parameters under which this one exists, all of which must hold.

    Example:
        >>> lr = dict(kind="float", low=1e-4, high=1.0, log=True, step=None, default=0.01)
        >>> space = Space([
        ...     dict(name="kind", kind="categorical", choices=["a", "b"], default="a", when=None),
        ...     dict(name="lr", when={"kind": ["b"]}, **lr),
        ... ])
        >>> space.active({"kind": "a"})
        ['kind']
        >>> config = space.from_unit([1, 0.75])
        >>> config["kind"], round(config["lr"], 6)
        ('b', 0.1)
        >>> [round(u, 6) for u in space.to_unit(config)]
        [1, 0.75]
    """

    def active(self, config):
        """Names of the parameters that exist in a configuration."""
        present = []
        for parameter in self:
            when = parameter["when"] or {}
            if all(p in present and config.get(p) in values for p, values in when.items()):
                present.append(parameter["name"])
        return present

    def filled(self, config):
        """A value for every parameter: its default where it does not exist."""
        present = self.active(config)
        return {
            p["name"]: config[p["name"]] if p["name"] in present else p["default"] for p in self
        }

    def to_unit(self, config):
        """A position for every parameter: in [0, 1], or the number of its choice.

        Integers and ordered choices are spread evenly from 0 to 1, in the logarithm where
        that is how the parameter is searched.
        """
        pairs = zip(self, self.filled(config).values(), strict=True)
        return [_to_unit(p, value) for p, value in pairs]

    def from_unit(self, positions):
        """The configuration at such positions, rounded to what each parameter can take."""
        pairs = zip(self, positions, strict=True)
        return {p["name"]: _from_unit(p, float(u)) for p, u in pairs}

    def nearest(self, config):
        """The configuration with its numbers put on their grids and inside their bounds."""
        numbers = {p["name"]: p for p in self if p["choices"] is None}
        return {n: _nearest(numbers[n], v) if n in numbers else v for n, v in config.items()}


def _to_unit(p, value):
    if p["kind"] in ("categorical", "ordinal"):
        code = p["choices"].index(value)
        return code if p["kind"] == "categorical" else code / (len(p["choices"]) - 1)
    scale = math.log if p["log"] else float
    return (scale(value) - scale(p["low"])) / (scale(p["high"]) - scale(p["low"]))


def _from_unit(p, u):
    if p["kind"] in ("categorical", "ordinal"):
        last = len(p["choices"]) - 1
        return p["choices"][min(max(round(u if p["kind"] == "categorical" else u * last), 0), last)]
    low, high = p["low"], p["high"]
    if p["log"]:
        return _nearest(p, math.exp(math.log(low) + u * (math.log(high) - math.log(low))))
    return _nearest(p, low + u * (high - low))


def _nearest(p, value):
    low, high, step = p["low"], p["high"], p["step"]
    if step is None:
        return min(max(value, low), high)
    last = math.floor((high - low) / step + 1e-10)
    return low + min(max(round((value - low) / step), 0), last) * step


class Calls:
    """What may be called: the functions of an adapter, and the method they made."""

    def __init__(self, adapter):
        self.adapter, self.method = adapter, None

    def start(self, space, seed, evaluations, settings):
        self.method = None  # one at a time, also in memory
        self.method = self.adapter.make(Space(space), seed, evaluations, **settings)

    def ask(self, q):
        return self.method.ask(q)

    def tell(self, configs, values):
        self.method.tell(configs, values)

    def fit_predict(self, rows, values, test_rows, settings):
        return self.adapter.fit_predict(rows, values, test_rows, **settings)


def plain(value):
    """A value as JSON has it: NumPy's and PyTorch's as lists and numbers, NaN as None.

    Example:
        >>> plain({"x": (1, float("nan"))})
        {'x': [1, None]}
    """
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    raise TypeError(f"cannot be sent: {value!r}")


def versions(adapter):
    """Installed versions of Python and of the adapter's PACKAGES, those that are there."""
    found = {"python": platform.python_version()}
    for package in getattr(adapter, "PACKAGES", ()):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def load(path):
    """The adapter, a module of its own name: its folder is not searched for imports."""
    spec = importlib.util.spec_from_file_location("adapter", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["adapter"] = module  # pickling and dataclasses look a module up by its name
    spec.loader.exec_module(module)
    return module


def peak_bytes():
    """Largest resident size of this process so far; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def serve(path, threads, incoming, outgoing):
    """Answer calls until the incoming lines end."""

    def send(message):
        outgoing.write(json.dumps(message, allow_nan=False) + "\n")
        outgoing.flush()

    adapter = load(path)
    for name in getattr(adapter, "IMPORTS", ()):  # loading a library is no part of a method
        with contextlib.suppress(ModuleNotFoundError):  # the method will miss it, if it needs it
            importlib.import_module(name)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    calls = Calls(adapter)
    send({"ready": {"versions": versions(adapter)}})
    for line in incoming:
        message = json.loads(line)
        start = time.perf_counter()
        try:
            result = getattr(calls, message["call"])(**message["arguments"])
            seconds = time.perf_counter() - start
            answer = {"result": plain(result), "seconds": seconds, "peak_bytes": peak_bytes()}
        except (Exception, SystemExit) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        send(answer)


def main(arguments):
    path, what = arguments[0], arguments[1] if len(arguments) > 1 else "1"
    # The protocol keeps the two pipes for itself; 0 and 1 become an empty input and the
    # standard error, for the libraries that write to them below Python, too.
    incoming, outgoing = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    if what == "--versions":
        outgoing.write(json.dumps(versions(load(path))) + "\n")
        outgoing.flush()
    else:
        serve(path, int(what), incoming, outgoing)


if __name__ == "__main__":
    main(sys.argv[1:])
