"""What ``GET /status`` says: conditions in Flux's words.

Documents stay inside: they may hold values of substitutions.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from penstock.core.errors import NotFound
from penstock.core.http import HttpResponse, json_response
from penstock.core.messages import PLANE
from penstock.core.records import (
    PLANE_KEY,
    Condition,
    KustomizationStatus,
    ObjectRecord,
    PlaneRecord,
    SourceStatus,
    Suspension,
    status_key,
)
from penstock.core.sources.kinds import FETCHED
from penstock.ports.deps import Deps
from penstock.ports.state import Record

KUSTOMIZATION = "Kustomization"
_KINDS = (*FETCHED, KUSTOMIZATION)


def status(cluster: str, deps: Deps) -> HttpResponse:
    """Every source and Kustomization of one cluster, or ("") of all of them. Raises NotFound for another cluster.

    The plane's own source is listed once, under cluster ``-``; asked for one cluster, as that cluster sees it.
    """
    plane = deps.state.get(PLANE_KEY)
    held = PlaneRecord.from_value(plane.value) if plane else None
    names = [str(each.get("name")) for each in (held.document["spec"].get("clusters") or ())] if held else []
    if cluster not in ("", PLANE, *names):
        raise NotFound(f"the plane has no cluster {cluster[:253]!r}: its clusters are {', '.join(names) or 'none yet'}")
    rows = [
        row
        for kind in (_KINDS if cluster else ("",))
        for record in deps.state.list(f"object/{cluster}/{kind}/" if cluster else "object/")
        if (row := _row(record, deps, alone=bool(cluster)))
    ]
    rows.sort(key=lambda row: (row["kind"], row["cluster"], row["namespace"], row["name"]))
    return json_response(200, {"plane": held.uid if held else None, "objects": rows})


def is_suspended(record: ObjectRecord, switch: Suspension | None, now: datetime) -> bool:
    """Whether its document, or somebody's switch that has not run out, holds it."""
    return suspended_in_source(record) or is_in_force(switch, now)


def suspended_in_source(record: ObjectRecord) -> bool:
    """Whether ``spec.suspend`` is true."""
    return bool((record.document.get("spec") or {}).get("suspend"))


def is_in_force(switch: Suspension | None, now: datetime) -> bool:
    """Whether there is a switch that has not run out."""
    return switch is not None and (not switch.until or now < datetime.fromisoformat(switch.until))


def _row(record: Record, deps: Deps, *, alone: bool) -> dict[str, Any] | None:
    _, cluster, kind, namespace, name = record.key.split("/")
    known = ObjectRecord.from_value(record.value)
    shared = known.implicit and kind in FETCHED and cluster != PLANE
    if kind not in _KINDS or (shared and not alone):
        return None
    held = deps.state.get(status_key(PLANE if shared else cluster, kind, namespace, name))
    value = held.value if held else None
    row: dict[str, Any] = {"cluster": cluster, "kind": kind, "namespace": namespace, "name": name}
    if known.tombstone:
        row["removed"] = True
    more = _source(known, value) if kind in FETCHED else _kustomization(known, value, deps.clock.now())
    return row | more | {"due": held.due if held else None}


def _source(record: ObjectRecord, value: Mapping[str, Any] | None) -> dict[str, Any]:
    found = SourceStatus.from_value(value) if value else SourceStatus()
    return {
        "revision": found.revision,
        "checked": found.last_checked,
        "suspended": suspended_in_source(record),
        "conditions": [_condition(each) for each in found.conditions],
    }


def _kustomization(record: ObjectRecord, value: Mapping[str, Any] | None, now: datetime) -> dict[str, Any]:
    found = KustomizationStatus.from_value(value) if value else KustomizationStatus()
    row: dict[str, Any] = {
        "revision": found.last_applied_revision,
        "attempted": found.last_attempted_revision,
        "suspended": is_suspended(record, found.suspension, now),
        "conditions": [_condition(each) for each in found.conditions],
        "inventory": len(found.inventory),
        "waitingFor": list(found.waiting_for),
    }
    if found.suspension and is_in_force(found.suspension, now):
        switch = found.suspension
        row["suspension"] = {"who": switch.who, "why": switch.why, "since": switch.since, "until": switch.until}
    return row


def _condition(condition: Condition) -> dict[str, str]:
    return {
        "type": condition.type,
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message,
        "since": condition.since,
    }
