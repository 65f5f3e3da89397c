"""A pack of one commit as that commit's files: nothing on disk, every size checked before it is unpacked.

Format: gitformat-pack(5). Deltas are applied by dulwich; the rest is read here, because no size in a pack may be
believed before it is compared with what a clone may cost.
"""

import hashlib
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from penstock.core.errors import Refused, Terminal, Transient
from penstock.core.sources.commit import CommitTree
from penstock.core.tree import Blob
from penstock.ports.git import Limits

_COMMIT, _TREE, _BLOB, _TAG, _OFS_DELTA, _REF_DELTA = 1, 2, 3, 4, 6, 7
_NAMES = {_COMMIT: b"commit", _TREE: b"tree", _BLOB: b"blob", _TAG: b"tag"}
_HEADER, _TRAILER = 12, 20
_MODE = re.compile(rb"[0-7]{1,6}")
_DEEPEST = 4096
_FAILED = "GitOperationFailed"

Apply = Callable[[bytes, bytes], bytes]
"""Applies a delta: (base, delta) -> result."""


@dataclass(slots=True)
class _Entry:
    """``base``: offset or id of what a delta builds upon, None for a whole object."""

    kind: int
    data: bytes
    base: int | bytes | None = None


class Budget:
    """What may still be unpacked."""

    def __init__(self, limits: Limits) -> None:
        self._limits, self._bytes, self._entries = limits, limits.bytes, 2 * limits.files

    def take(self, size: int, what: str) -> None:
        """Account for ``size`` bytes. Raises Refused when a file or the sum is too large."""
        if size > self._limits.file_bytes:
            raise Refused(f"{what} has {size} bytes, the limit is {self._limits.file_bytes}", reason=_FAILED)
        self._bytes -= size
        if self._bytes < 0:
            raise Refused(f"the repository has more than {self._limits.bytes} bytes, the limit", reason=_FAILED)

    def entry(self) -> None:
        """Account for one file or directory. Raises Refused when there are too many."""
        self._entries -= 1
        if self._entries < 0:
            raise Refused(f"the repository has more than {self._limits.files} files, the limit", reason=_FAILED)


class Objects:
    """The objects of a pack by id (40 hex)."""

    def __init__(self, pack: bytes, limits: Limits, apply: Apply) -> None:
        """Raises Transient for a damaged pack, Refused for one over the limits."""
        self._by_id: dict[str, tuple[int, bytes]] = {}
        self._apply, self._budget = apply, Budget(limits)
        try:
            self._resolve(_entries(pack, self._budget))
        except (ValueError, IndexError, zlib.error) as error:
            raise Transient(f"the remote sent a damaged pack: {error}", reason=_FAILED) from error

    def get(self, name: str, kind: int) -> bytes:
        """The object's content. Raises Transient where the pack has no such object of that kind."""
        found = self._by_id.get(name)
        if found is None or found[0] != kind:
            raise Transient(f"the remote left {name} out of its pack", reason=_FAILED)
        return found[1]

    def _resolve(self, entries: Iterable[tuple[int, _Entry]]) -> None:
        done: dict[int, tuple[int, bytes]] = {}
        waiting: list[tuple[int, _Entry]] = []
        for offset, entry in entries:
            if not self._place(offset, entry, done):
                waiting.append((offset, entry))
        while waiting:
            left = [item for item in waiting if not self._place(*item, done)]
            if len(left) == len(waiting):
                raise ValueError("a delta without its base")
            waiting = left

    def _place(self, offset: int, entry: _Entry, done: dict[int, tuple[int, bytes]]) -> bool:
        kind, data = entry.kind, entry.data
        if entry.base is not None:
            base = done.get(entry.base) if isinstance(entry.base, int) else self._by_id.get(entry.base.hex())
            if base is None:
                return False
            kind, data = base[0], self._patched(base[1], data)
        done[offset] = self._by_id[_object_id(kind, data)] = (kind, data)
        return True

    def _patched(self, base: bytes, delta: bytes) -> bytes:
        _, at = _varint(delta, 0)
        size, _ = _varint(delta, at)
        self._budget.take(size, "an object")
        result = self._apply(base, delta)
        if len(result) != size:
            raise ValueError("a delta of another size than it says")
        return result


def read_commit(objects: Objects, commit: str, limits: Limits, *, tag: str = "") -> CommitTree:
    """The commit's regular files; symlinks, submodules and names that are not UTF-8 are left out.

    Raises Refused where there are more files or bytes than ``limits`` allows.
    """
    raw = objects.get(commit, _COMMIT)
    header, _, message = raw.partition(b"\n\n")
    first, _, _ = header.partition(b"\n")
    if not first.startswith(b"tree "):
        raise Terminal(f"commit {commit} names no tree", reason=_FAILED)
    submodules: dict[str, str] = {}
    files = dict(_walk(objects, first[5:].decode("ascii", "replace"), limits, submodules))
    subject, _, _ = message.strip().decode("utf-8", "replace").partition("\n")
    tagged = objects.get(tag, _TAG) if tag else b""
    return CommitTree(files, subject=subject.strip(), commit=raw, tag=tagged, submodules=submodules)


def _walk(objects: Objects, root: str, limits: Limits, submodules: dict[str, str]) -> Iterator[tuple[str, Blob]]:
    """The files. ``submodules``: takes the paths and commits of those."""
    budget = Budget(limits)
    pending = [("", root)]
    while pending:
        prefix, tree = pending.pop()
        for mode, raw, name in _tree_entries(objects.get(tree, _TREE)):
            budget.entry()
            try:
                path = prefix + raw.decode()
            except UnicodeDecodeError:
                continue
            if raw in (b"", b".", b"..") or b"/" in raw or len(path) > _DEEPEST:
                raise Terminal(f"tree {tree} has an entry that is no file name", reason=_FAILED)
            if mode == 0o040000:
                pending.append((path + "/", name))
            elif mode & 0o170000 == 0o100000:
                data = objects.get(name, _BLOB)
                budget.take(len(data), path)
                yield path, Blob(id=name, data=data, executable=bool(mode & 0o100))
            elif mode & 0o170000 == 0o160000:
                submodules[path] = name


def _tree_entries(data: bytes) -> Iterator[tuple[int, bytes, str]]:
    """(mode, name, id) of each entry of a tree object."""
    at = 0
    while at < len(data):
        space, end = data.find(b" ", at), data.find(b"\0", at)
        mode = data[at:space]
        if not at < space < end or end + 21 > len(data) or _MODE.fullmatch(mode) is None:
            raise Terminal("the remote sent a damaged tree", reason=_FAILED)
        yield int(mode, 8), data[space + 1 : end], data[end + 1 : end + 21].hex()
        at = end + 21


def _entries(pack: bytes, budget: Budget) -> Iterator[tuple[int, _Entry]]:
    """Each entry with its offset. Raises ValueError, IndexError or zlib.error when the pack is damaged."""
    if pack[:4] != b"PACK" or len(pack) < _HEADER + _TRAILER:
        raise ValueError("no pack")
    if hashlib.sha1(pack[:-_TRAILER], usedforsecurity=False).digest() != pack[-_TRAILER:]:
        raise ValueError("its checksum is wrong")
    view, at = memoryview(pack)[:-_TRAILER], _HEADER
    for _ in range(int.from_bytes(pack[8:12], "big")):
        offset = at
        kind, size, at = _entry_header(pack, at)
        base, at = _base(pack, kind, offset, at)
        budget.take(size, "an object")
        data, at = _inflate(view, at, size)
        yield offset, _Entry(kind, data, base)


def _inflate(view: memoryview, at: int, size: int) -> tuple[bytes, int]:
    """The zlib stream at ``at``, which must have ``size`` bytes, and where it ends.

    Fed piece by piece: zlib copies what it does not use, and would copy the rest of the pack for each object.
    """
    reader, parts, got, step = zlib.decompressobj(), [], 0, min(size + 64, 65536)
    while not reader.eof:
        piece = view[at : at + step]
        parts.append(reader.decompress(piece, size + 1 - got))
        got, at = got + len(parts[-1]), at + len(piece)
        if got > size or not piece:
            raise ValueError("an object of another size than it says")
    if got != size:
        raise ValueError("an object of another size than it says")
    return b"".join(parts), at - len(reader.unused_data)


def _entry_header(pack: bytes, at: int) -> tuple[int, int, int]:
    byte = pack[at]
    kind, size, shift = byte >> 4 & 7, byte & 15, 4
    while byte & 0x80:
        at += 1
        byte = pack[at]
        size |= (byte & 0x7F) << shift
        shift += 7
    if kind not in _NAMES and kind not in (_OFS_DELTA, _REF_DELTA):
        raise ValueError(f"an object of type {kind}")
    return kind, size, at + 1


def _base(pack: bytes, kind: int, offset: int, at: int) -> tuple[int | bytes | None, int]:
    if kind == _REF_DELTA:
        return pack[at : at + 20], at + 20
    if kind != _OFS_DELTA:
        return None, at
    byte = pack[at]
    distance = byte & 0x7F
    while byte & 0x80:
        at += 1
        byte = pack[at]
        distance = ((distance + 1) << 7) | (byte & 0x7F)
    return offset - distance, at + 1


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at


def _object_id(kind: int, data: bytes) -> str:
    header = b"%s %d\0" % (_NAMES[kind], len(data))
    return hashlib.sha1(header + data, usedforsecurity=False).hexdigest()
