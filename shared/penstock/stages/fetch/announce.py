"""Announcements as events, for people."""

from penstock.core.messages import Event, Outgoing
from penstock.core.records import SourceStatus
from penstock.core.sources.outcome import Announcement, Outcome, rfc3339
from penstock.ports.deps import Deps
from penstock.stages.fetch.ledger import Held

Address = tuple[str, str, str, str, str]
"""Cluster, apiVersion, kind, namespace, name of the object that an event is about."""


def events(held: Held, outcome: Outcome, address: Address, deps: Deps) -> list[Outgoing]:
    """What is due: of an earlier look that may have been cut short, as that one would have said it, and of this one."""
    told = ((held.announcement, held.status), (outcome.announcement, outcome.status))
    return [_event_of(each, address, status, deps) for each, status in told if each is not None]


def _event_of(announcement: Announcement, address: Address, status: SourceStatus, deps: Deps) -> Outgoing:
    cluster, api_version, kind, namespace, name = address
    found = {"revision": status.revision, "digest": status.artifact}
    return Outgoing(
        message=Event(
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
    )
