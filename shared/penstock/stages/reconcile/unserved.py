"""Inventoried objects of kinds that the cluster does not serve: gone with their kind, or out of sight for a while.

A CustomResourceDefinition that was deleted took its objects along; they block nothing and are forgotten. But an API
that an extension server answers for, and that is away, keeps its objects: they stay in the inventory until it is back.
"""

from dataclasses import replace

from penstock.core.errors import Refused
from penstock.core.reconcile.plan import Action, Change, ChangeSet
from penstock.core.resources import Gvk
from penstock.ports.cluster import Cluster
from penstock.stages.reconcile.live import Live

_API_SERVICE = Gvk(group="apiregistration.k8s.io", version="v1", kind="APIService")
GONE = "it is gone with its kind"
AWAY = "its API is away, so it stays in the inventory"


def with_unserved(changes: ChangeSet, live: Live, keeper: Cluster) -> ChangeSet:
    """The changes, where those of unserved kinds say what is known of them."""
    groups = {(gvk.group, gvk.kind): gvk for gvk in live.unserved}
    if not groups:
        return changes
    registered: dict[Gvk, bool] = {}

    def judged(change: Change) -> Change:
        gvk = groups.get((change.ref.group, change.ref.kind))
        if gvk is None or change.action is not Action.SKIPPED or change.live is not None:
            return change
        if gvk not in registered:
            registered[gvk] = _registered(keeper, gvk)
        return replace(change, keep=registered[gvk], reason=AWAY if registered[gvk] else GONE)

    return replace(changes, changes=tuple(judged(change) for change in changes.changes))


def told_unserved(changes: ChangeSet) -> str:
    """A sentence for people, or ""."""
    found = [change for change in changes.changes if change.reason in (GONE, AWAY)]
    more = f"; {len(found) - 3} more" if len(found) > 3 else ""
    return "; ".join(f"{change.ref}: {change.reason}" for change in found[:3]) + more


def _registered(keeper: Cluster, gvk: Gvk) -> bool:
    """Whether somebody should be serving it. Where we may not ask, it counts as yes: nothing is forgotten."""
    if not gvk.group:
        return True
    try:
        return keeper.get(_API_SERVICE, "", f"{gvk.version}.{gvk.group}") is not None
    except Refused:
        return True
