"""Strategy, scheduler and executor joined into a run, and methods that join the first two."""

from collections.abc import Callable

from bojax.coordinate._bohb import bohb
from bojax.coordinate._dehb import dehb
from bojax.coordinate._freeze_thaw import freeze_thaw
from bojax.coordinate._gp_hyperband import gp_hyperband
from bojax.coordinate._methods import Method
from bojax.coordinate.coordinator import Coordinator
from bojax.coordinate.events import Event, progress

METHODS: dict[str, Callable[..., Method]] = {
    "bohb": bohb,
    "dehb": dehb,
    "freeze_thaw": freeze_thaw,
    "gp_hyperband": gp_hyperband,
}

__all__ = [
    "METHODS", "Coordinator", "Event", "Method", "bohb", "dehb", "freeze_thaw", "gp_hyperband",
    "progress",
]  # fmt: skip
