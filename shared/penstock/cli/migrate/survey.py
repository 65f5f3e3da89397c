"""What a migration finds: Flux's live Kustomizations, what each owns, what moves and what stays, and why."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from penstock.cli.migrate.side import ROOT, Side
from penstock.core.errors import NotFound, PenstockError
from penstock.core.flux.classify import classify
from penstock.core.flux.kustomization import API_GROUP, KIND, Kustomization, parse_kustomization
from penstock.core.flux.live import (
    as_document,
    by_name,
    flux_inventory,
    is_flux_object,
    parents_first,
    suspended_by_others,
)
from penstock.core.reconcile.inventory import NAMESPACE, Inventory, Owner, from_config_map, inventory_name
from penstock.core.resources import Gvk, Manifest, ObjectRef
from penstock.core.sources.kinds import ARTIFACTS
from penstock.ports.cluster import Cluster
from penstock.stages.reconcile.lease import refuse_other_owner
from penstock.stages.reconcile.live import Reading, read_live

CONFIG_MAP = Gvk(version="v1", kind="ConfigMap")


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """One Kustomization that moves.

    ``name``: Flux's, ``namespace/name``; ``owner``: ours; ``entries``: what moves (object -> version); ``objects``:
    each as it is live, None where it is gone; ``left``: objects that stay in Flux's inventory alone -> why.
    """

    name: str
    owner: Owner
    live: Manifest
    kustomization: Kustomization
    target: Cluster
    entries: Mapping[ObjectRef, str]
    objects: Mapping[ObjectRef, Manifest | None]
    left: Mapping[ObjectRef, str]

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know of it."""
        found = []
        given = self.kustomization.kube_config
        if given is not None:
            named = f"Secret {given.secret}" if given.secret else f"ConfigMap {given.config_map}"
            found.append(f"applies to the cluster of {named}")
        if suspended_by_others(self.live):
            found.append("suspended in Flux: will be suspended in the plane, too")
        gone = sum(each is None for each in self.objects.values())
        if gone:
            found.append(f"{gone} gone already")
        return tuple(found)


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """``moves``: parents before their children; ``stays``: Kustomizations that stay with Flux -> why.

    ``others``: how many objects of Flux's other kinds stand in the cluster that nobody else acts on, by kind.
    """

    root: str
    moves: tuple[Move, ...]
    stays: Mapping[str, str]
    others: Mapping[str, int]


def list_flux(home: Cluster) -> dict[str, Manifest]:
    """Every Kustomization object of Flux, by ``namespace/name``. Raises NotFound where Flux's API is not served."""
    served = home.resource_type(API_GROUP, KIND)
    if served is None:
        raise NotFound(f"this cluster does not serve {API_GROUP}: Flux is not installed on it")
    return by_name(home.list(served.gvk).items)


def survey(side: Side, root: str = "") -> Survey:
    """Look at everything; nothing is written.

    ``root``: ``namespace/name`` of Flux's Kustomization for the cluster's path, "" finds it. Raises NotFound where
    there is none, Refused (``OwnedByOther``) where another plane has an inventory of one that moves.
    """
    found = list_flux(side.home)
    top = root or find_root(found, side.path)
    if top not in found:
        names = ", ".join(sorted(found)) or "none"
        raise NotFound(f"Flux has no Kustomization {top} in this cluster ({names}): name the cluster's own with --root")
    stays: dict[str, str] = {}
    moves: list[Move] = []
    usable = dict(found)
    for name in parents_first(found, top):
        if name not in parents_first(usable, top):
            continue  # its parent stays
        try:
            moves.append(_move(side, found[name], is_root=name == top))
        except PenstockError as error:
            stays[name] = str(error)
            del usable[name]
    if top in stays:
        raise NotFound(f"Kustomization {top} cannot be moved: {stays[top]}")
    for move in moves if side.uid else ():
        stored_inventory(move.target, move.owner)
    moving = {move.name for move in moves}
    for name in sorted(found.keys() - moving - stays.keys()):
        stays[name] = f"no Kustomization that moves renders it (it is in no inventory below {top})"
    return Survey(root=top, moves=tuple(moves), stays=stays, others=_others(moves))


def find_root(found: Mapping[str, Manifest], path: str | None) -> str:
    """``flux-system/flux-system``, or the one whose path is the cluster's own."""
    if ROOT in found or path is None:
        return ROOT
    for name, live in sorted(found.items()):
        spec = live.get("spec") or {}
        if str(spec.get("path") or "").strip("./") == path.strip("./"):
            return name
    return ROOT


def stored_inventory(target: Cluster, owner: Owner) -> Inventory | None:
    """Our inventory of it, as it stands. Raises Refused where it is another's, Terminal where it cannot be read."""
    stored = target.get(CONFIG_MAP, NAMESPACE, inventory_name(owner.namespace, owner.name))
    if stored is None:
        return None
    refuse_other_owner(stored, owner)
    return from_config_map(stored)


def _move(side: Side, live: Manifest, *, is_root: bool) -> Move:
    """Raises PenstockError with the reason why it stays with Flux."""
    if live["metadata"].get("deletionTimestamp"):
        raise NotFound("it is being deleted")
    kustomization = parse_kustomization(as_document(live))
    if kustomization.source.kind not in ARTIFACTS:
        raise NotFound(f"its source is a {kustomization.source.kind}, which this release does not serve")
    target = side.target(kustomization)
    name = f"{kustomization.namespace}/{kustomization.name}"
    owner = side.owner(ROOT if is_root else name)
    listed = flux_inventory(live)
    wanted = {ref: version for ref, version in listed.items() if not is_flux_object(ref)}
    objects = read_live(target, wanted, Reading(owner=f"{kustomization.namespace}/{kustomization.name}")).objects
    left = {ref: _why_left(ref) for ref in listed if ref not in wanted}
    left |= {ref: why for ref, found in objects.items() if (why := _component(found))}
    return Move(
        name=name,
        owner=owner,
        live=live,
        kustomization=kustomization,
        target=target,
        entries={ref: version for ref, version in wanted.items() if ref not in left},
        objects={ref: found for ref, found in objects.items() if ref not in left},
        left=left,
    )


def _component(live: Manifest | None) -> str:
    """Why an object belongs to Flux's own installation, or ""."""
    return next((each.reason for each in classify([live]).left_out), "") if live is not None else ""


def _why_left(ref: ObjectRef) -> str:
    made: Manifest = {"apiVersion": f"{ref.group}/v1", "kind": ref.kind, "metadata": {"name": ref.name}}
    parts = classify([made])
    if parts.interpreted:
        return "the plane reads it from Git; the object stays as it is"
    if parts.unsupported:
        return "stays with Flux: what changes of it in Git is not applied by penstock"
    return parts.left_out[0].reason if parts.left_out else "an object of Flux's own"


def _others(moves: list[Move]) -> dict[str, int]:
    kinds = Counter(ref.kind for move in moves for ref, why in move.left.items() if why.startswith("stays with Flux"))
    return dict(sorted(kinds.items()))
