"""What a Kustomization has applied: ids in Flux's own format, and the object in which they are kept.

The inventory lives in the target cluster as ConfigMap ``penstock-system/kustomization.<namespace>.<name>``, next to
what it describes and visible to kubectl. Ids are ``<namespace>_<name>_<group>_<Kind>`` (a ``:`` in RBAC names is
written ``__``), each with its version: the format of ``status.inventory`` of Flux (flux-core §3.7).
"""

import base64
import hashlib
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock.core.errors import Terminal
from penstock.core.messages import MOST_OBSERVATION
from penstock.core.resources import Gvk, Manifest, ObjectRef

NAMESPACE = "penstock-system"
FORMAT = "1"
COMPRESS_ABOVE = 512 * 1024
MOST_BYTES = 900 * 1024
MOST_EXPANDED = 64 * 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Owner:
    """Whose an inventory is: one Kustomization of one cluster of one plane."""

    plane: str
    cluster: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """``plane/cluster/namespace/name``."""
        return f"{self.plane}/{self.cluster}/{self.namespace}/{self.name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Inventory:
    """``entries``: object -> version (``v1``), of everything applied and not yet known to be gone.

    ``removal``: what deleting them needs to know should the plane's records be lost (core.records.removal_facts).
    """

    owner: str
    entries: Mapping[ObjectRef, str] = field(default_factory=dict)
    revision: str = ""
    observation: int = 0
    resource_version: str = ""
    uid: str = ""
    removal: Mapping[str, Any] = field(default_factory=dict)

    def ids(self) -> tuple[str, ...]:
        """The entries as sorted ``id@version`` texts: what the digest and the plane's copy are made of."""
        return entry_texts(self.entries)

    def digest(self) -> str:
        """``sha256:<hex>`` over the ids."""
        return ids_digest(self.ids())


def entry_texts(entries: Mapping[ObjectRef, str]) -> tuple[str, ...]:
    """Sorted ``id@version`` texts of entries."""
    return tuple(sorted(f"{object_id(ref)}@{version}" for ref, version in entries.items()))


def ids_digest(ids: tuple[str, ...]) -> str:
    """``sha256:<hex>`` of sorted ids."""
    return "sha256:" + hashlib.sha256("\n".join(ids).encode()).hexdigest()


def object_id(ref: ObjectRef) -> str:
    """``<namespace>_<name>_<group>_<Kind>``."""
    return f"{ref.namespace}_{ref.name.replace(':', '__')}_{ref.group}_{ref.kind}"


def parse_object_id(text: str) -> ObjectRef:
    """The object of an id; read from both ends, since names may hold ``__``. Raises Terminal."""
    namespace, found, rest = text.partition("_")
    head, also, kind = rest.rpartition("_")
    name, thirdly, group = head.rpartition("_")
    if not (found and also and thirdly and name and kind):
        raise Terminal(f"{text!r} is not an inventory id", reason="InventoryUnreadable")
    return ObjectRef(group=group, kind=kind, namespace=namespace, name=name.replace("__", ":"))


def parse_ids(ids: tuple[str, ...]) -> dict[ObjectRef, str]:
    """Entries of ``id@version`` texts. Raises Terminal."""
    entries = {}
    for text in ids:
        identity, _, version = text.rpartition("@")
        entries[parse_object_id(identity)] = version
    return entries


def inventory_name(namespace: str, name: str) -> str:
    """The ConfigMap's (and the Lease's) name; one that would be too long ends in a hash."""
    plain = f"kustomization.{namespace}.{name}"
    if len(plain) <= 253:
        return plain
    return f"{plain[:212]}-{hashlib.sha256(plain.encode()).hexdigest()[:40]}"


def is_keepers(ref: ObjectRef) -> bool:
    """Whether it is one of the objects in which planes keep inventories and Leases: no manifest may write it."""
    kept = (ref.group, ref.kind) in (("", "ConfigMap"), ("coordination.k8s.io", "Lease"))
    return kept and ref.namespace == NAMESPACE and ref.name.startswith("kustomization.")


def holds_inventories(ref: ObjectRef) -> bool:
    """Whether inventories would go with it, though a manifest may well make it: it is never pruned."""
    return is_keepers(ref) or (ref.group, ref.kind, ref.name) == ("", "Namespace", NAMESPACE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """What ``kubectl get cm -n penstock-system -L …`` shows beside the inventory. Conditions in Flux's words."""

    ready: str = "Unknown"
    suspended: bool = False
    message: str = ""
    conditions: tuple[Mapping[str, str], ...] = ()
    history: tuple[Mapping[str, Any], ...] = ()
    last_applied_revision: str = ""


def to_config_map(inventory: Inventory, owner: Owner, shown: Shown) -> Manifest:
    """The ConfigMap that holds an inventory. Raises Terminal where even compressed it is too large."""
    body = json.dumps(list(inventory.ids()), separators=(",", ":")).encode()
    data = {
        "format": FORMAT,
        "owner": inventory.owner,
        "revision": inventory.revision,
        "lastAppliedRevision": shown.last_applied_revision,
        "lastAttemptedRevision": inventory.revision,
        "observation": str(inventory.observation),
        "digest": inventory.digest(),
        "conditions": json.dumps(list(shown.conditions), indent=1),
        "history": json.dumps(list(shown.history), indent=1),
    }
    if inventory.removal:
        data["removal"] = json.dumps(inventory.removal, sort_keys=True, separators=(",", ":"))
    binary = {}
    if len(body) <= COMPRESS_ABOVE:
        data["inventory"] = body.decode()
    else:
        packed = zlib.compress(body, 6)
        if len(packed) > MOST_BYTES:
            raise Terminal(
                f"the inventory of {len(inventory.entries)} objects takes {len(packed)} bytes compressed, "
                f"over {MOST_BYTES}: split the Kustomization"
            )
        binary["inventory.z"] = base64.b64encode(packed).decode()
    metadata: Manifest = {
        "name": inventory_name(owner.namespace, owner.name),
        "namespace": NAMESPACE,
        "labels": {
            "app.kubernetes.io/managed-by": "penstock",
            "penstock.dev/kustomization-namespace": label_value(owner.namespace),
            "penstock.dev/kustomization-name": label_value(owner.name),
            "penstock.dev/ready": shown.ready,
            "penstock.dev/suspended": str(shown.suspended),
            "penstock.dev/revision": label_value(short_revision(inventory.revision)),
        },
        "annotations": {"penstock.dev/message": shown.message[:1024]},
    }
    if inventory.resource_version:
        metadata |= {"resourceVersion": inventory.resource_version, "uid": inventory.uid}
    manifest: Manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
    return manifest | ({"binaryData": binary} if binary else {})


def with_shown(stored: Manifest, shown: Shown, *, attempted: str) -> Manifest:
    """A stored ConfigMap with another status; its inventory stays as it is. ``attempted``: lastAttemptedRevision."""
    metadata = stored["metadata"]
    labels = {**(metadata.get("labels") or {}), "penstock.dev/ready": shown.ready}
    annotations = {**(metadata.get("annotations") or {}), "penstock.dev/message": shown.message[:1024]}
    data = {
        **(stored.get("data") or {}),
        "lastAttemptedRevision": attempted,
        "conditions": json.dumps(list(shown.conditions), indent=1),
        "history": json.dumps(list(shown.history), indent=1),
    }
    return {**stored, "metadata": {**metadata, "labels": labels, "annotations": annotations}, "data": data}


def from_config_map(manifest: Manifest) -> Inventory:
    """The inventory in a ConfigMap.

    Raises Terminal (reason ``InventoryUnreadable``) where it can't be read or its digest doesn't hold: then nothing
    may be pruned.
    """
    data = manifest.get("data") or {}
    if data.get("format") != FORMAT:
        raise _unreadable(f"its format is {data.get('format')!r}, this release reads {FORMAT}")
    try:
        packed = (manifest.get("binaryData") or {}).get("inventory.z")
        body = _expanded(base64.b64decode(packed)) if packed else data["inventory"].encode()
        inventory = Inventory(
            owner=data["owner"],
            entries=parse_ids(tuple(json.loads(body))),
            revision=data.get("revision", ""),
            observation=min(max(int(data.get("observation") or 0), 0), MOST_OBSERVATION - 1),
            resource_version=manifest["metadata"].get("resourceVersion", ""),
            uid=manifest["metadata"].get("uid", ""),
            removal=dict(json.loads(data.get("removal") or "{}")),
        )
    except (ValueError, KeyError, TypeError, AttributeError, zlib.error) as error:
        raise _unreadable(f"{type(error).__name__}: {error}") from error
    if inventory.digest() != data.get("digest"):
        raise _unreadable("its digest does not match its entries: somebody edited it")
    return inventory


def short_revision(revision: str) -> str:
    """``main@sha1:<40 hex>`` as ``main@sha1:<8 hex>``: how Flux's tables show it."""
    return re.sub(r"[0-9a-f]{40,128}", lambda found: found.group()[:8], revision)


def label_value(text: str) -> str:
    """Text as a legal label value: other characters become ``-``, 63 at most."""
    return re.sub(r"^[^A-Za-z0-9]+|[^A-Za-z0-9]+$", "", re.sub(r"[^A-Za-z0-9_.-]", "-", text)[:63])


def gvk_of_entry(ref: ObjectRef, version: str) -> Gvk:
    """The Gvk under which an entry is looked up."""
    return Gvk(group=ref.group, version=version, kind=ref.kind)


def _expanded(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    body = unpacker.decompress(packed, MOST_EXPANDED)
    if unpacker.unconsumed_tail:
        raise ValueError(f"expands to more than {MOST_EXPANDED} bytes")
    return body


def _unreadable(problem: str) -> Terminal:
    return Terminal(f"the inventory cannot be read, so nothing is pruned: {problem}", reason="InventoryUnreadable")
