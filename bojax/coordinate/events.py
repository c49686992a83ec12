"""What a run tells those who watch it: one protocol for bars, trackers and mirrors."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Event:
    """Something happened in a run.

    Attributes:
        kind: "planned", "asked", "compiling", "compiled", "trained", "rung", "checkpoint",
            "resumed" or "finished".
        run: id of the run.
        data: what belongs to it; see :class:`bojax.coordinate.Coordinator`.

    Example:
        >>> from bojax.coordinate import Event
        >>> Event("rung", "main", {"members": 9}).data["members"]
        9
    """

    kind: str
    run: str
    data: Mapping[str, Any] = field(default_factory=dict)


Callback = Callable[[Event], None]


def progress(say: Callable[[str], Any] = print) -> Callback:
    """A callback that says a line a rung: what trained, how much is done, the time left, the best.

    Args:
        say: what is done with a line.

    Example:
        >>> from bojax.coordinate import Event, progress
        >>> watch = progress()
        >>> watch(Event("planned", "main"))
        >>> rung = {"members": 9, "budget": 3.0, "spent": 27.0, "total": 27.0, "best": None}
        >>> watch(Event("rung", "main", rung))
        9 trials to 3: 100 % done, 0 s left
    """
    begun = {"at": time.monotonic(), "spent": 0.0}

    def watch(event: Event) -> None:
        if event.kind == "planned":
            begun.update(at=time.monotonic(), spent=0.0)
        if event.kind == "resumed":  # what was trained before took none of this run's time
            begun["spent"] = event.data["spent"]
        if event.kind != "rung":
            return
        spent, total, best = (event.data[name] for name in ("spent", "total", "best"))
        own = spent - begun["spent"]
        left = (time.monotonic() - begun["at"]) * max(total - spent, 0.0) / max(own, 1e-9)
        share = 100.0 * spent / total if total else 100.0
        line = (
            f"{event.data['members']} trials to {event.data['budget']:g}: {min(share, 100):.0f} % "
        )
        line += f"done, {left:.0f} s left"
        say(line if best is None else f"{line}, best {best.value:.4g} (trial {best.id})")

    return watch
