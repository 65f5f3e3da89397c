"""What became of telling an Alert, for the operator's log and for ``penstock get alerts``."""

from typing import Any

from penstock.core.errors import Conflict, PenstockError, Transient
from penstock.core.flux.alert import Alert
from penstock.core.records import DeliveryRecord
from penstock.ports.state import Record, Value
from penstock.stages.notify.case import Case, outcome_key, settle, version_of


def report(cluster: str, alert: Alert, case: Case, error: PenstockError | None) -> None:
    """The outcome, for the operator's log and for ``penstock get alerts``."""
    common: dict[str, Any] = {
        "cluster": cluster,
        "kind": "Alert",
        "namespace": alert.namespace,
        "name": alert.name,
        "trace": case.deps.trace,
        "event": case.event.id,
    }
    if error is None:
        case.deps.telemetry.record("notification sent", **common, outcome="ok")
    else:
        outcome = "retry" if isinstance(error, Transient) else "failed"
        case.deps.telemetry.record(
            "notification failed", **common, outcome=outcome, reason=error.reason, detail=str(error)
        )
    settle(lambda: _write_status(cluster, alert, case, error), case)


def _write_status(cluster: str, alert: Alert, case: Case, error: PenstockError | None) -> None:
    key = outcome_key(cluster, alert)
    found = case.get(key)
    try:
        case.records[key] = case.deps.state.put(key, _after(found, case, error), expected=version_of(found))
    except Conflict:  # another event's outcome was written meanwhile
        found = case.deps.state.get(key)
        case.deps.state.put(key, _after(found, case, error), expected=version_of(found))


def _after(found: Record | None, case: Case, error: PenstockError | None) -> Value:
    before = DeliveryRecord.from_value(found.value) if found else DeliveryRecord()
    now = case.deps.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    after = DeliveryRecord(
        delivered_at=before.delivered_at if error else now,
        delivered_event=before.delivered_event if error else case.event.reason,
        refused_at=now if error else before.refused_at,
        refused_reason=f"{error.reason}: {error}" if error else before.refused_reason,
    )
    return after.to_value()
