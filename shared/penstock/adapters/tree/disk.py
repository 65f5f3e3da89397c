"""A Tree over a directory of a disk: each file is read when it is asked for, once.

Symbolic links are followed where they stay below the root, as kustomize follows them; one that leads out of it, and
whatever is not a regular file or a directory, is as good as absent.
"""

import os
import stat

from penstock.core.errors import Refused
from penstock.core.tree import Blob, blob

_NOT_FILES = ("proc", "sys", "dev")
"""Directories of the file system's root that show the machine's state."""


class DiskTree:
    """Implements Tree, and ``real_path`` for its links. Answers are stable: what was read once is kept.

    ``root``: the directory that bounds all reading. ``max_bytes``: of one file.
    """

    __slots__ = ("_directories", "_files", "_max_bytes", "_real", "_root")

    def __init__(self, root: "str | os.PathLike[str]", *, max_bytes: int = 256 * 1024 * 1024) -> None:
        self._root, self._max_bytes = os.path.realpath(root), max_bytes
        self._files: dict[str, Blob | None] = {}
        self._real: dict[str, str | None] = {}
        self._directories: dict[str, str] = {"": self._root}

    def real_path(self, path: str) -> str | None:
        """Where ``path`` leads, relative to the root; None where it leads out of it. It need not exist."""
        if path not in self._real:
            self._real[path] = self._resolved(path)
        return self._real[path]

    def _resolved(self, path: str) -> str | None:
        if "\0" in path:
            return None
        real = self._followed(path)
        prefix = self._root.rstrip("/") + "/"
        if real == self._root:
            return ""
        if not real.startswith(prefix):
            return None
        found = real[len(prefix) :]
        return None if self._root == "/" and found.split("/")[0] in _NOT_FILES else found

    def _followed(self, path: str) -> str:
        """The absolute path once every link is followed. Each directory on the way is looked at once."""
        parent, _, name = path.rpartition("/")
        if not name or "//" in path or "/." in path or path.startswith("."):  # ".." of a link leads elsewhere
            return os.path.realpath(self._joined(path))
        directory = self._directories.get(parent)
        if directory is None:
            directory = self._directories[parent] = self._followed(parent)
        joined = f"{directory.rstrip('/')}/{name}"
        return os.path.realpath(joined) if os.path.islink(joined) else joined  # noqa: PTH114 - as below

    def _joined(self, path: str) -> str:
        return f"{self._root.rstrip('/')}/{path}" if path else self._root

    def read(self, path: str) -> Blob | None:
        """See Tree. Raises Refused for a file that is larger than allowed."""
        if path not in self._files:
            self._files[path] = self._read(path)
        return self._files[path]

    def _read(self, path: str) -> Blob | None:
        real = self.real_path(path)
        if real is None:
            return None
        try:
            descriptor = os.open(self._joined(real), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return None
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                data = file.read(self._max_bytes + 1)
        finally:
            os.close(descriptor)
        if len(data) > self._max_bytes:
            raise Refused(f"{path}: larger than {self._max_bytes} bytes")
        return blob(data, executable=bool(status.st_mode & stat.S_IXUSR))

    def is_dir(self, path: str) -> bool:
        """See Tree."""
        real = self.real_path(path)
        return real is not None and os.path.isdir(self._joined(real))  # noqa: PTH112 - half the time of Path's

    def list(self, path: str) -> tuple[str, ...] | None:
        """See Tree. Names that are not UTF-8 are left out."""
        real = self.real_path(path)
        if real is None:
            return None
        try:
            names = os.listdir(os.fsencode(self._joined(real)))  # noqa: PTH208 - bytes, to sort them bytewise
        except OSError:
            return None
        readable = []
        for name in sorted(names):
            try:
                readable.append(name.decode())
            except UnicodeDecodeError:
                continue
        return tuple(readable)
