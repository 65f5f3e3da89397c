"""A token that was replaced, and is taken for a while yet: whoever sends has to learn the new one first.

The store's copy of a Receiver's Secret keeps the token before under a key of its own, the Receiver index (core.records)
the moment until which it is taken.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

TOKEN = "token"  # noqa: S105 - the name of a key
PREVIOUS = "penstock.dev/previous-token"
"""Key of the token before. No key of a Kubernetes Secret can hold a ``/``."""
_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def rotated(stored: Mapping[str, bytes] | None, fresh: Mapping[str, bytes]) -> dict[str, bytes]:
    """What the store is to hold of ``fresh``: with the token that it replaces, or that was replaced before.

    ``stored``: what the store holds now; None for nothing.
    """
    held = stored or {}
    old, new = held.get(TOKEN, b""), fresh.get(TOKEN, b"")
    previous = old if old and old != new else held.get(PREVIOUS, b"")
    return {**fresh, PREVIOUS: previous} if new and previous and previous != new else dict(fresh)


def ends(now: datetime, grace: timedelta) -> str:
    """RFC 3339: until when a token that is replaced now is taken."""
    return (now + grace).strftime(_FORMAT)


def ended(until: str, now: datetime) -> bool:
    """Whether that moment is over; "" is never over."""
    return bool(until) and now.strftime(_FORMAT) >= until
