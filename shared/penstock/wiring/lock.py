"""One `penstock serve` per data directory: what a dead one had in hand can then be given back at once."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from penstock.core.errors import Refused, Transient


class DirectoryLock:
    """Held while the context is open; the kernel lets go of it when the process dies, however it dies."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "serve.lock"
        self._handle = -1

    def __enter__(self) -> Self:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Transient(f"data directory {self._path.parent}: {error.strerror}") from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._handle)
            raise Refused(
                f"another `penstock serve` works on {self._path.parent}: stop it, or use --data-dir"
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._handle)
