"""What an API server said about rights, kept for a while so that it is not asked in each run."""

import threading
import time
from collections.abc import Callable, Hashable

SECONDS = 300.0
MOST = 10_000


class Remembered:
    """Answers by question; forgotten after SECONDS, the oldest first where there are too many."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._kept: dict[Hashable, tuple[float, bool | str]] = {}

    def get(self, question: Hashable) -> bool | str | None:
        """The answer, or None."""
        with self._lock:
            found = self._kept.get(question)
            if found is None or found[0] <= self._clock():
                self._kept.pop(question, None)
                return None
            return found[1]

    def put(self, question: Hashable, answer: bool | str) -> None:
        """Keep an answer."""
        with self._lock:
            while len(self._kept) >= MOST:
                del self._kept[next(iter(self._kept))]
            self._kept[question] = (self._clock() + SECONDS, answer)
