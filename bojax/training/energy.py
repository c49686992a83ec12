"""Energy of a block of work, where the machine counts it: processor packages and GPUs.

Linux reports the joules of Intel's and AMD's packages by RAPL (H. David et al., "RAPL: memory
power estimation and capping", ISLPED 2010) in files of
https://docs.kernel.org/power/powercap/powercap.html, which many systems let only root read; NVML
those of NVIDIA's GPUs from the Volta generation on. Counters are of the whole machine: what other
processes use is in them, memory, disks and fans are not.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

POWERCAP = Path("/sys/class/powercap")
# RAPL counts in 32 bits of usually 61 uJ, 262 kJ: once round takes more than a minute below 4 kW.
INTERVAL = 60.0  # seconds between readings


@dataclass
class _Counter:
    """A counter that only rises, and starts from 0 after `wrap` if it has one."""

    name: str
    read: Callable[[], int]
    joule: float  # counts a joule
    last: int  # reading
    wrap: int | None = None
    total: int = 0

    def advance(self) -> None:
        """Add what was counted since the last reading.

        Raises:
            ValueError: it fell, and has no range to wrap in.
        """
        now = self.read()
        if now < self.last and self.wrap is None:
            raise ValueError(f"{self.name}: the counter was reset.")
        self.total += now - self.last + (0 if now >= self.last else self.wrap or 0)
        self.last = now


class EnergyMeter:
    """Counts the joules between entering and leaving a `with` block.

    A thread reads the packages' counters once a minute, since they start anew every few minutes
    of full load; without such counters there is no thread.

    Args:
        root: the folder of RAPL's domains; None for the system's.

    Example:
        >>> from bojax.training.energy import EnergyMeter
        >>> with EnergyMeter("no such folder") as meter:
        ...     sum(range(1000))
        499500
        >>> meter.parts() or "nothing reports"
        'nothing reports'
    """

    def __init__(self, root: str | Path | None = None) -> None:
        self._root = POWERCAP if root is None else Path(root)
        self._groups: dict[str, list[_Counter]] = {}
        self._lock, self._over = threading.Lock(), threading.Event()
        self._stack = ExitStack()

    def __enter__(self) -> EnergyMeter:
        self._groups = {"cpu": _packages(self._root), "gpu": _gpus(self._stack)}
        if self._groups["cpu"]:
            thread = threading.Thread(target=self._watch, name="bojax-energy", daemon=True)
            thread.start()
            self._stack.callback(thread.join)
            self._stack.callback(self._over.set)
        return self

    def __exit__(self, *failure: object) -> None:
        self._stack.callback(self.sample)
        self._stack.close()

    def _watch(self) -> None:
        while not self._over.wait(INTERVAL):
            self.sample()

    def sample(self) -> None:
        """Read the counters. Kinds of which one cannot be read any more are given up as a whole."""
        with self._lock:
            for kind, counters in self._groups.items():
                try:
                    for counter in counters:
                        counter.advance()
                except Exception:  # NVML has errors of its own; a run does not end for a figure
                    self._groups[kind] = []

    def parts(self) -> dict[str, float]:
        """Joules by what reports, such as "cpu package-0" and "gpu 0", until the last reading."""
        return {
            counter.name: counter.total / counter.joule
            for counters in self._groups.values()
            for counter in counters
        }


def joules(parts: Mapping[str, float]) -> float | None:
    """The sum of what reports, or None where nothing does.

    Example:
        >>> from bojax.training.energy import joules
        >>> joules({"cpu package-0": 20.0, "gpu 0": 60.5}), joules({})
        (80.5, None)
    """
    return float(sum(parts.values())) if parts else None


def _packages(root: Path) -> list[_Counter]:
    """RAPL's packages; none if one of them cannot be read.

    Domains within a package, "core" or "dram", count again what the package counts, and so do
    "psys" and the folder `intel-rapl-mmio:0`.
    """
    found = []
    try:
        for folder in sorted(root.glob("intel-rapl:*")):
            name = (folder / "name").read_text().strip()
            if not name.startswith("package"):
                continue
            wrap = int((folder / "max_energy_range_uj").read_text())
            read = lambda path=folder / "energy_uj": int(path.read_text())  # noqa: E731
            found.append(_Counter(f"cpu {name}", read, 1e6, read(), wrap))
    except (OSError, ValueError):
        return []
    return found


def _gpus(stack: ExitStack) -> list[_Counter]:
    """NVML's GPUs; none without the package `pynvml`, or if one of them does not count."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # one of two packages of this name calls itself old
            import pynvml
    except ImportError:
        return []
    nvml: Any = pynvml
    found = []
    try:
        nvml.nvmlInit()
        stack.callback(nvml.nvmlShutdown)
        for number in range(nvml.nvmlDeviceGetCount()):
            handle = nvml.nvmlDeviceGetHandleByIndex(number)
            read = lambda handle=handle: nvml.nvmlDeviceGetTotalEnergyConsumption(handle)  # noqa: E731
            found.append(_Counter(f"gpu {number}", read, 1e3, read()))
    except (nvml.NVMLError, AttributeError):
        return []
    return found
