"""A source's status record, and what it still has to say.

A new observation or a failure is written together with its announcement (``pending``), and the announcement leaves
the record only in a later run: an invocation that is killed between its write and its publishing loses nothing. So
an announcement goes out once or twice, each time with the same id. A message that comes again leaves it there, and
wakes whom the artifact concerns whatever stands there: of two killed one after the other, neither may have published.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from penstock.core.records import SourceStatus
from penstock.core.sources.outcome import BACKSTOP, Announcement, Look, Outcome
from penstock.ports.deps import Deps
from penstock.ports.state import ABSENT, Record


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """A status record as read. ``pending``: an announcement is due; ``announcement``: what people are told, if any.

    ``announced``: the artifact whose wake-ups have certainly gone out, "" where nobody knows.
    """

    key: str
    version: str = ABSENT
    status: SourceStatus = field(default_factory=SourceStatus)
    pending: bool = False
    announcement: Announcement | None = None
    announced: str = ""
    included: tuple[str, ...] = ()
    value: Mapping[str, Any] = field(default_factory=dict)


def load(deps: Deps, key: str) -> Held:
    """The record, or an empty one."""
    return held_of(key, deps.state.get(key))


def held_of(key: str, found: Record | None) -> Held:
    """The same of a record that was read already."""
    if found is None:
        return Held(key=key)
    pending = found.value.get("pending")
    return Held(
        key=key,
        version=found.version,
        status=SourceStatus.from_value(found.value),
        pending=pending is not None,
        announcement=Announcement(**pending) if pending else None,
        announced=str(found.value.get("announced" if pending is not None else "artifact") or ""),
        included=tuple(found.value.get("included") or ()),
        value=found.value,
    )


def save(deps: Deps, held: Held, outcome: Outcome, look: Look, included: Sequence[str] | None = None) -> None:
    """Write an outcome over what was held. Raises Conflict where somebody else wrote first.

    ``included``: digests of the artifacts that were copied into this one; None where it is the same as before.
    """
    news = outcome.announcement
    pending = asdict(news) if news else {} if outcome.changed else None
    if pending is None and held.pending and deps.attempt > 1:  # who wrote it was cut short, and so may be this one
        pending = held.value["pending"]
    due = outcome.due
    if pending is not None:
        backstop = look.now.timestamp() + BACKSTOP
        due = backstop if due is None else min(due, backstop)
    kept = held.included if included is None else included
    value = {**outcome.status.to_value(), "pending": pending, "announced": held.announced, "included": list(kept)}
    deps.state.put(held.key, value, expected=held.version, due=due)


def rest(deps: Deps, held: Held) -> None:
    """Leave the record as it is, but never look again by itself (suspended). Raises Conflict."""
    if held.version != ABSENT:
        deps.state.put(held.key, held.value, expected=held.version)
