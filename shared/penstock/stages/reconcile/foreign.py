"""Objects that somebody outside this plane owns (another plane on the cluster, Flux): nothing of theirs is taken.

Owner labels name a Kustomization, not a plane. So where they name another one than the one at work, the cluster is
asked: an inventory of another plane that lists the object, or a Kustomization that Flux reconciles there.
"""

from collections.abc import Iterable

from penstock.core.errors import Refused, Terminal
from penstock.core.flux.kustomization import API_GROUP
from penstock.core.reconcile.inventory import NAMESPACE, from_config_map, inventory_name
from penstock.core.reconcile.plan import Action, ChangeSet, owner_of
from penstock.core.resources import Gvk, ObjectRef
from penstock.ports.cluster import Cluster
from penstock.stages.reconcile.attempt import KIND, Attempt
from penstock.stages.reconcile.lease import OwnedByOther

_CONFIG_MAP = Gvk(version="v1", kind="ConfigMap")


def refuse_foreign(attempt: Attempt, keeper: Cluster, changes: ChangeSet) -> None:
    """Raise OwnedByOther or Refused (``OwnedByFlux``) where applying would take an object from its owner."""
    owned: dict[str, list[ObjectRef]] = {}
    for change in changes.of(Action.CONFIGURED, Action.UNCHANGED):
        owner = owner_of(change.live) if change.live is not None else ""
        if owner and owner != attempt.ref:
            owned.setdefault(owner, []).append(change.ref)
    for owner in sorted(owned):  # names that are known here, too: in another cluster they may be another plane's
        if not attempt.adopting:
            _refuse_other_plane(attempt, keeper, owner, owned[owner])
        if reconciled_by_flux(keeper, owner):
            raise Refused(
                f"{_told(owned[owner])} is applied by Flux (Kustomization {owner} in this cluster): suspend that one, "
                "or move it with `penstock migrate from-flux`",
                reason="OwnedByFlux",
            )


def reconciled_by_flux(keeper: Cluster, name: str) -> bool:
    """Whether a Kustomization object ``namespace/name`` stands in the cluster for Flux to reconcile, not suspended."""
    served = keeper.resource_type(API_GROUP, KIND)
    if served is None:
        return False
    namespace, _, leaf = name.partition("/")
    found = keeper.get(Gvk(group=API_GROUP, version=served.gvk.version, kind=KIND), namespace, leaf)
    return found is not None and not (found.get("spec") or {}).get("suspend")


def _refuse_other_plane(attempt: Attempt, keeper: Cluster, owner: str, refs: list[ObjectRef]) -> None:
    found = keeper.get(_CONFIG_MAP, NAMESPACE, inventory_name(*owner.split("/", 1)))
    if found is None:
        return
    held_by = str((found.get("data") or {}).get("owner", ""))
    if held_by.startswith(f"{attempt.uid}/{attempt.cluster}/"):
        return
    try:
        entries = from_config_map(found).entries
    except Terminal:
        entries = dict.fromkeys(refs, "")  # unreadable: it may list any of them
    theirs = [ref for ref in refs if ref in entries]
    if theirs:
        raise OwnedByOther(
            f"{_told(theirs)} belongs to {held_by or 'another plane'}: nothing is written. Take it out of one of the "
            f"two; to take it over: penstock reconcile kustomization/{attempt.message.name} "
            f"-n {attempt.message.namespace} --adopt",
            owner=held_by or "another plane",
        )


def _told(refs: Iterable[ObjectRef]) -> str:
    return ", ".join(str(ref) for ref in list(refs)[:5])
