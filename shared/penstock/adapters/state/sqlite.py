"""Records in one SQLite file: the embedded plane's memory."""

import secrets
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from penstock.adapters.state.database import Database, Row
from penstock.adapters.state.limits import END, check_key, from_json, to_json
from penstock.adapters.state.together import one_by_one
from penstock.core.errors import Conflict
from penstock.ports.state import ABSENT, Reads, Record, Value

FORMAT = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS record (key TEXT PRIMARY KEY, value TEXT NOT NULL, version TEXT NOT NULL, due REAL);
CREATE INDEX IF NOT EXISTS record_due ON record (due, key) WHERE due IS NOT NULL
"""
_COLUMNS = "key, value, version, due"
_PAGE = 200


class SqliteState:
    """See ports.state.State. Threads and processes may share the file."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, schema=_SCHEMA, version=FORMAT)

    def get(self, key: str) -> Record | None:
        """The record or None."""
        rows = self._database.read(f"SELECT {_COLUMNS} FROM record WHERE key = ?", (check_key(key),))  # noqa: S608 (constant)
        return _record(*rows[0]) if rows else None

    def put(self, key: str, value: Value, *, expected: str | None, due: float | None = None) -> Record:
        """Write; compare-and-swap where ``expected`` is given."""
        text = to_json(check_key(key), value)
        version = secrets.token_hex(8)  # never used twice: a record that came, went and came again is another one
        with self._database.write() as run:
            _check(run, key, expected)
            run.execute(f"INSERT OR REPLACE INTO record ({_COLUMNS}) VALUES (?, ?, ?, ?)", (key, text, version, due))  # noqa: S608 (constant)
        return _record(key, text, version, due)

    def delete(self, key: str, *, expected: str | None) -> None:
        """Remove."""
        with self._database.write() as run:
            _check(run, check_key(key), expected)
            run.execute("DELETE FROM record WHERE key = ?", (key,))

    def list(self, prefix: str) -> tuple[Record, ...]:
        """By prefix (a range of the primary key), sorted by key."""
        return tuple(_record(*row) for row in self._below(prefix, prefix))

    def scan(self, prefix: str) -> Iterator[Record]:
        """By prefix, in pages."""
        start = prefix
        while rows := self._below(prefix, start, most=_PAGE):
            yield from (_record(*row) for row in rows)
            start = rows[-1][0] + "\0"

    def _below(self, prefix: str, start: str, *, most: int = -1) -> Sequence[Row]:
        """``most`` rows (-1: all of them) from ``start`` on, by one query."""
        return self._database.read(
            f"SELECT {_COLUMNS} FROM record WHERE key >= ? AND key < ? ORDER BY key LIMIT ?",  # noqa: S608 (constant)
            (start, prefix + END, most),
        )

    def read(self, keys: Collection[str] = (), prefixes: Collection[str] = ()) -> Reads:
        """Records and lists: a few microseconds each, on the disk of this machine."""
        return one_by_one(self, keys, prefixes)

    def due(self, before: float, *, limit: int) -> tuple[Record, ...]:
        """The longest overdue first."""
        rows = self._database.read(
            f"SELECT {_COLUMNS} FROM record WHERE due <= ? ORDER BY due, key LIMIT ?",  # noqa: S608 (constant)
            (before, limit),
        )
        return tuple(_record(*row) for row in rows)

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def _check(run: Any, key: str, expected: str | None) -> None:
    if expected is None:
        return
    row = run.execute("SELECT version FROM record WHERE key = ?", (key,)).fetchone()
    if expected != (row[0] if row else ABSENT):
        raise Conflict(f"record {key} was written by somebody else meanwhile")


def _record(key: str, text: str, version: str, due: float | None) -> Record:
    return Record(key=key, value=from_json(text), version=version, due=due)
