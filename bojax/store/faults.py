"""Points at which a test may kill the process: in the middle of what must be atomic.

`BOJAX_FAULT=commit:3` makes the process kill itself, as `kill -9` would, when it comes to
the point "commit" for the third time. Without the variable a point is one comparison.

Points: "commit" (everything written, not committed), "committed" (before superseded files
are deleted), "checkpoint" (half a file written), "renamed" (complete, no row names it yet).
"""

from __future__ import annotations

import os
import signal

VARIABLE = "BOJAX_FAULT"
POINTS = ("commit", "committed", "checkpoint", "renamed")


def parse(text: str | None) -> dict[str, int]:
    """Point -> how many times it is still to be passed, the last time deadly.

    Example:
        >>> from bojax.store.faults import parse
        >>> parse("commit:3")
        {'commit': 3}
    """
    if not text:
        return {}
    name, _, times = text.partition(":")
    if name not in POINTS or not times.isdigit() or int(times) < 1:
        raise ValueError(
            f"{VARIABLE}={text}: expected POINT:TIMES, as in commit:3, with one of "
            f"{', '.join(POINTS)}."
        )
    return {name: int(times)}


_left = parse(os.environ.get(VARIABLE))


def point(name: str) -> None:
    """Pass a point; the process ends here if it was told to."""
    if _left and name in _left:
        _left[name] -= 1
        if _left[name] == 0:
            os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
