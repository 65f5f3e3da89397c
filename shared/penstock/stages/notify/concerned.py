"""Whom an event concerns: the Alerts that ask for it, and that may."""

from collections.abc import Iterable

from penstock.core.errors import Terminal
from penstock.core.flux.alert import Alert, parse_alert
from penstock.core.messages import PLANE
from penstock.core.notify.match import asks_for, forbids_cross_namespace, invalid_patterns, passes_lists
from penstock.core.records import ObjectRecord
from penstock.ports.state import Record
from penstock.stages.notify.case import Case, Concerned
from penstock.stages.notify.outcome import report


def concerned(case: Case) -> Iterable[Concerned]:
    """The Alerts that ask for the event."""
    places = {f"object/{cluster}/Alert/": cluster for cluster in _clusters(case)}
    for place, records in case.deps.state.read(prefixes=list(places)).lists.items():
        yield from ((places[place], alert) for alert in _alerts(places[place], records, case))


def _clusters(case: Case) -> Iterable[str]:
    """The event's cluster; every one of them where it is about the plane's own source or stages."""
    if case.event.cluster not in ("", PLANE):
        return (case.event.cluster,)
    spec = case.plane_document.get("spec")
    return tuple(str(each["name"]) for each in (spec or {}).get("clusters") or ())


def _alerts(cluster: str, records: Iterable[Record], case: Case) -> Iterable[Alert]:
    for record in records:
        try:
            stored = ObjectRecord.from_value(record.value)
            alert = parse_alert(stored.document)
        except Terminal as error:
            case.deps.telemetry.record(
                "alert not usable", cluster=cluster, outcome="failed", reason=error.reason, detail=str(error)
            )
            continue
        if stored.tombstone or not asks_for(alert, case.event, lambda: case.metadata("labels")):
            continue
        if _passes(cluster, alert, case):
            yield alert


def _passes(cluster: str, alert: Alert, case: Case) -> bool:
    """Whether the plane's policy and the Alert's lists let the event pass; what is wrong with them is reported."""
    event = case.event
    if event.namespace not in ("", alert.namespace) and forbids_cross_namespace(case.plane_document, cluster):
        message = f"spec.eventSources: {event.kind} {event.namespace}/{event.name} is of another namespace"
        report(cluster, alert, case, Terminal(f"{message}, and the plane forbids that", reason="AccessDenied"))
        return False
    for path in invalid_patterns(alert):
        report(cluster, alert, case, Terminal(f"{path} is no RE2 expression", reason="InvalidConfig"))
    return passes_lists(alert, event.message)
