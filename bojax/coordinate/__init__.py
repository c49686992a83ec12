"""Strategy, scheduler and executor joined into a run."""

from bojax.coordinate.coordinator import Coordinator
from bojax.coordinate.events import Event

__all__ = ["Coordinator", "Event"]
