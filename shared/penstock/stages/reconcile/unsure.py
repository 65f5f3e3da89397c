"""Whoever has lost a Lease in the middle of a run may still be writing: until when, the Lease itself says.

It ran out under a slow request, or somebody deleted it. What the next runs find not there yet, or delete, the older one
may still make; it had that written down in the inventory, and until it has certainly ended nobody forgets it.
"""

from datetime import datetime, timedelta

from penstock.core.resources import Manifest

OUTLIVED = 600.0
"""Seconds after which a run that has lost its Lease has ended: longer than any function may run."""
_UNTIL = "penstock.dev/unsure-until"


def unsure_until(current: Manifest | None, now: datetime, *, lost: bool) -> datetime | None:
    """Until when such a run may be writing; None where there is none.

    ``current``: the Lease as it stands; ``lost``: somebody has just been found to have lost it.
    """
    end = now + timedelta(seconds=OUTLIVED)
    if lost or current is None:
        return end if lost else None
    try:
        until = datetime.fromisoformat(str((current["metadata"].get("annotations") or {})[_UNTIL]))
    except (KeyError, ValueError):
        return None
    return until if until.tzinfo is not None and now < until <= end else None


def marked_unsure(lease: Manifest, until: datetime | None) -> Manifest:
    """The Lease that says so."""
    metadata = lease["metadata"]
    mark = {_UNTIL: until.isoformat()} if until is not None else {}
    return {**lease, "metadata": {**metadata, "annotations": {**(metadata.get("annotations") or {}), **mark}}}
