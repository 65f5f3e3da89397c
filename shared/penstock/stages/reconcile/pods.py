"""What pods say of the workloads that a health check waits for: one LIST for each of a few of them, by turns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from penstock.core.errors import PenstockError
from penstock.core.health.facts import Health, Status
from penstock.core.health.stuck import hopeless, newest_pods
from penstock.core.health.trouble import pod_selector, pod_trouble
from penstock.core.resources import Gvk, Manifest, ObjectRef
from penstock.stages.reconcile.watching import Watched

MOST_ASKED = 3
"""Workloads whose pods one look reads."""
_POD = Gvk(version="v1", kind="Pod")
_REPLICA_SET = Gvk(group="apps", version="v1", kind="ReplicaSet")


@dataclass(frozen=True, kw_only=True, slots=True)
class Looked:
    """``trouble``: what pods in trouble say, or ""; ``failed``: workloads that will not become ready by themselves."""

    trouble: str = ""
    failed: Mapping[ObjectRef, Health] = field(default_factory=dict)


def look_at_pods(watched: Watched, waiting: Sequence[ObjectRef], *, turn: int) -> Looked:
    """Look at the pods of a few of those waited for, by ``turn`` at others. Nothing where they cannot be read."""
    workloads = [ref for ref in waiting if ref in watched.live and (_is_pod(ref) or pod_selector(watched.live[ref]))]
    first = turn * MOST_ASKED % len(workloads) if workloads else 0
    said, failed = [], {}
    for ref in (workloads + workloads)[first : first + min(MOST_ASKED, len(workloads))]:
        try:
            pods = _pods(watched, ref)
            lost = _lost(watched, ref, pods)
        except PenstockError:
            continue  # it is a help, no more
        if lost and not watched.facts.rules.covers(ref.group, ref.kind):
            failed[ref] = Health(status=Status.FAILED, message=pod_trouble(lost))
        else:
            said.append(pod_trouble(pods))
    return Looked(trouble="; ".join(text for text in said if text), failed=failed)


def _pods(watched: Watched, ref: ObjectRef) -> Sequence[Manifest]:
    if _is_pod(ref):
        return [watched.live[ref]]
    return watched.cluster.list(_POD, namespace=ref.namespace, label_selector=pod_selector(watched.live[ref])).items


def _lost(watched: Watched, ref: ObjectRef, pods: Sequence[Manifest]) -> Sequence[Manifest]:
    """Those of the newest revision that will not become ready."""
    job = (ref.group, ref.kind) == ("batch", "Job")
    workload, now = watched.live[ref], watched.cluster.server_time or watched.attempt.now()
    lost = hopeless(pods, now, job=job)
    if not lost or _is_pod(ref):
        return lost
    sets: Sequence[Manifest] = ()
    if (ref.group, ref.kind) == ("apps", "Deployment"):
        selector = pod_selector(workload)
        sets = watched.cluster.list(_REPLICA_SET, namespace=ref.namespace, label_selector=selector).items
    return newest_pods(workload, lost, sets)


def _is_pod(ref: ObjectRef) -> bool:
    return (ref.group, ref.kind) == ("", "Pod")
