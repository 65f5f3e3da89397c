"""Digests as the storage port writes them: ``sha256:<64 hex>``."""

import hashlib
import re
from collections.abc import Iterable

from penstock.core.errors import Terminal

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


def hex_part(digest: str) -> str:
    """The hex digits. Raises Terminal for anything that is not ``sha256:<64 lower-case hex>``."""
    found = _DIGEST.fullmatch(digest)
    if found is None:
        raise Terminal(f"{digest[:100]!r} is not a digest of the form sha256:<64 hex digits>")
    return found[1]


def named(digits: Iterable[str]) -> tuple[str, ...]:
    """The digests of what is called so, sorted; what somebody else has put there has no such name, and is left out."""
    return tuple(sorted(name for each in digits if _DIGEST.fullmatch(name := f"sha256:{each}")))


def matches(digest: str, data: bytes) -> bool:
    """Whether ``digest`` is that of ``data``."""
    return hashlib.sha256(data).hexdigest() == hex_part(digest)


def check(digest: str, data: bytes) -> None:
    """Raises Terminal when ``digest`` is not that of ``data``."""
    if not matches(digest, data):
        raise Terminal(f"the {len(data)} bytes under {digest} do not have that digest")
