"""Overlapping runs of one Kustomization: bounded, and always converging.

A Lease in penstock-system, one per Kustomization. Kubernetes checks no fencing tokens, so the claim is only this:
its times are the API server's own; whoever holds it writes until shortly before its end by the monotonic clock; who
finds it held marks it ``again`` and goes away, and the holder publishes itself again when it sees the mark on release.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from penstock.core.errors import Conflict, Refused, Transient
from penstock.core.reconcile.inventory import NAMESPACE, Owner, inventory_name
from penstock.core.resources import Gvk, Manifest
from penstock.ports.clock import Clock
from penstock.ports.cluster import Cluster
from penstock.stages.reconcile.home import create_at_home
from penstock.stages.reconcile.unsure import marked_unsure, unsure_until

GVK = Gvk(group="coordination.k8s.io", version="v1", kind="Lease")
SECONDS = 150
MARGIN = 30.0
AGAIN = "penstock.dev/again"
OWNER = "penstock.dev/owner"


class Held(Transient):
    """Somebody else is at it; the Lease is marked, so that they look again."""


class OwnedByOther(Refused):
    """Another plane has it. ``owner``: ``plane/cluster/namespace/name``, or what else it calls itself."""

    reason = "OwnedByOther"

    def __init__(self, message: str, *, owner: str) -> None:
        super().__init__(message)
        self.owner = owner


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """A Lease that we hold. ``deadline``: monotonic; ``taken_over``: its last holder never released it, or has lost it.

    ``unsure``: seconds for which such a one may still be writing, before this turn or an earlier one, 0 where there is
    none. ``before``: the resourceVersion with which its last holder left it, "" for a new one.
    """

    manifest: Manifest
    holder: str
    deadline: float
    taken_over: bool = False
    unsure: float = 0.0
    before: str = ""

    def untouched_since(self, version: str) -> bool:
        """Whether nobody has held it since something was written with this resourceVersion.

        Versions of one API server grow (KEP-5504 makes that official); where these don't look so, the answer is no.
        """
        if not self.before:
            return True
        both = (self.before, version)
        return all(each.isdecimal() for each in both) and int(self.before) < int(version)

    def check(self, clock: Clock) -> None:
        """Raise Transient when there is no time left for another write."""
        if clock.monotonic() > self.deadline:
            raise Transient("the lease is about to end: the rest is left to the next run")


@dataclass(frozen=True, kw_only=True, slots=True)
class Holder:
    """``name``: of this run; ``ended``: whether another is known to have ended, maybe without giving the Lease back."""

    name: str
    ended: Callable[[str], bool] = lambda _name: False


@dataclass(frozen=True, kw_only=True, slots=True)
class How:
    """``first``: there is most likely no Lease yet, so it is not looked for before it is made.

    ``existed``: somebody has had one; where there is none now it was deleted, maybe from under a run. ``adopting``: one
    of another plane is taken as soon as that plane's run has ended.
    """

    first: bool = False
    existed: bool = False
    adopting: bool = False


def acquire(cluster: Cluster, owner: Owner, holder: Holder, clock: Clock, how: How | None = None) -> Claim:
    """Take the Lease. Raises Held where somebody has it, OwnedByOther where it is another plane's."""
    how = how or How()
    look = not how.first
    for _ in range(5):
        started = clock.monotonic()
        current = cluster.get(GVK, NAMESPACE, inventory_name(owner.namespace, owner.name)) if look else None
        look = True
        if current is not None and not how.adopting:
            refuse_other_owner(current, owner)
        now = cluster.server_time or clock.now()
        held_by_other = current is not None and _held(current, holder, now)
        try:
            if held_by_other and current is not None:
                cluster.replace(_marked(current))
                raise Held(f"another run of {owner.namespace}/{owner.name} is at work; it will look again")
            until = unsure_until(current, now, lost=_lost(current, holder, existed=how.existed))
            wanted = marked_unsure(_lease(owner, holder.name, now, current), until)
            taken = create_at_home(cluster, wanted) if current is None else cluster.replace(wanted)
        except Conflict:
            continue
        return Claim(
            manifest=taken,
            holder=holder.name,
            deadline=started + SECONDS - MARGIN,
            taken_over=how.existed if current is None else bool(_holder(current)),
            unsure=(until - now).total_seconds() if until is not None else 0.0,
            before=str(current["metadata"]["resourceVersion"]) if current is not None else "",
        )
    raise Held(f"the lease of {owner.namespace}/{owner.name} changes hands all the time")


def release(cluster: Cluster, claim: Claim) -> bool:
    """Give it back; whether somebody asked for another run meanwhile."""
    current = claim.manifest
    for _ in range(5):
        try:
            cluster.replace(_released(current))
        except Conflict:
            name = current["metadata"]["name"]
            found = cluster.get(GVK, NAMESPACE, name)
            if found is None or (found.get("spec") or {}).get("holderIdentity") != claim.holder:
                return True  # somebody took over: let a fresh run verify
            current = found
        else:
            return AGAIN in (current["metadata"].get("annotations") or {})
    return True


def drop(cluster: Cluster, name: str) -> None:
    """Delete a Lease that nobody holds."""
    current = cluster.get(GVK, NAMESPACE, name)
    if current is not None and not (current.get("spec") or {}).get("holderIdentity"):
        with contextlib.suppress(Conflict):  # somebody has just taken it
            cluster.delete(current)


def refuse_other_owner(manifest: Manifest, owner: Owner) -> None:
    """Raise OwnedByOther where an inventory or a Lease names another owner than us."""
    annotations = manifest["metadata"].get("annotations") or {}
    other = annotations.get(OWNER) or (manifest.get("data") or {}).get("owner", "")
    if other != str(owner):
        raise OwnedByOther(
            f"Kustomization {owner.namespace}/{owner.name} of this cluster is owned by {other or 'nobody known'}, "
            f"not by {owner}: nothing is written. Stop one of the two planes; to take it over: "
            f"penstock reconcile kustomization/{owner.name} -n {owner.namespace} --adopt",
            owner=other or "nobody known",
        )


def _held(lease: Manifest, holder: Holder, now: datetime) -> bool:
    """Whether somebody else has it, who is not known to have ended."""
    spec = lease.get("spec") or {}
    other = spec.get("holderIdentity")
    if other in (None, "", holder.name) or holder.ended(str(other)):
        return False
    try:
        renewed = datetime.fromisoformat(str(spec.get("renewTime")))
    except ValueError:
        return False  # nobody can tell until when: it is taken over, and verified afterwards
    return now < renewed + timedelta(seconds=int(spec.get("leaseDurationSeconds") or SECONDS))


def _holder(lease: Manifest) -> str:
    return str((lease.get("spec") or {}).get("holderIdentity") or "")


def _lost(current: Manifest | None, holder: Holder, *, existed: bool) -> bool:
    """Whether somebody has had the Lease, has not given it back, and is not known to have ended."""
    if current is None:
        return existed
    other = _holder(current)
    return other not in ("", holder.name) and not holder.ended(other)


def _lease(owner: Owner, holder: str, now: datetime, current: Manifest | None) -> Manifest:
    stamp = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    metadata: Manifest = {
        "name": inventory_name(owner.namespace, owner.name),
        "namespace": NAMESPACE,
        "annotations": {OWNER: str(owner)},
        "labels": {"app.kubernetes.io/managed-by": "penstock"},
    }
    if current is not None:
        metadata["resourceVersion"] = current["metadata"]["resourceVersion"]
    spec = {"holderIdentity": holder, "leaseDurationSeconds": SECONDS, "acquireTime": stamp, "renewTime": stamp}
    return {"apiVersion": GVK.api_version, "kind": GVK.kind, "metadata": metadata, "spec": spec}


def _marked(lease: Manifest) -> Manifest:
    metadata = lease["metadata"]
    annotations = {**(metadata.get("annotations") or {}), AGAIN: "true"}
    return {**lease, "metadata": {**metadata, "annotations": annotations}}


def _released(lease: Manifest) -> Manifest:
    metadata = lease["metadata"]
    annotations = {k: v for k, v in (metadata.get("annotations") or {}).items() if k != AGAIN}
    spec = {**lease["spec"], "holderIdentity": ""}
    return {**lease, "metadata": {**metadata, "annotations": annotations}, "spec": spec}
