"""A clock that only moves when it is told to: tests of days run in milliseconds."""

import hashlib
import threading
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 1, tzinfo=UTC)


class SimulatedClock:
    """Starts at ``start``; ``sleep`` and ``advance`` move it on. Ids are the same in every run."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self._elapsed = 0.0
        self._ids = 0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """``start`` plus all that was slept."""
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Seconds slept so far."""
        return self._elapsed

    def sleep(self, seconds: float) -> None:
        """Move on by ``seconds`` without waiting."""
        self.advance(max(0.0, seconds))

    def advance(self, seconds: float) -> None:
        """Move on by ``seconds``."""
        with self._lock:
            self._elapsed += seconds

    def idle(self) -> AbstractContextManager[None]:
        """Nobody is kept waiting by this process."""
        return nullcontext()

    def new_id(self) -> str:
        """32 hex digits, a fixed sequence."""
        with self._lock:
            self._ids += 1
            return hashlib.sha256(b"%d" % self._ids).hexdigest()[:32]
