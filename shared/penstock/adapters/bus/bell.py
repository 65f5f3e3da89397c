"""How a publisher wakes the threads of its own process that wait for a queue."""

import threading


class Bell:
    """``strokes`` counts up; whoever has seen a number waits for the next, so that no stroke is missed."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._strokes = 0

    @property
    def strokes(self) -> int:
        """How often it rang."""
        with self._changed:
            return self._strokes

    def ring(self) -> None:
        """Wake everybody who waits."""
        with self._changed:
            self._strokes += 1
            self._changed.notify_all()

    def wait(self, seen: int, seconds: float) -> None:
        """Return at the next stroke after ``seen``, or after ``seconds``."""
        with self._changed:
            self._changed.wait_for(lambda: self._strokes != seen, timeout=max(0.0, seconds))
