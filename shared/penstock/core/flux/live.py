"""Flux's Kustomizations as they stand in a cluster that Flux reconciles: what they own, and how they are left alone.

``status.inventory`` is in Flux's own format (flux-core §3.7): ``entries[] = {id, v}``, ids as core.reconcile.inventory
reads them.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from penstock.core.errors import Terminal
from penstock.core.flux.components import is_toolkit_group
from penstock.core.flux.kustomization import API_GROUP, KIND
from penstock.core.reconcile.inventory import object_id, parse_object_id
from penstock.core.resources import Manifest, ObjectRef

FLUX_MANAGER = "kustomize-controller"
"""The field manager of what Flux applies."""

MOVED = "penstock.dev/moved-to"
"""Annotation of a Kustomization that a migration suspended in Flux: the owner that has it now."""

WAS_SUSPENDED = "penstock.dev/was-suspended"
"""Annotation beside MOVED: somebody (not Git) had suspended it in Flux before."""


def live_name(live: Manifest) -> str:
    """``namespace/name``."""
    return f"{live['metadata']['namespace']}/{live['metadata']['name']}"


def live_spec(live: Manifest) -> Mapping[str, Any]:
    """Its spec."""
    found: Mapping[str, Any] = live.get("spec") or {}
    return found


def as_document(live: Manifest) -> Manifest:
    """What Git may hold of it: without status, and without what only the API server or a migration writes."""
    metadata = {key: live["metadata"][key] for key in ("name", "namespace")}
    spec = {key: value for key, value in live_spec(live).items() if key != "suspend" or not moved_by(live)}
    return {"apiVersion": live["apiVersion"], "kind": live["kind"], "metadata": metadata, "spec": spec}


def flux_inventory(live: Manifest) -> dict[ObjectRef, str]:
    """What it owns: object -> version. Raises Terminal (``InventoryUnreadable``) for an id that is none."""
    status: Mapping[str, Any] = live.get("status") or {}
    listed = (status.get("inventory") or {}).get("entries") or ()
    return {parse_object_id(str(each.get("id"))): str(each.get("v") or "v1") for each in listed}


def as_flux_inventory(entries: Mapping[ObjectRef, str]) -> dict[str, Any]:
    """Entries in the format of ``status.inventory``."""
    ordered = sorted((object_id(ref), version) for ref, version in entries.items())
    return {"entries": [{"id": identity, "v": version} for identity, version in ordered]}


def applied_revision(live: Manifest) -> str:
    """The revision that Flux applied last, or ""."""
    return str((live.get("status") or {}).get("lastAppliedRevision") or "")


def moved_by(live: Manifest) -> str:
    """The owner that a migration wrote into it, or ""."""
    return str((live["metadata"].get("annotations") or {}).get(MOVED) or "")


def suspended_by_others(live: Manifest) -> bool:
    """Whether somebody else than a migration suspended it, and not its manifest in Git: ``flux suspend`` did, say."""
    if moved_by(live):
        return WAS_SUSPENDED in live["metadata"]["annotations"]
    return bool(live_spec(live).get("suspend")) and not _applied(live, "f:spec", "f:suspend")


def as_suspended(live: Manifest, owner: str) -> Manifest:
    """It, left alone by Flux from now on, and marked as ``owner``'s."""
    annotations = {**(live["metadata"].get("annotations") or {}), MOVED: owner}
    if suspended_by_others(live):
        annotations[WAS_SUSPENDED] = "true"
    metadata = {**live["metadata"], "annotations": annotations}
    return {**live, "metadata": metadata, "spec": {**live_spec(live), "suspend": True}}


def as_given_back(live: Manifest, *, suspend: bool) -> Manifest:
    """It, as Flux's again; ``suspend``: as its manifest in Git has it. Who was suspended by others stays so."""
    held = suspend or suspended_by_others(live)
    annotations = live["metadata"].get("annotations") or {}
    kept = {key: value for key, value in annotations.items() if key not in (MOVED, WAS_SUSPENDED)}
    spec = {key: value for key, value in live_spec(live).items() if key != "suspend"}
    spec |= {"suspend": True} if held else {}
    return {**live, "metadata": {**live["metadata"], "annotations": kept}, "spec": spec}


def in_flight(live: Manifest) -> bool:
    """Whether kustomize-controller is at work on it now: a suspension ends no run that has begun (flux-core §0.1)."""
    conditions = (live.get("status") or {}).get("conditions") or ()
    return any(
        each.get("type") == "Reconciling" and each.get("status") == "True" and each.get("reason") == "Progressing"
        for each in conditions
    )


def rendered_by(live: Manifest) -> tuple[str, ...]:
    """``namespace/name`` of the Kustomizations in its inventory: its children."""
    found = (ref for ref in flux_inventory(live) if (ref.group, ref.kind) == (API_GROUP, KIND))
    return tuple(f"{ref.namespace}/{ref.name}" for ref in found)


def is_flux_object(ref: ObjectRef) -> bool:
    """Whether an object is one of Flux's own kinds, or the definition of one, as far as its name tells."""
    if ref.kind == "CustomResourceDefinition":
        return is_toolkit_group(ref.name.partition(".")[2])
    return is_toolkit_group(ref.group)


def parents_first(found: Mapping[str, Manifest], root: str) -> tuple[str, ...]:
    """The names of ``found`` that ``root`` renders, itself and through its children; each after its parent."""
    order: list[str] = []
    queue = [root]
    while queue:
        name = queue.pop(0)
        if name in order or name not in found:
            continue
        order.append(name)
        queue += sorted(rendered_by(found[name]))
    return tuple(order)


def by_name(items: Iterable[Manifest]) -> dict[str, Manifest]:
    """Live Kustomizations by ``namespace/name``. Raises Terminal for one whose inventory cannot be read."""
    found = {live_name(item): item for item in items}
    for name, item in found.items():
        try:
            flux_inventory(item)
        except Terminal as error:
            raise Terminal(f"Flux's Kustomization {name}: status.inventory: {error}", reason=error.reason) from error
    return found


def _applied(live: Manifest, *path: str) -> bool:
    """Whether Flux's own apply sets a field: then it comes from Git."""
    for entry in live["metadata"].get("managedFields") or ():
        fields: Any = entry.get("fieldsV1") or {}
        for segment in path:
            fields = fields.get(segment) if isinstance(fields, Mapping) else None
        if fields is not None and entry.get("manager") == FLUX_MANAGER:
            return True
    return False
