"""An immutable file tree: what a source looks like to everything that reads it.

Paths are relative to the root, ``/``-separated, without ``.`` or ``..`` segments; the root itself is ``""``.
There are no symlinks: whoever makes a tree resolves or drops them (Flux artifacts drop them).
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class Blob:
    """The bytes of one file. ``id``: Git's blob id (40 hex), the key under which parsed files are cached."""

    id: str
    data: bytes = field(repr=False)
    executable: bool = False


def blob(data: bytes, *, executable: bool = False) -> Blob:
    """A Blob with Git's own id for these bytes."""
    digest = hashlib.sha1(b"blob %d\0" % len(data), usedforsecurity=False)
    digest.update(data)
    return Blob(id=digest.hexdigest(), data=data, executable=executable)


class Tree(Protocol):
    """What readers of a tree may ask. Every answer is stable for the life of the object."""

    def read(self, path: str) -> Blob | None:
        """The file at ``path``, or None where there is none (absent, or a directory)."""

    def is_dir(self, path: str) -> bool:
        """Whether a directory stands at ``path`` ("" is the root, and always one)."""

    def list(self, path: str) -> tuple[str, ...] | None:
        """The names directly below a directory, sorted bytewise; None where there is no directory."""


class MemoryTree:
    """A Tree over a mapping from path to Blob. Directories exist because files stand in them."""

    __slots__ = ("_children", "_files")

    def __init__(self, files: Mapping[str, Blob]) -> None:
        self._files = dict(files)
        children: dict[str, set[str]] = {"": set()}
        for path in self._files:
            name = path
            while name:
                parent, _, leaf = name.rpartition("/")
                known = children.setdefault(parent, set())
                if leaf in known:
                    break
                known.add(leaf)
                name = parent
        self._children = {path: tuple(sorted(names)) for path, names in children.items()}

    def read(self, path: str) -> Blob | None:
        """See Tree."""
        return self._files.get(path)

    def is_dir(self, path: str) -> bool:
        """See Tree."""
        return path in self._children

    def list(self, path: str) -> tuple[str, ...] | None:
        """See Tree."""
        return self._children.get(path)

    def items(self) -> Iterator[tuple[str, Blob]]:
        """Each file with its path, sorted by path."""
        for path in sorted(self._files):
            yield path, self._files[path]

    def __len__(self) -> int:
        return len(self._files)


def memory_tree(files: Mapping[str, str | bytes]) -> MemoryTree:
    """A MemoryTree from texts or bytes (for tests and small trees)."""
    return MemoryTree(
        {p: blob(d.encode() if isinstance(d, str) else d) for p, d in files.items()},
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """What a render read: the answer to "does this push touch it?" comes from here, not from guessing.

    ``files``: paths read, ``listings``: directories whose names mattered, ``absences``: paths whose absence
    mattered. All sorted tuples.
    """

    files: tuple[str, ...] = ()
    listings: tuple[str, ...] = ()
    absences: tuple[str, ...] = ()

    def union(self, other: "Inputs") -> "Inputs":
        """Both sets together."""
        return Inputs(
            files=_merged(self.files, other.files),
            listings=_merged(self.listings, other.listings),
            absences=_merged(self.absences, other.absences),
        )

    def digest(self, tree: Tree) -> str:
        """``sha256:<hex>`` over what these inputs hold in ``tree``; equal digests mean an equal render."""
        import json  # noqa: PLC0415 - `penstock build` makes no digests, and starts sooner

        hashed = hashlib.sha256()
        for path in self.files:
            found = tree.read(path)
            hashed.update(json.dumps(["f", path, found.id if found else None]).encode())
        for path in self.listings:
            hashed.update(json.dumps(["l", path, tree.list(path)]).encode())
        for path in self.absences:
            there = tree.read(path) is not None or tree.is_dir(path)
            hashed.update(json.dumps(["a", path, there]).encode())
        return "sha256:" + hashed.hexdigest()


class RecordingTree:
    """A Tree that remembers what was asked of another one."""

    __slots__ = ("_absences", "_files", "_listings", "_tree")

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._files: set[str] = set()
        self._listings: set[str] = set()
        self._absences: set[str] = set()

    def read(self, path: str) -> Blob | None:
        """See Tree."""
        found = self._tree.read(path)
        (self._absences if found is None else self._files).add(path)
        return found

    def is_dir(self, path: str) -> bool:
        """See Tree."""
        found = self._tree.is_dir(path)
        self._absences.add(path)  # either answer mattered: `digest` records which one it was
        return found

    def list(self, path: str) -> tuple[str, ...] | None:
        """See Tree."""
        self._listings.add(path)
        return self._tree.list(path)

    def inputs(self) -> Inputs:
        """What was asked so far."""
        return Inputs(
            files=tuple(sorted(self._files)),
            listings=tuple(sorted(self._listings)),
            absences=tuple(sorted(self._absences)),
        )


def _merged(left: Iterable[str], right: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({*left, *right}))
