"""The statuses that controllers would write: pure functions from an object to its next status.

Each takes the object, whether it is ready yet, whether it can ever become ready, and the time (RFC 3339).
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from penstock.devcluster.defaults_pods import containers

Object = Mapping[str, Any]
Status = dict[str, Any]
DAEMONS = 1
REVISION = "deployment.kubernetes.io/revision"


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """``ready``: the delay has passed; ``stuck``: it never gets ready; ``overdue``: its deadline has passed."""

    now: str
    ready: bool
    stuck: bool = False
    overdue: bool = False


def is_stuck(obj: Object, marker: str) -> bool:
    """Whether a container's image tag holds the marker."""
    spec = obj.get("spec", {})
    pod = spec.get("template", {}).get("spec") or (spec if obj["kind"] == "Pod" else {})
    return any(marker in c.get("image", "").rpartition("/")[2].partition(":")[2] for c in containers(pod))


def _hash(obj: Object) -> str:
    text = json.dumps(obj["spec"].get("template"), sort_keys=True).encode()
    return hashlib.sha256(text).hexdigest()[:10]


def _condition(kind: str, moment: Moment, reason: str, message: str, *, true: bool = True) -> Status:
    return {
        "type": kind,
        "status": "True" if true else "False",
        "lastUpdateTime": moment.now,
        "lastTransitionTime": moment.now,
        "reason": reason,
        "message": message,
    }


def _generation(obj: Object) -> Status:
    return {"observedGeneration": obj["metadata"]["generation"]}


def _nonzero(status: Status) -> Status:
    return {key: value for key, value in status.items() if value}


def deployment(obj: Object, moment: Moment) -> Status:
    """Progressing, then available; a stuck one keeps its old pods and times out."""
    wanted = obj["spec"]["replicas"]
    before = obj.get("status", {}).get("availableReplicas", 0)
    replica_set = f'ReplicaSet "{obj["metadata"]["name"]}-{_hash(obj)}"'
    if moment.ready and not moment.stuck:
        available, updated = wanted, wanted
        progress = _condition(
            "Progressing", moment, "NewReplicaSetAvailable", f"{replica_set} has successfully progressed."
        )
    else:
        available, updated = min(before, wanted), wanted if not before else 1
        progress = _condition("Progressing", moment, "ReplicaSetUpdated", f"{replica_set} is progressing.")
        if moment.overdue:
            text = f"{replica_set} has timed out progressing."
            progress = _condition("Progressing", moment, "ProgressDeadlineExceeded", text, true=False)
    enough = available >= wanted
    reason, text = (
        ("MinimumReplicasAvailable", "Deployment has minimum availability.")
        if enough
        else ("MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    )
    total = wanted if updated == wanted else wanted + 1
    counts = {
        "replicas": total,
        "updatedReplicas": updated,
        "readyReplicas": available,
        "availableReplicas": available,
        "unavailableReplicas": total - available,
    }
    available_condition = _condition("Available", moment, reason, text, true=enough)
    return {
        **_generation(obj),
        **_nonzero(counts),
        "terminatingReplicas": 0,
        "conditions": [available_condition, progress],
    }


def revised(obj: Object) -> dict[str, str]:
    """A Deployment's annotations with the count of its templates, which a new template raises."""
    annotations = dict(obj["metadata"].get("annotations") or {})
    messages = [condition.get("message", "") for condition in obj.get("status", {}).get("conditions") or ()]
    seen = any(f'-{_hash(obj)}"' in message for message in messages)
    if not seen or REVISION not in annotations:
        annotations[REVISION] = str(int(annotations.get(REVISION, "0")) + 1)
    return annotations


def replica_set(obj: Object, moment: Moment) -> Status:
    """All replicas at once."""
    wanted = obj["spec"]["replicas"]
    ready = wanted if moment.ready and not moment.stuck else 0
    counts = {"fullyLabeledReplicas": wanted, "readyReplicas": ready, "availableReplicas": ready}
    return {"replicas": wanted, **_nonzero(counts), **_generation(obj)}


def stateful_set(obj: Object, moment: Moment) -> Status:
    """The new revision becomes the current one when all are ready."""
    wanted = obj["spec"]["replicas"]
    before = obj.get("status", {})
    revision = f"{obj['metadata']['name']}-{_hash(obj)}"
    done = moment.ready and not moment.stuck
    counts = {
        "readyReplicas": wanted if done else min(before.get("readyReplicas", 0), wanted),
        "currentReplicas": wanted if done else before.get("currentReplicas", 0),
        "updatedReplicas": wanted if done else 0,
    }
    return {
        **_generation(obj),
        "replicas": wanted,
        **_nonzero(counts),
        "currentRevision": revision if done else before.get("currentRevision", revision),
        "updateRevision": revision,
        "collisionCount": 0,
        "availableReplicas": counts["readyReplicas"],
    }


def daemon_set(obj: Object, moment: Moment) -> Status:
    """One pod on the one node that there would be."""
    ready = DAEMONS if moment.ready and not moment.stuck else 0
    counts = {"updatedNumberScheduled": DAEMONS, "numberAvailable": ready, "numberUnavailable": DAEMONS - ready}
    return {
        "currentNumberScheduled": DAEMONS,
        "numberMisscheduled": 0,
        "desiredNumberScheduled": DAEMONS,
        "numberReady": ready,
        **_generation(obj),
        **_nonzero(counts),
    }


def job(obj: Object, moment: Moment) -> Status:
    """Active, then complete."""
    wanted = obj["spec"].get("completions") or obj["spec"].get("parallelism", 1)
    start = obj.get("status", {}).get("startTime", moment.now)
    if not moment.ready or moment.stuck or obj["spec"].get("suspend"):
        active = 0 if obj["spec"].get("suspend") else wanted
        return {**_nonzero({"active": active}), "startTime": start, "ready": 0, "terminating": 0}
    reached = "Reached expected number of succeeded pods"
    conditions = [
        {
            "type": kind,
            "status": "True",
            "lastProbeTime": moment.now,
            "lastTransitionTime": moment.now,
            "reason": "CompletionsReached",
            "message": reached,
        }
        for kind in ("SuccessCriteriaMet", "Complete")
    ]
    return {
        "conditions": conditions,
        "startTime": start,
        "completionTime": moment.now,
        "succeeded": wanted,
        "terminating": 0,
        "uncountedTerminatedPods": {},
        "ready": 0,
    }


def pod(obj: Object, moment: Moment) -> Status:
    """Pending, then running and ready."""
    done = moment.ready and not moment.stuck
    names = ("PodScheduled", "Initialized", *(("ContainersReady", "Ready") if done else ()))
    conditions = [{"type": n, "status": "True", "lastProbeTime": None, "lastTransitionTime": moment.now} for n in names]
    before = obj.get("status", {})
    return {**before, "phase": "Running" if done else "Pending", "conditions": conditions}


def claim(obj: Object, moment: Moment) -> Status:
    """Pending, then bound with the capacity that was asked for."""
    if not moment.ready:
        return {"phase": "Pending"}
    spec = obj["spec"]
    capacity = (spec.get("resources") or {}).get("requests") or {}
    return {"phase": "Bound", "accessModes": spec.get("accessModes", []), "capacity": capacity}


def disruption_budget(obj: Object, moment: Moment) -> Status:
    """Nothing is disrupted."""
    condition = {
        "type": "DisruptionAllowed",
        "status": "False",
        "observedGeneration": obj["metadata"]["generation"],
        "lastTransitionTime": moment.now,
        "reason": "InsufficientPods",
        "message": "",
    }
    counts = dict.fromkeys(("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"), 0)
    return {**_generation(obj), **counts, "conditions": [condition]}


STATUSES: dict[tuple[str, str], Callable[[Object, Moment], Status]] = {
    ("", "persistentvolumeclaims"): claim,
    ("", "pods"): pod,
    ("", "replicationcontrollers"): replica_set,
    ("apps", "daemonsets"): daemon_set,
    ("apps", "deployments"): deployment,
    ("apps", "replicasets"): replica_set,
    ("apps", "statefulsets"): stateful_set,
    ("batch", "jobs"): job,
    ("policy", "poddisruptionbudgets"): disruption_budget,
}
"""What the simulation drives, by (group, plural)."""
