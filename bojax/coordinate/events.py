"""What a run tells those who watch it: one protocol for bars, trackers and mirrors."""

from __future__ import annotations

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
