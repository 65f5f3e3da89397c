"""A cluster that a plan may only look at, seen as if what Flux did there had been done by penstock.

GET, LIST and dry-run PATCH leave the process; whatever else is asked for is Refused here, before any connection.
Where Flux keeps the cluster in sync, its field manager and the inventory in its Kustomization's status stand for
ours, so that the very comparison that a reconcile makes tells what would change.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from penstock.core.errors import NotFound, Refused
from penstock.core.flux.components import is_toolkit_group
from penstock.core.flux.kustomization import API_GROUP
from penstock.core.reconcile.inventory import (
    NAMESPACE,
    Inventory,
    Owner,
    Shown,
    inventory_name,
    parse_object_id,
    to_config_map,
)
from penstock.core.resources import Gvk, Manifest, ObjectRef, ref_of
from penstock.ports.cluster import (
    FIELD_MANAGER,
    ApplyOptions,
    Cluster,
    Clusters,
    Page,
    RemoteCluster,
    ResourceType,
    WatchEvent,
)
from penstock.ports.identity import ServiceAccountToken

FLUX_MANAGER = "kustomize-controller"
_KUSTOMIZATION = "Kustomization"


@dataclass(kw_only=True)
class World:
    """What a plan knows of the cluster while it goes on.

    ``owners``: name of the inventory -> whose it is; ``left_out``: inventory name -> objects of the render that are
    never applied; ``namespaces``, ``kinds`` ((group, kind)): what the plan itself brings; ``flux``:
    ``namespace/name`` -> Flux's live Kustomization; ``managed``: objects that Flux's field manager holds;
    ``unchecked``: objects that no dry-run can check yet
    -> why; ``planes``: owners of inventories that were found; ``opening``: a target is being opened; ``others``: what
    this plan cannot look into (HelmReleases, other repositories) and may bring further kinds, or ""; ``beside_flux``:
    what Flux did counts as done by penstock.
    """

    owners: dict[str, Owner] = field(default_factory=dict)
    left_out: dict[str, frozenset[ObjectRef]] = field(default_factory=dict)
    namespaces: set[str] = field(default_factory=set)
    kinds: set[tuple[str, str]] = field(default_factory=set)
    flux: dict[str, Manifest] = field(default_factory=dict)
    managed: set[ObjectRef] = field(default_factory=set)
    unchecked: dict[ObjectRef, str] = field(default_factory=dict)
    planes: set[str] = field(default_factory=set)
    opening: bool = False
    beside_flux: bool = True
    others: str = ""


class GuestCluster:
    """See ports.cluster.Cluster; see above for what it refuses."""

    def __init__(self, cluster: Cluster, world: World) -> None:
        self._cluster, self._world = cluster, world

    @property
    def identity(self) -> str:
        """See Cluster."""
        return self._cluster.identity

    @property
    def requests(self) -> int:
        """See Cluster."""
        return self._cluster.requests

    @property
    def server_time(self) -> datetime | None:
        """See Cluster."""
        return self._cluster.server_time

    def resource_type(self, group: str, kind: str, version: str = "") -> ResourceType | None:
        """See Cluster."""
        return self._cluster.resource_type(group, kind, version)

    def refresh_discovery(self) -> None:
        """See Cluster."""
        self._cluster.refresh_discovery()

    def get(self, gvk: Gvk, namespace: str, name: str) -> Manifest | None:
        """See Cluster. While a target is opened, Flux's Kustomizations stand in nobody's way."""
        if self._world.opening and (gvk.group, gvk.kind) == (API_GROUP, _KUSTOMIZATION):
            return None
        found = self._cluster.get(gvk, namespace, name)
        if (gvk.group, gvk.kind, namespace) == ("", "ConfigMap", NAMESPACE) and name in self._world.owners:
            return self._inventory(self._world.owners[name], found)
        return None if found is None else self._as_ours(found)

    def list(self, gvk: Gvk, *, namespace: str = "", label_selector: str = "") -> Page:
        """See Cluster."""
        page = self._cluster.list(gvk, namespace=namespace, label_selector=label_selector)
        items = tuple(self._as_ours({"apiVersion": gvk.api_version, "kind": gvk.kind, **each}) for each in page.items)
        return Page(items=items, resource_version=page.resource_version)

    def apply(self, manifest: Manifest, options: ApplyOptions) -> Manifest:
        """A dry-run, as the field manager that the live object has. Raises Refused for anything but a dry-run."""
        if not options.dry_run:
            raise _refused("apply", manifest)
        ref = ref_of(manifest)
        manager = FLUX_MANAGER if ref in self._world.managed else options.field_manager
        asked = ApplyOptions(
            dry_run=True, force=options.force, field_manager=manager, field_validation=options.field_validation
        )
        try:
            return self._as_ours(self._cluster.apply(manifest, asked))
        except NotFound:
            reason = self._coming(ref)
            if not reason:
                raise
            self._world.unchecked[ref] = reason
            return manifest

    def create(self, manifest: Manifest) -> Manifest:
        """Refused."""
        raise _refused("create", manifest)

    def replace(self, manifest: Manifest) -> Manifest:
        """Refused."""
        raise _refused("replace", manifest)

    def replace_status(self, manifest: Manifest) -> Manifest:
        """Refused."""
        raise _refused("replace status", manifest)

    def delete(self, manifest: Manifest, *, propagation: str = "Background") -> bool:
        """Refused."""
        raise _refused(f"delete ({propagation})", manifest)

    def watch(
        self, gvk: Gvk, *, namespace: str, resource_version: str, timeout: float, label_selector: str = ""
    ) -> Iterator[WatchEvent]:
        """Refused."""
        raise Refused(
            f"a plan does not watch {gvk.kind}s ({namespace}, {resource_version}, {timeout}, {label_selector})"
        )

    def can_i(self, verb: str, gvk: Gvk, *, namespace: str = "", name: str = "", user: str = "") -> bool:
        """Taken to be allowed: asking would be a POST."""
        del verb, gvk, namespace, name, user
        return True

    def request_token(
        self, namespace: str, name: str, *, audiences: Sequence[str] = (), seconds: int = 3600
    ) -> ServiceAccountToken:
        """Refused: asking would be a POST."""
        raise Refused(f"a plan asks for no token of ServiceAccount {namespace}/{name} ({len(audiences)}, {seconds})")

    def flux_object(self, namespace: str, name: str) -> Manifest | None:
        """Flux's own Kustomization of that name in the cluster, where Flux's API is served and it may be read."""
        served = self._cluster.resource_type(API_GROUP, _KUSTOMIZATION)
        if served is None:
            return None
        try:
            return self._cluster.get(served.gvk, namespace, name)
        except Refused:
            return None

    def _coming(self, ref: ObjectRef) -> str:
        """Why the API server cannot know an object yet; "" where nothing of the plan explains it."""
        if (ref.group, ref.kind) in self._world.kinds:
            return f"its kind {ref.kind} is created by this plan"
        if ref.namespace in self._world.namespaces:
            return f"its namespace {ref.namespace} is created by this plan"
        if self._world.others and self._cluster.resource_type(ref.group, ref.kind) is None:
            return f"its kind {ref.kind} is not served yet: {self._world.others} may bring it"
        return ""

    def _inventory(self, owner: Owner, stored: Manifest | None) -> Manifest | None:
        """Our own inventory as if it were this plan's; else the one in the status of Flux's Kustomization."""
        if stored is not None:
            self._world.planes.add(str((stored.get("data") or {}).get("owner") or "").partition("/")[0])
            return {**stored, "data": {**(stored.get("data") or {}), "owner": str(owner)}}
        live = self._world.flux.get(f"{owner.namespace}/{owner.name}")
        listed = (((live or {}).get("status") or {}).get("inventory") or {}).get("entries") or ()
        if not listed:
            return None
        kept_out = self._world.left_out.get(inventory_name(owner.namespace, owner.name), frozenset())
        entries = {parse_object_id(str(each["id"])): str(each.get("v") or "v1") for each in listed}
        entries = {ref: version for ref, version in entries.items() if ref not in kept_out and not _is_flux_crd(ref)}
        inventory = Inventory(owner=str(owner), entries=entries, resource_version="0", uid="0")
        return to_config_map(inventory, owner, Shown())

    def _as_ours(self, manifest: Manifest) -> Manifest:
        metadata = manifest["metadata"]
        fields = metadata.get("managedFields") or ()
        if (
            not self._world.beside_flux
            or any(_applies(each, FIELD_MANAGER) for each in fields)
            or not any(_applies(each, FLUX_MANAGER) for each in fields)
        ):
            return manifest
        self._world.managed.add(ref_of(manifest))
        renamed = [{**each, "manager": FIELD_MANAGER} if _applies(each, FLUX_MANAGER) else each for each in fields]
        return {**manifest, "metadata": {**metadata, "managedFields": renamed}}


class GuestClusters:
    """Clusters whose connections are all GuestClusters.

    Service accounts are not impersonated: they, and their rights, may come with this very plan.
    """

    def __init__(self, clusters: Clusters, world: World) -> None:
        self._clusters, self._world = clusters, world

    def connect(self, cluster: str, *, impersonate: str = "") -> GuestCluster:
        """See Clusters."""
        del impersonate
        return GuestCluster(self._clusters.connect(cluster), self._world)

    def connect_kubeconfig(
        self, kubeconfig: bytes, *, name: str, impersonate: str = "", allowed_hosts: tuple[str, ...] = ()
    ) -> GuestCluster:
        """See Clusters."""
        del impersonate
        found = self._clusters.connect_kubeconfig(kubeconfig, name=name, allowed_hosts=allowed_hosts)
        return GuestCluster(found, self._world)

    def connect_remote(self, remote: RemoteCluster, *, impersonate: str = "") -> GuestCluster:
        """Refused: a token has to be asked for, which is more than reading."""
        del impersonate
        raise Refused(f"{remote.name}: a plan asks for no tokens, and so it does not look into this cluster")


def _is_flux_crd(ref: ObjectRef) -> bool:
    return ref.kind == "CustomResourceDefinition" and is_toolkit_group(ref.name.partition(".")[2])


def _applies(entry: Mapping[str, Any], manager: str) -> bool:
    return entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource")


def _refused(verb: str, manifest: Manifest) -> Refused:
    return Refused(f"{verb} {ref_of(manifest)}: a plan writes nothing")
