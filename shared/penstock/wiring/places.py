"""Places for runs: so many work at a time, and who only waits for the world leaves its place to another.

Without that a few Kustomizations that never become ready would hold all threads for most of the time.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from penstock.adapters.clock.system import SystemClock


class Places:
    """``number`` runs at a time, in the order in which they ask; a thread holds at most one place."""

    def __init__(self, number: int) -> None:
        self._lock = threading.Lock()
        self._free = number
        self._queue: deque[threading.Event] = deque()
        self._mine = threading.local()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """A block that needs a place: waits for one."""
        self._take(threading.Event())
        try:
            yield
        finally:
            self._give()

    @contextmanager
    def left(self) -> Iterator[None]:
        """A block that needs none: gives this thread's place away, and waits for the next free one at its end."""
        if not getattr(self._mine, "held", False):
            yield
            return
        self._give()
        try:
            yield
        finally:
            self._take(threading.Event(), first=True)

    def _take(self, turn: threading.Event, *, first: bool = False) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                turn.set()
            elif first:
                self._queue.appendleft(turn)
            else:
                self._queue.append(turn)
        turn.wait()
        self._mine.held = True

    def _give(self) -> None:
        """To who waits longest; a place is never free while somebody waits for one."""
        self._mine.held = False
        with self._lock:
            if self._queue:
                self._queue.popleft().set()
            else:
                self._free += 1


class PlacedClock(SystemClock):
    """The machine's clock, for threads that share places."""

    def __init__(self, places: Places) -> None:
        self._places = places

    def idle(self) -> AbstractContextManager[None]:
        """See Clock: the place is left."""
        return self._places.left()
