"""Events that a run has written down with its status, until they are certainly out.

A run is killed between its status and its publishing: its message comes again, finds that everything is done, and
tells what is kept here, under the same ids. Whoever is not killed has published it, and nobody takes it out: it leaves
with the next status that is written after its time. So an ordinary run costs no further write.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from penstock.core.messages import Event

KEPT = 7200.0
"""Seconds: longer than a message waits for its redelivery."""
MOST = 32
MOST_BYTES = 65_536

Entry = Mapping[str, Any]
"""``at``: POSIX seconds; ``event``: the fields of an Event."""


def with_events(entries: Sequence[Entry], events: Iterable[Event], now: float) -> tuple[Entry, ...]:
    """The entries that are still to be kept, and new ones for those events of which there are none; the newest last.

    At most MOST of MOST_BYTES together (the newest stays, whatever its size): the oldest go first.
    """
    before = _kept(entries, now)
    known = {entry["event"]["id"] for entry in before}
    added = [{"at": now, "event": asdict(each)} for each in events if each.id not in known]
    kept: list[Entry] = []
    size = 0
    for entry in reversed([*before, *added]):
        size += len(json.dumps(entry))
        if kept and (size > MOST_BYTES or len(kept) == MOST):
            break
        kept.append(entry)
    return tuple(reversed(kept))


def events_of(entries: Sequence[Entry], now: float) -> list[Event]:
    """The events that are kept, the oldest first."""
    return [Event(**entry["event"]) for entry in _kept(entries, now)]


def _kept(entries: Sequence[Entry], now: float) -> list[Entry]:
    return [entry for entry in entries if now < float(entry["at"]) + KEPT]
