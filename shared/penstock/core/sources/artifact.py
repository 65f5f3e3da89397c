"""An artifact: a source's tree as bytes, and back.

The bytes are one ASCII line, ``penstock-artifact 1 <size>``, then a zlib stream of ``size`` bytes: the length of an
index (4 bytes, big-endian), the index (JSON: paths, sizes, positions of executable files), and all files' bytes in
the order of the index. Paths are sorted and nothing else goes in, so equal trees give equal bytes (with one zlib).
The digest is the SHA-256 of these very bytes: whoever reads them from a store can check them without unpacking.
"""

import hashlib
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any

from penstock.core.errors import Terminal
from penstock.core.tree import Blob, MemoryTree, blob

FORMAT = 1
MOST_FILES = 100_000
MOST_BYTES = 1024 * 1024 * 1024

_MAGIC = b"penstock-artifact"
_LONGEST_HEADER = 64
_LEVEL = 3
"""Manifests shrink by 5 at any level; the higher ones only take longer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """``digest``: ``sha256:<hex>`` of ``data``."""

    digest: str
    data: bytes = field(repr=False)


def encode(tree: MemoryTree) -> Artifact:
    """The tree as an artifact."""
    files = list(tree.items())
    index = json.dumps(
        {
            "paths": [path for path, _ in files],
            "sizes": [len(found.data) for _, found in files],
            "executable": [at for at, (_, found) in enumerate(files) if found.executable],
        },
        separators=(",", ":"),
    ).encode()
    content = b"".join((len(index).to_bytes(4, "big"), index, *(found.data for _, found in files)))
    data = b"%s %d %d\n%s" % (_MAGIC, FORMAT, len(content), zlib.compress(content, _LEVEL))
    return Artifact(digest=digest_of(data), data=data)


def digest_of(data: bytes) -> str:
    """``sha256:<hex>``: the name under which the storage port keeps these bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def decode(data: bytes) -> MemoryTree:
    """The tree of an artifact's bytes.

    Raises Terminal where they are not one, are of a newer release's format, or hold more than MOST_FILES or
    MOST_BYTES: it unpacks no more than the header promises.
    """
    try:
        content = _content(data)
        end = 4 + int.from_bytes(content[:4], "big")
        return MemoryTree(dict(_files(json.loads(content[4:end]), memoryview(content)[end:])))
    except (ValueError, KeyError, TypeError, zlib.error) as error:
        raise Terminal(f"not an artifact, or a damaged one: {type(error).__name__}") from error


def _content(data: bytes) -> bytes:
    header, _, packed = data[:_LONGEST_HEADER].partition(b"\n")
    magic, written, size = header.split(b" ")
    if magic != _MAGIC:
        raise ValueError(magic)
    if int(written) != FORMAT:
        raise Terminal(f"an artifact of format {int(written)} (this release reads {FORMAT}): upgrade this release")
    if not 4 <= int(size) <= MOST_BYTES:
        raise Terminal(f"an artifact of {int(size)} bytes is over the limit of {MOST_BYTES}")
    reader = zlib.decompressobj()
    content = reader.decompress(data[len(header) + 1 :], int(size) + 1)
    if len(content) != int(size) or not reader.eof or not packed:
        raise ValueError("size")
    return content


def _files(index: dict[str, Any], content: memoryview) -> Iterator[tuple[str, Blob]]:
    paths, sizes, executable = index["paths"], index["sizes"], frozenset(index["executable"])
    if len(paths) > MOST_FILES:
        raise Terminal(f"an artifact of {len(paths)} files is over the limit of {MOST_FILES}")
    if len(paths) != len(sizes) or sum(sizes) != len(content) or min(sizes, default=0) < 0:
        raise ValueError("index")
    for at, (path, (start, end)) in enumerate(zip(paths, pairwise(accumulate(sizes, initial=0)), strict=True)):
        if not is_clean(path):
            raise ValueError("path")
        yield path, blob(bytes(content[start:end]), executable=at in executable)


def is_clean(path: str) -> bool:
    """Whether a path is one that a tree may hold: relative, no empty, ``.`` or ``..`` segment, no NUL."""
    return "\0" not in path and {"", ".", ".."}.isdisjoint(path.split("/"))
