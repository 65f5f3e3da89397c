"""A zip whose bytes depend on names and contents alone: sorted, one time, one mode, one compression."""

import logging
import zipfile
from pathlib import Path

from tools.package.contents import Contents

EPOCH = 315_532_800
"""SOURCE_DATE_EPOCH of all that is built here: 1980-01-01, the oldest time that a zip can hold."""

_LOG = logging.getLogger(__name__)
_TIME = (1980, 1, 1, 0, 0, 0)
_FILE_0644 = 0o100644 << 16
_UNIX = 3


def write(path: Path, contents: Contents) -> int:
    """The zip; the bytes that it unpacks to. It appears under its name only when it is whole."""
    _LOG.info("packing %s: %d files", path.name, len(contents))
    unzipped = 0
    partial = path.with_name(path.name + ".partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name in sorted(contents):
            content = contents[name]
            data = content if isinstance(content, bytes) else content.read_bytes()
            archive.writestr(_entry(name), data)
            unzipped += len(data)
    partial.replace(path)
    return unzipped


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _TIME)
    entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, _UNIX, _FILE_0644
    return entry
