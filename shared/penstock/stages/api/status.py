"""What ``GET /status`` says: conditions in Flux's words.

Documents stay inside: they may hold values of substitutions.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from penstock.core.errors import NotFound
from penstock.core.http import HttpResponse, json_response, problem
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
MOST_BYTES = 5 * 1024 * 1024
"""Of an answer: AWS Lambda gives no more than 6 MB."""


def status(cluster: str, deps: Deps) -> HttpResponse:
    """Every source and Kustomization of one cluster, or ("") of all of them. Raises NotFound for another cluster.

    The plane's own source is listed once, under cluster ``-``; asked for one cluster, as that cluster sees it. 413
    where all of it does not fit into one answer.
    """
    plane = deps.state.get(PLANE_KEY)
    held = PlaneRecord.from_value(plane.value) if plane else None
    names = [str(each.get("name")) for each in (held.document["spec"].get("clusters") or ())] if held else []
    if cluster not in ("", PLANE, *names):
        raise NotFound(f"the plane has no cluster {cluster[:253]!r}: its clusters are {', '.join(names) or 'none yet'}")
    shown = sorted(_shown(cluster, deps), key=lambda each: (each.kind, each.cluster, each.namespace, each.name))
    known = deps.state.read([each.status for each in shown]).records
    rows = [_row(each, known.get(each.status), deps.clock.now()) for each in shown]
    answer = json_response(200, {"plane": held.uid if held else None, "objects": rows})
    if len(answer.body) > MOST_BYTES:
        told = f"the status of {len(rows)} objects does not fit into one answer: ask for one cluster (?cluster=NAME)"
        return problem(413, "Content Too Large", told)
    return answer


def is_suspended(record: ObjectRecord, switch: Suspension | None, now: datetime) -> bool:
    """Whether its document, or somebody's switch that has not run out, holds it."""
    return suspended_in_source(record) or is_in_force(switch, now)


def suspended_in_source(record: ObjectRecord) -> bool:
    """Whether ``spec.suspend`` is true."""
    return bool((record.document.get("spec") or {}).get("suspend"))


def is_in_force(switch: Suspension | None, now: datetime) -> bool:
    """Whether there is a switch that has not run out."""
    return switch is not None and (not switch.until or now < datetime.fromisoformat(switch.until))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shown:
    """``status``: the key of its status record."""

    cluster: str
    kind: str
    namespace: str
    name: str
    record: ObjectRecord
    status: str


def _shown(cluster: str, deps: Deps) -> Iterator[_Shown]:
    prefixes = [f"object/{cluster}/{kind}/" for kind in _KINDS] if cluster else ["object/"]
    for records in deps.state.read(prefixes=prefixes).lists.values():
        for held in records:
            _, home, kind, namespace, name = held.key.split("/")
            known = ObjectRecord.from_value(held.value)
            shared = known.implicit and kind in FETCHED and home != PLANE
            if kind in _KINDS and (cluster or not shared):
                key = status_key(PLANE if shared else home, kind, namespace, name)
                yield _Shown(cluster=home, kind=kind, namespace=namespace, name=name, record=known, status=key)


def _row(shown: _Shown, held: Record | None, now: datetime) -> dict[str, Any]:
    value = held.value if held else None
    row: dict[str, Any] = {name: getattr(shown, name) for name in ("cluster", "kind", "namespace", "name")}
    if shown.record.tombstone:
        row["removed"] = True
    more = _source(shown.record, value) if shown.kind in FETCHED else _kustomization(shown.record, value, now)
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
