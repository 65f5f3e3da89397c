"""What was told to whom: the records under ``sent/``, by the day of the event so that old ones are found and removed.

``sent/<day>/<event id>/<cluster>/<namespace>/<alert>`` is first a claim (one invocation at a time tells this Alert),
then the outcome. ``sent/<day>/repeats/<digest>`` holds the event that last said these very words.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from penstock.core.messages import Event
from penstock.core.records import FORMAT

CLAIMED, SENT, FAILED = "claimed", "sent", "failed"
LEASE = 60.0
"""Seconds after which a claim without outcome is void: no invocation of notify lives longer."""

FRESH = 3.0
"""Seconds in which a claim's holder is most likely alive and just sending: worth another look after them."""

REPEAT = 300.0
"""Seconds in which equal events are told once (Flux's --rate-limit-interval)."""

KEPT_DAYS = 7
"""Longer than any message waits for its redelivery."""

SWEPT_KEY = "sent/swept"
_LONGEST_SWEEP = 60


def day_of(event: Event, today: date) -> str:
    """``YYYY-MM-DD`` of the event, or of today where its timestamp has none: the same at every redelivery."""
    try:
        return date.fromisoformat(event.timestamp[:10]).isoformat()
    except ValueError:
        return today.isoformat()


def sent_key(day: str, event: Event, cluster: str, alert: str) -> str:
    """``alert``: ``namespace/name``."""
    return f"sent/{day}/{event.id}/{cluster}/{alert}"


def repeat_record_key(day: str, digest: str) -> str:
    """``digest``: see ``notification.repeat_key``."""
    return f"sent/{day}/repeats/{digest}"


def outcome_value(state: str, at: float) -> dict[str, Any]:
    """``at``: POSIX seconds."""
    return {"format": FORMAT, "state": state, "at": at}


def repeat_value(event: Event, at: float) -> dict[str, Any]:
    """``at``: POSIX seconds."""
    return {"format": FORMAT, "event": event.id, "at": at}


def is_repeat(value: Mapping[str, Any], event: Event, now: float) -> bool:
    """Whether another event said the same less than REPEAT seconds ago."""
    return value.get("event") != event.id and now - float(value.get("at", 0)) < REPEAT


def look_again(value: Mapping[str, Any], now: float) -> float:
    """Seconds until the claim is worth another look; 0 and less: it is void.

    Two looks at most: one when its holder has most likely told it, one when it is void. Attempts are few.
    """
    age = now - float(value.get("at", 0))
    return FRESH - age if 0 <= age < FRESH else LEASE - age


def swept_value(today: date) -> dict[str, Any]:
    """What SWEPT_KEY holds after a sweep on ``today``."""
    return {"format": FORMAT, "day": today.isoformat()}


def days_to_sweep(swept: Mapping[str, Any] | None, today: date) -> tuple[str, ...]:
    """The days whose records may go, oldest first; none where today's sweep is done. ``swept``: SWEPT_KEY's value."""
    if swept is not None and swept.get("day") == today.isoformat():
        return ()
    newest = today - timedelta(days=KEPT_DAYS)
    try:
        oldest = date.fromisoformat(str((swept or {}).get("day"))) - timedelta(days=KEPT_DAYS)
    except ValueError:
        oldest = newest
    count = min(max((newest - oldest).days, 0), _LONGEST_SWEEP)
    return tuple((newest - timedelta(days=back)).isoformat() for back in range(count, -1, -1))
