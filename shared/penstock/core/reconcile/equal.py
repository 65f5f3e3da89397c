"""What was found equal stays equal: a comparison is made once for each version of a live object.

A live object is what its uid and resourceVersion name; the API server gives each change a new one. So where neither
that, nor the desired object, nor the rules of the comparison have changed since the two were found equal, they are.
"""

import hashlib
import json

from penstock.core.drift.ignore import IgnoreRule
from penstock.core.resources import Manifest

Rules = tuple[tuple[IgnoreRule, ...], tuple[str, ...]]
"""Of a comparison: fields that others decide, managers that are overridden."""
KEPT = 50_000
"""Objects remembered, of some 300 bytes each; when there are more, all are forgotten."""


def mark(desired: Manifest, live: Manifest, rules: Rules) -> str:
    """What stands for a comparison of these two: 16 hex digits, other ones when anything of it changes."""
    told = repr((*_named(live), _digest(desired, rules)))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


class KnownEqual:
    """Pairs of desired and live objects that were found equal. Threads may share one: no step depends on another."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._found: dict[str, tuple[str, bytes]] = {}

    def holds(self, desired: Manifest, live: Manifest, rules: Rules) -> bool:
        """Whether the two were found equal before, by the same rules."""
        uid, version = _named(live)
        before = self._found.get(uid)
        return before is not None and before[0] == version and before[1] == _digest(desired, rules)

    def remember(self, desired: Manifest, live: Manifest, rules: Rules) -> None:
        """They are equal. Of each live object one version is kept."""
        uid, version = _named(live)
        if uid and version:
            if len(self._found) >= self._kept:
                self._found = {}
            self._found[uid] = (version, _digest(desired, rules))


def _named(live: Manifest) -> tuple[str, str]:
    metadata = live["metadata"]
    return str(metadata.get("uid") or ""), str(metadata.get("resourceVersion") or "")


def _digest(desired: Manifest, rules: Rules) -> bytes:
    """Of everything that the comparison reads but for the live object."""
    told = json.dumps([desired, repr(rules)], separators=(",", ":"), default=str)
    return hashlib.sha256(told.encode()).digest()
