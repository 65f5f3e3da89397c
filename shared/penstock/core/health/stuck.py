"""Pods that will not become ready by themselves: they end a health check before its timeout.

kstatus fails a StatefulSet or ReplicaSet at a pod's first crash, and no Deployment, DaemonSet or Job at all. Here one
rule holds for all of them. It looks at pods of the workload's newest revision alone (the old one's may well crash while
the new one mends them), and only calls hopeless what has been tried often enough: a registry that hiccups, a Secret
that comes seconds later, a database that starts more slowly than its client are waited for.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from penstock.core.health.facts import condition, field, integer, string
from penstock.core.resources import Manifest, gvk_of

PATIENCE = timedelta(seconds=15)
"""The kubelet tries an image again after 10 s, a missing ConfigMap or Secret sooner: by then it has tried twice."""
RESTARTS = 3
"""Restarts after which a crash is a loop: about a minute, with the kubelet's pauses of 10, 20 and 40 s."""
LOOP = timedelta(seconds=60)
"""A pod that has been crashing for so long loops, however seldom. A run longer than that was no crash at start."""
_NEVER = frozenset({"InvalidImageName"})
_SOON = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImageInspectError",
        "ImagePullBackOff",
        "RunContainerError",
    }
)
_CRASHES = "CrashLoopBackOff"
WAITING = _NEVER | _SOON | {_CRASHES}
"""Reasons of waiting containers that tell of trouble, be it hopeless or not yet."""
_HASH = "pod-template-hash"
_REVISION_HASH = "controller-revision-hash"
_DAEMON_GENERATION = "deprecated.daemonset.template.generation"
_GENERATION_LABEL = "pod-template-generation"


def hopeless(pods: Iterable[Manifest], now: datetime, *, job: bool = False) -> tuple[Manifest, ...]:
    """Those of ``pods`` that will not become ready unless somebody changes something.

    ``now``: the API server's time (aware). ``job``: crashes do not count, a Job's own backoffLimit bounds them.
    """
    return tuple(pod for pod in pods if _hopeless(pod, now, job=job))


def newest_pods(workload: Manifest, pods: Sequence[Manifest], sets: Sequence[Manifest]) -> tuple[Manifest, ...]:
    """The pods of a live workload's newest revision that are not being deleted.

    ``pods``: what its selector finds; ``sets``: the ReplicaSets that it finds, for a Deployment. None where its
    controller has not seen its newest generation, or where the revision cannot be told.
    """
    if field(workload, "status", "observedGeneration") not in (None, field(workload, "metadata", "generation")):
        return ()
    there = [pod for pod in pods if not field(pod, "metadata", "deletionTimestamp")]
    kind, uid = gvk_of(workload).kind, string(workload, "metadata", "uid")
    if kind == "Deployment":
        mine = {string(each, "metadata", "uid") for each in sets if _newest_set(workload, each, uid)}
        return tuple(pod for pod in there if _controller(pod) in mine)
    owned = (pod for pod in there if _controller(pod) == uid)
    if kind == "StatefulSet":
        return _labelled(owned, _REVISION_HASH, string(workload, "status", "updateRevision"))
    if kind == "DaemonSet":
        annotations = field(workload, "metadata", "annotations") or {}
        return _labelled(owned, _GENERATION_LABEL, annotations.get(_DAEMON_GENERATION))
    return tuple(owned)


def _labelled(pods: Iterable[Manifest], label: str, value: object) -> tuple[Manifest, ...]:
    return tuple(pod for pod in pods if value and (field(pod, "metadata", "labels") or {}).get(label) == value)


def _newest_set(deployment: Manifest, replica_set: Manifest, uid: str) -> bool:
    """Whether it has the Deployment's present template, which is how the Deployment controller finds it."""
    made = field(replica_set, "spec", "template") or {}
    labels = {key: value for key, value in (field(made, "metadata", "labels") or {}).items() if key != _HASH}
    same = {**made, "metadata": {**(field(made, "metadata") or {}), "labels": labels}}
    return _controller(replica_set) == uid and same == field(deployment, "spec", "template")


def _controller(manifest: Mapping[str, Any]) -> str:
    """The uid of what controls it, or ""."""
    owners = field(manifest, "metadata", "ownerReferences")
    found = (each for each in owners if isinstance(each, Mapping) and each.get("controller")) if owners else ()
    return next((string(each, "uid") for each in found), "")


def _hopeless(pod: Manifest, now: datetime, *, job: bool) -> bool:
    for part in ("initContainerStatuses", "containerStatuses"):
        statuses = field(pod, "status", part)
        for status in statuses if isinstance(statuses, list) else ():
            reason = string(status, "state", "waiting", "reason")
            tried = now - _began(pod, part, now)
            if (
                reason in _NEVER
                or (reason in _SOON and tried >= PATIENCE)
                or (reason == _CRASHES and not job and _loops(status, tried))
            ):
                return True
    return False


def _loops(status: Mapping[str, Any], tried: timedelta) -> bool:
    started, ended = (_time(string(status, "lastState", "terminated", name)) for name in ("startedAt", "finishedAt"))
    if started and ended and ended - started >= LOOP:
        return False  # it ran; its next run may as well
    return integer(status, "restartCount") >= RESTARTS or tried >= LOOP


def _began(pod: Manifest, part: str, now: datetime) -> datetime:
    """Since when the kubelet has been at these containers: init containers may take their time before the others."""
    initialized = condition(pod, "Initialized")
    texts = [string(pod, "status", "startTime") or string(pod, "metadata", "creationTimestamp")]
    if part == "containerStatuses" and initialized is not None and initialized.status == "True":
        texts.append(initialized.since)
    return max((at for text in texts if (at := _time(text))), default=now)


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
