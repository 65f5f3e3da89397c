"""Reading files and directories by the paths in kustomization files, within kustomize's rules of what may be read."""

import posixpath
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn, Protocol, runtime_checkable

from penstock.core.errors import BuildFailed, NotFound, Refused
from penstock.core.kustomize.options import Bounds, BuildOptions
from penstock.core.kustomize.remote_paths import is_remote, is_remote_file, names_artifact, without_login
from penstock.core.tree import Blob, RecordingTree

if TYPE_CHECKING:  # few builds read from elsewhere
    from penstock.core.kustomize.remotes import Checkout, RemoteReads

    _Opened = tuple[Checkout, RecordingTree, str, str]  # what was fetched, where from, and the directory in it

_MOVE = "move it there, or build with --load-restrictor LoadRestrictionsNone"


@runtime_checkable
class LinkedTree(Protocol):
    """A tree on a disk that has symbolic links."""

    def real_path(self, path: str) -> str | None:
        """Where ``path`` leads once every link is followed; None where it leads nowhere or out of the tree."""


class Counted:
    """What one build has read so far, of all its trees. Each file counts once."""

    __slots__ = ("_bases", "_bounds", "_bytes", "_seen")

    def __init__(self, bounds: Bounds) -> None:
        self._bounds, self._bytes, self._bases = bounds, 0, 0
        self._seen: set[str] = set()

    def add_base(self, named: str) -> None:
        """A base is entered, perhaps again: two that name two each are many soon. Raises Refused beyond the bound."""
        self._bases += 1
        if self._bases > self._bounds.bases:
            raise Refused(f"{named}: more than {self._bounds.bases} bases, each counted as often as it is named")

    def add(self, name: str, blob: Blob) -> None:
        """A file was read. Raises Refused beyond the bounds."""
        if name in self._seen:
            return
        self._seen.add(name)
        self._bytes += len(blob.data)
        if len(self._seen) > self._bounds.files:
            raise Refused(f"{name}: the build reads more than {self._bounds.files} files")
        if self._bytes > self._bounds.bytes:
            raise Refused(f"{name}: the build reads more than {self._bounds.bytes} bytes")


class Elsewhere:
    """What one build reads from elsewhere: nothing, and loaded by none, until a kustomization names something there."""

    __slots__ = ("_opened", "_options")

    def __init__(self, options: BuildOptions) -> None:
        self._options = options
        self._opened: RemoteReads | None = None

    @property
    def opened(self) -> "tuple[RemoteReads, ...]":
        """What was read, if anything was asked for."""
        return (self._opened,) if self._opened is not None else ()

    def open(self) -> "RemoteReads":
        """The remote trees and files of this build."""
        if self._opened is None:
            from penstock.core.kustomize.remotes import RemoteReads  # noqa: PLC0415 - seldom needed

            self._opened = RemoteReads(self._options.remotes, self._options.bounds.remotes)
        return self._opened


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One tree that a build reads.

    ``links``: where the tree has symbolic links; ``elsewhere``: what is read from there; ``name``: of a remote
    repository, as a prefix of its paths in messages, "" for the tree that is built. A remote's files are read within
    the roots of their kustomizations, whatever the options say.
    """

    tree: RecordingTree
    options: BuildOptions
    counted: Counted
    elsewhere: Elsewhere
    links: LinkedTree | None = None
    name: str = ""

    @property
    def restricted(self) -> bool:
        """Whether a file must stand in or below the directory that names it."""
        return bool(self.name) or self.options.load_restrictions == "rootOnly"

    @property
    def remotes(self) -> "RemoteReads":
        """Remote trees and files."""
        return self.elsewhere.open()

    def real(self, path: str) -> str | None:
        """``path`` with links followed, where the tree has links."""
        return self.links.real_path(path) if self.links else path

    def read(self, path: str) -> Blob | None:
        """One file, counted the first time. Raises Refused beyond the bounds."""
        blob = self.tree.read(path)
        if blob is not None:
            self.counted.add(self.name + path, blob)
        return blob


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
    """Reads for the kustomization in the directory ``root``.

    ``parents``: the roots in this very tree that led here; ``urls``: of the remote bases that led here, as written,
    the last one first; ``depth``: how many bases led here.
    """

    source: Source
    root: str
    parents: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    depth: int = 0

    def load(self, path: str) -> tuple[str, Blob]:
        """The file that a kustomization names: its path, for messages, and its content.

        Raises BuildFailed (absent) or Refused (not to be read, and why); for a URL what Remotes raises.
        """
        if is_remote_file(path):
            return self._downloaded(path)
        if path.startswith(("/", "~")):
            raise Refused(f"{self._named(path)}: absolute paths are not read; use a path relative to {self.shown}")
        found = join(self.root, path)
        real = self.source.real(found) if found is not None else None
        if found is None or real is None:
            self._fail_outside(path, found)
        if self.source.restricted and not within(real, self.root):
            raise Refused(
                f"{self._named(path)}: security; file '{real}' is not in or below '{self.shown}'; "
                + ("a remote base may read no other" if self.source.name else _MOVE)
            )
        blob = self.source.read(real)
        if blob is None:
            if self.source.tree.is_dir(real):
                raise BuildFailed(f"{self._named(path)}: must resolve to a file, and is a directory")
            raise BuildFailed(f"{self._named(path)}: no such file")
        return self.source.name + real, blob

    def below(self, path: str) -> "Loader":
        """The loader of a base or component that a kustomization names.

        Raises BuildFailed or Refused; for a remote one what Remotes raises.
        """
        if path == "":
            raise BuildFailed(f"{self.shown}: a path is empty; remove it or name a directory")
        if self.depth >= self.source.options.bounds.depth:
            raise Refused(f"{self._named(path)}: more than {self.source.options.bounds.depth} bases deep")
        self.source.counted.add_base(self._named(path))
        if is_remote(path):
            return self._remote(path)
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
        for visited in (self.root, *self.parents):
            if within(visited, real):
                raise BuildFailed(
                    f"{self._named(path)}: cycle detected: candidate root '{real or '.'}' contains visited root "
                    f"'{visited or '.'}'"
                )
        return replace(self, root=real, parents=(self.root, *self.parents), depth=self.depth + 1)

    def _remote(self, path: str) -> "Loader":
        self._check_cycle(path)
        checkout, recorded, place, root = self._artifact(path) if names_artifact(path) else self._repository(path)
        source = replace(self.source, tree=recorded, links=None, name=f"{place}//")
        if not checkout.tree.is_dir(root):
            text = f"{self._named(path)}: there is no directory '{root}' in it at {checkout.commit}"
            raise NotFound(text, reason="BuildFailed")
        return replace(self, source=source, root=root, parents=(), urls=(path, *self.urls), depth=self.depth + 1)

    def _check_cycle(self, path: str) -> None:
        for visited in self.urls:
            if visited.startswith(path):
                raise BuildFailed(
                    f"{self._named(path)}: cycle detected: URI '{path}' referenced by previous URI '{visited}'"
                )

    def _repository(self, path: str) -> "_Opened":
        from penstock.core.kustomize.repository_url import parse_repository_url  # noqa: PLC0415 - seldom needed

        try:
            url = parse_repository_url(path)
        except BuildFailed as error:
            raise BuildFailed(f"{self._named(path)}: no URL of a Git repository: {error}") from error
        checkout, recorded = self.source.remotes.checkout(url, self._named(path))
        return checkout, recorded, without_login(url.clone_url), url.root

    def _artifact(self, path: str) -> "_Opened":
        from penstock.core.kustomize.artifact_url import parse_artifact_url  # noqa: PLC0415 - seldom needed

        try:
            url = parse_artifact_url(path)
        except BuildFailed as error:
            raise BuildFailed(f"{self._named(path)}: no URL of an artifact: {error}") from error
        checkout, recorded = self.source.remotes.artifact(url, self._named(path))
        return checkout, recorded, url.place, url.root

    def _downloaded(self, url: str) -> tuple[str, Blob]:
        blob = self.source.remotes.file(url, self._named(url))
        name = without_login(url)
        self.source.counted.add(name, blob)
        return name, blob

    @property
    def shown(self) -> str:
        """The directory, for people."""
        return self.source.name + self.root or "."

    def _named(self, path: str) -> str:
        return f"{without_login(path)} (named in {self.shown})"

    def _fail_outside(self, path: str, found: str | None) -> NoReturn:
        if found is None:
            raise Refused(f"{self._named(path)}: leads out of the {'repository' if self.source.name else 'source'}")
        raise BuildFailed(f"{self._named(path)}: no such file or directory within the source")
