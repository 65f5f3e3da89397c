"""The inventory through a run: a union before anything is applied, shrunk after everything is pruned.

It stands in the target cluster; a digest and a copy stand in the plane's records. Where the two disagree (a kill
between two writes, an edit, a restored store) the union of both is restored, and that run prunes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from penstock.core.errors import Conflict, Terminal
from penstock.core.reconcile.inventory import (
    NAMESPACE,
    Inventory,
    Shown,
    from_config_map,
    ids_digest,
    inventory_name,
    parse_ids,
    to_config_map,
)
from penstock.core.records import removal_facts
from penstock.core.resources import Gvk, ObjectRef
from penstock.ports.cluster import Cluster
from penstock.stages.reconcile.attempt import Attempt
from penstock.stages.reconcile.home import create_at_home
from penstock.stages.reconcile.lease import refuse_other_owner

GVK = Gvk(version="v1", kind="ConfigMap")


@dataclass(frozen=True, kw_only=True, slots=True)
class Ledger:
    """``inventory``: as stored (or the union of both copies); ``trusted``: both agree, so pruning is allowed.

    ``stored``: what kubectl users see now, to tell whether a write is needed.
    """

    inventory: Inventory
    trusted: bool
    why_not: str = ""
    stored: Mapping[str, object] | None = None


def load_ledger(cluster: Cluster, attempt: Attempt) -> Ledger:
    """Read it. Raises OwnedByOther where another plane, cluster or Kustomization owns it, unless it is adopted."""
    owner = attempt.owner
    if attempt.shared is not None:
        found = attempt.shared.inventory(cluster, owner.namespace, owner.name)
    else:
        found = cluster.get(GVK, NAMESPACE, inventory_name(owner.namespace, owner.name))
    copy = parse_ids(attempt.status.inventory)
    if found is None:
        empty = Inventory(owner=str(owner), entries=copy)
        missing = "the inventory object is missing in the cluster" if copy else ""
        return Ledger(inventory=empty, trusted=not copy, why_not=missing)
    if not attempt.adopting:
        refuse_other_owner(found, owner)
    metadata = found["metadata"]
    try:
        inventory = from_config_map(found)
    except Terminal as error:
        restored = Inventory(
            owner=str(owner), entries=copy, resource_version=metadata["resourceVersion"], uid=metadata["uid"]
        )
        return Ledger(inventory=restored, trusted=False, why_not=str(error))
    if inventory.owner != str(owner):
        ours = replace(inventory, owner=str(owner), observation=0)  # another plane counts its own observations
        return Ledger(inventory=ours, trusted=False, why_not="it is adopted in this run")
    known = attempt.status.inventory_digest
    if known and known != inventory.digest():
        both = replace(inventory, entries={**copy, **inventory.entries})
        return Ledger(inventory=both, trusted=False, why_not="the cluster's inventory and the plane's copy differ")
    return Ledger(inventory=inventory, trusted=True, stored=_shown_part(found))


def inventory_version(cluster: Cluster, attempt: Attempt) -> str:
    """The resourceVersion of the stored inventory, "" where there is none."""
    found = cluster.get(GVK, NAMESPACE, inventory_name(attempt.owner.namespace, attempt.owner.name))
    return str(found["metadata"]["resourceVersion"]) if found is not None else ""


def store_ledger(cluster: Cluster, attempt: Attempt, ledger: Ledger, inventory: Inventory, shown: Shown) -> Ledger:
    """Write it (compare-and-swap), unless the stored object says the same already. Raises Conflict."""
    manifest = to_config_map(
        replace(
            inventory,
            resource_version=ledger.inventory.resource_version,
            uid=ledger.inventory.uid,
            removal=removal_facts(attempt.record),
        ),
        attempt.owner,
        shown,
    )
    if ledger.stored is not None and _shown_part(manifest) == ledger.stored:
        return ledger
    if ledger.inventory.resource_version:
        written = cluster.replace(manifest)
    else:
        try:
            written = create_at_home(cluster, manifest)
        except Conflict as conflict:
            raise Conflict(f"the inventory of {attempt.ref} appeared meanwhile") from conflict
    stored = replace(
        inventory,
        resource_version=written["metadata"]["resourceVersion"],
        uid=written["metadata"]["uid"],
    )
    return Ledger(inventory=stored, trusted=ledger.trusted, why_not=ledger.why_not, stored=_shown_part(written))


def union(ledger: Ledger, rendered: Mapping[ObjectRef, str]) -> Inventory:
    """What must be in the inventory before anything of ``rendered`` is applied."""
    return replace(ledger.inventory, entries={**ledger.inventory.entries, **rendered})


def digest_of(inventory: Inventory) -> str:
    """As the plane's copy records it."""
    return ids_digest(inventory.ids())


def _shown_part(manifest: Mapping[str, object]) -> dict[str, object]:
    metadata = manifest.get("metadata") or {}
    data = manifest.get("data") or {}
    assert isinstance(metadata, Mapping)
    assert isinstance(data, Mapping)
    return {
        "data": {key: value for key, value in data.items() if key != "history"},  # it counts runs without news, too
        "binaryData": manifest.get("binaryData"),
        "labels": metadata.get("labels"),
        "annotations": metadata.get("annotations"),
    }
