"""What is live: a paginated LIST per kind and owner label, not a request per object."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from penstock.core.errors import InvalidDocument, NotFound, Refused
from penstock.core.reconcile.normalise import NAME_LABEL, NAMESPACE_LABEL
from penstock.core.resources import Gvk, Manifest, ObjectRef, gvk_of, ref_of
from penstock.ports.cluster import Cluster
from penstock.stages.reconcile.parallel import parallel
from penstock.stages.reconcile.shared import SharedReads

LIST_ABOVE = 6
"""So many objects of a kind and namespace that the owner label didn't find are read by one LIST, not one by one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Live:
    """``objects``: every wanted object, None where it doesn't exist.

    ``unserved``: kinds that the cluster does not serve now: nobody knows whether their objects exist.
    """

    objects: Mapping[ObjectRef, Manifest | None]
    unserved: frozenset[Gvk] = frozenset()


def owner_selector(namespace: str, name: str) -> str:
    """The label selector of what a Kustomization applied."""
    return f"{NAME_LABEL}={name},{NAMESPACE_LABEL}={namespace}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """Whose objects are read. ``owner``: ``namespace/name``; ``shared``: reads of a sweep.

    ``first``: it has applied nothing so far, so no object carries its labels.
    """

    owner: str
    shared: SharedReads | None = None
    first: bool = False

    @property
    def selector(self) -> str:
        """Of what it applied."""
        return owner_selector(*self.owner.split("/"))

    def owned(self, cluster: Cluster, gvk: Gvk) -> Sequence[Manifest]:
        """What carries its labels."""
        if self.shared is not None:
            return self.shared.owned(cluster, gvk, self.owner)
        return cluster.list(gvk, label_selector=self.selector).items


def read_live(cluster: Cluster, wanted: Mapping[ObjectRef, str], reading: Reading) -> Live:
    """The live state of ``wanted`` (object -> version).

    Where a cluster-wide LIST is forbidden it is made per namespace, and where that is too, object by object.
    """
    kinds: dict[Gvk, list[ObjectRef]] = defaultdict(list)
    for ref, version in wanted.items():
        kinds[_served(cluster, ref, version)].append(ref)
    objects: dict[ObjectRef, Manifest | None] = {}
    read = parallel(tuple(kinds.items()), lambda kind: _read_kind(cluster, reading, *kind))
    for found in read:
        objects.update(found)
    unserved = frozenset(gvk for gvk in kinds if cluster.resource_type(gvk.group, gvk.kind, gvk.version) is None)
    return Live(objects=objects, unserved=unserved)


def scoped(manifests: Sequence[Manifest], cluster: Cluster) -> tuple[Manifest, ...]:
    """The manifests with ``metadata.namespace`` as the API server will see it.

    kustomize can't know the scope of a custom resource and gives each a namespace: a cluster-scoped one loses it
    here. Raises InvalidDocument for a namespaced object without one.
    """
    coming = {
        (m["spec"]["group"], m["spec"]["names"]["kind"]): m["spec"]["scope"] == "Namespaced"
        for m in manifests
        if m["kind"] == "CustomResourceDefinition"
    }
    return tuple(_scoped(manifest, cluster, coming) for manifest in manifests)


def _scoped(manifest: Manifest, cluster: Cluster, coming: Mapping[tuple[str, str], bool]) -> Manifest:
    gvk = gvk_of(manifest)
    namespaced = coming.get((gvk.group, gvk.kind))
    if namespaced is None:
        served = cluster.resource_type(gvk.group, gvk.kind, gvk.version)
        if served is None:
            return manifest
        namespaced = served.namespaced
    has = bool(manifest["metadata"].get("namespace"))
    if namespaced and not has:
        raise InvalidDocument(
            "namespace not specified: set metadata.namespace, or targetNamespace in the Kustomization",
            path="metadata.namespace",
            document=str(ref_of(manifest)),
        )
    if has and not namespaced:
        metadata = {k: v for k, v in manifest["metadata"].items() if k != "namespace"}
        return {**manifest, "metadata": metadata}
    return manifest


def _served(cluster: Cluster, ref: ObjectRef, version: str) -> Gvk:
    """The version to read: the rendered one, or the preferred one where that is not served any more."""
    served = cluster.resource_type(ref.group, ref.kind, version) or cluster.resource_type(ref.group, ref.kind)
    return Gvk(group=ref.group, version=served.gvk.version if served else version, kind=ref.kind)


def _read_kind(
    cluster: Cluster, reading: Reading, gvk: Gvk, refs: Sequence[ObjectRef]
) -> dict[ObjectRef, Manifest | None]:
    """Every one of ``refs``. A single one is asked for by its name: that is one request whether it is ours or not."""
    if cluster.resource_type(gvk.group, gvk.kind, gvk.version) is None:
        return dict.fromkeys(refs)
    by_name = reading.first or (len(refs) == 1 and reading.shared is None)
    return _by_name(cluster, gvk, refs, {} if by_name else _owned(cluster, reading, gvk, refs))


def _owned(cluster: Cluster, reading: Reading, gvk: Gvk, refs: Sequence[ObjectRef]) -> dict[ObjectRef, Manifest]:
    try:
        return indexed(gvk, reading.owned(cluster, gvk))
    except NotFound:
        return {}
    except Refused:
        return _owned_by_namespace(cluster, gvk, refs, reading.selector)


def _owned_by_namespace(
    cluster: Cluster, gvk: Gvk, refs: Sequence[ObjectRef], selector: str
) -> dict[ObjectRef, Manifest]:
    found: dict[ObjectRef, Manifest] = {}
    for namespace in sorted({ref.namespace for ref in refs if ref.namespace}):
        try:
            found.update(indexed(gvk, cluster.list(gvk, namespace=namespace, label_selector=selector).items))
        except Refused:
            continue  # each is read by name
    return found


def _by_name(
    cluster: Cluster, gvk: Gvk, refs: Sequence[ObjectRef], found: Mapping[ObjectRef, Manifest]
) -> dict[ObjectRef, Manifest | None]:
    """All of ``refs``: those that the owner label didn't find (adopted ones, removed labels) by their name."""
    objects: dict[ObjectRef, Manifest | None] = {ref: found[ref] for ref in refs if ref in found}
    missing: dict[str, list[ObjectRef]] = defaultdict(list)
    for ref in refs:
        if ref not in found:
            missing[ref.namespace].append(ref)
    for namespace, names in missing.items():
        if len(names) > LIST_ABOVE:
            try:
                there = indexed(gvk, cluster.list(gvk, namespace=namespace).items)
                objects.update({ref: there.get(ref) for ref in names})
                continue
            except Refused:
                pass  # one by one, then
        objects.update({ref: cluster.get(gvk, ref.namespace, ref.name) for ref in names})
    return objects


def indexed(gvk: Gvk, items: Iterable[Manifest]) -> dict[ObjectRef, Manifest]:
    """By ref; a LIST's items carry no apiVersion and kind of their own."""
    typed = ({"apiVersion": gvk.api_version, "kind": gvk.kind, **item} for item in items)
    return {ref_of(item): item for item in typed}
