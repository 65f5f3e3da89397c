"""Records of a cluster that has left the Plane: a run that was in its middle may have written some since.

``penstock plane apply`` deletes them all, but knows of no run. So a run that finds its Kustomization gone, or its
status written by others meanwhile, looks whether the cluster is still in the Plane. Nothing on the cluster is touched.
"""

from contextlib import suppress

from penstock.core.errors import Conflict
from penstock.core.flux.plane_records import CLUSTER_PREFIXES, cluster_of
from penstock.core.messages import PLANE
from penstock.core.records import PLANE_KEY, PlaneRecord
from penstock.core.regions import MARKS
from penstock.ports.deps import Deps

NOT_BELOW = ("receiver/", "delivery/")
"""The one is not by cluster; of the other webhook writes what nothing hangs on, and reconcile need not reach it."""


def forget_orphaned(cluster: str, deps: Deps) -> bool:
    """Delete what is left of a cluster that the Plane does not name; whether it is such a one.

    The records are read before the Plane is, and deleted as they were read: those of a cluster that comes back stay.
    """
    if _in_plane(cluster, deps):
        return False
    several = [each for each in CLUSTER_PREFIXES if each.rstrip("/") not in MARKS and each not in NOT_BELOW]
    reads = deps.state.read(
        [f"{each}/{cluster}" for each in MARKS], ["receiver/", *(f"{p}{cluster}/" for p in several)]
    )
    listed = (record for records in reads.lists.values() for record in records)
    found = [each for each in (*reads.records.values(), *listed) if cluster_of(each.key) == cluster]
    if _in_plane(cluster, deps):
        return False
    for record in found:
        with suppress(Conflict):  # somebody else is at it
            deps.state.delete(record.key, expected=record.version)
    return True


def _in_plane(cluster: str, deps: Deps) -> bool:
    held = deps.state.get(PLANE_KEY)
    spec = PlaneRecord.from_value(held.value).document["spec"] if held is not None else {}
    return held is None or cluster in {PLANE, *(each["name"] for each in spec.get("clusters") or ())}
