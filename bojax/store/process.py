"""Who holds a lease: a process of some host, told from a later one with the same number."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """A process.

    Attributes:
        host: name of its host.
        pid: its number there.
        identity: its pid namespace, boot and start time, "" where the system tells none:
            numbers are used again, identities are not.
    """

    host: str
    pid: int
    identity: str


def this_process() -> Process:
    """The process this runs in."""
    return Process(socket.gethostname(), os.getpid(), _identity(os.getpid()) or "")


def alive(process: Process) -> bool | None:
    """Whether a process still runs; None where that cannot be known from here."""
    if process.host != socket.gethostname():
        return None
    mine = _identity(os.getpid())
    if mine is not None and process.identity:
        # Another boot or namespace may be another machine that has the same name.
        if _place(process.identity) != _place(mine):
            return None
        return _identity(process.pid) == process.identity
    if os.name != "posix":
        return None  # os.kill would end the process there, not ask for it
    try:
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return None  # something has that number; it may be another process


def _identity(pid: int) -> str | None:
    """`namespace boot start` of a running process; None if it does not run, or no /proc."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        namespace = os.readlink(_PROC / "self/ns/pid")
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # After the command's name, which is in brackets and may hold spaces and brackets:
    # state is field 3, start time in ticks since the boot is field 22 (man 5 proc).
    fields = stat.rpartition(")")[2].split()
    if fields[0] in "ZX":  # dead, only not yet collected by its parent
        return None
    return f"{namespace} {boot} {fields[19]}"


def _place(identity: str) -> str:
    return identity.rpartition(" ")[0]
