"""Announcements as events, for people."""

from penstock.core.messages import Event, Outgoing
from penstock.core.records import SourceStatus
from penstock.core.sources.outcome import Announcement, rfc3339
from penstock.ports.deps import Deps


def event_of(
    announcement: Announcement, address: tuple[str, str, str, str, str], status: SourceStatus, deps: Deps
) -> Outgoing:
    """The event. ``address``: cluster, apiVersion, kind, namespace, name of the object that it is about."""
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
