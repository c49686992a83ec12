"""Seconds and memory by the number of members, each in a process of its own."""

from __future__ import annotations

import ctypes
import gc
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import bojax
from bojax.history import Job
from bojax.training import LocalExecutor
from bojax.training.models import MLP

from . import LR, adam, digits, rates, resident, row

SIZES = (1, 4, 16, 64, 256, 1024, 4096)
EPOCHS = 2
SCRIPT = Path(__file__).parents[1] / "harness.py"


def build(hp):
    return MLP(10, 32, 2)


TASK = bojax.Task.linen(build, optimizer=adam, batch_size=32)


class Peak:
    """The most memory this process held within, by a thread that looks every millisecond."""

    def __enter__(self):
        self.bytes, self._over = resident(), threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self):
        while not self._over.wait(1e-3):
            self.bytes = max(self.bytes, resident())

    def __exit__(self, *error):
        self._over.set()
        self._thread.join()
        self.bytes = max(self.bytes, resident())


def rows_kept(members, slots):
    """Most rows the kept states take: they double by copying, a call's members at a time."""
    held = most = 0
    for begin in range(0, members, slots):
        needed = min(begin + slots, members)
        if needed > held:
            held, most = max(needed, 2 * held), max(needed, 2 * held) + held
    return most


def alone(members):
    """One size in this process: seconds, bytes measured and predicted."""
    executor = LocalExecutor(TASK, bojax.Space(LR), digits(), max_budget=EPOCHS)
    configs = dict(enumerate(rates(members)))
    executor.run([Job(members, 0, 1)], {members: {"lr": 1e-3}})  # compiles
    executor.keep([])
    gc.collect()
    if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)  # what a compilation freed is not to be used again unseen
    before = resident()
    with Peak() as peak:
        began = time.perf_counter()
        executor.run([Job(trial, 0, EPOCHS) for trial in range(members)], configs)
        seconds = time.perf_counter() - began
    plan = executor.plan(list(configs.values()))
    (bucket,) = plan.buckets
    temporary = plan.devices * max(program.memory_bytes for program in executor.programs)
    return {
        "seconds": seconds,
        "compile_seconds": executor.compile_seconds,
        "measured": peak.bytes - before,
        "Plan.memory": plan.memory(bucket),
        # A call's temporaries, its states twice (on the device, on the way to those kept), and
        # the states that are kept.
        "programs and states": temporary
        + (2 * plan.slots + rows_kept(members, plan.slots)) * bucket.member_bytes,
    }


def measure(rounds, tiny, folder):
    """Seconds and bytes of P members, 2 epochs of an MLP 64-32-32-10, batch 32.

    Programs are compiled by a first member, which is forgotten; then the largest growth of the
    resident memory while P members are trained, beside two predictions: what `plan` prints for a
    bucket (`Plan.memory`), and the sum of what is known: temporaries of the largest program,
    states of one call, and states kept of all members while the arrays that hold them double.
    The floor in seconds is a line through the origin, exponent 1.
    """
    rows = []
    for round_ in range(rounds):
        for members in SIZES[:2] if tiny else SIZES:
            command = [sys.executable, str(SCRIPT), "--alone", str(members)]
            found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found = json.loads(found.splitlines()[-1])
            seconds = {name: found.pop(name) for name in ("seconds", "compile_seconds")}
            rows.append(row("growth", "run", round_, case=members, value=members, unit="members",
                            **seconds))  # fmt: skip
            for what, value in found.items():
                rows.append(row("growth", what, round_, case=members, value=value, unit="bytes"))
    return rows
