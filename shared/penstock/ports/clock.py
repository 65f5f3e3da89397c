"""Time and fresh ids: what core may not have."""

from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The world's time, and ids that nobody has used."""

    def now(self) -> datetime:
        """UTC, timezone-aware."""

    def monotonic(self) -> float:
        """Seconds that never run backwards: for deadlines."""

    def sleep(self, seconds: float) -> None:
        """Wait (simulated clocks only move on)."""

    def idle(self) -> AbstractContextManager[None]:
        """A block in which its run only waits for the world: where places are few, another run may take this one's."""

    def new_id(self) -> str:
        """32 random hex digits."""
