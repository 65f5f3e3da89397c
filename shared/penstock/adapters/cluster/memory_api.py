"""The state behind memory.py: objects, versions, owners of fields, and what happens when they change.

It acts as an API server does for whatever the port can show, without schemas: nothing is defaulted, and no
unknown field is found.
"""

import base64
import datetime as dt
import threading
import uuid
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock.adapters.cluster.memory_fields import (
    Fields,
    copied,
    fields_of,
    fields_v1,
    is_builtin,
    merge,
    owned,
    remove,
    value_at,
)
from penstock.adapters.cluster.memory_types import builtin_types, custom_types
from penstock.core.errors import Conflict, NotFound
from penstock.core.resources import Gvk, Manifest, ObjectRef, gvk_of, ref_of
from penstock.ports.cluster import ApiRefused, ApplyOptions, ResourceType

HISTORY = 10_000
"""Changes that a watch can start behind."""

Owner = tuple[str, str]  # manager, Apply | Update

_FIXED = "field is immutable"
_SPEC_FIXED = "updates to statefulset spec for fields other than 'replicas', 'template' and some more are forbidden"
_IMMUTABLE: Mapping[str, tuple[tuple[tuple[str, ...], str], ...]] = {
    "Deployment": ((("spec", "selector"), _FIXED),),
    "DaemonSet": ((("spec", "selector"), _FIXED),),
    "StatefulSet": ((("spec", "selector"), _SPEC_FIXED), (("spec", "serviceName"), _SPEC_FIXED)),
    "Job": ((("spec", "selector"), _FIXED), (("spec", "template"), _FIXED)),
    "RoleBinding": ((("roleRef",), "cannot change roleRef"),),
    "ClusterRoleBinding": ((("roleRef",), "cannot change roleRef"),),
}
"""Kind -> fields that cannot change, each with the server's words (not all of them say "immutable")."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One change of one object; ``before`` is None for an added one, ``after`` for a deleted one."""

    version: int
    gvk: Gvk
    before: Manifest | None
    after: Manifest | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """An object and the owners of its fields."""

    object: Manifest
    owners: Mapping[Owner, Fields] = field(default_factory=dict)


class MemoryApi:
    """One API server's objects. Safe to use from several threads; values go in and come out as copies."""

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.history: deque[Change] = deque(maxlen=HISTORY)
        self.version = 0
        self._types = {(t.gvk.group, t.gvk.kind): t for t in builtin_types()}
        self._objects: dict[ObjectRef, Stored] = {}
        for name in ("default", "kube-node-lease", "kube-public", "kube-system"):
            self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, manager="api")

    def find_type(self, group: str, kind: str, version: str) -> ResourceType | None:
        """The served type, of that version or any."""
        found = self._types.get((group, kind))
        return found if found is not None and version in {"", found.gvk.version} else None

    def read(self, ref: ObjectRef) -> Manifest | None:
        """A copy of an object."""
        with self.changed:
            stored = self._objects.get(ref)
            return copied(stored.object) if stored else None

    def select(self, gvk: Gvk, namespace: str) -> list[Manifest]:
        """Copies of a kind's objects, by namespace and name."""
        with self.changed:
            found = [r for r in self._objects if (r.group, r.kind) == (gvk.group, gvk.kind)]
            refs = sorted(r for r in found if namespace in {"", r.namespace})
            return [copied(self._objects[r].object) for r in refs]

    def apply(self, manifest: Manifest, options: ApplyOptions) -> Manifest:
        """Server-side apply (see the port)."""
        sent = _normalised(manifest)
        ref, owner = ref_of(sent), (options.field_manager, "Apply")
        with self.changed:
            self._place(sent)
            stored = self._objects.get(ref)
            _check_preconditions(sent, stored.object if stored else None)
            live = stored.object if stored else {k: sent[k] for k in ("apiVersion", "kind")}
            owners = dict(stored.owners) if stored else {}
            wanted, before = owned(sent), owners.get(owner, frozenset())
            owners = _taken(sent, live, owners, options)
            owners[owner] = wanted
            merged = merge(live, _sendable(sent), builtin=is_builtin(sent))
            others = frozenset[tuple[str, ...]]().union(*owners.values())
            for path in sorted(before - wanted, key=len):
                if not any(other[: len(path)] == path for other in others):
                    merged = remove(merged, path)
            return self._store(ref, merged, owners, stored, dry_run=options.dry_run)

    def create(self, manifest: Manifest, *, manager: str) -> Manifest:
        """Plain POST."""
        sent = _normalised(manifest)
        ref = ref_of(sent)
        with self.changed:
            self._place(sent)
            if ref in self._objects:
                raise Conflict(f"create {ref}: it already exists")
            if sent["metadata"].get("resourceVersion"):
                raise ApiRefused(f"create {ref}: resourceVersion must not be set on objects to be created", code=400)
            return self._store(ref, _sendable(sent), {(manager, "Update"): owned(sent)}, None, dry_run=False)

    def replace(self, manifest: Manifest, *, manager: str) -> Manifest:
        """Plain PUT."""
        given = manifest["metadata"].get("managedFields")
        sent = _normalised(_without_managed_fields(manifest))
        ref, owner = ref_of(sent), (manager, "Update")
        with self.changed:
            self._place(sent)
            stored = self._objects.get(ref)
            if stored is None:
                raise NotFound(f"update {ref}: it does not exist")
            _check_preconditions(sent, stored.object)
            fields = owned(sent)
            same = {p for p in fields if value_at(sent, p) == value_at(stored.object, p)}
            owned_before = _owners(given) if given else stored.owners
            owners = {o: kept & fields & same for o, kept in owned_before.items()}
            owners[owner] = owners.get(owner, frozenset()) | (fields - same)
            kept = {k: v for k, v in stored.object["metadata"].items() if k in _SERVER_FIELDS}
            replaced = _sendable(sent)
            replaced["metadata"] = {**replaced["metadata"], **kept}
            return self._store(ref, replaced, owners, stored, dry_run=False)

    def delete(self, manifest: Manifest) -> bool:
        """Delete with preconditions; an object with finalizers only gets a deletionTimestamp."""
        ref = ref_of(manifest)
        with self.changed:
            stored = self._objects.get(ref)
            if stored is None:
                return False
            _check_preconditions(manifest, stored.object)
            if stored.object["metadata"].get("finalizers"):
                marked = copied(stored.object)
                marked["metadata"].setdefault("deletionTimestamp", _now())
                self._store(ref, marked, stored.owners, stored, dry_run=False)
            else:
                self._drop(ref)
            return True

    def _place(self, sent: Manifest) -> None:
        """NotFound where the kind is not served or the namespace is missing."""
        gvk, metadata = gvk_of(sent), sent["metadata"]
        found = self.find_type(gvk.group, gvk.kind, gvk.version)
        if found is None:
            raise NotFound(f"the cluster does not serve {gvk.api_version} {gvk.kind}")
        namespace = str(metadata.get("namespace") or "")
        if found.namespaced and ObjectRef(kind="Namespace", name=namespace) not in self._objects:
            raise NotFound(f'patch {ref_of(sent)}: namespaces "{namespace}" not found')

    def _store(
        self,
        ref: ObjectRef,
        made: Manifest,
        owners: Mapping[Owner, Fields],
        stored: Stored | None,
        *,
        dry_run: bool,
    ) -> Manifest:
        before = stored.object if stored else None
        _check_immutable(ref, made, before)
        owners = {owner: fields for owner, fields in owners.items() if fields}
        made = _stamped(made, owners, stored)
        metadata = made["metadata"]
        if before is not None and made == before:
            return copied(before)
        if dry_run:
            metadata.setdefault("resourceVersion", str(self.version))
            return made
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            self._drop(ref)
            return made
        self.version += 1
        metadata["resourceVersion"] = str(self.version)
        self._objects[ref] = Stored(object=made, owners=owners)
        self._record(gvk_of(made), before, made)
        if ref.kind == "CustomResourceDefinition":
            self._types |= {(t.gvk.group, t.gvk.kind): t for t in custom_types(made)}
        return copied(made)

    def _drop(self, ref: ObjectRef) -> None:
        gone = self._objects.pop(ref).object
        self.version += 1
        gone = {**gone, "metadata": {**gone["metadata"], "resourceVersion": str(self.version)}}
        self._record(gvk_of(gone), gone, None)
        if ref.kind == "CustomResourceDefinition":
            for each in custom_types(gone):
                self._types.pop((each.gvk.group, each.gvk.kind), None)
                self._drop_all(r for r in self._objects if (r.group, r.kind) == (each.gvk.group, each.gvk.kind))
        if ref.kind == "Namespace" and not ref.group:
            self._drop_all(r for r in self._objects if r.namespace == ref.name)
        self._drop_all(r for r, s in self._objects.items() if _belongs_to(s.object, gone["metadata"]["uid"]))

    def _drop_all(self, refs: Iterable[ObjectRef]) -> None:
        for ref in tuple(refs):
            if ref in self._objects:
                self._drop(ref)

    def _record(self, gvk: Gvk, before: Manifest | None, after: Manifest | None) -> None:
        self.history.append(Change(version=self.version, gvk=gvk, before=before, after=after))
        self.changed.notify_all()


_SERVER_FIELDS = frozenset({"uid", "creationTimestamp", "generation", "deletionTimestamp", "resourceVersion"})


def _taken(
    sent: Manifest, live: Manifest, owners: Mapping[Owner, Fields], options: ApplyOptions
) -> dict[Owner, Fields]:
    """The owners after an apply took its fields; ApiRefused (409) where others hold them and force is off."""
    owner, wanted, force = (options.field_manager, "Apply"), owned(sent), options.force
    clashes = {
        other: frozenset(p for p in fields & wanted if value_at(live, p) != value_at(sent, p))
        for other, fields in owners.items()
        if other != owner
    }
    if not force and any(clashes.values()):
        causes = tuple((_dotted(p), f'conflict with "{o[0]}"') for o, paths in clashes.items() for p in sorted(paths))
        text = "; ".join(f"{message}: .{where}" for where, message in causes)
        raise ApiRefused(
            f"patch {ref_of(sent)}: Apply failed with {len(causes)} conflict(s): {text}", code=409, causes=causes
        )
    return {other: fields - clashes.get(other, frozenset()) for other, fields in owners.items()}


def _owners(entries: Iterable[Mapping[str, Any]]) -> dict[Owner, Fields]:
    """The owners that managedFields name: who writes them back changed, changes the ownership."""
    return {(str(e["manager"]), str(e["operation"])): fields_of(e.get("fieldsV1") or {}) for e in entries}


def _dotted(path: Iterable[str]) -> str:
    return "".join(f".{s[2:]}" if s.startswith("f:") else f"[{s[2:]}]" for s in path).lstrip(".")


def _without_managed_fields(manifest: Manifest) -> Manifest:
    """What a PUT may carry, apart from the object; an apply that carries them is refused."""
    metadata = {k: v for k, v in manifest["metadata"].items() if k != "managedFields"}
    return {**manifest, "metadata": metadata}


def _normalised(manifest: Manifest) -> Manifest:
    """A copy with a Secret's stringData in its data, as the server keeps it."""
    sent = copied(manifest)
    if sent["metadata"].get("managedFields"):
        raise ApiRefused(f"patch {ref_of(sent)}: metadata.managedFields must be nil", code=400)
    if sent.get("kind") == "Secret" and "stringData" in sent:
        encoded = {k: base64.b64encode(str(v).encode()).decode() for k, v in sent.pop("stringData").items()}
        sent["data"] = {**sent.get("data", {}), **encoded}
    return sent


def _sendable(sent: Manifest) -> Manifest:
    """Without what only the server writes."""
    metadata = {k: v for k, v in sent["metadata"].items() if k not in _SERVER_FIELDS and k != "managedFields"}
    return {**sent, "metadata": metadata}


def _check_preconditions(sent: Manifest, live: Manifest | None) -> None:
    """As the real server: a resourceVersion alone does not keep an apply from making a missing object."""
    for key in ("uid", "resourceVersion") if live else ("uid",):
        asked = sent["metadata"].get(key)
        if asked and asked != (live or {"metadata": {}})["metadata"].get(key):
            raise Conflict(f"{ref_of(sent)}: {key} {asked} is not that of the object: it was changed or made anew")


def _check_immutable(ref: ObjectRef, made: Manifest, before: Manifest | None) -> None:
    if before is None:
        return
    frozen = list(_IMMUTABLE.get(ref.kind, ()))
    if ref.kind in {"ConfigMap", "Secret"} and not ref.group and before.get("immutable"):
        frozen += [
            ((name,), "field is immutable when `immutable` is set") for name in ("data", "binaryData", "immutable")
        ]
    for path, message in frozen:
        segments = tuple(f"f:{name}" for name in path)
        if value_at(made, segments) != value_at(before, segments):
            where = ".".join(path)
            raise ApiRefused(f"{ref}: {where}: {message}", code=422, causes=((where, message),))


def _stamped(made: Manifest, owners: Mapping[Owner, Fields], stored: Stored | None) -> Manifest:
    """A copy with what the server writes: managedFields, uid, creation time, generation, first status."""
    made, before = copied(made), stored.object if stored else None
    metadata = made["metadata"]
    metadata["managedFields"] = _managed(owners, stored, str(made["apiVersion"]))
    if before is None:
        metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": _now()}
    if "spec" in made:
        changed = before is not None and made["spec"] != before.get("spec")
        metadata["generation"] = (before["metadata"].get("generation", 1) if before else 1) + changed
    _simulate(made)
    return made


def _managed(owners: Mapping[Owner, Fields], stored: Stored | None, api_version: str) -> list[dict[str, Any]]:
    """The managedFields; an owner whose fields did not change keeps its time."""
    old = {(e["manager"], e["operation"]): e for e in (stored.object["metadata"]["managedFields"] if stored else ())}
    entries = []
    for (manager, operation), fields in owners.items():
        if stored and stored.owners.get((manager, operation)) == fields:
            entries.append(old[(manager, operation)])
            continue
        entry = {"manager": manager, "operation": operation, "apiVersion": api_version, "time": _now()}
        entries.append({**entry, "fieldsType": "FieldsV1", "fieldsV1": fields_v1(fields)})
    return entries


def _simulate(made: Manifest) -> None:
    """What controllers would do at once: namespaces are active, definitions established."""
    if made["kind"] == "Namespace" and made["apiVersion"] == "v1":
        made["status"] = {"phase": "Active"}
    if made["kind"] == "CustomResourceDefinition":
        made["status"] = {"conditions": [{"type": t, "status": "True"} for t in ("NamesAccepted", "Established")]}


def _belongs_to(manifest: Manifest, uid: str) -> bool:
    return any(owner.get("uid") == uid for owner in manifest["metadata"].get("ownerReferences") or ())


def _now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
