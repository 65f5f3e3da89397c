"""A source's status record, and what it still has to say.

A new observation or a failure is written together with the mark that it is to be said (``pending``) and with its events
(``outbox``, of which ``unsaid`` are new); a later run, which the due index brings, says it once more and notes that it
was said (``told``). An invocation that is killed between its write and its publishing, the first one or that later
one, loses nothing: its message comes again, and a delivery that is not its message's first one says all that is on
record. So an announcement goes out once or twice, more often after a kill, each time under the same id.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from penstock.core.messages import Event
from penstock.core.reconcile.outbox import KEPT, Entry, events_of, with_events
from penstock.core.records import SourceStatus
from penstock.core.sources.outcome import BACKSTOP, Announcement, Look, Outcome
from penstock.ports.deps import Deps
from penstock.ports.state import ABSENT, Record, Value

MOST_SINCE = 4
"""Artifacts of pushes within a minute that are kept apart."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """A status record as read. ``pending``: an announcement is due; ``announcement``: what people are told, if any.

    ``announced``: the artifact whose wake-ups have certainly gone out, "" where nobody knows; ``since``: those after it
    whose wake-ups may have gone out, too; ``said``: the events that this run publishes.
    """

    key: str
    version: str = ABSENT
    status: SourceStatus = field(default_factory=SourceStatus)
    pending: bool = False
    announcement: Announcement | None = None
    announced: str = ""
    since: tuple[str, ...] = ()
    included: tuple[str, ...] = ()
    value: Mapping[str, Any] = field(default_factory=dict)
    said: tuple[Event, ...] = ()


def load(deps: Deps, key: str) -> Held:
    """The record, or an empty one."""
    return held_of(deps, key, deps.state.get(key))


def held_of(deps: Deps, key: str, found: Record | None) -> Held:
    """The same of a record that was read already."""
    if found is None:
        return Held(key=key)
    value = found.value
    to_say = value.get("pending") if value.get("told") is None or _doubted(value, deps) else None
    status = SourceStatus.from_value(value)
    announced, since = _seen(value, status) if to_say is not None else (status.artifact, ())
    return Held(
        key=key,
        version=found.version,
        status=status,
        pending=to_say is not None,
        announcement=Announcement(**to_say) if to_say else None,
        announced=announced,
        since=since,
        included=tuple(value.get("included") or ()),
        value=value,
    )


def _seen(value: Value, status: SourceStatus) -> tuple[str, tuple[str, ...]]:
    """Of a record with something to say: what was certainly announced, and what may have been since then.

    Whoever was woken by one of these may stand there: each is compared with the newest. Nobody knows that where they
    are many, or a release has written the record that did not note them.
    """
    since = value.get("since")
    if since is None or len(since) >= MOST_SINCE:
        return "", ()
    announced = str(value.get("announced") or "")
    return announced, tuple(each for each in dict.fromkeys([*since, status.artifact]) if each not in ("", announced))


def unpublished(held: Held, deps: Deps) -> list[Event]:
    """Events on record that may not have come to be published."""
    entries = held.value.get("outbox") or ()
    if deps.attempt == 1:
        new = int(held.value.get("unsaid") or 0) if held.pending else 0
        entries = entries[max(0, len(entries) - new) :]
    return events_of(entries, deps.clock.now().timestamp())


def save(deps: Deps, held: Held, outcome: Outcome, look: Look, included: Sequence[str] | None = None) -> None:
    """Write an outcome over what was held. Raises Conflict where somebody else wrote first.

    ``included``: digests of the artifacts that were copied into this one; None where it is the same as before.
    """
    now = look.now.timestamp()
    saying = _saying(deps, held, outcome, now)
    due = outcome.due
    if saying["pending"] is not None and saying["told"] is None:
        due = now + BACKSTOP if due is None else min(due, now + BACKSTOP)
    kept = held.included if included is None else included
    outbox = with_events(held.value.get("outbox") or (), held.said, now)
    beside = {"included": list(kept), "outbox": list(outbox), "unsaid": _unsaid(deps, held, saying, outbox)}
    value = {**outcome.status.to_value(), **saying, **beside}
    deps.state.put(held.key, value, expected=held.version, due=due)


def _saying(deps: Deps, held: Held, outcome: Outcome, now: float) -> dict[str, Any]:
    """What of the record tells the next run whether it has something to say."""
    news = outcome.announcement
    if news or outcome.changed:
        return {"pending": asdict(news) if news else {}, **_noted(held), "told": None}
    before = {name: held.value.get(name) for name in ("pending", "announced", "since", "told")}
    if held.pending:
        return {**before, "told": now if deps.attempt == 1 else None}
    if before["told"] is not None and now < float(before["told"]) + KEPT:
        return before
    return {"pending": None, **_noted(held), "told": None}


def _noted(held: Held) -> dict[str, Any]:
    return {"announced": held.announced, "since": list(held.since)}


def _unsaid(deps: Deps, held: Held, saying: Mapping[str, Any], outbox: Sequence[Entry]) -> int:
    """How many of the newest events nobody has noted as told."""
    if saying["pending"] is None or saying["told"] is not None:
        return 0
    if deps.attempt > 1:
        return len(outbox)
    known = {entry["event"]["id"] for entry in held.value.get("outbox") or ()}
    before = int(held.value.get("unsaid") or 0) if held.pending else 0
    return before + sum(event.id not in known for event in held.said)


def _doubted(value: Mapping[str, Any], deps: Deps) -> bool:
    """Whether the run that noted ``told`` may be the one that was killed before it had said anything."""
    return deps.attempt > 1 and deps.clock.now().timestamp() < float(value["told"]) + KEPT


def rest(deps: Deps, held: Held) -> None:
    """Leave the record as it is, but never look again by itself (suspended). Raises Conflict."""
    if held.version != ABSENT:
        deps.state.put(held.key, held.value, expected=held.version)
