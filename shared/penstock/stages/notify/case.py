"""One event that is to be told, and what this run has read of the records."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from penstock.core.errors import PenstockError
from penstock.core.flux.alert import Alert
from penstock.core.messages import Event
from penstock.core.notify import ledger
from penstock.core.notify.notification import repeat_key
from penstock.core.records import PLANE_KEY, ObjectRecord, PlaneRecord, object_key, status_key
from penstock.ports.deps import Deps
from penstock.ports.state import ABSENT, Record

Concerned = tuple[str, Alert]
"""A cluster, and an Alert of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One event, and what all its Alerts share. ``records``: what was read in this run, by key; None is not there."""

    event: Event
    deps: Deps
    records: dict[str, Record | None] = field(default_factory=dict, repr=False)

    @property
    def now(self) -> float:
        """Seconds since 1970."""
        return self.deps.clock.now().timestamp()

    @property
    def plane(self) -> PlaneRecord | None:
        """The Plane; None where none was given yet."""
        record = self.get(PLANE_KEY)
        return PlaneRecord.from_value(record.value) if record else None

    @property
    def plane_document(self) -> Mapping[str, Any]:
        """The Plane's document; empty where none was given yet."""
        return self.plane.document if self.plane else {}

    def get(self, key: str) -> Record | None:
        """A record, as this run has read it first."""
        self.read([key])
        return self.records[key]

    def read(self, keys: Collection[str]) -> None:
        """Read those that this run has not read yet, together."""
        missing = [key for key in dict.fromkeys(keys) if key not in self.records]
        if missing:
            found = self.deps.state.read(missing).records
            self.records.update({key: found.get(key) for key in missing})

    def metadata(self, name: str) -> dict[str, str] | None:
        """``labels`` or ``annotations`` of the event's object; None where the plane has none such."""
        event = self.event
        if not event.namespace:
            return None
        record = self.get(subject_key(event))
        if record is None:
            return None
        return dict(ObjectRecord.from_value(record.value).document["metadata"].get(name) or {})


def keys_of(case: Case, concerned: Sequence[Concerned]) -> list[str]:
    """What telling these asks for."""
    keys = [PLANE_KEY, repeats_key(case), ledger.SWEPT_KEY]
    keys += [subject_key(case.event)] if case.event.namespace else []
    for cluster, alert in concerned:
        keys += [sent_key(cluster, alert, case), provider_key(cluster, alert), outcome_key(cluster, alert)]
    return keys


def subject_key(event: Event) -> str:
    """Of the object that the event is about."""
    return object_key(event.cluster, event.kind, event.namespace, event.name)


def repeats_key(case: Case) -> str:
    """Of what was said last in the event's words."""
    return ledger.repeat_record_key(_day(case), repeat_key(case.event))


def sent_key(cluster: str, alert: Alert, case: Case) -> str:
    """Of an Alert's claim to the event."""
    return ledger.sent_key(_day(case), case.event, cluster, f"{alert.namespace}/{alert.name}")


def provider_key(cluster: str, alert: Alert) -> str:
    """Of the Provider that an Alert names."""
    return object_key(cluster, "Provider", alert.namespace, alert.provider)


def outcome_key(cluster: str, alert: Alert) -> str:
    """Of what became of telling an Alert."""
    return status_key(cluster, "Alert", alert.namespace, alert.name)


def _day(case: Case) -> str:
    return ledger.day_of(case.event, case.deps.clock.now().date())


def version_of(found: Record | None) -> str:
    """What a write expects there."""
    return found.version if found else ABSENT


def settle(write: Callable[[], object], case: Case) -> None:
    """A record whose loss only costs a repetition: the notification itself is not undone for it."""
    try:
        write()
    except PenstockError as error:
        case.deps.telemetry.record("notification not recorded", reason=error.reason, detail=str(error))
