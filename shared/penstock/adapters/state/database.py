"""One SQLite file, opened the one way that suits a plane: several threads, several processes, kill -9 at any time.

Write-ahead log: readers never wait. ``synchronous=FULL`` makes a commit outlive a power cut (about 0.3 ms on an SSD),
``NORMAL`` outlives the death of the process only, which is enough where losing a commit merely repeats work.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from penstock.core.errors import PenstockError, Terminal, Transient

BUSY_SECONDS = 10.0
"""How long a writer waits for another process's transaction; ours take less than a millisecond."""

Row = tuple[Any, ...]
Synchronous = Literal["FULL", "NORMAL"]

_LOCKS: dict[Path, threading.RLock] = {}


def _lock_of(path: Path) -> threading.RLock:
    """One lock a file: SQLite lets a second connection sleep for milliseconds where a lock wakes it at once."""
    return _LOCKS.setdefault(path.resolve(), threading.RLock())


class Database:
    """A connection that threads share. ``schema``: idempotent SQL; ``version``: its number, kept in the file."""

    def __init__(self, path: Path, *, schema: str, version: int, synchronous: Synchronous = "FULL") -> None:
        self._path = path
        self._lock = _lock_of(path)
        with self._errors():
            self._connection = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute(f"PRAGMA synchronous = {synchronous}")
            self._prepare(schema, version)

    def _prepare(self, schema: str, version: int) -> None:
        with self.write() as run:
            (found,) = run.execute("PRAGMA user_version").fetchone()
            if found > version:
                raise Terminal(
                    f"{self._path} has format {found}, this release reads {version}: a newer release wrote it, "
                    "upgrade this one"
                )
            for statement in schema.split(";"):
                run.execute(statement)
            run.execute(f"PRAGMA user_version = {version:d}")

    @contextmanager
    def write(self) -> Iterator[sqlite3.Cursor]:
        """One transaction: everything that runs on the cursor is committed together, or not at all."""
        with self._lock, self._errors():
            cursor = self._connection.cursor()
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
                cursor.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # a full disk ends it by itself
                    cursor.execute("ROLLBACK")
                raise

    def read(self, sql: str, parameters: Row = ()) -> list[Row]:
        """The rows of one query, as of now."""
        with self._lock, self._errors():
            return self._connection.execute(sql, parameters).fetchall()

    def close(self) -> None:
        """Close the file; the adapter is of no use afterwards."""
        with self._lock:
            self._connection.close()

    def __del__(self) -> None:
        """A forgotten connection is closed without a warning: every commit is on disk already."""
        if hasattr(self, "_connection"):
            self._connection.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except PenstockError:
            raise
        except sqlite3.OperationalError as error:  # locked, disk full, cannot open: may pass
            raise Transient(f"{self._path}: {error}") from error
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_CORRUPT:
                raise Terminal(f"{self._path} cannot be used: {error}") from error
            # Terminal would end the messages in hand: whoever restores the file finds them or their dead letters.
            advice = "stop the plane and restore it from a backup (docs/serve.md)"
            raise Transient(f"{self._path} is damaged: {error}: {advice}") from error
