"""A gzipped tarball's regular files as a tree: layers of OCI artifacts, as ``flux push artifact`` makes them.

Links, devices and whatever else is no regular file are dropped, as Flux drops them. Nothing leads outside, and no more
is unpacked than the bounds allow, whatever the headers promise.
"""

import tarfile
import zlib

from penstock.core.errors import Terminal
from penstock.core.tree import Blob, MemoryTree, blob
from penstock.ports.registry import FAILED_LAYER, PullLimits

_WINDOW = 16 + zlib.MAX_WBITS  # gzip
_HEADERS_PER_FILE = 3 * 512


class _Unzipped:
    """A gzip stream that is read no further than ``most`` bytes."""

    def __init__(self, data: bytes, most: int) -> None:
        self._decompressor, self._packed, self._left = zlib.decompressobj(_WINDOW), data, most

    def read(self, size: int) -> bytes:
        """Exactly ``size`` bytes, or what there is until the end. Raises Terminal beyond the bound."""
        parts: list[bytes] = []
        while size > 0 and not self._decompressor.eof:
            part = self._decompressor.decompress(self._packed, size)
            self._packed = self._decompressor.unconsumed_tail
            if not part:
                if not self._packed:
                    raise EOFError("cut short")
                continue
            size, self._left = size - len(part), self._left - len(part)
            if self._left < 0:
                raise Terminal("the archive is over the limit of bytes unpacked", reason=FAILED_LAYER)
            parts.append(part)
        return b"".join(parts)


def untar(data: bytes, limits: PullLimits) -> MemoryTree:
    """The tree. Raises Terminal where it is no gzipped tar, is cut short, leads outside, or is over the limits."""
    stream = _Unzipped(data, limits.bytes + limits.files * _HEADERS_PER_FILE)
    try:
        return MemoryTree(_files(stream, limits))
    except (tarfile.TarError, zlib.error, EOFError, ValueError, OverflowError) as error:
        raise Terminal(f"the layer is no gzipped tarball, or a damaged one ({error})", reason=FAILED_LAYER) from error


def _files(stream: _Unzipped, limits: PullLimits) -> dict[str, Blob]:
    files: dict[str, Blob] = {}
    with tarfile.open(fileobj=stream, mode="r|", errorlevel=2) as archive:  # type: ignore[call-overload] # read() will do
        for member in archive:
            if not member.isreg() or member.issparse():
                continue
            if len(files) >= limits.files:
                raise Terminal(f"the archive holds more than {limits.files} files", reason=FAILED_LAYER)
            body = archive.extractfile(member)
            assert body is not None
            files[_clean(member.name)] = blob(body.read(), executable=bool(member.mode & 0o111))
    _check_parents(files)
    return files


def _clean(name: str) -> str:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\0" in name or not parts:
        raise Terminal(f"the archive holds a path that leads outside: {name[:200]!r}", reason=FAILED_LAYER)
    return "/".join(parts)


def _check_parents(files: dict[str, Blob]) -> None:
    """A path that is both a file and a directory of other files is no tree."""
    for path in files:
        parent = path.rpartition("/")[0]
        while parent:
            if parent in files:
                raise Terminal(f"the archive holds {parent[:200]!r} as file and as directory", reason=FAILED_LAYER)
            parent = parent.rpartition("/")[0]
