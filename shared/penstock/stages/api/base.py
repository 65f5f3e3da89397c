"""What a diff starts from: the records of one Kustomization, as far as rendering and comparing it elsewhere needs them.

Its own document and status, its source and what it rendered of Flux objects (what may be secret in those masked), and
of all others only who they are and which objects they rendered. Documents of others, their variables and patches, stay.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from penstock.core.errors import NotFound
from penstock.core.flux.kustomization import KIND
from penstock.core.http import HttpResponse, json_response
from penstock.core.messages import PLANE
from penstock.core.reconcile.masked import Mask, masking_key
from penstock.core.records import (
    PLANE_KEY,
    KustomizationStatus,
    ObjectRecord,
    PlaneRecord,
    approval_key,
    object_key,
    status_key,
)
from penstock.core.secrets.names import API_TOKEN
from penstock.core.tree import Inputs, MemoryTree
from penstock.ports.deps import Deps
from penstock.stages.api.query import Query

_OF_OTHERS = ("interval", "path", "prune", "sourceRef", "suspend")
_RENDERED = Inputs().digest(MemoryTree({}))


def base(query: Query, deps: Deps) -> HttpResponse:
    """200 with ``records``: key -> value. Raises NotFound where the plane does not know the Kustomization."""
    target = query.cluster, query.namespace, query.name
    held = deps.state.get(object_key(target[0], KIND, *target[1:]))
    if held is None:
        raise NotFound(
            f"{KIND} {query.namespace}/{query.name} is not known in cluster {query.cluster}: GET /status lists what is"
        )
    return json_response(200, {"records": dict(_records(target, ObjectRecord.from_value(held.value), deps))})


def _records(target: tuple[str, str, str], record: ObjectRecord, deps: Deps) -> Iterator[tuple[str, Mapping[str, Any]]]:
    cluster, namespace, name = target
    yield object_key(cluster, KIND, namespace, name), record.to_value()
    for key in (status_key(cluster, KIND, namespace, name), approval_key(*target)):
        if (found := deps.state.get(key)) is not None:
            yield key, found.value
    yield PLANE_KEY, _plane(cluster, deps)
    mask = Mask(key=masking_key((deps.secrets.get(API_TOKEN) or {}).get("token", b"").strip()))
    yield from _source(cluster, record, deps, mask)
    for each in deps.state.list(f"object/{cluster}/"):
        _, _, kind, *where = each.key.split("/")
        other = ObjectRecord.from_value(each.value)
        if other.parent == f"{namespace}/{name}":
            yield each.key, replace(other, document=mask.flux(other.document)).to_value()
        elif kind == KIND and where != [namespace, name]:
            yield each.key, _other(other).to_value()
        if kind == KIND and where != [namespace, name]:
            held = deps.state.get(status_key(cluster, KIND, *where))
            if held is not None:
                yield held.key, _other_status(KustomizationStatus.from_value(held.value)).to_value()


def _plane(cluster: str, deps: Deps) -> Mapping[str, Any]:
    """The Plane document with this one cluster."""
    held = deps.state.get(PLANE_KEY)
    if held is None:
        raise NotFound("there is no Plane document yet: `penstock plane apply -f penstock.yaml`")
    plane = PlaneRecord.from_value(held.value)
    spec = plane.document["spec"]
    alone = [each for each in spec.get("clusters") or () if each.get("name") == cluster]
    return replace(plane, document={**plane.document, "spec": {**spec, "clusters": alone}}).to_value()


def _source(cluster: str, record: ObjectRecord, deps: Deps, mask: Mask) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The record of its source, and the source's status (the plane's own source has both under PLANE)."""
    ref = (record.document.get("spec") or {}).get("sourceRef") or {}
    namespace = str(ref.get("namespace") or record.document["metadata"].get("namespace") or "")
    kind, name = str(ref.get("kind") or ""), str(ref.get("name") or "")
    for place in (cluster, PLANE):
        where = place, kind, namespace, name
        if (found := deps.state.get(object_key(*where))) is not None:
            known = ObjectRecord.from_value(found.value)
            yield found.key, replace(known, document=mask.flux(known.document)).to_value()
        if (found := deps.state.get(status_key(*where))) is not None:
            yield found.key, found.value


def _other(record: ObjectRecord) -> ObjectRecord:
    """Somebody else's document, as far as it says who it is and what it looks at; no variables, no patches."""
    spec = record.document.get("spec") or {}
    kept = {name: spec[name] for name in _OF_OTHERS if name in spec}
    metadata = {name: record.document["metadata"].get(name) for name in ("name", "namespace")}
    return replace(record, document={**record.document, "metadata": metadata, "spec": kept}, account="")


def _other_status(status: KustomizationStatus) -> KustomizationStatus:
    """What it rendered, and whether it is ready; it counts as having rendered whatever there is to render."""
    summary = {name: status.summary[name] for name in ("flags", "interpreted") if name in status.summary}
    return KustomizationStatus(
        conditions=tuple(replace(each, message="") for each in status.conditions if each.type == "Ready"),
        observed_generation=status.observed_generation,
        inputs=Inputs(),
        inputs_digest=_RENDERED,
        rendered=status.rendered,
        rendered_revision=status.rendered_revision,
        inventory=status.inventory if status.ready() else (),
        summary=summary,
    )
