"""Records of a cluster that has left the Plane: a run that was in its middle may have written some since.

``penstock plane apply`` deletes them all, but knows of no run. So a run that finds its Kustomization gone, or its
status written by others meanwhile, looks whether the cluster is still in the Plane. Nothing on the cluster is touched.
"""

from contextlib import suppress

from penstock.core.errors import Conflict
from penstock.core.flux.plane_records import CLUSTER_PREFIXES, cluster_of
from penstock.core.messages import PLANE
from penstock.core.records import PLANE_KEY, CopiesRecord, PlaneRecord, copies_key
from penstock.core.regions import MARKS
from penstock.ports.deps import Deps

NOT_BELOW = ("receiver/", "delivery/")
"""The one is not by cluster; of the other webhook writes what nothing hangs on, and reconcile need not reach it."""


def forget_orphaned(cluster: str, deps: Deps) -> bool:
    """Delete what is left of a cluster that the Plane does not name; whether it is such a one.

    The records are read before the Plane is, and deleted as they were read: those of a cluster that comes back stay.
    Copies of its Secrets have no version: such a cluster's next run makes them again.
    """
    if _left(cluster, deps) is None:
        return False
    several = [each for each in CLUSTER_PREFIXES if each.rstrip("/") not in MARKS and each not in NOT_BELOW]
    reads = deps.state.read(
        [f"{each}/{cluster}" for each in MARKS], ["receiver/", *(f"{p}{cluster}/" for p in several)]
    )
    listed = (record for records in reads.lists.values() for record in records)
    found = [each for each in (*reads.records.values(), *listed) if cluster_of(each.key) == cluster]
    plane = _left(cluster, deps)
    if plane is None:
        return False
    copies = reads.records.get(copies_key(cluster))
    for name in CopiesRecord.from_value(copies.value).names if copies is not None else ():
        deps.secrets.delete(name, owner=plane.uid)
    for record in found:
        with suppress(Conflict):  # somebody else is at it
            deps.state.delete(record.key, expected=record.version)
    return True


def _left(cluster: str, deps: Deps) -> PlaneRecord | None:
    """The Plane, where it does not name the cluster; None where it does, or there is none."""
    held = deps.state.get(PLANE_KEY)
    if held is None:
        return None
    plane = PlaneRecord.from_value(held.value)
    known = {PLANE, *(each["name"] for each in plane.document["spec"].get("clusters") or ())}
    return None if cluster in known else plane
