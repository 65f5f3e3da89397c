"""What a diff found, as a value, as JSON, and its exit status."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from penstock.core.drift.owners import Setter
from penstock.core.reconcile.masked import Mask
from penstock.core.reconcile.plan import Change
from penstock.stages.reconcile.shown_plan import WRITES, change_value, counts

FORMAT = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One object. ``drift``: fields that somebody else set; ``error``: what the API server says against it."""

    change: Change
    drift: tuple[Setter, ...] = ()
    error: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """``name``: ``namespace/name``; ``against``: what it was compared with; ``notes``: sentences for people."""

    name: str
    cluster: str
    directory: str
    revision: str
    against: str
    entries: Sequence[Entry]
    mask: Mask = field(repr=False)
    notes: Sequence[str] = ()


def exit_status(found: Outcome) -> int:
    """As ``flux diff kustomization``: 0 for no changes, 1 for changes, 2 where an object is refused."""
    if any(entry.error for entry in found.entries):
        return 2
    return 1 if any(entry.change.action in WRITES for entry in found.entries) else 0


def value(found: Outcome) -> dict[str, Any]:
    """JSON-ready."""
    return {
        "format": FORMAT,
        "kustomization": found.name,
        "cluster": found.cluster,
        "path": found.directory,
        "revision": found.revision,
        "against": found.against,
        "notes": list(found.notes),
        "counts": counts(entry.change for entry in found.entries),
        "changes": [change_value(e.change, found.mask, drift=e.drift, error=e.error) for e in found.entries],
    }
