"""The state port: small JSON records with compare-and-swap, listed by prefix and by due time.

Keys are ``/``-separated segments (each without ``/``), at most 1,024 bytes; values JSON objects up to 900 KiB.
"""

import contextlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from penstock.core.errors import Conflict, Terminal

Value = Mapping[str, Any]

MAX_VALUE_BYTES = 900 * 1_024
"""Of a value as JSON text without spaces."""
ABSENT = ""
"""The version of a record that does not exist."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """A record as read. ``version`` is opaque; ``due``: POSIX seconds, None where it is not scheduled."""

    key: str
    value: Value
    version: str
    due: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Reads:
    """What was read together. ``records``: by key, those that there are; ``lists``: by prefix, every one asked for."""

    records: Mapping[str, Record]
    lists: Mapping[str, tuple[Record, ...]]


class TooLarge(Terminal):
    """A value of more than MAX_VALUE_BYTES: nothing was written."""


class State(Protocol):
    """Records.

    Raises Conflict where ``expected`` is not the record's version, TooLarge, Transient when unreachable.
    """

    def get(self, key: str) -> Record | None:
        """The newest record (reads are strongly consistent)."""

    def put(self, key: str, value: Value, *, expected: str | None, due: float | None = None) -> Record:
        """Write value and due time. ``expected``: a version, ABSENT (must not exist), or None (whatever is there)."""

    def delete(self, key: str, *, expected: str | None) -> None:
        """Remove; with ``expected`` None a missing record is no error."""

    def list(self, prefix: str) -> tuple[Record, ...]:
        """All records whose key starts with ``prefix``, sorted by key."""

    def scan(self, prefix: str) -> Iterator[Record]:
        """The same in any order, a page in memory at a time, for whoever looks at all that there is.

        What is written meanwhile may come as it was, as it is, or not at all; everything else comes once.
        """

    def read(self, keys: Collection[str] = (), prefixes: Collection[str] = ()) -> Reads:
        """Records and lists that need not wait for each other, in the time of the slowest.

        Each is what ``get`` or ``list`` would give at some moment of the call; together they are no snapshot.
        """

    def due(self, before: float, *, limit: int) -> tuple[Record, ...]:
        """Records due at or before ``before`` (POSIX seconds), the longest overdue first."""


_TRIES = 5


def delete_beside(state: State, key: str, *, of: str) -> None:
    """Delete a record that stands beside record ``of``, where that is gone, or a tombstone.

    Whoever makes ``of`` anew may write ``key`` at once: so this is read, then ``of`` is looked for, and what is deleted
    is what was read. Raises Conflict where others write it all the time.
    """
    for _ in range(_TRIES):
        found = state.get(key)
        stands = state.get(of)
        if found is None or (stands is not None and not stands.value.get("tombstone")):
            return
        with contextlib.suppress(Conflict):
            state.delete(key, expected=found.version)
            return
    raise Conflict(f"{key} is being written by others all the time")
