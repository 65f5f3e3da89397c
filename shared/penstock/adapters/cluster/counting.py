"""How many requests a run sends to API servers, whatever threads and connections it uses."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Count:
    """A number that several threads raise."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.number = 0

    def add(self) -> None:
        """One more."""
        with self._lock:
            self.number += 1


_current: ContextVar[Count | None] = ContextVar("requests", default=None)


@contextmanager
def counted() -> Iterator[Count]:
    """Counts what is sent in the block, and in threads to which its context was handed on."""
    count = Count()
    token = _current.set(count)
    try:
        yield count
    finally:
        _current.reset(token)


def one_request() -> None:
    """A request goes out."""
    count = _current.get()
    if count is not None:
        count.add()
