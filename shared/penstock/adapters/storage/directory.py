"""Artifacts as files ``<root>/<two hex digits>/<the other 62>``: written aside, synced, then renamed into place."""

import os
import tempfile
import time
from pathlib import Path

from penstock.adapters.storage.digests import check, hex_part, matches, named
from penstock.core.errors import Transient

STALE_SECONDS = 3_600
"""A temporary file older than this belongs to a process that was killed."""


class DirectoryStorage:
    """See ports.storage.Storage. ``root`` is made where it does not exist; processes may share it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._aside = root / "incoming"
        try:
            self._aside.mkdir(parents=True, exist_ok=True)
            for left in self._aside.iterdir():
                if time.time() - left.stat().st_mtime > STALE_SECONDS:
                    left.unlink(missing_ok=True)
        except OSError as error:
            raise Transient(f"artifact directory {root}: {error.strerror}") from error

    def put(self, digest: str, data: bytes, *, cluster: str = "") -> bool:  # noqa: ARG002 - of one region
        """Store under its digest. A damaged file of that name is replaced."""
        check(digest, data)
        path = self._path(digest)
        try:
            if path.exists() and matches(digest, path.read_bytes()):
                return False
            path.parent.mkdir(exist_ok=True)
            self._write(path, data)
        except OSError as error:
            raise Transient(f"cannot store artifact {digest}: {error.strerror}") from error
        return True

    def _write(self, path: Path, data: bytes) -> None:
        handle, name = tempfile.mkstemp(dir=self._aside)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        _sync_directory(path.parent)

    def get(self, digest: str) -> bytes | None:
        """The bytes, verified; Terminal where the file was damaged."""
        try:
            data = self._path(digest).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Transient(f"cannot read artifact {digest}: {error.strerror}") from error
        check(digest, data)
        return data

    def has(self, digest: str) -> bool:
        """Whether there is a file of it."""
        try:
            self._path(digest).stat()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise Transient(f"cannot read artifact {digest}: {error.strerror}") from error
        return True

    def delete(self, digest: str) -> None:
        """Forget it."""
        try:
            self._path(digest).unlink(missing_ok=True)
        except OSError as error:
            raise Transient(f"cannot delete artifact {digest}: {error.strerror}") from error

    def digests(self) -> tuple[str, ...]:
        """All, sorted."""
        return named(path.parent.name + path.name for path in self._root.glob("??/*"))

    def _path(self, digest: str) -> Path:
        digits = hex_part(digest)
        return self._root / digits[:2] / digits[2:]


def _sync_directory(path: Path) -> None:
    """Make the rename itself outlive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
