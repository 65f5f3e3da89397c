"""Flux's revision strings: ``main@sha1:<40 hex>``, and what a ref is called in them."""

import re
from dataclasses import dataclass

BRANCHES, TAGS = "refs/heads/", "refs/tags/"

_DIGEST = re.compile(r"(?P<algorithm>[a-z0-9]+):(?P<hex>[0-9a-f]{32,128})")


@dataclass(frozen=True, kw_only=True, slots=True)
class Revision:
    """A revision taken apart. ``name``: branch, tag or full ref, "" where only a commit was named."""

    name: str
    algorithm: str
    hex: str

    def __str__(self) -> str:
        """As Flux writes it."""
        return f"{self.name}@{self.algorithm}:{self.hex}" if self.name else f"{self.algorithm}:{self.hex}"


def git_revision(name: str, commit: str) -> str:
    """``name@sha1:commit``. ``name``: short for branches and tags, full where ``ref.name`` named it, or ""."""
    return str(Revision(name=name, algorithm="sha1", hex=commit))


def short_name(ref: str) -> str:
    """A full ref without ``refs/heads/`` or ``refs/tags/``; any other stays as it is."""
    return ref.removeprefix(BRANCHES) if ref.startswith(BRANCHES) else ref.removeprefix(TAGS)


def parse_revision(text: str) -> Revision | None:
    """The parts of ``[name@]algorithm:hex`` (split at the last ``@``); None where it is no revision."""
    name, _, digest = text.rpartition("@")
    found = _DIGEST.fullmatch(digest)
    return Revision(name=name, algorithm=found["algorithm"], hex=found["hex"]) if found else None
