"""One `penstock serve` per data directory: what a dead one had in hand can then be given back at once."""

import contextlib
import fcntl
import json
import os
import secrets
from pathlib import Path
from types import TracebackType
from typing import Self

from penstock.core.errors import Refused, Transient
from penstock.ports.deps import Lives

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
MOST_LIVES = 256
"""To be remembered: as many as may begin while a Lease holds."""
_MOST_BYTES = 1 << 16


class DirectoryLock:
    """Held while the context is open; the kernel lets go of it when the process dies, however it dies.

    ``lives``: this process's, and those of the ones that held this very lock before it. They stand in the file, with
    its own place and the boot of the machine: a copy of the directory, or the same disk at another machine, says
    nothing of who may still work elsewhere.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / "serve.lock"
        self._handle = -1
        self.lives = Lives()

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
        self.lives = self._begun()
        return self

    def _begun(self) -> Lives:
        """One more life, written down; one that cannot be is waited for by whoever comes next."""
        found = os.fstat(self._handle)
        try:
            place: list[str | int] = [BOOT_ID.read_text().strip(), found.st_dev, found.st_ino]
        except OSError:
            return Lives()
        past = _lives_at(place, os.pread(self._handle, _MOST_BYTES, 0))
        lives = Lives(own=secrets.token_hex(8), past=frozenset(past))
        told = json.dumps({"format": 1, "place": place, "lives": [*past, lives.own][-MOST_LIVES:]})
        with contextlib.suppress(OSError):
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, told.encode(), 0)
        return lives

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._handle)


def _lives_at(place: list[str | int], held: bytes) -> list[str]:
    """Those that the file tells of, if it is of here and now."""
    try:
        value = json.loads(held)
        known = value["lives"] if value["format"] == 1 and value["place"] == place else []
    except (ValueError, KeyError, TypeError):
        return []
    return [each for each in known if isinstance(each, str)]
