"""Values that expire, by key: asked for once by several threads, and again shortly before they end."""

import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

MARGIN = 120.0
"""Seconds before its end at which a value is asked for anew: longer than a request may take."""

KEPT = 1024
"""Values that are kept; the oldest goes first."""

T = TypeVar("T")
_Value = tuple[Any, float, float]  # it, when it was made, when it ends


class Kept:
    """``clock``: POSIX seconds."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._values: dict[Hashable, _Value] = {}
        self._busy: dict[Hashable, threading.Lock] = {}

    def get(self, key: Hashable, make: Callable[[], tuple[T, float]], *, fresh: bool = False) -> T:
        """The kept value, or a new one. ``make`` gives it with its end; who asks meanwhile waits and shares it."""
        asked = self._clock()
        with self._lock:
            busy = self._busy.setdefault(key, threading.Lock())
        try:
            with busy:
                value = self._held(key)
                if value is None or (fresh and value[1] <= asked):
                    made, expires = make()
                    value = (made, self._clock(), expires)
                    self._keep(key, value)
                found: T = value[0]
                return found
        except BaseException:
            self._forget(key)
            raise

    def _held(self, key: Hashable) -> _Value | None:
        with self._lock:
            value = self._values.get(key)
        return value if value is not None and value[2] - MARGIN > self._clock() else None

    def _forget(self, key: Hashable) -> None:
        """Of a key without a value nothing stays: who asks for one that cannot be had may invent ever new ones."""
        with self._lock:
            if key not in self._values:
                self._busy.pop(key, None)

    def _keep(self, key: Hashable, value: _Value) -> None:
        with self._lock:
            self._values.pop(key, None)
            self._values[key] = value
            while len(self._values) > KEPT:
                oldest = next(iter(self._values))
                del self._values[oldest]
                self._busy.pop(oldest, None)
