"""Reading files and directories by the paths in kustomization files, within kustomize's rules of what may be read."""

import posixpath
from dataclasses import dataclass
from typing import NoReturn, Protocol, runtime_checkable

from penstock.core.errors import BuildFailed, Refused
from penstock.core.kustomize.options import BuildOptions
from penstock.core.tree import Blob, RecordingTree

_REMOTE_PREFIXES = ("git::", "gh:", "github.com/", "github.com:", "www.github.com/", "www.github.com:")


@runtime_checkable
class LinkedTree(Protocol):
    """A tree on a disk that has symbolic links."""

    def real_path(self, path: str) -> str | None:
        """Where ``path`` leads once every link is followed; None where it leads nowhere or out of the tree."""


class Source:
    """The tree of one build with its bounds. Counts what is read."""

    __slots__ = ("_bytes", "_links", "_seen", "options", "tree")

    def __init__(self, tree: RecordingTree, options: BuildOptions, links: LinkedTree | None) -> None:
        self.tree, self.options, self._links = tree, options, links
        self._seen: set[str] = set()
        self._bytes = 0

    def real(self, path: str) -> str | None:
        """``path`` with links followed, where the tree has links."""
        return self._links.real_path(path) if self._links else path

    def read(self, path: str) -> Blob | None:
        """One file, counted the first time. Raises Refused beyond the bounds."""
        blob = self.tree.read(path)
        if blob is not None and path not in self._seen:
            self._seen.add(path)
            self._bytes += len(blob.data)
            bounds = self.options.bounds
            if len(self._seen) > bounds.files:
                raise Refused(f"{path}: the build reads more than {bounds.files} files")
            if self._bytes > bounds.bytes:
                raise Refused(f"{path}: the build reads more than {bounds.bytes} bytes")
        return blob


def is_remote(path: str) -> bool:
    """Whether a path is a URL, or a Git repository in one of the forms that kustomize clones."""
    folded = path.lower()
    scheme, slashes, _ = folded.partition("://")
    if slashes and scheme.replace("+", "").replace("-", "").replace(".", "").isalnum():
        return True
    user, at, rest = folded.partition("@")
    if at and user.replace("-", "").isalnum():  # user@host:path, as ssh takes it
        host, colon, _ = rest.partition(":")
        return (bool(colon) and "/" not in host) or rest.startswith("github.com/")
    return folded.startswith(_REMOTE_PREFIXES)


def join(root: str, path: str) -> str | None:
    """``path`` relative to the directory ``root``, both within the tree; None where it leaves the tree."""
    joined = posixpath.normpath(posixpath.join("/" + root, path)) if path else "/" + root
    depth = 0
    for part in posixpath.join(root, path).split("/"):  # normpath stops at the root: a tree does not
        depth += -1 if part == ".." else 0 if part in ("", ".") else 1
        if depth < 0:
            return None
    return joined.lstrip("/")


def within(path: str, root: str) -> bool:
    """Whether ``path`` is ``root`` or below it."""
    return root in ("", path) or path.startswith(root + "/")


@dataclass(frozen=True, kw_only=True, slots=True)
class Loader:
    """Reads for the kustomization in the directory ``root``; ``parents`` are the roots that led here."""

    source: Source
    root: str
    parents: tuple[str, ...] = ()

    def load(self, path: str) -> tuple[str, Blob]:
        """The file that a kustomization names: its path in the tree, and its content.

        Raises BuildFailed (absent) or Refused (not to be read, and why).
        """
        if is_remote(path):
            raise Refused(f"{self._named(path)}: remote files are not read; commit a copy and name that")
        if path.startswith(("/", "~")):
            raise Refused(f"{self._named(path)}: absolute paths are not read; use a path relative to {self._shown}")
        found = join(self.root, path)
        real = self.source.real(found) if found is not None else None
        if found is None or real is None:
            self._fail_outside(path, found)
        if self.source.options.load_restrictions == "rootOnly" and not within(real, self.root):
            raise Refused(
                f"{self._named(path)}: security; file '{real}' is not in or below '{self._shown}'; "
                "move it there, or build with --load-restrictor LoadRestrictionsNone"
            )
        blob = self.source.read(real)
        if blob is None:
            if self.source.tree.is_dir(real):
                raise BuildFailed(f"{self._named(path)}: must resolve to a file, and is a directory")
            raise BuildFailed(f"{self._named(path)}: no such file")
        return real, blob

    def below(self, path: str) -> "Loader":
        """The loader of a base or component that a kustomization names. Raises BuildFailed or Refused."""
        if path == "":
            raise BuildFailed(f"{self._shown}: a path is empty; remove it or name a directory")
        if is_remote(path):
            raise Refused(f"{self._named(path)}: remote bases are not fetched; commit a copy, or allow remote bases")
        if path.startswith(("/", "~")):
            raise Refused(f"{self._named(path)}: new root '{path}' cannot be absolute")
        odd = next((part for part in path.split("/") if ".." in part and part != ".."), None)
        if odd is not None:
            raise BuildFailed(f"{self._named(path)}: the path is ambiguous at {odd!r}; check the indentation")
        found = join(self.root, path)
        real = self.source.real(found) if found is not None else None
        if found is None or real is None:
            self._fail_outside(path, found)
        if not self.source.tree.is_dir(real):
            raise BuildFailed(f"{self._named(path)}: not a valid directory, and not a file either")
        if len(self.parents) >= self.source.options.bounds.depth:
            raise Refused(f"{self._named(path)}: more than {self.source.options.bounds.depth} bases deep")
        for visited in (self.root, *self.parents):
            if within(visited, real):
                raise BuildFailed(
                    f"{self._named(path)}: cycle detected: candidate root '{real or '.'}' contains visited root "
                    f"'{visited or '.'}'"
                )
        return Loader(source=self.source, root=real, parents=(self.root, *self.parents))

    @property
    def _shown(self) -> str:
        return self.root or "."

    def _named(self, path: str) -> str:
        return f"{path} (named in {self._shown})"

    def _fail_outside(self, path: str, found: str | None) -> NoReturn:
        if found is None:
            raise Refused(f"{self._named(path)}: leads out of the source")
        raise BuildFailed(f"{self._named(path)}: no such file or directory within the source")
