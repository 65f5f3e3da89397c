"""Kustomizations that a plane has applied to the cluster and that the repository does not hold any more.

Their inventories are still there. A render that failed may be their parent's: then nothing is said to be removed.
"""

from collections.abc import Mapping, Sequence

from penstock.cli.plan.guest import GuestCluster, World
from penstock.cli.plan.rehearsal import Section
from penstock.cli.plan.shown import Planned, Shown
from penstock.core.errors import PenstockError
from penstock.core.flux.kustomization import API_VERSION, parse_kustomization
from penstock.core.reconcile.inventory import NAMESPACE, from_config_map
from penstock.core.reconcile.plan import Action, Ownership, plan
from penstock.core.resources import Gvk, Manifest, ObjectRef, ref_of
from penstock.ports.cluster import FIELD_MANAGER
from penstock.stages.reconcile.live import Reading, read_live

_CONFIG_MAP = Gvk(version="v1", kind="ConfigMap")
_SELECTOR = "app.kubernetes.io/managed-by=penstock"
GONE = "it leaves the repository: its deletionPolicy and the prune guard decide what becomes of these"


def removed(cluster: GuestCluster, sections: Sequence[Section], world: World) -> list[Planned]:
    """A block for each Kustomization that has an inventory here and is not in the repository."""
    if any(section.problem for section in sections):
        return []
    try:
        inventories = cluster.list(_CONFIG_MAP, namespace=NAMESPACE, label_selector=_SELECTOR).items
    except PenstockError:
        return []  # no rights to look there, so nothing can be said
    claimed = {ref_of(m): s.ref for s in sections if s.rendered for m in s.rendered.apply}
    return [
        _removed(cluster, each, claimed)
        for each in inventories
        if each["metadata"]["name"] not in world.owners and "owner" in (each.get("data") or {})
    ]


def _removed(cluster: GuestCluster, stored: Manifest, claimed: Mapping[ObjectRef, str]) -> Planned:
    namespace, name = str(stored["data"]["owner"]).split("/")[-2:]
    section = Section(ref=f"{namespace}/{name}", kustomization=parse_kustomization(_document(namespace, name)))
    try:
        entries = from_config_map(stored).entries
        live = read_live(cluster, entries, Reading(owner=f"{namespace}/{name}"))
    except PenstockError as error:
        return Planned(section=section, problem=str(error))
    ownership = Ownership(namespace=namespace, name=name, manager=FIELD_MANAGER, claimed=claimed)
    changes = plan((), live.objects, entries, ownership, prune=True)
    deleted = changes.of(Action.DELETED)
    shown = tuple(Shown(object=str(each.ref), action=each.action.value) for each in deleted)
    return Planned(section=section, changes=shown, notes=(GONE,))


def _document(namespace: str, name: str) -> Manifest:
    """What must be known of it to name it."""
    source = {"kind": "GitRepository", "name": "flux-system", "namespace": "flux-system"}
    return {
        "apiVersion": API_VERSION,
        "kind": "Kustomization",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"interval": "10m", "prune": True, "sourceRef": source},
    }
