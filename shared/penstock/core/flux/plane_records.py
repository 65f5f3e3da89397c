"""What a Plane document means for the plane's records: a pure step, for the command line, ``serve`` and Terraform.

A cluster that leaves the Plane is orphaned: its records go, nothing on the cluster is touched.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from penstock.core.flux import gitrepository, kustomization
from penstock.core.flux.kustomization import parse_kustomization
from penstock.core.flux.plane import (
    DECLARED_BY,
    NAME,
    NAMESPACE,
    Plane,
    PlaneCluster,
    plane_source_document,
    root_kustomization,
)
from penstock.core.messages import PLANE, Message, ReconcileDue, SourceChanged
from penstock.core.records import PLANE_KEY, CopiesRecord, ObjectRecord, PlaneRecord, copies_key, object_key
from penstock.core.resources import Manifest
from penstock.core.sources.index import FAMILIES

CLUSTER_PREFIXES = (
    *("object/", "status/", "delivery/", "receiver/", "hooked/", "copies/", "lease/", "adoption/", "discovered/"),
    *FAMILIES,
)
"""Where the records of a cluster stand: what a caller lists to fill ``existing``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlaneChange:
    """What to write and delete (state keys), and whom to wake afterwards. ``orphaned``: names of removed clusters.

    ``copies``: secrets to delete from the plane's own store, before the records that name them.
    """

    writes: Mapping[str, Mapping[str, Any]]
    deletes: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()
    wake: tuple[Message, ...] = ()
    orphaned: tuple[str, ...] = ()


def plane_records(plane: Plane, document: Manifest, uid: str, existing: Mapping[str, Mapping[str, Any]]) -> PlaneChange:
    """The records that ``document`` (parsed: ``plane``) asks for, against the ones that are there.

    ``uid``: the plane's own, 32 hex digits; ``existing``: key -> value of ``plane`` and of everything below
    CLUSTER_PREFIXES. Records that are right already are not written again.
    """
    wanted: dict[str, Mapping[str, Any]] = {PLANE_KEY: PlaneRecord(uid=uid, document=document).to_value()}
    source_key = object_key(PLANE, gitrepository.KIND, NAMESPACE, NAME)
    wanted[source_key] = _source(plane, existing.get(source_key))
    for cluster in plane.clusters:
        alias_key = object_key(cluster.name, gitrepository.KIND, NAMESPACE, NAME)
        if _is_ours(existing.get(alias_key)):
            wanted[alias_key] = _source(plane, existing.get(alias_key))
        root_key = object_key(cluster.name, kustomization.KIND, NAMESPACE, NAME)
        wanted[root_key] = _root(plane, cluster, existing.get(root_key))
    writes = {key: value for key, value in wanted.items() if existing.get(key) != value}
    orphaned = _orphaned(plane, existing)
    return PlaneChange(
        writes=writes,
        deletes=tuple(sorted(key for key in existing if cluster_of(key) in orphaned)),
        copies=tuple(name for cluster in orphaned for name in _copies(existing.get(copies_key(cluster)))),
        wake=tuple(_wake(plane, writes, source_key, existing)),
        orphaned=orphaned,
    )


def _copies(value: Mapping[str, Any] | None) -> tuple[str, ...]:
    return CopiesRecord.from_value(value).names if value is not None else ()


def _is_ours(value: Mapping[str, Any] | None) -> bool:
    """Whether the implicit source stands there; a repository that declares its own keeps it."""
    return value is None or ObjectRecord.from_value(value).implicit


def _source(plane: Plane, value: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return _raised(plane_source_document(plane), value, implicit=True)


def _root(plane: Plane, cluster: PlaneCluster, value: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if value is not None:
        kept = ObjectRecord.from_value(value).document
        # A repository may declare its own root (with decryption, say), which took this place: it stays while it
        # leads to the same directory.
        own = DECLARED_BY not in (kept["metadata"].get("annotations") or {})
        if own and parse_kustomization(kept).directory == cluster.path:
            return value
    return _raised(root_kustomization(plane, cluster), value, implicit=False)


def _raised(document: Manifest, value: Mapping[str, Any] | None, *, implicit: bool) -> Mapping[str, Any]:
    generation = 1
    if value is not None:
        kept = ObjectRecord.from_value(value)
        generation = kept.generation + (kept.document != document)
    return ObjectRecord(document=document, generation=generation, implicit=implicit).to_value()


def _orphaned(plane: Plane, existing: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    known = {PLANE, "", *(cluster.name for cluster in plane.clusters)}
    return tuple(sorted({cluster_of(key) for key in existing} - known))


def cluster_of(key: str) -> str:
    """The cluster that a record belongs to; "" for records of none."""
    parts = key.split("/")
    place = 2 if parts[0] == "receiver" else 1
    return parts[place] if f"{parts[0]}/" in CLUSTER_PREFIXES and len(parts) > place else ""


def _wake(
    plane: Plane, writes: Mapping[str, Any], source_key: str, existing: Mapping[str, Mapping[str, Any]]
) -> Iterable[Message]:
    """A cluster that is reached otherwise may be another one: everybody looks at it."""
    if source_key in writes or not writes:
        yield SourceChanged(cluster=PLANE, namespace=NAMESPACE, name=NAME)
    before, after = (_reached(each.get(PLANE_KEY)) for each in (existing, {**existing, **writes}))
    for cluster in plane.clusters:
        root = object_key(cluster.name, kustomization.KIND, NAMESPACE, NAME)
        keys = {root} & writes.keys()
        if cluster.name in before and before[cluster.name] != after[cluster.name]:
            keys |= {key for key in existing if key.startswith(f"object/{cluster.name}/{kustomization.KIND}/")}
        for key in sorted(keys, key=lambda key: (key != root, key)):
            _, _, _, namespace, name = key.split("/")
            yield ReconcileDue(cluster=cluster.name, namespace=namespace, name=name, why="request")


def _reached(value: Mapping[str, Any] | None) -> dict[str, Any]:
    """How each cluster of a Plane is reached."""
    spec = PlaneRecord.from_value(value).document["spec"] if value is not None else {}
    return {each["name"]: each.get("kubeConfig") for each in spec.get("clusters") or ()}
