"""Kustomizations that left Git while the plane's records were lost: only their inventories in the cluster know them.

Looked for once after a loss, when everybody has rendered and stored their children. What is in no record becomes a
tombstone, made of what its inventory keeps; its objects are deleted only when somebody approves exactly those.
One that applied to another cluster (``spec.kubeConfig``) is found by what names it at home (pointer.py).
"""

from collections.abc import Collection, Sequence
from functools import partial

from penstock.core.errors import Conflict, PenstockError, Refused
from penstock.core.flux.kustomization import parse_kustomization
from penstock.core.messages import Outgoing
from penstock.core.reconcile.inventory import NAMESPACE, Inventory, from_config_map
from penstock.core.reconcile.standing import standing
from penstock.core.records import FORMAT, ObjectRecord, discovered_key, object_key, removed_record
from penstock.core.resources import Manifest
from penstock.ports.cluster import Cluster
from penstock.ports.state import ABSENT
from penstock.stages.reconcile.attempt import KIND, Attempt, objects, wake_up
from penstock.stages.reconcile.due import renders_unknown
from penstock.stages.reconcile.index import object_entries, write_indexed
from penstock.stages.reconcile.ledger import GVK
from penstock.stages.reconcile.parentage import rendered_elsewhere

OURS = "app.kubernetes.io/managed-by=penstock"


def discover(attempt: Attempt, keeper: Cluster) -> list[Outgoing]:
    """Tombstones for what no record knows, and who is woken by that; nothing where it was looked for before."""
    state, key = attempt.deps.state, discovered_key(attempt.cluster)
    if state.get(key) is not None or renders_unknown(attempt):
        return []
    known = objects(attempt.deps, attempt.cluster, KIND)
    there = (_unknown_one(attempt, manifest) for manifest in _inventories(attempt, keeper))
    unknown = [found for found in there if found is not None and _name(found) not in known]
    if not unknown:
        state.put(key, {"format": FORMAT}, expected=None)
        return []
    mine = frozenset(standing(attempt.status).interpreted)
    names = {f"{KIND}/{_name(each)}" for each in unknown}
    if names & (mine | rendered_elsewhere(attempt).keys()):
        return _stored_again(attempt, names & mine)
    messages = [out for each in unknown for out in _bury(attempt, each)]
    state.put(key, {"format": FORMAT}, expected=None)
    return messages


def _stored_again(attempt: Attempt, lost: Collection[str]) -> list[Outgoing]:
    """The records were lost in the middle of this run: who renders them stores those that it had stored before."""
    if not lost or attempt.message.why == "again":
        return []
    return [wake_up(attempt, attempt.ref, "again")]


def _inventories(attempt: Attempt, keeper: Cluster) -> Sequence[Manifest]:
    """All of penstock's in the cluster; none where they may not be listed, which stops nothing else."""
    try:
        return keeper.list(GVK, namespace=NAMESPACE, label_selector=OURS).items
    except Refused as refused:
        attempt.deps.telemetry.record(
            "inventories not listed", stage="reconcile", cluster=attempt.cluster, reason=refused.reason
        )
        return ()


def _unknown_one(attempt: Attempt, manifest: Manifest) -> ObjectRecord | None:
    """The tombstone of an inventory of this plane and cluster; None for another's, or one that tells too little."""
    owner = str((manifest.get("data") or {}).get("owner") or "")
    if not owner.startswith(f"{attempt.uid}/{attempt.cluster}/"):
        return None
    try:
        inventory: Inventory = from_config_map(manifest)
        record = removed_record(inventory.removal)
        parse_kustomization(record.document)
    except (PenstockError, KeyError, TypeError) as error:
        attempt.deps.telemetry.record(
            "inventory of nobody", stage="reconcile", cluster=attempt.cluster, name=owner, reason=type(error).__name__
        )
        return None
    return record if owner.endswith(f"/{attempt.cluster}/{_name(record)}") else None


def _bury(attempt: Attempt, record: ObjectRecord) -> list[Outgoing]:
    namespace, _, name = _name(record).partition("/")
    try:
        key, entries = (
            object_key(attempt.cluster, KIND, namespace, name),
            object_entries(attempt.cluster, KIND, _name(record), record),
        )
        put = partial(attempt.deps.state.put, key, record.to_value(), expected=ABSENT)
        write_indexed(attempt.deps.state, adds=entries, removes=(), write=put)
    except Conflict:
        return []  # it was declared just now
    return [wake_up(attempt, _name(record), "removed")]


def _name(record: ObjectRecord) -> str:
    metadata = record.document["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}"
