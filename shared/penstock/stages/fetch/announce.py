"""Announcements as events, for people."""

from dataclasses import replace

from penstock.core.messages import Event, Outgoing
from penstock.core.records import SourceStatus
from penstock.core.sources.outcome import Announcement, Outcome, rfc3339
from penstock.ports.deps import Deps
from penstock.stages.fetch.ledger import Held, unpublished

Address = tuple[str, str, str, str, str]
"""Cluster, apiVersion, kind, namespace, name of the object that an event is about."""


def saying(held: Held, outcome: Outcome, address: Address, deps: Deps) -> Held:
    """With the events that are due: of earlier looks that may have been cut short, and of this one."""
    told = ((held.announcement, held.status), (outcome.announcement, outcome.status))
    made = [_event_of(each, address, status, deps) for each, status in told if each is not None]
    found = {
        event.id: event for event in (*made, *unpublished(held, deps))
    }  # on record with the time of its first look
    return replace(held, said=tuple(found.values()))


def events(held: Held) -> list[Outgoing]:
    """What this run says, as messages."""
    return [Outgoing(message=event) for event in held.said]


def _event_of(announcement: Announcement, address: Address, status: SourceStatus, deps: Deps) -> Event:
    cluster, api_version, kind, namespace, name = address
    found = {"revision": status.revision, "digest": status.artifact}
    return Event(
        id=announcement.id,
        cluster=cluster,
        api_version=api_version,
        kind=kind,
        namespace=namespace,
        name=name,
        severity=announcement.severity,
        reason=announcement.reason,
        message=announcement.message,
        timestamp=rfc3339(deps.clock.now()),
        metadata={key: value for key, value in found.items() if value},
    )
