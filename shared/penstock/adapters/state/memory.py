"""Records in a dict, kept as JSON text so that values come back exactly as a real backend gives them."""

import threading
from bisect import bisect_left, insort
from collections.abc import Collection, Iterator
from itertools import islice, takewhile

from penstock.adapters.state.limits import check_key, from_json, to_json
from penstock.adapters.state.together import one_by_one
from penstock.core.errors import Conflict
from penstock.ports.state import ABSENT, Reads, Record, Value


class MemoryState:
    """See ports.state.State."""

    def __init__(self) -> None:
        self._rows: dict[str, tuple[str, str, float | None]] = {}
        self._sorted: list[str] = []
        """All keys, so that a list costs what it finds."""
        self._writes = 0
        self._lock = threading.Lock()

    def get(self, key: str) -> Record | None:
        """The record or None."""
        check_key(key)
        with self._lock:
            row = self._rows.get(key)
        return _record(key, row) if row else None

    def put(self, key: str, value: Value, *, expected: str | None, due: float | None = None) -> Record:
        """Write; compare-and-swap where ``expected`` is given."""
        text = to_json(check_key(key), value)
        with self._lock:
            self._check(key, expected)
            self._writes += 1
            row = (text, str(self._writes), due)
            if key not in self._rows:
                insort(self._sorted, key)
            self._rows[key] = row
        return _record(key, row)

    def delete(self, key: str, *, expected: str | None) -> None:
        """Remove."""
        check_key(key)
        with self._lock:
            self._check(key, expected)
            if self._rows.pop(key, None):
                del self._sorted[bisect_left(self._sorted, key)]

    def list(self, prefix: str) -> tuple[Record, ...]:
        """By prefix, sorted by key."""
        with self._lock:
            first = bisect_left(self._sorted, prefix)
            keys = takewhile(lambda key: key.startswith(prefix), islice(self._sorted, first, None))
            rows = [(key, self._rows[key]) for key in keys]
        return tuple(_record(key, row) for key, row in rows)

    def scan(self, prefix: str) -> Iterator[Record]:
        """By prefix."""
        return iter(self.list(prefix))

    def read(self, keys: Collection[str] = (), prefixes: Collection[str] = ()) -> Reads:
        """Records and lists."""
        return one_by_one(self, keys, prefixes)

    def due(self, before: float, *, limit: int) -> tuple[Record, ...]:
        """The longest overdue first."""
        with self._lock:
            rows = [(row[2], key, row) for key, row in self._rows.items() if row[2] is not None and row[2] <= before]
        return tuple(_record(key, row) for _, key, row in sorted(rows)[:limit])

    def _check(self, key: str, expected: str | None) -> None:
        row = self._rows.get(key)
        if expected is not None and expected != (row[1] if row else ABSENT):
            raise Conflict(f"record {key} was written by somebody else meanwhile")


def _record(key: str, row: tuple[str, str, float | None]) -> Record:
    text, version, due = row
    return Record(key=key, value=from_json(text), version=version, due=due)
