"""Objects of a bucket: which are part of an artifact, and what its revision is."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from penstock.core.sources.ignore import IGNORE_FILE, excluded, parse_patterns


@dataclass(frozen=True, kw_only=True, slots=True)
class BucketObject:
    """One object. ``etag``: the service's own mark of its content; ``size``: bytes."""

    key: str
    etag: str
    size: int


def kept(objects: Iterable[BucketObject], ignore_file: bytes, ignore: str | None) -> tuple[BucketObject, ...]:
    """The objects of an artifact, by key.

    As in Flux, only the bucket's own top-level ``.sourceignore`` (``ignore_file``: its bytes) and ``spec.ignore``
    count, without default excludes; names that end in ``/`` stand for directories, and are no files.
    """
    patterns = (*parse_patterns(ignore_file.decode("utf-8", "replace")), *parse_patterns(ignore or ""))
    rules = tuple(reversed(patterns))
    found = (each for each in objects if not each.key.endswith("/") and each.key != IGNORE_FILE)
    return tuple(
        sorted((each for each in found if not excluded(each.key.split("/"), rules)), key=lambda each: each.key)
    )


def revision(objects: Iterable[BucketObject]) -> str:
    """Flux's revision of a bucket: the SHA-256 over one line ``key etag`` for each object, in the order of keys."""
    etags: Mapping[str, str] = {each.key: each.etag for each in objects}
    lines = "".join(f"{key} {etags[key]}\n" for key in sorted(etags, key=str.encode))
    return "sha256:" + hashlib.sha256(lines.encode()).hexdigest()
