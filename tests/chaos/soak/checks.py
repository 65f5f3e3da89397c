"""What must hold at a quiet point, whatever went wrong before it."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import yaml
from tests.chaos.soak.fleet import (
    CONFIG_MAP,
    FLUX,
    KUSTOMIZATIONS,
    NAMESPACE,
    ROOT,
    Fleet,
    Key,
    path_of,
    stays,
    value_of,
)
from tests.chaos.soak.plane import Plane, Span
from tests.chaos.soak.world import CLUSTER, World

from penstock.core.messages import OWN_SOURCE, PLANE
from penstock.core.records import KustomizationStatus, SourceStatus, status_key

KINDS = {
    "ConfigMap": "/api/v1/configmaps",
    "Secret": "/api/v1/secrets",
    "ServiceAccount": "/api/v1/serviceaccounts",
    "Namespace": "/api/v1/namespaces",
    "Deployment": "/apis/apps/v1/deployments",
    "CustomResourceDefinition": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "Widget": "/apis/soak.example.com/v1/widgets",
}
LABEL = f"{KUSTOMIZATIONS}/name"
STRANGERS = ("stranger", "strangers-child")
KEEPERS = "/api/v1/namespaces/penstock-system/configmaps"
REPEATED = 300.0
"""Seconds within which the same is not told twice."""


def own_name(owner: str) -> str:
    return FLUX if owner == ROOT else owner


def differences(world: World, plane: Plane, fleet: Fleet, head: str) -> Iterator[str]:
    """Between the head and everything else."""
    yield from _cluster(world, fleet)
    with plane.records() as records:
        found = {record.key: record.value for record in records.list("")}
    yield from _records(found, fleet, head)
    yield from _inventories(world, fleet, found)
    if not any(key.startswith(f"receiver/{world.digest}/") for key in found):
        yield "the Receiver is not known by its newest token"


def _cluster(world: World, fleet: Fleet) -> Iterator[str]:
    wanted = {key: (own_name(owned.owner), owned.value) for key, owned in fleet.declared().items()}
    live: dict[Key, tuple[str, str]] = {}
    for kind, path in KINDS.items():
        status, answer = world.call("GET", f"{path}?labelSelector={LABEL.replace('/', '%2F')}")
        for item in answer.get("items", ()) if status == 200 else ():
            metadata = item["metadata"]
            if metadata["name"] not in STRANGERS:
                gone = " (terminating)" if "deletionTimestamp" in metadata else ""
                key = (kind, metadata.get("namespace", ""), metadata["name"])
                live[key] = (metadata["labels"][LABEL], _value(kind, item) + gone)
    for key in sorted(wanted.keys() | live.keys()):
        if wanted.get(key) != live.get(key):
            yield f"{key}: in the cluster {live.get(key)}, of the head {wanted.get(key)}"


def _value(kind: str, live: dict[str, Any]) -> str:
    try:
        return value_of(kind, live)
    except (KeyError, TypeError):
        return "not ours"


def _records(found: dict[str, Any], fleet: Fleet, head: str) -> Iterator[str]:
    looked = found.get(status_key(PLANE, *OWN_SOURCE))
    source = SourceStatus.from_value(looked) if looked else SourceStatus()
    if source.error or not source.revision.endswith(head):
        yield f"the source is at {source.revision or 'nothing'}: {source.error}"
    prefix = f"object/{CLUSTER}/Kustomization/{FLUX}/"
    known = {key.removeprefix(prefix) for key in found if key.startswith(prefix)}
    wanted = {own_name(ROOT), *fleet.members}
    if known != wanted:
        yield f"Kustomizations: known {sorted(known - wanted)}, not known {sorted(wanted - known)}"
    for name in sorted(wanted):
        status = status_of(found, name)
        ready = status.condition("Ready")
        if ready is None or ready.status != "True" or not status.last_applied_revision.endswith(head):
            told = ready and f"{ready.status} {ready.reason}: {ready.message}"
            yield f"{name}: at {status.last_applied_revision[-12:]}: {told}"


def status_of(found: dict[str, Any], name: str) -> KustomizationStatus:
    value = found.get(status_key(CLUSTER, "Kustomization", FLUX, name))
    return KustomizationStatus.from_value(value) if value else KustomizationStatus()


def _inventories(world: World, fleet: Fleet, records: dict[str, Any]) -> Iterator[str]:
    items = world.call("GET", KEEPERS)[1]["items"]
    live = {each["metadata"]["name"]: each["data"] for each in items if "inventory" in each.get("data", {})}
    owners = {f"kustomization.{FLUX}.{own_name(owner)}": owner for owner in (ROOT, *fleet.members)}
    for name in sorted(live.keys() - owners.keys()):
        yield f"inventory {name} of nobody"
    for name, owner in sorted(owners.items()):
        held, wanted = set(yaml.safe_load(live.get(name, {}).get("inventory", "{}"))), fleet.inventory(owner)
        if held != wanted:
            yield f"inventory {name}: too much {sorted(held - wanted)}, too little {sorted(wanted - held)}"
        elif live[name]["digest"] != status_of(records, own_name(owner)).inventory_digest:
            yield f"inventory {name}: another digest than the record's"


def make_strangers(world: World) -> None:
    """Objects of others: one without owner, one of a Kustomization that nobody here knows."""
    labels = {LABEL: "of-somebody-else", f"{KUSTOMIZATIONS}/namespace": FLUX}
    for name, metadata in zip(STRANGERS, ({}, {"labels": labels}), strict=True):
        body = {"metadata": {"name": name, **metadata}, "data": {"a": "b"}}
        status, answer = world.call("POST", f"/api/v1/namespaces/{NAMESPACE}/configmaps", body)
        assert status == 201, answer


def strangers(world: World) -> list[str]:
    """Their uid and version: neither ever changes."""
    found = []
    for name in STRANGERS:
        _, live = world.call("GET", path_of((CONFIG_MAP, NAMESPACE, name)))
        found.append(json.dumps([live["metadata"].get("uid"), live["metadata"].get("resourceVersion")]))
    return found


def untold(world: World, fleet: Fleet, head: str) -> Iterator[str]:
    """Of the last commit, which changed an object of everybody and met no fault: each outcome is told once."""
    told: Counter[str] = Counter()
    for _, event in world.room.told:
        if revision_of(event).endswith(head):
            told[event["involvedObject"]["name"]] += any(
                f"{stays_of(fleet, event)} {what}" in event["message"] for what in ("configured", "created")
            )
    for owner in (ROOT, *fleet.members):
        if told[own_name(owner)] != 1:
            yield f"what became of {own_name(owner)} at {head[:7]} was told {told[own_name(owner)]} times"


def stays_of(fleet: Fleet, event: dict[str, Any]) -> str:
    name = event["involvedObject"]["name"]
    folder = fleet.members[name].folder if name in fleet.members else ROOT
    return f"ConfigMap/{NAMESPACE}/{stays(folder)}"


def revision_of(event: dict[str, Any]) -> str:
    metadata = event.get("metadata") or {}
    return next((value for key, value in metadata.items() if key.endswith("revision")), "")


def told_twice(world: World, excused: Sequence[Span]) -> Iterator[str]:
    """The same words about the same revision; ``excused``: spans of time in which nobody could know (a kill, a restore)."""
    last: dict[tuple[str, ...], float] = {}
    for at, event in world.room.told:
        about = event["involvedObject"]
        key = (about["kind"], about["name"], event["reason"], event["message"], revision_of(event))
        before = last.get(key)
        last[key] = at
        if before is None or at - before > REPEATED:
            continue
        if not any(before - 5 <= end and begin <= at for begin, end in excused):
            yield f"told twice, {at - before:.0f} s apart: {' '.join(key)[:300]}"


def bugs(plane: Plane) -> Iterator[str]:
    """Lines of the plane's own log that no fault excuses."""
    for name, text in plane.logs():
        for line in text.splitlines():
            told = '"where": "' in line and '"where": ""' not in line and '"library warning"' not in line
            if told or "Traceback" in line:
                yield f"{name}: {line[:1500]}"


def stopped_prunes(status: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Whose deletions wait for an approval, and its digest."""
    for each in status.get("objects", ()):
        for condition in each.get("conditions", ()):
            if each["kind"] == "Kustomization" and (found := re.search(r"sha256:[0-9a-f]{64}", condition["message"])):
                yield each["name"], found[0]
